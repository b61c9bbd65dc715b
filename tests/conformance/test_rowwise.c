/* rmsnorm, rope, add and store: odd lengths, row indices, in-place forms, every cache type. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/format/fp8.h"
#include "tests/lib/conformance_cache.h"

enum { MAX_ROWS = 80, POSITIONS = 4200, LAYERS = 2, LAYER = 1 };

typedef struct row_params {
    enum { NORM, NORM_IN_PLACE, NORM_INDEX, ADD, ADD_TO_A, ADD_TO_B, ROPE_PAIRS, ROPE_HALVES, STORE_MLA, STORE_GQA } op;
    conf_values values;
    int rows, n;         /* n: elements; of rope: dims; of a store: part a */
    int heads, gap, n_b; /* of rope: elements between heads; of a store: part b */
    int type;            /* of norm: of the weight; of a store: of the cache */
} row_params;

typedef struct row_data {
    conf_data base;
    const row_params *p;
    int64_t n_a, n_b;
    float *a, *b;
    fa_weight weight;
    float *table; /* [POSITIONS, n] */
    conf_cache cache;
    fa_place *place; /* [rows] */
} row_data;

static void describe(const void *params, char *text, size_t size) {
    static const char *const names[] = {"rmsnorm",  "rmsnorm in place", "rmsnorm by index", "add",       "add to a",
                                        "add to b", "rope interleaved", "rope halves",      "store mla", "store gqa"};
    static const char *const cache[FA_CACHE_TYPE_COUNT] = {"f32", "bf16", "fp8"};
    const row_params *p = params;
    int used = snprintf(text, size, "%s%s T=%d n=%d", names[p->op], conf_values_name(p->values), p->rows, p->n);
    char *end = text + used;
    size -= (size_t)used;
    if (p->op <= NORM_INDEX) snprintf(end, size, " %s", fa_dtype_get((fa_dtype)p->type)->name);
    if (p->op == ROPE_PAIRS || p->op == ROPE_HALVES) snprintf(end, size, " heads=%d gap=%d", p->heads, p->gap);
    if (p->op >= STORE_MLA) snprintf(end, size, " and %d %s", p->n_b, cache[p->type]);
}

static void make_rope(row_data *d, fa_arena *arena, check_rng *rng) {
    const row_params *p = d->p;
    d->n_a = p->gap + (int64_t)p->heads * (p->n + p->gap); /* a gap before each head and after the last */
    d->base.width = d->n_a;
    d->table = conf_alloc(arena, POSITIONS * (size_t)p->n, sizeof *d->table);
    for (int i = 0; i < POSITIONS * p->n; i++) {
        double angle = i / p->n * pow(10000.0, -2.0 * (i % (p->n / 2)) / p->n);
        d->table[i] = (float)(i % p->n < p->n / 2 ? cos(angle) : sin(angle));
    }
    d->place = conf_alloc(arena, (size_t)p->rows, sizeof *d->place);
    for (int t = 0; t < p->rows; t++) d->place[t].pos = t == 0 ? POSITIONS - 1 : (int32_t)(check_u64(rng) % POSITIONS);
}

/* Rows go to places of one sequence that spans three pages, some at page edges. */
static void make_store(row_data *d, fa_arena *arena, check_rng *rng) {
    const row_params *p = d->p;
    fa_kv_layout layout = fa_kv_layout_make((fa_cache_type)p->type, p->op == STORE_MLA, p->n, p->n_b, LAYERS);
    conf_data unused = {0};
    d->n_b = p->n_b;
    d->cache = conf_make_cache(&unused, arena, rng, layout, LAYER, CONF_EDGES, CONF_NORMAL);
    d->base.pool_bytes = unused.pool_bytes;
    d->base.pool_size = unused.pool_size;
    d->base.width = p->n + p->n_b + (p->n + 127) / 128 + (p->n_b + 127) / 128;
    d->place = conf_alloc(arena, (size_t)p->rows, sizeof *d->place);
    for (int t = 0; t < p->rows; t++) d->place[t] = (fa_place){(t + 61) % 192, d->cache.place[0].pages};
}

