/* Routed experts whose routes go to several boards: each route becomes a row of its own, with one expert, on the board that holds it; all
 * boards work at the same time; the host adds up a row's routes in their order. With one expert the sum of a row is +0 plus the
 * product with its weight, which is the product; so the bits are those of one board (docs/numerics.md). */
#include <stdlib.h>
#include <string.h>

#include "host/backend/placed/state.h"
#include "host/base/threads.h"

/* ---- scratch ---- */

static fa_status reserve_board(placed_routes *r, const fa_limits *l, int64_t room, int node, fa_error *e) {
    *r = (placed_routes){.room = room, .rows_at_once = l->max_rows};
    fa_status s = fa_memory_alloc(&r->memory, 2 * (size_t)(room * l->max_cols) * sizeof(float), node, e);
    if (s) return s;
    r->x = r->memory.data;
    r->y = r->x + room * l->max_cols;
    r->ids = calloc((size_t)room + 1, sizeof *r->ids);
    r->weights = calloc((size_t)room + 1, sizeof *r->weights);
    r->experts = calloc((size_t)l->max_experts + 1, sizeof *r->experts);
    return r->ids && r->weights && r->experts ? FA_OK : fa_fail(e, FA_ENOMEM, "placement: no memory for routes");
}

fa_status placed_routes_reserve(fa_placed *p, fa_error *e) {
    const fa_limits *l = &p->limits;
    int64_t room = l->max_rows * (l->max_top_k > 1 ? l->max_top_k : 1);
    placed_routes_close(p);
    p->batch_room = 64;
    p->batch_experts_room = l->max_experts + p->batch_room;
    p->batch_ids_room = room;
    p->route_board = calloc((size_t)room + 1, sizeof *p->route_board);
    p->route_at = calloc((size_t)room + 1, sizeof *p->route_at);
    p->compact = calloc((size_t)l->max_experts + 1, sizeof *p->compact);
    p->rows = calloc((size_t)(l->max_rows * l->max_cols) + 1, sizeof *p->rows);
    p->batch = calloc((size_t)p->batch_room, sizeof *p->batch);
    p->batch_experts = calloc((size_t)p->batch_experts_room, sizeof *p->batch_experts);
    p->batch_ids = calloc((size_t)room + 1, sizeof *p->batch_ids);
    bool ok = p->route_board && p->route_at && p->compact && p->rows && p->batch && p->batch_experts && p->batch_ids;
    fa_status s =
        ok ? FA_OK : fa_fail(e, FA_ENOMEM, "placement: no memory for steps of %lld rows", (long long)l->max_rows);
    for (int32_t i = 0; i < p->n && !s; i++) s = reserve_board(&p->routes[i], l, room, p->worker[i].node, e);
    return s;
}

static fa_status run_free(fa_backend *b, placed_call *c) {
    if (c->routes->x_buffer) b->free(b, c->routes->x_buffer);
    if (c->routes->y_buffer) b->free(b, c->routes->y_buffer);
    c->routes->x_buffer = c->routes->y_buffer = NULL;
    return FA_OK;
}

void placed_routes_close(fa_placed *p) {
    for (int32_t i = 0; i < p->n; i++) {
        placed_routes *r = &p->routes[i];
        if (r->x_buffer || r->y_buffer) placed_do(&p->worker[i], &(placed_call){.run = run_free, .routes = r}, NULL);
        fa_memory_free(&r->memory);
        free(r->ids);
        free(r->weights);
        free(r->experts);
        *r = (placed_routes){0};
    }
    void *const memory[] = {p->route_board, p->route_at, p->compact, p->rows, p->batch, p->batch_experts, p->batch_ids};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) free(memory[i]);
    p->route_board = p->route_at = p->compact = NULL;
    p->rows = NULL;
    p->batch = NULL;
    p->batch_experts = NULL;
    p->batch_ids = NULL;
}

/* ---- where routes go ---- */

/* Each route to a board that holds its expert, of several the one that has the fewest routes so far. */
static fa_status assign(fa_placed *p, const fa_experts *x, fa_error *e) {
    for (int32_t i = 0; i < p->n; i++) p->routes[i].n = 0;
    for (int64_t t = 0; t < x->rows; t++)
        for (int k = 0; k < x->top_k && x->ids[t * x->top_k + k] >= 0; k++) {
            const fa_weight *gate = &x->experts[x->ids[t * x->top_k + k]].gate;
            const placed_weight *w = gate->device;
            if (!w) return fa_fail(e, FA_EINVAL, "tensor %s: was not given to the backend", gate->name);
            int32_t best = __builtin_ctz(w->boards);
            for (int32_t i = best + 1; i < p->n; i++)
                if (w->boards >> i & 1 && p->routes[i].n < p->routes[best].n) best = i;
            p->route_board[t * x->top_k + k] = best;
            p->route_at[t * x->top_k + k] = (int32_t)p->routes[best].n++;
        }
    return FA_OK;
}

