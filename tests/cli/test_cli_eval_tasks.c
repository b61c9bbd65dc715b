/* fathom eval on questions: what is right by each rule, pass@k, going on after an interruption, programs that mean harm. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/fathom.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

#define MODEL "models/fathom-r1-mini"
#define EVAL "\"$FATHOM_BIN\" eval --model " MODEL " --numerics w8a8 --threads 1 "

static check_output must(check_output o) {
    CHECK(o.status == 0, "status %d: %s", o.status, o.err);
    return o;
}

/* A folder with files, gone at the end of a case. */
typedef struct desk {
    char *folder, *questions, *answers;
} desk;

static desk lay(const char *questions, const char *answers) {
    desk d = {.folder = check_scratch()};
    d.questions = check_write(d.folder, "q.jsonl", questions, strlen(questions));
    d.answers = check_write(d.folder, "a.jsonl", answers, strlen(answers));
    return d;
}

static void clear(desk *d) {
    check_remove(d->folder);
    free(d->folder), free(d->questions), free(d->answers);
}

static json_t *first_line(const check_output *o) {
    json_t *line = json_loads(o->out, JSON_DISABLE_EOF_CHECK, NULL);
    CHECK(line, "%s%s", o->out, o->err);
    return line;
}

static double number(const json_t *line, const char *key) {
    const json_t *v = json_object_get(line, key);
    CHECK(json_is_number(v), "no %s", key);
    return json_number_value(v);
}

/* ---- answers that were written before ---- */

typedef struct written {
    const char *name, *question; /* what a line has beside "question" */
    const char *text;            /* of the answer, as JSON */
    int right;
} written;

#define CODE(more) "\"rule\": \"code\", " more
#define PYTHON(code) "\"x</think>\\n```python\\n" code "\\n```\""

static const written judged[] = {
    {"the number in the box is right", "\"target\": \"7\"", "\"x</think>\\\\boxed{7}\"", 1},
    {"another number in the box is wrong", "\"target\": \"7\"", "\"x</think>\\\\boxed{8}\"", 0},
    {"the last number is right", "\"target\": \"1,007\", \"rule\": \"number\"", "\"x</think>3, or rather 1007.0\"", 1},
    {"code that passes its tests is right", CODE("\"tests\": \"assert f(2) == 4\""), PYTHON("def f(x): return x * x"),
     1},
    {"code that fails a test is wrong", CODE("\"tests\": \"assert f(3) == 9\""), PYTHON("def f(x): return x + x"), 0},
    {"code that leaves before its tests is wrong", CODE("\"tests\": \"assert f(3) == 9\""),
     PYTHON("import sys; sys.exit(0)"), 0},
    {"code that leaves without a word is wrong", CODE("\"tests\": \"assert False\""), PYTHON("import os; os._exit(0)"),
     0},
    {"code that goes on with a text is right", CODE("\"before\": \"def f(x):\\n\", \"tests\": \"assert f(2) == 4\""),
     PYTHON("    return 2 * x"), 1},
    {"code that prints what is asked is right", CODE("\"input\": \"2 3\\n\", \"target\": \"5\""),
     PYTHON("a, b = map(int, input().split())\\nprint(a + b)"), 1},
    {"code that prints something else is wrong", CODE("\"input\": \"2 3\\n\", \"target\": \"5\""), PYTHON("print(6)"),
     0},
    {"a shell's program is right", CODE("\"language\": \"sh\", \"tests\": \"[ $(f) = 3 ]\""),
     "\"x</think>\\n```sh\\nset -e\\nf() { echo 3; }\\n```\"", 1},
    {"no program is wrong", CODE("\"tests\": \"pass\""), "\"x</think>I cannot.\"", 0},
    {"an endless loop is wrong", CODE("\"tests\": \"pass\""), PYTHON("while True: pass"), 0},
    {"a memory hog is wrong", CODE("\"tests\": \"pass\""), PYTHON("x = [bytearray(1 << 28) for _ in range(64)]"), 0},
    {"a fork bomb is wrong", CODE("\"tests\": \"pass\""), PYTHON("import os\\nwhile True: os.fork()"), 0},
    {"a file written elsewhere is wrong", CODE("\"tests\": \"pass\""), PYTHON("open('/tmp/fathom-was-there', 'w')"), 0},
    {"the network is wrong", CODE("\"tests\": \"pass\""),
     PYTHON("import urllib.request as u; u.urlopen('http://127.0.0.1:1')"), 0},
    {"a text without end is wrong", CODE("\"target\": \"x\""), PYTHON("while True: print('x')"), 0},
};

