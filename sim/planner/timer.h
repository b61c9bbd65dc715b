/* What the steps of a plan take when their rows are not those that it was made for: any number of rows, prompts' among them, at any
 * context. Looked up in a grid of passes that fills as it is asked, linearly between its points. */
#ifndef FA_SIM_PLANNER_TIMER_H
#define FA_SIM_PLANNER_TIMER_H

#include "sim/planner/plan.h"

typedef struct fa_timer fa_timer;

typedef struct fa_timed_step {
    int32_t rows;   /* token positions */
    double context; /* cached positions that they see, over all rows */
    int32_t logits; /* rows whose logits are wanted */
} fa_timed_step;

/* Of one step, all boards of the replica together. */
typedef struct fa_timed {
    double joules, weight_bytes, io_bytes;
} fa_timed;

/* q and everything it points to stay until close. FA_EUNSUPPORTED for a request with drafts, FA_EINVAL for a plan that is not of
 * this request, FA_ENOMEM. The caller closes. */
fa_status fa_timer_open(fa_timer **t, const fa_plan_request *q, const fa_plan *plan, fa_error *e);
void fa_timer_close(fa_timer *t);

int32_t fa_timer_stages(const fa_timer *t);

/* Positions that the caches of one replica hold beside its weights, in whole pages of 64. */
int64_t fa_timer_positions(const fa_timer *t);

/* Seconds in each stage into stage_s[fa_timer_stages]. */
fa_timed fa_timer_step(fa_timer *t, const fa_timed_step *step, double *stage_s);

#endif
