/* Prompts from JSON lines, with the results that rules compare answers with. */
#ifndef FA_CLI_QUESTIONS_H
#define FA_CLI_QUESTIONS_H

#include <jansson.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/fathom.h"
#include "host/text/rules.h"

/* A line is an object with one of
 *   "ids": [1, 2]              the prompt as it is
 *   "messages": [{"role", "content"}]
 *   "question": "text"         a user's message, after those of "messages" where both are there; a model without a chat template
 *                              completes the text
 * and, where there is something to compare with, "target": "text" and "rule": "boxed" (the default) or "answer". What else it holds
 * is kept. */
typedef struct cli_question {
    json_t *line;
    int32_t *ids;
    size_t n;
    const char *target; /* of `line`; or NULL */
    fa_rule rule;
} cli_question;

typedef struct cli_questions {
    cli_question *at;
    int64_t n, capacity;
} cli_questions;

/* Reads a file, or standard input for "-". FA_EIO; FA_EFORMAT names the line. The questions are released in any case by
 * cli_questions_free. */
fa_status cli_questions_read(cli_questions *q, fathom_engine *engine, const char *path, fa_error *e);
void cli_questions_free(cli_questions *q);

#endif
