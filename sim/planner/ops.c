#include "sim/planner/ops.h"

static void push(fa_plan_ops *l, fa_plan_op w) {
    l->item[l->n++] = w;
}

static void push_matmul(fa_plan_ops *l, const char *name, hls_weight type, fa_share share, int64_t outputs,
                        int64_t inputs) {
    push(l,
         (fa_plan_op){
             .name = name, .kind = FA_PLAN_MATMUL, .share = share, .type = type, .outputs = outputs, .inputs = inputs});
}

/* values: read and written for each row */
static void push_rowwise(fa_plan_ops *l, const char *name, int64_t values, int64_t vectors) {
    push(l, (fa_plan_op){.name = name, .kind = FA_PLAN_ROWWISE, .outputs = values, .vectors = vectors});
}

/* x, weight and y */
static void push_norm(fa_plan_ops *l, const char *name, int64_t n) {
    push_rowwise(l, name, 3 * n, n);
}

/* the table's row, and the rotated values read and written */
static void push_rope(fa_plan_ops *l, const char *name, int64_t heads, int64_t dims) {
    push_rowwise(l, name, dims + 2 * heads * dims, 0);
}

static void push_mla(fa_plan_ops *l, const fa_config *c, hls_weight type) {
    int64_t heads = c->heads, head = c->nope_dim + c->rope_dim, cached = c->kv_rank + c->rope_dim;
    push_matmul(l, "kv_a", type, FA_SHARE_ALL, cached, c->hidden);
    if (c->q_rank) {
        push_matmul(l, "q_a", type, FA_SHARE_ALL, c->q_rank, c->hidden);
        push_norm(l, "q_a_norm", c->q_rank);
        push_matmul(l, "q_b", type, FA_SHARE_OUTPUTS, heads * head, c->q_rank);
    } else {
        push_matmul(l, "q", type, FA_SHARE_OUTPUTS, heads * head, c->hidden);
    }
    push_norm(l, "kv_a_norm", c->kv_rank);
    push_rope(l, "rope_q", heads, c->rope_dim);
    l->item[l->n - 1].share = FA_SHARE_OUTPUTS;
    push_rope(l, "rope_k", 1, c->rope_dim);
    push_rowwise(l, "store", 2 * cached, 0);
    push(l, (fa_plan_op){.name = "attention",
                         .kind = FA_PLAN_ATTENTION,
                         .share = FA_SHARE_OUTPUTS,
                         .type = type,
                         .outputs = heads * (c->nope_dim + c->v_dim),
                         .inputs = c->kv_rank});
    push_matmul(l, "o", type, FA_SHARE_OUTPUTS, c->hidden, heads * c->v_dim);
}

static void push_gqa(fa_plan_ops *l, const fa_config *c, hls_weight type) {
    int64_t q = (int64_t)c->heads * c->head_dim, kv = (int64_t)c->kv_heads * c->head_dim;
    push_matmul(l, "q", type, FA_SHARE_OUTPUTS, q, c->hidden);
    push_matmul(l, "k", type, FA_SHARE_OUTPUTS, kv, c->hidden);
    push_matmul(l, "v", type, FA_SHARE_OUTPUTS, kv, c->hidden);
    l->item[l->n - 1].vectors = c->attention_bias ? q + 2 * kv : 0;
    push_rope(l, "rope_q", c->heads, c->head_dim);
    l->item[l->n - 1].share = FA_SHARE_OUTPUTS;
    push_rope(l, "rope_k", c->kv_heads, c->head_dim);
    l->item[l->n - 1].share = FA_SHARE_OUTPUTS;
    push_rowwise(l, "store", 4 * kv, 0);
    l->item[l->n - 1].share = FA_SHARE_OUTPUTS;
    push(l, (fa_plan_op){.name = "attention", .kind = FA_PLAN_ATTENTION, .share = FA_SHARE_OUTPUTS, .type = type});
    push_matmul(l, "o", type, FA_SHARE_OUTPUTS, c->hidden, q);
}

static void push_mlp(fa_plan_ops *l, const char *name, hls_weight type, int64_t inner, int64_t hidden) {
    push(l, (fa_plan_op){.name = name,
                         .kind = FA_PLAN_MLP,
                         .share = FA_SHARE_ONE,
                         .type = type,
                         .outputs = inner,
                         .inputs = hidden});
}

/* The op just pushed waits for the host. */
static void host_before(fa_plan_ops *l, fa_host_part part) {
    l->item[l->n - 1].before = part;
}

