#include "tests/lib/golden_gguf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/format/fp8.h"
#include "host/format/tensor.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_model.h"

enum { GGML_F32 = 0, GGML_F16 = 1, GGML_BF16 = 30, ALIGNMENT = 32 };
enum { GGUF_I32 = 5, GGUF_STRING = 8, GGUF_ARRAY = 9 };
enum { TOKEN_NORMAL = 1, TOKEN_CONTROL = 3, TOKEN_USER = 4, TOKEN_UNUSED = 5 };

typedef struct output {
    const char *architecture; /* "llama", "qwen2", "deepseek2" */
    const json_t *config;
    const fa_tensors *ts;
    golden_gguf how;
    check_bytes keys, infos, data;
    uint64_t n_keys, n_tensors;
} output;

static int64_t number(const output *o, const char *key) {
    return json_integer_value(json_object_get(o->config, key));
}

/* ---- keys ---- */

static void put_u32(output *o, const char *name, int64_t value) {
    char key[128];
    snprintf(key, sizeof key, "%s.%s", o->architecture, name);
    check_gguf_key_u32(&o->keys, key, (uint32_t)value);
    o->n_keys++;
}

static void put_f32(output *o, const char *name, double value) {
    char key[128];
    snprintf(key, sizeof key, "%s.%s", o->architecture, name);
    check_gguf_key_f32(&o->keys, key, (float)value);
    o->n_keys++;
}

static void put_text(output *o, const char *name, const char *value) {
    char key[128];
    snprintf(key, sizeof key, "%s.%s", o->architecture, name);
    check_gguf_key_text(&o->keys, key, value);
    o->n_keys++;
}

static void put_true(output *o, const char *name) {
    char key[128];
    snprintf(key, sizeof key, "%s.%s", o->architecture, name);
    check_gguf_text(&o->keys, key);
    check_put_int(&o->keys, 7, 4);
    check_put_int(&o->keys, 1, 1);
    o->n_keys++;
}

static void put_rope_keys(output *o) {
    const json_t *r = json_object_get(o->config, "rope_scaling");
    put_f32(o, "rope.freq_base", json_number_value(json_object_get(o->config, "rope_theta")));
    if (!json_is_object(r)) return;
    const char *type = json_string_value(json_object_get(r, "type"));
    if (!type || !strcmp(type, "llama3")) return; /* a tensor says it */
    put_text(o, "rope.scaling.type", type);
    put_f32(o, "rope.scaling.factor", json_number_value(json_object_get(r, "factor")));
    if (strcmp(type, "yarn")) return;
    put_u32(o, "rope.scaling.original_context_length",
            json_integer_value(json_object_get(r, "original_max_position_embeddings")));
    put_f32(o, "rope.scaling.yarn_beta_fast", json_number_value(json_object_get(r, "beta_fast")));
    put_f32(o, "rope.scaling.yarn_beta_slow", json_number_value(json_object_get(r, "beta_slow")));
    put_f32(o, "rope.scaling.yarn_log_multiplier", 0.1 * json_number_value(json_object_get(r, "mscale_all_dim")));
}

