#include "host/vision/vq.h"

#include <stdlib.h>
#include <string.h>

#include "host/backend/scalar.h"
#include "host/base/threads.h"
#include "host/vision/vq_parts.h"

enum { MOST_PIXELS = 1 << 25 };

int32_t fa_vq_codes(const fa_vq *vq) {
    return vq->codes;
}

int32_t fa_vq_scale(const fa_vq *vq) {
    return vq->scale;
}

int32_t fa_vq_layers(const fa_vq *vq) {
    return vq->decoder.n;
}

bool fa_vq_can_encode(const fa_vq *vq) {
    return vq->encoder.n > 0;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* What a chain needs room for: values of the largest map, and of the largest attention's queries, keys and values. */
typedef struct room {
    int64_t map, qkv;
    fa_vision_limits limits;
} room;

/* A linear over `pixels` pixels of `channels`. */
static void count_linear(room *r, const fa_linear *l, int64_t pixels, int64_t channels) {
    r->map = larger(r->map, pixels * larger(channels, l->w.rows));
    r->limits.max_in = larger(r->limits.max_in, l->w.cols);
    r->limits.max_out = larger(r->limits.max_out, l->w.rows);
}

static void count_attention(room *r, const vq_attention *a, int64_t pixels) {
    int32_t channels = a->norm.channels;
    fa_vision_limits *l = &r->limits;
    count_linear(r, &a->q, pixels, channels);
    r->qkv = larger(r->qkv, pixels * 3 * channels);
    l->max_heads = 1;
    l->max_positions = (int32_t)larger(l->max_positions, pixels);
    l->head_dim = l->max_width = (int32_t)larger(l->max_width, channels);
}

/* Of a chain over a map of height x width. */
static room room_of(const vq_chain *chain, int32_t height, int32_t width) {
    room r = {0};
    for (int i = 0; i < chain->n; i++) {
        const vq_layer *v = &chain->layers[i];
        if (v->kind == VQ_DOUBLE) height *= 2, width *= 2;
        int64_t pixels = (int64_t)height * width;
        switch (v->kind) {
        case VQ_LINEAR: count_linear(&r, &v->linear, pixels, v->linear.w.cols); break;
        case VQ_CONV:
        case VQ_DOUBLE:
            count_linear(&r, &v->conv.linear, pixels, v->conv.channels);
            height = fa_conv_side(&v->conv, height);
            width = fa_conv_side(&v->conv, width);
            break;
        case VQ_BLOCK:
            count_linear(&r, &v->block.conv1.linear, pixels, v->block.conv1.channels);
            count_linear(&r, &v->block.conv2.linear, pixels, v->block.conv2.channels);
            break;
        case VQ_ATTENTION: count_attention(&r, &v->attention, pixels); break;
        case VQ_NORM_SILU: break;
        }
    }
    return r;
}

void fa_vq_limits(const fa_vq *vq, int32_t height, int32_t width, fa_vision_limits *limits) {
    const room rooms[] = {room_of(&vq->decoder, height, width),
                          room_of(&vq->encoder, height * vq->scale, width * vq->scale)};
    for (int i = 0; i < 2; i++) {
        const fa_vision_limits *r = &rooms[i].limits;
        limits->max_in = larger(limits->max_in, r->max_in);
        limits->max_out = larger(limits->max_out, r->max_out);
        limits->max_width = (int32_t)larger(limits->max_width, r->max_width);
        limits->max_heads = (int32_t)larger(limits->max_heads, r->max_heads);
        limits->head_dim = (int32_t)larger(limits->head_dim, r->head_dim);
        limits->max_positions = (int32_t)larger(limits->max_positions, r->max_positions);
    }
}

/* Of both ways over a grid. */
static room room_of_both(const fa_vq *vq, int32_t height, int32_t width) {
    room r = room_of(&vq->decoder, height, width);
    room encoder = room_of(&vq->encoder, height * vq->scale, width * vq->scale);
    r.map = larger(r.map, encoder.map);
    r.qkv = larger(r.qkv, encoder.qkv);
    return r;
}

int64_t fa_vq_bytes(const fa_vq *vq, int32_t height, int32_t width) {
    room r = room_of_both(vq, height, width);
    return (3 * r.map + r.qkv) * (int64_t)sizeof(float);
}

fa_status fa_vq_open(fa_vq_pass **out, const fa_vq *vq, fa_vision_ops *ops, int32_t height, int32_t width,
                     fa_error *e) {
    *out = NULL;
    int64_t most = MOST_PIXELS / ((int64_t)vq->scale * vq->scale);
    if (height < 1 || width < 1 || (int64_t)height * width > most)
        return fa_fail(e, FA_ELIMIT, "a picture of %d x %d codes: must be 1 .. %lld in all", height, width,
                       (long long)most);
    room r = room_of_both(vq, height, width);
    fa_vq_pass *p = calloc(1, sizeof *p);
    if (!p) return fa_fail(e, FA_ENOMEM, "out of memory for pictures");
    *p = (fa_vq_pass){.vq = vq, .ops = ops, .grid_height = height, .grid_width = width};
    p->x = malloc((size_t)r.map * sizeof(float));
    p->a = malloc((size_t)r.map * sizeof(float));
    p->b = malloc((size_t)r.map * sizeof(float));
    p->qkv = malloc((size_t)r.qkv * sizeof(float));
    if (!p->x || !p->a || !p->b || !p->qkv) {
        fa_vq_close(p);
        return fa_fail(e, FA_ENOMEM, "out of memory for pictures (%.0f MB)",
                       (double)(3 * r.map + r.qkv) * sizeof(float) / 1e6);
    }
    *out = p;
    return FA_OK;
}

void fa_vq_close(fa_vq_pass *p) {
    if (!p) return;
    free(p->x);
    free(p->a);
    free(p->b);
    free(p->qkv);
    free(p);
}

/* The codebook's vectors, each divided by its length (at least 1e-12), as Janus' decoder takes them. */
static void look_up(const fa_vq *vq, const int32_t *codes, int64_t n, float *to) {
    unsigned mode = fa_fp_enter();
    for (int64_t t = 0; t < n; t++) {
        const float *v = vq->codebook + (int64_t)codes[t] * vq->dims;
        float length = sqrtf(fa_ordered_dot(v, v, vq->dims));
        length = length < 1e-12f ? 1e-12f : length;
        for (int32_t i = 0; i < vq->dims; i++) to[t * vq->dims + i] = v[i] / length;
    }
    fa_fp_leave(mode);
}

/* A map of height x width of so many channels stands at the beginning of a chain. */
static void begin(fa_vq_pass *p, const vq_chain *chain, int32_t height, int32_t width, int32_t channels) {
    p->chain = chain;
    p->next = p->stage = 0;
    p->at = 0;
    p->height = height;
    p->width = width;
    p->channels = channels;
}

fa_status fa_vq_decode(fa_vq_pass *p, const int32_t *codes, fa_error *e) {
    const fa_vq *vq = p->vq;
    int64_t n = (int64_t)p->grid_height * p->grid_width;
    for (int64_t t = 0; t < n; t++)
        if (codes[t] < 0 || codes[t] >= vq->codes)
            return fa_fail(e, FA_EINVAL, "code %lld is %d, must be in 0 .. %d", (long long)t, codes[t], vq->codes - 1);
    begin(p, &vq->decoder, p->grid_height, p->grid_width, vq->dims);
    look_up(vq, codes, n, p->x);
    return FA_OK;
}

fa_status fa_vq_encode(fa_vq_pass *p, const float *pixels, fa_error *e) {
    const fa_vq *vq = p->vq;
    if (!fa_vq_can_encode(vq)) return fa_fail(e, FA_EUNSUPPORTED, "the model's files have no encoder of pictures");
    begin(p, &vq->encoder, p->grid_height * vq->scale, p->grid_width * vq->scale, 3);
    memcpy(p->x, pixels, (size_t)p->height * (size_t)p->width * 3 * sizeof *pixels);
    return FA_OK;
}

fa_status fa_vq_advance(fa_vq_pass *p, bool *done, fa_error *e) {
    bool whole = false;
    fa_status s = FA_OK;
    if (p->next < p->chain->n) s = vq_run_layer(p, &p->chain->layers[p->next], &whole, e);
    p->next += whole;
    *done = p->next == p->chain->n;
    return s;
}

int32_t fa_vq_layers_done(const fa_vq_pass *p) {
    return p->next;
}

const float *fa_vq_values(const fa_vq_pass *p) {
    return p->x;
}

/* The code whose vector is nearest: the smallest ordered sum of squared differences, of equal ones the lowest. */
static int32_t nearest(const fa_vq *vq, const float *values) {
    int32_t best = 0;
    float least = INFINITY;
    for (int32_t k = 0; k < vq->codes; k++) {
        float partial[16] = {0};
        for (int32_t i = 0; i < vq->dims; i++) {
            float d = values[i] - vq->codebook[(int64_t)k * vq->dims + i];
            float square = d * d;
            partial[i % 16] += square;
        }
        float distance = fa_tree_16(partial);
        if (distance < least) {
            least = distance;
            best = k;
        }
    }
    return best;
}

void fa_vq_quantise(const fa_vq *vq, const float *values, int64_t n, int32_t *codes) {
    unsigned mode = fa_fp_enter();
    for (int64_t t = 0; t < n; t++) codes[t] = nearest(vq, values + t * vq->dims);
    fa_fp_leave(mode);
}

void fa_vq_to_rgb(const float *pixels, int64_t n, uint8_t *rgb) {
    unsigned mode = fa_fp_enter();
    for (int64_t i = 0; i < n; i++) {
        float v = (pixels[i] + 1.0f) * 0.5f * 255.0f;
        rgb[i] = (uint8_t)(v > 0.0f ? v < 255.0f ? v : 255.0f : 0.0f);
    }
    fa_fp_leave(mode);
}
