/* Many builds, numbers of boards, contexts and batches of one model and board: which are worth having. */
#ifndef FA_SIM_PLANNER_EXPLORE_H
#define FA_SIM_PLANNER_EXPLORE_H

#include "sim/planner/plan.h"

/* The values to try; a list of 0 entries keeps what the request says. */
enum { FA_SWEEP_VALUES = 32 };
typedef struct fa_sweep {
    int32_t value[FA_SWEEP_VALUES];
    int n;
} fa_sweep;

typedef struct fa_space {
    fa_sweep units, ports, rows, lanes_fp32, boards, context, batch;
} fa_space;

typedef struct fa_point {
    fa_board_build build;
    int32_t boards, context, batch;
    double use; /* the largest share of a resource of the part that the build takes of what it may fill */
    bool front; /* no point of the same context is better in tokens/s, J/token and the machines' price at once */
    fa_plan plan;
} fa_point;

typedef struct fa_explored {
    fa_point *point; /* [n], in the order of the sweep, the last list running fastest */
    int64_t n;
    int64_t tried, refused_build, refused_memory; /* combinations: all; that do not fit the part; the boards' memory */
} fa_explored;

/* FA_EINVAL: more than a million combinations; FA_ELIMIT: none is possible, with the reason of the last. `progress` may be
 * NULL. The caller frees with fa_explored_free in every case. */
fa_status fa_explore(fa_explored *x, const fa_plan_request *q, const fa_space *space,
                     void (*progress)(void *ctx, int64_t done, int64_t total), void *ctx, fa_error *e);
void fa_explored_free(fa_explored *x);

#endif
