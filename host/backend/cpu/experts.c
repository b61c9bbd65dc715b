/* experts: routes are grouped by expert, so that an expert's weights are read once for all its rows.
 *
 * Gate and up: the tiles of all active experts are one list. Down: a piece is a run of output columns through all active
 * experts in rising order; the ids of a row rise, so each sum grows in the order of its routes, and no two pieces touch the
 * same element. */
#include <string.h>

#include "host/backend/cpu/ops.h"

typedef struct experts_job {
    const fa_cpu *c;
    const fa_experts *op;
    cpu_input plain, quantised; /* of x */
    int64_t tiles;              /* of inner rows */
    int64_t ld_inner;           /* whole blocks */
    int n_active;
} experts_job;

/* Counts and sorts the routes: expert e's are expert_first[e] .. expert_first[e + 1] - 1, in rising rows; active experts
 * in rising order. Returns the number of active ones. */
static int group_routes(const fa_cpu *c, const fa_experts *op) {
    int32_t *first = c->expert_first;
    if (!op->ids) {
        first[0] = 0, first[1] = (int32_t)op->rows;
        for (int32_t t = 0; t < op->rows; t++) c->route_row[t] = t, c->route_weight[t] = 1.0f;
        c->expert_active[0] = 0;
        return op->rows > 0;
    }
    memset(first, 0, ((size_t)op->n_experts + 2) * sizeof *first);
    for (int64_t t = 0; t < op->rows; t++)
        for (int k = 0; k < op->top_k && op->ids[t * op->top_k + k] >= 0; k++) first[op->ids[t * op->top_k + k] + 2]++;
    int n_active = 0;
    for (int e = 0; e < op->n_experts; e++) {
        if (first[e + 2]) c->expert_active[n_active++] = e;
        first[e + 2] += first[e + 1]; /* first[e + 1]: where expert e's next route goes */
    }
    for (int64_t t = 0; t < op->rows; t++)
        for (int k = 0; k < op->top_k && op->ids[t * op->top_k + k] >= 0; k++) {
            int32_t at = first[op->ids[t * op->top_k + k] + 1]++;
            c->route_row[at] = (int32_t)t;
            c->route_weight[at] = op->weights[t * op->top_k + k];
        }
    return n_active;
}

/* One tile of an expert's gate and up, for all its routes. */
static void inner_tile(const experts_job *j, int e, int64_t tile) {
    const fa_cpu *c = j->c;
    const fa_expert *x = &j->op->experts[e];
    float gate[CPU_ROWS * CPU_TILE], up[CPU_ROWS * CPU_TILE];
    int64_t first = tile * CPU_TILE;
    int n = (int)cpu_min(CPU_TILE, j->op->inner - first);
    const cpu_input *gate_in = cpu_takes_codes(j->op->numerics, &x->gate) ? &j->quantised : &j->plain;
    const cpu_input *up_in = cpu_takes_codes(j->op->numerics, &x->up) ? &j->quantised : &j->plain;
    for (int32_t r = c->expert_first[e]; r < c->expert_first[e + 1]; r += CPU_ROWS) {
        int n_rows = (int)cpu_min(CPU_ROWS, c->expert_first[e + 1] - r);
        fa_cpu_product(c, &x->gate, first, n, gate_in, c->route_row + r, n_rows, fa_cpu_weight_row(&x->up, first),
                       gate);
        fa_cpu_product(c, &x->up, first, n, up_in, c->route_row + r, n_rows,
                       fa_cpu_weight_row(&x->gate, first + CPU_TILE), up);
        for (int i = 0; i < n_rows; i++)
            c->kernels->gated(gate + i * CPU_TILE, up + i * CPU_TILE, n,
                              c->inner_values + (r + i) * j->ld_inner + first);
    }
}

static void inner_tiles(void *ctx, int64_t begin, int64_t end, int thread) {
    const experts_job *j = ctx;
    (void)thread;
    for (int64_t i = begin; i < end; i++) inner_tile(j, j->c->expert_active[i / j->tiles], i % j->tiles);
}

