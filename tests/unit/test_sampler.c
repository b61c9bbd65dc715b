/* The sampler against its definition written plainly in double precision: sort everything, filter, normalise. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/engine/random.h"
#include "host/engine/sampler.h"
#include "tests/lib/check.h"

enum { MAX_VOCAB = 129280 };

static fa_sampler sampler_of(fa_arena *arena, int32_t vocab) {
    fa_sampler s = {0};
    fa_error e = {0};
    CHECK_OK(fa_sampler_open(&s, arena, vocab, &e), &e);
    return s;
}

static fa_choice sample(fa_sampler *s, const fathom_sampling *p, const float *logits, const fa_history *h) {
    fa_choice c = {0};
    fa_error e = {0};
    CHECK_OK(fa_sample(s, p, logits, h, &c, &e), &e);
    return c;
}

/* --- random numbers ------------------------------------------------------------------------------------------- */

static void philox_gives_the_published_answers(void *arg) {
    (void)arg;
    /* the known-answer vectors of Random123 (kat_vectors, philox4x32 10) */
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        fa_philox(cases[i].counter, cases[i].key, out);
        CHECK(!memcmp(out, cases[i].out, sizeof out), "case %zu: %08x %08x %08x %08x", i, out[0], out[1], out[2],
              out[3]);
    }
    CHECK(fa_random(0, 0) == 0xe169c58d6627e8d5u);
    CHECK(fa_random(1, 0) != fa_random(0, 1) && fa_random(1ull << 40, 0) != fa_random(0, 0));
}

/* --- distributions ---------------------------------------------------------------------------------------------- */

typedef struct plain {
    double p;
    float logit;
    int32_t id;
} plain;

static int by_logit(const void *a, const void *b) {
    const plain *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id - y->id;
}

static double normalise(plain *t, int32_t n) {
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += t[i].p;
    for (int32_t i = 0; i < n; i++) t[i].p /= sum;
    return sum;
}

/* Probability of each id by the definition; 0 for those filtered out. */
static void exact_distribution(const fathom_sampling *s, const float *logits, int32_t vocab, double *p_of_id) {
    plain *t = calloc((size_t)vocab, sizeof *t);
    for (int32_t i = 0; i < vocab; i++) t[i] = (plain){exp((double)logits[i] / (double)s->temperature), logits[i], i};
    qsort(t, (size_t)vocab, sizeof *t, by_logit);
    int32_t n = vocab, keep = 0;
    if (s->top_k && s->top_k < n) n = s->top_k;
    normalise(t, n);
    if (s->top_p > 0 && s->top_p < 1) {
        for (double sum = 0; keep < n && sum < (double)s->top_p; keep++) sum += t[keep].p;
        n = keep;
    }
    while (n > 1 && t[n - 1].p < (double)s->min_p * t[0].p) n--;
    normalise(t, n);
    memset(p_of_id, 0, sizeof *p_of_id * (size_t)vocab);
    for (int32_t i = 0; i < n; i++) p_of_id[t[i].id] = t[i].p;
    free(t);
}

static void draws_follow_the_exact_distribution(void *arg) {
    (void)arg;
    static const fathom_sampling table[] = {
        {.temperature = 1.0f, .seed = 1},
        {.temperature = 0.5f, .seed = 2},
        {.temperature = 2.0f, .seed = 3},
        {.temperature = 1.0f, .top_k = 4, .seed = 4},
        {.temperature = 1.0f, .top_k = 1, .seed = 5},
        {.temperature = 1.0f, .top_p = 0.8f, .seed = 6},
        {.temperature = 1.5f, .top_p = 0.95f, .seed = 7},
        {.temperature = 1.0f, .top_p = 1e-6f, .seed = 8},
        {.temperature = 1.0f, .min_p = 0.2f, .seed = 9},
        {.temperature = 1.0f, .min_p = 1.0f, .seed = 10},
        {.temperature = 1.3f, .top_k = 9, .top_p = 0.9f, .min_p = 0.1f, .seed = ~0ull},
        {.temperature = 1.0f, .top_k = 100, .top_p = 1.0f, .seed = 12},
    };
    enum { VOCAB = 12, DRAWS = 40000 };
    static const float logits[VOCAB] = {0.1f, 2.0f, -1.0f, 1.5f, 1.5f, -8.0f, 0.7f, 2.2f, -0.3f, 0.0f, 1.1f, -2.0f};
    fa_arena arena = {0};
    fa_sampler s = sampler_of(&arena, VOCAB);
    for (size_t c = 0; c < sizeof table / sizeof *table; c++) {
        double p[VOCAB], chi2 = 0;
        int count[VOCAB] = {0}, freedom = -1;
        exact_distribution(&table[c], logits, VOCAB, p);
        for (int d = 0; d < DRAWS; d++) {
            fa_history h = {.n_new = d};
            int32_t none[DRAWS];
            h.tokens = none;
            count[sample(&s, &table[c], logits, &h).id]++;
        }
        for (int i = 0; i < VOCAB; i++) {
            CHECK(p[i] > 0 || count[i] == 0, "case %zu: id %d was filtered, drawn %d times", c, i, count[i]);
            if (p[i] == 0) continue;
            double expected = p[i] * DRAWS;
            chi2 += (count[i] - expected) * (count[i] - expected) / expected;
            freedom++;
        }
        /* mean k and variance 2k: five standard deviations */
        CHECK(chi2 <= freedom + 5 * sqrt(2.0 * freedom), "case %zu: chi2 %.1f of %d degrees", c, chi2, freedom);
    }
    fa_arena_free(&arena);
}

