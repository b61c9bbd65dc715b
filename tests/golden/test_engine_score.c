/* Log-probabilities of prompts through fathom.h: those of the golden logits, the same bits however the prompt was cut, cached or
 * accompanied, and those that an answer of the same tokens reports. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/engine/internal.h"
#include "tests/lib/check.h"
#include "tests/lib/golden_engine.h"
#include "tests/lib/golden_model.h"

/* What came of a prompt. */
typedef struct scores {
    int n;
    fathom_token token[GOLDEN_MAX_IDS];
} scores;

static void take_scores(fathom_session *s, scores *to) {
    fathom_token t;
    while (fathom_session_scored(s, &t)) {
        CHECK(to->n < GOLDEN_MAX_IDS && t.bytes == 0 && !*t.text);
        t.text = NULL;
        to->token[to->n++] = t;
    }
}

static void run_scores(fathom_engine *g, fathom_session *s, scores *to) {
    *to = (scores){0};
    for (int busy = 1; busy;) {
        busy = golden_step(g);
        take_scores(s, to);
    }
    CHECK(fathom_session_finish(s) != FATHOM_FAILED, "%s", fathom_session_error(s));
}

static bool same_number(float a, float b) {
    return !memcmp(&a, &b, sizeof a);
}

/* The last `n` of both are equal, bit for bit. */
static void same_tail(const char *what, const scores *a, const scores *b, int n) {
    CHECK(a->n >= n && b->n >= n, "%s: %d and %d scores", what, a->n, b->n);
    for (int i = 0; i < n; i++) {
        const fathom_token *x = &a->token[a->n - n + i], *y = &b->token[b->n - n + i];
        CHECK(x->id == y->id && same_number(x->logprob, y->logprob) && x->n_top == y->n_top &&
                  !memcmp(x->top_ids, y->top_ids, sizeof x->top_ids) &&
                  !memcmp(x->top_logprobs, y->top_logprobs, sizeof x->top_logprobs),
              "%s: score %d: %d %a and %d %a", what, i, x->id, (double)x->logprob, y->id, (double)y->logprob);
    }
}

static fathom_sampling scoring(int from) {
    return (fathom_sampling){.score_from = from, .prompt_only = true, .top_logprobs = 5};
}

static double log_softmax(const float *x, int n, int at) {
    double sum = 0, most = x[golden_argmax(x, n)];
    for (int i = 0; i < n; i++) sum += exp(x[i] - most);
    return x[at] - most - log(sum);
}

/* --- against logits by transformers ---------------------------------------------------------------------------------------- */

static void scores_are_those_of_the_golden_logits(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = golden_engine_open(golden_exact, folder);
    fathom_info info;
    fathom_engine_info(g, &info);
    static scores got;
    fathom_sampling p = scoring(1);
    int seen = 0;
    for (int i = 0; i < d.n_prompts; i++) {
        const golden_prompt *q = &d.prompts[i];
        if (!q->all) continue;
        const float *logits = golden_blob(&d, q->name, "logits", (int64_t)q->n * info.vocabulary);
        fathom_session *s = golden_session(g, (uint64_t)i);
        golden_ask(s, q->ids, q->n, &p);
        run_scores(g, s, &got);
        CHECK(got.n == q->n - 1, "%s: %d scores of %d tokens", q->name, got.n, q->n);
        for (int k = 0; k < got.n; k++) {
            const float *row = logits + (int64_t)k * info.vocabulary;
            const fathom_token *t = &got.token[k];
            double want = log_softmax(row, info.vocabulary, q->ids[k + 1]);
            CHECK(t->id == q->ids[k + 1] && fabs(t->logprob - want) <= 1e-3, "%s: token %d: %.6f, expected %.6f",
                  q->name, k + 1, (double)t->logprob, want);
            CHECK(t->n_top == 5 && fabs(t->top_logprobs[0] - log_softmax(row, info.vocabulary,
                                                                         golden_argmax(row, info.vocabulary))) <= 1e-3);
        }
        seen += got.n;
        fathom_session_close(s);
    }
    CHECK(seen > 40, "%d", seen);
    fathom_engine_close(g);
    golden_close(&d);
}

