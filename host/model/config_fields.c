#include "host/model/config_fields.h"

#include <stdio.h>

#define AT(member) offsetof(fa_config, member)

const fa_family fa_families[] = {
    {"DeepseekV3ForCausalLM", "deepseek_v3", "deepseek2", "deepseek-v3", FA_OF_V3, FA_ATTENTION_MLA, true},
    {"DeepseekV2ForCausalLM", "deepseek_v2", "deepseek2", "deepseek-v2", FA_OF_V2, FA_ATTENTION_MLA, true},
    {"LlamaForCausalLM", "llama", "llama", "llama", FA_OF_LLAMA, FA_ATTENTION_GQA, false},
    {"Qwen2ForCausalLM", "qwen2", "qwen2", "qwen2", FA_OF_QWEN2, FA_ATTENTION_GQA, false},
};
const int fa_n_families = sizeof fa_families / sizeof *fa_families;

/* Bounds are far above every released model and far below what could overflow a size. */
const fa_config_field fa_config_fields[] = {
    {"vocab_size", NULL, AT(vocab), FA_FIELD_INT, FA_OF_ALL, true, 1, 1 << 24, 0},
    {"hidden_size", "embedding_length", AT(hidden), FA_FIELD_INT, FA_OF_ALL, true, 1, 1 << 17, 0},
    {"num_hidden_layers", "block_count", AT(layers), FA_FIELD_INT, FA_OF_ALL, true, 1, 1024, 0},
    {"intermediate_size", "feed_forward_length", AT(intermediate), FA_FIELD_INT, FA_OF_ALL, true, 1, 1 << 20, 0},
    {"max_position_embeddings", "context_length", AT(max_positions), FA_FIELD_INT, FA_OF_ALL, true, 1, 1 << 24, 0},
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon", AT(norm_eps), FA_FIELD_FLOAT, FA_OF_ALL, false, 0, 1, 1e-6},
    {"tie_word_embeddings", NULL, AT(tied_embeddings), FA_FIELD_BOOL, FA_OF_ALL, false, 0, 1, 0},
    {"attention_bias", NULL, AT(attention_bias), FA_FIELD_BOOL, FA_OF_LLAMA | FA_OF_MLA, false, 0, 1, 0},
    {"rope_theta", "rope.freq_base", AT(rope.theta), FA_FIELD_DOUBLE, FA_OF_ALL, false, 1.5, 1e12, 10000},

    {"num_attention_heads", "attention.head_count", AT(heads), FA_FIELD_INT, FA_OF_ALL, true, 1, 1024, 0},
    {"num_key_value_heads", "attention.head_count_kv", AT(kv_heads), FA_FIELD_INT, FA_OF_ALL, false, 1, 1024, 0},
    {"head_dim", "attention.key_length", AT(head_dim), FA_FIELD_INT, FA_OF_GQA, false, 2, 1024, 0},
    {"q_lora_rank", "attention.q_lora_rank", AT(q_rank), FA_FIELD_INT, FA_OF_MLA, false, 1, 1 << 16, 0},
    {"kv_lora_rank", "attention.kv_lora_rank", AT(kv_rank), FA_FIELD_INT, FA_OF_MLA, true, 1, 1 << 13, 0},
    {"qk_nope_head_dim", NULL, AT(nope_dim), FA_FIELD_INT, FA_OF_MLA, true, 1, 1024, 0},
    {"qk_rope_head_dim", "rope.dimension_count", AT(rope_dim), FA_FIELD_INT, FA_OF_MLA, true, 2, 1024, 0},
    {"v_head_dim", NULL, AT(v_dim), FA_FIELD_INT, FA_OF_MLA, true, 1, 1024, 0},

    {"n_routed_experts", "expert_count", AT(experts), FA_FIELD_INT, FA_OF_MLA, false, 0, 4096, 0},
    {"n_shared_experts", "expert_shared_count", AT(shared_experts), FA_FIELD_INT, FA_OF_MLA, false, 0, 64, 0},
    {"num_experts_per_tok", "expert_used_count", AT(top_k), FA_FIELD_INT, FA_OF_MLA, false, 1, 64, 0},
    {"moe_intermediate_size", "expert_feed_forward_length", AT(moe_inner), FA_FIELD_INT, FA_OF_MLA, false, 1, 1 << 20,
     0},
    {"first_k_dense_replace", "leading_dense_block_count", AT(first_moe_layer), FA_FIELD_INT, FA_OF_MLA, false, 0, 1024,
     0},
    {"moe_layer_freq", NULL, AT(moe_layer_freq), FA_FIELD_INT, FA_OF_MLA, false, 1, 1024, 1},
    {"n_group", "expert_group_count", AT(groups), FA_FIELD_INT, FA_OF_MLA, false, 1, 4096, 1},
    {"topk_group", "expert_group_used_count", AT(top_groups), FA_FIELD_INT, FA_OF_MLA, false, 1, 4096, 1},
    {"norm_topk_prob", "expert_weights_norm", AT(norm_topk), FA_FIELD_BOOL, FA_OF_MLA, false, 0, 1, 0},
    {"routed_scaling_factor", "expert_weights_scale", AT(routed_scale), FA_FIELD_FLOAT, FA_OF_MLA, false, 1e-6, 1e6, 1},
    {"num_nextn_predict_layers", NULL, AT(mtp_layers), FA_FIELD_INT, FA_OF_V3, false, 0, 16, 0},
};
const int fa_n_config_fields = sizeof fa_config_fields / sizeof *fa_config_fields;

