/* What the device did, by its own clock, as a Chrome trace-event file ("Trace Event Format", JSON object form, complete events in
 * microseconds): the same form as the simulator's. One lane for commands that copy, one for kernels. */
#include <stdio.h>
#include <stdlib.h>

#include "host/backend/opencl/internal.h"
#include "host/base/file.h"

enum { LANE_COPIES = 0, LANE_KERNELS };

/* Room for `n` events more; without memory the record stops. */
static bool grow(fa_opencl *o, int64_t n) {
    if (o->n_recorded + n <= o->record_room) return true;
    int64_t room = 2 * (o->n_recorded + n) + 4096;
    ocl_record *grown = realloc(o->record, (size_t)room * sizeof *grown);
    if (!grown) return false;
    o->record = grown;
    o->record_room = room;
    return true;
}

void ocl_record_events(fa_opencl *o) {
    if (!o->timeline || !grow(o, o->n_events)) return;
    for (int i = 0; i < o->n_events; i++) {
        ocl_record r = {.kernel = o->event_kernel[i]};
        const cl_profiling_info what[] = {CL_PROFILING_COMMAND_QUEUED, CL_PROFILING_COMMAND_START,
                                          CL_PROFILING_COMMAND_END};
        cl_ulong *to[] = {&r.queued, &r.start, &r.end};
        cl_int code = CL_SUCCESS;
        for (int k = 0; k < 3 && !code; k++)
            code = clGetEventProfilingInfo(o->events[i], what[k], sizeof *to[k], to[k], NULL);
        if (!code) o->record[o->n_recorded++] = r;
    }
}

/* Device names hold no control characters, but what a driver writes is not ours to trust. */
static void write_text(const char *text, FILE *f) {
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', f);
        if ((unsigned char)*text >= ' ') fputc(*text, f);
    }
}

static void write_lanes(const fa_opencl *o, FILE *f) {
    static const char *const lanes[] = {[LANE_COPIES] = "host to device", [LANE_KERNELS] = "kernels"};
    fputs("{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"", f);
    write_text(o->device.name, f);
    fputs("\"}}", f);
    for (int i = 0; i <= LANE_KERNELS; i++)
        fprintf(f, ",\n{\"ph\":\"M\",\"pid\":1,\"tid\":%d,\"name\":\"thread_name\",\"args\":{\"name\":\"%s\"}}", i,
                lanes[i]);
}

fa_status ocl_timeline(fa_backend *b, const char *path, fa_error *e) {
    fa_opencl *o = (fa_opencl *)b;
    if (!o->timeline) return fa_fail(e, FA_EINVAL, "timeline: the events of this run were not kept");
    fa_new_file f = {0};
    fa_status s = fa_new_file_open(&f, path, e);
    if (s) return s;
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", f.stream);
    write_lanes(o, f.stream);
    cl_ulong zero = o->n_recorded ? o->record[0].queued : 0;
    for (int64_t i = 0; i < o->n_recorded; i++) {
        const ocl_record *r = &o->record[i];
        bool copy = r->kernel == OCL_KERNELS;
        fprintf(f.stream,
                ",\n{\"ph\":\"X\",\"pid\":1,\"tid\":%d,\"cat\":\"%s\",\"name\":\"%s\",\"ts\":%.3f,\"dur\":%.3f,"
                "\"args\":{\"waited_us\":%.3f}}",
                copy ? LANE_COPIES : LANE_KERNELS, copy ? "transfer" : "kernel",
                copy ? "parameters" : ocl_kernel_name((ocl_kernel)r->kernel), 1e-3 * (double)(r->start - zero),
                1e-3 * (double)(r->end - r->start), 1e-3 * (double)(r->start - r->queued));
    }
    fputs("\n]}\n", f.stream);
    s = fa_new_file_commit(&f, e);
    fa_new_file_abandon(&f);
    return s;
}