/* --- bits ------------------------------------------------------------------------------------------------------------------- */

static const golden_prompt *longest(const golden *d) {
    const golden_prompt *p = &d->prompts[0];
    for (int i = 1; i < d->n_prompts; i++)
        if (d->prompts[i].n > p->n) p = &d->prompts[i];
    return p;
}

/* Steps of 3 rows of scores and of 48, beside answers and another prompt that is scored, with readers that come late. */
static void company_and_pieces_change_no_bit(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *alone = golden_engine_open((fathom_options){.step_rows = 7, .score_rows = 3, .threads = 1}, folder);
    fathom_engine *many = golden_engine_open((fathom_options){.score_rows = 16, .threads = 2}, folder);
    const golden_prompt *p = longest(&d);
    static scores want, other, got[2];
    static golden_answer answer, same;
    memset(got, 0, sizeof got);
    memset(&answer, 0, sizeof answer);
    fathom_sampling score = scoring(1);
    fathom_session *s = golden_session(alone, 1), *a = golden_session(many, 1), *b = golden_session(many, 2),
                   *c = golden_session(many, 3);
    golden_ask(s, p->ids, p->n, &score);
    run_scores(alone, s, &want);
    golden_ask(s, p->ids, p->n / 2, &score);
    run_scores(alone, s, &other);
    golden_ask(c, d.prompts[0].ids, d.prompts[0].n, &golden_greedy);
    golden_ask(a, p->ids, p->n, &score);
    golden_ask(b, p->ids, p->n / 2, &score);
    for (int busy = 1, k = 0; busy; k++) {
        busy = golden_step(many);
        if (k % 3) take_scores(a, &got[0]);
        take_scores(b, &got[1]);
        golden_take(c, &answer);
    }
    take_scores(a, &got[0]);
    same_tail("beside others", &got[0], &want, p->n - 1);
    same_tail("the first half", &got[1], &other, p->n / 2 - 1);
    golden_ask(c, d.prompts[0].ids, d.prompts[0].n, &golden_greedy);
    golden_run(many, c, &same);
    golden_same_answer("the answer beside them", &answer, &same);
    fathom_engine_close(alone);
    fathom_engine_close(many);
    golden_close(&d);
}

static void an_answer_scored_again_has_the_bits_that_it_reported(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = golden_engine_open((fathom_options){.threads = 2, .drafts = 3}, folder);
    const golden_prompt *p = &d.prompts[1];
    static golden_answer answer;
    static scores got;
    fathom_sampling sampling = {.temperature = 1, .seed = 9, .max_tokens = 40, .ignore_eos = true, .top_logprobs = 20};
    fathom_session *s = golden_session(g, 1), *t = golden_session(g, 2);
    golden_ask(s, p->ids, p->n, &sampling);
    golden_run(g, s, &answer);
    int32_t whole[GOLDEN_MAX_IDS];
    memcpy(whole, p->ids, (size_t)p->n * sizeof *whole);
    memcpy(whole + p->n, answer.ids, (size_t)answer.n * sizeof *whole);
    fathom_sampling score = scoring(p->n);
    score.top_logprobs = 20;
    golden_ask(t, whole, p->n + answer.n, &score);
    run_scores(g, t, &got);
    CHECK(got.n == answer.n, "%d scores of %d tokens", got.n, answer.n);
    for (int i = 0; i < got.n; i++)
        CHECK(got.token[i].id == answer.ids[i] && same_number(got.token[i].logprob, answer.token[i].logprob) &&
                  !memcmp(got.token[i].top_logprobs, answer.token[i].top_logprobs, sizeof answer.token[i].top_logprobs),
              "token %d: %a, reported %a", i, (double)got.token[i].logprob, (double)answer.token[i].logprob);
    fathom_engine_close(g);
    golden_close(&d);
}

