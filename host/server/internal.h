/* The inside of a server; shared by the files of this folder. */
#ifndef FA_SERVER_INTERNAL_H
#define FA_SERVER_INTERNAL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "host/server/accounts.h"
#include "host/server/exchange.h"
#include "host/server/metrics.h"
#include "host/server/models.h"
#include "host/server/peers.h"
#include "host/server/pool.h"
#include "host/server/server.h"
#include "host/server/worker.h"

struct fa_server {
    fa_server_options options;
    fathom_engine *engine; /* the worker's alone while it runs; what is fixed after opening may be read by all */
    fathom_info info;
    fa_models models;
    fa_accounts *accounts;
    fa_metrics metrics;
    fa_peers peers;
    fa_pool readers, compilers; /* see prepare.h */
    fa_worker worker;
    struct MHD_Daemon *daemon;
    int socket;
    uint16_t port;
    char *cert, *key;                        /* contents of the PEM files, or NULL */
    atomic_bool leaving, draining, stopping; /* each includes the ones before it */
    pthread_mutex_t log_lock;
};

/* host/server/log.c: one line of what happened to a request, and of what happens to the server. */
void fa_log_request(fa_server *s, const fa_exchange *x, int status, const fa_usage *u);
void fa_log_event(fa_server *s, const char *event, const char *text);

#endif
