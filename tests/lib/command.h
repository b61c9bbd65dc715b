/* Runs a program as a person would and keeps what it wrote: for tests of the command line. */
#ifndef FA_TESTS_COMMAND_H
#define FA_TESTS_COMMAND_H

#include <stddef.h>

typedef struct check_output {
    char *out, *err; /* stdout and stderr, terminated */
    size_t out_bytes;
    int status; /* the exit status; 128 + signal when a signal ended it */
} check_output;

/* Runs `command` (printf-style) by sh -c with empty standard input, and fails the case when it cannot be started. "$FATHOM_BIN"
 * in it is the program under test. */
check_output check_command(const char *command, ...) __attribute__((format(printf, 1, 2)));
void check_output_free(check_output *o);

/* Skips the case where no such program is installed. */
void check_needs(const char *program);

/* A use of the program that must be refused: exit status, a part of what standard error says, nothing on standard output. */
typedef struct check_refusal {
    const char *arguments, *says;
    int status;
} check_refusal;
void check_refusals(const check_refusal *uses, size_t n);

/* A new empty folder below $TMPDIR or /tmp, malloc'd; check_folder_remove deletes it with all in it and frees the name. */
char *check_folder(void);
void check_folder_remove(char *folder);

#endif