static void only_what_is_before_the_scores_comes_from_the_cache(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = golden_engine_open((fathom_options){.threads = 2}, folder);
    const golden_prompt *p = longest(&d);
    CHECK(p->n > 130);
    static scores all, tail;
    fathom_sampling score = scoring(1);
    fathom_session *s = golden_session(g, 1), *t = golden_session(g, 1);
    golden_ask(s, p->ids, p->n, &score);
    run_scores(g, s, &all);
    CHECK(all.n == p->n - 1 && fathom_session_finish(s) == FATHOM_LENGTH && fathom_session_usage(s).new_tokens == 0);
    for (int i = 0; i < 2; i++) { /* published pages; the session's own */
        golden_ask(i ? s : t, p->ids, p->n, &score);
        CHECK(fathom_session_usage(i ? s : t).cached_tokens == 0, "all is scored, so nothing is taken from the cache");
        run_scores(g, i ? s : t, &tail);
        same_tail("again", &tail, &all, p->n - 1);
    }
    score.score_from = 100;
    golden_ask(t, p->ids, p->n, &score);
    CHECK(fathom_session_usage(t).cached_tokens == 64, "%d", fathom_session_usage(t).cached_tokens);
    run_scores(g, t, &tail);
    CHECK(tail.n == p->n - 100, "%d", tail.n);
    same_tail("behind a cached prefix", &tail, &all, tail.n);
    fathom_session *stranger = golden_session(g, 2);
    golden_ask(stranger, p->ids, p->n, &score);
    CHECK(fathom_session_usage(stranger).cached_tokens == 0);
    run_scores(g, stranger, &tail);
    same_tail("nothing cached", &tail, &all, p->n - 100);
    fathom_engine_close(g);
    golden_close(&d);
}

/* --- sessions ------------------------------------------------------------------------------------------------------------------ */

static void an_answer_follows_the_scores_unchanged(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = golden_engine_open(golden_exact, folder);
    const golden_prompt *p = &d.prompts[2];
    static golden_answer plain, scored;
    static scores got;
    memset(&scored, 0, sizeof scored);
    memset(&got, 0, sizeof got);
    fathom_session *s = golden_session(g, 1), *t = golden_session(g, 2);
    golden_ask(s, p->ids, p->n, &golden_greedy);
    golden_run(g, s, &plain);
    fathom_sampling both = golden_greedy;
    both.score_from = 1;
    golden_ask(t, p->ids, p->n, &both);
    for (int busy = 1; busy;) {
        busy = golden_step(g);
        take_scores(t, &got);
        golden_take(t, &scored);
        CHECK(!scored.n || got.n == p->n - 1, "the scores come before the answer");
    }
    golden_same_answer("with scores", &scored, &plain);
    golden_same_ids("the golden answer", &scored, p->ids + p->n, GOLDEN_ANSWER);
    fathom_engine_close(g);
    golden_close(&d);
}

static void a_session_whose_scores_are_left_waits(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = golden_engine_open((fathom_options){.score_rows = 4, .threads = 1}, folder);
    const golden_prompt *p = longest(&d);
    fathom_sampling score = scoring(1);
    fathom_session *s = golden_session(g, 1);
    static scores got;
    golden_ask(s, p->ids, p->n, &score);
    for (int i = 0; i < 5; i++) CHECK(golden_step(g) == 1);
    memset(&got, 0, sizeof got);
    take_scores(s, &got);
    CHECK(got.n == 4, "%d scores in one step", got.n);
    fathom_engine_close(g);
    golden_close(&d);
}

