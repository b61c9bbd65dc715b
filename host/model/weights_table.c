#include "host/model/weights_table.h"

#include "host/model/weights.h"

#define AT(member) offsetof(fa_layer, member)

/* Names: the releases' safetensors (and transformers); llama.cpp's converter for GGUF. */
const fa_weight_row fa_layer_rows[] = {
    {"input_layernorm.weight", "attn_norm.weight", AT(attention_norm), FA_SIZE_ONE, FA_SIZE_HIDDEN, 0, false},
    {"post_attention_layernorm.weight", "ffn_norm.weight", AT(mlp_norm), FA_SIZE_ONE, FA_SIZE_HIDDEN, 0, false},

    {"self_attn.q_proj.weight", "attn_q.weight", AT(q), FA_SIZE_Q, FA_SIZE_HIDDEN, FA_HAS_GQA, false},
    {"self_attn.k_proj.weight", "attn_k.weight", AT(k), FA_SIZE_KV, FA_SIZE_HIDDEN, FA_HAS_GQA, false},
    {"self_attn.v_proj.weight", "attn_v.weight", AT(v), FA_SIZE_KV, FA_SIZE_HIDDEN, FA_HAS_GQA, false},
    {"self_attn.q_proj.bias", "attn_q.bias", AT(q_bias), FA_SIZE_ONE, FA_SIZE_Q, FA_HAS_GQA | FA_HAS_BIAS, false},
    {"self_attn.k_proj.bias", "attn_k.bias", AT(k_bias), FA_SIZE_ONE, FA_SIZE_KV, FA_HAS_GQA | FA_HAS_BIAS, false},
    {"self_attn.v_proj.bias", "attn_v.bias", AT(v_bias), FA_SIZE_ONE, FA_SIZE_KV, FA_HAS_GQA | FA_HAS_BIAS, false},
    {"self_attn.o_proj.weight", "attn_output.weight", AT(o), FA_SIZE_HIDDEN, FA_SIZE_HEADS, 0, false},
    {"self_attn.o_proj.bias", "attn_output.bias", AT(o_bias), FA_SIZE_ONE, FA_SIZE_HIDDEN, FA_HAS_BIAS, true},

    {"self_attn.q_proj.weight", "attn_q.weight", AT(q), FA_SIZE_Q, FA_SIZE_HIDDEN, FA_HAS_NO_Q_RANK, false},
    {"self_attn.q_a_proj.weight", "attn_q_a.weight", AT(q_a), FA_SIZE_Q_RANK, FA_SIZE_HIDDEN, FA_HAS_Q_RANK, false},
    {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight", AT(q_a_norm), FA_SIZE_ONE, FA_SIZE_Q_RANK, FA_HAS_Q_RANK,
     false},
    {"self_attn.q_b_proj.weight", "attn_q_b.weight", AT(q_b), FA_SIZE_Q, FA_SIZE_Q_RANK, FA_HAS_Q_RANK, false},
    {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight", AT(kv_a), FA_SIZE_KV_A, FA_SIZE_HIDDEN, FA_HAS_MLA,
     false},
    {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight", AT(kv_a_norm), FA_SIZE_ONE, FA_SIZE_KV_RANK,
     FA_HAS_MLA, false},
    {"self_attn.kv_b_proj.weight", "attn_kv_b.weight", AT(kv_b), FA_SIZE_KV_B, FA_SIZE_KV_RANK, FA_HAS_KV_B, false},
    {"", "attn_k_b.weight", AT(k_b), FA_SIZE_K_B, FA_SIZE_NOPE, FA_HAS_SPLIT_KV_B, false},
    {"", "attn_v_b.weight", AT(v_b), FA_SIZE_HEADS, FA_SIZE_KV_RANK, FA_HAS_SPLIT_KV_B, false},

    {"mlp.gate_proj.weight", "ffn_gate.weight", AT(mlp.gate), FA_SIZE_INTERMEDIATE, FA_SIZE_HIDDEN, FA_HAS_DENSE,
     false},
    {"mlp.up_proj.weight", "ffn_up.weight", AT(mlp.up), FA_SIZE_INTERMEDIATE, FA_SIZE_HIDDEN, FA_HAS_DENSE, false},
    {"mlp.down_proj.weight", "ffn_down.weight", AT(mlp.down), FA_SIZE_HIDDEN, FA_SIZE_INTERMEDIATE, FA_HAS_DENSE,
     false},

    {"mlp.gate.weight", "ffn_gate_inp.weight", AT(router), FA_SIZE_EXPERTS, FA_SIZE_HIDDEN, FA_HAS_MOE, false},
    {"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight", AT(mlp.gate), FA_SIZE_SHARED, FA_SIZE_HIDDEN,
     FA_HAS_SHARED, false},
    {"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight", AT(mlp.up), FA_SIZE_SHARED, FA_SIZE_HIDDEN,
     FA_HAS_SHARED, false},
    {"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight", AT(mlp.down), FA_SIZE_HIDDEN, FA_SIZE_SHARED,
     FA_HAS_SHARED, false},
};
const int fa_n_layer_rows = sizeof fa_layer_rows / sizeof *fa_layer_rows;

