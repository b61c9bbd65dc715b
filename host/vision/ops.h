/* What models of pictures are made of, on any backend. Values go in and out as FP32 rows in host memory: a row is a patch or a pixel, with all its
 * channels. What is large runs as ops of the backend (matmul, and attention over a scratch cache), in submissions of the rows it was reserved
 * for; what is small is done here, one row after the other, by host/backend/scalar.h. So the bits are the same on every backend.
 *
 * Functions that compute without the backend cannot fail; all others return its errors. */
#ifndef FA_VISION_OPS_H
#define FA_VISION_OPS_H

#include <stdint.h>

#include "host/backend/backend.h"
#include "host/base/arena.h"

/* The largest of everything that will be asked of fa_vision_ops. */
typedef struct fa_vision_limits {
    int64_t max_in, max_out; /* inputs and outputs of a linear; a convolution has kernel * kernel * channels inputs */
    int32_t max_width;       /* heads * head_dim of attention; 0: none */
    int32_t max_heads, head_dim; /* of attention, the largest of each */
    int32_t max_positions;       /* of attention */
} fa_vision_limits;

/* Adds to what the backend is reserved for (fa_model_options.also). */
void fa_vision_limits_join(fa_limits *to, const fa_vision_limits *l);

typedef struct fa_vision_ops {
    fa_backend *backend;
    fa_numerics numerics;
    fa_vision_limits limits;
    int32_t max_rows;
    fa_buffer *in, *out, *cache; /* [max_rows, most inputs], [max_rows, most outputs], pages of attention */
    fa_arena arena;
    float *patches;  /* [max_rows, max_in] of a convolution */
    fa_place *place; /* [max_rows] */
    int32_t *pages;  /* [pages of attention] */
} fa_vision_ops;

/* `max_rows` is that of the backend's reservation. fa_vision_ops_close in every case. */
fa_status fa_vision_ops_open(fa_vision_ops *o, fa_backend *backend, fa_numerics numerics, int32_t max_rows,
                             const fa_vision_limits *limits, fa_error *e);
void fa_vision_ops_close(fa_vision_ops *o);

/* A weight [outputs, inputs] with a bias [outputs], whose data is NULL where there is none. */
typedef struct fa_linear {
    fa_weight w, bias;
} fa_linear;

/* y [rows, outputs] = x [rows, inputs] . w^T + bias; y must not overlap x. */
fa_status fa_vision_linear(fa_vision_ops *o, const fa_linear *l, const float *x, int64_t rows, float *y, fa_error *e);

/* y [rows, outputs of layer 1] = layer 1 of gelu(layer 0 of x); `inner` [rows, outputs of layer 0] is scratch. */
fa_status fa_vision_mlp(fa_vision_ops *o, const fa_linear layer[2], const float *x, int64_t rows, float *inner,
                        float *y, fa_error *e);

/* A convolution as a matmul: the weight is [outputs, channels * kernel * kernel], as files store [outputs, channels, kernel, kernel]. The window of
 * output pixel (r, c) begins at input pixel (r * stride - before, c * stride - before); what lies outside counts as zero. */
typedef struct fa_conv {
    fa_linear linear;
    int32_t channels, kernel, stride, before;
    int32_t
        after; /* as before, behind the last row and column: (side + before + after - kernel) / stride + 1 outputs along a side */
} fa_conv;

int32_t fa_conv_side(const fa_conv *c, int32_t side);

/* y [out height * out width, outputs] of x [height * width, channels]. */
fa_status fa_vision_conv(fa_vision_ops *o, const fa_conv *c, const float *x, int32_t height, int32_t width, float *y,
                         fa_error *e);

/* The same for output pixels from `first` on, as many as one submission takes and there are; *n: how many. */
fa_status fa_vision_conv_piece(fa_vision_ops *o, const fa_conv *c, const float *x, int32_t height, int32_t width,
                               int64_t first, int64_t *n, float *y, fa_error *e);

/* y [rows, heads * head_dim]: every row attends to all rows (rule 4 of docs/numerics.md, all positions seen). qkv [rows, 3 * heads * head_dim] has
 * queries, keys and values side by side. */
fa_status fa_vision_attention(fa_vision_ops *o, const float *qkv, int32_t rows, int32_t heads, int32_t head_dim,
                              float scale, float *y, fa_error *e);

/* Row by row, in place: fa_layernorm of scalar.h. weight, bias [n]. */
void fa_vision_layernorm(float *x, int64_t rows, int64_t n, const float *weight, const float *bias, float eps);

/* x = gelu(x), silu(x), each of n values; x = x + y. */
void fa_vision_gelu(float *x, int64_t n);
void fa_vision_silu(float *x, int64_t n);
void fa_vision_add(float *x, const float *y, int64_t n);

#endif
