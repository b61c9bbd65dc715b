/* fathom_rowwise by itself: every op gives the reference's bits, or those of its formula. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/scalar.h"
#include "host/base/threads.h"
#include "tests/lib/hls.h"

enum { VARIANTS = 3 }; /* the kernel has no ports: of the library, with checked streams, by clang */

static hls_variant variant(void *arg) {
    static const int of[VARIANTS] = {0, 5, 6};
    return hls_variant_get(of[(intptr_t)arg]);
}

/* Everything that an op does not use is 0. */
typedef struct row_call {
    int64_t op, rows, n, n_b, heads, stride, flag;
    float eps;
    const hls_matrix *a, *b, *y;
    const void *table;
    const fa_kv_layout *layout;
    int64_t ldy, y_first; /* where y is no matrix of its own */
} row_call;

static void launch(const hls_variant *v, const row_call *r) {
    static const hls_matrix none = {0};
    const hls_matrix *a = r->a ? r->a : &none, *b = r->b ? r->b : &none;
    const fa_kv_layout none_l = {.a = {.type = FA_F32}, .b = {.type = FA_F32}}, *l = r->layout ? r->layout : &none_l;
    hls_call c = hls_call_make(v, "fathom_rowwise", NULL);
    hls_set_pointer(&c, "a", a->words);
    hls_set_pointer(&c, "b", b->words);
    hls_set_pointer(&c, "y", r->y->words);
    hls_set_pointer(&c, "table", r->table);
    const struct {
        const char *name;
        int64_t value;
    } scalars[] = {{"a_first", a->first},
                   {"lda", a->ld},
                   {"b_first", b->first},
                   {"ldb", b->ld},
                   {"y_first", r->y_first ? r->y_first : r->y->first},
                   {"ldy", r->ldy ? r->ldy : r->y->ld},
                   {"page_units", l->page_bytes / 4},
                   {"op", r->op},
                   {"rows", r->rows},
                   {"n", r->n},
                   {"n_b", r->n_b},
                   {"heads", r->heads},
                   {"stride", r->stride},
                   {"flag", r->flag},
                   {"row_units", l->row_bytes / 4},
                   {"a_type", (int64_t)hls_type(l->a.type)},
                   {"a_at", l->a.offset_bytes / 4},
                   {"a_scales", l->a.scales_offset / 4},
                   {"b_type", (int64_t)hls_type(l->b.type)},
                   {"b_at", l->b.offset_bytes / 4},
                   {"b_scales", l->b.scales_offset / 4}};
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) hls_set(&c, scalars[i].name, scalars[i].value);
    hls_set_float(&c, "eps", r->eps);
    hls_run(&c);
}

static void norm_case(const hls_variant *v, int rows, int n, conf_values values, bool by_index) {
    fa_arena a = {0};
    check_rng rng = {(uint64_t)n};
    float *x = conf_rows(&a, &rng, rows, n, values);
    fa_weight w = conf_weight(&a, &rng, FA_F32, 1, n, values);
    int32_t index[16];
    for (int t = 0; t < rows; t++) index[t] = (t * 5 + 2) % rows;
    fa_buffer *in = hls_reference_buffer(x, (size_t)(rows * n) * 4),
              *out = hls_reference_buffer(NULL, (size_t)(rows * n) * 4);
    fa_rmsnorm op = {rows, n, {in, 0}, n, by_index ? index : NULL, &w, 1e-6f, {out, 0}, n};
    hls_reference(&(fa_op){.kind = FA_OP_RMSNORM, .rmsnorm = op});
    hls_matrix mx = hls_matrix_make(&a, x, rows, n, 5, 2), mw = hls_matrix_make(&a, w.data, 1, n, 7, 0);
    hls_matrix my = by_index ? hls_matrix_make(&a, NULL, rows, n, 9, 1) : mx; /* else in place */
    launch(v, &(row_call){HLS_NORM, rows, n, .flag = by_index, .eps = 1e-6f, .a = &mx, .b = &mw, .y = &my,
                          .table = index});
    hls_check_equal(&my, out->host);
    hls_reference_free(in);
    hls_reference_free(out);
    fa_arena_free(&a);
}

