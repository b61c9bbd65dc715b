/* Kernels with AVX-512 BF16 and VBMI beside what kernels_avx512.c has. */
#include "host/backend/cpu/kernels_isa.h"

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
#include "host/backend/cpu/vec_avx512.h"

#include "host/backend/cpu/codes_bf16.h"
#include "host/backend/cpu/simd_ordered.h"
#include "host/backend/cpu/simd_rows.h"

const fa_cpu_kernels fa_cpu_kernels_avx512bf16 = SIMD_KERNELS;

/* Codes from 2^-6 to 30: about every sixteenth product is a tie. */
static uint16_t some_code(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    uint32_t code = 8 + (*state >> 8) % 88;
    return (uint16_t)(low_bytes[code] | high_bytes[code] << 8 | (*state >> 31 << 15));
}

static float bf16_value(uint16_t u) {
    return fa_from_bits((uint32_t)u << 16);
}

bool fa_cpu_bf16_adds_by_rule_1(void) {
    uint32_t state = 1;
    for (int i = 0; i < 256; i++) {
        uint16_t w[2 * LANES], x[2 * LANES];
        for (int k = 0; k < 2 * LANES; k++) w[k] = some_code(&state), x[k] = some_code(&state);
        vec_u got = pair_products(_mm512_loadu_si512(w), _mm512_loadu_si512(x));
        for (int k = 0; k < LANES; k++) {
            const float w_pair[] = {bf16_value(w[2 * k]), bf16_value(w[2 * k + 1])};
            const float x_pair[] = {bf16_value(x[2 * k]), bf16_value(x[2 * k + 1])};
            if ((int32_t)(got[k] - fa_bits(ROUNDER)) != fa_pair_8ths(w_pair, x_pair)) return false;
        }
    }
    return true;
}
#endif
