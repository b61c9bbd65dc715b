/* GGUF v3 key/values (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Tensors come through fa_tensors_open, with
 * shapes turned to slowest-first. */
#ifndef FA_FORMAT_GGUF_H
#define FA_FORMAT_GGUF_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"

typedef struct fa_gguf fa_gguf; /* a view, valid while its fa_tensors is open */

/* A text inside the mapped file: not terminated. */
typedef struct fa_gguf_text {
    const char *data;
    uint64_t bytes;
} fa_gguf_text;

/* Path of the file, for error texts. */
const char *fa_gguf_path(const fa_gguf *g);

bool fa_gguf_has(const fa_gguf *g, const char *key);

/* Typed values with a fallback for an absent key; a key of another type, or outside [min, max], is FA_EFORMAT naming
 * file and key. Any integer type serves for int, any float type for double. */
fa_status fa_gguf_int(const fa_gguf *g, const char *key, int64_t min, int64_t max, int64_t fallback, int64_t *out,
                      fa_error *e);
fa_status fa_gguf_double(const fa_gguf *g, const char *key, double fallback, double *out, fa_error *e);
fa_status fa_gguf_bool(const fa_gguf *g, const char *key, bool fallback, bool *out, fa_error *e);
/* `*out` = {NULL, 0} when absent. */
fa_status fa_gguf_string(const fa_gguf *g, const char *key, fa_gguf_text *out, fa_error *e);

/* Arrays: number of elements, -1 when absent. */
int64_t fa_gguf_array_count(const fa_gguf *g, const char *key);
/* Arrays are read whole into `out` [count], which the caller owns. FA_EFORMAT when the key is absent or of another type. */
fa_status fa_gguf_strings(const fa_gguf *g, const char *key, fa_gguf_text *out, int64_t count, fa_error *e);
fa_status fa_gguf_ints(const fa_gguf *g, const char *key, int32_t *out, int64_t count, fa_error *e);
fa_status fa_gguf_floats(const fa_gguf *g, const char *key, float *out, int64_t count, fa_error *e);

#endif
