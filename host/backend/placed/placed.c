#include "host/backend/placed/placed.h"

#include <numa.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/placed/state.h"
#include "host/base/threads.h"

/* ---- entries ---- */

static fa_status run_reserve(fa_backend *b, placed_call *c) {
    return b->reserve(b, c->limits, &c->error);
}

static fa_status reserve(fa_backend *base, const fa_limits *limits, fa_error *e) {
    fa_placed *p = (fa_placed *)base;
    fa_status s = FA_OK;
    p->limits = *limits;
    for (int32_t i = 0; i < p->n && !s; i++)
        s = placed_do(&p->worker[i], &(placed_call){.run = run_reserve, .limits = limits}, e);
    return s ? s : placed_routes_reserve(p, e);
}

static fa_status run_settle(fa_backend *b, placed_call *c) {
    return b->settle ? b->settle(b, c->progress, &c->error) : FA_OK;
}

static fa_status settle(fa_backend *base, const fa_progress *progress, fa_error *e) {
    fa_placed *p = (fa_placed *)base;
    fa_status s = FA_OK;
    for (int32_t i = 0; i < p->n && !s; i++)
        s = placed_do(&p->worker[i], &(placed_call){.run = run_settle, .progress = progress}, e);
    return s;
}

static fa_status run_recover(fa_backend *b, placed_call *c) {
    return b->recover ? b->recover(b, &c->memory_lost, &c->error) : FA_OK;
}

/* Where one board lost its memory, all buffers begin anew. */
static fa_status recover(fa_backend *base, bool *memory_lost, fa_error *e) {
    fa_placed *p = (fa_placed *)base;
    *memory_lost = false;
    for (int32_t i = 0; i < p->n; i++) {
        placed_call c = {.run = run_recover};
        if (!p->worker[i].failed) continue;
        fa_status s = placed_do(&p->worker[i], &c, e);
        if (s) return s;
        p->worker[i].failed = false;
        *memory_lost |= c.memory_lost;
        if (p->worker[i].backend->lost) p->base.lost = p->worker[i].backend->lost;
    }
    return *memory_lost ? placed_clear_buffers(p, e) : FA_OK;
}

static bool used(const fa_backend *base, fa_backend_use *use) {
    const fa_placed *p = (const fa_placed *)base;
    bool any = false;
    *use = (fa_backend_use){0};
    for (int32_t i = 0; i < p->n; i++) {
        const fa_backend *b = p->worker[i].backend;
        fa_backend_use one = {0};
        if (!b->used || !b->used(b, &one)) continue;
        if (!any) *use = (fa_backend_use){.board = one.board, .simulated = one.simulated, .seconds = p->seconds};
        any = true;
        use->joules += one.joules;
        use->unit_cycles += one.unit_cycles;
        use->bank_bytes += one.bank_bytes;
        use->to_card += one.to_card;
        use->from_card += one.from_card;
        use->launches += one.launches;
        use->transfers += one.transfers;
        use->card_used += one.card_used;
        use->card_bytes += one.card_bytes;
    }
    return any;
}

/* A buffer that no board has yet counts too: its memory was promised. */
static size_t held_bytes(const fa_backend *base) {
    const fa_placed *p = (const fa_placed *)base;
    size_t bytes = 0;
    for (const placed_buffer *b = p->buffers; b; b = b->next) {
        bool there = false;
        for (int32_t i = 0; i < p->n; i++) there |= b->at[i] != NULL;
        if (!there) bytes += b->base.bytes;
    }
    for (int32_t i = 0; i < p->n; i++)
        bytes +=
            p->worker[i].backend->bytes(p->worker[i].backend) + p->routes[i].memory.bytes + p->piece_memory[i].bytes;
    return bytes;
}

static fa_status run_close(fa_backend *b, placed_call *c) {
    (void)c;
    b->close(b);
    return FA_OK;
}

static void close_placed(fa_backend *base) {
    fa_placed *p = (fa_placed *)base;
    placed_routes_close(p);
    for (int32_t i = 0; i < p->n; i++) {
        if (p->worker[i].backend) placed_do(&p->worker[i], &(placed_call){.run = run_close}, NULL);
        placed_worker_close(&p->worker[i]);
        fa_memory_free(&p->piece_memory[i]);
    }
    placed_weights_close(p);
    fa_board_placement_free(&p->placement);
    free(p->local_layer);
    free(p);
}

static const fa_backend entries = {
    .name = "placed",
    .reserve = reserve,
    .weight = placed_take_weight,
    .settle = settle,
    .alloc = placed_alloc,
    .free = placed_free,
    .write = placed_write,
    .read = placed_read,
    .submit = placed_submit,
    .wait = placed_wait,
    .recover = recover,
    .used = used,
    .bytes = held_bytes,
    .close = close_placed,
};

