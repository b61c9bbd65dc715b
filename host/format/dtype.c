#include "host/format/dtype.h"

#include <string.h>

#include "host/format/blocks.h"
#include "host/format/fp8.h"

static const fa_dtype_info infos[FA_DTYPE_COUNT] = {
    [FA_F32] = {"F32", 1, 4},         [FA_F16] = {"F16", 1, 2},         [FA_BF16] = {"BF16", 1, 2},
    [FA_F8_E4M3] = {"F8_E4M3", 1, 1}, [FA_F8_E5M2] = {"F8_E5M2", 1, 1}, [FA_F8_E8M0] = {"F8_E8M0", 1, 1},
    [FA_F64] = {"F64", 1, 8},         [FA_U8] = {"U8", 1, 1},           [FA_I8] = {"I8", 1, 1},
    [FA_I16] = {"I16", 1, 2},         [FA_I32] = {"I32", 1, 4},         [FA_I64] = {"I64", 1, 8},
    [FA_BOOL] = {"BOOL", 1, 1},       [FA_Q4_0] = {"Q4_0", 32, 18},     [FA_Q4_1] = {"Q4_1", 32, 20},
    [FA_Q5_0] = {"Q5_0", 32, 22},     [FA_Q5_1] = {"Q5_1", 32, 24},     [FA_Q8_0] = {"Q8_0", 32, 34},
    [FA_Q4_K] = {"Q4_K", 256, 144},   [FA_Q5_K] = {"Q5_K", 256, 176},   [FA_Q6_K] = {"Q6_K", 256, 210},
};

const fa_dtype_info *fa_dtype_get(fa_dtype t) {
    return &infos[t];
}

int64_t fa_dtype_bytes(fa_dtype t, int64_t n) {
    int64_t bytes;
    if (n < 0 || n % infos[t].block_elements != 0) return -1;
    return __builtin_mul_overflow(n / infos[t].block_elements, infos[t].block_bytes, &bytes) ? -1 : bytes;
}

/* Element i of type `type` at `p` (any alignment), converted by `expression` of `v`. */
#define DECODE(type, expression)                         \
    for (int64_t i = 0; i < n; i++) {                    \
        type v;                                          \
        memcpy(&v, p + i * (int64_t)sizeof v, sizeof v); \
        dst[i] = expression;                             \
    }                                                    \
    break

void fa_decode(fa_dtype t, const void *src, int64_t first, int64_t n, float *dst) {
    const fa_dtype_info *info = &infos[t];
    const uint8_t *p = (const uint8_t *)src + first / info->block_elements * info->block_bytes;
    switch (t) {
    case FA_F32: memcpy(dst, p, (size_t)n * sizeof *dst); break;
    case FA_F16: DECODE(uint16_t, fa_f16_decode(v));
    case FA_BF16: DECODE(uint16_t, fa_bf16_decode(v));
    case FA_F8_E4M3: DECODE(uint8_t, fa_e4m3_decode(v));
    case FA_F8_E5M2: DECODE(uint8_t, fa_e5m2_decode(v));
    case FA_F8_E8M0: DECODE(uint8_t, fa_e8m0_decode(v));
    case FA_F64: DECODE(double, (float)v);
    case FA_U8: DECODE(uint8_t, (float)v);
    case FA_I8: DECODE(int8_t, (float)v);
    case FA_I16: DECODE(int16_t, (float)v);
    case FA_I32: DECODE(int32_t, (float)v);
    case FA_I64: DECODE(int64_t, (float)v);
    case FA_BOOL: DECODE(uint8_t, v ? 1.0f : 0.0f);
    default: fa_decode_blocks(t, p, n / info->block_elements, dst);
    }
}
