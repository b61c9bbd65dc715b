/* The timeline of a planned step, in the trace-event form that chrome://tracing and ui.perfetto.dev read: the form of
 * sim/device/timeline.c, with a process for each stage. Ops wait for one another, so all that is shown is on the critical path. */
#include "host/base/file.h"
#include "host/cli/plot.h"

enum { KERNELS = 1, HOST = 2 };

typedef struct writer {
    FILE *f;
    int32_t stage; /* whose names are written; -1: none */
    double total;
    double by[FA_LIMIT_COUNT];
} writer;

static void name_stage(writer *w, int32_t stage) {
    for (; w->stage < stage; w->stage++) {
        int32_t pid = w->stage + 2;
        fprintf(w->f, "%s{\"ph\":\"M\",\"pid\":%d,\"name\":\"process_name\",\"args\":{\"name\":\"stage %d\"}}",
                w->stage < 0 ? "" : ",\n", pid, pid - 1);
        fprintf(w->f, ",\n{\"ph\":\"M\",\"pid\":%d,\"tid\":1,\"name\":\"thread_name\",\"args\":{\"name\":\"kernels\"}}",
                pid);
        fprintf(
            w->f,
            ",\n{\"ph\":\"M\",\"pid\":%d,\"tid\":2,\"name\":\"thread_name\",\"args\":{\"name\":\"host and links\"}}",
            pid);
    }
}

static void write_part(writer *w, const fa_plan_event *event, int thread, double start, double seconds) {
    if (seconds <= 0) return;
    fprintf(w->f,
            ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%d,\"cat\":\"%s\",\"name\":\"%s\",\"ts\":%.6f,\"dur\":%.6f,"
            "\"args\":{\"layer\":%d,\"waits for\":\"%s\",\"bytes\":%.0f,\"critical\":true}}",
            event->stage + 1, thread, thread == KERNELS ? "kernel" : "transfer", event->name, 1e6 * start,
            1e6 * seconds, event->layer, fa_limit_name(event->limit),
            event->spent->weight_bytes + event->spent->io_bytes + event->spent->link_bytes);
}

static void write_event(void *ctx, const fa_plan_event *event) {
    writer *w = ctx;
    const double *by = event->spent->by;
    double host = by[FA_LIMIT_LINK] + by[FA_LIMIT_NETWORK] + by[FA_LIMIT_HOST] + by[FA_LIMIT_FETCH];
    name_stage(w, event->stage);
    write_part(w, event, HOST, event->start, host);
    write_part(w, event, KERNELS, event->start + host, event->seconds - host);
    w->total += event->seconds;
    for (int i = 0; i < FA_LIMIT_COUNT; i++) w->by[i] += by[i];
}

fa_status cli_timeline_plan(const char *path, const cli_plan_options *o, const fa_plan *plan, fa_error *e) {
    fa_new_file file = {0};
    fa_status s = fa_new_file_open(&file, path, e);
    if (s) return s;
    writer w = {.f = file.stream, .stage = -1};
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", w.f);
    fa_plan_walk(&o->request, plan, write_event, &w);
    fprintf(w.f, "\n],\"otherData\":{\"board\":\"%s\",\"clock_hz\":%.0f,\"total_ps\":%.0f", o->board.title,
            o->board.build.clock_hz, 1e12 * w.total);
    for (int i = 0; i < FA_LIMIT_COUNT; i++)
        fprintf(w.f, ",\n\"%s, ps\":%.0f", fa_limit_name((fa_limit)i), 1e12 * w.by[i]);
    fputs("}}\n", w.f);
    s = fa_new_file_commit(&file, e);
    fa_new_file_abandon(&file);
    return s;
}
