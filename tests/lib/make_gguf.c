#include "tests/lib/make_gguf.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/format/tensor.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

enum { TYPE_F32 = 0, TYPE_BF16 = 30, V_U32 = 4, V_I32 = 5, V_F32 = 6, V_BOOL = 7, V_STRING = 8, V_ARRAY = 9 };

typedef struct maker {
    const fa_tensors *ts;
    json_t *config;
    check_gguf_style style;
    char architecture[16];
    check_bytes keys, infos, data;
    uint64_t n_keys, n_tensors;
} maker;

static int64_t config_int(const maker *m, const char *key) {
    return json_integer_value(json_object_get(m->config, key));
}

/* ---- metadata ---- */

static void key(maker *m, const char *name, int type) {
    char full[128];
    snprintf(full, sizeof full, "%s%s", *name == '.' ? m->architecture : "", name);
    check_gguf_text(&m->keys, full);
    check_put_int(&m->keys, (uint64_t)type, 4);
    m->n_keys++;
}

static void key_u32(maker *m, const char *name, int64_t value) {
    key(m, name, V_U32);
    check_put_int(&m->keys, (uint64_t)value, 4);
}

static void key_f32(maker *m, const char *name, double value) {
    float f = (float)value;
    key(m, name, V_F32);
    check_put(&m->keys, &f, 4);
}

static void key_text(maker *m, const char *name, const char *value) {
    key(m, name, V_STRING);
    check_gguf_text(&m->keys, value);
}

/* Integers and numbers that go over as they are. */
static void copy_keys(maker *m) {
    static const char *const integers[][2] = {
        {"hidden_size", ".embedding_length"},
        {"intermediate_size", ".feed_forward_length"},
        {"num_hidden_layers", ".block_count"},
        {"max_position_embeddings", ".context_length"},
        {"num_attention_heads", ".attention.head_count"},
        {"head_dim", ".attention.key_length"},
        {"num_key_value_heads", ".attention.head_count_kv"},
        {"q_lora_rank", ".attention.q_lora_rank"},
        {"kv_lora_rank", ".attention.kv_lora_rank"},
        {"first_k_dense_replace", ".leading_dense_block_count"},
        {"moe_intermediate_size", ".expert_feed_forward_length"},
        {"n_routed_experts", ".expert_count"},
        {"n_shared_experts", ".expert_shared_count"},
        {"num_experts_per_tok", ".expert_used_count"},
        {"n_group", ".expert_group_count"},
        {"topk_group", ".expert_group_used_count"},
        {"vocab_size", ".vocab_size"},
        {"bos_token_id", "tokenizer.ggml.bos_token_id"},
        {"eos_token_id", "tokenizer.ggml.eos_token_id"},
    };
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++)
        if (json_is_integer(json_object_get(m->config, integers[i][0])))
            key_u32(m, integers[i][1], config_int(m, integers[i][0]));
    key_f32(m, ".attention.layer_norm_rms_epsilon", json_number_value(json_object_get(m->config, "rms_norm_eps")));
    key_f32(m, ".rope.freq_base", json_number_value(json_object_get(m->config, "rope_theta")));
}

static void deepseek_keys(maker *m) {
    int64_t rope = config_int(m, "qk_rope_head_dim"), nope = config_int(m, "qk_nope_head_dim");
    bool sigmoid = !strcmp(json_string_value(json_object_get(m->config, "scoring_func")), "sigmoid");
    key_u32(m, ".rope.dimension_count", rope);
    key_u32(m, m->style.split_kv_b ? ".attention.key_length_mla" : ".attention.key_length", nope + rope);
    key_u32(m, m->style.split_kv_b ? ".attention.value_length_mla" : ".attention.value_length",
            config_int(m, "v_head_dim"));
    if (m->style.split_kv_b) key_u32(m, ".attention.key_length", config_int(m, "kv_lora_rank") + rope);
    key_u32(m, ".expert_gating_func", sigmoid ? 2 : 1);
    key_f32(m, ".expert_weights_scale", json_number_value(json_object_get(m->config, "routed_scaling_factor")));
    key(m, ".expert_weights_norm", V_BOOL);
    check_put_int(&m->keys, json_is_true(json_object_get(m->config, "norm_topk_prob")), 1);
}