const fa_config_field fa_rope_fields[] = {
    {"factor", "factor", AT(rope.factor), FA_FIELD_DOUBLE, FA_OF_SCALED, true, 1, 1e6, 1},
    {"original_max_position_embeddings", "original_context_length", AT(rope.original_positions), FA_FIELD_DOUBLE,
     FA_OF_YARN | FA_OF_LLAMA3, true, 1, 1 << 24, 0},
    {"beta_fast", "yarn_beta_fast", AT(rope.beta_fast), FA_FIELD_DOUBLE, FA_OF_YARN, false, 1e-3, 1e6, 32},
    {"beta_slow", "yarn_beta_slow", AT(rope.beta_slow), FA_FIELD_DOUBLE, FA_OF_YARN, false, 1e-3, 1e6, 1},
    {"mscale", NULL, AT(rope.mscale), FA_FIELD_DOUBLE, FA_OF_YARN, false, 0, 100, 0},
    {"mscale_all_dim", NULL, AT(rope.mscale_all_dim), FA_FIELD_DOUBLE, FA_OF_YARN, false, 0, 100, 0},
    {"attention_factor", NULL, AT(rope.attention_factor), FA_FIELD_DOUBLE, FA_OF_YARN, false, 0, 100, 0},
    {"low_freq_factor", NULL, AT(rope.low_freq_factor), FA_FIELD_DOUBLE, FA_OF_LLAMA3, true, 1e-3, 1e6, 1},
    {"high_freq_factor", NULL, AT(rope.high_freq_factor), FA_FIELD_DOUBLE, FA_OF_LLAMA3, true, 1e-3, 1e6, 4},
};
const int fa_n_rope_fields = sizeof fa_rope_fields / sizeof *fa_rope_fields;

void fa_field_set(fa_config *c, const fa_config_field *f, double value) {
    void *at = (char *)c + f->offset;
    switch (f->kind) {
    case FA_FIELD_INT: *(int32_t *)at = (int32_t)value; break;
    case FA_FIELD_FLOAT: *(float *)at = (float)value; break;
    case FA_FIELD_DOUBLE: *(double *)at = value; break;
    case FA_FIELD_BOOL: *(bool *)at = value != 0; break;
    }
}

/* The field at `offset` as the source spells it, into `text`. */
static const char *spelled(const fa_config_source *from, size_t offset, char text[128]) {
    for (int i = 0; i < fa_n_config_fields; i++) {
        const fa_config_field *f = &fa_config_fields[i];
        if (f->offset != offset) continue;
        if (from->gguf_architecture && f->gguf)
            snprintf(text, 128, "%s.%s", from->gguf_architecture, f->gguf);
        else
            snprintf(text, 128, "%s", f->json);
        return text;
    }
    return "configuration";
}

