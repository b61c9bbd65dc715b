/* Vectors of LANES elements as GCC vector types: +, -, *, / and integer operators work lane by lane, each one instruction
 * and one rounding. The including file defines LANES (4, 8 or 16) first. */
#ifndef FA_BACKEND_CPU_VEC_H
#define FA_BACKEND_CPU_VEC_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

typedef float vec_f __attribute__((vector_size(LANES * 4)));
typedef int32_t vec_i __attribute__((vector_size(LANES * 4)));
typedef uint32_t vec_u __attribute__((vector_size(LANES * 4)));
typedef uint16_t vec_u16 __attribute__((vector_size(LANES * 2)));
typedef uint8_t vec_u8 __attribute__((vector_size(LANES)));
typedef uint8_t vec_bytes __attribute__((vector_size(LANES * 4)));
typedef uint8_t vec_bytes_at __attribute__((vector_size(LANES * 4), aligned(1), may_alias));
typedef float vec_f4 __attribute__((vector_size(16)));
typedef int32_t vec_i4 __attribute__((vector_size(16)));

/* the same, anywhere in memory */
typedef float vec_f_at __attribute__((vector_size(LANES * 4), aligned(1), may_alias));
typedef float vec_f4_at __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint16_t vec_u16_at __attribute__((vector_size(LANES * 2), aligned(1), may_alias));
typedef uint8_t vec_u8_at __attribute__((vector_size(LANES), aligned(1), may_alias));

INLINE vec_f load(const float *p) {
    return *(const vec_f_at *)p;
}

INLINE void store(float *p, vec_f v) {
    *(vec_f_at *)p = v;
}

INLINE vec_f splat(float x) {
    return x - (vec_f){0};
}

INLINE vec_f as_float(vec_i v) {
    return (vec_f)v;
}

/* a where the mask's lanes are -1, b where they are 0 */
INLINE vec_f choose(vec_i mask, vec_f a, vec_f b) {
    return (vec_f)((mask & (vec_i)a) | (~mask & (vec_i)b));
}

/* Subnormal inputs count while a code shifted into an FP32 word is multiplied (results still flush to zero). Callers keep
 * the arithmetic in a function of its own, so that none of it moves across the change of mode. */
INLINE unsigned subnormals_on(void) {
#if defined(__SSE2__)
    unsigned mode = _mm_getcsr();
    _mm_setcsr(mode & ~0x0040u); /* DAZ */
    return mode;
#else
    return 0;
#endif
}

INLINE void subnormals_restore(unsigned mode) {
#if defined(__SSE2__)
    _mm_setcsr(mode);
#else
    (void)mode;
#endif
}

/* What DAZ makes of x, for code that runs without it. */
INLINE float flush(float x) {
    return x > -0x1p-126f && x < 0x1p-126f ? x * 0.0f : x;
}

#endif
