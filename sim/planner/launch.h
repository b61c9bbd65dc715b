/* What time is spent on: names for the parts of a launch whose seconds sim/device/time.h computes. */
#ifndef FA_SIM_PLANNER_LAUNCH_H
#define FA_SIM_PLANNER_LAUNCH_H

#include "boards/board.h"
#include "hls/cost.h"

/* A plan's bottleneck is the one with the largest share of the time. */
typedef enum fa_limit {
    FA_LIMIT_WEIGHTS = 0, /* weights streaming from their banks */
    FA_LIMIT_IO,          /* activations and cache through the io port */
    FA_LIMIT_MATMUL,      /* pipelines of matmul and experts */
    FA_LIMIT_ATTENTION,   /* pipelines of attention */
    FA_LIMIT_ROWWISE,     /* pipelines of norms, rope, additions */
    FA_LIMIT_LATENCY,     /* first words of bursts */
    FA_LIMIT_LAUNCH,      /* starting kernels */
    FA_LIMIT_LINK,        /* between host and boards */
    FA_LIMIT_NETWORK,     /* between hosts */
    FA_LIMIT_HOST,        /* the host's own work */
    FA_LIMIT_FETCH,       /* experts from the host's memory */
    FA_LIMIT_COUNT
} fa_limit;

/* "weight banks", "kernel launches", ...; never NULL. */
const char *fa_limit_name(fa_limit l);

/* The parts of one launch on one unit, added to by[]; their sum is the launch's seconds: starting it, the longest of its streams
 * and pipelines (`pipelines` says which kind those are), and the latency that nothing hides. Returns the sum. */
double fa_launch_parts(const fa_board *board, const hls_cost *cost, fa_limit pipelines, double by[FA_LIMIT_COUNT]);

#endif