/* FA_EFORMAT for the field at `offset` unless `ok`. */
static fa_status must(bool ok, const fa_config_source *from, size_t offset, int64_t value, const char *why,
                      fa_error *e) {
    char text[128];
    if (ok) return FA_OK;
    return fa_fail(e, FA_EFORMAT, "%s: %s: %lld %s", from->file, spelled(from, offset, text), (long long)value, why);
}

#define MUST(ok, member, why)                                                     \
    do {                                                                          \
        fa_status must_ = must(ok, from, AT(member), (int64_t)c->member, why, e); \
        if (must_) return must_;                                                  \
    } while (0)

static fa_status check_gqa(fa_config *c, const fa_config_source *from, fa_error *e) {
    if (!c->head_dim) {
        MUST(c->hidden % c->heads == 0, heads, "does not divide the hidden size, and no head size is given");
        c->head_dim = c->hidden / c->heads;
    }
    MUST(c->head_dim >= 2 && c->head_dim <= 1024, head_dim, "is not in 2..1024");
    MUST(c->head_dim % 2 == 0, head_dim, "is odd: rotary pairs need an even head size");
    MUST(c->heads % c->kv_heads == 0, kv_heads, "does not divide the number of attention heads");
    return FA_OK;
}

static fa_status check_mla(const fa_config *c, const fa_config_source *from, fa_error *e) {
    MUST(c->rope_dim % 2 == 0, rope_dim, "is odd: rotary pairs need an even size");
    if (c->attention_bias)
        return fa_fail(e, FA_EUNSUPPORTED, "%s: attention_bias with latent attention is not supported", from->file);
    return FA_OK;
}

static fa_status check_moe(const fa_config *c, const fa_config_source *from, fa_error *e) {
    MUST(c->top_k >= 1, top_k, "experts a token: a model with experts needs at least one");
    MUST(c->top_k <= c->experts, top_k, "is more than the number of experts");
    MUST(c->moe_inner >= 1, moe_inner, "is missing or not positive");
    MUST(c->experts % c->groups == 0, groups, "does not divide the number of experts");
    MUST(c->top_groups <= c->groups, top_groups, "is more than the number of groups");
    if (c->topk_method != FA_TOPK_GREEDY)
        MUST(c->top_k <= c->experts / c->groups * c->top_groups, top_groups,
             "groups hold fewer experts than are chosen");
    if (c->topk_method == FA_TOPK_NOAUX && c->groups > 1)
        MUST(c->experts / c->groups >= 2, groups, "leaves fewer than two experts a group, whose two best are added");
    return FA_OK;
}

fa_status fa_config_finish(fa_config *c, const fa_config_source *from, fa_error *e) {
    if (!c->kv_heads) c->kv_heads = c->heads;
    fa_status s = c->attention == FA_ATTENTION_MLA ? check_mla(c, from, e) : check_gqa(c, from, e);
    if (!s && c->experts) s = check_moe(c, from, e);
    if (s) return s;
    if (!c->experts) c->top_k = 0;
    if (c->rope.scaling == FA_ROPE_LLAMA3 && c->rope.high_freq_factor <= c->rope.low_freq_factor)
        return fa_fail(e, FA_EFORMAT, "%s: rope_scaling: high_freq_factor %g is not above low_freq_factor %g",
                       from->file, c->rope.high_freq_factor, c->rope.low_freq_factor);
    if (c->bos_id < -1 || c->bos_id >= c->vocab)
        return fa_fail(e, FA_EFORMAT, "%s: bos_token_id: %d is not in 0..%d", from->file, c->bos_id, c->vocab - 1);
    for (int i = 0; i < c->n_eos; i++)
        if (c->eos_ids[i] < 0 || c->eos_ids[i] >= c->vocab)
            return fa_fail(e, FA_EFORMAT, "%s: eos_token_id: %d is not in 0..%d", from->file, c->eos_ids[i],
                           c->vocab - 1);
    return FA_OK;
}

bool fa_config_is_moe(const fa_config *c, int i) {
    return c->experts > 0 && i >= c->first_moe_layer && i % c->moe_layer_freq == 0;
}
