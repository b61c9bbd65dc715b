/* fathom quantize: other codes and scales, and what --study says of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/format/tensor.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

#define QUANTIZE "\"$FATHOM_BIN\" quantize "
static const char text[] =
    "Sums of products of two codes are exact in integers, so any order gives the same bits, on any machine and in any batch. "
    "What a block of weights has in common is its scale; what it loses is what lies between two codes.";

static check_output must(check_output o) {
    CHECK(o.status == 0, "status %d: %s", o.status, o.err);
    return o;
}

/* ---- codes and scales ---- */

typedef struct format {
    const char *name, *options;
    fa_dtype type;
    double step;     /* half of the step between codes, relative to a normal value */
    double smallest; /* half of the step between the smallest codes */
    double largest;
    bool per_tensor;
} format;

static const format formats[] = {
    {"E4M3 with a scale for each block", "", FA_F8_E4M3, 1.0 / 16, 0x1p-10, 448, false},
    {"E4M3 with a scale for the tensor", "--scales tensor", FA_F8_E4M3, 1.0 / 16, 0x1p-10, 448, true},
    {"E5M2 with a scale for each block", "--codes e5m2", FA_F8_E5M2, 1.0 / 8, 0x1p-17, 57344, false},
    {"E5M2 with a scale for the tensor", "--codes e5m2 --scales tensor", FA_F8_E5M2, 1.0 / 8, 0x1p-17, 57344, true},
};

static const fa_tensor *find(const fa_tensors *ts, const char *name, const char *end) {
    char whole[300];
    snprintf(whole, sizeof whole, "%s%s", name, end);
    const fa_tensor *t = fa_tensors_find(ts, whole);
    CHECK(t, "no tensor %s", whole);
    return t;
}

/* Each value lies within half a step of its source; scales make the largest code of the largest value. */
static void expect_close(const format *f, const fa_tensors *from, const fa_tensors *to, const char *name) {
    const fa_tensor *source = find(from, name, ""), *codes = find(to, name, ""), *scales = find(to, name, "_scale_inv");
    int64_t rows = source->shape[0], cols = source->shape[1], across = (cols + 127) / 128, n = rows * cols;
    float *w = malloc((size_t)n * 4), *c = malloc((size_t)n * 4);
    const float *scale = scales->data;
    CHECK(w && c && codes->type == f->type, "%s: type", name);
    fa_decode(source->type, source->data, 0, n, w);
    fa_decode(codes->type, codes->data, 0, n, c);
    double amax = 0;
    for (int64_t i = 0; i < n; i++) amax = fmax(amax, fabs((double)w[i]));
    for (int64_t i = 0; i < n; i++) {
        double s = (double)scale[i / cols / 128 * across + i % cols / 128], want = (double)w[i];
        double off = fabs((double)c[i] * s - want), most = fmax(fabs(want) * f->step, s * f->smallest) * (1 + 1e-6);
        CHECK(off <= most, "%s[%lld]: %g, was %g", name, (long long)i, (double)c[i] * s, want);
        CHECK(!f->per_tensor || fabs(s * f->largest / amax - 1) < 1e-6, "%s: scale %g", name, s);
    }
    free(w), free(c);
}

static void codes_are_near(void *arg) {
    const format *f = arg;
    fa_error e = {0};
    fa_tensors *from, *to;
    char *source = check_golden("deepseek-v3-tiny"), *folder = check_scratch(), out[300];
    snprintf(out, sizeof out, "%s/out", folder);
    check_output o = must(check_command(QUANTIZE "%s '%s' '%s'", f->options, source, out));
    check_output_free(&o);
    CHECK_OK(fa_tensors_open(&from, source, &e), &e);
    CHECK_OK(fa_tensors_open(&to, out, &e), &e);
    static const char *const names[] = {
        "model.layers.0.self_attn.o_proj.weight", "model.layers.0.self_attn.kv_a_proj_with_mqa.weight",
        "model.layers.1.mlp.experts.3.up_proj.weight", "model.layers.1.mlp.shared_experts.down_proj.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) expect_close(f, from, to, names[i]);
    fa_tensors_close(from), fa_tensors_close(to);
    check_remove(folder);
    free(folder), free(source);
}

/* ---- the study ---- */

enum { ROWS = 9 };

typedef struct study {
    json_t *rows[ROWS];
} study;

static void read_rows(study *s, const char *out) {
    for (int i = 0; i < ROWS; i++, out += strcspn(out, "\n") + 1) {
        s->rows[i] = json_loads(out, JSON_DISABLE_EOF_CHECK, NULL);
        CHECK(s->rows[i], "row %d: %.80s", i, out);
    }
    CHECK(!*out, "%s", out);
}

static double number(const json_t *row, const char *key) {
    const json_t *v = json_object_get(row, key);
    CHECK(json_is_number(v), "no %s", key);
    return json_number_value(v);
}

/* Rows of the study and modes of `fathom eval --compare` that are the same. */
static const struct pair {
    int row;
    const char *mode;
} pairs[] = {{0, "fp32"}, {1, "w8a16"}, {2, "w8a8"}, {3, "w8a8, fp8 cache"}};

static void expect_as_eval_says(const study *s, const char *source, const char *folder, const char *file) {
    check_output o = must(check_command(QUANTIZE "'%s' '%s/out'", source, folder));
    check_output_free(&o);
    o = must(
        check_command("\"$FATHOM_BIN\" eval --json --model '%s/out' --reference '%s' --compare=w8a16,w8a8,w8a8:fp8 "
                      "--ctx 1024 --perplexity '%s'",
                      folder, source, file));
    const char *at = o.out;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++, at += strcspn(at, "\n") + 1) {
        json_t *line = json_loads(at, JSON_DISABLE_EOF_CHECK, NULL);
        CHECK(line && !strcmp(json_string_value(json_object_get(line, "mode")), pairs[i].mode), "%s", at);
        double want = number(line, "perplexity"), found = number(s->rows[pairs[i].row], "perplexity");
        CHECK(fabs(found / want - 1) < 1e-5, "row %d: %.7g, eval says %.7g", pairs[i].row, found, want);
        json_decref(line);
    }
    check_output_free(&o);
}

