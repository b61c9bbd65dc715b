#include "host/cli/many.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/text/tokenizer.h"

/* A session and the answer that it is writing. */
typedef struct slot {
    fathom_session *session;
    bool busy;
    cli_written answer;
    int32_t *ids;
    float *logprobs;
    size_t capacity;
    fa_text text;
} slot;

/* How far a prompt is. */
typedef struct progress {
    int64_t next; /* the first answer that has not been started and is not there already */
    bool started; /* an answer was */
    bool cached;  /* the first one that was has its prompt in the cache */
} progress;

typedef struct crowd {
    const cli_many *work;
    fathom_engine *engine;
    slot *slots;        /* [sessions] */
    progress *progress; /* [prompts] */
    int64_t first;      /* the first prompt that has answers to start */
    int64_t left;       /* answers */
} crowd;

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

static fathom_status fail(fathom_error *e, fathom_status s, const char *text) {
    e->status = s;
    snprintf(e->text, sizeof e->text, "%s", text);
    return s;
}

static fathom_status no_memory(fathom_error *e) {
    return fail(e, FATHOM_ENOMEM, "memory for the answers ran out");
}

/* Puts the prompt's number in front of the error. */
static fathom_status name_prompt(fathom_error *e, int64_t prompt) {
    char text[sizeof e->text];
    snprintf(text, sizeof text, "prompt %" PRId64 ": %.*s", prompt + 1, (int)sizeof text - 40, e->text);
    return fail(e, e->status, text);
}

/* Passes over answers that are there already. */
static void skip(crowd *c, int64_t prompt) {
    const cli_many *w = c->work;
    int64_t *next = &c->progress[prompt].next;
    while (*next < w->samples && w->has && w->has(w->ctx, prompt, *next)) ++*next;
}

/* The next prompt of which an answer may start, or -1. */
static int64_t next_prompt(crowd *c) {
    const cli_many *w = c->work;
    while (c->first < w->prompts && c->progress[c->first].next == w->samples) c->first++;
    for (int64_t p = c->first; p < w->prompts; p++) {
        const progress *at = &c->progress[p];
        if (at->next < w->samples && (!at->started || at->cached)) return p;
    }
    return -1;
}

static fathom_status start(crowd *c, slot *s, int64_t prompt, fathom_error *e) {
    const cli_many *w = c->work;
    fathom_sampling sampling = *w->sampling;
    int64_t sample = c->progress[prompt].next++;
    c->progress[prompt].started = true;
    skip(c, prompt);
    sampling.seed += (uint64_t)(prompt * w->samples + sample);
    s->answer = (cli_written){.prompt = prompt, .sample = sample, .seed = sampling.seed};
    s->text.n = 0;
    s->busy = true;
    const int32_t *ids;
    size_t n;
    w->prompt(w->ctx, prompt, &ids, &n);
    return fathom_session_prompt(s->session, ids, n, &sampling, e) ? name_prompt(e, prompt) : FATHOM_OK;
}

static fathom_status start_all(crowd *c, fathom_error *e) {
    for (int32_t i = 0; i < c->work->sessions; i++) {
        if (c->slots[i].busy) continue;
        int64_t prompt = next_prompt(c);
        if (prompt < 0) return FATHOM_OK;
        fathom_status st = start(c, &c->slots[i], prompt, e);
        if (st) return st;
    }
    return FATHOM_OK;
}

static bool keep(slot *s, const fathom_token *token) {
    cli_written *a = &s->answer;
    if (a->n == s->capacity) {
        size_t capacity = s->capacity * 2 + 256;
        int32_t *ids = realloc(s->ids, capacity * sizeof *ids);
        if (ids) s->ids = ids;
        float *logprobs = ids ? realloc(s->logprobs, capacity * sizeof *logprobs) : NULL;
        if (!logprobs) return false;
        s->logprobs = logprobs;
        s->capacity = capacity;
    }
    s->ids[a->n] = token->id;
    s->logprobs[a->n++] = token->logprob;
    return !fa_text_append(&s->text, token->text, token->bytes);
}

static fathom_status end(crowd *c, slot *s, fathom_error *e) {
    cli_written *a = &s->answer;
    if (a->finish == FATHOM_FAILED) {
        fail(e, FATHOM_ENUMERIC, fathom_session_error(s->session));
        return name_prompt(e, a->prompt);
    }
    const char *rest = fathom_session_rest(s->session);
    if (fa_text_append(&s->text, rest, strlen(rest))) return no_memory(e);
    a->ids = s->ids;
    a->logprobs = s->logprobs;
    a->text = s->text.data;
    a->text_bytes = s->text.n;
    s->busy = false;
    c->left--;
    fa_error bad = {0};
    fa_status st = c->work->done(c->work->ctx, a, &bad);
    return st ? fail(e, (fathom_status)st, bad.text) : FATHOM_OK;
}

static fathom_status take(crowd *c, slot *s, fathom_error *e) {
    fathom_token token;
    while (fathom_session_next(s->session, &token)) {
        c->progress[s->answer.prompt].cached = true;
        if (!keep(s, &token)) return no_memory(e);
    }
    s->answer.finish = fathom_session_finish(s->session);
    return s->answer.finish == FATHOM_RUNNING ? FATHOM_OK : end(c, s, e);
}

static fathom_status work(crowd *c, fathom_error *e) {
    fathom_status st = FATHOM_OK;
    while (c->left && !st) {
        if (interrupted) return fail(e, FATHOM_ECANCELLED, "interrupted");
        st = start_all(c, e);
        if (!st) st = fathom_engine_step(c->engine, NULL, e);
        for (int32_t i = 0; i < c->work->sessions && !st; i++)
            if (c->slots[i].busy) st = take(c, &c->slots[i], e);
    }
    return st;
}

static fathom_status open_slots(crowd *c, fathom_error *e) {
    c->slots = calloc((size_t)c->work->sessions, sizeof *c->slots);
    c->progress = calloc((size_t)c->work->prompts + 1, sizeof *c->progress);
    if (!c->slots || !c->progress) return no_memory(e);
    fathom_status st = FATHOM_OK;
    for (int32_t i = 0; i < c->work->sessions && !st; i++)
        st = fathom_session_open(c->engine, 0, &c->slots[i].session, e);
    return st;
}

/* Counts what there is to write. */
static void look(crowd *c) {
    const cli_many *w = c->work;
    for (int64_t p = 0; p < w->prompts; p++) {
        for (int64_t k = 0; k < w->samples; k++) c->left += !w->has || !w->has(w->ctx, p, k);
        skip(c, p);
    }
}

static void close_slots(crowd *c) {
    for (int32_t i = 0; c->slots && i < c->work->sessions; i++) {
        slot *s = &c->slots[i];
        fathom_session_close(s->session);
        free(s->ids);
        free(s->logprobs);
        fa_text_free(&s->text);
    }
    free(c->slots);
    free(c->progress);
}

fathom_status cli_answer_many(fathom_engine *engine, const cli_many *w, fathom_error *e) {
    crowd c = {.work = w, .engine = engine};
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, old;
    interrupted = 0;
    sigaction(SIGINT, &action, &old);
    fathom_status st = open_slots(&c, e);
    if (!st) look(&c);
    if (!st) st = work(&c, e);
    close_slots(&c);
    sigaction(SIGINT, &old, NULL);
    return st;
}
