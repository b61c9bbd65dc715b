/* Attention: the heads of an op are shared out over the units, those of MLA by where their rows of kv_b lie. */
#include "host/backend/board/state.h"

static hls_weight cached_type(fa_dtype t) {
    return t == FA_F8_E4M3 ? HLS_E4M3 : t == FA_BF16 ? HLS_BF16 : HLS_F32;
}

/* The int64 arguments that mla and gqa share: kernels count cached rows in units of 4 bytes. */
static void place_args(board_call *c, fa_ref q, int64_t q_skip, int64_t ldq, fa_ref y, int64_t y_skip, int64_t ldy,
                       const fa_kv *kv) {
    board_arg_int(c, board_first(q) + q_skip, 8);
    board_arg_int(c, ldq, 8);
    board_arg_int(c, board_first(y) + y_skip, 8);
    board_arg_int(c, ldy, 8);
    board_arg_int(c, kv->layer * kv->layout->layer_bytes / 4, 8);
    board_arg_int(c, kv->layout->page_bytes / 4, 8);
}

static void buffer_args(const fa_board_backend *b, board_call *c, fa_ref q, fa_ref y, const fa_kv *kv, size_t table) {
    board_arg_ref(c, q);
    board_arg_ref(c, y);
    board_arg_buffer(c, board_card(kv->pool), 0);
    board_arg_buffer(c, b->tables.card, table);
}

static void row_args(board_call *c, const fa_kv_layout *l) {
    board_arg_int(c, l->row_bytes / 4, 4);
    board_arg_int(c, cached_type(l->a.type), 4);
    board_arg_int(c, l->a.offset_bytes / 4, 4);
    board_arg_int(c, l->a.scales_offset / 4, 4);
    board_arg_int(c, cached_type(l->b.type), 4);
    board_arg_int(c, l->b.offset_bytes / 4, 4);
}

/* ---- mla ---- */

/* The slice of `w` with its rows first .. first + n - 1, or NULL. */
static const board_slice *slice_with(const board_weight *w, int64_t first, int64_t n) {
    for (int i = 0; i < w->n_slices; i++)
        if (first >= w->slice[i].first && first + n <= (int64_t)w->slice[i].first + w->slice[i].outputs)
            return &w->slice[i];
    return NULL;
}

/* Both of head h's parts, on one unit and in one segment. */
static bool slices_of_head(const fa_mla *m, int32_t h, const board_slice **k, const board_slice **v) {
    *k = slice_with(board_weight_of(m->k_up), m->k_first + h * m->k_stride, m->k_transposed ? m->rank : m->nope);
    *v = slice_with(board_weight_of(m->v_up), m->v_first + h * m->v_stride, m->v);
    return *k && *v && (*k)->unit == (*v)->unit && (*k)->segment == (*v)->segment;
}

static bool heads_whole(const fa_mla *m) {
    const board_slice *k, *v;
    for (int32_t h = 0; h < m->heads; h++)
        if (!slices_of_head(m, h, &k, &v)) return false;
    return true;
}

fa_status board_plan_mla(fa_board_backend *b, const fa_mla *m, fa_error *e) {
    if (heads_whole(m)) return FA_OK;
    const fa_weight *weights[2] = {m->k_up, m->v_up};
    return board_bring_together(b, weights, (int32_t[2]){0, 0}, 2, e);
}

