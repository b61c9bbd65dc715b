/* Rule 4 of docs/numerics.md over the pages of a row, for many query heads that read the same keys and values. */
#ifndef HLS_ATTEND_H
#define HLS_ATTEND_H

#include "hls/build.h"
#include "hls/cache.h"

enum { HLS_VALUE_WORDS = HLS_MAX_HEAD / 16 };

/* The pages of one row: MLA's first part is keys and values at once, its second the rest of the keys; GQA's are keys, and
 * values. */
typedef struct hls_pages {
    int64_t first, page_units; /* of page 0, and between pages, in units of 4 bytes */
    int32_t row_units, pos;    /* units of a position; positions 0 .. pos are attended to */
    hls_part a, b;
    int32_t latent;
} hls_pages;

/* Positions of page i. */
static inline int32_t hls_page_positions(int32_t i, int32_t pos) {
    return i < pos / HLS_PAGE ? HLS_PAGE : pos % HLS_PAGE + 1;
}

/* The first process: what memory holds of page i. */
static void hls_page_fetch(const hls_word *pool, const int32_t *table, int32_t i, hls_pages s,
                           hls_word raw_a[HLS_PAGE][HLS_PART_WORDS], hls_word scale_a[HLS_PAGE][HLS_PART_WORDS],
                           hls_word raw_b[HLS_PAGE][HLS_PART_WORDS], hls_word scale_b[HLS_PAGE][HLS_PART_WORDS]) {
#pragma HLS INLINE off
    const int64_t page = s.first + table[i] * s.page_units;
    const int32_t n = hls_page_positions(i, s.pos);
    hls_fetch_part(pool, page, s.row_units, n, s.a, raw_a, scale_a);
    hls_fetch_part(pool, page, s.row_units, n, s.b, raw_b, scale_b);
}

/* The second: its keys and values in FP32. A page is a whole number of words, so page 0 says where in a word a row begins. */
static void hls_page_convert(int32_t i, hls_pages s, const hls_word raw_a[HLS_PAGE][HLS_PART_WORDS],
                             const hls_word scale_a[HLS_PAGE][HLS_PART_WORDS],
                             const hls_word raw_b[HLS_PAGE][HLS_PART_WORDS],
                             const hls_word scale_b[HLS_PAGE][HLS_PART_WORDS], hls_word keys[HLS_PAGE][HLS_KEY_WORDS],
                             hls_word values[HLS_PAGE][HLS_KEY_WORDS]) {
#pragma HLS INLINE off
    const int32_t n = hls_page_positions(i, s.pos);
    if (s.latent) {
        hls_convert_part(s.first, s.row_units, n, s.a, raw_a, scale_a, keys, 0, values, 1);
        hls_convert_part(s.first, s.row_units, n, s.b, raw_b, scale_b, keys, s.a.n, values, 0);
    } else {
        hls_convert_part(s.first, s.row_units, n, s.a, raw_a, scale_a, keys, 0, values, 0);
        hls_convert_part(s.first, s.row_units, n, s.b, raw_b, scale_b, values, 0, keys, 0);
    }
}

/* The third: scores of all heads, HLS_GROUPS at a time: partials first, then tree and scale. The sum of one position is continued
 * after the others of the page. */
HLS_LANES static void hls_page_scores(int32_t i, int32_t pos, int32_t heads, int32_t key_words, float scale,
                                      const hls_word query[HLS_MAX_HEADS][HLS_KEY_WORDS],
                                      const hls_word keys[HLS_PAGE][HLS_KEY_WORDS],
                                      float score[HLS_MAX_HEADS][HLS_PAGE]) {
#pragma HLS INLINE off
    float partial[HLS_GROUPS][HLS_PAGE][16];
#pragma HLS ARRAY_PARTITION variable = partial complete dim = 1
#pragma HLS ARRAY_PARTITION variable = partial complete dim = 3
    const int32_t n = hls_page_positions(i, pos), turn = n < HLS_ADD_CYCLES ? HLS_ADD_CYCLES : n;
    for (int32_t h0 = 0; h0 < heads; h0 += HLS_GROUPS) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
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
#pragma HLS PIPELINE II = HLS_SCORE_CYCLES
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_PAGE
            for (int32_t q = 0; q < HLS_GROUPS; q++) {
#pragma HLS UNROLL
                if (h0 + q < heads) score[h0 + q][j] = hls_tree_16(partial[q][j]) * scale;
            }
        }
    }
}

/* The fourth: the running maximum; p = exp(score - maximum); what accumulators are multiplied by; m and l go on. A NaN score
 * passes the maximum by and reaches everything through its exp. Heads go HLS_EXP_UNITS at a time. */
