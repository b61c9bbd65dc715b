/* The scheduler, sessions and cache together, with a stand-in for the model's arithmetic: each position stores a hash of
 * all tokens up to it in its cache page, and the next token follows from that hash. So a wrong place, page, order or prefix
 * gives a wrong answer, and the right one is known without an engine. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "host/engine/internal.h"
#include "tests/lib/check.h"

enum { VOCAB = 960, CONTEXT = 512, SESSIONS = 6, STEP_ROWS = 40, PAGE = FA_PAGE_POSITIONS };
enum {
    POISON = 13
}; /* a token after which the stand-in gives no number; answers are above it and below the model's EOS */

/* What the last steps did, for the checks. */
static struct {
    int steps, rows, last_rows;
    bool broken; /* the next step fails as a whole */
} seen;

static uint64_t chain(uint64_t before, int32_t token) {
    check_rng r = {before * 1000003 + (uint32_t)token};
    return check_u64(&r);
}

static bool is_poisoned(uint64_t h) {
    return h == 0;
}

static uint64_t *slot(const fa_step *step, const fa_place *place, int32_t pos, int64_t page_bytes, int32_t row_bytes) {
    char *page = (char *)step->pool->host + place->pages[pos / PAGE] * page_bytes;
    return (uint64_t *)(page + pos % PAGE * row_bytes);
}

static int32_t answer_to(uint64_t h) {
    return 20 + (int32_t)(h % 900);
}

static fa_status stand_in(fa_model *m, const fa_step *step, fa_error *e) {
    const fa_kv_layout *l = fa_model_kv_layout(m);
    if (seen.broken) return fa_fail(e, FA_EDEVICE, "the device is gone");
    seen.steps++;
    seen.rows += seen.last_rows = step->rows;
    CHECK(step->rows > 0 && step->rows <= STEP_ROWS && step->n_logits <= SESSIONS, "%d rows", step->rows);
    for (int32_t t = 0; t < step->rows; t++) {
        const fa_place *p = &step->place[t];
        CHECK(p->pos >= 0 && p->pos < CONTEXT);
        uint64_t before = p->pos ? *slot(step, p, p->pos - 1, l->page_bytes, l->row_bytes) : 1;
        bool poisoned = step->tokens[t] == POISON || is_poisoned(before);
        *slot(step, p, p->pos, l->page_bytes, l->row_bytes) = poisoned ? 0 : chain(before, step->tokens[t]);
    }
    for (int32_t i = 0; i < step->n_logits; i++) {
        const fa_place *p = &step->place[step->logit_rows[i]];
        uint64_t h = *slot(step, p, p->pos, l->page_bytes, l->row_bytes);
        float *logits = step->logits + (int64_t)i * VOCAB;
        for (int32_t v = 0; v < VOCAB; v++) logits[v] = is_poisoned(h) ? NAN : 0;
        logits[answer_to(h)] += 5;
    }
    return FA_OK;
}

/* The greedy answer to a prompt, by the definition. */
static void expected_answer(const int32_t *ids, int32_t n, int32_t *answer, int32_t n_new) {
    uint64_t h = 1;
    for (int32_t i = 0; i < n; i++) h = chain(h, ids[i]);
    for (int32_t i = 0; i < n_new; i++) h = chain(h, answer[i] = answer_to(h));
}

static fathom_engine *open_engine(int64_t pages, int32_t step_rows) {
    char *path = check_golden("deepseek-llm-tiny");
    fathom_options o = {
        .model = path, .backend = "reference", .threads = 1, .sessions = SESSIONS, .step_rows = step_rows};
    fathom_error e = {0};
    fathom_engine *g;
    fathom_status st = fathom_engine_open(&g, &o, &e);
    CHECK(st == FATHOM_OK, "%s", e.text);
    int64_t page_bytes = fa_model_kv_layout(g->model)->page_bytes;
    fathom_engine_close(g);
    o.cache_bytes = pages * page_bytes;
    st = fathom_engine_open(&g, &o, &e);
    CHECK(st == FATHOM_OK, "%s", e.text);
    free(path);
    g->run = stand_in;
    seen.steps = seen.rows = seen.broken = 0;
    return g;
}

static fathom_session *open_session(fathom_engine *g, uint64_t owner) {
    fathom_session *s;
    fathom_error e = {0};
    CHECK(fathom_session_open(g, owner, &s, &e) == FATHOM_OK, "%s", e.text);
    return s;
}

