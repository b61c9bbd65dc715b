/* The FP8 model in w8a8: activations quantised as DeepSeek does, kv_b absorbed and fed FP32 (rule 7 of docs/numerics.md), so
 * the reference is golden.json's mode w8a8_absorb. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/lib/check.h"
#include "tests/lib/golden_model.h"

static double number(const golden_prompt *p, const char *key) {
    return json_number_value(json_object_get(json_object_get(p->json, "w8a8"), key));
}

typedef struct fp8_case {
    golden g;
    runner r;
    float *logits;
} fp8_case;

static void open_case(fp8_case *f, fa_cache_type cache) {
    golden_open(&f->g, "deepseek-v3-tiny-fp8");
    runner_open(&f->r, &(runner_options){.path = f->g.dir, .numerics = FA_W8A8, .cache = cache});
    f->logits = must_alloc((size_t)GOLDEN_MAX_IDS * (size_t)f->r.vocab * sizeof(float));
}

static void close_case(fp8_case *f) {
    free(f->logits);
    runner_close(&f->r);
    golden_close(&f->g);
}

static void logits(void *unused) {
    (void)unused;
    fp8_case f;
    open_case(&f, FA_CACHE_F32);
    for (int i = 0; i < f.g.n_prompts; i++) {
        const golden_prompt *p = &f.g.prompts[i];
        int rows = p->all ? p->n : 1;
        int64_t n = (int64_t)rows * f.r.vocab;
        runner_prompt(&f.r, 0, p->ids, p->n, p->n, f.logits, NULL);
        double rms = golden_rel_rms(f.logits + (int64_t)(p->n - rows) * f.r.vocab,
                                    golden_blob(&f.g, p->name, "w8a8_absorb.logits", n), n);
        CHECK(rms <= number(p, "rel_rms_tolerance"), "%s: relative RMS %g, tolerance %g", p->name, rms,
              number(p, "rel_rms_tolerance"));
    }
    close_case(&f);
}

static double margin_of(const float *x, int n) {
    int best = golden_argmax(x, n);
    double second = -INFINITY;
    for (int i = 0; i < n; i++)
        if (i != best && x[i] > second) second = x[i];
    return x[best] - second;
}

/* The recorded continuation is that of plain w8a8, which also quantises what kv_b reads, and so its logits lie further from
 * ours than a last-bit difference (rel_rms_absorb_vs_w8a8). Fed with it, we must choose the same next id wherever its margin is
 * wider than twice the largest difference that the golden logits of the two modes show; and the first id must be the one
 * that the golden logits of our own mode choose. */
static void greedy(void *unused) {
    (void)unused;
    fp8_case f;
    open_case(&f, FA_CACHE_F32);
    int vocab = f.r.vocab, compared = 0;
    for (int i = 0; i < f.g.n_prompts; i++) {
        const golden_prompt *p = &f.g.prompts[i];
        const json_t *w8a8 = json_object_get(p->json, "w8a8");
        const json_t *ids = json_object_get(w8a8, "greedy"), *margins = json_object_get(w8a8, "margins");
        int64_t rows = p->all ? p->n : 1, at = (rows - 1) * vocab;
        const float *plain = golden_blob(&f.g, p->name, "w8a8.logits", rows * vocab) + at;
        const float *absorbed = golden_blob(&f.g, p->name, "w8a8_absorb.logits", rows * vocab) + at;
        double between = 0;
        for (int k = 0; k < vocab; k++) between = fmax(between, fabs(plain[k] - absorbed[k]));
        runner_prompt(&f.r, 0, p->ids, p->n, p->n, f.logits, NULL);
        const float *last = f.logits + (int64_t)(p->n - 1) * vocab;
        CHECK(margin_of(absorbed, vocab) >= 0.05 && golden_argmax(last, vocab) == golden_argmax(absorbed, vocab),
              "%s: first id %d, want %d", p->name, golden_argmax(last, vocab), golden_argmax(absorbed, vocab));
        for (size_t k = 0; k < json_array_size(ids); k++) {
            int id = golden_argmax(last, vocab), want = (int)json_integer_value(json_array_get(ids, k));
            bool wide = json_number_value(json_array_get(margins, k)) >= 2 * between;
            CHECK(!wide || id == want, "%s: token %zu is %d, want %d", p->name, k, id, want);
            compared += wide;
            runner_step(&f.r, &(runner_row){0, p->n + (int)k, want}, 1, f.logits, NULL);
            last = f.logits;
        }
    }
    CHECK(compared > 0, "no id has a wide margin");
    close_case(&f);
}

/* An fp8 cache quantises the latent as plain w8a8 quantises the input of kv_b. With one position the rotary key, which the
 * cache rounds to BF16, changes nothing: every softmax is 1. */
static void fp8_cache(void *unused) {
    (void)unused;
    fp8_case f;
    open_case(&f, FA_CACHE_FP8);
    const golden_prompt *p = &f.g.prompts[0];
    CHECK(p->n == 1);
    runner_prompt(&f.r, 0, p->ids, 1, 1, f.logits, NULL);
    double rms = golden_rel_rms(f.logits, golden_blob(&f.g, p->name, "w8a8.logits", f.r.vocab), f.r.vocab);
    CHECK(rms <= number(p, "rel_rms_tolerance"), "relative RMS %g", rms);
    close_case(&f);
}

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"w8a8 logits are within each prompt's own tolerance", logits, NULL},
        {"w8a8 chooses the recorded ids where the margin is wider than what absorbing kv_b changes", greedy, NULL},
        {"with an fp8 cache one position has the logits of plain w8a8", fp8_cache, NULL},
    };
    return check_main(argc, argv, cases, 3);
}
