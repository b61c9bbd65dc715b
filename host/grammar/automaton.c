#include "host/grammar/automaton.h"

#include <stdlib.h>
#include <string.h>

enum {
    FRAMES = 1 << 15,
    ALTERNATIVES = 1 << 17,
    STATES = 1 << 12,
    MOST = 1 << 12, /* alternatives of one state, with those passed on the way */
    FRAME_SLOTS = 2 * FRAMES,
    STATE_SLOTS = 2 * STATES,
    SEEN_SLOTS = 4 * MOST,
};

typedef struct fa_seen {
    int32_t node, frame;
    uint32_t stamp;
} fa_seen;

static uint32_t mix(uint32_t h, int32_t v) {
    h = (h ^ (uint32_t)v) * 0x9e3779b1u;
    return h ^ h >> 15;
}

/* --- frames -------------------------------------------------------------------------------------------------------- */

/* The frame's number; -1 when there is no room. */
static int32_t push(fa_automaton *a, int32_t node, int32_t below) {
    uint32_t at = mix(mix(1, node), below) & (FRAME_SLOTS - 1);
    for (int32_t f; (f = a->frame_slots[at]); at = (at + 1) & (FRAME_SLOTS - 1))
        if (a->frames[f].node == node && a->frames[f].below == below) return f;
    if (a->n_frames == FRAMES) return -1;
    a->frames[a->n_frames] = (fa_frame){node, below, a->frames[below].depth + 1};
    return a->frame_slots[at] = a->n_frames++;
}

/* --- a state in the making ----------------------------------------------------------------------------------------- */

typedef struct making {
    fa_automaton *a;
    fa_state state;
    int32_t n_work, n_seen;
    bool full;
} making;

static void add(making *m, int32_t node, int32_t frame) {
    fa_automaton *a = m->a;
    /* from here the end could only be reached deeper than allowed */
    if (a->frames[frame].depth + a->grammar->nodes[node].need > FA_GRAMMAR_DEPTH) return;
    uint32_t at = mix(mix(2, node), frame) & (SEEN_SLOTS - 1);
    for (; a->seen[at].stamp == a->stamp; at = (at + 1) & (SEEN_SLOTS - 1))
        if (a->seen[at].node == node && a->seen[at].frame == frame) return;
    if (m->n_seen == MOST) {
        m->full = true;
        return;
    }
    a->seen[at] = (fa_seen){node, frame, a->stamp};
    m->n_seen++;
    a->work[m->n_work++] = (fa_alternative){node, frame};
}

static void enter(making *m, const fa_node *n, int32_t frame) {
    fa_automaton *a = m->a;
    const fa_grammar *g = a->grammar;
    int32_t start = g->rules[n->a].start;
    if (start == FA_NO_NODE) return;
    if (g->nodes[n->b].kind == FA_NODE_END) { /* nothing is left to come back for */
        add(m, start, frame);
        return;
    }
    if (a->frames[frame].depth + n->need > FA_GRAMMAR_DEPTH) return;
    int32_t f = push(a, n->b, frame);
    if (f < 0)
        m->full = true;
    else
        add(m, start, f);
}

static void leave(making *m, int32_t frame) {
    if (frame)
        add(m, m->a->frames[frame].node, m->a->frames[frame].below);
    else
        m->state.accepts = true;
}

/* Follows what takes no symbol. */
static void settle(making *m) {
    fa_automaton *a = m->a;
    while (m->n_work && !m->full) {
        fa_alternative x = a->work[--m->n_work];
        const fa_node *n = &a->grammar->nodes[x.node];
        switch ((fa_node_kind)n->kind) {
        case FA_NODE_END: leave(m, x.frame); break;
        case FA_NODE_CALL: enter(m, n, x.frame); break;
        case FA_NODE_SPLIT:
            add(m, n->b, x.frame);
            add(m, n->a, x.frame);
            break;
        case FA_NODE_BYTE:
        case FA_NODE_MARKER:
            if (m->state.first + m->state.n == ALTERNATIVES)
                m->full = true;
            else
                a->alternatives[m->state.first + m->state.n++] = x;
            break;
        }
    }
}

static making begin(fa_automaton *a) {
    if (++a->stamp == 0) {
        memset(a->seen, 0, SEEN_SLOTS * sizeof *a->seen);
        a->stamp = 1;
    }
    return (making){.a = a, .state = {.first = a->n_alternatives}};
}

static bool same(const fa_automaton *a, const fa_state *x, const fa_state *y) {
    return x->n == y->n && x->accepts == y->accepts &&
           !memcmp(a->alternatives + x->first, a->alternatives + y->first, (size_t)x->n * sizeof *a->alternatives);
}

