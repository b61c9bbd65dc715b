/* fathom_gqa: see kernels.h. For each row and kv head, all query heads of its group go through the pages together. */
#include "hls/args.h"
#include "hls/attend.h"
#include "hls/copy.h"
#include "hls/kernels.h"

/* The query heads of one kv head over the positions of a row. */
static void attend_group(const hls_word *pool, const int32_t *table, hls_pages pages, int32_t heads, float scale,
                         const hls_word query[HLS_MAX_HEADS][HLS_KEY_WORDS],
                         hls_word out[HLS_MAX_HEADS][HLS_VALUE_WORDS]) {
    float m[HLS_MAX_HEADS], l[HLS_MAX_HEADS];
#pragma HLS ARRAY_PARTITION variable = m cyclic factor = HLS_EXP_UNITS
#pragma HLS ARRAY_PARTITION variable = l cyclic factor = HLS_EXP_UNITS
    const int32_t words = (pages.a.n + 15) / 16;
    hls_attend_begin(heads, m, l);
    hls_attend_pages(pool, table, pages, heads, words, words, scale, query, m, l, out);
    for (int32_t h = 0; h < heads; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
        hls_attend_end(pages.a.n, l[h], out[h], out[h]);
    }
}

void HLS_SHARED(fathom_gqa)(const hls_word *q, hls_word *y, const hls_word *pool, const int32_t *table, int64_t q_first,
                            int64_t ldq, int64_t y_first, int64_t ldy, int64_t kv_first, int64_t page_units,
                            int32_t rows, int32_t heads, int32_t kv_heads, int32_t kv_head_first, int32_t head_dim,
                            float scale, int32_t row_units, int32_t a_type, int32_t a_at, int32_t a_scales,
                            int32_t b_type, int32_t b_at, int32_t b_scales) {
#pragma HLS INTERFACE m_axi port = q bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = y bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = pool bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = table bundle = table offset = slave
#pragma HLS INTERFACE s_axilite port = return
    hls_word query[HLS_MAX_HEADS][HLS_KEY_WORDS], out[HLS_MAX_HEADS][HLS_VALUE_WORDS];
#pragma HLS AGGREGATE variable = out
#pragma HLS AGGREGATE variable = query
#pragma HLS ARRAY_PARTITION variable = query cyclic factor = HLS_GROUPS dim = 1
#pragma HLS ARRAY_PARTITION variable = out cyclic factor = HLS_GROUPS dim = 1
#pragma HLS BIND_STORAGE variable = query type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = out type = ram_2p impl = uram
    const int32_t group = heads / kv_heads;
    for (int32_t t = 0; t < rows; t++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
        for (int32_t k = 0; k < kv_heads; k++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 32
            int32_t first = (kv_head_first + k) * head_dim;
            hls_part key = {a_type, a_at, a_scales, first, head_dim}, value = {b_type, b_at, b_scales, first, head_dim};
            for (int32_t h = 0; h < group; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
                hls_load(query[h], (head_dim + 15) / 16, q, q_first + t * ldq + (int64_t)(k * group + h) * head_dim,
                         head_dim);
            }
            hls_pages pages = {kv_first, page_units, row_units, table[2 * t], key, value, 0};
            attend_group(pool, &table[table[2 * t + 1]], pages, group, scale, query, out);
            for (int32_t h = 0; h < group; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
                hls_copy(y, y_first + t * ldy + (int64_t)(k * group + h) * head_dim, out[h], 0, head_dim);
            }
        }
    }
}
