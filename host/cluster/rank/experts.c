/* Routed experts over the ranks of a stage. A dispatch brings rows to an expert's owner, once for all experts that a row visits there;
 * each route's weighted product comes back by itself, because the sum must run in the order of the row's routes: y = y + weight *
 * (down . inner), which sums of parts would round otherwise.
 *
 *   send rows -> shared experts -> take others' rows, compute their products, send them -> own rows' products -> take
 *   products, add
 *
 * so that rows travel behind the shared experts, and products behind those of the rank's own rows. */
#include <string.h>

#include "host/base/threads.h"
#include "host/cluster/rank/rank.h"

/* A dispatch: numbers of rows and routes; the routes; the rows. */
enum { DISPATCH_HEADER = 2 };

int64_t fa_dispatch_bytes(int64_t hidden, int64_t rows, int64_t routes) {
    return DISPATCH_HEADER * (int64_t)sizeof(int32_t) + routes * (int64_t)sizeof(fa_route) +
           rows * hidden * (int64_t)sizeof(float);
}

static bool has_experts(const fa_rank *r, int32_t index) {
    fa_seat s = fa_grid_seat(&r->grid, r->seat.first + index, false);
    return s.part.first_expert < s.part.end_expert;
}

static int32_t rows_of(const fa_rank *r, int32_t index) {
    return r->now->first[index + 1] - r->now->first[index];
}

static void read_dispatch(fa_routes *routes, const char *box) {
    const int32_t *head = (const int32_t *)box;
    routes->n = head[1];
    routes->route = (const fa_route *)(head + DISPATCH_HEADER);
    routes->x = (const float *)(routes->route + routes->n);
}

/* Packs the routes of this rank's rows whose experts rank `index` has; notes where their products will lie. */
static int64_t pack(fa_rank *r, int32_t index, int32_t *first_product) {
    const fa_config *c = &r->model->config;
    int32_t k = c->top_k, size = r->seat.size, n = 0, rows = 0, total = r->mine.rows * k;
    const int32_t *ids = r->model->ids;
    int32_t *head = (int32_t *)r->peers[index].outbox, routes = 0;
    for (int32_t i = 0; i < total; i++) routes += fa_grid_owner(c->experts, size, ids[i]) == index;
    fa_route *route = (fa_route *)(head + DISPATCH_HEADER);
    float *x = (float *)(route + routes);
    for (int32_t t = 0; t < r->mine.rows; t++) {
        int32_t before = n;
        for (int32_t i = t * k; i < (t + 1) * k; i++) {
            if (fa_grid_owner(c->experts, size, ids[i]) != index) continue;
            route[n++] = (fa_route){rows, ids[i], r->model->route_weights[i]};
            r->position[i] = (*first_product)++;
        }
        if (n == before) continue;
        memcpy(x + rows++ * r->hidden, r->rows_x + t * r->hidden, (size_t)r->hidden * sizeof *x);
    }
    head[0] = rows;
    head[1] = routes;
    read_dispatch(&r->peers[index].out, r->peers[index].outbox);
    return fa_dispatch_bytes(r->hidden, rows, routes);
}

/* Sends rows to the owners of their experts, and gets ready for those that come. */
static fa_status send_rows(fa_rank *r, fa_error *e) {
    int32_t product = 0, index = r->seat.index;
    fa_status s = FA_OK;
    bool owner = has_experts(r, index);
    for (int32_t g = 0; g < r->seat.size && !s; g++) {
        fa_peer *p = &r->peers[g];
        p->in.n = p->out.n = 0;
        if (g != index && owner && rows_of(r, g))
            s = fa_link_receive(
                r->link, r->seat.first + g, FA_TAG_DISPATCH, p->inbox,
                fa_dispatch_bytes(r->hidden, r->max_rows, (int64_t)r->max_rows * r->model->config.top_k), &p->rows_in,
                e);
        if (!s) s = fa_link_wait(r->link, &p->rows_out, NULL, e);
        if (s || !r->mine.rows || !has_experts(r, g)) continue;
        int32_t first = product;
        int64_t bytes = pack(r, g, &product);
        if (g == index) continue;
        s = fa_link_send(r->link, r->seat.first + g, FA_TAG_DISPATCH, p->outbox, bytes, &p->rows_out, e);
        if (!s && p->out.n)
            s = fa_link_receive(r->link, r->seat.first + g, FA_TAG_COMBINE, r->products + first * r->hidden,
                                p->out.n * r->hidden * (int64_t)sizeof(float), &p->products_in, e);
    }
    return s;
}

/* Products of up to max_rows routes, each as a row of its own with one expert. */
static fa_status run_routes(fa_rank *r, int layer, int32_t n, float *made, fa_error *e) {
    fa_model *m = r->model;
    const fa_model_part *part = &r->seat.part;
    const fa_expert *experts = m->weights.layers[layer].experts + part->first_expert;
    size_t bytes = (size_t)(n * r->hidden) * sizeof(float);
    fa_status s = r->backend->write(r->backend, r->routed_x, 0, r->stage_x, bytes, e);
    if (s) return s;
    fa_push(m, FA_OP_EXPERTS)->experts = (fa_experts){.numerics = m->numerics,
                                                      .rows = n,
                                                      .hidden = r->hidden,
                                                      .inner = experts->gate.rows,
                                                      .x = {.buffer = r->routed_x},
                                                      .ldx = r->hidden,
                                                      .y = {.buffer = r->routed_y},
                                                      .ldy = r->hidden,
                                                      .n_experts = part->end_expert - part->first_expert,
                                                      .experts = experts,
                                                      .top_k = 1,
                                                      .ids = r->routed_ids,
                                                      .weights = r->routed_weights};
    s = fa_flush(m, e);
    return s ? s : r->backend->read(r->backend, r->routed_y, 0, made, bytes, e);
}