/* The number of the state that was made, an old one where it is equal. */
static int32_t keep(making *m) {
    fa_automaton *a = m->a;
    if (m->full) return FA_STATE_FULL;
    uint32_t h = mix(3, m->state.accepts);
    for (int32_t i = 0; i < m->state.n; i++) {
        const fa_alternative *x = &a->alternatives[m->state.first + i];
        h = mix(mix(h, x->node), x->frame);
    }
    h &= STATE_SLOTS - 1;
    if (m->state.n == 0 && !m->state.accepts) return FA_STATE_DEAD;
    for (int32_t s; (s = a->state_slots[h]); h = (h + 1) & (STATE_SLOTS - 1))
        if (same(a, &a->states[s], &m->state)) return s;
    if (a->n_states == STATES) return FA_STATE_FULL;
    a->n_alternatives += m->state.n;
    a->states[a->n_states] = m->state;
    int32_t *next = a->next + (int64_t)a->n_states * a->symbols;
    for (int32_t i = 0; i < a->symbols; i++) next[i] = FA_STATE_FULL;
    return a->state_slots[h] = a->n_states++;
}

static bool takes(const fa_grammar *g, const fa_node *n, int32_t symbol) {
    if (n->kind == FA_NODE_BYTE) return symbol < g->n_classes && fa_set_has(&g->sets[n->a], g->class_byte[symbol]);
    return symbol == g->n_classes + (n->a < 0 ? g->n_markers : n->a);
}

int32_t fa_automaton_make(fa_automaton *a, int32_t state, int32_t symbol) {
    const fa_grammar *g = a->grammar;
    const fa_state *from = &a->states[state];
    making m = begin(a);
    for (int32_t i = 0; i < from->n && !m.full; i++) {
        fa_alternative x = a->alternatives[from->first + i];
        const fa_node *n = &g->nodes[x.node];
        if (!takes(g, n, symbol)) continue;
        add(&m, n->b, x.frame);
        settle(&m);
    }
    int32_t next = keep(&m);
    if (next != FA_STATE_FULL) a->next[(int64_t)state * a->symbols + symbol] = next;
    return next;
}

/* --- memory -------------------------------------------------------------------------------------------------------- */

static void clear(fa_automaton *a) {
    a->n_frames = a->n_states = 1; /* the bottom, the dead state */
    a->n_alternatives = 0;
    memset(a->frame_slots, 0, FRAME_SLOTS * sizeof *a->frame_slots);
    memset(a->state_slots, 0, STATE_SLOTS * sizeof *a->state_slots);
    memset(a->next, 0, (size_t)a->symbols * sizeof *a->next);
}

int32_t fa_automaton_forget(fa_automaton *a, int32_t state) {
    fa_state old = a->states[state];
    if (state == FA_STATE_DEAD) return state;
    memset(a->renamed, 0, (size_t)a->n_frames * sizeof *a->renamed);
    for (int32_t i = 0; i < old.n; i++)
        for (int32_t f = a->alternatives[old.first + i].frame; f && !a->renamed[f]; f = a->frames[f].below)
            a->renamed[f] = 1;
    int32_t n_frames = a->n_frames;
    clear(a);
    for (int32_t f = 1; f < n_frames; f++)
        if (a->renamed[f]) a->renamed[f] = push(a, a->frames[f].node, a->renamed[a->frames[f].below]);
    making m = begin(a);
    m.state.n = old.n;
    m.state.accepts = old.accepts;
    for (int32_t i = 0; i < old.n; i++) {
        fa_alternative x = a->alternatives[old.first + i];
        a->alternatives[i] = (fa_alternative){x.node, a->renamed[x.frame]};
    }
    return keep(&m);
}

fa_status fa_automaton_open(fa_automaton *a, const fa_grammar *g, int32_t *start, fa_error *e) {
    *a = (fa_automaton){.grammar = g, .symbols = g->n_classes + g->n_markers + 1};
    a->frames = calloc(FRAMES, sizeof *a->frames);
    a->alternatives = malloc(ALTERNATIVES * sizeof *a->alternatives);
    a->states = calloc(STATES, sizeof *a->states);
    a->next = malloc((size_t)STATES * (size_t)a->symbols * sizeof *a->next);
    a->frame_slots = malloc(FRAME_SLOTS * sizeof *a->frame_slots);
    a->state_slots = malloc(STATE_SLOTS * sizeof *a->state_slots);
    a->seen = calloc(SEEN_SLOTS, sizeof *a->seen);
    a->work = malloc((MOST + 1) * sizeof *a->work);
    a->renamed = malloc(FRAMES * sizeof *a->renamed);
    if (!a->frames || !a->alternatives || !a->states || !a->next || !a->frame_slots || !a->state_slots || !a->seen ||
        !a->work || !a->renamed) {
        fa_automaton_close(a);
        return fa_fail(e, FA_ENOMEM, "grammar: out of memory");
    }
    clear(a);
    making m = begin(a);
    add(&m, g->rules[g->root].start, 0);
    settle(&m);
    *start = keep(&m);
    if (*start > 0) return FA_OK;
    fa_automaton_close(a);
    return fa_fail(e, FA_ELIMIT, "too many alternatives at the beginning");
}

void fa_automaton_close(fa_automaton *a) {
    free(a->frames);
    free(a->alternatives);
    free(a->states);
    free(a->next);
    free(a->frame_slots);
    free(a->state_slots);
    free(a->seen);
    free(a->work);
    free(a->renamed);
    *a = (fa_automaton){0};
}
