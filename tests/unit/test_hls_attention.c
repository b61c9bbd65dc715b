/* fathom_mla and fathom_gqa by themselves: every build, cache type, form of the weights and edge of pages gives the reference's
 * bits. */
#include <math.h>
#include <string.h>

#include "tests/lib/conformance_cache.h"
#include "tests/lib/hls.h"

enum { LAYERS = 2, LAYER = 1, MAX_ROWS = 64, MAX_TABLE = 1024 };

typedef struct mla_shape {
    conf_positions positions;
    conf_values values;
    fa_cache_type cache;
    fa_dtype type;
    int heads, nope, rope, v, rank;
    enum { KV_B, SPLIT, TRANSPOSED } up; /* one kv_b; k_up and v_up with gaps; the same with k_up transposed */
} mla_shape;

static const mla_shape mlas[] = {
    {CONF_FIRST, CONF_NORMAL, FA_CACHE_F32, FA_F32, 1, 1, 1, 1, 1, KV_B},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_F32, FA_F8_E4M3, 5, 128, 64, 128, 256, KV_B},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_BF16, FA_F8_E4M3, 3, 24, 6, 17, 130, KV_B},
    {CONF_MIXED, CONF_HARD, FA_CACHE_FP8, FA_BF16, 3, 33, 7, 40, 131, SPLIT},
    {CONF_EDGES, CONF_HARD, FA_CACHE_F32, FA_F8_E4M3, 4, 130, 8, 35, 150, SPLIT},
    {CONF_PREFILL, CONF_NORMAL, FA_CACHE_FP8, FA_F8_E4M3, 2, 16, 8, 270, 512, TRANSPOSED},
    {CONF_EDGES, CONF_HARD, FA_CACHE_BF16, FA_F32, 9, 20, 4, 9, 36, TRANSPOSED},
    {CONF_EDGES, CONF_TINY, FA_CACHE_BF16, FA_BF16, 2, 20, 4, 9, 36, KV_B},
};
enum { N_MLAS = sizeof mlas / sizeof *mlas };

/* pos and index of the page numbers for each row, then the page numbers. */
static void make_table(const fa_place *place, int rows, int32_t *table) {
    int32_t used = 2 * rows;
    for (int t = 0; t < rows; t++) {
        int32_t pages = place[t].pos / 64 + 1;
        CHECK(used + pages <= MAX_TABLE, "table of %d", used + pages);
        table[2 * t] = place[t].pos;
        table[2 * t + 1] = used;
        memcpy(table + used, place[t].pages, (size_t)pages * 4);
        used += pages;
    }
}

/* The pool in whole words. */
static hls_word *copy_pool(fa_arena *a, const conf_data *d) {
    hls_word *pool = conf_alloc(a, d->pool_size / 64 + 2, sizeof *pool);
    memcpy(pool, d->pool_bytes, d->pool_size);
    return pool;
}

static int32_t type_of(const fa_kv_part *p) {
    return (int32_t)hls_type(p->type);
}

static void set_cache(hls_call *c, const fa_kv_layout *l) {
    hls_set(c, "kv_first", LAYER * l->layer_bytes / 4);
    hls_set(c, "page_units", l->page_bytes / 4);
    hls_set(c, "row_units", l->row_bytes / 4);
    hls_set(c, "a_type", type_of(&l->a));
    hls_set(c, "a_at", l->a.offset_bytes / 4);
    hls_set(c, "a_scales", l->a.scales_offset / 4);
    hls_set(c, "b_type", type_of(&l->b));
    hls_set(c, "b_at", l->b.offset_bytes / 4);
}

static void set_matrices(hls_call *c, const hls_matrix *q, const hls_matrix *y, const hls_word *pool,
                         const int32_t *table) {
    hls_set_pointer(c, "q", q->words);
    hls_set_pointer(c, "y", y->words);
    hls_set_pointer(c, "pool", pool);
    hls_set_pointer(c, "table", table);
    hls_set(c, "q_first", q->first);
    hls_set(c, "ldq", q->ld);
    hls_set(c, "y_first", y->first);
    hls_set(c, "ldy", y->ld);
    hls_set(c, "rows", q->rows);
}

