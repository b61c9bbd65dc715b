/* Rule 3: a weight of any type, its values in FP32, times up to HLS_ROWS rows in FP32. */
#ifndef HLS_ORDERED_H
#define HLS_ORDERED_H

#include "hls/fp8.h"
#include "hls/result.h"

/* Words of a row of x on chip in this kernel. */
#ifndef HLS_X_WORDS
#define HLS_X_WORDS HLS_ROW_WORDS
#endif

enum { HLS_CHUNK_COLUMNS = HLS_CHUNK / HLS_TILE };

/* Elements 16 sub .. 16 sub + 15 of a word as FP32; codes times their scale, one rounding. */
static inline void hls_word_values(const hls_word *word, int32_t type, int32_t sub, float scale, float value[16]) {
#pragma HLS INLINE
    if (type == HLS_F32) {
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            value[lane] = hls_float(word->lane[lane]);
        }
    } else if (type == HLS_BF16) {
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            value[lane] = hls_bf16_decode(word->lane[lane] >> 16 * sub & 0xFFFFu);
        }
    } else {
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            value[lane] = hls_e4m3_decode(word->lane[lane] >> 8 * sub & 0xFFu) * scale;
        }
    }
}

/* n words of every port. cost.c: chunk_cycles. */
static inline void hls_load_chunk(HLS_PORT_PARAMS int64_t at, int32_t n, hls_word chunk[HLS_CHUNK][HLS_PORTS]) {
#pragma HLS INLINE off
    for (int32_t i = 0; i < n; i++) {
#pragma HLS PIPELINE II = HLS_WORD_CYCLES
#pragma HLS LOOP_TRIPCOUNT min = 16 max = HLS_CHUNK
#define HLS_LOAD(p) chunk[i][p] = w##p[at + i];
        HLS_EACH_PORT(HLS_LOAD)
#undef HLS_LOAD
    }
}

/* The scales before a tile, of every port. */
static inline void hls_load_scales(HLS_PORT_PARAMS int64_t at, int32_t words, float scale[HLS_PORTS][HLS_MAX_BLOCKS]) {
#pragma HLS INLINE off
    for (int32_t i = 0; i < words; i++) {
#pragma HLS PIPELINE II = HLS_WORD_CYCLES
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 16
        hls_word word[HLS_PORTS];
#pragma HLS AGGREGATE variable = word
#define HLS_LOAD(p) word[p] = w##p[at + i];
        HLS_EACH_PORT(HLS_LOAD)
#undef HLS_LOAD
        for (int p = 0; p < HLS_PORTS; p++) {
#pragma HLS UNROLL
            for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
                scale[p][16 * i + lane] = hls_float(word[p].lane[lane]);
            }
        }
    }
}

/* 16 lanes: value * x added to the 16 partials, each multiply and each add one rounding. */
static inline void hls_add_products(const float value[16], const hls_word *x, float partial[16]) {
#pragma HLS INLINE
    for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
        float product = value[lane] * hls_float(x->lane[lane]);
        partial[lane] = partial[lane] + product;
    }
}

/* Multiplies the columns of a chunk, the first of which is column c0 of the tiles, for the ports p0 .. p0 + ports - 1. Each cycle
 * HLS_DOT_GROUPS pairs of row and port take 16 elements; the same sum comes back after the 16 outputs of the tile. cost.c: chunk_cycles. */
HLS_LANES static void hls_multiply_chunk(const hls_word chunk[HLS_CHUNK][HLS_PORTS], int32_t type, int32_t c0,
                                         int32_t columns, int32_t p0, int32_t ports, int32_t rows,
                                         const hls_word x[HLS_ROWS][HLS_X_WORDS],
                                         const float scale[HLS_PORTS][HLS_MAX_BLOCKS],
                                         float partial[HLS_DOT_GROUPS][HLS_DOT_SUMS][16]) {
#pragma HLS INLINE off
    const int32_t subs = hls_word_elements(type) / 16, pairs = rows * ports;
    for (int32_t c = 0; c < columns; c++)
        for (int32_t sub = 0; sub < subs; sub++)
            for (int32_t pair = 0; pair < pairs; pair += HLS_DOT_GROUPS)
                for (int32_t g = 0; g < HLS_TILE; g++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_FLATTEN
#pragma HLS LOOP_TRIPCOUNT min = HLS_TILE max = HLS_TILE
#pragma HLS DEPENDENCE variable = partial inter distance = 16 true
                    for (int q = 0; q < HLS_DOT_GROUPS; q++) {
#pragma HLS UNROLL
                        int32_t p = p0 + (pair + q) / rows, r = (pair + q) % rows;
                        if (pair + q >= pairs) continue;
                        float factor = type == HLS_E4M3 ? scale[p][(c0 + c) / 2] : 1.0f;
                        float value[16];
                        hls_word_values(&chunk[c * HLS_TILE + g][p], type, sub, factor, value);
                        hls_add_products(value, &x[r][(c0 + c) * subs + sub],
                                         partial[q][pair / HLS_DOT_GROUPS * HLS_TILE + g]);
                    }
                }
}