static void is_judged(void *arg) {
    const written *w = arg;
    if (strstr(w->question, "\"code\"")) {
        check_output have = check_command("python3 -c 1");
        if (have.status) check_skip("there is no python3");
        check_output_free(&have);
    }
    char question[400], answer[400];
    snprintf(question, sizeof question, "{\"question\": \"?\", %s}\n", w->question);
    snprintf(answer, sizeof answer, "{\"prompt\": 0, \"text\": %s}\n", w->text);
    desk d = lay(question, answer);
    check_output o = must(check_command(EVAL "--run-code --json --answers '%s' '%s'", d.answers, d.questions));
    json_t *line = first_line(&o);
    CHECK(number(line, "right") == w->right, "%s", o.out);
    json_decref(line);
    check_output_free(&o);
    clear(&d);
}

/* ---- pass@k ---- */

enum { SAMPLES = 10 };

typedef struct pass {
    int right[2]; /* of SAMPLES answers to each of two questions; the second -1: there is one question */
    int k;
    double share; /* 1 - C(n - c, k) / C(n, k) by hand */
} pass;

static const pass passes[] = {
    {{3, -1}, 1, 3.0 / 10},
    {{3, -1}, 5, 1 - 21.0 / 252},
    {{3, -1}, 8, 1},
    {{1, -1}, 9, 9.0 / 10},
    {{0, -1}, 10, 0},
    {{10, -1}, 1, 1},
    {{5, -1}, 2, 1 - 10.0 / 45},
    {{0, 10}, 4, 0.5},
    {{2, 4}, 3, 1 - (56.0 + 20.0) / 240},
    {{9, 1}, 10, 1},
};

static void is_unbiased(void *arg) {
    const pass *p = arg;
    char text[SAMPLES * 2 * 80] = "", *at = text;
    int questions = p->right[1] < 0 ? 1 : 2;
    for (int q = 0; q < questions; q++)
        for (int i = 0; i < SAMPLES; i++)
            at += sprintf(at, "{\"prompt\": %d, \"sample\": %d, \"text\": \"x</think>\\\\boxed{%d}\"}\n", q, i,
                          i < p->right[q] ? 1 : 2);
    desk d =
        lay(questions == 1 ? "{\"question\": \"?\", \"target\": \"1\"}\n"
                           : "{\"question\": \"?\", \"target\": \"1\"}\n{\"question\": \"!\", \"target\": \"1\"}\n",
            text);
    check_output o = must(
        check_command(EVAL "--json -s %d --pass-at %d --answers '%s' '%s'", SAMPLES, p->k, d.answers, d.questions));
    json_t *line = first_line(&o);
    const json_t *found = json_array_get(json_object_get(line, "pass_at"), 0);
    double share = number(found, "share");
    CHECK(fabs(share - p->share) < 1e-8, "pass@%d %.9g, want %.9g", p->k, share, p->share);
    double low = json_number_value(json_array_get(json_object_get(found, "interval95"), 0));
    double high = json_number_value(json_array_get(json_object_get(found, "interval95"), 1));
    CHECK(low <= share + 1e-9 && share <= high + 1e-9 && low >= 0 && high <= 1, "%g .. %g", low, high);
    json_decref(line);
    check_output_free(&o);
    clear(&d);
}

/* ---- going on ---- */

static const char mixed[] =
    "{\"question\": \"What is 30 + 42?\", \"target\": \"72\", \"task\": \"a\"}\n"
    "{\"text\": \"30+42=\", \"choices\": [\"72\", \"71\", \"73\"], \"correct\": 0, \"task\": \"b\"}\n"
    "{\"question\": \"What is 4837 * 96?\", \"target\": \"464352\", \"rule\": \"number\", \"task\": \"a\"}\n"
    "{\"question\": \"Sort 5, 31, 8.\", \"target\": \"5, 8, 31\", \"task\": \"c\"}\n";
