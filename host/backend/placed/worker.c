#include <numa.h>
#include <string.h>

#include "host/backend/placed/state.h"

static void *serve(void *arg) {
    placed_worker *w = arg;
    if (w->node >= 0 && numa_available() >= 0)
        numa_run_on_node(w->node); /* where that is forbidden, it runs anywhere */
    pthread_mutex_lock(&w->lock);
    while (!w->closing) {
        if (!w->call || !w->call->busy) {
            pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        placed_call *c = w->call;
        pthread_mutex_unlock(&w->lock);
        fa_status s = c->run(w->backend, c);
        pthread_mutex_lock(&w->lock);
        c->status = s;
        c->busy = false;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

fa_status placed_worker_open(placed_worker *w, int node, fa_error *e) {
    *w = (placed_worker){.node = node};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    int failed = pthread_create(&w->thread, NULL, serve, w);
    w->started = !failed;
    return failed ? fa_fail(e, FA_ENOMEM, "placement: cannot start a thread: %s", strerror(failed)) : FA_OK;
}

void placed_worker_close(placed_worker *w) {
    if (!w->started) return;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    w->started = false;
}

void placed_start(placed_worker *w, placed_call *c) {
    pthread_mutex_lock(&w->lock);
    c->busy = true;
    w->call = c;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

fa_status placed_finish(placed_worker *w, placed_call *c, fa_error *e) {
    pthread_mutex_lock(&w->lock);
    while (c->busy) pthread_cond_wait(&w->changed, &w->lock);
    w->call = NULL;
    w->failed |= c->status == FA_EDEVICE;
    pthread_mutex_unlock(&w->lock);
    if (c->status && e) *e = c->error;
    return c->status;
}

fa_status placed_do(placed_worker *w, placed_call *c, fa_error *e) {
    placed_start(w, c);
    return placed_finish(w, c, e);
}
