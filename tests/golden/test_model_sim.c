/* Every golden model on simulated boards, behind XRT's emulation and spread over several boards: the bits of the cpu backend, whatever the
 * board, placement, numerics and cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/placement.h"
#include "host/model/shape.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_model.h"

typedef struct line {
    const char *folder, *board;
    fa_numerics numerics;
    fa_cache_type cache;
    int boards; /* that the model is spread over; 0: one, without a placement */
} line;

#define THREE "sim:tests/fixtures/boards/three-units.board"
#define FOUR "tests/fixtures/boards/four-units.board"

/* every folder, every number of units */
static const line lines[] = {
    {"deepseek-v3-tiny-fp8", "sim:u55c", FA_W8A8, FA_CACHE_F32, 0},
    {"deepseek-v3-tiny-fp8", "sim:v80", FA_W8A16, FA_CACHE_FP8, 0},
    {"deepseek-v3-tiny-fp8", THREE, FA_W8A8, FA_CACHE_FP8, 0},
    {"deepseek-v3-tiny", "sim:v80", FA_W8A16, FA_CACHE_BF16, 0},
    {"deepseek-v3-tiny-mtp", "sim:u280", FA_W8A16, FA_CACHE_F32, 0},
    {"deepseek-v2-lite-tiny", THREE, FA_W8A16, FA_CACHE_F32, 0},
    {"deepseek-v2-lite-tiny", "sim:u200", FA_W8A16, FA_CACHE_FP8, 0},
    {"deepseek-v2-tiny", "sim:v80", FA_W8A16, FA_CACHE_F32, 0},
    {"deepseek-llm-tiny", "sim:v80", FA_W8A16, FA_CACHE_F32, 0},
    {"deepseek-llm-tiny", "sim:u50", FA_W8A16, FA_CACHE_FP8, 0},
    {"deepseek-coder-tiny", THREE, FA_W8A16, FA_CACHE_F32, 0},
    {"r1-distill-qwen-tiny", "sim:v80", FA_W8A16, FA_CACHE_BF16, 0},
    {"r1-distill-qwen-tiny-untied", "sim:vhk158", FA_W8A16, FA_CACHE_F32, 0},
    {"r1-distill-llama-tiny", "sim:u55c", FA_W8A16, FA_CACHE_F32, 0},
    {"deepseek-v3-tiny-fp8", "xrt:emu:" FOUR, FA_W8A8, FA_CACHE_FP8, 0},
    {"deepseek-v3-tiny", "xrt:emu:u280", FA_W8A16, FA_CACHE_BF16, 0},
    {"deepseek-v3-tiny-mtp", "xrt:emu:u50", FA_W8A16, FA_CACHE_F32, 0},
    {"deepseek-v2-lite-tiny", "xrt:emu:" FOUR, FA_W8A16, FA_CACHE_F32, 0},
    {"deepseek-v2-tiny", "xrt:emu:u200", FA_W8A16, FA_CACHE_F32, 0},
    {"r1-distill-llama-tiny", "xrt:hw_emu:" FOUR, FA_W8A16, FA_CACHE_BF16, 0},
    {"deepseek-v3-tiny-fp8", "cpu", FA_W8A8, FA_CACHE_FP8, 1},
    {"deepseek-v3-tiny-fp8", "cpu", FA_W8A8, FA_CACHE_F32, 2},
    {"deepseek-v3-tiny-fp8", "cpu", FA_W8A16, FA_CACHE_FP8, 5},
    {"deepseek-v3-tiny", "cpu", FA_W8A16, FA_CACHE_BF16, 3},
    {"deepseek-v3-tiny-mtp", "cpu", FA_W8A16, FA_CACHE_F32, 8},
    {"deepseek-v2-lite-tiny", "reference", FA_W8A16, FA_CACHE_F32, 3},
    {"deepseek-v2-tiny", "opencl", FA_W8A16, FA_CACHE_F32, 2},
    {"r1-distill-qwen-tiny", "cpu", FA_W8A16, FA_CACHE_BF16, 2},
    {"deepseek-v3-tiny-fp8", "sim:u55c", FA_W8A8, FA_CACHE_FP8, 2},
    {"deepseek-v3-tiny", THREE, FA_W8A16, FA_CACHE_F32, 3},
    {"deepseek-v2-lite-tiny", "sim:u200", FA_W8A16, FA_CACHE_BF16, 4},
    {"r1-distill-llama-tiny", "sim:v80", FA_W8A16, FA_CACHE_F32, 2},
    {"deepseek-v3-tiny-fp8", "xrt:emu:" FOUR, FA_W8A8, FA_CACHE_FP8, 2},
};
enum { N_LINES = sizeof lines / sizeof *lines, STEPS = 3 };

