/* The contract around the arithmetic: what fa_op_check refuses, and how every backend treats weights, limits, buffers and
 * submissions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/conformance.h"

/* Everything that the good ops below point to. */
static struct stage {
    fa_buffer x, y, pool; /* never touched, only measured */
    float scale[16];
    uint8_t codes[64 * 64];
    fa_weight w, vector, wide;
    fa_expert experts[2];
    int32_t ids[4], index[2], pages[3];
    float weights[4];
    fa_place place[2];
    fa_kv_layout mla, gqa;
} stage;

enum { ROWS = 2, K = 16, N = 8 };

static fa_weight weight(int64_t rows, int64_t cols) {
    return (fa_weight){
        .name = "w", .type = FA_F8_E4M3, .rows = rows, .cols = cols, .data = stage.codes, .scale = stage.scale};
}

static void set_stage(void) {
    struct stage *s = &stage;
    *s = (struct stage){
        .x = {.bytes = 4096}, .y = {.bytes = 4096}, .ids = {0, 1, 1, -1}, .index = {3, 0}, .pages = {2, 0, 1}};
    s->w = weight(N, K);
    s->wide = weight(N, K + 1);
    s->vector = (fa_weight){.name = "v", .type = FA_F32, .rows = 1, .cols = N, .data = stage.codes};
    s->experts[0] = s->experts[1] = (fa_expert){weight(N, K), weight(N, K), weight(K, N)};
    s->place[0] = (fa_place){130, s->pages};
    s->place[1] = (fa_place){63, s->pages};
    s->mla = fa_kv_layout_make(FA_CACHE_BF16, true, 12, 4, 2);
    s->gqa = fa_kv_layout_make(FA_CACHE_FP8, false, 16, 16, 2);
}

static fa_op good_op(fa_op_kind kind) {
    struct stage *s = &stage;
    fa_ref x = {&s->x, 0}, y = {&s->y, 0};
    fa_op op = {.kind = kind};
    s->pool.bytes = 3 * (size_t)(kind == FA_OP_GQA ? s->gqa.page_bytes : s->mla.page_bytes);
    switch (kind) {
    case FA_OP_MATMUL:
        op.matmul = (fa_matmul){.rows = ROWS, .x = x, .ldx = K, .n_parts = 2};
        op.matmul.part[0] = (struct fa_matmul_part){&s->w, &s->vector, y, 2 * N};
        op.matmul.part[1] = (struct fa_matmul_part){&s->w, NULL, {&s->y, N * 4}, 2 * N};
        break;
    case FA_OP_EXPERTS:
        op.experts =
            (fa_experts){.rows = ROWS, .hidden = K, .inner = N, .x = x, .ldx = K, .y = y, .ldy = K, .n_experts = 2};
        op.experts.experts = s->experts, op.experts.top_k = 2, op.experts.ids = s->ids, op.experts.weights = s->weights;
        break;
    case FA_OP_MLA:
        op.mla =
            (fa_mla){.rows = ROWS, .place = s->place, .heads = 2, .nope = 3, .rope = 4, .v = 5, .rank = 12, .q = x};
        op.mla.ldq = 14, op.mla.y = y, op.mla.ldy = 10, op.mla.kv = (fa_kv){&s->pool, &s->mla, 1};
        s->wide = weight(16, 12);
        op.mla.k_up = op.mla.v_up = &s->wide, op.mla.k_stride = op.mla.v_stride = 8, op.mla.v_first = 3;
        break;
    case FA_OP_GQA:
        op.gqa = (fa_gqa){.rows = ROWS, .place = s->place, .heads = 4, .kv_heads = 2, .head_dim = 8, .q = x, .ldq = 32};
        op.gqa.y = y, op.gqa.ldy = 32, op.gqa.kv = (fa_kv){&s->pool, &s->gqa, 1};
        break;
    case FA_OP_RMSNORM:
        op.rmsnorm = (fa_rmsnorm){.rows = ROWS, .n = N, .x = x, .ldx = N, .index = s->index, .weight = &s->vector};
        op.rmsnorm.y = y, op.rmsnorm.ldy = N;
        break;
    case FA_OP_ROPE:
        op.rope = (fa_rope){
            .rows = ROWS, .place = s->place, .x = x, .ldx = 20, .heads = 2, .stride = 8, .first = 4, .dims = 4};
        op.rope.table = y;
        break;
    case FA_OP_ADD: op.add = (fa_add){ROWS, N, x, y, y, N, N, N}; break;
    default:
        op.store = (fa_store){.rows = ROWS, .place = s->place, .a = x, .b = y, .lda = 12, .ldb = 4};
        op.store.kv = (fa_kv){&s->pool, &s->mla, 0};
        break;
    }
    return op;
}

