#include "host/server/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "host/server/clock.h"
#include "host/server/internal.h"
#include "host/server/prepare.h"
#include "host/server/reply.h"
#include "host/server/routes.h"

enum { CONNECTION_BYTES = 32 << 10 }; /* for headers of a request, and for what libmicrohttpd keeps of a connection */

/* --- before the body -------------------------------------------------------------------------------------------------- */

static const char *header(struct MHD_Connection *c, const char *name) {
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static enum MHD_Result count_framing(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value) {
    int *n = ctx;
    (void)kind;
    (void)value;
    *n += !strcasecmp(name, "Content-Length") || !strcasecmp(name, "Transfer-Encoding");
    return MHD_YES;
}

/* A body whose end two parties could see in two places is refused: that is how requests are smuggled past a proxy. */
static bool frames_well(struct MHD_Connection *c, fa_problem *p) {
    int n = 0;
    const char *coding = header(c, "Transfer-Encoding"), *length = header(c, "Content-Length");
    MHD_get_connection_values(c, MHD_HEADER_KIND, count_framing, &n);
    if (n > 1)
        return fa_problem_set(p, FA_ERROR_MALFORMED, NULL,
                              "Content-Length and Transfer-Encoding: at most one of them, once");
    if (coding && strcasecmp(coding, "chunked") != 0)
        return fa_problem_set(p, FA_ERROR_MALFORMED, NULL, "Transfer-Encoding: only chunked is understood");
    if (length && (!*length || strspn(length, "0123456789") != strlen(length)))
        return fa_problem_set(p, FA_ERROR_MALFORMED, NULL, "Content-Length: expected a whole number");
    return true;
}

static bool find_route(fa_exchange *x, const char *method, const char *path, fa_problem *p) {
    fa_found_route f = fa_route_find(method, path);
    x->route = f.route;
    x->beta = f.beta;
    memcpy(x->name, f.name, sizeof x->name);
    if (f.route) return true;
    x->allow = f.allow;
    if (f.allow) return fa_problem_set(p, FA_ERROR_METHOD, NULL, "This path takes %s", f.allow);
    char all[sizeof p->message - 32];
    fa_route_list(all, sizeof all);
    return fa_problem_set(p, FA_ERROR_PATH, NULL, "There is no such path; there are %s", all);
}

/* Unknown paths need a key too: without one nothing is told. */
static bool may_use(fa_exchange *x, struct MHD_Connection *c, fa_problem *p) {
    if (x->route && !x->route->right) return true;
    const char *value = header(c, "Authorization");
    bool bearer = value && !strncasecmp(value, "Bearer ", 7);
    const char *key = bearer ? value + 7 + strspn(value + 7, " ") : NULL;
    if (!fa_accounts_identify(x->server->accounts, key, key ? strlen(key) : 0, &x->who)) {
        if (!value)
            return fa_problem_set(p, FA_ERROR_KEY, NULL, "A key is needed: send the header Authorization: Bearer KEY");
        return fa_problem_set(p, FA_ERROR_KEY, NULL, "The key is not known, or was revoked");
    }
    if (!x->route || (x->who.rights & x->route->right)) return true;
    return fa_problem_set(p, FA_ERROR_RIGHT, NULL, "This key has no right to use this route");
}

static bool is_json(const char *type) {
    size_t n = type ? strcspn(type, ";") : 0;
    while (n && type[n - 1] == ' ') n--;
    return n == 16 && !strncasecmp(type, "application/json", 16);
}

static bool body_fits(fa_exchange *x, struct MHD_Connection *c, fa_problem *p) {
    const char *length = header(c, "Content-Length");
    size_t most = x->server->options.body_bytes;
    if (length && strtoull(length, NULL, 10) > most)
        return fa_problem_set(p, FA_ERROR_BODY, NULL, "The body is larger than %zu bytes", most);
    if (x->route && !strcmp(x->route->method, "POST") && !is_json(header(c, "Content-Type")))
        return fa_problem_set(p, FA_ERROR_CONTENT_TYPE, NULL, "Content-Type: expected application/json");
    return true;
}

static bool is_open(const fa_exchange *x, fa_problem *p) {
    const fa_server *s = x->server;
    bool draining = atomic_load(&s->draining) || atomic_load(&s->stopping);
    if (!draining || (x->route && x->route->kind == FA_ROUTE_HERE)) return true;
    return fa_problem_set(p, FA_ERROR_STOPPING, NULL, "The server is stopping");
}

/* Everything that headers tell. A problem is answered when the body, which is dropped, is over; one of the framing at once, and the connection closed. */
static enum MHD_Result begin(fa_exchange *x, struct MHD_Connection *c, const char *method, const char *path) {
    fa_problem p = {0};
    bool framed = frames_well(c, &p);
    bool routed = framed && find_route(x, method, path, &p);
    fa_problem key = {0};
    if (framed && !may_use(x, c, &key)) p = key;
    if (routed && !p.set && body_fits(x, c, &p)) is_open(x, &p);
    if (!p.set) return MHD_YES;
    fa_reply_problem(x, &p);
    if (framed && p.kind != FA_ERROR_BODY) return MHD_YES;
    return fa_exchange_respond(x, c);
}

/* --- the body, and after it ------------------------------------------------------------------------------------------- */

static void take_body(fa_exchange *x, const char *bytes, size_t n) {
    size_t most = x->server->options.body_bytes;
    if (x->ended) return;
    if (x->body.n + n > most)
        fa_reply_error(x, FA_ERROR_BODY, NULL, "The body is larger than %zu bytes", most);
    else if (fa_text_append(&x->body, bytes, n))
        fa_reply_error(x, FA_ERROR_BUSY, NULL, "The server is out of memory");
    if (x->ended) fa_text_free(&x->body);
}

/* The request is whole. */
static void dispatch(fa_exchange *x) {
    fa_server *s = x->server;
    if (x->route->kind == FA_ROUTE_HERE) {
        x->route->handle(x);
        return;
    }
    fa_peers_compute(&s->peers, x->peer);
    if (x->route->kind == FA_ROUTE_COMPUTE) {
        fa_decision d = fa_worker_ask(&s->worker, x);
        if (d.refusal) {
            fa_reply_refusal(x, &d);
            return;
        }
    }
    if (fa_prepare_put(x)) return;
    fa_reply_error(x, FA_ERROR_STOPPING, NULL, "The server is stopping");
    if (x->route->kind == FA_ROUTE_COMPUTE) fa_worker_withdraw(&s->worker, x);
}

static fa_peer *peer_of(struct MHD_Connection *c) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *body, size_t *body_bytes, void **state) {
    fa_exchange *x = *state;
    (void)version;
    if (!x) {
        fa_peer *peer = peer_of(c);
        x = peer ? fa_exchange_new(ctx, c) : NULL;
        if (!x) return MHD_NO;
        *state = x;
        x->peer = peer;
        fa_peers_begin(&x->server->peers, peer, x);
        return begin(x, c, method, url);
    }
    if (*body_bytes) {
        take_body(x, body, *body_bytes);
        *body_bytes = 0;
        return MHD_YES;
    }
    if (!x->dispatched && !fa_exchange_has_ended(x)) dispatch(x);
    x->dispatched = true;
    return fa_exchange_wait(x) ? fa_exchange_respond(x, c) : MHD_YES;
}

