/* Pictures as answers: the golden picture of Janus-Pro in both layouts and on every backend; the same bits by seed whatever else the engine does; what cannot
 * be drawn is an error. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/board/board.h"
#include "host/engine/internal.h"
#include "quant/quantise.h"
#include "sim/device/sim.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_engine.h"
#include "tests/lib/golden_model.h"

enum { CODES = 36, SIDE = 24, BYTES = SIDE * SIDE * 3, PROMPT = 64 };

typedef struct variant {
    const char *backend, *folder;
    int threads;
    int32_t sessions, step_rows;
} variant;

static const variant plain = {"cpu", "janus-pro-tiny", 2, 2, 0};

static fathom_engine *open_variant(const variant *v) {
    fathom_options o = golden_exact;
    fa_backend *probe;
    fa_error e = {0};
    if (fa_backend_open(&probe, &(fa_backend_options){.name = v->backend}, &e)) check_skip("no %s here", v->backend);
    probe->close(probe);
    o.backend = v->backend;
    o.threads = v->threads;
    o.sessions = v->sessions;
    o.step_rows = v->step_rows;
    o.context = 200;
    return golden_engine_open(o, v->folder);
}

typedef struct picture {
    int n;
    int32_t codes[CODES];
    uint8_t rgb[BYTES];
} picture;

static void take(fathom_session *s, picture *p) {
    fathom_token t;
    while (fathom_session_next(s, &t)) {
        CHECK(p->n < CODES && t.text[0] == 0, "code %d", p->n);
        p->codes[p->n++] = t.id;
    }
}

static void finish(fathom_session *s, picture *p) {
    const uint8_t *rgb;
    int32_t side, done, total;
    CHECK(fathom_session_finish(s) == FATHOM_STOP, "%s", fathom_session_error(s));
    CHECK(fathom_session_drawn(s, &rgb, &side) && side == SIDE && p->n == CODES, "%d codes", p->n);
    fathom_session_drawing_progress(s, &done, &total);
    CHECK(done == total && total > CODES, "%d of %d", done, total);
    memcpy(p->rgb, rgb, BYTES);
}

/* Steps until the drawing has ended; the progress never goes back. */
static void draw_all(fathom_engine *g, fathom_session *s, picture *p) {
    int32_t before = 0, done, total;
    p->n = 0;
    for (int busy = 1; busy;) {
        const uint8_t *rgb;
        CHECK(!fathom_session_drawn(s, &rgb, &total), "whole before the end");
        busy = golden_step(g);
        take(s, p);
        fathom_session_drawing_progress(s, &done, &total);
        CHECK(done >= before && done <= total, "%d after %d of %d", done, before, total);
        before = done;
    }
    finish(s, p);
}

static void begin(fathom_session *s, const int32_t *ids, size_t n, const fathom_sampling *p) {
    fathom_error e = {0};
    CHECK(fathom_session_draw(s, ids, n, p, 5, &e) == FATHOM_OK, "%s", e.text);
}

typedef struct gold {
    golden g;
    int32_t ids[PROMPT], codes[CODES];
    int n;
} gold;

static int read_list(const json_t *o, const char *name, int32_t *to, int room) {
    const json_t *list = json_object_get(o, name);
    int n = (int)json_array_size(list);
    CHECK(n > 0 && n <= room, "%s: %d", name, n);
    for (int i = 0; i < n; i++) to[i] = (int32_t)json_integer_value(json_array_get(list, (size_t)i));
    return n;
}

static void gold_open(gold *w) {
    golden_open(&w->g, "janus-pro-tiny");
    const json_t *o = json_object_get(w->g.json, "generate");
    w->n = read_list(o, "cond_ids", w->ids, PROMPT);
    CHECK(read_list(o, "codes", w->codes, CODES) == CODES);
}

static void same_picture(const char *what, const picture *a, const picture *b) {
    for (int i = 0; i < CODES; i++)
        CHECK(a->codes[i] == b->codes[i], "%s: code %d is %d, not %d", what, i, a->codes[i], b->codes[i]);
    CHECK(!memcmp(a->rgb, b->rgb, BYTES), "%s: pixels differ", what);
}

