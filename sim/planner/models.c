/* The shapes are those of the config.json of each release on Hugging Face; the counts are those of its report or model
 * card (LLM: arXiv 2401.02954; Coder: 2401.14196; V2: 2405.04434; V3: 2412.19437; R1: 2501.12948; Janus-Pro: 2501.17811).
 * tests/unit/test_planner_models.c computes each count from the shape and compares. */
#include "sim/planner/models.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "host/format/gguf.h"
#include "host/format/tensor.h"

/* layers, hidden, vocabulary, intermediate, positions; then the kind of attention */
#define SIZES(l, h, v, i, p) .layers = (l), .hidden = (h), .vocab = (v), .intermediate = (i), .max_positions = (p)
#define LLAMA .architecture = "LlamaForCausalLM", .family = "llama"
#define QWEN2 .architecture = "Qwen2ForCausalLM", .family = "qwen2", .attention_bias = true
#define V2 .architecture = "DeepseekV2ForCausalLM", .family = "deepseek-v2"
#define V3 .architecture = "DeepseekV3ForCausalLM", .family = "deepseek-v3", .topk_method = FA_TOPK_NOAUX
#define GQA(h, kv, d) .attention = FA_ATTENTION_GQA, .heads = (h), .kv_heads = (kv), .head_dim = (d)
#define MLA(h, q)                                                                                                 \
    .attention = FA_ATTENTION_MLA, .heads = (h), .kv_heads = (h), .q_rank = (q), .kv_rank = 512, .nope_dim = 128, \
    .rope_dim = 64, .v_dim = 128
#define MOE(n, shared, k, inner, first, g, top)                                                                 \
    .experts = (n), .shared_experts = (shared), .top_k = (k), .moe_inner = (inner), .first_moe_layer = (first), \
    .moe_layer_freq = 1, .groups = (g), .top_groups = (top)

#define V3_SHAPE                                                                                   \
    {                                                                                              \
        V3, SIZES(61, 7168, 129280, 18432, 163840), MLA(128, 1536), MOE(256, 1, 8, 2048, 3, 8, 4), \
            .mtp_layers = 1, .scoring = FA_SCORE_SIGMOID, .fp8 = true                              \
    }
#define V2_SHAPE                                                                                   \
    {                                                                                              \
        V2, SIZES(60, 5120, 102400, 12288, 163840), MLA(128, 1536), MOE(160, 2, 6, 1536, 1, 8, 3), \
            .topk_method = FA_TOPK_GROUP_LIMITED                                                   \
    }
#define V2_LITE_SHAPE \
    { V2, SIZES(27, 2048, 102400, 10944, 163840), MLA(16, 0), MOE(64, 2, 6, 1408, 1, 1, 1) }

