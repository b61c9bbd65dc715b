/* Experts: an expert lies whole on one unit. Where all that a step visits are on one unit, its kernel adds them up. Else each unit
 * writes the result of each of its routes to a row of its own (a slot; units have neighbouring slots), and unit 0 adds the slots of
 * each row in the order of its routes: the same sums, since +0 + 1 * v is v wherever it is added afterwards. */
#include <string.h>

#include "host/backend/board/state.h"

/* The routes of an op, dense or not. */
static int top_k_of(const fa_experts *x) {
    return x->ids ? x->top_k : 1;
}

static int32_t id_of(const fa_experts *x, int64_t t, int k) {
    return x->ids ? x->ids[t * x->top_k + k] : 0;
}

static float weight_of(const fa_experts *x, int64_t t, int k) {
    return x->ids ? x->weights[t * x->top_k + k] : 1.0f;
}

static int32_t unit_of(const fa_expert *expert) {
    return board_weight_of(&expert->gate)->slice[0].unit;
}

/* Routes of each expert into first_route[0 .. n - 1]. */
static void count_routes(const fa_board_backend *b, const fa_experts *x, int n) {
    memset(b->first_route, 0, (size_t)n * sizeof(int32_t));
    for (int64_t t = 0; t < x->rows; t++)
        for (int k = 0; k < top_k_of(x) && id_of(x, t, k) >= 0; k++) b->first_route[id_of(x, t, k)]++;
}

/* True when a visited expert's weights are not together, or not in the segment of the others. */
static bool scattered(const fa_board_backend *b, const fa_experts *x, int n) {
    int32_t segment = -1;
    for (int i = 0; i < n; i++) {
        if (!b->first_route[i]) continue;
        const fa_weight *w[3] = {&x->experts[i].gate, &x->experts[i].up, &x->experts[i].down};
        for (int m = 0; m < 3; m++) {
            const board_weight *bw = board_weight_of(w[m]);
            if (segment < 0) segment = bw->slice[0].segment;
            if (bw->n_slices > 1 || bw->slice[0].segment != segment || bw->slice[0].unit != unit_of(&x->experts[i]))
                return true;
        }
    }
    return false;
}

static fa_status gather_weights(fa_board_backend *b, const fa_experts *x, int n, fa_error *e) {
    enum { AT_ONCE = 3 * 64 };
    const fa_weight *weights[AT_ONCE];
    int32_t wanted[AT_ONCE];
    if (3 * n > AT_ONCE)
        return fa_fail(e, FA_EUNSUPPORTED, "experts: weights were not given to backend %s as those of experts",
                       b->base.name);
    for (int i = 0; i < 3 * n; i++) {
        const fa_expert *expert = &x->experts[i / 3];
        weights[i] = i % 3 == 0 ? &expert->gate : i % 3 == 1 ? &expert->up : &expert->down;
        wanted[i] = i / 3 % b->units;
    }
    return board_bring_together(b, weights, wanted, 3 * n, e);
}

/* A visited expert in the table of its unit. */
static void fill_expert(const fa_expert *expert, int32_t first, int32_t routes, int32_t *field) {
    const board_weight *gate = board_weight_of(&expert->gate), *up = board_weight_of(&expert->up),
                       *down = board_weight_of(&expert->down);
    field[HLS_EXPERT_GATE_AT] = gate->slice[0].at;
    field[HLS_EXPERT_UP_AT] = up->slice[0].at;
    field[HLS_EXPERT_DOWN_AT] = down->slice[0].at;
    field[HLS_EXPERT_GATE_TYPE] = (int32_t)gate->type;
    field[HLS_EXPERT_UP_TYPE] = (int32_t)up->type;
    field[HLS_EXPERT_DOWN_TYPE] = (int32_t)down->type;
    field[HLS_EXPERT_FIRST_ROUTE] = first;
    field[HLS_EXPERT_ROUTES] = routes;
}

/* The table of one unit: its visited experts in rising order; first_route[i] becomes the place of expert i's next route. */
static bool plan_unit(fa_board_backend *b, const fa_experts *x, int n, int32_t unit, board_plan *p) {
    int32_t visited = 0, routes = 0;
    for (int i = 0; i < n; i++)
        if (b->first_route[i] && unit_of(&x->experts[i]) == unit) {
            visited++;
            routes += b->first_route[i];
        }
    p->visited[unit] = visited;
    p->routes[unit] = routes;
    int32_t *table =
        board_table_routes(&b->tables, (int64_t)visited * HLS_EXPERT_FIELDS + 2 * (int64_t)routes, &p->experts[unit]);
    if (!table) return false;
    int32_t first = 0, *field = table, *pairs = table + visited * HLS_EXPERT_FIELDS, slot = 0;
    for (int i = 0; i < n; i++) {
        int32_t count = b->first_route[i];
        if (!count || unit_of(&x->experts[i]) != unit) continue;
        fill_expert(&x->experts[i], first, count, field);
        field += HLS_EXPERT_FIELDS;
        b->first_route[i] = first;
        first += count;
    }
    for (int64_t t = 0; t < x->rows; t++)
        for (int k = 0; k < top_k_of(x) && id_of(x, t, k) >= 0; k++) {
            int32_t id = id_of(x, t, k);
            if (unit_of(&x->experts[id]) != unit) continue;
            float weight = p->spread ? 1.0f : weight_of(x, t, k);
            int32_t *pair = pairs + 2 * b->first_route[id]++;
            b->slot_of[t * top_k_of(x) + k] = p->first_slot[unit] + slot;
            pair[0] = p->spread ? slot++ : (int32_t)t;
            memcpy(&pair[1], &weight, sizeof weight);
        }
    return true;
}

