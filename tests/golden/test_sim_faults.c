/* A simulated board fails in the middle of answers: the answer is right all the same, or there is a clean error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/placement.h"
#include "host/backend/board/board.h"
#include "host/backend/placed/placed.h"
#include "host/engine/internal.h"
#include "host/model/shape.h"
#include "sim/device/sim.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/golden_model.h"

enum { FAULTS = 100, PROMPT = 20, ANSWER = 6, VOCAB = 1040 };
static const char folder[] = "deepseek-v3-tiny-fp8";

/* What an engine answers: logits of every prompt position, ids and log-probabilities of the new tokens. */
typedef struct answer {
    float logits[PROMPT * VOCAB];
    int32_t ids[ANSWER];
    float logprobs[ANSWER];
} answer;

static fathom_engine *open_placed(const char *backend, const char *placement) {
    fathom_engine *g;
    fathom_error e;
    char *dir = check_golden(folder);
    fathom_options o = {.model = dir,
                        .backend = backend,
                        .context = 128,
                        .logits_all = true,
                        .sessions = 2,
                        .threads = 2,
                        .placement = placement};
    CHECK_OK(fathom_engine_open(&g, &o, &e), &e);
    free(dir);
    fathom_info info;
    fathom_engine_info(g, &info);
    CHECK(info.vocabulary == VOCAB, "a vocabulary of %d", info.vocabulary);
    return g;
}

static fathom_engine *open_engine(const char *backend) {
    return open_placed(backend, NULL);
}

/* An answer to `ids`, which begins in the cache and goes on; then the logits. */
static fathom_status ask(fathom_engine *g, const int32_t *ids, answer *a, fathom_error *e) {
    fathom_session *s;
    static uint64_t owner; /* a new one each time: nothing of earlier answers is reused */
    CHECK_OK(fathom_session_open(g, ++owner, &s, e), e);
    CHECK_OK(fathom_session_prompt(s, ids, PROMPT, &(fathom_sampling){.max_tokens = ANSWER, .ignore_eos = true}, e), e);
    fathom_status st = FATHOM_OK;
    int busy = 1, n = 0;
    for (int steps = 0; busy && !st; steps++) {
        CHECK(steps < 1000, "the answer does not end");
        st = fathom_engine_step(g, &busy, e);
        for (fathom_token token; !st && fathom_session_next(s, &token);) {
            a->ids[n] = token.id;
            a->logprobs[n++] = token.logprob;
        }
    }
    CHECK(st || n == ANSWER, "%d tokens", n);
    fathom_session_close(s);
    return st ? st : fathom_logits(g, ids, PROMPT, true, a->logits, e);
}

typedef struct counts {
    int64_t transfers, launches; /* of one answer */
} counts;

static counts count(fathom_engine *g) {
    fathom_device d;
    CHECK(fathom_engine_device(g, &d), "no board");
    return (counts){d.transfers, d.launches};
}

/* One fault somewhere in an answer. True when the answer is right, false for an error of the device. */
static bool survives(fathom_engine *g, const int32_t *ids, const answer *want, sim_fault fault) {
    fathom_error e;
    answer *a = must_alloc(sizeof *a);
    fa_device *d = fa_board_backend_device(g->backend);
    CHECK_OK(fa_sim_inject(d, &fault, 1, (fa_error *)&e), &e);
    fathom_status st = ask(g, ids, a, &e);
    CHECK(fa_sim_faults_happened(d) == 1, "fault %d at %lld did not happen", fault.kind, (long long)fault.at);
    CHECK(st == FATHOM_OK || st == FATHOM_EDEVICE, "status %d: %s", st, e.text);
    CHECK(st || !memcmp(a, want, sizeof *a), "fault %d at %lld (seed %llx): a wrong answer", fault.kind,
          (long long)fault.at, (unsigned long long)fault.seed);
    CHECK(!st || strstr(e.text, "board"), "%s", e.text);
    free(a);
    return st == FATHOM_OK;
}

