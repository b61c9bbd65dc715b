#include "host/image/image.h"

#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/image/decoders.h"

void fa_image_free(fa_image *image) {
    free(image->rgb);
    *image = (fa_image){0};
}

fa_status fa_image_alloc(fa_image *out, int32_t width, int32_t height, fa_error *e) {
    *out = (fa_image){0};
    if (width < 1 || height < 1) return fa_fail(e, FA_EFORMAT, "%d x %d is no picture's size", width, height);
    if (width > FA_IMAGE_MOST_SIDE || height > FA_IMAGE_MOST_SIDE || (int64_t)width * height > FA_IMAGE_MOST_PIXELS)
        return fa_fail(e, FA_ELIMIT,
                       "%d x %d is larger than what is read: sides of %d and %d pixels in all; make it smaller", width,
                       height, FA_IMAGE_MOST_SIDE, FA_IMAGE_MOST_PIXELS);
    out->rgb = calloc((size_t)width * (size_t)height, 3);
    if (!out->rgb) return fa_fail(e, FA_ENOMEM, "out of memory for %d x %d pixels", width, height);
    out->width = width;
    out->height = height;
    return FA_OK;
}

typedef struct format {
    const char *name;
    size_t at; /* of the mark in the file */
    const char *mark;
    size_t bytes;
    fa_status (*decode)(fa_image *, const uint8_t *, size_t, fa_error *); /* NULL: not read */
} format;

static const format formats[] = {
    {"PNG", 0, "\x89PNG\r\n\x1a\n", 8, fa_png_decode},
    {"JPEG", 0, "\xff\xd8\xff", 3, fa_jpeg_decode},
    {"WebP", 8, "WEBP", 4, fa_webp_decode},
    {"GIF", 0, "GIF8", 4, NULL},
    {"BMP", 0, "BM", 2, NULL},
    {"TIFF", 0, "II*\0", 4, NULL},
    {"TIFF", 0, "MM\0*", 4, NULL},
    {"AVIF or HEIC", 4, "ftyp", 4, NULL},
};

static const format *format_of(const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const format *f = &formats[i];
        if (n >= f->at + f->bytes && !memcmp(bytes + f->at, f->mark, f->bytes)) return f;
    }
    return NULL;
}

fa_status fa_image_decode(fa_image *out, const void *bytes, size_t n, const char *name, fa_error *e) {
    *out = (fa_image){0};
    if (n > FA_IMAGE_MOST_BYTES)
        return fa_fail(e, FA_ELIMIT, "%s: %zu bytes are more than the %d that are read of a picture", name, n,
                       FA_IMAGE_MOST_BYTES);
    const format *f = n ? format_of(bytes, n) : NULL;
    if (!f) return fa_fail(e, FA_EFORMAT, "%s: not a PNG, JPEG or WebP picture", name);
    if (!f->decode)
        return fa_fail(e, FA_EUNSUPPORTED, "%s: %s pictures are not read; make it PNG, JPEG or WebP", name, f->name);
    fa_status s = f->decode(out, bytes, n, e);
    return s ? fa_error_prefix(e, s, "%s: %s", name, f->name) : FA_OK;
}

fa_status fa_image_read(fa_image *out, const char *path, fa_error *e) {
    fa_map map;
    *out = (fa_image){0};
    fa_status s = fa_map_open(&map, path, e);
    if (s) return s;
    s = fa_image_decode(out, map.data, map.bytes, path, e);
    fa_map_close(&map);
    return s;
}
