/* Ops that follow one another on one board are handed to it together. */
#include <stdlib.h>
#include <string.h>

#include "host/backend/placed/state.h"

static fa_status run_ops(fa_backend *b, placed_call *c) {
    fa_ticket ticket;
    fa_status s = b->submit(b, c->ops, c->n, &ticket, &c->error);
    return s ? s : b->wait(b, ticket, &c->error);
}

double placed_clock(const fa_placed *p, int32_t board) {
    const fa_backend *b = p->worker[board].backend;
    fa_backend_use use = {0};
    return b->used && b->used(b, &use) ? use.seconds : 0;
}

fa_status placed_flush(fa_placed *p, fa_error *e) {
    int n = p->n_batch;
    p->n_batch = p->n_batch_experts = 0;
    p->n_batch_ids = 0;
    if (!n) return FA_OK;
    double before = placed_clock(p, p->batch_board);
    fa_status s = placed_do(&p->worker[p->batch_board], &(placed_call){.run = run_ops, .ops = p->batch, .n = n}, e);
    p->seconds += placed_clock(p, p->batch_board) - before;
    return s;
}

/* ---- where an op runs ---- */

static fa_status board_of_weight(const fa_weight *w, int32_t *board, fa_error *e) {
    const placed_weight *pw = w->device;
    if (!pw) return fa_fail(e, FA_EINVAL, "tensor %s: was not given to the backend", w->name);
    *board = __builtin_ctz(pw->boards);
    return FA_OK;
}

static fa_status board_of_layer(const fa_placed *p, const fa_kv *kv, int32_t *board, fa_error *e) {
    if (kv->layer >= p->placement.layers)
        return fa_fail(e, FA_EINVAL, "cache: layer %d, the placement has %d", kv->layer, p->placement.layers);
    *board = p->placement.layer[kv->layer];
    return FA_OK;
}

static fa_status board_of(const fa_placed *p, const fa_op *op, int32_t *board, fa_error *e) {
    *board = p->batch_board;
    switch (op->kind) {
    case FA_OP_MATMUL: return board_of_weight(op->matmul.part[0].w, board, e);
    case FA_OP_EXPERTS: return board_of_weight(&op->experts.experts[0].gate, board, e);
    case FA_OP_RMSNORM: return board_of_weight(op->rmsnorm.weight, board, e);
    case FA_OP_MLA: return board_of_layer(p, &op->mla.kv, board, e);
    case FA_OP_GQA: return board_of_layer(p, &op->gqa.kv, board, e);
    case FA_OP_STORE: return board_of_layer(p, &op->store.kv, board, e);
    default: return FA_OK; /* where the op before ran */
    }
}

/* ---- as the board sees it ---- */

static fa_status on_board(const fa_weight **w, int32_t board, fa_error *e) {
    const fa_weight *there = placed_weight_on(*w, board);
    if (!there)
        return fa_fail(e, FA_EINVAL, "tensor %s: an op on board %d needs it, and it is not there", (*w)->name, board);
    *w = there;
    return FA_OK;
}

static void move(fa_ref *ref, int32_t board) {
    ref->buffer = placed_buffer_of(ref->buffer)->at[board];
}

static fa_status move_matmul(fa_matmul *m, int32_t board, fa_error *e) {
    fa_status s = FA_OK;
    move(&m->x, board);
    for (int i = 0; i < m->n_parts && !s; i++) {
        move(&m->part[i].y, board);
        s = on_board(&m->part[i].w, board, e);
        if (!s && m->part[i].bias) s = on_board(&m->part[i].bias, board, e);
    }
    return s;
}

fa_status placed_expert_on(const fa_expert *x, int32_t board, fa_expert *out, fa_error *e) {
    const fa_weight *gate = &x->gate, *up = &x->up, *down = &x->down;
    fa_status s = on_board(&gate, board, e);
    if (!s) s = on_board(&up, board, e);
    if (!s) s = on_board(&down, board, e);
    if (!s) *out = (fa_expert){*gate, *up, *down};
    return s;
}

/* A dense MLP: one expert. */
static fa_status move_experts(fa_placed *p, fa_experts *x, int32_t board, fa_error *e) {
    fa_expert *own = &p->batch_experts[p->n_batch_experts++];
    move(&x->x, board);
    move(&x->y, board);
    fa_status s = placed_expert_on(x->experts, board, own, e);
    x->experts = own;
    x->n_experts = 1;
    return s;
}

