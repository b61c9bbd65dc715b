/* The processes of a cluster as the engine holds them: mpirun, and through a socket rank 0. */
#ifndef FA_CLUSTER_JOB_H
#define FA_CLUSTER_JOB_H

#include <sys/types.h>

#include "host/cluster/cluster.h"

typedef struct fa_job {
    char program[PATH_MAX]; /* fathom-rank */
    char *launch;           /* words with spaces between them; NULL: fathom-rank itself */
    int32_t ranks;
    pid_t pid;  /* of mpirun; 0: none */
    int socket; /* with rank 0; -1: none */
    int log;    /* what they print; -1: goes where ours goes */
} fa_job;

/* FA_EUNSUPPORTED without fathom-rank, FA_EINVAL for a launch command without a word. */
fa_status fa_job_open(fa_job *j, const fa_cluster_options *options, fa_error *e);
void fa_job_close(fa_job *j);

/* Starts the processes and waits for rank 0 to connect. */
fa_status fa_job_start(fa_job *j, fa_error *e);

/* Ends what runs: asks, waits a little, kills. */
void fa_job_end(fa_job *j);

/* Rank 0 has closed: puts why into `e`, as far as mpirun tells within a second or two, and asks what still runs to end. */
void fa_job_bury(fa_job *j, fa_error *e);

/* True when rank 0 or mpirun has ended by itself. */
bool fa_job_has_ended(const fa_job *j);

#endif