static void rope_keys(maker *m) {
    const json_t *r = json_object_get(m->config, "rope_scaling");
    const char *type = json_string_value(json_object_get(r, "type"));
    if (!type) return;
    key_text(m, ".rope.scaling.type", type);
    key_f32(m, ".rope.scaling.factor", json_number_value(json_object_get(r, "factor")));
    if (strcmp(type, "yarn")) return;
    key_u32(m, ".rope.scaling.original_context_length",
            json_integer_value(json_object_get(r, "original_max_position_embeddings")));
    key_f32(m, ".rope.scaling.yarn_log_multiplier", 0.1 * json_number_value(json_object_get(r, "mscale_all_dim")));
}

/* Vocabulary and merges of a byte-level tokenizer.json; ids that it lacks become unused tokens. */
static void tokenizer_keys(maker *m, const char *folder) {
    char path[512];
    fa_error e = {0};
    json_t *root, *id, *entry;
    const char *text;
    size_t i, n = (size_t)config_int(m, "vocab_size");
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    CHECK_OK(fa_json_load(&root, path, &e), &e);
    const json_t *vocab = json_object_get(json_object_get(root, "model"), "vocab");
    const char **tokens = calloc(n, sizeof *tokens);
    int *types = calloc(n, sizeof *types);
    json_object_foreach((json_t *)vocab, text, id) tokens[json_integer_value(id)] = text;
    for (i = 0; i < n; i++) types[i] = tokens[i] ? 1 : 5;
    json_array_foreach(json_object_get(root, "added_tokens"), i, entry) {
        int64_t k = json_integer_value(json_object_get(entry, "id"));
        tokens[k] = json_string_value(json_object_get(entry, "content"));
        types[k] = json_is_true(json_object_get(entry, "special")) ? 3 : 4;
    }
    key_text(m, "tokenizer.ggml.model", "gpt2");
    key_text(m, "tokenizer.ggml.pre", m->style.pre);
    key(m, "tokenizer.ggml.tokens", V_ARRAY);
    check_put_int(&m->keys, V_STRING, 4), check_put_int(&m->keys, n, 8);
    for (i = 0; i < n; i++) check_gguf_text(&m->keys, tokens[i] ? tokens[i] : "[PAD]");
    key(m, "tokenizer.ggml.token_type", V_ARRAY);
    check_put_int(&m->keys, V_I32, 4), check_put_int(&m->keys, n, 8);
    for (i = 0; i < n; i++) check_put_int(&m->keys, (uint64_t)types[i], 4);
    const json_t *merges = json_object_get(json_object_get(root, "model"), "merges");
    key(m, "tokenizer.ggml.merges", V_ARRAY);
    check_put_int(&m->keys, V_STRING, 4), check_put_int(&m->keys, json_array_size(merges), 8);
    json_array_foreach((json_t *)merges, i, entry) {
        char pair[2048];
        if (json_is_array(entry))
            snprintf(pair, sizeof pair, "%s %s", json_string_value(json_array_get(entry, 0)),
                     json_string_value(json_array_get(entry, 1)));
        check_gguf_text(&m->keys, json_is_array(entry) ? pair : json_string_value(entry));
    }
    free(tokens), free(types);
    json_decref(root);
}

/* ---- tensors ---- */

static void add_info(maker *m, const char *name, int n_dims, const int64_t *shape, bool wide) {
    uint64_t dims[FA_MAX_DIMS];
    for (int i = 0; i < n_dims; i++) dims[i] = (uint64_t)shape[n_dims - 1 - i];
    check_pad(&m->data, 32);
    check_gguf_tensor(&m->infos, name, n_dims, dims, wide ? TYPE_F32 : TYPE_BF16, m->data.n);
    m->n_tensors++;
}

static void add_floats(maker *m, const char *name, const fa_tensor *t) {
    float *values = malloc((size_t)t->shape[0] * sizeof *values);
    fa_decode(t->type, t->data, 0, t->shape[0], values);
    add_info(m, name, 1, t->shape, true);
    check_put(&m->data, values, (size_t)t->shape[0] * sizeof *values);
    free(values);
}

