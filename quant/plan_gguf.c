/* GGUF's names and layouts turned back to Hugging Face's. The other direction: convert_hf_to_gguf.py and
 * gguf-py/gguf/tensor_mapping.py of https://github.com/ggml-org/llama.cpp. */
#include <stdio.h>
#include <string.h>

#include "host/format/gguf.h"
#include "quant/plan.h"

enum { LLAMA = 1, QWEN2 = 2, DEEPSEEK2 = 4, ANY = 7, MAX_EXPERTS = 4096, NAME_TEXT = 256 };

typedef enum role {
    RENAME = 0,
    ROTARY_Q, /* permuted for llama: query heads */
    ROTARY_K, /* key/value heads */
    STACK,    /* [experts, rows, cols]: one tensor for each expert, %d in the name */
    SPLIT_K,  /* attn_k_b: becomes kv_b_proj together with attn_v_b */
    SPLIT_V,
    ROPE_FREQS, /* goes into config.json */
} role;

static const struct row {
    const char *gguf, *hf; /* behind "blk.N." and "model.layers.N." in `layer_rows`; with ".weight" or ".bias" alike */
    int of;
    role role;
} layer_rows[] =
    {
        {"attn_norm", "input_layernorm", ANY, RENAME},
        {"ffn_norm", "post_attention_layernorm", ANY, RENAME},
        {"attn_q", "self_attn.q_proj", ANY, ROTARY_Q},
        {"attn_k", "self_attn.k_proj", LLAMA | QWEN2, ROTARY_K},
        {"attn_v", "self_attn.v_proj", LLAMA | QWEN2, RENAME},
        {"attn_output", "self_attn.o_proj", ANY, RENAME},
        {"attn_q_a", "self_attn.q_a_proj", DEEPSEEK2, RENAME},
        {"attn_q_a_norm", "self_attn.q_a_layernorm", DEEPSEEK2, RENAME},
        {"attn_q_b", "self_attn.q_b_proj", DEEPSEEK2, RENAME},
        {"attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa", DEEPSEEK2, RENAME},
        {"attn_kv_a_norm", "self_attn.kv_a_layernorm", DEEPSEEK2, RENAME},
        {"attn_kv_b", "self_attn.kv_b_proj", DEEPSEEK2, RENAME},
        {"attn_k_b", "self_attn.kv_b_proj", DEEPSEEK2, SPLIT_K},
        {"attn_v_b", "self_attn.kv_b_proj", DEEPSEEK2, SPLIT_V},
        {"ffn_gate", "mlp.gate_proj", ANY, RENAME},
        {"ffn_up", "mlp.up_proj", ANY, RENAME},
        {"ffn_down", "mlp.down_proj", ANY, RENAME},
        {"ffn_gate_inp", "mlp.gate", DEEPSEEK2, RENAME},
        {"exp_probs_b", "mlp.gate.e_score_correction_bias", DEEPSEEK2, RENAME}, /* the release has no suffix here */
        {"ffn_gate_exps", "mlp.experts.%d.gate_proj", DEEPSEEK2, STACK},
        {"ffn_up_exps", "mlp.experts.%d.up_proj", DEEPSEEK2, STACK},
        {"ffn_down_exps", "mlp.experts.%d.down_proj", DEEPSEEK2, STACK},
        {"ffn_gate_shexp", "mlp.shared_experts.gate_proj", DEEPSEEK2, RENAME},
        {"ffn_up_shexp", "mlp.shared_experts.up_proj", DEEPSEEK2, RENAME},
        {"ffn_down_shexp", "mlp.shared_experts.down_proj", DEEPSEEK2, RENAME},
},
  model_rows[] = {
      {"token_embd", "model.embed_tokens", ANY, RENAME},
      {"output_norm", "model.norm", ANY, RENAME},
      {"output", "lm_head", ANY, RENAME},
      {"rope_freqs", "", ANY, ROPE_FREQS},
};

typedef struct planner {
    fa_plan *plan;
    const fa_tensors *ts;
    int of; /* architecture */
    int64_t heads, kv_heads;
} planner;

static const struct row *find_row(const struct row *rows, size_t n, const char *name, size_t length, int of) {
    for (size_t i = 0; i < n; i++)
        if (rows[i].of & of && strlen(rows[i].gguf) == length && !memcmp(rows[i].gguf, name, length)) return &rows[i];
    return NULL;
}

static fa_status add_stack(planner *p, const fa_tensor *t, const char *prefix, const char *hf, const char *suffix,
                           fa_error *e) {
    if (t->n_dims != 3 || t->shape[0] > MAX_EXPERTS)
        return fa_fail(e, FA_EFORMAT, "%s: tensor %s: expected [experts <= %d, rows, columns]", t->file, t->name,
                       MAX_EXPERTS);
    fa_status s = FA_OK;
    for (int x = 0; x < t->shape[0] && !s; x++) {
        char name[NAME_TEXT], of_expert[NAME_TEXT / 2];
        snprintf(of_expert, sizeof of_expert, hf, x);
        snprintf(name, sizeof name, "%s%s%s", prefix, of_expert, suffix);
        fa_plan_tensor one = {.name = name, .source = t, .first_row = x * t->shape[1], .n_dims = 2};
        one.shape[0] = t->shape[1];
        one.shape[1] = t->shape[2];
        s = fa_plan_add(p->plan, one, e);
    }
    return s;
}

