/* experts: routes of every kind (dense, spread, all to one, some experts empty, rows that end early), odd hidden and inner. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/conformance.h"

typedef enum route_kind {
    DENSE,  /* no ids: every row takes expert 0 */
    SPREAD, /* random experts */
    ALL_TO_ONE,
    EVEN_ONLY, /* odd experts stay empty */
    SHORT,     /* rows of 0, 1, .. top_k routes in turn */
    ROUTE_KINDS
} route_kind;

typedef struct experts_params {
    fa_numerics numerics;
    conf_values values;
    route_kind routes;
    fa_dtype in_type, down_type; /* of gate and up; of down */
    bool mixed;                  /* up, and down of every third expert, are BF16 instead */
    int rows, hidden, inner, n_experts, top_k;
} experts_params;

typedef struct experts_data {
    conf_data base;
    const experts_params *p;
    float *x;        /* [rows, hidden] */
    fa_expert *list; /* [n_experts] */
    int32_t *ids;    /* [rows, top_k] */
    float *weights;
} experts_data;

static void describe(const void *params, char *text, size_t size) {
    static const char *const names[ROUTE_KINDS] = {"dense", "spread", "all to one", "even only", "short"};
    const experts_params *p = params;
    snprintf(text, size, "experts %s%s %s T=%d hidden=%d inner=%d %s/%s experts=%d top_k=%d%s",
             p->numerics == FA_W8A8 ? "w8a8" : "w8a16", conf_values_name(p->values), names[p->routes], p->rows,
             p->hidden, p->inner, fa_dtype_get(p->in_type)->name, fa_dtype_get(p->down_type)->name, p->n_experts,
             p->top_k, p->mixed ? " mixed with BF16" : "");
}

/* Rising ids of one row; -1 ends it early. */
static void make_route(const experts_params *p, check_rng *rng, int row, int32_t *ids) {
    int step = p->routes == EVEN_ONLY ? 2 : 1, choices = (p->n_experts + step - 1) / step;
    int wanted = p->routes == SHORT ? row % (p->top_k + 1) : p->top_k, taken = 0;
    for (int k = 0; k < p->top_k; k++) ids[k] = -1;
    if (p->routes == ALL_TO_ONE) {
        ids[0] = p->n_experts / 2;
        return;
    }
    /* each choice is taken with the chance that leaves all subsets of the wanted size alike */
    for (int c = 0; c < choices && taken < wanted; c++)
        if (check_uniform(rng) * (choices - c) < wanted - taken) ids[taken++] = c * step;
}

static conf_data *make(const void *params, fa_arena *arena, check_rng *rng) {
    const experts_params *p = params;
    experts_data *d = conf_alloc(arena, 1, sizeof *d);
    d->p = p;
    d->base.rows = p->rows;
    d->base.width = p->hidden;
    d->x = conf_rows(arena, rng, p->rows, p->hidden, p->values);
    d->list = conf_alloc(arena, (size_t)p->n_experts, sizeof *d->list);
    for (int i = 0; i < p->n_experts; i++) {
        d->list[i].gate = conf_weight(arena, rng, p->in_type, p->inner, p->hidden, CONF_NORMAL);
        fa_dtype up_type = p->mixed ? FA_BF16 : p->in_type, down_type = p->mixed && i % 3 == 1 ? FA_BF16 : p->down_type;
        d->list[i].up = conf_weight(arena, rng, up_type, p->inner, p->hidden, CONF_NORMAL);
        d->list[i].down = conf_weight(arena, rng, down_type, p->hidden, p->inner, p->values);
        for (int k = 0; k < 3; k++) { /* as a model says it, for backends that place experts by it */
            fa_weight *w = k == 0 ? &d->list[i].gate : k == 1 ? &d->list[i].up : &d->list[i].down;
            w->use = FA_USE_EXPERT;
            w->expert = i;
            w->routed = p->routes != DENSE;
        }
        d->base.weights[d->base.n_weights++] = &d->list[i].gate;
        d->base.weights[d->base.n_weights++] = &d->list[i].up;
        d->base.weights[d->base.n_weights++] = &d->list[i].down;
    }
    d->ids = conf_alloc(arena, (size_t)(p->rows * p->top_k), sizeof *d->ids);
    d->weights = conf_rows(arena, rng, p->rows, p->top_k, CONF_NORMAL);
    for (int t = 0; t < p->rows; t++) make_route(p, rng, t, d->ids + t * p->top_k);
    if (p->values == CONF_HARD) d->weights[0] = 1e-39f, d->weights[p->top_k] = -0.0f;
    return &d->base;
}

static void run(conf_data *data, fa_backend *b, const int *rows, int n, float *out) {
    experts_data *d = (experts_data *)data;
    const experts_params *p = d->p;
    int32_t ids[80 * 8];
    float weights[80 * 8];
    for (int t = 0; t < n; t++) {
        memcpy(ids + t * p->top_k, d->ids + rows[t] * p->top_k, (size_t)p->top_k * sizeof *ids);
        memcpy(weights + t * p->top_k, d->weights + rows[t] * p->top_k, (size_t)p->top_k * sizeof *weights);
    }
    conf_matrix x = conf_upload(b, d->x, p->hidden, rows, n), y = conf_upload(b, NULL, p->hidden, NULL, n);
    fa_op op = {.kind = FA_OP_EXPERTS,
                .experts = {.numerics = p->numerics,
                            .rows = n,
                            .hidden = p->hidden,
                            .inner = p->inner,
                            .x = x.ref,
                            .ldx = x.ld,
                            .y = y.ref,
                            .ldy = y.ld,
                            .n_experts = p->n_experts,
                            .experts = d->list,
                            .top_k = p->top_k,
                            .ids = p->routes == DENSE ? NULL : ids,
                            .weights = p->routes == DENSE ? NULL : weights}};
    conf_submit(b, &op, 1);
    conf_collect(b, &y, out, data->width);
    conf_free(b, &x);
}

