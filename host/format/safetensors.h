/* safetensors files. Format: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}},
 * then the data (https://github.com/huggingface/safetensors). Reading goes through fa_tensors_open. */
#ifndef FA_FORMAT_SAFETENSORS_H
#define FA_FORMAT_SAFETENSORS_H

#include "host/format/tensor.h"

/* One tensor to be written. */
typedef struct fa_tensor_spec {
    const char *name;
    fa_dtype type;
    int n_dims;
    int64_t shape[FA_MAX_DIMS];
    const void *data; /* the bytes, for fa_safetensors_save; NULL where fa_safetensors_write brings them */
} fa_tensor_spec;

typedef struct fa_safetensors_writer fa_safetensors_writer;

/* Starts a file at `path` holding the `n` specs (names unique), header first, data in the order given. Nothing appears
 * under `path` before commit. */
fa_status fa_safetensors_create(fa_safetensors_writer **out, const char *path, const fa_tensor_spec *specs, int64_t n,
                                fa_error *e);

/* Appends `bytes` of data; the pieces of all tensors follow one another in order (alignment is the writer's care). */
fa_status fa_safetensors_write(fa_safetensors_writer *w, const void *data, size_t bytes, fa_error *e);

/* Writes `bytes` at `offset` of tensor number `i`, for writers whose tensors become known in another order. Each byte of the file
 * must be written once, by either call. */
fa_status fa_safetensors_put(fa_safetensors_writer *w, int64_t i, int64_t offset, const void *data, size_t bytes,
                             fa_error *e);

/* Checks that exactly the announced bytes were written, fsyncs, renames, frees the writer (on failure too). */
fa_status fa_safetensors_commit(fa_safetensors_writer *w, fa_error *e);
void fa_safetensors_abandon(fa_safetensors_writer *w); /* NULL allowed */

/* All at once, for specs whose `data` is set. */
fa_status fa_safetensors_save(const char *path, const fa_tensor_spec *specs, int64_t n, fa_error *e);

#endif
