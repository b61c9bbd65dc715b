/* The layers of the autoencoder over maps in host memory. */
#include <string.h>

#include "host/backend/scalar.h"
#include "host/base/threads.h"
#include "host/vision/vq_parts.h"

static const float NORM_EPS = 1e-6f;

/* Multiplications of a convolution at a time: what a processor of today does in some tens of milliseconds. */
static const int64_t PIECE = 1 << 30;

static int64_t pixels(const fa_vq_pass *p) {
    return (int64_t)p->height * p->width;
}

static void swap(float **a, float **b) {
    float *t = *a;
    *a = *b;
    *b = t;
}

/* Adds the values of a pixel to the partial sums of their groups: element c * n + i of a row's sum to partial (c * n + i) mod 16. */
static void add_pixel(float (*partial)[16], const float *pixel, int64_t c, int32_t n, bool square) {
    int64_t base = c * n;
    for (int32_t g = 0; g < VQ_GROUPS; g++)
        for (int32_t i = 0; i < n; i++) {
            float v = pixel[g * n + i], term = square ? v * v : v;
            partial[g][(base + i) % 16] += term;
        }
}

/* Row r of the map is whole: its sums go to those of the rows. */
static void add_row(float (*rows)[16], float (*partial)[16], int64_t r) {
    for (int32_t g = 0; g < VQ_GROUPS; g++) rows[g][r % 16] += fa_tree_16(partial[g]);
    memset(partial, 0, VQ_GROUPS * sizeof *partial);
}

void vq_groupnorm(float *x, int32_t height, int32_t width, const vq_norm *norm, float eps) {
    int64_t channels = norm->channels;
    int32_t n = norm->channels / VQ_GROUPS;
    float count = (float)((int64_t)n * height * width), mean[VQ_GROUPS], inv[VQ_GROUPS];
    float partial[VQ_GROUPS][16] = {{0}}, sums[VQ_GROUPS][16] = {{0}}, squares[VQ_GROUPS][16] = {{0}};
    for (int64_t r = 0; r < height; r++) {
        for (int64_t c = 0; c < width; c++) add_pixel(partial, x + (r * width + c) * channels, c, n, false);
        add_row(sums, partial, r);
    }
    for (int32_t g = 0; g < VQ_GROUPS; g++) mean[g] = fa_tree_16(sums[g]) / count;
    for (int64_t r = 0; r < height; r++) {
        for (int64_t c = 0; c < width; c++) {
            float *pixel = x + (r * width + c) * channels;
            for (int32_t g = 0; g < VQ_GROUPS; g++)
                for (int32_t i = g * n; i < (g + 1) * n; i++) pixel[i] = pixel[i] - mean[g];
            add_pixel(partial, pixel, c, n, true);
        }
        add_row(squares, partial, r);
    }
    for (int32_t g = 0; g < VQ_GROUPS; g++) inv[g] = 1.0f / sqrtf(fa_tree_16(squares[g]) / count + eps);
    for (int64_t p = 0; p < (int64_t)height * width; p++)
        for (int32_t g = 0; g < VQ_GROUPS; g++)
            for (int32_t i = g * n; i < (g + 1) * n; i++) {
                float normed = x[p * channels + i] * inv[g];
                normed = normed * norm->weight[i];
                x[p * channels + i] = normed + norm->bias[i];
            }
}

/* y = silu(norm(x)) of the map `x`, in place. */
static void norm_silu(const fa_vq_pass *p, const vq_norm *norm, bool silu, float *x) {
    unsigned mode = fa_fp_enter();
    vq_groupnorm(x, p->height, p->width, norm, NORM_EPS);
    fa_fp_leave(mode);
    if (silu) fa_vision_silu(x, pixels(p) * norm->channels);
}

/* As much of the convolution from -> to as is done at a time; *done when it is whole. */
static fa_status conv_piece(fa_vq_pass *p, const fa_conv *c, const float *from, float *to, bool *done, fa_error *e) {
    int64_t all = (int64_t)fa_conv_side(c, p->height) * fa_conv_side(c, p->width), n = 0;
    int64_t most = PIECE / (c->linear.w.rows * c->linear.w.cols) + 1, end = p->at + most < all ? p->at + most : all;
    fa_status s = FA_OK;
    for (; p->at < end && !s; p->at += s ? 0 : n)
        s = fa_vision_conv_piece(p->ops, c, from, p->height, p->width, p->at, &n, to, e);
    *done = !s && p->at == all;
    if (*done) p->at = 0;
    return s;
}

