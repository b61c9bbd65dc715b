/* What the bodies of chat and completions have in common: fields, sampling, prompts. */
#ifndef FA_SERVER_REQUEST_H
#define FA_SERVER_REQUEST_H

#include "host/server/exchange.h"
#include "host/server/fields.h"
#include "host/server/job.h"
#include "host/server/models.h"
#include "host/text/tokenizer.h"

/* Fields of both routes. Numbers are NAN, or -1, where the request has none. */
typedef struct fa_request {
    const char *model;
    bool stream, ignore_eos; /* ignore_eos: the answer goes on to max_tokens, for measuring */
    const json_t *stream_options, *stop;
    int64_t n, max_tokens, max_completion_tokens, seed, top_k;
    double temperature, top_p, min_p, presence_penalty, frequency_penalty, repetition_penalty;
} fa_request;

/* Their rows; `at`: where the fa_request lies in the struct that is filled; `least`: of max_tokens. */
#define FA_REQUEST_FIELDS(at, least)                                                                             \
    {"model", FA_FIELD_TEXT, 0, 0, true, (at) + offsetof(fa_request, model)},                                    \
        {"stream", FA_FIELD_BOOL, 0, 0, false, (at) + offsetof(fa_request, stream)},                             \
        {"ignore_eos", FA_FIELD_BOOL, 0, 0, false, (at) + offsetof(fa_request, ignore_eos)},                     \
        {"stream_options", FA_FIELD_OBJECT, 0, 0, false, (at) + offsetof(fa_request, stream_options)},           \
        {"stop", FA_FIELD_ANY, 0, 0, false, (at) + offsetof(fa_request, stop)},                                  \
        {"n", FA_FIELD_INT, 1, FA_JOB_CHOICES, false, (at) + offsetof(fa_request, n)},                           \
        {"max_tokens", FA_FIELD_INT, least, INT32_MAX, false, (at) + offsetof(fa_request, max_tokens)},          \
        {"seed", FA_FIELD_INT, 0, 0x1p63, false, (at) + offsetof(fa_request, seed)},                             \
        {"temperature", FA_FIELD_NUMBER, 0, 2, false, (at) + offsetof(fa_request, temperature)},                 \
        {"top_p", FA_FIELD_NUMBER, 0, 1, false, (at) + offsetof(fa_request, top_p)},                             \
        {"top_k", FA_FIELD_INT, 0, INT32_MAX, false, (at) + offsetof(fa_request, top_k)},                        \
        {"min_p", FA_FIELD_NUMBER, 0, 1, false, (at) + offsetof(fa_request, min_p)},                             \
        {"presence_penalty", FA_FIELD_NUMBER, -2, 2, false, (at) + offsetof(fa_request, presence_penalty)},      \
        {"frequency_penalty", FA_FIELD_NUMBER, -2, 2, false, (at) + offsetof(fa_request, frequency_penalty)}, {  \
        "repetition_penalty", FA_FIELD_NUMBER, 0.01, 100, false, (at) + offsetof(fa_request, repetition_penalty) \
    }

/* As if the body had none of the fields. */
fa_request fa_request_defaults(void);

/* The profile it names. */
const fa_profile *fa_request_profile(const fa_exchange *x, const fa_request *r, fa_problem *p);

/* Fills the job's stream, sampling and stop texts. `reasons` chooses the defaults that R1's authors advise. */
bool fa_request_take(fa_job *j, const fa_request *r, bool reasons, fa_problem *p);

/* Gives a prompt's ids (taken over) to the job; a prompt that leaves no room in the context is a problem. */
bool fa_request_prompt(const fa_exchange *x, fa_job *j, size_t i, fa_ids *ids, fa_problem *p);

#endif
