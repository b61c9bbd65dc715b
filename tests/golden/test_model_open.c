/* Opening a model: what is refused and how it is named, what is accepted beside the releases' own layout, what is
 * reported. Every case is deepseek-v3-tiny-fp8 with something changed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/format/fp8.h"
#include "tests/lib/check.h"
#include "tests/lib/golden_model.h"
#include "tests/lib/model_copy.h"

static fa_status try_open(const char *path, int32_t positions, fa_error *e) {
    fa_backend *b;
    fa_model *m;
    CHECK_OK(fa_backend_open(&b, &(fa_backend_options){.name = "reference", .node = -1}, e), e);
    fa_status s = fa_model_open(
        &m,
        &(fa_model_options){.path = path, .backend = b, .max_rows = 4, .max_logit_rows = 1, .max_positions = positions},
        e);
    CHECK(!s == (m != NULL));
    fa_model_close(m);
    b->close(b);
    return s;
}

#define FOLDER "deepseek-v3-tiny-fp8"
#define EXPERT "model.layers.1.mlp.experts.3.up_proj.weight"

typedef enum edit { DROP = 0, RESHAPE, FIRST_NAN, MIDDLE_NAN, LAST_NAN, SCALE_NAN, TO_I32 } edit;

typedef struct refusal {
    const char *name; /* of the case */
    const char *tensor;
    edit edit;
    fa_status status;
    const char *says;
} refusal;

static const refusal refusals[] = {
    {"a missing expert", EXPERT, DROP, FA_EFORMAT, EXPERT ": missing"},
    {"a missing norm", "model.norm.weight", DROP, FA_EFORMAT, "model.norm.weight: missing"},
    {"a missing head", "lm_head.weight", DROP, FA_EFORMAT, "lm_head.weight: missing"},
    {"a missing router bias", "model.layers.2.mlp.gate.e_score_correction_bias", DROP, FA_EFORMAT,
     "model.layers.2.mlp.gate.e_score_correction_bias: missing"},
    {"missing block scales", EXPERT "_scale_inv", DROP, FA_EFORMAT, EXPERT "_scale_inv: missing"},
    {"a matrix of another shape", EXPERT, RESHAPE, FA_EFORMAT, EXPERT ": expected [136, 192], found [192, 136]"},
    {"a vector that is a matrix", "model.layers.0.input_layernorm.weight", RESHAPE, FA_EFORMAT,
     "input_layernorm.weight: expected [192], found [1, 192]"},
    {"block scales of another shape", EXPERT "_scale_inv", RESHAPE, FA_EFORMAT,
     EXPERT "_scale_inv: expected [2, 2], found [4, 1]"},
    {"a NaN code, the first", EXPERT, FIRST_NAN, FA_EFORMAT, EXPERT ": NaN code at element"},
    {"a NaN code, in the middle", EXPERT, MIDDLE_NAN, FA_EFORMAT, EXPERT ": NaN code at element"},
    {"a NaN code, the last", "model.layers.0.self_attn.o_proj.weight", LAST_NAN, FA_EFORMAT,
     "o_proj.weight: NaN code at element"},
    {"a NaN scale", EXPERT "_scale_inv", SCALE_NAN, FA_EFORMAT, EXPERT "_scale_inv: value 1 is not finite"},
    {"scales of an integer type", EXPERT "_scale_inv", TO_I32, FA_EUNSUPPORTED, EXPERT "_scale_inv: block scales"},
    {"an integer matrix", "lm_head.weight", TO_I32, FA_EUNSUPPORTED, "lm_head.weight"},
};

static void refused(void *arg) {
    const refusal *r = arg;
    model_copy c;
    model_copy_open(&c, FOLDER);
    fa_tensor_spec *s = model_copy_tensor(&c, r->tensor);
    void *data = NULL;
    switch (r->edit) {
    case DROP: model_copy_drop(&c, r->tensor); break;
    case RESHAPE:
        if (s->n_dims == 1) {
            s->n_dims = 2, s->shape[1] = s->shape[0], s->shape[0] = 1;
        } else if (s->shape[0] == 2) {
            s->shape[0] = 4, s->shape[1] = 1;
        } else {
            int64_t rows = s->shape[0];
            s->shape[0] = s->shape[1], s->shape[1] = rows;
        }
        break;
    case FIRST_NAN: *(uint8_t *)model_copy_data(s, &data) = 0xff; break;
    case MIDDLE_NAN: ((uint8_t *)model_copy_data(s, &data))[model_copy_elements(s) / 2 + 3] = 0x7f; break;
    case LAST_NAN: ((uint8_t *)model_copy_data(s, &data))[model_copy_elements(s) - 1] = 0x7f; break;
    case SCALE_NAN: ((float *)model_copy_data(s, &data))[1] = NAN; break;
    case TO_I32:
        data = must_alloc((size_t)model_copy_elements(s) * 4);
        s->type = FA_I32, s->data = data;
        break;
    }
    model_copy_save(&c);
    fa_error e;
    fa_status status = try_open(c.scratch, 64, &e);
    CHECK(status == r->status, "%s: %s", fa_status_name(status), e.text);
    CHECK(strstr(e.text, r->says) && strstr(e.text, c.scratch), "%s", e.text);
    free(data);
    model_copy_close(&c);
}