static void good_ops_pass(void *arg) {
    (void)arg;
    for (int kind = 0; kind < FA_OP_COUNT; kind++) {
        fa_error e;
        set_stage();
        fa_op op = good_op((fa_op_kind)kind);
        CHECK_OK(fa_op_check(&op, &e), &e);
    }
}

/* One integer or pointer of a good op, or of what it points to, set to `value`; and how the error must begin. */
typedef struct fault {
    fa_op_kind kind;
    bool in_stage;
    size_t offset, size;
    int64_t value;
    const char *error;
} fault;

#define IN_OP(kind, field, value, error) \
    { kind, false, offsetof(fa_op, field), sizeof(((fa_op *)NULL)->field), value, error }
#define IN_STAGE(kind, field, value, error) \
    { kind, true, offsetof(struct stage, field), sizeof(((struct stage *)NULL)->field), value, error }

static const fault faults[] = {
    IN_OP(FA_OP_ADD, kind, 99, "unknown: kind"),
    IN_OP(FA_OP_MATMUL, matmul.rows, -1, "matmul: rows"),
    IN_OP(FA_OP_MATMUL, matmul.numerics, 2, "matmul: numerics"),
    IN_OP(FA_OP_MATMUL, matmul.n_parts, 0, "matmul: n_parts"),
    IN_OP(FA_OP_MATMUL, matmul.n_parts, 5, "matmul: n_parts"),
    IN_OP(FA_OP_MATMUL, matmul.ldx, K - 1, "matmul: x: row stride"),
    IN_OP(FA_OP_MATMUL, matmul.ldx, INT64_MAX, "matmul: x"),
    IN_OP(FA_OP_MATMUL, matmul.rows, INT64_MAX / 8, "matmul: x"),
    IN_OP(FA_OP_MATMUL, matmul.rows, 65, "matmul: x"),
    IN_OP(FA_OP_MATMUL, matmul.x.buffer, 0, "matmul: x: has no buffer"),
    IN_OP(FA_OP_MATMUL, matmul.x.offset, 2, "matmul: x: offset"),
    IN_OP(FA_OP_MATMUL, matmul.x.offset, 4096 - ROWS * K * 4 + 4, "matmul: x: [2, 16]"),
    IN_OP(FA_OP_MATMUL, matmul.x.offset, -4, "matmul: x"),
    IN_OP(FA_OP_MATMUL, matmul.part[1].w, 0, "matmul: w: is missing"),
    IN_OP(FA_OP_MATMUL, matmul.part[1].y.offset, (N - 1) * 4, "matmul: y: overlaps y"),
    IN_OP(FA_OP_MATMUL, matmul.part[1].ldy, 2 * N + 1, "matmul: y: overlaps y"),
    IN_STAGE(FA_OP_MATMUL, w.cols, 0, "matmul: w: w:"),
    IN_STAGE(FA_OP_MATMUL, w.type, FA_I32, "matmul: w: w: tensors of type I32"),
    IN_STAGE(FA_OP_MATMUL, w.type, 77, "matmul: w: w: type 77"),
    IN_STAGE(FA_OP_MATMUL, w.type, FA_Q4_0, "matmul: w: w: [8, 16]"),
    IN_STAGE(FA_OP_MATMUL, w.data, 0, "matmul: w: w: has no data"),
    IN_STAGE(FA_OP_MATMUL, w.scale, 0, "matmul: w: w: FP8"),
    IN_STAGE(FA_OP_MATMUL, vector.cols, N + 1, "matmul: bias"),
    IN_STAGE(FA_OP_MATMUL, vector.type, FA_F8_E4M3, "matmul: bias"),
    IN_OP(FA_OP_EXPERTS, experts.rows, -1, "experts: rows"),
    IN_OP(FA_OP_EXPERTS, experts.hidden, K + 1, "experts: x"),
    IN_OP(FA_OP_EXPERTS, experts.inner, 0, "experts: inner"),
    IN_OP(FA_OP_EXPERTS, experts.inner, N + 1, "experts: gate"),
    IN_OP(FA_OP_EXPERTS, experts.n_experts, 0, "experts: experts"),
    IN_OP(FA_OP_EXPERTS, experts.n_experts, 1, "experts: ids: row 0 has 1"),
    IN_OP(FA_OP_EXPERTS, experts.experts, 0, "experts: experts"),
    IN_OP(FA_OP_EXPERTS, experts.top_k, 0, "experts: top_k"),
    IN_OP(FA_OP_EXPERTS, experts.weights, 0, "experts: weights"),
    IN_OP(FA_OP_EXPERTS, experts.y.buffer, 0, "experts: y"),
    IN_STAGE(FA_OP_EXPERTS, ids[1], 0, "experts: ids: row 0 has 0"),
    IN_STAGE(FA_OP_EXPERTS, ids[2], -2, "experts: ids: row 1 has -2"),
    IN_STAGE(FA_OP_EXPERTS, experts[1].up.rows, N - 1, "experts: up"),
    IN_STAGE(FA_OP_EXPERTS, experts[1].down.cols, N - 1, "experts: down"),
    IN_OP(FA_OP_MLA, mla.heads, 0, "mla: heads"),
    IN_OP(FA_OP_MLA, mla.heads, 3, "mla: q"),
    IN_OP(FA_OP_MLA, mla.nope, 9, "mla: q"),
    IN_OP(FA_OP_MLA, mla.rank, 11, "mla: kv: rows hold 12 and 4"),
    IN_OP(FA_OP_MLA, mla.rope, 5, "mla: kv: rows hold"),
    IN_OP(FA_OP_MLA, mla.k_first, 6, "mla: k_up"),
    IN_OP(FA_OP_MLA, mla.k_first, -1, "mla: k_up"),
    IN_OP(FA_OP_MLA, mla.v_stride, 9, "mla: v_up"),
    IN_OP(FA_OP_MLA, mla.v_stride, INT64_MAX, "mla: v_up"),
    IN_OP(FA_OP_MLA, mla.k_transposed, 1, "mla: k_up"),
    IN_OP(FA_OP_MLA, mla.k_up, 0, "mla: k_up"),
    IN_OP(FA_OP_MLA, mla.place, 0, "mla: place"),
    IN_OP(FA_OP_MLA, mla.kv.pool, 0, "mla: kv"),
    IN_OP(FA_OP_MLA, mla.kv.layout, 0, "mla: kv"),
    IN_OP(FA_OP_MLA, mla.kv.layer, 2, "mla: kv: layer 2"),
    IN_STAGE(FA_OP_MLA, pages[0], 3, "mla: place: row 0 uses page 3"),
    IN_STAGE(FA_OP_MLA, pages[1], -1, "mla: place: row 0 uses page -1"),
    IN_STAGE(FA_OP_MLA, place[1].pos, -1, "mla: place"),
    IN_STAGE(FA_OP_MLA, place[1].pages, 0, "mla: place"),
    IN_STAGE(FA_OP_MLA, mla.row_bytes, 16, "mla: kv: the layout"),
    IN_STAGE(FA_OP_MLA, mla.a.type, FA_Q8_0, "mla: kv: the layout"),
    IN_STAGE(FA_OP_MLA, mla.b.offset_bytes, 28, "mla: kv: the layout"),
    IN_STAGE(FA_OP_MLA, mla.b.offset_bytes, -4, "mla: kv: the layout"),
    IN_STAGE(FA_OP_MLA, mla.layer_bytes, 0, "mla: kv: the layout"),
    IN_OP(FA_OP_GQA, gqa.kv_heads, 3, "gqa: heads"),
    IN_OP(FA_OP_GQA, gqa.head_dim, 7, "gqa: kv"),
    IN_OP(FA_OP_GQA, gqa.ldy, 31, "gqa: y"),
    IN_STAGE(FA_OP_GQA, gqa.a.scales_offset, 4096, "gqa: kv: the layout"),
    IN_STAGE(FA_OP_GQA, pages[2], 3, "gqa: place"),
    IN_OP(FA_OP_RMSNORM, rmsnorm.n, N + 1, "rmsnorm: x"),
    IN_OP(FA_OP_RMSNORM, rmsnorm.n, 0, "rmsnorm: x"),
    IN_OP(FA_OP_RMSNORM, rmsnorm.weight, 0, "rmsnorm: weight"),
    IN_STAGE(FA_OP_RMSNORM, index[1], -1, "rmsnorm: index"),
    IN_STAGE(FA_OP_RMSNORM, index[1], 128, "rmsnorm: x"),
    IN_STAGE(FA_OP_RMSNORM, vector.rows, 2, "rmsnorm: weight"),
    IN_OP(FA_OP_ROPE, rope.dims, 5, "rope: dims"),
    IN_OP(FA_OP_ROPE, rope.stride, 3, "rope: heads"),
    IN_OP(FA_OP_ROPE, rope.first, -1, "rope: heads"),
    IN_OP(FA_OP_ROPE, rope.first, 9, "rope: x"),
    IN_OP(FA_OP_ROPE, rope.place, 0, "rope: place"),
    IN_STAGE(FA_OP_ROPE, place[0].pos, 256, "rope: table"),
    IN_STAGE(FA_OP_ROPE, place[0].pos, -1, "rope: place"),
    IN_OP(FA_OP_ADD, add.lda, 0, "add: a"),
    IN_OP(FA_OP_ADD, add.b.offset, 4, "add: y: overlaps b"),
    IN_OP(FA_OP_ADD, add.y.buffer, 0, "add: y"),
    IN_OP(FA_OP_STORE, store.lda, 11, "store: a"),
    IN_OP(FA_OP_STORE, store.kv.layer, -1, "store: kv"),
    IN_STAGE(FA_OP_STORE, pages[2], 3, "store: place"),
    IN_STAGE(FA_OP_STORE, pages[0], 77, "store: place"),
};
enum { N_FAULTS = sizeof faults / sizeof *faults };

