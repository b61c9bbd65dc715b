#include "host/server/peers.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/server/clock.h"
#include "host/server/internal.h"

#define TICK_MS 500
#define KEEP_ALIVE_NS \
    (8 * FA_SECOND_NS) /* silence before a sign of life; with TICK_MS below the 10 s that are promised */
#define STALLED_NS (60 * FA_SECOND_NS) /* a client that takes nothing has left */

fa_peer *fa_peers_add(fa_peers *p, int socket) {
    fa_peer *peer = calloc(1, sizeof *peer);
    if (!peer) return NULL;
    pthread_mutex_lock(&p->lock);
    *peer = (fa_peer){.next = p->first, .number = ++p->numbers, .socket = socket, .since_ns = fa_now_ns()};
    if (p->first) p->first->previous = peer;
    p->first = peer;
    p->count++;
    pthread_mutex_unlock(&p->lock);
    return peer;
}

void fa_peers_remove(fa_peers *p, fa_peer *peer) {
    if (!peer) return;
    pthread_mutex_lock(&p->lock);
    *(peer->previous ? &peer->previous->next : &p->first) = peer->next;
    if (peer->next) peer->next->previous = peer->previous;
    p->count--;
    pthread_mutex_unlock(&p->lock);
    free(peer);
}

void fa_peers_begin(fa_peers *p, fa_peer *peer, fa_exchange *x) {
    pthread_mutex_lock(&p->lock);
    fa_exchange_hold(x);
    peer->exchange = x;
    peer->computing = false;
    pthread_mutex_unlock(&p->lock);
}

void fa_peers_compute(fa_peers *p, fa_peer *peer) {
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.u64 = peer->number};
    pthread_mutex_lock(&p->lock);
    peer->computing = true;
    epoll_ctl(p->poll, EPOLL_CTL_ADD, peer->socket, &event);
    pthread_mutex_unlock(&p->lock);
}

void fa_peers_end(fa_peers *p, fa_peer *peer) {
    pthread_mutex_lock(&p->lock);
    fa_exchange *x = peer->exchange;
    if (peer->computing) epoll_ctl(p->poll, EPOLL_CTL_DEL, peer->socket, NULL);
    peer->exchange = NULL;
    peer->computing = false;
    peer->since_ns = fa_now_ns();
    pthread_mutex_unlock(&p->lock);
    if (x) fa_exchange_release(x);
}

/* Not where the next request has come already, read or not. */
void fa_peers_drop_idle(fa_peers *p) {
    char byte;
    pthread_mutex_lock(&p->lock);
    for (fa_peer *peer = p->first; peer; peer = peer->next)
        if (!peer->exchange && recv(peer->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
            shutdown(peer->socket, SHUT_RDWR);
    pthread_mutex_unlock(&p->lock);
}

void fa_peers_each(fa_peers *p, void (*each)(fa_exchange *x)) {
    pthread_mutex_lock(&p->lock);
    for (fa_peer *peer = p->first; peer; peer = peer->next)
        if (peer->exchange) each(peer->exchange);
    pthread_mutex_unlock(&p->lock);
}

/* --- the watching thread ---------------------------------------------------------------------------------------------- */

static void leave(fa_exchange *x) {
    if (fa_exchange_has_ended(x)) return;
    atomic_store(&x->left, true);
    fa_exchange_leave(x);
    fa_metrics_disconnect(&x->server->metrics);
    fa_worker_nudge(&x->server->worker);
}

static void has_left(fa_peers *p, uint64_t number) {
    pthread_mutex_lock(&p->lock);
    fa_peer *peer = p->first;
    while (peer && peer->number != number) peer = peer->next;
    if (peer && peer->exchange && peer->computing) leave(peer->exchange);
    pthread_mutex_unlock(&p->lock);
}

static bool is_stalled(fa_exchange *x, int64_t now) {
    pthread_mutex_lock(&x->lock);
    bool stalled = x->begun && x->sent < x->out.n && now - x->moved_ns > STALLED_NS;
    pthread_mutex_unlock(&x->lock);
    return stalled;
}

/* The client has closed its side, and all that it sent was read. */
static bool is_at_end(const fa_peer *peer) {
    char byte;
    return recv(peer->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* What time has to say about one connection. Under the lock. */
static void look_at(const fa_peers *p, fa_peer *peer, bool crowded, int64_t now) {
    fa_exchange *x = peer->exchange;
    int64_t least = crowded && p->request_ns > FA_SECOND_NS ? FA_SECOND_NS : p->request_ns;
    if (!x) {
        if (now - peer->since_ns > least) shutdown(peer->socket, SHUT_RDWR);
    } else if (!peer->computing) {
        bool late = now - x->start_ns > (crowded ? p->request_ns / 10 : p->request_ns);
        if (late || is_at_end(peer)) shutdown(peer->socket, SHUT_RDWR); /* libmicrohttpd waits for the rest of a body */
    } else if (is_stalled(x, now)) {
        leave(x);
        shutdown(peer->socket, SHUT_RDWR);
    } else {
        fa_exchange_keep_alive(x, now, KEEP_ALIVE_NS);
    }
}

static void look_around(fa_peers *p) {
    int64_t now = fa_now_ns();
    pthread_mutex_lock(&p->lock);
    bool crowded = p->count > p->most - p->most / 8; /* the last places are for those who talk */
    for (fa_peer *peer = p->first; peer; peer = peer->next) look_at(p, peer, crowded, now);
    pthread_mutex_unlock(&p->lock);
}

static void *watch(void *ctx) {
    fa_peers *p = ctx;
    struct epoll_event events[64];
    int64_t looked = 0;
    while (!atomic_load(&p->stop)) {
        int n = epoll_wait(p->poll, events, 64, TICK_MS);
        for (int i = 0; i < n; i++)
            if (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) has_left(p, events[i].data.u64);
        if (fa_now_ns() - looked < TICK_MS * (FA_SECOND_NS / 1000)) continue;
        looked = fa_now_ns();
        look_around(p);
    }
    return NULL;
}

fa_status fa_peers_open(fa_peers *p, int most, int request_seconds, fa_error *e) {
    *p = (fa_peers){.most = most, .request_ns = request_seconds * FA_SECOND_NS, .poll = epoll_create1(EPOLL_CLOEXEC)};
    if (p->poll < 0) return fa_fail(e, FA_EIO, "server: epoll: %m");
    pthread_mutex_init(&p->lock, NULL);
    p->runs = pthread_create(&p->thread, NULL, watch, p) == 0;
    return p->runs ? FA_OK : fa_fail(e, FA_EIO, "server: no thread could be started: %m");
}

void fa_peers_close(fa_peers *p) {
    atomic_store(&p->stop, true);
    if (p->runs) pthread_join(p->thread, NULL);
    if (p->poll > 0) close(p->poll);
    pthread_mutex_destroy(&p->lock);
    p->runs = false;
    p->poll = 0;
}