static void put_mla_keys(output *o) {
    int64_t rope = number(o, "qk_rope_head_dim"), key = number(o, "qk_nope_head_dim") + rope;
    bool sigmoid = !strcmp(json_string_value(json_object_get(o->config, "scoring_func")), "sigmoid");
    put_u32(o, "vocab_size", number(o, "vocab_size"));
    put_u32(o, "leading_dense_block_count", number(o, "first_k_dense_replace"));
    if (number(o, "q_lora_rank")) put_u32(o, "attention.q_lora_rank", number(o, "q_lora_rank"));
    put_u32(o, "attention.kv_lora_rank", number(o, "kv_lora_rank"));
    put_u32(o, "attention.key_length", o->how.whole_kv_b ? key : number(o, "kv_lora_rank") + rope);
    put_u32(o, "attention.value_length", number(o, o->how.whole_kv_b ? "v_head_dim" : "kv_lora_rank"));
    if (!o->how.whole_kv_b) {
        put_u32(o, "attention.key_length_mla", key);
        put_u32(o, "attention.value_length_mla", number(o, "v_head_dim"));
    }
    put_u32(o, "rope.dimension_count", rope);
    put_u32(o, "expert_feed_forward_length", number(o, "moe_intermediate_size"));
    put_u32(o, "expert_count", number(o, "n_routed_experts"));
    put_u32(o, "expert_used_count", number(o, "num_experts_per_tok"));
    put_u32(o, "expert_shared_count", number(o, "n_shared_experts"));
    put_u32(o, "expert_group_count", number(o, "n_group"));
    put_u32(o, "expert_group_used_count", number(o, "topk_group"));
    put_u32(o, "expert_gating_func", sigmoid ? 2 : 1);
    put_f32(o, "expert_weights_scale", json_number_value(json_object_get(o->config, "routed_scaling_factor")));
    if (json_is_true(json_object_get(o->config, "norm_topk_prob"))) put_true(o, "expert_weights_norm");
}

/* An array of `n` values of type `type` follows. */
static void put_array(output *o, const char *key, int type, size_t n) {
    check_gguf_text(&o->keys, key);
    check_put_int(&o->keys, GGUF_ARRAY, 4);
    check_put_int(&o->keys, (uint64_t)type, 4);
    check_put_int(&o->keys, n, 8);
    o->n_keys++;
}

/* Vocabulary and merges of a byte-level tokenizer.json; ids that it lacks become unused tokens. */
static void put_tokenizer(output *o, const char *folder) {
    char path[512];
    fa_error e;
    json_t *root, *id, *entry;
    const char *text;
    size_t i, n = (size_t)number(o, "vocab_size");
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    CHECK_OK(fa_json_load(&root, path, &e), &e);
    json_t *model = json_object_get(root, "model"), *merges = json_object_get(model, "merges");
    const char **tokens = must_alloc(n * sizeof *tokens);
    uint32_t *types = must_alloc(n * sizeof *types);
    for (i = 0; i < n; i++) tokens[i] = "[PAD]", types[i] = TOKEN_UNUSED;
    json_object_foreach(json_object_get(model, "vocab"), text, id) {
        tokens[json_integer_value(id)] = text;
        types[json_integer_value(id)] = TOKEN_NORMAL;
    }
    json_array_foreach(json_object_get(root, "added_tokens"), i, entry) {
        int64_t k = json_integer_value(json_object_get(entry, "id"));
        tokens[k] = json_string_value(json_object_get(entry, "content"));
        types[k] = json_is_true(json_object_get(entry, "special")) ? TOKEN_CONTROL : TOKEN_USER;
    }
    check_gguf_key_text(&o->keys, "tokenizer.ggml.model", "gpt2");
    check_gguf_key_text(&o->keys, "tokenizer.ggml.pre", o->how.pre);
    o->n_keys += 2;
    put_array(o, "tokenizer.ggml.tokens", GGUF_STRING, n);
    for (i = 0; i < n; i++) check_gguf_text(&o->keys, tokens[i]);
    put_array(o, "tokenizer.ggml.token_type", GGUF_I32, n);
    for (i = 0; i < n; i++) check_put_int(&o->keys, types[i], 4);
    put_array(o, "tokenizer.ggml.merges", GGUF_STRING, json_array_size(merges));
    json_array_foreach(merges, i, entry) {
        char pair[2048];
        const char *left = json_string_value(json_array_get(entry, 0));
        if (left) snprintf(pair, sizeof pair, "%s %s", left, json_string_value(json_array_get(entry, 1)));
        check_gguf_text(&o->keys, left ? pair : json_string_value(entry));
    }
    free(tokens), free(types);
    json_decref(root);
}

