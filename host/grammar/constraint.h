/* What an answer must look like, as a mask over the next token: a schema, tool calls or both, compiled to a grammar
 * (grammar.h), followed byte by byte (automaton.h) and laid over the vocabulary (vocabulary.h). */
#ifndef FA_GRAMMAR_CONSTRAINT_H
#define FA_GRAMMAR_CONSTRAINT_H

#include "host/grammar/vocabulary.h"

typedef struct fa_constraint fa_constraint;

/* Texts are JSON in UTF-8; all are borrowed for the call. */
typedef struct fa_constraint_spec {
    const char *json_schema; /* NULL: any text; "" or "{}": any JSON object */
    const char *tools;  /* NULL: none; the API's array [{"type": "function", "function": {"name", "parameters"}}] */
    const char *tool;   /* the only one that may be called, and must be; NULL: any of them */
    bool tool_required; /* at least one call, and nothing else */
    bool single_call;   /* at most one call */
    const char *prefix; /* NULL: none; else any text that begins so; beside nothing but `thinking` */
    bool thinking;      /* the answer begins inside <think>: all this holds behind </think> */
} fa_constraint_spec;

/* Whether `s` asks for anything. */
bool fa_constraint_wanted(const fa_constraint_spec *s);

/* Everything later steps need is taken here. `ends` [n_ends]: tokens that end the answer. `v` and, of `tools`, nothing is kept
 * but `v`, which must outlive the constraint. Errors name the field and the path in it: FA_EINVAL, FA_EUNSUPPORTED (a keyword of
 * a schema; a model that has no tool calls), FA_ELIMIT, FA_ENOMEM. */
fa_status fa_constraint_open(fa_constraint **out, const fa_constraint_spec *s, const fa_vocabulary *v, bool has_tools,
                             const int32_t *ends, int32_t n_ends, fa_error *e);
void fa_constraint_close(fa_constraint *c);

/* The tokens that may come next: bit id % 32 of word id / 32, fa_vocabulary_words(v) words; a view until the next call. FA_ELIMIT when
 * the alternatives of this state exceed the memory taken at opening. Takes no memory. */
fa_status fa_constraint_mask(fa_constraint *c, const uint32_t **mask, fa_error *e);

/* The token that was chosen. FA_EINVAL when it was not allowed. */
fa_status fa_constraint_take(fa_constraint *c, int32_t id, fa_error *e);

/* Whether the value is complete and nothing more can come: the answer has ended. */
bool fa_constraint_done(const fa_constraint *c);
/* Whether it may end here. */
bool fa_constraint_complete(const fa_constraint *c);

#endif