/* Weights, and where each head's rows begin. */
static void make_up(const mla_shape *s, fa_arena *a, check_rng *rng, fa_weight up[2], fa_mla *m) {
    m->k_up = &up[0], m->v_up = &up[s->up == KV_B ? 0 : 1], m->k_transposed = s->up == TRANSPOSED;
    if (s->up == KV_B) {
        up[0] = conf_weight(a, rng, s->type, s->heads * (s->nope + s->v), s->rank, CONF_NORMAL);
        m->k_stride = m->v_stride = s->nope + s->v, m->v_first = s->nope;
        return;
    }
    int k_rows = m->k_transposed ? s->rank : s->nope;
    m->k_first = 3, m->k_stride = k_rows + 1, m->v_first = 1, m->v_stride = s->v + 2;
    up[0] = conf_weight(a, rng, s->type, 3 + s->heads * (k_rows + 1), m->k_transposed ? s->nope : s->rank, CONF_NORMAL);
    up[1] = conf_weight(a, rng, s->type, 1 + s->heads * (s->v + 2), s->rank, CONF_NORMAL);
}

static hls_call mla_call(const hls_variant *v, const hls_memory *m, const fa_mla *op, const int32_t at[2]) {
    hls_call c = hls_call_make(v, "fathom_mla", m);
    const struct {
        const char *name;
        int64_t value;
    } scalars[] = {{"heads", op->heads},
                   {"nope", op->nope},
                   {"rope", op->rope},
                   {"v", op->v},
                   {"rank", op->rank},
                   {"k_at", at[0]},
                   {"k_type", (int64_t)hls_type(op->k_up->type)},
                   {"k_first", op->k_first},
                   {"k_stride", op->k_stride},
                   {"k_transposed", op->k_transposed},
                   {"v_at", at[1]},
                   {"v_type", (int64_t)hls_type(op->v_up->type)},
                   {"v_first", op->v_first},
                   {"v_stride", op->v_stride}};
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) hls_set(&c, scalars[i].name, scalars[i].value);
    hls_set_float(&c, "scale", op->scale);
    return c;
}

static void run_mla(const mla_shape *s, const hls_variant *v, fa_arena *a) {
    check_rng rng = {(uint64_t)(s - mlas) + 1};
    conf_data d = {0};
    conf_cache cache = conf_make_cache(&d, a, &rng, fa_kv_layout_make(s->cache, true, s->rank, s->rope, LAYERS), LAYER,
                                       s->positions, s->values);
    int64_t wide = s->heads * (s->nope + s->rope), out_wide = (int64_t)s->heads * s->v;
    float *q = conf_rows(a, &rng, d.rows, wide, s->values);
    fa_weight up[2];
    fa_mla m = {.rows = d.rows, .place = cache.place, .heads = s->heads, .nope = s->nope, .rope = s->rope, .v = s->v};
    m.rank = s->rank, m.scale = 1.0f / sqrtf((float)(s->nope * s->rank + s->rope));
    make_up(s, a, &rng, up, &m);
    fa_buffer *in = hls_reference_buffer(q, (size_t)(d.rows * wide) * 4),
              *pages = hls_reference_buffer(d.pool_bytes, d.pool_size);
    fa_buffer *out = hls_reference_buffer(NULL, (size_t)(d.rows * out_wide) * 4);
    m.q = (fa_ref){in, 0}, m.ldq = wide, m.y = (fa_ref){out, 0}, m.ldy = out_wide;
    m.kv = (fa_kv){pages, &cache.layout, LAYER};
    hls_reference(&(fa_op){.kind = FA_OP_MLA, .mla = m});

    hls_memory memory = hls_memory_make(a, v->ports, 60000);
    int32_t table[MAX_TABLE], at[2] = {hls_put_weight(&memory, m.k_up), 0};
    at[1] = s->up == KV_B ? at[0] : hls_put_weight(&memory, m.v_up);
    make_table(cache.place, d.rows, table);
    hls_matrix mq = hls_matrix_make(a, q, d.rows, wide, 5, 1), my = hls_matrix_make(a, NULL, d.rows, out_wide, 3, 2);
    hls_call c = mla_call(v, &memory, &m, at);
    set_cache(&c, &cache.layout);
    set_matrices(&c, &mq, &my, copy_pool(a, &d), table);
    hls_run(&c);
    hls_check_equal(&my, out->host);
    hls_reference_free(in);
    hls_reference_free(out);
    hls_reference_free(pages);
}

typedef struct gqa_shape {
    conf_positions positions;
    conf_values values;
    fa_cache_type cache;
    int heads, kv_heads, head_dim;
} gqa_shape;

static const gqa_shape gqas[] = {
    {CONF_FIRST, CONF_NORMAL, FA_CACHE_F32, 1, 1, 1},   {CONF_EDGES, CONF_NORMAL, FA_CACHE_F32, 6, 3, 64},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_BF16, 7, 1, 33}, {CONF_MIXED, CONF_HARD, FA_CACHE_FP8, 6, 2, 100},
    {CONF_PREFILL, CONF_HARD, FA_CACHE_F32, 4, 4, 17},  {CONF_EDGES, CONF_TINY, FA_CACHE_FP8, 9, 3, 130},
    {CONF_EDGES, CONF_NORMAL, FA_CACHE_FP8, 2, 1, 512},
};
enum { N_GQAS = sizeof gqas / sizeof *gqas };

