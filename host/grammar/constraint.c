#include "host/grammar/constraint.h"

#include <stdlib.h>
#include <string.h>

#include "host/grammar/answer.h"
#include "host/grammar/automaton.h"

enum { MASKS = 24 }; /* kept for states that come again, as inside texts */

struct fa_constraint {
    fa_grammar grammar;
    fa_automaton automaton;
    const fa_vocabulary *vocabulary;
    int32_t state;
    bool ended;    /* by a token of `ends` */
    int32_t *ends; /* [n_ends] */
    int32_t n_ends;
    int32_t *path;     /* [vocabulary->depth + 1] states along a walk */
    uint32_t *masks;   /* [MASKS, words] */
    int32_t of[MASKS]; /* the state of each; -1: free */
    int next_mask;     /* to be replaced */
};

bool fa_constraint_wanted(const fa_constraint_spec *s) {
    return s->json_schema || s->tools || s->tool || s->tool_required || s->prefix;
}

static void forget(fa_constraint *c) {
    c->state = fa_automaton_forget(&c->automaton, c->state);
    for (int i = 0; i < MASKS; i++) c->of[i] = -1;
}

fa_status fa_constraint_open(fa_constraint **out, const fa_constraint_spec *s, const fa_vocabulary *v, bool has_tools,
                             const int32_t *ends, int32_t n_ends, fa_error *e) {
    fa_constraint *c = *out = calloc(1, sizeof *c);
    if (!c) return fa_fail(e, FA_ENOMEM, "grammar: out of memory");
    c->vocabulary = v;
    fa_grammar_open(&c->grammar);
    fa_status status = fa_answer_grammar(&c->grammar, s, v, has_tools, e);
    if (!status) status = fa_automaton_open(&c->automaton, &c->grammar, &c->state, e);
    if (!status) {
        c->ends = malloc(((size_t)n_ends + 1) * sizeof *c->ends);
        c->path = malloc(((size_t)v->depth + 1) * sizeof *c->path);
        c->masks = malloc(MASKS * fa_vocabulary_words(v) * sizeof *c->masks);
        if (!c->ends || !c->path || !c->masks) status = fa_fail(e, FA_ENOMEM, "grammar: out of memory");
    }
    if (status) {
        fa_constraint_close(c);
        *out = NULL;
        return status;
    }
    if (n_ends) memcpy(c->ends, ends, (size_t)n_ends * sizeof *ends);
    c->n_ends = n_ends;
    for (int i = 0; i < MASKS; i++) c->of[i] = -1;
    return FA_OK;
}

void fa_constraint_close(fa_constraint *c) {
    if (!c) return;
    fa_automaton_close(&c->automaton);
    fa_grammar_free(&c->grammar);
    free(c->ends);
    free(c->path);
    free(c->masks);
    free(c);
}

/* --- the mask --------------------------------------------------------------------------------------------------------- */

static void set(uint32_t *mask, const fa_vocabulary *v, int32_t id, bool on) {
    if (id < 0 || id >= v->size) return;
    uint32_t bit = (uint32_t)1 << (id & 31);
    mask[id >> 5] = on ? mask[id >> 5] | bit : mask[id >> 5] & ~bit;
}

/* All tokens of bytes: a walk over the trie that turns back where no alternative goes on. False when memory was used up. */
static bool walk(fa_constraint *c, uint32_t *mask) {
    const fa_vocabulary *v = c->vocabulary;
    const uint8_t *class_of = c->grammar.class_of;
    c->path[0] = c->state;
    for (uint32_t i = 0; i < v->n_nodes;) {
        const fa_trie_node *n = &v->nodes[i];
        int32_t state = fa_automaton_next(&c->automaton, c->path[n->depth - 1], class_of[n->byte]);
        if (state == FA_STATE_FULL) return false;
        if (state == FA_STATE_DEAD) {
            i = n->end;
            continue;
        }
        c->path[n->depth] = state;
        for (uint32_t k = n->tokens; k < n[1].tokens; k++) mask[v->ids[k] >> 5] |= (uint32_t)1 << (v->ids[k] & 31);
        i++;
    }
    return true;
}

