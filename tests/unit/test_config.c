/* Configurations: real ones against golden.json, and each bad field against an error that names it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/json.h"
#include "host/model/config.h"
#include "host/model/rope.h"
#include "tests/lib/check.h"

static const char *const folders[] = {"deepseek-v3-tiny",      "deepseek-v3-tiny-fp8", "deepseek-v3-tiny-mtp",
                                      "deepseek-v2-lite-tiny", "deepseek-v2-tiny",     "deepseek-llm-tiny",
                                      "deepseek-coder-tiny",   "r1-distill-qwen-tiny", "r1-distill-qwen-tiny-untied",
                                      "r1-distill-llama-tiny"};
enum { N_FOLDERS = sizeof folders / sizeof *folders };

static void loads_golden(void *unused) {
    (void)unused;
    for (int i = 0; i < N_FOLDERS; i++) {
        char *dir = check_golden(folders[i]);
        fa_error e;
        fa_config c;
        CHECK_OK(fa_config_load(&c, dir, &e), &e);
        free(dir);
    }
}

static void v3_fields(void *unused) {
    (void)unused;
    char *dir = check_golden("deepseek-v3-tiny-fp8");
    fa_error e;
    fa_config c;
    CHECK_OK(fa_config_load(&c, dir, &e), &e);
    free(dir);
    CHECK(!strcmp(c.architecture, "DeepseekV3ForCausalLM") && !strcmp(c.family, "deepseek-v3"));
    CHECK(c.vocab == 1040 && c.hidden == 192 && c.layers == 3 && c.intermediate == 400 && c.max_positions == 2560);
    CHECK(c.bos_id == 0 && c.n_eos == 1 && c.eos_ids[0] == 1 && c.fp8);
    CHECK(c.attention == FA_ATTENTION_MLA && c.heads == 4 && c.q_rank == 144 && c.kv_rank == 128);
    CHECK(c.nope_dim == 32 && c.rope_dim == 16 && c.v_dim == 40 && c.rope.interleaved);
    CHECK(c.experts == 16 && c.shared_experts == 1 && c.top_k == 4 && c.moe_inner == 136);
    CHECK(c.groups == 4 && c.top_groups == 2 && c.norm_topk && c.routed_scale == 2.5f);
    CHECK(c.scoring == FA_SCORE_SIGMOID && c.topk_method == FA_TOPK_NOAUX);
    CHECK(!fa_config_is_moe(&c, 0) && fa_config_is_moe(&c, 1) && fa_config_is_moe(&c, 2));
}

static double number(const json_t *o, const char *key) {
    return json_number_value(json_object_get(o, key));
}

/* golden.json: rope.inv_freq, attention_scaling, softmax_scale, as transformers computed them. */
static void rope_golden(void *arg) {
    const char *folder = arg;
    char *dir = check_golden(folder), *path = NULL;
    CHECK(asprintf(&path, "%s/golden.json", dir) > 0);
    fa_error e;
    fa_config c;
    json_t *golden;
    CHECK_OK(fa_config_load(&c, dir, &e), &e);
    CHECK_OK(fa_json_load(&golden, path, &e), &e);
    const json_t *rope = json_object_get(golden, "rope"), *inv = json_object_get(rope, "inv_freq");
    float found[512];
    int half = fa_rope_dims(&c) / 2;
    CHECK((int)json_array_size(inv) == half, "%d frequencies", half);
    fa_rope_frequencies(&c, NULL, found);
    for (int i = 0; i < half; i++) {
        float want = (float)json_number_value(json_array_get(inv, (size_t)i));
        /* one unit in the last place: torch's FP32 pow is not always correctly rounded */
        CHECK(fabs(found[i] - want) <= 1.2e-7 * want, "frequency %d: %.9g, want %.9g", i, found[i], want);
    }
    double factor = number(rope, "attention_scaling"), scale = number(rope, "softmax_scale");
    CHECK(fabs(fa_rope_attention_factor(&c) - factor) < 1e-12, "%.17g", fa_rope_attention_factor(&c));
    CHECK(fabs(fa_softmax_scale(&c) - scale) < 1e-12, "%.17g", fa_softmax_scale(&c));
    json_decref(golden);
    free(path);
    free(dir);
}

