/* Building grammars, from the end to the beginning. */
#include "host/grammar/grammar.h"

#include <stdlib.h>
#include <string.h>

void fa_grammar_open(fa_grammar *g) {
    *g = (fa_grammar){.left = -1};
}

void fa_grammar_free(fa_grammar *g) {
    free(g->nodes);
    free(g->sets);
    free(g->rules);
    free(g->of_range);
    fa_grammar_open(g);
}

/* Room for one more; false after a failure. */
static bool grow(fa_grammar *g, void **data, int32_t n, int32_t *room, size_t size) {
    if (g->status) return false;
    if (n < *room) return true;
    if (n >= FA_GRAMMAR_NODES) {
        g->status = FA_ELIMIT;
        return false;
    }
    int32_t more = *room ? *room * 2 : 64;
    void *bigger = realloc(*data, (size_t)more * size);
    if (!bigger) {
        g->status = FA_ENOMEM;
        return false;
    }
    *data = bigger;
    *room = more;
    return true;
}

int32_t fa_grammar_rule(fa_grammar *g) {
    if (!grow(g, (void **)&g->rules, g->n_rules, &g->rule_room, sizeof *g->rules)) return 0;
    g->rules[g->n_rules] = (fa_rule){.start = FA_NO_NODE};
    return g->n_rules++;
}

static int32_t node(fa_grammar *g, fa_node_kind kind, int32_t a, int32_t b) {
    if (!grow(g, (void **)&g->nodes, g->n_nodes, &g->node_room, sizeof *g->nodes)) return FA_NO_NODE;
    g->nodes[g->n_nodes] = (fa_node){kind, a, b, FA_GRAMMAR_NEVER};
    return g->n_nodes++;
}

int32_t fa_node_end(fa_grammar *g) {
    return node(g, FA_NODE_END, 0, 0);
}

int32_t fa_node_set(fa_grammar *g, fa_byte_set set, int32_t next) {
    if (next == FA_NO_NODE || !grow(g, (void **)&g->sets, g->n_sets, &g->set_room, sizeof *g->sets)) return FA_NO_NODE;
    g->sets[g->n_sets] = set;
    return node(g, FA_NODE_BYTE, g->n_sets++, next);
}

int32_t fa_node_range(fa_grammar *g, uint8_t first, uint8_t last, int32_t next) {
    if (!g->of_range && !g->status && !(g->of_range = calloc(256 * 256, sizeof *g->of_range))) g->status = FA_ENOMEM;
    if (next == FA_NO_NODE || g->status) return FA_NO_NODE;
    int32_t *known = &g->of_range[first * 256 + last];
    if (*known) return node(g, FA_NODE_BYTE, *known - 1, next);
    int32_t made = fa_node_set(g, fa_set_range((fa_byte_set){{0}}, first, last), next);
    if (made != FA_NO_NODE) *known = g->n_sets;
    return made;
}

int32_t fa_node_text(fa_grammar *g, const char *text, size_t n, int32_t next) {
    while (n-- && !g->status) next = fa_node_range(g, (uint8_t)text[n], (uint8_t)text[n], next);
    return next;
}

int32_t fa_node_either(fa_grammar *g, int32_t one, int32_t other) {
    if (one == FA_NO_NODE || other == FA_NO_NODE) return one == FA_NO_NODE ? other : one;
    return node(g, FA_NODE_SPLIT, one, other);
}

int32_t fa_node_call(fa_grammar *g, int32_t rule, int32_t next) {
    return next == FA_NO_NODE ? next : node(g, FA_NODE_CALL, rule, next);
}

int32_t fa_node_marker(fa_grammar *g, int32_t id, int32_t next) {
    if (next == FA_NO_NODE || id < 0) return next == FA_NO_NODE ? next : node(g, FA_NODE_MARKER, -1, next);
    int32_t i = 0;
    while (i < g->n_markers && g->markers[i] != id) i++;
    if (i == FA_GRAMMAR_MARKERS) {
        g->status = FA_ELIMIT;
        return FA_NO_NODE;
    }
    if (i == g->n_markers) g->markers[g->n_markers++] = id;
    return node(g, FA_NODE_MARKER, i, next);
}

int32_t fa_node_loop(fa_grammar *g, int32_t next) {
    return next == FA_NO_NODE ? next : node(g, FA_NODE_SPLIT, next, next);
}

void fa_node_close(fa_grammar *g, int32_t loop, int32_t body) {
    if (loop != FA_NO_NODE && body != FA_NO_NODE) g->nodes[loop].a = body;
}

/* --- UTF-8 --------------------------------------------------------------------------------------------------------- */

/* The code points `first` to `last`, which take `n` bytes each and share all but the last `free` of them that vary in full:
 * the bytes from the last to the first are a range each. */
static int32_t same_length(fa_grammar *g, uint32_t first, uint32_t last, int n, int32_t next) {
    static const uint8_t lead[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    for (int i = 0; i < n; i++) {
        unsigned from = first >> (6 * i) & 63, to = last >> (6 * i) & 63;
        if (i == n - 1) {
            from = (first >> (6 * i)) | lead[n];
            to = (last >> (6 * i)) | lead[n];
        } else {
            from |= 0x80;
            to |= 0x80;
        }
        next = fa_node_range(g, (uint8_t)from, (uint8_t)to, next);
    }
    return next;
}

/* Cuts the range where fewer leading bits are shared than the bytes need: at most seven parts a length. */
static int32_t one_length(fa_grammar *g, uint32_t first, uint32_t last, int n, int32_t next) {
    for (int i = n - 1; i > 0; i--) {
        uint32_t low = (1u << (6 * i)) - 1;
        if ((first & ~low) == (last & ~low)) continue;
        if (first & low)
            return fa_node_either(g, one_length(g, first, first | low, n, next),
                                  one_length(g, (first | low) + 1, last, n, next));
        if ((last & low) != low)
            return fa_node_either(g, one_length(g, first, (last & ~low) - 1, n, next),
                                  one_length(g, last & ~low, last, n, next));
    }
    return same_length(g, first, last, n, next);
}

int32_t fa_node_code_points(fa_grammar *g, uint32_t first, uint32_t last, int32_t next) {
    static const struct {
        uint32_t first, last;
        int bytes;
    } part[] = {{0, 0x7f, 1}, {0x80, 0x7ff, 2}, {0x800, 0xd7ff, 3}, {0xe000, 0xffff, 3}, {0x10000, 0x10ffff, 4}};
    int32_t all = FA_NO_NODE;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        uint32_t from = first > part[i].first ? first : part[i].first, to = last < part[i].last ? last : part[i].last;
        if (from <= to) all = fa_node_either(g, all, one_length(g, from, to, part[i].bytes, next));
    }
    return all;
}
