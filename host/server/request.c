#include "host/server/request.h"

#include <math.h>
#include <string.h>
#include <sys/random.h>

#include "host/server/internal.h"

fa_request fa_request_defaults(void) {
    return (fa_request){.n = 1,
                        .max_tokens = -1,
                        .max_completion_tokens = -1,
                        .seed = -1,
                        .temperature = NAN,
                        .top_p = NAN,
                        .repetition_penalty = 1};
}

const fa_profile *fa_request_profile(const fa_exchange *x, const fa_request *r, fa_problem *p) {
    const fa_models *m = &x->server->models;
    const fa_profile *found = fa_models_find(m, r->model);
    char names[320] = "";
    for (size_t i = 0; i < m->n; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "", m->profile[i].name);
    if (!found) fa_problem_set(p, FA_ERROR_MODEL, "model", "model: this server has %s", names);
    return found;
}

static bool take_stop(fa_job *j, const json_t *text, fa_problem *p) {
    size_t bytes = json_string_length(text);
    if (!json_is_string(text))
        return fa_problem_set(p, FA_ERROR_MALFORMED, "stop", "stop: expected a text or an array of texts");
    if (bytes < 1 || bytes > 4096 || strlen(json_string_value(text)) != bytes)
        return fa_problem_set(p, FA_ERROR_RANGE, "stop", "stop: a text has 1 .. 4096 bytes, none of them zero");
    if (j->sampling.n_stop == FA_JOB_STOPS)
        return fa_problem_set(p, FA_ERROR_RANGE, "stop", "stop: at most %d texts", FA_JOB_STOPS);
    j->stops[j->sampling.n_stop++] = json_string_value(text);
    return true;
}

static bool take_stops(fa_job *j, const json_t *stop, fa_problem *p) {
    size_t i;
    json_t *text;
    if (!stop) return true;
    if (!json_is_array(stop)) return take_stop(j, stop, p);
    json_array_foreach(stop, i, text) if (!take_stop(j, text, p)) return false;
    return true;
}

static bool take_stream(fa_job *j, const fa_request *r, fa_problem *p) {
    static const fa_field fields[] = {{"include_usage", FA_FIELD_BOOL, 0, 0, false, offsetof(fa_job, include_usage)}};
    j->stream = r->stream;
    if (!r->stream_options) return true;
    if (!r->stream)
        return fa_problem_set(p, FA_ERROR_MALFORMED, "stream_options", "stream_options: only together with stream");
    return fa_fields_read(r->stream_options, fields, 1, j, p);
}

static uint64_t random_seed(void) {
    uint32_t random = 0;
    return getrandom(&random, sizeof random, 0) == sizeof random ? random : 0;
}

/* The API's top_p of 0 is the likeliest token alone, where the sampler's 0 is "off". */
static float top_p_of(double v, bool reasons) {
    if (isnan(v)) return reasons ? 0.95f : 1;
    return v < 1e-6 ? 1e-6f : (float)v;
}

bool fa_request_take(fa_job *j, const fa_request *r, bool reasons, fa_problem *p) {
    int64_t most = r->max_completion_tokens > 0 ? r->max_completion_tokens : r->max_tokens;
    j->sampling = (fathom_sampling){
        .temperature = isnan(r->temperature) ? (reasons ? 0.6f : 1) : (float)r->temperature,
        .top_p = top_p_of(r->top_p, reasons),
        .top_k = (int32_t)r->top_k,
        .min_p = (float)r->min_p,
        .repetition_penalty = (float)r->repetition_penalty,
        .presence_penalty = (float)r->presence_penalty,
        .frequency_penalty = (float)r->frequency_penalty,
        .seed = r->seed >= 0 ? (uint64_t)r->seed : random_seed(),
        .ignore_eos = r->ignore_eos,
        .max_tokens = most > 0 ? (int32_t)most : 0,
    };
    return take_stream(j, r, p) && take_stops(j, r->stop, p);
}

bool fa_request_prompt(const fa_exchange *x, fa_job *j, size_t i, fa_ids *ids, fa_problem *p) {
    int32_t context = x->server->info.context;
    j->prompts[i].ids = ids->data;
    j->prompts[i].n = ids->n;
    if (!ids->n) return fa_problem_set(p, FA_ERROR_MALFORMED, j->chat ? "messages" : "prompt", "The prompt is empty");
    if (ids->n < (size_t)context) return true;
    return fa_problem_set(p, FA_ERROR_CONTEXT, j->chat ? "messages" : "prompt",
                          "The prompt has %zu tokens; the context of %d must hold it and the answer", ids->n, context);
}