static void hls_page_softmax(int32_t i, int32_t pos, int32_t heads, const float score[HLS_MAX_HEADS][HLS_PAGE],
                             float m[HLS_MAX_HEADS], float l[HLS_MAX_HEADS], float p[HLS_MAX_HEADS][HLS_PAGE],
                             float c[HLS_MAX_HEADS]) {
#pragma HLS INLINE off
    float now[HLS_EXP_UNITS], most[HLS_MAX_HEADS], partial[HLS_MAX_HEADS][16];
#pragma HLS ARRAY_PARTITION variable = now complete
#pragma HLS ARRAY_PARTITION variable = most cyclic factor = HLS_EXP_UNITS
#pragma HLS ARRAY_PARTITION variable = partial cyclic factor = HLS_EXP_UNITS dim = 1
#pragma HLS ARRAY_PARTITION variable = partial complete dim = 2
    const int32_t n = hls_page_positions(i, pos);
    for (int32_t h0 = 0; h0 < heads; h0 += HLS_EXP_UNITS)
        for (int32_t j = 0; j < HLS_PAGE; j++) {
#pragma HLS PIPELINE II = 2
#pragma HLS LOOP_FLATTEN
#pragma HLS LOOP_TRIPCOUNT min = HLS_PAGE max = HLS_PAGE
            for (int u = 0; u < HLS_EXP_UNITS; u++) {
#pragma HLS UNROLL
                if (h0 + u >= heads) continue;
                float before = j == 0 ? m[h0 + u] : now[u];
                now[u] = j < n && score[h0 + u][j] > before ? score[h0 + u][j] : before;
                if (j == HLS_PAGE - 1) most[h0 + u] = now[u];
            }
        }
    for (int32_t h0 = 0; h0 < heads; h0 += HLS_EXP_UNITS)
        for (int32_t j = -1; j < HLS_PAGE; j++) { /* -1: what the maximum's growth leaves of earlier pages */
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_FLATTEN
#pragma HLS LOOP_TRIPCOUNT min = HLS_PAGE + 1 max = HLS_PAGE + 1
#pragma HLS DEPENDENCE variable = partial inter distance = 16 true
            for (int u = 0; u < HLS_EXP_UNITS; u++) {
#pragma HLS UNROLL
                if (h0 + u >= heads) continue;
                float x = j < 0 ? m[h0 + u] : score[h0 + u][j < 0 ? 0 : j];
                float e = j < n ? hls_exp(x - most[h0 + u]) : 0.0f;
                if (j < 0) {
                    c[h0 + u] = e;
                } else {
                    p[h0 + u][j] = e;
                    partial[h0 + u][j % 16] = (j < 16 ? 0.0f : partial[h0 + u][j % 16]) + e;
                }
            }
        }
    for (int32_t h0 = 0; h0 < heads; h0 += HLS_EXP_UNITS) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
        for (int u = 0; u < HLS_EXP_UNITS; u++) {
#pragma HLS UNROLL
            if (h0 + u >= heads) continue;
            float shrunk = l[h0 + u] * c[h0 + u];
            l[h0 + u] = (i == 0 ? 0.0f : shrunk) + hls_tree_16(partial[h0 + u]);
            m[h0 + u] = most[h0 + u];
        }
    }
}

/* The fifth: acc = acc * c (on the first page +0), then + p_j * v_j position by position, HLS_GROUPS heads at a time. A sum is
 * continued after value_words others, or HLS_ADD_CYCLES where those are fewer. One multiplier does for both products. */
