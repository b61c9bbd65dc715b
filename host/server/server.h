/* The HTTP service: DeepSeek's and OpenAI's routes over one engine. A library like the rest: nothing here prints or exits.
 *
 *   fa_server *s;
 *   fa_server_open(&s, engine, &options, &err)     from now on it answers, in threads of its own
 *   fa_server_announce(s)                          /ready says that it will end, so that balancers send no more
 *   fa_server_drain(s)                             no new requests; fa_server_running(s) falls to 0
 *   fa_server_close(s)                             ends what still runs
 *
 * Threads: `http` (libmicrohttpd, epoll: every connection), `readers` (JSON and tokens of requests), `compilers` (grammars of schemas), `engine` (owns the engine, which one
 * thread may use), `watch` (sockets of clients that went away, time limits), and the writer of accounts.h. A request that waits costs
 * no thread. */
#ifndef FA_SERVER_SERVER_H
#define FA_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/fathom.h"
#include "host/server/admission.h"

typedef struct fa_server fa_server;

/* Texts are borrowed while the server is open. */
typedef struct fa_server_options {
    int socket;                     /* listens already (socket activation); -1: bind address and port */
    const char *address;            /* "127.0.0.1", "::1", "0.0.0.0", a name; NULL: loopback */
    uint16_t port;                  /* 0: a free one, see fa_server_port */
    const char *cert, *key;         /* PEM files; both or neither (NULL): HTTP in the clear */
    const char *database;           /* keys and usage, see accounts.h */
    const char *model;              /* the name under which the model is served; NULL: the engine's */
    fa_admission_options admission; /* places: at most the engine's sessions */
    size_t body_bytes;              /* of one request at most; 0: 4 MiB, of models that look at pictures 16 */
    int32_t connections;            /* at one time; 0: 4096 */
    int32_t request_seconds;        /* for headers and body of a request, and between two of one connection; 0: 60 */
    /* One JSON object a line, without newline; called by any thread, one at a time. NULL: no log. */
    void (*log)(void *ctx, const char *line);
    void *log_ctx;
} fa_server_options;

/* Takes over `engine`: nobody else may use it until fa_server_close, and after an error it is the caller's again. FA_EINVAL names the option;
 * another address than loopback without keys and TLS is refused so. FA_EIO says what could not be bound or read. */
fa_status fa_server_open(fa_server **s, fathom_engine *engine, const fa_server_options *o, fa_error *e);

/* The port it listens on. */
uint16_t fa_server_port(const fa_server *s);

/* From now on /ready is 503 and connections are closed behind their answers; new requests are still taken. */
void fa_server_announce(fa_server *s);

/* Stops listening, closes idle connections and answers new requests with 503; those that wait or run go on. */
void fa_server_drain(fa_server *s);

/* Requests that wait or run. */
int fa_server_running(fa_server *s);

/* Ends what still runs, closes the connections and gives the engine back, open. NULL allowed. */
void fa_server_close(fa_server *s);

#endif
