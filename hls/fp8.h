/* E4M3 arithmetic: rule 1 in integers, as hls/rtl/ has it in Verilog; quantisation; values. */
#ifndef HLS_FP8_H
#define HLS_FP8_H

#include "hls/build.h"
#include "hls/float.h"
#include "hls/layout.h"

/* A code's magnitude is significand * 2^(exponent - 10): significand 0 .. 15, exponent 1 .. 15. */
static inline uint32_t hls_significand(uint32_t code) {
    return (code & 7u) | ((code & 0x78u) ? 8u : 0u);
}

static inline uint32_t hls_exponent(uint32_t code) {
    uint32_t e = code >> 3 & 15u;
    return e ? e : 1u;
}

/* The product of two codes in units of 1/8, rounded to nearest; of a tie the result that is odd exactly when `odd` is 1. The
 * 4x4-bit product, worth 2^(exponents - 17) eighths, is aligned so that an eighth is bit 9; below exponents = 8 it is at most
 * 225 / 512 of one and rounds to zero wherever it lies. 225 << 22 is the largest. */
static inline int32_t hls_product_8ths(uint32_t w, uint32_t a, uint32_t odd) {
    uint32_t product = hls_significand(w) * hls_significand(a);
    int32_t shift = (int32_t)(hls_exponent(w) + hls_exponent(a)) - 8;
    uint32_t aligned = product << (shift < 0 ? 0 : shift);
    int32_t rounded = (int32_t)((aligned + 255u + ((aligned >> 9 ^ odd) & 1u)) >> 9);
    int32_t negative = -(int32_t)((w ^ a) >> 7 & 1u);
    return (rounded ^ negative) - negative;
}

/* Rule 1. The products of elements 2i (w0, a0) and 2i + 1 (w1, a1) in units of 1/8: first the odd element's, ties to even, and
 * then the even one's, ties to an even sum. */
static inline int32_t hls_pair_8ths(uint32_t w0, uint32_t a0, uint32_t w1, uint32_t a1) {
    int32_t first = hls_product_8ths(w1, a1, 0);
    return first + hls_product_8ths(w0, a0, (uint32_t)first & 1u);
}

/* Rule 2. One block's contribution: acc + sum * (scale_x * scale_w), sum in 8ths. */
static inline float hls_block_add(float acc, int32_t sum, float scale_x, float scale_w) {
    float s = (float)sum * 0.125f; /* one rounding; the power of two is exact */
    float scale = scale_x * scale_w;
    float scaled = s * scale;
    return acc + scaled;
}

/* The value of a code; exact. */
static inline float hls_e4m3_decode(uint32_t code) {
    float significand = (float)(int32_t)hls_significand(code);
    float power = hls_float((hls_exponent(code) + 117u) << 23); /* 2^(exponent - 10) */
    float magnitude = significand * power;
    return hls_float(hls_bits(magnitude) | (code & 0x80u) << 24);
}

/* Round to nearest even, saturating at 448; x is not NaN. Below 2^-6 adding 1.5 * 2^14, whose last bit is worth 2^-9, leaves
 * the count of steps in the low bits. */
static inline uint32_t hls_e4m3_encode(float x) {
    uint32_t u = hls_bits(x), sign = u >> 24 & 0x80u;
    u &= 0x7FFFFFFFu;
    float steps = hls_float(u) + 24576.0f;
    uint32_t small = hls_bits(steps) - hls_bits(24576.0f);
    uint32_t normal = ((u + 0x7FFFFu + (u >> 20 & 1u)) >> 20) - (120u << 3);
    uint32_t code = u < 0x3C800000u ? small : normal;
    return sign | (u >= 0x43E00000u ? 0x7Eu : code);
}

enum { HLS_MAX_BLOCKS = HLS_MAX_COLS / HLS_BLOCK };

/* Quantises a row of FP32 words, zeros behind its last value to whole blocks: codes, and a scale for each block,
 * max(amax, 1e-4) / 448. A block with a NaN or an infinity gets a NaN and codes of 0. cost.c: quantise_cycles. */
static inline void hls_quantise_row(const hls_word *x, int32_t inputs, hls_word codes[HLS_CODE_WORDS],
                                    float scales[HLS_MAX_BLOCKS]) {
#pragma HLS INLINE off
    uint32_t top = 0;
    for (int32_t i = 0; i < 8 * hls_blocks(inputs); i++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 8 max = HLS_ROW_WORDS
        if (i % 8 == 0) top = 0;
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            uint32_t u = x[i].lane[lane] & 0x7FFFFFFFu;
            top = u > top ? u : top;
        }
        float amax = hls_float(top), most = amax < 1e-4f ? 1e-4f : amax;
        float scale = top < HLS_INFINITY ? most / 448.0f : hls_float(HLS_NAN);
        if (i % 8 == 7) scales[i / 8] = scale;
    }
    for (int32_t i = 0; i < 8 * hls_blocks(inputs); i++) {
#pragma HLS PIPELINE II = HLS_QUANTISE_CYCLES
#pragma HLS LOOP_TRIPCOUNT min = 8 max = HLS_ROW_WORDS
        float scale = scales[i / 8];
        int finite = (hls_bits(scale) & 0x7FFFFFFFu) < HLS_INFINITY;
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            float ratio = hls_float(x[i].lane[lane]) / scale;
            uint32_t code = finite ? hls_e4m3_encode(ratio) : 0;
            uint32_t before = i % 4 ? codes[i / 4].lane[lane] : 0;
            codes[i / 4].lane[lane] = before | code << i % 4 * 8;
        }
    }
}

#endif
