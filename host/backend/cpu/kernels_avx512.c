/* Kernels with AVX-512 F, BW, DQ and VL. */
#include "host/backend/cpu/kernels_isa.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include "host/backend/cpu/vec_avx512.h"

/* As in kernels_avx2.c, 64 codes at a time. */
INLINE void take_apart(const uint8_t *codes, vec_f w[4]) {
    __m512i v = _mm512_loadu_si512(codes);
    __asm__("" : "+v"(v)); /* one load, where the compiler would rather make it part of both uses */
    __m512i even = _mm512_maddubs_epi16(_mm512_set1_epi16(0x0010), v);
    __m512i odd = _mm512_maddubs_epi16(_mm512_set1_epi16(0x1000), v);
    __m512i mask = _mm512_set1_epi32((int32_t)0x87F00000);
    w[0] = (vec_f)_mm512_and_si512(_mm512_slli_epi32(even, 16), mask);
    w[1] = (vec_f)_mm512_and_si512(_mm512_slli_epi32(odd, 16), mask);
    w[2] = (vec_f)_mm512_and_si512(even, mask);
    w[3] = (vec_f)_mm512_and_si512(odd, mask);
}

INLINE vec_f fma_lanes(vec_f a, vec_f b, vec_f c) {
    return _mm512_fmadd_ps(a, b, c);
}

#include "host/backend/cpu/simd_codes.h"
#include "host/backend/cpu/simd_ordered.h"
#include "host/backend/cpu/simd_rows.h"

const fa_cpu_kernels fa_cpu_kernels_avx512 = SIMD_KERNELS;
#endif