static void prompt(fathom_session *s, const int32_t *ids, size_t n, const fathom_sampling *p) {
    fathom_error e = {0};
    CHECK(fathom_session_prompt(s, ids, n, p, &e) == FATHOM_OK, "%s", e.text);
}

static int step(fathom_engine *g) {
    fathom_error e = {0};
    int busy = -1;
    CHECK(fathom_engine_step(g, &busy, &e) == FATHOM_OK, "%s", e.text);
    return busy;
}

/* Runs the session alone to its end; returns the number of tokens in `answer`. */
static int32_t run_to_end(fathom_engine *g, fathom_session *s, int32_t *answer) {
    fathom_token t;
    int32_t n = 0;
    for (int busy = 1; busy;) {
        busy = step(g);
        while (fathom_session_next(s, &t)) answer[n++] = t.id;
    }
    return n;
}

static void make_ids(int32_t *ids, int32_t n, int32_t first) {
    for (int32_t i = 0; i < n; i++) ids[i] = 20 + (first + i * 7) % 900;
}

static void check_answer(const int32_t *ids, int32_t n, const int32_t *answer, int32_t n_new) {
    int32_t want[CONTEXT];
    expected_answer(ids, n, want, n_new);
    for (int32_t i = 0; i < n_new; i++) CHECK(answer[i] == want[i], "token %d: %d, expected %d", i, answer[i], want[i]);
}

/* --- batching --------------------------------------------------------------------------------------------------- */

static void long_prompts_are_cut_into_steps(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(40, STEP_ROWS);
    fathom_session *s = open_session(g, 1);
    int32_t ids[CONTEXT], answer[CONTEXT];
    make_ids(ids, 205, 0);
    prompt(s, ids, 205, &(fathom_sampling){.max_tokens = 3});
    CHECK(run_to_end(g, s, answer) == 3 && fathom_session_finish(s) == FATHOM_LENGTH);
    check_answer(ids, 205, answer, 3);
    CHECK(seen.steps == 6 + 2 && seen.rows == 205 + 2, "%d steps, %d rows", seen.steps, seen.rows);
    fathom_usage u = fathom_session_usage(s);
    CHECK(u.prompt_tokens == 205 && u.cached_tokens == 0 && u.new_tokens == 3 && u.prompt_ns > 0 && u.new_ns > 0);
    fathom_engine_close(g);
}

static void answers_go_on_while_a_long_prompt_is_read(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(60, STEP_ROWS);
    fathom_session *quick[3], *slow[2];
    int32_t ids[CONTEXT];
    fathom_token t;
    make_ids(ids, 400, 0);
    for (int i = 0; i < 3; i++) {
        quick[i] = open_session(g, 1);
        prompt(quick[i], ids + i, 5, NULL);
    }
    step(g);
    for (int i = 0; i < 3; i++) CHECK(fathom_session_next(quick[i], &t));
    for (int i = 0; i < 2; i++) {
        slow[i] = open_session(g, 1);
        prompt(slow[i], ids + 10 * i, i ? 60 : 300, NULL);
    }
    for (int k = 0, done = 0; k < 10; k++) {
        step(g);
        CHECK(seen.last_rows == STEP_ROWS || done, "step %d has %d rows", k, seen.last_rows);
        for (int i = 0; i < 3; i++) CHECK(fathom_session_next(quick[i], &t), "session %d stood still in step %d", i, k);
        bool answered = fathom_session_next(slow[1], &t);
        done += answered;
        CHECK(k < 3 || done, "the short prompt waits for the long one");
    }
    CHECK(fathom_session_next(slow[0], &t), "the long prompt was read");
    fathom_engine_close(g);
}

static void a_session_waits_until_its_token_is_taken(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(40, STEP_ROWS);
    fathom_session *a = open_session(g, 1), *b = open_session(g, 1);
    int32_t ids[8], answer[2];
    fathom_token t;
    make_ids(ids, 8, 3);
    prompt(a, ids, 8, NULL);
    prompt(b, ids, 7, NULL);
    for (int k = 0; k < 5; k++) {
        CHECK(step(g) == 2);
        CHECK(fathom_session_next(b, &t));
    }
    for (int k = 0; k < 2; k++) {
        CHECK(fathom_session_next(a, &t) && !fathom_session_next(a, &t));
        answer[k] = t.id;
        step(g);
    }
    check_answer(ids, 8, answer, 2);
    fathom_engine_close(g);
}

