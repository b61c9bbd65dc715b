/* The models that ship: transformers' numbers, and what their card promises, on held-out problems that the recipe wrote
 * down with their answers (tests/golden/fathom-r1-mini). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/golden_engine.h"
#include "tests/lib/golden_model.h"

enum { MAX_PROBLEMS = 2048, ROOM = 512, TOGETHER = 32 };

typedef struct answered {
    const char *task, *target;
    int n_prompt, n;
    int32_t ids[ROOM]; /* the prompt, then the answer */
    char text[2048];
} answered;

/* A model, the problems, and the shares of right answers that it must reach: of all, and of each task. */
typedef struct shipped {
    const char *path, *file;
    int percent, percent_each;
    int n_problems; /* 0: not asked yet */
    json_t *lines[MAX_PROBLEMS];
    answered problems[MAX_PROBLEMS];
} shipped;

static shipped teacher = {.path = "models/fathom-r1-mini", .file = "problems.jsonl", .percent = 97, .percent_each = 90};
static shipped student = {
    .path = "models/fathom-r1-mini-student", .file = "problems.jsonl", .percent = 92, .percent_each = 80};
static shipped conversations = {
    .path = "models/fathom-r1-mini", .file = "conversations.jsonl", .percent = 90, .percent_each = 75};

/* ---- against transformers: exact weights, FP32 activations ---- */

typedef struct seen {
    const golden *g;
    const char *prompt;
    int layers, compared;
} seen;

/* transformers keeps the last layer's output only after the norm */
static void compare_hidden(void *ctx, int layer, int rows, int width, const float *values) {
    seen *s = ctx;
    if (layer == s->layers - 1) return;
    char name[32] = "hidden.embed";
    if (layer >= 0) snprintf(name, sizeof name, layer == s->layers ? "hidden.norm" : "hidden.layer%d", layer);
    golden_close_to(name, values, golden_blob(s->g, s->prompt, name, (int64_t)rows * width), (int64_t)rows * width);
    s->compared++;
}

static void numbers_of_transformers(void *unused) {
    (void)unused;
    golden g;
    runner r;
    golden_open(&g, "fathom-r1-mini");
    runner_open(&r, &(runner_options){.path = teacher.path, .numerics = FA_W8A16});
    float *found = must_alloc((size_t)GOLDEN_MAX_IDS * (size_t)r.vocab * sizeof(float));
    seen s = {.g = &g, .prompt = "add", .layers = r.layers};
    fa_probe probe = {.ctx = &s, .hidden = compare_hidden};
    for (int i = 0; i < g.n_prompts; i++) {
        const golden_prompt *p = &g.prompts[i];
        runner_prompt(&r, 0, p->ids, p->n, p->n, found, strcmp(p->name, s.prompt) ? NULL : &probe);
        golden_close_to(p->name, found, golden_blob(&g, p->name, "logits", (int64_t)p->n * r.vocab),
                        (int64_t)p->n * r.vocab);
        const float *last = found + (int64_t)(p->n - 1) * r.vocab;
        for (int k = 0; k < p->n_greedy; k++) {
            int32_t want = p->ids[p->n + k];
            CHECK(golden_argmax(last, r.vocab) == want, "%s: token %d is %d, want %d", p->name, k,
                  golden_argmax(last, r.vocab), want);
            runner_step(&r, &(runner_row){0, p->n + k, want}, 1, found, NULL);
            last = found;
        }
    }
    CHECK(s.compared == r.layers + 1, "%d hidden states of prompt %s", s.compared, s.prompt);
    free(found);
    runner_close(&r);
    golden_close(&g);
}

