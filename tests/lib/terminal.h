/* Runs a program on a terminal of its own, as a person would: types, waits for what it shows. */
#ifndef FA_TESTS_TERMINAL_H
#define FA_TESTS_TERMINAL_H

#include <stddef.h>
#include <sys/types.h>

typedef struct check_terminal {
    int fd;
    pid_t child;
    char *shown; /* all output so far, terminated */
    size_t n_shown, capacity;
    size_t seen; /* how much of it was expected already */
} check_terminal;

/* Starts `command` (printf-style) by sh -c on a new terminal of 80 columns; "$FATHOM_BIN" in it is the program under test. */
void check_terminal_open(check_terminal *t, const char *command, ...) __attribute__((format(printf, 2, 3)));

void check_terminal_type(check_terminal *t, const char *keys);

/* Waits until `text` is shown after what was expected before; fails the case, with what was shown, after 20 s. */
void check_terminal_expect(check_terminal *t, const char *text);

/* Waits, as long, until the program reads keys one by one: until a line editor is at work. */
void check_terminal_expect_editor(check_terminal *t);

/* Waits for the program's end and returns its exit status (128 + signal when a signal ended it); frees everything. */
int check_terminal_close(check_terminal *t);

#endif
