/* Launches: prepared with their parameters, sent together, ordered by the buffers they share alone. */
#include <stdio.h>
#include <string.h>

#include "host/backend/opencl/internal.h"

static const bool has_windows[OCL_KERNELS] = {
    [OCL_MATMUL_CODES] = true, [OCL_MATMUL] = true,     [OCL_GATE_UP_CODES] = true,
    [OCL_GATE_UP] = true,      [OCL_DOWN_CODES] = true, [OCL_DOWN] = true,
    [OCL_ABSORB] = true,       [OCL_PROJECT] = true,    [OCL_RMSNORM] = true,
};

/* Forgets all that is in flight; what is done is done. */
static void forget(fa_opencl *o) {
    for (int i = 0; i < o->n_events; i++) clReleaseEvent(o->events[i]);
    o->n_events = o->n_launches = o->n_places = 0;
    o->params_used = o->params_sent = 0;
    o->round++;
}

fa_status ocl_lose(fa_opencl *o, fa_status why, const fa_error *e) {
    if (why != FA_EDEVICE || o->lost) return why;
    o->lost = true;
    snprintf(o->why, sizeof o->why, "%.250s", e ? e->text : "opencl: the device failed");
    clFinish(o->queue); /* what still runs must not write under the host's hands */
    forget(o);
    return why;
}

fa_status ocl_check_lost(const fa_opencl *o, fa_error *e) {
    return o->lost && !o->on_host ? fa_fail(e, FA_EDEVICE, "%s", o->why) : FA_OK;
}

fa_status ocl_recover(fa_backend *b, bool *memory_lost, fa_error *e) {
    fa_opencl *o = (fa_opencl *)b;
    *memory_lost = o->lost && !o->on_host;
    if (!*memory_lost) return FA_OK;
    if (o->reserved && !o->host_reserved) {
        fa_status s = o->host->reserve(o->host, &o->limits, e);
        if (s) return s;
        o->host_reserved = true;
    }
    for (ocl_buffer *buffer = o->buffers; buffer; buffer = buffer->next) {
        memset(buffer->memory.data, 0, buffer->memory.bytes);
        buffer->base.host = buffer->memory.data;
    }
    o->on_host = true;
    o->base.lost = o->why;
    snprintf(o->base.detail, sizeof o->base.detail, "%.40s was lost; cpu, %.30s", o->device.name, o->host->detail);
    return FA_OK;
}

