#include "tests/lib/golden_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "tests/lib/check.h"

void *must_alloc(size_t bytes) {
    void *p = calloc(1, bytes);
    CHECK(p);
    return p;
}

static int read_ids(const json_t *list, int32_t *ids, int room) {
    int n = (int)json_array_size(list);
    CHECK(n <= room, "%d ids", n);
    for (int i = 0; i < n; i++) ids[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    return n;
}

void golden_open(golden *g, const char *folder) {
    fa_error e;
    char path[512];
    *g = (golden){.dir = check_golden(folder)};
    snprintf(path, sizeof path, "%s/golden.json", g->dir);
    CHECK_OK(fa_json_load(&g->json, path, &e), &e);
    snprintf(path, sizeof path, "%s/golden.safetensors", g->dir);
    CHECK_OK(fa_tensors_open(&g->blobs, path, &e), &e);
    const json_t *prompts = json_object_get(g->json, "prompts");
    g->n_prompts = (int)json_array_size(prompts);
    CHECK(g->n_prompts > 0 && g->n_prompts <= GOLDEN_MAX_PROMPTS, "%d prompts", g->n_prompts);
    for (int i = 0; i < g->n_prompts; i++) {
        golden_prompt *p = &g->prompts[i];
        p->json = json_array_get(prompts, (size_t)i);
        p->name = json_string_value(json_object_get(p->json, "name"));
        p->n = read_ids(json_object_get(p->json, "ids"), p->ids, GOLDEN_MAX_IDS);
        p->n_greedy = read_ids(json_object_get(p->json, "greedy"), p->ids + p->n, GOLDEN_MAX_IDS - p->n);
        const char *logits = json_string_value(json_object_get(p->json, "logits"));
        p->all = logits && !strcmp(logits, "all");
    }
}

void golden_close(golden *g) {
    fa_tensors_close(g->blobs);
    json_decref(g->json);
    free(g->dir);
}

const float *golden_blob(const golden *g, const char *prompt, const char *name, int64_t n) {
    char full[128];
    snprintf(full, sizeof full, "%s.%s", prompt, name);
    const fa_tensor *t = fa_tensors_find(g->blobs, full);
    const float *values = t && t->type == FA_F32 && fa_tensor_elements(t) == n ? t->data : NULL;
    CHECK(values, "%s: no %s of %lld FP32 values", g->dir, full, (long long)n);
    return values;
}

double golden_rel_rms(const float *a, const float *b, int64_t n) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += pow((double)a[i] - b[i], 2);
        size += pow(b[i], 2);
    }
    return sqrt(difference / size);
}

void golden_close_to(const char *what, const float *found, const float *want, int64_t n) {
    double worst = 0, largest = 1;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)found[i] - want[i]);
        worst = d <= worst ? worst : d; /* a NaN is kept */
        largest = fabs(want[i]) > largest ? fabs(want[i]) : largest;
    }
    double rms = golden_rel_rms(found, want, n);
    CHECK(worst <= 2e-4 * largest, "%s: max difference %g, largest %g", what, worst, largest);
    CHECK(rms <= 1e-5, "%s: relative RMS %g", what, rms);
}

int golden_argmax(const float *x, int n) {
    int best = 0;
    for (int i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Pages of different sequences alternate, and those of one run backwards. */
static void open_cache(runner *r, const runner_options *o) {
    fa_error e;
    int positions = o->positions ? o->positions : 512;
    r->sequences = o->sequences ? o->sequences : 1;
    r->pages_each = (positions + FA_PAGE_POSITIONS - 1) / FA_PAGE_POSITIONS;
    int total = r->sequences * r->pages_each;
    r->pages = must_alloc((size_t)total * sizeof *r->pages);
    for (int s = 0; s < r->sequences; s++)
        for (int p = 0; p < r->pages_each; p++)
            r->pages[s * r->pages_each + p] = (r->pages_each - 1 - p) * r->sequences + s;
    size_t bytes = (size_t)total * (size_t)fa_model_kv_layout(r->model)->page_bytes;
    CHECK_OK(r->backend->alloc(r->backend, bytes, &r->pool, &e), &e);
}

void runner_open(runner *r, const runner_options *o) {
    fa_error e;
    *r = (runner){0};
    fa_backend_options backend = {.name = o->backend ? o->backend : "auto", .node = -1};
    r->backend = o->given;
    if (!r->backend) CHECK_OK(fa_backend_open(&r->backend, &backend, &e), &e);
    fa_model_options model = {.path = o->path,
                              .backend = r->backend,
                              .numerics = o->numerics,
                              .cache = o->cache,
                              .max_rows = GOLDEN_MAX_IDS,
                              .max_logit_rows = GOLDEN_MAX_IDS,
                              .max_positions = o->positions ? o->positions : 512,
                              .mtp = o->mtp,
                              .guest = o->guest};
    CHECK_OK(fa_model_open(&r->model, &model, &e), &e);
    const fa_config *c = fa_model_config(r->model);
    r->vocab = c->vocab;
    r->hidden = c->hidden;
    r->layers = c->layers;
    open_cache(r, o);
}

void runner_close(runner *r) {
    r->backend->free(r->backend, r->pool);
    fa_model_close(r->model);
    r->backend->close(r->backend);
    free(r->pages);
}

typedef fa_status run_model(fa_model *m, const fa_step *step, fa_error *e);

static void run(runner *r, run_model *model, const runner_row *rows, int n, float *logits, const fa_probe *probe) {
    int32_t tokens[GOLDEN_MAX_IDS], all[GOLDEN_MAX_IDS];
    fa_place places[GOLDEN_MAX_IDS];
    CHECK(n <= GOLDEN_MAX_IDS);
    for (int t = 0; t < n; t++) {
        tokens[t] = rows[t].token;
        all[t] = t;
        places[t] = (fa_place){.pos = rows[t].pos, .pages = r->pages + rows[t].sequence * r->pages_each};
    }
    fa_step step = {.rows = n,
                    .tokens = tokens,
                    .place = places,
                    .pool = r->pool,
                    .n_logits = logits ? n : 0,
                    .logit_rows = all,
                    .logits = logits,
                    .probe = probe};
    fa_error e;
    CHECK_OK(model(r->model, &step, &e), &e);
}

void runner_step(runner *r, const runner_row *rows, int n, float *logits, const fa_probe *probe) {
    run(r, fa_model_step, rows, n, logits, probe);
}

static fa_status mtp_after_step(fa_model *m, const fa_step *step, fa_error *e) {
    return fa_model_mtp(m, step, FA_MTP_AFTER_STEP, NULL, e);
}

void runner_mtp(runner *r, const runner_row *rows, int n, float *logits) {
    run(r, mtp_after_step, rows, n, logits, NULL);
}

void runner_prompt(runner *r, int sequence, const int32_t *ids, int n, int chunk, float *logits,
                   const fa_probe *probe) {
    runner_row rows[GOLDEN_MAX_IDS];
    for (int first = 0; first < n; first += chunk) {
        int some = n - first < chunk ? n - first : chunk;
        for (int t = 0; t < some; t++) rows[t] = (runner_row){sequence, first + t, ids[first + t]};
        runner_step(r, rows, some, logits ? logits + (int64_t)first * r->vocab : NULL, probe);
    }
}
