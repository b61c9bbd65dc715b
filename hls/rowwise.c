/* fathom_rowwise: see kernels.h. One row at a time: read, compute, write. cost.c: hls_cost_rowwise. */
#include "hls/args.h"
#include "hls/copy.h"
#include "hls/fp8.h"
#include "hls/kernels.h"

/* A row of words is `n` values, zeros behind them. */
typedef hls_word row_words[HLS_ROW_WORDS];

static void norm(const row_words x, const row_words weight, int32_t n, float eps, row_words y) {
    float partial[16];
#pragma HLS ARRAY_PARTITION variable = partial complete
    for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
        partial[lane] = 0.0f;
    }
    for (int32_t i = 0; i < (n + 15) / 16; i++) {
#pragma HLS PIPELINE II = HLS_ADD_CYCLES
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROW_WORDS
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            float square = hls_float(x[i].lane[lane]) * hls_float(x[i].lane[lane]);
            partial[lane] = partial[lane] + square;
        }
    }
    float mean = hls_tree_16(partial) / (float)n;
    float root = sqrtf(mean + eps);
    float inv = 1.0f / root;
    for (int32_t i = 0; i < (n + 15) / 16; i++) {
#pragma HLS PIPELINE II = HLS_ROWWISE_CYCLES
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROW_WORDS
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            float normed = hls_float(x[i].lane[lane]) * inv;
            float out = hls_float(weight[i].lane[lane]) * normed;
            y[i].lane[lane] = hls_bits(out);
        }
    }
}

/* y = a + weight * b, or a + b where weight is not used. */
static void add(const row_words a, const row_words b, int32_t n, row_words y) {
    for (int32_t i = 0; i < (n + 15) / 16; i++) {
#pragma HLS PIPELINE II = HLS_ROWWISE_CYCLES
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROW_WORDS
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            float sum = hls_float(a[i].lane[lane]) + hls_float(b[i].lane[lane]);
            y[i].lane[lane] = hls_bits(sum);
        }
    }
}

/* Element i of a row of words. */
static inline float value_at(const row_words x, int32_t i) {
    return hls_float(x[i / 16].lane[i % 16]);
}

/* Rotates one vector of `dims` elements: pair i is (2i, 2i + 1) or (i, i + dims / 2). */
static void rotate(row_words x, const row_words table, int32_t dims, int32_t interleaved) {
    const int32_t pairs = dims / 2;
    for (int32_t i = 0; i < pairs; i++) {
#pragma HLS PIPELINE II = 2
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
        int32_t at_u = interleaved ? 2 * i : i, at_v = interleaved ? 2 * i + 1 : i + pairs;
        float u = value_at(x, at_u), v = value_at(x, at_v), cosine = value_at(table, i),
              sine = value_at(table, pairs + i);
        float u_cos = u * cosine, v_sin = v * sine, v_cos = v * cosine, u_sin = u * sine;
        float new_u = u_cos - v_sin, new_v = v_cos + u_sin;
        x[at_u / 16].lane[at_u % 16] = hls_bits(new_u);
        x[at_v / 16].lane[at_v % 16] = hls_bits(new_v);
    }
}

/* Element 64 w + 4 lane + byte from the planes of hls_quantise_row: in memory a row's codes lie in rising addresses. */
static void unplane(const hls_word *planes, hls_word *out) {
    for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
        uint32_t bits = 0;
        for (int byte = 0; byte < 4; byte++) {
#pragma HLS UNROLL
            int i = 4 * lane + byte;
            bits |= (planes->lane[i % 16] >> i / 16 * 8 & 0xFFu) << 8 * byte;
        }
        out->lane[lane] = bits;
    }
}