/* One session of the random test: what it was asked and has answered. */
typedef struct client {
    fathom_session *session;
    uint64_t owner;
    int32_t ids[CONTEXT], n, answer[CONTEXT], n_new, want_new;
    bool cancelled;
} client;

static void client_ask(client *c, fathom_engine *g, check_rng *rng) {
    if (!c->session) c->session = open_session(g, c->owner = check_u64(rng) % 2);
    int32_t branch = (int32_t)(check_u64(rng) % 3), from = (int32_t)(check_u64(rng) % 200);
    c->n = 1 + (int32_t)(check_u64(rng) % 300);
    for (int32_t i = 0; i < c->n; i++) c->ids[i] = 20 + (i < from ? i : i + branch * 111) % 900;
    c->want_new = 1 + (int32_t)(check_u64(rng) % 90);
    c->n_new = 0;
    c->cancelled = false;
    prompt(c->session, c->ids, (size_t)c->n, &(fathom_sampling){.max_tokens = c->want_new});
}

static void client_check(client *c, int *failed) {
    fathom_finish f = fathom_session_finish(c->session);
    check_answer(c->ids, c->n, c->answer, c->n_new);
    if (f == FATHOM_FAILED) {
        ++*failed;
        CHECK(strstr(fathom_session_error(c->session), "pages"), "%s", fathom_session_error(c->session));
    } else if (f == FATHOM_CANCELLED) {
        CHECK(c->cancelled);
    } else {
        CHECK(f == FATHOM_LENGTH && c->n_new == c->want_new, "finish %d after %d of %d tokens", (int)f, c->n_new,
              c->want_new);
    }
}

static void random_clients_get_the_answers_they_would_get_alone(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(22, STEP_ROWS); /* less than all of them may need */
    client clients[SESSIONS] = {0};
    check_rng rng = {17};
    int failed = 0, answered = 0;
    for (int k = 0; k < 6000; k++) {
        client *c = &clients[check_u64(&rng) % SESSIONS];
        uint64_t what = check_u64(&rng) % 40;
        bool running = c->session && fathom_session_finish(c->session) == FATHOM_RUNNING;
        if (!running && what < 20) {
            client_ask(c, g, &rng);
        } else if (running && what == 20) {
            fathom_session_cancel(c->session);
            c->cancelled = true;
        } else if (running && what == 21) {
            client_ask(c, g, &rng); /* another prompt takes the place of the one in progress */
        } else if (c->session && what == 22) {
            fathom_session_close(c->session);
            c->session = NULL;
        }
        step(g);
        for (int i = 0; i < SESSIONS; i++) {
            fathom_token t;
            client *d = &clients[i];
            if (!d->session || check_u64(&rng) % 5 == 0 || d->n == 0) continue;
            if (fathom_session_next(d->session, &t)) d->answer[d->n_new++] = t.id;
            if (fathom_session_finish(d->session) == FATHOM_RUNNING || d->session->n_seen < d->session->n_made)
                continue;
            client_check(d, &failed);
            answered++;
            d->n = 0;
        }
    }
    CHECK(answered > 200 && failed > 5 && failed < answered / 2, "%d answers, %d without pages", answered, failed);
    CHECK(fa_cache_get_usage(g->cache).reused > 5000, "%lld", (long long)fa_cache_get_usage(g->cache).reused);
    fathom_engine_close(g);
}

/* --- ends -------------------------------------------------------------------------------------------------------- */

