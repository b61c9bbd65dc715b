/* One HTTP request and its response, between the thread that talks HTTP and those that compute. The HTTP thread suspends the connection while there is nothing
 * to send; whoever has something writes it here, and the connection goes on. A client that went away makes `gone` true, and what is written then is dropped.
 *
 * Life: made by the HTTP thread when the headers are there; freed by whoever lets go last (fa_exchange_hold, _release). */
#ifndef FA_SERVER_EXCHANGE_H
#define FA_SERVER_EXCHANGE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/server/accounts.h"
#include "host/server/pool.h"
#include "host/text/tokenizer.h"

enum { FA_OUT_FULL = 64 << 10 }; /* bytes that wait for a slow client before its tokens wait too */

typedef struct fa_exchange {
    struct fa_server *server;
    const struct fa_route *route; /* NULL: no such path */
    struct fa_peer *peer;         /* the HTTP thread's and the watcher's */
    char id[FA_REQUEST_ID];       /* x-request-id */
    char name[128];               /* what the path names after the route: a model's id */
    bool beta;                    /* the path began with /beta */
    fa_identity who;
    int64_t start_ns, start_ms; /* monotonic; since 1970 */
    fa_text body;
    uint64_t ticket;          /* of admission; 0: none */
    bool newcomer;            /* by its ticket */
    struct fa_job *job;       /* what is computed for it; owned by the thread that works on it */
    struct fa_exchange *next; /* in the list of the worker */
    fa_task task;             /* in the queue of those that are to be read */
    bool prepared, chosen;    /* the worker's, while it waits */
    char *final;              /* of a request that is no stream: its response, until its usage row is written */

    atomic_int holders;
    atomic_bool gone;
    atomic_bool left; /* the client did not wait for the end */

    pthread_mutex_t lock;              /* of all below */
    fa_usage usage;                    /* when its computing has ended, for log and ledger */
    struct MHD_Connection *connection; /* NULL: closed */
    int status;                        /* HTTP; 0: not known yet */
    const char *type;                  /* content type, static */
    const char *allow;                 /* with 405, static */
    int retry_after;                   /* seconds; 0: no such header */
    const char *fixed;                 /* instead of `out`: a body that lives as long as the program */
    size_t fixed_bytes;
    fa_text out;     /* what was written */
    size_t sent;     /* of it */
    bool stream;     /* server-sent events */
    bool dispatched; /* the HTTP thread's */
    bool begun;      /* the response is on its way, its status said */
    bool ended;      /* nothing will be written any more */
    bool suspended;
    int64_t moved_ns; /* when the client last took something, or the wait began */
} fa_exchange;

/* FA_ENOMEM: NULL. */
fa_exchange *fa_exchange_new(struct fa_server *server, struct MHD_Connection *connection);
void fa_exchange_hold(fa_exchange *x);
void fa_exchange_release(fa_exchange *x);

/* --- for those who compute; any thread --- */

/* The whole response: takes `text` over (malloc'd). A response that began already (blank lines were sent) only gets the text. */
void fa_exchange_answer(fa_exchange *x, int status, const char *type, char *text, size_t bytes);

/* The whole response, with status 200: a file of the page, which lives as long as the program. */
void fa_exchange_fixed(fa_exchange *x, const char *type, const char *data, size_t bytes);

/* A stream of events: said once, then any number of writes, then end. Until the first write an answer (an error) may take its place. */
void fa_exchange_stream(fa_exchange *x);
void fa_exchange_write(fa_exchange *x, const char *bytes, size_t n);
void fa_exchange_end(fa_exchange *x);

/* True when so much waits for the client that its answer should wait too. */
bool fa_exchange_is_full(fa_exchange *x);

/* True once a response is complete. */
bool fa_exchange_has_ended(fa_exchange *x);

/* The client went away: everything written from now on is dropped. */
void fa_exchange_leave(fa_exchange *x);

/* Sends a sign of life if nothing moved for `idle_ns`: a comment to a stream, a blank line to the others, whose status is then 200. */
void fa_exchange_keep_alive(fa_exchange *x, int64_t now_ns, int64_t idle_ns);

/* --- for the HTTP thread --- */

/* True when a response can be queued; else the connection is suspended until then. */
bool fa_exchange_wait(fa_exchange *x);

/* The response, with its headers; queues it. */
enum MHD_Result fa_exchange_respond(fa_exchange *x, struct MHD_Connection *connection);

/* The connection is done with it. */
void fa_exchange_close(fa_exchange *x);

#endif
