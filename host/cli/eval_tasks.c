/* Answers judged by rules: shares of right ones with their confidence, in all and of each task. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/eval.h"
#include "host/cli/many.h"
#include "host/cli/questions.h"

#define Z95 1.959963984540054 /* a normal distribution has 95 % within so many deviations */

typedef struct tally {
    const char *name; /* of the question's line; NULL: all */
    int64_t questions, answers, right, formed, solved;
} tally;

typedef struct evaluation {
    const eval_tasks_settings *settings;
    cli_questions questions;
    int64_t *right, *formed; /* [questions] of its answers */
    int64_t answers;
    cli_progress_bar bar;
} evaluation;

static void give_prompt(void *ctx, int64_t prompt, const int32_t **ids, size_t *n) {
    const cli_question *q = &((evaluation *)ctx)->questions.at[prompt];
    *ids = q->ids;
    *n = q->n;
}

static fa_status take_answer(void *ctx, const cli_written *a, fa_error *e) {
    evaluation *v = ctx;
    const cli_question *q = &v->questions.at[a->prompt];
    fa_reward reward = fa_judge(q->rule, q->target, a->text ? a->text : "");
    (void)e;
    v->right[a->prompt] += reward.accuracy;
    v->formed[a->prompt] += reward.format;
    cli_progress(&v->bar, ++v->answers, v->questions.n * v->settings->samples);
    return FA_OK;
}

static const char *task_of(const cli_question *q) {
    const char *task = json_string_value(json_object_get(q->line, "task"));
    return task ? task : "";
}

static void count(const evaluation *v, tally *t) {
    for (int64_t i = 0; i < v->questions.n; i++) {
        if (t->name && strcmp(t->name, task_of(&v->questions.at[i]))) continue;
        t->questions++;
        t->answers += v->settings->samples;
        t->right += v->right[i];
        t->formed += v->formed[i];
        t->solved += v->right[i] > 0;
    }
}

/* Bounds of a share by Wilson's interval (E. B. Wilson, JASA 22, 1927), over questions: answers to one are not independent. */
static void interval(double share, double n, double *low, double *high) {
    double z2 = Z95 * Z95, centre = (share + z2 / (2 * n)) / (1 + z2 / n);
    double half = Z95 / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n));
    *low = fmax(0, centre - half);
    *high = fmin(1, centre + half);
}

static void print_tally(const evaluation *v, const tally *t) {
    double right = (double)t->right / (double)t->answers, low, high;
    double formed = (double)t->formed / (double)t->answers, solved = (double)t->solved / (double)t->questions;
    interval(right, (double)t->questions, &low, &high);
    if (v->settings->json) {
        json_t *line = json_pack("{ss sI sI sf s[ff] sf sf}", "task", t->name ? t->name : "all", "questions",
                                 (json_int_t)t->questions, "answers", (json_int_t)t->answers, "right", right,
                                 "interval95", low, high, "format", formed, "solved", solved);
        json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        putchar('\n');
        json_decref(line);
        return;
    }
    printf("%-16s %7" PRId64 " %7.1f %%  %5.1f - %5.1f %% %7.1f %%", t->name ? t->name : "all", t->questions,
           100 * right, 100 * low, 100 * high, 100 * formed);
    if (v->settings->samples > 1) printf(" %7.1f %%", 100 * solved);
    putchar('\n');
}

/* All, then the tasks in the order in which they come first. */
static void print_all(const evaluation *v) {
    int64_t samples = v->settings->samples;
    if (!v->settings->json) {
        printf("%-16s %7s %9s  %15s %9s", "task", "asked", "right", "95 % interval", "format");
        if (samples > 1) printf(" one of %" PRId64, samples);
        putchar('\n');
    }
    tally all = {0};
    count(v, &all);
    print_tally(v, &all);
    for (int64_t i = 0; i < v->questions.n; i++) {
        tally t = {.name = task_of(&v->questions.at[i])};
        bool seen = !*t.name;
        for (int64_t k = 0; k < i && !seen; k++) seen = !strcmp(task_of(&v->questions.at[k]), t.name);
        if (seen) continue;
        count(v, &t);
        print_tally(v, &t);
    }
}

static int read_questions(evaluation *v, fathom_engine *engine) {
    fa_error bad = {0};
    if (cli_questions_read(&v->questions, engine, v->settings->file, &bad)) return cli_fail("%s", bad.text);
    if (!v->questions.n) return cli_fail("%s: no questions", v->settings->file);
    for (int64_t i = 0; i < v->questions.n; i++)
        if (!v->questions.at[i].target)
            return cli_fail("%s: line %" PRId64 ": no target to compare answers with", v->settings->file, i + 1);
    v->right = calloc((size_t)v->questions.n, sizeof *v->right);
    v->formed = calloc((size_t)v->questions.n, sizeof *v->formed);
    return v->right && v->formed ? CLI_OK : cli_fail("memory ran out");
}

int eval_tasks(fathom_engine *engine, const eval_tasks_settings *s) {
    evaluation v = {.settings = s, .bar = {.label = "answers"}};
    fathom_error e = {0};
    int code = read_questions(&v, engine);
    if (!code) {
        cli_many work = {.sessions = s->sessions,
                         .prompts = v.questions.n,
                         .samples = s->samples,
                         .sampling = &s->sampling,
                         .prompt = give_prompt,
                         .done = take_answer,
                         .ctx = &v};
        fathom_status st = cli_answer_many(engine, &work, &e);
        cli_progress_end(&v.bar);
        code = st == FATHOM_ECANCELLED ? CLI_INTERRUPTED : st ? cli_fail("%s", e.text) : CLI_OK;
    }
    if (!code) print_all(&v);
    free(v.right);
    free(v.formed);
    cli_questions_free(&v.questions);
    return code;
}
