#include "host/vision/siglip.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names of the tensors in each layout; %d is the layer. */
typedef struct names {
    const char *patches, *positions, *norm1, *qkv[3], *proj, *norm2, *fc1, *fc2, *norm, *aligner[2];
} names;

#define ORIGINAL "vision_model.vision_tower."
#define BLOCK ORIGINAL "blocks.%d."
#define MODEL "model.vision_model."
#define LAYER MODEL "encoder.layers.%d."

static const names names_of[] = {
    [FA_VISION_ORIGINAL] = {ORIGINAL "patch_embed.proj",
                            ORIGINAL "pos_embed",
                            BLOCK "norm1",
                            {BLOCK "attn.qkv"},
                            BLOCK "attn.proj",
                            BLOCK "norm2",
                            BLOCK "mlp.fc1",
                            BLOCK "mlp.fc2",
                            ORIGINAL "norm",
                            {"aligner.layers.0", "aligner.layers.2"}},
    [FA_VISION_TRANSFORMERS] = {MODEL "embeddings.patch_embedding",
                                MODEL "embeddings.position_embedding.weight",
                                LAYER "layer_norm1",
                                {LAYER "self_attn.q_proj", LAYER "self_attn.k_proj", LAYER "self_attn.v_proj"},
                                LAYER "self_attn.projection_layer",
                                LAYER "layer_norm2",
                                LAYER "mlp.fc1",
                                LAYER "mlp.fc2",
                                MODEL "post_layernorm",
                                {"model.aligner.fc1", "model.aligner.hidden_layers.0"}},
};

enum { NAME_TEXT = 160, CHANNELS = 3 };

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

fa_vision_limits fa_siglip_limits(const fa_vision_config *c) {
    int64_t window = (int64_t)CHANNELS * c->patch * c->patch,
            out = larger(3 * (int64_t)c->width, larger(c->inner, c->hidden));
    return (fa_vision_limits){.max_in = larger(window, out),
                              .max_out = out,
                              .max_width = c->width,
                              .max_heads = c->heads,
                              .head_dim = c->width / c->heads,
                              .max_positions = fa_vision_patches(c)};
}

/* A name with the layer's number. */
static const char *numbered(const char *name, int layer, char text[NAME_TEXT]) {
    const char *at = strstr(name, "%d");
    if (at)
        snprintf(text, NAME_TEXT, "%.*s%d%s", (int)(at - name), name, layer, at + 2);
    else
        snprintf(text, NAME_TEXT, "%s", name);
    return text;
}

static fa_status load_norm(const fa_vision_loader *l, fa_siglip_norm *n, const char *name, int layer, int32_t width,
                           fa_error *e) {
    char text[NAME_TEXT];
    numbered(name, layer, text);
    fa_status s = fa_vision_load_values(l, &n->weight, width, e, "%s.weight", text);
    return s ? s : fa_vision_load_values(l, &n->bias, width, e, "%s.bias", text);
}

static fa_status load_linear(const fa_vision_loader *l, fa_linear *out, const char *name, int layer, int64_t rows,
                             int64_t cols, fa_error *e) {
    char text[NAME_TEXT];
    return fa_vision_load_linear(l, out, rows, cols, true, e, "%s", numbered(name, layer, text));
}

static fa_status load_layer(fa_siglip *s, const names *n, int i, const fa_vision_loader *l, fa_error *e) {
    fa_siglip_layer *layer = &s->layers[i];
    int32_t width = s->config.width, inner = s->config.inner;
    int fused = n->qkv[1] ? 1 : 3;
    fa_status st = load_norm(l, &layer->norm1, n->norm1, i, width, e);
    for (int k = 0; k < 3 && n->qkv[k] && !st; k++)
        st = load_linear(l, &layer->qkv[k], n->qkv[k], i, (int64_t)fused * width, width, e);
    if (!st) st = load_linear(l, &layer->proj, n->proj, i, width, width, e);
    if (!st) st = load_norm(l, &layer->norm2, n->norm2, i, width, e);
    if (!st) st = load_linear(l, &layer->mlp[0], n->fc1, i, inner, width, e);
    return st ? st : load_linear(l, &layer->mlp[1], n->fc2, i, width, inner, e);
}

fa_status fa_siglip_load(fa_siglip *s, const fa_vision_loader *l, fa_error *e) {
    const fa_vision_config *c = &s->config;
    const names *n = &names_of[c->names];
    s->layers = fa_arena_array(l->arena, (size_t)c->layers, sizeof *s->layers);
    if (!s->layers) return fa_fail(e, FA_ENOMEM, "vision: out of memory for %d layers", c->layers);
    s->patches = (fa_conv){.channels = CHANNELS, .kernel = c->patch, .stride = c->patch};
    fa_status st =
        load_linear(l, &s->patches.linear, n->patches, 0, c->width, (int64_t)CHANNELS * c->patch * c->patch, e);
    if (!st)
        st = fa_vision_load_values(l, &s->positions, (int64_t)fa_vision_patches(c) * c->width, e, "%s", n->positions);
    for (int i = 0; i < c->layers && !st; i++) st = load_layer(s, n, i, l, e);
    if (!st) st = load_norm(l, &s->norm, n->norm, 0, c->width, e);
    if (!st) st = load_linear(l, &s->aligner[0], n->aligner[0], 0, c->hidden, c->width, e);
    return st ? st : load_linear(l, &s->aligner[1], n->aligner[1], 0, c->hidden, c->hidden, e);
}

