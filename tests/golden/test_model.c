/* Every golden model: logits, hidden states, routes and greedy ids as transformers computed them, and the same bits
 * however the rows are cut, batched or cached, on every backend. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/golden_model.h"

/* those with experts first */
static const char *const folders[] = {"deepseek-v3-tiny",      "deepseek-v3-tiny-fp8", "deepseek-v3-tiny-mtp",
                                      "deepseek-v2-lite-tiny", "deepseek-v2-tiny",     "deepseek-llm-tiny",
                                      "deepseek-coder-tiny",   "r1-distill-qwen-tiny", "r1-distill-qwen-tiny-untied",
                                      "r1-distill-llama-tiny"};
enum { N_FOLDERS = sizeof folders / sizeof *folders, N_WITH_EXPERTS = 5 };

/* A folder with its model on the default backend: weights as they are, activations and cache in FP32. */
static void open_both(golden *g, runner *r, const char *folder, int sequences) {
    golden_open(g, folder);
    runner_open(r,
                &(runner_options){.path = g->dir, .numerics = FA_W8A16, .cache = FA_CACHE_F32, .sequences = sequences});
}

static void close_both(golden *g, runner *r) {
    runner_close(r);
    golden_close(g);
}

static float *logits_room(const runner *r, int rows) {
    return must_alloc((size_t)rows * (size_t)r->vocab * sizeof(float));
}

static void logits(void *folder) {
    golden g;
    runner r;
    open_both(&g, &r, folder, 1);
    float *found = logits_room(&r, GOLDEN_MAX_IDS);
    for (int i = 0; i < g.n_prompts; i++) {
        const golden_prompt *p = &g.prompts[i];
        int rows = p->all ? p->n : 1;
        runner_prompt(&r, 0, p->ids, p->n, p->n, found, NULL);
        golden_close_to(p->name, found + (int64_t)(p->n - rows) * r.vocab,
                        golden_blob(&g, p->name, "logits", (int64_t)rows * r.vocab), (int64_t)rows * r.vocab);
    }
    free(found);
    close_both(&g, &r);
}

/* What a probe saw of one prompt. */
typedef struct seen {
    const golden *g;
    const golden_prompt *prompt;
    int layers, compared;
} seen;

static void compare_hidden(void *ctx, int layer, int rows, int width, const float *values) {
    seen *s = ctx;
    char name[32];
    if (layer < 0)
        snprintf(name, sizeof name, "hidden.embed");
    else if (layer == s->layers)
        snprintf(name, sizeof name, "hidden.norm");
    else
        snprintf(name, sizeof name, "hidden.layer%d", layer);
    golden_close_to(name, values, golden_blob(s->g, s->prompt->name, name, (int64_t)rows * width),
                    (int64_t)rows * width);
    s->compared++;
}

static void hidden(void *folder) {
    golden g;
    runner r;
    open_both(&g, &r, folder, 1);
    seen s = {.g = &g, .prompt = &g.prompts[1], .layers = r.layers};
    fa_probe probe = {.ctx = &s, .hidden = compare_hidden};
    runner_prompt(&r, 0, s.prompt->ids, s.prompt->n, s.prompt->n, NULL, &probe);
    CHECK(s.compared == r.layers + 2, "%d hidden states seen", s.compared);
    close_both(&g, &r);
}

static void compare_row(const char *where, const json_t *experts, const json_t *weights, int top_k, const int32_t *ids,
                        const float *w) {
    for (int k = 0; k < top_k; k++) {
        int id = (int)json_integer_value(json_array_get(experts, (size_t)k)), at = 0;
        double want = json_number_value(json_array_get(weights, (size_t)k));
        while (at < top_k && ids[at] != id) at++;
        CHECK(at < top_k, "%s: expert %d was not chosen", where, id);
        CHECK(fabs(w[at] - want) <= 1e-5 * want, "%s: weight of %d: %.9g, want %.9g", where, id, w[at], want);
    }
}

static void compare_routes(void *ctx, int layer, int rows, int top_k, const int32_t *ids, const float *weights) {
    seen *s = ctx;
    char key[16], where[64];
    snprintf(key, sizeof key, "%d", layer);
    const json_t *routing = json_object_get(json_object_get(s->g->json, "routing"), s->prompt->name);
    const json_t *want = json_object_get(routing, key);
    const json_t *experts = json_object_get(want, "experts"), *w = json_object_get(want, "weights");
    CHECK((int)json_array_size(experts) == rows, "layer %d of %s: %d rows", layer, s->prompt->name, rows);
    for (int t = 0; t < rows; t++) {
        snprintf(where, sizeof where, "%s, layer %d, row %d", s->prompt->name, layer, t);
        compare_row(where, json_array_get(experts, (size_t)t), json_array_get(w, (size_t)t), top_k,
                    ids + (int64_t)t * top_k, weights + (int64_t)t * top_k);
    }
    s->compared++;
}

