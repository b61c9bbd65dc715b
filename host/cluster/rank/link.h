/* Messages between ranks: Open MPI's non-blocking sends and receives, with a deadline for whoever waits and a count of what was
 * sent. MPI_Wait knows no deadline and takes a CPU while it waits, so waiting is here: test, look again for a while, then sleep between
 * looks. Within a pair of ranks, messages of one tag arrive in the order in which they were sent, so tags say only what a message is. */
#ifndef FA_CLUSTER_LINK_H
#define FA_CLUSTER_LINK_H

#include <mpi.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"

typedef enum fa_tag {
    FA_TAG_ALARM = 1, /* to rank 0: fa_alarm */
    FA_TAG_SETUP,
    FA_TAG_HELLO,
    FA_TAG_STEP,
    FA_TAG_STREAM,   /* residual stream, from a stage to the next */
    FA_TAG_KEYS,     /* what the cache keeps of a rank's rows */
    FA_TAG_DISPATCH, /* rows to the experts' owners */
    FA_TAG_COMBINE,  /* and what experts made of them */
    FA_TAG_LOGITS,
    FA_TAGS
} fa_tag;

/* Why a rank cannot go on. */
typedef struct fa_alarm {
    int32_t rank, status;
    int32_t blamed; /* the rank that it waited for; -1: none */
    char text[FA_ERROR_TEXT];
} fa_alarm;

typedef struct fa_link {
    MPI_Comm comm;
    int32_t rank, size;
    int64_t deadline_ns;
    int32_t blamed;                        /* of the last wait that failed */
    fa_alarm alarm;                        /* rank 0: of another rank */
    MPI_Request listening;                 /* rank 0: for alarms */
    int64_t bytes[FA_TAGS], sent[FA_TAGS]; /* of payload; messages */
    int64_t waited_ns[FA_TAGS];
} fa_link;

/* A message under way; zeroed: none. */
typedef struct fa_parcel {
    MPI_Request request;
    int32_t peer;
    fa_tag tag;
    bool under_way;
} fa_parcel;

/* `comm` is borrowed. */
fa_status fa_link_open(fa_link *l, MPI_Comm comm, int64_t deadline_ms, fa_error *e);
void fa_link_close(fa_link *l);

/* The memory stays as it is until fa_link_wait. */
fa_status fa_link_send(fa_link *l, int32_t to, fa_tag tag, const void *data, int64_t bytes, fa_parcel *p, fa_error *e);
/* Takes up to `most` bytes. */
fa_status fa_link_receive(fa_link *l, int32_t from, fa_tag tag, void *data, int64_t most, fa_parcel *p, fa_error *e);
/* *bytes (or NULL): how many came. FA_EDEVICE when the deadline is over, naming the rank, or when (on rank 0) another rank raises an
 * alarm. Does nothing for a parcel that is not under way. */
fa_status fa_link_wait(fa_link *l, fa_parcel *p, int64_t *bytes, fa_error *e);
/* As fa_link_wait without a deadline, for what may come in hours; idle(ctx) is asked now and then whether to go on. */
fa_status fa_link_idle(fa_link *l, fa_parcel *p, int64_t *bytes, bool (*idle)(void *ctx), void *ctx, fa_error *e);
/* Lets messages move, in the midst of other work. */
void fa_link_nudge(fa_link *l);

/* Another rank than 0: tells rank 0 why this one cannot go on. */
void fa_link_raise(fa_link *l, const fa_error *why);
/* Rank 0: hears the alarms that come within a short time after the first failure `e`, and makes the text name the rank that is to
 * blame: one that others waited for and that said nothing itself. */
void fa_link_find_cause(fa_link *l, fa_error *e);

#endif
