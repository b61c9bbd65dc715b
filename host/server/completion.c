/* POST /completions: text, ids or several of them to a job; with a suffix, fill-in-the-middle. */
#include <stdlib.h>
#include <string.h>

#include "host/engine/engine.h"
#include "host/server/internal.h"
#include "host/server/reply.h"
#include "host/server/request.h"
#include "host/server/routes.h"
#include "host/text/fim.h"

typedef struct completion_request {
    fa_request common;
    const json_t *prompt;
    const json_t *suffix;
    bool echo;
    int64_t logprobs;
} completion_request;

static const fa_field fields[] = {
    FA_REQUEST_FIELDS(offsetof(completion_request, common), 0),
    {"prompt", FA_FIELD_ANY, 0, 0, true, offsetof(completion_request, prompt)},
    {"suffix", FA_FIELD_ANY, 0, 0, false, offsetof(completion_request, suffix)},
    {"echo", FA_FIELD_BOOL, 0, 0, false, offsetof(completion_request, echo)},
    {"logprobs", FA_FIELD_INT, 0, 20, false, offsetof(completion_request, logprobs)},
};

enum { FIELDS = sizeof fields / sizeof *fields };

const fa_field *fa_completion_field(size_t i) {
    return i < FIELDS ? &fields[i] : NULL;
}

static bool take_ids(const fa_exchange *x, const json_t *array, fa_ids *ids, fa_problem *p) {
    int32_t vocabulary = x->server->info.vocabulary;
    size_t i;
    json_t *id;
    json_array_foreach(array, i, id) {
        json_int_t v = json_integer_value(id);
        if (!json_is_integer(id))
            return fa_problem_set(p, FA_ERROR_MALFORMED, "prompt", "prompt: expected texts or ids");
        if (v < 0 || v >= vocabulary)
            return fa_problem_set(p, FA_ERROR_RANGE, "prompt", "prompt: the id %lld is not in 0 .. %d", (long long)v,
                                  vocabulary - 1);
        if (fa_ids_push(ids, (int32_t)v)) return fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
    }
    return true;
}

/* One prompt: a text or an array of ids. */
static bool take_prompt(const fa_exchange *x, fa_job *j, size_t i, const json_t *prompt, const completion_request *r,
                        fa_problem *p) {
    const fa_tokenizer *t = fa_engine_tokenizer(x->server->engine);
    const fa_encode_options options = {.prefix = true};
    fa_ids ids = {0};
    fa_error e = {0};
    fa_status s = FA_OK;
    bool ok = true;
    if (json_is_array(prompt) && !r->suffix)
        ok = take_ids(x, prompt, &ids, p);
    else if (!json_is_string(prompt))
        ok = fa_problem_set(p, FA_ERROR_MALFORMED, "prompt", "prompt: expected a text%s",
                            r->suffix ? ", as there is a suffix" : " or an array");
    else
        s = r->suffix ? fa_fim_encode(t, json_string_value(prompt), json_string_length(prompt),
                                      json_string_value(r->suffix), json_string_length(r->suffix), &ids, &e)
                      : fa_encode(t, json_string_value(prompt), json_string_length(prompt), &options, &ids, &e);
    if (s) ok = fa_problem_of(p, s, "prompt", e.text);
    if (!ok) {
        fa_ids_free(&ids);
        return false;
    }
    if (!fa_request_prompt(x, j, i, &ids, p)) return false;
    fa_job_prompt *to = &j->prompts[i];
    if (r->echo)
        s = fa_echo_open(&to->echo, t, json_is_string(prompt) ? prompt : NULL, to->ids, to->n, j->logprobs, &e);
    return s ? fa_problem_of(p, s, "prompt", e.text) : true;
}

/* An array whose first element is no number holds several prompts. */
static bool take_prompts(const fa_exchange *x, fa_job *j, const completion_request *r, fa_problem *p) {
    bool several = json_is_array(r->prompt) && !json_is_integer(json_array_get(r->prompt, 0));
    size_t n = several ? json_array_size(r->prompt) : 1;
    if (n < 1 || n * (size_t)r->common.n > FA_JOB_CHOICES)
        return fa_problem_set(p, FA_ERROR_RANGE, "prompt", "prompt: %zu prompts with n %lld are not in 1 .. %d answers",
                              n, (long long)r->common.n, FA_JOB_CHOICES);
    j->prompts = calloc(n, sizeof *j->prompts);
    if (!j->prompts) return fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
    j->n_prompts = n;
    for (size_t i = 0; i < n; i++)
        if (!take_prompt(x, j, i, several ? json_array_get(r->prompt, i) : r->prompt, r, p)) return false;
    return true;
}

static bool check(const fa_exchange *x, const completion_request *r, fa_problem *p) {
    const fa_tokenizer *t = fa_engine_tokenizer(x->server->engine);
    if (!t) return fa_problem_set(p, FA_ERROR_UNSUPPORTED, "model", "model: it has no tokenizer");
    if (r->suffix && !json_is_string(r->suffix))
        return fa_problem_set(p, FA_ERROR_MALFORMED, "suffix", "suffix: expected a text");
    if (r->suffix && !fa_fim_known(t))
        return fa_problem_set(p, FA_ERROR_UNSUPPORTED, "suffix",
                              "suffix: this model has no tokens for fill-in-the-middle");
    if (r->suffix && r->echo) return fa_problem_set(p, FA_ERROR_UNSUPPORTED, "echo", "echo: not together with suffix");
    if (r->common.max_tokens == 0 && !r->echo)
        return fa_problem_set(p, FA_ERROR_RANGE, "max_tokens", "max_tokens: 0 only together with echo");
    return true;
}

static bool take(fa_exchange *x, fa_job *j, fa_problem *p) {
    completion_request r = {.common = fa_request_defaults(), .logprobs = -1};
    if (!fa_fields_read(j->body, fields, FIELDS, &r, p)) return false;
    const fa_profile *profile = fa_request_profile(x, &r.common, p);
    if (!profile || !check(x, &r, p)) return false;
    if (!fa_request_take(j, &r.common, false, p)) return false;
    j->sampling.prompt_only = r.common.max_tokens == 0;
    if (j->sampling.max_tokens == 0) j->sampling.max_tokens = 16; /* OpenAI's default */
    j->model = profile->name;
    j->logprobs = r.logprobs >= 0;
    j->sampling.top_logprobs = r.logprobs > 0 ? (int32_t)r.logprobs : 0;
    if (!take_prompts(x, j, &r, p)) return false;
    return fa_job_make_choices(j, r.common.n, NULL) ||
           fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
}

bool fa_handle_completion(fa_exchange *x) {
    fa_problem p = {0};
    fa_job *j = x->job = calloc(1, sizeof *j);
    if (!j) {
        fa_reply_error(x, FA_ERROR_BUSY, NULL, "The server is out of memory");
        return false;
    }
    j->created = x->start_ms / 1000;
    j->body = fa_fields_parse(x->body.data, x->body.n, &p);
    if (!j->body || !take(x, j, &p)) {
        fa_reply_problem(x, &p);
        return false;
    }
    if (j->stream) fa_exchange_stream(x);
    return true;
}