/* Heads first .. first + n - 1, which one unit has. */
static fa_status run_heads(fa_board_backend *b, const fa_mla *m, size_t table, int32_t first, int32_t n, fa_error *e) {
    const board_slice *k, *v;
    slices_of_head(m, first, &k, &v);
    board_call c;
    board_call_begin(b, &c, "fathom_mla", k->unit, k->segment);
    buffer_args(b, &c, m->q, m->y, &m->kv, table);
    place_args(&c, m->q, (int64_t)first * (m->nope + m->rope), m->ldq, m->y, (int64_t)first * m->v, m->ldy, &m->kv);
    board_arg_int(&c, m->rows, 4);
    board_arg_int(&c, n, 4);
    board_arg_int(&c, m->nope, 4);
    board_arg_int(&c, m->rope, 4);
    board_arg_int(&c, m->v, 4);
    board_arg_int(&c, m->rank, 4);
    board_arg_float(&c, m->scale);
    board_arg_int(&c, k->at, 4);
    board_arg_int(&c, board_weight_of(m->k_up)->type, 4);
    board_arg_int(&c, m->k_first + first * m->k_stride - k->first, 4);
    board_arg_int(&c, m->k_stride, 4);
    board_arg_int(&c, m->k_transposed, 4);
    board_arg_int(&c, v->at, 4);
    board_arg_int(&c, board_weight_of(m->v_up)->type, 4);
    board_arg_int(&c, m->v_first + first * m->v_stride - v->first, 4);
    board_arg_int(&c, m->v_stride, 4);
    row_args(&c, m->kv.layout);
    return board_start(b, &c, e);
}

fa_status board_run_mla(fa_board_backend *b, const fa_mla *m, size_t table, fa_error *e) {
    uint32_t units = 0;
    const board_slice *k, *v;
    for (int32_t h = 0; h < m->heads; h++)
        if (slices_of_head(m, h, &k, &v)) units |= 1u << k->unit;
    fa_status s = board_after(b, units, e);
    for (int32_t first = 0, end; first < m->heads && !s; first = end) {
        slices_of_head(m, first, &k, &v);
        int32_t unit = k->unit;
        for (end = first + 1; end < m->heads && end - first < HLS_MAX_HEADS; end++)
            if (!slices_of_head(m, end, &k, &v) || k->unit != unit) break;
        if (first && !board_words_apart(m->y, m->rows, m->ldy, (int64_t)first * m->v))
            s = board_after(b, 1u << unit, e);
        if (!s) s = run_heads(b, m, table, first, end - first, e);
    }
    return s;
}

/* ---- gqa ---- */

/* Key/value heads first .. first + n - 1, with the query heads that read them. */
static fa_status run_kv_heads(fa_board_backend *b, const fa_gqa *g, size_t table, int32_t unit, int32_t first,
                              int32_t n, fa_error *e) {
    int32_t group = g->heads / g->kv_heads;
    int64_t skip = (int64_t)first * group * g->head_dim;
    board_call c;
    board_call_begin(b, &c, "fathom_gqa", unit, -1);
    buffer_args(b, &c, g->q, g->y, &g->kv, table);
    place_args(&c, g->q, skip, g->ldq, g->y, skip, g->ldy, &g->kv);
    board_arg_int(&c, g->rows, 4);
    board_arg_int(&c, (int64_t)n * group, 4);
    board_arg_int(&c, n, 4);
    board_arg_int(&c, first, 4);
    board_arg_int(&c, g->head_dim, 4);
    board_arg_float(&c, g->scale);
    row_args(&c, g->kv.layout);
    board_arg_int(&c, g->kv.layout->b.scales_offset / 4, 4);
    return board_start(b, &c, e);
}

fa_status board_run_gqa(fa_board_backend *b, const fa_gqa *g, size_t table, fa_error *e) {
    int32_t each = (g->kv_heads + b->units - 1) / b->units, group = g->heads / g->kv_heads;
    uint32_t units = (1u << (g->kv_heads + each - 1) / each) - 1;
    fa_status s = board_after(b, units, e);
    for (int32_t first = 0, unit = 0; first < g->kv_heads && !s; first += each, unit++) {
        int32_t n = g->kv_heads - first < each ? g->kv_heads - first : each;
        if (first && !board_words_apart(g->y, g->rows, g->ldy, (int64_t)first * group * g->head_dim))
            s = board_after(b, 1u << unit, e);
        if (!s) s = run_kv_heads(b, g, table, unit, first, n, e);
    }
    return s;
}
