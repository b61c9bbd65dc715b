/* Kernels of rule 3: decoding to FP32 and ordered sums. Included by each instruction set's file, which brings
 * widen and widen_16 (LANES bytes or 16-bit words to integers), half_lanes (LANES FP16 values to FP32), half_scalar (one), and code_lanes (LANES E4M3 codes
 * to FP32 in units of CODE_UNIT). */
#ifndef FA_BACKEND_CPU_SIMD_ORDERED_H
#define FA_BACKEND_CPU_SIMD_ORDERED_H

#include <math.h>

#include "host/backend/cpu/kernels.h"
#include "host/backend/cpu/vec.h"
#include "host/format/dtype.h"
#include "host/format/fp8.h"

enum { SUM_VECTORS = CPU_PARTIALS / LANES };

static void decode_bf16(const uint8_t *src, int64_t n, float *dst) {
    int64_t i = 0;
#pragma GCC unroll 4
    for (; i + LANES <= n; i += LANES) store(dst + i, (vec_f)(widen_16(src + 2 * i) << 16));
    fa_decode(FA_BF16, src, i, n - i, dst + i);
}

static void decode_f16(const uint8_t *src, int64_t n, float *dst) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) store(dst + i, half_lanes(src + 2 * i));
    fa_decode(FA_F16, src, i, n - i, dst + i);
}

/* code * scale, one rounding: CODE_UNIT is a power of two, so its product with any scale that does not overflow is exact. */
static void decode_e4m3(const uint8_t *src, const uint8_t *scales, int64_t first, int64_t n, float *dst) {
    for (int64_t i = 0; i < n;) {
        int64_t block = (first + i) / CPU_BLOCK, end = (block + 1) * CPU_BLOCK - first;
        float scale, unit;
        memcpy(&scale, scales + 4 * block, 4);
        unit = scale * CODE_UNIT;
        end = end < n ? end : n;
        if (unit < INFINITY && unit > -INFINITY)
#pragma GCC unroll 4
            for (; i + LANES <= end; i += LANES) store(dst + i, code_lanes(src + i) * unit);
        for (; i < end; i++) dst[i] = fa_e4m3_decode(src[i]) * scale;
    }
}

/* Blocks of 32 elements: the low nibbles of 16 bytes are elements 0-15, the high ones 16-31. With `minimum` the block is
 * Q4_1: nibble * d + m, else Q4_0: (nibble - 8) * d. */
INLINE void decode_q4(const uint8_t *src, int64_t n, bool minimum, float *dst) {
    int head = minimum ? 4 : 2, middle = minimum ? 0 : 8;
    for (int64_t i = 0; i < n; i += 32, src += head + 16) {
        float d = half_scalar(src), m = minimum ? half_scalar(src + 2) : 0.0f;
#if LANES == 16 /* all values of a block fit one vector, in which nibbles are looked up */
        vec_f table = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
        table = (table - (float)middle) * d;
        if (minimum) table = table + m;
        vec_i q = widen(src + head);
        store(dst + i, __builtin_shuffle(table, q));
        store(dst + i + 16, __builtin_shuffle(table, q >> 4));
#else
#pragma GCC unroll 4
        for (int j = 0; j < 16; j += LANES) {
            vec_i q = widen(src + head + j);
            vec_f low = __builtin_convertvector((q & 15) - middle, vec_f) * d;
            vec_f high = __builtin_convertvector((q >> 4) - middle, vec_f) * d;
            store(dst + i + j, minimum ? low + m : low);
            store(dst + i + j + 16, minimum ? high + m : high);
        }
#endif
    }
}

static void decode_q8_0(const uint8_t *src, int64_t n, float *dst) {
    for (int64_t i = 0; i < n; i += 32, src += 34) {
        float d = half_scalar(src);
#pragma GCC unroll 8
        for (int j = 0; j < 32; j += LANES) {
            vec_i code = (widen(src + 2 + j) << 24) >> 24;
            store(dst + i + j, __builtin_convertvector(code, vec_f) * d);
        }
    }
}

