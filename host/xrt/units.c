/* Compute units: launches in order, each unit's on a thread of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/xrt/host.h"

enum { WAIT_MS = 1000 };

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- a launch ---- */

static fa_status open_kernel(host_unit *u, const char *name, host_kernel **out, fa_error *e) {
    const xrt_library *x = &u->host->xrt;
    char full[2 * WIRE_NAME + 16];
    for (int i = 0; i < u->n_kernels; i++)
        if (!strcmp(u->kernel[i].name, name)) {
            *out = &u->kernel[i];
            return FA_OK;
        }
    if (u->n_kernels == HOST_KERNELS) return fa_fail(e, FA_ELIMIT, "%s: more than %d kernels", name, HOST_KERNELS);
    host_kernel k = {0};
    snprintf(k.name, sizeof k.name, "%s", name);
    snprintf(full, sizeof full, "%s:{%s_%d}", name, name, u->index + 1);
    k.kernel = x->xrtPLKernelOpen(u->host->device, u->host->image, full);
    if (!k.kernel) return fa_fail(e, FA_EINVAL, "the card's image has no compute unit %s", full);
    k.run = x->xrtRunOpen(k.kernel);
    if (!k.run) {
        x->xrtKernelClose(k.kernel);
        return fa_fail(e, FA_EDEVICE, "XRT: no run of %s", full);
    }
    u->kernel[u->n_kernels] = k;
    *out = &u->kernel[u->n_kernels++];
    return FA_OK;
}

/* A pointer into a buffer is a sub-buffer from there, which is freed after the run. */
static fa_status set_pointer(host_unit *u, xrtRunHandle run, int i, const wire_arg *a, xrtBufferHandle *sub,
                             fa_error *e) {
    host *h = u->host;
    pthread_mutex_lock(&h->lock);
    xrtBufferHandle b = a->buffer < 0 ? h->nowhere.handle : host_find(h, a->buffer, a->value, sizeof(hls_word));
    uint64_t bytes = a->buffer < 0 || !b ? 0 : h->buffers[a->buffer].bytes;
    pthread_mutex_unlock(&h->lock);
    if (!b) return fa_fail(e, FA_EINVAL, "argument %d: no buffer %d, or not so long", i, a->buffer);
    if (a->buffer >= 0 && a->value) b = *sub = h->xrt.xrtBOSubAlloc(b, bytes - a->value, a->value);
    return b && !h->xrt.set_buffer(&h->xrt, run, i, b) ? FA_OK
                                                       : fa_fail(e, FA_EDEVICE, "XRT does not take argument %d", i);
}

static fa_status set_args(host_unit *u, xrtRunHandle run, const host_launch *l, xrtBufferHandle *subs, fa_error *e) {
    const xrt_library *x = &u->host->xrt;
    fa_status s = FA_OK;
    for (int i = 0; i < l->n_args && !s; i++) {
        const wire_arg *a = &l->args[i];
        int failed = 0;
        if (a->type == WIRE_POINTER)
            s = set_pointer(u, run, i, a, &subs[i], e);
        else if (a->type == WIRE_U64)
            failed = x->set_long(x, run, i, a->value);
        else
            failed = x->set_word(x, run, i, (uint32_t)a->value);
        if (failed) s = fa_fail(e, FA_EDEVICE, "XRT does not take argument %d", i);
    }
    return s;
}

static fa_status run_to_end(host_unit *u, const host_kernel *k, fa_error *e) {
    const xrt_library *x = &u->host->xrt;
    double start = now_s(), deadline = 1e-3 * u->host->open.deadline_ms;
    if (x->xrtRunStart(k->run)) return fa_fail(e, FA_EDEVICE, "%s: XRT does not start it", k->name);
    enum ert_cmd_state state = ERT_CMD_STATE_NEW;
    while (state != ERT_CMD_STATE_COMPLETED && state != ERT_CMD_STATE_ERROR && state != ERT_CMD_STATE_ABORT &&
           now_s() - start < deadline) {
        double left_ms = (deadline - now_s() + start) * 1e3;
        state = x->xrtRunWaitFor(k->run, left_ms < 1 ? 1 : left_ms < WAIT_MS ? (unsigned)left_ms : WAIT_MS);
        if (state == ERT_CMD_STATE_TIMEOUT) state = x->xrtRunState(k->run); /* of the wait, or of the run? */
    }
    u->busy_s += now_s() - start;
    if (state == ERT_CMD_STATE_COMPLETED) return FA_OK;
    u->stuck = true;
    if (state == ERT_CMD_STATE_ERROR || state == ERT_CMD_STATE_ABORT)
        return fa_fail(e, FA_EDEVICE, "unit %d: %s ended with an error", u->index, k->name);
    return fa_fail(e, FA_EDEVICE, "unit %d: %s did not end within %g s", u->index, k->name, deadline);
}

