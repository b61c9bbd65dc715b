/* Pictures in prompts: the golden answers of Janus-Pro in both layouts and on every backend; two pictures never share cached positions, one shown
 * again is not looked at again; who waits for a picture keeps nobody. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/backend/board/board.h"
#include "host/engine/internal.h"
#include "host/image/image.h"
#include "quant/quantise.h"
#include "sim/device/sim.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_engine.h"
#include "tests/lib/golden_model.h"

enum { ROWS = 36 };

static fathom_picture *picture_of(fathom_engine *g, const char *name) {
    fathom_error e = {0};
    fathom_picture *p;
    size_t n;
    char *path = NULL, *dir = check_golden("janus-pro-tiny");
    CHECK(asprintf(&path, "%s/%s.png", dir, name) > 0);
    uint8_t *data = check_read(path, &n);
    CHECK(fathom_picture_open(g, data, n, path, &p, &e) == FATHOM_OK, "%s", e.text);
    free(data), free(path), free(dir);
    return p;
}

static void show(fathom_engine *g, fathom_session *s, const char *name) {
    fathom_error e = {0};
    fathom_picture *p = picture_of(g, name);
    CHECK(fathom_session_show(s, &p, 1, &e) == FATHOM_OK, "%s", e.text);
    fathom_picture_close(p); /* the session holds it */
}

typedef struct variant {
    const char *backend, *folder;
    int32_t step_rows;
} variant;

static fathom_engine *open_variant(const variant *v) {
    fathom_options o = golden_exact;
    o.backend = v->backend;
    o.step_rows = v->step_rows;
    o.context = 400;
    return golden_engine_open(o, v->folder);
}

/* The golden prompt about a picture. */
static const golden_prompt *about(const golden *g, const char *name) {
    char text[40];
    snprintf(text, sizeof text, "understand.%s", name);
    for (int i = 0; i < g->n_prompts; i++)
        if (!strcmp(g->prompts[i].name, text)) return &g->prompts[i];
    CHECK(false, "no prompt %s", text);
}

static void answers_as_transformers(void *arg) {
    static const char *const names[] = {"wide", "tall", "exact", "big"};
    const variant *v = arg;
    fa_backend *probe;
    fa_error e = {0};
    if (fa_backend_open(&probe, &(fa_backend_options){.name = v->backend}, &e)) check_skip("no %s here", v->backend);
    probe->close(probe);
    golden g;
    golden_open(&g, "janus-pro-tiny");
    fathom_engine *engine = open_variant(v);
    fathom_session *s[4];
    golden_answer *a = must_alloc(4 * sizeof *a);
    for (int i = 0; i < 4; i++) { /* together */
        const golden_prompt *p = about(&g, names[i]);
        s[i] = golden_session(engine, 1);
        show(engine, s[i], names[i]);
        golden_ask(s[i], p->ids, p->n, &golden_greedy);
        a[i].n = 0;
    }
    for (int busy = 1; busy;) {
        busy = golden_step(engine);
        for (int i = 0; i < 4; i++) golden_take(s[i], &a[i]);
    }
    for (int i = 0; i < 4; i++) {
        const golden_prompt *p = about(&g, names[i]);
        golden_same_ids(p->name, &a[i], p->ids + p->n, p->n_greedy);
        fathom_session_close(s[i]);
    }
    fathom_engine_close(engine);
    free(a);
    golden_close(&g);
}

static const variant plain = {"cpu", "janus-pro-tiny", 0};

/* Asks about a picture and checks the golden answer; positions that came from the cache. */
static int32_t ask_about(const golden *g, fathom_engine *engine, uint64_t owner, const char *name) {
    const golden_prompt *p = about(g, name);
    golden_answer *a = must_alloc(sizeof *a);
    fathom_session *s = golden_session(engine, owner);
    show(engine, s, name);
    golden_ask(s, p->ids, p->n, &golden_greedy);
    golden_run(engine, s, a);
    golden_same_ids(name, a, p->ids + p->n, p->n_greedy);
    int32_t cached = fathom_session_usage(s).cached_tokens;
    fathom_session_close(s);
    free(a);
    return cached;
}

/* The picture's placeholders begin at position 93 of 144, so that pages 0 .. 63 (before it) and 64 .. 127 (with its first rows) are full. */
static void different_pictures_share_no_pages(void *arg) {
    (void)arg;
    golden g;
    golden_open(&g, "janus-pro-tiny");
    fathom_engine *engine = open_variant(&plain);
    CHECK(ask_about(&g, engine, 1, "wide") == 0);
    CHECK(ask_about(&g, engine, 1, "tall") == 64, "only what stands before the picture");
    CHECK(ask_about(&g, engine, 1, "wide") == 128, "the same picture");
    CHECK(ask_about(&g, engine, 2, "wide") == 0, "another owner's");
    CHECK(ask_about(&g, engine, 1, "tall") == 128);
    fathom_engine_close(engine);
    golden_close(&g);
}

