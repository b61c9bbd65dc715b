/* Rule 4 of docs/numerics.md on one page of 64 positions, for many query heads that read the same keys and values. */
#ifndef HLS_ATTEND_H
#define HLS_ATTEND_H

#include "hls/build.h"
#include "hls/cache.h"

enum { HLS_VALUE_WORDS = HLS_MAX_HEAD / 16 };

/* Scores of HLS_GROUPS heads from h0 on: partials first, then tree and scale. The sum of one position is continued after the
 * others of the page. */
static inline void hls_page_scores(int32_t h0, int32_t heads, int32_t n, int32_t key_words, float scale,
                                   const hls_word query[HLS_MAX_HEADS][HLS_KEY_WORDS],
                                   const hls_word keys[HLS_PAGE][HLS_KEY_WORDS], float score[HLS_GROUPS][HLS_PAGE]) {
#pragma HLS INLINE off
    float partial[HLS_GROUPS][HLS_PAGE][16];
#pragma HLS ARRAY_PARTITION variable = partial complete dim = 1
#pragma HLS ARRAY_PARTITION variable = partial complete dim = 3
    const int32_t turn = n < HLS_ADD_CYCLES ? HLS_ADD_CYCLES : n;
    for (int32_t c = 0; c < key_words; c++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_KEY_WORDS
        for (int32_t j = 0; j < turn; j++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_FLATTEN
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_PAGE
#pragma HLS DEPENDENCE variable = partial inter distance = HLS_ADD_CYCLES true
            for (int32_t q = 0; q < HLS_GROUPS; q++) {
#pragma HLS UNROLL
                if (h0 + q >= heads || j >= n) continue;
                for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
                    float product = hls_float(query[h0 + q][c].lane[lane]) * hls_float(keys[j][c].lane[lane]);
                    float before = c == 0 ? 0.0f : partial[q][j][lane];
                    partial[q][j][lane] = before + product;
                }
            }
        }
    }
    for (int32_t j = 0; j < n; j++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_PAGE
        for (int32_t q = 0; q < HLS_GROUPS; q++) {
#pragma HLS UNROLL
            if (h0 + q < heads) score[q][j] = hls_tree_16(partial[q][j]) * scale;
        }
    }
}

/* The running maximum; p = exp(score - maximum); what accumulators are multiplied by (not on the first page); m and l go on.
 * A NaN score passes the maximum by and reaches everything through its exp. Heads go HLS_EXP_UNITS at a time. */
static void hls_page_softmax(int32_t h0, int32_t heads, int32_t n, int32_t first_page,
                             const float score[HLS_GROUPS][HLS_PAGE], float m[HLS_MAX_HEADS], float l[HLS_MAX_HEADS],
                             float p[HLS_GROUPS][HLS_PAGE], float c[HLS_GROUPS]) {
#pragma HLS INLINE off
    for (int32_t q = 0; q < HLS_GROUPS && h0 + q < heads; q++) {
#pragma HLS UNROLL factor = HLS_EXP_UNITS
        float before = m[h0 + q], most = before, partial[16];
#pragma HLS ARRAY_PARTITION variable = partial complete
        for (int32_t j = 0; j < n; j++) {
#pragma HLS PIPELINE II = 2
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_PAGE
            most = score[q][j] > most ? score[q][j] : most;
        }
        float shrink = hls_exp(before - most), shrunk = l[h0 + q] * shrink;
        for (int32_t j = 0; j < HLS_PAGE; j++) {
#pragma HLS PIPELINE II = 1
#pragma HLS DEPENDENCE variable = partial inter distance = 16 true
            float e = j < n ? hls_exp(score[q][j] - most) : 0.0f;
            p[q][j] = e;
            partial[j % 16] = (j < 16 ? 0.0f : partial[j % 16]) + e;
        }
        m[h0 + q] = most;
        c[q] = shrink;
        l[h0 + q] = (first_page ? 0.0f : shrunk) + hls_tree_16(partial);
    }
}

/* acc = acc * c (on the first page +0), then + p_j * v_j position by position, for HLS_GROUPS heads. A sum is continued after
 * value_words others, or HLS_ADD_CYCLES where those are fewer. */
