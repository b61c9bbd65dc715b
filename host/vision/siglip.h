/* The tower that looks at a picture (SigLIP: Zhai et al., arXiv 2303.15343; siglip_vit.py of deepseek-ai/Janus) and the aligner that turns what it
 * sees into rows of the language model. Private to host/vision; vision.h is the face. */
#ifndef FA_VISION_SIGLIP_H
#define FA_VISION_SIGLIP_H

#include "host/vision/config.h"
#include "host/vision/ops.h"
#include "host/vision/weights.h"

typedef struct fa_siglip_norm {
    const float *weight, *bias; /* [width] */
} fa_siglip_norm;

typedef struct fa_siglip_layer {
    fa_siglip_norm norm1, norm2;
    fa_linear qkv[3]; /* one [3 * width, width] and two without data, or q, k and v [width, width] */
    fa_linear proj, mlp[2];
} fa_siglip_layer;

typedef struct fa_siglip {
    fa_vision_config config;
    fa_conv patches;
    const float *positions; /* [patches, width] */
    fa_siglip_layer *layers;
    fa_siglip_norm norm;
    fa_linear aligner[2];
} fa_siglip;

fa_vision_limits fa_siglip_limits(const fa_vision_config *c);

/* `hidden` of the configuration is taken from the aligner. */
fa_status fa_siglip_load(fa_siglip *s, const fa_vision_loader *l, fa_error *e);

/* One picture on its way through the tower. */
typedef struct fa_siglip_pass {
    int32_t next;                         /* layer; config.layers: the last norm and the aligner */
    float *stream, *normed, *qkv, *inner; /* [patches, width, width, 3 * width, and the largest other] */
} fa_siglip_pass;

/* Takes `pixels` [image_size * image_size, 3] to the first layer. fa_siglip_end in every case. */
fa_status fa_siglip_begin(const fa_siglip *s, fa_vision_ops *o, const float *pixels, fa_siglip_pass *p, fa_error *e);

/* One layer further; after the last one `p->stream` [patches, width] holds the features, and *rows [patches, hidden] is written and *done. */
fa_status fa_siglip_advance(const fa_siglip *s, fa_vision_ops *o, fa_siglip_pass *p, float *rows, bool *done,
                            fa_error *e);

void fa_siglip_end(fa_siglip_pass *p);

#endif
