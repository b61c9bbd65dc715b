#ifndef FA_VISION_PREPROCESS_H
#define FA_VISION_PREPROCESS_H

#include "host/image/image.h"
#include "host/vision/config.h"

/* `image` as the tower takes it: resized, in the middle of a square of the background's colour (VLMImageProcessor of deepseek-ai/Janus).
 * The caller frees it. */
fa_status fa_preprocess_square(const fa_vision_config *c, const fa_image *image, fa_image *square, fa_error *e);

/* [size * size, 3] values (u8 / 255 - mean) / std of such a square. */
void fa_preprocess_normalise(const fa_vision_config *c, const fa_image *square, float *pixels);

#endif
