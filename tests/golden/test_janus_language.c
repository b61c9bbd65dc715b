/* The language model inside Janus-Pro, in both layouts of its files: logits as transformers computed them; rows that bring an
 * embedding of their own, and hidden states for heads other than the language model's. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/golden_model.h"

enum { MOST_ROWS = 64 };

typedef struct prompt {
    int32_t ids[MOST_ROWS];
    int n;
} prompt;

static prompt text_prompt(const golden *g) {
    prompt p = {0};
    const json_t *ids = json_object_get(json_object_get(g->json, "text"), "ids");
    p.n = (int)json_array_size(ids);
    CHECK(p.n > 1 && p.n <= MOST_ROWS, "%d ids", p.n);
    for (int i = 0; i < p.n; i++) p.ids[i] = (int32_t)json_integer_value(json_array_get(ids, (size_t)i));
    return p;
}

static void open_folder(golden *g, runner *r, const char *folder) {
    golden_open(g, "janus-pro-tiny");
    char *path = check_golden(folder);
    runner_open(r, &(runner_options){.path = path, .numerics = FA_W8A16, .cache = FA_CACHE_F32, .sequences = 2});
    free(path);
}

static void close_folder(golden *g, runner *r) {
    runner_close(r);
    golden_close(g);
}

static void logits(void *folder) {
    golden g;
    runner r;
    open_folder(&g, &r, folder);
    prompt p = text_prompt(&g);
    float *found = must_alloc((size_t)p.n * (size_t)r.vocab * sizeof *found);
    runner_prompt(&r, 0, p.ids, p.n, p.n, found, NULL);
    golden_close_to("text", found, golden_blob(&g, "text", "logits", (int64_t)p.n * r.vocab), (int64_t)p.n * r.vocab);
    free(found);
    close_folder(&g, &r);
}

/* The hidden states that a probe saw: of the embedding, and after the final norm. */
typedef struct seen {
    int layers;
    float *embedded, *normed;
} seen;

static void keep(void *ctx, int layer, int rows, int width, const float *values) {
    seen *s = ctx;
    float *to = layer < 0 ? s->embedded : layer == s->layers ? s->normed : NULL;
    if (to) memcpy(to, values, (size_t)rows * (size_t)width * sizeof *values);
}

/* As runner_prompt, with embeddings in the place of every second token, which is none of the vocabulary. */
static void run_embedded(runner *r, const prompt *p, const float *embedded, float *logits, float *hidden) {
    fa_error e;
    int32_t tokens[MOST_ROWS], rows[MOST_ROWS];
    fa_place place[MOST_ROWS];
    const float *own[MOST_ROWS];
    for (int t = 0; t < p->n; t++) {
        bool given = t % 2 == 0;
        tokens[t] = given ? r->vocab + t : p->ids[t];
        own[t] = given ? embedded + t * r->hidden : NULL;
        rows[t] = t;
        place[t] = (fa_place){.pos = t, .pages = r->pages + r->pages_each};
    }
    fa_step step = {.rows = p->n,
                    .tokens = tokens,
                    .embeddings = own,
                    .place = place,
                    .pool = r->pool,
                    .n_logits = p->n,
                    .logit_rows = rows,
                    .logits = logits,
                    .n_hidden = p->n - 1,
                    .hidden_rows = rows + 1,
                    .hidden = hidden};
    CHECK_OK(fa_model_step(r->model, &step, &e), &e);
    step.embeddings = NULL;
    CHECK(fa_model_step(r->model, &step, &e) == FA_EINVAL && strstr(e.text, "token"), "%s", e.text);
    step.tokens = p->ids;
    rows[1] = p->n;
    CHECK(fa_model_step(r->model, &step, &e) == FA_EINVAL && strstr(e.text, "row"), "%s", e.text);
}

static void embedded_rows(void *folder) {
    golden g;
    runner r;
    open_folder(&g, &r, folder);
    prompt p = text_prompt(&g);
    size_t wide = (size_t)p.n * (size_t)r.vocab, narrow = (size_t)p.n * (size_t)r.hidden;
    float *want = must_alloc(wide * sizeof *want), *found = must_alloc(wide * sizeof *found);
    seen s = {.layers = r.layers,
              .embedded = must_alloc(narrow * sizeof(float)),
              .normed = must_alloc(narrow * sizeof(float))};
    float *hidden = must_alloc(narrow * sizeof *hidden);
    runner_prompt(&r, 0, p.ids, p.n, p.n, want, &(fa_probe){.ctx = &s, .hidden = keep});
    run_embedded(&r, &p, s.embedded, found, hidden);
    CHECK(!memcmp(found, want, wide * sizeof *want), "logits differ");
    CHECK(!memcmp(hidden, s.normed + r.hidden, (narrow - (size_t)r.hidden) * sizeof *hidden), "hidden states differ");
    free(want);
    free(found);
    free(s.embedded);
    free(s.normed);
    free(hidden);
    close_folder(&g, &r);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"original files: logits of a text are transformers'", logits, "janus-pro-tiny"},
        {"original files: a row may bring its embedding and give its hidden state", embedded_rows, "janus-pro-tiny"},
        {"transformers' files: logits of a text are transformers'", logits, "janus-pro-tiny-hf"},
        {"transformers' files: a row may bring its embedding and give its hidden state", embedded_rows,
         "janus-pro-tiny-hf"},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
