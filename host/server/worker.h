/* The engine's thread: starts admitted requests, steps the engine, turns tokens into responses. */
#ifndef FA_SERVER_WORKER_H
#define FA_SERVER_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "host/server/exchange.h"
#include "host/server/pace.h"

typedef struct fa_worker {
    struct fa_server *server;
    pthread_mutex_t lock; /* of the list of those that wait, and of stop */
    pthread_cond_t work;
    fa_exchange *waiting; /* have a ticket; some are not prepared yet, some chosen to run */
    int n_waiting;
    bool stop, runs;
    pthread_t thread;
    /* the thread's own */
    fa_exchange **active; /* [sessions] */
    int n_active, capacity;
    int rows;     /* of the next step at most */
    double share; /* of newcomers in it */
    fa_pace pace;
    atomic_int running; /* n_active, for others */
    atomic_bool broken; /* the engine failed and the last step did not succeed */
} fa_worker;

fa_status fa_worker_open(fa_worker *w, struct fa_server *server, fa_error *e);
/* Ends what waits and runs with an error, then the thread; close frees. */
void fa_worker_stop(fa_worker *w);
void fa_worker_close(fa_worker *w);

/* Admission: gives the exchange a ticket and a place among those that wait, and holds it; or refuses it. */
fa_decision fa_worker_ask(fa_worker *w, fa_exchange *x);

/* Its x->job is ready to run. */
void fa_worker_prepared(fa_worker *w, fa_exchange *x);
/* Nothing will be computed for it (it was answered): gives up ticket and place. */
void fa_worker_withdraw(fa_worker *w, fa_exchange *x);

/* Somebody went away or made room: look again soon. */
void fa_worker_nudge(fa_worker *w);

int fa_worker_waiting(fa_worker *w);

#endif