static fa_status add_kv_b(planner *p, const fa_tensor *k, const char *name, fa_error *e) {
    char other[NAME_TEXT];
    int layer_bytes = (int)(strlen(k->name) - strlen("attn_k_b.weight"));
    snprintf(other, sizeof other, "%.*sattn_kv_b.weight", layer_bytes, k->name);
    if (fa_tensors_find(p->ts, other)) return FA_OK; /* the joined one is there as well */
    snprintf(other, sizeof other, "%.*sattn_v_b.weight", layer_bytes, k->name);
    const fa_tensor *v = fa_tensors_find(p->ts, other);
    if (!v) return fa_fail(e, FA_EFORMAT, "%s: tensor %s: missing", k->file, other);
    if (k->n_dims != 3 || v->n_dims != 3 || k->shape[0] != v->shape[0] || k->shape[1] != v->shape[2])
        return fa_fail(e, FA_EFORMAT, "%s: tensors %s and %s do not fit together", k->file, k->name, v->name);
    fa_plan_tensor t = {.name = name, .kind = FA_PLAN_KV_B, .source = k, .second = v, .n_dims = 2};
    t.shape[0] = k->shape[0] * (k->shape[2] + v->shape[1]);
    t.shape[1] = k->shape[1];
    return fa_plan_add(p->plan, t, e);
}

static fa_status add_rotary(planner *p, const fa_tensor *t, const char *name, int64_t heads, fa_error *e) {
    if (t->n_dims < 1 || t->n_dims > 2 || t->shape[0] % (2 * heads))
        return fa_fail(e, FA_EFORMAT, "%s: tensor %s: %lld rows are not %lld heads of rotary pairs", t->file, t->name,
                       (long long)t->shape[0], (long long)heads);
    fa_plan_tensor one = {.name = name, .kind = FA_PLAN_ROTARY, .source = t, .heads = heads, .n_dims = t->n_dims};
    memcpy(one.shape, t->shape, sizeof one.shape);
    one.rows = t->shape[0];
    one.cols = t->shape[1];
    return fa_plan_add(p->plan, one, e);
}

static fa_status add_row(planner *p, const fa_tensor *t, const struct row *row, const char *prefix, const char *suffix,
                         fa_error *e) {
    char name[NAME_TEXT];
    if (!strcmp(row->gguf, "exp_probs_b")) suffix = "";
    snprintf(name, sizeof name, "%s%s%s", prefix, row->hf, suffix);
    bool permuted = p->of == LLAMA;
    switch (row->role) {
    case STACK: return add_stack(p, t, prefix, row->hf, suffix, e);
    case SPLIT_K: return add_kv_b(p, t, name, e);
    case ROTARY_Q:
        if (permuted) return add_rotary(p, t, name, p->heads, e);
        break;
    case ROTARY_K:
        if (permuted) return add_rotary(p, t, name, p->kv_heads, e);
        break;
    case SPLIT_V:
    case ROPE_FREQS: return FA_OK;
    case RENAME: break;
    }
    fa_plan_tensor one = {.name = name, .source = t, .n_dims = t->n_dims};
    memcpy(one.shape, t->shape, sizeof one.shape);
    return fa_plan_add(p->plan, one, e);
}

static fa_status add_tensor(planner *p, const fa_tensor *t, fa_error *e) {
    const char *dot = strrchr(t->name, '.'), *base = t->name;
    char prefix[64] = "";
    int layer = -1, used = 0;
    bool in_layer = sscanf(t->name, "blk.%6d.%n", &layer, &used) == 1 && used && layer >= 0;
    if (in_layer) {
        base += used;
        snprintf(prefix, sizeof prefix, "model.layers.%d.", layer);
    }
    const struct row *row = NULL;
    if (dot && dot > base && (!strcmp(dot, ".weight") || !strcmp(dot, ".bias")))
        row = in_layer
                  ? find_row(layer_rows, sizeof layer_rows / sizeof *layer_rows, base, (size_t)(dot - base), p->of)
                  : find_row(model_rows, sizeof model_rows / sizeof *model_rows, base, (size_t)(dot - base), p->of);
    if (!row) return fa_fail(e, FA_EUNSUPPORTED, "%s: tensor %s: not known for this architecture", t->file, t->name);
    return add_row(p, t, row, prefix, dot, e);
}

/* The architecture as one bit, and its name for keys. */
static fa_status read_architecture(const fa_gguf *g, int *of, const char **name, fa_error *e) {
    static const char *const names[] = {"llama", "qwen2", "deepseek2"};
    fa_gguf_text t;
    fa_status s = fa_gguf_string(g, "general.architecture", &t, e);
    for (int i = 0; i < 3 && !s; i++) {
        if (t.bytes != strlen(names[i]) || memcmp(t.data, names[i], t.bytes)) continue;
        *of = 1 << i;
        *name = names[i];
        return FA_OK;
    }
    return s ? s
             : fa_fail(e, FA_EUNSUPPORTED, "%s: general.architecture: \"%.*s\" is not supported", fa_gguf_path(g),
                       t.bytes > 80 ? 80 : (int)t.bytes, t.data ? t.data : "");
}

fa_status fa_plan_gguf(fa_plan *plan, const fa_tensors *ts, fa_error *e) {
    planner p = {.plan = plan, .ts = ts};
    const fa_gguf *g = fa_tensors_gguf(ts);
    const char *architecture = "";
    char key[64];
    fa_status s = read_architecture(g, &p.of, &architecture, e);
    snprintf(key, sizeof key, "%s.attention.head_count", architecture);
    if (!s) s = fa_gguf_int(g, key, 1, 1024, 1, &p.heads, e);
    snprintf(key, sizeof key, "%s.attention.head_count_kv", architecture);
    if (!s) s = fa_gguf_int(g, key, 1, 1024, p.heads, &p.kv_heads, e);
    for (int64_t i = 0; i < fa_tensors_count(ts) && !s; i++) s = add_tensor(&p, fa_tensors_at(ts, i), e);
    return s;
}
