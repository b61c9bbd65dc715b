/* matmul and experts as launches. */
#include <string.h>

#include "host/backend/opencl/internal.h"

/* x [rows, n] quantised into values and scales. */
static void launch_quantise(fa_opencl *o, ocl_buffer *x, int64_t offset, int64_t ldx, int64_t rows, int64_t n,
                            ocl_buffer *values, ocl_buffer *scales, int64_t ldv, int64_t lds) {
    int64_t at;
    fcl_quantise *q = ocl_put(o, sizeof *q, &at);
    *q = (fcl_quantise){.x = offset, .ldx = ldx, .ldv = ldv, .lds = lds, .rows = (fcl_i32)rows, .n = (fcl_i32)n};
    ocl_launch *l = ocl_launch_new(o, OCL_QUANTISE, at);
    l->global[0] = (size_t)ocl_ceil_div(n, FA_BLOCK);
    l->global[1] = (size_t)rows;
    ocl_arg(l, x, false);
    ocl_arg(l, values, true);
    ocl_arg(l, scales, true);
}

/* One launch over those parts that multiply codes, or over the others. */
static void launch_parts(fa_opencl *o, const fa_matmul *m, bool codes) {
    int64_t at, tiles = 0;
    ocl_buffer *outs[FCL_PARTS];
    fcl_matmul *p = ocl_put(o, sizeof *p, &at);
    *p = (fcl_matmul){.x = ocl_at(m->x), .ldx = m->ldx, .ldv = o->ldv, .lds = o->lds, .rows = (fcl_i32)m->rows};
    ocl_launch *l = ocl_launch_new(o, codes ? OCL_MATMUL_CODES : OCL_MATMUL, at);
    for (int i = 0; i < m->n_parts; i++) {
        const struct fa_matmul_part *part = &m->part[i];
        if (ocl_takes_codes(m->numerics, part->w) != codes) continue;
        fcl_part *out = &p->part[p->n_parts];
        outs[p->n_parts++] = ocl_of(part->y);
        *out = (fcl_part){.y = ocl_at(part->y), .ldy = part->ldy};
        out->w = ocl_arg_weight(l, part->w);
        if (part->bias) out->bias = ocl_arg_weight(l, part->bias);
        out->w.codes = codes;
        tiles += ocl_ceil_div(part->w->rows, FCL_TILE);
    }
    l->global[0] = (size_t)ocl_ceil_div(m->rows, FCL_ROWS);
    l->global[1] = (size_t)tiles;
    ocl_arg(l, ocl_of(m->x), false);
    ocl_arg(l, o->values, false);
    ocl_arg(l, o->scales, false);
    for (int i = 0; i < FCL_PARTS; i++) ocl_arg(l, outs[i < p->n_parts ? i : 0], true);
}

fa_status ocl_matmul(fa_opencl *o, const fa_matmul *m, fa_error *e) {
    int n_codes = 0;
    for (int i = 0; i < m->n_parts; i++) n_codes += ocl_takes_codes(m->numerics, m->part[i].w);
    fa_status s = ocl_room(o, 2 * sizeof(fcl_matmul) + sizeof(fcl_quantise), e);
    if (s) return s;
    if (n_codes) {
        launch_quantise(o, ocl_of(m->x), ocl_at(m->x), m->ldx, m->rows, m->part[0].w->cols, o->values, o->scales,
                        o->ldv, o->lds);
        launch_parts(o, m, true);
    }
    if (n_codes < m->n_parts) launch_parts(o, m, false);
    return FA_OK;
}

/* An experts op on its way to launches. */
typedef struct experts_job {
    fa_opencl *o;
    const fa_experts *op;
    fcl_experts *params;
    int64_t at;
    fcl_expert *experts;
    int64_t routes;
    int n_active, *active; /* expert numbers */
    int n_cold;            /* of them, those that the device does not hold */
} experts_job;

