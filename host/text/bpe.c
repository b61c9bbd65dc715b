#include "host/text/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "host/text/unicode.h"

enum { NONE = -1, SHORT = 32 };
static const uint32_t NO_MERGE = UINT32_MAX;

typedef struct symbol {
    int32_t id;            /* NONE: text that is no token (by_score only) */
    uint32_t begin, bytes; /* of the piece; bytes is 0 once merged into its left neighbour */
    int32_t previous, next;
} symbol;

/* A merge to be done: of the symbol at `key`'s low half with its neighbour, while they have `bytes` together. */
typedef struct candidate {
    uint64_t key; /* rank, then position: the smallest is next */
    int32_t id;
    uint32_t bytes;
} candidate;

struct fa_bpe_scratch {
    symbol *symbols;
    size_t n, capacity;
    candidate *heap; /* a binary heap, smallest key at 0 */
    size_t heap_n, heap_capacity;
};

fa_status fa_bpe_scratch_open(fa_bpe_scratch **out) {
    *out = calloc(1, sizeof **out);
    return *out ? FA_OK : FA_ENOMEM;
}

void fa_bpe_scratch_close(fa_bpe_scratch *s) {
    if (!s) return;
    free(s->symbols);
    free(s->heap);
    free(s);
}

/* Room for `need` elements of `size` bytes in *data, growing by doubling. */
static fa_status reserve(void **data, size_t *capacity, size_t need, size_t size) {
    if (need <= *capacity) return FA_OK;
    size_t more = need * 2 + 64;
    void *p = more > SIZE_MAX / size ? NULL : realloc(*data, more * size);
    if (!p) return FA_ENOMEM;
    *data = p;
    *capacity = more;
    return FA_OK;
}

static void add_symbol(fa_bpe_scratch *s, int32_t id, size_t begin, size_t bytes) {
    s->symbols[s->n++] = (symbol){.id = id, .begin = (uint32_t)begin, .bytes = (uint32_t)bytes};
}

static void start_from_bytes(const fa_bpe *m, fa_bpe_scratch *s, const char *piece, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int32_t id = m->byte_ids[(unsigned char)piece[i]];
        if (id != NONE) add_symbol(s, id, i, 1);
    }
}

/* The tokens of a character's bytes; false when one of them has none. */
static bool add_bytes(const fa_bpe *m, fa_bpe_scratch *s, const char *piece, size_t begin, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (m->byte_ids[(unsigned char)piece[begin + i]] == NONE) return false;
    for (size_t i = 0; i < bytes; i++) add_symbol(s, m->byte_ids[(unsigned char)piece[begin + i]], begin + i, 1);
    return true;
}

/* Unknown characters wait in `unknown` until a known one comes, so that a row of them can become one token; bytes'
 * tokens do not end the row (Hugging Face's order, kept because its ids are the reference). */
static void start_from_characters(const fa_bpe *m, fa_bpe_scratch *s, const char *piece, size_t n) {
    symbol unknown = {.id = m->unknown};
    for (size_t i = 0; i < n;) {
        uint32_t c;
        size_t bytes = (size_t)fa_utf8_read(piece + i, n - i, &c);
        int32_t id = fa_text_map_find(&m->texts, piece + i, bytes);
        if (id != NONE) {
            if (unknown.bytes) s->symbols[s->n++] = unknown;
            unknown.bytes = 0;
            add_symbol(s, id, i, bytes);
        } else if (m->by_score) {
            add_symbol(s, NONE, i, bytes);
        } else if (!(m->byte_fallback && add_bytes(m, s, piece, i, bytes)) && m->unknown != NONE) {
            if (unknown.bytes && !m->fuse_unknown) {
                s->symbols[s->n++] = unknown;
                unknown.bytes = 0;
            }
            unknown.bytes += (uint32_t)bytes;
        }
        i += bytes;
    }
    if (unknown.bytes) s->symbols[s->n++] = unknown;
}

/* Rank of merging two neighbours and what they become; NO_MERGE. */
static inline uint32_t merge_rank(const fa_bpe *m, const char *piece, const symbol *l, const symbol *r, int32_t *id) {
    if (!m->by_score) {
        const fa_pair_slot *p = fa_pair_map_find(&m->merges, l->id, r->id);
        if (!p) return NO_MERGE;
        *id = p->id;
        return p->rank;
    }
    size_t bytes = (size_t)l->bytes + r->bytes;
    if (bytes > m->longest_bytes) return NO_MERGE;
    *id = fa_text_map_find(&m->texts, piece + l->begin, bytes);
    return *id == NONE ? NO_MERGE : m->ranks[*id];
}

/* Few symbols: look for the best pair again after each merge. */
static void merge_short(const fa_bpe *m, fa_bpe_scratch *s, const char *piece) {
    symbol *y = s->symbols;
    uint32_t rank[SHORT]; /* of the pair (i, i + 1) */
    int32_t id[SHORT];
    for (size_t i = 0; i + 1 < s->n; i++) rank[i] = merge_rank(m, piece, &y[i], &y[i + 1], &id[i]);
    while (s->n > 1) {
        size_t best = 0, pairs = s->n - 1;
        for (size_t i = 1; i < pairs; i++)
            if (rank[i] < rank[best]) best = i;
        if (rank[best] == NO_MERGE) break;
        y[best].id = id[best];
        y[best].bytes += y[best + 1].bytes;
        size_t behind = pairs - best - 1; /* symbols behind the right one */
        memmove(y + best + 1, y + best + 2, behind * sizeof *y);
        memmove(rank + best, rank + best + 1, behind * sizeof *rank);
        memmove(id + best, id + best + 1, behind * sizeof *id);
        s->n--;
        if (best > 0) rank[best - 1] = merge_rank(m, piece, &y[best - 1], &y[best], &id[best - 1]);
        if (best + 1 < s->n) rank[best] = merge_rank(m, piece, &y[best], &y[best + 1], &id[best]);
    }
}