enum { LINES = 10, CUTS = 6 };

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The file's lines in the order of their bytes: answers end in another order when some are there already. */
static char *sorted(const char *path) {
    size_t n, lines = 0;
    char *text = (char *)check_read(path, &n), *line[LINES + 1], *save, *all = calloc(1, n + 2);
    for (char *at = strtok_r(text, "\n", &save); at; at = strtok_r(NULL, "\n", &save)) {
        CHECK(lines < LINES, "more than %d lines", LINES);
        line[lines++] = at;
    }
    qsort(line, lines, sizeof *line, by_text);
    CHECK(all);
    for (size_t i = 0; i < lines; i++) strcat(strcat(all, line[i]), "\n");
    free(text);
    return all;
}

static void nothing_is_lost_or_doubled(void *unused) {
    (void)unused;
    desk d = lay(mixed, "");
    const char *command = EVAL "--json -s 3 --temp 1 -n 40 --answers '%s' '%s'";
    check_output whole = must(check_command(command, d.answers, d.questions));
    size_t n;
    char *bytes = (char *)check_read(d.answers, &n), *want = sorted(d.answers);
    for (int cut = 0; cut < CUTS; cut++) { /* from nothing to all but the last byte */
        free(check_write(d.folder, "a.jsonl", bytes, (n - 1) * (size_t)cut / (CUTS - 1)));
        check_output o = must(check_command(command, d.answers, d.questions));
        char *found = sorted(d.answers);
        CHECK(!strcmp(o.out, whole.out), "cut %d: %s, want %s", cut, o.out, whole.out);
        CHECK(!strcmp(found, want), "cut %d: %s\nwant %s", cut, found, want);
        free(found);
        check_output_free(&o);
    }
    free(bytes), free(want);
    check_output_free(&whole);
    clear(&d);
}

static void a_kill_loses_nothing(void *unused) {
    (void)unused;
    desk d = lay(mixed, "");
    const char *command = EVAL "--json -s 3 --temp 1 -n 40 --together 1 --answers '%s' '%s'";
    check_output whole = must(check_command(command, d.answers, d.questions));
    char *want = sorted(d.answers);
    free(check_write(d.folder, "a.jsonl", "", 0));
    check_output killed = check_command("(" EVAL "--json -s 3 --temp 1 -n 40 --together 1 --answers '%s' '%s' & p=$!; "
                                        "while [ $(wc -l <'%s') -lt 4 ]; do :; done; kill -9 $p; wait $p) 2>/dev/null",
                                        d.answers, d.questions, d.answers);
    check_output_free(&killed);
    check_output o = must(check_command(command, d.answers, d.questions));
    char *found = sorted(d.answers);
    CHECK(!strcmp(o.out, whole.out) && !strcmp(found, want), "%s%s", o.out, found);
    free(found), free(want);
    check_output_free(&o), check_output_free(&whole);
    clear(&d);
}

static void rollouts_are_judged_as_they_are(void *unused) {
    (void)unused;
    desk d = lay(
        "{\"question\": \"What is 30 + 42?\", \"target\": \"72\"}\n{\"question\": \"Hi\", \"target\": \"72\"}\n", "");
    check_output rolled = must(check_command(
        "\"$FATHOM_BIN\" rollout --model " MODEL " --numerics w8a8 -q -s 3 -n 60 '%s' >'%s'", d.questions, d.answers));
    check_output_free(&rolled);
    size_t n;
    char *before = (char *)check_read(d.answers, &n);
    check_output o = must(check_command(EVAL "--json -s 3 --temp 1 --answers '%s' '%s'", d.answers, d.questions));
    char *after = (char *)check_read(d.answers, &n);
    CHECK(!strcmp(before, after), "%s", after);
    json_t *line = first_line(&o);
    CHECK(number(line, "answers") == 6 && number(line, "right") == 0.5, "%s", o.out);
    json_decref(line);
    free(before), free(after);
    check_output_free(&o);
    clear(&d);
}

typedef struct wrong {
    const char *name, *question, *answers, *options, *says;
} wrong;

