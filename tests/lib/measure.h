/* What speed is judged by: the clock, and the two rates of this machine that no decoding can exceed. */
#ifndef FA_TESTS_MEASURE_H
#define FA_TESTS_MEASURE_H

#include "host/backend/backend.h"

/* Seconds on the monotonic clock. */
double measure_now(void);

/* Bytes/s of reading memory: `threads` threads each read their part of a buffer far larger than any cache; the best
 * of several passes. */
double measure_read_rate(int threads);

/* Bytes/s of weights through the FP8 matmul of backend `name` for one row: `threads` threads at once, each on a block of its own
 * that stays in its L2 cache (512 KB), the rates added up. 0 and an error text when the backend refuses. */
double measure_kernel_rate(const char *name, fa_numerics numerics, int threads, fa_error *e);

/* Resident memory of this process in bytes, now. */
int64_t measure_resident(void);

#endif
