/* The arithmetic of docs/numerics.md for one element or one block: what every backend must reproduce bit for bit.
 * Runs with FTZ and DAZ set (fa_fp_enter); compiled without contraction. */
#ifndef FA_BACKEND_SCALAR_H
#define FA_BACKEND_SCALAR_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t fa_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static inline float fa_from_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* Rule 1. The products of elements 2i and 2i + 1 in units of 1/8: to 1.5 * 2^20, whose last mantissa bit is worth 1/8, first the
 * odd element's product is added and then the even one's, each sum rounded to nearest even; the low bits are the integer. */
static inline int32_t fa_pair_8ths(const float w[2], const float a[2]) {
    float t = w[1] * a[1] + 1572864.0f; /* the product is exact: 8 significant bits */
    t = w[0] * a[0] + t;
    return (int32_t)(fa_bits(t) - fa_bits(1572864.0f));
}

/* Rule 2. One K block's contribution: acc + sum * (scale_a * scale_w), `sum` in 8ths. */
static inline float fa_block_add(float acc, int32_t sum, float scale_a, float scale_w) {
    float s = (float)sum * 0.125f; /* one rounding; the power of two is exact */
    float scale = scale_a * scale_w;
    float scaled = s * scale;
    return acc + scaled;
}

/* Rule 3. The tree over 16 partial sums: j + (j+8), + (j+4), + (j+2), + (j+1). */
static inline float fa_tree_16(const float *partial) {
    float p[8];
    for (int j = 0; j < 8; j++) p[j] = partial[j] + partial[j + 8];
    for (int j = 0; j < 4; j++) p[j] = p[j] + p[j + 4];
    for (int j = 0; j < 2; j++) p[j] = p[j] + p[j + 2];
    return p[0] + p[1];
}

/* Rule 3. Adds a[i] * b[i] to the partial sums; `first` is the index of a[0] in the whole sum. */
static inline void fa_partial_dot(float *partial, int64_t first, const float *a, const float *b, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float product = a[i] * b[i];
        partial[(first + i) % 16] += product;
    }
}

/* Rule 3. The ordered sum of a[i] * b[i]. */
static inline float fa_ordered_dot(const float *a, const float *b, int64_t n) {
    float partial[16] = {0};
    fa_partial_dot(partial, 0, a, b, n);
    return fa_tree_16(partial);
}

/* Rule 3. The ordered sum of a[i]. */
static inline float fa_ordered_sum(const float *a, int64_t n) {
    float partial[16] = {0};
    for (int64_t i = 0; i < n; i++) partial[i % 16] += a[i];
    return fa_tree_16(partial);
}

/* Rule 5. exp: clamp, n = round(x / ln 2), r = x - n ln 2 in two parts, a polynomial of degree 5 (coefficients of Cephes'
 * expf, S. Moshier), then two exact multiplications by powers of two, of which the last may overflow or flush.
 * NaN stays NaN; below -88 it is 0, above 89 infinity. */
static inline float fa_exp(float x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    x = x < -88.0f ? -88.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float t = x * 1.44269504f + magic;
    uint32_t n = fa_bits(t) - fa_bits(magic);
    float fn = t - magic;
    float r = x - fn * 0.693359375f;
    r = r - fn * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    float r2 = r * r;
    p = p * r2 + r;
    p = p + 1.0f;
    uint32_t half = (uint32_t)((int32_t)n >> 1);
    float first = fa_from_bits((half + 127u) << 23);
    float second = fa_from_bits((n - half + 127u) << 23);
    return p * first * second;
}

static inline float fa_sigmoid(float x) {
    return 1.0f / (1.0f + fa_exp(-x));
}

static inline float fa_silu(float x) {
    return x / (1.0f + fa_exp(-x));
}

/* Rule 5. exp(-x * x) by fa_exp, for erf: the square is one rounding. Coefficients of Cephes' erff and erfcf (S. Moshier): a polynomial in
 * x^2 up to 1, beyond it 1 - exp(-x^2) / |x| times one in 1 / x^2, with other coefficients from 2 on. */
