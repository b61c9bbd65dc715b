/* The shapes of the released models of the family, so that a plan needs no download. */
#ifndef FA_SIM_PLANNER_MODELS_H
#define FA_SIM_PLANNER_MODELS_H

#include "host/model/config.h"

typedef struct fa_known_model {
    const char *name;     /* "deepseek-r1"; "r1" would do: the "deepseek-" may be left out */
    double billions;      /* parameters as published, without the layers of multi-token prediction; 0: not published */
    const char *based_on; /* where the shape and the count come from */
    fa_config config;     /* sizes alone: no ids, no rotary parameters */
} fa_known_model;

/* The known models in the order of their release; NULL after the last. */
const fa_known_model *fa_known_model_at(int i);

/* The configuration of a known model by name (any case), or of a folder with config.json or of a .gguf file when the text
 * has a slash, ends in ".gguf" or names something that exists. FA_EINVAL lists the known names. */
fa_status fa_plan_model(fa_config *c, const char *name, fa_error *e);

#endif
