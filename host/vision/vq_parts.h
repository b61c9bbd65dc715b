/* The inside of the autoencoder. Private to host/vision/vq*.c. A map is [height * width, channels], pixel by pixel. */
#ifndef FA_VISION_VQ_PARTS_H
#define FA_VISION_VQ_PARTS_H

#include "host/vision/vq.h"

enum { VQ_GROUPS = 32, VQ_MOST_LAYERS = 96 };

typedef struct vq_norm {
    int32_t channels;
    const float *weight, *bias; /* [channels] */
} vq_norm;

/* y = shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x)))))) */
typedef struct vq_block {
    vq_norm norm1, norm2;
    fa_conv conv1, conv2;
    fa_linear shortcut; /* where the channels change; else its weight's data is NULL */
} vq_block;

/* y = x + out(attention(q, k, v of norm(x))), one head over all pixels */
typedef struct vq_attention {
    vq_norm norm;
    fa_linear q, k, v, out;
} vq_attention;

typedef enum vq_kind {
    VQ_LINEAR = 0, /* quant_conv, post_quant_conv: each pixel for itself */
    VQ_CONV,
    VQ_DOUBLE, /* each pixel becomes four, then a convolution */
    VQ_BLOCK,
    VQ_ATTENTION,
    VQ_NORM_SILU
} vq_kind;

typedef struct vq_layer {
    vq_kind kind;
    union {
        fa_linear linear;
        fa_conv conv;
        vq_block block;
        vq_attention attention;
        vq_norm norm;
    };
} vq_layer;

/* The layers from one end to the other. */
typedef struct vq_chain {
    vq_layer *layers; /* room for VQ_MOST_LAYERS */
    int n;
} vq_chain;

struct fa_vq {
    vq_chain encoder, decoder; /* the first has no layers where the files have none */
    const float *codebook;     /* [codes, dims] */
    int32_t codes, dims, scale;
};

struct fa_vq_pass {
    const fa_vq *vq;
    fa_vision_ops *ops;
    int32_t grid_height, grid_width; /* of codes */
    const vq_chain *chain;           /* that the picture goes through; NULL before the first one */
    int next, stage;                 /* layer; how far inside it */
    int64_t at;                      /* inside a convolution: output pixels that are done */
    int32_t height, width, channels; /* of x now */
    float *x, *a, *b;                /* three maps of room; x is the one that goes on */
    float *qkv;                      /* of the largest attention, or NULL */
};

/* Goes on with the layer; when *done, p->x is what it made of it. */
fa_status vq_run_layer(fa_vq_pass *p, const vq_layer *layer, bool *done, fa_error *e);

/* fa_groupnorm of scalar.h over VQ_GROUPS groups, which reads the map row by row. */
void vq_groupnorm(float *x, int32_t height, int32_t width, const vq_norm *norm, float eps);

#endif
