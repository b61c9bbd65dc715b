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
    bool stream;
    const json_t *stream_options, *stop;
    int64_t n, max_tokens, max_completion_tokens, seed, top_k;
    double temperature, top_p, min_p, presence_penalty, frequency_penalty, repetition_penalty;
} fa_request;

#define FA_REQUEST_FIELDS(type, member)                                                                    \
    {"model", FA_FIELD_TEXT, 0, 0, true, offsetof(type, member.model)},                                    \
        {"stream", FA_FIELD_BOOL, 0, 0, false, offsetof(type, member.stream)},                             \
        {"stream_options", FA_FIELD_OBJECT, 0, 0, false, offsetof(type, member.stream_options)},           \
        {"stop", FA_FIELD_ANY, 0, 0, false, offsetof(type, member.stop)},                                  \
        {"n", FA_FIELD_INT, 1, FA_JOB_CHOICES, false, offsetof(type, member.n)},                           \
        {"max_tokens", FA_FIELD_INT, 1, INT32_MAX, false, offsetof(type, member.max_tokens)},              \
        {"seed", FA_FIELD_INT, 0, 0x1p63, false, offsetof(type, member.seed)},                             \
        {"temperature", FA_FIELD_NUMBER, 0, 2, false, offsetof(type, member.temperature)},                 \
        {"top_p", FA_FIELD_NUMBER, 0, 1, false, offsetof(type, member.top_p)},                             \
        {"top_k", FA_FIELD_INT, 0, INT32_MAX, false, offsetof(type, member.top_k)},                        \
        {"min_p", FA_FIELD_NUMBER, 0, 1, false, offsetof(type, member.min_p)},                             \
        {"presence_penalty", FA_FIELD_NUMBER, -2, 2, false, offsetof(type, member.presence_penalty)},      \
        {"frequency_penalty", FA_FIELD_NUMBER, -2, 2, false, offsetof(type, member.frequency_penalty)}, {  \
        "repetition_penalty", FA_FIELD_NUMBER, 0.01, 100, false, offsetof(type, member.repetition_penalty) \
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
