/* Runs a program that nobody has read, with limits, without network and without anything of the caller's. Linux. */
#ifndef FA_SANDBOX_SANDBOX_H
#define FA_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

typedef struct fa_sandbox_limits {
    double seconds;       /* of the wall clock */
    int32_t cpu_seconds;  /* of a process */
    int64_t memory_bytes; /* address space of a process */
    int64_t file_bytes;   /* of a file; all files together at most four times that where namespaces are allowed */
    int64_t output_bytes; /* of standard output; more ends the program */
    int32_t processes;    /* and threads, at once */
    int32_t files;        /* open in a process at once */
} fa_sandbox_limits;

/* 20 s, of which 5 s on a CPU, 512 MiB, 16 MiB, 1 MiB, 8, 64: a machine with other work changes no verdict. */
extern const fa_sandbox_limits fa_sandbox_usual;

typedef struct fa_sandbox_program {
    const char *const *argv; /* [..., NULL]; argv[0] is looked for in /usr/local/bin, /usr/bin and /bin */
    const char *file, *text; /* a file in its working folder */
    size_t text_bytes;
    const char *input; /* standard input; NULL: empty */
    size_t input_bytes;
} fa_sandbox_program;

typedef enum fa_sandbox_end {
    FA_SANDBOX_EXIT,    /* code: its exit status */
    FA_SANDBOX_SIGNAL,  /* code: the signal, SIGKILL when it took more CPU time than it may */
    FA_SANDBOX_TIMEOUT, /* ended by us */
    FA_SANDBOX_OUTPUT,  /* ended by us: it printed too much */
} fa_sandbox_end;

/* What the system did not offer. */
enum { FA_SANDBOX_NO_NAMESPACES = 1, FA_SANDBOX_NO_LANDLOCK = 2 };

enum { FA_SANDBOX_COMPLAINT = 400 };

typedef struct fa_sandbox_result {
    fa_sandbox_end end;
    int code;
    char *output; /* standard output, terminated; released with fa_sandbox_free */
    size_t output_bytes;
    char complaint[FA_SANDBOX_COMPLAINT]; /* the end of what it wrote to standard error */
    unsigned missing;
} fa_sandbox_result;

/* Runs the program and waits for it and all that it started. FA_EIO names the step that the system refused, FA_EUNSUPPORTED when the
 * program does not exist or seccomp cannot be used; a program that fails is no error. */
fa_status fa_sandbox_run(fa_sandbox_result *result, const fa_sandbox_program *program, const fa_sandbox_limits *limits,
                         fa_error *e);
void fa_sandbox_free(fa_sandbox_result *result);

#endif