#define ONE "{\"question\": \"What is 3 + 4?\", \"target\": \"7\"}\n"

static const wrong wrongs[] = {
    {"an answer that is there twice is named", ONE,
     "{\"prompt\": 0, \"text\": \"a\"}\n{\"prompt\": 0, \"text\": \"b\"}\n", "--answers '%s'",
     "a.jsonl: line 2: answer 0"},
    {"an answer to no question is named", ONE, "{\"prompt\": 1, \"text\": \"a\"}\n", "--answers '%s'",
     "a.jsonl: line 1: no answer"},
    {"more answers than samples are named", ONE, "{\"prompt\": 0, \"sample\": 1, \"text\": \"a\"}\n", "--answers '%s'",
     "line 1: no answer"},
    {"an answer with another seed is named", ONE, "{\"prompt\": 0, \"seed\": 5, \"text\": \"a\"}\n", "--answers '%s'",
     "line 1: an answer with another seed"},
    {"an answer to another question is named", ONE, "{\"prompt\": 0, \"prompt_ids\": [1, 2], \"text\": \"a\"}\n",
     "--answers '%s'", "line 1: an answer to another question"},
    {"an answer with other settings is named", ONE, "{\"prompt\": 0, \"sampling\": \"temp 3\", \"text\": \"a\"}\n",
     "--answers '%s'", "line 1: an answer with other settings"},
    {"an answer without text is named", ONE, "{\"prompt\": 0}\n", "--answers '%s'", "line 1: text"},
    {"a line that is no JSON is named", ONE, "{\n", "--answers '%s'", "a.jsonl: line 1: "},
    {"code runs when asked alone", "{\"question\": \"a\", \"rule\": \"code\", \"tests\": \"x\"}\n", "", "",
     "line 1: the rule \"code\""},
    {"code without tests is named", "{\"question\": \"a\", \"rule\": \"code\"}\n", "", "",
     "line 1: the rule \"code\" expects"},
    {"an unknown language is named",
     "{\"question\": \"a\", \"rule\": \"code\", \"tests\": \"x\", \"language\": \"cobol\"}\n",
     "{\"prompt\": 0, \"text\": \"a\"}\n", "--run-code --answers '%s'", "language \"cobol\""},
    {"a number that is none is named", "{\"question\": \"a\", \"rule\": \"number\", \"target\": \"x\"}\n", "", "",
     "line 1: target: the rule \"number\""},
    {"one choice is named", "{\"text\": \"a\", \"choices\": [\"b\"], \"correct\": 0}\n", "", "",
     "line 1: choices: expected"},
    {"an empty choice is named", "{\"text\": \"a\", \"choices\": [\"b\", \"\"], \"correct\": 0}\n", "", "", "entry 1"},
    {"a right choice outside is named", "{\"text\": \"a\", \"choices\": [\"b\", \"c\"], \"correct\": 2}\n", "", "",
     "correct: expected an index of choices, from 0 to 1"},
};

static void is_named(void *arg) {
    const wrong *w = arg;
    desk d = lay(w->question, w->answers);
    char options[300];
    snprintf(options, sizeof options, w->options, d.answers);
    check_output o = check_command(EVAL "%s '%s'", options, d.questions);
    CHECK(o.status == 1 && !*o.out && strstr(o.err, w->says), "status %d: %s", o.status, o.err);
    check_output_free(&o);
    clear(&d);
}

/* ---- multiple choice ---- */

static const char *const choices[] = {"72", "8", "7201"};

/* Sum of log p of the ids of a choice behind the text, by the engine's logits. */
static double by_hand(fathom_engine *g, const char *text, const char *choice) {
    fathom_info info;
    fathom_error e = {0};
    int32_t *ids, *prompt;
    size_t n, m;
    char both[100];
    fathom_engine_info(g, &info);
    snprintf(both, sizeof both, "%s%s", text, choice);
    CHECK_OK(fathom_encode(g, both, strlen(both), true, &ids, &n, &e), &e);
    CHECK_OK(fathom_encode(g, text, strlen(text), true, &prompt, &m, &e), &e);
    float *logits = calloc((size_t)info.vocabulary, sizeof *logits);
    double total = 0;
    for (size_t i = m; i < n; i++) {
        CHECK_OK(fathom_logits(g, ids, i, false, logits, &e), &e);
        double sum = 0;
        for (int k = 0; k < info.vocabulary; k++) sum += exp((double)logits[k]);
        total += (double)logits[ids[i]] - log(sum);
    }
    fathom_free(ids), fathom_free(prompt), free(logits);
    return total;
}