/* Types without a kernel of their own. */
static void decode_other(const cpu_matrix *m, int64_t row, int64_t first, int64_t n, float *dst) {
    fa_decode(m->type, m->data + row * m->row_bytes, first, n, dst);
    if (!m->scale) return;
    const uint8_t *scales = m->scale + (row >> m->scale_shift) * m->scale_bytes;
    for (int64_t i = 0; i < n; i++) {
        float scale;
        memcpy(&scale, scales + (first + i) / CPU_BLOCK * 4, 4);
        dst[i] = dst[i] * scale;
    }
}

static void decode(const cpu_matrix *m, int64_t row, int n_rows, int64_t first, int64_t n, float *dst, int64_t ld) {
    const fa_dtype_info *info = fa_dtype_get(m->type);
    for (int r = 0; r < n_rows; r++, dst += ld) {
        const uint8_t *src = m->data + (row + r) * m->row_bytes + first / info->block_elements * info->block_bytes;
        int64_t bytes = m->ahead_bytes ? n / info->block_elements * info->block_bytes : 0;
        for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(src + m->ahead_bytes + i, 0, 2);
        switch (m->type) {
        case FA_F8_E4M3:
            decode_e4m3(src, m->scale + ((row + r) >> m->scale_shift) * m->scale_bytes, first, n, dst);
            break;
        case FA_F32: memcpy(dst, src, (size_t)n * 4); break;
        case FA_BF16: decode_bf16(src, n, dst); break;
        case FA_F16: decode_f16(src, n, dst); break;
        case FA_Q8_0: decode_q8_0(src, n, dst); break;
        case FA_Q4_0: decode_q4(src, n, false, dst); break;
        case FA_Q4_1: decode_q4(src, n, true, dst); break;
        default: decode_other(m, row + r, first, n, dst); break;
        }
    }
}

/* nw weight rows and nx activation rows, both constants wherever this is inlined. */
INLINE void dot_tile(const float *const *w, int nw, const float *const *x, int nx, int64_t n, float *partials) {
    vec_f acc[4][CPU_STRIP][SUM_VECTORS];
#pragma GCC unroll 4
    for (int t = 0; t < nx; t++)
#pragma GCC unroll 4
        for (int r = 0; r < nw; r++)
#pragma GCC unroll 4
            for (int v = 0; v < SUM_VECTORS; v++)
                acc[t][r][v] = load(partials + (t * CPU_STRIP + r) * CPU_PARTIALS + v * LANES);
    for (int64_t i = 0; i + CPU_PARTIALS <= n; i += CPU_PARTIALS)
#pragma GCC unroll 4
        for (int v = 0; v < SUM_VECTORS; v++)
#pragma GCC unroll 4
            for (int r = 0; r < nw; r++) {
                vec_f weight = load(w[r] + i + v * LANES);
#pragma GCC unroll 4
                for (int t = 0; t < nx; t++) {
                    vec_f product = weight * load(x[t] + i + v * LANES);
                    acc[t][r][v] = acc[t][r][v] + product;
                }
            }
#pragma GCC unroll 4
    for (int t = 0; t < nx; t++)
#pragma GCC unroll 4
        for (int r = 0; r < nw; r++)
#pragma GCC unroll 4
            for (int v = 0; v < SUM_VECTORS; v++)
                store(partials + (t * CPU_STRIP + r) * CPU_PARTIALS + v * LANES, acc[t][r][v]);
}

/* The last n % 16 elements, one by one. */
static void dot_rest(const float *const *w, const float *const *x, int n_x, int64_t n, float *partials) {
    int64_t first = n / CPU_PARTIALS * CPU_PARTIALS;
    for (int t = 0; t < n_x; t++)
        for (int r = 0; r < CPU_STRIP; r++)
            for (int64_t i = first; i < n; i++) {
                float product = w[r][i] * x[t][i];
                partials[(t * CPU_STRIP + r) * CPU_PARTIALS + i - first] += product;
            }
}

