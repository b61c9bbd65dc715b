#include "sim/scale/spread.h"

#include <math.h>

static const double smallest = 1e-6, width = 1.005;

void fa_counts_add(fa_counts *c, double seconds, int64_t times) {
    double class = seconds > smallest ? ceil(log(seconds / smallest) / log(width)) : 0;
    c->of[class < FA_SPREAD_CLASSES ? (int)class : FA_SPREAD_CLASSES - 1] += times;
    c->n += times;
    c->sum += (double)times * seconds;
    c->most = fmax(c->most, seconds);
}

/* The value that `share` of all do not exceed. */
static double percentile(const fa_counts *c, double share) {
    double below = 0;
    for (int i = 0; i < FA_SPREAD_CLASSES; i++) {
        below += (double)c->of[i];
        if (below >= share * (double)c->n) return fmin(c->most, smallest * pow(width, i));
    }
    return c->most;
}

fa_spread fa_counts_spread(const fa_counts *c) {
    if (!c->n) return (fa_spread){0};
    return (fa_spread){.n = c->n,
                       .mean = c->sum / (double)c->n,
                       .p50 = percentile(c, 0.5),
                       .p99 = percentile(c, 0.99),
                       .most = c->most};
}
