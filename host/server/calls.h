/* Tools and response formats: from a request to the sampling's constraint, and from the answer's markup to the API's tool_calls. */
#ifndef FA_SERVER_CALLS_H
#define FA_SERVER_CALLS_H

#include <jansson.h>
#include <stdbool.h>

#include "host/server/exchange.h"
#include "host/server/job.h"
#include "host/server/reply.h"

/* What a request says about the form of its answer; absent: NULL. */
typedef struct fa_form {
    const json_t *response_format, *tools, *tool_choice;
    bool parallel_tool_calls;
} fa_form;

/* Fills the job's constraint. `tools_in_prompt`: the tools of which the prompt must tell, or NULL. */
bool fa_form_take(fa_job *j, const fa_form *f, const json_t **tools_in_prompt, fa_problem *p);

/* What a prompt tells about tools, malloc'd text to stand at the end of the system message; NULL when memory ran out. */
char *fa_form_describe(const json_t *tools);

/* A token's text behind the reasoning, through the parser of calls: content goes to c->content, calls to c->calls (whole answers), or
 * both out at once (streams; `send` gets each delta, taken over). FA_ENOMEM. */
typedef void fa_calls_send(fa_exchange *x, fa_choice *c, json_t *delta);
fa_status fa_calls_feed(fa_exchange *x, fa_choice *c, int32_t id, const char *text, size_t n, fa_calls_send *send);
fa_status fa_calls_end(fa_exchange *x, fa_choice *c, fa_calls_send *send);

#endif
