/* Quantising: the golden FP8 model comes out bit by bit, GGUF gives what its origin gives, errors leave nothing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/json.h"
#include "host/format/safetensors.h"
#include "host/text/tokenizer.h"
#include "quant/quantise.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_gguf.h"

static char *path_of(const char *dir, const char *name) {
    char *path = NULL;
    CHECK(asprintf(&path, "%s/%s", dir, name) > 0);
    return path;
}

static void expect_same_file(const char *dir_a, const char *dir_b, const char *name) {
    char *a = path_of(dir_a, name), *b = path_of(dir_b, name);
    size_t n, m;
    uint8_t *x = check_read(a, &n), *y = check_read(b, &m);
    CHECK(n == m && !memcmp(x, y, n), "%s (%zu bytes) and %s (%zu) differ", a, n, b, m);
    free(a), free(b), free(x), free(y);
}

static json_t *load_json(const char *dir, const char *name) {
    fa_error e = {0};
    json_t *j;
    char *path = path_of(dir, name);
    CHECK_OK(fa_json_load(&j, path, &e), &e);
    free(path);
    return j;
}

static void expect_same_json(const char *dir_a, const char *dir_b, const char *name) {
    json_t *a = load_json(dir_a, name), *b = load_json(dir_b, name);
    CHECK(json_equal(a, b), "%s of %s and %s differ", name, dir_a, dir_b);
    json_decref(a), json_decref(b);
}

/* Equal names, shapes and values; types too where `types`. */
static void expect_same_tensors(const char *a, const char *b, bool types) {
    fa_error e = {0};
    fa_tensors *x, *y;
    CHECK_OK(fa_tensors_open(&x, a, &e), &e);
    CHECK_OK(fa_tensors_open(&y, b, &e), &e);
    CHECK(fa_tensors_count(x) == fa_tensors_count(y), "%lld and %lld tensors", (long long)fa_tensors_count(x),
          (long long)fa_tensors_count(y));
    for (int64_t i = 0; i < fa_tensors_count(x); i++) {
        const fa_tensor *t = fa_tensors_at(x, i), *u = fa_tensors_find(y, t->name);
        CHECK(u, "%s is not in %s", t->name, b);
        CHECK(t->n_dims == u->n_dims && !memcmp(t->shape, u->shape, sizeof t->shape), "%s: shape", t->name);
        CHECK(!types || t->type == u->type, "%s: %s and %s", t->name, fa_dtype_get(t->type)->name,
              fa_dtype_get(u->type)->name);
        int64_t n = fa_tensor_elements(t);
        float *v = malloc((size_t)n * 4), *w = malloc((size_t)n * 4);
        fa_decode(t->type, t->data, 0, n, v);
        fa_decode(u->type, u->data, 0, n, w);
        CHECK(!memcmp(v, w, (size_t)n * 4), "%s: values", t->name);
        free(v), free(w);
    }
    fa_tensors_close(x), fa_tensors_close(y);
}

typedef struct seen {
    int quantised, others;
    double worst_rms, best_rms;
    int64_t last_done, total, stop_after;
    bool backwards;
} seen;

static void note_report(void *ctx, const fa_quantise_report *r) {
    seen *s = ctx;
    bool fp8 = !strcmp(r->to, "F8_E4M3");
    s->quantised += fp8;
    s->others += !fp8;
    if (!fp8) return;
    s->worst_rms = r->relative_rms > s->worst_rms ? r->relative_rms : s->worst_rms;
    s->best_rms = r->relative_rms < s->best_rms ? r->relative_rms : s->best_rms;
    if (r->saturated < 1 || !(r->max_error > 0)) s->best_rms = -1;
}

static bool note_progress(void *ctx, int64_t done, int64_t total) {
    seen *s = ctx;
    s->backwards |= done < s->last_done || done > total;
    s->last_done = done;
    s->total = total;
    return !s->stop_after || done < s->stop_after;
}

