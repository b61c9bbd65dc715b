#include "host/server/prepare.h"

#include <stddef.h>

#include "host/engine/engine.h"
#include "host/server/internal.h"
#include "host/server/routes.h"

/* Reads one request and passes it on, or answers it. */
static void prepare(fa_task *task) {
    fa_exchange *x = (fa_exchange *)(void *)((char *)task - offsetof(fa_exchange, task));
    fa_worker *worker = &x->server->worker;
    bool computes = x->route->kind == FA_ROUTE_COMPUTE;
    bool goes_on = !atomic_load(&x->gone) && x->route->handle(x) && computes;
    fa_text_free(&x->body);
    if (goes_on)
        fa_worker_prepared(worker, x);
    else if (computes)
        fa_worker_withdraw(worker, x);
    fa_exchange_release(x);
}

bool fa_prepare_put(fa_exchange *x) {
    fa_exchange_hold(x);
    x->task.run = prepare;
    bool goes = fa_pool_put(&x->server->readers, &x->task);
    if (!goes) fa_exchange_release(x);
    return goes;
}

static void compile(fa_task *task) {
    fa_choice *c = (fa_choice *)(void *)((char *)task - offsetof(fa_choice, task));
    fa_exchange *x = c->exchange;
    if (!atomic_load(&x->gone) && !fa_exchange_has_ended(x))
        fa_engine_constrain(x->server->engine, &x->job->sampling, &c->constraint, &c->problem);
    atomic_store(&c->compiled, true);
    fa_worker_nudge(&x->server->worker);
    fa_exchange_release(x);
}

bool fa_prepare_compile(fa_exchange *x, fa_choice *c) {
    fa_exchange_hold(x);
    c->exchange = x;
    c->task.run = compile;
    bool goes = fa_pool_put(&x->server->compilers, &c->task);
    if (!goes) fa_exchange_release(x);
    return goes;
}