static void faults_are_refused(void *arg) {
    (void)arg;
    for (int i = 0; i < N_FAULTS; i++) {
        const fault *f = &faults[i];
        fa_error e = {0};
        set_stage();
        fa_op op = good_op(f->kind);
        memcpy((f->in_stage ? (char *)&stage : (char *)&op) + f->offset, &f->value, f->size);
        fa_status s = fa_op_check(&op, &e);
        CHECK(s == FA_EINVAL || s == FA_EUNSUPPORTED, "fault %d (%s) gave %s", i, f->error, fa_status_name(s));
        CHECK(!strncmp(e.text, f->error, strlen(f->error)), "fault %d: '%s', expected '%s'", i, e.text, f->error);
    }
}

/* Inputs and outputs that share a buffer. */
static void overlap_is_refused_unless_allowed(void *arg) {
    (void)arg;
    fa_error e;
    set_stage();
    fa_op op = good_op(FA_OP_EXPERTS);
    op.experts.y = op.experts.x;
    CHECK(fa_op_check(&op, &e) == FA_EINVAL && !strcmp(e.text, "experts: y: overlaps x"), "%s", e.text);
    op = good_op(FA_OP_RMSNORM);
    op.rmsnorm.y = op.rmsnorm.x;
    CHECK(fa_op_check(&op, &e) == FA_EINVAL, "in place with an index");
    op.rmsnorm.index = NULL;
    CHECK_OK(fa_op_check(&op, &e), &e);
    op = good_op(FA_OP_MLA);
    op.mla.y.buffer = &stage.pool;
    CHECK(fa_op_check(&op, &e) == FA_EINVAL && !strcmp(e.text, "mla: y: lies in the cache"), "%s", e.text);
    op.mla.y = op.mla.q;
    CHECK(fa_op_check(&op, &e) == FA_EINVAL && !strcmp(e.text, "mla: y: overlaps q"), "%s", e.text);
    op = good_op(FA_OP_MATMUL); /* x and y as columns of the same rows */
    op.matmul.part[0].y = (fa_ref){&stage.x, K * 4};
    op.matmul.ldx = op.matmul.part[0].ldy = K + N;
    CHECK_OK(fa_op_check(&op, &e), &e);
    op.matmul.part[0].y.offset -= 4;
    CHECK(fa_op_check(&op, &e) == FA_EINVAL && !strcmp(e.text, "matmul: y: overlaps x"), "%s", e.text);
}

