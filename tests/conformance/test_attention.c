/* mla and gqa: page edges, long contexts in shuffled pages, every cache type, odd dimensions, weights cut by block edges. */
#include <math.h>
#include <stdio.h>

#include "tests/lib/conformance_cache.h"

enum { MAX_ROWS = 80, LAYERS = 3, LAYER = 1 };

static const char *const cache_names[FA_CACHE_TYPE_COUNT] = {"f32", "bf16", "fp8"};

typedef struct mla_params {
    conf_positions positions;
    conf_values values;
    fa_cache_type cache;
    int heads, nope, rope, v, rank;
    enum { KV_B, SPLIT, TRANSPOSED } up; /* one kv_b; k_up and v_up; the same with k_up transposed */
    fa_dtype k_type, v_type;
    float sharpness; /* of the softmax: 1 as models have it */
} mla_params;

typedef struct mla_data {
    conf_data base;
    const mla_params *p;
    conf_cache cache;
    float *q;
    fa_weight k_up, v_up;
    fa_mla op; /* without rows, q, y and pool */
} mla_data;

static void describe_mla(const void *params, char *text, size_t size) {
    static const char *const up[] = {"kv_b", "split", "transposed"};
    const mla_params *p = params;
    snprintf(text, size, "mla %s%s %s heads=%d nope=%d rope=%d v=%d rank=%d %s %s/%s%s",
             conf_positions_name(p->positions), conf_values_name(p->values), cache_names[p->cache], p->heads, p->nope,
             p->rope, p->v, p->rank, up[p->up], fa_dtype_get(p->k_type)->name, fa_dtype_get(p->v_type)->name,
             p->sharpness > 1 ? " sharp" : "");
}

/* The weights, and where each head's rows begin: gaps before and between heads in the split forms. */
static void make_up(mla_data *d, fa_arena *arena, check_rng *rng) {
    const mla_params *p = d->p;
    fa_mla *m = &d->op;
    d->base.weights[d->base.n_weights++] = &d->k_up;
    m->k_up = m->v_up = &d->k_up;
    if (p->up == KV_B) {
        d->k_up = conf_weight(arena, rng, p->k_type, p->heads * (p->nope + p->v), p->rank, CONF_NORMAL);
        m->k_stride = m->v_stride = p->nope + p->v;
        m->v_first = p->nope;
        return;
    }
    m->k_transposed = p->up == TRANSPOSED;
    int k_rows = m->k_transposed ? p->rank : p->nope, k_cols = m->k_transposed ? p->nope : p->rank;
    m->k_first = 3, m->k_stride = k_rows + 1, m->v_first = 1, m->v_stride = p->v + 2;
    d->k_up = conf_weight(arena, rng, p->k_type, 3 + p->heads * (k_rows + 1), k_cols, CONF_NORMAL);
    d->v_up = conf_weight(arena, rng, p->v_type, 1 + p->heads * (p->v + 2), p->rank, CONF_NORMAL);
    m->v_up = d->base.weights[d->base.n_weights++] = &d->v_up;
}

static conf_data *make_mla(const void *params, fa_arena *arena, check_rng *rng) {
    const mla_params *p = params;
    mla_data *d = conf_alloc(arena, 1, sizeof *d);
    d->p = p;
    d->cache = conf_make_cache(&d->base, arena, rng, fa_kv_layout_make(p->cache, true, p->rank, p->rope, LAYERS), LAYER,
                               p->positions, p->values);
    d->base.width = (int64_t)p->heads * p->v;
    d->q = conf_rows(arena, rng, d->base.rows, p->heads * (p->nope + p->rope), p->values);
    /* keep most scores within reach of exp: codes of a weight block go up to 448 * 2^-6 */
    float score_size = p->k_type == FA_F8_E4M3 ? 1.5f : 1.0f;
    d->op = (fa_mla){.heads = p->heads,
                     .nope = p->nope,
                     .rope = p->rope,
                     .v = p->v,
                     .rank = p->rank,
                     .scale = p->sharpness / score_size / sqrtf((float)(p->nope * p->rank + p->rope))};
    make_up(d, arena, rng);
    d->k_up.layer = d->v_up.layer = LAYER;
    return &d->base;
}

