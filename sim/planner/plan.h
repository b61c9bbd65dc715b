/* What a model does on a number of boards: does it fit, how are the boards best used, how fast is it, what does a token cost.
 * Computed from shapes, board facts and the kernels' declared costs alone; docs/simulator.md describes the model. */
#ifndef FA_SIM_PLANNER_PLAN_H
#define FA_SIM_PLANNER_PLAN_H

#include "sim/planner/step.h"

/* What things cost and how long they last; defaults in fa_plan_defaults. */
typedef struct fa_prices {
    double years;       /* over which boards and hosts are paid */
    double utilisation; /* share of that time in which they serve */
    double usd_per_kwh;
    double cooling; /* watts at the meter for one in the machines */
} fa_prices;

typedef struct fa_plan_request {
    const fa_config *model;
    const fa_board *board;   /* with its build */
    const fa_routes *routes; /* NULL without experts */
    fa_hosts hosts;
    fa_prices prices;
    fa_weight_types types;
    fa_cache_type cache; /* what a position is kept as; with any_cache the first choice of f32, bf16, fp8 that fits */
    bool any_cache;
    bool w8a8;
    int32_t boards, batch; /* batch: sequences served at a time, all boards together */
    int32_t context;       /* positions of each sequence */
    int32_t prompt;        /* of these, the prompt's: for prefill and the time to the first token */
    int32_t chunk;         /* prompt rows of a step */
    int32_t draft;         /* tokens proposed by the MTP layer for each step; 0: none */
    double accept;         /* probability that a proposed token stands */
    bool offload;          /* experts that do not fit stay in the hosts' memory */
} fa_plan_request;

/* One board, one sequence, FP8, no drafts; model, board and routes are NULL. */
void fa_plan_defaults(fa_plan_request *q);

/* `replicas` of the model, each over `stages` groups of boards that hold layers one after the other, each group of `ways` boards
 * that share its layers. */
typedef struct fa_split {
    int32_t replicas, stages, ways;
} fa_split;

/* How busy things are over the time of decoding, means over all boards in use, 0..1. */
typedef struct fa_busy {
    double weight_banks, io_banks, units, macs_fp8, macs_fp32, link;
    double products; /* of the memory of all boards of a stage, while products with weights run */
} fa_busy;

typedef struct fa_plan {
    fa_split split;
    fa_cache_type cache;
    int32_t resident;                   /* of a layer's experts, those on the boards */
    double weights_bytes, cache_bytes;  /* of one replica */
    double board_bytes, board_capacity; /* of the fullest board */
    double host_bytes;                  /* experts in the hosts' memory, of one replica */

    int32_t group, groups;  /* sequences of a group that runs together; groups in flight in a replica */
    double tokens_per_step; /* of a sequence, above 1 with drafts */
    fa_spent pass;          /* one group through all stages */
    double slowest_stage_s;
    double round_s; /* in which every sequence in flight gets tokens_per_step */
    double decode_tokens_per_s, sequence_tokens_per_s;
    fa_limit bottleneck;
    double bottleneck_share;
    fa_busy busy;
    double bound_bytes_per_s, bound_tokens_per_s; /* reading what the pass reads at the banks' rate, and nothing else */

    double prefill_tokens_per_s, first_token_s;
    fa_limit prefill_bottleneck;
    double prefill_share;

    double watts, joules_per_token;
    double usd, usd_per_million, power_usd_per_million; /* of all machines; the second includes the third */
} fa_plan;

/* The best plan by decoded tokens/s. FA_ELIMIT when the model does not fit: the text has what is needed, what there is, and how
 * many boards are needed. FA_EINVAL names a field of the request that is out of range. */
fa_status fa_plan_make(fa_plan *p, const fa_plan_request *q, fa_error *e);

/* The plan for one split, as above. */
fa_status fa_plan_split(fa_plan *p, const fa_plan_request *q, fa_split split, fa_error *e);

/* All boards at rest, and their hosts. */
double fa_plan_rest_watts(const fa_plan_request *q);

/* What a token costs at `tokens_per_s` in all when the machines take `watts`: of the machines and their power, $ a million. */
void fa_plan_price(const fa_plan_request *q, double tokens_per_s, double watts, double *usd_per_million,
                   double *power_usd_per_million);

/* How busy each bank is (0 .. banks of all kinds - 1, by bytes over what the bank reads) and each unit of a board, means over all
 * boards in use. Weights lie evenly on the banks of their ports; a stage's MLPs lie on all units in turn. */
void fa_plan_banks_busy(const fa_plan_request *q, const fa_plan *p, double *banks);
void fa_plan_units_busy(const fa_plan_request *q, const fa_plan *p, double *units);

/* The fewest boards of one replica that hold model and cache; 0 when no number does. */
int32_t fa_plan_boards_needed(const fa_plan_request *q);

/* The ops of one group's pass through all stages, in order, each with its start (s). `layer`: -1 for the head. The ends meet the next
 * start, so their sum is the pass. */
typedef struct fa_plan_event {
    const char *name;
    int32_t layer, stage;
    double start, seconds;
    fa_limit limit; /* what takes most of it */
    const fa_spent *spent;
} fa_plan_event;
void fa_plan_walk(const fa_plan_request *q, const fa_plan *p, void (*each)(void *ctx, const fa_plan_event *event),
                  void *ctx);

#endif
