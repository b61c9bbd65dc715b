/* From a row of logits to a token. Every step is a fixed sequence of FP32 roundings or integer arithmetic, so the choice is
 * the same on any machine. In this order:
 *
 *   1. repetition penalty r on every token of the prompt and the answer: logit > 0 ? logit / r : logit * r
 *      (Keskar et al. 2019, as in Hugging Face and vLLM)
 *   2. frequency and presence penalties on the answer's tokens alone, as OpenAI's API defines them:
 *      logit - count * frequency, then - presence
 *   3. tokens that are not allowed (host/grammar) leave; their logits are minus infinity
 *   4. temperature 0: the largest logit, of equal ones the lowest id. Else z = (logit - largest) / temperature and
 *      weight = floor(exp(z) * 2^40), an integer: sums of weights are exact in any order
 *   5. top-k: the k largest (equal ones by rising id)
 *   6. top-p: the fewest largest whose weights reach top_p of the sum of what top-k left
 *   7. min-p: those of at least min_p of the largest weight
 *   8. the draw: a 64-bit number of (seed, index of the token in the answer) picks by weight in the order of ids
 *
 * Steps 4 to 7 are in the order of Hugging Face's processors. vLLM applies min-p before top-k and top-p, llama.cpp
 * the temperature last; a filter alone gives the same set in all of them, but for the temperature's place.
 * Log-probabilities are of the unmodified logits at temperature 1. */
#ifndef FA_ENGINE_SAMPLER_H
#define FA_ENGINE_SAMPLER_H

#include <stdint.h>

#include "host/base/arena.h"
#include "host/fathom.h"

enum { FA_TOP_LOGPROBS = 20 };

typedef struct fa_candidate {
    uint64_t key;    /* larger for a larger logit, of equal logits for a lower id */
    uint64_t weight; /* at most 2^40 */
} fa_candidate;

/* Scratch memory of all sampling of an engine. */
typedef struct fa_sampler {
    int32_t vocab;
    float *logits;           /* [vocab] with penalties applied */
    int32_t *count;          /* [vocab] zero between calls */
    fa_candidate *candidate; /* [vocab] */
} fa_sampler;

/* Memory from the arena; FA_ENOMEM. */
fa_status fa_sampler_open(fa_sampler *s, fa_arena *arena, int32_t vocab, fa_error *e);

/* FA_EINVAL names the field and the value that is out of range. */
fa_status fa_sampling_check(const fathom_sampling *p, int32_t vocab, fa_error *e);

typedef struct fa_history {
    const int32_t *tokens; /* [n_prompt + n_new] ids, all in the vocabulary */
    int32_t n_prompt, n_new;
    const uint32_t *allowed; /* bit id % 32 of word id / 32: the tokens that may be chosen, at least one; NULL: all */
} fa_history;

typedef struct fa_choice {
    int32_t id;
    float logprob;
    int32_t n_top;
    int32_t top_ids[FA_TOP_LOGPROBS];
    float top_logprobs[FA_TOP_LOGPROBS];
} fa_choice;

/* Chooses the token behind `h` from its logits [vocab]. FA_ENUMERIC when one of them is not finite. */
fa_status fa_sample(fa_sampler *s, const fathom_sampling *p, const float *logits, const fa_history *h, fa_choice *out,
                    fa_error *e);

/* The log-probability of token out->id by logits [vocab], and the n_top likeliest tokens. FA_ENUMERIC when one of them is not finite. */
fa_status fa_score(const float *logits, int32_t vocab, int32_t n_top, fa_choice *out, fa_error *e);

/* The index of the largest of n numbers, the lowest of equal ones. */
int32_t fa_largest(const float *x, int32_t n);

/* FA_ENUMERIC naming the first of the `n` logits that is not finite. */
fa_status fa_logits_check(const float *logits, int32_t n, fa_error *e);

#endif
