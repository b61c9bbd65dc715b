#include "host/model/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/model/rope.h"
#include "host/model/trace.h"
#include "host/model/weights_table.h"

enum { NAME_TEXT = 160, SHAPE_TEXT = 96 };

/* What loading one model needs everywhere. */
typedef struct loader {
    const fa_config *c;
    const fa_tensors *ts;
    const fa_weights_options *options;
    bool gguf;
    fa_arena *arena;
    float share;         /* of the tokens that read what is loaded now */
    int64_t done, total; /* bytes: taken so far, of all files */
    float *shares;       /* of a trace: [layers, experts], or NULL */
    int layer;
    int32_t expert; /* the number of the MLP being loaded: of the expert, or of its layer */
    bool routed;
} loader;

static fa_status missing(const loader *l, const char *name, fa_error *e) {
    return fa_fail(e, FA_EFORMAT, "%s: tensor %s: missing", l->options->path, name);
}

static fa_status wrong_shape(const fa_tensor *t, int n_dims, const int64_t *want, fa_error *e) {
    char expected[SHAPE_TEXT], found[SHAPE_TEXT];
    fa_tensor shape = {.n_dims = n_dims};
    memcpy(shape.shape, want, (size_t)n_dims * sizeof *want);
    return fa_fail(e, FA_EFORMAT, "%s: tensor %s: expected %s, found %s", t->file, t->name,
                   fa_tensor_shape_text(&shape, expected, sizeof expected),
                   fa_tensor_shape_text(t, found, sizeof found));
}

/* [rows, cols], or [cols] for a vector. GGUF may split the rows of one matrix by head: [heads, rows / heads, cols]. */
static fa_status check_shape(const loader *l, const fa_tensor *t, int64_t rows, int64_t cols, fa_error *e) {
    int64_t want[2] = {rows, cols}, leading = 1;
    int n_dims = rows == 1 ? 1 : 2;
    for (int d = 0; d < t->n_dims - 1; d++)
        if (__builtin_mul_overflow(leading, t->shape[d], &leading)) leading = -1;
    bool fits = t->n_dims >= 1 && t->shape[t->n_dims - 1] == cols && leading == rows;
    if (fits && (l->gguf || t->n_dims == n_dims)) return FA_OK;
    return wrong_shape(t, n_dims, rows == 1 ? want + 1 : want, e);
}

static void advance(loader *l, int64_t bytes) {
    l->done += bytes;
    if (l->options->progress) l->options->progress(l->options->progress_ctx, l->done, l->total);
}

/* `n` values of `t` as FP32: the file's own, or a copy in the arena. FA_EFORMAT unless all are finite. */
static fa_status floats_of(loader *l, const fa_tensor *t, int64_t n, const float **out, fa_error *e) {
    const float *values = t->data;
    if (t->type != FA_F32) {
        float *copy = fa_arena_array(l->arena, (size_t)n, sizeof *copy);
        if (!copy) return fa_fail(e, FA_ENOMEM, "%s: tensor %s: out of memory", t->file, t->name);
        fa_decode(t->type, t->data, 0, n, copy);
        values = copy;
    }
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return fa_fail(e, FA_EFORMAT, "%s: tensor %s: value %lld is not finite", t->file, t->name, (long long)i);
    *out = values;
    advance(l, t->bytes);
    return FA_OK;
}

/* The block scales of an FP8 weight. */
static fa_status load_scales(loader *l, fa_weight *w, const fa_tensor *t, fa_error *e) {
    char name[NAME_TEXT + 16];
    snprintf(name, sizeof name, "%s_scale_inv", t->name);
    const fa_tensor *scale = fa_tensors_find(l->ts, name);
    if (!scale) return missing(l, name, e);
    int64_t want[2] = {(w->rows + FA_BLOCK - 1) / FA_BLOCK, (w->cols + FA_BLOCK - 1) / FA_BLOCK};
    if (scale->n_dims != 2 || scale->shape[0] != want[0] || scale->shape[1] != want[1])
        return wrong_shape(scale, 2, want, e);
    switch (scale->type) {
    case FA_F32:
    case FA_BF16:
    case FA_F16:
    case FA_F8_E8M0: break;
    default:
        return fa_fail(e, FA_EUNSUPPORTED, "%s: tensor %s: block scales of type %s are not supported", scale->file,
                       name, fa_dtype_get(scale->type)->name);
    }
    return floats_of(l, scale, want[0] * want[1], &w->scale, e);
}