static void rope_table(void *unused) {
    (void)unused;
    const float inv[2] = {1.0f, 0.21345372f};
    float table[4 * 1000];
    fa_rope_table(inv, 2, 2, 0, 300, table);
    fa_rope_table(inv, 2, 2, 300, 700, table + 4 * 300);
    CHECK(table[0] == 2 && table[1] == 2 && table[2] == 0 && table[3] == 0, "position 0");
    for (int p = 0; p < 1000; p++)
        for (int i = 0; i < 2; i++) {
            float angle = (float)p * inv[i];
            CHECK(table[4 * p + i] == (float)(2 * cos(angle)) && table[4 * p + 2 + i] == (float)(2 * sin(angle)));
        }
}

/* A folder with one config.json, changed by a list of JSON edits. */
typedef struct scratch {
    char dir[64];
} scratch;

static void put(const scratch *s, const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static scratch scratch_open(void) {
    scratch s = {.dir = "/tmp/fathom-config-XXXXXX"};
    CHECK(mkdtemp(s.dir));
    return s;
}

static void scratch_close(const scratch *s) {
    static const char *const names[] = {"config.json", "generation_config.json"};
    char path[128];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", s->dir, names[i]);
        unlink(path);
    }
    rmdir(s->dir);
}

/* The golden folder's config.json with the keys of `edit` (a JSON object) set, or removed where null. */
static void put_edited(const scratch *s, const char *folder, const char *edit) {
    char *path = NULL, *dir = check_golden(folder);
    CHECK(asprintf(&path, "%s/config.json", dir) > 0);
    fa_error e;
    json_t *config, *changes;
    CHECK_OK(fa_json_load(&config, path, &e), &e);
    CHECK_OK(fa_json_parse(&changes, edit, strlen(edit), "edit", &e), &e);
    CHECK(json_object_update(config, changes) == 0);
    char *text = json_dumps(config, 0);
    put(s, "config.json", text);
    json_decref(config);
    json_decref(changes);
    free(text);
    free(path);
    free(dir);
}

typedef struct bad_case {
    const char *folder, *edit;
    fa_status status;
    const char *names; /* must be in the error text */
} bad_case;