static void put_keys(output *o, const char *folder) {
    bool mla = !strcmp(o->architecture, "deepseek2");
    check_gguf_key_text(&o->keys, "general.architecture", o->architecture);
    check_gguf_key_u32(&o->keys, "tokenizer.ggml.eos_token_id", (uint32_t)number(o, "eos_token_id"));
    check_gguf_key_u32(&o->keys, "tokenizer.ggml.bos_token_id", (uint32_t)number(o, "bos_token_id"));
    o->n_keys += 3;
    if (o->how.pre) {
        put_tokenizer(o, folder);
    } else {
        put_array(o, "tokenizer.ggml.tokens", GGUF_STRING, (size_t)number(o, "vocab_size"));
        for (int64_t i = 0; i < number(o, "vocab_size"); i++) check_put_int(&o->keys, 0, 8);
    }
    put_u32(o, "block_count", number(o, "num_hidden_layers"));
    put_u32(o, "context_length", number(o, "max_position_embeddings"));
    put_u32(o, "embedding_length", number(o, "hidden_size"));
    put_u32(o, "feed_forward_length", number(o, "intermediate_size"));
    put_u32(o, "attention.head_count", number(o, "num_attention_heads"));
    put_u32(o, "attention.head_count_kv", mla && !o->how.whole_kv_b ? 1 : number(o, "num_key_value_heads"));
    put_f32(o, "attention.layer_norm_rms_epsilon", json_number_value(json_object_get(o->config, "rms_norm_eps")));
    put_rope_keys(o);
    if (mla) put_mla_keys(o);
}

/* ---- tensors ---- */

/* Adds FP32 values as the converter stores them: vectors, routers and norms in F32, matrices in 16 bits. */
static void put_tensor(output *o, const char *name, int n_dims, const int64_t *shape, const float *values) {
    uint64_t dims[FA_MAX_DIMS] = {0}, n = 1;
    for (int i = 0; i < n_dims; i++) {
        dims[i] = (uint64_t)shape[n_dims - 1 - i];
        n *= dims[i];
    }
    bool narrow = n_dims > 1 && !strstr(name, "ffn_gate_inp");
    uint32_t type = !narrow ? GGML_F32 : o->how.f16 ? GGML_F16 : GGML_BF16;
    check_gguf_tensor(&o->infos, name, n_dims, dims, type, o->data.n);
    for (uint64_t i = 0; i < n; i++)
        if (!narrow)
            check_put(&o->data, &values[i], 4);
        else
            check_put_int(&o->data, o->how.f16 ? fa_f16_encode(values[i]) : fa_bf16_encode(values[i]), 2);
    check_pad(&o->data, ALIGNMENT);
    o->n_tensors++;
}

static float *values_of(const fa_tensor *t) {
    int64_t n = fa_tensor_elements(t);
    float *v = must_alloc((size_t)n * sizeof *v);
    fa_decode(t->type, t->data, 0, n, v);
    return v;
}

/* llama: within each head, rows of the pairs (i, i + half) come to lie side by side. */
static float *permuted(const fa_tensor *t, const float *v, int64_t heads) {
    int64_t cols = t->n_dims > 1 ? t->shape[1] : 1, head = t->shape[0] / heads;
    float *p = must_alloc((size_t)(t->shape[0] * cols) * sizeof *p);
    for (int64_t h = 0; h < heads; h++)
        for (int64_t i = 0; i < head; i++) {
            int64_t from = h * head + i % 2 * (head / 2) + i / 2;
            memcpy(p + (h * head + i) * cols, v + from * cols, (size_t)cols * sizeof *p);
        }
    return p;
}

static void put_named(output *o, const char *name, const fa_tensor *t) {
    float *v = values_of(t);
    bool llama = !strcmp(o->architecture, "llama"), q = strstr(name, "attn_q.") != NULL;
    if (llama && (q || strstr(name, "attn_k."))) {
        float *p = permuted(t, v, number(o, q ? "num_attention_heads" : "num_key_value_heads"));
        put_tensor(o, name, t->n_dims, t->shape, p);
        free(p);
    } else {
        put_tensor(o, name, t->n_dims, t->shape, v);
    }
    free(v);
}

