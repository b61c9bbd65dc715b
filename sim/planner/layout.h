/* Which layers go to which group of boards, and what memory that takes. Private to sim/planner. */
#ifndef FA_SIM_PLANNER_LAYOUT_H
#define FA_SIM_PLANNER_LAYOUT_H

#include "sim/planner/plan.h"

enum { FA_PLAN_LAYERS = 1024 + 16 };

/* The kinds of lists that a pass consists of. */
typedef struct fa_lists {
    fa_plan_ops dense, moe, head, join;
} fa_lists;

void fa_lists_of(fa_lists *l, const fa_plan_request *q);

/* Bytes on the fullest board of a group. Weights: of a layer of each kind; ends: of the head, and of the layer of multi-token
 * prediction where drafts are wanted. Cache: of a layer; end_cache: of that layer. */
typedef struct fa_layer_bytes {
    double dense, moe, ends;
    double cache, end_cache;
} fa_layer_bytes;

/* Of a layer of each kind; of what follows the last; of what comes before the first stage, and before every other one. */
typedef struct fa_layer_seconds {
    double dense, moe, ends, enter, hop;
} fa_layer_seconds;

/* What a board may hold: weights lie in the banks of the weight ports alone, the cache in what is left of the kind of memory that the io
 * ports use. */
typedef struct fa_capacity {
    double weights, cache, both;
} fa_capacity;

typedef struct fa_layout {
    int32_t stages;
    int32_t first[FA_PLAN_LAYERS + 1]; /* first layer of each stage; first[stages] = layers */
    double board_bytes;                /* of the fullest board, weights and cache */
} fa_layout;

/* The bytes for groups of `ways` boards with `sequences` sequences in the caches, `resident` experts of a layer kept. */
fa_layer_bytes fa_layout_bytes(const fa_plan_request *q, const fa_lists *l, int32_t ways, int32_t sequences,
                               int32_t resident);

fa_capacity fa_layout_capacity(const fa_board *b);

/* Spreads the layers over at most `stages` groups so that all fit and the slowest stage is as fast as it can be, over as few as do for
 * that. False when they do not fit. */
bool fa_layout_make(fa_layout *out, const fa_plan_request *q, const fa_layer_bytes *bytes, int32_t stages,
                    const fa_layer_seconds *seconds);

/* The fewest stages that hold everything; 0: a single layer is too large. */
int32_t fa_layout_stages(const fa_plan_request *q, const fa_layer_bytes *bytes);

#endif