/* Tokens that stand for themselves. */
static bool add_markers(fa_constraint *c, uint32_t *mask) {
    const fa_vocabulary *v = c->vocabulary;
    const fa_grammar *g = &c->grammar;
    int32_t others = fa_automaton_next(&c->automaton, c->state, g->n_classes + g->n_markers);
    if (others == FA_STATE_FULL) return false;
    for (int32_t i = 0; i < v->n_added && others != FA_STATE_DEAD; i++) set(mask, v, v->added[i], true);
    for (int32_t i = 0; i < g->n_markers; i++) {
        int32_t state = fa_automaton_next(&c->automaton, c->state, g->n_classes + i);
        if (state == FA_STATE_FULL) return false;
        set(mask, v, g->markers[i], state != FA_STATE_DEAD);
    }
    for (int32_t i = 0; i < c->n_ends; i++) set(mask, v, c->ends[i], c->automaton.states[c->state].accepts);
    return true;
}

fa_status fa_constraint_mask(fa_constraint *c, const uint32_t **mask, fa_error *e) {
    size_t words = fa_vocabulary_words(c->vocabulary);
    for (int tries = 0; tries < 2; tries++) {
        for (int i = 0; i < MASKS; i++) {
            *mask = c->masks + (size_t)i * words;
            if (c->of[i] == c->state) return FA_OK;
        }
        uint32_t *m = c->masks + (size_t)c->next_mask * words;
        memset(m, 0, words * sizeof *m);
        c->of[c->next_mask] = -1;
        if (walk(c, m) && add_markers(c, m)) {
            c->of[c->next_mask] = c->state;
            c->next_mask = (c->next_mask + 1) % MASKS;
            *mask = m;
            return FA_OK;
        }
        forget(c);
    }
    return fa_fail(e, FA_ELIMIT, "the schema leaves too many ways open at once");
}

/* --- the token that was chosen ------------------------------------------------------------------------------------------ */

/* The state behind a symbol. */
static fa_status step(fa_constraint *c, int32_t symbol, fa_error *e) {
    for (int tries = 0; tries < 2; tries++) {
        int32_t next = fa_automaton_next(&c->automaton, c->state, symbol);
        if (next == FA_STATE_DEAD) return fa_fail(e, FA_EINVAL, "the token does not fit the constraint");
        if (next != FA_STATE_FULL) {
            c->state = next;
            return FA_OK;
        }
        forget(c);
    }
    return fa_fail(e, FA_ELIMIT, "the schema leaves too many ways open at once");
}

fa_status fa_constraint_take(fa_constraint *c, int32_t id, fa_error *e) {
    const fa_grammar *g = &c->grammar;
    const fa_tokenizer *t = c->vocabulary->tokenizer;
    for (int32_t i = 0; i < c->n_ends; i++) {
        if (c->ends[i] != id) continue;
        c->ended = fa_constraint_complete(c);
        return c->ended ? FA_OK : fa_fail(e, FA_EINVAL, "the answer ends before it is complete");
    }
    for (int32_t i = 0; i < g->n_markers; i++)
        if (g->markers[i] == id) return step(c, g->n_classes + i, e);
    if (fa_tokenizer_is_added(t, id) || fa_tokenizer_is_special(t, id)) return step(c, g->n_classes + g->n_markers, e);
    size_t n = 0;
    const char *text = fa_tokenizer_piece(t, id, &n);
    fa_status s = text && n ? FA_OK : fa_fail(e, FA_EINVAL, "the token does not fit the constraint");
    for (size_t i = 0; i < n && !s; i++) s = step(c, g->class_of[(uint8_t)text[i]], e);
    return s;
}

bool fa_constraint_complete(const fa_constraint *c) {
    return c->ended || c->automaton.states[c->state].accepts;
}

bool fa_constraint_done(const fa_constraint *c) {
    return c->ended || (c->automaton.states[c->state].accepts && c->automaton.states[c->state].n == 0);
}
