#include "quant/codes.h"

#include <math.h>
#include <stddef.h>

#include "host/format/fp8.h"

enum { BLOCK = 128 };
#define LEAST_AMAX 1e-12f /* as fa_quantise_weight has it */

static const struct format {
    fa_dtype type;
    float largest;
    uint8_t saturated;
    float (*decode)(uint8_t code);
    uint8_t (*encode)(float x);
} formats[] = {
    {FA_F8_E4M3, 448.0f, 0x7E, fa_e4m3_decode, fa_e4m3_encode},
    {FA_F8_E5M2, 57344.0f, 0x7B, fa_e5m2_decode, fa_e5m2_encode},
};

fa_dtype fa_codes_type(const fa_codes *c) {
    return formats[c->e5m2].type;
}

float fa_codes_value(const fa_codes *c, uint8_t code) {
    return formats[c->e5m2].decode(code);
}

bool fa_codes_saturated(const fa_codes *c, uint8_t code) {
    return (code & 0x7F) == formats[c->e5m2].saturated;
}

float fa_codes_scale(const fa_codes *c, float amax) {
    return (amax < LEAST_AMAX ? LEAST_AMAX : amax) / formats[c->e5m2].largest;
}

/* NaN where one of them is not finite. */
static float block_amax(const float *values, int64_t n, int64_t width, int64_t cols) {
    float amax = 0;
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < width; i++) {
            float x = fabsf(values[r * cols + i]);
            if (!isfinite(x)) return NAN;
            amax = x > amax ? x : amax;
        }
    return amax;
}

void fa_codes_strip(const fa_codes *c, const float *values, int64_t n, int64_t cols, float tensor_scale, uint8_t *codes,
                    float *scales) {
    if (!c->e5m2 && !c->per_tensor) {
        fa_quantise_weight(values, n, cols, codes, scales);
        return;
    }
    const struct format *f = &formats[c->e5m2];
    for (int64_t first = 0; first < cols; first += BLOCK) {
        int64_t width = cols - first < BLOCK ? cols - first : BLOCK;
        float amax = block_amax(values + first, n, width, cols);
        float scale = isnan(amax) ? NAN : c->per_tensor ? tensor_scale : fa_codes_scale(c, amax);
        scales[first / BLOCK] = scale;
        for (int64_t r = 0; r < n; r++)
            for (int64_t i = 0; i < width; i++)
                codes[r * cols + first + i] = isnan(scale) ? 0 : f->encode(values[r * cols + first + i] / scale);
    }
}