static void limits_are_checked(void *arg) {
    (void)arg;
    static const struct {
        fa_op_kind kind;
        fa_limits limits;
        const char *error;
    } lines[] = {
        {FA_OP_MATMUL, {1, K, N, 2, 2, 2, 12, 131}, "matmul: rows"},
        {FA_OP_MATMUL, {2, K - 1, N, 2, 2, 2, 12, 131}, "matmul: x columns"},
        {FA_OP_EXPERTS, {2, K - 1, N, 2, 2, 2, 12, 131}, "experts: hidden"},
        {FA_OP_EXPERTS, {2, K, N - 1, 2, 2, 2, 12, 131}, "experts: inner"},
        {FA_OP_EXPERTS, {2, K, N, 1, 2, 2, 12, 131}, "experts: top_k"},
        {FA_OP_EXPERTS, {2, K, N, 2, 1, 2, 12, 131}, "experts: n_experts"},
        {FA_OP_MLA, {2, K, N, 2, 2, 1, 12, 131}, "mla: heads"},
        {FA_OP_MLA, {2, K, N, 2, 2, 2, 11, 131}, "mla: rank"},
        {FA_OP_MLA, {2, K, N, 2, 2, 2, 12, 130}, "mla: place"},
        {FA_OP_GQA, {2, K, N, 2, 2, 4, 7, 131}, "gqa: head_dim"},
        {FA_OP_GQA, {1, K, N, 2, 2, 4, 8, 131}, "gqa: rows"},
    };
    fa_limits enough = {2, K, N, 2, 2, 4, 12, 131};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        fa_error e = {0};
        set_stage();
        fa_op op = good_op(lines[i].kind);
        CHECK_OK(fa_limits_check(&op, &enough, &e), &e);
        CHECK(fa_limits_check(&op, &lines[i].limits, &e) == FA_ELIMIT, "%s", lines[i].error);
        CHECK(!strncmp(e.text, lines[i].error, strlen(lines[i].error)), "'%s', expected '%s'", e.text, lines[i].error);
    }
}

