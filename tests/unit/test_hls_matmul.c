/* fathom_matmul by itself, matmuls and experts: every build, type and edge of tiles, blocks and batches of rows gives the
 * reference's bits. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/hls.h"

typedef struct matmul_shape {
    fa_numerics numerics;
    conf_values values;
    fa_dtype type;
    bool bias;
    int rows, outputs, inputs;
} matmul_shape;

static const matmul_shape matmuls[] = {
    {FA_W8A8, CONF_NORMAL, FA_F8_E4M3, true, 1, 1, 1},     {FA_W8A8, CONF_NORMAL, FA_F8_E4M3, false, 5, 300, 257},
    {FA_W8A8, CONF_HARD, FA_F8_E4M3, false, 9, 33, 129},   {FA_W8A8, CONF_TIES, FA_F8_E4M3, true, 3, 260, 384},
    {FA_W8A8, CONF_VAST, FA_F8_E4M3, false, 2, 17, 200},   {FA_W8A8, CONF_TINY, FA_F8_E4M3, false, 2, 17, 200},
    {FA_W8A8, CONF_NORMAL, FA_F8_E4M3, true, 2, 1100, 64}, {FA_W8A16, CONF_NORMAL, FA_F8_E4M3, false, 5, 70, 300},
    {FA_W8A16, CONF_HARD, FA_F8_E4M3, true, 8, 70, 129},   {FA_W8A8, CONF_NORMAL, FA_BF16, true, 5, 270, 33},
    {FA_W8A8, CONF_HARD, FA_BF16, false, 8, 31, 1100},     {FA_W8A16, CONF_NORMAL, FA_F32, false, 4, 64, 1500},
    {FA_W8A16, CONF_HARD, FA_F32, true, 8, 18, 17},        {FA_W8A16, CONF_TINY, FA_F32, false, 2, 18, 17},
    {FA_W8A8, CONF_NORMAL, FA_F8_E5M2, false, 2, 40, 130},
};
enum { N_MATMULS = sizeof matmuls / sizeof *matmuls };

static void run_matmul(const matmul_shape *s, const hls_variant *v, fa_arena *a) {
    check_rng rng = {(uint64_t)(s - matmuls) + 1};
    fa_weight w = conf_weight(a, &rng, s->type, s->outputs, s->inputs, s->values), bias;
    float *x = conf_rows(a, &rng, s->rows, s->inputs, s->values);
    bias = conf_weight(a, &rng, FA_F32, 1, s->outputs, CONF_NORMAL);
    size_t out_bytes = (size_t)(s->rows * s->outputs) * 4;
    fa_buffer *in = hls_reference_buffer(x, (size_t)(s->rows * s->inputs) * 4),
              *out = hls_reference_buffer(0, out_bytes);
    fa_op op = {
        .kind = FA_OP_MATMUL,
        .matmul = {s->numerics, s->rows, {in, 0}, s->inputs, 1, {{&w, s->bias ? &bias : NULL, {out, 0}, s->outputs}}}};
    hls_reference(&op);

    hls_memory m = hls_memory_make(a, v->ports, 40000);
    m.words = 3; /* not at the start of memory */
    int32_t at = hls_put_weight(&m, &w);
    hls_matrix mx = hls_matrix_make(a, x, s->rows, s->inputs, 5, 2),
               my = hls_matrix_make(a, NULL, s->rows, s->outputs, 9, 3);
    hls_matrix mb = hls_matrix_make(a, bias.data, 1, s->outputs, 7, 0);
    hls_call c = hls_call_make(v, "fathom_matmul", &m);
    hls_set_pointer(&c, "x", mx.words);
    hls_set_pointer(&c, "bias", mb.words);
    hls_set_pointer(&c, "y", my.words);
    hls_set(&c, "x_first", mx.first);
    hls_set(&c, "ldx", mx.ld);
    hls_set(&c, "y_first", my.first);
    hls_set(&c, "ldy", my.ld);
    hls_set(&c, "bias_first", mb.first);
    hls_set(&c, "rows", s->rows);
    hls_set(&c, "outputs", s->outputs);
    hls_set(&c, "inputs", s->inputs);
    hls_set(&c, "at", at);
    hls_set(&c, "type", hls_type(s->type));
    hls_set(&c, "w8a8", s->numerics == FA_W8A8);
    hls_set(&c, "has_bias", s->bias);
    hls_set(&c, "op", HLS_LINEAR);
    hls_set_pointer(&c, "table", NULL);
    hls_set(&c, "visited", 0);
    hls_set(&c, "keep", 0);
    hls_run(&c);
    hls_check_equal(&my, out->host);
    hls_reference_free(in);
    hls_reference_free(out);
}

