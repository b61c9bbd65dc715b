/* Named tensors of a model's files, whatever the container. */
#ifndef FA_FORMAT_TENSOR_H
#define FA_FORMAT_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/format/dtype.h"

enum { FA_MAX_DIMS = 4 };

/* A view into a mapped file: never freed on its own, valid while its fa_tensors is open. */
typedef struct fa_tensor {
    const char *name;
    const char *file; /* path, for error texts */
    fa_dtype type;
    int n_dims;
    int64_t shape[FA_MAX_DIMS]; /* slowest first, as safetensors writes it; unused dims are 1 */
    const void *data;           /* row-major */
    int64_t bytes;
} fa_tensor;

typedef struct fa_tensors fa_tensors;

/* Opens a model's tensors: a folder (model.safetensors, or model.safetensors.index.json with its shards; else
 * pytorch_model.bin or its index), or one file: .safetensors, .gguf, or a checkpoint of PyTorch, of whose pickle nothing is
 * ever called. Everything is mapped read-only and checked: offsets inside the file, no overlap (but in checkpoints, where
 * tied weights share a storage), sizes that match shape and type, no duplicate names, every shard of the index present. Errors name
 * file and tensor. The caller closes. */
fa_status fa_tensors_open(fa_tensors **out, const char *path, fa_error *e);
void fa_tensors_close(fa_tensors *ts);

int64_t fa_tensors_count(const fa_tensors *ts);
const fa_tensor *fa_tensors_at(const fa_tensors *ts, int64_t i);

/* NULL when there is no such name. */
const fa_tensor *fa_tensors_find(const fa_tensors *ts, const char *name);

/* Sum of the sizes of all mapped files. */
int64_t fa_tensors_file_bytes(const fa_tensors *ts);

/* Key/values of a GGUF file; NULL for safetensors. */
struct fa_gguf;
const struct fa_gguf *fa_tensors_gguf(const fa_tensors *ts);

/* Number of elements. */
int64_t fa_tensor_elements(const fa_tensor *t);

/* "[256, 7168]" into `text`; returns text. */
char *fa_tensor_shape_text(const fa_tensor *t, char *text, size_t size);

#endif