static void rmsnorm_gives_the_references_bits(void *arg) {
    hls_variant v = variant(arg);
    static const int widths[] = {1, 15, 16, 17, 127, 128, 1000};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
        for (int by_index = 0; by_index < 2; by_index++) {
            norm_case(&v, 8, widths[i], CONF_HARD, by_index);
            norm_case(&v, 3, widths[i], CONF_TINY, by_index);
        }
}

static void rope_case(const hls_variant *v, int heads, int dims, int gap, bool interleaved, conf_values values) {
    enum { ROWS = 8, POSITIONS = 40, FIRST = 3 };
    fa_arena a = {0};
    check_rng rng = {(uint64_t)dims};
    int n = FIRST + heads * (dims + gap);
    float *x = conf_rows(&a, &rng, ROWS, n, values), *angles = conf_rows(&a, &rng, POSITIONS, dims, CONF_NORMAL);
    fa_place place[ROWS];
    int32_t table[ROWS];
    for (int t = 0; t < ROWS; t++) place[t].pos = table[t] = t * 7 % POSITIONS;
    fa_buffer *in = hls_reference_buffer(x, (size_t)(ROWS * n) * 4),
              *cosines = hls_reference_buffer(angles, POSITIONS * (size_t)dims * 4);
    fa_rope op = {ROWS, place, {in, 0}, n, heads, dims + gap, FIRST, dims, interleaved, {cosines, 0}};
    hls_reference(&(fa_op){.kind = FA_OP_ROPE, .rope = op});
    hls_matrix mx = hls_matrix_make(&a, x, ROWS, n, 5, 2), mt = hls_matrix_make(&a, angles, POSITIONS, dims, 9, 0);
    launch(v, &(row_call){HLS_ROPE, ROWS, dims, .heads = heads, .stride = dims + gap, .flag = interleaved, .b = &mt,
                          .y = &mx, .table = table, .y_first = mx.first + FIRST});
    hls_check_equal(&mx, in->host);
    hls_reference_free(in);
    hls_reference_free(cosines);
    fa_arena_free(&a);
}

static void rope_gives_the_references_bits(void *arg) {
    hls_variant v = variant(arg);
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        rope_case(&v, 1, 2, 0, interleaved, CONF_NORMAL);
        rope_case(&v, 5, 64, 128, interleaved, CONF_HARD);
        rope_case(&v, 3, 18, 5, interleaved, CONF_TINY);
    }
}

static void add_gives_the_references_bits(void *arg) {
    hls_variant v = variant(arg);
    static const int widths[] = {1, 16, 35, 300};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        fa_arena a = {0};
        check_rng rng = {i};
        int n = widths[i], rows = 8;
        float *x = conf_rows(&a, &rng, rows, n, CONF_HARD), *z = conf_rows(&a, &rng, rows, n, CONF_TINY);
        float *want = conf_alloc(&a, (size_t)(rows * n), sizeof *want);
        unsigned mode = fa_fp_enter();
        for (int k = 0; k < rows * n; k++) want[k] = x[k] + z[k];
        fa_fp_leave(mode);
        hls_matrix mx = hls_matrix_make(&a, x, rows, n, 5, 2), mz = hls_matrix_make(&a, z, rows, n, 7, 1);
        launch(&v, &(row_call){HLS_ADD, rows, n, .a = &mx, .b = &mz, .y = &mz});
        hls_check_equal(&mz, want);
        fa_arena_free(&a);
    }
}

