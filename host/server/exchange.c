#include "host/server/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "host/server/clock.h"
#include "host/server/internal.h"
#include "host/server/job.h"
#include "host/server/page.h"

static const char JSON[] = "application/json";

static void make_id(char id[FA_REQUEST_ID]) {
    uint64_t r[2] = {0};
    if (getrandom(r, sizeof r, 0) != sizeof r) r[0] = (uint64_t)fa_now_ns();
    snprintf(id, FA_REQUEST_ID, "req-%016llx%08llx", (unsigned long long)r[0], (unsigned long long)(r[1] >> 32));
}

fa_exchange *fa_exchange_new(struct fa_server *server, struct MHD_Connection *connection) {
    fa_exchange *x = calloc(1, sizeof *x);
    if (!x) return NULL;
    x->server = server;
    x->connection = connection;
    x->start_ns = x->moved_ns = fa_now_ns();
    x->start_ms = fa_time_ms();
    x->who.slot = -1;
    x->type = JSON;
    make_id(x->id);
    atomic_init(&x->holders, 1);
    pthread_mutex_init(&x->lock, NULL);
    return x;
}

void fa_exchange_hold(fa_exchange *x) {
    atomic_fetch_add(&x->holders, 1);
}

void fa_exchange_release(fa_exchange *x) {
    if (atomic_fetch_sub(&x->holders, 1) > 1) return;
    fa_job_free(x->job);
    fa_text_free(&x->body);
    fa_text_free(&x->out);
    free(x->final);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

/* --- writing; the lock is held ------------------------------------------------------------------------------------- */

static void wake(fa_exchange *x) {
    if (!x->suspended || !x->connection) return;
    x->suspended = false;
    MHD_resume_connection(x->connection);
}

/* Where memory runs out the response ends early, which the client sees as a broken transfer. */
static void put(fa_exchange *x, const char *bytes, size_t n) {
    if (x->ended || atomic_load(&x->gone)) return;
    if (x->sent == x->out.n) x->sent = x->out.n = 0;
    if (fa_text_append(&x->out, bytes, n)) atomic_store(&x->gone, true);
}

/* What is sent before the end is known is sent under status 200. */
static void begin(fa_exchange *x) {
    if (x->status) return;
    x->status = 200;
    x->type = x->stream ? "text/event-stream; charset=utf-8" : JSON;
}

void fa_exchange_answer(fa_exchange *x, int status, const char *type, char *text, size_t bytes) {
    pthread_mutex_lock(&x->lock);
    if (!x->status) {
        x->status = status;
        x->type = type;
    }
    if (!x->ended) {
        put(x, text ? text : "", text ? bytes : 0);
        x->ended = true;
    }
    wake(x);
    pthread_mutex_unlock(&x->lock);
    free(text);
}

void fa_exchange_fixed(fa_exchange *x, const char *type, const char *data, size_t bytes) {
    pthread_mutex_lock(&x->lock);
    x->status = 200;
    x->type = type;
    x->fixed = data;
    x->fixed_bytes = bytes;
    x->ended = true;
    wake(x);
    pthread_mutex_unlock(&x->lock);
}

void fa_exchange_stream(fa_exchange *x) {
    pthread_mutex_lock(&x->lock);
    x->stream = true;
    pthread_mutex_unlock(&x->lock);
}

void fa_exchange_write(fa_exchange *x, const char *bytes, size_t n) {
    pthread_mutex_lock(&x->lock);
    begin(x);
    put(x, bytes, n);
    wake(x);
    pthread_mutex_unlock(&x->lock);
}

void fa_exchange_end(fa_exchange *x) {
    pthread_mutex_lock(&x->lock);
    x->ended = true;
    wake(x);
    pthread_mutex_unlock(&x->lock);
}

bool fa_exchange_is_full(fa_exchange *x) {
    pthread_mutex_lock(&x->lock);
    bool full = x->stream && x->out.n - x->sent >= FA_OUT_FULL;
    pthread_mutex_unlock(&x->lock);
    return full;
}

bool fa_exchange_has_ended(fa_exchange *x) {
    pthread_mutex_lock(&x->lock);
    bool ended = x->ended;
    pthread_mutex_unlock(&x->lock);
    return ended;
}

void fa_exchange_leave(fa_exchange *x) {
    atomic_store(&x->gone, true);
    pthread_mutex_lock(&x->lock);
    wake(x);
    pthread_mutex_unlock(&x->lock);
}

void fa_exchange_keep_alive(fa_exchange *x, int64_t now_ns, int64_t idle_ns) {
    pthread_mutex_lock(&x->lock);
    if (!x->ended && x->sent == x->out.n && now_ns - x->moved_ns >= idle_ns) {
        begin(x);
        put(x, x->stream ? ": keep-alive\n\n" : "\n", x->stream ? 14 : 1);
        x->moved_ns = now_ns;
        wake(x);
    }
    pthread_mutex_unlock(&x->lock);
}

/* --- the HTTP thread ------------------------------------------------------------------------------------------------ */

/* Under the lock. */
static void suspend(fa_exchange *x) {
    x->suspended = true;
    MHD_suspend_connection(x->connection);
}

bool fa_exchange_wait(fa_exchange *x) {
    pthread_mutex_lock(&x->lock);
    bool ready = x->status != 0 || atomic_load(&x->gone);
    if (!ready) suspend(x);
    pthread_mutex_unlock(&x->lock);
    return ready;
}

static ssize_t read_out(void *ctx, uint64_t position, char *to, size_t most) {
    fa_exchange *x = ctx;
    (void)position;
    pthread_mutex_lock(&x->lock);
    size_t n = x->out.n - x->sent;
    ssize_t result = 0;
    if (n > most) n = most;
    if (atomic_load(&x->gone)) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (n) {
        memcpy(to, x->out.data + x->sent, n);
        x->sent += n;
        x->moved_ns = fa_now_ns();
        result = (ssize_t)n;
    } else if (x->ended) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        suspend(x);
    }
    pthread_mutex_unlock(&x->lock);
    return result;
}