static void filters_over_a_large_vocabulary_keep_what_a_full_sort_keeps(void *arg) {
    (void)arg;
    static const fathom_sampling table[] = {
        {.temperature = 1, .top_k = 50},
        {.temperature = 1, .top_k = 5000},
        {.temperature = 1, .top_p = 0.5f},
        {.temperature = 2, .top_k = 3000, .top_p = 0.9f, .min_p = 0.001f},
    };
    fa_arena arena = {0};
    fa_sampler s = sampler_of(&arena, MAX_VOCAB);
    float *logits = malloc(sizeof *logits * MAX_VOCAB);
    double *p = malloc(sizeof *p * MAX_VOCAB);
    check_rng rng = {3};
    /* coarse values, so that many are equal and the ids decide */
    for (int32_t i = 0; i < MAX_VOCAB; i++) logits[i] = roundf(check_normal(&rng) * 32) / 32;
    for (size_t c = 0; c < sizeof table / sizeof *table; c++) {
        exact_distribution(&table[c], logits, MAX_VOCAB, p);
        fa_history h = {.tokens = &(int32_t){0}};
        sample(&s, &table[c], logits, &h);
        int32_t kept = 0, expected = 0, n = 0;
        while (n < MAX_VOCAB && s.candidate[n].weight &&
               (n == 0 || (uint32_t)s.candidate[n].key < (uint32_t)s.candidate[n - 1].key))
            n++; /* the survivors stand in front by rising id */
        for (int32_t i = 0; i < MAX_VOCAB; i++) expected += p[i] > 0;
        for (int32_t i = 0; i < n && i < expected; i++) kept += p[0xffffffffu - (uint32_t)s.candidate[i].key] > 0;
        CHECK(abs(kept - expected) <= (table[c].top_p > 0), "case %zu: %d of %d", c, kept, expected);
    }
    free(logits);
    free(p);
    fa_arena_free(&arena);
}

/* --- greedy and penalties ------------------------------------------------------------------------------------------ */

static void greedy_takes_the_lowest_of_equal_ids(void *arg) {
    (void)arg;
    fa_arena arena = {0};
    fa_sampler s = sampler_of(&arena, 4);
    fathom_sampling p = {0};
    fa_history h = {0};
    CHECK(sample(&s, &p, (float[]){1, 3, 3, 2}, &h).id == 1);
    CHECK(sample(&s, &p, (float[]){-0.0f, 0.0f, -1, -1}, &h).id == 0);
    CHECK(sample(&s, &p, (float[]){-5, -5, -5, -4}, &h).id == 3);
    fathom_sampling k1 = {.temperature = 1, .top_k = 1};
    CHECK(sample(&s, &k1, (float[]){1, 3, 3, 2}, &h).id == 1);
    CHECK(sample(&s, &k1, (float[]){-0.0f, 0.0f, -1, -1}, &h).id == 0);
    fathom_sampling cold = {.temperature = 1e-30f};
    CHECK(sample(&s, &cold, (float[]){1, 3, 2.9999f, 2}, &h).id == 1);
    fa_arena_free(&arena);
}

