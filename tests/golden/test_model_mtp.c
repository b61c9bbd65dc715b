/* The multi-token-prediction layer: its logits over each prompt, and the drafts it makes along the greedy continuation. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/golden_model.h"

typedef struct mtp_case {
    golden g;
    runner r;
    float *logits;
} mtp_case;

static void open_case(mtp_case *m) {
    golden_open(&m->g, "deepseek-v3-tiny-mtp");
    runner_open(&m->r, &(runner_options){.path = m->g.dir, .numerics = FA_W8A16, .mtp = true, .sequences = 2});
    m->logits = must_alloc((size_t)GOLDEN_MAX_IDS * (size_t)m->r.vocab * sizeof(float));
}

static void close_case(mtp_case *m) {
    free(m->logits);
    runner_close(&m->r);
    golden_close(&m->g);
}

/* Runs ids [first, first + n) through the model and then the MTP layer, which is told the ids that follow. */
static void run_both(mtp_case *m, int sequence, const int32_t *ids, int first, int n, float *logits) {
    runner_row rows[GOLDEN_MAX_IDS] = {{0}};
    for (int t = 0; t < n; t++) rows[t] = (runner_row){sequence, first + t, ids[first + t]};
    runner_step(&m->r, rows, n, NULL, NULL);
    for (int t = 0; t < n; t++) rows[t].token = ids[first + t + 1];
    runner_mtp(&m->r, rows, n, logits);
}

static void logits(void *unused) {
    (void)unused;
    mtp_case m;
    open_case(&m);
    for (int i = 0; i < m.g.n_prompts; i++) {
        const golden_prompt *p = &m.g.prompts[i];
        int rows = p->all ? p->n : 1;
        int64_t n = (int64_t)rows * m.r.vocab;
        run_both(&m, 0, p->ids, 0, p->n, m.logits); /* ids[n] is the first greedy one */
        golden_close_to(p->name, m.logits + (int64_t)(p->n - rows) * m.r.vocab,
                        golden_blob(&m.g, p->name, "mtp_logits", n), n);
    }
    close_case(&m);
}

/* One cached row a step, as decoding with drafts does it. */
static void drafts(void *unused) {
    (void)unused;
    mtp_case m;
    open_case(&m);
    const json_t *prompts = json_object_get(json_object_get(m.g.json, "mtp"), "prompts");
    for (int i = 0; i < m.g.n_prompts; i++) {
        const golden_prompt *p = &m.g.prompts[i];
        const json_t *want = json_object_get(prompts, p->name);
        const json_t *ids = json_object_get(want, "draft"), *accepted = json_object_get(want, "accepted");
        CHECK((int)json_array_size(ids) == p->n_greedy && (int)json_array_size(accepted) == p->n_greedy - 1);
        run_both(&m, 0, p->ids, 0, p->n, m.logits);
        const float *last = m.logits + (int64_t)(p->n - 1) * m.r.vocab;
        for (int k = 0; k < p->n_greedy; k++) {
            int draft = golden_argmax(last, m.r.vocab), id = (int)json_integer_value(json_array_get(ids, (size_t)k));
            CHECK(draft == id, "%s: draft %d is %d, want %d", p->name, k, draft, id);
            if (k == p->n_greedy - 1) break;
            bool stands = draft == p->ids[p->n + k + 1];
            CHECK(stands == json_is_true(json_array_get(accepted, (size_t)k)), "%s: draft %d", p->name, k);
            run_both(&m, 0, p->ids, p->n + k, 1, m.logits);
            last = m.logits;
        }
    }
    close_case(&m);
}

static void cut(void *unused) {
    (void)unused;
    mtp_case m;
    open_case(&m);
    const golden_prompt *p = &m.g.prompts[2];
    size_t row = (size_t)m.r.vocab;
    float *pieces = must_alloc((size_t)p->n * row * sizeof(float));
    run_both(&m, 0, p->ids, 0, p->n, m.logits);
    for (int first = 0; first < p->n; first += 5)
        run_both(&m, 1, p->ids, first, p->n - first < 5 ? p->n - first : 5, pieces + (size_t)first * row);
    for (int t = 0; t < p->n; t++)
        CHECK(!memcmp(m.logits + (size_t)t * row, pieces + (size_t)t * row, row * sizeof(float)), "row %d", t);
    free(pieces);
    close_case(&m);
}

/* The MTP layer must not change what the main model computes. */
static void apart(void *unused) {
    (void)unused;
    mtp_case with, without;
    open_case(&with);
    golden_open(&without.g, "deepseek-v3-tiny-mtp");
    runner_open(&without.r, &(runner_options){.path = without.g.dir, .numerics = FA_W8A16});
    const golden_prompt *p = &with.g.prompts[2];
    float *plain = must_alloc((size_t)p->n * (size_t)with.r.vocab * sizeof(float));
    run_both(&with, 0, p->ids, 0, p->n - 1, NULL);
    runner_step(&with.r, &(runner_row){0, p->n - 1, p->ids[p->n - 1]}, 1, with.logits, NULL);
    runner_prompt(&without.r, 0, p->ids, p->n, p->n, plain, NULL);
    CHECK(!memcmp(with.logits, plain + (int64_t)(p->n - 1) * with.r.vocab, (size_t)with.r.vocab * sizeof(float)));

    fa_error e;
    fa_step step = {.rows = 1};
    CHECK(fa_model_mtp(without.r.model, &step, FA_MTP_AFTER_STEP, NULL, &e) == FA_EUNSUPPORTED,
          "opened without, but it ran");
    free(plain);
    runner_close(&without.r);
    golden_close(&without.g);
    close_case(&with);
}

static void after_a_step(void *unused) {
    (void)unused;
    mtp_case m;
    open_case(&m);
    int32_t tokens[2] = {1, 2};
    fa_place places[2] = {{0, m.r.pages}, {1, m.r.pages}};
    fa_step step = {.rows = 2, .tokens = tokens, .place = places, .pool = m.r.pool};
    fa_error e;
    CHECK(fa_model_mtp(m.r.model, &step, FA_MTP_AFTER_STEP, NULL, &e) == FA_EINVAL, "ran before any step");
    CHECK_OK(fa_model_step(m.r.model, &step, &e), &e);
    step.rows = 1;
    CHECK(fa_model_mtp(m.r.model, &step, FA_MTP_AFTER_STEP, NULL, &e) == FA_EINVAL,
          "ran with other rows than the step's");
    close_case(&m);
}

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"MTP logits of every prompt", logits, NULL},
        {"drafts and accepted flags along the greedy ids, cached", drafts, NULL},
        {"MTP logits are the same bits when the rows are cut", cut, NULL},
        {"the main model gives the same bits with and without it", apart, NULL},
        {"MTP runs only over the rows of the step before it", after_a_step, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
