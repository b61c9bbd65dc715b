/* Placement files, and what the planner makes of models, traces and boards. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/backend.h"
#include "host/model/shape.h"
#include "sim/planner/models.h"
#include "sim/planner/place.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

#define HEAD "{\"version\": 1, \"model\": \"m\", \"shape\": \"00000000000000ff\", "
#define TWO HEAD "\"boards\": [{\"node\": 0}, {\"node\": 1}], \"layers\": [0, 1], \"head\": 1, "

/* Reads `text` as a file. */
static fa_status read_text(const char *text, fa_board_placement *p, fa_error *e) {
    char *folder = check_scratch(), *path = check_write(folder, "p.json", text, strlen(text));
    fa_status s = fa_board_placement_read(p, path, e);
    CHECK(!s || strstr(e->text, path), "%s does not name the file", e->text);
    check_remove(folder);
    free(folder);
    free(path);
    return s;
}

static void wrong_files_name_the_field(void *arg) {
    (void)arg;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"[]", "expected an object"},
        {"{\"version\": 1,}", ""},
        {"{\"version\": 2, \"boards\": [{}], \"layers\": [0]}", "version: expected 1, found 2"},
        {HEAD "\"layers\": [0]}", "boards: expected a list of 1..32, found 0"},
        {HEAD "\"boards\": [{}]}", "layers: expected a list"},
        {HEAD "\"boards\": [{}], \"layers\": [0]}", "head: expected a board in 0..0, found nothing"},
        {HEAD "\"boards\": [3], \"layers\": [0], \"head\": 0}", "boards[0]: expected an object"},
        {HEAD "\"boards\": [{\"node\": -1}], \"layers\": [0], \"head\": 0}", "boards[0]"},
        {HEAD "\"boards\": [{\"node\": \"x\"}], \"layers\": [0], \"head\": 0}", "node"},
        {HEAD "\"boards\": [{}], \"layers\": [0, 1], \"head\": 0}", "layers[1]: expected a board in 0..0, found 1"},
        {HEAD "\"boards\": [{}], \"layers\": [\"a\"], \"head\": 0}",
         "layers[0]: expected a board in 0..0, found \"a\""},
        {"{\"version\": 1, \"shape\": \"xyz\", \"boards\": [{}], \"layers\": [0], \"head\": 0}", "shape: expected 16"},
        {TWO "\"experts\": []}", "experts: expected an object"},
        {TWO "\"experts\": {\"2\": [0]}}", "experts.2: expected a layer in 0..1"},
        {TWO "\"experts\": {\"x\": [0]}}", "experts.x: expected a layer"},
        {TWO "\"experts\": {\"0\": [0, 2]}}", "experts.0[1]: expected a board in 0..1, found 2"},
        {TWO "\"experts\": {\"0\": [0, []]}}", "experts.0[1]: no board holds it"},
        {TWO "\"experts\": {\"0\": [0, [1, 1]]}}", "experts.0[1]: board 1 comes twice"},
        {TWO "\"experts\": {\"0\": [0, 1], \"1\": [0]}}",
         "experts.1: expected a list of 2, one for each expert, found 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_board_placement p;
        fa_error e;
        CHECK(read_text(cases[i].text, &p, &e) == FA_EFORMAT && strstr(e.text, cases[i].said), "%s: %s", cases[i].text,
              e.text);
        fa_board_placement_free(&p);
    }
}

static void every_prefix_of_a_file_is_refused(void *arg) {
    (void)arg;
    static const char whole[] = TWO "\"experts\": {\"0\": [0, [0, 1]]}}";
    char text[sizeof whole];
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        fa_board_placement p;
        fa_error e;
        memcpy(text, whole, n);
        text[n] = 0;
        CHECK(read_text(text, &p, &e) == FA_EFORMAT, "%zu bytes", n);
        fa_board_placement_free(&p);
    }
}

/* A plan's request for a model on boards, all in one host. */
typedef struct request {
    fa_config model;
    fa_board board;
    fa_routes routes;
    fa_plan_request q;
} request;

