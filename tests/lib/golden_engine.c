#include "tests/lib/golden_engine.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

fathom_engine *golden_engine_open(fathom_options o, const char *folder) {
    char *path = check_golden(folder);
    fathom_engine *g;
    fathom_error e = {0};
    o.model = path;
    if (!o.sessions) o.sessions = GOLDEN_SESSIONS;
    if (!o.step_rows) o.step_rows = 48;
    fathom_status st = fathom_engine_open(&g, &o, &e);
    free(path);
    CHECK(st == FATHOM_OK, "%s", e.text);
    return g;
}

const fathom_options golden_exact = {.numerics = "w8a16", .cache = "f32", .threads = 2};

fathom_session *golden_session(fathom_engine *g, uint64_t owner) {
    fathom_session *s;
    fathom_error e = {0};
    CHECK(fathom_session_open(g, owner, &s, &e) == FATHOM_OK, "%s", e.text);
    return s;
}

void golden_ask(fathom_session *s, const int32_t *ids, int n, const fathom_sampling *p) {
    fathom_error e = {0};
    CHECK(fathom_session_prompt(s, ids, (size_t)n, p, &e) == FATHOM_OK, "%s", e.text);
}

int golden_step(fathom_engine *g) {
    fathom_error e = {0};
    int busy;
    CHECK(fathom_engine_step(g, &busy, &e) == FATHOM_OK, "%s", e.text);
    return busy;
}

static void add_text(golden_answer *a, const char *text, size_t bytes) {
    CHECK(a->bytes + bytes < sizeof a->text && text[bytes] == 0);
    memcpy(a->text + a->bytes, text, bytes + 1);
    a->bytes += bytes;
}

void golden_take(fathom_session *s, golden_answer *a) {
    fathom_token t;
    while (fathom_session_next(s, &t)) {
        CHECK(a->n < 512);
        add_text(a, t.text, t.bytes);
        t.text = NULL;
        t.bytes = 0;
        a->token[a->n] = t;
        a->ids[a->n++] = t.id;
    }
}

void golden_run(fathom_engine *g, fathom_session *s, golden_answer *a) {
    *a = (golden_answer){0};
    for (int busy = 1; busy;) {
        busy = golden_step(g);
        golden_take(s, a);
    }
    CHECK(fathom_session_finish(s) != FATHOM_FAILED, "%s", fathom_session_error(s));
    add_text(a, fathom_session_rest(s), strlen(fathom_session_rest(s)));
}

void golden_same_ids(const char *what, const golden_answer *a, const int32_t *want, int n) {
    CHECK(a->n == n, "%s: %d tokens, expected %d", what, a->n, n);
    for (int i = 0; i < n; i++)
        CHECK(a->ids[i] == want[i], "%s: token %d is %d, expected %d", what, i, a->ids[i], want[i]);
}

void golden_same_answer(const char *what, const golden_answer *a, const golden_answer *b) {
    golden_same_ids(what, a, b->ids, b->n);
    for (int i = 0; i < a->n; i++) {
        const fathom_token *x = &a->token[i], *y = &b->token[i];
        CHECK(!memcmp(&x->logprob, &y->logprob, sizeof x->logprob) && x->n_top == y->n_top &&
                  !memcmp(x->top_ids, y->top_ids, sizeof x->top_ids) &&
                  !memcmp(x->top_logprobs, y->top_logprobs, sizeof x->top_logprobs),
              "%s: token %d: logprob %a and %a", what, i, (double)x->logprob, (double)y->logprob);
    }
}

const fathom_sampling golden_greedy = {.max_tokens = GOLDEN_ANSWER, .ignore_eos = true, .top_logprobs = 20};
