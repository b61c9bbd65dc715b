/* FP32 arithmetic of docs/numerics.md for one value or one word, in the subset that HLS takes. On the host it runs with FTZ and
 * DAZ; an FPGA's operators flush. tests/unit/test_hls_float.c holds it to host/backend/scalar.h over many floats. */
#ifndef HLS_FLOAT_H
#define HLS_FLOAT_H

#include <math.h>
#include <stdint.h>

#include "hls/word.h"

typedef union hls_float_bits {
    float value;
    uint32_t bits;
} hls_float_bits;

static inline uint32_t hls_bits(float x) {
    hls_float_bits u;
    u.value = x;
    return u.bits;
}

static inline float hls_float(uint32_t bits) {
    hls_float_bits u;
    u.bits = bits;
    return u.value;
}

#define HLS_INFINITY 0x7F800000u
#define HLS_NAN 0x7FC00000u

/* Rule 3: partials j + (j + 8), + (j + 4), + (j + 2), + (j + 1). */
static inline float hls_tree_16(const float partial[16]) {
    float p[8];
    for (int j = 0; j < 8; j++) {
#pragma HLS UNROLL
        p[j] = partial[j] + partial[j + 8];
    }
    float a = p[0] + p[4], b = p[1] + p[5], c = p[2] + p[6], d = p[3] + p[7];
    float e = a + c, f = b + d;
    return e + f;
}

/* Rule 5: clamp, n = the integer nearest x log2 e, r = x - n ln 2 in two parts, the polynomial of Cephes' expf, two
 * multiplications by powers of two. */
static inline float hls_exp(float x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
    x = x < -88.0f ? -88.0f : x;
    x = x > 89.0f ? 89.0f : x;
    float scaled = x * 1.44269504f;
    float t = scaled + magic;
    uint32_t n = hls_bits(t) - hls_bits(magic);
    float fn = t - magic;
    float high = fn * 0.693359375f, low = fn * -2.12194440e-4f;
    float r = x - high;
    r = r - low;
    static const float c[6] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                               4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    float p = c[0];
    for (int i = 1; i < 6; i++) {
#pragma HLS UNROLL
        float product = p * r;
        p = product + c[i];
    }
    float r2 = r * r;
    float product = p * r2;
    p = product + r;
    p = p + 1.0f;
    uint32_t half = (uint32_t)((int32_t)n >> 1);
    float first = hls_float((half + 127u) << 23);
    float second = hls_float((n - half + 127u) << 23);
    float almost = p * first;
    return almost * second;
}

static inline float hls_silu(float x) {
    float e = hls_exp(-x);
    float d = 1.0f + e;
    return x / d;
}

static inline float hls_bf16_decode(uint32_t bits) {
    return hls_float(bits << 16);
}

/* Round to nearest even; a NaN becomes 0xFFFF. */
static inline uint32_t hls_bf16_encode(float x) {
    uint32_t u = hls_bits(x);
    if ((u & 0x7FFFFFFFu) > HLS_INFINITY) return 0xFFFFu;
    return (u + 0x7FFFu + (u >> 16 & 1u)) >> 16;
}

#endif
