#include "host/cli/line.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "host/base/file.h"
#include "host/text/tokenizer.h"

struct cli_line {
    EditLine *edit; /* NULL: plain lines */
    History *history;
    char *path;         /* of the history; NULL: none */
    const char *prompt; /* of the line being read */
    bool interrupted;
    char *plain; /* getline's */
    size_t plain_capacity;
    fa_text message;
};

enum { HISTORY_LINES = 1000 };

/* ---- history ---- */

/* The folders above `path`, for its owner only. */
static void make_folders(char *path) {
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
}

/* The history file, made where it is missing; NULL when there can be none. The caller frees. */
static char *history_path(void) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *path = state && *state == '/' ? fa_path_join(state, "fathom/history")
                 : home && *home == '/' ? fa_path_join(home, ".local/state/fathom/history")
                                        : NULL;
    if (!path) return NULL;
    make_folders(path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return path;
    }
    free(path);
    return NULL;
}

static void remember(cli_line *l, const char *line) {
    HistEvent event;
    if (line[strspn(line, " \t\n")] == 0) return;
    history(l->history, &event, H_ENTER, line);
    if (l->path) history(l->history, &event, H_SAVE, l->path);
}

/* ---- editing ---- */

static char *show_prompt(EditLine *edit) {
    cli_line *l;
    el_get(edit, EL_CLIENTDATA, &l);
    return (char *)l->prompt;
}

/* Reads one character for the editor: 1, or 0 at the end of the input and at Ctrl-C. While a line is edited Ctrl-C and
 * Ctrl-Z come as characters, not as signals. */
static int read_character(EditLine *edit, wchar_t *out) {
    enum { CTRL_C = 3, CTRL_Z = 26 };
    cli_line *l;
    el_get(edit, EL_CLIENTDATA, &l);
    mbstate_t part = {0};
    for (;;) {
        char byte;
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n < 0 && errno == EINTR) continue; /* the window changed its size, or a suspended program goes on */
        if (n <= 0) return 0;
        l->interrupted = byte == CTRL_C;
        if (l->interrupted) return 0;
        if (byte == CTRL_Z) {
            raise(SIGTSTP);
            continue;
        }
        size_t used = mbrtowc(out, &byte, 1, &part);
        if (used == (size_t)-1) part = (mbstate_t){0}; /* no text in this locale: dropped */
        if (used <= 1) return 1;
    }
}

static bool open_editor(cli_line *l) {
    HistEvent event;
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8")) setlocale(LC_CTYPE, "C.UTF-8"); /* models speak UTF-8 */
    l->edit = el_init("fathom", stdin, stdout, stderr);
    l->history = history_init();
    if (!l->edit || !l->history) return false;
    history(l->history, &event, H_SETSIZE, HISTORY_LINES);
    history(l->history, &event, H_SETUNIQUE, 1);
    l->path = history_path();
    if (l->path) history(l->history, &event, H_LOAD, l->path);
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_PROMPT, show_prompt);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_SIGNAL, 1);
    el_set(l->edit, EL_HIST, history, l->history);
    el_set(l->edit, EL_SETTY, "-d", "-isig", NULL);
    el_set(l->edit, EL_GETCFN, read_character);
    el_source(l->edit, NULL);
    return true;
}

fa_status cli_line_open(cli_line **out, fa_error *e) {
    cli_line *l = *out = calloc(1, sizeof *l);
    if (l && (!isatty(STDIN_FILENO) || open_editor(l))) return FA_OK;
    cli_line_close(l);
    *out = NULL;
    return fa_fail(e, FA_ENOMEM, "the line editor cannot be opened");
}

void cli_line_close(cli_line *l) {
    if (!l) return;
    if (l->edit) el_end(l->edit);
    if (l->history) history_end(l->history);
    free(l->path);
    free(l->plain);
    fa_text_free(&l->message);
    free(l);
}

/* One line with its newline, a view; NULL at the end. */
static const char *read_line(cli_line *l, const char *prompt) {
    if (!l->edit) return getline(&l->plain, &l->plain_capacity, stdin) >= 0 ? l->plain : NULL;
    int n = 0;
    l->prompt = prompt;
    l->interrupted = false;
    const char *line = el_gets(l->edit, &n);
    if (l->interrupted || !line || n <= 0) {
        puts(l->interrupted ? "^C" : "");
        return NULL;
    }
    remember(l, line);
    return line;
}

cli_line_end cli_line_read(cli_line *l, const char *prompt, const char *more_prompt, const char **text) {
    l->message.n = 0;
    for (;; prompt = more_prompt) {
        const char *line = read_line(l, prompt);
        if (!line && l->interrupted) return CLI_LINE_INTERRUPTED;
        if (!line && l->message.n == 0) return CLI_LINE_EOF;
        size_t n = line ? strlen(line) : 0;
        n -= n && line[n - 1] == '\n';
        bool more = n && line[n - 1] == '\\';
        if (fa_text_append(&l->message, line, n - more) || (more && fa_text_append(&l->message, "\n", 1)))
            return CLI_LINE_EOF;
        *text = l->message.data;
        if (!more) return CLI_LINE_TEXT;
    }
}
