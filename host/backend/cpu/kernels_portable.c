/* Kernels in plain C: 16-byte vectors that every compiler target has or lowers. */
#include "host/backend/cpu/kernels_isa.h"
#include "host/format/fp8.h"

#define LANES 4
#include "host/backend/cpu/vec.h"

typedef vec_u vec_u_at __attribute__((aligned(1), may_alias));

/* Each code to the top byte, then right by four as a signed number: the mask leaves sign, exponent and mantissa. */
INLINE void take_apart(const uint8_t *codes, vec_f w[4]) {
    vec_u word = *(const vec_u_at *)codes;
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++) w[p] = (vec_f)(((vec_i)(word << (24 - 8 * p)) >> 4) & (int32_t)0x87F00000);
}

/* The product is exact (rule 1), so two roundings are one. */
INLINE vec_f fma_lanes(vec_f a, vec_f b, vec_f c) {
    return a * b + c;
}

/* Sums of the lanes of four vectors. */
INLINE vec_u sum_lanes(const vec_u *v) {
    vec_u half[2];
    for (int i = 0; i < 2; i++)
        half[i] = __builtin_shuffle(v[2 * i], v[2 * i + 1], (vec_i){0, 1, 4, 5}) +
                  __builtin_shuffle(v[2 * i], v[2 * i + 1], (vec_i){2, 3, 6, 7});
    return __builtin_shuffle(half[0], half[1], (vec_i){0, 2, 4, 6}) +
           __builtin_shuffle(half[0], half[1], (vec_i){1, 3, 5, 7});
}

/* LANES bytes as integers. */
INLINE vec_i widen(const uint8_t *p) {
    return (vec_i){p[0], p[1], p[2], p[3]};
}

/* LANES 16-bit words as integers. */
INLINE vec_i widen_16(const uint8_t *p) {
    uint16_t w[LANES];
    memcpy(w, p, sizeof w);
    return (vec_i){w[0], w[1], w[2], w[3]};
}

INLINE float half_scalar(const uint8_t *p) {
    return fa_f16_decode((uint16_t)(p[0] | p[1] << 8));
}

INLINE vec_f half_lanes(const uint8_t *p) {
    return (vec_f){half_scalar(p), half_scalar(p + 2), half_scalar(p + 4), half_scalar(p + 6)};
}

static const float CODE_UNIT = 1.0f;

/* Normal codes get the FP32 exponent; subnormal ones are multiples of 2^-9. */
INLINE vec_f code_lanes(const uint8_t *p) {
    vec_i code = widen(p), magnitude = code & 0x7F;
    vec_f normal = (vec_f)((magnitude << 20) + (120 << 23));
    vec_f value = choose(magnitude < 8, __builtin_convertvector(magnitude, vec_f) * 0x1p-9f, normal);
    return (vec_f)((vec_i)value | (code & 0x80) << 24);
}

#include "host/backend/cpu/simd_codes.h"
#include "host/backend/cpu/simd_ordered.h"
#include "host/backend/cpu/simd_rows.h"

const fa_cpu_kernels fa_cpu_kernels_portable = SIMD_KERNELS;