static void unknown_backends_are_refused(void *arg) {
    (void)arg;
    fa_error e;
    fa_backend *b;
    CHECK(fa_backend_open(&b, &(fa_backend_options){.name = "abacus", .node = -1}, &e) == FA_EINVAL && !b);
    CHECK(strstr(e.text, "abacus") && strstr(e.text, "auto, cpu, opencl, reference"), "%s", e.text);
    CHECK(fa_backend_open(&b, &(fa_backend_options){.name = "cpu:1", .node = -1}, &e) == FA_EINVAL && !b, "cpu:1");
    CHECK(fa_backend_open(&b, &(fa_backend_options){.name = "opencl:zero", .node = -1}, &e) == FA_EINVAL && !b);
    CHECK(strstr(e.text, "opencl:PLATFORM.DEVICE"), "%s", e.text);
    CHECK(fa_backend_open(&b, &(fa_backend_options){.name = "opencl:99.0", .node = -1}, &e) == FA_EUNSUPPORTED && !b);
    CHECK_OK(fa_backend_open(&b, &(fa_backend_options){.name = "auto", .threads = 1, .node = -1}, &e), &e);
    CHECK(!strcmp(b->name, "cpu"), "auto is %s", b->name);
    b->close(b);
    for (int k = 0; k < FA_OP_COUNT; k++) CHECK(strcmp(fa_op_name((fa_op_kind)k), "unknown"), "%d", k);
}

/* From here on: one case for each backend, `arg` points to its number. */

static void bad_weights_are_refused(void *arg) {
    fa_backend *b = conf_backend(*(int *)arg, 1);
    static const int64_t places[] = {0, 1, 126, 127, 128, 511, 512, 4095, 4096, (1 << 18) - 1, 1 << 18, 599 * 600 - 1};
    fa_error e;
    fa_arena arena = {0};
    check_rng rng = {5};
    for (fa_dtype type = FA_F8_E4M3; type <= FA_F8_E5M2; type++) {
        fa_weight w = conf_weight(&arena, &rng, type, 599, 600, CONF_NORMAL);
        w.name = "model.bad";
        CHECK_OK(b->weight(b, &w, &e), &e);
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            uint8_t *code = (uint8_t *)w.data + places[i], good = *code;
            *code = i % 2 ? 0x7f : 0xff;
            CHECK(b->weight(b, &w, &e) == FA_EFORMAT, "NaN code at %lld of %s", (long long)places[i],
                  fa_dtype_get(type)->name);
            CHECK(strstr(e.text, "model.bad"), "%s", e.text);
            *code = good;
        }
        float *scale = (float *)w.scale + 7, was = *scale;
        *scale = NAN;
        CHECK(b->weight(b, &w, &e) == FA_EFORMAT && strstr(e.text, "model.bad"), "a NaN scale: %s", e.text);
        *scale = INFINITY;
        CHECK(b->weight(b, &w, &e) == FA_EFORMAT, "an infinite scale");
        *scale = was;
        CHECK_OK(b->weight(b, &w, &e), &e);
    }
    fa_weight ints = {.name = "model.ints", .type = FA_I32, .rows = 1, .cols = 1, .data = &e};
    CHECK(b->weight(b, &ints, &e) == FA_EUNSUPPORTED && strstr(e.text, "model.ints"), "%s", e.text);
    if (b->settle) CHECK_OK(b->settle(b, NULL, &e), &e); /* it may want the data until then */
    fa_arena_free(&arena);
}

