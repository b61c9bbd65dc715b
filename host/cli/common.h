/* What the subcommands share: option parsers, strict numbers, id lists, messages, progress. Only code under
 * host/cli may print or leave the program. */
#ifndef FA_CLI_COMMON_H
#define FA_CLI_COMMON_H

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "host/base/status.h"
#include "host/fathom.h"

/* Prints "fathom: ..." on stderr; returns CLI_ERROR, so that commands end with: return cli_fail("%s",
 * e.text). */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* argp_parse for a command: wrong usage leaves the program through argp; not 0 when memory ran out, which it says. */
int cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/* argp children. A parser passes their input at ARGP_KEY_INIT: state->child_inputs[0] = &options.
 *   cli_model_argp: --model alone, into a const char *. Where the option is absent FATHOM_MODEL counts; where
 * that is absent too, it is a usage error that says what to do. cli_engine_argp: --model as above, --backend,
 * --board, --numerics, --cache, --threads, --ctx, into a fathom_options. Texts are borrowed from argv and the
 * environment. */
extern const struct argp cli_model_argp;
extern const struct argp cli_engine_argp;

/* The whole of `text` as a number in [min, max]; false when it is anything else (empty, trailing text, NaN).
 */
bool cli_int(const char *text, int64_t min, int64_t max, int64_t *out);
bool cli_number(const char *text, double min, double max, double *out);
/* The same for the value of an option; leaves with a usage error that names the option and the range. */
int64_t cli_option_int(const struct argp_state *state, const char *option, const char *text, int64_t min, int64_t max);
double cli_option_number(const struct argp_state *state, const char *option, const char *text, double min, double max);

/* The value of --chat-template; leaves with a usage error that lists the families. */
const struct fa_chat_family *cli_option_family(const struct argp_state *state, const char *name);
#define CLI_FAMILIES "deepseek-v3, deepseek-r1, r1-distill, deepseek-v2.5, deepseek-v2, deepseek-coder, janus or chatml"

/* "1,2,3" (blanks and newlines around numbers allowed, empty is no ids) -> malloc'd ids that the caller
 * frees. FA_EINVAL shows the part that is not an id. */
fa_status cli_parse_ids(const char *text, int32_t **ids, size_t *n, fa_error *e);
/* "1,2,3" and a newline. */
void cli_print_ids(FILE *f, const int32_t *ids, size_t n);

/* The rest of a stream as a malloc'd, terminated text that the caller frees. `name` is for the error text. */
fa_status cli_read_all(FILE *f, const char *name, char **text, size_t *n, fa_error *e);

/* Calls `each` with every line of a stream, which is one JSON value, and sends what it printed on its way at once.
 * Errors name the stream and the line. */
fa_status cli_each_line(FILE *f, const char *name, fa_status (*each)(void *ctx, const json_t *line, fa_error *e),
                        void *ctx, fa_error *e);
#define CLI_STDIN stdin, "standard input"

/* A text on standard output, as it is; on a terminal a newline follows where the text lacks one. */
void cli_print_text(const char *text, size_t n);

/* A bar on stderr for work that takes its time, where that is a terminal; nothing elsewhere. Pass cli_progress and a zeroed struct with a
 * label as fathom_options.progress and .progress_ctx. The bar is wiped when done reaches total. */
typedef struct cli_progress_bar {
    const char *label;
    double first; /* time of the first call, s */
    int permille; /* drawn last, + 1; 0: nothing drawn */
} cli_progress_bar;
void cli_progress(void *bar, int64_t done, int64_t total);
/* Wipes a bar that stopped half-way (an error). */
void cli_progress_end(cli_progress_bar *bar);

/* fathom_engine_open with such a bar. */
fathom_status cli_engine_open(fathom_engine **engine, const fathom_options *options, fathom_error *e);

#endif
