/* Buffers of several boards. A buffer is cut into blocks; each block is newest on some boards, and is copied to another when an op
 * there needs it. Memory on a board is taken when its first block comes. */
#include <stdlib.h>
#include <string.h>

#include "host/backend/placed/state.h"

static uint32_t all_boards(const fa_placed *p) {
    return p->n == 32 ? ~0u : (1u << p->n) - 1;
}

static size_t blocks_of(const placed_buffer *b) {
    return (b->base.bytes + PLACED_BLOCK - 1) / PLACED_BLOCK;
}

/* ---- calls ---- */

static fa_status run_alloc(fa_backend *b, placed_call *c) {
    return b->alloc(b, c->bytes, c->out, &c->error);
}

static fa_status run_free(fa_backend *b, placed_call *c) {
    b->free(b, c->buffer);
    return FA_OK;
}

static fa_status run_write(fa_backend *b, placed_call *c) {
    return b->write(b, c->buffer, c->offset, c->from, c->bytes, &c->error);
}

static fa_status run_read(fa_backend *b, placed_call *c) {
    return b->read(b, c->buffer, c->offset, c->to, c->bytes, &c->error);
}

static fa_status need(fa_placed *p, placed_buffer *b, int32_t board, size_t bytes, fa_error *e) {
    if (b->at[board] || !bytes) return FA_OK;
    return placed_do(&p->worker[board], &(placed_call){.run = run_alloc, .bytes = bytes, .out = &b->at[board]}, e);
}

/* ---- alloc, free ---- */

fa_status placed_alloc(fa_backend *base, size_t bytes, fa_buffer **out, fa_error *e) {
    fa_placed *p = (fa_placed *)base;
    *out = NULL;
    placed_buffer *b = calloc(1, sizeof *b);
    if (b) b->base = (fa_buffer){.bytes = bytes, .device = b};
    if (b) b->valid = calloc(blocks_of(b) + 1, sizeof *b->valid);
    if (!b || !b->valid) {
        free(b);
        return fa_fail(e, FA_ENOMEM, "cannot allocate a buffer of %zu bytes", bytes);
    }
    for (size_t i = 0; i < blocks_of(b); i++) b->valid[i] = all_boards(p);
    b->next = p->buffers;
    if (p->buffers) p->buffers->before = b;
    p->buffers = b;
    *out = &b->base;
    return FA_OK;
}

static void release(fa_placed *p, placed_buffer *b) {
    for (int32_t i = 0; i < p->n; i++) {
        if (b->at[i]) placed_do(&p->worker[i], &(placed_call){.run = run_free, .buffer = b->at[i]}, NULL);
        b->at[i] = NULL;
    }
}

void placed_free(fa_backend *base, fa_buffer *buffer) {
    fa_placed *p = (fa_placed *)base;
    if (!buffer) return;
    placed_buffer *b = placed_buffer_of(buffer);
    release(p, b);
    *(b->before ? &b->before->next : &p->buffers) = b->next;
    if (b->next) b->next->before = b->before;
    free(b->valid);
    free(b);
}

fa_status placed_clear_buffers(fa_placed *p, fa_error *e) {
    fa_status s = FA_OK;
    for (placed_buffer *b = p->buffers; b; b = b->next) {
        release(p, b);
        for (size_t i = 0; !b->pool && i < blocks_of(b); i++) b->valid[i] = all_boards(p);
        int64_t pages = b->pool ? (int64_t)b->base.bytes / b->whole.page_bytes : 0;
        for (int32_t i = 0; i < p->n && !s && b->pool; i++)
            s = need(p, b, i, (size_t)(pages * b->own[i].page_bytes), e);
    }
    return s;
}

/* ---- blocks ---- */

/* From where a block is newest; -1: nobody has memory, so it is zero. */
static int32_t source_of(const fa_placed *p, const placed_buffer *b, size_t block) {
    for (int32_t i = 0; i < p->n; i++)
        if (b->valid[block] >> i & 1 && b->at[i]) return i;
    return -1;
}

