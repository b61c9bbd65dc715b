/* POST /chat/completions: the body to a job. */
#include <stdlib.h>
#include <string.h>

#include "host/engine/engine.h"
#include "host/server/calls.h"
#include "host/server/internal.h"
#include "host/server/messages.h"
#include "host/server/reply.h"
#include "host/server/request.h"
#include "host/server/routes.h"

typedef struct chat_request {
    fa_request common;
    const json_t *messages, *thinking;
    fa_form form;
    bool logprobs;
    int64_t top_logprobs;
} chat_request;

static const fa_field fields[] = {
    FA_REQUEST_FIELDS(offsetof(chat_request, common), 1),
    {"max_completion_tokens", FA_FIELD_INT, 1, INT32_MAX, false, offsetof(chat_request, common.max_completion_tokens)},
    {"messages", FA_FIELD_ARRAY, 0, 0, true, offsetof(chat_request, messages)},
    {"response_format", FA_FIELD_OBJECT, 0, 0, false, offsetof(chat_request, form.response_format)},
    {"tools", FA_FIELD_ARRAY, 0, 0, false, offsetof(chat_request, form.tools)},
    {"tool_choice", FA_FIELD_ANY, 0, 0, false, offsetof(chat_request, form.tool_choice)},
    {"parallel_tool_calls", FA_FIELD_BOOL, 0, 0, false, offsetof(chat_request, form.parallel_tool_calls)},
    {"thinking", FA_FIELD_OBJECT, 0, 0, false, offsetof(chat_request, thinking)},
    {"logprobs", FA_FIELD_BOOL, 0, 0, false, offsetof(chat_request, logprobs)},
    {"top_logprobs", FA_FIELD_INT, 0, 20, false, offsetof(chat_request, top_logprobs)},
};

enum { FIELDS = sizeof fields / sizeof *fields };

const fa_field *fa_chat_field(size_t i) {
    return i < FIELDS ? &fields[i] : NULL;
}

/* "thinking": {"type": "enabled" | "disabled"} overrules the profile. */
static bool take_thinking(const json_t *thinking, bool *reasons, fa_problem *p) {
    if (!thinking) return true;
    const char *type = json_string_value(json_object_get(thinking, "type"));
    if (!type || (strcmp(type, "enabled") != 0 && strcmp(type, "disabled") != 0))
        return fa_problem_set(p, FA_ERROR_MALFORMED, "thinking", "thinking.type: expected enabled or disabled");
    *reasons = !strcmp(type, "enabled");
    return true;
}

static bool take_logprobs(fa_job *j, const chat_request *r, fa_problem *p) {
    j->logprobs = r->logprobs;
    j->sampling.top_logprobs = (int32_t)r->top_logprobs;
    if (r->top_logprobs > 0 && !r->logprobs)
        return fa_problem_set(p, FA_ERROR_MALFORMED, "top_logprobs", "top_logprobs: only together with logprobs");
    return true;
}

/* The text that the answer must begin with. */
static bool take_prefix(fa_job *j, const json_t *prefix, fa_problem *p) {
    if (!prefix) return true;
    if (strlen(json_string_value(prefix)) != json_string_length(prefix))
        return fa_problem_set(p, FA_ERROR_MALFORMED, "messages", "messages: a prefix has no zero bytes");
    if (j->sampling.json_schema || j->sampling.tools)
        return fa_problem_set(
            p, FA_ERROR_UNSUPPORTED, "messages",
            "messages: this model thinks before it goes on from a prefix; then neither response_format "
            "nor tools can be had");
    j->sampling.prefix = j->prefix = strdup(json_string_value(prefix));
    return j->prefix || fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
}

static bool make_prompt(const fa_exchange *x, fa_job *j, const chat_request *r, const json_t *tools, bool shows,
                        fa_problem *p) {
    fa_conversation c = {.engine = x->server->engine,
                         .info = &x->server->info,
                         .family = x->server->models.family,
                         .tools = tools,
                         .reasons = shows,
                         .beta = x->beta};
    fa_ids ids = {0};
    bool ok = fa_messages_read(&c, r->messages, p) && fa_messages_encode(&c, &ids, p);
    j->inside = j->sampling.thinking = c.inside;
    ok = ok && take_prefix(j, c.prefix, p);
    j->pictures = c.pictures;
    c.pictures = (fa_picture_list){0};
    fa_messages_free(&c);
    j->prompts = ok ? calloc(1, sizeof *j->prompts) : NULL;
    if (!j->prompts) {
        fa_ids_free(&ids);
        return ok ? fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory") : false;
    }
    j->n_prompts = 1;
    return fa_request_prompt(x, j, 0, &ids, p);
}

static bool take(fa_exchange *x, fa_job *j, fa_problem *p) {
    chat_request r = {.common = fa_request_defaults(), .form.parallel_tool_calls = true};
    if (!fa_fields_read(j->body, fields, FIELDS, &r, p)) return false;
    const fa_profile *profile = fa_request_profile(x, &r.common, p);
    if (!profile) return false;
    if (!x->server->models.family)
        return fa_problem_set(p, FA_ERROR_UNSUPPORTED, "model",
                              "model: %s has no chat template that is known; use completions", profile->name);
    bool shows = profile->reasons, only = fa_chat_starts_in_think(x->server->models.family);
    const json_t *tools;
    j->model = profile->name;
    if (!take_thinking(r.thinking, &shows, p)) return false;
    j->reasons = shows || only;
    j->hides = only && !shows;
    if (!fa_request_take(j, &r.common, only, p)) return false;
    if (!fa_form_take(j, &r.form, &tools, p) || !take_logprobs(j, &r, p)) return false;
    if (!make_prompt(x, j, &r, tools, shows, p)) return false;
    return fa_job_make_choices(j, r.common.n, fa_engine_tokenizer(x->server->engine)) ||
           fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
}

bool fa_handle_chat(fa_exchange *x) {
    fa_problem p = {0};
    fa_job *j = x->job = calloc(1, sizeof *j);
    if (!j) {
        fa_reply_error(x, FA_ERROR_BUSY, NULL, "The server is out of memory");
        return false;
    }
    j->chat = true;
    j->created = x->start_ms / 1000;
    j->body = fa_fields_parse(x->body.data, x->body.n, &p);
    if (!j->body || !take(x, j, &p)) {
        fa_reply_problem(x, &p);
        return false;
    }
    if (j->stream) fa_exchange_stream(x);
    return true;
}