static void make_request(request *r, const char *model, const char *board, int32_t boards, double skew) {
    fa_error e;
    *r = (request){0};
    CHECK_OK(fa_plan_model(&r->model, model, &e), &e);
    CHECK_OK(fa_board_find(&r->board, board, &e), &e);
    fa_plan_defaults(&r->q);
    if (r->model.experts) fa_routes_zipf(&r->routes, &r->model, skew);
    r->q.model = &r->model;
    r->q.board = &r->board;
    r->q.routes = r->model.experts ? &r->routes : NULL;
    r->q.boards = boards;
    r->q.any_cache = false;
}

static void what_was_written_is_read(void *arg) {
    (void)arg;
    request r;
    fa_board_placement a, b;
    fa_placed_load load;
    fa_error e;
    make_request(&r, "deepseek-v2-lite", "u55c", 4, 0.7);
    CHECK_OK(fa_place_model(&a, &load, &(fa_place_request){.q = &r.q, .copies = -1}, &e), &e);
    a.shape = fa_config_shape(&r.model);
    snprintf(a.model, sizeof a.model, "a \"name\"\n");
    snprintf(a.board[1].backend, sizeof a.board[1].backend, "xrt:0000:3b:00.1");
    char *folder = check_scratch(), *path = check_write(folder, "p.json", "", 0);
    CHECK_OK(fa_board_placement_write(&a, path, &e), &e);
    CHECK_OK(fa_board_placement_read(&b, path, &e), &e);
    CHECK(a.shape == b.shape && a.n_boards == b.n_boards && a.layers == b.layers && a.experts == b.experts &&
          a.head == b.head);
    CHECK(!strcmp(a.model, b.model) && !memcmp(a.board, b.board, sizeof a.board));
    CHECK(!memcmp(a.layer, b.layer, (size_t)a.layers * sizeof *a.layer));
    for (int32_t i = 0; i < a.layers * a.experts; i++)
        CHECK(a.expert[i] == b.expert[i], "expert %d: %x and %x", i, a.expert[i], b.expert[i]);
    fa_board_placement_free(&a);
    fa_board_placement_free(&b);
    check_remove(folder);
    free(folder);
    free(path);
}

static int32_t held(const fa_board_placement *p, int32_t layer, int32_t board) {
    int32_t n = 0;
    for (int32_t x = 0; x < p->experts; x++) n += p->expert[layer * p->experts + x] >> board & 1;
    return n;
}

/* Random visits, whatever the boards: everything is somewhere, balanced, and copies make the busiest board less busy. */
static void experts_are_balanced(void *arg) {
    (void)arg;
    check_rng rng = {3};
    double sum[2] = {0};
    for (int trial = 0; trial < 40; trial++) {
        request r;
        fa_board_placement p[2];
        fa_placed_load load[2];
        fa_error e;
        make_request(&r, "deepseek-v2-lite", "v80", 1 + (int32_t)(check_u64(&rng) % 16), 0);
        r.q.hosts.nodes = 1 + (int32_t)(check_u64(&rng) % 4);
        size_t n = (size_t)r.model.layers * (size_t)r.model.experts;
        double *visits = malloc(n * sizeof *visits);
        CHECK(visits);
        for (size_t i = 0; i < n; i++) visits[i] = exp(check_normal(&rng) * trial / 20);
        for (int k = 0; k < 2; k++) {
            fa_place_request q = {.q = &r.q, .visits = visits, .copies = k ? -1 : 0};
            CHECK_OK(fa_place_model(&p[k], &load[k], &q, &e), &e);
            CHECK(load[k].most_bytes <= load[k].room && load[k].busiest >= 1.0 / r.q.boards - 1e-9 &&
                  load[k].worst <= 1 + 1e-9);
            int32_t places = r.model.experts + (k && r.q.boards > 1 ? r.model.experts / 8 : 0);
            for (int32_t i = 0; i < p[k].layers; i++) {
                CHECK(i == 0 || p[k].layer[i] >= p[k].layer[i - 1], "layers are no runs");
                for (int32_t b = 0; b < r.q.boards && fa_config_is_moe(&r.model, i); b++)
                    CHECK(held(&p[k], i, b) <= (places + r.q.boards - 1) / r.q.boards,
                          "layer %d: %d experts on board %d", i, held(&p[k], i, b), b);
                for (int32_t x = 0; x < p[k].experts; x++) {
                    int boards = __builtin_popcount(p[k].expert[i * p[k].experts + x]);
                    CHECK(boards == 1 || (k && boards == 2), "layer %d expert %d is on %d boards", i, x, boards);
                }
            }
            for (int32_t b = 0; b < r.q.boards; b++)
                CHECK(p[k].board[b].node < r.q.hosts.nodes && (b == 0 || p[k].board[b].node >= p[k].board[b - 1].node));
        }
        sum[0] += load[0].busiest;
        sum[1] += load[1].busiest;
        CHECK(load[1].busiest <= 1.1 * load[0].busiest, "%d boards: %g with copies, %g without", r.q.boards,
              load[1].busiest, load[0].busiest);
        for (int k = 0; k < 2; k++) fa_board_placement_free(&p[k]);
        free(visits);
    }
    CHECK(sum[1] < 0.95 * sum[0], "busiest boards: %g with copies, %g without", sum[1], sum[0]);
}

