#include "host/backend/opencl/opencl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/cpu/cpu.h"
#include "host/backend/opencl/internal.h"

static fa_status prepare(fa_opencl *o, const fa_op *op, fa_error *e) {
    switch (op->kind) {
    case FA_OP_MATMUL: return op->matmul.rows ? ocl_matmul(o, &op->matmul, e) : FA_OK;
    case FA_OP_EXPERTS: return op->experts.rows ? ocl_experts(o, &op->experts, e) : FA_OK;
    case FA_OP_MLA: return op->mla.rows ? ocl_mla(o, &op->mla, e) : FA_OK;
    case FA_OP_GQA: return op->gqa.rows ? ocl_gqa(o, &op->gqa, e) : FA_OK;
    case FA_OP_RMSNORM: return op->rmsnorm.rows ? ocl_rmsnorm(o, &op->rmsnorm, e) : FA_OK;
    case FA_OP_ROPE: return op->rope.rows ? ocl_rope(o, &op->rope, e) : FA_OK;
    case FA_OP_ADD: return op->add.rows ? ocl_add(o, &op->add, e) : FA_OK;
    case FA_OP_STORE: return op->store.rows ? ocl_store(o, &op->store, e) : FA_OK;
    default: return FA_OK; /* fa_op_check refused it */
    }
}

/* All ops are checked before the first runs, so that a refused submission leaves no half-done work. */
static fa_status submit(fa_backend *b, const fa_op *ops, int n, fa_ticket *ticket, fa_error *e) {
    fa_opencl *o = (fa_opencl *)b;
    fa_status s = ocl_check_lost(o, e);
    if (!s) s = ocl_settle(b, NULL, e);
    if (!s && !o->on_host) s = ocl_close_windows(o, e);
    if (s) return s;
    if (o->on_host) return o->host->submit(o->host, ops, n, ticket, e);
    for (int i = 0; i < n && !s; i++) {
        s = fa_op_check(&ops[i], e);
        if (!s) s = fa_limits_check(&ops[i], &o->limits, e);
    }
    for (int i = 0; i < n && !s; i++) s = ocl_needs_host(&ops[i]) ? ocl_host_op(o, &ops[i], e) : prepare(o, &ops[i], e);
    if (!s) s = ocl_send(o, e);
    *ticket = (fa_ticket){o->round};
    return s;
}

static fa_status wait_done(fa_backend *b, fa_ticket ticket, fa_error *e) {
    fa_opencl *o = (fa_opencl *)b;
    fa_status s = ocl_check_lost(o, e);
    if (s || o->on_host || ticket.number < o->round) return s; /* nothing of that submission is in flight */
    return ocl_drain(o, e);
}

static size_t held_bytes(const fa_backend *b) {
    const fa_opencl *o = (const fa_opencl *)b;
    return o->bytes + o->params_host.bytes + o->host->bytes(o->host);
}

static void close_opencl(fa_backend *b) {
    fa_opencl *o = (fa_opencl *)b;
    if (o->queue) clFinish(o->queue);
    for (int i = 0; i < o->n_events; i++) clReleaseEvent(o->events[i]);
    ocl_release_cold(o);
    while (o->buffers) ocl_buffer_free(o, o->buffers);
    fa_memory_free(&o->params_host);
    fa_arena_free(&o->arena);
    ocl_release_weights(o);
    if (o->queue) clFinish(o->queue);
    ocl_release_programs(o);
    free(o->record);
    if (o->queue) clReleaseCommandQueue(o->queue);
    if (o->context) clReleaseContext(o->context);
    if (o->host) o->host->close(o->host);
    free(o);
}

static fa_status open_queue(fa_opencl *o, fa_error *e) {
    cl_int code;
    cl_device_id id = o->device.device_id;
    cl_command_queue_properties offered = 0;
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)o->device.platform_id, 0};
    o->context = clCreateContext(properties, 1, &id, NULL, NULL, &code);
    if (!o->context) return ocl_fail(&o->device, "clCreateContext", code, e);
    clGetDeviceInfo(id, CL_DEVICE_QUEUE_PROPERTIES, sizeof offered, &offered, NULL);
    cl_command_queue_properties wanted =
        CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE | (o->timeline ? CL_QUEUE_PROFILING_ENABLE : 0);
    o->queue = clCreateCommandQueue(o->context, id, offered & wanted, &code);
    return o->queue ? FA_OK : ocl_fail(&o->device, "clCreateCommandQueue", code, e);
}

fa_status fa_opencl_open(fa_backend **out, const fa_backend_options *options, fa_error *e) {
    *out = NULL;
    fa_opencl *o = calloc(1, sizeof *o);
    if (!o) return fa_fail(e, FA_ENOMEM, "opencl: cannot allocate the backend");
    o->node = options->node;
    o->timeline = options->timeline;
    o->round = 1;
    o->last_weight = &o->weights;
    o->base = (fa_backend){.name = "opencl",
                           .reserve = ocl_reserve,
                           .weight = ocl_take_weight,
                           .settle = ocl_settle,
                           .alloc = ocl_alloc,
                           .free = ocl_free,
                           .write = ocl_write,
                           .read = ocl_read,
                           .submit = submit,
                           .wait = wait_done,
                           .recover = ocl_recover,
                           .timeline = ocl_timeline,
                           .bytes = held_bytes,
                           .close = close_opencl};
    fa_status s = ocl_choose(&o->device, options->name, e);
    if (!s) s = fa_cpu_open(&o->host, options, e);
    if (!s) s = open_queue(o, e);
    if (!s) s = ocl_build(o, e);
    if (s) {
        close_opencl(&o->base);
        return s;
    }
    snprintf(o->base.detail, sizeof o->base.detail, "%.60s, %u units", o->device.name, o->device.units);
    *out = &o->base;
    return FA_OK;
}
