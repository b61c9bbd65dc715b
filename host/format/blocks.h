/* Decoding of ggml's block types to FP32. Layouts: block_q4_0 ... block_q6_K in ggml-common.h of
 * https://github.com/ggml-org/ggml; values are bit-equal to its dequantize_row_* functions. Private to
 * host/format. */
#ifndef FA_FORMAT_BLOCKS_H
#define FA_FORMAT_BLOCKS_H

#include <stdint.h>

#include "host/format/dtype.h"

/* Decodes `blocks` whole blocks of type `t` (FA_Q4_0 .. FA_Q6_K) at `src`. */
void fa_decode_blocks(fa_dtype t, const uint8_t *src, int64_t blocks, float *dst);

#endif