typedef struct experts_shape {
    fa_numerics numerics;
    conf_values values;
    fa_dtype in_type, down_type;
    int rows, hidden, inner, n_experts, top_k;
} experts_shape;

static const experts_shape experts[] = {
    {FA_W8A8, CONF_NORMAL, FA_F8_E4M3, FA_F8_E4M3, 1, 1, 1, 1, 1},
    {FA_W8A8, CONF_NORMAL, FA_F8_E4M3, FA_F8_E4M3, 11, 257, 129, 5, 3},
    {FA_W8A8, CONF_HARD, FA_F8_E4M3, FA_F8_E4M3, 8, 130, 140, 3, 2},
    {FA_W8A16, CONF_HARD, FA_F8_E4M3, FA_BF16, 8, 130, 33, 3, 2},
    {FA_W8A8, CONF_NORMAL, FA_BF16, FA_F8_E4M3, 7, 64, 300, 4, 2},
    {FA_W8A16, CONF_NORMAL, FA_F32, FA_F32, 3, 33, 31, 2, 2},
    {FA_W8A8, CONF_NORMAL, FA_F8_E4M3, FA_F8_E4M3, 2, 600, 1100, 2, 1},
};
enum { N_EXPERTS = sizeof experts / sizeof *experts, MAX_ROUTES = 64, MAX_EXPERTS = 8 };

/* The table of the kernel for the routes `ids` [rows, top_k]; returns the number of experts visited. */
static int32_t make_table(const experts_shape *s, const int32_t *ids, const float *weights, int32_t at[][3],
                          int32_t *table) {
    int32_t visited = 0, routes = 0, pairs[2 * MAX_ROUTES];
    for (int e = 0; e < s->n_experts; e++) {
        int32_t *f = table + visited * HLS_EXPERT_FIELDS, first = routes;
        for (int i = 0; i < s->rows * s->top_k; i++) {
            if (ids[i] != e) continue;
            pairs[2 * routes] = i / s->top_k;
            memcpy(&pairs[2 * routes++ + 1], &weights[i], 4);
        }
        if (routes == first) continue;
        for (int i = 0; i < 3; i++) f[HLS_EXPERT_GATE_AT + i] = at[e][i];
        f[HLS_EXPERT_GATE_TYPE] = f[HLS_EXPERT_UP_TYPE] = hls_type(s->in_type);
        f[HLS_EXPERT_DOWN_TYPE] = hls_type(s->down_type);
        f[HLS_EXPERT_FIRST_ROUTE] = first;
        f[HLS_EXPERT_ROUTES] = routes - first;
        visited++;
    }
    memcpy(table + visited * HLS_EXPERT_FIELDS, pairs, (size_t)routes * 8);
    return visited;
}

/* Both launches: what gate and up give into `inner`, that into y. */
static void launch_experts(const experts_shape *s, const hls_variant *v, const hls_memory *m, const hls_matrix *x,
                           const hls_matrix *inner, const hls_matrix *y, const int32_t *table, int32_t visited,
                           bool keep) {
    for (int routed = 0; routed < 2; routed++) {
        const hls_matrix *from = routed ? inner : x, *to = routed ? y : inner;
        hls_call c = hls_call_make(v, "fathom_matmul", m);
        hls_set_pointer(&c, "x", from->words);
        hls_set_pointer(&c, "y", to->words);
        hls_set_pointer(&c, "table", table);
        hls_set(&c, "x_first", from->first);
        hls_set(&c, "ldx", from->ld);
        hls_set(&c, "y_first", to->first);
        hls_set(&c, "ldy", to->ld);
        hls_set(&c, "op", routed ? HLS_ROUTED : HLS_GATED);
        hls_set(&c, "rows", s->rows);
        hls_set(&c, "outputs", routed ? s->hidden : s->inner);
        hls_set(&c, "inputs", routed ? s->inner : s->hidden);
        hls_set(&c, "visited", visited);
        hls_set(&c, "w8a8", s->numerics == FA_W8A8);
        hls_set(&c, "keep", keep);
        hls_set_pointer(&c, "bias", NULL);
        hls_set(&c, "bias_first", 0);
        hls_set(&c, "has_bias", 0);
        hls_set(&c, "at", 0);
        hls_set(&c, "type", 0);
        hls_run(&c);
    }
}

