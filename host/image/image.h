/* Pictures: PNG, JPEG and WebP files to 8-bit RGB, and RGB to PNG. What a file asks for is checked before anything is decoded. */
#ifndef FA_IMAGE_IMAGE_H
#define FA_IMAGE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

/* The largest file, side and picture that are read: what a camera makes, and no more memory than 100 MB of pixels. */
enum { FA_IMAGE_MOST_BYTES = 64 << 20, FA_IMAGE_MOST_SIDE = 16384, FA_IMAGE_MOST_PIXELS = 1 << 25 };

/* A zeroed one is empty. */
typedef struct fa_image {
    int32_t width, height;
    uint8_t *rgb; /* [height, width, 3], owned */
} fa_image;

void fa_image_free(fa_image *image);

/* [height, width, 3] zeroes, or FA_ELIMIT when that is more than the limits above. */
fa_status fa_image_alloc(fa_image *out, int32_t width, int32_t height, fa_error *e);

/* Decodes the bytes of a file; its kind is told from them. `name` is for error texts. As Pillow's convert("RGB"): transparency is dropped, 16 bits
 * are cut to 8, grey and palette become RGB, CMYK is taken as Adobe stores it, colour profiles and orientation tags are not looked at.
 * FA_EFORMAT: not a picture, damaged, or cut off; FA_EUNSUPPORTED: another kind, an animation; FA_ELIMIT: larger than the limits. */
fa_status fa_image_decode(fa_image *out, const void *bytes, size_t n, const char *name, fa_error *e);

/* The same of a file. FA_EIO names the path. */
fa_status fa_image_read(fa_image *out, const char *path, fa_error *e);

/* Encodes as PNG; the caller frees *bytes. */
fa_status fa_image_encode_png(const fa_image *image, uint8_t **bytes, size_t *n, fa_error *e);

/* The same to a file, which appears whole or not at all. */
fa_status fa_image_write_png(const fa_image *image, const char *path, fa_error *e);

#endif
