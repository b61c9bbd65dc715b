/* Private to sim/scale: what the simulation keeps, and what its files give each other. */
#ifndef FA_SIM_SCALE_STATE_H
#define FA_SIM_SCALE_STATE_H

#include "sim/scale/spread.h"

/* A request that runs: `issued` and `done` of its prompt's positions, `written` of its output's tokens. */
typedef struct sequence {
    double arrived, first, last; /* when; of tokens */
    int32_t prompt, output, issued, written;
    int32_t next; /* in the replica's line of prompts, or of unused sequences; -1: none */
} sequence;

/* Sequences that decode together. While its step is in flight the first `in_step` members are those of the step. */
typedef struct group {
    int32_t *member;
    int32_t n, in_step;
    double context; /* positions that the members' next rows see, in all */
} group;

typedef struct replica {
    double *stage_free; /* [stages], when each stage has done what was launched */
    group *groups;
    int32_t *ready, first_ready, n_ready; /* a ring of groups that wait for stage 0 */
    int32_t first_prompt, last_prompt;    /* sequences whose prompts are not all launched; -1: none */
    int32_t flying;                       /* steps */
    int32_t running;
    int64_t positions; /* that its sequences may come to fill */
} replica;

/* Rows of a prompt in a step. */
typedef struct span {
    int32_t sequence;
    bool last; /* of the prompt: gives the first token */
} span;

enum { SPANS = 16 };
typedef struct flight {
    int32_t replica, group, n_spans, next; /* group -1: prompts alone; next: unused */
    span span[SPANS];
} flight;

typedef enum event_kind { EVENT_END = 0, EVENT_FREE } event_kind;

/* The end of a flight, or stage 0 of a replica being free. Of one moment, in the order of kinds, then of `number`. */
typedef struct event {
    double at;
    uint64_t number;
    event_kind kind;
    int32_t id;
} event;

typedef struct events {
    event *heap;
    int64_t n, room;
    uint64_t number;
} events;

fa_status events_push(events *q, double at, event_kind kind, int32_t id, fa_error *e);
bool events_before(const events *q, double at); /* the first is not after `at` */
event events_pop(events *q);

/* A number over time and its integral. */
typedef struct level {
    double value, since, integral;
} level;

static inline void level_change(level *l, double at, double by) {
    l->integral += l->value * (at - l->since);
    l->since = at;
    l->value += by;
}

typedef struct serving {
    const fa_plan_request *q;
    fa_serve_options o;
    fa_timer *timer;
    int32_t stages, n_replicas, n_groups, slots; /* slots: sequences of a replica */
    int64_t capacity;                            /* positions of a replica */
    replica *replicas;
    sequence *sequences;
    flight *flights;
    int32_t free_sequence, free_flight;
    fa_arrival *queue; /* a ring */
    int64_t first_waiting, n_waiting, queue_room;
    events events;
    double *stage_s; /* [stages], scratch */
    fa_counts *first, *token, *waiting, *stay;
    level in_system, in_queue;
    double busy, joules, weight_bytes, io_bytes, good_tokens;
    fa_served out;
} serving;

/* steps.c: starts what can start on a replica at `now`; a flight that ended. */
fa_status serve_launch(serving *s, int32_t replica, double now, fa_error *e);
void serve_land(serving *s, int32_t flight, double now);
/* A request that was let in starts on a replica, behind the prompts there. */
void serve_enter(serving *s, int32_t replica, const fa_arrival *a);

/* Positions in whole pages that a request may come to fill. */
static inline int64_t serve_positions(int32_t prompt, int32_t output) {
    return ((int64_t)prompt + output + FA_PAGE_POSITIONS - 1) / FA_PAGE_POSITIONS * FA_PAGE_POSITIONS;
}

#endif