static void run_mla(conf_data *data, fa_backend *b, const int *rows, int n, float *out) {
    mla_data *d = (mla_data *)data;
    const mla_params *p = d->p;
    fa_place place[MAX_ROWS];
    conf_places(&d->cache, rows, n, place);
    conf_matrix q = conf_upload(b, d->q, p->heads * (p->nope + p->rope), rows, n);
    conf_matrix y = conf_upload(b, NULL, data->width, NULL, n);
    fa_op op = {.kind = FA_OP_MLA, .mla = d->op};
    op.mla.rows = n;
    op.mla.place = place;
    op.mla.q = q.ref, op.mla.ldq = q.ld;
    op.mla.y = y.ref, op.mla.ldy = y.ld;
    op.mla.kv = (fa_kv){data->pool, &d->cache.layout, d->cache.layer};
    conf_submit(b, &op, 1);
    conf_collect(b, &y, out, data->width);
    conf_free(b, &q);
}

typedef struct gqa_params {
    conf_positions positions;
    conf_values values;
    fa_cache_type cache;
    int heads, kv_heads, head_dim;
    float sharpness;
} gqa_params;

typedef struct gqa_data {
    conf_data base;
    const gqa_params *p;
    conf_cache cache;
    float *q;
} gqa_data;

static void describe_gqa(const void *params, char *text, size_t size) {
    const gqa_params *p = params;
    snprintf(text, size, "gqa %s%s %s heads=%d/%d head_dim=%d%s", conf_positions_name(p->positions),
             conf_values_name(p->values), cache_names[p->cache], p->heads, p->kv_heads, p->head_dim,
             p->sharpness > 1 ? " sharp" : "");
}

static conf_data *make_gqa(const void *params, fa_arena *arena, check_rng *rng) {
    const gqa_params *p = params;
    gqa_data *d = conf_alloc(arena, 1, sizeof *d);
    int32_t width = p->kv_heads * p->head_dim;
    d->p = p;
    d->cache = conf_make_cache(&d->base, arena, rng, fa_kv_layout_make(p->cache, false, width, width, LAYERS), LAYER,
                               p->positions, p->values);
    d->base.width = (int64_t)p->heads * p->head_dim;
    d->q = conf_rows(arena, rng, d->base.rows, d->base.width, p->values);
    return &d->base;
}

static void run_gqa(conf_data *data, fa_backend *b, const int *rows, int n, float *out) {
    gqa_data *d = (gqa_data *)data;
    const gqa_params *p = d->p;
    fa_place place[MAX_ROWS];
    conf_places(&d->cache, rows, n, place);
    conf_matrix q = conf_upload(b, d->q, data->width, rows, n), y = conf_upload(b, NULL, data->width, NULL, n);
    fa_op op = {.kind = FA_OP_GQA,
                .gqa = {.rows = n,
                        .place = place,
                        .heads = p->heads,
                        .kv_heads = p->kv_heads,
                        .head_dim = p->head_dim,
                        .scale = p->sharpness / sqrtf((float)p->head_dim),
                        .q = q.ref,
                        .ldq = q.ld,
                        .kv = {data->pool, &d->cache.layout, d->cache.layer},
                        .y = y.ref,
                        .ldy = y.ld}};
    conf_submit(b, &op, 1);
    conf_collect(b, &y, out, data->width);
    conf_free(b, &q);
}

#define F32 FA_F32
#define BF16 FA_BF16
#define E4M3 FA_F8_E4M3

