/* fathom-xrt-host: has XRT loaded on behalf of an engine, for one card. The engine starts it (host/backend/xrt/process.c). A process
 * of its own because XRT's emulation is set up by environment variables, handles SIGCHLD and, when its device model dies,
 * ends its whole process group; and because a driver that hangs or crashes must not take the engine with it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/backend/xrt/folder.h"
#include "host/xrt/host.h"
#include "host/xrt/sleep.h"

/* Outlives an engine that was killed only to clean up after it, whatever XRT is doing. */
static void *watch(void *arg) {
    const host *h = arg;
    struct pollfd p = {.fd = WIRE_SOCKET};
    while (poll(&p, 1, -1) < 0 || !(p.revents & (POLLHUP | POLLERR))) continue;
    signal(SIGTERM, SIG_IGN);
    fa_xrt_folder_remove(h->open.folder);
    kill(0, SIGKILL);
    return NULL;
}

static fa_status start(host *h, const wire_request *r, uint64_t *nowhere, fa_error *e) {
    pthread_t thread;
    if (h->device || r->open.version != WIRE_VERSION || r->open.units < 1 || r->open.units > HOST_UNITS)
        return fa_fail(e, FA_EINVAL, "fathom-xrt-host is of another version than the engine: install both again");
    h->open = r->open;
    xrt_sleep_shorten(r->open.emulated);
    if (pthread_create(&thread, NULL, watch, h)) return fa_fail(e, FA_ENOMEM, "no thread");
    fa_status s = host_open(h, nowhere, e);
    if (h->open.emulated) close(WIRE_MODEL); /* the model has it by now, and its end is to be noticed */
    return s;
}

static fa_status answer(host *h, const wire_request *r, wire_reply *reply, fa_error *e) {
    switch (r->kind) {
    case WIRE_OPEN: return start(h, r, &reply->address, e);
    case WIRE_ALLOC: return host_alloc(h, r->first, r->bytes, &reply->buffer, &reply->address, e);
    case WIRE_FREE: return host_free(h, r->buffer, e);
    case WIRE_WRITE: return host_copy(h, r, true, e);
    case WIRE_READ: return host_copy(h, r, false, e);
    case WIRE_WAIT: return host_wait(h, reply, e);
    case WIRE_CLOSE: host_close(h); return FA_OK;
    default: return fa_fail(e, FA_EINVAL, "message %u is unknown", r->kind);
    }
}

static int serve(host *h) {
    static wire_request r;
    for (;;) {
        fa_error e = {0};
        wire_reply reply = {0};
        ssize_t n = recv(WIRE_SOCKET, &r, sizeof r, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < (ssize_t)offsetof(wire_request, open)) return 1; /* the engine is gone */
        if (!h->units && r.kind != WIRE_OPEN) return 1;
        if (r.kind == WIRE_LAUNCH) {
            host_launch_later(h, &r);
            continue;
        }
        reply.status = answer(h, &r, &reply, &e);
        if (reply.status) snprintf(reply.text, sizeof reply.text, "%s", e.text);
        if (send(WIRE_SOCKET, &reply, sizeof reply, MSG_NOSIGNAL) != sizeof reply) return 1;
        if (r.kind == WIRE_CLOSE) break;
    }
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) continue; /* the device model */
    return 0;
}

int main(void) {
    static host h = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct stat st;
    if (fstat(WIRE_SOCKET, &st) || !S_ISSOCK(st.st_mode)) {
        fprintf(stderr,
                "fathom-xrt-host: drives a card through XRT on behalf of fathom, which starts it; ask for it with\n"
                "  fathom run --backend xrt:BDF --xclbin FILE ...\n");
        return 2;
    }
    h.staging = mmap(NULL, WIRE_STAGING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, WIRE_STAGING, 0);
    if (h.staging == MAP_FAILED) return 1;
    int code = serve(&h);
    while (code && h.open.version) pause(); /* the engine is gone: the other thread cleans up and ends all */
    _exit(code);                            /* XRT's destructors may wait for ever on a card that is gone */
}
