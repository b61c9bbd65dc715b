#include "host/backend/placed/state.h"

/* A list that is being made. */
typedef struct maker {
    placed_ref *ref;
    int n;
} maker;

static void matrix(maker *m, fa_ref at, int64_t rows, int64_t ld, int64_t n, bool write) {
    size_t high = at.offset + (size_t)((rows - 1) * ld + n) * sizeof(float);
    m->ref[m->n++] = (placed_ref){placed_buffer_of(at.buffer), at.offset, high, write, write && (ld == n || rows == 1)};
}

static int64_t last_position(const fa_place *place, int64_t rows) {
    int64_t last = 0;
    for (int64_t t = 0; t < rows; t++) last = place[t].pos > last ? place[t].pos : last;
    return last;
}

static void rope_refs(maker *m, const fa_rope *x) {
    int64_t n = x->first + (int64_t)(x->heads - 1) * x->stride + x->dims;
    matrix(m, x->x, x->rows, x->ldx, n, true);
    m->ref[m->n - 1].covered = false; /* read and written */
    matrix(m, x->table, last_position(x->place, x->rows) + 1, x->dims, x->dims, false);
}

static void norm_refs(maker *m, const fa_rmsnorm *x) {
    int64_t last = x->rows - 1;
    for (int64_t t = 0; x->index && t < x->rows; t++) last = x->index[t] > last ? x->index[t] : last;
    matrix(m, x->x, last + 1, x->ldx, x->n, false);
    matrix(m, x->y, x->rows, x->ldy, x->n, true);
}

static void matmul_refs(maker *m, const fa_matmul *x) {
    matrix(m, x->x, x->rows, x->ldx, x->part[0].w->cols, false);
    for (int i = 0; i < x->n_parts; i++) matrix(m, x->part[i].y, x->rows, x->part[i].ldy, x->part[i].w->rows, true);
}

int placed_refs(const fa_op *op, placed_ref refs[PLACED_REFS]) {
    maker m = {.ref = refs};
    switch (op->kind) {
    case FA_OP_MATMUL: matmul_refs(&m, &op->matmul); break;
    case FA_OP_EXPERTS:
        matrix(&m, op->experts.x, op->experts.rows, op->experts.ldx, op->experts.hidden, false);
        matrix(&m, op->experts.y, op->experts.rows, op->experts.ldy, op->experts.hidden, true);
        break;
    case FA_OP_MLA:
        matrix(&m, op->mla.q, op->mla.rows, op->mla.ldq, (int64_t)op->mla.heads * (op->mla.nope + op->mla.rope), false);
        matrix(&m, op->mla.y, op->mla.rows, op->mla.ldy, (int64_t)op->mla.heads * op->mla.v, true);
        break;
    case FA_OP_GQA:
        matrix(&m, op->gqa.q, op->gqa.rows, op->gqa.ldq, (int64_t)op->gqa.heads * op->gqa.head_dim, false);
        matrix(&m, op->gqa.y, op->gqa.rows, op->gqa.ldy, (int64_t)op->gqa.heads * op->gqa.head_dim, true);
        break;
    case FA_OP_RMSNORM: norm_refs(&m, &op->rmsnorm); break;
    case FA_OP_ROPE: rope_refs(&m, &op->rope); break;
    case FA_OP_ADD:
        matrix(&m, op->add.a, op->add.rows, op->add.lda, op->add.n, false);
        matrix(&m, op->add.b, op->add.rows, op->add.ldb, op->add.n, false);
        matrix(&m, op->add.y, op->add.rows, op->add.ldy, op->add.n, true);
        break;
    case FA_OP_STORE:
        matrix(&m, op->store.a, op->store.rows, op->store.lda, op->store.kv.layout->a.n, false);
        matrix(&m, op->store.b, op->store.rows, op->store.ldb, op->store.kv.layout->b.n, false);
        break;
    default: break;
    }
    return m.n;
}
