#include "host/cache/cache.h"

#include <stdlib.h>
#include <string.h>

#include "host/base/arena.h"
#include "host/cache/pages.h"

struct fa_sequence {
    fa_cache *cache;
    fa_sequence *next_free;
    uint64_t owner;
    int32_t length;  /* positions stored */
    int32_t n_pages; /* held; those past length / 64 are private */
    int32_t *tokens; /* [max_positions] */
    int32_t *pages;  /* [ceil(max_positions / 64)] */
};

struct fa_cache {
    fa_backend *backend;
    fa_buffer *pool;
    fa_kv_layout layout;
    fa_arena arena;
    fa_pages pages;
    int32_t max_positions;
    int64_t reused;
    fa_sequence *free_sequences;
};

static int32_t pages_for(int64_t positions) {
    return (int32_t)((positions + FA_PAGE_POSITIONS - 1) / FA_PAGE_POSITIONS);
}

static bool open_sequences(fa_cache *c, int32_t n) {
    fa_sequence *s = fa_arena_array(&c->arena, (size_t)n, sizeof *s);
    if (!s) return false;
    for (int32_t i = n; i-- > 0;) {
        s[i].cache = c;
        s[i].tokens = fa_arena_array(&c->arena, (size_t)c->max_positions, sizeof *s[i].tokens);
        s[i].pages = fa_arena_array(&c->arena, (size_t)pages_for(c->max_positions), sizeof *s[i].pages);
        if (!s[i].tokens || !s[i].pages) return false;
        s[i].next_free = c->free_sequences;
        c->free_sequences = &s[i];
    }
    return true;
}

fa_status fa_cache_open(fa_cache **out, fa_backend *backend, const fa_kv_layout *layout, int32_t pages,
                        int32_t max_sequences, int32_t max_positions, fa_error *e) {
    *out = NULL;
    size_t bytes;
    if (pages < 1 || max_sequences < 1 || max_positions < 1 || layout->page_bytes < 1)
        return fa_fail(e, FA_EINVAL,
                       "cache: %d pages, %d sequences, %d positions, %lld bytes a page: all must be positive", pages,
                       max_sequences, max_positions, (long long)layout->page_bytes);
    if (__builtin_mul_overflow((size_t)layout->page_bytes, (size_t)pages, &bytes))
        return fa_fail(e, FA_ENOMEM, "cache: %d pages of %lld bytes overflow", pages, (long long)layout->page_bytes);
    fa_cache *c = calloc(1, sizeof *c);
    if (!c) return fa_fail(e, FA_ENOMEM, "cache: out of memory");
    c->backend = backend;
    c->layout = *layout;
    c->max_positions = max_positions;
    fa_status st = backend->alloc(backend, bytes, &c->pool, e);
    if (!st && (!fa_pages_open(&c->pages, &c->arena, pages) || !open_sequences(c, max_sequences)))
        st = fa_fail(e, FA_ENOMEM, "cache: out of memory for the tables of %d pages and %d sequences", pages,
                     max_sequences);
    if (st) {
        fa_cache_close(c);
        return st;
    }
    *out = c;
    return FA_OK;
}

void fa_cache_close(fa_cache *c) {
    if (!c) return;
    if (c->pool) c->backend->free(c->backend, c->pool);
    fa_arena_free(&c->arena);
    free(c);
}

fa_buffer *fa_cache_pool(const fa_cache *c) {
    return c->pool;
}

const fa_kv_layout *fa_cache_layout(const fa_cache *c) {
    return &c->layout;
}

fa_cache_usage fa_cache_get_usage(const fa_cache *c) {
    const fa_pages *p = &c->pages;
    return (fa_cache_usage){.pages = p->n,
                            .held = p->n - p->n_free - p->n_kept,
                            .kept = p->n_kept,
                            .free_pages = p->n_free,
                            .bytes = p->n * c->layout.page_bytes,
                            .table_bytes = (int64_t)c->arena.used_bytes,
                            .reused = c->reused};
}

fa_status fa_sequence_open(fa_cache *c, uint64_t owner, fa_sequence **out, fa_error *e) {
    fa_sequence *s = c->free_sequences;
    *out = s;
    if (!s) return fa_fail(e, FA_ELIMIT, "cache: all sequences are open");
    c->free_sequences = s->next_free;
    s->owner = owner;
    return FA_OK;
}

/* Deepest first: see pages.h. */
static void release_from(fa_sequence *s, int32_t first) {
    while (s->n_pages > first) fa_pages_release(&s->cache->pages, s->pages[--s->n_pages]);
}

