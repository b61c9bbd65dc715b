/* fathom logits, trace, quantize and bench, in the forms that scripts use. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/golden_model.h"

/* "1,2,3", malloc'd. */
static char *id_list(const golden_prompt *p) {
    char *text = must_alloc((size_t)p->n * 12 + 1), *end = text;
    *text = 0;
    for (int i = 0; i < p->n; i++) end += sprintf(end, "%s%d", i ? "," : "", p->ids[i]);
    return text;
}

static const golden_prompt *longest_prompt(const golden *g) {
    const golden_prompt *best = &g->prompts[0];
    for (int i = 1; i < g->n_prompts; i++)
        if (g->prompts[i].all && g->prompts[i].n > best->n) best = &g->prompts[i];
    CHECK(best->all && best->n > 1);
    return best;
}

static check_output must(check_output o) {
    CHECK(o.status == 0, "status %d: %s", o.status, o.err);
    return o;
}

/* The F32 tensor `logits` of a file, which must be [rows, vocab]. */
static void compare_logits(const char *file, const float *want, int64_t rows, int64_t vocab) {
    fa_error e;
    fa_tensors *ts;
    CHECK_OK(fa_tensors_open(&ts, file, &e), &e);
    const fa_tensor *t = fa_tensors_find(ts, "logits");
    CHECK(t && fa_tensors_count(ts) == 1 && t->type == FA_F32 && t->n_dims == 2);
    CHECK(t->shape[0] == rows && t->shape[1] == vocab, "[%lld, %lld]", (long long)t->shape[0], (long long)t->shape[1]);
    golden_close_to(file, t->data, want, rows * vocab);
    fa_tensors_close(ts);
}

static void logits_are_the_golden_ones(void *arg) {
    const char *model = arg;
    golden g;
    golden_open(&g, model);
    const golden_prompt *p = longest_prompt(&g);
    char *ids = id_list(p), *folder = check_folder(), *file = NULL;
    CHECK(asprintf(&file, "%s/f.safetensors", folder) > 0);
    fa_error e;
    json_t *config;
    int64_t vocab;
    char *config_path = NULL;
    CHECK(asprintf(&config_path, "%s/config.json", g.dir) > 0);
    CHECK_OK(fa_json_load(&config, config_path, &e), &e);
    CHECK_OK(fa_json_int(config, "vocab_size", 1, 1 << 24, 0, &vocab, "config.json", &e), &e);
    const float *want = golden_blob(&g, p->name, "logits", p->n * vocab);
    check_output o =
        must(check_command("\"$FATHOM_BIN\" logits --model '%s' --ids %s --all --numerics w8a16 --backend cpu "
                           "--threads 2 --out '%s'",
                           g.dir, ids, file));
    CHECK(o.out_bytes == 0 && !*o.err, "%s%s", o.out, o.err);
    compare_logits(file, want, p->n, vocab);
    check_output_free(&o);
    o = must(check_command("\"$FATHOM_BIN\" logits --model '%s' --ids %s --numerics w8a16 --cache f32 --out '%s'",
                           g.dir, ids, file));
    compare_logits(file, want + (p->n - 1) * vocab, 1, vocab);
    check_output_free(&o);
    json_decref(config);
    free(config_path);
    free(ids);
    free(file);
    check_folder_remove(folder);
    golden_close(&g);
}

