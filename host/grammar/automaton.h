/* Follows a grammar: a pushdown automaton whose alternatives go along side by side. An alternative is a node and the frames below
 * it; the set of all alternatives is a state, and equal frames and equal states are kept once, so that what was computed once is
 * a look-up the next time (a deterministic automaton made on demand). All memory is taken at opening; when it is used up, all is
 * forgotten but the current state. */
#ifndef FA_GRAMMAR_AUTOMATON_H
#define FA_GRAMMAR_AUTOMATON_H

#include "host/grammar/grammar.h"

/* A return address on others; frame 0 is the bottom. A frame's number is larger than that of the one below. */
typedef struct fa_frame {
    int32_t node, below, depth;
} fa_frame;

/* Every alternative stands before a byte or a marker. */
typedef struct fa_alternative {
    int32_t node, frame;
} fa_alternative;

typedef struct fa_state {
    int32_t first, n; /* alternatives */
    bool accepts;     /* the root's end is reached as well */
} fa_state;

enum { FA_STATE_DEAD = 0, FA_STATE_FULL = -1 };

typedef struct fa_automaton {
    const fa_grammar *grammar;
    int32_t symbols; /* byte classes, then markers, then any other added token */
    fa_frame *frames;
    fa_alternative *alternatives;
    fa_state *states;
    int32_t *next; /* [states, symbols] FA_STATE_FULL: not known yet */
    int32_t n_frames, n_alternatives, n_states;
    int32_t *frame_slots, *state_slots; /* hash tables; 0: free */
    struct fa_seen *seen;               /* hash table of the alternatives of the state in the making, by `stamp` */
    uint32_t stamp;
    fa_alternative *work; /* to be looked at */
    int32_t *renamed;     /* [frames] while forgetting */
} fa_automaton;

/* `g` is finished and outlives it. *start is the first state. FA_ENOMEM, FA_ELIMIT. */
fa_status fa_automaton_open(fa_automaton *a, const fa_grammar *g, int32_t *start, fa_error *e);
void fa_automaton_close(fa_automaton *a);

/* The state behind a symbol; FA_STATE_DEAD where it may not come; FA_STATE_FULL when memory is used up. */
int32_t fa_automaton_make(fa_automaton *a, int32_t state, int32_t symbol);
static inline int32_t fa_automaton_next(fa_automaton *a, int32_t state, int32_t symbol) {
    int32_t next = a->next[(int64_t)state * a->symbols + symbol];
    return next == FA_STATE_FULL ? fa_automaton_make(a, state, symbol) : next;
}

/* Forgets all states but this one; returns its new number. */
int32_t fa_automaton_forget(fa_automaton *a, int32_t state);

#endif