static const bad_case bad[] = {
    {"deepseek-v3-tiny", "{\"vocab_size\":null}", FA_EFORMAT, "vocab_size"},
    {"deepseek-v3-tiny", "{\"vocab_size\":0}", FA_EFORMAT, "vocab_size"},
    {"deepseek-v3-tiny", "{\"hidden_size\":-1}", FA_EFORMAT, "hidden_size"},
    {"deepseek-v3-tiny", "{\"hidden_size\":1e300}", FA_EFORMAT, "hidden_size"},
    {"deepseek-v3-tiny", "{\"hidden_size\":\"192\"}", FA_EFORMAT, "hidden_size"},
    {"deepseek-v3-tiny", "{\"num_hidden_layers\":99999}", FA_EFORMAT, "num_hidden_layers"},
    {"deepseek-v3-tiny", "{\"num_experts_per_tok\":17}", FA_EFORMAT, "num_experts_per_tok"},
    {"deepseek-v3-tiny", "{\"num_experts_per_tok\":null}", FA_EFORMAT, "num_experts_per_tok"},
    {"deepseek-v3-tiny", "{\"n_group\":3}", FA_EFORMAT, "n_group"},
    {"deepseek-v3-tiny", "{\"n_group\":16,\"topk_group\":8}", FA_EFORMAT, "n_group"},
    {"deepseek-v3-tiny", "{\"topk_group\":5}", FA_EFORMAT, "topk_group"},
    {"deepseek-v3-tiny", "{\"num_experts_per_tok\":9}", FA_EFORMAT, "topk_group"},
    {"deepseek-v3-tiny", "{\"qk_rope_head_dim\":15}", FA_EFORMAT, "qk_rope_head_dim"},
    {"deepseek-v3-tiny", "{\"attention_bias\":true}", FA_EUNSUPPORTED, "attention_bias"},
    {"deepseek-v3-tiny", "{\"rms_norm_eps\":\"x\"}", FA_EFORMAT, "rms_norm_eps"},
    {"deepseek-v3-tiny", "{\"scoring_func\":\"tanh\"}", FA_EUNSUPPORTED, "scoring_func"},
    {"deepseek-v3-tiny", "{\"topk_method\":\"best\"}", FA_EUNSUPPORTED, "topk_method"},
    {"deepseek-v3-tiny", "{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4}}", FA_EFORMAT,
     "original_max_position_embeddings"},
    {"deepseek-v3-tiny", "{\"rope_scaling\":{\"type\":\"longrope\"}}", FA_EUNSUPPORTED, "longrope"},
    {"deepseek-v3-tiny", "{\"rope_scaling\":3}", FA_EFORMAT, "rope_scaling"},
    {"deepseek-v3-tiny", "{\"eos_token_id\":1040}", FA_EFORMAT, "eos_token_id"},
    {"deepseek-v3-tiny", "{\"eos_token_id\":[1,2,3,4,5,6,7,8,9]}", FA_EFORMAT, "eos_token_id"},
    {"deepseek-v3-tiny", "{\"quantization_config\":{\"quant_method\":\"gptq\"}}", FA_EUNSUPPORTED, "gptq"},
    {"deepseek-v3-tiny", "{\"quantization_config\":{\"quant_method\":\"fp8\"}}", FA_EUNSUPPORTED, "weight_block_size"},
    {"deepseek-v3-tiny", "{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[64,64]}}",
     FA_EUNSUPPORTED, "weight_block_size"},
    {"deepseek-v3-tiny", "{\"architectures\":[\"GPT2LMHeadModel\"]}", FA_EUNSUPPORTED, "GPT2LMHeadModel"},
    {"deepseek-v3-tiny", "{\"architectures\":[\"MultiModalityCausalLM\"]}", FA_EFORMAT, "language_config"},
    {"janus-pro-tiny", "{\"language_config\":{\"model_type\":\"gpt2\"}}", FA_EUNSUPPORTED, "gpt2"},
    {"janus-pro-tiny", "{\"language_config\":{\"vocab_size\":0}}", FA_EFORMAT, "vocab_size"},
    {"janus-pro-tiny-hf", "{\"text_config\":3}", FA_EFORMAT, "text_config"},
    {"deepseek-v3-tiny", "{\"architectures\":null,\"model_type\":\"gpt2\"}", FA_EUNSUPPORTED, "gpt2"},
    {"deepseek-v3-tiny", "{\"architectures\":null,\"model_type\":null}", FA_EFORMAT, "architectures"},
    {"deepseek-llm-tiny", "{\"num_attention_heads\":3,\"num_key_value_heads\":3}", FA_EFORMAT, "num_attention_heads"},
    {"deepseek-coder-tiny", "{\"num_key_value_heads\":3}", FA_EFORMAT, "num_key_value_heads"},
    {"deepseek-coder-tiny", "{\"head_dim\":17}", FA_EFORMAT, "head_dim"},
    {"deepseek-coder-tiny", "{\"mlp_bias\":true}", FA_EUNSUPPORTED, "mlp_bias"},
    {"deepseek-coder-tiny", "{\"hidden_act\":\"gelu\"}", FA_EUNSUPPORTED, "hidden_act"},
    {"deepseek-coder-tiny", "{\"bos_token_id\":5000}", FA_EFORMAT, "bos_token_id"},
    {"r1-distill-qwen-tiny", "{\"use_sliding_window\":true}", FA_EUNSUPPORTED, "use_sliding_window"},
    {"r1-distill-llama-tiny",
     "{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":1,"
     "\"original_max_position_embeddings\":64}}",
     FA_EFORMAT, "high_freq_factor"},
};

static void bad_fields(void *unused) {
    (void)unused;
    scratch s = scratch_open();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fa_error e = {0};
        fa_config c;
        put_edited(&s, bad[i].folder, bad[i].edit);
        fa_status status = fa_config_load(&c, s.dir, &e);
        CHECK(status == bad[i].status, "%s: %s: %s", bad[i].edit, fa_status_name(status), e.text);
        CHECK(strstr(e.text, bad[i].names) && strstr(e.text, "config.json"), "%s: %s", bad[i].edit, e.text);
    }
    scratch_close(&s);
}

