/* What `fathom eval` measures, one file each. */
#ifndef FA_CLI_EVAL_H
#define FA_CLI_EVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "host/cli/answers.h"
#include "host/cli/questions.h"
#include "host/cli/statistics.h"
#include "host/fathom.h"

enum { EVAL_MODES = 16, EVAL_PASSES = 8 };

/* One way to compute, measured on its own. The first of several is what the others are compared with. */
typedef struct eval_mode {
    char name[64]; /* "fp32", "w8a8", "w8a8, fp8 cache" */
    fathom_options options;
} eval_mode;

typedef struct eval_settings {
    const char *questions; /* JSON lines as host/cli/questions.h reads them, each with a result; "task" groups them */
    const char *text;      /* or a text, whose perplexity is asked for */
    const char *answers;   /* NULL: not kept */
    int64_t samples;
    fathom_sampling sampling;
    int64_t pass_at[EVAL_PASSES];
    int n_pass;
    int32_t window, stride; /* of the text, in tokens; 0: the context, half the window */
    bool run_code, json;
    eval_mode modes[EVAL_MODES];
    int n_modes;
} eval_settings;

/* What a mode did, by question. */
typedef struct eval_marks {
    int64_t *right,
        *formed; /* [questions] sums over answers; of choices: 0 or 1, and whether the likeliest one by length is right */
} eval_marks;

/* Each measures all modes and prints. Returns an exit code. */
int eval_tasks(const eval_settings *s);
int eval_text(const eval_settings *s);

/* -log of the probability of token `id` behind a row of logits; *best is the likeliest token, the lowest of equal ones. */
float eval_surprise(const float *logits, int32_t vocabulary, int32_t id, int32_t *best);

/* ---- parts of eval_tasks ---- */

/* Judges a program that a model wrote, by running it. FA_EUNSUPPORTED where it cannot be run. */
fa_status eval_code(const cli_question *q, const char *text, bool *right, fa_error *e);

/* Log-probability of each choice behind the prompt, [n_choices]. */
fa_status eval_choices(fathom_engine *engine, const cli_question *q, double *logprobs, fa_error *e);
/* The first largest of logprobs, each divided by its choice's bytes where `by_length`. */
size_t eval_choose(const cli_question *q, const double *logprobs, bool by_length);

/* Prints marks, [n_modes]. */
void eval_print(const eval_settings *s, const cli_questions *q, const eval_marks *marks);

#endif