static const mla_params mla_table[] = {
    /* heads, nope, rope, v, rank; 72 rows of kv_b a head are cut by the blocks of 128 */
    {CONF_FIRST, CONF_NORMAL, FA_CACHE_BF16, 3, 24, 16, 48, 112, KV_B, E4M3, E4M3, 1},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_F32, 3, 24, 16, 48, 112, KV_B, E4M3, E4M3, 1},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_BF16, 5, 24, 16, 40, 112, KV_B, E4M3, E4M3, 1},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_FP8, 7, 24, 16, 48, 112, KV_B, E4M3, E4M3, 1},
    {CONF_EDGES, CONF_HARD, FA_CACHE_F32, 2, 24, 16, 48, 112, KV_B, E4M3, E4M3, 1},
    {CONF_EDGES, CONF_HARD, FA_CACHE_BF16, 2, 33, 6, 17, 129, KV_B, BF16, BF16, 4},
    {CONF_EDGES, CONF_HARD, FA_CACHE_FP8, 2, 17, 10, 5, 257, KV_B, F32, F32, 1},
    {CONF_EDGES, CONF_TINY, FA_CACHE_FP8, 2, 8, 4, 5, 30, KV_B, F32, F32, 1},
    {CONF_PREFILL, CONF_NORMAL, FA_CACHE_BF16, 4, 32, 16, 40, 128, KV_B, E4M3, E4M3, 1},
    {CONF_CHUNK, CONF_NORMAL, FA_CACHE_BF16, 4, 32, 16, 40, 112, KV_B, E4M3, E4M3, 1},
    {CONF_CHUNK, CONF_NORMAL, FA_CACHE_FP8, 3, 24, 8, 24, 144, KV_B, BF16, BF16, 20},
    {CONF_MIXED, CONF_NORMAL, FA_CACHE_F32, 3, 16, 8, 16, 64, KV_B, F32, F32, 20},
    {CONF_MIXED, CONF_HARD, FA_CACHE_BF16, 4, 32, 16, 32, 112, KV_B, E4M3, E4M3, 1},
    {CONF_MIXED, CONF_NORMAL, FA_CACHE_FP8, 5, 1, 2, 1, 1, KV_B, F32, F32, 1},
    {CONF_MIXED, CONF_NORMAL, FA_CACHE_FP8, 1, 3, 4, 5, 130, KV_B, E4M3, E4M3, 1},
    {CONF_LONG, CONF_NORMAL, FA_CACHE_BF16, 4, 24, 16, 40, 112, KV_B, E4M3, E4M3, 1},
    {CONF_LONG, CONF_NORMAL, FA_CACHE_FP8, 2, 24, 16, 40, 112, KV_B, E4M3, E4M3, 20},
    {CONF_LONG_BATCH, CONF_NORMAL, FA_CACHE_BF16, 16, 16, 8, 16, 64, KV_B, E4M3, E4M3, 1},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_BF16, 37, 8, 4, 5, 48, KV_B, E4M3, E4M3, 1},
    {CONF_CHUNK, CONF_NORMAL, FA_CACHE_F32, 33, 5, 2, 3, 20, KV_B, BF16, BF16, 1},
    {CONF_PREFILL, CONF_NORMAL, FA_CACHE_BF16, 2, 24, 16, 40, 400, KV_B, E4M3, E4M3, 1},
    {CONF_PREFILL, CONF_HARD, FA_CACHE_F32, 2, 24, 16, 40, 300, SPLIT, BF16, BF16, 1},
    /* as the releases have it */
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_BF16, 4, 128, 64, 128, 512, KV_B, E4M3, E4M3, 1},
    {CONF_LONG_BATCH, CONF_NORMAL, FA_CACHE_FP8, 2, 128, 64, 128, 512, KV_B, E4M3, E4M3, 1},
    /* keys and values in weights of their own; GGUF's transposed keys */
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_BF16, 3, 24, 16, 40, 112, SPLIT, E4M3, BF16, 1},
    {CONF_PREFILL, CONF_NORMAL, FA_CACHE_F32, 3, 33, 16, 17, 128, SPLIT, BF16, E4M3, 1},
    {CONF_PREFILL, CONF_NORMAL, FA_CACHE_BF16, 2, 16, 8, 16, 96, SPLIT, FA_F8_E5M2, FA_F16, 1},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_F32, 3, 17, 6, 9, 65, TRANSPOSED, F32, F32, 1},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_BF16, 3, 24, 16, 40, 112, TRANSPOSED, BF16, BF16, 1},
    {CONF_EDGES, CONF_HARD, FA_CACHE_FP8, 3, 129, 16, 40, 130, TRANSPOSED, E4M3, E4M3, 1},
    {CONF_CHUNK, CONF_NORMAL, FA_CACHE_BF16, 3, 64, 16, 40, 96, TRANSPOSED, FA_Q8_0, FA_Q8_0, 1},
    {CONF_MIXED, CONF_NORMAL, FA_CACHE_BF16, 2, 256, 16, 33, 256, TRANSPOSED, FA_Q4_K, FA_Q6_K, 1},
    {CONF_PREFILL, CONF_NORMAL, FA_CACHE_BF16, 2, 32, 16, 40, 64, SPLIT, FA_Q4_0, FA_Q5_1, 1},
};

