/* A number for a model's shape: what a placement of layers and experts was made for. */
#ifndef FA_MODEL_SHAPE_H
#define FA_MODEL_SHAPE_H

#include "host/model/config.h"

/* FNV-1a of the sizes that decide which tensors there are; the same for a released model known by its name, its folder and its
 * GGUF file. */
uint64_t fa_config_shape(const fa_config *c);

#endif