static void the_answer_ends_where_it_must(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(40, STEP_ROWS);
    int32_t ids[CONTEXT], want[8], answer[CONTEXT];
    make_ids(ids, CONTEXT, 5);
    expected_answer(ids, 10, want, 8);
    const struct {
        const char *name;
        int32_t n;
        fathom_sampling p;
        int32_t tokens;
        fathom_finish finish;
    } table[] = {
        {"max_tokens", 10, {.max_tokens = 4}, 4, FATHOM_LENGTH},
        {"a stop id", 10, {.max_tokens = 8, .stop_ids = &want[2], .n_stop_ids = 1}, 3, FATHOM_STOP},
        {"the first token is the stop id", 10, {.stop_ids = &want[0], .n_stop_ids = 1}, 1, FATHOM_STOP},
        {"a stop id beats max_tokens", 10, {.max_tokens = 3, .stop_ids = &want[2], .n_stop_ids = 1}, 3, FATHOM_STOP},
        {"the context", CONTEXT - 5, {.seed = 0}, 6, FATHOM_CONTEXT},
        {"a prompt as long as the context", CONTEXT, {.seed = 0}, 1, FATHOM_CONTEXT},
        {"max_tokens at the context's end", CONTEXT, {.max_tokens = 1}, 1, FATHOM_LENGTH},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fathom_session *s = open_session(g, 1);
        prompt(s, ids, (size_t)table[i].n, &table[i].p);
        int32_t n = run_to_end(g, s, answer);
        CHECK(n == table[i].tokens && fathom_session_finish(s) == table[i].finish, "%s: %d tokens, finish %d",
              table[i].name, n, (int)fathom_session_finish(s));
        check_answer(ids, table[i].n, answer, n);
        fathom_session_close(s);
    }
    fathom_engine_close(g);
}

static void cancelling_ends_a_session_before_the_next_step(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(40, STEP_ROWS);
    fathom_session *a = open_session(g, 1), *b = open_session(g, 1);
    int32_t ids[300], answer[8];
    fathom_token t;
    make_ids(ids, 300, 9);
    prompt(a, ids, 300, NULL);
    prompt(b, ids, 10, &(fathom_sampling){.max_tokens = 8});
    step(g);
    CHECK(fathom_session_next(b, &t));
    int rows = seen.rows;
    fathom_session_cancel(a);
    CHECK(step(g) == 1 && seen.rows == rows + 1 && fathom_session_finish(a) == FATHOM_CANCELLED);
    fathom_session_cancel(a); /* after the end: nothing */
    step(g);
    CHECK(fathom_session_finish(a) == FATHOM_CANCELLED && fathom_session_finish(b) == FATHOM_RUNNING);
    prompt(a, ids, 40, &(fathom_sampling){.max_tokens = 2});
    fathom_session_close(b);
    CHECK(fathom_session_usage(a).cached_tokens > 0, "what was computed before is not computed again");
    CHECK(run_to_end(g, a, answer) == 2);
    check_answer(ids, 40, answer, 2);
    fathom_engine_close(g);
}

static void *cancel_it(void *session) {
    fathom_session_cancel(session);
    return NULL;
}

static void another_thread_may_cancel_while_steps_run(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(40, STEP_ROWS);
    int32_t ids[10];
    make_ids(ids, 10, 9);
    for (int k = 0; k < 20; k++) {
        fathom_session *s = open_session(g, 1);
        fathom_token t;
        pthread_t thread;
        prompt(s, ids, 10, NULL);
        step(g);
        CHECK(pthread_create(&thread, NULL, cancel_it, s) == 0);
        while (fathom_session_finish(s) == FATHOM_RUNNING) {
            fathom_session_next(s, &t);
            step(g);
        }
        pthread_join(thread, NULL);
        fathom_finish f = fathom_session_finish(s); /* the context's end when the thread was late */
        CHECK(f == FATHOM_CANCELLED || f == FATHOM_CONTEXT, "%d", (int)f);
        fathom_session_close(s);
    }
    fathom_engine_close(g);
}

static void a_session_without_pages_fails_alone(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(5, STEP_ROWS);
    fathom_session *a = open_session(g, 1), *b = open_session(g, 2);
    int32_t ids[CONTEXT], answer[CONTEXT];
    make_ids(ids, CONTEXT, 1);
    prompt(a, ids, 100, &(fathom_sampling){.max_tokens = 60});
    for (int k = 0; k < 10; k++) {
        fathom_token t;
        step(g);
        if (fathom_session_next(a, &t)) answer[a->n_new - 1] = t.id;
    }
    prompt(b, ids, 300, NULL);
    int32_t n = a->n_new;
    for (fathom_token t; step(g);) {
        while (fathom_session_next(a, &t)) answer[n++] = t.id;
    }
    CHECK(fathom_session_finish(b) == FATHOM_FAILED && strstr(fathom_session_error(b), "pages"), "%s",
          fathom_session_error(b));
    CHECK(fathom_session_finish(a) == FATHOM_LENGTH);
    fathom_token t;
    if (fathom_session_next(a, &t)) answer[n++] = t.id;
    CHECK(n == 60);
    check_answer(ids, 100, answer, 60);
    fathom_session_close(a);
    prompt(b, ids, 250, &(fathom_sampling){.max_tokens = 2}); /* now it fits */
    CHECK(run_to_end(g, b, answer) == 2 && fathom_session_finish(b) == FATHOM_LENGTH);
    check_answer(ids, 250, answer, 2);
    fathom_engine_close(g);
}

