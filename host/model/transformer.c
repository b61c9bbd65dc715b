/* The pass of a step's rows through the layers. Shapes: T = step rows. */
#include "host/model/transformer.h"

#include <string.h>

#include "host/base/threads.h"
#include "host/model/rope.h"
#include "host/model/router.h"

static fa_ref at(fa_buffer *b, int64_t element) {
    return (fa_ref){.buffer = b, .offset = (size_t)element * sizeof(float)};
}

fa_op *fa_push(fa_model *m, fa_op_kind kind) {
    fa_op *op = &m->ops[m->n_ops++];
    *op = (fa_op){.kind = kind};
    return op;
}

fa_status fa_flush(fa_model *m, fa_error *e) {
    int n = m->n_ops;
    m->n_ops = 0;
    if (!n) return FA_OK;
    fa_ticket ticket;
    fa_status s = m->backend->submit(m->backend, m->ops, n, &ticket, e);
    return s ? s : m->backend->wait(m->backend, ticket, e);
}

fa_rmsnorm *fa_push_norm(fa_model *m, int64_t rows, fa_buffer *x, const fa_weight *weight, fa_buffer *y) {
    int64_t n = weight->cols;
    fa_op *op = fa_push(m, FA_OP_RMSNORM);
    op->rmsnorm = (fa_rmsnorm){.rows = rows,
                               .n = n,
                               .x = at(x, 0),
                               .ldx = n,
                               .weight = weight,
                               .eps = m->config.norm_eps,
                               .y = at(y, 0),
                               .ldy = n};
    return &op->rmsnorm;
}

/* One product of x [T, width] with up to FA_MATMUL_PARTS weights. */
typedef struct part {
    const fa_weight *weight, *bias;
    fa_step_buffer y;
} part;

static void push_matmul(fa_model *m, int64_t rows, fa_buffer *x, const part *parts, int n_parts) {
    fa_matmul mm = {
        .numerics = m->numerics, .rows = rows, .x = at(x, 0), .ldx = parts[0].weight->cols, .n_parts = n_parts};
    for (int i = 0; i < n_parts; i++)
        mm.part[i] = (struct fa_matmul_part){.w = parts[i].weight,
                                             .bias = parts[i].bias && parts[i].bias->data ? parts[i].bias : NULL,
                                             .y = at(m->buffers[parts[i].y], 0),
                                             .ldy = m->width[parts[i].y]};
    fa_push(m, FA_OP_MATMUL)->matmul = mm;
}

void fa_push_matmul(fa_model *m, int64_t rows, fa_buffer *x, const fa_weight *weight, fa_step_buffer y) {
    push_matmul(m, rows, x, &(part){weight, NULL, y}, 1);
}

static void push_rope(fa_model *m, const fa_step *step, fa_step_buffer x, int32_t heads, int32_t stride,
                      int32_t first) {
    fa_push(m, FA_OP_ROPE)->rope = (fa_rope){.rows = step->rows,
                                             .place = step->place,
                                             .x = at(m->buffers[x], 0),
                                             .ldx = m->width[x],
                                             .heads = heads,
                                             .stride = stride,
                                             .first = first,
                                             .dims = fa_rope_dims(&m->config),
                                             .interleaved = m->config.rope.interleaved,
                                             .table = at(m->rope, 0)};
}

void fa_push_add(fa_model *m, int64_t rows, fa_buffer *y, fa_buffer *x) {
    int64_t n = m->config.hidden;
    fa_push(m, FA_OP_ADD)->add =
        (fa_add){.rows = rows, .n = n, .a = at(y, 0), .b = at(x, 0), .y = at(y, 0), .lda = n, .ldb = n, .ldy = n};
}

static fa_kv cache_of(const fa_model *m, const fa_step *step, int layer) {
    return (fa_kv){.pool = step->pool, .layout = &m->layout, .layer = layer - m->part.first_layer};
}

