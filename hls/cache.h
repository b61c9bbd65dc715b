/* Reading cached rows: the layout of host/backend/kv.h, in units of 4 bytes. */
#ifndef HLS_CACHE_H
#define HLS_CACHE_H

#include "hls/fp8.h"
#include "hls/layout.h"

/* Words of one position's key on chip (MLA: latent and rotary key), and of memory that hold a part of it: one more than its
 * size, as it may begin anywhere in a word. */
enum { HLS_KEY_WORDS = HLS_MAX_KEY / 16, HLS_PART_WORDS = HLS_MAX_HEAD / 16 + 1 };

/* Where a part of the rows of a page lies: in every row the elements first .. first + n - 1 (n <= HLS_MAX_HEAD) of a part of
 * `type` at unit `at`, its scales at unit `scales`. */
typedef struct hls_part {
    int32_t type, at, scales, first, n;
} hls_part;

/* The words of memory that hold `units` units of each of n_rows rows, the first from unit `first`. One loop over all of them, so
 * that the requests of a row go out while the answers of others come in. cost.c: page_cycles. */
static inline void hls_read_rows(const hls_word *pool, int64_t first, int32_t row_units, int32_t n_rows, int32_t units,
                                 hls_word raw[HLS_PAGE][HLS_PART_WORDS]) {
#pragma HLS INLINE
    const int32_t most = (units + 14) / 16 + 1;
    for (int32_t j = 0; j < n_rows; j++)
        for (int32_t c = 0; c < most; c++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_FLATTEN
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_PART_WORDS
            int64_t begin = first + (int64_t)j * row_units;
            if (begin / 16 + c <= (begin + units - 1) / 16) raw[j][c] = pool[begin / 16 + c];
        }
}

/* Element i of a row's raw words, in which elements lie in rising addresses; codes without their scale. */
static inline float hls_cached_value(const hls_word raw[HLS_PART_WORDS], int32_t type, int32_t i) {
#pragma HLS INLINE
    if (type == HLS_F32) return hls_float(raw[i / 16].lane[i % 16]);
    if (type == HLS_BF16) return hls_bf16_decode(raw[i / 32].lane[i / 2 % 16] >> i % 2 * 16 & 0xFFFFu);
    return hls_e4m3_decode(raw[i / 64].lane[i / 4 % 16] >> i % 4 * 8 & 0xFFu);
}

/* Where in memory a part of the first row of a page begins, in units, and how many elements before it share its first unit. */
static inline int64_t hls_part_units(hls_part part, int64_t page) {
    return page + part.at + part.first / (4 / part.type);
}

static inline int32_t hls_part_skip(hls_part part) {
    return part.first % (4 / part.type);
}

/* The words of memory that hold a part of the first n_rows rows of a page, and its scales. cost.c: fetch_cycles. */
static inline void hls_fetch_part(const hls_word *pool, int64_t page, int32_t row_units, int32_t n_rows, hls_part part,
                                  hls_word raw[HLS_PAGE][HLS_PART_WORDS], hls_word scale[HLS_PAGE][HLS_PART_WORDS]) {
#pragma HLS INLINE
    const int32_t per_unit = 4 / part.type, units = (hls_part_skip(part) + part.n + per_unit - 1) / per_unit;
    const int32_t block0 = part.first / HLS_BLOCK, blocks = (part.first + part.n - 1) / HLS_BLOCK - block0 + 1;
    hls_read_rows(pool, hls_part_units(part, page), row_units, n_rows, units, raw);
    if (part.type == HLS_E4M3) hls_read_rows(pool, page + part.scales + block0, row_units, n_rows, blocks, scale);
}

/* The same as FP32, to out[j] from element out_first; codes times their scale, one rounding. Lanes before stay, lanes behind
 * become zero. If `copied`, they go to `copy` too. cost.c: convert_cycles. */
static void hls_convert_part(int64_t page, int32_t row_units, int32_t n_rows, hls_part part,
                             const hls_word raw[HLS_PAGE][HLS_PART_WORDS],
                             const hls_word scale[HLS_PAGE][HLS_PART_WORDS], hls_word out[HLS_PAGE][HLS_KEY_WORDS],
                             int32_t out_first, hls_word copy[HLS_PAGE][HLS_KEY_WORDS], int32_t copied) {
#pragma HLS INLINE off
    const int32_t per_unit = 4 / part.type, skip = hls_part_skip(part), block0 = part.first / HLS_BLOCK;
    const int64_t codes_at = hls_part_units(part, page), scales_at = page + part.scales + block0;
    for (int32_t j = 0; j < n_rows; j++)
        for (int32_t w = out_first / 16; w <= (out_first + part.n - 1) / 16; w++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_FLATTEN
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_KEY_WORDS
            const int32_t code0 = (int32_t)((codes_at + (int64_t)j * row_units) % 16) * per_unit + skip;
            const int32_t scale0 = (int32_t)((scales_at + (int64_t)j * row_units) % 16);
            hls_word word = out[j][w];
            for (int32_t lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
                int32_t i = 16 * w + lane - out_first;
                uint32_t bits = i < 0 ? word.lane[lane] : 0;
                if (i >= 0 && i < part.n) {
                    float value = hls_cached_value(raw[j], part.type, code0 + i);
                    int32_t s = scale0 + (part.first + i) / HLS_BLOCK - block0;
                    float factor = part.type == HLS_E4M3 ? hls_float(scale[j][s / 16].lane[s % 16]) : 1.0f;
                    float scaled = value * factor;
                    bits = hls_bits(part.type == HLS_E4M3 ? scaled : value);
                }
                word.lane[lane] = bits;
            }
            out[j][w] = word;
            if (copied) copy[j][w] = word;
        }
}

#endif