/* Sorts the routes by expert, rows rising within one; fills the tables that kernels read. */
static void group_routes(experts_job *j) {
    const fa_experts *op = j->op;
    int32_t *first = j->o->expert_first, n_experts = op->ids ? op->n_experts : 1;
    int top_k = op->ids ? op->top_k : 1;
    memset(first, 0, ((size_t)n_experts + 2) * sizeof *first);
    for (int64_t t = 0; t < op->rows; t++)
        for (int k = 0; k < top_k && (!op->ids || op->ids[t * top_k + k] >= 0); k++)
            first[(op->ids ? op->ids[t * top_k + k] : 0) + 2]++;
    int n_active = 0;
    for (int x = 0; x < n_experts; x++) {
        n_active += first[x + 2] > 0;
        first[x + 2] += first[x + 1]; /* first[x + 1]: where expert x's next route goes */
    }
    j->routes = first[n_experts + 1];
    fcl_route *routes = ocl_put(j->o, (size_t)j->routes * sizeof *routes, &j->params->routes);
    j->experts = ocl_put(j->o, (size_t)n_active * sizeof *j->experts, &j->params->experts);
    for (int64_t t = 0; t < op->rows; t++)
        for (int k = 0; k < top_k && (!op->ids || op->ids[t * top_k + k] >= 0); k++) {
            int32_t at = first[(op->ids ? op->ids[t * top_k + k] : 0) + 1]++;
            routes[at] = (fcl_route){.row = (fcl_i32)t, .weight = op->ids ? op->weights[t * top_k + k] : 1.0f};
        }
    for (int x = 0; x < n_experts; x++) /* now first[x] .. first[x + 1] - 1 are expert x's */
        if (first[x + 1] > first[x])
            j->experts[j->n_active++] = (fcl_expert){.first = first[x], .last = first[x + 1], .gate.rows = x};
}

static const fa_expert *expert_of(const experts_job *j, int a) {
    return &j->op->experts[j->active[a]];
}

/* How many of the active experts' gates and ups, or downs, multiply codes. */
static int count_codes(const experts_job *j, bool down) {
    int n = 0;
    for (int a = 0; a < j->n_active; a++) {
        const fa_expert *x = expert_of(j, a);
        if (j->n_cold && !ocl_holds(x)) continue;
        n += down ? ocl_takes_codes(j->op->numerics, &x->down)
                  : ocl_takes_codes(j->op->numerics, &x->gate) + ocl_takes_codes(j->op->numerics, &x->up);
    }
    return n;
}

static fcl_weight see_weight(const experts_job *j, ocl_launch *l, const fa_weight *w) {
    fcl_weight view = ocl_arg_weight(l, w);
    view.codes = ocl_takes_codes(j->op->numerics, w);
    return view;
}

static void launch_gate_up(const experts_job *j, int n_codes) {
    bool all = n_codes == 2 * (j->n_active - j->n_cold);
    ocl_launch *l = ocl_launch_new(j->o, all ? OCL_GATE_UP_CODES : OCL_GATE_UP, j->at);
    for (int a = 0; a < j->n_active; a++) {
        if (j->n_cold && !ocl_holds(expert_of(j, a))) continue;
        j->experts[a].gate = see_weight(j, l, &expert_of(j, a)->gate);
        j->experts[a].up = see_weight(j, l, &expert_of(j, a)->up);
    }
    l->global[0] = (size_t)ocl_ceil_div(j->op->inner, FCL_TILE);
    l->global[1] = (size_t)j->n_active;
    ocl_arg(l, ocl_of(j->op->x), false);
    ocl_arg(l, j->o->values, false);
    ocl_arg(l, j->o->scales, false);
    ocl_arg(l, j->o->gates, true);
    ocl_arg(l, j->o->ups, true);
}

static void launch_gated(const experts_job *j) {
    int64_t at;
    fcl_gated *g = ocl_put(j->o, sizeof *g, &at);
    *g = (fcl_gated){.ld = j->o->ld_inner, .rows = (fcl_i32)j->routes, .n = (fcl_i32)j->op->inner};
    ocl_launch *l = ocl_launch_new(j->o, OCL_GATED, at);
    l->global[0] = (size_t)ocl_ceil_div(j->op->inner, 256);
    l->global[1] = (size_t)j->routes;
    ocl_arg(l, j->o->gates, true);
    ocl_arg(l, j->o->ups, false);
}

static void launch_down(const experts_job *j, int n_codes) {
    bool all = n_codes == j->n_active - j->n_cold;
    ocl_launch *l = ocl_launch_new(j->o, all ? OCL_DOWN_CODES : OCL_DOWN, j->at);
    for (int a = 0; a < j->n_active; a++)
        if (!j->n_cold || ocl_holds(expert_of(j, a))) j->experts[a].down = see_weight(j, l, &expert_of(j, a)->down);
    l->global[0] = (size_t)ocl_ceil_div(j->op->hidden, FCL_TILE);
    ocl_arg(l, j->o->gates, false);
    ocl_arg(l, j->o->inner_values, false);
    ocl_arg(l, j->o->inner_scales, false);
    ocl_arg(l, j->n_cold ? j->o->given : j->o->gates, false);
    ocl_arg(l, ocl_of(j->op->y), true);
}

