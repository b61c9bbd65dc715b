/* Turns a BF16, FP16 or FP32 checkpoint, or a GGUF file, into an FP8 checkpoint in the layout of the DeepSeek-V3 release:
 * Hugging Face names, E4M3 codes with one FP32 scale (`weight_scale_inv`) for each 128x128 block of every projection. */
#ifndef FA_QUANT_QUANTISE_H
#define FA_QUANT_QUANTISE_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"

/* What became of one tensor. */
typedef struct fa_quantise_report {
    const char *name;      /* in the destination */
    const char *from, *to; /* element types: "Q4_K", "F8_E4M3" */
    int64_t rows, cols;
    double squares;      /* sum of the squares of the source's values; 0 where nothing was rounded */
    double relative_rms; /* of the error, against the RMS of the source's values; 0 where nothing was rounded */
    double max_error;    /* largest absolute error */
    int64_t saturated;   /* codes of the largest magnitude: each block with a scale of its own has at least one */
} fa_quantise_report;

typedef struct fa_quantise_options {
    const char *source;      /* folder, .safetensors with config.json beside it, or .gguf */
    const char *destination; /* a folder that does not exist, or is empty */
    bool e5m2;               /* codes with 5 exponent bits; else E4M3, as released */
    bool per_tensor;         /* one scale for a whole tensor; else one for each 128x128 block, as released */
    int64_t shard_bytes;     /* larger models are cut into shards of about this size; 0: 5 GB */
    /* Each may be NULL. Bytes of tensors written so far; returning false stops with FA_ECANCELLED. */
    bool (*progress)(void *ctx, int64_t done, int64_t total);
    void (*report)(void *ctx, const fa_quantise_report *r); /* after each tensor */
    void *ctx;
} fa_quantise_options;

/* Writes config.json, the weights (model.safetensors, or shards and their index) and the tokenizer's files. The destination
 * appears when all is written; on any error nothing is left of it. Memory is bounded by the largest tensor.
 * FA_EUNSUPPORTED for a source that is FP8 already, or a GGUF architecture or tokenizer that is not known; FA_EINVAL for a
 * destination that is in use; FA_ENUMERIC names a tensor with a NaN or an infinity. */
fa_status fa_quantise(const fa_quantise_options *options, fa_error *e);

#endif
