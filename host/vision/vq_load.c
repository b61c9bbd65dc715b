/* What the autoencoder is made of, by the names and shapes of its tensors. */
#include <stdio.h>

#include "host/vision/vq_parts.h"

enum { NAME_TEXT = 128, MOST_LEVELS = 8, MOST_BLOCKS = 8, MOST_CHANNELS = 1 << 20, MOST_KERNEL = 63 };

/* How the two layouts of files call the parts. */
typedef struct layout {
    const char *root, *down, *up; /* `down`, `up`: a level of the encoder, of the decoder */
    const char *block, *attention;
    const char *middle[3]; /* block, attention, block */
} layout;

static const layout layouts[] = {
    {"gen_vision_model.", "conv_blocks", "conv_blocks", "res", "attn", {"mid.0.", "mid.1.", "mid.2."}},
    {"model.vqmodel.", "down", "up", "block", "attn", {"mid.block_1.", "mid.attn_1.", "mid.block_2."}},
};

/* A chain that grows from its first layer to its last. */
typedef struct builder {
    const fa_vision_loader *l;
    const layout *names;
    char prefix[NAME_TEXT / 2]; /* of all names */
    vq_chain *chain;
    int32_t channels; /* that come out of the layers so far */
} builder;

static bool has(const builder *b, const char *name) {
    char full[2 * NAME_TEXT];
    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    return fa_tensors_find(b->l->tensors, full) != NULL;
}

/* The next layer, zeroed; NULL: there are too many. */
static vq_layer *add(builder *b, vq_kind kind, fa_error *e) {
    if (b->chain->n == VQ_MOST_LAYERS) {
        fa_fail(e, FA_ELIMIT, "%s: more than %d layers", b->prefix, VQ_MOST_LAYERS);
        return NULL;
    }
    vq_layer *layer = &b->chain->layers[b->chain->n++];
    layer->kind = kind;
    return layer;
}

static fa_status load_norm(const builder *b, const char *of, const char *name, vq_norm *to, fa_error *e) {
    if (b->channels % VQ_GROUPS)
        return fa_fail(e, FA_EUNSUPPORTED, "tensor %s%s%s: %d channels are not a multiple of %d groups", b->prefix, of,
                       name, b->channels, VQ_GROUPS);
    to->channels = b->channels;
    fa_status s = fa_vision_load_values(b->l, &to->weight, b->channels, e, "%s%s%s.weight", b->prefix, of, name);
    return s ? s : fa_vision_load_values(b->l, &to->bias, b->channels, e, "%s%s%s.bias", b->prefix, of, name);
}

/* The tensor PREFIX OF NAME.weight, a matrix or square kernels, whose dimensions are small enough to multiply. */
static fa_status find_matrix(const builder *b, const char *of, const char *name, const fa_tensor **out, fa_error *e) {
    char full[2 * NAME_TEXT], found[NAME_TEXT];
    snprintf(full, sizeof full, "%s%s%s.weight", b->prefix, of, name);
    const fa_tensor *t = *out = fa_tensors_find(b->l->tensors, full);
    if (!t) return fa_fail(e, FA_EFORMAT, "tensor %s: missing", full);
    bool small = t->shape[0] >= 1 && t->shape[0] <= MOST_CHANNELS && t->shape[1] >= 1 && t->shape[1] <= MOST_CHANNELS;
    bool square = t->n_dims == 4 && t->shape[2] == t->shape[3] && t->shape[2] >= 1 && t->shape[2] <= MOST_KERNEL;
    if (small && (t->n_dims == 2 || square)) return FA_OK;
    return fa_fail(e, FA_EFORMAT, "%s: tensor %s: expected [outputs, inputs, kernel, kernel], found %s", t->file, full,
                   fa_tensor_shape_text(t, found, sizeof found));
}

static fa_status load_linear(const builder *b, const char *of, const char *name, int64_t outputs, int64_t inputs,
                             fa_linear *to, fa_error *e) {
    return fa_vision_load_linear(b->l, to, outputs, inputs, true, e, "%s%s%s", b->prefix, of, name);
}

/* A convolution that keeps the side, of the channels that come out so far. */
static fa_status load_conv(builder *b, const char *of, const char *name, fa_conv *to, fa_error *e) {
    const fa_tensor *t;
    fa_status s = find_matrix(b, of, name, &t, e);
    if (s) return s;
    int32_t kernel = (int32_t)t->shape[2];
    *to = (fa_conv){
        .channels = b->channels, .kernel = kernel, .stride = 1, .before = kernel / 2, .after = (kernel - 1) / 2};
    s = load_linear(b, of, name, t->shape[0], (int64_t)b->channels * kernel * kernel, &to->linear, e);
    b->channels = (int32_t)t->shape[0];
    return s;
}

