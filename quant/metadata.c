#include "quant/metadata.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"

static json_t *quantization_config(void) {
    return json_pack("{s:s, s:s, s:s, s:[i, i]}", "activation_scheme", "dynamic", "fmt", "e4m3", "quant_method", "fp8",
                     "weight_block_size", 128, 128);
}

fa_status fa_metadata_of_folder(json_t **out, const char *dir, fa_error *e) {
    char *path = fa_path_join(dir, "config.json");
    fa_status s = path ? fa_json_load(out, path, e) : fa_fail(e, FA_ENOMEM, "%s: out of memory", dir);
    if (s) {
        free(path);
        return s;
    }
    if (!json_is_object(*out))
        s = fa_fail(e, FA_EFORMAT, "%s: expected an object", path);
    else if (json_is_object(json_object_get(*out, "quantization_config")))
        s = fa_fail(e, FA_EUNSUPPORTED, "%s: quantization_config: the model is quantised already", path);
    else if (json_object_set_new(*out, "quantization_config", quantization_config()))
        s = fa_fail(e, FA_ENOMEM, "%s: out of memory", path);
    if (s) json_decref(*out), *out = NULL;
    free(path);
    return s;
}

/* ---- GGUF ---- */

enum { LLAMA = 1, QWEN2 = 2, DEEPSEEK2 = 4, ANY = 7, KEY_TEXT = 128 };

/* Which key of config.json is which of GGUF, behind "<architecture>.". Kinds: i integer, f number, b boolean. */
static const struct field {
    const char *json, *gguf;
    char kind;
    int of;
    bool required;
} fields[] = {
    {"hidden_size", "embedding_length", 'i', ANY, true},
    {"intermediate_size", "feed_forward_length", 'i', ANY, true},
    {"num_hidden_layers", "block_count", 'i', ANY, true},
    {"max_position_embeddings", "context_length", 'i', ANY, true},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", 'f', ANY, true},
    {"rope_theta", "rope.freq_base", 'f', ANY, false},
    {"num_attention_heads", "attention.head_count", 'i', ANY, true},
    {"num_key_value_heads", "attention.head_count_kv", 'i', LLAMA | QWEN2, false},
    {"head_dim", "attention.key_length", 'i', LLAMA | QWEN2, false},
    {"q_lora_rank", "attention.q_lora_rank", 'i', DEEPSEEK2, false},
    {"kv_lora_rank", "attention.kv_lora_rank", 'i', DEEPSEEK2, true},
    {"qk_rope_head_dim", "rope.dimension_count", 'i', DEEPSEEK2, true},
    {"first_k_dense_replace", "leading_dense_block_count", 'i', DEEPSEEK2, false},
    {"moe_intermediate_size", "expert_feed_forward_length", 'i', DEEPSEEK2, false},
    {"n_routed_experts", "expert_count", 'i', DEEPSEEK2, false},
    {"n_shared_experts", "expert_shared_count", 'i', DEEPSEEK2, false},
    {"num_experts_per_tok", "expert_used_count", 'i', DEEPSEEK2, false},
    {"routed_scaling_factor", "expert_weights_scale", 'f', DEEPSEEK2, false},
    {"norm_topk_prob", "expert_weights_norm", 'b', DEEPSEEK2, false},
    {"n_group", "expert_group_count", 'i', DEEPSEEK2, false},
    {"topk_group", "expert_group_used_count", 'i', DEEPSEEK2, false},
};

typedef struct source {
    const fa_gguf *g;
    const fa_tensors *ts;
    int of;
    char architecture[16];
    json_t *config;
    bool failed; /* memory ran out */
} source;

static const char *key_of(const source *s, char key[KEY_TEXT], const char *name) {
    snprintf(key, KEY_TEXT, "%s.%s", s->architecture, name);
    return key;
}

/* Takes the reference. */
static void set(source *s, json_t *object, const char *key, json_t *value) {
    s->failed |= json_object_set_new(object, key, value) != 0;
}

/* GGUF keeps FP32 where config.json had a decimal: the shortest one that gives the same FP32. */
static json_t *decimal(double value) {
    char text[32];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if ((float)strtod(text, NULL) == (float)value) break;
    }
    return json_real(strtod(text, NULL));
}