static conf_data *make(const void *params, fa_arena *arena, check_rng *rng) {
    const row_params *p = params;
    row_data *d = conf_alloc(arena, 1, sizeof *d);
    d->p = p;
    d->base.rows = p->rows;
    d->n_a = d->n_b = d->base.width = p->n;
    if (p->op == ROPE_PAIRS || p->op == ROPE_HALVES) make_rope(d, arena, rng);
    if (p->op >= STORE_MLA) make_store(d, arena, rng);
    d->a = conf_rows(arena, rng, p->rows, d->n_a, p->values);
    d->b = conf_rows(arena, rng, p->rows, d->n_b, p->values);
    if (p->op <= NORM_INDEX) {
        d->weight = conf_weight(arena, rng, (fa_dtype)p->type, 1, p->n, p->values);
        d->base.weights[d->base.n_weights++] = &d->weight;
    }
    return &d->base;
}

static void run_norm(row_data *d, fa_backend *b, const int *rows, int n, float *out) {
    const row_params *p = d->p;
    int all[MAX_ROWS];
    int32_t index[MAX_ROWS];
    for (int t = 0; t < p->rows; t++) all[t] = t;
    for (int t = 0; t < n; t++) index[t] = rows[t];
    bool by_index = p->op == NORM_INDEX, in_place = p->op == NORM_IN_PLACE;
    conf_matrix x = conf_upload(b, d->a, p->n, by_index ? all : rows, by_index ? p->rows : n);
    conf_matrix y = in_place ? x : conf_upload(b, NULL, p->n, NULL, n);
    fa_op op = {.kind = FA_OP_RMSNORM,
                .rmsnorm = {.rows = n,
                            .n = p->n,
                            .x = x.ref,
                            .ldx = x.ld,
                            .index = by_index ? index : NULL,
                            .weight = &d->weight,
                            .eps = 1e-6f,
                            .y = y.ref,
                            .ldy = y.ld}};
    conf_submit(b, &op, 1);
    conf_collect(b, &y, out, d->base.width);
    if (!in_place) conf_free(b, &x);
}

static void run_add(row_data *d, fa_backend *b, const int *rows, int n, float *out) {
    const row_params *p = d->p;
    conf_matrix a = conf_upload(b, d->a, p->n, rows, n), c = conf_upload(b, d->b, p->n, rows, n);
    conf_matrix y = p->op == ADD_TO_A ? a : p->op == ADD_TO_B ? c : conf_upload(b, NULL, p->n, NULL, n);
    fa_op op = {.kind = FA_OP_ADD,
                .add = {n, p->n, .a = a.ref, .b = c.ref, .y = y.ref, .lda = a.ld, .ldb = c.ld, .ldy = y.ld}};
    conf_submit(b, &op, 1);
    conf_collect(b, &y, out, d->base.width);
    if (p->op != ADD_TO_A) conf_free(b, &a);
    if (p->op != ADD_TO_B) conf_free(b, &c);
}

/* The whole row comes back, gaps between heads included. */
static void run_rope(row_data *d, fa_backend *b, const int *rows, int n, float *out) {
    const row_params *p = d->p;
    fa_place place[MAX_ROWS];
    for (int t = 0; t < n; t++) place[t] = d->place[rows[t]];
    fa_error e;
    fa_buffer *table;
    size_t table_bytes = (size_t)POSITIONS * (size_t)p->n * sizeof(float);
    CHECK_OK(b->alloc(b, table_bytes, &table, &e), &e);
    CHECK_OK(b->write(b, table, 0, d->table, table_bytes, &e), &e);
    conf_matrix x = conf_upload(b, d->a, d->n_a, rows, n);
    fa_op op = {.kind = FA_OP_ROPE,
                .rope = {.rows = n,
                         .place = place,
                         .x = x.ref,
                         .ldx = x.ld,
                         .heads = p->heads,
                         .stride = p->n + p->gap,
                         .first = p->gap,
                         .dims = p->n,
                         .interleaved = p->op == ROPE_PAIRS,
                         .table = {table, 0}}};
    conf_submit(b, &op, 1);
    conf_collect(b, &x, out, d->base.width);
    b->free(b, table);
}