static void prompts_at_the_edge_and_fields_out_of_range(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = golden_engine_open(golden_exact, folder);
    const golden_prompt *p = &d.prompts[2];
    fathom_session *s = golden_session(g, 1);
    fathom_error e = {0};
    static scores got;
    for (int from = 0; from <= 2; from++) {
        fathom_sampling score = scoring(from);
        golden_ask(s, p->ids, 2, &score);
        run_scores(g, s, &got);
        CHECK(got.n == (from == 1) && fathom_session_finish(s) == FATHOM_LENGTH, "from %d: %d", from, got.n);
    }
    fathom_sampling one = scoring(1);
    golden_ask(s, p->ids, 1, &one);
    run_scores(g, s, &got);
    CHECK(got.n == 0);
    for (int from = -1; from <= 3; from += 4) {
        fathom_sampling score = scoring(from);
        CHECK(fathom_session_prompt(s, p->ids, 2, &score, &e) == FATHOM_EINVAL && strstr(e.text, "score_from"), "%s",
              e.text);
    }
    fathom_engine_close(g);
    golden_close(&d);
}

/* One logit of the row of position 5 is a NaN. */
static fa_status run_with_a_nan(fa_model *m, const fa_step *step, fa_error *e) {
    fa_status st = fa_model_step(m, step, e);
    for (int32_t i = 0; i < step->n_logits; i++)
        if (step->place[step->logit_rows[i]].pos == 5) step->logits[(int64_t)i * fa_model_config(m)->vocab + 3] = NAN;
    return st;
}

static void a_number_that_is_not_finite_ends_the_session(void *folder) {
    golden d;
    golden_open(&d, folder);
    fathom_engine *g = golden_engine_open(golden_exact, folder);
    const golden_prompt *p = longest(&d);
    fathom_sampling score = scoring(1);
    fathom_session *s = golden_session(g, 1);
    g->run = run_with_a_nan;
    golden_ask(s, p->ids, p->n, &score);
    golden_step(g);
    CHECK(fathom_session_finish(s) == FATHOM_FAILED && strstr(fathom_session_error(s), "position 5"), "%s",
          fathom_session_error(s));
    fathom_engine_close(g);
    golden_close(&d);
}

#define FOLDER(name) (void *)(uintptr_t)name
static const check_case cases[] = {
    {"scores are those of the golden logits: deepseek-v3-tiny", scores_are_those_of_the_golden_logits,
     FOLDER("deepseek-v3-tiny")},
    {"scores are those of the golden logits: r1-distill-llama-tiny", scores_are_those_of_the_golden_logits,
     FOLDER("r1-distill-llama-tiny")},
    {"company and pieces change no bit: w8a8", company_and_pieces_change_no_bit, FOLDER("deepseek-v3-tiny-fp8")},
    {"company and pieces change no bit: GQA", company_and_pieces_change_no_bit, FOLDER("deepseek-llm-tiny")},
    {"an answer scored again has the bits that it reported: w8a8", an_answer_scored_again_has_the_bits_that_it_reported,
     FOLDER("deepseek-v3-tiny-fp8")},
    {"an answer scored again has the bits that it reported: GQA", an_answer_scored_again_has_the_bits_that_it_reported,
     FOLDER("r1-distill-qwen-tiny")},
    {"only what is before the scores comes from the cache", only_what_is_before_the_scores_comes_from_the_cache,
     FOLDER("deepseek-v3-tiny-fp8")},
    {"an answer follows the scores unchanged", an_answer_follows_the_scores_unchanged, FOLDER("deepseek-v3-tiny")},
    {"a session whose scores are left waits", a_session_whose_scores_are_left_waits, FOLDER("deepseek-v3-tiny-fp8")},
    {"prompts at the edge, fields out of range", prompts_at_the_edge_and_fields_out_of_range,
     FOLDER("deepseek-llm-tiny")},
    {"a number that is not finite ends the session, and its position is named",
     a_number_that_is_not_finite_ends_the_session, FOLDER("deepseek-llm-tiny")},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