static void routes(void *folder) {
    golden g;
    runner r;
    open_both(&g, &r, folder, 1);
    const json_t *routing = json_object_get(g.json, "routing");
    seen s = {.g = &g};
    fa_probe probe = {.ctx = &s, .routes = compare_routes};
    int layers = 0;
    for (int i = 0; i < g.n_prompts; i++) {
        s.prompt = &g.prompts[i];
        const json_t *of_prompt = json_object_get(routing, s.prompt->name);
        if (of_prompt) runner_prompt(&r, 0, s.prompt->ids, s.prompt->n, s.prompt->n, NULL, &probe);
        layers += (int)json_object_size(of_prompt);
    }
    CHECK(layers > 0 && s.compared == layers, "%d layers compared, want %d", s.compared, layers);
    close_both(&g, &r);
}

/* Greedy decoding of every prompt, one cached row a step. */
static void greedy(void *folder) {
    golden g;
    runner r;
    open_both(&g, &r, folder, 1);
    float *found = logits_room(&r, GOLDEN_MAX_IDS);
    for (int i = 0; i < g.n_prompts; i++) {
        const golden_prompt *p = &g.prompts[i];
        runner_prompt(&r, 0, p->ids, p->n, p->n, found, NULL);
        const float *last = found + (int64_t)(p->n - 1) * r.vocab;
        for (int k = 0; k < p->n_greedy; k++) {
            int id = golden_argmax(last, r.vocab);
            CHECK(id == p->ids[p->n + k], "%s: token %d is %d, want %d", p->name, k, id, p->ids[p->n + k]);
            golden_close_to(p->name, last,
                            golden_blob(&g, p->name, "greedy_logits", (int64_t)p->n_greedy * r.vocab) + k * r.vocab,
                            r.vocab);
            runner_step(&r, &(runner_row){0, p->n + k, id}, 1, found, NULL);
            last = found;
        }
    }
    free(found);
    close_both(&g, &r);
}

static void same_bits(const char *what, const golden_prompt *p, const float *a, const float *b, int vocab) {
    for (int t = 0; t < p->n; t++)
        CHECK(!memcmp(a + (int64_t)t * vocab, b + (int64_t)t * vocab, (size_t)vocab * sizeof *a), "%s, row %d: %s",
              p->name, t, what);
}

enum { SHORT = 3 }; /* prompts T1, T7, T64: 72 rows */

/* The short prompts, each in one step: what all other ways must give. */
static float *whole_prompts(const golden *g, runner *r, float *of[SHORT]) {
    float *all = logits_room(r, GOLDEN_MAX_IDS), *at = all;
    for (int i = 0; i < SHORT; i++) {
        of[i] = at;
        runner_prompt(r, i, g->prompts[i].ids, g->prompts[i].n, g->prompts[i].n, at, NULL);
        at += (int64_t)g->prompts[i].n * r->vocab;
    }
    return all;
}

static void cut(const golden *g, runner *r, float *const whole[SHORT], float *room) {
    for (int i = 0; i < SHORT; i++) {
        const golden_prompt *p = &g->prompts[i];
        runner_prompt(r, SHORT + i, p->ids, p->n, 5, room, NULL);
        same_bits("differs when cut into 5 rows a step", p, room, whole[i], r->vocab);
    }
}

/* Rows of all prompts take turns in each step, a few of each. */
static void batched(const golden *g, runner *r, float *const whole[SHORT], float *room) {
    int done[SHORT] = {0};
    float *of[SHORT];
    for (int i = 0, first = 0; i < SHORT; first += g->prompts[i].n, i++) of[i] = room + (int64_t)first * r->vocab;
    float *step_logits = logits_room(r, 64);
    for (int left = 1; left;) {
        runner_row rows[64];
        int n = 0;
        for (int k = 0; k < 11; k++)
            for (int i = SHORT - 1; i >= 0; i--)
                if (done[i] < g->prompts[i].n && n < 30)
                    rows[n++] = (runner_row){2 * SHORT + i, done[i], g->prompts[i].ids[done[i]]}, done[i]++;
        runner_step(r, rows, n, step_logits, NULL);
        for (int t = 0; t < n; t++)
            memcpy(of[rows[t].sequence - 2 * SHORT] + (int64_t)rows[t].pos * r->vocab,
                   step_logits + (int64_t)t * r->vocab, (size_t)r->vocab * sizeof(float));
        left = 0;
        for (int i = 0; i < SHORT; i++) left += g->prompts[i].n - done[i];
    }
    for (int i = 0; i < SHORT; i++)
        same_bits("differs in a batch with others", &g->prompts[i], of[i], whole[i], r->vocab);
    free(step_logits);
}