static fa_status copy_number(source *src, json_t *to, const char *json, const char *gguf, fa_error *e) {
    char key[KEY_TEXT];
    double d;
    if (!fa_gguf_has(src->g, key_of(src, key, gguf))) return FA_OK;
    fa_status s = fa_gguf_double(src->g, key, 0, &d, e);
    if (s) return s;
    if (!isfinite(d)) return fa_fail(e, FA_EFORMAT, "%s: %s: not a finite number", fa_gguf_path(src->g), key);
    set(src, to, json, decimal(d));
    return FA_OK;
}

static fa_status copy_integer(source *src, json_t *to, const char *json, const char *gguf, fa_error *e) {
    char key[KEY_TEXT];
    int64_t i;
    if (!fa_gguf_has(src->g, key_of(src, key, gguf))) return FA_OK;
    fa_status s = fa_gguf_int(src->g, key, 0, INT32_MAX, 0, &i, e);
    if (!s) set(src, to, json, json_integer(i));
    return s;
}

static fa_status copy_field(source *src, const struct field *f, fa_error *e) {
    char key[KEY_TEXT];
    bool b;
    if (!fa_gguf_has(src->g, key_of(src, key, f->gguf)))
        return f->required ? fa_fail(e, FA_EFORMAT, "%s: %s: missing", fa_gguf_path(src->g), key) : FA_OK;
    if (f->kind == 'i') return copy_integer(src, src->config, f->json, f->gguf, e);
    if (f->kind == 'f') return copy_number(src, src->config, f->json, f->gguf, e);
    fa_status s = fa_gguf_bool(src->g, key, false, &b, e);
    if (!s) set(src, src->config, f->json, json_boolean(b));
    return s;
}

static int64_t integer(const source *src, const char *key) {
    return json_integer_value(json_object_get(src->config, key));
}

/* Names, router and head sizes of deepseek2, which stands for V2 (softmax router) and V3 (sigmoid). Newer files have a head's
 * sizes under *_mla and the latent's under the plain keys. */
static fa_status add_deepseek2(source *src, fa_error *e) {
    char key[KEY_TEXT];
    int64_t gating, key_dim, value_dim;
    const char *of_key =
        fa_gguf_has(src->g, "deepseek2.attention.key_length_mla") ? "attention.key_length_mla" : "attention.key_length";
    const char *of_value = fa_gguf_has(src->g, "deepseek2.attention.value_length_mla") ? "attention.value_length_mla"
                                                                                       : "attention.value_length";
    int64_t rope = integer(src, "qk_rope_head_dim");
    fa_status s = fa_gguf_int(src->g, "deepseek2.expert_gating_func", 0, 2, 0, &gating, e);
    if (!s) s = fa_gguf_int(src->g, key_of(src, key, of_key), rope + 1, 65536, -1, &key_dim, e);
    if (!s) s = fa_gguf_int(src->g, key_of(src, key, of_value), 1, 65536, -1, &value_dim, e);
    if (s) return s;
    if (key_dim < 0 || value_dim < 0)
        return fa_fail(e, FA_EFORMAT, "%s: deepseek2.%s or deepseek2.%s: missing", fa_gguf_path(src->g), of_key,
                       of_value);
    bool v3 = gating == 2;
    const char *method = v3 ? "noaux_tc" : integer(src, "n_group") > 1 ? "group_limited_greedy" : "greedy";
    set(src, src->config, "architectures", json_pack("[s]", v3 ? "DeepseekV3ForCausalLM" : "DeepseekV2ForCausalLM"));
    set(src, src->config, "model_type", json_string(v3 ? "deepseek_v3" : "deepseek_v2"));
    set(src, src->config, "num_key_value_heads", json_integer(integer(src, "num_attention_heads")));
    set(src, src->config, "qk_nope_head_dim", json_integer(key_dim - rope));
    set(src, src->config, "v_head_dim", json_integer(value_dim));
    set(src, src->config, "scoring_func", json_string(v3 ? "sigmoid" : "softmax"));
    set(src, src->config, "topk_method", json_string(method));
    set(src, src->config, "moe_layer_freq", json_integer(1));
    if (!json_object_get(src->config, "q_lora_rank")) set(src, src->config, "q_lora_rank", json_null());
    return FA_OK;
}