static void hundred_faults(void *arg) {
    (void)arg;
    golden gold;
    golden_open(&gold, folder);
    const int32_t *ids = gold.prompts[2].ids;
    CHECK(gold.prompts[2].n >= PROMPT, "the prompt is short");
    answer *want = must_alloc(sizeof *want), *clean = must_alloc(sizeof *clean);
    fathom_error e;
    fathom_engine *g = open_engine("cpu");
    CHECK_OK(ask(g, ids, want, &e), &e);
    fathom_engine_close(g);
    g = open_engine("sim:v80");
    counts before = count(g);
    CHECK_OK(ask(g, ids, clean, &e), &e);
    CHECK(!memcmp(clean, want, sizeof *want), "without a fault: a wrong answer");
    counts n = count(g);
    check_rng rng = {2024};
    int right[SIM_FAULT_KINDS] = {0}, all[SIM_FAULT_KINDS] = {0};
    for (int i = 0; i < FAULTS; i++) {
        sim_fault_kind kind = (sim_fault_kind)(i % SIM_FAULT_KINDS);
        int64_t most = kind >= SIM_FAULT_HANG ? n.launches - before.launches : n.transfers - before.transfers;
        bool ok =
            survives(g, ids, want, (sim_fault){kind, (int64_t)(check_u64(&rng) % (uint64_t)most), check_u64(&rng)});
        all[kind]++;
        right[kind] += ok;
        if (ok) continue;
        fathom_engine_close(g); /* a board that is gone does not come back */
        g = open_engine("sim:v80");
    }
    for (int k = 0; k < SIM_FAULT_KINDS; k++)
        CHECK(right[k] == (k == SIM_FAULT_LOST ? 0 : all[k]), "fault kind %d: %d of %d answers are right", k, right[k],
              all[k]);
    fathom_engine_close(g);
    free(want);
    free(clean);
    golden_close(&gold);
}

/* A board that is gone: errors again and again, and the engine closes. */
static void lost_board_stays_an_error(void *arg) {
    (void)arg;
    fathom_error e;
    int32_t ids[PROMPT] = {1, 2, 3};
    answer *a = must_alloc(sizeof *a);
    fathom_engine *g = open_engine("sim:u200");
    sim_fault fault = {SIM_FAULT_LOST, 5, 0};
    CHECK_OK(fa_sim_inject(fa_board_backend_device(g->backend), &fault, 1, (fa_error *)&e), &e);
    for (int i = 0; i < 3; i++) CHECK(ask(g, ids, a, &e) == FATHOM_EDEVICE && strstr(e.text, "u200"), "%s", e.text);
    fathom_engine_close(g);
    free(a);
}

/* A board that fails at every turn is given up after some tries. */
static void no_endless_retries(void *arg) {
    enum { MANY = 400 };
    check_rng rng = {9};
    sim_fault faults[MANY];
    fathom_error e;
    int32_t ids[PROMPT] = {1, 2, 3};
    answer *a = must_alloc(sizeof *a);
    fathom_engine *g = open_engine("sim:u200");
    for (int i = 0; i < MANY; i++) faults[i] = (sim_fault){*(const sim_fault_kind *)arg, i, check_u64(&rng)};
    CHECK_OK(fa_sim_inject(fa_board_backend_device(g->backend), faults, MANY, (fa_error *)&e), &e);
    CHECK(ask(g, ids, a, &e) == FATHOM_EDEVICE, "it went on");
    fathom_engine_close(g);
    free(a);
}

/* Logits of a prompt on a board whose transfers while loading have one fault. */
static void prompt_after(const golden *gold, const sim_fault *fault, int rows, float *logits) {
    fa_error e;
    fa_board board;
    fa_device *d;
    runner_options o = {.path = gold->dir};
    runner r;
    CHECK_OK(fa_board_find(&board, "kv260", &e), &e);
    CHECK_OK(fa_sim_open(&d, &board, &(sim_options){.threads = 1, .node = -1}, &e), &e);
    CHECK_OK(fa_sim_inject(d, fault, 1, &e), &e);
    CHECK_OK(fa_board_backend_open(&o.given, d, "sim", &e), &e);
    runner_open(&r, &o);
    CHECK(fa_sim_faults_happened(d) == 1, "the fault did not happen");
    runner_prompt(&r, 0, gold->prompts[1].ids, rows, rows, logits, NULL);
    runner_close(&r);
}