/* With pictures that come and go, more than are kept. */
static void forgotten_pictures_are_looked_at_again(void *arg) {
    (void)arg;
    golden g;
    fathom_error e = {0};
    golden_open(&g, "janus-pro-tiny");
    fathom_engine *engine = open_variant(&plain);
    const golden_prompt *p = about(&g, "wide");
    golden_answer *a = must_alloc(sizeof *a);
    for (int i = 0; i < 30; i++) {
        fa_image image;
        uint8_t *bytes;
        size_t n;
        fa_error bad = {0};
        CHECK_OK(fa_image_alloc(&image, 8, 8, &bad), &bad);
        memset(image.rgb, i * 8, 8 * 8 * 3);
        CHECK_OK(fa_image_encode_png(&image, &bytes, &n, &bad), &bad);
        fathom_picture *picture;
        CHECK(fathom_picture_open(engine, bytes, n, "grey", &picture, &e) == FATHOM_OK, "%s", e.text);
        fathom_session *s = golden_session(engine, 1);
        CHECK(fathom_session_show(s, &picture, 1, &e) == FATHOM_OK, "%s", e.text);
        fathom_picture_close(picture);
        fathom_sampling one = {.max_tokens = 1};
        golden_ask(s, p->ids, p->n, &one);
        golden_run(engine, s, a);
        fathom_session_close(s);
        fa_image_free(&image);
        free(bytes);
    }
    CHECK(ask_about(&g, engine, 1, "wide") == 64);
    fathom_engine_close(engine);
    free(a);
    golden_close(&g);
}

/* Text goes on while a picture is looked at; a cancelled one is given up. */
static void nobody_waits_for_the_pictures_of_others(void *arg) {
    (void)arg;
    golden g;
    golden_open(&g, "janus-pro-tiny");
    fathom_engine *engine = open_variant(&plain);
    const golden_prompt *p = about(&g, "wide");
    fathom_session *looks = golden_session(engine, 1), *reads = golden_session(engine, 1),
                   *gives_up = golden_session(engine, 1);
    golden_answer *a = must_alloc(sizeof *a), *b = must_alloc(sizeof *b);
    a->n = b->n = 0;
    fathom_sampling long_answer = {.max_tokens = 40, .ignore_eos = true};
    show(engine, gives_up, "tall");
    golden_ask(gives_up, p->ids, p->n, &golden_greedy);
    show(engine, looks, "wide");
    golden_ask(looks, p->ids, p->n, &golden_greedy);
    golden_ask(reads, p->ids, 20, &long_answer);
    golden_step(engine);
    golden_take(reads, b);
    CHECK(b->n == 1, "%d tokens of the text after one step", b->n);
    fathom_session_cancel(gives_up);
    for (int busy = 1; busy;) {
        busy = golden_step(engine);
        golden_take(reads, b), golden_take(looks, a);
    }
    CHECK(b->n == 40 && fathom_session_finish(gives_up) == FATHOM_CANCELLED);
    golden_same_ids("wide", a, p->ids + p->n, p->n_greedy);
    fathom_engine_close(engine); /* with open sessions */
    free(a), free(b);
    golden_close(&g);
}

static void wrong_prompts_are_refused(void *arg) {
    (void)arg;
    golden g;
    fathom_error e = {0};
    golden_open(&g, "janus-pro-tiny");
    fathom_engine *engine = open_variant(&plain);
    const golden_prompt *p = about(&g, "wide");
    fathom_session *s = golden_session(engine, 1);
    golden_answer *a = must_alloc(sizeof *a);
    CHECK(fathom_session_prompt(s, p->ids, 20, NULL, &e) == FATHOM_OK, "%s", e.text);
    show(engine, s, "wide");
    CHECK(fathom_session_prompt(s, p->ids, 20, NULL, &e) == FATHOM_EINVAL &&
              strstr(e.text, "1 pictures were shown, but there are placeholders for 0"),
          "%s", e.text);
    CHECK(fathom_session_prompt(s, p->ids, 100, NULL, &e) == FATHOM_EINVAL && strstr(e.text, "do not come 36 in a row"),
          "%s", e.text);
    golden_ask(s, p->ids, p->n, &golden_greedy);
    golden_run(engine, s, a);
    golden_same_ids("after the errors", a, p->ids + p->n, p->n_greedy);
    golden_ask(s, p->ids, p->n, &golden_greedy); /* no picture: placeholders are tokens */
    golden_run(engine, s, a);
    CHECK(memcmp(a->ids, p->ids + p->n, (size_t)p->n_greedy * sizeof *a->ids) != 0,
          "placeholders alone gave the picture's answer");
    fathom_picture *none;
    CHECK(fathom_picture_open(engine, "GIF89a", 6, "a.gif", &none, &e) == FATHOM_EUNSUPPORTED &&
              strstr(e.text, "a.gif"),
          "%s", e.text);
    fathom_engine_close(engine);
    engine = golden_engine_open(golden_exact, "deepseek-llm-tiny");
    CHECK(fathom_picture_open(engine, "", 0, "a.png", &none, &e) == FATHOM_EUNSUPPORTED &&
              strstr(e.text, "deepseek-llm-tiny does not look at pictures"),
          "%s", e.text);
    fathom_engine_close(engine);
    free(a);
    golden_close(&g);
}