/* A line of trace against routing.PROMPT.LAYER of golden.json, which lists experts as they were chosen. */
static void compare_route(const json_t *line, const json_t *routing) {
    char layer[16];
    int position = (int)json_integer_value(json_object_get(line, "position"));
    snprintf(layer, sizeof layer, "%d", (int)json_integer_value(json_object_get(line, "layer")));
    const json_t *want = json_object_get(routing, layer), *found = json_object_get(line, "experts");
    const json_t *experts = json_array_get(json_object_get(want, "experts"), (size_t)position);
    const json_t *weights = json_array_get(json_object_get(want, "weights"), (size_t)position);
    size_t n = json_array_size(experts);
    CHECK(n > 0 && json_array_size(found) == n, "layer %s, position %d", layer, position);
    for (size_t k = 0; k < n; k++) {
        json_int_t id = json_integer_value(json_array_get(found, k));
        CHECK(k == 0 || id > json_integer_value(json_array_get(found, k - 1)), "experts do not rise");
        size_t at = 0;
        while (at < n && json_integer_value(json_array_get(experts, at)) != id) at++;
        CHECK(at < n, "layer %s, position %d: expert %lld was not chosen", layer, position, (long long)id);
        double a = json_number_value(json_array_get(json_object_get(line, "weights"), k));
        double b = json_number_value(json_array_get(weights, at));
        CHECK(fabs(a - b) <= 1e-5 * fabs(b), "expert %lld: weight %.9g, wanted %.9g", (long long)id, a, b);
    }
}

static void trace_shows_the_golden_routes(void *arg) {
    golden g;
    fa_error e;
    golden_open(&g, arg);
    const json_t *routing_of = json_object_get(g.json, "routing");
    int found = 0;
    for (int i = 0; i < g.n_prompts; i++) {
        const json_t *routing = json_object_get(routing_of, g.prompts[i].name);
        if (!routing) continue;
        char *ids = id_list(&g.prompts[i]);
        check_output o = must(check_command("\"$FATHOM_BIN\" trace --model '%s' --ids %s --cache f32", g.dir, ids));
        int lines = 0;
        for (char *text = strtok(o.out, "\n"); text; text = strtok(NULL, "\n"), lines++) {
            json_t *line;
            CHECK_OK(fa_json_parse(&line, text, strlen(text), "trace", &e), &e);
            compare_route(line, routing);
            json_decref(line);
        }
        int wanted = (int)json_object_size(routing) * g.prompts[i].n;
        CHECK(lines == wanted, "%d lines, wanted %d", lines, wanted);
        free(ids);
        check_output_free(&o);
        found++;
    }
    CHECK(found > 0);
    golden_close(&g);
}

static void trace_goes_on_for_new_tokens(void *arg) {
    (void)arg;
    check_output o = must(check_command("\"$FATHOM_BIN\" trace --model '%s/deepseek-v3-tiny' --ids 1,2,3 -n 5 | wc -l",
                                        check_golden_dir()));
    CHECK(atoi(o.out) == (3 + 5) * 2, "%s lines", o.out);
    check_output_free(&o);
}

static void quantized_model_answers(void *arg) {
    const char *model = arg;
    char *folder = check_folder();
    check_output o =
        must(check_command("\"$FATHOM_BIN\" quantize --json '%s/%s' '%s/fp8'", check_golden_dir(), model, folder));
    int quantised = 0;
    for (char *text = strtok(o.out, "\n"); text; text = strtok(NULL, "\n")) {
        fa_error e;
        json_t *line;
        CHECK_OK(fa_json_parse(&line, text, strlen(text), "quantize", &e), &e);
        double error = json_number_value(json_object_get(line, "relative_rms"));
        bool fp8 = !strcmp(json_string_value(json_object_get(line, "to")), "F8_E4M3");
        CHECK(fp8 ? error > 0.005 && error < 0.05 : error < 0.005, "%s", text); /* E4M3 rounds by 1/16 at most */
        quantised += fp8;
        json_decref(line);
    }
    CHECK(quantised > 5, "%d tensors", quantised);
    check_output_free(&o);
    o = must(check_command("\"$FATHOM_BIN\" run --model '%s/fp8' --ids 5,6,7 -n 8 --temp 0 --ignore-eos --print-ids",
                           folder));
    check_output_free(&o);
    o = check_command("\"$FATHOM_BIN\" quantize '%s/fp8' '%s/again'; ls '%s'", folder, folder, folder);
    CHECK(strstr(o.err, "FP8 already") && !strcmp(o.out, "fp8\n"), "%s%s", o.out, o.err);
    check_output_free(&o);
    check_folder_remove(folder);
}

