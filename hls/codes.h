/* Rules 1 and 2: a weight of codes times up to HLS_ROWS quantised rows. */
#ifndef HLS_CODES_H
#define HLS_CODES_H

#include "hls/fp8.h"
#include "hls/result.h"

/* The sum of the 64 products of two words of codes, in 8ths. */
HLS_LANES static int32_t hls_word_dot(const hls_word *w, const hls_word *a) {
#pragma HLS INLINE
    int32_t sum = 0;
    for (int i = 0; i < 16; i += 2) { /* neighbours are in two lanes, at the same byte */
#pragma HLS UNROLL
        for (int byte = 0; byte < 32; byte += 8) {
#pragma HLS UNROLL
            sum += hls_pair_8ths(w->lane[i] >> byte & 255u, a->lane[i] >> byte & 255u, w->lane[i + 1] >> byte & 255u,
                                 a->lane[i + 1] >> byte & 255u);
        }
    }
    return sum;
}

/* One word of each port: the 64 products of each with every row's word, and at the end of a block rule 2. Entry g of `sum` and
 * `acc` comes back after 16 words, more than an adder's latency. */
static inline void hls_code_step(const hls_word word[HLS_PORTS], int32_t c, int32_t g, int32_t rows,
                                 const hls_word codes[HLS_ROWS][HLS_CODE_WORDS],
                                 const float scale_x[HLS_ROWS][HLS_MAX_BLOCKS],
                                 const float scale_w[HLS_PORTS][HLS_MAX_BLOCKS],
                                 int32_t sum[HLS_ROWS][HLS_PORTS][HLS_TILE], float acc[HLS_ROWS][HLS_PORTS][HLS_TILE]) {
#pragma HLS INLINE
    for (int r = 0; r < HLS_ROWS; r++) {
#pragma HLS UNROLL
        for (int p = 0; p < HLS_PORTS; p++) {
#pragma HLS UNROLL
            if (r >= rows) continue;
            int32_t dot = hls_word_dot(&word[p], &codes[r][c]);
            if (c % 2 == 0) {
                sum[r][p][g] = dot;
            } else {
                float before = c == 1 ? 0.0f : acc[r][p][g];
                acc[r][p][g] = hls_block_add(before, sum[r][p][g] + dot, scale_x[r][c / 2], scale_w[p][c / 2]);
            }
        }
    }
}

/* Streams `groups` groups of tiles from word `at` of every port. One loop over all words, so that the pipeline fills once.
 * cost.c: pass_cycles with HLS_E4M3 and w8a8. */
static void hls_multiply_codes(HLS_PORT_PARAMS int64_t at, int32_t groups, int32_t inputs, int32_t rows,
                               const hls_word codes[HLS_ROWS][HLS_CODE_WORDS],
                               const float scale_x[HLS_ROWS][HLS_MAX_BLOCKS],
                               HLS_STREAM_PARAM(hls_result, results, HLS_RESULTS)) {
    const int32_t scale_words = hls_scale_words(HLS_E4M3, inputs), row_words = hls_row_words(HLS_E4M3, inputs);
    const int32_t tile_words = hls_tile_words(HLS_E4M3, inputs);
    int32_t sum[HLS_ROWS][HLS_PORTS][HLS_TILE];
    float acc[HLS_ROWS][HLS_PORTS][HLS_TILE], scale_w[HLS_PORTS][HLS_MAX_BLOCKS];
#pragma HLS ARRAY_PARTITION variable = sum complete dim = 1
#pragma HLS ARRAY_PARTITION variable = sum complete dim = 2
#pragma HLS ARRAY_PARTITION variable = acc complete dim = 1
#pragma HLS ARRAY_PARTITION variable = acc complete dim = 2
#pragma HLS ARRAY_PARTITION variable = scale_w complete dim = 1
#pragma HLS ARRAY_PARTITION variable = scale_w cyclic factor = 16 dim = 2
#pragma HLS DEPENDENCE variable = sum inter distance = 16 true
#pragma HLS DEPENDENCE variable = acc inter distance = 16 true
    int32_t k = 0, group = 0;
    for (int64_t i = 0; i < (int64_t)groups * tile_words; i++) {
#pragma HLS PIPELINE II = HLS_WORD_CYCLES
#pragma HLS LOOP_TRIPCOUNT min = 64 max = 262144
        hls_word word[HLS_PORTS];
#pragma HLS AGGREGATE variable = word
#pragma HLS ARRAY_PARTITION variable = word complete
#define HLS_LOAD(p) word[p] = w##p[at + i];
        HLS_EACH_PORT(HLS_LOAD)
#undef HLS_LOAD
        if (k < scale_words) {
            for (int p = 0; p < HLS_PORTS; p++) {
#pragma HLS UNROLL
                for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
                    scale_w[p][16 * k + lane] = hls_float(word[p].lane[lane]);
                }
            }
        } else {
            int32_t c = (k - scale_words) / HLS_TILE, g = (k - scale_words) % HLS_TILE;
            hls_code_step(word, c, g, rows, codes, scale_x, scale_w, sum, acc);
            if (c == row_words - 1) {
                hls_result result;
                for (int r = 0; r < HLS_ROWS; r++) {
#pragma HLS UNROLL
                    for (int p = 0; p < HLS_PORTS; p++) {
#pragma HLS UNROLL
                        result.value[r][p] = r < rows ? acc[r][p][g] : 0.0f;
                    }
                }
                HLS_PUT(results, group * HLS_TILE + g, result);
            }
        }
        int end = k == tile_words - 1;
        k = end ? 0 : k + 1;
        group = end ? group + 1 : group;
    }
}

#endif
