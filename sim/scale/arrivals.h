/* Requests over time: a recorded trace, replayed as it was or as many users as a rate needs. */
#ifndef FA_SIM_SCALE_ARRIVALS_H
#define FA_SIM_SCALE_ARRIVALS_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"

typedef struct fa_arrival {
    double seconds;         /* since the start */
    int32_t prompt, output; /* tokens, 1 at least */
    int32_t cached;         /* of the prompt's, those that an earlier request had in front too; below prompt */
} fa_arrival;

/* What gives requests in the order of their seconds; false when there are no more. */
typedef struct fa_arrivals {
    bool (*next)(void *ctx, fa_arrival *r);
    void *ctx;
} fa_arrivals;

typedef struct fa_recording {
    fa_arrival *item; /* [n], seconds from 0, not falling */
    int64_t n;
    double seconds;                                /* how long it is, with the gap behind the last */
    int32_t longest;                               /* prompt and output of one request */
    double prompt_mean, output_mean, cached_share; /* cached_share: of all prompt tokens */
} fa_recording;

/* Reads a CSV file: comments behind '#', then "seconds,prompt,output" or "seconds,prompt,output,cached", then a line for each request,
 * seconds not falling. Requests of one moment are spread evenly up to the next one, for clocks that tick slowly. FA_EFORMAT names
 * file and line; FA_EIO, FA_ENOMEM. The caller frees with fa_recording_free in every case. */
fa_status fa_recording_read(fa_recording *r, const char *path, fa_error *e);
void fa_recording_free(fa_recording *r);

/* A replay: as many copies of the recording as `rate` requests/s take, each begun at a random moment of it and repeated; of each copy a
 * request is kept with the chance that makes the rate exact. rate 0: one copy from its start, as recorded. Requests before
 * `seconds`. r stays until close. FA_EINVAL for more than 10 million copies, FA_ENOMEM. */
typedef struct fa_replay fa_replay;
fa_status fa_replay_open(fa_replay **p, const fa_recording *r, double rate, double seconds, uint64_t seed, fa_error *e);
void fa_replay_close(fa_replay *p);
fa_arrivals fa_replay_arrivals(fa_replay *p);

#endif
