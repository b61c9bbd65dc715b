/* Marks as tables and as JSON: shares with their intervals, in all and of each task, and modes against the first. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/eval.h"

typedef struct tally {
    const char *name; /* of the questions' task; NULL: all */
    int64_t questions, written, answers, chosen, right, formed, by_length;
    double *values;           /* [questions] share of right answers; scratch of the bootstrap */
    double pass[EVAL_PASSES]; /* means over questions whose answers were written */
    cli_interval interval, pass_interval[EVAL_PASSES];
} tally;

static const char *task_of(const cli_question *q) {
    const char *task = cli_question_text(q, "task");
    return task ? task : "";
}

static bool belongs(const tally *t, const cli_question *q) {
    return !t->name || !strcmp(t->name, task_of(q));
}

static double share(int64_t part, int64_t all) {
    return all ? (double)part / (double)all : 0;
}

static void count(tally *t, const eval_settings *s, const cli_questions *q, const eval_marks *m) {
    for (int64_t i = 0; i < q->n; i++) {
        if (!belongs(t, &q->at[i])) continue;
        bool choice = q->at[i].n_choices > 0;
        t->questions++;
        t->chosen += choice;
        t->written += !choice;
        t->answers += choice ? 1 : s->samples;
        t->right += m->right[i];
        *(choice ? &t->by_length : &t->formed) += m->formed[i];
    }
    t->interval = cli_wilson(share(t->right, t->answers), (double)t->questions);
    for (int k = 0; k < s->n_pass && t->written; k++) {
        int64_t n = 0;
        for (int64_t i = 0; i < q->n; i++)
            if (belongs(t, &q->at[i]) && !q->at[i].n_choices)
                t->values[n++] = cli_pass_at(s->samples, m->right[i], s->pass_at[k]);
        t->pass[k] = cli_mean(t->values, n);
        t->pass_interval[k] = cli_bootstrap(t->values, n);
    }
}

/* ---- one mode ---- */

static void print_json(json_t *line) {
    json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(line);
}

static void print_tally_json(const eval_settings *s, const tally *t) {
    json_t *line = json_pack("{ss sI sI sf s[ff]}", "task", t->name ? t->name : "all", "questions",
                             (json_int_t)t->questions, "answers", (json_int_t)t->answers, "right",
                             share(t->right, t->answers), "interval95", t->interval.low, t->interval.high);
    if (t->written) json_object_set_new(line, "format", json_real(share(t->formed, t->answers - t->chosen)));
    if (t->chosen) json_object_set_new(line, "right_by_length", json_real(share(t->by_length, t->chosen)));
    json_t *passes = json_array();
    for (int k = 0; k < s->n_pass && t->written; k++)
        json_array_append_new(passes, json_pack("{sI sf s[ff]}", "k", (json_int_t)s->pass_at[k], "share", t->pass[k],
                                                "interval95", t->pass_interval[k].low, t->pass_interval[k].high));
    json_object_set_new(line, "pass_at", passes);
    print_json(line);
}

/* Which columns have something in some row. */
typedef struct columns {
    bool format, by_length;
} columns;

static columns columns_of(const cli_questions *q) {
    columns c = {0};
    for (int64_t i = 0; i < q->n; i++) *(q->at[i].n_choices ? &c.by_length : &c.format) = true;
    return c;
}

static void print_percent(int64_t n, double value) {
    if (n)
        printf(" %8.1f %%", 100 * value);
    else
        printf(" %10s", "");
}

static void print_tally(const eval_settings *s, const tally *t, columns c) {
    if (s->json) {
        print_tally_json(s, t);
        return;
    }
    printf("%-16s %7" PRId64 " %7.1f %%  %5.1f - %5.1f %%", t->name ? t->name : "all", t->questions,
           100 * share(t->right, t->answers), 100 * t->interval.low, 100 * t->interval.high);
    if (c.format) print_percent(t->written, share(t->formed, t->answers - t->chosen));
    if (c.by_length) print_percent(t->chosen, share(t->by_length, t->chosen));
    for (int k = 0; k < s->n_pass; k++) {
        print_percent(t->written, t->pass[k]);
        if (t->written) printf(" (%.1f - %.1f)", 100 * t->pass_interval[k].low, 100 * t->pass_interval[k].high);
    }
    putchar('\n');
}

static void print_head(const eval_settings *s, columns c) {
    printf("%-16s %7s %9s  %15s", "task", "asked", "right", "95 % interval");
    if (c.format) printf(" %10s", "format");
    if (c.by_length) printf(" %10s", "by length");
    for (int k = 0; k < s->n_pass; k++) printf("   pass@%-3" PRId64 " (interval)", s->pass_at[k]);
    putchar('\n');
}

static void print_one(const eval_settings *s, const cli_questions *q, const eval_marks *m, const char *name,
                      double *values) {
    tally t = {.name = name, .values = values};
    count(&t, s, q, m);
    print_tally(s, &t, columns_of(q));
}

/* All, then the tasks in the order in which they come first. */
static void print_tasks(const eval_settings *s, const cli_questions *q, const eval_marks *m, double *values) {
    if (!s->json) print_head(s, columns_of(q));
    print_one(s, q, m, NULL, values);
    for (int64_t i = 0; i < q->n; i++) {
        const char *name = task_of(&q->at[i]);
        bool seen = !*name;
        for (int64_t k = 0; k < i && !seen; k++) seen = !strcmp(task_of(&q->at[k]), name);
        if (!seen) print_one(s, q, m, name, values);
    }
}

/* ---- several modes ---- */

static void print_mode(const eval_settings *s, const cli_questions *q, const eval_marks *marks, int mode,
                       double *values) {
    tally t = {.values = values};
    count(&t, s, q, &marks[mode]);
    int64_t fixed = 0, broken = 0;
    for (int64_t i = 0; i < q->n; i++) {
        int64_t more = marks[mode].right[i] - marks[0].right[i];
        fixed += more > 0;
        broken += more < 0;
        values[i] = share(more, q->at[i].n_choices ? 1 : s->samples);
    }
    double mean = cli_mean(values, q->n), right = share(t.right, t.answers);
    cli_interval of = cli_bootstrap(values, q->n);
    const char *name = s->modes[mode].name;
    if (s->json)
        print_json(json_pack("{ss sI sI sf s[ff] sf s[ff] sI sI}", "mode", name, "questions", (json_int_t)t.questions,
                             "answers", (json_int_t)t.answers, "right", right, "interval95", t.interval.low,
                             t.interval.high, "difference", mean, "difference95", of.low, of.high, "better",
                             (json_int_t)fixed, "worse", (json_int_t)broken));
    else
        printf("%-22s %7" PRId64 " %7.1f %%  %5.1f - %5.1f %%  %+7.2f  %+6.2f .. %+6.2f %7" PRId64 " %7" PRId64 "\n",
               name, t.questions, 100 * right, 100 * t.interval.low, 100 * t.interval.high, 100 * mean, 100 * of.low,
               100 * of.high, fixed, broken);
}

void eval_print(const eval_settings *s, const cli_questions *q, const eval_marks *marks) {
    double *values = calloc((size_t)q->n, sizeof *values);
    if (!values) return;
    if (s->n_modes == 1) {
        print_tasks(s, q, marks, values);
    } else {
        if (!s->json)
            printf("%-22s %7s %9s  %15s  %7s  %16s %7s %7s\n", "mode", "asked", "right", "95 % interval", "points",
                   "95 % interval", "better", "worse");
        for (int i = 0; i < s->n_modes; i++) print_mode(s, q, marks, i, values);
    }
    free(values);
}
