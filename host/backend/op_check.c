/* fa_op_check, fa_limits_check, fa_weight_check: whatever passes here can be run without looking outside a
 * buffer. */
#include "host/backend/backend.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* Where errors go, and the op they name. */
typedef struct checker {
    const char *op;
    fa_error *e;
} checker;

__attribute__((format(printf, 3, 4))) static fa_status bad(const checker *c, const char *field, const char *fmt, ...) {
    char why[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    return fa_fail(c->e, FA_EINVAL, "%s: %s: %s", c->op, field, why);
}

/* [rows, n] FP32 values with row stride ld. */
typedef struct region {
    const char *name;
    fa_ref ref;
    int64_t rows, n, ld;
} region;

/* Elements from the first to the last of a region; false on overflow. */
static bool region_extent(const region *r, int64_t *elements) {
    int64_t skipped;
    return !__builtin_mul_overflow(r->rows - 1, r->ld, &skipped) && !__builtin_add_overflow(skipped, r->n, elements);
}

static fa_status check_region(const checker *c, const region *r) {
    int64_t elements;
    if (!r->ref.buffer) return bad(c, r->name, "has no buffer");
    if (r->ref.offset % sizeof(float)) return bad(c, r->name, "offset %zu is not a multiple of 4", r->ref.offset);
    if (r->n < 1) return bad(c, r->name, "%lld columns", (long long)r->n);
    if (r->ld < r->n)
        return bad(c, r->name, "row stride %lld is less than %lld columns", (long long)r->ld, (long long)r->n);
    if (r->rows == 0) return FA_OK;
    size_t bytes = r->ref.buffer->bytes;
    if (!region_extent(r, &elements) || r->ref.offset > bytes ||
        (uint64_t)elements > (bytes - r->ref.offset) / sizeof(float))
        return bad(c, r->name, "[%lld, %lld] with row stride %lld at byte %zu ends outside its buffer of %zu bytes",
                   (long long)r->rows, (long long)r->n, (long long)r->ld, r->ref.offset, bytes);
    return FA_OK;
}

/* Both regions passed check_region. Columns side by side in rows of one stride do not overlap. */
static bool overlap(const region *a, const region *b) {
    int64_t extent_a, extent_b;
    if (a->ref.buffer != b->ref.buffer || a->rows == 0 || b->rows == 0) return false;
    if (!region_extent(a, &extent_a) || !region_extent(b, &extent_b)) return true;
    int64_t start_a = (int64_t)(a->ref.offset / sizeof(float)), start_b = (int64_t)(b->ref.offset / sizeof(float));
    if (start_a + extent_a <= start_b || start_b + extent_b <= start_a) return false;
    if (a->ld != b->ld) return true;
    int64_t shift = (start_b - start_a) % a->ld;
    if (shift < 0) shift += a->ld;
    return shift < a->n || shift + b->n > a->ld;
}

static bool same_place(const region *a, const region *b) {
    return a->ref.buffer == b->ref.buffer && a->ref.offset == b->ref.offset && a->ld == b->ld;
}

static fa_status check_apart(const checker *c, const region *a, const region *b) {
    return overlap(a, b) ? bad(c, a->name, "overlaps %s", b->name) : FA_OK;
}

static fa_status check_rows(const checker *c, int64_t rows) {
    return rows < 0 ? bad(c, "rows", "%lld", (long long)rows) : FA_OK;
}

static fa_status check_numerics(const checker *c, fa_numerics n) {
    return (unsigned)n < FA_NUMERICS_COUNT ? FA_OK : bad(c, "numerics", "%d is unknown", (int)n);
}

static bool is_fp8(fa_dtype t) {
    return t == FA_F8_E4M3 || t == FA_F8_E5M2;
}

/* Everything but the values. */
static fa_status check_weight_shape(const fa_weight *w, fa_error *e) {
    const char *name = w->name ? w->name : "weight";
    if ((unsigned)w->type >= FA_DTYPE_COUNT) return fa_fail(e, FA_EINVAL, "%s: type %d is unknown", name, (int)w->type);
    const fa_dtype_info *info = fa_dtype_get(w->type);
    bool plain = w->type == FA_F32 || w->type == FA_F16 || w->type == FA_BF16 || is_fp8(w->type);
    if (!plain && info->block_elements == 1)
        return fa_fail(e, FA_EUNSUPPORTED, "%s: tensors of type %s cannot be multiplied", name, info->name);
    if (w->rows < 1 || w->cols < 1 || fa_dtype_bytes(w->type, w->cols) < 0)
        return fa_fail(e, FA_EINVAL, "%s: [%lld, %lld] is not a shape of %s weights", name, (long long)w->rows,
                       (long long)w->cols, info->name);
    if (!w->data) return fa_fail(e, FA_EINVAL, "%s: has no data", name);
    if (is_fp8(w->type) && !w->scale) return fa_fail(e, FA_EINVAL, "%s: FP8 codes without block scales", name);
    return FA_OK;
}

fa_status fa_weight_check(const fa_weight *w, fa_error *e) {
    fa_status s = check_weight_shape(w, e);
    const char *name = w->name ? w->name : "weight";
    for (int64_t i = 0; !s && w->type == FA_F8_E5M2 && i < w->rows * w->cols; i++)
        if ((((const uint8_t *)w->data)[i] & 0x7c) == 0x7c)
            return fa_fail(e, FA_EFORMAT, "tensor %s: NaN or infinite code at element %lld", name, (long long)i);
    int64_t scales = (w->rows + FA_BLOCK - 1) / FA_BLOCK * ((w->cols + FA_BLOCK - 1) / FA_BLOCK);
    for (int64_t i = 0; !s && is_fp8(w->type) && i < scales; i++)
        if (!isfinite(w->scale[i]))
            return fa_fail(e, FA_EFORMAT, "tensor %s: block scale %lld is not finite", name, (long long)i);
    return s;
}

static fa_status check_weight(const checker *c, const char *field, const fa_weight *w, int64_t rows, int64_t cols) {
    if (!w) return bad(c, field, "is missing");
    fa_status s = check_weight_shape(w, c->e);
    if (s) return fa_error_prefix(c->e, s, "%s: %s", c->op, field);
    if ((rows && w->rows != rows) || (cols && w->cols != cols))
        return bad(c, field, "%s is [%lld, %lld], expected [%lld, %lld] (0: any)", w->name ? w->name : "weight",
                   (long long)w->rows, (long long)w->cols, (long long)rows, (long long)cols);
    return FA_OK;
}

/* Norms and biases. */
static fa_status check_vector(const checker *c, const char *field, const fa_weight *w, int64_t n) {
    fa_status s = check_weight(c, field, w, 1, n);
    if (!s && w->type != FA_F32 && w->type != FA_F16 && w->type != FA_BF16)
        s = bad(c, field, "%s: a vector cannot be %s", w->name ? w->name : "weight", fa_dtype_get(w->type)->name);
    return s;
}

static fa_status check_matmul(const checker *c, const fa_matmul *m) {
    fa_status s;
    if ((s = check_numerics(c, m->numerics)) || (s = check_rows(c, m->rows))) return s;
    if (m->n_parts < 1 || m->n_parts > FA_MATMUL_PARTS) return bad(c, "n_parts", "%d is not in 1..4", m->n_parts);
    if ((s = check_weight(c, "w", m->part[0].w, 0, 0))) return s;
    region x = {"x", m->x, m->rows, m->part[0].w->cols, m->ldx}, y[FA_MATMUL_PARTS];
    if ((s = check_region(c, &x))) return s;
    for (int p = 0; p < m->n_parts; p++) {
        const struct fa_matmul_part *part = &m->part[p];
        if ((s = check_weight(c, "w", part->w, 0, x.n))) return s;
        if (part->bias && (s = check_vector(c, "bias", part->bias, part->w->rows))) return s;
        y[p] = (region){"y", part->y, m->rows, part->w->rows, part->ldy};
        if ((s = check_region(c, &y[p])) || (s = check_apart(c, &y[p], &x))) return s;
        for (int q = 0; q < p; q++)
            if ((s = check_apart(c, &y[p], &y[q]))) return s;
    }
    return FA_OK;
}

static fa_status check_routes(const checker *c, const fa_experts *x) {
    if (!x->ids) return FA_OK;
    if (x->top_k < 1) return bad(c, "top_k", "%d", x->top_k);
    if (!x->weights) return bad(c, "weights", "are missing");
    for (int64_t t = 0; t < x->rows; t++) {
        const int32_t *ids = x->ids + t * x->top_k;
        for (int k = 0; k < x->top_k && ids[k] != -1; k++)
            if (ids[k] < (k ? ids[k - 1] + 1 : 0) || ids[k] >= x->n_experts)
                return bad(c, "ids", "row %lld has %d as route %d: expected rising ids below %d", (long long)t, ids[k],
                           k, x->n_experts);
    }
    return FA_OK;
}

static fa_status check_experts(const checker *c, const fa_experts *x) {
    fa_status s;
    if ((s = check_numerics(c, x->numerics)) || (s = check_rows(c, x->rows))) return s;
    if (x->n_experts < 1 || !x->experts) return bad(c, "experts", "there are none");
    if (x->inner < 1) return bad(c, "inner", "%lld", (long long)x->inner);
    region in = {"x", x->x, x->rows, x->hidden, x->ldx}, out = {"y", x->y, x->rows, x->hidden, x->ldy};
    if ((s = check_region(c, &in)) || (s = check_region(c, &out)) || (s = check_apart(c, &out, &in))) return s;
    for (int i = 0; i < x->n_experts; i++) {
        const fa_expert *x_i = &x->experts[i];
        if ((s = check_weight(c, "gate", &x_i->gate, x->inner, x->hidden)) ||
            (s = check_weight(c, "up", &x_i->up, x->inner, x->hidden)) ||
            (s = check_weight(c, "down", &x_i->down, x->hidden, x->inner)))
            return s;
    }
    return check_routes(c, x);
}

static bool part_fits(const fa_kv_part *p, int32_t row_bytes) {
    if (p->n < 1 || p->offset_bytes < 0 || p->offset_bytes % 4) return false;
    if (p->type != FA_F32 && p->type != FA_BF16 && p->type != FA_F8_E4M3) return false;
    int64_t scales = p->type == FA_F8_E4M3 ? ((int64_t)p->n + FA_BLOCK - 1) / FA_BLOCK * 4 : 0;
    if (scales && (p->scales_offset < 0 || p->scales_offset % 4 || p->scales_offset + scales > row_bytes)) return false;
    return p->offset_bytes + fa_dtype_bytes(p->type, p->n) <= row_bytes;
}

/* The cache and every page that the rows read (all up to their position) or write (the last one only). */
static fa_status check_kv(const checker *c, const fa_kv *kv, int64_t rows, const fa_place *place, bool last_only) {
    const fa_kv_layout *l = kv->layout;
    if (!kv->pool || !l) return bad(c, "kv", "has no %s", kv->pool ? "layout" : "pool");
    if (!part_fits(&l->a, l->row_bytes) || !part_fits(&l->b, l->row_bytes) || l->row_bytes % 16 ||
        l->layer_bytes != (int64_t)FA_PAGE_POSITIONS * l->row_bytes || l->page_bytes < l->layer_bytes)
        return bad(c, "kv", "the layout contradicts itself");
    if (kv->layer < 0 || kv->layer >= l->page_bytes / l->layer_bytes)
        return bad(c, "kv", "layer %d is not in the layout", kv->layer);
    if (rows && !place) return bad(c, "place", "is missing");
    uint64_t pages = kv->pool->bytes / (uint64_t)l->page_bytes;
    for (int64_t t = 0; t < rows; t++) {
        if (place[t].pos < 0 || !place[t].pages) return bad(c, "place", "row %lld has no position", (long long)t);
        int32_t last = place[t].pos / FA_PAGE_POSITIONS;
        for (int32_t i = last_only ? last : 0; i <= last; i++)
            if (place[t].pages[i] < 0 || (uint64_t)place[t].pages[i] >= pages)
                return bad(c, "place", "row %lld uses page %d of a pool of %llu", (long long)t, place[t].pages[i],
                           (unsigned long long)pages);
    }
    return FA_OK;
}

/* Queries and outputs of an attention op: apart from each other and from the cache. */
static fa_status check_attention(const checker *c, const region *q, const region *y, const fa_kv *kv) {
    fa_status s;
    if ((s = check_region(c, q)) || (s = check_region(c, y)) || (s = check_apart(c, y, q))) return s;
    return y->ref.buffer == kv->pool ? bad(c, "y", "lies in the cache") : FA_OK;
}

/* Rows first + h * stride .. + n - 1 of `w` exist for all heads. */
static fa_status check_heads(const checker *c, const char *field, const fa_weight *w, int64_t first, int64_t stride,
                             int32_t heads, int32_t n) {
    int64_t end;
    if (first < 0 || stride < 0 || __builtin_mul_overflow(stride, (int64_t)heads - 1, &end) ||
        __builtin_add_overflow(end, first, &end) || __builtin_add_overflow(end, (int64_t)n, &end) || end > w->rows)
        return bad(c, field, "%d heads of %d rows from row %lld by %lld are not in its %lld rows", heads, n,
                   (long long)first, (long long)stride, (long long)w->rows);
    return FA_OK;
}

static fa_status check_mla(const checker *c, const fa_mla *m) {
    fa_status s;
    if ((s = check_rows(c, m->rows))) return s;
    if (m->heads < 1 || m->nope < 1 || m->rope < 1 || m->v < 1 || m->rank < 1)
        return bad(c, "heads", "%d of nope %d, rope %d, v %d, rank %d", m->heads, m->nope, m->rope, m->v, m->rank);
    if ((s = check_kv(c, &m->kv, m->rows, m->place, false))) return s;
    if (m->kv.layout->a.n != m->rank || m->kv.layout->b.n != m->rope)
        return bad(c, "kv", "rows hold %d and %d elements, expected rank %d and rope %d", m->kv.layout->a.n,
                   m->kv.layout->b.n, m->rank, m->rope);
    region q = {"q", m->q, m->rows, m->heads * ((int64_t)m->nope + m->rope), m->ldq};
    region y = {"y", m->y, m->rows, (int64_t)m->heads * m->v, m->ldy};
    if ((s = check_attention(c, &q, &y, &m->kv))) return s;
    int32_t k_cols = m->k_transposed ? m->nope : m->rank, k_rows = m->k_transposed ? m->rank : m->nope;
    if ((s = check_weight(c, "k_up", m->k_up, 0, k_cols)) || (s = check_weight(c, "v_up", m->v_up, 0, m->rank)))
        return s;
    if ((s = check_heads(c, "k_up", m->k_up, m->k_first, m->k_stride, m->heads, k_rows))) return s;
    return check_heads(c, "v_up", m->v_up, m->v_first, m->v_stride, m->heads, m->v);
}

static fa_status check_gqa(const checker *c, const fa_gqa *g) {
    fa_status s;
    if ((s = check_rows(c, g->rows))) return s;
    if (g->heads < 1 || g->kv_heads < 1 || g->head_dim < 1 || g->heads % g->kv_heads)
        return bad(c, "heads", "%d over %d key heads of %d elements", g->heads, g->kv_heads, g->head_dim);
    if ((s = check_kv(c, &g->kv, g->rows, g->place, false))) return s;
    int64_t width = (int64_t)g->kv_heads * g->head_dim;
    if (g->kv.layout->a.n != width || g->kv.layout->b.n != width)
        return bad(c, "kv", "rows hold %d and %d elements, expected %lld", g->kv.layout->a.n, g->kv.layout->b.n,
                   (long long)width);
    region q = {"q", g->q, g->rows, (int64_t)g->heads * g->head_dim, g->ldq};
    region y = {"y", g->y, g->rows, (int64_t)g->heads * g->head_dim, g->ldy};
    return check_attention(c, &q, &y, &g->kv);
}

static fa_status check_rmsnorm(const checker *c, const fa_rmsnorm *r) {
    fa_status s;
    if ((s = check_rows(c, r->rows))) return s;
    region x = {"x", r->x, r->rows, r->n, r->ldx}, y = {"y", r->y, r->rows, r->n, r->ldy};
    int64_t last = -1;
    for (int64_t t = 0; r->index && t < r->rows; t++) {
        if (r->index[t] < 0) return bad(c, "index", "row %lld is %d", (long long)t, r->index[t]);
        if (r->index[t] > last) last = r->index[t];
    }
    if (r->index) x.rows = last + 1;
    if ((s = check_region(c, &x)) || (s = check_region(c, &y))) return s;
    if ((s = check_vector(c, "weight", r->weight, r->n))) return s;
    return !r->index && same_place(&x, &y) ? FA_OK : check_apart(c, &y, &x);
}

static fa_status check_rope(const checker *c, const fa_rope *r) {
    fa_status s;
    if ((s = check_rows(c, r->rows))) return s;
    if (r->dims < 2 || r->dims % 2) return bad(c, "dims", "%d is not even", r->dims);
    if (r->heads < 1 || r->first < 0 || (r->heads > 1 && r->stride < r->dims))
        return bad(c, "heads", "%d from element %d by %d", r->heads, r->first, r->stride);
    region x = {"x", r->x, r->rows, (r->heads - 1) * (int64_t)r->stride + r->first + r->dims, r->ldx};
    region table = {"table", r->table, 0, r->dims, r->dims};
    if (r->rows && !r->place) return bad(c, "place", "is missing");
    for (int64_t t = 0; t < r->rows; t++) {
        if (r->place[t].pos < 0) return bad(c, "place", "row %lld has no position", (long long)t);
        if (r->place[t].pos >= table.rows) table.rows = (int64_t)r->place[t].pos + 1;
    }
    if ((s = check_region(c, &x)) || (s = check_region(c, &table))) return s;
    return check_apart(c, &x, &table);
}

static fa_status check_add(const checker *c, const fa_add *a) {
    fa_status s;
    if ((s = check_rows(c, a->rows))) return s;
    region in[2] = {{"a", a->a, a->rows, a->n, a->lda}, {"b", a->b, a->rows, a->n, a->ldb}};
    region y = {"y", a->y, a->rows, a->n, a->ldy};
    if ((s = check_region(c, &y))) return s;
    for (int i = 0; i < 2; i++) {
        if ((s = check_region(c, &in[i]))) return s;
        if (!same_place(&y, &in[i]) && (s = check_apart(c, &y, &in[i]))) return s;
    }
    return FA_OK;
}

static fa_status check_store(const checker *c, const fa_store *st) {
    fa_status s;
    if ((s = check_rows(c, st->rows)) || (s = check_kv(c, &st->kv, st->rows, st->place, true))) return s;
    region a = {"a", st->a, st->rows, st->kv.layout->a.n, st->lda},
           b = {"b", st->b, st->rows, st->kv.layout->b.n, st->ldb};
    if ((s = check_region(c, &a)) || (s = check_region(c, &b))) return s;
    if (a.ref.buffer == st->kv.pool || b.ref.buffer == st->kv.pool) return bad(c, "a", "lies in the cache");
    return FA_OK;
}

fa_status fa_op_check(const fa_op *op, fa_error *e) {
    checker c = {fa_op_name(op->kind), e};
    switch (op->kind) {
    case FA_OP_MATMUL: return check_matmul(&c, &op->matmul);
    case FA_OP_EXPERTS: return check_experts(&c, &op->experts);
    case FA_OP_MLA: return check_mla(&c, &op->mla);
    case FA_OP_GQA: return check_gqa(&c, &op->gqa);
    case FA_OP_RMSNORM: return check_rmsnorm(&c, &op->rmsnorm);
    case FA_OP_ROPE: return check_rope(&c, &op->rope);
    case FA_OP_ADD: return check_add(&c, &op->add);
    case FA_OP_STORE: return check_store(&c, &op->store);
    default: return bad(&c, "kind", "%d", (int)op->kind);
    }
}

typedef struct limit {
    const char *field;
    int64_t asked, reserved;
} limit;

static int64_t max_position(const fa_place *place, int64_t rows) {
    int64_t most = 0;
    for (int64_t t = 0; t < rows; t++)
        if (place[t].pos + (int64_t)1 > most) most = place[t].pos + (int64_t)1;
    return most;
}

static int32_t largest(const int32_t *v, int n) {
    int32_t most = v[0];
    for (int i = 1; i < n; i++)
        if (v[i] > most) most = v[i];
    return most;
}

fa_status fa_limits_check(const fa_op *op, const fa_limits *l, fa_error *e) {
    limit checks[5];
    int n = 0;
    if (op->kind == FA_OP_MATMUL) {
        checks[n++] = (limit){"rows", op->matmul.rows, l->max_rows};
        checks[n++] = (limit){"x columns", op->matmul.part[0].w->cols, l->max_cols};
    } else if (op->kind == FA_OP_EXPERTS) {
        const fa_experts *x = &op->experts;
        checks[n++] = (limit){"rows", x->rows, l->max_rows};
        checks[n++] = (limit){"hidden", x->hidden, l->max_cols};
        checks[n++] = (limit){"inner", x->inner, l->max_inner < l->max_cols ? l->max_inner : l->max_cols};
        checks[n++] = (limit){"n_experts", x->ids ? x->n_experts : 0, l->max_experts};
        checks[n++] = (limit){"top_k", x->ids ? x->top_k : 0, l->max_top_k};
    } else if (op->kind == FA_OP_MLA) {
        const fa_mla *m = &op->mla;
        checks[n++] = (limit){"rows", m->rows, l->max_rows};
        checks[n++] = (limit){"heads", m->heads, l->max_heads};
        checks[n++] = (limit){"rank", largest((int32_t[]){m->rank, m->nope, m->rope, m->v}, 4), l->max_rank};
        checks[n++] = (limit){"place", max_position(m->place, m->rows), l->max_positions};
    } else if (op->kind == FA_OP_GQA) {
        const fa_gqa *g = &op->gqa;
        checks[n++] = (limit){"rows", g->rows, l->max_rows};
        checks[n++] = (limit){"heads", g->heads, l->max_heads};
        checks[n++] = (limit){"head_dim", g->head_dim, l->max_rank};
        checks[n++] = (limit){"place", max_position(g->place, g->rows), l->max_positions};
    }
    for (int i = 0; i < n; i++)
        if (checks[i].asked > checks[i].reserved)
            return fa_fail(e, FA_ELIMIT, "%s: %s: %lld is more than the %lld reserved", fa_op_name(op->kind),
                           checks[i].field, (long long)checks[i].asked, (long long)checks[i].reserved);
    return FA_OK;
}
