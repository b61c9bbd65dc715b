/* Weights of models of pictures: tensors by name, checked and given to the backend. */
#ifndef FA_VISION_WEIGHTS_H
#define FA_VISION_WEIGHTS_H

#include <stdbool.h>

#include "host/base/arena.h"
#include "host/format/tensor.h"
#include "host/vision/ops.h"

typedef struct fa_vision_loader {
    const fa_tensors *tensors; /* stay open as long as what is loaded */
    fa_backend *backend;       /* NULL: weights are found and checked, and given to nobody */
    fa_arena *arena;           /* takes what must be converted */
} fa_vision_loader;

/* NAME.weight, of `rows` rows with `cols` values in all their other dimensions, with its block scales where it is FP8, and NAME.bias [rows] when
 * `bias`. NAME is made from the format. FA_EFORMAT names the tensor: missing, another shape; else what the backend says. */
fa_status fa_vision_load_linear(const fa_vision_loader *l, fa_linear *out, int64_t rows, int64_t cols, bool bias,
                                fa_error *e, const char *name, ...) __attribute__((format(printf, 7, 8)));

/* The tensor NAME of `n` values in any shape, as FP32; FA_EFORMAT unless all are finite. */
fa_status fa_vision_load_values(const fa_vision_loader *l, const float **out, int64_t n, fa_error *e, const char *name,
                                ...) __attribute__((format(printf, 5, 6)));

#endif