static void run_experts(const experts_shape *s, const hls_variant *v, fa_arena *a) {
    check_rng rng = {(uint64_t)(s - experts) + 100};
    fa_expert list[MAX_EXPERTS];
    hls_memory m = hls_memory_make(a, v->ports, 80000);
    int32_t at[MAX_EXPERTS][3], ids[MAX_ROUTES], table[MAX_EXPERTS * HLS_EXPERT_FIELDS + 2 * MAX_ROUTES];
    for (int e = 0; e < s->n_experts; e++) {
        list[e].gate = conf_weight(a, &rng, s->in_type, s->inner, s->hidden, CONF_NORMAL);
        list[e].up = conf_weight(a, &rng, s->in_type, s->inner, s->hidden, CONF_NORMAL);
        list[e].down = conf_weight(a, &rng, s->down_type, s->hidden, s->inner, s->values);
        at[e][0] = hls_put_weight(&m, &list[e].gate);
        at[e][1] = hls_put_weight(&m, &list[e].up);
        at[e][2] = hls_put_weight(&m, &list[e].down);
    }
    for (int i = 0; i < s->rows * s->top_k; i++) /* rising, some rows end early, expert 0 is busiest */
        ids[i] = i % s->top_k == 0 ? 0 : i / s->top_k % 3 ? i % s->top_k + s->n_experts - s->top_k : -1;
    float *weights = conf_rows(a, &rng, s->rows, s->top_k, CONF_NORMAL),
          *x = conf_rows(a, &rng, s->rows, s->hidden, s->values);
    int32_t visited = make_table(s, ids, weights, at, table);
    fa_buffer *in = hls_reference_buffer(x, (size_t)(s->rows * s->hidden) * 4);
    fa_buffer *out = hls_reference_buffer(0, (size_t)(s->rows * s->hidden) * 4);
    fa_op op = {.kind = FA_OP_EXPERTS,
                .experts = {s->numerics,
                            s->rows,
                            s->hidden,
                            s->inner,
                            {in, 0},
                            s->hidden,
                            {out, 0},
                            s->hidden,
                            s->n_experts,
                            list,
                            s->top_k,
                            ids,
                            weights}};
    hls_reference(&op);

    hls_matrix mx = hls_matrix_make(a, x, s->rows, s->hidden, 5, 2),
               my = hls_matrix_make(a, NULL, s->rows, s->hidden, 9, 3),
               inner = hls_matrix_make(a, NULL, s->rows * s->top_k, s->inner, 3, 1);
    for (int part = 0; part < 2; part++) { /* the first expert, then the others onto its results */
        int32_t some[MAX_EXPERTS * HLS_EXPERT_FIELDS + 2 * MAX_ROUTES], n = part ? visited - 1 : 1;
        memcpy(some, table + part * HLS_EXPERT_FIELDS, (size_t)n * HLS_EXPERT_FIELDS * 4);
        memcpy(some + n * HLS_EXPERT_FIELDS, table + visited * HLS_EXPERT_FIELDS, 8 * MAX_ROUTES);
        launch_experts(s, v, &m, &mx, &inner, &my, some, n, part);
    }
    hls_check_equal(&my, out->host);
    hls_reference_free(in);
    hls_reference_free(out);
}

static void matmul_gives_the_references_bits(void *arg) {
    hls_variant v = hls_variant_get((int)(intptr_t)arg);
    for (int i = 0; i < N_MATMULS; i++) {
        fa_arena a = {0};
        run_matmul(&matmuls[i], &v, &a);
        fa_arena_free(&a);
    }
}

static void experts_give_the_references_bits(void *arg) {
    hls_variant v = hls_variant_get((int)(intptr_t)arg);
    for (int i = 0; i < N_EXPERTS; i++) {
        fa_arena a = {0};
        run_experts(&experts[i], &v, &a);
        fa_arena_free(&a);
    }
}

int main(int argc, char **argv) {
    static const char *const names[2][7] = {{"matmul, 1 port", "matmul, 2 ports", "matmul, 4 ports", "matmul, 8 ports",
                                             "matmul, 16 ports", "matmul, checked streams", "matmul, clang"},
                                            {"experts, 1 port", "experts, 2 ports", "experts, 4 ports",
                                             "experts, 8 ports", "experts, 16 ports", "experts, checked streams",
                                             "experts, clang"}};
    check_case cases[14];
    for (int i = 0; i < 14; i++)
        cases[i] = (check_case){names[i / 7][i % 7],
                                i < 7 ? matmul_gives_the_references_bits : experts_give_the_references_bits,
                                (void *)(intptr_t)(i % 7)};
    int failed = check_main(argc, argv, cases, 14);
    conf_close();
    return failed;
}