static void sift_down(candidate *h, size_t n, size_t i) {
    candidate c = h[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && h[child + 1].key < h[child].key) child++;
        if (c.key <= h[child].key) break;
        h[i] = h[child];
    }
    h[i] = c;
}

/* The pair that starts at symbol i, if it can merge, at the end of the heap array. */
static bool append_candidate(const fa_bpe *m, fa_bpe_scratch *s, const char *piece, int32_t i) {
    const symbol *l = &s->symbols[i];
    if (i == NONE || l->next == NONE) return false;
    const symbol *r = &s->symbols[l->next];
    int32_t id;
    uint32_t rank = merge_rank(m, piece, l, r, &id);
    if (rank == NO_MERGE) return false;
    s->heap[s->heap_n++] = (candidate){(uint64_t)rank << 32 | (uint32_t)i, id, l->bytes + r->bytes};
    return true;
}

static void push(const fa_bpe *m, fa_bpe_scratch *s, const char *piece, int32_t at) {
    if (at == NONE || !append_candidate(m, s, piece, at)) return;
    size_t i = s->heap_n - 1;
    candidate c = s->heap[i];
    for (; i > 0 && c.key < s->heap[(i - 1) / 2].key; i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = c;
}

static candidate pop(fa_bpe_scratch *s) {
    candidate c = s->heap[0];
    s->heap[0] = s->heap[--s->heap_n];
    if (s->heap_n) sift_down(s->heap, s->heap_n, 0);
    return c;
}

/* Joins the symbol that `c` names with the next one, unless one of them has changed since: symbols only grow, so an
 * old candidate shows by its number of bytes. */
static void apply(const fa_bpe *m, fa_bpe_scratch *s, const char *piece, const candidate *c) {
    symbol *y = s->symbols, *l = &y[(uint32_t)c->key];
    if (!l->bytes || l->next == NONE || l->bytes + y[l->next].bytes != c->bytes) return;
    symbol *r = &y[l->next];
    l->id = c->id;
    l->bytes = c->bytes;
    l->next = r->next;
    r->bytes = 0;
    int32_t at = (int32_t)(l - y);
    if (l->next != NONE) y[l->next].previous = at;
    push(m, s, piece, l->previous);
    push(m, s, piece, at);
}

/* Many symbols: a heap of candidates. Each merge adds at most two, so 3 n of them are ever made. */
static fa_status merge_long(const fa_bpe *m, fa_bpe_scratch *s, const char *piece) {
    fa_status status = reserve((void **)&s->heap, &s->heap_capacity, 3 * s->n, sizeof *s->heap);
    if (status) return status;
    for (size_t i = 0; i < s->n; i++) {
        s->symbols[i].previous = (int32_t)i - 1;
        s->symbols[i].next = i + 1 < s->n ? (int32_t)i + 1 : NONE;
    }
    s->heap_n = 0;
    for (size_t i = 0; i < s->n; i++) append_candidate(m, s, piece, (int32_t)i);
    for (size_t i = s->heap_n / 2; i-- > 0;) sift_down(s->heap, s->heap_n, i);
    while (s->heap_n) {
        candidate c = pop(s);
        apply(m, s, piece, &c);
    }
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->symbols[i].bytes) s->symbols[kept++] = s->symbols[i];
    s->n = kept;
    return FA_OK;
}

/* by_score: text that became no token is given as its bytes' tokens, else as unknown. */
static fa_status emit_unmerged(const fa_bpe *m, const symbol *y, const char *piece, fa_ids *out) {
    fa_status s = FA_OK;
    for (size_t i = 0; i < y->bytes && !s; i++) {
        int32_t id = m->byte_ids[(unsigned char)piece[y->begin + i]];
        if (id == NONE) id = m->unknown;
        if (id != NONE) s = fa_ids_push(out, id);
    }
    return s;
}

fa_status fa_bpe_encode(const fa_bpe *m, fa_bpe_scratch *s, const char *piece, size_t n, fa_ids *out) {
    if (m->ignore_merges) {
        int32_t whole = fa_text_map_find(&m->texts, piece, n);
        if (whole != NONE) return fa_ids_push(out, whole);
    }
    fa_status status = reserve((void **)&s->symbols, &s->capacity, n, sizeof *s->symbols);
    if (status) return status;
    s->n = 0;
    if (m->bytes)
        start_from_bytes(m, s, piece, n);
    else
        start_from_characters(m, s, piece, n);
    if (s->n <= SHORT)
        merge_short(m, s, piece);
    else
        status = merge_long(m, s, piece);
    for (size_t i = 0; i < s->n && !status; i++) {
        const symbol *y = &s->symbols[i];
        status = y->id == NONE ? emit_unmerged(m, y, piece, out) : fa_ids_push(out, y->id);
    }
    return status;
}