/* The prompts cut into different chunks, then some single rows; logits of all, [ids of all prompts, vocab]. */
static float *all_logits(const golden *g, const line *l, const char *backend, const char *placement, size_t *n) {
    runner r;
    fa_backend *b;
    fa_error e;
    fa_backend_options options = {.name = backend, .threads = 2, .node = -1, .placement = placement};
    fa_status s = fa_backend_open(&b, &options, &e);
    if (s == FA_EUNSUPPORTED && (strstr(backend, "xrt") || !strcmp(backend, "opencl"))) check_skip("%s", e.text);
    CHECK_OK(s, &e);
    runner_open(&r,
                &(runner_options){
                    .path = g->dir, .given = b, .numerics = l->numerics, .cache = l->cache, .sequences = g->n_prompts});
    float *logits = must_alloc((size_t)g->n_prompts * GOLDEN_MAX_IDS * (size_t)r.vocab * sizeof *logits),
          *next = logits;
    for (int i = 0; i < g->n_prompts; i++) {
        const golden_prompt *p = &g->prompts[i];
        int rows = p->n < 70 ? p->n : 70; /* into the second page */
        runner_prompt(&r, i, p->ids, rows, i ? 23 : rows, next, NULL);
        next += (int64_t)rows * r.vocab;
    }
    for (int k = 0; k < STEPS; k++) { /* one row of each sequence */
        runner_row row[GOLDEN_MAX_PROMPTS];
        for (int i = 0; i < g->n_prompts; i++) {
            int n_first = g->prompts[i].n < 70 ? g->prompts[i].n : 70;
            row[i] = (runner_row){i, n_first + k, g->prompts[i].ids[k]};
        }
        runner_step(&r, row, g->n_prompts, next, NULL);
        next += (int64_t)g->n_prompts * r.vocab;
    }
    *n = (size_t)(next - logits);
    runner_close(&r);
    return logits;
}

/* Layers and experts anywhere, some experts on several boards; written to folder/p.json, malloc'd. */
static char *random_placement(const char *folder, const char *model, int boards) {
    fa_config c;
    fa_board_placement p;
    fa_error e;
    check_rng rng = {(uint64_t)boards};
    CHECK_OK(fa_config_load(&c, model, &e), &e);
    CHECK_OK(fa_board_placement_make(&p, boards, c.layers + c.mtp_layers, c.experts, &e), &e);
    p.shape = fa_config_shape(&c);
    p.head = (int32_t)(check_u64(&rng) % (uint64_t)boards);
    for (int i = 0; i < p.layers; i++) {
        p.layer[i] = (int32_t)(check_u64(&rng) % (uint64_t)boards);
        for (int x = 0; x < p.experts; x++) {
            p.expert[i * p.experts + x] = 1u << check_u64(&rng) % (uint64_t)boards;
            if (x % 3 == 0) p.expert[i * p.experts + x] |= 1u << check_u64(&rng) % (uint64_t)boards;
        }
    }
    char *path = NULL;
    CHECK(asprintf(&path, "%s/p.json", folder) > 0);
    CHECK_OK(fa_board_placement_write(&p, path, &e), &e);
    fa_board_placement_free(&p);
    return path;
}

static void same_bits(void *arg) {
    const line *l = arg;
    golden g;
    golden_open(&g, l->folder);
    size_t n, n_sim;
    char *folder = check_scratch(), *placement = l->boards ? random_placement(folder, g.dir, l->boards) : NULL;
    float *cpu = all_logits(&g, l, "cpu", NULL, &n), *sim = all_logits(&g, l, l->board, placement, &n_sim);
    check_remove(folder);
    free(folder);
    free(placement);
    CHECK(n == n_sim, "%zu and %zu logits", n, n_sim);
    for (size_t i = 0; i < n; i++)
        CHECK(!memcmp(&cpu[i], &sim[i], sizeof *cpu), "logit %zu of %zu: cpu %.9g, sim %.9g", i, n, (double)cpu[i],
              (double)sim[i]);
    free(cpu);
    free(sim);
    golden_close(&g);
}

int main(int argc, char **argv) {
    check_case cases[N_LINES];
    char names[N_LINES][160];
    static const char *const numerics[] = {"w8a8", "w8a16"}, *const caches[] = {"f32", "bf16", "fp8"};
    for (int i = 0; i < N_LINES; i++) {
        const line *l = &lines[i];
        char boards[32] = "";
        if (l->boards) snprintf(boards, sizeof boards, "%d placed boards of ", l->boards);
        snprintf(names[i], sizeof names[i], "%s, %s, cache %s: %s%s gives the bits of cpu", l->folder,
                 numerics[l->numerics], caches[l->cache], boards, l->board);
        cases[i] = (check_case){names[i], same_bits, (void *)l};
    }
    return check_main(argc, argv, cases, N_LINES);
}