/* Makes `w` [rows, cols] a view of `t` and gives it to the backend, which looks for NaN codes. */
static fa_status load_tensor(loader *l, fa_weight *w, fa_weight_use use, const fa_tensor *t, int64_t rows, int64_t cols,
                             fa_error *e) {
    fa_status s = check_shape(l, t, rows, cols, e);
    if (s) return s;
    *w = (fa_weight){.name = t->name,
                     .type = t->type,
                     .rows = rows,
                     .cols = cols,
                     .data = t->data,
                     .file = t->file,
                     .share = l->share,
                     .use = use,
                     .expert = l->expert,
                     .layer = l->layer,
                     .routed = l->routed};
    if (t->type == FA_F8_E4M3 || t->type == FA_F8_E5M2) s = load_scales(l, w, t, e);
    if (s) return s;
    s = l->options->backend->weight(l->options->backend, w, e);
    if (s) return fa_error_prefix(e, s, "%s", t->file);
    advance(l, t->bytes);
    return FA_OK;
}

static bool is_inner(fa_size size) {
    return size == FA_SIZE_INTERMEDIATE || size == FA_SIZE_SHARED || size == FA_SIZE_EXPERT_INNER;
}

/* A tied embedding is the head too. */
static fa_weight_use use_of(const loader *l, const fa_weight_row *row) {
    if (row == &fa_model_rows[0] && !l->c->tied_embeddings) return FA_USE_HOST;
    return is_inner(row->rows) || is_inner(row->cols) ? FA_USE_EXPERT : FA_USE_MATMUL;
}

/* The name of a row's tensor in the model's files. */
static void name_of(const loader *l, const fa_weight_row *row, const char *prefix, char name[NAME_TEXT]) {
    static const char model[] = "model.";
    snprintf(name, NAME_TEXT, "%s%s%s", l->c->naming == FA_NAMES_JANUS ? "language_model." : "", prefix,
             l->gguf ? row->gguf : row->name);
    size_t n = strlen(model);
    if (l->c->naming != FA_NAMES_JANUS_HF || strncmp(name, model, n)) return;
    char rest[NAME_TEXT];
    snprintf(rest, sizeof rest, "%s", name + n);
    snprintf(name, NAME_TEXT, "model.language_model.%.*s", NAME_TEXT - 32, rest);
}

static fa_status load_row(loader *l, const fa_weight_row *row, const char *prefix, void *owner, fa_error *e) {
    char name[NAME_TEXT];
    name_of(l, row, prefix, name);
    const fa_tensor *t = fa_tensors_find(l->ts, name);
    if (!t) return row->optional ? FA_OK : missing(l, name, e);
    fa_weight *w = (fa_weight *)((char *)owner + row->slot);
    return load_tensor(l, w, use_of(l, row), t, fa_size_of(l->c, row->rows), fa_size_of(l->c, row->cols), e);
}

/* Of the tokens, those that visit expert x of the layer being loaded. */
static float share_of(const loader *l, int x) {
    if (l->shares && l->layer < l->c->layers) return l->shares[l->layer * l->c->experts + x];
    return (float)l->c->top_k / (float)l->c->experts;
}

/* An expert that a trace never or always visited stays one that some tokens visit. */
static fa_status read_shares(loader *l, fa_error *e) {
    const fa_config *c = l->c;
    const char *path = l->options->experts_by;
    static const double least = 1e-6, most = 0.999;
    if (!path) return FA_OK;
    size_t n = (size_t)c->layers * (size_t)c->experts;
    double *visits = calloc(n + 1, sizeof *visits);
    int64_t *tokens = calloc((size_t)c->layers, sizeof *tokens);
    l->shares = calloc(n + 1, sizeof *l->shares);
    if (!visits || !tokens || !l->shares) {
        free(visits);
        free(tokens);
        return fa_fail(e, FA_ENOMEM, "%s: out of memory", path);
    }
    fa_status s = fa_trace_count(c, path, visits, tokens, e);
    for (size_t i = 0; i < n && !s; i++) {
        int64_t all = tokens[i / (size_t)c->experts];
        double share = all ? visits[i] / (double)all : (double)c->top_k / c->experts;
        l->shares[i] = (float)(share < least ? least : share > most ? most : share);
    }
    free(visits);
    free(tokens);
    return s;
}

/* One tensor for each expert and matrix. */
static fa_status load_experts(loader *l, fa_layer *layer, const char *prefix, fa_error *e) {
    char of_expert[NAME_TEXT];
    fa_status s = FA_OK;
    for (int x = l->options->part.first_expert; x < l->options->part.end_expert && !s; x++) {
        snprintf(of_expert, sizeof of_expert, "%smlp.experts.%d.", prefix, x);
        l->expert = x;
        l->share = share_of(l, x);
        for (int i = 0; i < 3 && !s; i++) s = load_row(l, &fa_expert_rows[i], of_expert, &layer->experts[x], e);
    }
    return s;
}

