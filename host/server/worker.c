#include "host/server/worker.h"

#include <stdlib.h>
#include <string.h>

#include "host/engine/engine.h"
#include "host/server/answer.h"
#include "host/server/clock.h"
#include "host/server/images.h"
#include "host/server/internal.h"
#include "host/server/job.h"
#include "host/server/prepare.h"
#include "host/server/reply.h"

/* --- those that wait -------------------------------------------------------------------------------------------------- */

/* Those whose place in the queue went to somebody else. Under the lock. */
static void shed(fa_worker *w) {
    fa_decision why;
    uint64_t ticket;
    while ((ticket = fa_accounts_shed(w->server->accounts, &why))) {
        fa_exchange *x = w->waiting;
        while (x && x->ticket != ticket) x = x->next;
        if (!x) continue;
        x->ticket = 0;
        fa_reply_refusal(x, &why);
    }
}

fa_decision fa_worker_ask(fa_worker *w, fa_exchange *x) {
    pthread_mutex_lock(&w->lock);
    fa_decision d = fa_accounts_ask(w->server->accounts, x->who.slot);
    if (!d.refusal) {
        fa_exchange_hold(x);
        x->ticket = d.ticket;
        x->newcomer = d.newcomer;
        x->next = w->waiting;
        w->waiting = x;
        w->n_waiting++;
    }
    pthread_mutex_unlock(&w->lock);
    return d;
}