static void golden_picture(void *arg) {
    gold w;
    picture p;
    gold_open(&w);
    fathom_engine *g = open_variant(arg);
    fathom_session *s = golden_session(g, 1);
    begin(s, w.ids, (size_t)w.n, NULL);
    draw_all(g, s, &p);
    for (int i = 0; i < CODES; i++) CHECK(p.codes[i] == w.codes[i], "code %d is %d", i, p.codes[i]);
    const fa_tensor *t = fa_tensors_find(w.g.blobs, "decode.generated.u8");
    CHECK(t && t->bytes == BYTES);
    const uint8_t *want = t->data;
    for (int i = 0; i < BYTES; i++)
        CHECK(abs(p.rgb[i] - want[i]) <= 1, "value %d is %d, want %d", i, p.rgb[i], want[i]);
    fathom_usage u = fathom_session_usage(s);
    CHECK(u.prompt_tokens == w.n && u.new_tokens == CODES, "%d and %d tokens", u.prompt_tokens, u.new_tokens);
    fathom_engine_close(g);
    golden_close(&w.g);
}

static void prompt_ids(void *unused) {
    (void)unused;
    gold w;
    gold_open(&w);
    fathom_engine *g = open_variant(&plain);
    fathom_error e = {0};
    int32_t *ids;
    size_t n;
    static const char text[] = "A red circle on a blue field.", special[] = "a <begin_of_image> b";
    CHECK(fathom_encode_drawing(g, text, strlen(text), &ids, &n, &e) == FATHOM_OK, "%s", e.text);
    CHECK(n == (size_t)w.n && !memcmp(ids, w.ids, n * sizeof *ids), "%zu ids", n);
    int32_t begins = ids[n - 1];
    fathom_free(ids);
    CHECK(fathom_encode_drawing(g, special, strlen(special), &ids, &n, &e) == FATHOM_OK, "%s", e.text);
    for (size_t i = 0; i + 1 < n; i++) CHECK(ids[i] != begins, "text became a special token at %zu", i);
    fathom_free(ids);
    CHECK(fathom_encode_drawing(g, "\xff", 1, &ids, &n, &e) == FATHOM_EINVAL, "%s", e.text);
    fathom_engine_close(g);
    golden_close(&w.g);
}

static const fathom_sampling warm = {.temperature = 1, .seed = 7};

static void draw_on(const gold *w, const variant *v, const fathom_sampling *sampling, picture *p) {
    fathom_engine *g = open_variant(v);
    fathom_session *s = golden_session(g, 1);
    begin(s, w->ids, (size_t)w->n, sampling);
    draw_all(g, s, p);
    fathom_engine_close(g);
}

static void same_by_seed(void *arg) {
    gold w;
    picture a, b;
    gold_open(&w);
    draw_on(&w, &plain, &warm, &a);
    draw_on(&w, arg, &warm, &b);
    same_picture("other backend, threads or rows", &b, &a);
    fathom_sampling other = warm;
    other.seed = 8;
    draw_on(&w, &plain, &other, &b);
    CHECK(memcmp(a.codes, b.codes, sizeof a.codes), "another seed draws the same");
    golden_close(&w.g);
}

/* Two drawings, one of them begun later, and an answer in text, in steps of few rows. */
static void together(void *unused) {
    (void)unused;
    gold w;
    picture a, b, one = {0}, two = {0};
    fathom_sampling other = warm;
    other.seed = 9;
    gold_open(&w);
    draw_on(&w, &plain, &warm, &a);
    draw_on(&w, &plain, &other, &b);
    fathom_engine *g = open_variant(&(variant){"cpu", "janus-pro-tiny", 2, 3, 7});
    fathom_session *s = golden_session(g, 1), *t = golden_session(g, 1), *text = golden_session(g, 1);
    golden_answer *alone = must_alloc(sizeof *alone), *beside = must_alloc(sizeof *beside);
    golden_ask(text, w.ids, 18, &golden_greedy);
    golden_run(g, text, alone);
    golden_ask(text, w.ids, 18, &golden_greedy);
    begin(s, w.ids, (size_t)w.n, &warm);
    beside->n = 0;
    for (int step = 0, busy = 1; busy; step++) {
        if (step == 5) begin(t, w.ids, (size_t)w.n, &other);
        busy = golden_step(g);
        take(s, &one);
        take(t, &two);
        golden_take(text, beside);
    }
    finish(s, &one);
    finish(t, &two);
    same_picture("the first of two", &one, &a);
    same_picture("the second of two", &two, &b);
    golden_same_ids("the text beside", beside, alone->ids, alone->n);
    fathom_engine_close(g);
    free(alone);
    free(beside);
    golden_close(&w.g);
}

