/* Ops that `cpu` does on the device's buffers: they are mapped, which costs nothing where the memory is the host's. */
#include "host/backend/opencl/internal.h"

enum { MOST_REGIONS = 8 };

/* The weights of a set that one launch reads. */
typedef struct seen {
    int n, windows[FCL_WINDOWS];
    bool host; /* one is not on the device, or there are too many windows */
} seen;

static void see_window(seen *s, int window) {
    for (int i = 0; i < s->n; i++)
        if (s->windows[i] == window) return;
    if (s->n == FCL_WINDOWS)
        s->host = true;
    else
        s->windows[s->n++] = window;
}

static void see(seen *s, const fa_weight *w) {
    const ocl_weight *record = w ? ocl_weight_of(w) : NULL;
    if (!w) return;
    if (!record) {
        s->host = true;
        return;
    }
    see_window(s, record->view.window);
    if (record->view.kind == FCL_E4M3) see_window(s, record->view.scale_window);
}

/* Of the experts that it visits the device holds one or more, and those lie in few enough windows. */
static bool experts_need_host(const fa_experts *x) {
    seen in = {0}, down = {0};
    bool one = false;
    int64_t routes = x->ids ? x->rows * x->top_k : 1;
    for (int64_t i = 0; i < routes; i++) {
        int32_t id = x->ids ? x->ids[i] : 0;
        if (id < 0 || id >= x->n_experts) continue; /* behind the end of a row's list anything may stand */
        if (!ocl_holds(&x->experts[id])) continue;
        one = true;
        see(&in, &x->experts[id].gate);
        see(&in, &x->experts[id].up);
        see(&down, &x->experts[id].down);
    }
    return !one || in.host || down.host;
}

bool ocl_needs_host(const fa_op *op) {
    seen s = {0}, v = {0};
    switch (op->kind) {
    case FA_OP_MATMUL:
        for (int i = 0; i < op->matmul.n_parts; i++) {
            see(&s, op->matmul.part[i].w);
            see(&s, op->matmul.part[i].bias);
        }
        break;
    case FA_OP_EXPERTS: return experts_need_host(&op->experts);
    case FA_OP_MLA:
        see(&s, op->mla.k_up);
        see(&v, op->mla.v_up);
        break;
    case FA_OP_RMSNORM: see(&s, op->rmsnorm.weight); break;
    default: break;
    }
    return s.host || v.host;
}

/* A buffer that the op uses, mapped whole. */
typedef struct mapped {
    ocl_buffer *buffer[MOST_REGIONS];
    void *at[MOST_REGIONS];
    int n;
} mapped;

static void add(mapped *m, fa_buffer *b) {
    for (int i = 0; i < m->n; i++)
        if (&m->buffer[i]->base == b) return;
    m->buffer[m->n++] = (ocl_buffer *)b;
}

static void list_buffers(mapped *m, const fa_op *op) {
    switch (op->kind) {
    case FA_OP_MATMUL:
        add(m, op->matmul.x.buffer);
        for (int i = 0; i < op->matmul.n_parts; i++) add(m, op->matmul.part[i].y.buffer);
        break;
    case FA_OP_EXPERTS:
        add(m, op->experts.x.buffer);
        add(m, op->experts.y.buffer);
        break;
    case FA_OP_MLA:
        add(m, op->mla.q.buffer);
        add(m, op->mla.kv.pool);
        add(m, op->mla.y.buffer);
        break;
    case FA_OP_RMSNORM:
        add(m, op->rmsnorm.x.buffer);
        add(m, op->rmsnorm.y.buffer);
        break;
    default: break;
    }
}

static cl_int map_all(fa_opencl *o, mapped *m) {
    cl_int code = CL_SUCCESS;
    for (int i = 0; i < m->n && !code; i++) {
        ocl_buffer *b = m->buffer[i];
        m->at[i] = clEnqueueMapBuffer(o->queue, b->mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, b->base.bytes, 0, NULL,
                                      NULL, &code);
        b->base.host = m->at[i];
    }
    return code;
}

static cl_int unmap_all(fa_opencl *o, mapped *m) {
    cl_int first = CL_SUCCESS;
    for (int i = 0; i < m->n; i++) {
        m->buffer[i]->base.host = NULL;
        if (!m->at[i]) continue;
        cl_int code = clEnqueueUnmapMemObject(o->queue, m->buffer[i]->mem, m->at[i], 0, NULL, NULL);
        if (!first) first = code;
    }
    cl_int code = clFinish(o->queue);
    return first ? first : code;
}

fa_status ocl_host_op(fa_opencl *o, const fa_op *op, fa_error *e) {
    mapped m = {0};
    fa_ticket ticket;
    if (!o->host_reserved) {
        fa_status s = o->host->reserve(o->host, &o->limits, e);
        if (s) return s;
        o->host_reserved = true;
    }
    fa_status s = ocl_send(o, e);
    if (!s) s = ocl_drain(o, e);
    if (s) return s;
    list_buffers(&m, op);
    cl_int code = map_all(o, &m);
    if (!code) s = o->host->submit(o->host, op, 1, &ticket, e);
    cl_int after = unmap_all(o, &m);
    if (s || !(code || after)) return s;
    return ocl_give_up(o, code ? "clEnqueueMapBuffer" : "clEnqueueUnmapMemObject", code ? code : after, e);
}