void fa_worker_prepared(fa_worker *w, fa_exchange *x) {
    pthread_mutex_lock(&w->lock);
    x->prepared = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

/* Under the lock. */
static void take_out(fa_worker *w, fa_exchange *x) {
    fa_exchange **at = &w->waiting;
    while (*at != x) at = &(*at)->next;
    *at = x->next;
    w->n_waiting--;
}

void fa_worker_withdraw(fa_worker *w, fa_exchange *x) {
    pthread_mutex_lock(&w->lock);
    take_out(w, x);
    pthread_mutex_unlock(&w->lock);
    fa_accounts_leave(w->server->accounts, x->ticket, NULL, NULL, NULL);
    fa_exchange_release(x);
}

void fa_worker_nudge(fa_worker *w) {
    pthread_mutex_lock(&w->lock);
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

int fa_worker_waiting(fa_worker *w) {
    pthread_mutex_lock(&w->lock);
    int n = w->n_waiting;
    pthread_mutex_unlock(&w->lock);
    return n;
}

/* Asks admission who runs next. Under the lock. */
static void choose(fa_worker *w) {
    uint64_t ticket;
    shed(w);
    while ((ticket = fa_accounts_next(w->server->accounts))) {
        fa_exchange *x = w->waiting;
        while (x && x->ticket != ticket) x = x->next;
        if (x)
            x->chosen = true;
        else
            fa_accounts_leave(w->server->accounts, ticket, NULL, NULL, NULL);
    }
}

/* Moves what can run to the active ones, and drops those whose client left. Under the lock. */
static void promote(fa_worker *w) {
    for (fa_exchange *x = w->waiting, *next; x; x = next) {
        next = x->next;
        bool gone = atomic_load(&x->gone) || w->stop || !x->ticket;
        if (!x->prepared || !(gone || (x->chosen && w->n_active < w->capacity))) continue;
        take_out(w, x);
        if (!gone) {
            w->active[w->n_active++] = x;
            continue;
        }
        fa_accounts_leave(w->server->accounts, x->ticket, NULL, NULL, NULL);
        fa_reply_error(x, FA_ERROR_STOPPING, NULL, "The server is stopping");
        fa_exchange_release(x);
    }
}

/* Waits until there is something to do; false: stop. Admission depends on time too, so it is asked again now and then. */
static bool gather(fa_worker *w) {
    pthread_mutex_lock(&w->lock);
    for (;;) {
        choose(w);
        promote(w);
        atomic_store(&w->running, w->n_active);
        if (w->n_active || w->stop) break;
        int64_t until = fa_now_ns() + (w->n_waiting ? FA_SECOND_NS / 50 : FA_SECOND_NS);
        struct timespec t = {until / FA_SECOND_NS, until % FA_SECOND_NS};
        pthread_cond_clockwait(&w->work, &w->lock, CLOCK_MONOTONIC, &t);
    }
    bool go = !w->stop;
    pthread_mutex_unlock(&w->lock);
    return go;
}

/* --- the end of a request --------------------------------------------------------------------------------------------- */

static void note_usage(fa_exchange *x, fa_usage_end end) {
    const fa_job *j = x->job;
    fa_job_usage sum = fa_job_sum(j);
    fa_usage u = {.key = x->who.id,
                  .started_ms = x->start_ms,
                  .finished_ms = fa_time_ms(),
                  .prompt_tokens = sum.prompt,
                  .cached_tokens = sum.cached,
                  .completion_tokens = sum.completion,
                  .reasoning_tokens = sum.reasoning,
                  .end = end};
    snprintf(u.request, sizeof u.request, "%s", x->id);
    snprintf(u.model, sizeof u.model, "%s", j->model);
    pthread_mutex_lock(&x->lock);
    x->usage = u;
    pthread_mutex_unlock(&x->lock);
    fa_metrics_tokens(&x->server->metrics, sum.prompt, sum.cached, sum.completion);
}

/* The usage row is on the disk (or cannot be written for now, which is not the client's fault): the client may see the end. */
static void written(void *ctx, fa_status status) {
    fa_exchange *x = ctx;
    (void)status;
    if (x->job->stream) {
        fa_reply_done(x);
    } else {
        char *text = x->final;
        x->final = NULL;
        fa_exchange_answer(x, 200, "application/json", text, text ? strlen(text) : 0);
    }
    fa_exchange_release(x);
}

/* Nothing more is shown of this one. */
static void written_quietly(void *ctx, fa_status status) {
    (void)status;
    fa_exchange_release(ctx);
}

static void close_sessions(fa_job *j) {
    for (size_t i = 0; i < j->n_choices; i++) {
        fa_choice *c = &j->choices[i];
        if (c->session && c->started) c->usage = fathom_session_usage(c->session);
        fathom_session_close(c->session);
        c->session = NULL;
        c->over = true;
    }
}

static bool has_computed(const fa_job *j) {
    for (size_t i = 0; i < j->n_choices; i++)
        if (j->choices[i].started) return true;
    return false;
}

/* Takes the active request at `i` out of the round; its answer was sent, all but the end. */
static void leave(fa_worker *w, int i, fa_usage_end end, fa_accounts_done *done) {
    fa_exchange *x = w->active[i];
    close_sessions(x->job);
    note_usage(x, end);
    w->active[i] = w->active[--w->n_active];
    if (!has_computed(x->job)) {
        fa_accounts_leave(w->server->accounts, x->ticket, NULL, NULL, NULL);
        done(x, FA_OK);
    } else if (!fa_accounts_leave(w->server->accounts, x->ticket, &x->usage, done, x)) {
        done(x, FA_OK);
    }
}

static void fail(fa_worker *w, int i, fa_error_kind kind, const char *text) {
    fa_reply_error(w->active[i], kind, NULL, "%s", text);
    leave(w, i, FA_USAGE_ERROR, written_quietly);
}

/* The engine does not take the request as it is: what it names becomes the request's field. */
static void refuse(fa_worker *w, int i, const fa_error *e) {
    static const struct {
        const char *begin, *param;
    } fields[] = {{"tools", "tools"}, {"tool:", "tool_choice"}, {"json_schema", "response_format"}};
    const char *param = NULL;
    fa_problem p = {0};
    for (size_t k = 0; k < sizeof fields / sizeof *fields && !param; k++)
        if (!strncmp(e->text, fields[k].begin, strlen(fields[k].begin))) param = fields[k].param;
    fa_problem_of(&p, e->status, param, e->text);
    if (p.kind == FA_ERROR_CONTEXT && param) p.kind = FA_ERROR_UNSUPPORTED; /* a grammar beyond its limits */
    fa_reply_problem(w->active[i], &p);
    leave(w, i, FA_USAGE_ERROR, written_quietly);
}

static void finish(fa_worker *w, int i) {
    fa_exchange *x = w->active[i];
    const fa_job *j = x->job;
    fa_usage_end end = FA_USAGE_STOP;
    for (size_t k = 0; k < j->n_choices; k++)
        if (j->choices[k].parser.calls) end = FA_USAGE_TOOL_CALLS;
    for (size_t k = 0; k < j->n_choices; k++)
        if (j->choices[k].finish != FATHOM_STOP) end = FA_USAGE_LENGTH;
    if (j->stream) {
        fa_answer_usage(x);
    } else if (!(x->final = j->draws ? fa_image_answer(x) : fa_answer_whole(x))) {
        fail(w, i, FA_ERROR_BUSY, "The server is out of memory");
        return;
    }
    leave(w, i, end, written);
}

/* --- rounds ------------------------------------------------------------------------------------------------------------ */

/* The choice's session; what its answer must be is compiled elsewhere. False: all sessions are open. */
static bool reserve(fa_worker *w, fa_exchange *x, fa_choice *c, fa_error *e) {
    if (fathom_session_open(w->server->engine, (uint64_t)x->who.id, &c->session, (fathom_error *)e)) return false;
    fa_session_set_background(c->session, x->newcomer);
    c->compiling = fa_engine_constrains(&x->job->sampling);
    if (c->compiling && !fa_prepare_compile(x, c)) atomic_store(&c->compiled, true); /* the server is stopping */
    return true;
}

/* False: all sessions are open, or the request failed (*bad). */
static bool start_choice(fa_worker *w, fa_exchange *x, fa_choice *c, fa_error *e, bool *bad) {
    const fa_job *j = x->job;
    fathom_sampling sampling = j->sampling;
    sampling.stop = j->stops;
    sampling.seed += (uint64_t)(c - j->choices);
    if (c->prompt->echo.columns && (c == j->choices || c[-1].prompt != c->prompt)) sampling.score_from = 1;
    *bad = false;
    if (!c->session && !reserve(w, x, c, e)) return false;
    if (c->compiling && !atomic_load(&c->compiled)) return true;
    if (c->compiling && c->problem.status) *e = c->problem;
    *bad = c->compiling && c->problem.status;
    if (*bad || (c->compiling && !c->constraint)) return !*bad;
    c->started = true;
    *bad = fathom_session_show(c->session, j->pictures.all, j->pictures.n, (fathom_error *)e) != FATHOM_OK;
    if (*bad) return false;
    const int32_t *ids = c->prompt->ids;
    fathom_error *why = (fathom_error *)e;
    *bad = (j->draws ? fathom_session_draw(c->session, ids, c->prompt->n, &sampling, j->guidance, why)
                     : fa_session_prompt(c->session, ids, c->prompt->n, &sampling, c->constraint, why)) != FATHOM_OK;
    c->constraint = NULL;
    return !*bad;
}

/* Later choices of a prompt wait for the first one's token: then the cache has their prompt. */
static bool may_start(const fa_job *j, size_t k) {
    const fa_choice *c = &j->choices[k];
    if (c->started) return false;
    while (k > 0 && j->choices[k - 1].prompt == c->prompt) k--;
    return &j->choices[k] == c || j->choices[k].over || j->choices[k].usage.new_tokens > 0;
}

static void start_choices(fa_worker *w) {
    for (int i = 0; i < w->n_active; i++) {
        fa_exchange *x = w->active[i];
        fa_job *j = x->job;
        for (size_t k = 0; k < j->n_choices; k++) {
            fa_error e = {0};
            bool bad;
            if (!may_start(j, k) || start_choice(w, x, &j->choices[k], &e, &bad)) continue;
            if (!bad) return; /* no session is free */
            refuse(w, i--, &e);
            break;
        }
    }
}

static void drop_gone(fa_worker *w) {
    for (int i = 0; i < w->n_active; i++)
        if (atomic_load(&w->active[i]->gone)) leave(w, i--, FA_USAGE_CANCELLED, written_quietly);
}

/* Takes what one choice has; false with *failed: memory ran out, or the session failed. *moved: a token came, or the end. */
static bool take_choice(fa_exchange *x, fa_choice *c, bool *moved, const char **why) {
    fathom_token token;
    *why = "The server is out of memory";
    while (fathom_session_scored(c->session, &token)) {
        *moved = true;
        if (!fa_answer_scored(x, c, &token)) return false;
    }
    while (!fa_exchange_is_full(x) && fathom_session_next(c->session, &token)) {
        *moved = true;
        if (!x->job->first_ns) {
            x->job->first_ns = fa_now_ns();
            fa_metrics_first_token(&x->server->metrics, (double)(x->job->first_ns - x->start_ns) / FA_SECOND_NS);
        }
        if (!x->job->draws && !fa_answer_token(x, c, &token)) return false;
    }
    fathom_finish f = fathom_session_finish(c->session);
    if (f == FATHOM_RUNNING || fa_exchange_is_full(x)) return true;
    *moved = true;
    *why = fathom_session_error(c->session);
    if (f == FATHOM_FAILED) return false;
    c->finish = f;
    c->usage = fathom_session_usage(c->session);
    *why = "The server is out of memory";
    bool ok = x->job->draws ? fa_image_keep(c) : fa_answer_end(x, c, fathom_session_rest(c->session));
    fathom_session_close(c->session);
    c->session = NULL;
    c->over = true;
    return ok;
}

/* How a request's session failed: a device that is gone, or a rank of a cluster, is nothing that the request did. */
static fa_error_kind failure_of(fa_worker *w, const fa_job *j, const char *why) {
    for (size_t k = 0; k < j->n_choices; k++) {
        if (!j->choices[k].session || fa_session_error_status(j->choices[k].session) != FA_EDEVICE) continue;
        fa_log_event(w->server, "device_lost", why);
        return FA_ERROR_DEVICE;
    }
    return FA_ERROR_INTERNAL;
}

/* True when something was taken. */
static bool take(fa_worker *w) {
    bool moved = false;
    for (int i = 0; i < w->n_active; i++) {
        fa_job *j = w->active[i]->job;
        const char *why = NULL;
        bool ok = true;
        size_t over = 0;
        for (size_t k = 0; k < j->n_choices && ok; k++) {
            if (j->choices[k].session && j->choices[k].started)
                ok = take_choice(w->active[i], &j->choices[k], &moved, &why);
            over += j->choices[k].over;
        }
        if (!ok)
            fail(w, i--, failure_of(w, j, why), why);
        else if (over == j->n_choices)
            finish(w, i--);
    }
    return moved;
}

/* Prompts are cut so that a step takes about FA_PACE_STEP_NS: the next one's rows from what the last one's took. */
static void adapt(fa_worker *w, int64_t took_ns) {
    const int rows = fa_engine_step_rows(w->server->engine), most = fa_engine_most_rows(w->server->engine);
    int next = w->rows;
    if (took_ns > FA_PACE_STEP_NS)
        next = (int)((int64_t)rows * FA_PACE_STEP_NS / took_ns);
    else if (rows >= w->rows && took_ns < FA_PACE_STEP_NS / 2)
        next = w->rows * 2;
    if (next < w->capacity) next = w->capacity;
    w->rows = next > most ? most : next;
    fa_engine_limit_rows(w->server->engine, w->rows);
}

/* While established keys have to be kept from a crowd, newcomers' sessions stay in the background. */
static void hold_newcomers(fa_worker *w) {
    fathom_engine *engine = w->server->engine;
    w->share = fa_accounts_share(w->server->accounts);
    fa_engine_limit_background(engine, fa_pace_newcomers(&w->pace, fa_engine_foreground(engine), w->share));
}

static void step(fa_worker *w) {
    fathom_error e = {0};
    hold_newcomers(w);
    int64_t start = fa_now_ns();
    fathom_status st = fathom_engine_step(w->server->engine, NULL, &e);
    int64_t took = fa_now_ns() - start;
    atomic_store(&w->broken, st != FATHOM_OK);
    if (st) {
        fa_metrics_engine_error(&w->server->metrics);
        fa_log_event(w->server, "engine_error", e.text);
        while (w->n_active) fail(w, 0, FA_ERROR_INTERNAL, "The engine failed; the request may be tried again");
        return;
    }
    int32_t rows = fa_engine_step_rows(w->server->engine);
    if (rows > 0) {
        fa_metrics_step(&w->server->metrics, (double)took / FA_SECOND_NS);
        fa_pace_step(&w->pace, rows, fa_engine_background_rows(w->server->engine), took, w->share);
        adapt(w, took);
    }
    if (!take(w) && !fa_engine_worked(w->server->engine)) { /* all wait for their clients */
        struct timespec nap = {0, 5000000};
        nanosleep(&nap, NULL);
    }
}

static void *work(void *ctx) {
    fa_worker *w = ctx;
    while (gather(w)) {
        drop_gone(w);
        start_choices(w);
        if (w->n_active) step(w);
    }
    while (w->n_active) fail(w, 0, FA_ERROR_STOPPING, "The server is stopping");
    atomic_store(&w->running, 0);
    return NULL;
}

fa_status fa_worker_open(fa_worker *w, struct fa_server *server, fa_error *e) {
    *w = (fa_worker){.server = server, .capacity = fa_engine_sessions(server->engine)};
    w->rows = 4 * w->capacity;
    w->active = calloc((size_t)w->capacity, sizeof(fa_exchange *));
    if (!w->active) return fa_fail(e, FA_ENOMEM, "server: out of memory");
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    fa_engine_limit_rows(server->engine, w->rows);
    w->runs = pthread_create(&w->thread, NULL, work, w) == 0;
    return w->runs ? FA_OK : fa_fail(e, FA_EIO, "server: no thread could be started: %m");
}

void fa_worker_stop(fa_worker *w) {
    if (!w->runs) return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    w->runs = false;
}

void fa_worker_close(fa_worker *w) {
    if (!w->active) return;
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    free(w->active);
    w->active = NULL;
}
