/* make_model SHAPE FOLDER: a model with random but sane weights in the released FP8 layout (E4M3 codes, one FP32 scale for each
 * 128x128 block), for measuring. It has no tokenizer: it is used with ids. A folder that holds a config.json is left as
 * it is, because that file is written last. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/arena.h"
#include "host/base/file.h"
#include "host/format/fp8.h"
#include "host/format/safetensors.h"
#include "tests/lib/check.h"

/* kv_rank 0: a Llama (GQA); else a DeepSeek-V3 (MLA, experts after the dense layers, one shared expert). */
typedef struct bench_shape {
    const char *name;
    int vocab, hidden, layers, heads, inner;
    int kv_heads, head_dim;
    int q_rank, kv_rank, nope, rope, v;
    int experts, top_k, expert_inner, dense_layers;
} bench_shape;

/* clang-format off */
static const bench_shape shapes[] = {
    /* name         vocab  hidden lay heads inner gqa     q    kv  nope rope  v  experts k inner dense */
    {"llama-1gb",   32000, 2048,  24, 32,   5632, 4, 64,  0,   0,   0,   0,  0,   0,  0, 0,   0},
    {"llama-2gb",   32000, 2048,  44, 32,   5632, 4, 64,  0,   0,   0,   0,  0,   0,  0, 0,   0},
    {"v3-moe-1gb",  8192,  2048,  7,  16,   5632, 0, 0,   768, 512, 128, 64, 128, 64, 8, 512, 1},
    {"llama-tiny",  512,   256,   2,  4,    384,  2, 64,  0,   0,   0,   0,  0,   0,  0, 0,   0},
    {"v3-moe-tiny", 512,   256,   3,  4,    384,  0, 0,   128, 128, 32,  16, 32,  16, 4, 128, 1},
};
/* clang-format on */
enum { SHAPES = sizeof shapes / sizeof *shapes };

static const bench_shape *find_shape(const char *name) {
    for (int i = 0; i < SHAPES; i++)
        if (!strcmp(shapes[i].name, name)) return &shapes[i];
    return NULL;
}

enum { BLOCK = 128, CODES = 4096, CHUNK = 1 << 20, MAX_TENSORS = 65536 };

/* A normal weight of standard deviation 1 is the code of NORMAL_ONE: 448 is then 4.5 deviations away. */
static const float NORMAL_ONE = 100.0f;

typedef enum filling { ZEROS, ONES, NORMAL, SCALES } filling;

typedef struct plan {
    fa_arena names;
    fa_tensor_spec *specs; /* [MAX_TENSORS] */
    filling *fill;
    float *scale; /* NORMAL BF16: standard deviation; SCALES: the value */
    int64_t n;
} plan;

static void add(plan *p, const char *prefix, const char *name, fa_dtype type, int64_t rows, int64_t cols, filling fill,
                float scale) {
    char text[256];
    int length = snprintf(text, sizeof text, "%s%s", prefix, name);
    if (p->n == MAX_TENSORS) abort();
    fa_tensor_spec spec = {fa_arena_text(&p->names, text, (size_t)length), type, rows ? 2 : 1, {rows, cols}, NULL};
    if (!rows) spec.shape[0] = cols;
    p->specs[p->n] = spec;
    p->fill[p->n] = fill;
    p->scale[p->n++] = scale;
}

/* A quantised linear layer: codes and block scales. */
static void add_linear(plan *p, const char *prefix, const char *name, int64_t rows, int64_t cols) {
    char text[128];
    float deviation = 1.0f / sqrtf((float)cols);
    snprintf(text, sizeof text, "%s.weight", name);
    add(p, prefix, text, FA_F8_E4M3, rows, cols, NORMAL, deviation);
    snprintf(text, sizeof text, "%s.weight_scale_inv", name);
    add(p, prefix, text, FA_F32, (rows + BLOCK - 1) / BLOCK, (cols + BLOCK - 1) / BLOCK, SCALES,
        deviation / NORMAL_ONE);
}

static void add_norm(plan *p, const char *prefix, const char *name, int64_t n) {
    add(p, prefix, name, FA_BF16, 0, n, ONES, 1);
}

static void add_mlp(plan *p, const char *prefix, int64_t hidden, int64_t inner) {
    add_linear(p, prefix, "gate_proj", inner, hidden);
    add_linear(p, prefix, "up_proj", inner, hidden);
    add_linear(p, prefix, "down_proj", hidden, inner);
}

