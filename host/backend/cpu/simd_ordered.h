/* Kernels of rule 3: decoding to FP32 and ordered sums. Included by each instruction set's file, which brings
 * half_lanes (LANES FP16 values to FP32). */
#ifndef FA_BACKEND_CPU_SIMD_ORDERED_H
#define FA_BACKEND_CPU_SIMD_ORDERED_H

#include "host/backend/cpu/kernels.h"
#include "host/backend/cpu/vec.h"
#include "host/format/dtype.h"
#include "host/format/fp8.h"

enum { SUM_VECTORS = CPU_PARTIALS / LANES };

static void decode_bf16(const uint8_t *src, int64_t n, float *dst) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec_u16 bits = *(const vec_u16_at *)(src + 2 * i);
        store(dst + i, (vec_f)(__builtin_convertvector(bits, vec_u) << 16));
    }
    fa_decode(FA_BF16, src, i, n - i, dst + i);
}

static void decode_f16(const uint8_t *src, int64_t n, float *dst) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) store(dst + i, half_lanes(src + 2 * i));
    fa_decode(FA_F16, src, i, n - i, dst + i);
}

/* code * scale, one rounding; runs with subnormals on: a code's word is its value * 2^-120. */
static void decode_e4m3(const uint8_t *src, const uint8_t *scales, int64_t n, float *dst) {
    for (int64_t first = 0; first < n; first += CPU_BLOCK) {
        int64_t i = first, end = n - first < CPU_BLOCK ? n : first + CPU_BLOCK;
        float scale;
        memcpy(&scale, scales + first / CPU_BLOCK * 4, 4);
        scale = flush(scale);
        for (; i + LANES <= end; i += LANES) {
            vec_u codes = __builtin_convertvector(*(const vec_u8_at *)(src + i), vec_u);
            vec_i word = ((vec_i)(codes << 24) >> 4) & (int32_t)0x87F00000;
            store(dst + i, (vec_f)word * 0x1p120f * scale);
        }
        for (; i < end; i++) dst[i] = fa_e4m3_decode(src[i]) * scale;
    }
}

static __attribute__((noinline)) void decode_e4m3_rows(const cpu_matrix *m, int64_t row, int n_rows, int64_t first, int64_t n,
                                                       float *dst, int64_t ld) {
    for (int r = 0; r < n_rows; r++) {
        const uint8_t *scales = m->scale + ((row + r) >> m->scale_shift) * m->scale_bytes;
        int64_t head = first % CPU_BLOCK ? CPU_BLOCK - first % CPU_BLOCK : 0; /* up to the next block of scales */
        head = head < n ? head : n;
        const uint8_t *src = m->data + (row + r) * m->row_bytes + first;
        scales += first / CPU_BLOCK * 4;
        decode_e4m3(src, scales, head, dst + r * ld);
        decode_e4m3(src + head, scales + (head ? 4 : 0), n - head, dst + r * ld + head);
    }
}

/* Blocks of 32 elements: the low nibbles of 16 bytes are elements 0-15, the high ones 16-31. With `minimum` the block is
 * Q4_1: nibble * d + m, else Q4_0: (nibble - 8) * d. */
INLINE void decode_q4(const uint8_t *src, int64_t n, bool minimum, float *dst) {
    int head = minimum ? 4 : 2;
    for (int64_t i = 0; i < n; i += 32, src += head + 16) {
        float d = half_scalar(src), m = minimum ? half_scalar(src + 2) : 0.0f;
#pragma GCC unroll 4
        for (int j = 0; j < 16; j += LANES) {
            vec_i q = (vec_i)__builtin_convertvector(*(const vec_u8_at *)(src + head + j), vec_u);
            vec_f low = __builtin_convertvector((q & 15) - (minimum ? 0 : 8), vec_f) * d;
            vec_f high = __builtin_convertvector((q >> 4) - (minimum ? 0 : 8), vec_f) * d;
            store(dst + i + j, minimum ? low + m : low);
            store(dst + i + j + 16, minimum ? high + m : high);
        }
    }
}

static void decode_q8_0(const uint8_t *src, int64_t n, float *dst) {
    for (int64_t i = 0; i < n; i += 32, src += 34) {
        float d = half_scalar(src);
#pragma GCC unroll 8
        for (int j = 0; j < 32; j += LANES) {
            vec_u codes = __builtin_convertvector(*(const vec_u8_at *)(src + 2 + j), vec_u);
            store(dst + i + j, __builtin_convertvector((vec_i)(codes << 24) >> 24, vec_f) * d);
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
    if (m->type == FA_F8_E4M3) {
        unsigned mode = subnormals_on();
        decode_e4m3_rows(m, row, n_rows, first, n, dst, ld);
        subnormals_restore(mode);
        return;
    }
    const fa_dtype_info *info = fa_dtype_get(m->type);
    for (int r = 0; r < n_rows; r++, dst += ld) {
        const uint8_t *src = m->data + (row + r) * m->row_bytes + first / info->block_elements * info->block_bytes;
        switch (m->type) {
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

static void columns(const float *w, int64_t ldw, const float *x, int n_d, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i += LANES) {
        vec_f p[CPU_PARTIALS];
        for (int j = 0; j < CPU_PARTIALS; j++) {
            p[j] = (vec_f){0};
            for (int d = j; d < n_d; d += CPU_PARTIALS) {
                vec_f product = load(w + d * ldw + i) * splat(x[d]);
                p[j] = p[j] + product;
            }
        }
        for (int level = CPU_PARTIALS / 2; level; level /= 2)
            for (int j = 0; j < level; j++) p[j] = p[j] + p[j + level];
        store(out + i, p[0]);
    }
}

#endif