static const fa_tensor *layer_tensor(const output *o, int layer, const char *suffix) {
    char name[160];
    snprintf(name, sizeof name, "model.layers.%d.%s", layer, suffix);
    return fa_tensors_find(o->ts, name);
}

/* kv_b [heads, nope + v, rank] -> attn_k_b [heads, rank, nope] and attn_v_b [heads, v, rank]. */
static void put_split_kv_b(output *o, int layer, const fa_tensor *t) {
    int64_t heads = number(o, "num_attention_heads"), nope = number(o, "qk_nope_head_dim"), v = number(o, "v_head_dim");
    int64_t rank = number(o, "kv_lora_rank");
    float *all = values_of(t), *k_b = must_alloc((size_t)(heads * rank * nope) * sizeof *all),
          *v_b = must_alloc((size_t)(heads * v * rank) * sizeof *all);
    for (int64_t h = 0; h < heads; h++) {
        const float *head = all + h * (nope + v) * rank;
        for (int64_t i = 0; i < rank; i++)
            for (int64_t d = 0; d < nope; d++) k_b[(h * rank + i) * nope + d] = head[d * rank + i];
        memcpy(v_b + h * v * rank, head + nope * rank, (size_t)(v * rank) * sizeof *all);
    }
    char name[64];
    snprintf(name, sizeof name, "blk.%d.attn_k_b.weight", layer);
    put_tensor(o, name, 3, (int64_t[]){heads, rank, nope}, k_b);
    snprintf(name, sizeof name, "blk.%d.attn_v_b.weight", layer);
    put_tensor(o, name, 3, (int64_t[]){heads, v, rank}, v_b);
    free(all), free(k_b), free(v_b);
}

static void put_stack(output *o, int layer, const char *matrix, const char *gguf) {
    int64_t experts = number(o, "n_routed_experts"), n = 0, shape[3] = {experts, 0, 0};
    float *all = NULL;
    for (int64_t x = 0; x < experts; x++) {
        char suffix[96];
        snprintf(suffix, sizeof suffix, "mlp.experts.%d.%s.weight", (int)x, matrix);
        const fa_tensor *t = layer_tensor(o, layer, suffix);
        CHECK(t, "no %s", suffix);
        n = fa_tensor_elements(t);
        if (!all) all = must_alloc((size_t)(experts * n) * sizeof *all);
        fa_decode(t->type, t->data, 0, n, all + x * n);
        shape[1] = t->shape[0];
        shape[2] = t->shape[1];
    }
    char name[64];
    snprintf(name, sizeof name, "blk.%d.%s.weight", layer, gguf);
    put_tensor(o, name, 3, shape, all);
    free(all);
}

