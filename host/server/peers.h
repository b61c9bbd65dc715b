/* Connections, watched from outside of libmicrohttpd, which notices a client that left only when it writes: closed sockets while an answer is computed, time
 * limits of headers and bodies, signs of life to those that wait. */
#ifndef FA_SERVER_PEERS_H
#define FA_SERVER_PEERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/server/exchange.h"

typedef struct fa_peer {
    struct fa_peer *next, *previous;
    uint64_t number;
    int socket;
    int64_t since_ns;      /* when the connection came, or its last response went */
    fa_exchange *exchange; /* held; NULL between requests */
    bool computing;        /* its request is whole, and the client is expected to wait */
} fa_peer;

typedef struct fa_peers {
    pthread_mutex_t lock; /* of the list and of what is in it */
    fa_peer *first;
    int count, most;
    int64_t request_ns; /* for headers and body together, and between requests */
    uint64_t numbers;
    int poll; /* epoll descriptor */
    pthread_t thread;
    bool runs;
    atomic_bool stop;
} fa_peers;

/* `most`: connections at one time; `request_seconds`: for headers and body of a request. Starts the watching thread. FA_EIO. */
fa_status fa_peers_open(fa_peers *p, int most, int request_seconds, fa_error *e);
void fa_peers_close(fa_peers *p);

/* A connection came and went. */
fa_peer *fa_peers_add(fa_peers *p, int socket);
void fa_peers_remove(fa_peers *p, fa_peer *peer);

/* A request began on it (its headers are whole); its body is whole; it is over. */
void fa_peers_begin(fa_peers *p, fa_peer *peer, fa_exchange *x);
void fa_peers_compute(fa_peers *p, fa_peer *peer);
void fa_peers_end(fa_peers *p, fa_peer *peer);

/* Closes connections that are between two requests. */
void fa_peers_drop_idle(fa_peers *p);

/* Calls `each` with every exchange under way. */
void fa_peers_each(fa_peers *p, void (*each)(fa_exchange *x));

#endif