/* ---- opening ---- */

/* A machine with one node serves every board from it. */
static fa_status node_of(const fa_placement_board *b, const char *path, int32_t i, int *node, fa_error *e) {
    int nodes = fa_memory_nodes();
    *node = nodes == 1 ? 0 : b->node;
    if (*node < nodes) return FA_OK;
    return fa_fail(e, FA_EINVAL, "%s: boards[%d].node: %d, but this machine has nodes 0..%d", path, i, b->node,
                   nodes - 1);
}

static int cpus_of(int node) {
    cpu_set_t set;
    int n = 0;
    if (sched_getaffinity(0, sizeof set, &set)) return 1;
    for (int c = 0; c < CPU_SETSIZE; c++)
        n += CPU_ISSET(c, &set) && (numa_available() < 0 || numa_node_of_cpu(c) == node);
    return n ? n : 1;
}

/* A board's share of the threads that were asked for, or of its node's CPUs. */
static int threads_of(const fa_placed *p, int threads, int32_t board) {
    int sharing = 0, node = p->worker[board].node;
    for (int32_t i = 0; i < p->n; i++) sharing += p->worker[i].node == node;
    int n = threads ? threads / p->n : cpus_of(node) / sharing;
    return n ? n : 1;
}

static fa_status run_open(fa_backend *b, placed_call *c) {
    (void)b;
    return fa_backend_open(c->opened, c->options, &c->error);
}

static fa_status open_board(fa_placed *p, const fa_backend_options *options, int32_t i, fa_error *e) {
    const fa_placement_board *b = &p->placement.board[i];
    placed_worker *w = &p->worker[i];
    fa_backend_options own = *options;
    own.placement = NULL;
    own.node = w->node;
    own.threads = threads_of(p, options->threads, i);
    if (b->backend[0]) own.name = b->backend;
    fa_backend *opened = NULL;
    fa_status s = placed_do(w, &(placed_call){.run = run_open, .options = &own, .opened = &opened}, e);
    if (s) return fa_error_prefix(e, s, "%s: boards[%d]", options->placement, i);
    w->backend = opened;
    s = fa_memory_alloc(&p->piece_memory[i], PLACED_PIECE, w->node, e);
    p->piece[i] = p->piece_memory[i].data;
    return s;
}

static fa_status number_layers(fa_placed *p, fa_error *e) {
    int32_t n[PLACED_BOARDS] = {0};
    p->local_layer = calloc((size_t)p->placement.layers + 1, sizeof *p->local_layer);
    if (!p->local_layer) return fa_fail(e, FA_ENOMEM, "placement: memory ran out");
    for (int32_t i = 0; i < p->placement.layers; i++) p->local_layer[i] = n[p->placement.layer[i]]++;
    return FA_OK;
}

static fa_status open_boards(fa_placed *p, const fa_backend_options *options, fa_error *e) {
    fa_status s = number_layers(p, e);
    for (int32_t i = 0; i < p->placement.n_boards && !s; i++) {
        int node;
        s = node_of(&p->placement.board[i], options->placement, i, &node, e);
        if (!s) s = placed_worker_open(&p->worker[i], node, e);
        if (!s) p->n = i + 1;
    }
    for (int32_t i = 0; i < p->n && !s; i++) s = open_board(p, options, i, e);
    return s;
}

fa_status fa_placed_open(fa_backend **out, const fa_backend_options *options, fa_error *e) {
    *out = NULL;
    if (options->timeline) return fa_fail(e, FA_EUNSUPPORTED, "timeline: none is kept of several boards");
    fa_placed *p = calloc(1, sizeof *p);
    if (!p) return fa_fail(e, FA_ENOMEM, "placement: memory ran out");
    p->base = entries;
    fa_status s = fa_board_placement_read(&p->placement, options->placement, e);
    if (!s) s = open_boards(p, options, e);
    if (s) {
        close_placed(&p->base);
        return s;
    }
    p->base.name = p->worker[0].backend->name;
    snprintf(p->base.detail, sizeof p->base.detail, "%d board%s, the first: %.100s", p->n, p->n == 1 ? "" : "s",
             p->worker[0].backend->detail);
    *out = &p->base;
    return FA_OK;
}

const fa_board_placement *fa_placed_placement(const fa_backend *b) {
    return b->close == close_placed ? &((const fa_placed *)b)->placement : NULL;
}

fa_backend *fa_placed_board(const fa_backend *b, int32_t i) {
    return ((const fa_placed *)b)->worker[i].backend;
}