/* The sums of a group of tiles: first the trees of every pair of row and port, then one output of every
 * tile a cycle; zeros for what was not multiplied. */
static inline void hls_put_group(float partial[HLS_DOT_GROUPS][HLS_DOT_SUMS][16], int32_t group, int32_t p0,
                                 int32_t ports, int32_t rows, HLS_STREAM_PARAM(hls_result, results, HLS_RESULTS)) {
#pragma HLS INLINE
    float sum[HLS_DOT_GROUPS][HLS_DOT_TURNS][HLS_TILE];
#pragma HLS ARRAY_PARTITION variable = sum complete dim = 1
#pragma HLS ARRAY_PARTITION variable = sum complete dim = 2
    for (int32_t turn = 0; turn < HLS_DOT_TURNS && turn * HLS_DOT_GROUPS < rows * ports; turn++)
        for (int32_t g = 0; g < HLS_TILE; g++) {
#pragma HLS PIPELINE II = HLS_TREE_CYCLES
            for (int32_t q = 0; q < HLS_DOT_GROUPS; q++) {
#pragma HLS UNROLL
                sum[q][turn][g] = hls_tree_16(partial[q][turn * HLS_TILE + g]);
            }
        }
    for (int32_t g = 0; g < HLS_TILE; g++) {
#pragma HLS PIPELINE II = 1
        hls_result result;
        for (int32_t r = 0; r < HLS_ROWS; r++) {
#pragma HLS UNROLL
            for (int32_t p = 0; p < HLS_PORTS; p++) {
#pragma HLS UNROLL
                int32_t pair = (p - p0) * rows + r, is_one = r < rows && p >= p0 && p < p0 + ports;
                result.value[r][p] = is_one ? sum[pair % HLS_DOT_GROUPS][pair / HLS_DOT_GROUPS][g] : 0.0f;
            }
        }
        HLS_PUT(results, group * HLS_TILE + g, result);
    }
}

static inline void hls_clear_partials(float partial[HLS_DOT_GROUPS][HLS_DOT_SUMS][16], int32_t pairs) {
#pragma HLS INLINE
    for (int32_t i = 0; i < HLS_DOT_SUMS && i / HLS_TILE * HLS_DOT_GROUPS < pairs; i++) {
#pragma HLS PIPELINE II = 1
        for (int32_t q = 0; q < HLS_DOT_GROUPS; q++) {
#pragma HLS UNROLL
            for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
                partial[q][i][lane] = 0.0f;
            }
        }
    }
}

/* Streams `groups` groups of tiles from word `at` of every port and multiplies tiles begin .. end - 1 of them, chunk by chunk: there
 * are fewer lanes than the ports would feed, so that loading a chunk takes little of the time. cost.c: pass_cycles. */
static void hls_multiply_ordered(HLS_PORT_PARAMS int64_t at, int32_t type, int32_t groups, int32_t begin, int32_t end,
                                 int32_t inputs, int32_t rows, const hls_word x[HLS_ROWS][HLS_X_WORDS],
                                 HLS_STREAM_PARAM(hls_result, results, HLS_RESULTS)) {
    hls_word chunk[HLS_CHUNK][HLS_PORTS];
#pragma HLS AGGREGATE variable = chunk
    float partial[HLS_DOT_GROUPS][HLS_DOT_SUMS][16], scale[HLS_PORTS][HLS_MAX_BLOCKS];
#pragma HLS ARRAY_PARTITION variable = chunk complete dim = 2
#pragma HLS ARRAY_PARTITION variable = partial complete dim = 1
#pragma HLS ARRAY_PARTITION variable = partial complete dim = 3
#pragma HLS ARRAY_PARTITION variable = scale complete dim = 1
#pragma HLS ARRAY_PARTITION variable = scale cyclic factor = 16 dim = 2
#pragma HLS BIND_STORAGE variable = partial type = ram_2p impl = lutram
    const int32_t scale_words = hls_scale_words(type, inputs), columns = hls_row_words(type, inputs);
    for (int32_t group = 0; group < groups; group++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_SLAB
        int64_t tile = at + (int64_t)group * hls_tile_words(type, inputs), word = tile + scale_words;
        hls_load_scales(HLS_PORT_ARGS, tile, scale_words, scale);
        int32_t p0 = begin - group * HLS_PORTS, p1 = end - group * HLS_PORTS;
        p0 = p0 < 0 ? 0 : p0;
        p1 = p1 > HLS_PORTS ? HLS_PORTS : p1;
        hls_clear_partials(partial, (p1 - p0) * rows);
        for (int32_t c = 0; c < columns; c += HLS_CHUNK_COLUMNS) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
            int32_t now = columns - c < HLS_CHUNK_COLUMNS ? columns - c : HLS_CHUNK_COLUMNS;
            hls_load_chunk(HLS_PORT_ARGS, word + (int64_t)c * HLS_TILE, now * HLS_TILE, chunk);
            hls_multiply_chunk(chunk, type, c, now, p0, p1 - p0, rows, x, scale, partial);
        }
        hls_put_group(partial, group, p0, p1 - p0, rows, HLS_STREAM_PASS_ON(results));
    }
}

#endif
