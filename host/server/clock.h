/* The two clocks of the service. */
#ifndef FA_SERVER_CLOCK_H
#define FA_SERVER_CLOCK_H

#include <stdint.h>
#include <time.h>

#define FA_SECOND_NS INT64_C(1000000000)

/* Monotonic, for durations. */
static inline int64_t fa_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * FA_SECOND_NS + t.tv_nsec;
}

/* Milliseconds since 1970. */
static inline int64_t fa_time_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