HLS_LANES static void hls_page_values(int32_t i, int32_t pos, int32_t heads, int32_t value_words,
                                      const float c[HLS_MAX_HEADS], const float p[HLS_MAX_HEADS][HLS_PAGE],
                                      const hls_word values[HLS_PAGE][HLS_KEY_WORDS],
                                      hls_word acc[HLS_MAX_HEADS][HLS_VALUE_WORDS]) {
#pragma HLS INLINE off
    const int32_t n = hls_page_positions(i, pos), turn = value_words < HLS_ADD_CYCLES ? HLS_ADD_CYCLES : value_words;
    for (int32_t h0 = 0; h0 < heads; h0 += HLS_GROUPS)
        for (int32_t j = -1; j < n; j++) { /* -1: what earlier pages left is scaled */
#pragma HLS LOOP_TRIPCOUNT min = 2 max = HLS_PAGE + 1
            for (int32_t w = 0; w < turn; w++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_FLATTEN
#pragma HLS LOOP_TRIPCOUNT min = HLS_ADD_CYCLES max = HLS_VALUE_WORDS
#pragma HLS DEPENDENCE variable = acc inter distance = HLS_ADD_CYCLES true
                const hls_word value = values[j < 0 ? 0 : j][w];
                for (int32_t q = 0; q < HLS_GROUPS; q++) {
#pragma HLS UNROLL
                    if (h0 + q >= heads || w >= value_words) continue;
                    hls_word *sum = &acc[h0 + q][w];
                    float weight = j < 0 ? c[h0 + q] : p[h0 + q][j < 0 ? 0 : j];
                    for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
                        float old = i == 0 && j < 0 ? 0.0f : hls_float(sum->lane[lane]);
                        float factor = j < 0 ? old : hls_float(value.lane[lane]);
                        float product = weight * factor;
                        float next = j < 0 ? product : old + product;
                        sum->lane[lane] = hls_bits(i == 0 && j < 0 ? 0.0f : next);
                    }
                }
            }
        }
}

/* All pages of one row for all heads, which read the same keys and values: five processes, each a page behind the one before.
 * cost.c: pages_cycles. */
static void hls_attend_pages(const hls_word *pool, const int32_t *table, hls_pages s, int32_t heads, int32_t key_words,
                             int32_t value_words, float scale, const hls_word query[HLS_MAX_HEADS][HLS_KEY_WORDS],
                             float m[HLS_MAX_HEADS], float l[HLS_MAX_HEADS],
                             hls_word acc[HLS_MAX_HEADS][HLS_VALUE_WORDS]) {
#pragma HLS INLINE off
    for (int32_t i = 0; i <= s.pos / HLS_PAGE; i++) {
#pragma HLS DATAFLOW
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 16384
        hls_word raw_a[HLS_PAGE][HLS_PART_WORDS], scale_a[HLS_PAGE][HLS_PART_WORDS];
        hls_word raw_b[HLS_PAGE][HLS_PART_WORDS], scale_b[HLS_PAGE][HLS_PART_WORDS];
        hls_word keys[HLS_PAGE][HLS_KEY_WORDS], values[HLS_PAGE][HLS_KEY_WORDS];
        float score[HLS_MAX_HEADS][HLS_PAGE], p[HLS_MAX_HEADS][HLS_PAGE], c[HLS_MAX_HEADS];
#pragma HLS AGGREGATE variable = raw_a
#pragma HLS AGGREGATE variable = scale_a
#pragma HLS AGGREGATE variable = raw_b
#pragma HLS AGGREGATE variable = scale_b
#pragma HLS AGGREGATE variable = keys
#pragma HLS AGGREGATE variable = values
#pragma HLS BIND_STORAGE variable = raw_a type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = scale_a type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = raw_b type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = scale_b type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = keys type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = values type = ram_2p impl = uram
#pragma HLS ARRAY_PARTITION variable = score cyclic factor = HLS_GROUPS dim = 1
#pragma HLS ARRAY_PARTITION variable = p cyclic factor = HLS_GROUPS dim = 1
#pragma HLS ARRAY_PARTITION variable = c cyclic factor = HLS_GROUPS
        hls_page_fetch(pool, table, i, s, raw_a, scale_a, raw_b, scale_b);
        hls_page_convert(i, s, raw_a, scale_a, raw_b, scale_b, keys, values);
        hls_page_scores(i, s.pos, heads, key_words, scale, query, keys, score);
        hls_page_softmax(i, s.pos, heads, score, m, l, p, c);
        hls_page_values(i, s.pos, heads, value_words, c, p, values, acc);
    }
}

/* Before the first page. */
static inline void hls_attend_begin(int32_t heads, float m[HLS_MAX_HEADS], float l[HLS_MAX_HEADS]) {
#pragma HLS INLINE
    for (int32_t h = 0; h < heads; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
        m[h] = hls_float(0x80000000u | HLS_INFINITY);
        l[h] = 0.0f;
    }
}

/* out = acc / l, n values; zero behind them to the end of the last word. */
static inline void hls_attend_end(int32_t n, float l, const hls_word acc[HLS_VALUE_WORDS], hls_word *out) {
#pragma HLS INLINE
    for (int32_t w = 0; w < (n + 15) / 16; w++) {
#pragma HLS PIPELINE II = HLS_END_CYCLES
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_VALUE_WORDS
        for (int32_t lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            float quotient = hls_float(acc[w].lane[lane]) / l;
            out[w].lane[lane] = 16 * w + lane < n ? hls_bits(quotient) : 0;
        }
    }
}

#endif
