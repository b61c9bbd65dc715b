/* A model's configuration: config.json or GGUF metadata of any family, normalised into one struct. */
#ifndef FA_MODEL_CONFIG_H
#define FA_MODEL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/format/gguf.h"

typedef enum fa_attention { FA_ATTENTION_GQA = 0, FA_ATTENTION_MLA } fa_attention;
typedef enum fa_rope_scaling { FA_ROPE_PLAIN = 0, FA_ROPE_LINEAR, FA_ROPE_YARN, FA_ROPE_LLAMA3 } fa_rope_scaling;
typedef enum fa_scoring { FA_SCORE_SOFTMAX = 0, FA_SCORE_SIGMOID } fa_scoring;
typedef enum fa_topk_method { FA_TOPK_GREEDY = 0, FA_TOPK_GROUP_LIMITED, FA_TOPK_NOAUX } fa_topk_method;

/* How the language model's tensors are called: as in its own releases; behind "language_model." in deepseek-ai's Janus; behind
 * "model.language_model." but for the head, as transformers saves Janus. */
typedef enum fa_naming { FA_NAMES_PLAIN = 0, FA_NAMES_JANUS, FA_NAMES_JANUS_HF } fa_naming;

typedef struct fa_config {
    const char *architecture; /* static: "DeepseekV3ForCausalLM", ... (for GGUF the one it stands for) */
    const char *family;       /* static: "deepseek-v3", "deepseek-v2", "llama", "qwen2" */
    int32_t vocab, hidden, layers, intermediate, max_positions;
    int32_t bos_id, pad_id;    /* -1: none */
    int32_t eos_ids[8], n_eos; /* a model may have several */
    float norm_eps;
    bool tied_embeddings, attention_bias; /* qkv bias */

    fa_attention attention;
    int32_t heads, kv_heads, head_dim; /* GQA */
    int32_t q_rank;                    /* MLA: 0 = no q_lora */
    int32_t kv_rank, nope_dim, rope_dim, v_dim;

    struct {
        fa_rope_scaling scaling;
        bool interleaved; /* pairs (2i, 2i+1) */
        double theta, factor;
        double original_positions;
        double beta_fast, beta_slow, mscale, mscale_all_dim; /* YaRN */
        double attention_factor;                  /* YaRN: of cos and sin; 0: derived from factor and mscale */
        double low_freq_factor, high_freq_factor; /* llama3 */
    } rope;

    int32_t experts; /* routed; 0: dense model */
    int32_t shared_experts, top_k, moe_inner, first_moe_layer, moe_layer_freq;
    int32_t groups, top_groups;
    fa_scoring scoring;
    fa_topk_method topk_method;
    bool norm_topk;
    float routed_scale;

    int32_t mtp_layers;
    fa_naming naming;
    bool fp8; /* quantization_config says FP8 with 128x128 blocks */
} fa_config;

/* Reads `dir`/config.json; of Janus, the part about its language model. FA_EFORMAT names file and field; FA_EUNSUPPORTED an architecture that is not one
 * of ours. */
fa_status fa_config_load(fa_config *c, const char *dir, fa_error *e);
fa_status fa_config_from_gguf(fa_config *c, const fa_gguf *g, fa_error *e);

/* True when layer `i` is a MoE layer. */
bool fa_config_is_moe(const fa_config *c, int i);

#endif
