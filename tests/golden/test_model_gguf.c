/* GGUF models: golden folders rewritten as llama.cpp's converter would, and SmolLM2, a real one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_gguf.h"
#include "tests/lib/golden_model.h"

typedef struct gguf_case {
    const char *name, *folder;
    golden_gguf how;
} gguf_case;

static const gguf_case rewritten[] = {
    {"deepseek2: V3, kv_b split and transposed", "deepseek-v3-tiny", {0}},
    {"deepseek2: V3, kv_b whole", "deepseek-v3-tiny", {.whole_kv_b = true}},
    {"deepseek2: V2-Lite, kv_b split and transposed", "deepseek-v2-lite-tiny", {0}},
    {"deepseek2: V2-Lite, kv_b whole", "deepseek-v2-lite-tiny", {.whole_kv_b = true}},
    {"llama: permuted q and k", "deepseek-llm-tiny", {0}},
    {"llama: grouped queries, linear scaling", "deepseek-coder-tiny", {0}},
    {"llama: llama3 scaling as a tensor of divisors", "r1-distill-llama-tiny", {0}},
    {"qwen2: biases, tied embedding", "r1-distill-qwen-tiny", {0}},
    {"qwen2: untied, in F16", "r1-distill-qwen-tiny-untied", {.f16 = true}},
};

/* The same logits as the safetensors folder must give. BF16 weights are the same numbers there; in F16 they are, too,
 * but for those below 2^-14. */
static void rewritten_logits(void *arg) {
    const gguf_case *c = arg;
    golden g;
    runner r;
    golden_open(&g, c->folder);
    char *scratch = check_scratch(), *path = golden_to_gguf(c->folder, scratch, &c->how);
    runner_open(&r, &(runner_options){.path = path, .numerics = FA_W8A16});
    float *found = must_alloc((size_t)GOLDEN_MAX_IDS * (size_t)r.vocab * sizeof(float));
    for (int i = 0; i < g.n_prompts; i++) {
        const golden_prompt *p = &g.prompts[i];
        int rows = p->all ? p->n : 1;
        runner_prompt(&r, 0, p->ids, p->n, p->n, found, NULL);
        golden_close_to(p->name, found + (int64_t)(p->n - rows) * r.vocab,
                        golden_blob(&g, p->name, "logits", (int64_t)rows * r.vocab), (int64_t)rows * r.vocab);
    }
    free(found);
    runner_close(&r);
    golden_close(&g);
    check_remove(scratch);
    free(scratch);
    free(path);
}

/* FATHOM_SMOLLM2, or where `make run` keeps the file. */
static void smollm2_path(char *path, size_t size) {
    const char *named = getenv("FATHOM_SMOLLM2"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const char *file = "fathom/SmolLM2-135M-Instruct.Q4_1.gguf";
    if (named && *named)
        snprintf(path, size, "%s", named);
    else if (cache && *cache)
        snprintf(path, size, "%s/%s", cache, file);
    else
        snprintf(path, size, "%s/.cache/%s", home ? home : "", file);
    if (access(path, R_OK)) check_skip("no file %s (make run fetches it)", path);
}

/* The next row of every prompt in one step, as a server would: row i of `logits` is of prompt i. */
static void next_rows(const golden *g, runner *r, int k, float *logits) {
    runner_row rows[GOLDEN_MAX_PROMPTS];
    for (int i = 0; i < g->n_prompts; i++)
        rows[i] = (runner_row){i, g->prompts[i].n + k, g->prompts[i].ids[g->prompts[i].n + k]};
    runner_step(r, rows, g->n_prompts, logits, NULL);
}

static int safe_tokens(const golden_prompt *p) {
    return (int)json_integer_value(json_object_get(p->json, "safe_tokens"));
}

static void smollm2(void *unused) {
    (void)unused;
    char path[512];
    smollm2_path(path, sizeof path);
    golden g;
    runner r;
    golden_open(&g, "smollm2");
    runner_open(&r, &(runner_options){.path = path, .numerics = FA_W8A16, .positions = 128, .sequences = g.n_prompts});
    size_t row = (size_t)r.vocab;
    float *found = must_alloc(GOLDEN_MAX_IDS * row * sizeof(float)),
          *next = must_alloc((size_t)g.n_prompts * row * sizeof(float));
    int most = 0;
    for (int i = 0; i < g.n_prompts; i++) {
        const golden_prompt *p = &g.prompts[i];
        char name[16];
        snprintf(name, sizeof name, "P%d", i);
        runner_prompt(&r, i, p->ids, p->n, p->n, found, NULL);
        memcpy(next + (size_t)i * row, found + (size_t)(p->n - 1) * row, row * sizeof(float));
        golden_close_to(name, next + (size_t)i * row, golden_blob(&g, name, "logits_last", r.vocab), r.vocab);
        most = safe_tokens(p) > most ? safe_tokens(p) : most;
    }
    CHECK(most > 0);
    for (int k = 0; k < most; k++) {
        for (int i = 0; i < g.n_prompts; i++) {
            const golden_prompt *p = &g.prompts[i];
            int id = golden_argmax(next + (size_t)i * row, r.vocab), want = p->ids[p->n + k];
            CHECK(k >= safe_tokens(p) || id == want, "P%d: token %d is %d, want %d", i, k, id, want);
        }
        next_rows(&g, &r, k, next);
    }
    free(found);
    free(next);
    runner_close(&r);
    golden_close(&g);
}

int main(int argc, char **argv) {
    enum { N = sizeof rewritten / sizeof *rewritten };
    check_case cases[N + 1] = {{"SmolLM2: logits and every safe greedy id", smollm2, NULL}};
    for (int i = 0; i < N; i++) cases[1 + i] = (check_case){rewritten[i].name, rewritten_logits, (void *)&rewritten[i]};
    return check_main(argc, argv, cases, N + 1);
}