static void the_study_holds(void *unused) {
    (void)unused;
    char *source = check_golden("deepseek-v3-tiny"), *folder = check_scratch();
    char *file = check_write(folder, "t", text, sizeof text - 1);
    check_output o = must(check_command("TMPDIR='%s' " QUANTIZE "'%s' --study '%s' --json", folder, source, file));
    study s;
    read_rows(&s, o.out);
    CHECK(number(s.rows[0], "change") == 0 && number(s.rows[0], "same_choice") == 1);
    for (int i = 0; i < ROWS; i++) {
        const json_t *layers = json_object_get(s.rows[i], "hidden_error");
        CHECK(json_array_size(layers) == 3, "row %d", i);
        double last = json_number_value(json_array_get(layers, 2));
        CHECK(i ? last > 0 && last < 1 : last == 0, "row %d: %g", i, last);
    }
    /* codes of k mantissa bits: a uniform error in a step is 0.29 / 2^k of the middle of a binade, less behind it */
    for (int i = 1; i < 7; i++) {
        double error = number(s.rows[i], "weights_error"), low = i < 5 ? 0.02 : 0.04;
        CHECK(error > low && error < 2 * low, "row %d: %g", i, error);
        CHECK(json_array_size(json_object_get(s.rows[i], "layer_weights_error")) == 3);
    }
    expect_as_eval_says(&s, source, folder, file);
    check_output left = check_command("ls -d '%s'/fathom-* 2>/dev/null", folder);
    CHECK(!*left.out, "%s", left.out);
    check_output_free(&left);
    for (int i = 0; i < ROWS; i++) json_decref(s.rows[i]);
    check_output_free(&o);
    check_remove(folder);
    free(folder), free(source), free(file);
}

/* Of answers the study reads the same as `fathom rollout` wrote. */
static void answers_are_predicted_alone(void *unused) {
    (void)unused;
    char *source = check_golden("deepseek-v3-tiny"), *folder = check_scratch();
    static const char prompts[] = "{\"ids\": [5, 6, 7, 8, 9]}\n{\"ids\": [300, 2, 40]}\n";
    free(check_write(folder, "p", prompts, sizeof prompts - 1));
    check_output o = must(
        check_command("\"$FATHOM_BIN\" rollout --model '%s' -q -s 2 -n 30 '%s/p' >'%s/a.jsonl' && cat '%s/a.jsonl'",
                      source, folder, folder, folder));
    double sum = 0;
    int tokens = 0;
    for (const char *at = o.out; *at; at += strcspn(at, "\n") + 1) {
        json_t *line = json_loads(at, JSON_DISABLE_EOF_CHECK, NULL), *value;
        size_t i;
        json_array_foreach(json_object_get(line, "logprobs"), i, value) {
            sum -= json_real_value(value);
            tokens++;
        }
        json_decref(line);
    }
    check_output_free(&o);
    o = must(check_command(QUANTIZE "'%s' --study '%s/a.jsonl' --json", source, folder));
    study s;
    read_rows(&s, o.out);
    CHECK(number(s.rows[0], "tokens") == tokens && tokens > 60, "%g of %d", number(s.rows[0], "tokens"), tokens);
    double found = log(number(s.rows[0], "perplexity")) * tokens;
    CHECK(fabs(found / sum - 1) < 1e-5, "%.8g, rollout says %.8g", found, sum);
    for (int i = 0; i < ROWS; i++) json_decref(s.rows[i]);
    check_output_free(&o);
    check_remove(folder);
    free(folder), free(source);
}

static void refusals(void *unused) {
    (void)unused;
    static const check_refusal uses[] = {
        {"quantize a --study b c", "--study writes no model: leave 'c' out", 2},
        {"quantize --study b", "give the model to read", 2},
        {"quantize --codes e3m4 a b", "'e3m4' is neither e4m3 nor e5m2", 2},
        {"quantize --scales row a b", "'row' is neither block nor tensor", 2},
        {"quantize models/fathom-r1-mini --study LICENSE", "the model is FP8 already", 1},
        {"quantize tests/golden/deepseek-v3-tiny --study /dev/null/x", "/dev/null/x", 1},
    };
    check_refusals(uses, sizeof uses / sizeof *uses);
}

int main(int argc, char **argv) {
    enum { FORMATS = sizeof formats / sizeof *formats, OTHERS = 3 };
    check_case cases[OTHERS + FORMATS] = {
        {"the study agrees with quantize and eval, and leaves nothing", the_study_holds, NULL},
        {"of answers it reads what `fathom rollout` wrote", answers_are_predicted_alone, NULL},
        {"wrong uses are refused", refusals, NULL},
    };
    for (int i = 0; i < FORMATS; i++)
        cases[OTHERS + i] = (check_case){formats[i].name, codes_are_near, (void *)&formats[i]};
    return check_main(argc, argv, cases, OTHERS + FORMATS);
}
