/* Kernels over one row or one page: rules 4 and 5. Included by each instruction set's file. */
#ifndef FA_BACKEND_CPU_SIMD_ROWS_H
#define FA_BACKEND_CPU_SIMD_ROWS_H

#include <math.h>

#include "host/backend/cpu/kernels.h"
#include "host/backend/cpu/simd_ordered.h"
#include "host/backend/cpu/vec.h"
#include "host/backend/scalar.h"

/* fa_exp, lane by lane. */
INLINE vec_f exp_lanes(vec_f x) {
    vec_f magic = splat(12582912.0f);
    x = choose(x < splat(-88.0f), splat(-88.0f), x);
    x = choose(x > splat(89.0f), splat(89.0f), x);
    vec_f t = x * 1.44269504f + magic;
    vec_u n = (vec_u)t - (vec_u)magic;
    vec_f fn = t - magic;
    vec_f r = x - fn * 0.693359375f;
    r = r - fn * -2.12194440e-4f;
    vec_f p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    vec_f r2 = r * r;
    p = p * r2 + r;
    p = p + 1.0f;
    vec_u half = (vec_u)((vec_i)n >> 1);
    vec_f first = (vec_f)((half + 127u) << 23), second = (vec_f)((n - half + 127u) << 23);
    return p * first * second;
}

/* The larger of each lane; a NaN in `a` passes by. */
INLINE vec_f larger(vec_f a, vec_f b) {
    return choose(a > b, a, b);
}

/* Whole vectors are computed: scores beyond n are made -infinity, whose weight is 0. */
static float softmax(float s[CPU_PAGE], int n, bool first_page, float scale, float *max, float *sum) {
    int end = (n + CPU_PARTIALS - 1) / CPU_PARTIALS * CPU_PARTIALS;
    vec_f largest = splat(first_page ? -INFINITY : *max);
    for (int i = 0; i < end; i += LANES) store(s + i, load(s + i) * scale);
    for (int i = n; i < end; i++) s[i] = -INFINITY;
    for (int i = 0; i < end; i += LANES) largest = larger(load(s + i), largest);
    float m = largest[0];
    for (int j = 1; j < LANES; j++) m = largest[j] > m ? largest[j] : m;
    vec_f total[SUM_VECTORS] = {0};
    for (int i = 0; i < end; i += CPU_PARTIALS)
#pragma GCC unroll 4
        for (int v = 0; v < SUM_VECTORS; v++) {
            vec_f p = exp_lanes(load(s + i + v * LANES) - m);
            store(s + i + v * LANES, p);
            total[v] = total[v] + p;
        }
    float partials[CPU_PARTIALS];
    for (int v = 0; v < SUM_VECTORS; v++) store(partials + v * LANES, total[v]);
    float rescale = first_page ? 0.0f : fa_exp(*max - m);
    *sum = (first_page ? 0.0f : *sum * rescale) + tree_1(partials);
    *max = m;
    return rescale;
}

/* nh heads, nv vectors of the values' elements from v and acc on; both constants wherever this is inlined. */
INLINE void values_tile(const float *v, int64_t ldv, int n, const float (*p)[CPU_PAGE], const float *rescale,
                        bool first_page, int nh, int nv, float *acc, int64_t lda) {
    vec_f sum[4][4];
#pragma GCC unroll 4
    for (int h = 0; h < nh; h++)
#pragma GCC unroll 4
        for (int i = 0; i < nv; i++) sum[h][i] = first_page ? (vec_f){0} : load(acc + h * lda + i * LANES) * rescale[h];
    for (int j = 0; j < n; j++)
#pragma GCC unroll 4
        for (int i = 0; i < nv; i++) {
            vec_f value = load(v + j * ldv + i * LANES);
#pragma GCC unroll 4
            for (int h = 0; h < nh; h++) {
                vec_f product = value * splat(p[h][j]);
                sum[h][i] = sum[h][i] + product;
            }
        }
#pragma GCC unroll 4
    for (int h = 0; h < nh; h++)
#pragma GCC unroll 4
        for (int i = 0; i < nv; i++) store(acc + h * lda + i * LANES, sum[h][i]);
}

static void values(const float *v, int64_t ldv, int n, const float (*p)[CPU_PAGE], const float *rescale,
                   bool first_page, int n_heads, int64_t width, float *acc, int64_t lda) {
    enum { WIDE = 4 };
    for (int64_t i = 0; i < width;) {
        bool wide = i + WIDE * LANES <= width;
        int h = 0;
        float *a = acc + i;
        if (wide)
            for (; h + 2 <= n_heads; h += 2)
                values_tile(v + i, ldv, n, p + h, rescale + h, first_page, 2, WIDE, a + h * lda, lda);
        for (; h < n_heads; h++) {
            if (wide)
                values_tile(v + i, ldv, n, p + h, rescale + h, first_page, 1, WIDE, a + h * lda, lda);
            else
                values_tile(v + i, ldv, n, p + h, rescale + h, first_page, 1, 1, a + h * lda, lda);
        }
        i += wide ? WIDE * LANES : LANES;
    }
}

static void gated(const float *gate, const float *up, int64_t n, float *y) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec_f g = load(gate + i);
        store(y + i, g / (exp_lanes(-g) + 1.0f) * load(up + i));
    }
    for (; i < n; i++) y[i] = fa_silu(gate[i]) * up[i];
}

static float square_sum(const float *x, int64_t n) {
    float partials[CPU_PARTIALS] = {0};
    const float *rest = x + n / CPU_PARTIALS * CPU_PARTIALS;
    dot_tile(&x, 1, &x, 1, n, partials);
    fa_partial_dot(partials, 0, rest, rest, n % CPU_PARTIALS);
    return tree_1(partials);
}

static void scaled(const float *x, float factor, const float *weight, int64_t n, float *y) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) store(y + i, load(weight + i) * (load(x + i) * factor));
    for (; i < n; i++) y[i] = weight[i] * (x[i] * factor);
}

static void add(const float *a, const float *b, int64_t n, float *y) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) store(y + i, load(a + i) + load(b + i));
    for (; i < n; i++) y[i] = a[i] + b[i];
}

#endif
