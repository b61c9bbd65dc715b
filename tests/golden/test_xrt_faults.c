/* The device model of an emulated card is killed in the middle of answers: the answer is right all the same, or there is a clean
 * error, and the engine serves on. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/golden_model.h"
#include "tests/lib/processes.h"

#include "host/fathom.h"

enum { KILLS = 50, PROMPT = 4, ANSWER = 1 };
static const char folder[] = "deepseek-v3-tiny-fp8";

static fathom_engine *open_engine(const char *backend) {
    fathom_engine *g;
    fathom_error e;
    char *dir = check_golden(folder);
    fathom_options o = {.model = dir, .backend = backend, .context = 128, .sessions = 1, .threads = 1};
    fathom_status s = fathom_engine_open(&g, &o, &e);
    free(dir);
    if (s == FATHOM_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK_OK(s, &e);
    return g;
}

typedef struct answer {
    int32_t ids[ANSWER];
    float logprobs[ANSWER];
} answer;

static fathom_status ask(fathom_engine *g, const int32_t *ids, answer *a, fathom_error *e) {
    fathom_session *s;
    static uint64_t owner; /* a new one each time: nothing of earlier answers is reused */
    CHECK_OK(fathom_session_open(g, ++owner, &s, e), e);
    CHECK_OK(fathom_session_prompt(s, ids, PROMPT, &(fathom_sampling){.max_tokens = ANSWER, .ignore_eos = true}, e), e);
    fathom_status st = FATHOM_OK;
    int busy = 1, n = 0;
    while (busy && !st) {
        st = fathom_engine_step(g, &busy, e);
        for (fathom_token token; !st && fathom_session_next(s, &token);) {
            CHECK(n < ANSWER, "more tokens than asked for");
            a->ids[n] = token.id;
            a->logprobs[n++] = token.logprob;
        }
    }
    CHECK(st || n == ANSWER, "%d tokens", n);
    fathom_session_close(s);
    return st;
}

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

typedef struct killer {
    pid_t model;
    useconds_t after_us;
} killer;

static void *kill_later(void *arg) {
    const killer *k = arg;
    usleep(k->after_us);
    kill(k->model, SIGKILL);
    return NULL;
}

static void fifty_kills(void *arg) {
    (void)arg;
    golden gold;
    golden_open(&gold, folder);
    const int32_t *ids = gold.prompts[2].ids;
    CHECK(gold.prompts[2].n >= PROMPT, "the prompt is short");
    answer want, a;
    fathom_error e;
    fathom_engine *g = open_engine("cpu");
    CHECK_OK(ask(g, ids, &want, &e), &e);
    fathom_engine_close(g);
    g = open_engine("xrt:emu:tests/fixtures/boards/four-units.board");
    int64_t start = now_us();
    CHECK_OK(ask(g, ids, &a, &e), &e);
    int64_t answer_us = now_us() - start;
    CHECK(!memcmp(&a, &want, sizeof a), "without a kill: a wrong answer");
    check_rng rng = {77};
    int right = 0;
    for (int i = 0; i < KILLS; i++) {
        killer k = {check_device_model(), (useconds_t)(check_u64(&rng) % (uint64_t)answer_us)};
        pthread_t thread;
        while (k.model <= 0) { /* the last kill came after the answer; the next answer starts another model */
            CHECK_OK(ask(g, ids, &a, &e), &e);
            k.model = check_device_model();
        }
        CHECK(!pthread_create(&thread, NULL, kill_later, &k));
        fathom_status st = ask(g, ids, &a, &e);
        pthread_join(thread, NULL);
        CHECK(st == FATHOM_OK || st == FATHOM_EDEVICE, "kill %d: status %d: %s", i, st, e.text);
        CHECK(!st || strstr(e.text, "board four-units"), "kill %d: %s", i, e.text);
        CHECK(st || !memcmp(&a, &want, sizeof a), "kill %d after %u us: a wrong answer", i, k.after_us);
        right += st == FATHOM_OK;
    }
    CHECK_OK(ask(g, ids, &a, &e), &e);
    CHECK(!memcmp(&a, &want, sizeof a), "after the kills: a wrong answer");
    CHECK(right > KILLS / 2, "only %d of %d answers survived", right, KILLS);
    fathom_engine_close(g);
    golden_close(&gold);
}

/* A model that dies at once again and again: an error, not an endless loop. */
static void *kill_always(void *stop) {
    while (!__atomic_load_n((bool *)stop, __ATOMIC_ACQUIRE)) {
        pid_t model = check_device_model();
        if (model > 0) kill(model, SIGKILL);
        usleep(1000);
    }
    return NULL;
}

static void given_up(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine("xrt:emu:tests/fixtures/boards/four-units.board");
    int32_t ids[PROMPT] = {1, 2, 3};
    fathom_error e;
    answer a;
    pthread_t thread;
    bool stop = false;
    CHECK(!pthread_create(&thread, NULL, kill_always, &stop));
    fathom_status st = ask(g, ids, &a, &e);
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    CHECK(st == FATHOM_EDEVICE && strstr(e.text, "board four-units"), "status %d: %s", st, e.text);
    fathom_engine_close(g);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"the device model is killed 50 times in answers: right answers or clean errors, and the engine serves on",
         fifty_kills, NULL},
        {"a device model that always dies is given up", given_up, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
