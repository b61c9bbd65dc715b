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
typedef uint8_t vec_bytes __attribute__((vector_size(LANES * 4)));
typedef uint8_t vec_bytes_at __attribute__((vector_size(LANES * 4), aligned(1), may_alias));
typedef float vec_f4 __attribute__((vector_size(16)));
typedef int32_t vec_i4 __attribute__((vector_size(16)));

/* the same, anywhere in memory */
typedef float vec_f_at __attribute__((vector_size(LANES * 4), aligned(1), may_alias));
typedef float vec_f4_at __attribute__((vector_size(16), aligned(1), may_alias));

INLINE vec_f load(const float *p) {
    return *(const vec_f_at *)p;
}

INLINE void store(float *p, vec_f v) {
    *(vec_f_at *)p = v;
}

INLINE vec_f splat(float x) {
    return x - (vec_f){0};
}

/* Lanes 0, 2, 4 ... or 1, 3, 5 ... of a and then b. */
#if LANES == 4
#define EVEN_LANES \
    { 0, 2, 4, 6 }
#elif LANES == 8
#define EVEN_LANES \
    { 0, 2, 4, 6, 8, 10, 12, 14 }
#else
#define EVEN_LANES \
    { 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30 }
#endif

INLINE vec_f evens(vec_f a, vec_f b) {
    return __builtin_shuffle(a, b, (vec_i)EVEN_LANES);
}

INLINE vec_f odds(vec_f a, vec_f b) {
    return __builtin_shuffle(a, b, (vec_i)EVEN_LANES + 1);
}

/* a where the mask's lanes are -1, b where they are 0 */
INLINE vec_f choose(vec_i mask, vec_f a, vec_f b) {
    return (vec_f)((mask & (vec_i)a) | (~mask & (vec_i)b));
}

/* The sum is kept in its register here: left alone, the compiler collects the terms of a long chain of integer additions, runs out of
 * registers and adds them at the end. */
INLINE void settle(vec_u *sum) {
#if defined(__x86_64__)
    __asm__("" : "+v"(*sum));
#else
    (void)sum;
#endif
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
