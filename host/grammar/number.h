/* JSON numbers between bounds, as grammar. Private to this folder. */
#ifndef FA_GRAMMAR_NUMBER_H
#define FA_GRAMMAR_NUMBER_H

#include <jansson.h>

#include "host/grammar/grammar.h"

/* Bounds are JSON numbers or NULL. */
typedef struct fa_number_range {
    const json_t *least, *most;
    bool above, below; /* the bound itself is left out */
    bool whole;        /* integers alone */
} fa_number_range;

/* FA_EINVAL when nothing is between the bounds, FA_EUNSUPPORTED when only numbers of more digits than are written would be. */
fa_status fa_number_nodes(fa_grammar *g, const fa_number_range *r, int32_t next, int32_t *out, fa_error *e);

#endif
