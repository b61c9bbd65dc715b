/* The list of tensors to write, and how the values of each are found in the source. Private to quant. */
#ifndef FA_QUANT_PLAN_H
#define FA_QUANT_PLAN_H

#include "host/base/arena.h"
#include "host/format/tensor.h"

typedef enum fa_plan_kind {
    FA_PLAN_ROWS = 0, /* rows first_row .. of `source`, in order */
    FA_PLAN_ROTARY, /* rows of `source` whose rotary pairs are (2i, 2i+1) in each of `heads` heads, turned to (i, i+d/2) */
    FA_PLAN_KV_B, /* kv_b_proj from k_b [heads, rank, nope] = `source` and v_b [heads, v, rank] = `second` */
} fa_plan_kind;

enum { FA_PLAN_NAME = 400 }; /* bytes of a name */

typedef struct fa_plan_tensor {
    const char *name;
    fa_plan_kind kind;
    const fa_tensor *source, *second;
    int64_t first_row, heads;
    int n_dims;
    int64_t shape[FA_MAX_DIMS];
    int64_t rows, cols; /* the shape as a matrix; a bias that is permuted is one column */
    fa_dtype type;      /* to write; an FP8 type comes with a scale */
} fa_plan_tensor;

typedef struct fa_plan {
    fa_arena *arena; /* names */
    fa_plan_tensor *list;
    int64_t n, capacity;
} fa_plan;

/* True for the tensors that the DeepSeek-V3 release quantises: every projection, but not the embedding, the head, router gates,
 * norms and eh_proj; nor anything of a vision tower. */
bool fa_plan_quantises(const char *name);

/* Appends a tensor; `t` has everything but the type, and rows and cols where they follow from the shape. The name is copied.
 * FA_EUNSUPPORTED for a source that is FP8 or has a type that is no floating-point number where one is needed. */
fa_status fa_plan_add(fa_plan *p, fa_plan_tensor t, fa_error *e);
void fa_plan_free(fa_plan *p);

/* All tensors of a safetensors checkpoint, as they are named. */
fa_status fa_plan_safetensors(fa_plan *p, const fa_tensors *ts, fa_error *e);

/* All tensors of a GGUF file (llama, qwen2, deepseek2) under their Hugging Face names. */
fa_status fa_plan_gguf(fa_plan *p, const fa_tensors *ts, fa_error *e);

/* True for a tensor that is written as codes with scales. */
bool fa_plan_is_fp8(const fa_plan_tensor *t);

/* Bytes that the tensor takes in the destination, with its scale. */
int64_t fa_plan_bytes(const fa_plan_tensor *t);

/* Decodes rows first .. first+n-1 to dst [n, cols]. FA_ENOMEM. */
fa_status fa_plan_read(const fa_plan_tensor *t, int64_t first, int64_t n, float *dst, fa_error *e);

/* True when the bytes of the source can be written as they are; they begin at *data. */
bool fa_plan_is_copy(const fa_plan_tensor *t, const void **data);

#endif