/* The experts of `board`'s routes, in their order, and their numbers among these in p->compact. */
static fa_status collect(fa_placed *p, const fa_experts *x, int32_t board, fa_expert *experts, int *n, fa_error *e) {
    fa_status s = FA_OK;
    for (int i = 0; i < x->n_experts; i++) p->compact[i] = -1;
    for (int64_t t = 0; t < x->rows; t++)
        for (int k = 0; k < x->top_k && x->ids[t * x->top_k + k] >= 0; k++)
            if (p->route_board[t * x->top_k + k] == board) p->compact[x->ids[t * x->top_k + k]] = 0;
    *n = 0;
    for (int i = 0; i < x->n_experts && !s; i++) {
        if (p->compact[i] < 0) continue;
        p->compact[i] = *n;
        s = placed_expert_on(&x->experts[i], board, &experts[(*n)++], e);
    }
    return s;
}

/* ---- on one board ---- */

/* The op as it is, with the experts that are visited. */
static fa_status add_whole(fa_placed *p, const fa_op *op, int32_t board, fa_error *e) {
    int64_t ids = op->experts.rows * op->experts.top_k;
    fa_status s = placed_at(p, board, op->experts.n_experts, ids, e);
    if (!s) s = placed_bring_all(p, op, board, e);
    if (s) return s;
    fa_op own = *op;
    fa_experts *x = &own.experts;
    x->experts = p->batch_experts + p->n_batch_experts;
    x->ids = p->batch_ids + p->n_batch_ids;
    x->x.buffer = placed_buffer_of(x->x.buffer)->at[board];
    x->y.buffer = placed_buffer_of(x->y.buffer)->at[board];
    s = collect(p, &op->experts, board, p->batch_experts + p->n_batch_experts, &x->n_experts, e);
    if (s) return s;
    for (int64_t i = 0; i < ids; i++) {
        int32_t id = op->experts.ids[i];
        p->batch_ids[p->n_batch_ids + i] = id < 0 ? -1 : p->compact[id];
    }
    p->n_batch_experts += x->n_experts;
    p->n_batch_ids += ids;
    p->batch[p->n_batch++] = own;
    return FA_OK;
}

/* ---- on several boards ---- */

static fa_status need_buffers(fa_backend *b, placed_routes *r, fa_error *e) {
    size_t bytes = (size_t)(r->rows_at_once * r->hidden) * sizeof(float);
    if (r->x_buffer && r->buffer_bytes >= bytes) return FA_OK;
    run_free(b, &(placed_call){.routes = r});
    r->buffer_bytes = bytes;
    fa_status s = b->alloc(b, bytes, &r->x_buffer, e);
    return s ? s : b->alloc(b, bytes, &r->y_buffer, e);
}

static fa_status run_piece(fa_backend *b, placed_routes *r, int64_t first, int64_t n, fa_error *e) {
    size_t bytes = (size_t)(n * r->hidden) * sizeof(float);
    fa_op op = {.kind = FA_OP_EXPERTS,
                .experts = {.numerics = r->numerics,
                            .rows = n,
                            .hidden = r->hidden,
                            .inner = r->inner,
                            .x = {r->x_buffer, 0},
                            .ldx = r->hidden,
                            .y = {r->y_buffer, 0},
                            .ldy = r->hidden,
                            .n_experts = r->n_experts,
                            .experts = r->experts,
                            .top_k = 1,
                            .ids = r->ids + first,
                            .weights = r->weights + first}};
    fa_ticket ticket;
    fa_status s = b->write(b, r->x_buffer, 0, r->x + first * r->hidden, bytes, e);
    if (!s) s = b->submit(b, &op, 1, &ticket, e);
    if (!s) s = b->wait(b, ticket, e);
    return s ? s : b->read(b, r->y_buffer, 0, r->y + first * r->hidden, bytes, e);
}

static fa_status run_routes(fa_backend *b, placed_call *c) {
    placed_routes *r = c->routes;
    fa_status s = need_buffers(b, r, &c->error);
    for (int64_t done = 0, n; done < r->n && !s; done += n) {
        n = r->n - done < r->rows_at_once ? r->n - done : r->rows_at_once;
        s = run_piece(b, r, done, n, &c->error);
    }
    return s;
}

