/* Experts, in two launches on each unit that has part of them: gate and up give a row of inner values for each route, of which
 * each unit writes its columns; down adds these up, for its columns of y, in the order of the routes. So all units work on every
 * expert, and no sum is cut. Routes are counted expert by expert, those of an expert in the order of the rows. */
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

/* Routes of each expert into first_route[0 .. n - 1]. */
static void count_routes(const fa_board_backend *b, const fa_experts *x, int n) {
    memset(b->first_route, 0, (size_t)n * sizeof(int32_t));
    for (int64_t t = 0; t < x->rows; t++)
        for (int k = 0; k < top_k_of(x) && id_of(x, t, k) >= 0; k++) b->first_route[id_of(x, t, k)]++;
}

/* The first visited expert; the first of all when there is none. */
static const fa_expert *first_visited(const fa_board_backend *b, const fa_experts *x, int n) {
    for (int i = 0; i < n; i++)
        if (b->first_route[i]) return &x->experts[i];
    return x->experts;
}

static bool same_units(const board_weight *a, const board_weight *b) {
    return a->n_slices == b->n_slices && a->slice[0].segment == b->slice[0].segment &&
           a->slice[0].unit == b->slice[0].unit;
}

/* True when the visited experts' weights are not all on the units that those of the first are on, gate and up together. */
static bool scattered(const fa_board_backend *b, const fa_experts *x, int n) {
    const fa_expert *first = first_visited(b, x, n);
    const board_weight *gate = board_weight_of(&first->gate), *down = board_weight_of(&first->down);
    if (gate->slice[0].segment != down->slice[0].segment) return true;
    for (int i = 0; i < n; i++)
        if (b->first_route[i] && (!same_units(gate, board_weight_of(&x->experts[i].gate)) ||
                                  !same_units(gate, board_weight_of(&x->experts[i].up)) ||
                                  !same_units(down, board_weight_of(&x->experts[i].down))))
            return true;
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
        wanted[i] = board_expert_units(b, weights[i]);
    }
    return board_bring_together(b, weights, wanted, 3 * n, e);
}

/* The slice that a unit has of a weight, or NULL. */
static const board_slice *slice_on(const fa_weight *w, int32_t unit) {
    const board_weight *bw = board_weight_of(w);
    for (int i = 0; i < bw->n_slices; i++)
        if (bw->slice[i].unit == unit) return &bw->slice[i];
    return NULL;
}

static int32_t at_on(const fa_weight *w, int32_t unit) {
    const board_slice *s = slice_on(w, unit);
    return s ? s->at : 0;
}

/* A visited expert in the table of a unit. */
static void fill_expert(const fa_expert *expert, int32_t unit, int32_t first, int32_t routes, int32_t *field) {
    field[HLS_EXPERT_GATE_AT] = at_on(&expert->gate, unit);
    field[HLS_EXPERT_UP_AT] = at_on(&expert->up, unit);
    field[HLS_EXPERT_DOWN_AT] = at_on(&expert->down, unit);
    field[HLS_EXPERT_GATE_TYPE] = (int32_t)board_weight_of(&expert->gate)->type;
    field[HLS_EXPERT_UP_TYPE] = (int32_t)board_weight_of(&expert->up)->type;
    field[HLS_EXPERT_DOWN_TYPE] = (int32_t)board_weight_of(&expert->down)->type;
    field[HLS_EXPERT_FIRST_ROUTE] = first;
    field[HLS_EXPERT_ROUTES] = routes;
}

/* The pairs of all routes; first_route[i], the routes of expert i, becomes the place of its next. */
static void fill_routes(const fa_board_backend *b, const fa_experts *x, int n, int32_t *pairs) {
    int32_t first = 0;
    for (int i = 0; i < n; i++) {
        int32_t count = b->first_route[i];
        b->first_route[i] = first;
        first += count;
    }
    for (int64_t t = 0; t < x->rows; t++)
        for (int k = 0; k < top_k_of(x) && id_of(x, t, k) >= 0; k++) {
            float weight = weight_of(x, t, k);
            int32_t *pair = pairs + 2 * b->first_route[id_of(x, t, k)]++;
            pair[0] = (int32_t)t;
            memcpy(&pair[1], &weight, sizeof weight);
        }
}