static fa_status copy(fa_placed *p, placed_buffer *b, int32_t from, int32_t to, size_t low, size_t high, fa_error *e) {
    fa_status s = FA_OK;
    for (size_t at = low, n; at < high && !s; at += n) {
        n = high - at < PLACED_PIECE ? high - at : PLACED_PIECE;
        s = placed_do(
            &p->worker[from],
            &(placed_call){.run = run_read, .buffer = b->at[from], .offset = at, .to = p->piece[to], .bytes = n}, e);
        if (!s)
            s = placed_do(
                &p->worker[to],
                &(placed_call){.run = run_write, .buffer = b->at[to], .offset = at, .from = p->piece[to], .bytes = n},
                e);
    }
    return s;
}

/* Runs of blocks that have the same source at a time. */
static fa_status bring_blocks(fa_placed *p, placed_buffer *b, int32_t board, size_t first, size_t end, fa_error *e) {
    fa_status s = FA_OK;
    for (size_t i = first, k; i < end && !s; i = k) {
        bool there = b->valid[i] >> board & 1;
        int32_t from = there ? board : source_of(p, b, i);
        for (k = i + 1; k < end; k++) {
            bool same = (b->valid[k] >> board & 1) == there;
            if (!same || (!there && source_of(p, b, k) != from)) break;
        }
        if (there || from < 0) continue;
        size_t high = k * PLACED_BLOCK;
        s = copy(p, b, from, board, i * PLACED_BLOCK, high < b->base.bytes ? high : b->base.bytes, e);
        for (size_t j = i; j < k && !s; j++) b->valid[j] |= 1u << board;
    }
    return s;
}

fa_status placed_bring(fa_placed *p, placed_buffer *b, int32_t board, size_t low, size_t high, bool covered,
                       fa_error *e) {
    if (low >= high) return FA_OK;
    if (b->pool) return fa_fail(e, FA_EUNSUPPORTED, "placement: a pool of cache pages is used as another buffer");
    fa_status s = need(p, b, board, b->base.bytes, e);
    if (s) return s;
    size_t first = low / PLACED_BLOCK, end = (high + PLACED_BLOCK - 1) / PLACED_BLOCK;
    if (!covered || end - first < 3) return bring_blocks(p, b, board, first, end, e);
    s = bring_blocks(p, b, board, first, first + 1, e); /* the outer blocks may be written in part */
    return s ? s : bring_blocks(p, b, board, end - 1, end, e);
}

void placed_written(placed_buffer *b, int32_t board, size_t low, size_t high) {
    if (low >= high) return;
    b->written = true;
    for (size_t i = low / PLACED_BLOCK; i <= (high - 1) / PLACED_BLOCK; i++) b->valid[i] = 1u << board;
}

fa_status placed_write_on(fa_placed *p, placed_buffer *b, int32_t board, size_t offset, const void *from, size_t bytes,
                          fa_error *e) {
    fa_status s = placed_bring(p, b, board, offset, offset + bytes, true, e);
    if (!s && bytes)
        s = placed_do(
            &p->worker[board],
            &(placed_call){.run = run_write, .buffer = b->at[board], .offset = offset, .from = from, .bytes = bytes},
            e);
    if (!s) placed_written(b, board, offset, offset + bytes);
    return s;
}

/* ---- pools ---- */

/* A copy between host memory and a pool, layer by layer; one of from and to is NULL. */
static fa_status pool_copy(fa_placed *p, placed_buffer *b, size_t offset, const char *from, char *to, size_t bytes,
                           fa_error *e) {
    const size_t page_bytes = (size_t)b->whole.page_bytes, layer_bytes = (size_t)b->whole.layer_bytes;
    fa_status s = FA_OK;
    for (size_t done = 0, n; done < bytes && !s; done += n) {
        size_t page = (offset + done) / page_bytes, rest = (offset + done) % page_bytes, layer = rest / layer_bytes;
        size_t within = rest % layer_bytes, left = layer_bytes - within;
        n = bytes - done < left ? bytes - done : left;
        int32_t board = p->placement.layer[layer];
        size_t at = page * (size_t)b->own[board].page_bytes + (size_t)p->local_layer[layer] * layer_bytes + within;
        placed_call c = {.run = from ? run_write : run_read, .buffer = b->at[board], .offset = at, .bytes = n};
        c.from = from ? from + done : NULL;
        c.to = to ? to + done : NULL;
        s = placed_do(&p->worker[board], &c, e);
    }
    return s;
}