static void dot(const float *const w[CPU_STRIP], const float *const *x, int n_x, int64_t n, float *partials) {
    int t = 0;
    if (LANES == 16) /* 32 registers hold 16 sums and more */
        for (; t + 4 <= n_x; t += 4) dot_tile(w, 4, x + t, 4, n, partials + t * CPU_STRIP * CPU_PARTIALS);
    for (; t < n_x; t++) {
        float *p = partials + t * CPU_STRIP * CPU_PARTIALS;
        if (LANES >= 8) {
            dot_tile(w, 4, x + t, 1, n, p);
        } else {
            dot_tile(w, 2, x + t, 1, n, p);
            dot_tile(w + 2, 2, x + t, 1, n, p + 2 * CPU_PARTIALS);
        }
    }
    if (n % CPU_PARTIALS) dot_rest(w, x, n_x, n, partials);
}

/* Partials j + (j + 8), then + (j + 4): four sums left. */
INLINE vec_f4 fold_to_4(const float *p) {
    vec_f4 a = *(const vec_f4_at *)p, b = *(const vec_f4_at *)(p + 4);
    vec_f4 c = *(const vec_f4_at *)(p + 8), d = *(const vec_f4_at *)(p + 12);
    return (a + c) + (b + d);
}

INLINE float tree_1(const float *p) {
    vec_f4 q = fold_to_4(p);
    return (q[0] + q[2]) + (q[1] + q[3]);
}

/* The last two levels for four sums side by side. */
INLINE vec_f4 tree_4(const float *p) {
    vec_f4 half[2];
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        vec_f4 a = fold_to_4(p + 2 * i * CPU_PARTIALS), b = fold_to_4(p + (2 * i + 1) * CPU_PARTIALS);
        half[i] = __builtin_shuffle(a, b, (vec_i4){0, 1, 4, 5}) + __builtin_shuffle(a, b, (vec_i4){2, 3, 6, 7});
    }
    return __builtin_shuffle(half[0], half[1], (vec_i4){0, 2, 4, 6}) +
           __builtin_shuffle(half[0], half[1], (vec_i4){1, 3, 5, 7});
}

static void tree(const float *partials, int n_x, float *out, int64_t ld) {
    for (int t = 0; t < n_x; t++) *(vec_f4_at *)(out + t * ld) = tree_4(partials + t * CPU_STRIP * CPU_PARTIALS);
}

/* nv vectors of columns from w on; a constant wherever this is inlined. */
INLINE void columns_tile(const float *w, int64_t ldw, const float *x, int n_d, int nv, float *out) {
    vec_f p[CPU_PARTIALS][4];
    for (int j = 0; j < CPU_PARTIALS; j++) {
        vec_f sum[4];
#pragma GCC unroll 4
        for (int i = 0; i < nv; i++) sum[i] = (vec_f){0};
        for (int d = j; d < n_d; d += CPU_PARTIALS)
#pragma GCC unroll 4
            for (int i = 0; i < nv; i++) {
                vec_f product = load(w + d * ldw + i * LANES) * splat(x[d]);
                sum[i] = sum[i] + product;
            }
#pragma GCC unroll 4
        for (int i = 0; i < nv; i++) p[j][i] = sum[i];
    }
    for (int level = CPU_PARTIALS / 2; level; level /= 2)
        for (int j = 0; j < level; j++)
#pragma GCC unroll 4
            for (int i = 0; i < nv; i++) p[j][i] = p[j][i] + p[j + level][i];
#pragma GCC unroll 4
    for (int i = 0; i < nv; i++) store(out + i * LANES, p[0][i]);
}

static void columns(const float *w, int64_t ldw, const float *x, int n_d, int64_t n, float *out) {
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) columns_tile(w + i, ldw, x, n_d, 4, out + i);
    for (; i < n; i += LANES) columns_tile(w + i, ldw, x, n_d, 1, out + i);
}

#endif
