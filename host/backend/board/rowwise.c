/* Norm, rotation, addition, store: on unit 0. */
#include "host/backend/board/state.h"

static hls_weight cached_type(fa_dtype t) {
    return t == FA_F8_E4M3 ? HLS_E4M3 : t == FA_BF16 ? HLS_BF16 : HLS_F32;
}

static void kv_args(board_call *c, const fa_kv_layout *l) {
    board_arg_int(c, l->row_bytes / 4, 4);
    board_arg_int(c, cached_type(l->a.type), 4);
    board_arg_int(c, l->a.offset_bytes / 4, 4);
    board_arg_int(c, l->a.scales_offset / 4, 4);
    board_arg_int(c, cached_type(l->b.type), 4);
    board_arg_int(c, l->b.offset_bytes / 4, 4);
    board_arg_int(c, l->b.scales_offset / 4, 4);
}

fa_status board_run_rowwise(fa_board_backend *b, const board_rowwise *r, fa_error *e) {
    static const fa_kv_layout no_layout;
    const board_matrix *m[] = {&r->a, &r->b, &r->y};
    board_call c;
    board_call_begin(b, &c, "fathom_rowwise", 0, -1);
    for (int i = 0; i < 3; i++) board_arg_buffer(&c, m[i]->buffer, 0);
    board_arg_buffer(&c, b->tables.card, r->table);
    for (int i = 0; i < 3; i++) {
        board_arg_int(&c, m[i]->first, 8);
        board_arg_int(&c, m[i]->ld, 8);
    }
    board_arg_int(&c, r->kv ? r->kv->layout->page_bytes / 4 : 0, 8);
    board_arg_int(&c, r->op, 4);
    board_arg_int(&c, r->rows, 4);
    board_arg_int(&c, r->n, 4);
    board_arg_int(&c, r->n_b, 4);
    board_arg_int(&c, r->heads, 4);
    board_arg_int(&c, r->stride, 4);
    board_arg_int(&c, r->flag, 4);
    board_arg_float(&c, r->eps);
    kv_args(&c, r->kv ? r->kv->layout : &no_layout);
    fa_status s = board_after(b, 1, e);
    return s ? s : board_start(b, &c, e);
}

fa_status board_run_norm(fa_board_backend *b, const fa_rmsnorm *n, size_t table, fa_error *e) {
    const board_weight *w = board_weight_of(n->weight);
    board_rowwise r = {.op = HLS_NORM,
                       .a = board_matrix_of(n->x, n->ldx),
                       .b = {b->segments[w->slice[0].segment].vectors, w->vector_at, 0},
                       .y = board_matrix_of(n->y, n->ldy),
                       .table = table,
                       .rows = n->rows,
                       .n = n->n,
                       .flag = n->index != NULL,
                       .eps = n->eps};
    return board_run_rowwise(b, &r, e);
}

fa_status board_run_rope(fa_board_backend *b, const fa_rope *x, size_t table, fa_error *e) {
    board_rowwise r = {.op = HLS_ROPE,
                       .b = board_matrix_of(x->table, x->dims),
                       .y = board_matrix_of(x->x, x->ldx),
                       .table = table,
                       .rows = x->rows,
                       .n = x->dims,
                       .heads = x->heads,
                       .stride = x->stride,
                       .flag = x->interleaved};
    r.y.first += x->first;
    return board_run_rowwise(b, &r, e);
}

fa_status board_run_add(fa_board_backend *b, const fa_add *a, fa_error *e) {
    board_rowwise r = {.op = HLS_ADD,
                       .a = board_matrix_of(a->a, a->lda),
                       .b = board_matrix_of(a->b, a->ldb),
                       .y = board_matrix_of(a->y, a->ldy),
                       .rows = a->rows,
                       .n = a->n};
    return board_run_rowwise(b, &r, e);
}

fa_status board_run_store(fa_board_backend *b, const fa_store *st, size_t table, fa_error *e) {
    board_rowwise r = {.op = HLS_STORE,
                       .a = board_matrix_of(st->a, st->lda),
                       .b = board_matrix_of(st->b, st->ldb),
                       .y = {board_card(st->kv.pool), st->kv.layer * st->kv.layout->layer_bytes / 4, 0},
                       .table = table,
                       .rows = st->rows,
                       .n = st->kv.layout->a.n,
                       .n_b = st->kv.layout->b.n,
                       .kv = &st->kv};
    return board_run_rowwise(b, &r, e);
}