fa_status fa_siglip_begin(const fa_siglip *s, fa_vision_ops *o, const float *pixels, fa_siglip_pass *p, fa_error *e) {
    const fa_vision_config *c = &s->config;
    size_t n = (size_t)fa_vision_patches(c), width = (size_t)c->width;
    size_t inner = (size_t)larger(larger(c->inner, c->hidden), c->width);
    *p = (fa_siglip_pass){.stream = calloc(n * width, sizeof(float)),
                          .normed = calloc(n * width, sizeof(float)),
                          .qkv = calloc(n * 3 * width, sizeof(float)),
                          .inner = calloc(n * inner, sizeof(float))};
    if (!p->stream || !p->normed || !p->qkv || !p->inner)
        return fa_fail(e, FA_ENOMEM, "vision: out of memory for a picture");
    fa_status st = fa_vision_conv(o, &s->patches, pixels, c->image_size, c->image_size, p->stream, e);
    if (!st) fa_vision_add(p->stream, s->positions, (int64_t)(n * width));
    return st;
}

/* qkv [rows, 3 * width] of normed rows. Separate weights give their third of the columns through `inner`. */
static fa_status project(const fa_siglip_layer *layer, fa_vision_ops *o, fa_siglip_pass *p, int32_t rows, int32_t width,
                         fa_error *e) {
    if (!layer->qkv[1].w.data) return fa_vision_linear(o, &layer->qkv[0], p->normed, rows, p->qkv, e);
    fa_status st = FA_OK;
    for (int k = 0; k < 3 && !st; k++) {
        st = fa_vision_linear(o, &layer->qkv[k], p->normed, rows, p->inner, e);
        for (int64_t t = 0; t < rows && !st; t++)
            memcpy(p->qkv + (t * 3 + k) * width, p->inner + t * width, (size_t)width * sizeof(float));
    }
    return st;
}

static void norm_into(const fa_siglip *s, fa_siglip_pass *p, const fa_siglip_norm *n) {
    int64_t rows = fa_vision_patches(&s->config), width = s->config.width;
    memcpy(p->normed, p->stream, (size_t)(rows * width) * sizeof(float));
    fa_vision_layernorm(p->normed, rows, width, n->weight, n->bias, s->config.eps);
}

/* stream += proj(attention(norm1)); stream += mlp(norm2). */
static fa_status run_layer(const fa_siglip *s, fa_vision_ops *o, fa_siglip_pass *p, fa_error *e) {
    const fa_vision_config *c = &s->config;
    const fa_siglip_layer *layer = &s->layers[p->next];
    int32_t rows = fa_vision_patches(c), head = c->width / c->heads;
    int64_t values = (int64_t)rows * c->width;
    norm_into(s, p, &layer->norm1);
    fa_status st = project(layer, o, p, rows, c->width, e);
    if (!st) st = fa_vision_attention(o, p->qkv, rows, c->heads, head, 1.0f / sqrtf((float)head), p->inner, e);
    if (!st) st = fa_vision_linear(o, &layer->proj, p->inner, rows, p->normed, e);
    if (st) return st;
    fa_vision_add(p->stream, p->normed, values);
    norm_into(s, p, &layer->norm2);
    st = fa_vision_mlp(o, layer->mlp, p->normed, rows, p->inner, p->qkv, e);
    if (!st) fa_vision_add(p->stream, p->qkv, values);
    return st;
}

fa_status fa_siglip_advance(const fa_siglip *s, fa_vision_ops *o, fa_siglip_pass *p, float *rows, bool *done,
                            fa_error *e) {
    const fa_vision_config *c = &s->config;
    *done = p->next == c->layers;
    fa_status st;
    if (*done) {
        fa_vision_layernorm(p->stream, fa_vision_patches(c), c->width, s->norm.weight, s->norm.bias, c->eps);
        st = fa_vision_mlp(o, s->aligner, p->stream, fa_vision_patches(c), p->inner, rows, e);
    } else {
        st = run_layer(s, o, p, e);
    }
    p->next += !st;
    return st;
}

void fa_siglip_end(fa_siglip_pass *p) {
    free(p->stream);
    free(p->normed);
    free(p->qkv);
    free(p->inner);
    *p = (fa_siglip_pass){0};
}