static void messages_give_the_golden_ids(void *arg) {
    (void)arg;
    golden g;
    fathom_error e = {0};
    golden_open(&g, "janus-pro-tiny");
    fathom_engine *engine = open_variant(&plain);
    const golden_prompt *p = about(&g, "wide");
    int32_t *ids;
    size_t n;
    CHECK(fathom_encode_chat(engine, NULL,
                             "[{\"role\":\"user\",\"content\":[{\"type\":\"image\"},{\"type\":\"text\",\"text\":"
                             "\"What is in this picture?\"}]}]",
                             &ids, &n, &e) == FATHOM_OK,
          "%s", e.text);
    CHECK(n == (size_t)p->n, "%zu ids, expected %d", n, p->n);
    for (int i = 0; i < p->n; i++) CHECK(ids[i] == p->ids[i], "id %d: %d, expected %d", i, ids[i], p->ids[i]);
    fathom_info info;
    fathom_engine_info(engine, &info);
    CHECK(info.picture_rows == ROWS);
    fathom_free(ids);
    fathom_engine_close(engine);
    golden_close(&g);
}

/* The golden answer about a picture that the owner shows for the first time; false where the board was lost. */
static bool answers(fathom_engine *engine, const golden_prompt *p, uint64_t owner, golden_answer *a) {
    fathom_error e = {0};
    fathom_session *s = golden_session(engine, owner);
    show(engine, s, "wide");
    golden_ask(s, p->ids, p->n, &golden_greedy);
    a->n = 0;
    fathom_status st = FATHOM_OK;
    for (int busy = 1, steps = 0; busy && !st; steps++) {
        CHECK(steps < 1000, "the answer does not end");
        st = fathom_engine_step(engine, &busy, &e);
        golden_take(s, a);
    }
    bool failed = st || fathom_session_finish(s) == FATHOM_FAILED;
    CHECK(!failed || e.text[0] || fathom_session_error(s)[0], "an error without a text");
    if (!failed) golden_same_ids(p->name, a, p->ids + p->n, p->n_greedy);
    fathom_session_close(s);
    return !failed;
}

/* What the board did while it looked at one picture: a step for the patches, one a layer, one for the aligner. */
static fathom_device look_once(fathom_engine *engine, const golden_prompt *p) {
    fathom_device before, after;
    fathom_session *s = golden_session(engine, 1000);
    show(engine, s, "wide");
    golden_ask(s, p->ids, p->n, &golden_greedy);
    fathom_engine_device(engine, &before);
    for (int i = 0; i < 4; i++) golden_step(engine);
    fathom_engine_device(engine, &after);
    fathom_session_close(s);
    after.launches -= before.launches;
    after.transfers -= before.transfers;
    return after;
}

/* They come while the picture is looked at. */
static void faults_of_a_board_change_no_answer(void *arg) {
    (void)arg;
    enum { FAULTS = 48 };
    static const variant board = {"sim", "janus-pro-tiny", 0};
    golden g;
    fathom_error e = {0};
    golden_open(&g, "janus-pro-tiny");
    const golden_prompt *p = about(&g, "wide");
    golden_answer *a = must_alloc(sizeof *a);
    fathom_engine *engine = open_variant(&board);
    fathom_device look = look_once(engine, p);
    check_rng rng = {11};
    for (uint64_t i = 0; i < FAULTS; i++) {
        sim_fault_kind kind = (sim_fault_kind)(i % SIM_FAULT_KINDS);
        int64_t most = kind >= SIM_FAULT_HANG ? look.launches : look.transfers;
        sim_fault fault = {kind, (int64_t)(check_u64(&rng) % (uint64_t)most), check_u64(&rng)};
        CHECK_OK(fa_sim_inject(fa_board_backend_device(engine->backend), &fault, 1, (fa_error *)&e), &e);
        bool right = answers(engine, p, i + 2, a);
        CHECK(fa_sim_faults_happened(fa_board_backend_device(engine->backend)) == 1, "fault %d did not happen", (int)i);
        CHECK(right == (kind != SIM_FAULT_LOST), "fault %d of kind %d at %lld: %s", (int)i, kind, (long long)fault.at,
              right ? "an answer" : "no answer");
        if (right) continue;
        fathom_engine_close(engine);
        engine = open_variant(&board);
    }
    fathom_engine_close(engine);
    free(a);
    golden_close(&g);
}

