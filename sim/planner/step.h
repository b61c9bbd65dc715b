/* The time of one step of `rows` token positions through layers of a model, on `ways` boards that share each layer. */
#ifndef FA_SIM_PLANNER_STEP_H
#define FA_SIM_PLANNER_STEP_H

#include "sim/planner/launch.h"
#include "sim/planner/network.h"
#include "sim/planner/ops.h"
#include "sim/planner/routes.h"

/* The hosts that the boards sit in, and what joins them. */
typedef struct fa_hosts {
    int32_t boards_per_host;
    double watts, usd;       /* of one host, its boards not counted */
    int32_t nodes;           /* NUMA nodes of a host; boards are spread over them */
    double node_bytes_per_s; /* reading it, shared by the boards of the node */
    double far_share;        /* of that, what is left when a board's experts lie on another node */
    fa_network network;
    double route_s;         /* choosing the experts of one row of one layer */
    double sum_bytes_per_s; /* adding up experts' outputs */
} fa_hosts;

typedef struct fa_plan_step {
    const fa_config *model;
    const fa_board *board;
    const fa_hosts *hosts;
    const fa_routes *routes; /* NULL without experts */
    const fa_load *load;     /* of the layers at hand, where it is known; NULL: what is expected of `routes` */
    fa_weight_types types;
    fa_cache_type cache;
    bool w8a8;
    int32_t ways;     /* boards that share a layer */
    int32_t rows;     /* token positions */
    double context;   /* cached positions that a row sees, mean */
    double logits;    /* rows whose logits are wanted */
    int32_t resident; /* of a layer's experts, those in the boards' memory */
    /* Other designs than ours, whose codes are not FP8 (sim/validation): */
    int32_t code_bits; /* of a code on its way to the lanes; 0: 8 */
    double code_bytes; /* of a code in memory, scales and padding included; 0: as hls/layout.h */
    bool on_chip;      /* activations never go to memory */
} fa_plan_step;

/* What a run of ops takes. Seconds add up because each op waits for the one before. Bytes, work and joules are those of all
 * `ways` boards together. */
typedef struct fa_spent {
    double seconds, by[FA_LIMIT_COUNT]; /* by[] adds up to seconds */
    double cycles;                      /* of the busiest unit's kernels */
    double weight_bytes, io_bytes, link_bytes;
    double unit_seconds;  /* in which a unit works, over units and boards */
    double first_seconds; /* of these, those of ops that run on a board's first unit alone */
    double product_seconds,
        product_bytes; /* kernels of products with weights, attention not counted: busiest unit; read */
    double macs_fp8, macs_fp32;
    double launches; /* on the busiest unit */
    double joules;   /* above rest */
} fa_spent;

void fa_spent_add(fa_spent *to, const fa_spent *more, double times);

/* Called for each op with its start (s, from the list's) and what it took alone; for timelines. */
typedef void fa_plan_step_watch(void *ctx, const fa_plan_op *w, double start, const fa_spent *spent);

/* Adds one pass over a list of ops. `watch` may be NULL. */
void fa_plan_step_ops(const fa_plan_step *s, const fa_plan_ops *list, fa_spent *spent, fa_plan_step_watch *watch,
                      void *ctx);

/* The rows' hidden vectors from the host or the boards before to these boards; the logits to the host. */
void fa_plan_step_enter(const fa_plan_step *s, bool from_boards, fa_spent *spent);
void fa_plan_step_leave(const fa_plan_step *s, fa_spent *spent);

/* Bytes that a list's weights take on the fullest of the boards that share it, and in their host's memory (absent experts). */
double fa_plan_step_board_bytes(const fa_plan_step *s, const fa_plan_ops *list);
double fa_plan_step_host_bytes(const fa_plan_step *s, const fa_plan_ops *list);

#endif