static void buffers_are_zeroed_bounded_and_counted(void *arg) {
    fa_backend *b = conf_backend(*(int *)arg, 1);
    fa_error e;
    fa_buffer *buffer;
    size_t before = b->bytes(b);
    CHECK_OK(b->alloc(b, 100000, &buffer, &e), &e);
    CHECK(buffer->bytes == 100000 && b->bytes(b) >= before + 100000);
    char text[16], zero[16] = {0};
    CHECK_OK(b->read(b, buffer, 100000 - 16, text, 16, &e), &e);
    CHECK(!memcmp(text, zero, 16), "not zeroed");
    CHECK_OK(b->write(b, buffer, 100000 - 16, "fifteen letters", 16, &e), &e);
    CHECK_OK(b->read(b, buffer, 100000 - 16, text, 16, &e), &e);
    CHECK(!strcmp(text, "fifteen letters"), "%s", text);
    CHECK(b->write(b, buffer, 100000 - 15, text, 16, &e) == FA_EINVAL);
    CHECK(b->read(b, buffer, 100001, text, 0, &e) == FA_EINVAL);
    CHECK(b->read(b, buffer, SIZE_MAX - 3, text, 16, &e) == FA_EINVAL);
    CHECK_OK(b->read(b, buffer, 100000, text, 0, &e), &e);
    b->free(b, buffer);
    CHECK(b->bytes(b) == before, "%zu bytes are left", b->bytes(b) - before);
}

/* norm -> matmul -> add onto the input, twice, in one submission: each op sees what those before it wrote. */
static void ops_of_a_submission_run_in_order(void *arg) {
    enum { T = 5, WIDTH = 160 };
    fa_backend *b = conf_backend(*(int *)arg, 1);
    fa_error e;
    fa_arena arena = {0};
    check_rng rng = {6};
    float *x = conf_rows(&arena, &rng, T, WIDTH, CONF_NORMAL), together[T * WIDTH], one_by_one[T * WIDTH];
    fa_weight w = conf_weight(&arena, &rng, FA_F8_E4M3, WIDTH, WIDTH, CONF_NORMAL);
    fa_weight norm = conf_weight(&arena, &rng, FA_BF16, 1, WIDTH, CONF_NORMAL);
    CHECK_OK(b->weight(b, &w, &e), &e);
    CHECK_OK(b->weight(b, &norm, &e), &e);
    int rows[T] = {0, 1, 2, 3, 4};
    for (int split = 0; split < 2; split++) {
        conf_matrix h = conf_upload(b, x, WIDTH, rows, T), n = conf_upload(b, NULL, WIDTH, NULL, T);
        conf_matrix y = conf_upload(b, NULL, WIDTH, NULL, T);
        fa_op ops[6] = {
            {.kind = FA_OP_RMSNORM,
             .rmsnorm = {T, WIDTH, .x = h.ref, .ldx = h.ld, .weight = &norm, .eps = 1e-6f, .y = n.ref, .ldy = n.ld}},
            {.kind = FA_OP_MATMUL,
             .matmul =
                 {.rows = T, .x = n.ref, .ldx = n.ld, .n_parts = 1, .part = {{.w = &w, .y = y.ref, .ldy = y.ld}}}},
            {.kind = FA_OP_ADD, .add = {T, WIDTH, h.ref, y.ref, h.ref, h.ld, y.ld, h.ld}},
        };
        memcpy(ops + 3, ops, 3 * sizeof *ops);
        if (split)
            for (int i = 0; i < 6; i++) conf_submit(b, &ops[i], 1);
        else
            conf_submit(b, ops, 6);
        conf_collect(b, &h, split ? one_by_one : together, WIDTH);
        conf_free(b, &n);
        conf_free(b, &y);
    }
    fa_arena_free(&arena);
    CHECK(!memcmp(together, one_by_one, sizeof together));
}

