/* Processes as /proc shows them: who was started by whom. */
#ifndef FA_TESTS_PROCESSES_H
#define FA_TESTS_PROCESSES_H

#include <stdbool.h>
#include <sys/types.h>

/* The children of a process that have not ended, [max]; returns how many there are. */
int check_children(pid_t parent, pid_t *children, int max);

/* Whether a process is there and has not ended. */
bool check_alive(pid_t pid);

/* The device model of the first emulated card that this process has open; 0: there is none now. */
pid_t check_device_model(void);

#endif
