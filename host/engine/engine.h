/* What the command line and tests see of an engine beyond fathom.h. */
#ifndef FA_ENGINE_ENGINE_H
#define FA_ENGINE_ENGINE_H

#include "host/cache/cache.h"
#include "host/fathom.h"
#include "host/model/model.h"
#include "host/text/chat.h"

struct fa_constraint; /* host/grammar/constraint.h */

fa_model *fa_engine_model(const fathom_engine *engine);
fa_cache_usage fa_engine_cache_usage(const fathom_engine *engine);

/* NULL when the model brings no tokenizer; no chat template. */
const fa_tokenizer *fa_engine_tokenizer(const fathom_engine *engine);
const fa_chat_family *fa_engine_chat(const fathom_engine *engine);

/* Puts begin, one placeholder a row, and end in the place of each picture's token. May be called in any thread. FA_EFORMAT when the tokenizer has
 * no such tokens. */
fa_status fa_engine_expand_pictures(const fathom_engine *engine, fa_ids *ids, fa_error *e);
/* Rows that a picture takes; 0: the model does not look at pictures. */
int32_t fa_engine_picture_rows(const fathom_engine *engine);

/* What later steps report (borrowed; NULL: nothing). Rows of one sequence come in rising position order; positions that
 * were reused from the cache are not computed and so not reported. */
void fa_engine_set_probe(fathom_engine *engine, const fa_probe *probe);

/* Whether the sampling asks for a grammar, and the grammar: for one answer, by any thread while the engine runs. The caller closes it, or gives
 * it to fa_session_prompt, which takes it over whatever happens: fathom_session_prompt is both. Texts of `p` are borrowed for the call. */
bool fa_engine_constrains(const fathom_sampling *p);
fa_status fa_engine_constrain(fathom_engine *engine, const fathom_sampling *p, struct fa_constraint **out, fa_error *e);
fathom_status fa_session_prompt(fathom_session *session, const int32_t *ids, size_t n, const fathom_sampling *p,
                                struct fa_constraint *constraint, fathom_error *error);

/* False when the engine will not compute any more: it is part of a cluster whose other ranks are gone. */
bool fa_engine_lives(const fathom_engine *engine);

/* Why a session failed: what fathom_session_error says in words. */
fa_status fa_session_error_status(const fathom_session *s);

/* Sessions at one time; rows of a step at most, as opened. */
int32_t fa_engine_sessions(const fathom_engine *engine);
int32_t fa_engine_most_rows(const fathom_engine *engine);
/* Later steps take at most `rows`, cut to sessions .. most rows: a server keeps its steps short so. */
void fa_engine_limit_rows(fathom_engine *engine, int32_t rows);
/* Whether the last step computed anything: rows, or a part of a picture. */
bool fa_engine_worked(const fathom_engine *engine);
/* Rows of the last step; those of background sessions among them. */
int32_t fa_engine_step_rows(const fathom_engine *engine);
int32_t fa_engine_background_rows(const fathom_engine *engine);

/* A background session has rows in a step only as far as the limit on them goes, those that waited longest first; at the beginning
 * there is none (INT32_MAX). What a session computes does not depend on it. A session that is opened again is none. */
void fa_session_set_background(fathom_session *session, bool background);
void fa_engine_limit_background(fathom_engine *engine, int32_t rows);
/* Sessions that will have rows in the next step, background sessions aside. */
int32_t fa_engine_foreground(const fathom_engine *engine);

#endif