/* One tile of an expert's down, for all its routes, added to y. */
static void down_tile(const experts_job *j, int e, int64_t first, int n, const void *next) {
    const fa_cpu *c = j->c;
    const fa_weight *w = &j->op->experts[e].down;
    bool codes = cpu_takes_codes(j->op->numerics, w);
    float out[CPU_ROWS * CPU_TILE];
    for (int32_t r = c->expert_first[e]; r < c->expert_first[e + 1]; r += CPU_ROWS) {
        int n_rows = (int)cpu_min(CPU_ROWS, c->expert_first[e + 1] - r);
        int64_t blocks = j->ld_inner / FA_BLOCK;
        cpu_input in = {c->inner_values + r * j->ld_inner, j->ld_inner, codes ? c->inner_scales + r * blocks : NULL,
                        blocks};
        fa_cpu_product(c, w, first, n, &in, NULL, n_rows, next, out);
        for (int i = 0; i < n_rows; i++) {
            float *y = cpu_row(j->op->y, c->route_row[r + i], j->op->ldy) + first;
            for (int k = 0; k < n; k++) {
                float weighted = c->route_weight[r + i] * out[i * CPU_TILE + k];
                y[k] = y[k] + weighted;
            }
        }
    }
}

/* Items are tiles of the hidden columns. */
static void down_tiles(void *ctx, int64_t begin, int64_t end, int thread) {
    const experts_job *j = ctx;
    (void)thread;
    int64_t first = begin * CPU_TILE, last = cpu_min(end * CPU_TILE, j->op->hidden);
    for (int64_t t = 0; t < j->op->rows; t++)
        memset(cpu_row(j->op->y, t, j->op->ldy) + first, 0, (size_t)(last - first) * sizeof(float));
    for (int a = 0; a < j->n_active; a++)
        for (int64_t i = first; i < last; i += CPU_TILE) {
            int e = j->c->expert_active[a], after = j->c->expert_active[a + 1 < j->n_active ? a + 1 : 0];
            const void *next = i + CPU_TILE < last ? fa_cpu_weight_row(&j->op->experts[e].down, i + CPU_TILE)
                                                   : fa_cpu_weight_row(&j->op->experts[after].down, first);
            down_tile(j, e, i, (int)cpu_min(CPU_TILE, last - i), next);
        }
}

/* Quantises the inner rows of the experts whose down takes codes, in place. */
static void quantise_inner(const experts_job *j) {
    const fa_cpu *c = j->c;
    int64_t blocks = j->ld_inner / FA_BLOCK;
    for (int a = 0; a < j->n_active;) {
        int end = a; /* runs of experts, so that usually all routes go in one */
        while (end < j->n_active && cpu_takes_codes(j->op->numerics, &j->op->experts[c->expert_active[end]].down))
            end++;
        if (end > a) {
            int32_t first = c->expert_first[c->expert_active[a]], last = c->expert_first[c->expert_active[end - 1] + 1];
            float *values = c->inner_values + first * j->ld_inner;
            fa_cpu_quantise(c, values, j->ld_inner, last - first, j->op->inner, values, j->ld_inner,
                            c->inner_scales + first * blocks, blocks);
        }
        a = end > a ? end : a + 1;
    }
}

static bool any_takes_codes(const experts_job *j) {
    for (int a = 0; a < j->n_active; a++) {
        const fa_expert *x = &j->op->experts[j->c->expert_active[a]];
        if (cpu_takes_codes(j->op->numerics, &x->gate) || cpu_takes_codes(j->op->numerics, &x->up)) return true;
    }
    return false;
}

void fa_cpu_experts(const fa_cpu *c, const fa_experts *op) {
    int64_t blocks = cpu_ceil_div(op->hidden, FA_BLOCK);
    experts_job j = {.c = c,
                     .op = op,
                     .plain = {.values = cpu_row(op->x, 0, op->ldx), .ld = op->ldx},
                     .quantised = {c->x_values, blocks * FA_BLOCK, c->x_scales, blocks},
                     .tiles = cpu_ceil_div(op->inner, CPU_TILE),
                     .ld_inner = cpu_ceil_div(op->inner, FA_BLOCK) * FA_BLOCK};
    j.n_active = group_routes(c, op);
    if (any_takes_codes(&j))
        fa_cpu_quantise(c, j.plain.values, op->ldx, op->rows, op->hidden, c->x_values, j.quantised.ld, c->x_scales,
                        blocks);
    int64_t routes = j.n_active ? c->expert_first[c->expert_active[j.n_active - 1] + 1] : 0;
    int64_t rows_each = cpu_ceil_div(routes, j.n_active ? j.n_active : 1);
    fa_cpu_run(c, j.n_active * j.tiles, 2 * CPU_TILE * op->hidden * rows_each, inner_tiles, &j);
    quantise_inner(&j);
    fa_cpu_run(c, cpu_ceil_div(op->hidden, CPU_TILE), CPU_TILE * (op->inner * routes + op->rows), down_tiles, &j);
}