/* gather: the row of each slot; combine: the slots of each row. */
static bool plan_slots(fa_board_backend *b, const fa_experts *x, board_plan *p) {
    const float one = 1.0f;
    int top_k = top_k_of(x);
    int32_t *gather = board_table_routes(&b->tables, 2 * (int64_t)p->slots, &p->gather);
    int32_t *combine = gather ? board_table_routes(&b->tables, 2 * x->rows * top_k, &p->combine) : NULL;
    if (!combine) return false;
    for (int64_t t = 0; t < x->rows; t++) {
        bool open = true;
        for (int k = 0; k < top_k; k++) {
            int32_t *pair = combine + 2 * (t * top_k + k), slot = -1;
            open = open && id_of(x, t, k) >= 0;
            if (open) {
                slot = b->slot_of[t * top_k + k];
                gather[2 * slot] = (int32_t)t;
                memcpy(&gather[2 * slot + 1], &one, sizeof one);
            }
            float weight = open ? weight_of(x, t, k) : 0.0f;
            pair[0] = slot;
            memcpy(&pair[1], &weight, sizeof weight);
        }
    }
    return true;
}

/* Which units the visited experts are on, as bits; unit 0 when there are none. */
static uint32_t units_of(const fa_board_backend *b, const fa_experts *x, int n, int32_t *segment) {
    uint32_t units = 0;
    *segment = 0;
    for (int i = 0; i < n; i++)
        if (b->first_route[i]) {
            units |= 1u << unit_of(&x->experts[i]);
            *segment = board_weight_of(&x->experts[i].gate)->slice[0].segment;
        }
    return units ? units : 1;
}

fa_status board_plan_experts(fa_board_backend *b, const fa_experts *x, board_plan *p, bool *fits, fa_error *e) {
    int n = x->ids ? x->n_experts : 1;
    count_routes(b, x, n);
    fa_status s = scattered(b, x, n) ? gather_weights(b, x, n, e) : FA_OK;
    if (s) return s;
    p->units = units_of(b, x, n, &p->segment);
    p->spread = (p->units & (p->units - 1)) != 0;
    p->slots = 0;
    *fits = true;
    for (int32_t u = 0; u < b->units && *fits; u++) {
        if (!(p->units >> u & 1)) continue;
        p->first_slot[u] = p->slots;
        *fits = plan_unit(b, x, n, u, p);
        p->slots += p->routes[u];
    }
    if (*fits && p->spread) *fits = plan_slots(b, x, p);
    return FA_OK;
}

/* ---- launches ---- */

static fa_status run_unit(fa_board_backend *b, const fa_experts *x, const board_plan *p, int32_t unit, board_matrix in,
                          board_matrix y, int64_t rows, fa_error *e) {
    board_call c;
    board_call_begin(b, &c, "fathom_experts", unit, p->segment);
    board_arg_buffer(&c, in.buffer, 0);
    board_arg_buffer(&c, y.buffer, 0);
    board_arg_buffer(&c, b->tables.card, p->experts[unit]);
    board_arg_int(&c, in.first, 8);
    board_arg_int(&c, in.ld, 8);
    board_arg_int(&c, y.first, 8);
    board_arg_int(&c, y.ld, 8);
    board_arg_int(&c, rows, 4);
    board_arg_int(&c, x->hidden, 4);
    board_arg_int(&c, x->inner, 4);
    board_arg_int(&c, p->visited[unit], 4);
    board_arg_int(&c, x->numerics == FA_W8A8, 4);
    board_arg_int(&c, 0, 4);
    return board_start(b, &c, e);
}

/* y[t] = sum over k < heads of weight * a[slot], by the table at `at`. */
static fa_status combine(fa_board_backend *b, board_matrix a, board_matrix y, int64_t rows, int64_t n, int heads,
                         size_t at, fa_error *e) {
    board_rowwise r = {.op = HLS_COMBINE, .a = a, .y = y, .table = at, .rows = rows, .n = n, .heads = heads};
    return board_run_rowwise(b, &r, e);
}

fa_status board_run_experts(fa_board_backend *b, const fa_experts *x, const board_plan *p, fa_error *e) {
    board_matrix in = board_matrix_of(x->x, x->ldx), y = board_matrix_of(x->y, x->ldy);
    fa_status s = FA_OK;
    if (!p->spread) {
        int32_t unit = __builtin_ctz(p->units);
        s = board_after(b, p->units, e);
        return s ? s : run_unit(b, x, p, unit, in, y, x->rows, e);
    }
    board_matrix routed = {b->routed, 0, b->routed_ld}, gathered = {b->gathered, 0, b->routed_ld};
    if (x->rows > 1) {
        s = combine(b, in, gathered, p->slots, x->hidden, 1, p->gather, e);
        in = gathered;
    } else {
        in.ld = 0; /* all slots read the one row */
    }
    if (!s) s = board_after(b, p->units, e);
    for (int32_t u = 0; u < b->units && !s; u++) {
        if (!(p->units >> u & 1)) continue;
        board_matrix in_u = {in.buffer, in.first + p->first_slot[u] * in.ld, in.ld};
        board_matrix y_u = {routed.buffer, p->first_slot[u] * routed.ld, routed.ld};
        s = run_unit(b, x, p, u, in_u, y_u, p->routes[u], e);
    }
    return s ? s : combine(b, routed, y, x->rows, x->hidden, top_k_of(x), p->combine, e);
}