static void on_completed(void *ctx, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code) {
    fa_exchange *x = *state;
    (void)c;
    (void)code;
    if (!x) return;
    fa_server *s = ctx;
    pthread_mutex_lock(&x->lock);
    int status = x->status;
    fa_usage usage = x->usage;
    pthread_mutex_unlock(&x->lock);
    fa_metrics_request(&s->metrics, x->route ? x->route->label : "none", status,
                       (double)(fa_now_ns() - x->start_ns) / FA_SECOND_NS);
    fa_log_request(s, x, status, &usage);
    fa_peers_end(&s->peers, x->peer);
    fa_exchange_close(x);
    fa_worker_nudge(&s->worker);
    *state = NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode code) {
    fa_server *s = ctx;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = info ? fa_peers_add(&s->peers, info->connect_fd) : NULL;
    } else {
        fa_peers_remove(&s->peers, *context);
        *context = NULL;
    }
}

/* libmicrohttpd's own messages quote what clients sent. */
static void say_nothing(void *ctx, const char *format, va_list args) {
    (void)ctx;
    (void)format;
    (void)args;
}

fa_status fa_http_open(fa_server *s, fa_error *e) {
    unsigned flags =
        MHD_USE_EPOLL_INTERNALLY | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (s->cert ? MHD_USE_TLS : 0);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, s->cert}, {MHD_OPTION_HTTPS_MEM_KEY, 0, s->key}, {MHD_OPTION_END, 0, NULL}};
    if (!s->cert) tls[0].option = MHD_OPTION_END;
    s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL,
                                 MHD_OPTION_LISTEN_SOCKET, s->socket, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)s->options.connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                 (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, 120U,
                                 MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
                                 MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (s->daemon) return FA_OK;
    return fa_fail(e, FA_EIO, "server: libmicrohttpd does not start%s",
                   s->cert ? ": are certificate and key in PEM form, and a pair?" : "");
}

void fa_http_close(fa_server *s) {
    if (s->daemon) MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
}