static void add_headers(const fa_exchange *x, struct MHD_Response *r) {
    char number[16];
    MHD_add_response_header(r, "x-request-id", x->id);
    MHD_add_response_header(r, "Content-Type", x->type);
    MHD_add_response_header(r, "Cache-Control", x->stream ? "no-cache" : "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(r, "Content-Security-Policy", x->fixed ? fa_page_policy : "default-src 'none'");
    if (x->stream) MHD_add_response_header(r, "X-Accel-Buffering", "no");
    if (x->allow) MHD_add_response_header(r, "Allow", x->allow);
    if (atomic_load(&x->server->leaving)) MHD_add_response_header(r, "Connection", "close");
    if (x->status == 401) MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    snprintf(number, sizeof number, "%d", x->retry_after);
    if (x->retry_after) MHD_add_response_header(r, "Retry-After", number);
}

enum MHD_Result fa_exchange_respond(fa_exchange *x, struct MHD_Connection *connection) {
    struct MHD_Response *r = NULL;
    pthread_mutex_lock(&x->lock);
    bool whole = x->ended && !x->stream;
    x->begun = true;
    if (atomic_load(&x->gone)) {
    } else if (x->fixed) {
        r = MHD_create_response_from_buffer(x->fixed_bytes, (void *)(uintptr_t)x->fixed, MHD_RESPMEM_PERSISTENT);
    } else if (whole) {
        x->sent = x->out.n;
        r = MHD_create_response_from_buffer(x->out.n, x->out.n ? x->out.data : (char *)"", MHD_RESPMEM_MUST_COPY);
    } else {
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_out, x, NULL);
    }
    if (r) add_headers(x, r);
    unsigned status = (unsigned)x->status;
    pthread_mutex_unlock(&x->lock);
    if (!r) return MHD_NO;
    enum MHD_Result done = MHD_queue_response(connection, status, r);
    MHD_destroy_response(r);
    return done;
}

void fa_exchange_close(fa_exchange *x) {
    pthread_mutex_lock(&x->lock);
    x->connection = NULL;
    if (!x->ended || x->sent < x->out.n) atomic_store(&x->gone, true);
    pthread_mutex_unlock(&x->lock);
    fa_exchange_release(x);
}
