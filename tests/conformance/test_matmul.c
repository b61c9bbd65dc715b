/* matmul: every weight type, edges of blocks and tiles, several parts, biases, values of all magnitudes. */
#include <stdio.h>

#include "tests/lib/conformance.h"

enum { NO_BIAS = -1 };

typedef struct matmul_params {
    fa_numerics numerics;
    conf_values values;
    int rows, cols; /* T, K */
    int n_parts;
    struct {
        int type, n, bias; /* types; bias may be NO_BIAS */
    } part[FA_MATMUL_PARTS];
} matmul_params;

typedef struct matmul_data {
    conf_data base;
    const matmul_params *p;
    float *x; /* [rows, cols] */
    fa_weight w[FA_MATMUL_PARTS], bias[FA_MATMUL_PARTS];
} matmul_data;

static void describe(const void *params, char *text, size_t size) {
    const matmul_params *p = params;
    int used = snprintf(text, size, "matmul %s%s T=%d K=%d", p->numerics == FA_W8A8 ? "w8a8" : "w8a16",
                        conf_values_name(p->values), p->rows, p->cols);
    for (int i = 0; i < p->n_parts; i++) {
        const char *bias = p->part[i].bias == NO_BIAS ? "" : fa_dtype_get((fa_dtype)p->part[i].bias)->name;
        used += snprintf(text + used, size - (size_t)used, " %s N=%d%s%s",
                         fa_dtype_get((fa_dtype)p->part[i].type)->name, p->part[i].n, *bias ? " bias " : "", bias);
    }
}

static conf_data *make(const void *params, fa_arena *arena, check_rng *rng) {
    const matmul_params *p = params;
    matmul_data *d = conf_alloc(arena, 1, sizeof *d);
    d->p = p;
    d->base.rows = p->rows;
    d->x = conf_rows(arena, rng, p->rows, p->cols, p->values);
    for (int i = 0; i < p->n_parts; i++) {
        d->w[i] = conf_weight(arena, rng, (fa_dtype)p->part[i].type, p->part[i].n, p->cols, p->values);
        d->base.weights[d->base.n_weights++] = &d->w[i];
        d->base.width += p->part[i].n;
        if (p->part[i].bias == NO_BIAS) continue;
        d->bias[i] = conf_weight(arena, rng, (fa_dtype)p->part[i].bias, 1, p->part[i].n, p->values);
        d->base.weights[d->base.n_weights++] = &d->bias[i];
    }
    return &d->base;
}

static void run(conf_data *data, fa_backend *b, const int *rows, int n, float *out) {
    matmul_data *d = (matmul_data *)data;
    const matmul_params *p = d->p;
    conf_matrix x = conf_upload(b, d->x, p->cols, rows, n), y[FA_MATMUL_PARTS];
    fa_op op = {.kind = FA_OP_MATMUL,
                .matmul = {.numerics = p->numerics, .rows = n, .x = x.ref, .ldx = x.ld, .n_parts = p->n_parts}};
    for (int i = 0; i < p->n_parts; i++) {
        y[i] = conf_upload(b, NULL, p->part[i].n, NULL, n);
        op.matmul.part[i].w = &d->w[i];
        op.matmul.part[i].bias = p->part[i].bias == NO_BIAS ? NULL : &d->bias[i];
        op.matmul.part[i].y = y[i].ref;
        op.matmul.part[i].ldy = y[i].ld;
    }
    conf_submit(b, &op, 1);
    for (int i = 0; i < p->n_parts; out += p->part[i++].n) conf_collect(b, &y[i], out, data->width);
    conf_free(b, &x);
}

static const conf_kind kind = {describe, make, run};

#define ONE(numerics, values, rows, cols, type, n) \
    {                                              \
        numerics, values, rows, cols, 1, {         \
            { type, n, NO_BIAS }                   \
        }                                          \
    }
#define A8(rows, cols, n) ONE(FA_W8A8, CONF_NORMAL, rows, cols, FA_F8_E4M3, n)
#define A8_HARD(rows, cols, n) ONE(FA_W8A8, CONF_HARD, rows, cols, FA_F8_E4M3, n)
#define A16(rows, cols, type, n) ONE(FA_W8A16, CONF_NORMAL, rows, cols, type, n)
#define A16_HARD(rows, cols, type, n) ONE(FA_W8A16, CONF_HARD, rows, cols, type, n)

