/* Experts that only the host holds. In an op that visits such and others, `cpu` computes the outputs of the one while the device computes
 * those of the other; the kernel of the down projection then adds both in the order of the routes, so that the bits are the same. */
#include <string.h>

#include "host/backend/opencl/internal.h"

bool ocl_holds(const fa_expert *x) {
    return ocl_weight_of(&x->gate) && ocl_weight_of(&x->up) && ocl_weight_of(&x->down);
}

void ocl_release_cold(fa_opencl *o) {
    ocl_buffer_free(o, o->given);
    if (o->cold_in) o->host->free(o->host, o->cold_in);
    if (o->cold_out) o->host->free(o->host, o->cold_out);
    o->given = NULL;
    o->cold_in = o->cold_out = NULL;
}

fa_status ocl_reserve_cold(fa_opencl *o, fa_error *e) {
    if (!o->cold_width || !o->reserved || o->given) return FA_OK;
    const fa_limits *l = &o->limits;
    size_t rows = (size_t)l->max_rows * (size_t)o->cold_width * sizeof(float);
    fa_status s = ocl_buffer_new(o, rows * (size_t)(l->max_top_k > 1 ? l->max_top_k : 1), &o->given, e);
    if (!s) s = o->host->alloc(o->host, rows, &o->cold_in, e);
    if (!s) s = o->host->alloc(o->host, rows, &o->cold_out, e);
    return s;
}

/* The rows that visit the expert, one behind the other. */
static fa_status gather(fa_opencl *o, const fa_experts *op, const fcl_route *routes, int64_t n, fa_error *e) {
    cl_int code;
    ocl_buffer *x = ocl_of(op->x);
    char *from = clEnqueueMapBuffer(o->queue, x->mem, CL_TRUE, CL_MAP_READ, 0, x->base.bytes, 0, NULL, NULL, &code);
    if (code) return ocl_give_up(o, "clEnqueueMapBuffer", code, e);
    float *to = o->cold_in->host;
    for (int64_t i = 0; i < n; i++)
        memcpy(to + i * op->hidden, from + op->x.offset + (size_t)(routes[i].row * op->ldx) * sizeof *to,
               (size_t)op->hidden * sizeof *to);
    cl_event done = NULL;
    code = clEnqueueUnmapMemObject(o->queue, x->mem, from, 0, NULL, &done);
    if (!code) code = clWaitForEvents(1, &done);
    if (done) clReleaseEvent(done);
    return code ? ocl_give_up(o, "clEnqueueUnmapMemObject", code, e) : FA_OK;
}

fa_status ocl_compute_cold(fa_opencl *o, const fa_experts *op, const fa_expert *x, const fcl_route *routes,
                           int32_t first, int32_t last, fa_error *e) {
    int64_t n = last - first;
    size_t row = (size_t)op->hidden * sizeof(float);
    fa_op one = {.kind = FA_OP_EXPERTS,
                 .experts = {.numerics = op->numerics,
                             .rows = n,
                             .hidden = op->hidden,
                             .inner = op->inner,
                             .x = {o->cold_in, 0},
                             .ldx = op->hidden,
                             .y = {o->cold_out, 0},
                             .ldy = op->hidden,
                             .n_experts = 1,
                             .experts = x}};
    fa_ticket ticket;
    fa_status s = gather(o, op, routes + first, n, e);
    if (!s) s = o->host->submit(o->host, &one, 1, &ticket, e);
    if (!s) s = o->host->wait(o->host, ticket, e);
    if (s) return s;
    cl_int code = clEnqueueWriteBuffer(o->queue, o->given->mem, CL_TRUE, (size_t)first * row, (size_t)n * row,
                                       o->cold_out->host, 0, NULL, NULL);
    return code ? ocl_give_up(o, "clEnqueueWriteBuffer", code, e) : FA_OK;
}
