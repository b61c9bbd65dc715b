/* The planner and the simulated board agree: cycles that compute units work in a step of a model, counted by the clock while the
 * kernels run, and computed from the model's shape and from how many rows visited each expert. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/board/board.h"
#include "sim/device/sim.h"
#include "sim/planner/models.h"
#include "sim/planner/step.h"
#include "tests/lib/check.h"
#include "tests/lib/golden_model.h"

typedef struct line {
    const char *model, *board; /* a folder of the golden models; with a slash, of a model */
    fa_numerics numerics;
    fa_cache_type cache;
    fa_weight_types types; /* of the golden model's files */
    int rows;              /* of the step */
    int build_rows;        /* of the board's build; 0: as in its file */
} line;

static const fa_weight_types fp8 = {HLS_E4M3, HLS_BF16}, bf16 = {HLS_BF16, HLS_BF16};
static const line lines[] = {
    {"deepseek-v3-tiny-fp8", "u55c", FA_W8A8, FA_CACHE_F32, fp8, 1, 0},
    {"deepseek-v3-tiny-fp8", "u55c", FA_W8A8, FA_CACHE_F32, fp8, 7, 0},
    {"deepseek-v3-tiny-fp8", "v80", FA_W8A8, FA_CACHE_FP8, fp8, 1, 0},
    {"deepseek-v3-tiny-fp8", "v80", FA_W8A8, FA_CACHE_F32, fp8, 7, 0},
    {"deepseek-v2-lite-tiny", "u280", FA_W8A16, FA_CACHE_BF16, bf16, 1, 0},
    {"deepseek-v2-tiny", "u200", FA_W8A16, FA_CACHE_FP8, bf16, 3, 2},
    {"deepseek-v2-tiny", "u200", FA_W8A16, FA_CACHE_FP8, bf16, 3, 4},
    {"deepseek-v2-tiny", "u200", FA_W8A16, FA_CACHE_FP8, bf16, 13, 4},
    {"r1-distill-llama-tiny", "u55c", FA_W8A16, FA_CACHE_F32, bf16, 1, 0},
    {"r1-distill-qwen-tiny", "v80", FA_W8A16, FA_CACHE_BF16, bf16, 5, 0},
    {"models/fathom-r1-mini", "u55c", FA_W8A8, FA_CACHE_F32, fp8, 1, 0},
    {"models/fathom-r1-mini", "u200", FA_W8A8, FA_CACHE_F32, fp8, 13, 4},
    {"models/fathom-r1-mini", "v80", FA_W8A8, FA_CACHE_BF16, fp8, 8, 0},
};
enum { N_LINES = sizeof lines / sizeof *lines, BEFORE = 40, LAYERS = 16 };

/* What a line's step does: on which board, how often experts of each layer are visited. */
typedef struct step_seen {
    const line *line;
    fa_board board;
    fa_load load[LAYERS];
    double cycles;
} step_seen;

static void count_visits(void *ctx, int layer, int rows, int top_k, const int32_t *ids, const float *weights) {
    step_seen *s = ctx;
    hls_build build = {.rows = s->board.build.rows};
    fa_load *load = &s->load[layer];
    int32_t visits[FA_ROUTES_EXPERTS] = {0};
    (void)weights;
    CHECK(layer < LAYERS);
    for (int i = 0; i < rows * top_k; i++)
        if (ids[i] >= 0) visits[ids[i]]++;
    *load = (fa_load){.busiest = 1};
    for (int i = 0; i < FA_ROUTES_EXPERTS; i++) {
        hls_passes passes = hls_passes_of(&build, visits[i]);
        for (int k = 1; k <= build.rows; k++) load->passes.of[k] += passes.of[k];
    }
}

static char *path_of(const line *l) {
    return strchr(l->model, '/') ? strdup(l->model) : check_golden(l->model);
}

