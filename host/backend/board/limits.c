/* What the kernels' constants (hls/word.h) allow. */
#include "host/backend/board/state.h"

typedef struct limit {
    const char *name;
    int64_t asked, most;
} limit;

fa_status board_check_reserve(const fa_board_backend *b, const fa_limits *l, fa_error *e) {
    const limit checks[] = {
        {"rows of a step", l->max_rows, HLS_MAX_ROWS},     {"columns", l->max_cols, HLS_MAX_COLS},
        {"inner columns", l->max_inner, HLS_MAX_COLS},     {"heads", l->max_heads, HLS_MAX_HEADS},
        {"elements of a head", l->max_rank, HLS_MAX_HEAD}, {"positions", l->max_positions, HLS_MAX_POSITIONS},
        {"routes of a row", l->max_top_k, INT16_MAX},      {"experts", l->max_experts, INT16_MAX},
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (checks[i].asked < 0) return fa_fail(e, FA_EINVAL, "%s: negative limits", b->base.name);
        if (checks[i].asked > checks[i].most)
            return fa_fail(e, FA_ELIMIT, "%s: %lld %s are more than the %lld that its kernels take", b->base.name,
                           (long long)checks[i].asked, checks[i].name, (long long)checks[i].most);
    }
    return FA_OK;
}

static fa_status check_weight(const fa_op *op, const fa_weight *w, fa_error *e) {
    if (!w || w->device) return FA_OK;
    return fa_fail(e, FA_EINVAL, "%s: tensor %s was not given to the board", fa_op_name(op->kind),
                   w->name ? w->name : "weight");
}

/* The weights that an op may use must be on the card. */
static fa_status check_weights(const fa_op *op, fa_error *e) {
    const fa_matmul *m = &op->matmul;
    fa_status s = FA_OK;
    for (int p = 0; op->kind == FA_OP_MATMUL && p < m->n_parts && !s; p++) {
        s = check_weight(op, m->part[p].w, e);
        if (!s) s = check_weight(op, m->part[p].bias, e);
    }
    if (op->kind == FA_OP_RMSNORM) s = check_weight(op, op->rmsnorm.weight, e);
    if (op->kind == FA_OP_MLA) s = check_weight(op, op->mla.k_up, e);
    if (op->kind == FA_OP_MLA && !s) s = check_weight(op, op->mla.v_up, e);
    for (int i = 0; op->kind == FA_OP_EXPERTS && i < (op->experts.ids ? op->experts.n_experts : 1) && !s; i++) {
        const fa_expert *x = &op->experts.experts[i];
        s = check_weight(op, &x->gate, e);
        if (!s) s = check_weight(op, &x->up, e);
        if (!s) s = check_weight(op, &x->down, e);
    }
    return s;
}

fa_status board_check_op(const fa_op *op, fa_error *e) {
    limit checks[3] = {{0}};
    if (op->kind == FA_OP_MLA) {
        const fa_mla *m = &op->mla;
        int64_t wide = m->nope + m->rope > m->v ? m->nope + m->rope : m->v;
        checks[0] = (limit){"rank", m->rank, HLS_MAX_RANK};
        checks[1] = (limit){"rank and rope", (int64_t)m->rank + m->rope, HLS_MAX_KEY};
        checks[2] = (limit){"all heads together", m->heads * wide, HLS_MAX_COLS};
    }
    if (op->kind == FA_OP_RMSNORM) checks[0] = (limit){"n", op->rmsnorm.n, HLS_MAX_COLS};
    if (op->kind == FA_OP_ADD) checks[0] = (limit){"n", op->add.n, HLS_MAX_COLS};
    if (op->kind == FA_OP_ROPE) checks[0] = (limit){"dims", op->rope.dims, HLS_MAX_HEAD};
    if (op->kind == FA_OP_STORE) {
        checks[0] = (limit){"a", op->store.kv.layout->a.n, HLS_MAX_COLS};
        checks[1] = (limit){"b", op->store.kv.layout->b.n, HLS_MAX_COLS};
    }
    for (int i = 0; i < 3; i++)
        if (checks[i].asked > checks[i].most)
            return fa_fail(e, FA_ELIMIT, "%s: %s: %lld is more than the %lld that kernels take", fa_op_name(op->kind),
                           checks[i].name, (long long)checks[i].asked, (long long)checks[i].most);
    return check_weights(op, e);
}
