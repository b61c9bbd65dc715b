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
 *   "text": "text"             the beginning of a text that the model goes on with
 *   "messages": [{"role", "content"}]
 *   "question": "text"         a user's message, after those of "messages" where both are there; a model without a chat template
 *                              completes the text
 * and, where there is something to compare with, one of
 *   "target": "text"           with "rule": "boxed" (the default), "answer" or "number"
 *   "rule": "code"             with "language" ("python", "sh" or "c"), "before" and "tests" (texts around the program), "input" (standard
 *                              input) and "target" (standard output); at least one of tests and target
 *   "choices": ["a", "b"]      and "correct": the index of the right one
 * What else it holds is kept. */
typedef struct cli_question {
    json_t *line;
    int64_t number; /* of the line, counted from 1 */
    int32_t *ids;   /* NULL until encoded */
    size_t n;
    const char *target; /* of `line`; or NULL */
    fa_rule rule;
    bool thinks;      /* its answer begins inside <think> */
    size_t n_choices; /* 0: the answer is written */
    size_t correct;
} cli_question;

typedef struct cli_questions {
    const char *path;
    cli_question *at;
    int64_t n, capacity;
} cli_questions;

/* Reads a file, or standard input for "-"; nothing is encoded yet. FA_EIO; FA_EFORMAT names the line. The questions are released
 * in any case by cli_questions_free. */
fa_status cli_questions_load(cli_questions *q, const char *path, fa_error *e);

/* Makes the ids of all prompts for this engine, instead of those for another. FA_EFORMAT names the line. */
fa_status cli_questions_encode(cli_questions *q, fathom_engine *engine, fa_error *e);
void cli_questions_free(cli_questions *q);

/* True where an answer can be judged. */
bool cli_question_has_result(const cli_question *q);

/* A text of a question's line, or NULL. */
const char *cli_question_text(const cli_question *q, const char *key);

#endif