static void logits_of(const char *path, float *logits) {
    runner r;
    golden g;
    golden_open(&g, "deepseek-v3-tiny-fp8");
    runner_open(&r, &(runner_options){.path = path, .numerics = FA_W8A16});
    const golden_prompt *p = &g.prompts[1];
    runner_prompt(&r, 0, p->ids, p->n, p->n, logits, NULL);
    runner_close(&r);
    golden_close(&g);
}

enum { LOGITS = 7 * 1040 };

/* All block scales, rounded to what `type` can hold, once stored as that type and once as F32: the same logits. */
static void scales_of(fa_dtype type) {
    float *as_type = must_alloc(LOGITS * sizeof(float)), *as_f32 = must_alloc(LOGITS * sizeof(float));
    for (int wide = 0; wide < 2; wide++) {
        model_copy c;
        model_copy_open(&c, FOLDER);
        void **to_free = must_alloc((size_t)c.n * sizeof *to_free);
        for (int64_t i = 0; i < c.n; i++) {
            fa_tensor_spec *s = &c.specs[i];
            if (!strstr(s->name, "_scale_inv")) continue;
            float *v = model_copy_data(s, &to_free[i]);
            for (int64_t k = 0; k < model_copy_elements(s); k++) {
                int exponent = ilogbf(v[k]);
                uint16_t bits = fa_bf16_encode(v[k]);
                if (wide)
                    v[k] = type == FA_BF16 ? fa_bf16_decode(bits) : ldexpf(1, exponent);
                else if (type == FA_BF16)
                    ((uint16_t *)to_free[i])[k] = bits;
                else
                    ((uint8_t *)to_free[i])[k] = (uint8_t)(exponent + 127);
            }
            if (!wide) s->type = type;
        }
        model_copy_save(&c);
        logits_of(c.scratch, wide ? as_f32 : as_type);
        for (int64_t i = 0; i < c.n; i++) free(to_free[i]);
        free(to_free);
        model_copy_close(&c);
    }
    CHECK(!memcmp(as_type, as_f32, LOGITS * sizeof(float)), "%g, %g", as_type[0], as_f32[0]);
    free(as_type);
    free(as_f32);
}

static void bf16_scales(void *unused) {
    (void)unused;
    scales_of(FA_BF16);
}

static void e8m0_scales(void *unused) {
    (void)unused;
    scales_of(FA_F8_E8M0);
}

/* One matrix in E5M2 with scales, or as the FP32 products of code and scale: the same logits in w8a16. */
static void e5m2_weight(void *unused) {
    (void)unused;
    static const char name[] = "model.layers.0.mlp.down_proj.weight";
    float *as_e5m2 = must_alloc(LOGITS * sizeof(float)), *as_f32 = must_alloc(LOGITS * sizeof(float));
    for (int wide = 0; wide < 2; wide++) {
        model_copy c;
        model_copy_open(&c, FOLDER);
        fa_tensor_spec *s = model_copy_tensor(&c, name);
        const float *scale = model_copy_tensor(&c, "model.layers.0.mlp.down_proj.weight_scale_inv")->data;
        int64_t rows = s->shape[0], cols = s->shape[1], across = (cols + 127) / 128;
        float *values = must_alloc((size_t)(rows * cols) * sizeof *values);
        uint8_t *codes = must_alloc((size_t)(rows * cols));
        for (int64_t i = 0; i < rows * cols; i++) {
            codes[i] = fa_e5m2_encode(fa_e4m3_decode(((const uint8_t *)s->data)[i]));
            values[i] = fa_e5m2_decode(codes[i]) * scale[i / cols / 128 * across + i % cols / 128];
        }
        s->type = wide ? FA_F32 : FA_F8_E5M2;
        s->data = wide ? (void *)values : codes;
        model_copy_save(&c);
        logits_of(c.scratch, wide ? as_f32 : as_e5m2);
        free(values);
        free(codes);
        model_copy_close(&c);
    }
    CHECK(!memcmp(as_e5m2, as_f32, LOGITS * sizeof(float)), "%g, %g", as_e5m2[0], as_f32[0]);
    free(as_e5m2);
    free(as_f32);
}