/* GGUF: one tensor [experts, rows, cols] for each matrix. */
static fa_status load_stack(loader *l, const fa_weight_row *row, const char *prefix, fa_layer *layer, fa_error *e) {
    char name[NAME_TEXT];
    snprintf(name, sizeof name, "%s%s", prefix, row->gguf);
    const fa_tensor *t = fa_tensors_find(l->ts, name);
    if (!t) return missing(l, name, e);
    int64_t want[3] = {l->c->experts, fa_size_of(l->c, row->rows), fa_size_of(l->c, row->cols)};
    if (t->n_dims != 3 || memcmp(t->shape, want, sizeof want)) return wrong_shape(t, 3, want, e);
    fa_tensor one = *t;
    one.n_dims = 2;
    one.shape[0] = want[1];
    one.shape[1] = want[2];
    one.bytes = t->bytes / want[0];
    fa_status s = FA_OK;
    for (int64_t x = l->options->part.first_expert; x < l->options->part.end_expert && !s; x++) {
        one.data = (const char *)t->data + x * one.bytes;
        l->expert = (int32_t)x;
        l->share = share_of(l, (int)x);
        fa_weight *w = (fa_weight *)((char *)&layer->experts[x] + row->slot);
        s = load_tensor(l, w, FA_USE_EXPERT, &one, want[1], want[2], e);
    }
    return s;
}

static fa_status load_moe(loader *l, fa_layer *layer, const char *prefix, fa_error *e) {
    layer->experts = fa_arena_array(l->arena, (size_t)l->c->experts, sizeof *layer->experts);
    if (!layer->experts) return fa_fail(e, FA_ENOMEM, "%s: out of memory for experts", l->options->path);
    fa_status s = FA_OK;
    l->routed = true;
    if (l->gguf)
        for (int i = 0; i < 3 && !s; i++) s = load_stack(l, &fa_expert_rows[i], prefix, layer, e);
    else
        s = load_experts(l, layer, prefix, e);
    l->routed = false;
    l->share = 1;
    if (s || l->c->topk_method != FA_TOPK_NOAUX) return s;
    char name[NAME_TEXT];
    snprintf(name, sizeof name, "%s%s", prefix, l->gguf ? "exp_probs_b.bias" : "mlp.gate.e_score_correction_bias");
    const fa_tensor *bias = fa_tensors_find(l->ts, name);
    if (!bias) return missing(l, name, e);
    s = check_shape(l, bias, 1, l->c->experts, e);
    return s ? s : floats_of(l, bias, l->c->experts, &layer->router_bias, e);
}

/* What layer `i` has, as FA_HAS_ bits. */
static unsigned features(const loader *l, int i, const char *prefix) {
    const fa_config *c = l->c;
    unsigned has = c->attention_bias ? FA_HAS_BIAS : 0;
    if (c->attention == FA_ATTENTION_MLA) {
        char name[NAME_TEXT];
        snprintf(name, sizeof name, "%sattn_k_b.weight", prefix);
        has |= FA_HAS_MLA | (c->q_rank ? FA_HAS_Q_RANK : FA_HAS_NO_Q_RANK);
        has |= fa_tensors_find(l->ts, name) ? FA_HAS_SPLIT_KV_B : FA_HAS_KV_B;
    } else {
        has |= FA_HAS_GQA;
    }
    if (!fa_config_is_moe(c, i)) return has | FA_HAS_DENSE;
    return has | FA_HAS_MOE | (c->shared_experts ? FA_HAS_SHARED : 0);
}

static void prefix_of(const loader *l, int i, char prefix[NAME_TEXT / 2]) {
    snprintf(prefix, NAME_TEXT / 2, l->gguf ? "blk.%d." : "model.layers.%d.", i);
}

static fa_status load_layer(loader *l, fa_layer *layer, int i, fa_error *e) {
    char prefix[NAME_TEXT / 2];
    prefix_of(l, i, prefix);
    unsigned has = features(l, i, prefix);
    fa_status s = FA_OK;
    l->layer = i;
    l->expert = i; /* shared experts and dense MLPs of different layers are apart */
    for (int k = 0; k < fa_n_layer_rows && !s; k++)
        if (!(fa_layer_rows[k].needs & ~has)) s = load_row(l, &fa_layer_rows[k], prefix, layer, e);
    if (!s && has & FA_HAS_MOE) s = load_moe(l, layer, prefix, e);
    return s;
}

