/* GGUF metadata through the same table of fields. Keys:
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and the converter of llama.cpp, whose conventions
 * for deepseek2 are noted where they differ from config.json. */
#include <stdio.h>
#include <string.h>

#include "host/model/config_fields.h"

enum { KEY_TEXT = 160, GATING_SOFTMAX = 1, GATING_SIGMOID = 2 };

static bool text_is(fa_gguf_text t, const char *want) {
    return t.data && t.bytes == strlen(want) && !memcmp(t.data, want, t.bytes);
}

static const char *key_of(char key[KEY_TEXT], const char *architecture, const char *group, const char *name) {
    snprintf(key, KEY_TEXT, "%s.%s%s", architecture, group, name);
    return key;
}

static fa_status read_field(fa_config *c, const fa_gguf *g, const fa_config_field *f, const char *key, fa_error *e) {
    if (!fa_gguf_has(g, key)) {
        if (f->required) return fa_fail(e, FA_EFORMAT, "%s: %s: missing", fa_gguf_path(g), key);
        fa_field_set(c, f, f->fallback);
        return FA_OK;
    }
    fa_status s;
    if (f->kind == FA_FIELD_INT || f->offset == offsetof(fa_config, rope.original_positions)) {
        int64_t i = 0;
        s = fa_gguf_int(g, key, (int64_t)f->min, (int64_t)f->max, 0, &i, e);
        if (!s) fa_field_set(c, f, (double)i);
    } else if (f->kind == FA_FIELD_BOOL) {
        bool b = false;
        s = fa_gguf_bool(g, key, false, &b, e);
        if (!s) fa_field_set(c, f, b);
    } else {
        double d = 0;
        s = fa_gguf_double(g, key, 0, &d, e);
        if (!s && !(d >= f->min && d <= f->max))
            s = fa_fail(e, FA_EFORMAT, "%s: %s: %g is not in %g..%g", fa_gguf_path(g), key, d, f->min, f->max);
        if (!s) fa_field_set(c, f, d);
    }
    return s;
}

static fa_status read_fields(fa_config *c, const fa_gguf *g, const fa_config_field *fields, int n, unsigned of,
                             const char *architecture, const char *group, fa_error *e) {
    char key[KEY_TEXT];
    fa_status s = FA_OK;
    for (int i = 0; i < n && !s; i++)
        if (fields[i].of & of && fields[i].gguf)
            s = read_field(c, g, &fields[i], key_of(key, architecture, group, fields[i].gguf), e);
    return s;
}

/* deepseek2 stands for V2 and V3, told apart by the router's scoring (softmax where the key is missing, as in old files).
 * NULL: none of ours. */
static const fa_family *family_of(fa_gguf_text name, int64_t gating) {
    unsigned not_of = gating == GATING_SIGMOID ? FA_OF_V2 : FA_OF_V3;
    for (int i = 0; i < fa_n_families; i++)
        if (text_is(name, fa_families[i].gguf) && !(fa_families[i].of & not_of)) return &fa_families[i];
    return NULL;
}

