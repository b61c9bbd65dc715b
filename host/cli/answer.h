/* One answer of a model: runs the session, prints the text as it comes, can be stopped by Ctrl-C. */
#ifndef FA_CLI_ANSWER_H
#define FA_CLI_ANSWER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "host/fathom.h"
#include "host/text/chat.h"

/* What is printed of an answer. */
typedef enum cli_show {
    CLI_SHOW_PLAIN = 0, /* the text as the model writes it */
    CLI_SHOW_PARTS,     /* reasoning apart from the answer: dimmed on a terminal, inside <think> tags elsewhere */
    CLI_SHOW_ANSWER,    /* the answer without the reasoning */
    CLI_SHOW_NOTHING,
} cli_show;

typedef struct cli_answer {
    fa_text reasoning, text; /* CLI_SHOW_PLAIN: all of it is text */
    int32_t *ids;            /* [n_ids] */
    size_t n_ids, ids_capacity;
    fathom_finish finish;
    bool interrupted; /* by Ctrl-C */
    fathom_usage usage;
    int64_t first_ns, total_ns; /* from the start to the first token, to the end */
} cli_answer;
void cli_answer_free(cli_answer *a);

/* Answers the prompt `ids` [n] on standard output, without a newline at the end. `thinking`: the prompt ends inside
 * <think>. While it runs SIGINT ends the answer; a second one ends the program, unless it was ignored before. A failed session's text is in `e`;
 * `a` holds what there was until then, and the caller frees it. */
fathom_status cli_answer_run(cli_answer *a, fathom_engine *engine, fathom_session *session, const int32_t *ids,
                             size_t n, const fathom_sampling *sampling, cli_show show, bool thinking, fathom_error *e);

/* One line: tokens, rates, time to the first token, why it ended, and the seed unless it is NULL. */
void cli_answer_print_statistics(FILE *f, const cli_answer *a, const uint64_t *seed);

#endif
