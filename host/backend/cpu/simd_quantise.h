/* Activation blocks rounded to code values, and the search for NaN codes. What becomes of the values is the `codes` kernel's affair. */
#ifndef FA_BACKEND_CPU_SIMD_QUANTISE_H
#define FA_BACKEND_CPU_SIMD_QUANTISE_H

#include "host/backend/cpu/kernels.h"
#include "host/backend/cpu/vec.h"
#include "host/backend/scalar.h"

/* x / scale rounded to the nearest code's value: adding 1.5 * 2^20 times the value's power of two (at least 2^-6, below
 * which codes are evenly spaced) leaves three mantissa bits. */
INLINE vec_f round_to_code(vec_f q) {
    vec_i bits = (vec_i)q, magnitude = bits & 0x7FFFFFFF;
    vec_i most = splat(448.0f) < (vec_f)magnitude;
    vec_f m = choose(most, splat(448.0f), (vec_f)magnitude);
    vec_i power = (vec_i)m & 0x7F800000;
    vec_i least = power < 0x3C800000; /* 2^-6 */
    power = (least & 0x3C800000) | (~least & power);
    vec_f rounder = (vec_f)((power + (20 << 23)) | 0x00400000);
    vec_f rounded = (m + rounder) - rounder;
    return (vec_f)((vec_i)rounded | (bits & (int32_t)0x80000000));
}

/* Bits of the largest magnitude of a block: magnitudes order like their bits. */
INLINE int32_t largest_bits(const float *x) {
    vec_i top = {0};
    for (int i = 0; i < CPU_BLOCK; i += LANES) {
        vec_i magnitude = (vec_i)load(x + i) & 0x7FFFFFFF;
        vec_i larger = magnitude > top;
        top = (larger & magnitude) | (~larger & top);
    }
    int32_t most = 0;
    for (int j = 0; j < LANES; j++) most = top[j] > most ? top[j] : most;
    return most;
}

/* The code values of rule 1's activation block of n elements, zero behind them; returns the block's scale. */
INLINE float code_values(const float *x, int n, vec_f v[CPU_BLOCK / LANES]) {
    float in[CPU_BLOCK];
    memcpy(in, x, (size_t)n * sizeof *x);
    memset(in + n, 0, (size_t)(CPU_BLOCK - n) * sizeof *x);
    int32_t most = largest_bits(in);
    bool finite = most < 0x7F800000;
    float amax = fa_from_bits((uint32_t)most);
    float scale = finite ? (amax < 1e-4f ? 1e-4f : amax) / 448.0f : fa_from_bits(0x7FC00000u);
    for (int i = 0; i < CPU_BLOCK / LANES; i++)
        v[i] = finite ? round_to_code(load(in + i * LANES) / splat(scale)) : splat(0.0f);
    return scale;
}

/* Whole runs are compared at once; the element is looked for only where there is one. */
static int64_t find_nan(const uint8_t *codes, int64_t n) {
    enum { RUN = 8, BYTES = 4 * LANES };
    int64_t i = 0;
    for (; i + RUN * BYTES <= n; i += RUN * BYTES) {
        vec_bytes found = {0};
#pragma GCC unroll 8
        for (int j = 0; j < RUN; j++) {
            vec_bytes c = *(const vec_bytes_at *)(codes + i + j * BYTES);
            found |= (vec_bytes)((c & 0x7F) == 0x7F);
        }
        int32_t any = 0;
        for (int j = 0; j < LANES; j++) any |= ((vec_i)found)[j];
        if (any) break;
    }
    for (; i < n; i++)
        if ((codes[i] & 0x7F) == 0x7F) return i;
    return -1;
}

#endif