/* A part of a stored row as numbers: its values, or its codes and then its scales. */
static float *part_numbers(const fa_kv_part *part, const uint8_t *row, float *out) {
    const uint8_t *codes = row + part->offset_bytes;
    for (int i = 0; i < part->n; i++) {
        uint16_t half;
        if (part->type == FA_F32) memcpy(&out[i], codes + 4 * i, 4);
        if (part->type == FA_BF16) memcpy(&half, codes + 2 * i, 2), out[i] = fa_bf16_decode(half);
        if (part->type == FA_F8_E4M3) out[i] = codes[i];
    }
    out += part->n;
    int n_scales = part->type == FA_F8_E4M3 ? (part->n + 127) / 128 : 0;
    memcpy(out, row + part->scales_offset, (size_t)n_scales * 4);
    return out + n_scales;
}

static void run_store(row_data *d, fa_backend *b, const int *rows, int n, float *out) {
    fa_error e;
    fa_place place[MAX_ROWS];
    size_t size = d->base.pool_size;
    uint8_t *before = malloc(size), *after = malloc(size);
    CHECK(before && after, "out of memory");
    memcpy(before, d->base.pool_bytes, size);
    CHECK_OK(b->write(b, d->base.pool, 0, before, size, &e), &e);
    conf_matrix x = conf_upload(b, d->a, d->n_a, rows, n), y = conf_upload(b, d->b, d->n_b, rows, n);
    for (int t = 0; t < n; t++) place[t] = d->place[rows[t]];
    const fa_kv_layout *l = &d->cache.layout;
    fa_op op = {.kind = FA_OP_STORE,
                .store = {.rows = n,
                          .place = place,
                          .a = x.ref,
                          .b = y.ref,
                          .lda = x.ld,
                          .ldb = y.ld,
                          .kv = {d->base.pool, l, LAYER}}};
    conf_submit(b, &op, 1);
    CHECK_OK(b->read(b, d->base.pool, 0, after, size, &e), &e);
    conf_free(b, &x);
    conf_free(b, &y);
    for (int t = 0; t < n; t++) {
        int64_t at = place[t].pages[place[t].pos / 64] * l->page_bytes + LAYER * l->layer_bytes +
                     place[t].pos % 64 * l->row_bytes;
        float *row_out = out + t * d->base.width;
        memset(row_out, 0, (size_t)d->base.width * sizeof(float));
        part_numbers(&l->b, after + at, part_numbers(&l->a, after + at, row_out));
        memcpy(before + at, after + at, (size_t)l->row_bytes);
    }
    bool same = !memcmp(before, after, size);
    free(before);
    free(after);
    CHECK(same, "bytes of other rows, layers or pages were changed");
}

static void run(conf_data *data, fa_backend *b, const int *rows, int n, float *out) {
    row_data *d = (row_data *)data;
    if (d->p->op <= NORM_INDEX)
        run_norm(d, b, rows, n, out);
    else if (d->p->op <= ADD_TO_B)
        run_add(d, b, rows, n, out);
    else if (d->p->op <= ROPE_HALVES)
        run_rope(d, b, rows, n, out);
    else
        run_store(d, b, rows, n, out);
}

static const conf_kind kind = {describe, make, run};

#define NORM_CASE(op, values, rows, n, type) \
    { op, values, rows, n, 0, 0, 0, type }
#define ADD_CASE(op, values, rows, n) \
    { op, values, rows, n, 0, 0, 0, 0 }
#define ROPE_CASE(op, values, rows, dims, heads, gap) \
    { op, values, rows, dims, heads, gap, 0, 0 }
#define STORE_CASE(op, values, rows, n_a, n_b, cache) \
    { op, values, rows, n_a, 0, 0, n_b, cache }

