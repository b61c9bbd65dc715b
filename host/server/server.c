#include "host/server/server.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/engine/engine.h"
#include "host/server/clock.h"
#include "host/server/http.h"
#include "host/server/internal.h"
#include "host/server/prepare.h"
#include "host/server/reply.h"

enum { BODY_BYTES = 4 << 20, PICTURES_BYTES = 16 << 20, CONNECTIONS = 4096, REQUEST_SECONDS = 60 };

/* --- sockets ----------------------------------------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *a) {
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
    if (a->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
    return a->sa_family == AF_UNIX;
}

static int listen_at(const struct addrinfo *at) {
    int on = 1, fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, 1024) == 0) return fd;
    close(fd);
    return -1;
}

static fa_status open_socket(fa_server *s, fa_error *e) {
    const fa_server_options *o = &s->options;
    struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    char port[8];
    s->socket = o->socket;
    if (o->socket >= 0) return FA_OK;
    const char *address = o->address ? o->address : "127.0.0.1";
    snprintf(port, sizeof port, "%u", o->port);
    int bad = getaddrinfo(address, port, &want, &found);
    if (bad) return fa_fail(e, FA_EINVAL, "address: %s: %s", address, gai_strerror(bad));
    s->socket = listen_at(found);
    if (s->socket < 0) fa_fail(e, FA_EIO, "%s port %u cannot be bound: %m", address, o->port);
    freeaddrinfo(found);
    return s->socket < 0 ? FA_EIO : FA_OK;
}

/* Where the socket is, and whether that is safe. */
static fa_status check_socket(fa_server *s, fa_error *e) {
    struct sockaddr_storage at = {0};
    socklen_t n = sizeof at;
    if (getsockname(s->socket, (struct sockaddr *)&at, &n)) return fa_fail(e, FA_EIO, "socket: %m");
    if (at.ss_family == AF_INET) s->port = ntohs(((struct sockaddr_in *)(void *)&at)->sin_port);
    if (at.ss_family == AF_INET6) s->port = ntohs(((struct sockaddr_in6 *)(void *)&at)->sin6_port);
    if (is_loopback((struct sockaddr *)&at)) return FA_OK;
    if (!fa_accounts_keys(s->accounts))
        return fa_fail(e, FA_EINVAL, "an address that others reach needs a key: make one with `fathom key add NAME'");
    if (!s->cert)
        return fa_fail(
            e, FA_EINVAL,
            "an address that others reach needs TLS: give --tls-cert and --tls-key, or listen on loopback behind a proxy");
    return FA_OK;
}

static fa_status read_pem(char **text, const char *path, fa_error *e) {
    fa_map m;
    fa_status st = fa_map_open(&m, path, e);
    if (st) return st;
    *text = strndup(m.bytes ? m.data : "", m.bytes);
    fa_map_close(&m);
    return *text ? FA_OK : fa_fail(e, FA_ENOMEM, "%s: out of memory", path);
}

static fa_status open_tls(fa_server *s, fa_error *e) {
    const fa_server_options *o = &s->options;
    if (!o->cert && !o->key) return FA_OK;
    if (!o->cert || !o->key) return fa_fail(e, FA_EINVAL, "TLS: certificate and key belong together");
    fa_status st = read_pem(&s->cert, o->cert, e);
    return st ? st : read_pem(&s->key, o->key, e);
}

/* --- opening and closing ------------------------------------------------------------------------------------------------ */

static fa_status open_parts(fa_server *s, fa_error *e) {
    const fa_server_options *o = &s->options;
    fa_accounts_options accounts = {.database = o->database, .admission = o->admission, .keyless = true};
    fa_status st = open_tls(s, e);
    if (!st) st = fa_accounts_open(&s->accounts, &accounts, e);
    if (!st) st = open_socket(s, e);
    if (!st) st = check_socket(s, e);
    if (!st) st = fa_peers_open(&s->peers, s->options.connections, s->options.request_seconds, e);
    if (!st) st = fa_worker_open(&s->worker, s, e);
    if (!st) st = fa_pool_open(&s->readers, FA_READERS, e);
    if (!st) st = fa_pool_open(&s->compilers, FA_COMPILERS, e);
    if (!st) st = fa_http_open(s, e);
    return st;
}