static void the_golden_fp8_model_comes_out_bit_by_bit(void *arg) {
    (void)arg;
    fa_error e = {0};
    seen s = {.best_rms = 1};
    char *source = check_golden("deepseek-v3-tiny"), *golden = check_golden("deepseek-v3-tiny-fp8");
    char *dir = check_scratch(), *out = path_of(dir, "out/");
    fa_quantise_options o = {
        .source = source, .destination = out, .progress = note_progress, .report = note_report, .ctx = &s};
    CHECK_OK(fa_quantise(&o, &e), &e);
    expect_same_file(out, golden, "model.safetensors");
    expect_same_file(out, golden, "tokenizer.json");
    expect_same_file(out, golden, "tokenizer_config.json");
    expect_same_json(out, golden, "config.json");
    CHECK(s.quantised > 50 && s.others > 10, "%d and %d reports", s.quantised, s.others);
    /* E4M3 has steps of 1/8 to 1/16: a uniform error in a step is 2 to 4 % of a value */
    CHECK(s.best_rms > 0.015 && s.worst_rms < 0.04, "relative RMS errors %g..%g", s.best_rms, s.worst_rms);
    CHECK(!s.backwards && s.last_done == s.total && s.total > 1000000);
    check_remove(dir);
    free(source), free(golden), free(dir), free(out);
}

static void shards_hold_the_same(void *arg) {
    (void)arg;
    fa_error e = {0};
    char *source = check_golden("deepseek-v3-tiny"), *golden = check_golden("deepseek-v3-tiny-fp8");
    char *dir = check_scratch(), *out = path_of(dir, "out");
    fa_quantise_options o = {.source = source, .destination = out, .shard_bytes = 1000000};
    CHECK_OK(fa_quantise(&o, &e), &e);
    expect_same_tensors(golden, out, true);
    json_t *index = load_json(out, "model.safetensors.index.json"), *map = json_object_get(index, "weight_map");
    const char *shard = json_string_value(json_object_get(map, "model.layers.1.mlp.experts.3.up_proj.weight"));
    const char *scale =
        json_string_value(json_object_get(map, "model.layers.1.mlp.experts.3.up_proj.weight_scale_inv"));
    CHECK(shard && scale && !strcmp(shard, scale) && strstr(shard, "-of-00000"), "%s", shard);
    fa_tensors *ts;
    CHECK_OK(fa_tensors_open(&ts, golden, &e), &e);
    CHECK((int64_t)json_object_size(map) == fa_tensors_count(ts));
    fa_tensors_close(ts);
    json_decref(index);
    check_remove(dir);
    free(source), free(golden), free(dir), free(out);
}

/* ---- GGUF ---- */

typedef struct gguf_case {
    const char *folder;
    golden_gguf how;
} gguf_case;

/* Keys of config.json that a GGUF file keeps. */
static void expect_kept_config(const char *source, const char *out) {
    static const char *const keys[] = {
        "architectures",
        "model_type",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "rms_norm_eps",
        "rope_theta",
        "vocab_size",
        "bos_token_id",
        "eos_token_id",
        "max_position_embeddings",
        "tie_word_embeddings",
        "q_lora_rank",
        "kv_lora_rank",
        "qk_nope_head_dim",
        "qk_rope_head_dim",
        "v_head_dim",
        "first_k_dense_replace",
        "moe_intermediate_size",
        "n_routed_experts",
        "n_shared_experts",
        "num_experts_per_tok",
        "routed_scaling_factor",
        "norm_topk_prob",
        "n_group",
        "topk_group",
        "scoring_func",
        "topk_method",
    };
    json_t *a = load_json(source, "config.json"), *b = load_json(out, "config.json");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);
        bool same = json_is_number(x) ? json_number_value(x) == json_number_value(y)
                                      : !x || json_equal(x, y) || (json_is_false(x) && !y);
        CHECK(same, "%s of %s", keys[i], source);
    }
    const json_t *r = json_object_get(a, "rope_scaling"), *s = json_object_get(b, "rope_scaling"), *value;
    const char *key;
    json_object_foreach((json_t *)r, key, value) {
        const json_t *got = json_object_get(s, key);
        bool lost = !strcmp(key, "mscale") && !json_equal(value, json_object_get(r, "mscale_all_dim"));
        lost |= !got && (!strcmp(key, "beta_fast") || !strcmp(key, "beta_slow"));
        CHECK(lost || json_is_string(value) || fabs(json_number_value(value) - json_number_value(got)) < 1e-6,
              "rope_scaling.%s: %g", key, json_number_value(got));
    }
    CHECK(json_is_object(r) == json_is_object(s));
    json_decref(a), json_decref(b);
}