/* Keys and values of grouped-query attention over FA_NORMED; its queries too, which share their reading of it. */
static void push_gqa_keys(fa_model *m, const fa_layer *w, const fa_step *step) {
    const fa_config *c = &m->config;
    const part qkv[] = {{&w->q, &w->q_bias, FA_Q}, {&w->k, &w->k_bias, FA_KEYS}, {&w->v, &w->v_bias, FA_VALUES}};
    push_matmul(m, step->rows, m->buffers[FA_NORMED], qkv, 3);
    push_rope(m, step, FA_KEYS, c->kv_heads, c->head_dim, 0);
}

/* Grouped-query attention of FA_Q over the cache into FA_HEADS. */
static void push_gqa(fa_model *m, int layer, const fa_step *step) {
    const fa_config *c = &m->config;
    fa_push(m, FA_OP_GQA)->gqa = (fa_gqa){.rows = step->rows,
                                          .place = step->place,
                                          .heads = c->heads,
                                          .kv_heads = c->kv_heads,
                                          .head_dim = c->head_dim,
                                          .scale = m->softmax_scale,
                                          .q = at(m->buffers[FA_Q], 0),
                                          .ldq = m->width[FA_Q],
                                          .kv = cache_of(m, step, layer),
                                          .y = at(m->buffers[FA_HEADS], 0),
                                          .ldy = m->width[FA_HEADS]};
}

/* Which rows of kv_b, or of its two halves, belong to a head. */
static void set_up_projections(fa_mla *a, const fa_config *c, const fa_layer *w) {
    bool split = w->k_b.data != NULL;
    a->k_up = split ? &w->k_b : &w->kv_b;
    a->v_up = split ? &w->v_b : &w->kv_b;
    a->k_transposed = split;
    a->k_first = 0;
    a->k_stride = split ? c->kv_rank : c->nope_dim + c->v_dim;
    a->v_first = split ? 0 : c->nope_dim;
    a->v_stride = split ? c->v_dim : c->nope_dim + c->v_dim;
}

/* Keys of latent attention over FA_NORMED: FA_KEYS holds [latent | rotary key] of each row. What of the queries shares its reading is
 * begun. */
static void push_mla_keys(fa_model *m, const fa_layer *w, const fa_step *step) {
    const fa_config *c = &m->config;
    fa_buffer *keys = m->buffers[FA_KEYS];
    const part first[] = {{&w->kv_a, NULL, FA_KEYS},
                          {c->q_rank ? &w->q_a : &w->q, NULL, c->q_rank ? FA_Q_LATENT : FA_Q}};
    push_matmul(m, step->rows, m->buffers[FA_NORMED], first, 2);
    fa_rmsnorm *norm = fa_push_norm(m, step->rows, keys, &w->kv_a_norm, keys);
    norm->ldx = norm->ldy = m->width[FA_KEYS];
    push_rope(m, step, FA_KEYS, 1, c->rope_dim, c->kv_rank);
}

/* Latent attention of FA_Q over the cache into FA_HEADS. */
static void push_mla(fa_model *m, int layer, const fa_layer *w, const fa_step *step) {
    const fa_config *c = &m->config;
    fa_mla a = {.rows = step->rows,
                .place = step->place,
                .heads = c->heads,
                .nope = c->nope_dim,
                .rope = c->rope_dim,
                .v = c->v_dim,
                .rank = c->kv_rank,
                .scale = m->softmax_scale,
                .q = at(m->buffers[FA_Q], 0),
                .ldq = m->width[FA_Q],
                .kv = cache_of(m, step, layer),
                .y = at(m->buffers[FA_HEADS], 0),
                .ldy = m->width[FA_HEADS]};
    set_up_projections(&a, c, w);
    fa_push(m, FA_OP_MLA)->mla = a;
}

void fa_push_keys(fa_model *m, int i, fa_buffer *stream, const fa_step *step) {
    const fa_layer *w = &m->weights.layers[i];
    fa_push_norm(m, step->rows, stream, &w->attention_norm, m->buffers[FA_NORMED]);
    if (m->config.attention == FA_ATTENTION_MLA)
        push_mla_keys(m, w, step);
    else
        push_gqa_keys(m, w, step);
}

