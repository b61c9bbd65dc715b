#include "host/backend/reference.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/backend/reference_ops.h"

static fa_status reserve(fa_backend *b, const fa_limits *limits, fa_error *e) {
    fa_reference *r = (fa_reference *)b;
    size_t cols = (size_t)limits->max_cols, inner = (size_t)limits->max_inner, rank = (size_t)limits->max_rank;
    if (limits->max_cols < 0 || limits->max_inner < 0 || limits->max_rank < 0)
        return fa_fail(e, FA_EINVAL, "reference: negative limits");
    fa_arena_free(&r->arena);
    r->limits = *limits;
    bool ok = (r->weight_row = fa_arena_array(&r->arena, cols, sizeof(float))) &&
              (r->codes = fa_arena_array(&r->arena, cols, 1)) &&
              (r->scales = fa_arena_array(&r->arena, cols / FA_BLOCK + 1, sizeof(float))) &&
              (r->gate = fa_arena_array(&r->arena, inner, sizeof(float))) &&
              (r->up = fa_arena_array(&r->arena, inner, sizeof(float))) &&
              (r->hidden = fa_arena_array(&r->arena, cols, sizeof(float))) &&
              (r->query = fa_arena_array(&r->arena, rank, sizeof(float))) &&
              (r->value = fa_arena_array(&r->arena, rank, sizeof(float))) &&
              (r->kv_row = fa_arena_array(&r->arena, rank, sizeof(float))) &&
              (r->w_row = fa_arena_array(&r->arena, rank, sizeof(float))) &&
              (r->partials = fa_arena_array(&r->arena, rank, 16 * sizeof(float)));
    return ok ? FA_OK : fa_fail(e, FA_ENOMEM, "reference: no memory for its scratch rows");
}

static fa_status take_weight(fa_backend *b, fa_weight *w, fa_error *e) {
    (void)b;
    fa_status s = fa_weight_check(w, e);
    for (int64_t i = 0; !s && w->type == FA_F8_E4M3 && i < w->rows * w->cols; i++)
        if ((((const uint8_t *)w->data)[i] & 0x7f) == 0x7f)
            s = fa_fail(e, FA_EFORMAT, "tensor %s: NaN code at element %lld", w->name ? w->name : "weight",
                        (long long)i);
    return s;
}

static void run_op(fa_reference *r, const fa_op *op) {
    switch (op->kind) {
    case FA_OP_MATMUL: fa_reference_matmul(r, &op->matmul); break;
    case FA_OP_EXPERTS: fa_reference_experts(r, &op->experts); break;
    case FA_OP_MLA: fa_reference_mla(r, &op->mla); break;
    case FA_OP_GQA: fa_reference_gqa(r, &op->gqa); break;
    case FA_OP_RMSNORM: fa_reference_rmsnorm(&op->rmsnorm); break;
    case FA_OP_ROPE: fa_reference_rope(&op->rope); break;
    case FA_OP_ADD: fa_reference_add(&op->add); break;
    case FA_OP_STORE: fa_reference_store(&op->store); break;
    default: break; /* fa_op_check refused it */
    }
}

/* All ops are checked before the first runs, so that a refused submission leaves no half-done work. */
static fa_status submit(fa_backend *b, const fa_op *ops, int n, fa_ticket *ticket, fa_error *e) {
    fa_reference *r = (fa_reference *)b;
    for (int i = 0; i < n; i++) {
        fa_status s = fa_op_check(&ops[i], e);
        if (!s) s = fa_limits_check(&ops[i], &r->limits, e);
        if (s) return s;
    }
    unsigned mode = fa_fp_enter();
    for (int i = 0; i < n; i++) run_op(r, &ops[i]);
    fa_fp_leave(mode);
    *ticket = (fa_ticket){0};
    return FA_OK;
}

static fa_status wait_done(fa_backend *b, fa_ticket ticket, fa_error *e) {
    (void)b, (void)ticket, (void)e;
    return FA_OK;
}

static size_t held_bytes(const fa_backend *b) {
    const fa_reference *r = (const fa_reference *)b;
    return r->host.bytes + r->arena.used_bytes;
}

static void close_reference(fa_backend *b) {
    fa_reference *r = (fa_reference *)b;
    fa_arena_free(&r->arena);
    free(r);
}

fa_status fa_reference_open(fa_backend **out, const fa_backend_options *options, fa_error *e) {
    *out = NULL;
    fa_reference *r = calloc(1, sizeof *r);
    if (!r) return fa_fail(e, FA_ENOMEM, "reference: cannot allocate the backend");
    r->host.node = options->node;
    r->host.base = (fa_backend){.name = "reference",
                                .reserve = reserve,
                                .weight = take_weight,
                                .alloc = fa_host_alloc,
                                .free = fa_host_free,
                                .write = fa_host_write,
                                .read = fa_host_read,
                                .submit = submit,
                                .wait = wait_done,
                                .bytes = held_bytes,
                                .close = close_reference};
    snprintf(r->host.base.detail, sizeof r->host.base.detail, "scalar, 1 thread");
    *out = &r->host.base;
    return FA_OK;
}
