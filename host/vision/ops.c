#include "host/vision/ops.h"

#include <string.h>

#include "host/backend/scalar.h"
#include "host/base/threads.h"

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

void fa_vision_limits_join(fa_limits *to, const fa_vision_limits *l) {
    to->max_cols = larger(to->max_cols, larger(l->max_in, l->max_out));
    to->max_heads = (int32_t)larger(to->max_heads, l->max_heads);
    to->max_rank = (int32_t)larger(to->max_rank, l->head_dim);
    to->max_positions = (int32_t)larger(to->max_positions, l->max_positions);
}

static int32_t pages_for(int32_t positions) {
    return (positions + FA_PAGE_POSITIONS - 1) / FA_PAGE_POSITIONS;
}

static fa_status open_attention(fa_vision_ops *o, fa_error *e) {
    const fa_vision_limits *l = &o->limits;
    if (!l->max_width) return FA_OK;
    fa_kv_layout layout = fa_kv_layout_make(FA_CACHE_F32, false, l->max_width, l->max_width, 1);
    int32_t pages = pages_for(l->max_positions);
    o->pages = fa_arena_array(&o->arena, (size_t)pages, sizeof *o->pages);
    o->place = fa_arena_array(&o->arena, (size_t)o->max_rows, sizeof *o->place);
    if (!o->pages || !o->place)
        return fa_fail(e, FA_ENOMEM, "vision: out of memory for %d positions", l->max_positions);
    for (int32_t i = 0; i < pages; i++) o->pages[i] = i;
    return o->backend->alloc(o->backend, (size_t)pages * (size_t)layout.page_bytes, &o->cache, e);
}

fa_status fa_vision_ops_open(fa_vision_ops *o, fa_backend *backend, fa_numerics numerics, int32_t max_rows,
                             const fa_vision_limits *limits, fa_error *e) {
    *o = (fa_vision_ops){.backend = backend, .numerics = numerics, .limits = *limits, .max_rows = max_rows};
    size_t rows = (size_t)max_rows, in = (size_t)larger(limits->max_in, 3 * (int64_t)limits->max_width),
           out = (size_t)larger(limits->max_out, limits->max_width);
    fa_status s = backend->alloc(backend, rows * in * sizeof(float), &o->in, e);
    if (!s) s = backend->alloc(backend, rows * out * sizeof(float), &o->out, e);
    if (!s && !(o->patches = fa_arena_array(&o->arena, rows, (size_t)limits->max_in * sizeof(float))))
        s = fa_fail(e, FA_ENOMEM, "vision: out of memory for %d rows", max_rows);
    return s ? s : open_attention(o, e);
}

void fa_vision_ops_close(fa_vision_ops *o) {
    fa_buffer *held[] = {o->in, o->out, o->cache};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        if (held[i]) o->backend->free(o->backend, held[i]);
    fa_arena_free(&o->arena);
    *o = (fa_vision_ops){0};
}

static fa_status run(fa_vision_ops *o, const fa_op *op, fa_error *e) {
    fa_ticket ticket;
    fa_status s = o->backend->submit(o->backend, op, 1, &ticket, e);
    return s ? s : o->backend->wait(o->backend, ticket, e);
}

static fa_status send(fa_vision_ops *o, const float *x, int64_t rows, int64_t n, fa_error *e) {
    return o->backend->write(o->backend, o->in, 0, x, (size_t)(rows * n) * sizeof *x, e);
}

static fa_status fetch(fa_vision_ops *o, float *y, int64_t rows, int64_t n, fa_error *e) {
    return o->backend->read(o->backend, o->out, 0, y, (size_t)(rows * n) * sizeof *y, e);
}

/* At most max_rows rows. */
static fa_status linear_piece(fa_vision_ops *o, const fa_linear *l, const float *x, int64_t rows, float *y,
                              fa_error *e) {
    const fa_op op = {.kind = FA_OP_MATMUL,
                      .matmul = {.numerics = o->numerics,
                                 .rows = rows,
                                 .x = {o->in, 0},
                                 .ldx = l->w.cols,
                                 .n_parts = 1,
                                 .part[0] = {&l->w, l->bias.data ? &l->bias : NULL, {o->out, 0}, l->w.rows}}};
    fa_status s = send(o, x, rows, l->w.cols, e);
    if (!s) s = run(o, &op, e);
    return s ? s : fetch(o, y, rows, l->w.rows, e);
}

fa_status fa_vision_linear(fa_vision_ops *o, const fa_linear *l, const float *x, int64_t rows, float *y, fa_error *e) {
    fa_status s = FA_OK;
    for (int64_t first = 0, n; first < rows && !s; first += n) {
        n = rows - first < o->max_rows ? rows - first : o->max_rows;
        s = linear_piece(o, l, x + first * l->w.cols, n, y + first * l->w.rows, e);
    }
    return s;
}

fa_status fa_vision_mlp(fa_vision_ops *o, const fa_linear layer[2], const float *x, int64_t rows, float *inner,
                        float *y, fa_error *e) {
    fa_status s = fa_vision_linear(o, &layer[0], x, rows, inner, e);
    if (s) return s;
    fa_vision_gelu(inner, rows * layer[0].w.rows);
    return fa_vision_linear(o, &layer[1], inner, rows, y, e);
}

int32_t fa_conv_side(const fa_conv *c, int32_t side) {
    return (side + c->before + c->after - c->kernel) / c->stride + 1;
}

