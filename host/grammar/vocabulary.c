#include "host/grammar/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST = 512 }; /* bytes; longer tokens are never allowed */

typedef struct entry {
    const char *text;
    uint32_t bytes;
    int32_t id;
} entry;

static int compare(const void *a, const void *b) {
    const entry *x = a, *y = b;
    uint32_t n = x->bytes < y->bytes ? x->bytes : y->bytes;
    int order = memcmp(x->text, y->text, n);
    if (order) return order;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static uint32_t shared(const entry *a, const entry *b) {
    uint32_t n = 0;
    while (n < a->bytes && n < b->bytes && a->text[n] == b->text[n]) n++;
    return n;
}

/* Sorted entries become nodes: each adds those below what it shares with the one before. */
static void build(fa_vocabulary *v, const entry *entries, uint32_t n) {
    uint32_t open[LONGEST + 1] = {0}, depth = 0; /* nodes from the root to the last one */
    static const entry none = {"", 0, 0};
    for (uint32_t i = 0; i < n; i++) {
        const entry *x = &entries[i];
        uint32_t keep = shared(i ? x - 1 : &none, x);
        while (depth > keep) v->nodes[open[depth--]].end = v->n_nodes;
        while (depth < x->bytes) {
            open[++depth] = v->n_nodes;
            v->nodes[v->n_nodes++] = (fa_trie_node){0, i, (uint16_t)depth, (uint8_t)x->text[depth - 1]};
        }
        v->ids[i] = x->id;
        if (depth > v->depth) v->depth = (uint16_t)depth;
        if (x->bytes == 1) v->can = fa_set_range(v->can, (uint8_t)*x->text, (uint8_t)*x->text);
    }
    while (depth > 0) v->nodes[open[depth--]].end = v->n_nodes;
    v->nodes[v->n_nodes] = (fa_trie_node){.end = v->n_nodes, .tokens = n};
}

/* Ordinary tokens into `entries`, the others into v->added; returns the number of entries. */
static uint32_t gather(fa_vocabulary *v, entry *entries) {
    uint32_t n = 0;
    int32_t count = fa_tokenizer_count(v->tokenizer);
    for (int32_t id = 0; id < count && id < v->size; id++) {
        size_t bytes;
        const char *text = fa_tokenizer_piece(v->tokenizer, id, &bytes);
        if (!text) continue;
        if (fa_tokenizer_is_added(v->tokenizer, id) || fa_tokenizer_is_special(v->tokenizer, id))
            v->added[v->n_added++] = id;
        else if (bytes > 0 && bytes <= LONGEST)
            entries[n++] = (entry){text, (uint32_t)bytes, id};
    }
    return n;
}

fa_status fa_vocabulary_open(fa_vocabulary *v, const fa_tokenizer *t, int32_t size, fa_error *e) {
    *v = (fa_vocabulary){.tokenizer = t, .size = size};
    size_t room = (size_t)fa_tokenizer_count(t) + 1, nodes = 1;
    entry *entries = malloc(room * sizeof *entries);
    v->added = malloc(room * sizeof *v->added);
    v->ids = malloc(room * sizeof *v->ids);
    if (entries && v->added && v->ids) {
        uint32_t n = gather(v, entries);
        qsort(entries, n, sizeof *entries, compare);
        for (uint32_t i = 0; i < n; i++) nodes += entries[i].bytes - (i ? shared(&entries[i - 1], &entries[i]) : 0);
        v->nodes = malloc(nodes * sizeof *v->nodes);
        if (v->nodes) build(v, entries, n);
    }
    free(entries);
    if (v->nodes) return FA_OK;
    fa_vocabulary_free(v);
    return fa_fail(e, FA_ENOMEM, "vocabulary: out of memory");
}

void fa_vocabulary_free(fa_vocabulary *v) {
    free(v->nodes);
    free(v->ids);
    free(v->added);
    *v = (fa_vocabulary){0};
}
