/* The thread that reads requests: JSON, fields, templates and tokens, which take too long for the thread that talks HTTP and are not the engine's work. */
#ifndef FA_SERVER_PREPARE_H
#define FA_SERVER_PREPARE_H

#include <pthread.h>
#include <stdbool.h>

#include "host/server/exchange.h"

typedef struct fa_prepare {
    struct fa_server *server;
    pthread_mutex_t lock;
    pthread_cond_t work;
    fa_exchange *first, **last;
    bool stop, runs;
    pthread_t thread;
} fa_prepare;

fa_status fa_prepare_open(fa_prepare *p, struct fa_server *server, fa_error *e);
/* Prepares what is queued, then ends the thread; close frees. */
void fa_prepare_stop(fa_prepare *p);
void fa_prepare_close(fa_prepare *p);

/* Queues an exchange whose body is whole; holds it until it is answered or passed on. False after the stop. */
bool fa_prepare_put(fa_prepare *p, fa_exchange *x);

#endif
