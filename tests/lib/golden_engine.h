/* Asking golden models through fathom.h: engines, sessions and whole answers. Everything that can fail fails the running
 * case. */
#ifndef FA_TESTS_GOLDEN_ENGINE_H
#define FA_TESTS_GOLDEN_ENGINE_H

#include "host/fathom.h"

enum { GOLDEN_SESSIONS = 5, GOLDEN_ANSWER = 16 };

/* Weights as they are, activations and cache in FP32: what the golden numbers are made with. */
extern const fathom_options golden_exact;

/* The golden greedy answer, with all that can be reported of a token. */
extern const fathom_sampling golden_greedy;

/* The model of a golden folder; sessions and step_rows default to GOLDEN_SESSIONS and a number that cuts long prompts. */
fathom_engine *golden_engine_open(fathom_options o, const char *folder);
fathom_session *golden_session(fathom_engine *g, uint64_t owner);
void golden_ask(fathom_session *s, const int32_t *ids, int n, const fathom_sampling *p);

/* One step; sessions whose answer goes on. */
int golden_step(fathom_engine *g);

/* An answer: its ids, its text with the rest, and the numbers reported with each token. */
typedef struct golden_answer {
    int n;
    int32_t ids[512];
    fathom_token token[512]; /* without text */
    char text[4096];         /* may hold NUL bytes */
    size_t bytes;
} golden_answer;

/* Adds the tokens that the session has made. */
void golden_take(fathom_session *s, golden_answer *a);

/* Steps the engine until no session goes on; the whole answer of `s`. */
void golden_run(fathom_engine *g, fathom_session *s, golden_answer *a);

void golden_same_ids(const char *what, const golden_answer *a, const int32_t *want, int n);

/* Equal tokens with equal bits of every number that came with them. */
void golden_same_answer(const char *what, const golden_answer *a, const golden_answer *b);

#endif