/* --- failures of numbers and devices -------------------------------------------------------------------------------- */

static void a_number_out_of_range_ends_its_session_and_is_not_shared(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(40, STEP_ROWS);
    fathom_session *bad = open_session(g, 1), *good = open_session(g, 1);
    int32_t ids[200], answer[8];
    make_ids(ids, 200, 2);
    ids[70] = POISON; /* in the middle of the prompt: no logits of this row are wanted, those of later ones tell */
    prompt(bad, ids, 200, NULL);
    prompt(good, ids, 64, &(fathom_sampling){.max_tokens = 5});
    run_to_end(g, good, answer);
    CHECK(fathom_session_finish(bad) == FATHOM_FAILED && strstr(fathom_session_error(bad), "logit 0 is"), "%s",
          fathom_session_error(bad));
    CHECK(fathom_session_finish(good) == FATHOM_LENGTH);
    check_answer(ids, 64, answer, 5);
    CHECK(fa_sequence_length(bad->sequence) <= 70, "positions behind the bad one were recorded");
    prompt(bad, ids, 200, NULL);
    CHECK(fathom_session_usage(bad).cached_tokens <= 70);
    ids[70] = 30; /* the same prompt without it */
    prompt(bad, ids, 200, &(fathom_sampling){.max_tokens = 4});
    run_to_end(g, bad, answer);
    CHECK(fathom_session_finish(bad) == FATHOM_LENGTH && !*fathom_session_error(bad));
    check_answer(ids, 200, answer, 4);
    fathom_engine_close(g);
}

static void a_failing_step_changes_no_session(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(40, STEP_ROWS);
    fathom_session *s = open_session(g, 1);
    int32_t ids[100], answer[8];
    make_ids(ids, 100, 4);
    prompt(s, ids, 100, &(fathom_sampling){.max_tokens = 5});
    step(g);
    seen.broken = true;
    fathom_error e = {0};
    int busy = 0;
    for (int k = 0; k < 3; k++)
        CHECK(fathom_engine_step(g, &busy, &e) == FATHOM_EDEVICE && busy == 1 && strstr(e.text, "device"), "%s",
              e.text);
    seen.broken = false;
    CHECK(run_to_end(g, s, answer) == 5);
    check_answer(ids, 100, answer, 5);
    fathom_engine_close(g);
}

static void bad_prompts_leave_the_session_as_it_was(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(40, STEP_ROWS);
    fathom_session *s = open_session(g, 1);
    int32_t ids[CONTEXT + 1], answer[8];
    make_ids(ids, CONTEXT + 1, 4);
    int32_t large[] = {1, 2, VOCAB}, negative[] = {-1};
    const struct {
        const int32_t *ids;
        size_t n;
        fathom_sampling p;
        fathom_status status;
        const char *text;
    } table[] = {
        {ids, 0, {.seed = 0}, FATHOM_EINVAL, "no tokens"},
        {large, 3, {.seed = 0}, FATHOM_EINVAL, "ids[2] is 960, must be in 0 .. 959"},
        {negative, 1, {.seed = 0}, FATHOM_EINVAL, "ids[0] is -1"},
        {ids, CONTEXT + 1, {.seed = 0}, FATHOM_ELIMIT, "513 tokens, but the context holds 512"},
        {ids, 3, {.temperature = -1}, FATHOM_EINVAL, "temperature"},
        {ids, 3, {.stop = (const char *const[]){""}, .n_stop = 1}, FATHOM_EINVAL, "stop[0]"},
    };
    prompt(s, ids, 10, &(fathom_sampling){.max_tokens = 4});
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fathom_error e = {0};
        CHECK(fathom_session_prompt(s, table[i].ids, table[i].n, &table[i].p, &e) == table[i].status, "case %zu", i);
        CHECK(strstr(e.text, table[i].text) && e.status == table[i].status, "case %zu: %s", i, e.text);
    }
    CHECK(run_to_end(g, s, answer) == 4);
    check_answer(ids, 10, answer, 4);
    fathom_engine_close(g);
}