static void r1_fits_32_boards_of_32_gb_and_not_of_16(void *arg) {
    (void)arg;
    request r;
    fa_board_placement p;
    fa_placed_load load;
    fa_error e;
    make_request(&r, "deepseek-r1", "v80", 32, 0.6);
    CHECK_OK(fa_place_model(&p, &load, &(fa_place_request){.q = &r.q, .copies = -1}, &e), &e);
    CHECK(load.copies == 59 * 32 && load.busiest < 0.04 && load.most_bytes - load.least_bytes < 2.5e9, "%d copies, %g",
          load.copies, load.busiest);
    fa_board_placement_free(&p);
    make_request(&r, "deepseek-r1", "u55c", 32, 0.6);
    CHECK(fa_place_model(&p, &load, &(fa_place_request){.q = &r.q, .copies = -1}, &e) == FA_ELIMIT &&
              strstr(e.text, "more boards"),
          "%s", e.text);
    fa_board_placement_free(&p);
    r.q.boards = 33;
    CHECK(fa_place_model(&p, &load, &(fa_place_request){.q = &r.q}, &e) == FA_ELIMIT && strstr(e.text, "1..32"), "%s",
          e.text);
    fa_board_placement_free(&p);
}

static void shapes_tell_models_apart(void *arg) {
    (void)arg;
    for (int i = 0; fa_known_model_at(i); i++)
        for (int k = 0; k < i; k++) {
            const fa_config *a = &fa_known_model_at(i)->config, *b = &fa_known_model_at(k)->config;
            bool same = fa_config_shape(a) == fa_config_shape(b);
            bool may =
                a->layers == b->layers && a->hidden == b->hidden && a->vocab == b->vocab && a->experts == b->experts;
            CHECK(!same || may, "%s and %s", fa_known_model_at(i)->name, fa_known_model_at(k)->name);
        }
}

static void a_placement_opens_what_it_says(void *arg) {
    (void)arg;
    static const struct {
        const char *text, *name, *said;
        bool timeline;
    } cases[] = {
        {HEAD "\"boards\": [{}, {\"backend\": \"abacus\"}], \"layers\": [0], \"head\": 0}", "cpu",
         "boards[1]: backend 'abacus'", false},
        {HEAD "\"boards\": [{}], \"layers\": [0], \"head\": 0}", "sim:abacus", "boards[0]", false},
        {HEAD "\"boards\": [{}], \"layers\": [0], \"head\": 0}", "sim", "timeline", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *folder = check_scratch(), *path = check_write(folder, "p.json", cases[i].text, strlen(cases[i].text));
        fa_backend *b;
        fa_error e;
        fa_backend_options o = {
            .name = cases[i].name, .threads = 1, .node = -1, .placement = path, .timeline = cases[i].timeline};
        CHECK(fa_backend_open(&b, &o, &e) && !b && strstr(e.text, cases[i].said), "%s", e.text);
        check_remove(folder);
        free(folder);
        free(path);
    }
}

static const check_case cases[] = {
    {"a wrong placement file is refused with the field", wrong_files_name_the_field, NULL},
    {"every prefix of a placement file is refused", every_prefix_of_a_file_is_refused, NULL},
    {"what was written is read", what_was_written_is_read, NULL},
    {"layers and experts are balanced, and copies help", experts_are_balanced, NULL},
    {"R1 fits 32 boards of 32 GB, and not 32 of 16", r1_fits_32_boards_of_32_gb_and_not_of_16, NULL},
    {"shapes tell models apart", shapes_tell_models_apart, NULL},
    {"what a placement asks for and cannot be had is said", a_placement_opens_what_it_says, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