/* The window whose first pixel is (top, left), as [channels, kernel, kernel]. */
static void gather(const fa_conv *c, const float *x, int32_t height, int32_t width, int32_t top, int32_t left,
                   float *to) {
    int32_t k = c->kernel;
    for (int32_t r = 0; r < k; r++)
        for (int32_t q = 0; q < k; q++) {
            int32_t row = top + r, column = left + q;
            bool inside = row >= 0 && row < height && column >= 0 && column < width;
            const float *pixel = inside ? x + ((int64_t)row * width + column) * c->channels : NULL;
            for (int32_t i = 0; i < c->channels; i++) to[(i * k + r) * k + q] = pixel ? pixel[i] : 0;
        }
}

fa_status fa_vision_conv_piece(fa_vision_ops *o, const fa_conv *c, const float *x, int32_t height, int32_t width,
                               int64_t first, int64_t *n, float *y, fa_error *e) {
    int32_t across = fa_conv_side(c, width);
    int64_t rows = (int64_t)across * fa_conv_side(c, height), in = c->linear.w.cols;
    *n = rows - first < o->max_rows ? rows - first : o->max_rows;
    for (int64_t i = 0; i < *n; i++) {
        int32_t row = (int32_t)((first + i) / across), column = (int32_t)((first + i) % across);
        gather(c, x, height, width, row * c->stride - c->before, column * c->stride - c->before, o->patches + i * in);
    }
    return linear_piece(o, &c->linear, o->patches, *n, y + first * c->linear.w.rows, e);
}

fa_status fa_vision_conv(fa_vision_ops *o, const fa_conv *c, const float *x, int32_t height, int32_t width, float *y,
                         fa_error *e) {
    int64_t rows = (int64_t)fa_conv_side(c, width) * fa_conv_side(c, height);
    fa_status s = FA_OK;
    for (int64_t first = 0, n; first < rows && !s; first += n)
        s = fa_vision_conv_piece(o, c, x, height, width, first, &n, y, e);
    return s;
}

/* Keys and values of `rows` rows from `first` on into the scratch cache. */
static fa_status store(fa_vision_ops *o, const fa_kv *kv, const float *qkv, int32_t first, int32_t rows, fa_error *e) {
    int64_t width = kv->layout->a.n;
    size_t part = (size_t)width * sizeof(float);
    for (int32_t i = 0; i < rows; i++) o->place[i] = (fa_place){first + i, o->pages};
    const fa_op op = {.kind = FA_OP_STORE,
                      .store = {.rows = rows,
                                .place = o->place,
                                .a = {o->in, part},
                                .b = {o->in, 2 * part},
                                .lda = 3 * width,
                                .ldb = 3 * width,
                                .kv = *kv}};
    fa_status s = send(o, qkv + first * 3 * width, rows, 3 * width, e);
    return s ? s : run(o, &op, e);
}

static fa_status attend(fa_vision_ops *o, fa_gqa *g, const float *qkv, int32_t first, int32_t rows, int32_t all,
                        float *y, fa_error *e) {
    int64_t width = g->kv.layout->a.n;
    for (int32_t i = 0; i < rows; i++) o->place[i] = (fa_place){all - 1, o->pages};
    fa_op op = {.kind = FA_OP_GQA, .gqa = *g};
    op.gqa.rows = rows;
    fa_status s = send(o, qkv + first * 3 * width, rows, 3 * width, e);
    if (!s) s = run(o, &op, e);
    return s ? s : fetch(o, y + first * width, rows, width, e);
}

fa_status fa_vision_attention(fa_vision_ops *o, const float *qkv, int32_t rows, int32_t heads, int32_t head_dim,
                              float scale, float *y, fa_error *e) {
    int32_t width = heads * head_dim;
    if (rows < 1 || rows > o->limits.max_positions || width > o->limits.max_width)
        return fa_fail(e, FA_ELIMIT, "vision: attention of %d rows of %d values: at most %d of %d were reserved", rows,
                       width, o->limits.max_positions, o->limits.max_width);
    fa_kv_layout layout = fa_kv_layout_make(FA_CACHE_F32, false, width, width, 1);
    fa_gqa g = {.place = o->place,
                .heads = heads,
                .kv_heads = heads,
                .head_dim = head_dim,
                .scale = scale,
                .q = {o->in, 0},
                .ldq = 3 * (int64_t)width,
                .kv = {o->cache, &layout, 0},
                .y = {o->out, 0},
                .ldy = width};
    fa_status s = FA_OK;
    for (int32_t pass = 0; pass < 2; pass++)
        for (int32_t first = 0, n; first < rows && !s; first += n) {
            n = rows - first < o->max_rows ? rows - first : o->max_rows;
            s = pass ? attend(o, &g, qkv, first, n, rows, y, e) : store(o, &g.kv, qkv, first, n, e);
        }
    return s;
}

void fa_vision_layernorm(float *x, int64_t rows, int64_t n, const float *weight, const float *bias, float eps) {
    unsigned mode = fa_fp_enter();
    for (int64_t t = 0; t < rows; t++) fa_layernorm(x + t * n, n, weight, bias, eps);
    fa_fp_leave(mode);
}

void fa_vision_gelu(float *x, int64_t n) {
    unsigned mode = fa_fp_enter();
    for (int64_t i = 0; i < n; i++) x[i] = fa_gelu(x[i]);
    fa_fp_leave(mode);
}

void fa_vision_silu(float *x, int64_t n) {
    unsigned mode = fa_fp_enter();
    for (int64_t i = 0; i < n; i++) x[i] = fa_silu(x[i]);
    fa_fp_leave(mode);
}

void fa_vision_add(float *x, const float *y, int64_t n) {
    unsigned mode = fa_fp_enter();
    for (int64_t i = 0; i < n; i++) x[i] = x[i] + y[i];
    fa_fp_leave(mode);
}