void fa_push_queries(fa_model *m, int i, const fa_step *step) {
    const fa_config *c = &m->config;
    const fa_layer *w = &m->weights.layers[i];
    bool mla = c->attention == FA_ATTENTION_MLA;
    if (mla && c->q_rank) {
        fa_buffer *latent = m->buffers[FA_Q_LATENT];
        fa_push_norm(m, step->rows, latent, &w->q_a_norm, latent);
        fa_push_matmul(m, step->rows, latent, &w->q_b, FA_Q);
    }
    push_rope(m, step, FA_Q, c->heads, mla ? c->nope_dim + c->rope_dim : c->head_dim, mla ? c->nope_dim : 0);
}

void fa_push_store(fa_model *m, int i, const fa_step *step) {
    bool mla = m->config.attention == FA_ATTENTION_MLA;
    fa_step_buffer second = mla ? FA_KEYS : FA_VALUES;
    fa_push(m, FA_OP_STORE)->store = (fa_store){.rows = step->rows,
                                                .place = step->place,
                                                .a = at(m->buffers[FA_KEYS], 0),
                                                .lda = m->width[FA_KEYS],
                                                .b = at(m->buffers[second], mla ? m->config.kv_rank : 0),
                                                .ldb = m->width[second],
                                                .kv = cache_of(m, step, i)};
}

void fa_push_attention(fa_model *m, int i, fa_buffer *stream, const fa_step *step) {
    const fa_layer *w = &m->weights.layers[i];
    if (m->config.attention == FA_ATTENTION_MLA)
        push_mla(m, i, w, step);
    else
        push_gqa(m, i, step);
    push_matmul(m, step->rows, m->buffers[FA_HEADS], &(part){&w->o, &w->o_bias, FA_OUT}, 1);
    fa_push_add(m, step->rows, stream, m->buffers[FA_OUT]);
    fa_push_norm(m, step->rows, stream, &w->mlp_norm, m->buffers[FA_NORMED]);
}

/* An MLP over FA_NORMED into `y`; ids NULL: expert 0 for every row. */
static void push_experts(fa_model *m, const fa_step *step, const fa_expert *experts, int n, const int32_t *ids,
                         fa_step_buffer y) {
    int64_t hidden = m->config.hidden;
    fa_push(m, FA_OP_EXPERTS)->experts = (fa_experts){.numerics = m->numerics,
                                                      .rows = step->rows,
                                                      .hidden = hidden,
                                                      .inner = experts->gate.rows,
                                                      .x = at(m->buffers[FA_NORMED], 0),
                                                      .ldx = hidden,
                                                      .y = at(m->buffers[y], 0),
                                                      .ldy = hidden,
                                                      .n_experts = n,
                                                      .experts = experts,
                                                      .top_k = ids ? m->config.top_k : 1,
                                                      .ids = ids,
                                                      .weights = ids ? m->route_weights : NULL};
}

void fa_push_mlp(fa_model *m, int i, const fa_step *step, fa_step_buffer y) {
    push_experts(m, step, &m->weights.layers[i].mlp, 1, NULL, y);
}

fa_status fa_route_rows(fa_model *m, int layer, const fa_step *step, fa_error *e) {
    const fa_config *c = &m->config;
    const fa_layer *w = &m->weights.layers[layer];
    fa_push_matmul(m, step->rows, m->buffers[FA_NORMED], &w->router, FA_SCORES);
    fa_status s = fa_flush(m, e);
    if (s) return s;
    size_t bytes = (size_t)step->rows * (size_t)c->experts * sizeof(float);
    s = m->backend->read(m->backend, m->buffers[FA_SCORES], 0, m->scores, bytes, e);
    if (s) return s;
    fa_route(c, w->router_bias, m->scores, step->rows, m->scratch, m->ids, m->route_weights);
    const fa_probe *probe = step->probe;
    if (probe && probe->routes) probe->routes(probe->ctx, layer, step->rows, c->top_k, m->ids, m->route_weights);
    return FA_OK;
}