/* Every byte of the pool, in layers and rows that are not written too. */
static void store_case(const hls_variant *v, fa_cache_type type, bool mla, int n_a, int n_b, conf_values values) {
    enum { ROWS = 8, PAGES = 3 };
    fa_arena a = {0};
    check_rng rng = {(uint64_t)n_a};
    fa_kv_layout l = fa_kv_layout_make(type, mla, n_a, n_b, 2);
    float *x = conf_rows(&a, &rng, ROWS, n_a, values), *z = conf_rows(&a, &rng, ROWS, n_b, values);
    size_t bytes = (size_t)l.page_bytes * PAGES;
    hls_matrix pool = {.words = conf_alloc(&a, bytes / 64 + 2, 64)};
    int32_t page_of[PAGES] = {2, 0, 1}, table[2 * ROWS];
    fa_place place[ROWS];
    for (int t = 0; t < ROWS; t++) {
        place[t] = (fa_place){t * 23 + 5, page_of};
        table[2 * t] = page_of[place[t].pos / 64];
        table[2 * t + 1] = place[t].pos % 64;
    }
    fa_buffer *in_a = hls_reference_buffer(x, (size_t)(ROWS * n_a) * 4),
              *in_b = hls_reference_buffer(z, (size_t)(ROWS * n_b) * 4);
    fa_buffer *out = hls_reference_buffer(NULL, bytes);
    fa_store op = {ROWS, place, {in_a, 0}, {in_b, 0}, n_a, n_b, {out, &l, 1}};
    hls_reference(&(fa_op){.kind = FA_OP_STORE, .store = op});
    hls_matrix mx = hls_matrix_make(&a, x, ROWS, n_a, 5, 2), mz = hls_matrix_make(&a, z, ROWS, n_b, 7, 1);
    launch(v, &(row_call){HLS_STORE, ROWS, n_a, n_b, .a = &mx, .b = &mz, .y = &pool, .table = table, .layout = &l,
                          .y_first = l.layer_bytes / 4});
    const uint8_t *got = (const uint8_t *)pool.words, *want = out->host;
    for (size_t i = 0; i < bytes; i++) {
        uint32_t g, w;
        memcpy(&g, got + i / 4 * 4, 4);
        memcpy(&w, want + i / 4 * 4, 4);
        bool both_nan = (g & 0x7fffffff) > 0x7f800000 && (w & 0x7fffffff) > 0x7f800000;
        CHECK(got[i] == want[i] || both_nan, "type %d, %d and %d: byte %zu of a row: %02x, reference %02x", type, n_a,
              n_b, i % (size_t)l.row_bytes, got[i], want[i]);
    }
    hls_reference_free(in_a);
    hls_reference_free(in_b);
    hls_reference_free(out);
    fa_arena_free(&a);
}

static void store_writes_the_references_bytes(void *arg) {
    hls_variant v = variant(arg);
    for (int type = 0; type < FA_CACHE_TYPE_COUNT; type++) {
        store_case(&v, (fa_cache_type)type, true, 512, 64, CONF_NORMAL);
        store_case(&v, (fa_cache_type)type, true, 131, 7, CONF_HARD);
        store_case(&v, (fa_cache_type)type, false, 256, 256, CONF_TIES);
        store_case(&v, (fa_cache_type)type, false, 33, 33, CONF_HARD);
        store_case(&v, (fa_cache_type)type, false, 1, 1, CONF_TINY);
    }
}

int main(int argc, char **argv) {
    static const struct {
        const char *names[VARIANTS];
        void (*run)(void *);
    } ops[] = {
        {{"rmsnorm", "rmsnorm, checked", "rmsnorm, clang"}, rmsnorm_gives_the_references_bits},
        {{"rope", "rope, checked", "rope, clang"}, rope_gives_the_references_bits},
        {{"add", "add, checked", "add, clang"}, add_gives_the_references_bits},
        {{"store", "store, checked", "store, clang"}, store_writes_the_references_bytes},
    };
    check_case cases[4 * VARIANTS];
    for (int i = 0; i < 4 * VARIANTS; i++)
        cases[i] = (check_case){ops[i / VARIANTS].names[i % VARIANTS], ops[i / VARIANTS].run,
                                (void *)(intptr_t)(i % VARIANTS)};
    int failed = check_main(argc, argv, cases, 4 * VARIANTS);
    conf_close();
    return failed;
}