static const conf_kind kind = {describe, make, run};

#define A8(values, routes, ...) \
    { FA_W8A8, values, routes, FA_F8_E4M3, FA_F8_E4M3, false, __VA_ARGS__ }
#define A16(values, routes, in, down, ...) \
    { FA_W8A16, values, routes, in, down, false, __VA_ARGS__ }

static const experts_params table[] = {
    /* rows, hidden, inner, experts, top_k */
    A8(CONF_NORMAL, DENSE, 1, 128, 128, 1, 1),
    A8(CONF_NORMAL, DENSE, 5, 129, 257, 1, 1),
    A8(CONF_NORMAL, DENSE, 64, 136, 150, 1, 1),
    A8(CONF_HARD, DENSE, 14, 257, 129, 1, 1),
    A8(CONF_NORMAL, SPREAD, 1, 128, 136, 8, 1),
    A8(CONF_NORMAL, SPREAD, 2, 1, 1, 4, 2),
    A8(CONF_NORMAL, SPREAD, 3, 127, 3, 8, 3),
    A8(CONF_NORMAL, SPREAD, 5, 3, 127, 8, 4),
    A8(CONF_NORMAL, SPREAD, 17, 129, 128, 16, 5),
    A8(CONF_NORMAL, SPREAD, 64, 129, 33, 16, 6),
    A8(CONF_NORMAL, SPREAD, 17, 400, 257, 12, 7),
    A8(CONF_NORMAL, SPREAD, 33, 128, 300, 16, 8),
    A8(CONF_NORMAL, SPREAD, 5, 129, 129, 8, 8),
    A8(CONF_HARD, SPREAD, 21, 257, 136, 8, 3),
    A8(CONF_NORMAL, ALL_TO_ONE, 64, 129, 40, 8, 2),
    A8(CONF_NORMAL, ALL_TO_ONE, 3, 400, 128, 3, 1),
    A8(CONF_NORMAL, EVEN_ONLY, 17, 128, 129, 16, 4),
    A8(CONF_HARD, EVEN_ONLY, 14, 192, 136, 7, 2),
    A8(CONF_NORMAL, SHORT, 17, 129, 128, 8, 4),
    A8(CONF_HARD, SHORT, 64, 40, 130, 16, 8),
    /* more rows than a tile takes at once */
    A8(CONF_NORMAL, DENSE, 75, 129, 33, 1, 1),
    A8(CONF_NORMAL, ALL_TO_ONE, 75, 33, 129, 2, 1),
    A8(CONF_NORMAL, SPREAD, 75, 40, 20, 3, 3),
    {FA_W8A8, CONF_NORMAL, SPREAD, FA_F8_E4M3, FA_F8_E4M3, true, 17, 129, 257, 9, 4},
    {FA_W8A8, CONF_NORMAL, DENSE, FA_F8_E4M3, FA_F8_E4M3, true, 5, 257, 129, 1, 1},
    A16(CONF_NORMAL, SPREAD, FA_F8_E4M3, FA_F8_E4M3, 75, 129, 33, 2, 2),
    A16(CONF_NORMAL, DENSE, FA_F8_E4M3, FA_F8_E4M3, 5, 129, 257, 1, 1),
    A16(CONF_NORMAL, SPREAD, FA_F8_E4M3, FA_F8_E4M3, 17, 257, 129, 8, 3),
    A16(CONF_HARD, SPREAD, FA_F8_E4M3, FA_F8_E4M3, 14, 129, 17, 4, 2),
    A16(CONF_NORMAL, DENSE, FA_BF16, FA_BF16, 3, 192, 400, 1, 1),
    A16(CONF_NORMAL, SPREAD, FA_BF16, FA_BF16, 17, 129, 33, 8, 4),
    A16(CONF_HARD, SHORT, FA_BF16, FA_BF16, 17, 64, 257, 8, 4),
    A16(CONF_NORMAL, SPREAD, FA_F32, FA_F32, 5, 127, 15, 8, 2),
    A16(CONF_NORMAL, ALL_TO_ONE, FA_F16, FA_F16, 17, 65, 31, 4, 1),
    A16(CONF_NORMAL, SPREAD, FA_Q4_K, FA_Q6_K, 5, 256, 512, 4, 2),
    A16(CONF_NORMAL, SPREAD, FA_Q4_0, FA_Q8_0, 17, 96, 160, 8, 3),
    A16(CONF_NORMAL, DENSE, FA_Q5_K, FA_Q5_1, 3, 512, 288, 1, 1),
    /* FP8 next to other types: only E4M3 takes the integer sums */
    {FA_W8A8, CONF_NORMAL, SPREAD, FA_F8_E4M3, FA_BF16, false, 17, 129, 257, 4, 2},
    {FA_W8A8, CONF_NORMAL, SPREAD, FA_BF16, FA_F8_E4M3, false, 17, 257, 129, 4, 2},
    {FA_W8A8, CONF_NORMAL, SHORT, FA_F8_E5M2, FA_F8_E4M3, false, 5, 128, 129, 4, 2},
    {FA_W8A8, CONF_NORMAL, DENSE, FA_F8_E4M3, FA_F8_E5M2, false, 3, 136, 130, 1, 1},
};
enum { N_CASES = sizeof table / sizeof *table };

int main(int argc, char **argv) {
    conf_case cases[N_CASES];
    for (int i = 0; i < N_CASES; i++) cases[i] = (conf_case){&kind, &table[i]};
    return conf_main(argc, argv, cases, N_CASES);
}
