/* fathom eval: right answers counted, and a text's perplexity as transformers' numbers have it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/fathom.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_model.h"

#define MODEL "models/fathom-r1-mini"
#define EVAL "\"$FATHOM_BIN\" eval --model " MODEL " "

static check_output must(check_output o) {
    CHECK(o.status == 0, "status %d: %s", o.status, o.err);
    return o;
}

static const char questions[] =
    "{\"question\": \"What is 3 + 4?\", \"target\": \"7\", \"task\": \"easy\"}\n"
    "{\"question\": \"What is 30 + 42?\", \"target\": \"72\", \"task\": \"easy\"}\n"
    "{\"question\": \"What is 3 + 5?\", \"target\": \"7\", \"task\": \"trap\"}\n"
    "{\"question\": \"Who are you?\", \"target\": \"Goodbye!\", \"rule\": \"answer\", \"task\": \"trap\"}\n";

typedef struct want {
    const char *task;
    int questions, answers;
    double right, low, high; /* the interval by R's binom.confint(method = "wilson") */
} want;

static void right_answers_are_counted(void *unused) {
    (void)unused;
    static const want wants[] = {
        {"all", 4, 12, 0.5, 0.1500390, 0.8499610},
        {"easy", 2, 6, 1, 0.3423802, 1},
        {"trap", 2, 6, 0, 0, 0.6576198},
    };
    char *folder = check_scratch(), *file = check_write(folder, "q", questions, sizeof questions - 1), *at;
    check_output o = must(check_command(EVAL "--numerics w8a8 -s 3 --temp 0.1 --json '%s'", file));
    at = o.out;
    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
        const want *w = &wants[i];
        json_t *line = json_loads(at, JSON_DISABLE_EOF_CHECK, NULL);
        CHECK(line, "%s", at);
        const json_t *interval = json_object_get(line, "interval95");
        CHECK(!strcmp(json_string_value(json_object_get(line, "task")), w->task), "%s", at);
        CHECK(json_integer_value(json_object_get(line, "questions")) == w->questions, "%s", at);
        CHECK(json_integer_value(json_object_get(line, "answers")) == w->answers, "%s", at);
        CHECK(json_number_value(json_object_get(line, "right")) == w->right, "%s", at);
        const json_t *pass = json_array_get(json_object_get(line, "pass_at"), 0);
        CHECK(json_integer_value(json_object_get(pass, "k")) == 3, "%s", at);
        CHECK(json_number_value(json_object_get(pass, "share")) == w->right, "%s", at);
        CHECK(json_number_value(json_object_get(line, "format")) == 1 || !strcmp(w->task, "trap") || i == 0, "%s", at);
        CHECK(fabs(json_number_value(json_array_get(interval, 0)) - w->low) < 1e-6, "%s", at);
        CHECK(fabs(json_number_value(json_array_get(interval, 1)) - w->high) < 1e-6, "%s", at);
        json_decref(line);
        at += strcspn(at, "\n") + 1;
    }
    CHECK(!*at, "%s", at);
    check_output_free(&o);
    check_remove(folder);
    free(folder);
    free(file);
}

/* The mean of -log p of the ids behind the first, by transformers' logits. */
static double golden_nll(const golden *g, const golden_prompt *p, int vocab) {
    const float *logits = golden_blob(g, p->name, "logits", (int64_t)p->n * vocab);
    double total = 0;
    for (int i = 1; i < p->n; i++, logits += vocab) {
        double sum = 0;
        for (int k = 0; k < vocab; k++) sum += exp((double)logits[k]);
        total += log(sum) - (double)logits[p->ids[i]];
    }
    return total / (p->n - 1);
}

static double perplexity(const char *options, const char *file, int tokens) {
    check_output o = must(check_command(EVAL "--numerics w8a16 --json %s --perplexity '%s'", options, file));
    json_t *line = json_loads(o.out, 0, NULL);
    CHECK(line, "%s", o.out);
    CHECK(json_integer_value(json_object_get(line, "tokens")) == tokens, "%s", o.out);
    CHECK(json_integer_value(json_object_get(line, "predicted")) == tokens - 1, "%s", o.out);
    double found = json_number_value(json_object_get(line, "perplexity"));
    double mean = json_number_value(json_object_get(line, "mean_nll"));
    CHECK(fabs(exp(mean) / found - 1) < 1e-6, "%s", o.out);
    json_decref(line);
    check_output_free(&o);
    return found;
}

