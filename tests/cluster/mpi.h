/* What tests with Open MPI share. */
#ifndef FA_TESTS_CLUSTER_MPI_H
#define FA_TESTS_CLUSTER_MPI_H

#include <stdlib.h>

#include "host/cluster/cluster.h"
#include "tests/lib/check.h"

/* Skips the case without Open MPI; lets it start as root, in which tests may run. */
static inline void check_mpi(void) {
    if (system("command -v mpirun >/dev/null")) check_skip("there is no mpirun (openmpi-bin)");
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
}

/* The folder that was built into. */
static inline const char *check_build(void) {
    const char *build = getenv("FATHOM_BUILD");
    return build && *build ? build : "build";
}

#endif