/* Both tokenizers give the same ids to every string of the golden set. */
static void expect_same_ids(const char *dir_a, const char *dir_b) {
    fa_error e = {0};
    fa_tokenizer *a, *b;
    CHECK_OK(fa_tokenizer_open(&a, dir_a, &e), &e);
    CHECK_OK(fa_tokenizer_open(&b, dir_b, &e), &e);
    json_t *strings = load_json(check_golden_dir(), "tokenizer/strings.json"), *text;
    size_t i;
    json_array_foreach(strings, i, text) {
        fa_ids x = {0}, y = {0};
        CHECK_OK(fa_encode(a, json_string_value(text), json_string_length(text), NULL, &x, &e), &e);
        CHECK_OK(fa_encode(b, json_string_value(text), json_string_length(text), NULL, &y, &e), &e);
        CHECK(x.n == y.n && (!x.n || !memcmp(x.data, y.data, x.n * sizeof *x.data)), "string %zu: %zu and %zu ids", i,
              x.n, y.n);
        fa_ids_free(&x), fa_ids_free(&y);
    }
    CHECK(i > 200);
    json_decref(strings);
    fa_tokenizer_close(a), fa_tokenizer_close(b);
}

static void gguf_gives_what_its_origin_gives(void *arg) {
    const gguf_case *c = arg;
    fa_error e = {0};
    char *source = check_golden(c->folder), *dir = check_scratch();
    char *gguf = golden_to_gguf(c->folder, dir, &c->how), *direct = path_of(dir, "direct"), *out = path_of(dir, "out");
    fa_quantise_options o = {.source = source, .destination = direct};
    CHECK_OK(fa_quantise(&o, &e), &e);
    o = (fa_quantise_options){.source = gguf, .destination = out};
    CHECK_OK(fa_quantise(&o, &e), &e);
    expect_same_tensors(direct, out, false);
    expect_kept_config(source, out);
    expect_same_ids(source, out);
    check_remove(dir);
    free(source), free(dir), free(gguf), free(direct), free(out);
}

static void smollm2_quantises(void *arg) {
    (void)arg;
    const char *path = getenv("FATHOM_SMOLLM2");
    if (!path) check_skip("FATHOM_SMOLLM2 does not name the file");
    fa_error e = {0};
    seen s = {.best_rms = 1};
    char *dir = check_scratch(), *out = path_of(dir, "out");
    fa_quantise_options o = {.source = path, .destination = out, .report = note_report, .ctx = &s};
    CHECK_OK(fa_quantise(&o, &e), &e);
    CHECK(s.quantised == 210 && s.others == 62, "%d, %d", s.quantised, s.others);
    CHECK(s.worst_rms < 0.04 && s.best_rms > 0.015, "%g..%g", s.best_rms, s.worst_rms);
    fa_tensors *ts;
    CHECK_OK(fa_tensors_open(&ts, out, &e), &e);
    CHECK(fa_tensors_find(ts, "model.layers.29.self_attn.q_proj.weight")->type == FA_F8_E4M3);
    CHECK(fa_tensors_find(ts, "model.embed_tokens.weight")->type == FA_BF16 && !fa_tensors_find(ts, "lm_head.weight"));
    fa_tensors_close(ts);
    check_remove(dir);
    free(dir), free(out);
}

/* ---- errors ---- */

static int entries(const char *dir) {
    char command[512];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", dir);
    FILE *p = popen(command, "r");
    int n = -1;
    CHECK(p && fscanf(p, "%d", &n) == 1);
    pclose(p);
    return n;
}

static void expect_nothing_left(const fa_quantise_options *o, fa_status status, const char *part, const char *dir) {
    fa_error e = {0};
    int before = entries(dir);
    fa_status s = fa_quantise(o, &e);
    CHECK(s == status && strstr(e.text, part), "%s: '%s', expected '%s'", fa_status_name(s), e.text, part);
    CHECK(entries(dir) == before, "something was left in %s", dir);
}

static void errors_leave_nothing_behind(void *arg) {
    (void)arg;
    char *dir = check_scratch(), *out = path_of(dir, "out"), *source = check_golden("deepseek-v3-tiny");
    char *fp8 = check_golden("deepseek-v3-tiny-fp8"), *blocks = check_golden("gguf/blocks.gguf");
    char *absent = path_of(dir, "absent"), *below = path_of(dir, "no/such/folder");
    fa_quantise_options o = {.source = absent, .destination = out};
    expect_nothing_left(&o, FA_EIO, absent, dir);
    o.source = fp8;
    expect_nothing_left(&o, FA_EUNSUPPORTED, "the model is FP8 already", dir);
    o.source = blocks;
    expect_nothing_left(&o, FA_EUNSUPPORTED, "tensor f32: not known", dir);
    o.source = source;
    o.destination = below;
    expect_nothing_left(&o, FA_EIO, below, dir);
    free(check_write(dir, "out", "a file", 6));
    o.destination = out;
    expect_nothing_left(&o, FA_EINVAL, out, dir);
    remove(out);
    o.destination = fp8;
    expect_nothing_left(&o, FA_EINVAL, "not empty", dir);
    seen s = {.stop_after = 500000};
    o = (fa_quantise_options){.source = source, .destination = out, .progress = note_progress, .ctx = &s};
    expect_nothing_left(&o, FA_ECANCELLED, "stopped", dir);
    check_remove(dir);
    free(dir), free(out), free(source), free(fp8), free(blocks), free(absent), free(below);
}

