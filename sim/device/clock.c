#include "sim/device/clock.h"

#include <math.h>
#include <stdlib.h>

void sim_clock_open(sim_clock *c, bool record) {
    *c = (sim_clock){.host_after = -1, .record = record};
    for (int i = 0; i < SIM_LANES; i++) c->lane_after[i] = -1;
}

void sim_clock_close(sim_clock *c) {
    free(c->events);
    c->events = NULL;
}

/* Memory that runs out ends the record, not the run. */
static void keep(sim_clock *c, const sim_event *event) {
    if (!c->record) return;
    if (c->n_recorded == c->capacity) {
        int64_t capacity = c->capacity * 2 + 4096;
        sim_event *more = realloc(c->events, (size_t)capacity * sizeof *more);
        c->record = more != NULL;
        if (!more) return;
        c->events = more;
        c->capacity = capacity;
    }
    c->events[c->n_recorded++] = *event;
}

void sim_clock_add(sim_clock *c, int lane, sim_event_kind kind, const char *name, double seconds, double bytes) {
    bool host_later = c->host >= c->lane_free[lane];
    sim_event event = {.start = host_later ? c->host : c->lane_free[lane],
                       .after = host_later ? c->host_after : c->lane_after[lane],
                       .lane = (int16_t)lane,
                       .kind = (uint8_t)kind,
                       .name = name,
                       .bytes = bytes};
    event.end = event.start + (int64_t)ceil(seconds * 1e12);
    c->lane_free[lane] = event.end;
    c->lane_after[lane] = c->n_events++;
    keep(c, &event);
}

void sim_clock_join(sim_clock *c, int lane) {
    if (c->lane_free[lane] <= c->host) return;
    c->host = c->lane_free[lane];
    c->host_after = c->lane_after[lane];
}

double sim_clock_seconds(const sim_clock *c) {
    return 1e-12 * (double)c->host;
}

int64_t sim_clock_path(const sim_clock *c, void (*each)(void *ctx, const sim_event *event), void *ctx) {
    int64_t sum = 0;
    for (int64_t i = c->host_after; i >= 0 && i < c->n_recorded; i = c->events[i].after) {
        sum += c->events[i].end - c->events[i].start;
        each(ctx, &c->events[i]);
    }
    return sum;
}
