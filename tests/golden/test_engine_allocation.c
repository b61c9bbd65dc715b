/* A step takes no memory: every call of the allocator in this program is counted. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "host/fathom.h"
#include "tests/lib/check.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool counting = false;
static atomic_long calls;
#else
/* glibc's own names for its allocator; ours stand in front of them for the program and all libraries */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

static const bool counting = true;
static atomic_long calls;

void *malloc(size_t n) {
    calls++;
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size) {
    calls++;
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n) {
    calls++;
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t alignment, size_t n) {
    calls++;
    return __libc_memalign(alignment, n);
}
#endif

typedef struct setting {
    const char *folder, *numerics;
    int threads, drafts;
} setting;

static void a_step_takes_no_memory(void *arg) {
    const setting *set = arg;
    if (!counting) check_skip("the sanitizer has its own allocator");
    long before = calls;
    void *volatile probe = malloc(1);
    free(probe);
    CHECK(calls > before, "the counter counts");

    char *path = check_golden(set->folder);
    fathom_options o = {.model = path,
                        .numerics = set->numerics,
                        .threads = set->threads,
                        .sessions = 2,
                        .step_rows = 16,
                        .mtp = set->drafts > 0,
                        .drafts = set->drafts};
    fathom_engine *g;
    fathom_session *s[2];
    fathom_error e = {0};
    fathom_token t;
    CHECK(fathom_engine_open(&g, &o, &e) == FATHOM_OK, "%s", e.text);
    int32_t ids[100];
    for (int i = 0; i < 100; i++) ids[i] = 100 + i * 3;
    fathom_sampling p = {.temperature = 0.9f,
                         .top_k = 50,
                         .top_p = 0.9f,
                         .repetition_penalty = 1.1f,
                         .top_logprobs = 5,
                         .score_from = 1,
                         .stop = (const char *const[]){"never said", "nor this"},
                         .n_stop = 2,
                         .ignore_eos = true};
    for (int i = 0; i < 2; i++) {
        CHECK(fathom_session_open(g, 1, &s[i], &e) == FATHOM_OK, "%s", e.text);
        CHECK(fathom_session_prompt(s[i], ids, i ? 100 : 10, &p, &e) == FATHOM_OK, "%s", e.text);
    }
    CHECK(fathom_engine_step(g, NULL, &e) == FATHOM_OK, "%s", e.text); /* the threads start here */
    before = calls;
    int tokens = 0;
    for (int k = 0; k < 150; k++) {
        fathom_status st = fathom_engine_step(g, NULL, &e);
        for (int i = 0; i < 2; i++)
            while (fathom_session_scored(s[i], &t) || fathom_session_next(s[i], &t)) tokens++;
        if (st) CHECK(st == FATHOM_OK, "%s", e.text);
    }
    long taken = calls - before;
    CHECK(taken == 0, "%ld calls of the allocator in 150 steps", taken);
    CHECK(tokens > 300, "%d tokens", tokens);
    fathom_engine_close(g);
    free(path);
}

/* Codes and layers of a drawing, one begun before, whose decoder's room stays. */
static void a_drawing_takes_no_memory(void *unused) {
    (void)unused;
    if (!counting) check_skip("the sanitizer has its own allocator");
    char *path = check_golden("janus-pro-tiny");
    const fathom_options o = {.model = path, .threads = 2, .sessions = 2, .context = 200};
    const fathom_sampling p = {.temperature = 1};
    static const char prompt[] = "A red circle";
    fathom_engine *g;
    fathom_session *s[2];
    fathom_error e = {0};
    fathom_token t;
    int32_t *ids;
    size_t n;
    CHECK(fathom_engine_open(&g, &o, &e) == FATHOM_OK, "%s", e.text);
    CHECK(fathom_encode_drawing(g, prompt, strlen(prompt), &ids, &n, &e) == FATHOM_OK, "%s", e.text);
    for (int i = 0; i < 2; i++) {
        CHECK(fathom_session_open(g, 1, &s[i], &e) == FATHOM_OK, "%s", e.text);
        CHECK(fathom_session_draw(s[i], ids, n, &p, 5, &e) == FATHOM_OK, "%s", e.text);
    }
    CHECK(fathom_engine_step(g, NULL, &e) == FATHOM_OK, "%s", e.text); /* the threads start here */
    long before = calls;
    fathom_status st = FATHOM_OK;
    for (int busy = 1; busy && !st;) {
        st = fathom_engine_step(g, &busy, &e);
        for (int i = 0; i < 2; i++)
            while (fathom_session_next(s[i], &t)) continue;
    }
    long taken = calls - before;
    CHECK(taken == 0 && !st, "%ld calls of the allocator", taken);
    const uint8_t *rgb;
    int32_t side;
    for (int i = 0; i < 2; i++) CHECK(fathom_session_drawn(s[i], &rgb, &side), "%s", fathom_session_error(s[i]));
    fathom_free(ids);
    fathom_engine_close(g);
    free(path);
}

static setting mla = {"deepseek-v3-tiny-fp8", "w8a8", 2, 0}, gqa = {"deepseek-llm-tiny", "w8a16", 1, 0},
               drafting = {"deepseek-v3-tiny-mtp", "w8a16", 1, 3}, repeating = {"deepseek-llm-tiny", "w8a16", 1, 3};

static const check_case cases[] = {
    {"a step takes no memory: MLA, experts, w8a8, 2 threads", a_step_takes_no_memory, &mla},
    {"a step takes no memory: GQA, w8a16, 1 thread", a_step_takes_no_memory, &gqa},
    {"a step takes no memory: drafts of the MTP layer", a_step_takes_no_memory, &drafting},
    {"a step takes no memory: two drawings", a_drawing_takes_no_memory, NULL},
    {"a step takes no memory: drafts by what repeats", a_step_takes_no_memory, &repeating},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