static fa_status add_conv(builder *b, vq_kind kind, const char *of, const char *name, fa_error *e) {
    vq_layer *layer = add(b, kind, e);
    return layer ? load_conv(b, of, name, &layer->conv, e) : FA_ELIMIT;
}

static fa_status add_linear(builder *b, const char *name, int64_t outputs, fa_error *e) {
    vq_layer *layer = add(b, VQ_LINEAR, e);
    if (!layer) return FA_ELIMIT;
    fa_status s = load_linear(b, "", name, outputs, b->channels, &layer->linear, e);
    b->channels = (int32_t)outputs;
    return s;
}

static fa_status add_block(builder *b, const char *of, fa_error *e) {
    vq_layer *layer = add(b, VQ_BLOCK, e);
    if (!layer) return FA_ELIMIT;
    vq_block *block = &layer->block;
    int32_t before = b->channels;
    fa_status s = load_norm(b, of, "norm1", &block->norm1, e);
    if (!s) s = load_conv(b, of, "conv1", &block->conv1, e);
    if (!s) s = load_norm(b, of, "norm2", &block->norm2, e);
    if (!s) s = load_conv(b, of, "conv2", &block->conv2, e);
    if (s || b->channels == before) return s;
    return load_linear(b, of, "nin_shortcut", b->channels, before, &block->shortcut, e);
}

static fa_status add_attention(builder *b, const char *of, fa_error *e) {
    vq_layer *layer = add(b, VQ_ATTENTION, e);
    if (!layer) return FA_ELIMIT;
    vq_attention *a = &layer->attention;
    const struct {
        const char *name;
        fa_linear *to;
    } parts[] = {{"q", &a->q}, {"k", &a->k}, {"v", &a->v}, {"proj_out", &a->out}};
    fa_status s = load_norm(b, of, "norm", &a->norm, e);
    for (int i = 0; i < 4 && !s; i++) s = load_linear(b, of, parts[i].name, b->channels, b->channels, parts[i].to, e);
    return s;
}

static fa_status add_middle(builder *b, fa_error *e) {
    const char *const *names = b->names->middle;
    fa_status s = add_block(b, names[0], e);
    if (!s) s = add_attention(b, names[1], e);
    return s ? s : add_block(b, names[2], e);
}

/* How many of OF PART.0., OF PART.1., ... there are, `most` at most, by a tensor that each must have. */
static int count(const builder *b, const char *of, const char *part, const char *tensor, int most) {
    char name[NAME_TEXT];
    int n = 0;
    for (; n < most; n++) {
        snprintf(name, sizeof name, "%s%s.%d.%s", of, part, n, tensor);
        if (!has(b, name)) break;
    }
    return n;
}

static fa_status add_level(builder *b, const char *of, fa_error *e) {
    char name[NAME_TEXT / 2];
    int blocks = count(b, of, b->names->block, "norm1.weight", MOST_BLOCKS);
    bool attends = count(b, of, b->names->attention, "norm.weight", 1) > 0;
    fa_status s = FA_OK;
    for (int i = 0; i < blocks && !s; i++) {
        snprintf(name, sizeof name, "%s%s.%d.", of, b->names->block, i);
        s = add_block(b, name, e);
        snprintf(name, sizeof name, "%s%s.%d.", of, b->names->attention, i);
        if (!s && attends) s = add_attention(b, name, e);
    }
    return s;
}

/* The encoder halves the side by windows that begin at every second pixel and hang over the far edge. */
static fa_status add_halving(builder *b, const char *of, fa_error *e) {
    fa_status s = add_conv(b, VQ_CONV, of, "downsample.conv", e);
    if (s) return s;
    fa_conv *c = &b->chain->layers[b->chain->n - 1].conv;
    c->stride = 2;
    c->before = 0;
    c->after = c->kernel - 2 > 0 ? c->kernel - 2 : 0;
    return FA_OK;
}

/* All levels, with a change of the side between two of them. */
static fa_status add_levels(builder *b, const char *level, bool grows, int *levels, fa_error *e) {
    char of[32], first[32];
    snprintf(first, sizeof first, "%s.0.norm1.weight", b->names->block);
    *levels = count(b, "", level, first, MOST_LEVELS);
    fa_status s = FA_OK;
    for (int i = 0; i < *levels && !s; i++) {
        snprintf(of, sizeof of, "%s.%d.", level, i);
        s = add_level(b, of, e);
        if (s || i == *levels - 1) break;
        s = grows ? add_conv(b, VQ_DOUBLE, of, "upsample.conv", e) : add_halving(b, of, e);
    }
    return s;
}

