/* What must be known of a grammar before it is followed: how deep each node still has to go, that no rule begins with itself, and
 * which bytes it tells apart. */
#include <stdlib.h>
#include <string.h>

#include "host/grammar/grammar.h"

static int32_t larger(int32_t a, int32_t b) {
    return a > b ? a : b;
}

static int32_t need_of(const fa_grammar *g, const fa_node *n) {
    static const fa_byte_set none;
    switch ((fa_node_kind)n->kind) {
    case FA_NODE_END: return 0;
    case FA_NODE_BYTE: return memcmp(&g->sets[n->a], &none, sizeof none) ? g->nodes[n->b].need : FA_GRAMMAR_NEVER;
    case FA_NODE_MARKER: return g->nodes[n->b].need;
    case FA_NODE_SPLIT: {
        int32_t a = g->nodes[n->a].need, b = g->nodes[n->b].need;
        return a < b ? a : b;
    }
    case FA_NODE_CALL: return larger(g->rules[n->a].need + 1, g->nodes[n->b].need);
    }
    return FA_GRAMMAR_NEVER;
}

/* Least fixed point from above. Nodes were made from the end on, so that one pass settles a rule but for what it calls, and what
 * lies deeper than FA_GRAMMAR_DEPTH calls is out of reach anyway. */
static void find_needs(fa_grammar *g) {
    bool changed = true;
    for (int32_t i = 0; i < g->n_rules; i++) g->rules[i].need = FA_GRAMMAR_NEVER;
    for (int pass = 0; changed && pass <= 2 * FA_GRAMMAR_DEPTH; pass++) {
        changed = false;
        for (int32_t i = 0; i < g->n_nodes; i++) {
            int32_t need = need_of(g, &g->nodes[i]);
            if (need >= g->nodes[i].need) continue;
            g->nodes[i].need = need;
            changed = true;
        }
        for (int32_t i = 0; i < g->n_rules; i++)
            if (g->rules[i].start != FA_NO_NODE) g->rules[i].need = g->nodes[g->rules[i].start].need;
    }
}

/* Whether the rule can match nothing at all. Only rules without calls that take bytes are nullable in practice, so the calls
 * among nullable rules settle in few passes. */
static bool node_nullable(const fa_grammar *g, const bool *empty, const fa_node *n) {
    switch ((fa_node_kind)n->kind) {
    case FA_NODE_END: return true;
    case FA_NODE_SPLIT: return empty[n->a] || empty[n->b];
    case FA_NODE_CALL: return g->rules[n->a].nullable && empty[n->b];
    default: return false;
    }
}

static void find_nullable(fa_grammar *g, bool *empty) {
    bool changed = true;
    while (changed) {
        changed = false;
        for (int32_t i = 0; i < g->n_nodes; i++) {
            if (empty[i] || !node_nullable(g, empty, &g->nodes[i])) continue;
            empty[i] = changed = true;
        }
        for (int32_t i = 0; i < g->n_rules; i++)
            g->rules[i].nullable = g->rules[i].start != FA_NO_NODE && empty[g->rules[i].start];
    }
}

/* Rule `from` may call `to` before it takes anything. */
typedef struct edge {
    int32_t from, to;
} edge;

typedef struct edges {
    edge *data;       /* [n_nodes] room: each call node once */
    int32_t n, *work; /* [n_nodes] nodes to visit */
    int32_t n_work;
    bool *seen;                /* [n_nodes] */
    int32_t *out, *into;       /* [n_rules + 1] edges from a rule; where its callers begin */
    int32_t *callers, *filled; /* [n_nodes], [n_rules] */
} edges;

static void visit(edges *s, int32_t node) {
    if (s->seen[node]) return;
    s->seen[node] = true;
    s->work[s->n_work++] = node;
}

static void find_edges(const fa_grammar *g, edges *s, int32_t rule) {
    if (g->rules[rule].start == FA_NO_NODE) return;
    visit(s, g->rules[rule].start);
    while (s->n_work) {
        const fa_node *n = &g->nodes[s->work[--s->n_work]];
        if (n->kind == FA_NODE_SPLIT) {
            visit(s, n->a);
            visit(s, n->b);
        } else if (n->kind == FA_NODE_CALL) {
            s->data[s->n++] = (edge){rule, n->a};
            if (g->rules[n->a].nullable) visit(s, n->b);
        }
    }
}

/* Takes away rules from which no edge leads to one that is left (Kahn 1962, backwards). From any that remains the edges lead
 * onto a circle; returns a rule on it, or -1. */