static fa_status run_launch(host_unit *u, const host_launch *l, fa_error *e) {
    xrtBufferHandle subs[HLS_KERNEL_ARGS] = {0};
    host_kernel *k = NULL;
    fa_status s = open_kernel(u, l->kernel, &k, e);
    if (s) return s;
    s = set_args(u, k->run, l, subs, e);
    if (s) fa_error_prefix(e, s, "%s", l->kernel);
    if (!s) s = run_to_end(u, k, e);
    for (int i = 0; i < l->n_args; i++)
        if (subs[i]) u->host->xrt.xrtBOFree(subs[i]);
    return s;
}

/* ---- the queue of a unit ---- */

static void *work(void *arg) {
    host_unit *u = arg;
    host *h = u->host;
    host_launch l;
    pthread_mutex_lock(&h->lock);
    for (;;) {
        while (!u->n && !h->closing) pthread_cond_wait(&h->changed, &h->lock);
        if (h->closing) break;
        l = u->queue[u->first];
        bool skip = u->stuck || h->failure.status;
        fa_error e = {0};
        pthread_mutex_unlock(&h->lock);
        fa_status s = skip ? FA_OK : run_launch(u, &l, &e);
        pthread_mutex_lock(&h->lock);
        if (s && !h->failure.status) h->failure = e;
        u->first = (u->first + 1) % HOST_QUEUE;
        u->n--;
        pthread_cond_broadcast(&h->changed);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

fa_status host_units_open(host *h, fa_error *e) {
    h->units = calloc((size_t)h->open.units, sizeof *h->units);
    if (!h->units) return fa_fail(e, FA_ENOMEM, "no memory for %d units", h->open.units);
    for (int32_t i = 0; i < h->open.units; i++) {
        host_unit *u = &h->units[i];
        *u = (host_unit){.host = h, .index = i};
        if (pthread_create(&u->thread, NULL, work, u)) return fa_fail(e, FA_ENOMEM, "no thread for unit %d", i);
        u->started = true;
    }
    return FA_OK;
}

void host_units_close(host *h) {
    pthread_mutex_lock(&h->lock);
    h->closing = true;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    for (int32_t i = 0; h->units && i < h->open.units; i++) {
        host_unit *u = &h->units[i];
        if (u->started) pthread_join(u->thread, NULL);
        for (int k = 0; k < u->n_kernels; k++) {
            h->xrt.xrtRunClose(u->kernel[k].run);
            h->xrt.xrtKernelClose(u->kernel[k].kernel);
        }
    }
    free(h->units);
    h->units = NULL;
}

void host_launch_later(host *h, const wire_request *r) {
    pthread_mutex_lock(&h->lock);
    if (r->unit < 0 || r->unit >= h->open.units || r->n_args < 0 || r->n_args > HLS_KERNEL_ARGS) {
        if (!h->failure.status) fa_fail(&h->failure, FA_EINVAL, "unit %d, %d arguments", r->unit, r->n_args);
        pthread_mutex_unlock(&h->lock);
        return;
    }
    host_unit *u = &h->units[r->unit];
    while (u->n == HOST_QUEUE) pthread_cond_wait(&h->changed, &h->lock);
    host_launch *l = &u->queue[(u->first + u->n++) % HOST_QUEUE];
    memcpy(l->kernel, r->name, sizeof l->kernel);
    l->n_args = r->n_args;
    memcpy(l->args, r->args, (size_t)r->n_args * sizeof *l->args);
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

fa_status host_wait(host *h, wire_reply *reply, fa_error *e) {
    pthread_mutex_lock(&h->lock);
    for (int32_t i = 0; i < h->open.units; i++) {
        while (h->units[i].n) pthread_cond_wait(&h->changed, &h->lock);
        reply->stuck |= h->units[i].stuck;
        reply->busy_s += h->units[i].busy_s;
    }
    fa_status s = h->failure.status;
    if (s) *e = h->failure;
    h->failure = (fa_error){0};
    pthread_mutex_unlock(&h->lock);
    return s;
}