/* The converter keeps 0.1 * mscale_all_dim as yarn_log_multiplier; mscale equals mscale_all_dim in every release. */
static fa_status add_mscale(source *src, json_t *scaling, fa_error *e) {
    double log_multiplier;
    fa_status s = fa_gguf_double(src->g, "deepseek2.rope.scaling.yarn_log_multiplier", 0, &log_multiplier, e);
    if (s || log_multiplier == 0) return s;
    json_t *mscale = decimal(log_multiplier / 0.1);
    set(src, scaling, "mscale", json_incref(mscale));
    set(src, scaling, "mscale_all_dim", mscale);
    return FA_OK;
}

static fa_status add_scaling(source *src, fa_error *e) {
    char key[KEY_TEXT];
    fa_gguf_text type;
    fa_status s = fa_gguf_string(src->g, key_of(src, key, "rope.scaling.type"), &type, e);
    if (s || !type.data || (type.bytes == 4 && !memcmp(type.data, "none", 4))) return s;
    bool yarn = type.bytes == 4 && !memcmp(type.data, "yarn", 4);
    if (!yarn && (type.bytes != 6 || memcmp(type.data, "linear", 6)))
        return fa_fail(e, FA_EUNSUPPORTED, "%s: %s: not linear, yarn or none", fa_gguf_path(src->g), key);
    json_t *scaling = json_pack("{s:s}", "type", yarn ? "yarn" : "linear");
    set(src, src->config, "rope_scaling", scaling);
    s = copy_number(src, scaling, "factor", "rope.scaling.factor", e);
    if (s || !yarn) return s;
    s = copy_integer(src, scaling, "original_max_position_embeddings", "rope.scaling.original_context_length", e);
    if (!s) s = copy_number(src, scaling, "beta_fast", "rope.scaling.yarn_beta_fast", e);
    if (!s) s = copy_number(src, scaling, "beta_slow", "rope.scaling.yarn_beta_slow", e);
    return s || src->of != DEEPSEEK2 ? s : add_mscale(src, scaling, e);
}

/* llama3 scaling is in the file only as its divisors, one for each rotary frequency: 1 above `high` turns over the original
 * context, `factor` below `low`, a ramp between. Low is 1 and high is 4 in every Llama 3; the original context follows
 * from any divisor of the ramp. All divisors must then come out again. */
typedef struct llama3 {
    double factor, original;
} llama3;

static const double LOW = 1, HIGH = 4;

static double divisor(const llama3 *p, double turns_per_position) {
    double turns = p->original * turns_per_position;
    double smooth = turns < LOW ? 0 : turns > HIGH ? 1 : (turns - LOW) / (HIGH - LOW);
    return 1 / ((1 - smooth) / p->factor + smooth);
}

static llama3 solve_llama3(const float *divisors, const double *turns_per_position, int64_t n) {
    llama3 p = {1, 8192};
    for (int64_t i = 0; i < n; i++) p.factor = divisors[i] > p.factor ? divisors[i] : p.factor;
    for (int64_t i = 0; i < n; i++) {
        if (!(divisors[i] > 1.001 && divisors[i] < p.factor * 0.999)) continue;
        double smooth = (1 / divisors[i] - 1 / p.factor) / (1 - 1 / p.factor);
        p.original = round((LOW + smooth * (HIGH - LOW)) / turns_per_position[i]);
        break;
    }
    return p;
}

static fa_status add_llama3(source *src, fa_error *e) {
    enum { MOST = 512 };
    const fa_tensor *t = fa_tensors_find(src->ts, "rope_freqs.weight");
    if (!t) return FA_OK;
    float divisors[MOST];
    double turns[MOST], theta = json_number_value(json_object_get(src->config, "rope_theta"));
    int64_t n = fa_tensor_elements(t);
    if (t->type != FA_F32 || n < 1 || n > MOST)
        return fa_fail(e, FA_EFORMAT, "%s: tensor %s: expected up to %d numbers of type F32", t->file, t->name, MOST);
    fa_decode(t->type, t->data, 0, n, divisors);
    for (int64_t i = 0; i < n; i++) turns[i] = pow(theta > 0 ? theta : 10000, -(double)i / (double)n) / (2 * M_PI);
    llama3 p = solve_llama3(divisors, turns, n);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(divisors[i] - divisor(&p, turns[i])) <= 1e-4 * divisor(&p, turns[i])))
            return fa_fail(e, FA_EUNSUPPORTED, "%s: tensor %s: value %lld is %g, not %g as llama3 scaling by %g has it",
                           t->file, t->name, (long long)i, divisors[i], divisor(&p, turns[i]), p.factor);
    if (!(p.original >= 1 && p.original <= INT32_MAX))
        return fa_fail(e, FA_EUNSUPPORTED, "%s: tensor %s: no llama3 scaling", t->file, t->name);
    set(src, src->config, "rope_scaling",
        json_pack("{s:s, s:f, s:f, s:f, s:I}", "rope_type", "llama3", "factor", p.factor, "low_freq_factor", LOW,
                  "high_freq_factor", HIGH, "original_max_position_embeddings", (json_int_t)p.original));
    return FA_OK;
}

