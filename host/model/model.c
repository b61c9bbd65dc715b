/* Opening and closing: everything a step needs is found, checked and allocated here, once. */
#include <stdlib.h>
#include <string.h>

#include "host/model/rope.h"
#include "host/model/router.h"
#include "host/model/shape.h"
#include "host/model/transformer.h"
#include "host/model/weights_table.h"

/* The most ops that one layer appends (MLA with experts: 17). */
enum { OPS_OF_LAYER = 20, ROPE_PIECE = 256 };

static int64_t largest(const int64_t *values, int n) {
    int64_t max = 0;
    for (int i = 0; i < n; i++) max = values[i] > max ? values[i] : max;
    return max;
}

static fa_status check_options(const fa_model_options *o, fa_error *e) {
    if (!o->path || !o->backend) return fa_fail(e, FA_EINVAL, "model: needs a path and a backend");
    if ((unsigned)o->numerics >= FA_NUMERICS_COUNT || (unsigned)o->cache >= FA_CACHE_TYPE_COUNT)
        return fa_fail(e, FA_EINVAL, "%s: unknown numerics or cache type", o->path);
    if (o->max_rows < 1 || o->max_rows > 1 << 16)
        return fa_fail(e, FA_EINVAL, "%s: max_rows: %d is not in 1..65536", o->path, o->max_rows);
    if (o->max_logit_rows < 1 || o->max_logit_rows > o->max_rows)
        return fa_fail(e, FA_EINVAL, "%s: max_logit_rows: %d is not in 1..%d", o->path, o->max_logit_rows, o->max_rows);
    return FA_OK;
}

/* config.json of the folder that `path` is, or lies in. */
static fa_status load_config_beside(fa_config *c, const char *path, fa_error *e) {
    size_t n = strlen(path);
    const char *slash = strrchr(path, '/');
    bool file = n > 12 && !strcmp(path + n - 12, ".safetensors");
    char *dir = !file ? strdup(path) : slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!dir) return fa_fail(e, FA_ENOMEM, "%s: out of memory", path);
    fa_status s = fa_config_load(c, dir, e);
    free(dir);
    return s;
}

fa_status fa_model_read_config(fa_config *c, const char *path, const fa_tensors *ts, fa_error *e) {
    const fa_gguf *g = fa_tensors_gguf(ts);
    fa_status s = g ? fa_config_from_gguf(c, g, e) : load_config_beside(c, path, e);
    if (!s) fa_config_settle(c, ts);
    return s;
}

static fa_status load_config(fa_model *m, const fa_model_options *o, fa_error *e) {
    fa_config *c = &m->config;
    fa_status s = fa_model_read_config(c, o->path, m->tensors, e);
    if (s) return s;
    m->mtp = o->mtp && c->mtp_layers > 0;
    m->part = o->part ? *o->part : (fa_model_part){0, c->layers, 0, c->experts, true, true};
    if (o->max_positions < 1 || o->max_positions > c->max_positions)
        return fa_fail(e, FA_ELIMIT, "%s: a context of %d positions is not in 1..%d, which the model was made for",
                       o->path, o->max_positions, c->max_positions);
    bool mla = c->attention == FA_ATTENTION_MLA;
    int32_t kv = c->kv_heads * c->head_dim;
    m->layout = fa_kv_layout_make(o->cache, mla, mla ? c->kv_rank : kv, mla ? c->rope_dim : kv,
                                  m->part.end_layer - m->part.first_layer + m->mtp);
    m->softmax_scale = (float)fa_softmax_scale(c);
    return FA_OK;
}

