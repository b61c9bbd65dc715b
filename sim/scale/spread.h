/* Percentiles of more values than are worth keeping: counts by size, each class 1/2 % wide. Private to sim/scale. */
#ifndef FA_SIM_SCALE_SPREAD_H
#define FA_SIM_SCALE_SPREAD_H

#include "sim/scale/serve.h"

/* Classes from 1 us to 10^9 s and more; class 0 has all that is smaller. */
enum { FA_SPREAD_CLASSES = 6930 };

typedef struct fa_counts {
    int64_t of[FA_SPREAD_CLASSES];
    int64_t n;
    double sum, most;
} fa_counts;

void fa_counts_add(fa_counts *c, double seconds, int64_t times);

/* Percentiles are the upper ends of their classes, at most the largest value. All 0 for no values. */
fa_spread fa_counts_spread(const fa_counts *c);

#endif
