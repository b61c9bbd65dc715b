/* How long a step takes, learnt from those that were, and from that how many rows newcomers may have in the next one. Numbers in, numbers
 * out: no clock, lock or thread in here.
 *
 * A step of `rows` takes about base + row * rows: the line of least squares through the last steps, of which older ones count less. A
 * batch that streams a large model's weights has a large base, and rows beside those of others are nearly free; one that is
 * bound by arithmetic has next to none. While newcomers are held to a share of the work (admission.h), a step in which established keys
 * have rows earns that share of what these take, and newcomers' rows spend it; a step never takes more than twice as long for them. In a
 * step of newcomers alone their rows take as long as the base, or FA_PACE_ALONE_NS: so long waits the established key that comes next. */
#ifndef FA_SERVER_PACE_H
#define FA_SERVER_PACE_H

#include <stdint.h>

/* A step should be over by then: clients that left must be noticed, and running streams go on, within a quarter of a second. */
#define FA_PACE_STEP_NS INT64_C(150000000)
#define FA_PACE_ALONE_NS INT64_C(5000000)

typedef struct fa_pace {
    double n, rows, rows2, ns, rows_ns; /* decayed sums over steps: 1, rows, rows^2, time, rows * time */
    double credit_ns;                   /* what newcomers have not spent yet */
} fa_pace;

/* A step is over: its rows (>= 1), those of newcomers among them, what it took, and the share of newcomers, in (0, 1]. */
void fa_pace_step(fa_pace *p, int32_t rows, int32_t newcomers, int64_t took_ns, double share);

/* Rows that newcomers may have in the next step, beside at least one row for each of `established` sessions. A share of 1: INT32_MAX. */
int32_t fa_pace_newcomers(const fa_pace *p, int32_t established, double share);

#endif