static fa_status become_pool(fa_placed *p, placed_buffer *b, const fa_kv_layout *layout, fa_error *e) {
    int64_t layers = layout->page_bytes / layout->layer_bytes, pages = (int64_t)b->base.bytes / layout->page_bytes;
    if (layers > p->placement.layers)
        return fa_fail(e, FA_EINVAL, "cache: %lld layers, the placement has %d", (long long)layers,
                       p->placement.layers);
    void *old = b->written ? malloc(b->base.bytes) : NULL;
    size_t whole = (size_t)(pages * layout->page_bytes);
    if (b->written && !old) return fa_fail(e, FA_ENOMEM, "cache: no memory to move %zu bytes", b->base.bytes);
    fa_status s = old ? placed_read(&p->base, &b->base, 0, old, whole, e) : FA_OK;
    if (!s) release(p, b);
    b->whole = *layout;
    for (int32_t i = 0; i < p->n && !s; i++) {
        b->own[i] = *layout;
        b->own[i].page_bytes = 0;
        for (int64_t k = 0; k < layers; k++)
            b->own[i].page_bytes += p->placement.layer[k] == i ? layout->layer_bytes : 0;
        s = need(p, b, i, (size_t)(pages * b->own[i].page_bytes), e);
    }
    b->pool = !s;
    if (!s && old) s = pool_copy(p, b, 0, old, NULL, whole, e);
    free(old);
    return s;
}

fa_status placed_pool(fa_placed *p, const fa_kv *kv, int32_t board, fa_kv *out, fa_error *e) {
    placed_buffer *b = placed_buffer_of(kv->pool);
    if (!b->pool) {
        fa_status s = become_pool(p, b, kv->layout, e);
        if (s) return s;
    }
    if (b->whole.page_bytes != kv->layout->page_bytes || b->whole.layer_bytes != kv->layout->layer_bytes)
        return fa_fail(e, FA_EUNSUPPORTED, "placement: one pool of cache pages in two layouts");
    *out = (fa_kv){.pool = b->at[board], .layout = &b->own[board], .layer = p->local_layer[kv->layer]};
    return FA_OK;
}

/* ---- copies with the host ---- */

static fa_status check(const fa_buffer *buffer, size_t offset, size_t bytes, fa_error *e) {
    if (offset <= buffer->bytes && bytes <= buffer->bytes - offset) return FA_OK;
    return fa_fail(e, FA_EINVAL, "buffer: %zu bytes at %zu are outside its %zu", bytes, offset, buffer->bytes);
}

/* A step begins with the host's rows, on the board of the first layer. */
fa_status placed_write(fa_backend *base, fa_buffer *to, size_t offset, const void *from, size_t bytes, fa_error *e) {
    fa_placed *p = (fa_placed *)base;
    placed_buffer *b = placed_buffer_of(to);
    fa_status s = check(to, offset, bytes, e);
    if (s || !bytes) return s;
    if (b->pool) return pool_copy(p, b, offset, from, NULL, bytes, e);
    return placed_write_on(p, b, p->placement.layer[0], offset, from, bytes, e);
}

fa_status placed_read(fa_backend *base, const fa_buffer *from, size_t offset, void *to, size_t bytes, fa_error *e) {
    fa_placed *p = (fa_placed *)base;
    placed_buffer *b = placed_buffer_of(from);
    fa_status s = check(from, offset, bytes, e);
    if (!s && b->pool && bytes) return pool_copy(p, b, offset, NULL, to, bytes, e);
    for (size_t at = offset, end; at < offset + bytes && !s; at = end) {
        int32_t source = source_of(p, b, at / PLACED_BLOCK);
        for (end = (at / PLACED_BLOCK + 1) * PLACED_BLOCK;
             end < offset + bytes && source_of(p, b, end / PLACED_BLOCK) == source;)
            end += PLACED_BLOCK;
        if (end > offset + bytes) end = offset + bytes;
        char *out = (char *)to + (at - offset);
        if (source < 0)
            memset(out, 0, end - at);
        else
            s = placed_do(
                &p->worker[source],
                &(placed_call){.run = run_read, .buffer = b->at[source], .offset = at, .to = out, .bytes = end - at},
                e);
    }
    return s;
}