/* A table for each unit that has part of a weight: where its experts lie differs, the routes do not. */
static bool fill_tables(fa_board_backend *b, const fa_experts *x, int n, board_plan *p) {
    int32_t routes = 0, *pairs[BOARD_MAX_UNITS] = {0}, *filled = NULL;
    for (int i = 0; i < n; i++) routes += b->first_route[i];
    for (int32_t unit = 0; unit < b->units; unit++) {
        if (!((p->in_units | p->out_units) >> unit & 1)) continue;
        int64_t ints = (int64_t)p->visited * HLS_EXPERT_FIELDS + 2 * (int64_t)routes;
        int32_t *field = board_table_routes(&b->tables, ints, &p->experts[unit]), first = 0;
        if (!field) return false;
        for (int i = 0; i < n; i++) {
            if (!b->first_route[i]) continue;
            fill_expert(&x->experts[i], unit, first, b->first_route[i], field);
            field += HLS_EXPERT_FIELDS;
            first += b->first_route[i];
        }
        pairs[unit] = field;
    }
    for (int32_t unit = 0; unit < b->units; unit++) {
        if (!pairs[unit]) continue;
        if (filled)
            memcpy(pairs[unit], filled, (size_t)routes * 2 * sizeof *filled);
        else
            fill_routes(b, x, n, pairs[unit]);
        filled = pairs[unit];
    }
    return true;
}

static uint32_t units_of(const fa_weight *w) {
    const board_weight *bw = board_weight_of(w);
    uint32_t units = 0;
    for (int i = 0; i < bw->n_slices; i++) units |= 1u << bw->slice[i].unit;
    return units;
}

fa_status board_plan_experts(fa_board_backend *b, const fa_experts *x, board_plan *p, bool *fits, fa_error *e) {
    int n = x->ids ? x->n_experts : 1;
    count_routes(b, x, n);
    fa_status s = scattered(b, x, n) ? gather_weights(b, x, n, e) : FA_OK;
    if (s) return s;
    p->like = first_visited(b, x, n);
    p->in_units = units_of(&p->like->gate);
    p->out_units = units_of(&p->like->down);
    p->visited = 0;
    for (int i = 0; i < n; i++) p->visited += b->first_route[i] > 0;
    *fits = fill_tables(b, x, n, p);
    return FA_OK;
}

/* ---- launches ---- */

/* Gate and up of all visited experts, or down, on each of `units`; `like`: a weight that lies as all of them do. y is
 * written by columns: where two units' columns share a word of memory, they follow each other. */
static fa_status run_units(fa_board_backend *b, const fa_experts *x, const board_plan *p, board_product *product,
                           uint32_t units, const fa_weight *like, bool apart, fa_error *e) {
    const board_matrix y = product->y;
    fa_status s = board_after(b, units, e);
    for (int32_t unit = 0; unit < b->units && !s; unit++) {
        if (!(units >> unit & 1)) continue;
        const board_slice *slice = slice_on(like, unit);
        product->unit = unit;
        product->segment = slice->segment;
        product->y.first = y.first + slice->first;
        product->outputs = slice->outputs;
        product->table = p->experts[unit];
        product->visited = p->visited;
        product->rows = x->rows;
        product->w8a8 = x->numerics == FA_W8A8;
        if (!apart) s = board_after(b, 1u << unit, e);
        if (!s) s = board_run_product(b, product, e);
    }
    return s;
}

fa_status board_run_experts(fa_board_backend *b, const fa_experts *x, const board_plan *p, fa_error *e) {
    const board_matrix inner = {b->inner, 0, b->inner_ld};
    board_product in = {.op = HLS_GATED, .x = board_matrix_of(x->x, x->ldx), .y = inner, .inputs = x->hidden};
    board_product out = {.op = HLS_ROUTED, .x = inner, .y = board_matrix_of(x->y, x->ldy), .inputs = x->inner};
    const board_weight *down = board_weight_of(&p->like->down);
    bool apart = down->n_slices == 1 || board_words_apart(x->y, x->rows, x->ldy, down->slice[1].first);
    fa_status s = FA_OK;
    if (p->visited) s = run_units(b, x, p, &in, p->in_units, &p->like->gate, true, e);
    return s ? s : run_units(b, x, p, &out, p->out_units, &p->like->down, apart, e);
}
