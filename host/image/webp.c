/* WebP by libwebp. */
#include <webp/decode.h>

#include "host/image/decoders.h"

fa_status fa_webp_decode(fa_image *out, const uint8_t *bytes, size_t n, fa_error *e) {
    WebPBitstreamFeatures f;
    VP8StatusCode code = WebPGetFeatures(bytes, n, &f);
    if (code == VP8_STATUS_NOT_ENOUGH_DATA) return fa_fail(e, FA_EFORMAT, "the file is cut off");
    if (code != VP8_STATUS_OK) return fa_fail(e, FA_EFORMAT, "the header is damaged");
    if (f.has_animation) return fa_fail(e, FA_EUNSUPPORTED, "animations are not read");
    fa_status s = fa_image_alloc(out, f.width, f.height, e);
    if (s) return s;
    size_t row = (size_t)f.width * 3;
    if (WebPDecodeRGBInto(bytes, n, out->rgb, row * (size_t)f.height, (int)row)) return FA_OK;
    fa_image_free(out);
    return fa_fail(e, FA_EFORMAT, "the file is damaged or cut off");
}