static fa_status run_conv(fa_vq_pass *p, const fa_conv *c, bool *done, fa_error *e) {
    fa_status s = conv_piece(p, c, p->x, p->b, done, e);
    if (s || !*done) return s;
    swap(&p->x, &p->b);
    int32_t height = fa_conv_side(c, p->height);
    p->width = fa_conv_side(c, p->width);
    p->height = height;
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

/* The end of a block: what came out of its convolutions in p->a, and what went past them. */
static fa_status join(fa_vq_pass *p, const vq_block *block, fa_error *e) {
    int64_t n = pixels(p);
    fa_status s = FA_OK;
    if (block->shortcut.w.data) {
        s = fa_vision_linear(p->ops, &block->shortcut, p->x, n, p->b, e);
        if (s) return s;
        swap(&p->x, &p->b);
    }
    p->channels = (int32_t)block->conv2.linear.w.rows;
    fa_vision_add(p->x, p->a, n * p->channels);
    return FA_OK;
}

enum { BLOCK_NORM = 0, BLOCK_CONV1, BLOCK_NORM2, BLOCK_CONV2, BLOCK_JOIN, BLOCK_DONE };

static fa_status run_block(fa_vq_pass *p, const vq_block *block, bool *done, fa_error *e) {
    bool whole = true;
    fa_status s = FA_OK;
    switch (p->stage) {
    case BLOCK_NORM:
        memcpy(p->a, p->x, (size_t)(pixels(p) * p->channels) * sizeof *p->x);
        norm_silu(p, &block->norm1, true, p->a);
        break;
    case BLOCK_CONV1: s = conv_piece(p, &block->conv1, p->a, p->b, &whole, e); break;
    case BLOCK_NORM2: norm_silu(p, &block->norm2, true, p->b); break;
    case BLOCK_CONV2: s = conv_piece(p, &block->conv2, p->b, p->a, &whole, e); break;
    case BLOCK_JOIN: s = join(p, block, e); break;
    }
    if (!s && whole) p->stage++;
    *done = p->stage == BLOCK_DONE;
    return s;
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

/* Each pixel becomes four. */
static void double_side(fa_vq_pass *p) {
    size_t channels = (size_t)p->channels;
    int32_t across = 2 * p->width;
    for (int32_t row = 0; row < 2 * p->height; row++)
        for (int32_t column = 0; column < across; column++)
            memcpy(p->a + (size_t)(row * (int64_t)across + column) * channels,
                   p->x + (size_t)(row / 2 * (int64_t)p->width + column / 2) * channels, channels * sizeof *p->a);
    swap(&p->x, &p->a);
    p->height *= 2;
    p->width *= 2;
}

static fa_status run_double(fa_vq_pass *p, const fa_conv *c, bool *done, fa_error *e) {
    if (p->stage == 0) {
        double_side(p);
        p->stage = 1;
    }
    return run_conv(p, c, done, e);
}

static fa_status run(fa_vq_pass *p, const vq_layer *layer, bool *done, fa_error *e) {
    *done = true;
    switch (layer->kind) {
    case VQ_LINEAR: return run_linear(p, &layer->linear, e);
    case VQ_CONV: return run_conv(p, &layer->conv, done, e);
    case VQ_DOUBLE: return run_double(p, &layer->conv, done, e);
    case VQ_BLOCK: return run_block(p, &layer->block, done, e);
    case VQ_ATTENTION: return run_attention(p, &layer->attention, e);
    case VQ_NORM_SILU: norm_silu(p, &layer->norm, true, p->x); return FA_OK;
    }
    return FA_OK;
}

fa_status vq_run_layer(fa_vq_pass *p, const vq_layer *layer, bool *done, fa_error *e) {
    fa_status s = run(p, layer, done, e);
    if (!s && *done) p->stage = 0;
    return s;
}