/* Keys of the release's config.json: what it leaves out equals transformers' defaults. */
static void janus_7b(void *unused) {
    (void)unused;
    scratch s = scratch_open();
    fa_error e;
    fa_config c;
    put_edited(
        &s, "janus-pro-tiny",
        "{\"language_config\":{\"max_position_embeddings\":16384,\"model_type\":\"llama\",\"num_hidden_layers\":30,"
        "\"torch_dtype\":\"bfloat16\",\"vocab_size\":102400}}");
    CHECK_OK(fa_config_load(&c, s.dir, &e), &e);
    CHECK(c.hidden == 4096 && c.intermediate == 11008 && c.heads == 32 && c.kv_heads == 32 && c.head_dim == 128);
    CHECK(c.layers == 30 && c.vocab == 102400 && c.max_positions == 16384 && c.naming == FA_NAMES_JANUS);
    CHECK(!strcmp(c.architecture, "MultiModalityCausalLM") && c.rope.theta == 10000, "%s", c.architecture);
    scratch_close(&s);
}

static void both_spellings(void *unused) {
    (void)unused;
    static const char *const edits[] = {
        "{}",
        "{\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":40,\"beta_fast\":32,\"beta_slow\":1,\"mscale\":"
        "1.0,"
        "\"mscale_all_dim\":1.0,\"original_max_position_embeddings\":64}}",
        "{\"rope_scaling\":null,\"rope_theta\":null,\"rope_parameters\":{\"rope_type\":\"yarn\",\"factor\":"
        "40,"
        "\"mscale\":1.0,\"mscale_all_dim\":1.0,\"original_max_position_embeddings\":64,\"rope_theta\":10000}"
        "}",
        "{\"architectures\":null}",
    };
    scratch s = scratch_open();
    fa_config first, c;
    fa_error e;
    for (int i = 0; i < 4; i++) {
        put_edited(&s, "deepseek-v3-tiny", edits[i]);
        CHECK_OK(fa_config_load(i ? &c : &first, s.dir, &e), &e);
        float a[8], b[8];
        fa_rope_frequencies(&first, NULL, a);
        fa_rope_frequencies(i ? &c : &first, NULL, b);
        CHECK(!memcmp(a, b, sizeof a), "%s", edits[i]);
    }
    scratch_close(&s);
}

static void several_eos(void *unused) {
    (void)unused;
    scratch s = scratch_open();
    fa_config c;
    fa_error e;
    put_edited(&s, "r1-distill-llama-tiny", "{\"eos_token_id\":[994,5]}");
    put(&s, "generation_config.json", "{\"eos_token_id\":[5,7,994]}");
    CHECK_OK(fa_config_load(&c, s.dir, &e), &e);
    CHECK(c.n_eos == 3 && c.eos_ids[0] == 994 && c.eos_ids[1] == 5 && c.eos_ids[2] == 7, "%d ids", c.n_eos);
    put(&s, "generation_config.json", "{\"eos_token_id\":\"no\"}");
    CHECK(fa_config_load(&c, s.dir, &e) == FA_EFORMAT && strstr(e.text, "generation_config.json"), "%s", e.text);
    scratch_close(&s);
}

int main(int argc, char **argv) {
    check_case cases[7 + N_FOLDERS] = {
        {"every golden config.json loads", loads_golden, NULL},
        {"the fields of a V3 config are all there", v3_fields, NULL},
        {"a rotary table holds cos and sin of the FP32 angle", rope_table, NULL},
        {"Janus-Pro-7B leaves out LlamaConfig's defaults", janus_7b, NULL},
        {"a bad field is an error that names file and field", bad_fields, NULL},
        {"both spellings of rotary scaling give the same", both_spellings, NULL},
        {"eos ids come from both files, once each", several_eos, NULL},
    };
    static char names[N_FOLDERS][96];
    for (int i = 0; i < N_FOLDERS; i++) {
        snprintf(names[i], sizeof names[i], "rotary frequencies and scales agree: %s", folders[i]);
        cases[6 + i] = (check_case){names[i], rope_golden, (void *)folders[i]};
    }
    return check_main(argc, argv, cases, 6 + N_FOLDERS);
}
