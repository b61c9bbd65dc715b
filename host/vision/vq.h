/* The autoencoder of pictures in Janus-Pro (gen_vision_model; VQ-16 of LlamaGen, arXiv 2406.06525, after the VQGAN of arXiv 2012.09841): a grid of
 * codes <-> a picture of `fa_vq_scale` times as many pixels along a side. What it is made of (levels, blocks, channels) is read from the shapes of
 * its tensors, in deepseek-ai's layout and in that of transformers. */
#ifndef FA_VISION_VQ_H
#define FA_VISION_VQ_H

#include "host/vision/weights.h"

typedef struct fa_vq fa_vq;

/* Loads what the files hold through `l`, whose arena keeps the model. *out is NULL where they have no such part; the encoder may be missing.
 * FA_EFORMAT names the tensor that does not fit. */
fa_status fa_vq_load(fa_vq **out, const fa_vision_loader *l, fa_error *e);

/* Raises `limits` to what a grid of height x width codes needs. */
void fa_vq_limits(const fa_vq *vq, int32_t height, int32_t width, fa_vision_limits *limits);

int32_t fa_vq_codes(const fa_vq *vq);  /* in the codebook */
int32_t fa_vq_scale(const fa_vq *vq);  /* pixels along a side of a code */
int32_t fa_vq_layers(const fa_vq *vq); /* of the decoder */
bool fa_vq_can_encode(const fa_vq *vq);

/* Memory that a pass over a grid takes. */
int64_t fa_vq_bytes(const fa_vq *vq, int32_t height, int32_t width);

/* Pictures on their way through the layers, one after the other. */
typedef struct fa_vq_pass fa_vq_pass;

/* Takes the memory for grids of height x width codes, both ways. FA_ENOMEM, FA_ELIMIT. The caller closes it. */
fa_status fa_vq_open(fa_vq_pass **out, const fa_vq *vq, fa_vision_ops *ops, int32_t height, int32_t width, fa_error *e);
void fa_vq_close(fa_vq_pass *p);

/* Begins with codes [height * width], or with pixels [height * scale * width * scale, 3] in -1 .. 1; they are copied. What was under way is given up.
 * FA_EINVAL names a code outside the codebook, FA_EUNSUPPORTED that there is no encoder. */
fa_status fa_vq_decode(fa_vq_pass *p, const int32_t *codes, fa_error *e);
fa_status fa_vq_encode(fa_vq_pass *p, const float *pixels, fa_error *e);

/* A piece of a layer further, which takes others no longer from the backend than a step of the language model does; *done when it was the last. */
fa_status fa_vq_advance(fa_vq_pass *p, bool *done, fa_error *e);

/* Layers that are behind it. */
int32_t fa_vq_layers_done(const fa_vq_pass *p);

/* What the last layer made, until the next picture begins: of codes pixels [height * scale * width * scale, 3], about -1 .. 1; of pixels what is compared
 * with the codebook [height * width, its dims]. */
const float *fa_vq_values(const fa_vq_pass *p);

/* The `n` codes nearest to such values. As transformers compares them: Janus' own code divides both sides by their lengths first. */
void fa_vq_quantise(const fa_vq *vq, const float *values, int64_t n, int32_t *codes);

/* 8-bit values as Janus' own code makes them: (x + 1) / 2 * 255, cut to 0 .. 255 and to an integer. */
void fa_vq_to_rgb(const float *pixels, int64_t n, uint8_t *rgb);

#endif