static void weights_arrive_whole(void *arg) {
    (void)arg;
    enum { ROWS = 3 };
    golden gold;
    golden_open(&gold, folder);
    check_rng rng = {5};
    runner r;
    runner_open(&r, &(runner_options){.path = gold.dir, .backend = "cpu"});
    size_t n = ROWS * (size_t)r.vocab;
    float *want = must_alloc(n * sizeof *want), *found = must_alloc(n * sizeof *found);
    runner_prompt(&r, 0, gold.prompts[1].ids, ROWS, ROWS, want, NULL);
    runner_close(&r);
    for (int i = 0; i < 9; i++) {
        sim_fault fault = {(sim_fault_kind)(i % 3), (int64_t)(check_u64(&rng) % 300), check_u64(&rng)};
        prompt_after(&gold, &fault, ROWS, found);
        CHECK(!memcmp(found, want, n * sizeof *want), "fault %d at transfer %lld: wrong logits", fault.kind,
              (long long)fault.at);
    }
    free(want);
    free(found);
    golden_close(&gold);
}

/* Layers in turn on two boards, each expert on one of them; malloc'd, in `scratch`. */
static char *two_boards(const char *scratch) {
    fa_config c;
    fa_board_placement p;
    fa_error e;
    char *dir = check_golden(folder), *path = check_write(scratch, "p.json", "", 0);
    CHECK_OK(fa_config_load(&c, dir, &e), &e);
    CHECK_OK(fa_board_placement_make(&p, 2, c.layers + c.mtp_layers, c.experts, &e), &e);
    p.shape = fa_config_shape(&c);
    for (int i = 0; i < p.layers; i++) p.layer[i] = i % 2;
    for (int i = 0; i < p.layers * p.experts; i++) p.expert[i] = 1u << i % 2;
    CHECK_OK(fa_board_placement_write(&p, path, &e), &e);
    fa_board_placement_free(&p);
    free(dir);
    return path;
}

/* One of two boards fails; both go on, or both end with an error that names a board. */
static void one_of_two_boards_fails(void *arg) {
    (void)arg;
    golden gold;
    golden_open(&gold, folder);
    const int32_t *ids = gold.prompts[2].ids;
    answer *want = must_alloc(sizeof *want), *found = must_alloc(sizeof *found);
    fathom_error e;
    char *scratch = check_scratch(), *path = two_boards(scratch);
    fathom_engine *g = open_engine("cpu");
    CHECK_OK(ask(g, ids, want, &e), &e);
    fathom_engine_close(g);
    g = open_placed("sim:v80", path);
    check_rng rng = {77};
    for (int i = 0; i < 4 * SIM_FAULT_KINDS; i++) {
        sim_fault fault = {(sim_fault_kind)(i % SIM_FAULT_KINDS), (int64_t)(check_u64(&rng) % 40), check_u64(&rng)};
        fa_device *d = fa_board_backend_device(fa_placed_board(g->backend, i / SIM_FAULT_KINDS % 2));
        CHECK_OK(fa_sim_inject(d, &fault, 1, (fa_error *)&e), &e);
        fathom_status st = ask(g, ids, found, &e);
        CHECK(fa_sim_faults_happened(d) == 1, "fault %d at %lld did not happen", fault.kind, (long long)fault.at);
        CHECK(st == (fault.kind == SIM_FAULT_LOST ? FATHOM_EDEVICE : FATHOM_OK), "fault %d at %lld: %s", fault.kind,
              (long long)fault.at, e.text);
        CHECK(st || !memcmp(found, want, sizeof *want), "fault %d at %lld: a wrong answer", fault.kind,
              (long long)fault.at);
        if (!st) continue;
        fathom_engine_close(g);
        g = open_placed("sim:v80", path);
    }
    fathom_engine_close(g);
    check_remove(scratch);
    free(scratch);
    free(path);
    free(want);
    free(found);
    golden_close(&gold);
}

int main(int argc, char **argv) {
    static const sim_fault_kind hang = SIM_FAULT_HANG, reset = SIM_FAULT_RESET, flip = SIM_FAULT_FLIP;
    static const check_case cases[] = {
        {"100 faults in answers: each answer is right, or the board is lost and says so", hundred_faults, NULL},
        {"a lost board stays an error", lost_board_stays_an_error, NULL},
        {"units that always hang are given up", no_endless_retries, (void *)&hang},
        {"a board that always resets itself is given up", no_endless_retries, (void *)&reset},
        {"a link that never transfers right is given up", no_endless_retries, (void *)&flip},
        {"faults while weights are sent do not stay", weights_arrive_whole, NULL},
        {"one of two placed boards fails, and the answer is right or an error", one_of_two_boards_fails, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
