#ifndef FA_IMAGE_RESIZE_H
#define FA_IMAGE_RESIZE_H

#include "host/image/image.h"

/* `from` at another size, bit for bit as the resize(size, BICUBIC) of Pillow 11: the cubic with a = -1/2, widened by the scale where it shrinks
 * (antialiasing), weights in fixed point with 22 bits, across first, then down, 8 bits between the two. */
fa_status fa_image_resize(fa_image *out, const fa_image *from, int32_t width, int32_t height, fa_error *e);

#endif
