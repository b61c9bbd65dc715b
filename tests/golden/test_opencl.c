/* Whole models on an OpenCL device: every logit has the bits that `cpu` gives it, wherever the weights are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_engine.h"
#include "tests/lib/golden_gguf.h"
#include "tests/lib/golden_model.h"

typedef struct model_case {
    const char *name, *folder;
    fa_numerics numerics;
    fa_cache_type cache;
    bool mtp;
    const char *megabytes; /* FATHOM_OPENCL_MB: device memory for weights; NULL: what it has */
    const char *host;      /* what the backend then says of itself, or NULL */
    bool gguf;
    bool copy; /* FATHOM_OPENCL_COPY: as on a device with memory of its own */
} model_case;

static const model_case cases[] = {
    {"V3, w8a16", "deepseek-v3-tiny", FA_W8A16, .cache = FA_CACHE_F32},
    {"V3, BF16 cache", "deepseek-v3-tiny", FA_W8A16, .cache = FA_CACHE_BF16},
    {"V3 FP8, w8a8", "deepseek-v3-tiny-fp8", FA_W8A8, .cache = FA_CACHE_F32},
    {"V3 FP8, w8a8, FP8 cache", "deepseek-v3-tiny-fp8", FA_W8A8, .cache = FA_CACHE_FP8},
    {"V3 FP8, w8a16", "deepseek-v3-tiny-fp8", FA_W8A16, .cache = FA_CACHE_F32},
    {"V3 with its MTP layer", "deepseek-v3-tiny-mtp", FA_W8A16, .mtp = true},
    {"V2", "deepseek-v2-tiny", FA_W8A16, .cache = FA_CACHE_F32},
    {"V2-Lite", "deepseek-v2-lite-tiny", FA_W8A16, .cache = FA_CACHE_F32},
    {"LLM", "deepseek-llm-tiny", FA_W8A16, .cache = FA_CACHE_F32},
    {"Coder, FP8 cache", "deepseek-coder-tiny", FA_W8A16, .cache = FA_CACHE_FP8},
    {"R1-Distill-Llama", "r1-distill-llama-tiny", FA_W8A16, .cache = FA_CACHE_F32},
    {"R1-Distill-Qwen", "r1-distill-qwen-tiny", FA_W8A16, .cache = FA_CACHE_F32},
    {"R1-Distill-Qwen, untied", "r1-distill-qwen-tiny-untied", FA_W8A16, .cache = FA_CACHE_F32},
    {"V3 from GGUF", "deepseek-v3-tiny", FA_W8A16, .gguf = true},
    {"Llama from GGUF", "deepseek-llm-tiny", FA_W8A16, .gguf = true},
    {"V3 FP8, weights copied to the device", "deepseek-v3-tiny-fp8", FA_W8A8, .copy = true},
    {"Llama from GGUF, weights copied", "deepseek-llm-tiny", FA_W8A16, .gguf = true, .copy = true},
    {"V3 FP8 with no memory for weights", "deepseek-v3-tiny-fp8", FA_W8A8, .megabytes = "0",
     .host = "100 % of the weights on cpu"},
    {"V3 FP8 with memory for a part", "deepseek-v3-tiny-fp8", FA_W8A8, .megabytes = "0.4",
     .host = "% of the weights on cpu"},
    {"V3 FP8 with memory for some experts, copied", "deepseek-v3-tiny-fp8", FA_W8A8, .megabytes = "2",
     .host = "69 % of expert visits", .copy = true},
    {"V3 FP8 with memory for some experts, w8a16", "deepseek-v3-tiny-fp8", FA_W8A16, .megabytes = "2.5",
     .host = "47 % of expert visits"},
    {"V3 FP8, a part copied", "deepseek-v3-tiny-fp8", FA_W8A8, .megabytes = "0.4", .host = "% of the weights on cpu",
     .copy = true},
    {"Llama with memory for a part", "deepseek-llm-tiny", FA_W8A16, .megabytes = "0.5",
     .host = "% of the weights on cpu"},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void need_device(void) {
    fa_backend *b;
    fa_error e;
    fa_status s = fa_backend_open(&b, &(fa_backend_options){.name = "opencl", .threads = 1, .node = -1}, &e);
    if (s == FA_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK_OK(s, &e);
    b->close(b);
}

static void same_bits(const char *what, const float *got, const float *want, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        CHECK(!memcmp(&got[i], &want[i], sizeof *got), "%s: logit %lld is %a, cpu has %a", what, (long long)i,
              (double)got[i], (double)want[i]);
}

/* A prompt in pieces of 20 rows, then its continuation row by row, as an answer is made. */
static void run_ids(runner *r, const golden_prompt *p, bool mtp, float *logits) {
    runner_row rows[GOLDEN_MAX_IDS] = {{0}};
    int64_t vocab = r->vocab;
    runner_prompt(r, 0, p->ids, p->n, 20, logits, NULL);
    for (int k = 0; k < p->n_greedy && k < 4; k++)
        runner_step(r, &(runner_row){0, p->n + k, p->ids[p->n + k]}, 1, logits + (p->n + k) * vocab, NULL);
    if (!mtp) return;
    for (int t = 0; t < p->n; t++) rows[t] = (runner_row){0, t, p->ids[t]};
    runner_step(r, rows, p->n, NULL, NULL);
    for (int t = 0; t < p->n; t++) rows[t].token = p->ids[t + 1];
    runner_mtp(r, rows, p->n, logits + (p->n + 4) * vocab);
}

static void compare(const model_case *c, const golden *g, const char *path) {
    runner device, cpu;
    runner_options o = {.path = path, .backend = "opencl", .numerics = c->numerics, .cache = c->cache, .mtp = c->mtp};
    runner_open(&device, &o);
    o.backend = "cpu";
    runner_open(&cpu, &o);
    if (c->host) CHECK(strstr(device.backend->detail, c->host), "it says '%s'", device.backend->detail);
    if (!c->host) CHECK(!strstr(device.backend->detail, "on cpu"), "it says '%s'", device.backend->detail);
    size_t rows = 2 * GOLDEN_MAX_IDS + 4, n = rows * (size_t)cpu.vocab;
    float *got = must_alloc(n * sizeof *got), *want = must_alloc(n * sizeof *want);
    for (int i = 0; i < g->n_prompts; i++) {
        const golden_prompt *p = &g->prompts[i];
        memset(got, 0, n * sizeof *got);
        memset(want, 0, n * sizeof *want);
        run_ids(&device, p, c->mtp, got);
        run_ids(&cpu, p, c->mtp, want);
        same_bits(p->name, got, want, (int64_t)n);
    }
    free(got);
    free(want);
    runner_close(&device);
    runner_close(&cpu);
}

static void identical_logits(void *arg) {
    const model_case *c = arg;
    golden g;
    need_device();
    golden_open(&g, c->folder);
    char *scratch = check_scratch();
    char *path = c->gguf ? golden_to_gguf(c->folder, scratch, &(golden_gguf){0}) : strdup(g.dir);
    if (c->copy) setenv("FATHOM_OPENCL_COPY", "1", 1);
    if (c->megabytes) setenv("FATHOM_OPENCL_MB", c->megabytes, 1);
    compare(c, &g, path);
    unsetenv("FATHOM_OPENCL_MB");
    unsetenv("FATHOM_OPENCL_COPY");
    golden_close(&g);
    check_remove(scratch);
    free(scratch);
    free(path);
}

/* GGUF blocks, which the device gets as FP32. */
static void smollm2(void *unused) {
    (void)unused;
    const char *path = getenv("FATHOM_SMOLLM2");
    if (!path || !*path) check_skip("FATHOM_SMOLLM2 names no file");
    need_device();
    golden_prompt p = {.name = "SmolLM2", .n = 24, .n_greedy = 4};
    for (int i = 0; i < 28; i++) p.ids[i] = 1 + (i * 7919 + 13) % 40000;
    golden g = {.n_prompts = 1, .prompts = {p}};
    compare(&(model_case){.numerics = FA_W8A16}, &g, path);
}

/* ---- experts by trace ---- */

/* An engine whose device has memory for a part of the experts; what the backend says of itself to `detail`. */
static void part_logits(const char *backend, const char *trace, float *logits, char *detail, size_t size) {
    int32_t ids[30];
    fathom_error e = {0};
    fathom_info info;
    for (int i = 0; i < 30; i++) ids[i] = 20 + i * 3;
    fathom_engine *g = golden_engine_open(
        (fathom_options){.backend = backend, .logits_all = true, .numerics = "w8a8", .experts_by = trace},
        "deepseek-v3-tiny-fp8");
    fathom_engine_info(g, &info);
    snprintf(detail, size, "%s", info.backend_detail);
    CHECK(!fathom_logits(g, ids, 30, true, logits, &e), "%s", e.text);
    fathom_engine_close(g);
}

/* The share of visits to experts that the host computes, as the backend says it. */
static double visits_on_cpu(const char *detail) {
    const char *at = strstr(detail, "on cpu, ");
    double percent = -1;
    CHECK(at && sscanf(at, "on cpu, %lf %% of expert visits", &percent) == 1, "it says '%s'", detail);
    return percent;
}

/* The last experts are visited, which the device would otherwise hold last. */
static void write_trace(const char *path, const char *last_line) {
    FILE *f = fopen(path, "w");
    CHECK(f);
    for (int layer = 1; layer < 3; layer++)
        fprintf(f, "{\"position\":0,\"layer\":%d,\"experts\":[12,13,14,15],\"weights\":[0.25,0.25,0.25,0.25]}\n",
                layer);
    fputs(last_line, f);
    fclose(f);
}

static void by_trace(void *unused) {
    (void)unused;
    need_device();
    size_t n = 30 * 4096;
    float *got = must_alloc(n * sizeof *got), *want = must_alloc(n * sizeof *want);
    char alike[256], traced[256], cpu[256], *scratch = check_scratch(), *path = NULL;
    memset(got, 0, n * sizeof *got);
    memset(want, 0, n * sizeof *want);
    CHECK(asprintf(&path, "%s/routes.jsonl", scratch) > 0);
    write_trace(path, "");
    part_logits("cpu", NULL, want, cpu, sizeof cpu);
    setenv("FATHOM_OPENCL_MB", "2", 1); /* all that every token reads, and 10 of 32 experts */
    part_logits("opencl", NULL, got, alike, sizeof alike);
    same_bits("without a trace", got, want, (int64_t)n);
    part_logits("opencl", path, got, traced, sizeof traced);
    same_bits("by a trace", got, want, (int64_t)n);
    CHECK(visits_on_cpu(alike) > 20 && visits_on_cpu(traced) < 1, "'%s', by the trace '%s'", alike, traced);
    unsetenv("FATHOM_OPENCL_MB");
    write_trace(path, "{\"position\":0,\"layer\":1,\"experts\":[16]}\n");
    fathom_engine *g;
    fathom_error e = {0};
    char *model = check_golden("deepseek-v3-tiny-fp8");
    fathom_status s =
        fathom_engine_open(&g, &(fathom_options){.model = model, .backend = "cpu", .experts_by = path}, &e);
    CHECK(s == FATHOM_EFORMAT && strstr(e.text, "routes.jsonl: line 3: expert ids must be in 0..15"), "'%s'", e.text);
    free(model);
    check_remove(scratch);
    free(scratch);
    free(path);
    free(got);
    free(want);
}

/* One answer's commands in the file: complete events with names and times that can be. */
static void timeline(void *unused) {
    (void)unused;
    need_device();
    fathom_engine *g =
        golden_engine_open((fathom_options){.backend = "opencl", .timeline = true}, "deepseek-v3-tiny-fp8");
    fathom_session *s = golden_session(g, 1);
    golden_answer a;
    golden_ask(s, (const int32_t[]){5, 6, 7}, 3, &(fathom_sampling){.max_tokens = 2, .ignore_eos = true});
    golden_run(g, s, &a);
    char *scratch = check_scratch(), *path = NULL;
    fathom_error e = {0};
    CHECK(asprintf(&path, "%s/timeline.json", scratch) > 0);
    CHECK(!fathom_engine_timeline(g, path, &e), "%s", e.text);
    fathom_engine_close(g);
    json_t *file = json_load_file(path, 0, NULL), *event;
    size_t i, kernels = 0, transfers = 0;
    json_array_foreach(json_object_get(file, "traceEvents"), i, event) {
        if (strcmp(json_string_value(json_object_get(event, "ph")), "X")) continue;
        const char *name = json_string_value(json_object_get(event, "name"));
        double ts = json_number_value(json_object_get(event, "ts")),
               dur = json_number_value(json_object_get(event, "dur"));
        CHECK(ts >= 0 && dur >= 0 && ts + dur < 1e9, "%s at %g for %g", name, ts, dur);
        kernels += !strncmp(name, "fathom_", 7);
        transfers += !strcmp(name, "parameters");
    }
    CHECK(kernels > 20 && transfers > 2, "%zu kernels, %zu transfers", kernels, transfers);
    json_decref(file);
    check_remove(scratch);
    free(scratch);
    free(path);
}

int main(int argc, char **argv) {
    check_case all[N_CASES + 3];
    for (int i = 0; i < N_CASES; i++) all[i] = (check_case){cases[i].name, identical_logits, (void *)&cases[i]};
    all[N_CASES] = (check_case){"SmolLM2, a real GGUF model", smollm2, NULL};
    all[N_CASES + 1] = (check_case){"a timeline holds the commands of an answer", timeline, NULL};
    all[N_CASES + 2] = (check_case){"the experts that a trace visits lie on the device", by_trace, NULL};
    return check_main(argc, argv, all, N_CASES + 3);
}
