/* The Chrome trace-event file of a run: format at https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 * ("Trace Event Format", JSON object form, complete events). One process is the board, one thread each lane; times are microseconds.
 * Events on the critical path say so. */
#include <stdlib.h>

#include "host/base/file.h"
#include "sim/device/device.h"

static const char *const kinds[] = {[SIM_EVENT_TRANSFER] = "transfer",
                                    [SIM_EVENT_LAUNCH] = "launch",
                                    [SIM_EVENT_KERNEL] = "kernel",
                                    [SIM_EVENT_FAULT] = "fault"};

/* The critical path as a set of events, and its length by kind. */
typedef struct path {
    const sim_event *first; /* of the record */
    bool *critical;         /* [n_recorded] */
    int64_t ps[SIM_EVENT_FAULT + 1];
} path;

static void mark(void *ctx, const sim_event *event) {
    path *p = ctx;
    p->critical[event - p->first] = true;
    p->ps[event->kind] += event->end - event->start;
}

/* A JSON text; titles come from files. */
static void write_text(const char *text, FILE *f) {
    fputc('"', f);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', f);
        if ((unsigned char)*text >= ' ') fputc(*text, f);
    }
    fputc('"', f);
}

static void write_lanes(const sim_device *s, FILE *f) {
    fputs("{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":", f);
    write_text(s->board.title, f);
    fputs("}}", f);
    for (int lane = 0; lane < SIM_LANE_UNITS + s->board.build.units; lane++) {
        fprintf(f, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_name\",\"args\":{\"name\":\"", lane);
        if (lane < SIM_LANE_UNITS)
            fprintf(f, "link, %s", lane == SIM_LANE_TO_CARD ? "host to card" : "card to host");
        else
            fprintf(f, "unit %d", lane - SIM_LANE_UNITS);
        fputs("\"}}", f);
    }
}

static void write_event(const sim_event *e, bool critical, FILE *f) {
    fprintf(f,
            ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"cat\":\"%s\",\"name\":\"%s\",\"ts\":%.6f,\"dur\":%.6f,"
            "\"args\":{\"bytes\":%.0f,\"critical\":%s}}",
            e->lane, kinds[e->kind], e->name, 1e-6 * (double)e->start, 1e-6 * (double)(e->end - e->start), e->bytes,
            critical ? "true" : "false");
}

static void write_trace(const sim_device *s, const path *p, int64_t sum_ps, FILE *f) {
    const sim_clock *c = &s->clock;
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", f);
    write_lanes(s, f);
    for (int64_t i = 0; i < c->n_recorded; i++) write_event(&c->events[i], p->critical[i], f);
    fputs("\n],\"otherData\":{\"board\":", f);
    write_text(s->board.title, f);
    fprintf(f, ",\"clock_hz\":%.0f,\"total_ps\":%lld,\"critical_path_ps\":%lld", s->board.build.clock_hz,
            (long long)c->host, (long long)sum_ps);
    for (int k = 0; k <= SIM_EVENT_FAULT; k++) fprintf(f, ",\"critical_%s_ps\":%lld", kinds[k], (long long)p->ps[k]);
    fputs("}}\n", f);
}

fa_status sim_timeline(fa_device *d, const char *file, fa_error *e) {
    sim_device *s = (sim_device *)d;
    if (!s->clock.record) return fa_fail(e, FA_EINVAL, "timeline: the events of this run were not kept");
    path p = {.first = s->clock.events, .critical = calloc((size_t)s->clock.n_recorded + 1, sizeof(bool))};
    if (!p.critical) return fa_fail(e, FA_ENOMEM, "%s: no memory for the timeline", file);
    int64_t sum_ps = sim_clock_path(&s->clock, mark, &p);
    fa_new_file f = {0};
    fa_status st = fa_new_file_open(&f, file, e);
    if (!st) {
        write_trace(s, &p, sum_ps, f.stream);
        st = fa_new_file_commit(&f, e);
    }
    fa_new_file_abandon(&f);
    free(p.critical);
    return st;
}