static void bench_prints_a_line_a_repeat(void *arg) {
    (void)arg;
    check_output o = must(check_command(
        "\"$FATHOM_BIN\" bench --model '%s/deepseek-v3-tiny-fp8' --prompt 16 -n 4 --repeat 2", check_golden_dir()));
    int lines = 0;
    for (char *text = strtok(o.out, "\n"); text; text = strtok(NULL, "\n"), lines++) {
        fa_error e;
        json_t *line;
        CHECK_OK(fa_json_parse(&line, text, strlen(text), "bench", &e), &e);
        static const char *const positive[] = {"prompt_tokens_per_s",    "decode_tokens_per_s", "weight_bytes_per_s",
                                               "weight_bytes_per_token", "peak_resident_bytes", "cache_bytes"};
        for (size_t i = 0; i < sizeof positive / sizeof *positive; i++)
            CHECK(json_number_value(json_object_get(line, positive[i])) > 0, "%s: %s", positive[i], text);
        json_decref(line);
    }
    CHECK(lines == 2, "%d lines", lines);
    check_output_free(&o);
}

/* The generator of `make bench`: what it makes must load, pass the NaN check and give numbers. */
static void generated_model_runs(void *arg) {
    char *folder = check_folder();
    check_output o =
        must(check_command("\"$FATHOM_BUILD/tests/bench/make_model\" %s '%s/m' && \"$FATHOM_BIN\" run --model '%s/m' "
                           "--numerics w8a8 --ids 1,2,3 -n 8 --temp 0 --ignore-eos --print-ids",
                           (const char *)arg, folder, folder));
    int commas = 0;
    for (const char *c = o.out; *c; c++) commas += *c == ',';
    CHECK(commas == 7, "%s", o.out);
    check_output_free(&o);
    check_folder_remove(folder);
}

static void wrong_use_says_what(void *arg) {
    (void)arg;
    static const check_refusal uses[] = {
        {"logits --ids 1,2 --model X", "--out", 2},
        {"logits --out /tmp/x --model X", "--ids", 2},
        {"logits --out /tmp/x --model X --ids 1 text", "--ids", 2},
        {"logits --out /tmp/x --model tests/golden/deepseek-llm-tiny --ids 1,zwei", "zwei", 1},
        {"logits --out /tmp/x --model tests/golden/deepseek-llm-tiny --ids 99999999", "99999999", 1},
        {"logits --out /nonexistent/x --model tests/golden/deepseek-llm-tiny --ids 1", "/nonexistent/x", 1},
        {"trace --model tests/golden/deepseek-llm-tiny --ids 1", "no experts", 1},
        {"quantize only-one", "folder to write", 2},
        {"quantize /nonexistent /tmp/never", "/nonexistent", 1},
        {"bench --model tests/golden/deepseek-llm-tiny -n 1", "-n", 2},
    };
    check_refusals(uses, sizeof uses / sizeof *uses);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"logits of an MLA model with experts are the golden ones", logits_are_the_golden_ones, "deepseek-v3-tiny"},
        {"logits of a Llama are the golden ones", logits_are_the_golden_ones, "deepseek-llm-tiny"},
        {"logits of a Qwen2 are the golden ones", logits_are_the_golden_ones, "r1-distill-qwen-tiny"},
        {"trace shows the golden routes: V3", trace_shows_the_golden_routes, "deepseek-v3-tiny"},
        {"trace shows the golden routes: V2", trace_shows_the_golden_routes, "deepseek-v2-tiny"},
        {"trace goes on for new tokens", trace_goes_on_for_new_tokens, NULL},
        {"a quantized V3 answers", quantized_model_answers, "deepseek-v3-tiny"},
        {"a quantized Qwen2 answers", quantized_model_answers, "r1-distill-qwen-tiny"},
        {"bench prints a line a repeat", bench_prints_a_line_a_repeat, NULL},
        {"a generated FP8 Llama runs", generated_model_runs, "llama-tiny"},
        {"a generated FP8 V3 runs", generated_model_runs, "v3-moe-tiny"},
        {"wrong use of the tools says what is wrong", wrong_use_says_what, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
