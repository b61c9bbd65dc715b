/* The layers of the autoencoder over maps in host memory. */
#include <string.h>

#include "host/backend/scalar.h"
#include "host/base/threads.h"
#include "host/vision/vq_parts.h"

static const float NORM_EPS = 1e-6f;

static int64_t pixels(const fa_vq_pass *p) {
    return (int64_t)p->height * p->width;
}

static void swap(float **a, float **b) {
    float *t = *a;
    *a = *b;
    *b = t;
}

/* y = silu(norm(x)) of the map `x`, in place. */
static void norm_silu(const fa_vq_pass *p, const vq_norm *norm, bool silu, float *x) {
    unsigned mode = fa_fp_enter();
    fa_groupnorm(x, p->height, p->width, norm->channels, VQ_GROUPS, norm->weight, norm->bias, NORM_EPS);
    fa_fp_leave(mode);
    if (silu) fa_vision_silu(x, pixels(p) * norm->channels);
}

static fa_status run_conv(fa_vq_pass *p, const fa_conv *c, fa_error *e) {
    fa_status s = fa_vision_conv(p->ops, c, p->x, p->height, p->width, p->b, e);
    if (s) return s;
    swap(&p->x, &p->b);
    p->height = fa_conv_side(c, p->height);
    p->width = fa_conv_side(c, p->width);
    p->channels = (int32_t)c->linear.w.rows;
    return FA_OK;
}

static fa_status run_linear(fa_vq_pass *p, const fa_linear *l, fa_error *e) {
    fa_status s = fa_vision_linear(p->ops, l, p->x, pixels(p), p->b, e);
    if (s) return s;
    swap(&p->x, &p->b);
    p->channels = (int32_t)l->w.rows;
    return FA_OK;
}

static fa_status run_block(fa_vq_pass *p, const vq_block *block, fa_error *e) {
    int64_t n = pixels(p);
    memcpy(p->a, p->x, (size_t)(n * p->channels) * sizeof *p->x);
    norm_silu(p, &block->norm1, true, p->a);
    fa_status s = fa_vision_conv(p->ops, &block->conv1, p->a, p->height, p->width, p->b, e);
    if (s) return s;
    norm_silu(p, &block->norm2, true, p->b);
    s = fa_vision_conv(p->ops, &block->conv2, p->b, p->height, p->width, p->a, e);
    if (!s && block->shortcut.w.data) {
        s = fa_vision_linear(p->ops, &block->shortcut, p->x, n, p->b, e);
        swap(&p->x, &p->b);
    }
    if (s) return s;
    p->channels = (int32_t)block->conv2.linear.w.rows;
    fa_vision_add(p->x, p->a, n * p->channels);
    return FA_OK;
}

/* One of q, k and v of the map p->a, into its third of each row of p->qkv. */
static fa_status project(fa_vq_pass *p, const fa_linear *l, int third, fa_error *e) {
    int64_t n = pixels(p), width = p->channels;
    fa_status s = fa_vision_linear(p->ops, l, p->a, n, p->b, e);
    for (int64_t t = 0; t < n && !s; t++)
        memcpy(p->qkv + (3 * t + third) * width, p->b + t * width, (size_t)width * sizeof *p->b);
    return s;
}

static fa_status run_attention(fa_vq_pass *p, const vq_attention *a, fa_error *e) {
    int64_t n = pixels(p);
    memcpy(p->a, p->x, (size_t)(n * p->channels) * sizeof *p->x);
    norm_silu(p, &a->norm, false, p->a);
    fa_status s = project(p, &a->q, 0, e);
    if (!s) s = project(p, &a->k, 1, e);
    if (!s) s = project(p, &a->v, 2, e);
    float scale = 1.0f / sqrtf((float)p->channels);
    if (!s) s = fa_vision_attention(p->ops, p->qkv, (int32_t)n, 1, p->channels, scale, p->a, e);
    if (!s) s = fa_vision_linear(p->ops, &a->out, p->a, n, p->b, e);
    if (s) return s;
    fa_vision_add(p->x, p->b, n * p->channels);
    return FA_OK;
}

/* Each pixel becomes four, then the convolution. */
static fa_status run_double(fa_vq_pass *p, const fa_conv *c, fa_error *e) {
    size_t channels = (size_t)p->channels;
    int32_t across = 2 * p->width;
    for (int32_t row = 0; row < 2 * p->height; row++)
        for (int32_t column = 0; column < across; column++)
            memcpy(p->a + (size_t)(row * (int64_t)across + column) * channels,
                   p->x + (size_t)(row / 2 * (int64_t)p->width + column / 2) * channels, channels * sizeof *p->a);
    swap(&p->x, &p->a);
    p->height *= 2;
    p->width *= 2;
    return run_conv(p, c, e);
}

fa_status vq_run_layer(fa_vq_pass *p, const vq_layer *layer, fa_error *e) {
    switch (layer->kind) {
    case VQ_LINEAR: return run_linear(p, &layer->linear, e);
    case VQ_CONV: return run_conv(p, &layer->conv, e);
    case VQ_DOUBLE: return run_double(p, &layer->conv, e);
    case VQ_BLOCK: return run_block(p, &layer->block, e);
    case VQ_ATTENTION: return run_attention(p, &layer->attention, e);
    case VQ_NORM_SILU: norm_silu(p, &layer->norm, true, p->x); return FA_OK;
    }
    return FA_OK;
}
