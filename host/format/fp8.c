#include "host/format/fp8.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static float float_of(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* The value of an E4M3FN code as a constant expression: subnormals are m/8 * 2^-6, the others (1 + m/8) *
 * 2^(e-7). A table, and not bit tricks, because decoding must give the same under DAZ, where a shifted
 * subnormal code would be lost. */
#define E4M3_MAGNITUDE(c)             \
    ((c) == 0x7F ? __builtin_nanf("") \
                 : ((c) < 8 ? (float)((c)&7) / 512.0f : (float)(8 + ((c)&7)) * (float)(1 << ((c) >> 3)) / 1024.0f))
#define E4M3(c) ((c)&0x80 ? -E4M3_MAGNITUDE((c)&0x7F) : E4M3_MAGNITUDE((c)&0x7F))
#define E4M3_4(c) E4M3(c), E4M3((c) + 1), E4M3((c) + 2), E4M3((c) + 3)
#define E4M3_16(c) E4M3_4(c), E4M3_4((c) + 4), E4M3_4((c) + 8), E4M3_4((c) + 12)
#define E4M3_64(c) E4M3_16(c), E4M3_16((c) + 16), E4M3_16((c) + 32), E4M3_16((c) + 48)

static const float e4m3_values[256] = {E4M3_64(0), E4M3_64(64), E4M3_64(128), E4M3_64(192)};

float fa_e4m3_decode(uint8_t code) {
    return e4m3_values[code];
}

float fa_e5m2_decode(uint8_t code) {
    return fa_f16_decode((uint16_t)(code << 8)); /* E5M2 is the upper byte of an FP16 */
}

float fa_e8m0_decode(uint8_t code) {
    if (code == 255) return float_of(0x7FC00000u);
    return float_of(code ? (uint32_t)code << 23 : 0x00400000u);
}

float fa_bf16_decode(uint16_t bits) {
    return float_of((uint32_t)bits << 16);
}

float fa_f16_decode(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16, rest = bits & 0x7FFFu;
    if (rest < 0x0400u) return float_of(bits_of((float)rest * 0x1p-24f) | sign);
    if (rest >= 0x7C00u) return float_of(sign | 0x7F800000u | (rest & 0x3FFu) << 13);
    return float_of(sign | ((rest << 13) + (112u << 23)));
}

/* Rounds the magnitude `u` (bits of an FP32 below the target's overflow) to a format with `mantissa` mantissa
 * bits and exponent bias `bias`; ties to even. Below the smallest normal, adding a power of two whose last
 * place is worth the target's smallest step leaves the rounded count of steps in the low bits. */
static uint32_t round_magnitude(uint32_t u, int mantissa, int bias) {
    int drop = 23 - mantissa;
    uint32_t smallest_normal = (uint32_t)(128 - bias) << 23;
    if (u < smallest_normal) {
        float magic = float_of((uint32_t)(127 + 24 - bias - mantissa) << 23);
        return bits_of(float_of(u) + magic) - bits_of(magic);
    }
    u += (1u << (drop - 1)) - 1 + ((u >> drop) & 1);
    return (u >> drop) - ((uint32_t)(127 - bias) << mantissa);
}

static const uint32_t INFINITY_BITS = 0x7F800000u;

uint8_t fa_e4m3_encode(float x) {
    uint32_t u = bits_of(x), sign = u >> 24 & 0x80u;
    u &= 0x7FFFFFFFu;
    if (u > INFINITY_BITS) return (uint8_t)(sign | 0x7Fu);
    if (u >= 0x43E00000u) return (uint8_t)(sign | 0x7Eu); /* 448 and above */
    return (uint8_t)(sign | round_magnitude(u, 3, 7));
}

uint8_t fa_e5m2_encode(float x) {
    uint32_t u = bits_of(x), sign = u >> 24 & 0x80u;
    u &= 0x7FFFFFFFu;
    if (u > INFINITY_BITS) return (uint8_t)(sign | 0x7Fu);
    if (u >= 0x47800000u) return (uint8_t)(sign | 0x7Cu); /* 2^16 and above */
    return (uint8_t)(sign | round_magnitude(u, 2, 15));
}

uint16_t fa_f16_encode(float x) {
    uint32_t u = bits_of(x), sign = u >> 16 & 0x8000u;
    u &= 0x7FFFFFFFu;
    if (u > INFINITY_BITS) return (uint16_t)(sign | 0x7E00u);
    if (u >= 0x47800000u) return (uint16_t)(sign | 0x7C00u);
    return (uint16_t)(sign | round_magnitude(u, 10, 15));
}

uint16_t fa_bf16_encode(float x) {
    uint32_t u = bits_of(x);
    if ((u & 0x7FFFFFFFu) > INFINITY_BITS) return 0xFFFFu;
    return (uint16_t)((u + 0x7FFFu + (u >> 16 & 1)) >> 16);
}

/* Largest magnitude of [rows, cols] values whose rows are `stride` apart; NaN when one of them is not finite.
 * Magnitudes order like their bits. */
static float largest(const float *x, int64_t rows, int64_t cols, int64_t stride) {
    uint32_t top = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            uint32_t u = bits_of(x[r * stride + c]) & 0x7FFFFFFFu;
            top = u > top ? u : top;
        }
    return top >= INFINITY_BITS ? float_of(0x7FC00000u) : float_of(top);
}

/* Codes of one block; the scale is (amax, at least `floor`) / 448. */
static float quantise(const float *x, int64_t rows, int64_t cols, int64_t stride, float floor, uint8_t *codes) {
    float amax = largest(x, rows, cols, stride);
    float scale = (amax < floor ? floor : amax) / 448.0f;
    for (int64_t r = 0; r < rows; r++, x += stride, codes += stride) {
        if (isnan(scale))
            memset(codes, 0, (size_t)cols);
        else
            for (int64_t c = 0; c < cols; c++) codes[c] = fa_e4m3_encode(x[c] / scale);
    }
    return scale;
}

float fa_quantise_block(const float *x, int n, uint8_t *codes) {
    return quantise(x, 1, n, n, 1e-4f, codes);
}

void fa_quantise_weight(const float *w, int64_t rows, int64_t cols, uint8_t *codes, float *scales) {
    for (int64_t r = 0; r < rows; r += 128)
        for (int64_t c = 0; c < cols; c += 128) {
            int64_t nr = rows - r < 128 ? rows - r : 128, nc = cols - c < 128 ? cols - c : 128;
            *scales++ = quantise(w + r * cols + c, nr, nc, cols, 1e-12f, codes + r * cols + c);
        }
}
