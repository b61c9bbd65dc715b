/* Traces, as `fathom trace` writes them: which experts the tokens of a text visited. */
#ifndef FA_MODEL_TRACE_H
#define FA_MODEL_TRACE_H

#include "host/model/config.h"

/* Adds up a trace's lines, {"position":P,"layer":L,"experts":[...],...}: visits [layers * experts] and tokens [layers], both the
 * caller's and zero before. Lines of the multi-token-prediction layer are passed by. FA_EINVAL for a model without experts; FA_EFORMAT
 * names file and line; a trace of another model (more experts or layers, another number of routes a token) is refused, and so is one
 * without routes. */
fa_status fa_trace_count(const fa_config *c, const char *path, double *visits, int64_t *tokens, fa_error *e);

#endif