static void sessions_have_a_limit_and_can_be_opened_again(void *arg) {
    (void)arg;
    fathom_engine *g = open_engine(40, STEP_ROWS);
    fathom_session *s[SESSIONS + 1];
    fathom_error e = {0};
    for (int i = 0; i < SESSIONS; i++) s[i] = open_session(g, 1);
    CHECK(fathom_session_open(g, 1, &s[SESSIONS], &e) == FATHOM_ELIMIT && !s[SESSIONS], "%s", e.text);
    CHECK(fathom_session_finish(s[0]) != FATHOM_RUNNING && !*fathom_session_rest(s[0]) && step(g) == 0);
    fathom_session_close(s[2]);
    fathom_session_close(NULL);
    s[2] = open_session(g, 7);
    fathom_engine_close(g);
}

/* Two prompts of the background, one session that answers before them. */
static void background_sessions_have_the_rows_they_may(void *arg) {
    (void)arg;
    int32_t ids[3][100], answer[3][40];
    fathom_engine *g = open_engine(60, STEP_ROWS);
    fathom_session *s[3];
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 100; k++) ids[i][k] = 20 + (37 * i + 11 * k) % 900;
        s[i] = open_session(g, (uint64_t)i);
        fa_session_set_background(s[i], i > 0);
        prompt(s[i], ids[i], i ? 100 : 5, &(fathom_sampling){.max_tokens = 40});
    }
    CHECK(fa_engine_foreground(g) == 1, "%d", fa_engine_foreground(g));
    static const int limits[] = {0, 1, 1, 2, 4};
    for (int i = 0; i < 5; i++) { /* answers of one row a step, and as many beside it as may be */
        fa_engine_limit_background(g, limits[i]);
        step(g);
        fathom_token t;
        CHECK(fathom_session_next(s[0], &t), "step %d: the answer stands still", i);
        answer[0][i] = t.id;
        CHECK(fa_engine_background_rows(g) == limits[i] && seen.last_rows == (i ? 1 : 5) + limits[i],
              "step %d: %d of %d", i, fa_engine_background_rows(g), seen.last_rows);
        CHECK(i != 2 || (fa_session_waiting(s[1]) == 99 && fa_session_waiting(s[2]) == 99), "they take turns: %d, %d",
              fa_session_waiting(s[1]), fa_session_waiting(s[2]));
    }
    fa_engine_limit_background(g, INT32_MAX);
    for (int i = 0, n[3] = {5, 0, 0}; n[0] + n[1] + n[2] < 120; i++) {
        step(g);
        fathom_token t;
        for (int k = 0; k < 3; k++)
            while (fathom_session_next(s[k], &t)) answer[k][n[k]++] = t.id;
        CHECK(i < 200, "no end");
    }
    for (int i = 0; i < 3; i++) check_answer(ids[i], i ? 100 : 5, answer[i], 40);
    fathom_session_close(s[1]);
    s[1] = open_session(g, 1);
    CHECK(!s[1]->background, "a session that is opened again");
    fathom_engine_close(g);
}

static const check_case cases[] = {
    {"long prompts are cut into steps", long_prompts_are_cut_into_steps, NULL},
    {"answers go on while a long prompt is read", answers_go_on_while_a_long_prompt_is_read, NULL},
    {"a session waits until its token is taken", a_session_waits_until_its_token_is_taken, NULL},
    {"random clients get the answers they would get alone", random_clients_get_the_answers_they_would_get_alone, NULL},
    {"the answer ends where it must", the_answer_ends_where_it_must, NULL},
    {"cancelling ends a session before the next step", cancelling_ends_a_session_before_the_next_step, NULL},
    {"another thread may cancel while steps run", another_thread_may_cancel_while_steps_run, NULL},
    {"a session without pages fails alone", a_session_without_pages_fails_alone, NULL},
    {"a number out of range ends its session and is not shared",
     a_number_out_of_range_ends_its_session_and_is_not_shared, NULL},
    {"a failing step changes no session", a_failing_step_changes_no_session, NULL},
    {"bad prompts leave the session as it was", bad_prompts_leave_the_session_as_it_was, NULL},
    {"background sessions have the rows they may", background_sessions_have_the_rows_they_may, NULL},
    {"sessions have a limit and can be opened again", sessions_have_a_limit_and_can_be_opened_again, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
