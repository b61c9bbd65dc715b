/* The planner and the simulated board agree: cycles that compute units work in a step of a golden model, counted by the clock while
 * the kernels run, and computed from the model's shape. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/planner/models.h"
#include "sim/planner/step.h"
#include "tests/lib/check.h"
#include "tests/lib/golden_model.h"

typedef struct line {
    const char *folder, *board;
    fa_numerics numerics;
    fa_cache_type cache;
    fa_weight_types types; /* of the golden model's files */
    int rows;              /* of the step */
} line;

static const line lines[] = {
    {"deepseek-v3-tiny-fp8", "u55c", FA_W8A8, FA_CACHE_F32, {HLS_E4M3, HLS_BF16}, 1},
    {"deepseek-v3-tiny-fp8", "u55c", FA_W8A8, FA_CACHE_F32, {HLS_E4M3, HLS_BF16}, 7},
    {"deepseek-v3-tiny-fp8", "v80", FA_W8A8, FA_CACHE_FP8, {HLS_E4M3, HLS_BF16}, 1},
    {"deepseek-v2-lite-tiny", "u280", FA_W8A16, FA_CACHE_BF16, {HLS_BF16, HLS_BF16}, 1},
    {"deepseek-v2-tiny", "u200", FA_W8A16, FA_CACHE_FP8, {HLS_BF16, HLS_BF16}, 3},
    {"deepseek-v3-tiny-fp8", "v80", FA_W8A8, FA_CACHE_F32, {HLS_E4M3, HLS_BF16}, 7},
    {"r1-distill-llama-tiny", "u55c", FA_W8A16, FA_CACHE_F32, {HLS_BF16, HLS_BF16}, 1},
    {"r1-distill-qwen-tiny", "v80", FA_W8A16, FA_CACHE_BF16, {HLS_BF16, HLS_BF16}, 5},
};
enum { N_LINES = sizeof lines / sizeof *lines, BEFORE = 40 };

/* Cycles of one step of `rows` rows of one sequence behind BEFORE positions. */
static double simulated(const line *l) {
    golden g;
    runner r;
    fa_backend_use before, after;
    char backend[64];
    golden_open(&g, l->folder);
    snprintf(backend, sizeof backend, "sim:%s", l->board);
    runner_open(&r, &(runner_options){
                        .path = g.dir, .backend = backend, .numerics = l->numerics, .cache = l->cache, .sequences = 1});
    int32_t ids[BEFORE + 16];
    for (int i = 0; i < BEFORE + 16; i++) ids[i] = (i * 7 + 3) % r.vocab;
    runner_prompt(&r, 0, ids, BEFORE, BEFORE, NULL, NULL);
    CHECK(r.backend->used && r.backend->used(r.backend, &before), "no board");
    runner_row rows[16];
    float *logits = must_alloc((size_t)l->rows * (size_t)r.vocab * sizeof *logits);
    for (int i = 0; i < l->rows; i++) rows[i] = (runner_row){0, BEFORE + i, ids[BEFORE + i]};
    runner_step(&r, rows, l->rows, logits, NULL);
    CHECK(r.backend->used(r.backend, &after));
    free(logits);
    runner_close(&r);
    golden_close(&g);
    return after.unit_cycles - before.unit_cycles;
}

static double planned(const line *l) {
    fa_config c;
    fa_board board;
    fa_routes routes;
    fa_error e;
    char *dir = check_golden(l->folder);
    CHECK_OK(fa_plan_model(&c, dir, &e), &e);
    CHECK_OK(fa_board_find(&board, l->board, &e), &e);
    free(dir);
    fa_hosts hosts = {.boards_per_host = 8, .nodes = 1};
    fa_plan_step s = {.model = &c,
                      .board = &board,
                      .hosts = &hosts,
                      .types = l->types,
                      .cache = l->cache,
                      .w8a8 = l->numerics == FA_W8A8,
                      .ways = 1,
                      .rows = l->rows,
                      .context = BEFORE + (l->rows + 1) / 2.0,
                      .logits = l->rows,
                      .resident = c.experts};
    if (c.experts) {
        fa_routes_zipf(&routes, &c, 0);
        s.routes = &routes;
    }
    fa_plan_ops dense, moe, head;
    fa_spent spent = {0};
    fa_plan_layer_ops(&dense, &c, false, l->types);
    if (c.experts) fa_plan_layer_ops(&moe, &c, true, l->types);
    fa_plan_head_ops(&head, &c, l->types);
    for (int i = 0; i < c.layers; i++)
        fa_plan_step_ops(&s, fa_config_is_moe(&c, i) ? &moe : &dense, &spent, NULL, NULL);
    fa_plan_step_ops(&s, &head, &spent, NULL, NULL);
    return spent.unit_seconds * board.build.clock_hz;
}

static void within_two_percent(void *arg) {
    const line *l = arg;
    double sim = simulated(l), plan = planned(l);
    CHECK(fabs(plan / sim - 1) < 0.02, "%.0f cycles planned, %.0f simulated: %.3f", plan, sim, plan / sim);
}

int main(int argc, char **argv) {
    check_case cases[N_LINES];
    char names[N_LINES][120];
    for (int i = 0; i < N_LINES; i++) {
        const line *l = &lines[i];
        snprintf(names[i], sizeof names[i], "%s, a step of %d on %s: planned cycles are the simulated within 2 %%",
                 l->folder, l->rows, l->board);
        cases[i] = (check_case){names[i], within_two_percent, (void *)l};
    }
    return check_main(argc, argv, cases, N_LINES);
}