static fa_status reserve(fa_model *m, const fa_model_options *o, fa_error *e) {
    const fa_config *c = &m->config;
    bool mla = c->attention == FA_ATTENTION_MLA;
    int64_t shared = fa_size_of(c, FA_SIZE_SHARED);
    int64_t inner[] = {c->intermediate, c->moe_inner, shared};
    int64_t cols[] = {c->hidden, fa_size_of(c, FA_SIZE_HEADS), c->q_rank, m->mtp ? 2 * c->hidden : 0,
                      largest(inner, 3)};
    int64_t ranks[] = {c->kv_rank, c->nope_dim, c->rope_dim, c->v_dim, mla ? 0 : c->head_dim};
    fa_limits limits = {.max_rows = m->max_rows,
                        .max_cols = largest(cols, 5),
                        .max_inner = largest(inner, 3),
                        .max_top_k = c->top_k > 1 ? c->top_k : 1,
                        .max_experts = c->experts > 1 ? c->experts : 1,
                        .max_heads = c->heads,
                        .max_rank = (int32_t)largest(ranks, 5),
                        .max_positions = m->max_positions};
    fa_status s = o->guest ? o->guest->limits(o->guest->ctx, m->tensors, &limits, e) : FA_OK;
    if (s) return s;
    size_t before = m->backend->bytes(m->backend);
    s = m->backend->reserve(m->backend, &limits, e);
    m->scratch_bytes = (int64_t)(m->backend->bytes(m->backend) - before);
    return s;
}

static void set_widths(fa_model *m) {
    const fa_config *c = &m->config;
    bool mla = c->attention == FA_ATTENTION_MLA;
    int64_t *w = m->width;
    w[FA_STREAM] = w[FA_NORMED] = w[FA_OUT] = w[FA_FINAL] = c->hidden;
    w[FA_Q] = fa_size_of(c, FA_SIZE_Q);
    w[FA_Q_LATENT] = c->q_rank;
    w[FA_KEYS] = fa_size_of(c, mla ? FA_SIZE_KV_A : FA_SIZE_KV);
    w[FA_VALUES] = mla ? 0 : w[FA_KEYS];
    w[FA_HEADS] = fa_size_of(c, FA_SIZE_HEADS);
    w[FA_SHARED_OUT] = c->experts && c->shared_experts ? c->hidden : 0;
    w[FA_SCORES] = c->experts;
    w[FA_LOGITS] = c->vocab;
    w[FA_JOINED] = m->mtp ? 2 * c->hidden : 0;
    w[FA_MTP_STREAM] = m->mtp ? c->hidden : 0;
}

static fa_status alloc_buffers(fa_model *m, fa_error *e) {
    set_widths(m);
    fa_status s = FA_OK;
    for (int i = 0; i < FA_STEP_BUFFERS && !s; i++) {
        int64_t rows = i == FA_FINAL || i == FA_LOGITS ? m->max_logit_rows : m->max_rows;
        size_t bytes = (size_t)rows * (size_t)m->width[i] * sizeof(float);
        if (bytes) s = m->backend->alloc(m->backend, bytes, &m->buffers[i], e);
        m->activation_bytes += s ? 0 : (int64_t)bytes;
    }
    return s;
}

static fa_status make_rope(fa_model *m, fa_error *e) {
    int32_t dims = fa_rope_dims(&m->config);
    size_t row_bytes = (size_t)dims * sizeof(float);
    float *inv_freq = malloc((size_t)dims / 2 * sizeof *inv_freq), *piece = malloc(ROPE_PIECE * row_bytes);
    if (!inv_freq || !piece) {
        free(inv_freq);
        free(piece);
        return fa_fail(e, FA_ENOMEM, "out of memory for rotary tables");
    }
    fa_rope_frequencies(&m->config, m->weights.rope_divisors, inv_freq);
    double factor = fa_rope_attention_factor(&m->config);
    m->rope_bytes = (int64_t)row_bytes * m->max_positions;
    fa_status s = m->rope ? FA_OK : m->backend->alloc(m->backend, (size_t)m->rope_bytes, &m->rope, e);
    for (int32_t first = 0; first < m->max_positions && !s; first += ROPE_PIECE) {
        int32_t n = m->max_positions - first < ROPE_PIECE ? m->max_positions - first : ROPE_PIECE;
        fa_rope_table(inv_freq, dims / 2, factor, first, n, piece);
        s = m->backend->write(m->backend, m->rope, (size_t)first * row_bytes, piece, (size_t)n * row_bytes, e);
    }
    free(inv_freq);
    free(piece);
    return s;
}

enum { MOST_LOSSES = 3 };

bool fa_model_recover(fa_model *m) {
    bool memory_lost = false;
    fa_error e;
    if (!m->backend->recover || m->backend->recover(m->backend, &memory_lost, &e)) return false;
    if (!memory_lost) return true;
    if (++m->losses > MOST_LOSSES || make_rope(m, &e)) return false;
    m->loss = m->backend->lost != m->lost ? FA_LOSS_STEP : FA_LOSS_CACHE;
    m->lost = m->backend->lost;
    return false;
}

