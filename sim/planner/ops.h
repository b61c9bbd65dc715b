/* What a model's pass asks of the boards: the ops of each kind of layer as shapes, in the order of host/model/transformer.c.
 * No weights and no time: step.h puts rows, boards and cycles to it. */
#ifndef FA_SIM_PLANNER_OPS_H
#define FA_SIM_PLANNER_OPS_H

#include "hls/cost.h"
#include "host/backend/kv.h"
#include "host/model/config.h"

typedef enum fa_plan_op_kind {
    FA_PLAN_MATMUL = 0, /* weight [outputs, inputs] */
    FA_PLAN_EXPERTS,    /* routed experts: [inner = outputs, hidden = inputs] three times each */
    FA_PLAN_MLP,        /* a dense MLP or the shared experts: one expert that every row takes */
    FA_PLAN_ATTENTION,  /* MLA (with kv_b) or GQA */
    FA_PLAN_ROWWISE,    /* norm, rope, add, store: `outputs` values read and written in all for each row */
} fa_plan_op_kind;

/* How several boards share an op so that no sum is cut (docs/numerics.md: the same bits). */
typedef enum fa_share {
    FA_SHARE_ALL = 0, /* each board does all of it */
    FA_SHARE_OUTPUTS, /* each board has its share of the outputs (heads are outputs too) */
    FA_SHARE_EXPERTS, /* each board has its share of the experts, whole */
    FA_SHARE_ONE,     /* one board does it, as if it were an expert more */
} fa_share;

/* What the host does before an op when boards share the work, or always. */
typedef enum fa_host_part {
    FA_HOST_NOTHING = 0,
    FA_HOST_GATHER, /* brings the boards' shares of the op before together and gives all to each */
    FA_HOST_ROUTE,  /* reads the router's scores and chooses experts */
    FA_HOST_SUM,    /* adds up what the boards' experts gave, in the order of the routes, and gives the sum to each */
} fa_host_part;

typedef struct fa_plan_op {
    const char *name;
    fa_plan_op_kind kind;
    fa_share share;
    fa_host_part before;
    hls_weight type;
    int64_t outputs, inputs;
    int64_t vectors; /* parameters of norms and biases, kept as FP32 */
} fa_plan_op;

enum { FA_PLAN_OPS_MOST = 24 };
typedef struct fa_plan_ops {
    fa_plan_op item[FA_PLAN_OPS_MOST];
    int n;
} fa_plan_ops;

/* The types that weights have on a board; embeddings stay in the host's memory. */
typedef struct fa_weight_types {
    hls_weight linear; /* all that a released FP8 checkpoint keeps in FP8 */
    hls_weight other;  /* router and head, which stay in BF16 there */
} fa_weight_types;

/* One decoder layer; the last norm and the head; what a layer of multi-token prediction has besides a decoder layer. */
void fa_plan_layer_ops(fa_plan_ops *l, const fa_config *c, bool moe, fa_weight_types types);
void fa_plan_head_ops(fa_plan_ops *l, const fa_config *c, fa_weight_types types);
void fa_plan_join_ops(fa_plan_ops *l, const fa_config *c, fa_weight_types types);

/* Parameters of an op: of routed experts all, or with `active` those of one token. */
double fa_plan_op_parameters(const fa_config *c, const fa_plan_op *w, bool active);
/* Bytes of the op's weights on boards, block scales included. */
double fa_plan_op_bytes(const fa_config *c, const fa_plan_op *w);

/* Parameters of the whole model with its embedding, without layers of multi-token prediction. */
double fa_model_parameters(const fa_config *c, bool active);

/* The cache of one layer: .row_bytes of a position, .layer_bytes of 64. */
fa_kv_layout fa_model_cache(const fa_config *c, fa_cache_type type);

#endif