static void choices_are_scored_by_likelihood(void *unused) {
    (void)unused;
    fathom_engine *g;
    fathom_error e = {0};
    fathom_options o = {.model = MODEL, .numerics = "w8a8", .context = 64};
    CHECK_OK(fathom_engine_open(&g, &o, &e), &e);
    double want[3];
    int best = 0, by_length = 0;
    for (int i = 0; i < 3; i++) {
        want[i] = by_hand(g, "30+42=", choices[i]);
        if (want[i] > want[best]) best = i;
        if (want[i] / (double)strlen(choices[i]) > want[by_length] / (double)strlen(choices[by_length])) by_length = i;
    }
    fathom_engine_close(g);
    CHECK(best != by_length, "the case shows no difference");
    for (int correct = 0; correct < 3; correct++) {
        char question[200];
        snprintf(question, sizeof question,
                 "{\"text\": \"30+42=\", \"choices\": [\"72\", \"8\", \"7201\"], \"correct\": %d}\n", correct);
        desk d = lay(question, "");
        check_output out = must(check_command(EVAL "--json --answers '%s' '%s'", d.answers, d.questions));
        json_t *line = first_line(&out);
        CHECK(number(line, "right") == (correct == best), "correct %d: %s", correct, out.out);
        CHECK(number(line, "right_by_length") == (correct == by_length), "correct %d: %s", correct, out.out);
        size_t n;
        char *text = (char *)check_read(d.answers, &n);
        json_t *kept = json_loads(text, 0, NULL), *list = json_object_get(kept, "choice_logprobs");
        for (size_t i = 0; i < 3; i++)
            CHECK(fabs(json_number_value(json_array_get(list, i)) - want[i]) < 1e-4, "%s, want %g", text, want[i]);
        json_decref(kept), json_decref(line);
        free(text);
        check_output_free(&out);
        clear(&d);
    }
}

/* ---- modes ---- */

static void modes_stand_in_one_table(void *unused) {
    (void)unused;
    desk d = lay(mixed, "");
    check_output o = must(check_command("\"$FATHOM_BIN\" eval --model " MODEL
                                        " -n 60 --json --compare=w8a16,w8a8,w8a8:fp8 --answers '%s' '%s'",
                                        d.answers, d.questions));
    static const char *const names[] = {"fp32", "w8a16", "w8a8", "w8a8, fp8 cache"};
    const char *at = o.out;
    for (int i = 0; i < 4; i++, at += strcspn(at, "\n") + 1) {
        json_t *line = json_loads(at, JSON_DISABLE_EOF_CHECK, NULL);
        CHECK(line && !strcmp(json_string_value(json_object_get(line, "mode")), names[i]), "%s", at);
        CHECK(number(line, "questions") == 4 && number(line, "answers") == 4, "%s", at);
        CHECK(i > 1 || (number(line, "difference") == 0 && number(line, "better") + number(line, "worse") == 0), "%s",
              at);
        json_decref(line);
    }
    CHECK(!*at, "%s", at);
    check_output again = must(check_command("\"$FATHOM_BIN\" eval --model " MODEL
                                            " -n 60 --json --compare=w8a16,w8a8,w8a8:fp8 --answers '%s' '%s'",
                                            d.answers, d.questions));
    CHECK(!strcmp(again.out, o.out), "%s", again.out);
    check_output_free(&o), check_output_free(&again);
    clear(&d);
}