/* Ids of the vocabulary, and what only the tensors tell. */
static fa_status add_vocabulary(source *src, fa_error *e) {
    static const char *const ends[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    const fa_tensor *embedding = fa_tensors_find(src->ts, "token_embd.weight");
    if (!embedding) return fa_fail(e, FA_EFORMAT, "%s: tensor token_embd.weight: missing", fa_gguf_path(src->g));
    int64_t vocab = embedding->shape[0], id;
    set(src, src->config, "vocab_size", json_integer(vocab));
    fa_status s = fa_gguf_int(src->g, "tokenizer.ggml.bos_token_id", 0, vocab - 1, -1, &id, e);
    if (!s && id >= 0) set(src, src->config, "bos_token_id", json_integer(id));
    json_t *eos = json_array();
    for (int i = 0; i < 3 && !s; i++) {
        s = fa_gguf_int(src->g, ends[i], 0, vocab - 1, -1, &id, e);
        bool known = s || id < 0;
        for (size_t k = 0; k < json_array_size(eos); k++) known |= json_integer_value(json_array_get(eos, k)) == id;
        if (!known) src->failed |= json_array_append_new(eos, json_integer(id)) != 0;
    }
    size_t n = json_array_size(eos);
    if (n) set(src, src->config, "eos_token_id", json_incref(n == 1 ? json_array_get(eos, 0) : eos));
    json_decref(eos);
    set(src, src->config, "tie_word_embeddings", json_boolean(!fa_tensors_find(src->ts, "output.weight")));
    set(src, src->config, "attention_bias", json_boolean(fa_tensors_find(src->ts, "blk.0.attn_q.bias") != NULL));
    return s;
}

static fa_status find_architecture(source *src, fa_error *e) {
    static const char *const names[] = {"llama", "qwen2", "deepseek2"};
    fa_gguf_text t;
    fa_status s = fa_gguf_string(src->g, "general.architecture", &t, e);
    for (int i = 0; i < 3 && !s; i++)
        if (t.bytes == strlen(names[i]) && !memcmp(t.data, names[i], t.bytes)) {
            src->of = 1 << i;
            snprintf(src->architecture, sizeof src->architecture, "%s", names[i]);
            return FA_OK;
        }
    return s ? s : fa_fail(e, FA_EUNSUPPORTED, "%s: general.architecture is not supported", fa_gguf_path(src->g));
}

fa_status fa_metadata_config(json_t **out, const fa_tensors *ts, fa_error *e) {
    source src = {.g = fa_tensors_gguf(ts), .ts = ts, .config = json_object()};
    *out = NULL;
    fa_status s = find_architecture(&src, e);
    if (!s && src.of != DEEPSEEK2) {
        bool llama = src.of == LLAMA;
        set(&src, src.config, "architectures", json_pack("[s]", llama ? "LlamaForCausalLM" : "Qwen2ForCausalLM"));
        set(&src, src.config, "model_type", json_string(llama ? "llama" : "qwen2"));
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields && !s; i++)
        if (fields[i].of & src.of) s = copy_field(&src, &fields[i], e);
    if (!s && src.of == DEEPSEEK2) s = add_deepseek2(&src, e);
    if (!s) s = add_scaling(&src, e);
    if (!s && src.of == LLAMA) s = add_llama3(&src, e);
    if (!s) s = add_vocabulary(&src, e);
    set(&src, src.config, "hidden_act", json_string("silu"));
    set(&src, src.config, "torch_dtype", json_string("bfloat16"));
    set(&src, src.config, "quantization_config", quantization_config());
    if (!s && src.failed) s = fa_fail(e, FA_ENOMEM, "%s: out of memory for config.json", fa_gguf_path(src.g));
    if (s)
        json_decref(src.config);
    else
        *out = src.config;
    return s;
}