static const fa_known_model known[] = {
    {"deepseek-llm-7b", 6.91, "deepseek-llm-7b-chat", {LLAMA, SIZES(30, 4096, 102400, 11008, 4096), GQA(32, 32, 128)}},
    {"deepseek-llm-67b", 67.4, "deepseek-llm-67b-chat", {LLAMA, SIZES(95, 8192, 102400, 22016, 4096), GQA(64, 8, 128)}},
    {"deepseek-coder-1.3b",
     1.35,
     "deepseek-coder-1.3b-instruct",
     {LLAMA, SIZES(24, 2048, 32256, 5504, 16384), GQA(16, 16, 128)}},
    {"deepseek-coder-6.7b",
     6.74,
     "deepseek-coder-6.7b-instruct",
     {LLAMA, SIZES(32, 4096, 32256, 11008, 16384), GQA(32, 32, 128)}},
    {"deepseek-coder-33b",
     33.3,
     "deepseek-coder-33b-instruct",
     {LLAMA, SIZES(62, 7168, 32256, 19200, 16384), GQA(56, 8, 128)}},
    {"deepseek-v2", 235.7, "DeepSeek-V2-Chat", V2_SHAPE},
    {"deepseek-v2-lite", 15.7, "DeepSeek-V2-Lite-Chat", V2_LITE_SHAPE},
    {"deepseek-coder-v2", 235.7, "DeepSeek-Coder-V2-Instruct", V2_SHAPE},
    {"deepseek-coder-v2-lite", 15.7, "DeepSeek-Coder-V2-Lite-Instruct", V2_LITE_SHAPE},
    {"deepseek-v3", 671, "DeepSeek-V3", V3_SHAPE},
    {"deepseek-r1", 671, "DeepSeek-R1", V3_SHAPE},
    {"deepseek-r1-distill-qwen-1.5b",
     1.78,
     "DeepSeek-R1-Distill-Qwen-1.5B",
     {QWEN2, SIZES(28, 1536, 151936, 8960, 131072), GQA(12, 2, 128)}},
    {"deepseek-r1-distill-qwen-7b",
     7.62,
     "DeepSeek-R1-Distill-Qwen-7B",
     {QWEN2, SIZES(28, 3584, 152064, 18944, 131072), GQA(28, 4, 128)}},
    {"deepseek-r1-distill-qwen-14b",
     14.8,
     "DeepSeek-R1-Distill-Qwen-14B",
     {QWEN2, SIZES(48, 5120, 152064, 13824, 131072), GQA(40, 8, 128)}},
    {"deepseek-r1-distill-qwen-32b",
     32.8,
     "DeepSeek-R1-Distill-Qwen-32B",
     {QWEN2, SIZES(64, 5120, 152064, 27648, 131072), GQA(40, 8, 128)}},
    {"deepseek-r1-distill-llama-8b",
     8.03,
     "DeepSeek-R1-Distill-Llama-8B",
     {LLAMA, SIZES(32, 4096, 128256, 14336, 131072), GQA(32, 8, 128)}},
    {"deepseek-r1-distill-llama-70b",
     70.6,
     "DeepSeek-R1-Distill-Llama-70B",
     {LLAMA, SIZES(80, 8192, 128256, 28672, 131072), GQA(64, 8, 128)}},
    /* the language model alone: what the vision parts add is not of this planner's kind of work */
    {"janus-pro-1b",
     0,
     "Janus-Pro-1B, language_config",
     {LLAMA, SIZES(24, 2048, 102400, 5632, 16384), GQA(16, 16, 128)}},
    {"janus-pro-7b",
     6.91,
     "Janus-Pro-7B, language_config: DeepSeek-LLM-7B's",
     {LLAMA, SIZES(30, 4096, 102400, 11008, 16384), GQA(32, 32, 128)}},
};
enum { KNOWN = sizeof known / sizeof *known };

const fa_known_model *fa_known_model_at(int i) {
    return i >= 0 && i < KNOWN ? &known[i] : NULL;
}

static const fa_known_model *find(const char *name) {
    static const char prefix[] = "deepseek-";
    for (int i = 0; i < KNOWN; i++) {
        const char *full = known[i].name,
                   *rest = strncmp(full, prefix, sizeof prefix - 1) ? full : full + strlen(prefix);
        if (!strcasecmp(name, full) || !strcasecmp(name, rest)) return &known[i];
    }
    return NULL;
}

static fa_status from_gguf(fa_config *c, const char *path, fa_error *e) {
    fa_tensors *ts = NULL;
    fa_status s = fa_tensors_open(&ts, path, e);
    if (s) return s;
    const fa_gguf *g = fa_tensors_gguf(ts);
    s = g ? fa_config_from_gguf(c, g, e) : fa_fail(e, FA_EFORMAT, "%s: not a GGUF file", path);
    fa_tensors_close(ts);
    return s;
}

fa_status fa_plan_model(fa_config *c, const char *name, fa_error *e) {
    size_t n = strlen(name);
    const fa_known_model *m = find(name);
    if (m) {
        *c = m->config;
        return FA_OK;
    }
    if (n > 5 && !strcasecmp(name + n - 5, ".gguf")) return from_gguf(c, name, e);
    if (strchr(name, '/') || access(name, F_OK) == 0) return fa_config_load(c, name, e);
    char list[FA_ERROR_TEXT] = "";
    size_t at = 0;
    for (int i = 0; i < KNOWN && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", known[i].name);
    return fa_fail(e, FA_EINVAL, "%.60s is neither a folder, a .gguf file nor one of: %s", name, list);
}
