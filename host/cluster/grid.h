/* Which rank of a cluster holds what, from the mode and the model alone: every rank computes it, and the handshake compares.
 *
 * Ranks stand in stages, one behind the other; a stage has a run of layers, and its ranks divide the routed experts of these layers
 * and the rows of a step. "expert" is one stage, "pipeline" one rank a stage, "both" a grid. */
#ifndef FA_CLUSTER_GRID_H
#define FA_CLUSTER_GRID_H

#include "host/model/model.h"

typedef struct fa_grid {
    int32_t ranks;  /* that were started; those behind the last stage have nothing to do */
    int32_t active; /* that are in a stage */
    int32_t stages;
    int32_t layers, experts; /* of the model */
} fa_grid;

/* Where one rank stands. */
typedef struct fa_seat {
    bool idle;
    int32_t stage;
    int32_t first, size; /* the ranks of its stage: first .. first + size - 1 */
    int32_t index;       /* of it in its stage */
    fa_model_part part;
} fa_seat;

/* mode: "expert", "pipeline", "both" or "both:STAGES". FA_EINVAL names what is wrong with it. A pipeline has no more stages than the
 * model has layers. */
fa_status fa_grid_make(fa_grid *p, const char *mode, int32_t ranks, const fa_config *c, fa_error *e);

/* mtp: the MTP layer is loaded; it lies in the last stage. */
fa_seat fa_grid_seat(const fa_grid *p, int32_t rank, bool mtp);
int32_t fa_grid_stage_first(const fa_grid *p, int32_t stage);

/* The rank of a stage of `size`, counted in it, that holds an expert. */
int32_t fa_grid_owner(int32_t experts, int32_t size, int32_t expert);

/* Rows of a step of `rows` over a stage of `size`: the first one of rank `index` (index == size: rows), and whose row `row` is. A single
 * row is the first rank's. */
int32_t fa_grid_first_row(int32_t rows, int32_t size, int32_t index);
int32_t fa_grid_row_owner(int32_t rows, int32_t size, int32_t row);

/* Changes when anything does that ranks must agree on. */
uint64_t fa_grid_hash(const fa_grid *p);

#endif