static fa_status add_end(builder *b, fa_error *e) {
    vq_layer *norm = add(b, VQ_NORM_SILU, e);
    if (!norm) return FA_ELIMIT;
    fa_status s = load_norm(b, "", "norm_out", &norm->norm, e);
    return s ? s : add_conv(b, VQ_CONV, "", "conv_out", e);
}

static fa_status begin(builder *b, const fa_vision_loader *l, const layout *names, vq_chain *chain, int32_t channels,
                       fa_error *e) {
    *b = (builder){.l = l, .names = names, .chain = chain, .channels = channels};
    chain->layers = fa_arena_array(l->arena, VQ_MOST_LAYERS, sizeof *chain->layers);
    return chain->layers ? FA_OK : fa_fail(e, FA_ENOMEM, "out of memory for the autoencoder of pictures");
}

static void set_prefix(builder *b, const char *half) {
    snprintf(b->prefix, sizeof b->prefix, "%s%s", b->names->root, half);
}

static fa_status load_decoder(fa_vq *vq, const fa_vision_loader *l, const layout *names, fa_error *e) {
    builder b;
    const fa_tensor *from;
    int levels = 0;
    fa_status s = begin(&b, l, names, &vq->decoder, vq->dims, e);
    set_prefix(&b, "");
    if (!s) s = find_matrix(&b, "", "post_quant_conv", &from, e);
    if (!s) s = add_linear(&b, "post_quant_conv", from->shape[0], e);
    set_prefix(&b, "decoder.");
    if (!s) s = add_conv(&b, VQ_CONV, "", "conv_in", e);
    if (!s) s = add_middle(&b, e);
    if (!s) s = add_levels(&b, names->up, true, &levels, e);
    if (!s) s = add_end(&b, e);
    if (!s && b.channels != 3)
        s = fa_fail(e, FA_EFORMAT, "tensor %sconv_out.weight: %d outputs, expected 3", b.prefix, b.channels);
    vq->scale = levels ? 1 << (levels - 1) : 1;
    return s;
}

static fa_status load_encoder(fa_vq *vq, const fa_vision_loader *l, const layout *names, fa_error *e) {
    builder b;
    int levels = 0;
    fa_status s = begin(&b, l, names, &vq->encoder, 3, e);
    set_prefix(&b, "encoder.");
    if (s || !has(&b, "conv_in.weight")) return s;
    s = add_conv(&b, VQ_CONV, "", "conv_in", e);
    if (!s) s = add_levels(&b, names->down, false, &levels, e);
    if (!s) s = add_middle(&b, e);
    if (!s) s = add_end(&b, e);
    set_prefix(&b, "");
    if (!s) s = add_linear(&b, "quant_conv", vq->dims, e);
    if (!s && 1 << (levels ? levels - 1 : 0) != vq->scale)
        s = fa_fail(e, FA_EFORMAT, "%sencoder: %d levels do not undo a decoder of scale %d", b.prefix, levels,
                    vq->scale);
    return s;
}

static fa_status load_codebook(fa_vq *vq, const fa_vision_loader *l, const layout *names, fa_error *e) {
    builder b = {.l = l, .names = names};
    const fa_tensor *t;
    set_prefix(&b, "");
    fa_status s = find_matrix(&b, "", "quantize.embedding", &t, e);
    if (s) return s;
    vq->codes = (int32_t)t->shape[0];
    vq->dims = (int32_t)t->shape[1];
    return fa_vision_load_values(l, &vq->codebook, (int64_t)vq->codes * vq->dims, e, "%s", t->name);
}

fa_status fa_vq_load(fa_vq **out, const fa_vision_loader *l, fa_error *e) {
    const layout *names = NULL;
    *out = NULL;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts && !names; i++) {
        builder b = {.l = l, .names = &layouts[i]};
        set_prefix(&b, "");
        if (has(&b, "quantize.embedding.weight")) names = &layouts[i];
    }
    if (!names) return FA_OK;
    fa_vq *vq = fa_arena_alloc(l->arena, sizeof *vq);
    if (!vq) return fa_fail(e, FA_ENOMEM, "out of memory for the autoencoder of pictures");
    fa_status s = load_codebook(vq, l, names, e);
    if (!s) s = load_decoder(vq, l, names, e);
    if (!s) s = load_encoder(vq, l, names, e);
    if (!s) *out = vq;
    return s;
}
