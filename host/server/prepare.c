#include "host/server/prepare.h"

#include "host/server/internal.h"
#include "host/server/routes.h"

/* Reads one request and passes it on, or answers it. */
static void prepare(fa_prepare *p, fa_exchange *x) {
    bool computes = x->route->kind == FA_ROUTE_COMPUTE;
    bool goes_on = !atomic_load(&x->gone) && x->route->handle(x) && computes;
    fa_text_free(&x->body);
    if (goes_on)
        fa_worker_prepared(&p->server->worker, x);
    else if (computes)
        fa_worker_withdraw(&p->server->worker, x);
    fa_exchange_release(x);
}

static fa_exchange *next_one(fa_prepare *p) {
    pthread_mutex_lock(&p->lock);
    while (!p->first && !p->stop) pthread_cond_wait(&p->work, &p->lock);
    fa_exchange *x = p->first;
    if (x && !(p->first = x->next_to_prepare)) p->last = &p->first;
    pthread_mutex_unlock(&p->lock);
    return x;
}

static void *work(void *ctx) {
    fa_prepare *p = ctx;
    for (fa_exchange *x; (x = next_one(p));) prepare(p, x);
    return NULL;
}

fa_status fa_prepare_open(fa_prepare *p, struct fa_server *server, fa_error *e) {
    *p = (fa_prepare){.server = server};
    p->last = &p->first;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    p->runs = pthread_create(&p->thread, NULL, work, p) == 0;
    return p->runs ? FA_OK : fa_fail(e, FA_EIO, "server: no thread could be started: %m");
}

void fa_prepare_stop(fa_prepare *p) {
    if (!p->runs) return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    p->runs = false;
}

void fa_prepare_close(fa_prepare *p) {
    if (!p->server) return;
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    p->server = NULL;
}

bool fa_prepare_put(fa_prepare *p, fa_exchange *x) {
    pthread_mutex_lock(&p->lock);
    bool goes = !p->stop;
    if (goes) {
        fa_exchange_hold(x);
        x->next_to_prepare = NULL;
        *p->last = x;
        p->last = &x->next_to_prepare;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    return goes;
}