const fa_weight_row fa_expert_rows[3] = {
    {"gate_proj.weight", "ffn_gate_exps.weight", offsetof(fa_expert, gate), FA_SIZE_EXPERT_INNER, FA_SIZE_HIDDEN, 0,
     false},
    {"up_proj.weight", "ffn_up_exps.weight", offsetof(fa_expert, up), FA_SIZE_EXPERT_INNER, FA_SIZE_HIDDEN, 0, false},
    {"down_proj.weight", "ffn_down_exps.weight", offsetof(fa_expert, down), FA_SIZE_HIDDEN, FA_SIZE_EXPERT_INNER, 0,
     false},
};

const fa_weight_row fa_model_rows[3] = {
    {"model.embed_tokens.weight", "token_embd.weight", offsetof(fa_weights, embedding), FA_SIZE_VOCAB, FA_SIZE_HIDDEN,
     0, false},
    {"model.norm.weight", "output_norm.weight", offsetof(fa_weights, norm), FA_SIZE_ONE, FA_SIZE_HIDDEN, 0, false},
    {"lm_head.weight", "output.weight", offsetof(fa_weights, head), FA_SIZE_VOCAB, FA_SIZE_HIDDEN, 0, false},
};

/* Embedding and head are the main model's where a file does not store them again. */
const fa_weight_row fa_mtp_rows[] = {
    {"enorm.weight", NULL, offsetof(struct fa_mtp_weights, token_norm), FA_SIZE_ONE, FA_SIZE_HIDDEN, 0, false},
    {"hnorm.weight", NULL, offsetof(struct fa_mtp_weights, hidden_norm), FA_SIZE_ONE, FA_SIZE_HIDDEN, 0, false},
    {"eh_proj.weight", NULL, offsetof(struct fa_mtp_weights, join), FA_SIZE_HIDDEN, FA_SIZE_2_HIDDEN, 0, false},
    {"shared_head.norm.weight", NULL, offsetof(struct fa_mtp_weights, norm), FA_SIZE_ONE, FA_SIZE_HIDDEN, 0, false},
    {"shared_head.head.weight", NULL, offsetof(struct fa_mtp_weights, head), FA_SIZE_VOCAB, FA_SIZE_HIDDEN, 0, true},
    {"embed_tokens.weight", NULL, offsetof(struct fa_mtp_weights, embedding), FA_SIZE_VOCAB, FA_SIZE_HIDDEN, 0, true},
};
const int fa_n_mtp_rows = sizeof fa_mtp_rows / sizeof *fa_mtp_rows;

int64_t fa_size_of(const fa_config *c, fa_size size) {
    bool mla = c->attention == FA_ATTENTION_MLA;
    int64_t heads = c->heads, hidden = c->hidden;
    switch (size) {
    case FA_SIZE_ONE: return 1;
    case FA_SIZE_VOCAB: return c->vocab;
    case FA_SIZE_HIDDEN: return hidden;
    case FA_SIZE_2_HIDDEN: return 2 * hidden;
    case FA_SIZE_Q: return heads * (mla ? c->nope_dim + c->rope_dim : c->head_dim);
    case FA_SIZE_KV: return (int64_t)c->kv_heads * c->head_dim;
    case FA_SIZE_HEADS: return heads * (mla ? c->v_dim : c->head_dim);
    case FA_SIZE_Q_RANK: return c->q_rank;
    case FA_SIZE_KV_RANK: return c->kv_rank;
    case FA_SIZE_KV_A: return c->kv_rank + c->rope_dim;
    case FA_SIZE_KV_B: return heads * (c->nope_dim + c->v_dim);
    case FA_SIZE_K_B: return heads * c->kv_rank;
    case FA_SIZE_NOPE: return c->nope_dim;
    case FA_SIZE_INTERMEDIATE: return c->intermediate;
    case FA_SIZE_SHARED: return (int64_t)c->shared_experts * c->moe_inner;
    case FA_SIZE_EXPERTS: return c->experts;
    case FA_SIZE_EXPERT_INNER: return c->moe_inner;
    case FA_SIZE_COUNT: break;
    }
    return 0;
}