static const matmul_params table[] = {
    /* every K, each with other N and T */
    A8(1, 1, 1),
    A8(3, 3, 5),
    A8(5, 127, 128),
    A8(17, 128, 129),
    A8(2, 129, 300),
    A8(64, 257, 128),
    A8(5, 400, 129),
    A8(3, 1536, 300),
    A8(64, 128, 1),
    A8(1, 1536, 129),
    A8(2, 400, 1),
    A8(17, 257, 5),
    A8(1, 129, 17),
    A8(9, 384, 256),
    A8_HARD(7, 1, 5),
    A8_HARD(14, 129, 129),
    A8_HARD(17, 257, 300),
    A8_HARD(64, 400, 17),
    A8_HARD(7, 1536, 130),
    ONE(FA_W8A8, CONF_TINY, 3, 300, FA_F8_E4M3, 260),
    ONE(FA_W8A16, CONF_TINY, 3, 300, FA_F8_E4M3, 260),
    ONE(FA_W8A16, CONF_TINY, 2, 300, FA_F8_E5M2, 140),
    ONE(FA_W8A16, CONF_TINY, 2, 70, FA_F32, 21),
    ONE(FA_W8A16, CONF_TINY, 2, 70, FA_BF16, 21),
    ONE(FA_W8A16, CONF_TINY, 2, 70, FA_F16, 21),
    ONE(FA_W8A16, CONF_VAST, 2, 300, FA_F8_E4M3, 140),
    ONE(FA_W8A8, CONF_TIES, 20, 300, FA_F8_E4M3, 9),
    A16(1, 1, FA_F8_E4M3, 1),
    A16(3, 3, FA_F8_E4M3, 5),
    A16(5, 127, FA_F8_E4M3, 129),
    A16(17, 128, FA_F8_E4M3, 128),
    A16(2, 129, FA_F8_E4M3, 300),
    A16(64, 257, FA_F8_E4M3, 5),
    A16(3, 400, FA_F8_E4M3, 129),
    A16(2, 1536, FA_F8_E4M3, 300),
    A16_HARD(14, 257, FA_F8_E4M3, 130),
    A16_HARD(7, 17, FA_F8_E4M3, 3),
    /* more rows than a tile takes at once */
    A8(65, 129, 17),
    A8(80, 1536, 21),
    A8(80, 257, 130),
    A16(80, 129, FA_F8_E4M3, 17),
    A16(66, 600, FA_BF16, 19),
    A16(65, 544, FA_Q8_0, 18),
    /* E5M2 takes the ordered sum in both modes */
    ONE(FA_W8A8, CONF_NORMAL, 3, 129, FA_F8_E5M2, 130),
    A16(5, 400, FA_F8_E5M2, 17),
    A16_HARD(7, 257, FA_F8_E5M2, 129),
    /* unquantised types */
    A16(1, 1, FA_F32, 1),
    A16(5, 127, FA_F32, 129),
    A16(17, 400, FA_F32, 5),
    A16(2, 1536, FA_F32, 300),
    A16(64, 15, FA_F32, 3),
    A16_HARD(14, 257, FA_F32, 33),
    ONE(FA_W8A8, CONF_NORMAL, 3, 257, FA_F32, 17),
    A16(1, 1, FA_BF16, 1),
    A16(5, 127, FA_BF16, 129),
    A16(17, 257, FA_BF16, 5),
    A16(2, 1536, FA_BF16, 300),
    A16(64, 31, FA_BF16, 7),
    A16_HARD(14, 129, FA_BF16, 33),
    ONE(FA_W8A8, CONF_NORMAL, 3, 400, FA_BF16, 300),
    A16(1, 1, FA_F16, 1),
    A16(5, 129, FA_F16, 128),
    A16(17, 400, FA_F16, 5),
    A16_HARD(14, 257, FA_F16, 33),
    /* GGUF blocks */
    A16(1, 32, FA_Q4_0, 1),
    A16(5, 416, FA_Q4_0, 129),
    A16_HARD(7, 96, FA_Q4_0, 17),
    A16(1, 32, FA_Q4_1, 5),
    A16(3, 160, FA_Q4_1, 130),
    A16(2, 32, FA_Q5_0, 3),
    A16(5, 288, FA_Q5_0, 129),
    A16(1, 64, FA_Q5_1, 1),
    A16(5, 416, FA_Q5_1, 33),
    A16(1, 32, FA_Q8_0, 5),
    A16(17, 160, FA_Q8_0, 129),
    A16(3, 1536, FA_Q8_0, 300),
    A16_HARD(7, 96, FA_Q8_0, 17),
    A16(1, 256, FA_Q4_K, 1),
    A16(5, 768, FA_Q4_K, 129),
    A16(3, 256, FA_Q5_K, 5),
    A16(2, 1536, FA_Q5_K, 130),
    A16(3, 256, FA_Q6_K, 5),
    A16(17, 512, FA_Q6_K, 129),
    A16_HARD(7, 256, FA_Q6_K, 33),
    /* several parts of unlike types and sizes, with biases */
    {FA_W8A8, CONF_NORMAL, 5, 257, 2, {{FA_F8_E4M3, 129, FA_F32}, {FA_F8_E4M3, 5, FA_BF16}}},
    {FA_W8A8, CONF_HARD, 14, 400, 3, {{FA_F8_E4M3, 300, FA_F16}, {FA_BF16, 17, FA_F32}, {FA_F8_E4M3, 1, FA_F32}}},
    {FA_W8A16,
     CONF_NORMAL,
     3,
     128,
     4,
     {{FA_F8_E4M3, 130, NO_BIAS}, {FA_F32, 64, FA_BF16}, {FA_F8_E5M2, 5, FA_F32}, {FA_F16, 33, NO_BIAS}}},
    {FA_W8A16, CONF_HARD, 7, 96, 2, {{FA_Q8_0, 65, FA_F32}, {FA_Q4_0, 31, FA_F16}}},
    {FA_W8A8, CONF_NORMAL, 17, 1024, 3, {{FA_BF16, 160, FA_BF16}, {FA_BF16, 32, FA_BF16}, {FA_BF16, 32, FA_BF16}}},
};
enum { N_CASES = sizeof table / sizeof *table };

int main(int argc, char **argv) {
    conf_case cases[N_CASES];
    for (int i = 0; i < N_CASES; i++) cases[i] = (conf_case){&kind, &table[i]};
    return conf_main(argc, argv, cases, N_CASES);
}