/* The kv heads in two launches, as two units would take them. */
static void launch_gqa(const gqa_shape *s, const hls_variant *v, const conf_cache *cache, const hls_matrix *q,
                       const hls_matrix *y, const hls_word *pool, const int32_t *table) {
    int group = s->heads / s->kv_heads, begin = 0;
    for (int part = 0; part < 2; part++) {
        int end = part ? s->kv_heads : s->kv_heads / 2;
        hls_matrix some_q = *q, some_y = *y;
        some_q.first += begin * group * s->head_dim;
        some_y.first += begin * group * s->head_dim;
        hls_call c = hls_call_make(v, "fathom_gqa", NULL);
        hls_set(&c, "heads", (end - begin) * group);
        hls_set(&c, "kv_heads", end - begin);
        hls_set(&c, "kv_head_first", begin);
        hls_set(&c, "head_dim", s->head_dim);
        hls_set_float(&c, "scale", 1.0f / sqrtf((float)s->head_dim));
        hls_set(&c, "b_scales", cache->layout.b.scales_offset / 4);
        set_cache(&c, &cache->layout);
        set_matrices(&c, &some_q, &some_y, pool, table);
        if (end > begin) hls_run(&c);
        begin = end;
    }
}

static void run_gqa(const gqa_shape *s, const hls_variant *v, fa_arena *a) {
    check_rng rng = {(uint64_t)(s - gqas) + 50};
    conf_data d = {0};
    int32_t width = s->kv_heads * s->head_dim, table[MAX_TABLE];
    conf_cache cache = conf_make_cache(&d, a, &rng, fa_kv_layout_make(s->cache, false, width, width, LAYERS), LAYER,
                                       s->positions, s->values);
    int64_t wide = (int64_t)s->heads * s->head_dim;
    float *q = conf_rows(a, &rng, d.rows, wide, s->values);
    fa_buffer *in = hls_reference_buffer(q, (size_t)(d.rows * wide) * 4),
              *pages = hls_reference_buffer(d.pool_bytes, d.pool_size);
    fa_buffer *out = hls_reference_buffer(NULL, (size_t)(d.rows * wide) * 4);
    fa_gqa g = {d.rows,      cache.place, s->heads,
                s->kv_heads, s->head_dim, 1.0f / sqrtf((float)s->head_dim),
                {in, 0},     wide,        {pages, &cache.layout, LAYER},
                {out, 0},    wide};
    hls_reference(&(fa_op){.kind = FA_OP_GQA, .gqa = g});

    make_table(cache.place, d.rows, table);
    hls_matrix mq = hls_matrix_make(a, q, d.rows, wide, 5, 1), my = hls_matrix_make(a, NULL, d.rows, wide, 3, 2);
    launch_gqa(s, v, &cache, &mq, &my, copy_pool(a, &d), table);
    hls_check_equal(&my, out->host);
    hls_reference_free(in);
    hls_reference_free(out);
    hls_reference_free(pages);
}

static void mla_gives_the_references_bits(void *arg) {
    hls_variant v = hls_variant_get((int)(intptr_t)arg);
    for (int i = 0; i < N_MLAS; i++) {
        fa_arena a = {0};
        run_mla(&mlas[i], &v, &a);
        fa_arena_free(&a);
    }
}

static void gqa_gives_the_references_bits(void *arg) {
    hls_variant v = hls_variant_get((int)(intptr_t)arg);
    for (int i = 0; i < N_GQAS; i++) {
        fa_arena a = {0};
        run_gqa(&gqas[i], &v, &a);
        fa_arena_free(&a);
    }
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"mla, 1 port", mla_gives_the_references_bits, (void *)0},
        {"mla, 2 ports", mla_gives_the_references_bits, (void *)1},
        {"mla, 4 ports", mla_gives_the_references_bits, (void *)2},
        {"mla, 8 ports", mla_gives_the_references_bits, (void *)3},
        {"mla, 16 ports", mla_gives_the_references_bits, (void *)4},
        {"mla, checked streams", mla_gives_the_references_bits, (void *)5},
        {"mla, clang", mla_gives_the_references_bits, (void *)6},
        {"gqa", gqa_gives_the_references_bits, (void *)0},
        {"gqa, 3 rows a pass", gqa_gives_the_references_bits, (void *)5},
        {"gqa, clang", gqa_gives_the_references_bits, (void *)6},
    };
    int failed = check_main(argc, argv, cases, sizeof cases / sizeof *cases);
    conf_close();
    return failed;
}