static void put_layer(output *o, int layer) {
    static const char *const names[][2] = {
        {"input_layernorm.weight", "attn_norm.weight"},
        {"post_attention_layernorm.weight", "ffn_norm.weight"},
        {"self_attn.q_proj.weight", "attn_q.weight"},
        {"self_attn.k_proj.weight", "attn_k.weight"},
        {"self_attn.v_proj.weight", "attn_v.weight"},
        {"self_attn.q_proj.bias", "attn_q.bias"},
        {"self_attn.k_proj.bias", "attn_k.bias"},
        {"self_attn.v_proj.bias", "attn_v.bias"},
        {"self_attn.o_proj.weight", "attn_output.weight"},
        {"self_attn.q_a_proj.weight", "attn_q_a.weight"},
        {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight"},
        {"self_attn.q_b_proj.weight", "attn_q_b.weight"},
        {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight"},
        {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight"},
        {"mlp.gate_proj.weight", "ffn_gate.weight"},
        {"mlp.up_proj.weight", "ffn_up.weight"},
        {"mlp.down_proj.weight", "ffn_down.weight"},
        {"mlp.gate.weight", "ffn_gate_inp.weight"},
        {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias"},
        {"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight"},
        {"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight"},
        {"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight"},
    };
    char name[64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const fa_tensor *t = layer_tensor(o, layer, names[i][0]);
        snprintf(name, sizeof name, "blk.%d.%s", layer, names[i][1]);
        if (t) put_named(o, name, t);
    }
    const fa_tensor *kv_b = layer_tensor(o, layer, "self_attn.kv_b_proj.weight");
    snprintf(name, sizeof name, "blk.%d.attn_kv_b.weight", layer);
    if (kv_b && o->how.whole_kv_b) put_named(o, name, kv_b);
    if (kv_b && !o->how.whole_kv_b) put_split_kv_b(o, layer, kv_b);
    if (!layer_tensor(o, layer, "mlp.experts.0.gate_proj.weight")) return;
    put_stack(o, layer, "gate_proj", "ffn_gate_exps");
    put_stack(o, layer, "up_proj", "ffn_up_exps");
    put_stack(o, layer, "down_proj", "ffn_down_exps");
}

/* llama3 scaling as the divisors of the plain frequencies. */
static void put_rope_divisors(output *o) {
    const json_t *r = json_object_get(o->config, "rope_scaling");
    const char *type = json_string_value(json_object_get(r, "rope_type"));
    if (!type || strcmp(type, "llama3")) return;
    double factor = json_number_value(json_object_get(r, "factor")),
           low = json_number_value(json_object_get(r, "low_freq_factor"));
    double high = json_number_value(json_object_get(r, "high_freq_factor"));
    double context = json_number_value(json_object_get(r, "original_max_position_embeddings"));
    double theta = json_number_value(json_object_get(o->config, "rope_theta"));
    int64_t dims = number(o, "head_dim");
    float divisors[512];
    for (int64_t i = 0; i < dims / 2; i++) {
        double wave = 2 * M_PI * pow(theta, 2.0 * (double)i / (double)dims);
        double smooth = (context / wave - low) / (high - low);
        divisors[i] = (float)(wave < context / high  ? 1
                              : wave > context / low ? factor
                                                     : 1 / ((1 - smooth) / factor + smooth));
    }
    put_tensor(o, "rope_freqs.weight", 1, (int64_t[]){dims / 2}, divisors);
}

char *golden_to_gguf(const char *folder, const char *scratch, const golden_gguf *how) {
    char *dir = check_golden(folder), path[512];
    fa_error e;
    json_t *config;
    fa_tensors *ts;
    snprintf(path, sizeof path, "%s/config.json", dir);
    CHECK_OK(fa_json_load(&config, path, &e), &e);
    CHECK_OK(fa_tensors_open(&ts, dir, &e), &e);
    const char *type = json_string_value(json_object_get(config, "model_type"));
    output o = {
        .architecture = !strncmp(type, "deepseek", 8) ? "deepseek2" : type, .config = config, .ts = ts, .how = *how};
    put_keys(&o, dir);
    put_rope_divisors(&o);
    put_named(&o, "token_embd.weight", fa_tensors_find(ts, "model.embed_tokens.weight"));
    put_named(&o, "output_norm.weight", fa_tensors_find(ts, "model.norm.weight"));
    const fa_tensor *head = fa_tensors_find(ts, "lm_head.weight");
    if (head) put_named(&o, "output.weight", head);
    for (int i = 0; i < number(&o, "num_hidden_layers"); i++) put_layer(&o, i);

    check_bytes file = {0};
    check_gguf_header(&file, o.n_tensors, o.n_keys);
    check_put(&file, o.keys.data, o.keys.n);
    check_put(&file, o.infos.data, o.infos.n);
    check_pad(&file, ALIGNMENT);
    check_put(&file, o.data.data, o.data.n);
    char *written = check_write(scratch, "model.gguf", file.data, file.n);
    free(file.data), free(o.keys.data), free(o.infos.data), free(o.data.data);
    fa_tensors_close(ts);
    json_decref(config);
    free(dir);
    return written;
}
