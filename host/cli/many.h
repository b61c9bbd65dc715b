/* Several answers to each of many prompts, in as many sessions at once as an engine has: what `rollout` and evaluations share. */
#ifndef FA_CLI_MANY_H
#define FA_CLI_MANY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/fathom.h"

/* One answer; views until the callback returns. */
typedef struct cli_written {
    int64_t prompt, sample;
    uint64_t seed;
    fathom_finish finish;
    size_t n;
    const int32_t *ids;    /* [n] with the token that ended it */
    const float *logprobs; /* [n] under the unmodified distribution */
    const char *text;      /* without that token */
    size_t text_bytes;
} cli_written;

typedef struct cli_many {
    int32_t sessions; /* that the engine was opened with */
    int64_t prompts, samples;
    const fathom_sampling
        *sampling; /* answer `sample` of prompt `prompt` has the seed `seed + prompt * samples + sample` */
    /* The ids of a prompt, which live until the end. */
    void (*prompt)(void *ctx, int64_t prompt, const int32_t **ids, size_t *n);
    /* NULL, or true for an answer that there is already: it is not written again. */
    bool (*has)(void *ctx, int64_t prompt, int64_t sample);
    /* In the order in which answers end; anything but FA_OK ends the work. */
    fa_status (*done)(void *ctx, const cli_written *answer, fa_error *e);
    void *ctx;
} cli_many;

/* Other answers to a prompt begin when the first has its prompt in the cache, so that it is computed once. Errors name the
 * prompt, counted from 1; FATHOM_ECANCELLED after Ctrl-C. */
fathom_status cli_answer_many(fathom_engine *engine, const cli_many *work, fathom_error *e);

#endif