static void cancelled(void *unused) {
    (void)unused;
    gold w;
    picture a, b;
    const uint8_t *rgb;
    int32_t side;
    gold_open(&w);
    fathom_engine *g = open_variant(&plain);
    fathom_session *s = golden_session(g, 1);
    golden_answer *answer = must_alloc(sizeof *answer);
    begin(s, w.ids, (size_t)w.n, NULL);
    draw_all(g, s, &a);
    static const int32_t steps[] = {0, 3, CODES + 3}; /* in the prompt, among codes, among layers */
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        begin(s, w.ids, (size_t)w.n, NULL);
        b.n = 0;
        for (int32_t k = 0; k < steps[i]; k++) golden_step(g), take(s, &b);
        fathom_session_cancel(s);
        golden_step(g);
        CHECK(fathom_session_finish(s) == FATHOM_CANCELLED && !fathom_session_drawn(s, &rgb, &side));
    }
    golden_ask(s, w.ids, 18, &golden_greedy); /* text in the session that drew */
    golden_run(g, s, answer);
    CHECK(answer->n == GOLDEN_ANSWER && !fathom_session_drawn(s, &rgb, &side), "%d tokens", answer->n);
    begin(s, w.ids, (size_t)w.n, NULL);
    draw_all(g, s, &b);
    same_picture("after three that were cancelled", &b, &a);
    free(answer);
    fathom_engine_close(g);
    golden_close(&w.g);
}

/* Fewer pages than two sequences need, a context that holds no picture, numbers out of range, a model that does not draw. */
static void refused(void *unused) {
    (void)unused;
    gold w;
    fathom_error e = {0};
    gold_open(&w);
    fathom_engine *g = open_variant(&plain);
    fathom_session *s = golden_session(g, 1);
    const float bad[] = {NAN, -1, 1e9f};
    for (int i = 0; i < 3; i++)
        CHECK(fathom_session_draw(s, w.ids, (size_t)w.n, NULL, bad[i], &e) == FATHOM_EINVAL &&
                  strstr(e.text, "guidance"),
              "%s", e.text);
    CHECK(fathom_session_draw(s, w.ids, 1, NULL, 5, &e) == FATHOM_EINVAL, "%s", e.text);
    fathom_sampling p = {.temperature = -1};
    CHECK(fathom_session_draw(s, w.ids, (size_t)w.n, &p, 5, &e) == FATHOM_EINVAL && strstr(e.text, "temperature"), "%s",
          e.text);
    fathom_engine_close(g);
    fathom_options o = golden_exact;
    o.context = 60;
    g = golden_engine_open(o, "janus-pro-tiny");
    s = golden_session(g, 1);
    CHECK(fathom_session_draw(s, w.ids, (size_t)w.n, NULL, 5, &e) == FATHOM_ELIMIT && strstr(e.text, "60"), "%s",
          e.text);
    fathom_engine_close(g);
    o.context = 0;
    g = golden_engine_open(o, "deepseek-llm-tiny");
    s = golden_session(g, 1);
    int32_t *ids;
    size_t n;
    CHECK(fathom_session_draw(s, w.ids, 4, NULL, 5, &e) == FATHOM_EUNSUPPORTED, "%s", e.text);
    CHECK(fathom_encode_drawing(g, "x", 1, &ids, &n, &e) == FATHOM_EUNSUPPORTED, "%s", e.text);
    fathom_engine_close(g);
    golden_close(&w.g);
}

/* The language model in FP8, as `fathom quantize` writes it. */
static void fp8_is_the_same_everywhere(void *unused) {
    (void)unused;
    static const char *const backends[] = {"reference", "cpu", "opencl", "sim"};
    gold w;
    fa_error e = {0};
    picture first, p;
    char *dir = check_scratch(), *out = NULL;
    gold_open(&w);
    CHECK(asprintf(&out, "%s/fp8", dir) > 0);
    CHECK_OK(fa_quantise(&(fa_quantise_options){.source = w.g.dir, .destination = out}, &e), &e);
    for (int i = 0; i < 4; i++) {
        fathom_engine *g;
        const fathom_options o = {.model = out, .backend = backends[i], .context = 200, .numerics = "w8a8"};
        fathom_status st = fathom_engine_open(&g, &o, (fathom_error *)&e);
        if (st == FATHOM_EUNSUPPORTED && i == 2) continue; /* no OpenCL here */
        CHECK(st == FATHOM_OK, "%s: %s", backends[i], e.text);
        fathom_session *s = golden_session(g, 1);
        begin(s, w.ids, (size_t)w.n, &warm);
        draw_all(g, s, i ? &p : &first);
        if (i) same_picture(backends[i], &p, &first);
        fathom_engine_close(g);
    }
    check_remove(dir);
    free(out), free(dir);
    golden_close(&w.g);
}

