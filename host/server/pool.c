#include "host/server/pool.h"

static fa_task *next_one(fa_pool *p) {
    pthread_mutex_lock(&p->lock);
    while (!p->first && !p->stop) pthread_cond_wait(&p->work, &p->lock);
    fa_task *task = p->first;
    if (task && !(p->first = task->next)) p->last = &p->first;
    pthread_mutex_unlock(&p->lock);
    return task;
}

static void *work(void *ctx) {
    for (fa_task *task; (task = next_one(ctx));) task->run(task);
    return NULL;
}

fa_status fa_pool_open(fa_pool *p, int threads, fa_error *e) {
    *p = (fa_pool){.open = true};
    p->last = &p->first;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    while (p->n_threads < threads) {
        if (pthread_create(&p->threads[p->n_threads], NULL, work, p))
            return fa_fail(e, FA_EIO, "server: no thread could be started: %m");
        p->n_threads++;
    }
    return FA_OK;
}

void fa_pool_stop(fa_pool *p) {
    if (!p->open) return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    while (p->n_threads > 0) pthread_join(p->threads[--p->n_threads], NULL);
}

void fa_pool_close(fa_pool *p) {
    if (!p->open) return;
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    p->open = false;
}

bool fa_pool_put(fa_pool *p, fa_task *task) {
    pthread_mutex_lock(&p->lock);
    bool goes = !p->stop;
    if (goes) {
        task->next = NULL;
        *p->last = task;
        p->last = &task->next;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    return goes;
}