void fa_sequence_close(fa_sequence *s) {
    if (!s) return;
    release_from(s, 0);
    s->length = 0;
    s->next_free = s->cache->free_sequences;
    s->cache->free_sequences = s;
}

static int32_t parent_of(const fa_sequence *s, int32_t page) {
    return page ? s->pages[page - 1] : FA_NO_PAGE;
}

/* Holds the owner's published pages that continue a sequence of exactly `n_pages` full pages with `tokens`,
 * at most `limit` pages in all, overwriting what stood in s->pages. */
static void hold_published(fa_sequence *s, const int32_t *tokens, int32_t limit) {
    fa_pages *p = &s->cache->pages;
    while (s->n_pages < limit) {
        const int32_t *want = tokens + (int64_t)s->n_pages * FA_PAGE_POSITIONS;
        int32_t found = fa_pages_find(p, s->owner, parent_of(s, s->n_pages), want);
        if (found == FA_NO_PAGE) break;
        fa_pages_hold(p, found);
        s->pages[s->n_pages++] = found;
    }
}

int32_t fa_sequence_reuse(fa_sequence *s, const int32_t *tokens, int32_t n) {
    if (n > s->cache->max_positions) n = s->cache->max_positions;
    int32_t most = n > 0 ? n - 1 : 0, same = 0, had = s->length;
    while (same < had && same < most && s->tokens[same] == tokens[same]) same++;
    int32_t full = same / FA_PAGE_POSITIONS, limit = most / FA_PAGE_POSITIONS;
    bool further = full < limit && fa_pages_find(&s->cache->pages, s->owner, parent_of(s, full),
                                                 tokens + (int64_t)full * FA_PAGE_POSITIONS) != FA_NO_PAGE;
    same = fa_sequence_truncate(s, further ? full * FA_PAGE_POSITIONS : same);
    if (further) {
        hold_published(s, tokens, limit);
        s->length = s->n_pages * FA_PAGE_POSITIONS;
        memcpy(s->tokens + same, tokens + same, (size_t)(s->length - same) * sizeof *tokens);
    }
    s->cache->reused += s->length;
    return s->length;
}

fa_status fa_sequence_extend(fa_sequence *s, int32_t n, fa_error *e) {
    fa_pages *p = &s->cache->pages;
    int64_t want = (int64_t)s->length + n;
    if (n < 0) return fa_fail(e, FA_EINVAL, "cache: room for %d positions", n);
    if (want > s->cache->max_positions)
        return fa_fail(e, FA_ELIMIT, "cache: %lld positions are more than a sequence may have (%d)", (long long)want,
                       s->cache->max_positions);
    int32_t more = pages_for(want) - s->n_pages;
    if (more > p->n_free + p->n_kept)
        return fa_fail(e, FA_ELIMIT,
                       "cache: %d more pages of %d positions are needed, but %d of %d are in use by sequences", more,
                       FA_PAGE_POSITIONS, p->n - p->n_free - p->n_kept, p->n);
    for (; more > 0; more--) s->pages[s->n_pages++] = fa_pages_take(p);
    return FA_OK;
}

void fa_sequence_append(fa_sequence *s, const int32_t *tokens, int32_t n) {
    memcpy(s->tokens + s->length, tokens, (size_t)n * sizeof *tokens);
    int32_t first = s->length / FA_PAGE_POSITIONS;
    s->length += n;
    for (int32_t i = first; i < s->length / FA_PAGE_POSITIONS; i++)
        s->pages[i] = fa_pages_publish(&s->cache->pages, s->pages[i], s->owner, parent_of(s, i),
                                       s->tokens + (int64_t)i * FA_PAGE_POSITIONS);
}

int32_t fa_sequence_truncate(fa_sequence *s, int32_t length) {
    if (length < 0) length = 0;
    if (length < s->length) {
        int32_t inside = length / FA_PAGE_POSITIONS; /* the page that position `length` lies in */
        if (s->cache->pages.page[s->pages[inside]].published) length = inside * FA_PAGE_POSITIONS;
        s->length = length;
    }
    release_from(s, pages_for(s->length));
    return s->length;
}

void fa_cache_forget(fa_cache *c) {
    fa_pages_forget(&c->pages);
}

uint64_t fa_sequence_owner(const fa_sequence *s) {
    return s->owner;
}

int32_t fa_sequence_length(const fa_sequence *s) {
    return s->length;
}

const int32_t *fa_sequence_tokens(const fa_sequence *s) {
    return s->tokens;
}

const int32_t *fa_sequence_pages(const fa_sequence *s) {
    return s->pages;
}