static void e5m2_infinity(void *unused) {
    (void)unused;
    model_copy c;
    model_copy_open(&c, FOLDER);
    fa_tensor_spec *s = model_copy_tensor(&c, EXPERT);
    uint8_t *codes = must_alloc((size_t)model_copy_elements(s));
    codes[model_copy_elements(s) - 2] = 0x7c;
    s->type = FA_F8_E5M2, s->data = codes;
    model_copy_save(&c);
    fa_error e;
    CHECK(try_open(c.scratch, 64, &e) == FA_EFORMAT && strstr(e.text, EXPERT), "%s", e.text);
    free(codes);
    model_copy_close(&c);
}

/* The logits of a prompt's rows must be golden's. */
static void golden_logits(const char *folder, const char *path, const char *blob, bool mtp) {
    golden g;
    runner r;
    golden_open(&g, folder);
    runner_open(&r, &(runner_options){.path = path, .numerics = FA_W8A16, .mtp = mtp});
    const golden_prompt *p = &g.prompts[1];
    int64_t n = (int64_t)p->n * r.vocab;
    float *found = must_alloc((size_t)n * sizeof *found);
    runner_prompt(&r, 0, p->ids, p->n, p->n, found, NULL);
    runner_row rows[GOLDEN_MAX_IDS] = {{0}};
    for (int t = 0; t < p->n; t++) rows[t] = (runner_row){0, t, p->ids[t + 1]};
    if (mtp) runner_mtp(&r, rows, p->n, found);
    golden_close_to(blob, found, golden_blob(&g, p->name, blob, n), n);
    free(found);
    runner_close(&r);
    golden_close(&g);
}

/* Qwen2 is Llama with biases: one model under both names. */
static void llama_bias(void *unused) {
    (void)unused;
    model_copy c;
    model_copy_open(&c, "r1-distill-qwen-tiny");
    model_copy_config(&c, "{\"architectures\":[\"LlamaForCausalLM\"],\"attention_bias\":true}");
    model_copy_save(&c);
    golden_logits("r1-distill-qwen-tiny", c.scratch, "logits", false);
    fa_error e;
    model_copy_drop(&c, "model.layers.1.self_attn.k_proj.bias");
    model_copy_save(&c);
    CHECK(try_open(c.scratch, 64, &e) == FA_EFORMAT && strstr(e.text, "k_proj.bias: missing"), "%s", e.text);
    model_copy_close(&c);
}

/* The releases store embedding and head again with the MTP layer; a file may leave them out. */
static void mtp_shares(void *unused) {
    (void)unused;
    model_copy c;
    model_copy_open(&c, "deepseek-v3-tiny-mtp");
    model_copy_drop(&c, "model.layers.2.embed_tokens.weight");
    model_copy_drop(&c, "model.layers.2.shared_head.head.weight");
    model_copy_save(&c);
    golden_logits("deepseek-v3-tiny-mtp", c.scratch, "mtp_logits", true);
    model_copy_close(&c);
}

static void bad_options(void *unused) {
    (void)unused;
    char *dir = check_golden("deepseek-v3-tiny-fp8"), file[512];
    fa_error e;
    CHECK(try_open(dir, 2561, &e) == FA_ELIMIT && strstr(e.text, "2560"), "%s", e.text);
    CHECK(try_open(dir, 0, &e) == FA_ELIMIT, "%s", e.text);
    CHECK_OK(try_open(dir, 2560, &e), &e);
    snprintf(file, sizeof file, "%s/model.safetensors", dir);
    CHECK_OK(try_open(file, 64, &e), &e);
    CHECK(try_open("no/such/folder", 64, &e) == FA_EIO && strstr(e.text, "no/such/folder"), "%s", e.text);
    free(dir);
}

static void count_progress(void *ctx, int64_t done, int64_t total) {
    int64_t *last = ctx;
    CHECK(done >= last[0] && done <= total, "%lld after %lld of %lld", (long long)done, (long long)last[0],
          (long long)total);
    last[0] = done;
    last[1] = total;
}