void fa_plan_layer_ops(fa_plan_ops *l, const fa_config *c, bool moe, fa_weight_types types) {
    *l = (fa_plan_ops){0};
    push_norm(l, "attention_norm", c->hidden);
    if (c->attention == FA_ATTENTION_MLA)
        push_mla(l, c, types.linear);
    else
        push_gqa(l, c, types.linear);
    host_before(l, FA_HOST_GATHER); /* the heads' outputs, before o */
    push_rowwise(l, "add", 3 * (int64_t)c->hidden, 0);
    host_before(l, FA_HOST_GATHER);
    push_norm(l, "mlp_norm", c->hidden);
    if (!moe) {
        push_mlp(l, "mlp", types.linear, c->intermediate, c->hidden);
    } else {
        push_matmul(l, "router", types.other, FA_SHARE_OUTPUTS, c->experts, c->hidden);
        l->item[l->n - 1].vectors = c->topk_method == FA_TOPK_NOAUX ? c->experts : 0;
        push(l, (fa_plan_op){.name = "experts",
                             .kind = FA_PLAN_EXPERTS,
                             .share = FA_SHARE_EXPERTS,
                             .before = FA_HOST_ROUTE,
                             .type = types.linear,
                             .outputs = c->moe_inner,
                             .inputs = c->hidden});
        if (c->shared_experts) {
            push_mlp(l, "shared", types.linear, (int64_t)c->shared_experts * c->moe_inner, c->hidden);
            push_rowwise(l, "add", 3 * (int64_t)c->hidden, 0);
        }
    }
    push_rowwise(l, "add", 3 * (int64_t)c->hidden, 0);
    host_before(l, moe ? FA_HOST_SUM : FA_HOST_GATHER);
}

void fa_plan_head_ops(fa_plan_ops *l, const fa_config *c, fa_weight_types types) {
    *l = (fa_plan_ops){0};
    push_norm(l, "final_norm", c->hidden);
    push_matmul(l, "head", types.other, FA_SHARE_OUTPUTS, c->vocab, c->hidden);
}

void fa_plan_join_ops(fa_plan_ops *l, const fa_config *c, fa_weight_types types) {
    *l = (fa_plan_ops){0};
    push_norm(l, "token_norm", c->hidden);
    push_norm(l, "final_norm", c->hidden);
    push_norm(l, "hidden_norm", c->hidden);
    push_matmul(l, "join", types.linear, FA_SHARE_ALL, c->hidden, 2 * (int64_t)c->hidden);
}

double fa_plan_op_parameters(const fa_config *c, const fa_plan_op *w, bool active) {
    double matrix = (double)w->outputs * (double)w->inputs, vectors = (double)w->vectors;
    switch (w->kind) {
    case FA_PLAN_EXPERTS: return 3 * matrix * (active ? c->top_k : c->experts);
    case FA_PLAN_MLP: return 3 * matrix;
    case FA_PLAN_ROWWISE: return vectors;
    case FA_PLAN_MATMUL:
    case FA_PLAN_ATTENTION: break;
    }
    return matrix + vectors;
}

double fa_plan_op_bytes(const fa_config *c, const fa_plan_op *w) {
    double vectors = (double)w->vectors, matrix = fa_plan_op_parameters(c, w, false) - vectors;
    double scales = w->type == HLS_E4M3 ? matrix * 4 / FA_BLOCK / HLS_TILE : 0; /* of a tile: hls/layout.h */
    return matrix * w->type + scales + 4 * vectors;
}

static double sum(const fa_config *c, const fa_plan_ops *l, bool active) {
    double n = 0;
    for (int i = 0; i < l->n; i++) n += fa_plan_op_parameters(c, &l->item[i], active);
    return n;
}

double fa_model_parameters(const fa_config *c, bool active) {
    fa_weight_types types = {HLS_E4M3, HLS_BF16};
    fa_plan_ops dense, moe, head;
    fa_plan_layer_ops(&dense, c, false, types);
    fa_plan_layer_ops(&moe, c, true, types);
    fa_plan_head_ops(&head, c, types);
    double n = sum(c, &head, active), embedding = (double)c->vocab * c->hidden;
    for (int i = 0; i < c->layers; i++) n += sum(c, fa_config_is_moe(c, i) ? &moe : &dense, active);
    return c->tied_embeddings ? n : n + embedding;
}

fa_kv_layout fa_model_cache(const fa_config *c, fa_cache_type type) {
    bool mla = c->attention == FA_ATTENTION_MLA;
    int32_t keys = c->kv_heads * c->head_dim;
    return fa_kv_layout_make(type, mla, mla ? c->kv_rank : keys, mla ? c->rope_dim : keys, 1);
}