static void penalties_change_the_logits_as_defined(void *arg) {
    (void)arg;
    /* prompt 0 1 1, answer 2 2 3; the best of the changed logits shows in top place of a greedy choice */
    static const int32_t tokens[] = {0, 1, 1, 2, 2, 3};
    static const struct {
        fathom_sampling p;
        float logits[6], changed[6];
    } table[] = {
        {{.repetition_penalty = 2}, {4, -4, 2, 0, 1, -1}, {2, -8, 1, 0, 1, -1}},
        {{.repetition_penalty = 0.5f}, {4, -4, 2, 0, 1, -1}, {8, -2, 4, 0, 1, -1}},
        {{.repetition_penalty = 1}, {4, -4, 2, 0, 1, -1}, {4, -4, 2, 0, 1, -1}},
        {{.presence_penalty = 1.5f}, {4, -4, 2, 0, 1, -1}, {4, -4, 0.5f, -1.5f, 1, -1}},
        {{.frequency_penalty = 0.5f}, {4, -4, 2, 0, 1, -1}, {4, -4, 1, -0.5f, 1, -1}},
        {{.frequency_penalty = -1}, {4, -4, 2, 0, 1, -1}, {4, -4, 4, 1, 1, -1}},
        {{.repetition_penalty = 2, .presence_penalty = 1, .frequency_penalty = 1},
         {4, -4, 2, 0, 1, -1},
         {2, -8, -2, -2, 1, -1}},
    };
    fa_arena arena = {0};
    fa_sampler s = sampler_of(&arena, 6);
    fa_history h = {tokens, 3, 3, NULL};
    for (size_t c = 0; c < sizeof table / sizeof *table; c++) {
        memcpy(s.logits, table[c].logits, sizeof table[c].logits);
        int32_t id = sample(&s, &table[c].p, table[c].logits, &h).id, best = 0;
        for (int32_t i = 0; i < 6; i++) {
            CHECK(s.logits[i] == table[c].changed[i], "case %zu id %d: %g, expected %g", c, i, (double)s.logits[i],
                  (double)table[c].changed[i]);
            CHECK(s.count[i] == 0, "scratch is left clean");
            if (table[c].changed[i] > table[c].changed[best]) best = i;
        }
        CHECK(id == best, "case %zu: %d", c, id);
    }
    fa_arena_free(&arena);
}

static void infinite_penalised_logits_still_choose(void *arg) {
    (void)arg;
    fa_arena arena = {0};
    fa_sampler s = sampler_of(&arena, 3);
    fathom_sampling p = {.temperature = 1, .repetition_penalty = 0.01f};
    fa_history h = {(int32_t[]){1}, 1, 0, NULL};
    CHECK(sample(&s, &p, (float[]){1, 3e38f, 2}, &h).id == 1);
    fa_arena_free(&arena);
}

/* --- what is reported, determinism, errors -------------------------------------------------------------------------- */

static void logprobs_are_those_of_the_unmodified_logits(void *arg) {
    (void)arg;
    enum { VOCAB = 5000 };
    fa_arena arena = {0};
    fa_sampler s = sampler_of(&arena, VOCAB);
    float logits[VOCAB];
    check_rng rng = {5};
    for (int round = 0; round < 20; round++) {
        double sum = 0;
        float scale = round < 10 ? 3.0f : 0.01f, shift = (float)(round * 7 - 60);
        for (int i = 0; i < VOCAB; i++) logits[i] = check_normal(&rng) * scale + shift;
        for (int i = 0; i < VOCAB; i++) sum += exp((double)logits[i] - (double)shift);
        double log_sum = log(sum) + (double)shift;
        fathom_sampling p = {.temperature = 0.7f, .top_k = 10, .repetition_penalty = 3, .top_logprobs = 20, .seed = 4};
        fa_history h = {(int32_t[]){1, 2}, 2, 0, NULL};
        fa_choice c = sample(&s, &p, logits, &h);
        CHECK(fabs((double)c.logprob - ((double)logits[c.id] - log_sum)) < 2e-6, "round %d: %g", round,
              (double)c.logprob);
        CHECK(c.n_top == 20);
        for (int i = 0; i < 20; i++) {
            int larger = 0;
            for (int j = 0; j < VOCAB; j++) {
                float x = logits[j], mine = logits[c.top_ids[i]];
                larger += x > mine || (x == mine && j < c.top_ids[i]);
            }
            CHECK(larger == i, "place %d has %d before it", i, larger);
            CHECK(fabs((double)c.top_logprobs[i] - ((double)logits[c.top_ids[i]] - log_sum)) < 2e-6);
        }
    }
    fathom_sampling more = {.top_logprobs = 20};
    fa_sampler tiny = sampler_of(&arena, 3);
    fa_history none = {0};
    fa_choice c = sample(&tiny, &more, (float[]){1, 3, 3}, &none);
    CHECK(c.n_top == 3 && c.top_ids[0] == 1 && c.top_ids[1] == 2 && c.top_ids[2] == 0);
    fa_arena_free(&arena);
}