fa_status fa_push_layer(fa_model *m, int i, fa_buffer *stream, const fa_step *step, fa_error *e) {
    const fa_config *c = &m->config;
    const fa_layer *w = &m->weights.layers[i];
    fa_buffer *out = m->buffers[FA_OUT];
    fa_push_keys(m, i, stream, step);
    fa_push_queries(m, i, step);
    fa_push_store(m, i, step);
    fa_push_attention(m, i, stream, step);
    if (w->experts) {
        fa_status s = fa_route_rows(m, i, step, e);
        if (s) return s;
        push_experts(m, step, w->experts, c->experts, m->ids, FA_OUT);
        if (c->shared_experts) {
            fa_push_mlp(m, i, step, FA_SHARED_OUT);
            fa_push_add(m, step->rows, out, m->buffers[FA_SHARED_OUT]);
        }
    } else {
        fa_push_mlp(m, i, step, FA_OUT);
    }
    fa_push_add(m, step->rows, stream, out);
    return FA_OK;
}

fa_status fa_step_check(const fa_model *m, const fa_step *step, fa_error *e) {
    if (step->rows < 1 || step->rows > m->max_rows)
        return fa_fail(e, FA_EINVAL, "step: %d rows are not in 1..%d", step->rows, m->max_rows);
    if (step->n_logits < 0 || step->n_logits > m->max_logit_rows)
        return fa_fail(e, FA_EINVAL, "step: %d logit rows are not in 0..%d", step->n_logits, m->max_logit_rows);
    if (step->n_hidden < 0 || step->n_hidden > step->rows)
        return fa_fail(e, FA_EINVAL, "step: %d hidden rows are not in 0..%d", step->n_hidden, step->rows);
    if (step->n_hidden && (!step->hidden_rows || !step->hidden))
        return fa_fail(e, FA_EINVAL, "step: an array of hidden states is missing");
    if (!step->tokens || !step->place || !step->pool || (step->n_logits && (!step->logit_rows || !step->logits)))
        return fa_fail(e, FA_EINVAL, "step: a needed array is missing");
    for (int32_t t = 0; t < step->rows; t++) {
        int32_t token = step->tokens[t], pos = step->place[t].pos;
        bool embedded = step->embeddings && step->embeddings[t];
        if (!embedded && (token < 0 || token >= m->config.vocab))
            return fa_fail(e, FA_EINVAL, "step: row %d: token %d is not in 0..%d", t, token, m->config.vocab - 1);
        if (pos < 0 || pos >= m->max_positions)
            return fa_fail(e, FA_ELIMIT, "step: row %d: position %d is not in 0..%d", t, pos, m->max_positions - 1);
    }
    for (int32_t i = 0; i < step->n_logits; i++)
        if (step->logit_rows[i] < 0 || step->logit_rows[i] >= step->rows)
            return fa_fail(e, FA_EINVAL, "step: logit row %d is not in 0..%d", step->logit_rows[i], step->rows - 1);
    for (int32_t i = 0; i < step->n_hidden; i++)
        if (step->hidden_rows[i] < 0 || step->hidden_rows[i] >= step->rows)
            return fa_fail(e, FA_EINVAL, "step: hidden row %d is not in 0..%d", step->hidden_rows[i], step->rows - 1);
    return FA_OK;
}

fa_status fa_embed(fa_model *m, const fa_step *step, const fa_weight *table, fa_buffer *to, fa_error *e) {
    int64_t hidden = m->config.hidden;
    unsigned mode = fa_fp_enter();
    for (int64_t t = 0; t < step->rows; t++) {
        const float *own = step->embeddings ? step->embeddings[t] : NULL;
        if (own)
            memcpy(m->rows + t * hidden, own, (size_t)hidden * sizeof *own);
        else
            fa_decode(table->type, table->data, step->tokens[t] * hidden, hidden, m->rows + t * hidden);
    }
    fa_fp_leave(mode);
    return m->backend->write(m->backend, to, 0, m->rows, (size_t)(step->rows * hidden) * sizeof(float), e);
}

