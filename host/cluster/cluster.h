/* The engine's side of a cluster: a job of ranks that mpirun starts and that runs the model's passes. The engine is no rank: it outlives
 * the job, answers for it when it breaks, and starts it again. */
#ifndef FA_CLUSTER_CLUSTER_H
#define FA_CLUSTER_CLUSTER_H

#include "host/cluster/wire.h"

typedef struct fa_cluster_options {
    const char *mode;   /* expert, pipeline, both, both:STAGES */
    int32_t ranks;      /* 0: 2 */
    const char *launch; /* what starts ranks, with its options and spaces between them; NULL: mpirun on this machine */
} fa_cluster_options;

/* Where mpirun has started this very process as one of the ranks: which one, and of how many. */
typedef struct fa_cluster_self {
    bool started; /* by mpirun */
    int32_t rank, ranks;
} fa_cluster_self;
fa_cluster_self fa_cluster_find_self(void);
/* The path of fathom-rank. FA_EUNSUPPORTED when this build has none. */
fa_status fa_cluster_program(char path[PATH_MAX], fa_error *e);

/* A backend that has no memory and does no ops: passes run elsewhere. FA_EINVAL names the option, FA_EUNSUPPORTED says that this
 * build has no fathom-rank. Nothing is started yet. The caller closes. */
fa_status fa_cluster_open(fa_backend **out, const fa_cluster_options *options, fa_error *e);

/* Who runs the passes of a model that is opened with `backend`; borrowed from it. */
fa_remote *fa_cluster_remote(fa_backend *backend);

/* Starts the job and waits until every rank has its part of the model. `setup` is copied; version and mode are filled in. */
fa_status fa_cluster_start(fa_backend *backend, const fa_cluster_setup *setup, fa_error *e);

/* False when the job has ended and cannot be started again, because this process is a part of it. */
bool fa_cluster_lives(const fa_backend *backend);

#endif
