/* The part of a model that looks at pictures. It computes on the model's backend with weights of the model's files, as a guest
 * (fa_model_guest): limits before the backend reserves, weights before it settles. */
#ifndef FA_VISION_VISION_H
#define FA_VISION_VISION_H

#include "host/backend/backend.h"
#include "host/format/tensor.h"
#include "host/image/image.h"
#include "host/vision/config.h"

typedef struct fa_vision fa_vision;

/* *out is NULL where the model of folder `dir` does not look at pictures. `hidden` is the width of the language model, `max_rows` that of the
 * backend's submissions. The caller closes it before the backend. */
fa_status fa_vision_open(fa_vision **out, const char *dir, int32_t hidden, fa_numerics numerics, int32_t max_rows,
                         fa_error *e);
void fa_vision_close(fa_vision *v);

const fa_vision_config *fa_vision_get_config(const fa_vision *v);

/* Of a fa_model_guest whose ctx is the fa_vision. */
fa_status fa_vision_limits_of(void *vision, const fa_tensors *tensors, fa_limits *limits, fa_error *e);
fa_status fa_vision_load(void *vision, const fa_tensors *tensors, fa_backend *backend, fa_error *e);

/* Host memory of weights, buffers and the work on one picture, in bytes. */
int64_t fa_vision_bytes(const fa_vision *v);

/* A picture on its way through the tower; one at a time. `square` is what fa_preprocess_square made. */
fa_status fa_vision_begin(fa_vision *v, const fa_image *square, fa_error *e);

/* A layer further; when *done, `rows` [patches, hidden] holds what takes the place of the picture's placeholders, else `rows` is not
 * touched. After an error the picture is given up. */
fa_status fa_vision_advance(fa_vision *v, float *rows, bool *done, fa_error *e);

/* Gives up the picture that was begun, if any. */
void fa_vision_stop(fa_vision *v);

/* From beginning to end. `features` [patches, width] of the tower before the aligner are written where not NULL. */
fa_status fa_vision_see(fa_vision *v, const fa_image *square, float *features, float *rows, fa_error *e);

#endif
