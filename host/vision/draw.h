/* The part of Janus-Pro (arXiv 2501.17811) that draws, beside the language model: codes become rows that go into it (gen_embed, gen_aligner), what comes out
 * of it becomes scores of the next code (gen_head), and a full grid of codes becomes a picture (gen_vision_model, host/vision/vq.h). It computes on the
 * model's backend with weights of the model's files, as a guest (fa_model_guest). */
#ifndef FA_VISION_DRAW_H
#define FA_VISION_DRAW_H

#include "host/vision/vq.h"

typedef struct fa_draw fa_draw;

/* `hidden` is the width of the language model, `max_rows` that of the backend's submissions. The caller closes it before the backend. */
fa_status fa_draw_open(fa_draw **out, int32_t hidden, fa_numerics numerics, int32_t max_rows, fa_error *e);
void fa_draw_close(fa_draw *d);

/* Of a fa_model_guest whose ctx is the fa_draw. Files without such a part are no error. */
fa_status fa_draw_limits(void *draw, const fa_tensors *tensors, fa_limits *limits, fa_error *e);
fa_status fa_draw_load(void *draw, const fa_tensors *tensors, fa_backend *backend, fa_error *e);

/* After loading: false where the model's files have no such part, and nothing below may be called. */
bool fa_draw_can(const fa_draw *d);

/* The autoencoder, and the matmuls it runs on. */
const fa_vq *fa_draw_vq(const fa_draw *d);
fa_vision_ops *fa_draw_ops(fa_draw *d);

/* A picture's codes are a grid of so many rows of as many codes: as many as the patches that the model sees of a picture. */
int32_t fa_draw_grid(const fa_draw *d);
int32_t fa_draw_codes(const fa_draw *d); /* to choose from */

/* rows [n, hidden] of codes [n], each in 0 .. codes - 1. */
fa_status fa_draw_embed(fa_draw *d, const int32_t *codes, int64_t n, float *rows, fa_error *e);

/* logits [n, codes] of hidden states [n, hidden] after the language model's final norm; n <= max_rows. */
fa_status fa_draw_logits(fa_draw *d, const float *hidden, int64_t n, float *logits, fa_error *e);

/* Classifier-free guidance (arXiv 2207.12598) of `n` logits: to = without + weight * (with - without), each one rounding. */
void fa_draw_guide(const float *with, const float *without, float weight, int64_t n, float *to);

/* Host memory of weights and buffers, in bytes. */
int64_t fa_draw_bytes(const fa_draw *d);

#endif
