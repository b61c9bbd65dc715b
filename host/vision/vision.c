#include "host/vision/vision.h"

#include <stdlib.h>
#include <string.h>

#include "host/vision/preprocess.h"
#include "host/vision/siglip.h"

struct fa_vision {
    fa_arena arena;
    fa_numerics numerics;
    int32_t max_rows;
    fa_siglip tower;
    fa_vision_ops ops;
    fa_siglip_pass pass;
};

fa_status fa_vision_open(fa_vision **out, const char *dir, int32_t hidden, fa_numerics numerics, int32_t max_rows,
                         fa_error *e) {
    fa_vision_config c;
    bool has;
    *out = NULL;
    fa_status s = fa_vision_config_load(&c, dir, &has, e);
    if (s || !has) return s;
    fa_vision *v = calloc(1, sizeof *v);
    if (!v) return fa_fail(e, FA_ENOMEM, "%s: out of memory", dir);
    c.hidden = hidden;
    *v = (fa_vision){.numerics = numerics, .max_rows = max_rows, .tower = {.config = c}};
    *out = v;
    return FA_OK;
}

void fa_vision_close(fa_vision *v) {
    if (!v) return;
    fa_siglip_end(&v->pass);
    if (v->ops.backend) fa_vision_ops_close(&v->ops);
    fa_arena_free(&v->arena);
    free(v);
}

const fa_vision_config *fa_vision_get_config(const fa_vision *v) {
    return &v->tower.config;
}

fa_status fa_vision_limits_of(void *vision, const fa_tensors *tensors, fa_limits *limits, fa_error *e) {
    fa_vision *v = vision;
    (void)tensors, (void)e;
    fa_vision_limits l = fa_siglip_limits(&v->tower.config);
    fa_vision_limits_join(limits, &l);
    return FA_OK;
}

fa_status fa_vision_load(void *vision, const fa_tensors *tensors, fa_backend *backend, fa_error *e) {
    fa_vision *v = vision;
    fa_vision_loader l = {tensors, backend, &v->arena};
    fa_vision_limits limits = fa_siglip_limits(&v->tower.config);
    fa_status s = fa_siglip_load(&v->tower, &l, e);
    return s ? s : fa_vision_ops_open(&v->ops, backend, v->numerics, v->max_rows, &limits, e);
}

int64_t fa_vision_bytes(const fa_vision *v) {
    const fa_vision_config *c = &v->tower.config;
    const fa_buffer *held[] = {v->ops.in, v->ops.out, v->ops.cache};
    int64_t pass = (int64_t)fa_vision_patches(c) * (5 * (int64_t)c->width + c->inner) * (int64_t)sizeof(float),
            buffers = 0;
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) buffers += held[i] ? (int64_t)held[i]->bytes : 0;
    return (int64_t)(v->arena.used_bytes + v->ops.arena.used_bytes) + buffers + pass;
}

void fa_vision_stop(fa_vision *v) {
    fa_siglip_end(&v->pass);
}

fa_status fa_vision_begin(fa_vision *v, const fa_image *square, fa_error *e) {
    const fa_vision_config *c = &v->tower.config;
    if (square->width != c->image_size || square->height != c->image_size)
        return fa_fail(e, FA_EINVAL, "vision: %d x %d is not the square of %d that the tower takes", square->width,
                       square->height, c->image_size);
    float *pixels = calloc((size_t)c->image_size * (size_t)c->image_size, 3 * sizeof *pixels);
    if (!pixels) return fa_fail(e, FA_ENOMEM, "vision: out of memory for a picture");
    fa_preprocess_normalise(c, square, pixels);
    fa_siglip_end(&v->pass);
    fa_status s = fa_siglip_begin(&v->tower, &v->ops, pixels, &v->pass, e);
    if (s) fa_siglip_end(&v->pass);
    free(pixels);
    return s;
}

fa_status fa_vision_advance(fa_vision *v, float *rows, bool *done, fa_error *e) {
    fa_status s = fa_siglip_advance(&v->tower, &v->ops, &v->pass, rows, done, e);
    if (s) fa_siglip_end(&v->pass);
    return s;
}

fa_status fa_vision_see(fa_vision *v, const fa_image *square, float *features, float *rows, fa_error *e) {
    bool done = false;
    fa_status s = fa_vision_begin(v, square, e);
    while (!s && !done) s = fa_vision_advance(v, rows, &done, e);
    size_t values = (size_t)fa_vision_patches(&v->tower.config) * (size_t)v->tower.config.width;
    if (!s && features) memcpy(features, v->pass.stream, values * sizeof *features);
    fa_vision_stop(v);
    return s;
}