static fa_status read_vocabulary(fa_config *c, const fa_gguf *g, const char *architecture, fa_error *e) {
    char key[KEY_TEXT];
    int64_t tokens = fa_gguf_array_count(g, "tokenizer.ggml.tokens"), vocab = 0;
    fa_status s = fa_gguf_int(g, key_of(key, architecture, "", "vocab_size"), 1, 1 << 24, tokens, &vocab, e);
    if (s) return s;
    if (vocab < 1 || vocab > 1 << 24)
        return fa_fail(e, FA_EFORMAT, "%s: %s: missing, and no tokenizer.ggml.tokens", fa_gguf_path(g), key);
    c->vocab = (int32_t)vocab;
    int64_t id = -1;
    s = fa_gguf_int(g, "tokenizer.ggml.bos_token_id", 0, vocab - 1, -1, &id, e);
    c->bos_id = (int32_t)id;
    c->pad_id = -1;
    static const char *const ends[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    for (int i = 0; i < 3 && !s; i++) {
        s = fa_gguf_int(g, ends[i], 0, vocab - 1, -1, &id, e);
        bool known = id < 0;
        for (int k = 0; k < c->n_eos; k++) known |= c->eos_ids[k] == id;
        if (!s && !known) c->eos_ids[c->n_eos++] = (int32_t)id;
    }
    return s;
}

/* Head sizes: newer files give those of a head under *_mla and the latent's under the plain keys; older ones
 * give a head's under the plain keys. */
static fa_status read_mla(fa_config *c, const fa_gguf *g, fa_error *e) {
    int64_t key = 0, value = 0;
    bool named = fa_gguf_has(g, "deepseek2.attention.key_length_mla");
    const char *key_name = named ? "deepseek2.attention.key_length_mla" : "deepseek2.attention.key_length";
    const char *value_name = named ? "deepseek2.attention.value_length_mla" : "deepseek2.attention.value_length";
    fa_status s = fa_gguf_int(g, key_name, c->rope_dim + 1, 2048, 0, &key, e);
    if (!s) s = fa_gguf_int(g, value_name, 1, 1024, 0, &value, e);
    if (s) return s;
    if (!key || !value) return fa_fail(e, FA_EFORMAT, "%s: %s: missing", fa_gguf_path(g), key ? value_name : key_name);
    c->nope_dim = (int32_t)key - c->rope_dim;
    c->v_dim = (int32_t)value;
    c->kv_heads = c->heads; /* the files say 1, for their own way of computing */
    return FA_OK;
}

/* The converter keeps only mscale_all_dim, as 0.1 * mscale_all_dim in yarn_log_multiplier; the factor of cos
 * and sin, the ratio of two mscales, is 1 in every release. */
static fa_status read_mla_yarn(fa_config *c, const fa_gguf *g, fa_error *e) {
    double log_multiplier = 0;
    fa_status s = fa_gguf_double(g, "deepseek2.rope.scaling.yarn_log_multiplier", 0, &log_multiplier, e);
    if (!s && !(log_multiplier >= 0 && log_multiplier <= 10))
        s = fa_fail(e, FA_EFORMAT, "%s: deepseek2.rope.scaling.yarn_log_multiplier: %g is not in 0..10",
                    fa_gguf_path(g), log_multiplier);
    c->rope.mscale = c->rope.mscale_all_dim = log_multiplier / 0.1;
    c->rope.attention_factor = 1;
    return s;
}

static fa_status read_rope(fa_config *c, const fa_gguf *g, const char *architecture, fa_error *e) {
    char key[KEY_TEXT];
    fa_gguf_text type = {0};
    fa_status s = fa_gguf_string(g, key_of(key, architecture, "rope.scaling.", "type"), &type, e);
    if (s || !type.data || text_is(type, "none")) return s;
    unsigned of = FA_OF_SCALED;
    if (text_is(type, "linear"))
        c->rope.scaling = FA_ROPE_LINEAR;
    else if (text_is(type, "yarn"))
        c->rope.scaling = FA_ROPE_YARN, of |= FA_OF_YARN;
    else
        return fa_fail(e, FA_EUNSUPPORTED, "%s: %s: \"%.*s\" is not supported", fa_gguf_path(g), key,
                       type.bytes > 80 ? 80 : (int)type.bytes, type.data);
    s = read_fields(c, g, fa_rope_fields, fa_n_rope_fields, of, architecture, "rope.scaling.", e);
    if (!s && c->rope.scaling == FA_ROPE_YARN && c->attention == FA_ATTENTION_MLA) s = read_mla_yarn(c, g, e);
    return s;
}

/* Mixtral is a "llama" with experts. */
static fa_status check_dense(const fa_config *c, const fa_gguf *g, const char *architecture, fa_error *e) {
    char key[KEY_TEXT];
    int64_t experts = 0;
    if (c->attention == FA_ATTENTION_MLA) return FA_OK;
    fa_status s = fa_gguf_int(g, key_of(key, architecture, "", "expert_count"), 0, INT32_MAX, 0, &experts, e);
    if (!s && experts)
        s = fa_fail(e, FA_EUNSUPPORTED, "%s: %s: %lld: experts are not supported in this architecture", fa_gguf_path(g),
                    key, (long long)experts);
    return s;
}

static fa_status read_all(fa_config *c, const fa_gguf *g, const fa_family *family, fa_error *e) {
    *c = (fa_config){.architecture = family->architecture, .family = family->name, .attention = family->attention};
    c->moe_layer_freq = 1;
    fa_status s = read_fields(c, g, fa_config_fields, fa_n_config_fields, family->of, family->gguf, "", e);
    if (!s) s = check_dense(c, g, family->gguf, e);
    if (!s) s = read_vocabulary(c, g, family->gguf, e);
    if (!s && c->attention == FA_ATTENTION_MLA) s = read_mla(c, g, e);
    if (!s) s = read_rope(c, g, family->gguf, e);
    if (s) return s;
    c->attention_bias = family->of == FA_OF_QWEN2;
    c->scoring = family->of == FA_OF_V3 ? FA_SCORE_SIGMOID : FA_SCORE_SOFTMAX;
    c->topk_method = family->of == FA_OF_V3 ? FA_TOPK_NOAUX : c->groups > 1 ? FA_TOPK_GROUP_LIMITED : FA_TOPK_GREEDY;
    c->rope.interleaved = family->of != FA_OF_QWEN2; /* the converter permutes llama's q and k to interleaved pairs */
    return fa_config_finish(c, &(fa_config_source){.file = fa_gguf_path(g), .gguf_architecture = family->gguf}, e);
}

fa_status fa_config_from_gguf(fa_config *c, const fa_gguf *g, fa_error *e) {
    fa_gguf_text name = {0};
    int64_t gating = 0;
    fa_status s = fa_gguf_string(g, "general.architecture", &name, e);
    if (!s) s = fa_gguf_int(g, "deepseek2.expert_gating_func", 0, 1 << 20, 0, &gating, e);
    if (s) return s;
    if (!name.data) return fa_fail(e, FA_EFORMAT, "%s: general.architecture: missing", fa_gguf_path(g));
    if (gating > GATING_SIGMOID)
        return fa_fail(e, FA_EUNSUPPORTED, "%s: deepseek2.expert_gating_func: %lld is not supported", fa_gguf_path(g),
                       (long long)gating);
    const fa_family *family = family_of(name, gating);
    if (family) return read_all(c, g, family, e);
    return fa_fail(e, FA_EUNSUPPORTED, "%s: architecture %.*s is not supported", fa_gguf_path(g),
                   name.bytes > 80 ? 80 : (int)name.bytes, name.data);
}
