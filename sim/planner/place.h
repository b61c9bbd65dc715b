/* Layers and experts of a model over the boards of one host: what `fathom plan --emit` writes. */
#ifndef FA_SIM_PLANNER_PLACE_H
#define FA_SIM_PLANNER_PLACE_H

#include "boards/placement.h"
#include "sim/planner/plan.h"

typedef struct fa_place_request {
    const fa_plan_request *q; /* boards, hosts.nodes, batch and context of the caches */
    const double
        *visits; /* [layers, experts] how often a trace's tokens visited each; NULL: by q->routes, popular ones first */
    int32_t copies; /* experts of a layer that may get a second board; -1: an eighth, as far as memory goes */
} fa_place_request;

/* How well it is balanced. */
typedef struct fa_placed_load {
    double least_bytes, most_bytes, room; /* of a board: weights and cache; what it has */
    double busiest; /* share of the busiest board in a layer's visits, mean over layers; 1 / boards at best */
    double worst;   /* the same of the worst layer */
    int32_t copies; /* experts with two boards, over all layers */
} fa_placed_load;

/* Layers follow one another in runs, so that a step changes boards seldom. Experts of a layer are as many on each board, the most visited
 * first to where the least time of the layer goes so far: reading them, and the way to another board and another node. The hottest
 * are on two boards, each for half of the visits. FA_ELIMIT when it does not fit, FA_ENOMEM. The caller frees with fa_board_placement_free
 * in every case; shape and model are left to it. */
fa_status fa_place_model(fa_board_placement *out, fa_placed_load *load, const fa_place_request *r, fa_error *e);

#endif
