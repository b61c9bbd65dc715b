/* The inside of the sandbox. Private. */
#ifndef FA_SANDBOX_INMATE_H
#define FA_SANDBOX_INMATE_H

#include "host/sandbox/sandbox.h"

/* Memory that the child shares with its parent: how far it came. */
typedef struct fa_inmate_report {
    const char *failed; /* a step, a text that both processes have; NULL: the program was started */
    int error;          /* its errno */
    int status;         /* as waitpid gives it */
    unsigned missing;
} fa_inmate_report;

/* In a new child: goes into the sandbox and becomes a process that waits for the program there. The descriptors are standard input,
 * output and error of the program; `folder` exists and is empty. */
_Noreturn void fa_inmate(const fa_sandbox_program *program, const fa_sandbox_limits *limits, const char *folder,
                         const int descriptors[3], fa_inmate_report *report);

/* For the process that will become the program: no system call of its own or its children passes that is not needed. -1 and errno. */
int fa_fence_calls(void);

/* Likewise: reads from where programs and libraries are, writes below `folder`. 1 where the system has no Landlock; -1 and errno. */
int fa_fence_paths(const char *folder);

#endif