static void reports(void *unused) {
    (void)unused;
    char *dir = check_golden("deepseek-v3-tiny-fp8");
    fa_error e;
    fa_backend *b;
    fa_model *m;
    int64_t progress[2] = {0};
    CHECK_OK(fa_backend_open(&b, &(fa_backend_options){.name = "reference", .node = -1}, &e), &e);
    size_t before = b->bytes(b);
    CHECK_OK(fa_model_open(&m,
                           &(fa_model_options){.path = dir,
                                               .backend = b,
                                               .max_rows = 4,
                                               .max_logit_rows = 2,
                                               .max_positions = 300,
                                               .progress = count_progress,
                                               .progress_ctx = progress},
                           &e),
             &e);
    fa_model_memory memory = fa_model_get_memory(m);
    CHECK(progress[0] == memory.files && progress[1] == memory.files, "progress ended at %lld of %lld",
          (long long)progress[0], (long long)progress[1]);
    CHECK(memory.rope == 300 * 16 * 4, "%lld", (long long)memory.rope);
    /* [4, ...]: 4 of hidden, q_rank, heads * 48, rank + rope, heads * 40, hidden, experts; [2, hidden], [2, vocab] */
    int64_t floats = 4 * (4 * 192 + 144 + 4 * 48 + 144 + 4 * 40 + 16) + 2 * (192 + 1040);
    CHECK(memory.activations == floats * 4, "%lld, want %lld", (long long)memory.activations, (long long)floats * 4);
    CHECK((int64_t)(b->bytes(b) - before) >= memory.activations + memory.rope + memory.backend);
    CHECK(memory.host > 0 && memory.host < 1 << 20, "%lld", (long long)memory.host);
    fa_model_close(m);
    b->close(b);
    free(dir);
}

static void bad_steps(void *unused) {
    (void)unused;
    char *dir = check_golden("deepseek-v3-tiny-fp8");
    runner r;
    fa_error e;
    runner_open(&r, &(runner_options){.path = dir, .positions = 64});
    int32_t token = 5, logit_row = 0;
    float *logits = must_alloc((size_t)r.vocab * sizeof *logits);
    fa_place place = {0, r.pages};
    const fa_step good = {.rows = 1,
                          .tokens = &token,
                          .place = &place,
                          .pool = r.pool,
                          .n_logits = 1,
                          .logit_rows = &logit_row,
                          .logits = logits};
    CHECK_OK(fa_model_step(r.model, &good, &e), &e);
    for (int i = 0; i < 8; i++) {
        fa_step s = good;
        token = 5, logit_row = 0, place.pos = 0;
        fa_status want = i == 4 ? FA_ELIMIT : FA_EINVAL;
        switch (i) {
        case 0: s.rows = 0; break;
        case 1: s.rows = GOLDEN_MAX_IDS + 1; break;
        case 2: token = r.vocab; break;
        case 3: token = -1; break;
        case 4: place.pos = 64; break;
        case 5: logit_row = 1; break;
        case 6: s.n_logits = GOLDEN_MAX_IDS + 1; break;
        default: s.pool = NULL; break;
        }
        fa_status status = fa_model_step(r.model, &s, &e);
        CHECK(status == want, "step %d: %s: %s", i, fa_status_name(status), e.text);
    }
    free(logits);
    runner_close(&r);
    free(dir);
}

int main(int argc, char **argv) {
    enum { N = sizeof refusals / sizeof *refusals };
    static char names[N][96];
    check_case cases[N + 9] = {
        {"BF16 block scales are accepted", bf16_scales, NULL},
        {"E8M0 block scales are accepted", e8m0_scales, NULL},
        {"an E5M2 weight is accepted", e5m2_weight, NULL},
        {"an infinity in an E5M2 weight is refused by name", e5m2_infinity, NULL},
        {"a llama with attention_bias", llama_bias, NULL},
        {"an MTP layer that shares embedding and head", mtp_shares, NULL},
        {"paths and context lengths are checked", bad_options, NULL},
        {"progress and memory are reported", reports, NULL},
        {"a step outside the limits is refused", bad_steps, NULL},
    };
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "refused by name: %s", refusals[i].name);
        cases[9 + i] = (check_case){names[i], refused, (void *)&refusals[i]};
    }
    return check_main(argc, argv, cases, N + 9);
}
