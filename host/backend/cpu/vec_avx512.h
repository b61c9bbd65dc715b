/* The instructions that the kernels need beside those of vec.h, with AVX-512 F, BW, DQ and VL. */
#ifndef FA_BACKEND_CPU_VEC_AVX512_H
#define FA_BACKEND_CPU_VEC_AVX512_H

#include <immintrin.h>

#define LANES 16
#include "host/backend/cpu/vec.h"

/* Two vectors' neighbouring lanes added, inside each 16 bytes. */
INLINE __m512i add_pairs(__m512i a, __m512i b) {
    __m512 x = _mm512_castsi512_ps(a), y = _mm512_castsi512_ps(b);
    return _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(x, y, 0x88)),
                            _mm512_castps_si512(_mm512_shuffle_ps(x, y, 0xDD)));
}

/* Two vectors' neighbouring 16 bytes added. */
INLINE __m512i add_quarters(__m512i a, __m512i b) {
    return _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x88), _mm512_shuffle_i32x4(a, b, 0xDD));
}

/* Sums of the lanes of sixteen vectors. */
INLINE vec_u sum_lanes(const vec_u *v) {
    __m512i four[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        four[i] = add_pairs(add_pairs((__m512i)v[4 * i], (__m512i)v[4 * i + 1]),
                            add_pairs((__m512i)v[4 * i + 2], (__m512i)v[4 * i + 3]));
    return (vec_u)add_quarters(add_quarters(four[0], four[1]), add_quarters(four[2], four[3]));
}

/* LANES bytes as integers. */
INLINE vec_i widen(const uint8_t *p) {
    return (vec_i)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}

/* LANES 16-bit words as integers. */
INLINE vec_i widen_16(const uint8_t *p) {
    return (vec_i)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}

/* Reads four bytes, which every block has. */
INLINE float half_scalar(const uint8_t *p) {
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_loadu_si32(p)));
}

INLINE vec_f half_lanes(const uint8_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static const float CODE_UNIT = 256.0f; /* as in kernels_avx2.c */

INLINE vec_f code_lanes(const uint8_t *p) {
    __m256i words = _mm256_slli_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)), 7);
    return _mm512_cvtph_ps(_mm256_and_si256(words, _mm256_set1_epi16((int16_t)0xBF80)));
}

#endif