/* A part of n values as the cache keeps it; the last unit of 4 bytes is filled with zeros. Returns the units. */
static int32_t encode(const row_words x, int32_t n, int32_t type, hls_word codes[HLS_CODE_WORDS],
                      float scales[HLS_MAX_BLOCKS], row_words out) {
    if (type == HLS_E4M3) hls_quantise_row(x, n, codes, scales);
    for (int32_t i = 0; i < (n * type + 63) / 64; i++) {
#pragma HLS PIPELINE II = 2
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROW_WORDS
        hls_word word = x[i];
        if (type == HLS_E4M3) unplane(&codes[i], &word);
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            if (type != HLS_BF16) continue;
            uint32_t low = hls_bf16_encode(value_at(x, 32 * i + 2 * lane));
            uint32_t high = hls_bf16_encode(value_at(x, 32 * i + 2 * lane + 1));
            word.lane[lane] = low | high << 16;
        }
        out[i] = word;
    }
    return (n * type + 3) / 4;
}

/* Writes a part and its scales into the cached row at `row`. */
static void store(const row_words x, int32_t n, int32_t type, int32_t at, int32_t scales_at, hls_word *pool,
                  int64_t row) {
    row_words out;
#pragma HLS AGGREGATE variable = out
    hls_word codes[HLS_CODE_WORDS], scale_words[HLS_MAX_BLOCKS / 16];
#pragma HLS AGGREGATE variable = codes
#pragma HLS AGGREGATE variable = scale_words
    float scales[HLS_MAX_BLOCKS];
    int32_t units = encode(x, n, type, codes, scales, out);
    hls_copy(pool, row + at, out, 0, units);
    if (type != HLS_E4M3) return;
    for (int32_t b = 0; b < hls_blocks(n); b++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_BLOCKS
        scale_words[b / 16].lane[b % 16] = hls_bits(scales[b]);
    }
    hls_copy(pool, row + scales_at, scale_words, 0, hls_blocks(n));
}

void HLS_SHARED(fathom_rowwise)(const hls_word *a, const hls_word *b, hls_word *y, const int32_t *table,
                                int64_t a_first, int64_t lda, int64_t b_first, int64_t ldb, int64_t y_first,
                                int64_t ldy, int64_t page_units, int32_t op, int32_t rows, int32_t n, int32_t n_b,
                                int32_t heads, int32_t stride, int32_t flag, float eps, int32_t row_units,
                                int32_t a_type, int32_t a_at, int32_t a_scales, int32_t b_type, int32_t b_at,
                                int32_t b_scales) {
#pragma HLS INTERFACE m_axi port = a bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = b bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = y bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = table bundle = table offset = slave
#pragma HLS INTERFACE s_axilite port = return
    row_words one, two;
#pragma HLS AGGREGATE variable = one
#pragma HLS AGGREGATE variable = two
    const int32_t words = 8 * hls_blocks(n);
    for (int32_t t = 0; t < rows; t++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_ROWS
        int64_t out = y_first + t * ldy;
        if (op == HLS_NORM) {
            if (t == 0) hls_load(two, words, b, b_first, n);
            hls_load(one, words, a, a_first + (flag ? table[t] : t) * lda, n);
            norm(one, two, n, eps, one);
            hls_copy(y, out, one, 0, n);
        } else if (op == HLS_ROPE) {
            hls_load(two, words, b, b_first + table[t] * ldb, n);
            for (int32_t h = 0; h < heads; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
                hls_load(one, words, y, out + (int64_t)h * stride, n);
                rotate(one, two, n, flag);
                hls_copy(y, out + (int64_t)h * stride, one, 0, n);
            }
        } else if (op == HLS_ADD) {
            hls_load(one, words, a, a_first + t * lda, n);
            hls_load(two, words, b, b_first + t * ldb, n);
            add(one, two, n, one);
            hls_copy(y, out, one, 0, n);
        } else if (op == HLS_STORE) {
            int64_t row = y_first + table[2 * t] * page_units + (int64_t)table[2 * t + 1] * row_units;
            hls_load(one, words, a, a_first + t * lda, n);
            hls_load(two, 8 * hls_blocks(n_b), b, b_first + t * ldb, n_b);
            store(one, n, a_type, a_at, a_scales, y, row);
            store(two, n_b, b_type, b_at, b_scales, y, row);
        }
    }
}