static inline void hls_page_values(int32_t h0, int32_t heads, int32_t n, int32_t value_words, int32_t first_page,
                                   const float c[HLS_GROUPS], const float p[HLS_GROUPS][HLS_PAGE],
                                   const hls_word values[HLS_PAGE][HLS_KEY_WORDS],
                                   hls_word acc[HLS_MAX_HEADS][HLS_VALUE_WORDS]) {
#pragma HLS INLINE off
    const int32_t turn = value_words < HLS_ADD_CYCLES ? HLS_ADD_CYCLES : value_words;
    for (int32_t j = -1; j < n; j++) { /* -1: what earlier pages left is scaled */
#pragma HLS LOOP_TRIPCOUNT min = 2 max = HLS_PAGE + 1
        for (int32_t w = 0; w < turn; w++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_FLATTEN
#pragma HLS LOOP_TRIPCOUNT min = HLS_ADD_CYCLES max = HLS_VALUE_WORDS
#pragma HLS DEPENDENCE variable = acc inter distance = HLS_ADD_CYCLES true
            for (int32_t q = 0; q < HLS_GROUPS; q++) {
#pragma HLS UNROLL
                if (h0 + q >= heads || w >= value_words) continue;
                hls_word *sum = &acc[h0 + q][w];
                for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
                    float old = first_page && j < 0 ? 0.0f : hls_float(sum->lane[lane]);
                    float product = j < 0 ? old * c[q] : p[q][j] * hls_float(values[j][w].lane[lane]);
                    float next = j < 0 ? product : old + product;
                    sum->lane[lane] = hls_bits(first_page && j < 0 ? 0.0f : next);
                }
            }
        }
    }
}

/* Scores, softmax and values of HLS_GROUPS heads: three processes, so that the next heads' scores are computed meanwhile. */
HLS_LANES static void hls_attend_heads(int32_t h0, int32_t heads, int32_t n, int32_t key_words, int32_t value_words,
                                       int32_t first_page, float scale,
                                       const hls_word query[HLS_MAX_HEADS][HLS_KEY_WORDS],
                                       const hls_word keys[HLS_PAGE][HLS_KEY_WORDS],
                                       const hls_word values[HLS_PAGE][HLS_KEY_WORDS], float m[HLS_MAX_HEADS],
                                       float l[HLS_MAX_HEADS], hls_word acc[HLS_MAX_HEADS][HLS_VALUE_WORDS]) {
#pragma HLS DATAFLOW
    float score[HLS_GROUPS][HLS_PAGE], p[HLS_GROUPS][HLS_PAGE], c[HLS_GROUPS];
#pragma HLS ARRAY_PARTITION variable = score complete dim = 1
#pragma HLS ARRAY_PARTITION variable = p complete dim = 1
#pragma HLS ARRAY_PARTITION variable = c complete
    hls_page_scores(h0, heads, n, key_words, scale, query, keys, score);
    hls_page_softmax(h0, heads, n, first_page, score, m, l, p, c);
    hls_page_values(h0, heads, n, value_words, first_page, c, p, values, acc);
}

/* One page for all heads: positions 0 .. n - 1 of it. cost.c: attend_cycles. */
static void hls_attend_page(int32_t heads, int32_t n, int32_t key_words, int32_t value_words, int32_t first_page,
                            float scale, const hls_word query[HLS_MAX_HEADS][HLS_KEY_WORDS],
                            const hls_word keys[HLS_PAGE][HLS_KEY_WORDS],
                            const hls_word values[HLS_PAGE][HLS_KEY_WORDS], float m[HLS_MAX_HEADS],
                            float l[HLS_MAX_HEADS], hls_word acc[HLS_MAX_HEADS][HLS_VALUE_WORDS]) {
#pragma HLS INLINE off
    for (int32_t h0 = 0; h0 < heads; h0 += HLS_GROUPS) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
        hls_attend_heads(h0, heads, n, key_words, value_words, first_page, scale, query, keys, values, m, l, acc);
    }
}

/* out = acc / l, n values; zero behind them to the end of the last word. */
static inline void hls_attend_end(int32_t n, float l, const hls_word acc[HLS_VALUE_WORDS], hls_word *out) {
#pragma HLS INLINE
    for (int32_t w = 0; w < (n + 15) / 16; w++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_VALUE_WORDS
        for (int32_t lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            float quotient = hls_float(acc[w].lane[lane]) / l;
            out[w].lane[lane] = 16 * w + lane < n ? hls_bits(quotient) : 0;
        }
    }
}

#endif