static void same_rows(const char *folder, fa_numerics numerics, fa_cache_type cache) {
    golden g;
    runner r;
    golden_open(&g, folder);
    runner_open(&r, &(runner_options){
                        .path = g.dir, .numerics = numerics, .cache = cache, .sequences = 3 * SHORT, .positions = 64});
    float *whole[SHORT], *all = whole_prompts(&g, &r, whole), *room = logits_room(&r, GOLDEN_MAX_IDS);
    cut(&g, &r, whole, room);
    batched(&g, &r, whole, room);
    free(all);
    free(room);
    close_both(&g, &r);
}

static void same_rows_w8a16(void *folder) {
    same_rows(folder, FA_W8A16, FA_CACHE_F32);
}

static void same_rows_w8a8(void *folder) {
    same_rows(folder, FA_W8A8, FA_CACHE_FP8);
}

/* The default backend and the scalar reference. */
static void same_backends(void *folder) {
    golden g;
    golden_open(&g, folder);
    for (int numerics = 0; numerics < FA_NUMERICS_COUNT; numerics++) {
        float *all[2], *of[2][SHORT];
        int vocab = 0;
        for (int b = 0; b < 2; b++) {
            runner r;
            runner_open(&r, &(runner_options){.path = g.dir,
                                              .backend = b ? "reference" : "auto",
                                              .positions = 64,
                                              .numerics = (fa_numerics)numerics,
                                              .sequences = SHORT});
            all[b] = whole_prompts(&g, &r, of[b]);
            vocab = r.vocab;
            runner_close(&r);
        }
        for (int i = 0; i < SHORT; i++)
            same_bits("differs from the reference backend", &g.prompts[i], of[0][i], of[1][i], vocab);
        free(all[0]);
        free(all[1]);
    }
    golden_close(&g);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Caches of fewer bits: BF16 keeps 8 bits of each value, FP8 4, so most rows move by about that much. (Not all: where two
 * experts are nearly equal the choice can turn over, and then the row is another one.) */
static void small_caches(void *folder) {
    static const struct {
        fa_cache_type type;
        double bound; /* of the median row's relative RMS */
    } caches[] = {{FA_CACHE_BF16, 0.02}, {FA_CACHE_FP8, 0.2}};
    golden g;
    golden_open(&g, folder);
    for (int k = 0; k < 2; k++) {
        runner r;
        runner_open(&r, &(runner_options){.path = g.dir, .numerics = FA_W8A16, .cache = caches[k].type});
        const golden_prompt *p = &g.prompts[2];
        double rms[GOLDEN_MAX_IDS] = {0};
        float *found = logits_room(&r, p->n);
        runner_prompt(&r, 0, p->ids, p->n, p->n, found, NULL);
        const float *want = golden_blob(&g, p->name, "logits", (int64_t)p->n * r.vocab);
        for (int t = 0; t < p->n; t++)
            rms[t] = golden_rel_rms(found + (int64_t)t * r.vocab, want + (int64_t)t * r.vocab, r.vocab);
        qsort(rms, (size_t)p->n, sizeof *rms, by_size);
        double median = rms[p->n / 2];
        CHECK(median > 1e-6 && median < caches[k].bound, "cache type %d: relative RMS %g", caches[k].type, median);
        free(found);
        runner_close(&r);
    }
    golden_close(&g);
}

static const struct {
    const char *what;
    void (*run)(void *);
} aspects[] = {
    {"logits", logits},
    {"hidden states", hidden},
    {"greedy ids, cached", greedy},
    {"the same bits whole, cut and batched", same_rows_w8a16},
    {"the same bits whole, cut and batched in w8a8 with an fp8 cache", same_rows_w8a8},
    {"the same bits as the reference backend", same_backends},
    {"bf16 and fp8 caches stay close", small_caches},
};
enum { N_ASPECTS = sizeof aspects / sizeof *aspects };

int main(int argc, char **argv) {
    enum { N_CASES = N_FOLDERS * N_ASPECTS + N_WITH_EXPERTS };
    static check_case cases[N_CASES];
    static char names[N_CASES][128];
    for (int i = 0; i < N_FOLDERS * N_ASPECTS; i++) {
        const char *folder = folders[i / N_ASPECTS];
        snprintf(names[i], sizeof names[i], "%s: %s", folder, aspects[i % N_ASPECTS].what);
        cases[i] = (check_case){names[i], aspects[i % N_ASPECTS].run, (void *)folder};
    }
    for (int i = 0, k = N_FOLDERS * N_ASPECTS; i < N_WITH_EXPERTS; i++, k++) {
        snprintf(names[k], sizeof names[k], "%s: routes", folders[i]);
        cases[k] = (check_case){names[k], routes, (void *)(uintptr_t)folders[i]};
    }
    return check_main(argc, argv, cases, N_CASES);
}
