/* What a Janus folder says about looking at pictures: config.json and preprocessor_config.json of both layouts. */
#ifndef FA_VISION_CONFIG_H
#define FA_VISION_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"

/* Whose names tensors have. */
typedef enum fa_vision_names { FA_VISION_ORIGINAL = 0, FA_VISION_TRANSFORMERS } fa_vision_names;

typedef struct fa_vision_config {
    fa_vision_names names;
    /* SigLIP, the tower of Janus: patches of `patch` pixels a side; `inner` is that of its MLPs. */
    int32_t image_size, patch, width, layers, heads, inner;
    float eps;
    int32_t hidden;      /* of the language model */
    int32_t placeholder; /* id of the token that stands for a patch, -1: only the tokenizer knows */
    /* Preprocessing: the longer side becomes image_size, the shorter one at least min_size; the rest of the square is background. */
    int32_t min_size;
    uint8_t background[3];
    float mean[3], std[3];
} fa_vision_config;

/* Rows that a picture becomes. */
static inline int32_t fa_vision_patches(const fa_vision_config *c) {
    return c->image_size / c->patch * (c->image_size / c->patch);
}

/* Reads folder `dir`; *has is false, and nothing is an error, where its model does not look at pictures. FA_EFORMAT names file and field,
 * FA_EUNSUPPORTED another kind of tower. */
fa_status fa_vision_config_load(fa_vision_config *c, const char *dir, bool *has, fa_error *e);

#endif
