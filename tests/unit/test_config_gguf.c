/* Configurations from GGUF metadata: the fields of a deepseek2 and a llama file, and each bad key against an error that
 * names file and key. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/format/tensor.h"
#include "host/model/config.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

/* One key: a text, or a whole number, or a float. */
typedef struct key {
    const char *name, *text;
    double number;
    bool whole;
} key;

#define TEXT(name, value) \
    { name, value, 0, false }
#define INT(name, value) \
    { name, NULL, value, true }
#define FLOAT(name, value) \
    { name, NULL, value, false }

static const key llama[] = {
    TEXT("general.architecture", "llama"),
    INT("llama.vocab_size", 1000),
    INT("llama.block_count", 3),
    INT("llama.context_length", 512),
    INT("llama.embedding_length", 128),
    INT("llama.feed_forward_length", 336),
    INT("llama.attention.head_count", 8),
    INT("llama.attention.head_count_kv", 2),
    FLOAT("llama.rope.freq_base", 100000),
    FLOAT("llama.attention.layer_norm_rms_epsilon", 1e-5),
    TEXT("llama.rope.scaling.type", "linear"),
    FLOAT("llama.rope.scaling.factor", 4),
    INT("tokenizer.ggml.bos_token_id", 1),
    INT("tokenizer.ggml.eos_token_id", 2),
    INT("tokenizer.ggml.eot_token_id", 3),
    {0},
};

static const key deepseek2[] = {
    TEXT("general.architecture", "deepseek2"),
    INT("deepseek2.vocab_size", 1040),
    INT("deepseek2.block_count", 3),
    INT("deepseek2.context_length", 2560),
    INT("deepseek2.embedding_length", 192),
    INT("deepseek2.feed_forward_length", 400),
    INT("deepseek2.attention.head_count", 4),
    INT("deepseek2.attention.head_count_kv", 1),
    FLOAT("deepseek2.attention.layer_norm_rms_epsilon", 1e-6),
    INT("deepseek2.attention.q_lora_rank", 144),
    INT("deepseek2.attention.kv_lora_rank", 128),
    INT("deepseek2.attention.key_length", 144),
    INT("deepseek2.attention.value_length", 128),
    INT("deepseek2.attention.key_length_mla", 48),
    INT("deepseek2.attention.value_length_mla", 40),
    INT("deepseek2.rope.dimension_count", 16),
    INT("deepseek2.leading_dense_block_count", 1),
    INT("deepseek2.expert_feed_forward_length", 136),
    INT("deepseek2.expert_count", 16),
    INT("deepseek2.expert_used_count", 4),
    INT("deepseek2.expert_shared_count", 1),
    INT("deepseek2.expert_group_count", 4),
    INT("deepseek2.expert_group_used_count", 2),
    INT("deepseek2.expert_gating_func", 2),
    FLOAT("deepseek2.expert_weights_scale", 2.5),
    TEXT("deepseek2.rope.scaling.type", "yarn"),
    FLOAT("deepseek2.rope.scaling.factor", 40),
    INT("deepseek2.rope.scaling.original_context_length", 64),
    FLOAT("deepseek2.rope.scaling.yarn_log_multiplier", 0.1),
    {0},
};

#define GONE(name) \
    { name, NULL, NAN, false }

enum { MAX_KEYS = 64 };

/* The keys with `change` in place of the one of its name, or behind them. Returns how many. */
static int changed(key *to, const key *keys, const key *change) {
    int n = 0, at = -1;
    for (; keys[n].name; n++) {
        to[n] = keys[n];
        if (change && !strcmp(keys[n].name, change->name)) at = n;
    }
    if (!change) return n;
    if (at < 0) at = n++;
    to[at] = isnan(change->number) ? to[--n] : *change;
    return n;
}

/* The configuration of a file of these keys and no tensors. */
static fa_status config_of(const key *keys, const key *change, fa_config *c, fa_error *e) {
    key all[MAX_KEYS];
    int n = changed(all, keys, change);
    check_bytes file = {0};
    check_gguf_header(&file, 0, (uint64_t)n);
    for (int i = 0; i < n; i++)
        if (all[i].text)
            check_gguf_key_text(&file, all[i].name, all[i].text);
        else if (all[i].whole)
            check_gguf_key_u32(&file, all[i].name, (uint32_t)all[i].number);
        else
            check_gguf_key_f32(&file, all[i].name, (float)all[i].number);
    check_pad(&file, 32);
    char *dir = check_scratch(), *path = check_write(dir, "m.gguf", file.data, file.n);
    fa_tensors *ts;
    CHECK_OK(fa_tensors_open(&ts, path, e), e);
    fa_status s = fa_config_from_gguf(c, fa_tensors_gguf(ts), e);
    fa_tensors_close(ts);
    check_remove(dir);
    free(file.data), free(dir), free(path);
    return s;
}

static void llama_fields(void *unused) {
    (void)unused;
    fa_config c;
    fa_error e;
    CHECK_OK(config_of(llama, NULL, &c, &e), &e);
    CHECK(!strcmp(c.architecture, "LlamaForCausalLM") && c.vocab == 1000 && c.hidden == 128 && c.layers == 3);
    CHECK(c.intermediate == 336 && c.max_positions == 512 && c.heads == 8 && c.kv_heads == 2 && c.head_dim == 16);
    CHECK(c.rope.scaling == FA_ROPE_LINEAR && c.rope.factor == 4 && c.rope.theta == 100000 && c.rope.interleaved);
    CHECK(c.norm_eps == 1e-5f && c.bos_id == 1 && c.n_eos == 2 && c.eos_ids[0] == 2 && c.eos_ids[1] == 3);
    CHECK(c.experts == 0 && !c.attention_bias && !c.fp8);
}