static const gqa_params gqa_table[] = {
    {CONF_FIRST, CONF_NORMAL, FA_CACHE_F32, 4, 4, 64, 1},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_F32, 4, 2, 64, 1},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_BF16, 8, 1, 48, 1},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_FP8, 6, 2, 80, 1},
    {CONF_EDGES, CONF_HARD, FA_CACHE_F32, 3, 3, 33, 1},
    {CONF_EDGES, CONF_HARD, FA_CACHE_BF16, 4, 2, 17, 4},
    {CONF_EDGES, CONF_HARD, FA_CACHE_FP8, 7, 1, 130, 1},
    {CONF_EDGES, CONF_TINY, FA_CACHE_F32, 2, 1, 20, 1},
    {CONF_EDGES, CONF_TINY, FA_CACHE_BF16, 2, 2, 33, 1},
    {CONF_EDGES, CONF_TINY, FA_CACHE_FP8, 2, 1, 140, 1},
    {CONF_PREFILL, CONF_NORMAL, FA_CACHE_BF16, 14, 2, 64, 1},
    {CONF_PREFILL, CONF_NORMAL, FA_CACHE_F32, 2, 1, 1, 1},
    {CONF_PREFILL, CONF_NORMAL, FA_CACHE_FP8, 5, 5, 3, 1},
    {CONF_CHUNK, CONF_NORMAL, FA_CACHE_BF16, 9, 3, 64, 20},
    {CONF_CHUNK, CONF_NORMAL, FA_CACHE_F32, 4, 4, 127, 1},
    {CONF_MIXED, CONF_NORMAL, FA_CACHE_FP8, 8, 2, 96, 20},
    {CONF_MIXED, CONF_HARD, FA_CACHE_BF16, 8, 4, 40, 1},
    {CONF_MIXED, CONF_NORMAL, FA_CACHE_F32, 28, 4, 128, 1},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_BF16, 12, 1, 33, 1},
    {CONF_PREFILL, CONF_NORMAL, FA_CACHE_FP8, 34, 2, 24, 1},
    {CONF_CHUNK, CONF_HARD, FA_CACHE_FP8, 9, 1, 200, 1},
    {CONF_LONG, CONF_NORMAL, FA_CACHE_BF16, 4, 2, 64, 1},
    {CONF_LONG, CONF_NORMAL, FA_CACHE_FP8, 3, 1, 129, 1},
    {CONF_LONG_BATCH, CONF_NORMAL, FA_CACHE_F32, 6, 2, 64, 20},
    {CONF_LONG_BATCH, CONF_NORMAL, FA_CACHE_BF16, 32, 8, 128, 1},
};
enum { N_MLA = sizeof mla_table / sizeof *mla_table, N_GQA = sizeof gqa_table / sizeof *gqa_table };

static const conf_kind mla_kind = {describe_mla, make_mla, run_mla};
static const conf_kind gqa_kind = {describe_gqa, make_gqa, run_gqa};

int main(int argc, char **argv) {
    conf_case cases[N_MLA + N_GQA];
    for (int i = 0; i < N_MLA; i++) cases[i] = (conf_case){&mla_kind, &mla_table[i]};
    for (int i = 0; i < N_GQA; i++) cases[N_MLA + i] = (conf_case){&gqa_kind, &gqa_table[i]};
    return conf_main(argc, argv, cases, N_MLA + N_GQA);
}