static void refused_submissions_change_nothing(void *arg) {
    fa_backend *b = conf_backend(*(int *)arg, 1);
    fa_error e;
    fa_ticket ticket;
    float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1}, after[8];
    conf_matrix x = conf_upload(b, ones, 8, (int[]){0}, 1);
    fa_op ops[2] = {{.kind = FA_OP_ADD, .add = {1, 8, x.ref, x.ref, x.ref, x.ld, x.ld, x.ld}}};
    ops[1] = ops[0];
    ops[1].add.rows = 2;
    CHECK(b->submit(b, ops, 2, &ticket, &e) == FA_EINVAL && strstr(e.text, "add: y"), "%s", e.text);
    ops[1].add.rows = 0; /* nothing to do is no error */
    conf_submit(b, ops, 0);
    conf_submit(b, ops + 1, 1);
    conf_collect(b, &x, after, 8);
    CHECK(!memcmp(ones, after, sizeof ones));
}

static void steps_beyond_what_was_reserved_are_refused(void *arg) {
    fa_backend *b = conf_backend(*(int *)arg, 1);
    fa_error e;
    fa_ticket ticket;
    fa_arena arena = {0};
    check_rng rng = {7};
    enum { TOO_MANY = 2049 };
    float *x = conf_rows(&arena, &rng, 1, TOO_MANY, CONF_NORMAL);
    fa_weight w = conf_weight(&arena, &rng, FA_F8_E4M3, 1, TOO_MANY, CONF_NORMAL);
    conf_matrix in = conf_upload(b, x, TOO_MANY, (int[]){0}, 1), out = conf_upload(b, NULL, 1, NULL, 1);
    fa_op op = {
        .kind = FA_OP_MATMUL,
        .matmul = {.rows = 1, .x = in.ref, .ldx = in.ld, .n_parts = 1, .part = {{.w = &w, .y = out.ref, .ldy = 1}}}};
    fa_status s = b->submit(b, &op, 1, &ticket, &e);
    conf_free(b, &in);
    conf_free(b, &out);
    fa_arena_free(&arena);
    CHECK(s == FA_ELIMIT && strstr(e.text, "matmul: x columns"), "%s", e.text);
}

static const struct {
    const char *name;
    void (*run)(void *arg);
} per_backend[] = {
    {"bad weights are refused", bad_weights_are_refused},
    {"buffers are zeroed, bounded and counted", buffers_are_zeroed_bounded_and_counted},
    {"ops of a submission run in order", ops_of_a_submission_run_in_order},
    {"refused submissions change nothing", refused_submissions_change_nothing},
    {"steps beyond what was reserved are refused", steps_beyond_what_was_reserved_are_refused},
};

static const check_case general[] = {
    {"good ops pass", good_ops_pass, NULL},
    {"faults are refused with op and field", faults_are_refused, NULL},
    {"overlap is refused unless allowed", overlap_is_refused_unless_allowed, NULL},
    {"limits are checked", limits_are_checked, NULL},
    {"unknown backends are refused", unknown_backends_are_refused, NULL},
};
enum { N_GENERAL = sizeof general / sizeof *general, N_PER_BACKEND = sizeof per_backend / sizeof *per_backend };

int main(int argc, char **argv) {
    enum { MAX_BACKENDS = 16 };
    static check_case cases[N_GENERAL + N_PER_BACKEND * MAX_BACKENDS];
    static char names[N_PER_BACKEND * MAX_BACKENDS][100];
    static int numbers[MAX_BACKENDS];
    memcpy(cases, general, sizeof general);
    int n = 0;
    for (int b = 0; b < conf_backends() && b < MAX_BACKENDS; b++)
        for (int i = 0; i < N_PER_BACKEND; i++, n++) {
            numbers[b] = b;
            snprintf(names[n], sizeof names[n], "%s [%s]", per_backend[i].name, conf_label(b));
            cases[N_GENERAL + n] = (check_case){names[n], per_backend[i].run, &numbers[b]};
        }
    int rc = check_main(argc, argv, cases, N_GENERAL + (size_t)n);
    conf_close();
    return rc;
}