/* With nothing but PyTorch's checkpoint in the folder. */
static void a_checkpoint_answers_alike(void *arg) {
    (void)arg;
    static const char *const files[] = {"config.json", "preprocessor_config.json", "pytorch_model.bin",
                                        "tokenizer.json", "tokenizer_config.json"};
    golden g;
    fathom_error e = {0};
    golden_open(&g, "janus-pro-tiny");
    char *dir = check_scratch();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char from[PATH_MAX], real[PATH_MAX], to[PATH_MAX];
        snprintf(from, sizeof from, "%s/%s", g.dir, files[i]);
        snprintf(to, sizeof to, "%s/%s", dir, files[i]);
        CHECK(realpath(from, real) && symlink(real, to) == 0, "%s", to);
    }
    fathom_engine *engine;
    CHECK(fathom_engine_open(&engine, &(fathom_options){.model = dir, .context = 200}, &e) == FATHOM_OK, "%s", e.text);
    ask_about(&g, engine, 1, "tall");
    fathom_engine_close(engine);
    check_remove(dir);
    free(dir);
    golden_close(&g);
}

static void answers_of_fp8_are_the_same_everywhere(void *arg) {
    (void)arg;
    golden g;
    fa_error e = {0};
    char *dir = check_scratch(), *out = NULL;
    CHECK(asprintf(&out, "%s/fp8", dir) > 0);
    golden_open(&g, "janus-pro-tiny");
    CHECK_OK(fa_quantise(&(fa_quantise_options){.source = g.dir, .destination = out}, &e), &e);
    static const char *const backends[] = {"reference", "cpu", "sim"};
    golden_answer *a = must_alloc(3 * sizeof *a);
    const golden_prompt *p = about(&g, "big");
    for (int i = 0; i < 3; i++) {
        fathom_engine *engine;
        fathom_options o = {.model = out, .backend = backends[i], .context = 200};
        CHECK_OK(fathom_engine_open(&engine, &o, (fathom_error *)&e), &e);
        fathom_session *s = golden_session(engine, 1);
        show(engine, s, "big");
        golden_ask(s, p->ids, p->n, &golden_greedy);
        golden_run(engine, s, &a[i]);
        golden_same_answer(backends[i], &a[i], &a[0]);
        fathom_engine_close(engine);
    }
    check_remove(dir);
    free(a), free(out), free(dir);
    golden_close(&g);
}

int main(int argc, char **argv) {
    static variant saved = {"cpu", "janus-pro-tiny-hf", 0}, cut = {"cpu", "janus-pro-tiny", 11},
                   reference = {"reference", "janus-pro-tiny", 0}, sim = {"sim", "janus-pro-tiny", 0},
                   sim_saved = {"sim", "janus-pro-tiny-hf", 0}, opencl = {"opencl", "janus-pro-tiny", 0},
                   opencl_saved = {"opencl", "janus-pro-tiny-hf", 0};
    static const check_case cases[] = {
        {"answers, original names", answers_as_transformers, (void *)&plain},
        {"answers, transformers' names", answers_as_transformers, &saved},
        {"answers, in steps of 11 rows", answers_as_transformers, &cut},
        {"answers, reference", answers_as_transformers, &reference},
        {"answers on a simulated board", answers_as_transformers, &sim},
        {"answers on a simulated board, transformers' names", answers_as_transformers, &sim_saved},
        {"answers on OpenCL", answers_as_transformers, &opencl},
        {"answers on OpenCL, transformers' names", answers_as_transformers, &opencl_saved},
        {"different pictures share no pages", different_pictures_share_no_pages, NULL},
        {"forgotten pictures are looked at again", forgotten_pictures_are_looked_at_again, NULL},
        {"nobody waits for the pictures of others", nobody_waits_for_the_pictures_of_others, NULL},
        {"wrong prompts are refused", wrong_prompts_are_refused, NULL},
        {"messages give the golden ids", messages_give_the_golden_ids, NULL},
        {"faults of a board change no answer", faults_of_a_board_change_no_answer, NULL},
        {"answers of a checkpoint of PyTorch", a_checkpoint_answers_alike, NULL},
        {"answers of FP8 weights are the same everywhere", answers_of_fp8_are_the_same_everywhere, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