/* Sends what was prepared; while the device is at it the host computes its part. The parameters that were sent stay as they are:
 * what comes after gets new ones. */
static fa_status compute_cold(experts_job *j, fa_error *e) {
    fa_status s = ocl_send(j->o, e);
    const fcl_route *routes = (const fcl_route *)((const char *)j->o->params_host.data + j->params->routes);
    for (int a = 0; a < j->n_active && !s; a++)
        if (!ocl_holds(expert_of(j, a)))
            s = ocl_compute_cold(j->o, j->op, expert_of(j, a), routes, j->experts[a].first, j->experts[a].last, e);
    if (s) return s;
    int64_t experts;
    size_t bytes = (size_t)j->n_active * sizeof *j->experts;
    fcl_expert *again = ocl_put(j->o, bytes, &experts);
    j->experts = memcpy(again, j->experts, bytes);
    fcl_experts *params = ocl_put(j->o, sizeof *params, &j->at);
    *params = *j->params;
    params->experts = experts;
    j->params = params;
    return FA_OK;
}

static fa_status launch_all(experts_job *j, fa_error *e) {
    fa_opencl *o = j->o;
    const fa_experts *op = j->op;
    int gate_codes = count_codes(j, false), down_codes = count_codes(j, true);
    if (gate_codes)
        launch_quantise(o, ocl_of(op->x), ocl_at(op->x), op->ldx, op->rows, op->hidden, o->values, o->scales, o->ldv,
                        o->lds);
    if (j->n_active) {
        launch_gate_up(j, gate_codes);
        launch_gated(j);
    }
    if (down_codes)
        launch_quantise(o, o->gates, 0, o->ld_inner, j->routes, op->inner, o->inner_values, o->inner_scales,
                        o->ld_inner, o->lds_inner);
    fa_status s = j->n_cold ? compute_cold(j, e) : FA_OK;
    if (!s) launch_down(j, down_codes);
    return s;
}

/* Whether an op visits an expert that the device does not hold. */
static bool visits_cold(const fa_experts *op) {
    int top_k = op->ids ? op->top_k : 0;
    for (int64_t t = 0; t < op->rows; t++)
        for (int k = 0; k < top_k && op->ids[t * top_k + k] >= 0; k++)
            if (!ocl_holds(&op->experts[op->ids[t * top_k + k]])) return true;
    return false;
}

fa_status ocl_experts(fa_opencl *o, const fa_experts *op, fa_error *e) {
    int64_t routes = op->rows * (op->ids ? op->top_k : 1), n_experts = op->ids ? op->n_experts : 1;
    if (n_experts > routes) n_experts = routes;
    experts_job j = {.o = o, .op = op};
    bool cold = visits_cold(op);
    fa_status s = cold ? ocl_send(o, e) : FA_OK;
    if (!s && cold) s = ocl_drain(o, e); /* the host reads op->x */
    if (!s)
        s = ocl_room(
            o, (size_t)routes * sizeof(fcl_route) + (size_t)n_experts * (2 * sizeof(fcl_expert) + sizeof(int)) + 2048,
            e);
    if (s) return s;
    j.params = ocl_put(o, sizeof *j.params, &j.at);
    group_routes(&j);
    int64_t unused;
    j.active = ocl_put(o, (size_t)j.n_active * sizeof *j.active, &unused);
    for (int a = 0; a < j.n_active; a++) {
        j.active[a] = j.experts[a].gate.rows;
        j.experts[a].gate.rows = 0;
        j.n_cold += cold && !ocl_holds(expert_of(&j, a));
    }
    *j.params = (fcl_experts){.x = ocl_at(op->x),
                              .ldx = op->ldx,
                              .y = ocl_at(op->y),
                              .ldy = op->ldy,
                              .ldv = o->ldv,
                              .lds = o->lds,
                              .ld_inner = o->ld_inner,
                              .lds_inner = o->lds_inner,
                              .ld_given = op->hidden,
                              .experts = j.params->experts,
                              .routes = j.params->routes,
                              .rows = (fcl_i32)op->rows,
                              .hidden = (fcl_i32)op->hidden,
                              .inner = (fcl_i32)op->inner,
                              .n_active = j.n_active};
    return launch_all(&j, e);
}
