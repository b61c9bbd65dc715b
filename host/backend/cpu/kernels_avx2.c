/* Kernels with AVX2, FMA and F16C. */
#include "host/backend/cpu/kernels_isa.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>

#define LANES 8
#include "host/backend/cpu/vec.h"

/* A multiply-add of pairs of bytes with {16, 0} or {0, 16} shifts every second code, as a signed number, left by four: two
 * codes in the halves of each word, where the mask leaves sign, exponent and mantissa. */
INLINE void take_apart(const uint8_t *codes, vec_f w[4]) {
    __m256i v = _mm256_loadu_si256((const __m256i *)codes);
    __asm__("" : "+v"(v)); /* one load, where the compiler would rather make it part of both uses */
    __m256i even = _mm256_maddubs_epi16(_mm256_set1_epi16(0x0010), v);
    __m256i odd = _mm256_maddubs_epi16(_mm256_set1_epi16(0x1000), v);
    __m256i mask = _mm256_set1_epi32((int32_t)0x87F00000);
    w[0] = (vec_f)_mm256_and_si256(_mm256_slli_epi32(even, 16), mask);
    w[1] = (vec_f)_mm256_and_si256(_mm256_slli_epi32(odd, 16), mask);
    w[2] = (vec_f)_mm256_and_si256(even, mask);
    w[3] = (vec_f)_mm256_and_si256(odd, mask);
}

INLINE vec_f fma_lanes(vec_f a, vec_f b, vec_f c) {
    return _mm256_fmadd_ps(a, b, c);
}

/* Sums of the lanes of eight vectors. */
INLINE vec_u sum_lanes(const vec_u *v) {
    __m256i four[2];
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++)
        four[i] = _mm256_hadd_epi32(_mm256_hadd_epi32((__m256i)v[4 * i], (__m256i)v[4 * i + 1]),
                                    _mm256_hadd_epi32((__m256i)v[4 * i + 2], (__m256i)v[4 * i + 3]));
    return (vec_u)_mm256_add_epi32(_mm256_permute2x128_si256(four[0], four[1], 0x20),
                                   _mm256_permute2x128_si256(four[0], four[1], 0x31));
}

/* LANES bytes as integers. */
INLINE vec_i widen(const uint8_t *p) {
    return (vec_i)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

/* LANES 16-bit words as integers. */
INLINE vec_i widen_16(const uint8_t *p) {
    return (vec_i)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
}

/* Reads four bytes, which every block has. */
INLINE float half_scalar(const uint8_t *p) {
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_loadu_si32(p)));
}

INLINE vec_f half_lanes(const uint8_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

/* With its exponent and mantissa in those of an FP16 a code is its value / 2^8, and F16C reads subnormals in any mode. */
static const float CODE_UNIT = 256.0f;

INLINE vec_f code_lanes(const uint8_t *p) {
    __m128i words = _mm_slli_epi16(_mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)p)), 7);
    return _mm256_cvtph_ps(_mm_and_si128(words, _mm_set1_epi16((int16_t)0xBF80)));
}

#include "host/backend/cpu/simd_codes.h"
#include "host/backend/cpu/simd_ordered.h"
#include "host/backend/cpu/simd_rows.h"

const fa_cpu_kernels fa_cpu_kernels_avx2 = SIMD_KERNELS;
#endif
