/* A queue of tasks and the threads that do them, in the order in which they came. */
#ifndef FA_SERVER_POOL_H
#define FA_SERVER_POOL_H

#include <pthread.h>
#include <stdbool.h>

#include "host/base/status.h"

enum { FA_POOL_THREADS = 4 }; /* at most */

/* Part of what it is about; the caller keeps it until it ran. */
typedef struct fa_task {
    struct fa_task *next;
    void (*run)(struct fa_task *task);
} fa_task;

typedef struct fa_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    fa_task *first, **last;
    bool open, stop;
    int n_threads;
    pthread_t threads[FA_POOL_THREADS];
} fa_pool;

/* Starts 1 .. FA_POOL_THREADS threads. FA_EIO. */
fa_status fa_pool_open(fa_pool *p, int threads, fa_error *e);
/* Does what is queued, then ends the threads; close frees. A pool that was never opened, all zero, is allowed in both. */
void fa_pool_stop(fa_pool *p);
void fa_pool_close(fa_pool *p);

/* Queues task->run; false after the stop. */
bool fa_pool_put(fa_pool *p, fa_task *task);

#endif