static fa_status move_op(fa_placed *p, fa_op *op, int32_t board, fa_error *e) {
    fa_status s = FA_OK;
    switch (op->kind) {
    case FA_OP_MATMUL: return move_matmul(&op->matmul, board, e);
    case FA_OP_EXPERTS: return move_experts(p, &op->experts, board, e);
    case FA_OP_MLA:
        move(&op->mla.q, board), move(&op->mla.y, board);
        s = on_board(&op->mla.k_up, board, e);
        if (!s) s = on_board(&op->mla.v_up, board, e);
        return s ? s : placed_pool(p, &op->mla.kv, board, &op->mla.kv, e);
    case FA_OP_GQA:
        move(&op->gqa.q, board), move(&op->gqa.y, board);
        return placed_pool(p, &op->gqa.kv, board, &op->gqa.kv, e);
    case FA_OP_RMSNORM:
        move(&op->rmsnorm.x, board), move(&op->rmsnorm.y, board);
        return on_board(&op->rmsnorm.weight, board, e);
    case FA_OP_ROPE: move(&op->rope.x, board), move(&op->rope.table, board); return FA_OK;
    case FA_OP_ADD: move(&op->add.a, board), move(&op->add.b, board), move(&op->add.y, board); return FA_OK;
    case FA_OP_STORE:
        move(&op->store.a, board), move(&op->store.b, board);
        return placed_pool(p, &op->store.kv, board, &op->store.kv, e);
    default: return FA_OK;
    }
}

fa_status placed_at(fa_placed *p, int32_t board, int n_experts, int64_t n_ids, fa_error *e) {
    bool room = p->n_batch < p->batch_room && p->n_batch_experts + n_experts <= p->batch_experts_room &&
                p->n_batch_ids + n_ids <= p->batch_ids_room;
    fa_status s = p->batch_board == board && room ? FA_OK : placed_flush(p, e);
    p->batch_board = board;
    return s;
}

fa_status placed_bring_all(fa_placed *p, const fa_op *op, int32_t board, fa_error *e) {
    placed_ref refs[PLACED_REFS];
    int n = placed_refs(op, refs);
    fa_status s = FA_OK;
    for (int i = 0; i < n && !s; i++)
        s = placed_bring(p, refs[i].buffer, board, refs[i].low, refs[i].high, refs[i].covered, e);
    for (int i = 0; i < n && !s; i++)
        if (refs[i].write) placed_written(refs[i].buffer, board, refs[i].low, refs[i].high);
    return s;
}

static fa_status add_op(fa_placed *p, const fa_op *op, fa_error *e) {
    int32_t board;
    fa_status s = board_of(p, op, &board, e);
    if (!s) s = placed_at(p, board, 1, 0, e);
    if (!s) s = placed_bring_all(p, op, board, e);
    if (s) return s;
    p->batch[p->n_batch] = *op;
    s = move_op(p, &p->batch[p->n_batch], board, e);
    p->n_batch += !s;
    return s;
}

/* ---- submissions ---- */

static bool is_empty(const fa_op *op) {
    const int64_t rows[FA_OP_COUNT] = {
        [FA_OP_MATMUL] = op->matmul.rows, [FA_OP_EXPERTS] = op->experts.rows, [FA_OP_MLA] = op->mla.rows,
        [FA_OP_GQA] = op->gqa.rows,       [FA_OP_RMSNORM] = op->rmsnorm.rows, [FA_OP_ROPE] = op->rope.rows,
        [FA_OP_ADD] = op->add.rows,       [FA_OP_STORE] = op->store.rows,
    };
    return rows[op->kind] == 0;
}

/* All ops are checked before the first runs, so that a refused submission leaves no half-done work. */
fa_status placed_submit(fa_backend *base, const fa_op *ops, int n, fa_ticket *ticket, fa_error *e) {
    fa_placed *p = (fa_placed *)base;
    fa_status s = FA_OK;
    for (int i = 0; i < n && !s; i++) {
        s = fa_op_check(&ops[i], e);
        if (!s) s = fa_limits_check(&ops[i], &p->limits, e);
    }
    for (int i = 0; i < n && !s; i++) {
        if (is_empty(&ops[i])) continue;
        bool routed = ops[i].kind == FA_OP_EXPERTS && ops[i].experts.ids;
        s = routed ? placed_run_routed(p, &ops[i], e) : add_op(p, &ops[i], e);
    }
    fa_status flushed = placed_flush(p, s ? NULL : e);
    *ticket = (fa_ticket){0};
    return s ? s : flushed;
}

fa_status placed_wait(fa_backend *base, fa_ticket ticket, fa_error *e) {
    (void)base, (void)ticket, (void)e;
    return FA_OK;
}