static fa_status scatter(fa_placed *p, const fa_experts *x, int32_t board, fa_error *e) {
    placed_routes *r = &p->routes[board];
    r->hidden = x->hidden;
    r->inner = x->inner;
    r->numerics = x->numerics;
    fa_status s = collect(p, x, board, r->experts, &r->n_experts, e);
    for (int64_t i = 0; i < x->rows * x->top_k && !s; i++) {
        if (p->route_board[i] != board) continue;
        int64_t at = p->route_at[i];
        memcpy(r->x + at * x->hidden, p->rows + i / x->top_k * x->hidden, (size_t)x->hidden * sizeof(float));
        r->ids[at] = p->compact[x->ids[i]];
        r->weights[at] = x->weights[i];
    }
    return s;
}

/* All boards at the same time; the longest counts. */
static fa_status run_boards(fa_placed *p, fa_error *e) {
    placed_call calls[PLACED_BOARDS];
    double before[PLACED_BOARDS] = {0}, longest = 0;
    fa_status s = FA_OK;
    for (int32_t i = 0; i < p->n; i++) {
        if (!p->routes[i].n) continue;
        before[i] = placed_clock(p, i);
        calls[i] = (placed_call){.run = run_routes, .routes = &p->routes[i]};
        placed_start(&p->worker[i], &calls[i]);
    }
    for (int32_t i = 0; i < p->n; i++) {
        if (!p->routes[i].n) continue;
        fa_status one = placed_finish(&p->worker[i], &calls[i], s ? NULL : e);
        double seconds = placed_clock(p, i) - before[i];
        longest = seconds > longest ? seconds : longest;
        s = s ? s : one;
    }
    p->seconds += longest;
    return s;
}

static void combine(const fa_placed *p, const fa_experts *x) {
    unsigned mode = fa_fp_enter();
    for (int64_t t = 0; t < x->rows; t++) {
        float *y = p->rows + t * x->hidden;
        memset(y, 0, (size_t)x->hidden * sizeof *y);
        for (int k = 0; k < x->top_k && x->ids[t * x->top_k + k] >= 0; k++) {
            int64_t route = t * x->top_k + k;
            const float *add = p->routes[p->route_board[route]].y + p->route_at[route] * x->hidden;
            for (int64_t i = 0; i < x->hidden; i++) y[i] += add[i];
        }
    }
    fa_fp_leave(mode);
}

/* Between p->rows and a matrix of a buffer; to: its rows are written, on `board`. */
static fa_status copy_rows(fa_placed *p, fa_ref at, const fa_experts *x, int64_t ld, bool to, int32_t board,
                           fa_error *e) {
    placed_buffer *b = placed_buffer_of(at.buffer);
    int64_t rows_at_once = ld == x->hidden ? x->rows : 1;
    size_t bytes = (size_t)(rows_at_once * x->hidden) * sizeof(float);
    fa_status s = FA_OK;
    for (int64_t t = 0; t < x->rows && !s; t += rows_at_once) {
        float *rows = p->rows + t * x->hidden;
        size_t offset = at.offset + (size_t)(t * ld) * sizeof(float);
        s = to ? placed_write_on(p, b, board, offset, rows, bytes, e)
               : placed_read(&p->base, at.buffer, offset, rows, bytes, e);
    }
    return s;
}

static fa_status run_scattered(fa_placed *p, const fa_experts *x, int32_t board, fa_error *e) {
    for (int64_t t = 0; t < x->rows; t++) { /* rows may end early; what is behind goes nowhere */
        int k = 0;
        while (k < x->top_k && x->ids[t * x->top_k + k] >= 0) k++;
        for (; k < x->top_k; k++) p->route_board[t * x->top_k + k] = -1;
    }
    fa_status s = placed_flush(p, e);
    if (!s) s = copy_rows(p, x->x, x, x->ldx, false, board, e);
    for (int32_t i = 0; i < p->n && !s; i++)
        if (p->routes[i].n) s = scatter(p, x, i, e);
    if (!s) s = run_boards(p, e);
    if (s) return s;
    combine(p, x);
    p->batch_board = board;
    return copy_rows(p, x->y, x, x->ldy, true, board, e);
}

fa_status placed_run_routed(fa_placed *p, const fa_op *op, fa_error *e) {
    const fa_experts *x = &op->experts;
    const placed_weight *first = x->experts[0].gate.device;
    fa_status s = assign(p, x, e);
    if (s) return s;
    int32_t home = first->layer >= 0 ? p->placement.layer[first->layer] : p->placement.head;
    bool at_home = p->routes[home].n > 0; /* an op without routes has no experts to show a board */
    for (int32_t i = 0; i < p->n; i++) at_home &= i == home || !p->routes[i].n;
    return at_home ? add_whole(p, op, home, e) : run_scattered(p, x, home, e);
}
