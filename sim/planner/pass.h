/* One pass of rows through all layers of a model that is split over boards. Private to sim/planner. */
#ifndef FA_SIM_PLANNER_PASS_H
#define FA_SIM_PLANNER_PASS_H

#include "sim/planner/layout.h"

/* Of one pass: a layer of each kind, and what comes before, between stages and at the end. */
typedef struct fa_parts {
    fa_spent dense, moe, enter, hop, end;
    bool made;
} fa_parts;

/* A request with what is the same for many passes. */
typedef struct fa_planner {
    const fa_plan_request *q;
    fa_lists lists;
    fa_split split;
    int32_t resident, moe_layers;
    fa_layer_bytes bytes;
    fa_layout layout;
    fa_parts *known; /* of decoding with known_ways and known_resident, by size of group; NULL: none are kept */
    int32_t known_ways, known_resident;
} fa_planner;

typedef struct fa_pass {
    fa_spent total;
    double slowest; /* stage, s */
} fa_pass;

fa_layer_seconds fa_pass_seconds(const fa_parts *t);

int32_t fa_moe_layers(const fa_config *c);

/* `rows` rows that see `context` positions each; logits of `logits` of them. */
fa_plan_step fa_pass_step(const fa_planner *p, int32_t rows, double context, double logits);

/* drafting: sequences that want drafts. */
fa_parts fa_pass_parts(const fa_planner *p, const fa_plan_step *s, int32_t drafting);
void fa_pass_drafts(const fa_planner *p, const fa_plan_step *s, int32_t sequences, fa_spent *spent);

/* All stages of p->layout. */
fa_pass fa_pass_sum(const fa_planner *p, const fa_parts *t);

/* The planner of a plan that was made, with its layout; `copy` becomes its request. decode: the parts of its step. False when the plan is
 * not one of this request. */
bool fa_planner_again(fa_planner *p, fa_plan_request *copy, const fa_plan_request *q, const fa_plan *plan,
                      fa_parts *decode);

/* What takes most of `seconds`, and its share. */
void fa_limit_largest(const double by[FA_LIMIT_COUNT], double seconds, fa_limit *limit, double *share);

#endif