/* Products of runs of routes, one behind the other in `made`. */
static fa_status run_all(fa_rank *r, int layer, const fa_routes *const *runs, int32_t n_runs, float *made,
                         fa_error *e) {
    int32_t waiting = 0;
    fa_status s = FA_OK;
    for (int32_t k = 0; k < n_runs && !s; k++) {
        for (int32_t i = 0; i < runs[k]->n && !s; i++) {
            memcpy(r->stage_x + waiting * r->hidden, runs[k]->x + runs[k]->route[i].row * r->hidden,
                   (size_t)r->hidden * sizeof(float));
            r->routed_ids[waiting] = runs[k]->route[i].id - r->seat.part.first_expert;
            r->routed_weights[waiting] = runs[k]->route[i].weight;
            if (++waiting < r->max_rows) continue;
            s = run_routes(r, layer, waiting, made, e);
            made += waiting * r->hidden;
            waiting = 0;
        }
    }
    return s || !waiting ? s : run_routes(r, layer, waiting, made, e);
}

/* Computes what others sent and sends it back. */
static fa_status serve_others(fa_rank *r, int layer, fa_error *e) {
    const fa_routes **runs = r->runs;
    int32_t n_runs = 0, at = 0;
    fa_status s = FA_OK;
    for (int32_t g = 0; g < r->seat.size && !s; g++) {
        fa_peer *p = &r->peers[g];
        if (!p->rows_in.under_way) continue;
        s = fa_link_wait(r->link, &p->rows_in, NULL, e);
        if (s) break;
        read_dispatch(&p->in, p->inbox);
        p->in_first = at;
        at += p->in.n;
        runs[n_runs++] = &p->in;
    }
    for (int32_t g = 0; g < r->seat.size && !s; g++) /* the last layer's have left */
        s = fa_link_wait(r->link, &r->peers[g].products_out, NULL, e);
    if (!s) s = run_all(r, layer, runs, n_runs, r->made, e);
    for (int32_t g = 0; g < r->seat.size && !s; g++) {
        fa_peer *p = &r->peers[g];
        if (!p->in.n) continue;
        s = fa_link_send(r->link, r->seat.first + g, FA_TAG_COMBINE, r->made + p->in_first * r->hidden,
                         p->in.n * r->hidden * (int64_t)sizeof(float), &p->products_out, e);
    }
    return s;
}

/* y = +0, then y = y + product in the order of the row's routes (rule "experts" of docs/numerics.md). */
static fa_status combine(fa_rank *r, fa_error *e) {
    int32_t k = r->model->config.top_k;
    unsigned mode = fa_fp_enter();
    for (int64_t t = 0; t < r->mine.rows; t++) {
        float *restrict y = r->sum + t * r->hidden;
        memset(y, 0, (size_t)r->hidden * sizeof *y);
        for (int32_t i = 0; i < k; i++) {
            const float *restrict product = r->products + r->position[t * k + i] * r->hidden;
            for (int64_t d = 0; d < r->hidden; d++) y[d] = y[d] + product[d];
        }
    }
    fa_fp_leave(mode);
    size_t bytes = (size_t)(r->mine.rows * r->hidden) * sizeof(float);
    return r->backend->write(r->backend, r->model->buffers[FA_OUT], 0, r->sum, bytes, e);
}

fa_status fa_rank_experts(fa_rank *r, int layer, fa_error *e) {
    fa_model *m = r->model;
    bool any = r->mine.rows > 0, shared = m->config.shared_experts && any;
    const fa_peer *me = &r->peers[r->seat.index];
    const fa_routes *own = &me->out;
    int32_t before = 0;
    size_t bytes = (size_t)(r->mine.rows * r->hidden) * sizeof(float);
    fa_status s = any ? r->backend->read(r->backend, m->buffers[FA_NORMED], 0, r->rows_x, bytes, e) : FA_OK;
    if (!s) s = send_rows(r, e);
    if (!s && shared) {
        fa_push_mlp(m, layer, &r->mine, FA_SHARED_OUT);
        s = fa_flush(m, e);
    }
    if (!s) s = serve_others(r, layer, e);
    for (int32_t g = 0; g < r->seat.index; g++) before += r->peers[g].out.n;
    if (!s && own->n) s = run_all(r, layer, &own, 1, r->products + before * r->hidden, e);
    for (int32_t g = 0; g < r->seat.size && !s; g++) s = fa_link_wait(r->link, &r->peers[g].products_in, NULL, e);
    if (!s && any) s = combine(r, e);
    if (!s && shared) fa_push_add(m, r->mine.rows, m->buffers[FA_OUT], m->buffers[FA_SHARED_OUT]);
    return s;
}