/* Cycles of one step of `rows` rows of one sequence behind BEFORE positions. */
static void simulate(step_seen *s) {
    const line *l = s->line;
    runner r;
    fa_backend_use before, after;
    fa_device *device;
    fa_backend *backend;
    fa_error e;
    char *path = path_of(l);
    CHECK_OK(fa_sim_open(&device, &s->board, &(sim_options){.threads = 1, .node = -1}, &e), &e);
    CHECK_OK(fa_board_backend_open(&backend, device, "sim", &e), &e);
    runner_open(&r, &(runner_options){
                        .path = path, .given = backend, .numerics = l->numerics, .cache = l->cache, .sequences = 1});
    int32_t ids[BEFORE + 16];
    for (int i = 0; i < BEFORE + 16; i++) ids[i] = (i * 7 + 3) % r.vocab;
    runner_prompt(&r, 0, ids, BEFORE, BEFORE, NULL, NULL);
    CHECK(r.backend->used(r.backend, &before));
    runner_row rows[16];
    float *logits = must_alloc((size_t)l->rows * (size_t)r.vocab * sizeof *logits);
    for (int i = 0; i < l->rows; i++) rows[i] = (runner_row){0, BEFORE + i, ids[BEFORE + i]};
    runner_step(&r, rows, l->rows, logits, &(fa_probe){.ctx = s, .routes = count_visits});
    CHECK(r.backend->used(r.backend, &after));
    s->cycles = after.unit_cycles - before.unit_cycles;
    free(logits);
    free(path);
    runner_close(&r);
}

static double planned(const step_seen *seen) {
    const line *l = seen->line;
    fa_config c;
    fa_error e;
    char *path = path_of(l);
    CHECK_OK(fa_plan_model(&c, path, &e), &e);
    free(path);
    fa_hosts hosts = {.boards_per_host = 8, .nodes = 1};
    fa_plan_step s = {.model = &c,
                      .board = &seen->board,
                      .hosts = &hosts,
                      .types = l->types,
                      .cache = l->cache,
                      .w8a8 = l->numerics == FA_W8A8,
                      .ways = 1,
                      .rows = l->rows,
                      .context = BEFORE + (l->rows + 1) / 2.0,
                      .logits = l->rows,
                      .resident = c.experts};
    fa_plan_ops dense, moe, head;
    fa_spent spent = {0};
    fa_plan_layer_ops(&dense, &c, false, l->types);
    if (c.experts) fa_plan_layer_ops(&moe, &c, true, l->types);
    fa_plan_head_ops(&head, &c, l->types);
    for (int i = 0; i < c.layers; i++) {
        s.load = &seen->load[i];
        fa_plan_step_ops(&s, fa_config_is_moe(&c, i) ? &moe : &dense, &spent, NULL, NULL);
    }
    fa_plan_step_ops(&s, &head, &spent, NULL, NULL);
    return spent.unit_seconds * seen->board.build.clock_hz;
}

static void within_two_percent(void *arg) {
    step_seen s = {.line = arg};
    fa_error e;
    CHECK_OK(fa_board_find(&s.board, s.line->board, &e), &e);
    if (s.line->build_rows) s.board.build.rows = s.line->build_rows;
    simulate(&s);
    double plan = planned(&s);
    CHECK(fabs(plan / s.cycles - 1) < 0.02, "%.0f cycles planned, %.0f simulated: %.4f", plan, s.cycles,
          plan / s.cycles);
}

int main(int argc, char **argv) {
    check_case cases[N_LINES];
    char names[N_LINES][140];
    for (int i = 0; i < N_LINES; i++) {
        const line *l = &lines[i];
        int n = snprintf(names[i], sizeof names[i], "%s, a step of %d on %s", l->model, l->rows, l->board);
        if (l->build_rows)
            n += snprintf(names[i] + n, sizeof names[i] - (size_t)n, " with %d rows a pass", l->build_rows);
        snprintf(names[i] + n, sizeof names[i] - (size_t)n, ": planned cycles are the simulated within 2 %%");
        cases[i] = (check_case){names[i], within_two_percent, (void *)l};
    }
    return check_main(argc, argv, cases, N_LINES);
}
