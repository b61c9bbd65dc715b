/* What `fathom eval` measures, one file each. */
#ifndef FA_CLI_EVAL_H
#define FA_CLI_EVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "host/fathom.h"

typedef struct eval_tasks_settings {
    const char *file; /* JSON lines as host/cli/questions.h reads them, each with a target; "task" groups them */
    int32_t sessions; /* that the engine was opened with */
    int64_t samples;
    fathom_sampling sampling;
    bool json;
} eval_tasks_settings;

/* Answers all questions and prints how many are right, in all and of each task. Returns an exit code. */
int eval_tasks(fathom_engine *engine, const eval_tasks_settings *s);

typedef struct eval_text_settings {
    const char *file;
    int32_t window, stride; /* tokens; 0: the context, half the window */
    bool json;
} eval_text_settings;

/* Prints a text's perplexity. The engine was opened with logits_all. Returns an exit code. */
int eval_text(fathom_engine *engine, const eval_text_settings *s);

#endif
