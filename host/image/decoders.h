/* One decoder a format. Each checks the size by fa_image_alloc before it decodes, and leaves `out` empty on an error, whose text
 * fa_image_decode puts the name before. Private to host/image. */
#ifndef FA_IMAGE_DECODERS_H
#define FA_IMAGE_DECODERS_H

#include "host/image/image.h"

fa_status fa_png_decode(fa_image *out, const uint8_t *bytes, size_t n, fa_error *e);
fa_status fa_jpeg_decode(fa_image *out, const uint8_t *bytes, size_t n, fa_error *e);
fa_status fa_webp_decode(fa_image *out, const uint8_t *bytes, size_t n, fa_error *e);

#endif