fa_status fa_server_open(fa_server **out, fathom_engine *engine, const fa_server_options *o, fa_error *e) {
    *out = NULL;
    fa_server *s = calloc(1, sizeof *s);
    if (!s) return fa_fail(e, FA_ENOMEM, "server: out of memory");
    s->options = *o;
    s->engine = engine;
    s->socket = -1;
    if (!o->connections) s->options.connections = CONNECTIONS;
    if (!o->request_seconds) s->options.request_seconds = REQUEST_SECONDS;
    fathom_engine_info(engine, &s->info);
    if (!o->body_bytes) s->options.body_bytes = s->info.picture_rows ? PICTURES_BYTES : BODY_BYTES;
    s->models = fa_models_make(o->model ? o->model : s->info.model_name, fa_engine_chat(engine));
    fa_metrics_open(&s->metrics);
    pthread_mutex_init(&s->log_lock, NULL);
    fa_status st = open_parts(s, e);
    if (st) {
        fa_server_close(s);
        return st;
    }
    fa_log_event(s, "started", NULL);
    *out = s;
    return FA_OK;
}

uint16_t fa_server_port(const fa_server *s) {
    return s->port;
}

void fa_server_announce(fa_server *s) {
    if (!atomic_exchange(&s->leaving, true)) fa_log_event(s, "leaving", NULL);
}

void fa_server_drain(fa_server *s) {
    if (atomic_exchange(&s->draining, true)) return;
    atomic_store(&s->leaving, true);
    MHD_socket fd = s->daemon ? MHD_quiesce_daemon(s->daemon) : MHD_INVALID_SOCKET;
    if (fd != MHD_INVALID_SOCKET) close(fd);
    s->socket = -1;
    fa_peers_drop_idle(&s->peers);
    fa_log_event(s, "draining", NULL);
}

int fa_server_running(fa_server *s) {
    return fa_worker_waiting(&s->worker) + atomic_load(&s->worker.running);
}

static void end_exchange(fa_exchange *x) {
    fa_exchange_leave(x);
}

/* libmicrohttpd must not be stopped while a connection is suspended: each is resumed, and ends. */
static void end_connections(fa_server *s) {
    int open = 1;
    for (int tries = 0; open && tries < 500; tries++) {
        struct timespec nap = {0, 10000000};
        if (tries > 20) fa_peers_each(&s->peers, end_exchange);
        pthread_mutex_lock(&s->peers.lock);
        open = 0;
        for (fa_peer *p = s->peers.first; p; p = p->next) open += p->exchange != NULL;
        pthread_mutex_unlock(&s->peers.lock);
        if (open) nanosleep(&nap, NULL);
    }
}

void fa_server_close(fa_server *s) {
    if (!s) return;
    atomic_store(&s->stopping, true);
    if (s->daemon) fa_server_drain(s);
    fa_pool_stop(&s->readers);
    fa_worker_stop(&s->worker);
    fa_pool_stop(&s->compilers);
    if (s->daemon) end_connections(s);
    fa_http_close(s);
    if (s->peers.runs) fa_peers_close(&s->peers);
    fa_pool_close(&s->readers);
    fa_pool_close(&s->compilers);
    fa_worker_close(&s->worker);
    fa_accounts_close(s->accounts);
    if (s->socket >= 0) close(s->socket);
    if (s->options.log) fa_log_event(s, "stopped", NULL);
    free(s->cert);
    free(s->key);
    fa_metrics_close(&s->metrics);
    pthread_mutex_destroy(&s->log_lock);
    free(s);
}