static const row_params table[] = {
    NORM_CASE(NORM, CONF_NORMAL, 1, 1, FA_F32),
    NORM_CASE(NORM, CONF_NORMAL, 3, 15, FA_F32),
    NORM_CASE(NORM, CONF_NORMAL, 17, 129, FA_BF16),
    NORM_CASE(NORM, CONF_NORMAL, 64, 400, FA_F16),
    NORM_CASE(NORM, CONF_NORMAL, 2, 1536, FA_BF16),
    NORM_CASE(NORM, CONF_HARD, 14, 257, FA_F32),
    NORM_CASE(NORM, CONF_NORMAL, 80, 1536, FA_BF16),
    NORM_CASE(NORM_IN_PLACE, CONF_NORMAL, 5, 127, FA_F32),
    NORM_CASE(NORM_IN_PLACE, CONF_HARD, 14, 64, FA_BF16),
    NORM_CASE(NORM_INDEX, CONF_NORMAL, 17, 192, FA_F32),
    NORM_CASE(NORM_INDEX, CONF_HARD, 7, 33, FA_BF16),
    ADD_CASE(ADD, CONF_NORMAL, 1, 1),
    ADD_CASE(ADD, CONF_NORMAL, 17, 129),
    ADD_CASE(ADD, CONF_HARD, 14, 400),
    ADD_CASE(ADD_TO_A, CONF_NORMAL, 80, 1536),
    ADD_CASE(ADD_TO_A, CONF_NORMAL, 64, 257),
    ADD_CASE(ADD_TO_B, CONF_HARD, 7, 15),
    ROPE_CASE(ROPE_PAIRS, CONF_NORMAL, 1, 2, 1, 0),
    ROPE_CASE(ROPE_PAIRS, CONF_NORMAL, 17, 16, 3, 24),
    ROPE_CASE(ROPE_PAIRS, CONF_NORMAL, 5, 64, 16, 128),
    ROPE_CASE(ROPE_PAIRS, CONF_HARD, 14, 34, 2, 5),
    ROPE_CASE(ROPE_HALVES, CONF_NORMAL, 1, 2, 2, 1),
    ROPE_CASE(ROPE_HALVES, CONF_NORMAL, 64, 128, 4, 0),
    ROPE_CASE(ROPE_HALVES, CONF_NORMAL, 3, 18, 5, 7),
    ROPE_CASE(ROPE_HALVES, CONF_HARD, 14, 64, 2, 3),
    STORE_CASE(STORE_MLA, CONF_NORMAL, 1, 1, 2, FA_CACHE_F32),
    STORE_CASE(STORE_MLA, CONF_NORMAL, 17, 112, 16, FA_CACHE_F32),
    STORE_CASE(STORE_MLA, CONF_HARD, 14, 129, 6, FA_CACHE_F32),
    STORE_CASE(STORE_MLA, CONF_NORMAL, 17, 112, 16, FA_CACHE_BF16),
    STORE_CASE(STORE_MLA, CONF_HARD, 14, 129, 7, FA_CACHE_BF16),
    STORE_CASE(STORE_MLA, CONF_NORMAL, 64, 512, 64, FA_CACHE_FP8),
    STORE_CASE(STORE_MLA, CONF_HARD, 21, 257, 7, FA_CACHE_FP8),
    STORE_CASE(STORE_GQA, CONF_NORMAL, 5, 33, 33, FA_CACHE_F32),
    STORE_CASE(STORE_GQA, CONF_NORMAL, 64, 256, 256, FA_CACHE_BF16),
    STORE_CASE(STORE_GQA, CONF_TIES, 20, 300, 300, FA_CACHE_FP8),
    STORE_CASE(STORE_GQA, CONF_TIES, 20, 300, 300, FA_CACHE_BF16),
    STORE_CASE(STORE_GQA, CONF_NORMAL, 17, 130, 130, FA_CACHE_FP8),
    STORE_CASE(STORE_GQA, CONF_HARD, 21, 3, 3, FA_CACHE_FP8),
    STORE_CASE(STORE_GQA, CONF_HARD, 14, 384, 384, FA_CACHE_FP8),
};
enum { N_CASES = sizeof table / sizeof *table };

int main(int argc, char **argv) {
    conf_case cases[N_CASES];
    for (int i = 0; i < N_CASES; i++) cases[i] = (conf_case){&kind, &table[i]};
    return conf_main(argc, argv, cases, N_CASES);
}