static void windows_go_on(void *unused) {
    (void)unused;
    desk d =
        lay("Tom has 3 boxes with 12 books each and 5 more. How many books does Tom have?\n3*12=36\n36+5=41\n", "");
    const char *command = EVAL "--json --window 16 --stride 5 --answers '%s' --perplexity '%s'";
    check_output whole = must(check_command(command, d.answers, d.questions));
    size_t n, m;
    char *bytes = (char *)check_read(d.answers, &n);
    for (int cut = 0; cut < CUTS; cut++) {
        free(check_write(d.folder, "a.jsonl", bytes, (n - 1) * (size_t)cut / (CUTS - 1)));
        check_output o = must(check_command(command, d.answers, d.questions));
        char *found = (char *)check_read(d.answers, &m);
        CHECK(!strcmp(o.out, whole.out), "cut %d: %s, want %s", cut, o.out, whole.out);
        CHECK(!strcmp(found, bytes), "cut %d: %s", cut, found);
        free(found);
        check_output_free(&o);
    }
    check_output o =
        check_command(EVAL "--window 16 --stride 6 --answers '%s' --perplexity '%s'", d.answers, d.questions);
    CHECK(o.status == 1 && strstr(o.err, "of another text, window or stride"), "%s", o.err);
    check_output_free(&o), check_output_free(&whole);
    free(bytes);
    clear(&d);
}

static void the_documents_questions_are_read(void *unused) {
    (void)unused;
    check_output have = check_command("python3 -c 1");
    if (have.status) check_skip("there is no python3");
    check_output_free(&have);
    char *folder = check_scratch();
    check_output o = must(check_command("sed -n 's/^    {\"task\"/{\"task\"/p' docs/evaluation.md >'%s/q' && " EVAL
                                        "--run-code --json -n 5 '%s/q'",
                                        folder, folder));
    json_t *line = first_line(&o);
    CHECK(number(line, "questions") == 6, "%s", o.out);
    json_decref(line);
    check_output_free(&o);
    check_remove(folder);
    free(folder);
}

static void refusals(void *unused) {
    (void)unused;
    static const check_refusal uses[] = {
        {"eval a --reference b", "--reference belongs to --compare", 2},
        {"eval a --compare=w4", "'w4' is no mode", 2},
        {"eval a --compare=w8a8,", "'' is no mode", 2},
        {"eval a -s 2 --pass-at 3", "--pass-at: 3 needs as many --samples", 2},
        {"eval a --pass-at x", "--pass-at", 2},
        {"eval - --answers b", "--answers needs questions that lie in a file", 2},
        {"eval LICENSE --answers b", "LICENSE: line 1", 1},
    };
    check_refusals(uses, sizeof uses / sizeof *uses);
}

int main(int argc, char **argv) {
    enum {
        JUDGED = sizeof judged / sizeof *judged,
        PASSES = sizeof passes / sizeof *passes,
        WRONGS = sizeof wrongs / sizeof *wrongs,
        OTHERS = 8
    };
    static char names[PASSES][60];
    check_case cases[OTHERS + JUDGED + PASSES + WRONGS] = {
        {"an interrupted run goes on: nothing is lost or doubled", nothing_is_lost_or_doubled, NULL},
        {"a killed run goes on", a_kill_loses_nothing, NULL},
        {"what `fathom rollout` wrote is judged without writing it again", rollouts_are_judged_as_they_are, NULL},
        {"choices are scored by their likelihood, and by length", choices_are_scored_by_likelihood, NULL},
        {"modes stand in one table against FP32", modes_stand_in_one_table, NULL},
        {"a text that was scored in part goes on", windows_go_on, NULL},
        {"the questions of docs/evaluation.md are read", the_documents_questions_are_read, NULL},
        {"wrong uses are refused", refusals, NULL},
    };
    check_case *at = cases + OTHERS;
    for (int i = 0; i < JUDGED; i++) *at++ = (check_case){judged[i].name, is_judged, (void *)&judged[i]};
    for (int i = 0; i < PASSES; i++) {
        snprintf(names[i], sizeof names[i], "pass@%d of %d and %d right answers", passes[i].k, passes[i].right[0],
                 passes[i].right[1]);
        *at++ = (check_case){names[i], is_unbiased, (void *)&passes[i]};
    }
    for (int i = 0; i < WRONGS; i++) *at++ = (check_case){wrongs[i].name, is_named, (void *)&wrongs[i]};
    return check_main(argc, argv, cases, (size_t)(at - cases));
}