/* Llama's q and k: in each head row p * half + i goes to 2 * i + p. */
static void add_permuted(maker *m, const char *name, const fa_tensor *t, int64_t heads) {
    size_t row = (size_t)(t->bytes / t->shape[0]);
    int64_t dim = t->shape[0] / heads, half = dim / 2;
    add_info(m, name, t->n_dims, t->shape, false);
    for (int64_t h = 0; h < heads; h++)
        for (int64_t i = 0; i < half; i++)
            for (int64_t p = 0; p < 2; p++)
                check_put(&m->data, (const char *)t->data + (size_t)(h * dim + p * half + i) * row, row);
}

/* kv_b_proj cut into k_b [heads, rank, nope] and v_b [heads, v, rank]. */
static void add_split(maker *m, int layer, const fa_tensor *t) {
    int64_t heads = config_int(m, "num_attention_heads"), nope = config_int(m, "qk_nope_head_dim");
    int64_t v = config_int(m, "v_head_dim"), rank = t->shape[1];
    const uint16_t *w = t->data;
    char name[64];
    snprintf(name, sizeof name, "blk.%d.attn_k_b.weight", layer);
    add_info(m, name, 3, (int64_t[]){heads, rank, nope}, false);
    for (int64_t h = 0; h < heads; h++)
        for (int64_t c = 0; c < rank; c++)
            for (int64_t n = 0; n < nope; n++) check_put(&m->data, &w[(h * (nope + v) + n) * rank + c], 2);
    snprintf(name, sizeof name, "blk.%d.attn_v_b.weight", layer);
    add_info(m, name, 3, (int64_t[]){heads, v, rank}, false);
    for (int64_t h = 0; h < heads; h++)
        check_put(&m->data, w + (h * (nope + v) + nope) * rank, (size_t)(v * rank) * sizeof *w);
}

static void add_stack(maker *m, int layer, const char *hf, const char *gguf) {
    char name[128];
    int64_t experts = config_int(m, "n_routed_experts");
    for (int64_t x = 0; x < experts; x++) {
        snprintf(name, sizeof name, "model.layers.%d.mlp.experts.%d.%s.weight", layer, (int)x, hf);
        const fa_tensor *t = fa_tensors_find(m->ts, name);
        CHECK(t, "%s", name);
        snprintf(name, sizeof name, "blk.%d.%s.weight", layer, gguf);
        if (!x) add_info(m, name, 3, (int64_t[]){experts, t->shape[0], t->shape[1]}, false);
        check_put(&m->data, t->data, (size_t)t->bytes);
    }
}

/* llama3 scaling becomes a tensor of divisors (Llama3Model.generate_extra_tensors of the converter). */
static void add_rope_freqs(maker *m) {
    const json_t *r = json_object_get(m->config, "rope_scaling");
    const char *type = json_string_value(json_object_get(r, "rope_type"));
    if (!type || strcmp(type, "llama3")) return;
    double factor = json_number_value(json_object_get(r, "factor"));
    double low = json_number_value(json_object_get(r, "low_freq_factor"));
    double high = json_number_value(json_object_get(r, "high_freq_factor"));
    double original = json_number_value(json_object_get(r, "original_max_position_embeddings"));
    int64_t half = config_int(m, "head_dim") / 2;
    add_info(m, "rope_freqs.weight", 1, &half, true);
    for (int64_t i = 0; i < half; i++) {
        double theta = json_number_value(json_object_get(m->config, "rope_theta"));
        double wavelength = 2 * M_PI * pow(theta, (double)i / (double)half);
        double smooth = (original / wavelength - low) / (high - low);
        float value = wavelength < original / high  ? 1
                      : wavelength > original / low ? (float)factor
                                                    : (float)(1 / ((1 - smooth) / factor + smooth));
        check_put(&m->data, &value, 4);
    }
}