static void a_nan_in_a_weight_is_named(void *arg) {
    (void)arg;
    fa_error e = {0};
    char *dir = check_scratch(), *out = path_of(dir, "out"), *weights = path_of(dir, "model.safetensors");
    float w[300] = {[200] = NAN};
    const fa_tensor_spec specs[] = {{"model.layers.0.self_attn.o_proj.weight", FA_F32, 2, {150, 2}, w}};
    CHECK_OK(fa_safetensors_save(weights, specs, 1, &e), &e);
    fa_quantise_options o = {.source = dir, .destination = out};
    expect_nothing_left(&o, FA_EIO, "config.json", dir);
    free(check_write(dir, "config.json", "{\"quantization_config\":{}}", 26));
    expect_nothing_left(&o, FA_EUNSUPPORTED, "quantised already", dir);
    free(check_write(dir, "config.json", "{}", 2));
    expect_nothing_left(&o, FA_ENUMERIC,
                        "tensor model.layers.0.self_attn.o_proj.weight: a NaN or an infinity in rows 0..127", dir);
    w[200] = 1;
    CHECK_OK(fa_safetensors_save(weights, specs, 1, &e), &e);
    CHECK(mkdir(out, 0777) == 0);
    o.source = weights;
    CHECK_OK(fa_quantise(&o, &e), &e);
    check_remove(dir);
    free(dir), free(out), free(weights);
}

int main(int argc, char **argv) {
    static const gguf_case ggufs[] = {
        {"deepseek-llm-tiny", {.pre = "deepseek-llm"}},
        {"deepseek-coder-tiny", {.pre = "deepseek-coder"}},
        {"r1-distill-qwen-tiny", {.pre = "deepseek-r1-qwen"}},
        {"deepseek-v3-tiny", {.pre = "deepseek-v3", .whole_kv_b = true}},
        {"deepseek-v3-tiny", {.pre = "deepseek-v3"}},
        {"deepseek-v2-lite-tiny", {.pre = "deepseek-llm", .whole_kv_b = true}},
        {"deepseek-v2-tiny", {.pre = "deepseek-llm"}},
        {"r1-distill-llama-tiny", {.pre = "llama-bpe"}},
    };
    const check_case cases[] = {
        {"the golden FP8 model comes out bit by bit", the_golden_fp8_model_comes_out_bit_by_bit, NULL},
        {"shards hold the same tensors", shards_hold_the_same, NULL},
        {"GGUF gives what its origin gives: llama", gguf_gives_what_its_origin_gives, (void *)&ggufs[0]},
        {"GGUF gives what its origin gives: llama, grouped heads", gguf_gives_what_its_origin_gives, (void *)&ggufs[1]},
        {"GGUF gives what its origin gives: qwen2", gguf_gives_what_its_origin_gives, (void *)&ggufs[2]},
        {"GGUF gives what its origin gives: V3", gguf_gives_what_its_origin_gives, (void *)&ggufs[3]},
        {"GGUF gives what its origin gives: V3, kv_b split", gguf_gives_what_its_origin_gives, (void *)&ggufs[4]},
        {"GGUF gives what its origin gives: V2-Lite", gguf_gives_what_its_origin_gives, (void *)&ggufs[5]},
        {"GGUF gives what its origin gives: V2, kv_b split", gguf_gives_what_its_origin_gives, (void *)&ggufs[6]},
        {"GGUF gives what its origin gives: llama3 scaling", gguf_gives_what_its_origin_gives, (void *)&ggufs[7]},
        {"SmolLM2 quantises", smollm2_quantises, NULL},
        {"errors leave nothing behind", errors_leave_nothing_behind, NULL},
        {"a NaN in a weight is named", a_nan_in_a_weight_is_named, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