/* Embedding rows are decoded by the host, so its type must be one that stands alone. */
static fa_status check_embedding(const fa_weight *w, const char *path, fa_error *e) {
    if (!w->scale) return FA_OK;
    return fa_fail(e, FA_EUNSUPPORTED, "%s: tensor %s: an FP8 embedding is not supported", path, w->name);
}

static fa_status load_mtp(loader *l, fa_weights *w, fa_error *e) {
    char prefix[NAME_TEXT / 2];
    prefix_of(l, l->c->layers, prefix);
    l->layer = l->c->layers;
    fa_status s = FA_OK;
    for (int i = 0; i < fa_n_mtp_rows && !s; i++) s = load_row(l, &fa_mtp_rows[i], prefix, &w->mtp, e);
    if (!s) s = load_layer(l, &w->layers[l->c->layers], l->c->layers, e);
    if (!w->mtp.head.data) w->mtp.head = w->head;
    if (!w->mtp.embedding.data) w->mtp.embedding = w->embedding;
    return s ? s : check_embedding(&w->mtp.embedding, l->options->path, e);
}

/* GGUF writes llama3 scaling as the divisors of the plain frequencies. */
static fa_status load_rope_divisors(loader *l, fa_weights *w, fa_error *e) {
    const fa_tensor *t = fa_tensors_find(l->ts, "rope_freqs.weight");
    if (!l->gguf || !t) return FA_OK;
    int64_t n = fa_rope_dims(l->c) / 2;
    fa_status s = check_shape(l, t, 1, n, e);
    if (!s) s = floats_of(l, t, n, &w->rope_divisors, e);
    for (int64_t i = 0; i < n && !s; i++)
        if (!(w->rope_divisors[i] > 0))
            s = fa_fail(e, FA_EFORMAT, "%s: tensor %s: value %lld is not positive", t->file, t->name, (long long)i);
    return s;
}

/* Embedding, norm and head: those that are wanted here. */
static fa_status load_ends(loader *l, fa_weights *w, fa_error *e) {
    const fa_model_part *part = &l->options->part;
    bool tied = l->c->tied_embeddings;
    fa_status s = FA_OK;
    for (int i = 0; i < (tied ? 2 : 3) && !s; i++) {
        bool table = fa_model_rows[i].slot == offsetof(fa_weights, embedding);
        if (!(table ? part->embedding || (tied && part->head) : part->head)) continue;
        l->share = table && !tied ? 0 : 1;
        s = load_row(l, &fa_model_rows[i], "", w, e);
    }
    if (tied) w->head = w->embedding;
    return s;
}

static fa_status load_all(loader *l, fa_weights *w, fa_error *e) {
    const fa_model_part *part = &l->options->part;
    int layers = l->c->layers + l->options->mtp;
    w->layers = fa_arena_array(l->arena, (size_t)layers, sizeof *w->layers);
    if (!w->layers) return fa_fail(e, FA_ENOMEM, "%s: out of memory for layers", l->options->path);
    fa_status s = load_ends(l, w, e);
    if (!s) s = check_embedding(&w->embedding, l->options->path, e);
    if (!s) s = load_rope_divisors(l, w, e);
    l->share = 1;
    for (int i = part->first_layer; i < part->end_layer && !s; i++) s = load_layer(l, &w->layers[i], i, e);
    if (!s && l->options->mtp) s = load_mtp(l, w, e);
    return s;
}

void fa_config_settle(fa_config *c, const fa_tensors *ts) {
    if (!fa_tensors_gguf(ts)) return;
    c->tied_embeddings = !fa_tensors_find(ts, "output.weight");
    if (fa_tensors_find(ts, "blk.0.attn_q.bias")) c->attention_bias = true;
}

fa_status fa_weights_load(fa_weights *w, const fa_config *c, const fa_tensors *ts, const fa_weights_options *options,
                          fa_error *e) {
    *w = (fa_weights){0};
    loader l = {.c = c,
                .ts = ts,
                .options = options,
                .gguf = fa_tensors_gguf(ts) != NULL,
                .arena = &w->arena,
                .share = 1,
                .layer = -1};
    l.total = fa_tensors_file_bytes(ts);
    fa_status s = read_shares(&l, e);
    if (!s) s = load_all(&l, w, e);
    free(l.shares);
    const fa_model_guest *guest = options->guest;
    if (!s && guest) s = guest->weights(guest->ctx, ts, options->backend, e);
    w->bytes = l.done;
    if (!s) advance(&l, l.total - l.done);
    const fa_progress progress = {options->progress, options->progress_ctx};
    if (!s && options->backend->settle) s = options->backend->settle(options->backend, &progress, e);
    return s;
}

void fa_weights_free(fa_weights *w) {
    fa_arena_free(&w->arena);
}
