/* The parts of fathom_mla's cost, for launches whose weights lie otherwise than kv_b's. */
#ifndef HLS_COST_ATTENTION_H
#define HLS_COST_ATTENTION_H

#include "hls/cost.h"

/* Shapes and places of the weights; names as in host/backend/backend.h (fa_mla). */
typedef struct hls_mla_shape {
    hls_weight k_type, v_type;
    int64_t heads, nope, rope, v, rank;
    int64_t k_first, k_stride, v_first, v_stride;
    int k_transposed;
} hls_mla_shape;

/* Everything but the pages, of a launch of `rows` rows. */
hls_cost hls_cost_mla_weights(const hls_build *b, const hls_mla_shape *m, int64_t rows);
/* The pages of rows with `context` positions each. */
hls_cost hls_cost_mla_pages(const hls_build *b, const hls_mla_shape *m, int32_t row_bytes, int64_t rows,
                            double context);

#endif