/* Code of the first command that failed of itself. */
static cl_int failed_command(const fa_opencl *o, cl_int otherwise) {
    for (int i = 0; i < o->n_events; i++) {
        cl_int status = CL_COMPLETE;
        clGetEventInfo(o->events[i], CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
        if (status < 0 && status != CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST) return status;
    }
    return otherwise;
}

fa_status ocl_give_up(fa_opencl *o, const char *call, cl_int code, fa_error *e) {
    fa_error why;
    fa_fail(&why, FA_EDEVICE, "opencl: %s is lost: %s: %s (%d)", o->device.name, call, ocl_code_name(code), code);
    if (e) *e = why;
    return ocl_lose(o, FA_EDEVICE, &why);
}

fa_status ocl_drain(fa_opencl *o, fa_error *e) {
    cl_int code = o->n_events ? clWaitForEvents((cl_uint)o->n_events, o->events) : CL_SUCCESS;
    if (code) return ocl_give_up(o, "clWaitForEvents", failed_command(o, code), e);
    ocl_record_events(o);
    forget(o);
    return FA_OK;
}

fa_status ocl_room(fa_opencl *o, size_t bytes, fa_error *e) {
    bytes += 4096; /* alignment of what it is made of */
    if (bytes > o->params_host.bytes)
        return fa_fail(e, FA_ELIMIT, "opencl: a step needs %zu bytes of parameters, %zu are reserved", bytes,
                       o->params_host.bytes);
    bool full = o->params_used + bytes > o->params_host.bytes;
    if (!full && o->n_launches + OCL_LAUNCHES_OF_OP <= OCL_LAUNCHES) return FA_OK;
    fa_status s = ocl_send(o, e);
    return s || !full ? s : ocl_drain(o, e);
}

void *ocl_put(fa_opencl *o, size_t bytes, int64_t *offset) {
    *offset = (int64_t)o->params_used;
    o->params_used += (bytes + 15) / 16 * 16;
    return (char *)o->params_host.data + *offset;
}

ocl_launch *ocl_launch_new(fa_opencl *o, ocl_kernel kernel, int64_t at) {
    ocl_launch *l = &o->launches[o->n_launches++];
    *l = (ocl_launch){.kernel = kernel, .global = {1, 1, 1}, .at = at};
    return l;
}

void ocl_arg(ocl_launch *l, ocl_buffer *buffer, bool writes) {
    l->buffers[l->n_buffers] = buffer;
    l->writes[l->n_buffers++] = writes;
}

static int window_number(ocl_launch *l, int window) {
    for (int i = 0; i < l->n_windows; i++)
        if (l->windows[i] == window) return i;
    l->windows[l->n_windows] = window;
    return l->n_windows++;
}

fcl_weight ocl_arg_weight(ocl_launch *l, const fa_weight *w) {
    fcl_weight view = ocl_weight_of(w)->view;
    view.scale_window = window_number(l, view.kind == FCL_E4M3 ? view.scale_window : view.window);
    view.window = window_number(l, view.window);
    return view;
}

/* Events that a launch waits for: the parameters' arrival, the last to write what it uses, and those that read what it writes. */
static cl_uint wait_list(const fa_opencl *o, const ocl_launch *l, cl_event *list) {
    cl_uint n = 0;
    if (o->params->round == o->round) list[n++] = o->events[o->params->writer];
    for (int i = 0; i < l->n_buffers; i++) {
        const ocl_buffer *b = l->buffers[i];
        if (b->round != o->round) continue;
        if (b->writer >= 0) list[n++] = o->events[b->writer];
        for (int r = 0; l->writes[i] && r < b->n_readers; r++) list[n++] = o->events[b->readers[r]];
    }
    return n;
}

/* Event number `event` used the launch's buffers. */
static void note_use(fa_opencl *o, const ocl_launch *l, int event) {
    for (int i = 0; i < l->n_buffers; i++) {
        ocl_buffer *b = l->buffers[i];
        if (b->round != o->round) {
            b->round = o->round;
            b->writer = -1;
            b->n_readers = 0;
        }
        if (l->writes[i] || b->n_readers == OCL_READERS) {
            b->writer = event; /* a reader too many counts as a writer, so that everything after it waits */
            b->n_readers = 0;
        } else if (b->writer != event) {
            b->readers[b->n_readers++] = event;
        }
    }
}

static cl_int set_args(const fa_opencl *o, const ocl_launch *l) {
    cl_kernel k = o->kernels[l->kernel];
    cl_uint n = 0;
    cl_long at = l->at;
    cl_int code = clSetKernelArg(k, n++, sizeof(cl_mem), &o->params->mem);
    if (!code) code = clSetKernelArg(k, n++, sizeof at, &at);
    for (int i = 0; has_windows[l->kernel] && i < FCL_WINDOWS && !code; i++) {
        const cl_mem *mem = i < l->n_windows ? &o->windows[l->windows[i]].mem
                            : l->n_windows   ? &o->windows[l->windows[0]].mem
                                             : &o->params->mem;
        code = clSetKernelArg(k, n++, sizeof *mem, mem);
    }
    for (int i = 0; i < l->n_buffers && !code; i++) code = clSetKernelArg(k, n++, sizeof(cl_mem), &l->buffers[i]->mem);
    return code;
}

static cl_int enqueue(fa_opencl *o, const ocl_launch *l, const char **call) {
    size_t local[3] = {1, 1, 1}, global[3] = {l->global[0], l->global[1], l->global[2]};
    if (ocl_in_groups(o, l->kernel)) {
        local[0] = FCL_GROUP;
        global[0] *= FCL_GROUP;
    }
    cl_event list[OCL_ARGS * (OCL_READERS + 1) + 1];
    *call = "clSetKernelArg";
    cl_int code = set_args(o, l);
    if (code) return code;
    cl_uint n = wait_list(o, l, list);
    *call = "clEnqueueNDRangeKernel";
    code = clEnqueueNDRangeKernel(o->queue, o->kernels[l->kernel], 3, NULL, global, local, n, n ? list : NULL,
                                  &o->events[o->n_events]);
    if (code) return code;
    o->event_kernel[o->n_events] = (uint8_t)l->kernel;
    note_use(o, l, o->n_events++);
    return CL_SUCCESS;
}

/* Sends the parameters that are new. */
static cl_int send_params(fa_opencl *o) {
    const char *from = (const char *)o->params_host.data + o->params_sent;
    if (o->params_used == o->params_sent) return CL_SUCCESS;
    cl_int code = clEnqueueWriteBuffer(o->queue, o->params->mem, CL_FALSE, o->params_sent,
                                       o->params_used - o->params_sent, from, 0, NULL, &o->events[o->n_events]);
    if (code) return code;
    o->params_sent = o->params_used;
    o->event_kernel[o->n_events] = OCL_KERNELS;
    o->params->round = o->round;
    o->params->n_readers = 0;
    o->params->writer = o->n_events++;
    return CL_SUCCESS;
}

/* Waits for what is in flight; what was prepared stays. */
static cl_int make_way(fa_opencl *o) {
    cl_int code = clWaitForEvents((cl_uint)o->n_events, o->events);
    if (code) return failed_command(o, code);
    ocl_record_events(o);
    for (int i = 0; i < o->n_events; i++) clReleaseEvent(o->events[i]);
    o->n_events = 0;
    o->round++;
    return CL_SUCCESS;
}

fa_status ocl_send(fa_opencl *o, fa_error *e) {
    if (!o->n_launches) return FA_OK;
    cl_int code = CL_SUCCESS;
    const char *call = "clWaitForEvents";
    if (o->n_events + o->n_launches + 1 > OCL_IN_FLIGHT) code = make_way(o);
    if (!code) {
        call = "clEnqueueWriteBuffer";
        code = send_params(o);
    }
    for (int i = 0; i < o->n_launches && !code; i++) code = enqueue(o, &o->launches[i], &call);
    if (!code) {
        call = "clFlush";
        code = clFlush(o->queue);
    }
    o->n_launches = 0;
    return code ? ocl_give_up(o, call, code, e) : FA_OK;
}