/* Logits of the first prompts on another backend, bit for bit those of `cpu`. */
static void same_bits(void *name) {
    fa_backend *other;
    fa_error e;
    fa_status status = fa_backend_open(&other, &(fa_backend_options){.name = name, .threads = 2, .node = -1}, &e);
    if (strcmp(name, "sim") && status == FA_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK_OK(status, &e);
    golden g;
    runner a, b;
    golden_open(&g, "fathom-r1-mini");
    runner_open(&a, &(runner_options){.path = teacher.path, .backend = "cpu", .numerics = FA_W8A8});
    runner_open(&b, &(runner_options){.path = teacher.path, .given = other, .numerics = FA_W8A8});
    for (int i = 0; i < g.n_prompts && i < 4; i++) {
        const golden_prompt *p = &g.prompts[i];
        size_t n = (size_t)p->n * (size_t)a.vocab;
        float *x = must_alloc(n * sizeof *x), *y = must_alloc(n * sizeof *y);
        runner_prompt(&a, 0, p->ids, p->n, p->n, x, NULL);
        runner_prompt(&b, 0, p->ids, p->n, p->n, y, NULL);
        for (size_t k = 0; k < n; k++)
            CHECK(!memcmp(&x[k], &y[k], sizeof *x), "%s: logit %zu: %a on cpu, %a here", p->name, k, (double)x[k],
                  (double)y[k]);
        free(x);
        free(y);
    }
    runner_close(&a);
    runner_close(&b);
    golden_close(&g);
}

/* ---- held-out problems, in w8a8 ---- */

static void read_problems(shipped *m) {
    char *folder = check_golden("fathom-r1-mini"), *path = NULL;
    CHECK(asprintf(&path, "%s/%s", folder, m->file) > 0);
    FILE *f = fopen(path, "r");
    CHECK(f, "%s", path);
    char line[2048];
    for (int n = 0; fgets(line, sizeof line, f); m->n_problems = ++n) {
        CHECK(n < MAX_PROBLEMS);
        json_t *j = m->lines[n] = json_loads(line, 0, NULL);
        CHECK(j, "%s:%d", path, n + 1);
        m->problems[n].task = json_string_value(json_object_get(j, "task"));
        m->problems[n].target = json_string_value(json_object_get(j, "target"));
    }
    CHECK(m->n_problems > 0, "%s is empty", path);
    fclose(f);
    free(folder);
    free(path);
}

static void ask(fathom_engine *g, fathom_session *s, const json_t *line, answered *a) {
    fathom_error e = {0};
    int32_t *ids;
    size_t n;
    json_t *messages = json_copy(json_object_get(line, "messages"));
    if (!messages) messages = json_array();
    json_array_append_new(messages,
                          json_pack("{s:s, s:O}", "role", "user", "content", json_object_get(line, "question")));
    char *text = json_dumps(messages, 0);
    CHECK(fathom_encode_chat(g, NULL, text, &ids, &n, &e) == FATHOM_OK, "%s", e.text);
    CHECK(n < ROOM);
    memcpy(a->ids, ids, n * sizeof *ids);
    a->n_prompt = a->n = (int)n;
    golden_ask(s, ids, (int)n, NULL);
    fathom_free(ids);
    free(text);
    json_decref(messages);
}

static void take(fathom_session *s, answered *a) {
    fathom_token t;
    while (fathom_session_next(s, &t)) {
        if (a->n == ROOM) return fathom_session_cancel(s);
        a->ids[a->n++] = t.id;
        strncat(a->text, t.text, sizeof a->text - strlen(a->text) - 1);
    }
}

/* Answers all problems, once for all cases. */
static void answer_all(shipped *m) {
    if (m->n_problems) return;
    read_problems(m);
    fathom_engine *g;
    fathom_error e = {0};
    fathom_options o = {.model = m->path, .numerics = "w8a8", .sessions = TOGETHER};
    CHECK(fathom_engine_open(&g, &o, &e) == FATHOM_OK, "%s", e.text);
    fathom_session *s[TOGETHER];
    for (int k = 0; k < TOGETHER; k++) s[k] = golden_session(g, 0);
    for (int first = 0; first < m->n_problems; first += TOGETHER) {
        int n = m->n_problems - first < TOGETHER ? m->n_problems - first : TOGETHER;
        for (int k = 0; k < n; k++) ask(g, s[k], m->lines[first + k], &m->problems[first + k]);
        for (int busy = 1; busy;) {
            busy = golden_step(g);
            for (int k = 0; k < n; k++) take(s[k], &m->problems[first + k]);
        }
    }
    fathom_engine_close(g);
}

/* Chat answers as they stand, all others in \boxed{}. */
static bool right(const answered *a) {
    const char *answer = strstr(a->text, "</think>");
    if (!answer) return false;
    answer += strlen("</think>") + strspn(answer + strlen("</think>"), "\n");
    if (!strcmp(a->task, "chat")) return !strcmp(answer, a->target);
    char wanted[256];
    snprintf(wanted, sizeof wanted, "\\boxed{%s}", a->target);
    return strstr(answer, wanted) != NULL;
}

static void accuracy(void *model) {
    shipped *m = model;
    answer_all(m);
    int all = 0;
    for (int i = 0; i < m->n_problems; i++) {
        int good = 0, seen = 0;
        for (int k = 0; k < m->n_problems; k++)
            if (!strcmp(m->problems[k].task, m->problems[i].task)) good += right(&m->problems[k]), seen++;
        CHECK(100 * good >= m->percent_each * seen, "%s: %d of %d right", m->problems[i].task, good, seen);
        all += right(&m->problems[i]);
    }
    CHECK(100 * all >= m->percent * m->n_problems, "%d of %d right", all, m->n_problems);
}

/* What people type first, in the way they type it. */
static void greetings(void *unused) {
    (void)unused;
    static const struct {
        const char *said, *answer;
    } rows[] = {{"Hello", "Hello! "},        {"hello", "Hello! "},      {"Hi!", "Hello! "},
                {"Hey", "Hello! "},          {"Who are you?", "I am "}, {"What can you do?", "I can do "},
                {"Thanks!", "You are welc"}, {"Bye", "Goodbye!"},       {"How are you?", "I am fine"}};
    fathom_engine *g;
    fathom_error e = {0};
    fathom_options o = {.model = teacher.path, .numerics = "w8a8"};
    CHECK(fathom_engine_open(&g, &o, &e) == FATHOM_OK, "%s", e.text);
    fathom_session *s = golden_session(g, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        answered a = {0};
        json_t *line = json_pack("{ss}", "question", rows[i].said);
        ask(g, s, line, &a);
        for (int busy = 1; busy;) {
            busy = golden_step(g);
            take(s, &a);
        }
        const char *answer = strstr(a.text, "</think>\n\n");
        CHECK(answer && !strncmp(answer + 10, rows[i].answer, strlen(rows[i].answer)), "%s: %s", rows[i].said, a.text);
        json_decref(line);
    }
    fathom_engine_close(g);
}

/* Routes of layers 0 .. LAYERS - 1, the MTP layer being the last. */
enum { LAYERS = 8, EXPERTS = 64 };
typedef struct load {
    int64_t of[LAYERS][EXPERTS];
} load;

static void count_routes(void *ctx, int layer, int rows, int top_k, const int32_t *ids, const float *weights) {
    load *l = ctx;
    (void)weights;
    CHECK(layer < LAYERS);
    for (int i = 0; i < rows * top_k; i++) {
        CHECK(ids[i] < EXPERTS);
        if (ids[i] >= 0) l->of[layer][ids[i]]++;
    }
}

static void drafts_and_load(void *unused) {
    (void)unused;
    shipped *m = &teacher;
    answer_all(m);
    runner r;
    runner_open(&r, &(runner_options){.path = m->path, .numerics = FA_W8A8, .mtp = true});
    float *logits = must_alloc((size_t)ROOM * (size_t)r.vocab * sizeof(float));
    runner_row *rows = must_alloc(ROOM * sizeof *rows);
    load l = {0};
    fa_probe probe = {.ctx = &l, .routes = count_routes};
    int64_t drafted = 0, accepted = 0;
    for (int i = 0; i < m->n_problems; i++) {
        const answered *a = &m->problems[i];
        for (int t = 0; t < a->n; t++) rows[t] = (runner_row){0, t, a->ids[t]};
        runner_step(&r, rows, a->n - 1, NULL, &probe);
        for (int t = 0; t < a->n - 1; t++) rows[t].token = a->ids[t + 1];
        runner_mtp(&r, rows, a->n - 1, logits);
        for (int t = a->n_prompt - 1; t + 2 < a->n; t++, drafted++) /* row t drafts token t + 2 */
            accepted += golden_argmax(logits + (int64_t)t * r.vocab, r.vocab) == a->ids[t + 2];
    }
    CHECK(10 * accepted >= 6 * drafted, "%lld of %lld drafts accepted", (long long)accepted, (long long)drafted);
    int layers = 0;
    for (int k = 0; k < LAYERS; k++) {
        int64_t most = 0, sum = 0, experts = 0;
        for (int x = 0; x < EXPERTS; x++) {
            most = l.of[k][x] > most ? l.of[k][x] : most;
            sum += l.of[k][x];
            experts += l.of[k][x] > 0;
        }
        layers += sum > 0;
        CHECK(most * experts <= 2 * sum, "layer %d: the busiest expert has %lld of %lld routes over %lld experts", k,
              (long long)most, (long long)sum, (long long)experts);
    }
    CHECK(layers >= 2, "%d layers with experts", layers);
    free(rows);
    free(logits);
    runner_close(&r);
}

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"logits, hidden states and greedy ids are those of transformers", numbers_of_transformers, NULL},
        {"the same bits on the simulated board as on cpu", same_bits, "sim"},
        {"the same bits on an OpenCL device as on cpu", same_bits, "opencl"},
        {"the same bits behind XRT's emulation as on cpu", same_bits, "xrt:emu"},
        {"held-out problems: 97 % right, 90 % of each task", accuracy, &teacher},
        {"greetings are answered as such", greetings, NULL},
        {"held-out problems: the student has 92 % right, 80 % of each task", accuracy, &student},
        {"held-out problems as later questions of a conversation: 90 % right, 75 % of each task", accuracy,
         &conversations},
        {"held-out answers: 60 % of MTP drafts accepted, no expert busier than twice the mean", drafts_and_load, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