static void deepseek2_fields(void *unused) {
    (void)unused;
    fa_config c;
    fa_error e;
    CHECK_OK(config_of(deepseek2, NULL, &c, &e), &e);
    CHECK(!strcmp(c.family, "deepseek-v3") && c.attention == FA_ATTENTION_MLA && c.kv_heads == 4);
    CHECK(c.q_rank == 144 && c.kv_rank == 128 && c.nope_dim == 32 && c.rope_dim == 16 && c.v_dim == 40);
    CHECK(c.experts == 16 && c.top_k == 4 && c.shared_experts == 1 && c.groups == 4 && c.top_groups == 2);
    CHECK(c.moe_inner == 136 && c.first_moe_layer == 1 && c.moe_layer_freq == 1 && c.routed_scale == 2.5f &&
          !c.norm_topk);
    CHECK(c.scoring == FA_SCORE_SIGMOID && c.topk_method == FA_TOPK_NOAUX);
    CHECK(c.rope.scaling == FA_ROPE_YARN && c.rope.beta_fast == 32 && c.rope.beta_slow == 1);
    CHECK(fabs(c.rope.mscale_all_dim - 1) < 1e-6 && c.rope.attention_factor == 1);
}

static void softmax_is_v2(void *unused) {
    (void)unused;
    fa_config c;
    fa_error e;
    CHECK_OK(config_of(deepseek2, &(key)INT("deepseek2.expert_gating_func", 1), &c, &e), &e);
    CHECK(!strcmp(c.family, "deepseek-v2") && c.scoring == FA_SCORE_SOFTMAX && c.topk_method == FA_TOPK_GROUP_LIMITED);
    CHECK_OK(config_of(deepseek2, &(key)GONE("deepseek2.expert_gating_func"), &c, &e), &e);
    CHECK(!strcmp(c.family, "deepseek-v2"));
}

typedef struct bad_key {
    const key *keys;
    key change;
    fa_status status;
    const char *names;
} bad_key;

static const bad_key bad[] = {
    {llama, GONE("general.architecture"), FA_EFORMAT, "general.architecture"},
    {llama, TEXT("general.architecture", "gemma"), FA_EUNSUPPORTED, "gemma"},
    {llama, GONE("llama.vocab_size"), FA_EFORMAT, "llama.vocab_size"},
    {llama, INT("llama.vocab_size", 0), FA_EFORMAT, "llama.vocab_size"},
    {llama, GONE("llama.block_count"), FA_EFORMAT, "llama.block_count"},
    {llama, INT("llama.block_count", 4000000), FA_EFORMAT, "llama.block_count"},
    {llama, TEXT("llama.block_count", "3"), FA_EFORMAT, "llama.block_count"},
    {llama, INT("llama.attention.head_count_kv", 3), FA_EFORMAT, "llama.attention.head_count_kv"},
    {llama, INT("llama.attention.key_length", 15), FA_EFORMAT, "llama.attention.key_length"},
    {llama, FLOAT("llama.rope.freq_base", -1), FA_EFORMAT, "llama.rope.freq_base"},
    {llama, TEXT("llama.rope.scaling.type", "longrope"), FA_EUNSUPPORTED, "longrope"},
    {llama, FLOAT("llama.rope.scaling.factor", INFINITY), FA_EFORMAT, "llama.rope.scaling.factor"},
    {llama, INT("llama.expert_count", 8), FA_EUNSUPPORTED, "llama.expert_count"},
    {llama, INT("tokenizer.ggml.eos_token_id", 1000), FA_EFORMAT, "tokenizer.ggml.eos_token_id"},
    {deepseek2, INT("deepseek2.expert_gating_func", 3), FA_EUNSUPPORTED, "deepseek2.expert_gating_func"},
    {deepseek2, INT("deepseek2.expert_used_count", 17), FA_EFORMAT, "deepseek2.expert_used_count"},
    {deepseek2, INT("deepseek2.expert_group_count", 3), FA_EFORMAT, "deepseek2.expert_group_count"},
    {deepseek2, INT("deepseek2.attention.key_length_mla", 16), FA_EFORMAT, "deepseek2.attention.key_length_mla"},
    {deepseek2, GONE("deepseek2.attention.value_length_mla"), FA_EFORMAT, "deepseek2.attention.value_length_mla"},
    {deepseek2, INT("deepseek2.rope.dimension_count", 15), FA_EFORMAT, "deepseek2.rope.dimension_count"},
    {deepseek2, GONE("deepseek2.rope.scaling.original_context_length"), FA_EFORMAT, "original_context_length"},
    {deepseek2, FLOAT("deepseek2.rope.scaling.yarn_log_multiplier", -1), FA_EFORMAT, "yarn_log_multiplier"},
};

static void bad_keys(void *unused) {
    (void)unused;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fa_config c;
        fa_error e = {0};
        fa_status s = config_of(bad[i].keys, &bad[i].change, &c, &e);
        CHECK(s == bad[i].status, "%s: %s: %s", bad[i].change.name, fa_status_name(s), e.text);
        CHECK(strstr(e.text, bad[i].names) && strstr(e.text, "m.gguf"), "%s: %s", bad[i].change.name, e.text);
    }
}

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"the fields of a llama file are all there", llama_fields, NULL},
        {"the fields of a deepseek2 file are all there", deepseek2_fields, NULL},
        {"deepseek2 with softmax scores is V2", softmax_is_v2, NULL},
        {"a bad key is an error that names file and key", bad_keys, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
