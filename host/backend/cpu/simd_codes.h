/* Kernels of rules 1 and 2: FP8 codes times quantised activations. Included by each instruction set's file, which brings
 * take_apart (4 * LANES codes into four vectors), fma_lanes and sum_lanes.
 *
 * A code shifted into an FP32 word so that its exponent and mantissa lie in the FP32 ones is the code's value * 2^-120
 * (subnormal where the code is). With activations * 2^118 the product is the true one / 4, and 1.5 * 2^18, whose last
 * place is worth 1/32, rounds it to 1/8. The bits of a pair's sum are added as integers. */
#ifndef FA_BACKEND_CPU_SIMD_CODES_H
#define FA_BACKEND_CPU_SIMD_CODES_H

#include "host/backend/cpu/simd_quantise.h"

enum {
    GROUP = 4 * LANES, /* codes taken apart together: vector p holds codes p, p + 4, p + 8, ... */
    TILE_VECTORS = CPU_TILE / LANES,
    TOGETHER = 4, /* activation rows that share what was taken apart */
};

static const float ROUNDER = 393216.0f; /* 1.5 * 2^18 */

/* Adds the products of one weight block's row and nx activation blocks, as bits on top of ROUNDER's, to sum[nx]. */
INLINE void add_block(const uint8_t *codes, const float *const *x, int nx, vec_u *sum) {
    vec_f rounder = splat(ROUNDER);
#pragma GCC unroll 8
    for (int g = 0; g < CPU_BLOCK / GROUP; g++) {
        vec_f w[4];
        take_apart(codes + g * GROUP, w);
#pragma GCC unroll 4
        for (int p = 0; p < 4; p += 2)
#pragma GCC unroll 4
            for (int t = 0; t < nx; t++) {
                const float *at = x[t] + g * GROUP + p * LANES;
                vec_f odd = fma_lanes(w[p + 1], load(at + LANES), rounder);
                sum[t] += (vec_u)fma_lanes(w[p], load(at), odd);
                settle(&sum[t]);
            }
    }
}

/* The sums of LANES rows of the tile in one block, for nx activation rows: sums[t]. Meanwhile the next tile comes into L2, from
 * one end to the other, since the CPU's own prefetcher follows such a stream and runs ahead of it. (Into L1 it would take the
 * few buffers that wait for memory there.) */
INLINE void block_sums(const cpu_codes *tile, const uint8_t *const *rows, int64_t b, const uint8_t *next,
                       const float *const *x, int nx, vec_i *sums) {
    vec_u lanes[TOGETHER][LANES];
    int64_t at = b * CPU_BLOCK, width = tile->cols - at;
    uint8_t padded[CPU_BLOCK];
    const float *x_block[TOGETHER];
#pragma GCC unroll 4
    for (int t = 0; t < nx; t++) x_block[t] = x[t] + at;
    for (int r = 0; r < LANES; r++) {
        const uint8_t *codes = rows[r] + at;
        __builtin_prefetch(next + r * CPU_BLOCK, 0, 2);
        __builtin_prefetch(next + r * CPU_BLOCK + 64, 0, 2);
        if (width < CPU_BLOCK) {
            memset(padded, 0, sizeof padded);
            memcpy(padded, codes, (size_t)width);
            codes = padded;
        }
        vec_u sum[TOGETHER];
#pragma GCC unroll 4
        for (int t = 0; t < nx; t++) sum[t] = (vec_u){0};
        add_block(codes, x_block, nx, sum);
#pragma GCC unroll 4
        for (int t = 0; t < nx; t++) lanes[t][r] = sum[t];
    }
    uint32_t rounders = CPU_BLOCK / 2 * fa_bits(ROUNDER);
#pragma GCC unroll 4
    for (int t = 0; t < nx; t++) sums[t] = (vec_i)(sum_lanes(lanes[t]) - rounders);
}

/* One tile and nx activation rows; nx is a constant wherever this is inlined. */
INLINE void code_tile(const cpu_codes *tile, const float *const *x, const float *const *x_scale, int nx, float *out) {
    const uint8_t *rows[CPU_TILE];
    for (int r = 0; r < CPU_TILE; r++) rows[r] = tile->codes + (r < tile->n ? r : tile->n - 1) * tile->cols;
    int64_t blocks = (tile->cols + CPU_BLOCK - 1) / CPU_BLOCK;
    vec_f acc[TOGETHER][TILE_VECTORS] = {0};
    for (int64_t b = 0; b < blocks; b++) {
        float w_scale = flush(tile->scale[b]);
        for (int v = 0; v < TILE_VECTORS && v * LANES < tile->n; v++) {
            vec_i sums[TOGETHER];
            block_sums(tile, rows + v * LANES, b, tile->next + (b * CPU_TILE + v * LANES) * CPU_BLOCK, x, nx, sums);
#pragma GCC unroll 4
            for (int t = 0; t < nx; t++) {
                float scale = x_scale[t][b] * w_scale;
                acc[t][v] = acc[t][v] + __builtin_convertvector(sums[t], vec_f) * 0.125f * scale;
            }
        }
    }
    for (int t = 0; t < nx; t++)
        for (int v = 0; v < TILE_VECTORS; v++) store(out + t * CPU_TILE + v * LANES, acc[t][v]);
}

static __attribute__((noinline)) void codes_by_1(const cpu_codes *tile, const float *const *x,
                                                 const float *const *x_scale, float *out) {
    code_tile(tile, x, x_scale, 1, out);
}

static __attribute__((noinline)) void codes_by_2(const cpu_codes *tile, const float *const *x,
                                                 const float *const *x_scale, float *out) {
    code_tile(tile, x, x_scale, 2, out);
}

static __attribute__((noinline)) void codes_by_4(const cpu_codes *tile, const float *const *x,
                                                 const float *const *x_scale, float *out) {
    code_tile(tile, x, x_scale, 4, out);
}

static void codes(const cpu_codes *tile, const float *const *x, const float *const *x_scale, int n_x, float *out) {
    unsigned mode = subnormals_on();
    int t = 0;
    for (; t + 4 <= n_x; t += 4) codes_by_4(tile, x + t, x_scale + t, out + t * CPU_TILE);
    for (; t + 2 <= n_x; t += 2) codes_by_2(tile, x + t, x_scale + t, out + t * CPU_TILE);
    for (; t < n_x; t++) codes_by_1(tile, x + t, x_scale + t, out + t * CPU_TILE);
    subnormals_restore(mode);
}

static float quantise(const float *x, int n, float *values) {
    vec_f v[CPU_BLOCK / LANES];
    float scale = code_values(x, n, v);
#pragma GCC unroll 8
    for (int g = 0; g < CPU_BLOCK / LANES; g += 4) {
        vec_f even[2] = {evens(v[g], v[g + 1]), evens(v[g + 2], v[g + 3])};
        vec_f odd[2] = {odds(v[g], v[g + 1]), odds(v[g + 2], v[g + 3])};
        float *at = values + g * LANES;
        store(at, evens(even[0], even[1]) * 0x1p118f);
        store(at + LANES, evens(odd[0], odd[1]) * 0x1p118f);
        store(at + 2 * LANES, odds(even[0], even[1]) * 0x1p118f);
        store(at + 3 * LANES, odds(odd[0], odd[1]) * 0x1p118f);
    }
    return scale;
}

#endif