static int32_t find_circle(const fa_grammar *g, edges *s) {
    int32_t n = g->n_rules, *out = s->out, *into = s->into, *gone = s->work, n_gone = 0;
    memset(out, 0, (size_t)n * sizeof *out);
    memset(into, 0, (size_t)(n + 1) * sizeof *into);
    for (int32_t i = 0; i < s->n; i++) {
        out[s->data[i].from]++;
        into[s->data[i].to + 1]++;
    }
    for (int32_t r = 0; r < n; r++) into[r + 1] += into[r];
    for (int32_t i = s->n - 1; i >= 0; i--)
        s->callers[into[s->data[i].to + 1] - ++s->filled[s->data[i].to]] = s->data[i].from;
    for (int32_t r = 0; r < n; r++)
        if (!out[r]) gone[n_gone++] = r;
    for (int32_t i = 0; i < n_gone; i++)
        for (int32_t k = into[gone[i]]; k < into[gone[i] + 1]; k++)
            if (--out[s->callers[k]] == 0) gone[n_gone++] = s->callers[k];
    if (n_gone == n) return -1;
    for (int32_t i = 0; i < s->n; i++) /* one edge of each rule that stays inside what remains */
        if (out[s->data[i].from] && out[s->data[i].to]) s->filled[s->data[i].from] = s->data[i].to;
    int32_t at = 0;
    while (!out[at]) at++;
    for (int32_t step = 0; step < n; step++) at = s->filled[at];
    return at;
}

static bool open_edges(edges *s, size_t n) {
    *s = (edges){0};
    s->data = malloc(n * sizeof *s->data);
    s->seen = calloc(n, sizeof *s->seen);
    int32_t **part[] = {&s->work, &s->out, &s->into, &s->callers, &s->filled};
    bool all = s->data && s->seen;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        *part[i] = calloc(n, sizeof **part[i]);
        all = all && *part[i];
    }
    return all;
}

static void close_edges(edges *s) {
    free(s->data);
    free(s->seen);
    free(s->work);
    free(s->out);
    free(s->into);
    free(s->callers);
    free(s->filled);
}

static fa_status find_left_recursion(fa_grammar *g, fa_error *e) {
    size_t n = (size_t)larger(g->n_nodes, g->n_rules) + 2;
    edges s;
    bool *empty = calloc(n, 1);
    bool good = open_edges(&s, n) && empty;
    if (good) {
        find_nullable(g, empty);
        for (int32_t i = 0; i < g->n_rules; i++) find_edges(g, &s, i);
        g->left = find_circle(g, &s);
    }
    free(empty);
    close_edges(&s);
    if (!good) return fa_fail(e, FA_ENOMEM, "grammar: out of memory");
    return g->left < 0 ? FA_OK : fa_fail(e, FA_EINVAL, "refers to itself without anything in between");
}

/* Every set splits the classes that it holds in part. */
static void find_classes(fa_grammar *g) {
    g->n_classes = 1;
    for (int32_t i = 0; i < g->n_sets; i++) {
        int16_t split[256][2]; /* the new classes of an old one: bytes without and within the set */
        int n = 0;
        memset(split, -1, sizeof split);
        for (unsigned byte = 0; byte < 256; byte++) {
            int16_t *to = &split[g->class_of[byte]][fa_set_has(&g->sets[i], byte)];
            if (*to < 0) *to = (int16_t)n++;
            g->class_of[byte] = (uint8_t)*to;
        }
        g->n_classes = n;
    }
    for (unsigned byte = 0; byte < 256; byte++) g->class_byte[g->class_of[byte]] = (uint8_t)byte;
}

fa_status fa_grammar_finish(fa_grammar *g, const fa_byte_set *can, fa_error *e) {
    if (g->status == FA_ELIMIT)
        return fa_fail(e, FA_ELIMIT, "too large: more than %d nodes of an automaton", FA_GRAMMAR_NODES);
    if (g->status) return fa_fail(e, g->status, "grammar: out of memory");
    for (int32_t i = 0; i < g->n_sets; i++)
        for (int w = 0; w < 4; w++) g->sets[i].bits[w] &= can->bits[w];
    find_needs(g);
    fa_status s = find_left_recursion(g, e);
    if (s) return s;
    if (g->rules[g->root].need > FA_GRAMMAR_DEPTH)
        return fa_fail(e, FA_EINVAL,
                       "nothing fits: it nests without end or deeper than %d, or the model lacks a byte that it needs",
                       FA_GRAMMAR_DEPTH);
    find_classes(g);
    return FA_OK;
}