static void perplexity_is_that_of_transformers(void *unused) {
    (void)unused;
    golden g;
    golden_open(&g, "fathom-r1-mini");
    fathom_engine *engine;
    fathom_error e = {0};
    fathom_info info;
    CHECK_OK(fathom_engine_open(&engine, &(fathom_options){.model = MODEL, .context = 64}, &e), &e);
    fathom_engine_info(engine, &info);
    char *folder = check_scratch();
    for (int i = 0; i < g.n_prompts; i++) {
        const golden_prompt *p = &g.prompts[i];
        if (p->n < 2) continue;
        char *text;
        size_t bytes;
        CHECK_OK(fathom_decode(engine, p->ids, (size_t)p->n, false, &text, &bytes, &e), &e);
        char *file = check_write(folder, p->name, text, bytes);
        double found = perplexity("", file, p->n), wanted = exp(golden_nll(&g, p, info.vocabulary));
        CHECK(fabs(found / wanted - 1) < 1e-3, "%s: %.6g, transformers %.6g", p->name, found, wanted);
        free(file);
        fathom_free(text);
    }
    check_remove(folder);
    free(folder);
    fathom_engine_close(engine);
    golden_close(&g);
}

/* What windows say, by the definition: token i is predicted from the window in which it comes first. */
static double by_hand(fathom_engine *engine, const int32_t *ids, size_t n, size_t window, size_t stride, int vocab) {
    float *logits = calloc(window * (size_t)vocab, sizeof *logits);
    CHECK(logits);
    double total = 0;
    for (size_t i = 1; i < n; i++) {
        size_t first = i < window ? 0 : (i - window) / stride * stride + stride;
        fathom_error e = {0};
        CHECK_OK(fathom_logits(engine, ids + first, i - first, false, logits, &e), &e);
        double sum = 0;
        for (int k = 0; k < vocab; k++) sum += exp((double)logits[k]);
        total += log(sum) - (double)logits[ids[i]];
    }
    free(logits);
    return exp(total / (double)(n - 1));
}

static void windows_overlap_as_documented(void *unused) {
    (void)unused;
    static const char text[] =
        "Tom has 3 boxes with 12 books each and 5 more. How many books does Tom have?\n3*12=36\n36+5=41\n";
    char *folder = check_scratch(), *file = check_write(folder, "t", text, sizeof text - 1);
    fathom_engine *engine;
    fathom_error e = {0};
    fathom_info info;
    fathom_options o = {.model = MODEL, .numerics = "w8a16", .context = 64};
    CHECK_OK(fathom_engine_open(&engine, &o, &e), &e);
    fathom_engine_info(engine, &info);
    int32_t *ids;
    size_t n;
    CHECK_OK(fathom_encode(engine, text, sizeof text - 1, true, &ids, &n, &e), &e);
    static const struct {
        const char *options;
        size_t window, stride;
    } rows[] = {{"--window 16 --stride 5", 16, 5}, {"--window 12", 12, 6}, {"--window 8 --stride 7", 8, 7}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double found = perplexity(rows[i].options, file, (int)n);
        double want = by_hand(engine, ids, n, rows[i].window, rows[i].stride, info.vocabulary);
        CHECK(fabs(found / want - 1) < 1e-5, "%s: %.9g, want %.9g", rows[i].options, found, want);
    }
    fathom_free(ids);
    fathom_engine_close(engine);
    check_remove(folder);
    free(folder);
    free(file);
}

static void refusals(void *unused) {
    (void)unused;
    static const check_refusal uses[] = {
        {"eval", "name either a file of questions", 2},
        {"eval a --perplexity b", "name either", 2},
        {"eval a --window 5", "--perplexity", 2},
        {"eval -s 0 a", "--samples", 2},
        {"eval --perplexity /dev/null/x", "/dev/null/x", 1},
        {"eval --perplexity /dev/null", "/dev/null: 0 tokens", 1},
        {"eval /dev/null", "/dev/null: no questions", 1},
        {"eval --perplexity README.md --window 4096", "--window: 4096 tokens", 1},
        {"eval --perplexity README.md --window 8 --stride 8", "--stride: 8, must be less", 1},
    };
    check_refusals(uses, sizeof uses / sizeof *uses);
}

static void a_question_without_target_is_named(void *unused) {
    (void)unused;
    char *folder = check_scratch(), *file = check_write(folder, "q", "{\"question\": \"a\"}", 17);
    check_output o = check_command(EVAL "'%s'", file);
    CHECK(o.status == 1 && !*o.out && strstr(o.err, "q: line 1: no target"), "status %d: %s", o.status, o.err);
    check_output_free(&o);
    check_remove(folder);
    free(folder);
    free(file);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"right answers are counted by task, with Wilson's interval", right_answers_are_counted, NULL},
        {"perplexity is within 0.1 % of transformers'", perplexity_is_that_of_transformers, NULL},
        {"windows overlap as documented", windows_overlap_as_documented, NULL},
        {"a question without target is named", a_question_without_target_is_named, NULL},
        {"wrong uses are refused", refusals, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