/* The host's side of a step. */
static fa_status alloc_host(fa_model *m, fa_error *e) {
    const fa_config *c = &m->config;
    size_t rows = (size_t)m->max_rows, experts = (size_t)c->experts, top_k = (size_t)c->top_k;
    m->max_ops = (c->layers + 1) * OPS_OF_LAYER;
    bool ok = (m->ops = fa_arena_array(&m->arena, (size_t)m->max_ops, sizeof *m->ops)) &&
              (m->rows = fa_arena_array(&m->arena, rows, (size_t)c->hidden * sizeof(float))) &&
              (m->scores = fa_arena_array(&m->arena, rows, experts * sizeof(float))) &&
              (m->scratch = fa_arena_array(&m->arena, (size_t)fa_route_scratch(c), sizeof(float))) &&
              (m->ids = fa_arena_array(&m->arena, rows, top_k * sizeof(int32_t))) &&
              (m->route_weights = fa_arena_array(&m->arena, rows, top_k * sizeof(float)));
    return ok ? FA_OK : fa_fail(e, FA_ENOMEM, "out of memory for the steps of %d rows", m->max_rows);
}

fa_status fa_model_open(fa_model **out, const fa_model_options *o, fa_error *e) {
    *out = NULL;
    fa_status s = check_options(o, e);
    if (s) return s;
    fa_model *m = calloc(1, sizeof *m);
    if (!m) return fa_fail(e, FA_ENOMEM, "%s: out of memory", o->path);
    m->backend = o->backend;
    m->numerics = o->numerics;
    m->max_rows = o->max_rows;
    m->max_logit_rows = o->max_logit_rows;
    m->max_positions = o->max_positions;
    s = fa_tensors_open(&m->tensors, o->path, e);
    if (!s) s = load_config(m, o, e);
    if (!s && o->remote) {
        m->remote = o->remote;
        m->remote->vocab = m->config.vocab;
        *out = m;
        return FA_OK;
    }
    if (!s)
        s = fa_backend_check_model(o->backend, fa_config_shape(&m->config), m->config.layers + m->mtp,
                                   m->config.experts, e);
    if (!s) s = reserve(m, o, e);
    fa_weights_options weights = {.backend = o->backend,
                                  .path = o->path,
                                  .mtp = m->mtp,
                                  .part = m->part,
                                  .experts_by = o->experts_by,
                                  .progress = o->progress,
                                  .progress_ctx = o->progress_ctx,
                                  .guest = o->guest};
    if (!s) s = fa_weights_load(&m->weights, &m->config, m->tensors, &weights, e);
    if (!s) s = alloc_buffers(m, e);
    if (!s) s = make_rope(m, e);
    if (!s) s = alloc_host(m, e);
    if (s) {
        fa_model_close(m);
        return s;
    }
    *out = m;
    return FA_OK;
}

void fa_model_close(fa_model *m) {
    if (!m) return;
    for (int i = 0; i < FA_STEP_BUFFERS; i++)
        if (m->buffers[i]) m->backend->free(m->backend, m->buffers[i]);
    if (m->rope) m->backend->free(m->backend, m->rope);
    fa_arena_free(&m->arena);
    fa_weights_free(&m->weights);
    if (m->tensors) fa_tensors_close(m->tensors);
    free(m);
}

const fa_config *fa_model_config(const fa_model *m) {
    return &m->config;
}

const fa_tensors *fa_model_tensors(const fa_model *m) {
    return m->tensors;
}

const fa_kv_layout *fa_model_kv_layout(const fa_model *m) {
    return &m->layout;
}

fa_model_memory fa_model_get_memory(const fa_model *m) {
    return (fa_model_memory){.files = fa_tensors_file_bytes(m->tensors),
                             .weights = m->weights.bytes,
                             .activations = m->activation_bytes,
                             .rope = m->rope_bytes,
                             .backend = m->scratch_bytes,
                             .host = (int64_t)(m->arena.used_bytes + m->weights.arena.used_bytes)};
}
