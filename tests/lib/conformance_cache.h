/* Cache pages for attention cases: sequences whose pages lie shuffled in a pool, encoded as kv.h says. */
#ifndef FA_TESTS_CONFORMANCE_CACHE_H
#define FA_TESTS_CONFORMANCE_CACHE_H

#include "tests/lib/conformance.h"

/* Positions that the rows of a case see. */
typedef enum conf_positions {
    CONF_FIRST,      /* one row at position 0 */
    CONF_EDGES,      /* both sides of the first pages' ends, of several sequences */
    CONF_PREFILL,    /* 17 rows of one prompt from its start */
    CONF_CHUNK,      /* 64 rows of one prompt from position 30 on */
    CONF_MIXED,      /* a batch of sequences of unlike lengths */
    CONF_LONG,       /* thousands of positions */
    CONF_LONG_BATCH, /* five sequences of hundreds, as decoding sees them */
    CONF_POSITION_KINDS
} conf_positions;

const char *conf_positions_name(conf_positions p);

typedef struct conf_cache {
    fa_kv_layout layout;
    int32_t layer;   /* the one that the op uses; the others are NaN */
    fa_place *place; /* [rows] */
} conf_cache;

/* Fills d's rows and pool for rows at `positions`. Hard: the last of several sequences holds a NaN and an infinity, and
 * magnitudes differ. */
conf_cache conf_make_cache(conf_data *d, fa_arena *a, check_rng *rng, fa_kv_layout layout, int32_t layer,
                           conf_positions positions, conf_values values);

/* The places of the listed rows into `out`. */
void conf_places(const conf_cache *c, const int *rows, int n, fa_place *out);

#endif
