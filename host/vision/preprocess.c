#include "host/vision/preprocess.h"

#include <string.h>

#include "host/image/resize.h"

/* Truncated after (side / longest) * size in double, as the original code does it. */
static int32_t scaled(const fa_vision_config *c, int32_t side, int32_t longest) {
    int32_t to = (int32_t)((double)side / longest * c->image_size);
    return to < c->min_size ? c->min_size : to;
}

fa_status fa_preprocess_square(const fa_vision_config *c, const fa_image *image, fa_image *square, fa_error *e) {
    int32_t longest = image->width > image->height ? image->width : image->height, size = c->image_size;
    fa_image small;
    *square = (fa_image){0};
    fa_status s =
        fa_image_resize(&small, image, scaled(c, image->width, longest), scaled(c, image->height, longest), e);
    if (s) return s;
    s = fa_image_alloc(square, size, size, e);
    for (int32_t i = 0; i < size * size && !s; i++) memcpy(square->rgb + (size_t)i * 3, c->background, 3);
    int32_t left = (size - small.width) / 2, top = (size - small.height) / 2;
    for (int32_t y = 0; y < small.height && !s; y++)
        memcpy(square->rgb + ((size_t)(top + y) * (size_t)size + (size_t)left) * 3,
               small.rgb + (size_t)y * (size_t)small.width * 3, (size_t)small.width * 3);
    fa_image_free(&small);
    return s;
}

void fa_preprocess_normalise(const fa_vision_config *c, const fa_image *square, float *pixels) {
    for (int64_t i = 0; i < (int64_t)square->width * square->height * 3; i++) {
        float value = (float)square->rgb[i] / 255.0f;
        value = value - c->mean[i % 3];
        pixels[i] = value / c->std[i % 3];
    }
}
