/* Reading lines from a person: line editing with a history that outlives the program; plain lines where standard input is
 * no terminal. */
#ifndef FA_CLI_LINE_H
#define FA_CLI_LINE_H

#include "host/base/status.h"

typedef struct cli_line cli_line;

typedef enum cli_line_end {
    CLI_LINE_TEXT = 0,
    CLI_LINE_INTERRUPTED, /* Ctrl-C */
    CLI_LINE_EOF,         /* Ctrl-D on an empty line, or the end of the input */
} cli_line_end;

/* The history is in $XDG_STATE_HOME/fathom/history, or in ~/.local/state/fathom/history; where neither can be made
 * there is none. FA_ENOMEM. The caller closes. */
fa_status cli_line_open(cli_line **out, fa_error *e);
void cli_line_close(cli_line *l);

/* Reads one message: a line, and further ones while they end with a backslash, which becomes a newline. *text is a view
 * until the next call, without the final newline. */
cli_line_end cli_line_read(cli_line *l, const char *prompt, const char *more_prompt, const char **text);

#endif