static inline float fa_erf(float x) {
    static const float near[] = {7.853861353153693e-5f,  -8.010193625184903e-4f, 5.188327685732524e-3f,
                                 -2.685381193529856e-2f, 1.128358514861418e-1f,  -3.761262582423300e-1f,
                                 1.128379165726710e+0f};
    static const float middle[] = {2.326819970068386e-2f,  -1.387039388740657e-1f, 3.687424674597105e-1f,
                                   -5.824733027278666e-1f, 6.210004621745983e-1f,  -4.944515323274145e-1f,
                                   3.404879937665872e-1f,  -2.741127028184656e-1f, 5.638259427386472e-1f};
    static const float far[] = {-1.047766399936249e+1f, 1.297719955372516e+1f,  -7.495518717768503e+0f,
                                2.921019019210786e+0f,  -1.015265279202700e+0f, 4.218463358204948e-1f,
                                -2.820767439740514e-1f, 5.641895067754075e-1f};
    float z = x * x, a = x < 0.0f ? -x : x;
    if (a <= 1.0f) {
        float p = near[0];
        for (int i = 1; i < 7; i++) p = p * z + near[i];
        return x * p;
    }
    const float *c = a < 2.0f ? middle : far;
    float q = 1.0f / a, r = q * q, p = c[0];
    for (int i = 1; i < (a < 2.0f ? 9 : 8); i++) p = p * r + c[i];
    float rest = fa_exp(-z) * q;
    rest = rest * p;
    rest = 1.0f - rest;
    return x < 0.0f ? -rest : rest;
}

/* x * Phi(x), the exact form, as torch computes it. */
static inline float fa_gelu(float x) {
    float half = x * 0.5f, phi = fa_erf(x * 0.70710678f);
    phi = 1.0f + phi;
    return half * phi;
}

/* Normalises x [n] in place: the mean is the ordered sum over n, then the variance that of the squared differences; y = (d * inv) * weight + bias. */
static inline void fa_layernorm(float *x, int64_t n, const float *weight, const float *bias, float eps) {
    float mean = fa_ordered_sum(x, n) / (float)n;
    for (int64_t i = 0; i < n; i++) x[i] = x[i] - mean;
    float variance = fa_ordered_dot(x, x, n) / (float)n;
    float inv = 1.0f / sqrtf(variance + eps);
    for (int64_t i = 0; i < n; i++) {
        float normed = x[i] * inv;
        normed = normed * weight[i];
        x[i] = normed + bias[i];
    }
}

/* The sum of a group's values f(x) over a map [height, width, channels]: in each row of the map the ordered sum over its pixels and the group's `n`
 * channels from `first` on, then the ordered sum of the rows'. square: of x * x. */
static inline float fa_group_sum(const float *x, int64_t height, int64_t width, int64_t channels, int64_t first,
                                 int64_t n, bool square) {
    float rows[16] = {0};
    for (int64_t r = 0; r < height; r++) {
        float partial[16] = {0};
        for (int64_t c = 0; c < width; c++)
            for (int64_t i = 0; i < n; i++) {
                float v = x[(r * width + c) * channels + first + i];
                float term = square ? v * v : v;
                partial[(c * n + i) % 16] += term;
            }
        rows[r % 16] += fa_tree_16(partial);
    }
    return fa_tree_16(rows);
}

/* Normalises a map x [height, width, channels] in place, each of `groups` of neighbouring channels by its own mean and variance: as fa_layernorm,
 * with fa_group_sum in the place of the ordered sum (Wu and He, arXiv 1803.08494). */
static inline void fa_groupnorm(float *x, int64_t height, int64_t width, int64_t channels, int64_t groups,
                                const float *weight, const float *bias, float eps) {
    int64_t n = channels / groups, pixels = height * width;
    float count = (float)(n * pixels);
    for (int64_t first = 0; first < channels; first += n) {
        float mean = fa_group_sum(x, height, width, channels, first, n, false) / count;
        for (int64_t p = 0; p < pixels; p++)
            for (int64_t i = first; i < first + n; i++) x[p * channels + i] = x[p * channels + i] - mean;
        float variance = fa_group_sum(x, height, width, channels, first, n, true) / count;
        float inv = 1.0f / sqrtf(variance + eps);
        for (int64_t p = 0; p < pixels; p++)
            for (int64_t i = first; i < first + n; i++) {
                float normed = x[p * channels + i] * inv;
                normed = normed * weight[i];
                x[p * channels + i] = normed + bias[i];
            }
    }
}

#endif