static void add_tensor(maker *m, const fa_tensor *t) {
    static const char *const names[][2] = {
        {"input_layernorm.weight", "attn_norm.weight"},
        {"post_attention_layernorm.weight", "ffn_norm.weight"},
        {"self_attn.q_proj.weight", "attn_q.weight"},
        {"self_attn.k_proj.weight", "attn_k.weight"},
        {"self_attn.v_proj.weight", "attn_v.weight"},
        {"self_attn.o_proj.weight", "attn_output.weight"},
        {"self_attn.q_proj.bias", "attn_q.bias"},
        {"self_attn.k_proj.bias", "attn_k.bias"},
        {"self_attn.v_proj.bias", "attn_v.bias"},
        {"self_attn.q_a_proj.weight", "attn_q_a.weight"},
        {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight"},
        {"self_attn.q_b_proj.weight", "attn_q_b.weight"},
        {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight"},
        {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight"},
        {"self_attn.kv_b_proj.weight", "attn_kv_b.weight"},
        {"mlp.gate_proj.weight", "ffn_gate.weight"},
        {"mlp.up_proj.weight", "ffn_up.weight"},
        {"mlp.down_proj.weight", "ffn_down.weight"},
        {"mlp.gate.weight", "ffn_gate_inp.weight"},
        {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias"},
        {"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight"},
        {"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight"},
        {"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight"},
        {"model.embed_tokens.weight", "token_embd.weight"},
        {"model.norm.weight", "output_norm.weight"},
        {"lm_head.weight", "output.weight"},
    };
    int layer = -1, used = 0;
    char name[128] = "";
    if (sscanf(t->name, "model.layers.%d.%n", &layer, &used) == 1 && strstr(t->name, ".experts.")) {
        if (strstr(t->name, ".experts.0.gate_proj")) add_stack(m, layer, "gate_proj", "ffn_gate_exps");
        if (strstr(t->name, ".experts.0.up_proj")) add_stack(m, layer, "up_proj", "ffn_up_exps");
        if (strstr(t->name, ".experts.0.down_proj")) add_stack(m, layer, "down_proj", "ffn_down_exps");
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i][0], t->name + used))
            snprintf(name, sizeof name, used ? "blk.%2$d.%1$s" : "%s", names[i][1], layer);
    CHECK(*name, "%s", t->name);
    bool llama = !strcmp(m->architecture, "llama");
    if (t->n_dims == 1)
        add_floats(m, name, t);
    else if (llama && strstr(name, "attn_q."))
        add_permuted(m, name, t, config_int(m, "num_attention_heads"));
    else if (llama && strstr(name, "attn_k."))
        add_permuted(m, name, t, config_int(m, "num_key_value_heads"));
    else if (m->style.split_kv_b && strstr(name, "attn_kv_b."))
        add_split(m, layer, t);
    else {
        add_info(m, name, t->n_dims, t->shape, false);
        check_put(&m->data, t->data, (size_t)t->bytes);
    }
}

void check_make_gguf(const char *folder, const char *path, const check_gguf_style *style) {
    maker m = {.style = *style};
    fa_error e = {0};
    fa_tensors *ts;
    char config[512];
    snprintf(config, sizeof config, "%s/config.json", folder);
    CHECK_OK(fa_json_load(&m.config, config, &e), &e);
    CHECK_OK(fa_tensors_open(&ts, folder, &e), &e);
    m.ts = ts;
    const char *type = json_string_value(json_object_get(m.config, "model_type"));
    bool deepseek = !strncmp(type, "deepseek", 8);
    snprintf(m.architecture, sizeof m.architecture, "%s", deepseek ? "deepseek2" : type);
    key_text(&m, "general.architecture", m.architecture);
    copy_keys(&m);
    if (deepseek) deepseek_keys(&m);
    rope_keys(&m);
    if (style->pre) tokenizer_keys(&m, folder);
    for (int64_t i = 0; i < fa_tensors_count(ts); i++) add_tensor(&m, fa_tensors_at(ts, i));
    add_rope_freqs(&m);
    check_bytes all = {0};
    check_gguf_header(&all, m.n_tensors, m.n_keys);
    check_put(&all, m.keys.data, m.keys.n);
    check_put(&all, m.infos.data, m.infos.n);
    check_pad(&all, 32);
    check_put(&all, m.data.data, m.data.n);
    const char *slash = strrchr(path, '/');
    char *dir = strndup(path, (size_t)(slash - path));
    free(check_write(dir, slash + 1, all.data, all.n));
    free(dir), free(all.data), free(m.keys.data), free(m.infos.data), free(m.data.data);
    json_decref(m.config);
    fa_tensors_close(ts);
}