static void add_attention(plan *p, const char *prefix, const bench_shape *s) {
    if (!s->kv_rank) {
        add_linear(p, prefix, "q_proj", s->heads * s->head_dim, s->hidden);
        add_linear(p, prefix, "k_proj", s->kv_heads * s->head_dim, s->hidden);
        add_linear(p, prefix, "v_proj", s->kv_heads * s->head_dim, s->hidden);
        add_linear(p, prefix, "o_proj", s->hidden, s->heads * s->head_dim);
        return;
    }
    add_linear(p, prefix, "q_a_proj", s->q_rank, s->hidden);
    add_norm(p, prefix, "q_a_layernorm.weight", s->q_rank);
    add_linear(p, prefix, "q_b_proj", s->heads * (s->nope + s->rope), s->q_rank);
    add_linear(p, prefix, "kv_a_proj_with_mqa", s->kv_rank + s->rope, s->hidden);
    add_norm(p, prefix, "kv_a_layernorm.weight", s->kv_rank);
    add_linear(p, prefix, "kv_b_proj", s->heads * (s->nope + s->v), s->kv_rank);
    add_linear(p, prefix, "o_proj", s->hidden, s->heads * s->v);
}

static void add_layer(plan *p, int layer, const bench_shape *s) {
    char prefix[96];
    snprintf(prefix, sizeof prefix, "model.layers.%d.", layer);
    add_norm(p, prefix, "input_layernorm.weight", s->hidden);
    add_norm(p, prefix, "post_attention_layernorm.weight", s->hidden);
    snprintf(prefix, sizeof prefix, "model.layers.%d.self_attn.", layer);
    add_attention(p, prefix, s);
    snprintf(prefix, sizeof prefix, "model.layers.%d.mlp.", layer);
    if (!s->experts || layer < s->dense_layers) {
        add_mlp(p, prefix, s->hidden, s->inner);
        return;
    }
    add(p, prefix, "gate.weight", FA_BF16, s->experts, s->hidden, NORMAL, 1.0f / sqrtf((float)s->hidden));
    add(p, prefix, "gate.e_score_correction_bias", FA_F32, 0, s->experts, ZEROS, 0);
    for (int i = 0; i < s->experts; i++) {
        snprintf(prefix, sizeof prefix, "model.layers.%d.mlp.experts.%d.", layer, i);
        add_mlp(p, prefix, s->hidden, s->expert_inner);
    }
    snprintf(prefix, sizeof prefix, "model.layers.%d.mlp.shared_experts.", layer);
    add_mlp(p, prefix, s->hidden, s->expert_inner);
}

static void add_all(plan *p, const bench_shape *s) {
    add(p, "", "model.embed_tokens.weight", FA_BF16, s->vocab, s->hidden, NORMAL, 1);
    for (int i = 0; i < s->layers; i++) add_layer(p, i, s);
    add_norm(p, "", "model.norm.weight", s->hidden);
    add(p, "", "lm_head.weight", FA_BF16, s->vocab, s->hidden, NORMAL, 1.0f / sqrtf((float)s->hidden));
}

/* Tables of normal draws, picked from at random: as good as drawing for weights, and much faster. */
typedef struct draws {
    check_rng rng;
    float normal[CODES];
    uint8_t e4m3[CODES];
} draws;

static void fill_chunk(draws *d, const fa_tensor_spec *spec, filling fill, float scale, uint8_t *to, int64_t bytes) {
    uint16_t bf16[CODES];
    bool small = spec->type == FA_BF16;
    if (small)
        for (int i = 0; i < CODES; i++) bf16[i] = fa_bf16_encode(fill == NORMAL ? d->normal[i] * scale : 1.0f);
    float one = fill == ZEROS ? 0.0f : scale;
    int64_t unit = spec->type == FA_F8_E4M3 ? 1 : small ? 2 : 4;
    uint64_t r = 0;
    for (int64_t i = 0; i < bytes / unit; i++) {
        r = i % 5 ? r >> 12 : check_u64(&d->rng);
        if (unit == 1)
            to[i] = d->e4m3[r % CODES];
        else
            memcpy(to + i * unit, small ? (void *)&bf16[r % CODES] : (void *)&one, (size_t)unit);
    }
}

static fa_status write_tensors(const plan *p, draws *d, const char *path, fa_error *e) {
    fa_safetensors_writer *w;
    fa_status s = fa_safetensors_create(&w, path, p->specs, p->n, e);
    if (s) return s;
    uint8_t *chunk = malloc(CHUNK);
    for (int64_t i = 0; i < p->n && !s; i++) {
        const fa_tensor_spec *spec = &p->specs[i];
        int64_t left = fa_dtype_bytes(spec->type, spec->shape[0] * (spec->n_dims == 2 ? spec->shape[1] : 1));
        for (int64_t bytes; left && !s; left -= bytes) {
            bytes = left < CHUNK ? left : CHUNK;
            fill_chunk(d, spec, p->fill[i], p->scale[i], chunk, bytes);
            s = fa_safetensors_write(w, chunk, (size_t)bytes, e);
        }
    }
    free(chunk);
    if (!s) return fa_safetensors_commit(w, e);
    fa_safetensors_abandon(w);
    return s;
}

