/* How weights become FP8 codes with scales. E4M3 with a scale for each 128x128 block is what DeepSeek releases and the boards multiply;
 * the others are there to be measured against it. Private to quant. */
#ifndef FA_QUANT_CODES_H
#define FA_QUANT_CODES_H

#include <stdbool.h>
#include <stdint.h>

#include "host/format/dtype.h"

typedef struct fa_codes {
    bool e5m2;       /* else E4M3 */
    bool per_tensor; /* one scale for all, written for each block; else one for each 128x128 block */
} fa_codes;

fa_dtype fa_codes_type(const fa_codes *c);

/* The value of a code, without its scale. */
float fa_codes_value(const fa_codes *c, uint8_t code);

/* True for the codes of the largest magnitude. */
bool fa_codes_saturated(const fa_codes *c, uint8_t code);

/* The scale that makes `amax` the largest code. */
float fa_codes_scale(const fa_codes *c, float amax);

/* One row of blocks: values [n <= 128, cols] to codes, and scales [ceil(cols / 128)]; `tensor_scale` is of fa_codes_scale where the
 * scale is the tensor's. A NaN or an infinity gives a scale that is none. */
void fa_codes_strip(const fa_codes *c, const float *values, int64_t n, int64_t cols, float tensor_scale, uint8_t *codes,
                    float *scales);

#endif