fa_status fa_read_logits(fa_model *m, fa_buffer *stream, const fa_weight *norm, const fa_weight *head,
                         const fa_step *step, fa_error *e) {
    if (step->n_logits) {
        fa_push_norm(m, step->n_logits, stream, norm, m->buffers[FA_FINAL])->index = step->logit_rows;
        fa_push_matmul(m, step->n_logits, m->buffers[FA_FINAL], head, FA_LOGITS);
    }
    fa_status s = fa_flush(m, e);
    if (s || !step->n_logits) return s;
    size_t bytes = (size_t)step->n_logits * (size_t)m->config.vocab * sizeof(float);
    return m->backend->read(m->backend, m->buffers[FA_LOGITS], 0, step->logits, bytes, e);
}

/* Shows a probe the rows of `from`; ends the submission, so that they are there. */
static fa_status show_hidden(fa_model *m, const fa_step *step, int layer, const fa_buffer *from, fa_error *e) {
    const fa_probe *probe = step->probe;
    if (!probe || !probe->hidden) return FA_OK;
    fa_status s = fa_flush(m, e);
    size_t bytes = (size_t)step->rows * (size_t)m->config.hidden * sizeof(float);
    if (!s) s = m->backend->read(m->backend, from, 0, m->rows, bytes, e);
    if (!s) probe->hidden(probe->ctx, layer, step->rows, m->config.hidden, m->rows);
    return s;
}

static fa_status run_step(fa_model *m, const fa_step *step, fa_error *e) {
    const fa_weights *w = &m->weights;
    fa_buffer *stream = m->buffers[FA_STREAM], *normed = m->buffers[FA_NORMED];
    int layers = m->config.layers;
    m->n_ops = 0;
    m->last_rows = m->last_mtp_rows = 0;
    fa_status s = fa_step_check(m, step, e);
    if (!s) s = fa_embed(m, step, &w->embedding, stream, e);
    if (!s) s = show_hidden(m, step, -1, stream, e);
    for (int i = 0; i < layers && !s; i++) {
        s = fa_push_layer(m, i, stream, step, e);
        if (!s) s = show_hidden(m, step, i, stream, e);
    }
    if (!s && step->n_hidden) fa_push_norm(m, step->n_hidden, stream, &w->norm, normed)->index = step->hidden_rows;
    if (!s) s = fa_read_logits(m, stream, &w->norm, &w->head, step, e);
    size_t hidden_bytes = (size_t)step->n_hidden * (size_t)m->config.hidden * sizeof(float);
    if (!s && step->n_hidden) s = m->backend->read(m->backend, normed, 0, step->hidden, hidden_bytes, e);
    if (!s && step->probe && step->probe->hidden) {
        fa_push_norm(m, step->rows, stream, &w->norm, normed);
        s = show_hidden(m, step, layers, normed, e);
    }
    if (!s) m->last_rows = step->rows;
    return s;
}

enum { STEP_TRIES = 4 };

/* Where somebody else runs the passes, this side checks what they are given and remembers what they had. */
static fa_status run_remote(fa_model *m, const fa_step *step, fa_error *e) {
    m->last_rows = m->last_mtp_rows = 0;
    if (step->probe)
        return fa_fail(e, FA_EUNSUPPORTED, "step: routes and hidden states are shown by one process, not by a cluster");
    if (step->embeddings || step->n_hidden)
        return fa_fail(e, FA_EUNSUPPORTED, "step: images are seen and drawn by one process, not by a cluster");
    fa_status s = fa_step_check(m, step, e);
    if (!s) s = m->remote->step(m->remote->ctx, step, &m->loss, e);
    if (!s) m->last_rows = step->rows;
    return s;
}

fa_status fa_model_step(fa_model *m, const fa_step *step, fa_error *e) {
    if (m->remote) return run_remote(m, step, e);
    fa_status s = run_step(m, step, e);
    for (int i = 1; i < STEP_TRIES && s == FA_EDEVICE && fa_model_recover(m); i++) s = run_step(m, step, e);
    if (!s) m->losses = 0;
    return s;
}

fa_loss fa_model_loss(fa_model *m) {
    fa_loss loss = m->loss;
    m->loss = FA_LOSS_NONE;
    return loss;
}
