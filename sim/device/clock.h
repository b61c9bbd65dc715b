/* The board's clock: what happens on which lane, from when to when, and what it waited for. The host makes one call after the
 * other; a lane (a direction of the host link, a compute unit) does one thing at a time; everything starts as soon as the
 * host has asked for it and its lane is free. So each event starts where another ended, and the chain back from the last
 * one, the critical path, is as long as the whole run: time is whole picoseconds, so that this holds exactly. */
#ifndef SIM_DEVICE_CLOCK_H
#define SIM_DEVICE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

enum { SIM_LANE_TO_CARD = 0, SIM_LANE_FROM_CARD, SIM_LANE_UNITS, SIM_LANES = SIM_LANE_UNITS + 64 };

typedef enum sim_event_kind {
    SIM_EVENT_TRANSFER = 0,
    SIM_EVENT_LAUNCH,
    SIM_EVENT_KERNEL,
    SIM_EVENT_FAULT
} sim_event_kind;

typedef struct sim_event {
    int64_t start, end; /* ps */
    int64_t after;      /* number of the event that it started behind; -1: the beginning */
    int16_t lane;
    uint8_t kind;     /* sim_event_kind */
    const char *name; /* lives as long as the clock */
    double bytes;     /* moved, or read and written by the kernel */
} sim_event;

typedef struct sim_clock {
    int64_t host, lane_free[SIM_LANES];        /* ps: the host's next call; when the lane is free */
    int64_t host_after, lane_after[SIM_LANES]; /* the events that end then; -1: the beginning */
    int64_t n_events;
    bool record;
    sim_event *events; /* [n_recorded], kept when `record` */
    int64_t n_recorded, capacity;
} sim_clock;

void sim_clock_open(sim_clock *c, bool record);
void sim_clock_close(sim_clock *c);

/* Something that takes `seconds` on a lane, after what the lane has and after the host's last call returned. */
void sim_clock_add(sim_clock *c, int lane, sim_event_kind kind, const char *name, double seconds, double bytes);
/* The host goes on when the lane is free. */
void sim_clock_join(sim_clock *c, int lane);

double sim_clock_seconds(const sim_clock *c); /* the host's time */

/* The critical path to the host's time, newest event first: calls `each` for its events; returns their sum in ps. Only for
 * clocks that record. */
int64_t sim_clock_path(const sim_clock *c, void (*each)(void *ctx, const sim_event *event), void *ctx);

#endif