static void print_mla(FILE *f, const bench_shape *s) {
    fprintf(
        f,
        ",\n \"q_lora_rank\": %d, \"kv_lora_rank\": %d, \"qk_nope_head_dim\": %d, \"qk_rope_head_dim\": %d,\n"
        " \"v_head_dim\": %d, \"n_routed_experts\": %d, \"n_shared_experts\": 1, \"num_experts_per_tok\": %d,\n"
        " \"moe_intermediate_size\": %d, \"first_k_dense_replace\": %d, \"moe_layer_freq\": 1, \"n_group\": 8,\n"
        " \"topk_group\": 4, \"topk_method\": \"noaux_tc\", \"scoring_func\": \"sigmoid\", \"norm_topk_prob\": true,\n"
        " \"routed_scaling_factor\": 2.5, \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 40, \"beta_fast\": 32,\n"
        " \"beta_slow\": 1, \"mscale\": 1.0, \"mscale_all_dim\": 1.0, \"original_max_position_embeddings\": 4096}",
        s->q_rank, s->kv_rank, s->nope, s->rope, s->v, s->experts, s->top_k, s->expert_inner, s->dense_layers);
}

static fa_status write_config(const bench_shape *s, const char *path, fa_error *e) {
    fa_new_file f;
    fa_status status = fa_new_file_open(&f, path, e);
    if (status) return status;
    fprintf(
        f.stream,
        "{\"architectures\": [\"%s\"], \"model_type\": \"%s\", \"torch_dtype\": \"bfloat16\",\n"
        " \"vocab_size\": %d, \"hidden_size\": %d, \"intermediate_size\": %d, \"num_hidden_layers\": %d,\n"
        " \"num_attention_heads\": %d, \"num_key_value_heads\": %d, \"max_position_embeddings\": 8192,\n"
        " \"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-6, \"rope_theta\": 10000.0, \"attention_bias\": false,\n"
        " \"tie_word_embeddings\": false, \"bos_token_id\": 0, \"eos_token_id\": 1,\n"
        " \"quantization_config\": {\"quant_method\": \"fp8\", \"fmt\": \"e4m3\", \"activation_scheme\": \"dynamic\",\n"
        " \"weight_block_size\": [128, 128]}",
        s->kv_rank ? "DeepseekV3ForCausalLM" : "LlamaForCausalLM", s->kv_rank ? "deepseek_v3" : "llama", s->vocab,
        s->hidden, s->inner, s->layers, s->heads, s->kv_rank ? s->heads : s->kv_heads);
    if (s->kv_rank)
        print_mla(f.stream, s);
    else
        fprintf(f.stream, ", \"head_dim\": %d", s->head_dim);
    fprintf(f.stream, "}\n");
    return fa_new_file_commit(&f, e);
}

static fa_status make_model(const bench_shape *s, const char *config, const char *tensors, fa_error *e) {
    plan p = {.specs = malloc(MAX_TENSORS * sizeof *p.specs),
              .fill = malloc(MAX_TENSORS * sizeof *p.fill),
              .scale = malloc(MAX_TENSORS * sizeof *p.scale)};
    draws *d = calloc(1, sizeof *d);
    if (!p.specs || !p.fill || !p.scale || !d) return fa_fail(e, FA_ENOMEM, "memory ran out");
    d->rng.state = 4;
    for (int i = 0; i < CODES; i++) {
        d->normal[i] = check_normal(&d->rng);
        d->e4m3[i] = fa_e4m3_encode(d->normal[i] * NORMAL_ONE);
    }
    add_all(&p, s);
    fa_status status = write_tensors(&p, d, tensors, e);
    if (!status) status = write_config(s, config, e);
    fa_arena_free(&p.names);
    free(p.specs);
    free(p.fill);
    free(p.scale);
    free(d);
    return status;
}

int main(int argc, char **argv) {
    const bench_shape *s = argc == 3 ? find_shape(argv[1]) : NULL;
    if (!s) {
        fprintf(stderr, "usage: make_model SHAPE FOLDER, SHAPE one of:");
        for (int i = 0; i < SHAPES; i++) fprintf(stderr, " %s", shapes[i].name);
        fprintf(stderr, "\n");
        return 2;
    }
    mkdir(argv[2], 0777);
    char *config = fa_path_join(argv[2], "config.json"), *tensors = fa_path_join(argv[2], "model.safetensors");
    fa_error e = {0};
    if (access(config, F_OK) != 0 && make_model(s, config, tensors, &e)) fprintf(stderr, "make_model: %s\n", e.text);
    free(config);
    free(tensors);
    return e.status != FA_OK;
}
