/* The choice of experts, made on the host from the router's scores. */
#ifndef FA_MODEL_ROUTER_H
#define FA_MODEL_ROUTER_H

#include <stdint.h>

#include "host/model/config.h"

/* Floats of scratch that fa_route needs. */
int64_t fa_route_scratch(const fa_config *c);

/* Routes each of `rows` rows of logits [rows, experts] to top_k experts: ids [rows, top_k] rising within a
 * row, with their weights [rows, top_k]. `bias` [experts] is added to the scores for the choice alone; NULL:
 * none. Every row gets top_k different ids in range whatever its logits; NaN logits give NaN weights. FP32 in
 * a fixed order (rules 3 and 5 of docs/numerics.md), so a row's route depends on its logits alone.
 *
 * Methods (DeepSeek-V2 arXiv 2405.04434 section 2.1.2, V3 arXiv 2412.19437 section 2.1.2, and their modeling
 * code): greedy         the top_k best scores group-limited  ... within the top_groups groups with the best
 * single score noaux          ... within the top_groups groups with the best sum of two, all by score + bias;
 * weights without bias Weights are the scores, divided by their sum + 1e-20 where norm_topk says so, times
 * routed_scale. The lower id wins a tie. */
void fa_route(const fa_config *c, const float *bias, const float *logits, int32_t rows, float *scratch, int32_t *ids,
              float *weights);

#endif
