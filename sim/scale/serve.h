/* Requests on boards: a queue before replicas of a plan, whose steps take what the planner's model of the board says. Event by
 * event, the same for the same requests. docs/scale.md describes the model. */
#ifndef FA_SIM_SCALE_SERVE_H
#define FA_SIM_SCALE_SERVE_H

#include "sim/planner/timer.h"
#include "sim/scale/arrivals.h"

typedef struct fa_serve_options {
    double seconds;  /* requests come until then; speeds are means over this time */
    int32_t running; /* sequences at a time, all replicas together; 0: the plan's batch */
    int64_t queue;   /* requests that may wait; those beyond are refused. Below 0: as many as run */
    bool reuse;      /* positions that an earlier request cached are there */
    double first_s,
        token_s; /* a good answer: first token within, then no more than this for each in the mean; 0: any */
    void (*progress)(void *ctx, double seconds, double of);
    void *progress_ctx;
} fa_serve_options;

/* Of many values. */
typedef struct fa_spread {
    int64_t n;
    double mean, p50, p99, most;
} fa_spread;

typedef struct fa_served {
    int64_t arrived, refused, too_long, finished, good; /* arrived = refused + too_long + finished */
    int64_t prompt_tokens, output_tokens;          /* computed before options.seconds; cached positions not counted */
    double good_requests_per_s, good_tokens_per_s; /* goodput: of good answers, all that arrived */
    double output_tokens_per_s, prompt_tokens_per_s;
    fa_spread first;            /* s from arriving to the first token */
    fa_spread token;            /* s between two tokens of a sequence */
    fa_spread waiting;          /* s in the queue */
    fa_spread stay;             /* s from arriving to the last token */
    double last_s;              /* when the last answer ended */
    double in_system, in_queue; /* requests, mean over 0 .. last_s */
    double busy;                /* share of options.seconds in which stage 0 worked, mean over replicas */
    double weight_bytes_per_s, io_bytes_per_s;       /* read and written by all boards, mean over 0 .. last_s */
    double watts, joules_per_token, usd_per_million; /* of output tokens, over options.seconds */
    int64_t steps;
    int64_t positions; /* that one replica's caches hold */
} fa_served;

/* FA_ENOMEM; FA_EINVAL for options out of range; what fa_timer_open says. */
fa_status fa_serve(fa_served *out, const fa_plan_request *q, const fa_plan *plan, const fa_arrivals *arrivals,
                   const fa_serve_options *o, fa_error *e);

#endif