/* Draws; true when the picture is `want`, false when the drawing ended with an error. */
static bool draws_right(fathom_engine *g, const gold *w, const picture *want) {
    fathom_session *s = golden_session(g, 1);
    fathom_error e = {0};
    picture p = {0};
    begin(s, w->ids, (size_t)w->n, &warm);
    for (int busy = 1; busy; take(s, &p))
        if (fathom_engine_step(g, &busy, &e)) break;
    bool whole = fathom_session_finish(s) == FATHOM_STOP;
    if (whole) finish(s, &p);
    if (whole) same_picture("after a fault", &p, want);
    fathom_session_close(s);
    return whole;
}

enum { FAULTS = 15 };

/* A board that fails anywhere in a drawing, among codes or among layers. */
static void faults_of_a_board(void *unused) {
    (void)unused;
    static const variant board = {"sim", "janus-pro-tiny", 2, 2, 0};
    gold w;
    picture want;
    fa_error e;
    fathom_device before, after;
    gold_open(&w);
    draw_on(&w, &plain, &warm, &want);
    fathom_engine *g = open_variant(&board);
    fathom_engine_device(g, &before);
    CHECK(draws_right(g, &w, &want));
    fathom_engine_device(g, &after);
    check_rng rng = {5};
    for (int i = 0; i < FAULTS; i++) {
        sim_fault_kind kind = (sim_fault_kind)(i % SIM_FAULT_KINDS);
        bool launch = kind >= SIM_FAULT_HANG;
        int64_t most = launch ? after.launches - before.launches : after.transfers - before.transfers;
        sim_fault fault = {kind, (int64_t)(check_u64(&rng) % (uint64_t)most), check_u64(&rng)};
        CHECK_OK(fa_sim_inject(fa_board_backend_device(g->backend), &fault, 1, &e), &e);
        bool right = draws_right(g, &w, &want);
        CHECK(fa_sim_faults_happened(fa_board_backend_device(g->backend)) == 1, "fault %d did not happen", i);
        CHECK(right == (kind != SIM_FAULT_LOST), "fault %d of kind %d at %lld", i, (int)kind, (long long)fault.at);
        if (right) continue;
        fathom_engine_close(g);
        g = open_variant(&board);
    }
    fathom_engine_close(g);
    golden_close(&w.g);
}

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"original files, cpu: the golden picture", golden_picture, &(variant){"cpu", "janus-pro-tiny", 2, 1, 0}},
        {"original files, opencl: the golden picture", golden_picture, &(variant){"opencl", "janus-pro-tiny", 2, 1, 0}},
        {"original files, sim: the golden picture", golden_picture, &(variant){"sim", "janus-pro-tiny", 2, 1, 0}},
        {"transformers' files, cpu: the golden picture", golden_picture,
         &(variant){"cpu", "janus-pro-tiny-hf", 2, 1, 0}},
        {"transformers' files, opencl: the golden picture", golden_picture,
         &(variant){"opencl", "janus-pro-tiny-hf", 2, 1, 0}},
        {"transformers' files, sim: the golden picture", golden_picture,
         &(variant){"sim", "janus-pro-tiny-hf", 2, 1, 0}},
        {"the prompt has the golden ids, and a user's text is no special token", prompt_ids, NULL},
        {"a seed draws the same with one thread", same_by_seed, &(variant){"cpu", "janus-pro-tiny", 1, 2, 0}},
        {"a seed draws the same on the reference", same_by_seed, &(variant){"reference", "janus-pro-tiny", 1, 2, 0}},
        {"a seed draws the same on opencl", same_by_seed, &(variant){"opencl", "janus-pro-tiny", 2, 2, 0}},
        {"a seed draws the same on a simulated board", same_by_seed, &(variant){"sim", "janus-pro-tiny", 2, 2, 0}},
        {"a seed draws the same in the smallest steps", same_by_seed, &(variant){"cpu", "janus-pro-tiny", 2, 1, 2}},
        {"a drawing of FP8 weights is the same everywhere", fp8_is_the_same_everywhere, NULL},
        {"a board's fault in a drawing is made good, or ends it with an error", faults_of_a_board, NULL},
        {"two drawings and a text beside them are those of each alone", together, NULL},
        {"a cancelled drawing leaves nothing behind", cancelled, NULL},
        {"what cannot be drawn is an error with its reason", refused, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
