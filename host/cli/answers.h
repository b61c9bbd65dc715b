/* Answers as JSON lines: what `rollout` writes, and what `eval` writes and goes on from. */
#ifndef FA_CLI_ANSWERS_H
#define FA_CLI_ANSWERS_H

#include <jansson.h>

#include "host/cli/many.h"
#include "host/cli/questions.h"

/* One answer: prompt and sample (from 0), "id" of the question's line if it has one, seed, finish, prompt_ids, ids, logprobs, text.
 * The caller's reference; NULL when memory ran out. */
json_t *cli_answer_json(const cli_question *q, const cli_written *a);

/* A file of lines that grows; one process at a time. */
typedef struct cli_answers {
    FILE *f;
    const char *path;
} cli_answers;

/* Opens or makes the file and passes each whole line that it has to `each`; a last line that was cut short is taken away. Errors name
 * file and line. FA_EIO, also when another process has it open; FA_EFORMAT. */
fa_status cli_answers_open(cli_answers *a, const char *path,
                           fa_status (*each)(void *ctx, const json_t *line, fa_error *e), void *ctx, fa_error *e);
/* Takes the reference of `line`, which may be NULL (FA_ENOMEM). The line is in the file, whole, when this returns. */
fa_status cli_answers_add(cli_answers *a, json_t *line, fa_error *e);
/* A zeroed one is allowed. */
void cli_answers_close(cli_answers *a);

#endif
