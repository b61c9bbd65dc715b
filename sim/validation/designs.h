/* Published LLM accelerators on FPGA boards as configurations, so that the planner can predict what was measured. */
#ifndef FA_SIM_VALIDATION_DESIGNS_H
#define FA_SIM_VALIDATION_DESIGNS_H

#include "sim/planner/step.h"

/* A decoder that is not of our family. */
typedef struct fa_foreign_shape {
    const char *name;
    fa_config config;
    bool plain_mlp; /* two matrices with an activation between them, not three */
} fa_foreign_shape;

typedef struct fa_design {
    const char *row;         /* row_id of published.csv */
    const char *name;        /* paper, board */
    double published;        /* decoded tokens/s; its text stands in the row */
    const char *text;        /* ... as it stands there */
    const char *not_counted; /* why not, or NULL */
    const fa_foreign_shape *shape;
    bool head; /* the head runs on the board */
    int32_t code_bits;
    double code_bytes;  /* of a weight in memory, scales included */
    double cached_bits; /* of a key's or value's element */
    double context;     /* positions, mean over what was measured */
    double clock_hz;
    int32_t units, ports,
        port_bytes;          /* engines that share each matrix; memory channels of one; bytes a cycle of one port */
    int32_t cache_ports;     /* of one engine's channels, those that hold the cache */
    double bank_bytes_per_s; /* of one channel: peak times what is measured of it */
    const char *assumed;     /* what the row does not say */
} fa_design;

/* In the order of trust of published.md; NULL after the last. */
const fa_design *fa_design_at(int i);

/* The time of one token by the planner's own step, and what takes it. */
void fa_design_predict(const fa_design *d, fa_spent *spent);

/* "V2": the line of the file at `path` that starts with this row_id and a comma, malloc'd. NULL when there is none. */
char *fa_published_row(const char *path, const char *row);

#endif
