/* Element types of tensors in files: names, block sizes, and decoding of runs of elements to FP32. */
#ifndef FA_FORMAT_DTYPE_H
#define FA_FORMAT_DTYPE_H

#include <stddef.h>
#include <stdint.h>

typedef enum fa_dtype {
    FA_F32 = 0,
    FA_F16,
    FA_BF16,
    FA_F8_E4M3, /* E4M3FN */
    FA_F8_E5M2,
    FA_F8_E8M0, /* UE8M0: a power-of-two scale */
    FA_F64,
    FA_U8,
    FA_I8,
    FA_I16,
    FA_I32,
    FA_I64,
    FA_BOOL,
    /* GGUF blocks */
    FA_Q4_0,
    FA_Q4_1,
    FA_Q5_0,
    FA_Q5_1,
    FA_Q8_0,
    FA_Q4_K,
    FA_Q5_K,
    FA_Q6_K,
    FA_DTYPE_COUNT
} fa_dtype;

typedef struct fa_dtype_info {
    const char *name;       /* as safetensors or ggml spells it: "BF16", "F8_E4M3", "Q4_K" */
    int32_t block_elements; /* elements that share a block; 1 for plain types */
    int32_t block_bytes;
} fa_dtype_info;

/* Facts of a type; `t` must be valid. */
const fa_dtype_info *fa_dtype_get(fa_dtype t);

/* Bytes of `n` elements (n a multiple of block_elements); -1 when it is not, or on overflow. */
int64_t fa_dtype_bytes(fa_dtype t, int64_t n);

/* Decodes `n` elements starting at element `first` of the run at `src` to FP32: dst[0 .. n-1].
 * For block types `first` and `n` are multiples of block_elements. FP8 codes decode to the code's value (the block scale
 * is not applied). F64 and integers are converted with one rounding. */
void fa_decode(fa_dtype t, const void *src, int64_t first, int64_t n, float *dst);

#endif