static void the_same_seed_gives_the_same_tokens_on_any_machine(void *arg) {
    (void)arg;
    enum { VOCAB = 1000, N = 12 };
    /* written down once: another compiler, CPU or library must repeat them */
    static const int32_t expected[2][N] = {
        {488, 345, 667, 702, 865, 302, 774, 427, 135, 401, 678, 447},
        {791, 820, 7, 232, 980, 297, 488, 488, 963, 7, 980, 908},
    };
    static const fathom_sampling p[2] = {{.temperature = 0.8f, .top_p = 0.95f, .seed = 42},
                                         {.temperature = 1.2f, .top_k = 40, .min_p = 0.05f, .seed = 7}};
    fa_arena arena = {0};
    fa_sampler s = sampler_of(&arena, VOCAB);
    float logits[VOCAB];
    check_rng rng = {9};
    for (int i = 0; i < VOCAB; i++) logits[i] = (float)(check_uniform(&rng) * 16 - 8);
    int32_t none[N] = {0};
    for (int c = 0; c < 2; c++) {
        for (int i = 0; i < N; i++) {
            fa_history h = {none, 0, i, NULL};
            int32_t id = sample(&s, &p[c], logits, &h).id;
            CHECK(id == expected[c][i], "case %d, token %d: %d, expected %d", c, i, id, expected[c][i]);
        }
    }
    fa_arena_free(&arena);
}

static void logits_that_are_not_finite_are_an_error(void *arg) {
    (void)arg;
    fa_arena arena = {0};
    fa_sampler s = sampler_of(&arena, 3);
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        fa_choice c;
        fa_error e = {0};
        fathom_sampling p = {0};
        fa_history h = {0};
        CHECK(fa_sample(&s, &p, (float[]){1, 2, bad[i]}, &h, &c, &e) == FA_ENUMERIC);
        CHECK(strstr(e.text, "logit 2"), "%s", e.text);
    }
    fa_arena_free(&arena);
}

static void sampling_out_of_range_names_the_field(void *arg) {
    (void)arg;
    static const int32_t outside[] = {1, 10};
    static const struct {
        fathom_sampling p;
        const char *field;
    } table[] = {
        {{.temperature = -1}, "temperature"},
        {{.temperature = NAN}, "temperature"},
        {{.temperature = INFINITY}, "temperature"},
        {{.top_k = -1}, "top_k"},
        {{.top_p = 1.01f}, "top_p"},
        {{.top_p = -0.1f}, "top_p"},
        {{.min_p = 2}, "min_p"},
        {{.repetition_penalty = -1}, "repetition_penalty"},
        {{.repetition_penalty = 1e-9f}, "repetition_penalty"},
        {{.presence_penalty = NAN}, "presence_penalty"},
        {{.frequency_penalty = 1e9f}, "frequency_penalty"},
        {{.max_tokens = -5}, "max_tokens"},
        {{.top_logprobs = 21}, "top_logprobs"},
        {{.n_stop = -1}, "n_stop"},
        {{.stop_ids = outside, .n_stop_ids = 2}, "stop_ids[1] is 10"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fa_error e = {0};
        CHECK(fa_sampling_check(&table[i].p, 10, &e) == FA_EINVAL, "case %zu", i);
        CHECK(strstr(e.text, table[i].field), "case %zu: %s", i, e.text);
    }
    fathom_sampling good = {
        .temperature = 2, .top_k = 3, .top_p = 1, .min_p = 1, .repetition_penalty = 1.1f, .top_logprobs = 20};
    CHECK(fa_sampling_check(&good, 10, NULL) == FA_OK && fa_sampling_check(&(fathom_sampling){0}, 10, NULL) == FA_OK);
}

static const check_case cases[] = {
    {"philox gives the published answers", philox_gives_the_published_answers, NULL},
    {"draws follow the exact distribution", draws_follow_the_exact_distribution, NULL},
    {"filters over a large vocabulary keep what a full sort keeps",
     filters_over_a_large_vocabulary_keep_what_a_full_sort_keeps, NULL},
    {"greedy takes the lowest of equal ids", greedy_takes_the_lowest_of_equal_ids, NULL},
    {"penalties change the logits as defined", penalties_change_the_logits_as_defined, NULL},
    {"infinite penalised logits still choose", infinite_penalised_logits_still_choose, NULL},
    {"logprobs are those of the unmodified logits", logprobs_are_those_of_the_unmodified_logits, NULL},
    {"the same seed gives the same tokens on any machine", the_same_seed_gives_the_same_tokens_on_any_machine, NULL},
    {"logits that are not finite are an error", logits_that_are_not_finite_are_an_error, NULL},
    {"sampling out of range names the field", sampling_out_of_range_names_the_field, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
