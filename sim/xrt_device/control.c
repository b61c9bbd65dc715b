#include "sim/xrt_device/control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sim/xrt_device/card.h"

enum { LAST_S = 5 };

void xrt_card_fail(xrt_card *c, const fa_error *e) {
    xrt_control m = {.kind = XRT_CONTROL_FAILED, .status = e->status, .value = c->sim && c->sim->state == SIM_GONE};
    snprintf(m.text, sizeof m.text, "%s", e->text);
    if (c->control >= 0)
        send(c->control, &m, sizeof m, MSG_NOSIGNAL);
    else
        fprintf(stderr, "fathom-xrt-device: %s\n", e->text);
    for (;;) raise(SIGKILL);
}

static fa_status answer(xrt_card *c, xrt_control *m, fa_error *e) {
    fa_device *d = c->device;
    switch (m->kind) {
    case XRT_CONTROL_NOWHERE: c->nowhere = (uint64_t)m->value; return FA_OK;
    case XRT_CONTROL_JOIN: sim_join_units(c->sim); return FA_OK;
    case XRT_CONTROL_STATS:
        m->stats = d->stats(d);
        m->value = fa_sim_faults_happened(d);
        return FA_OK;
    case XRT_CONTROL_BANK:
        if (m->value < 0 || m->value >= d->banks) return fa_fail(e, FA_EINVAL, "bank %lld", (long long)m->value);
        m->bank = d->bank(d, (int32_t)m->value);
        return FA_OK;
    case XRT_CONTROL_TIMELINE: m->text[sizeof m->text - 1] = 0; return d->timeline(d, m->text, e);
    case XRT_CONTROL_FAULT:
        if (m->value < 0 || m->value > XRT_CONTROL_FAULTS)
            return fa_fail(e, FA_EINVAL, "%lld faults", (long long)m->value);
        return fa_sim_inject(d, m->faults, (int)m->value, e);
    case XRT_CONTROL_RESET: {
        bool lost;
        return d->recover(d, &lost, e);
    }
    default: return fa_fail(e, FA_EINVAL, "control message %u is unknown", m->kind);
    }
}

void *xrt_card_control(void *card) {
    xrt_card *c = card;
    xrt_control m = {.kind = XRT_CONTROL_HELLO, .value = XRT_CONTROL_VERSION};
    while (send(c->control, &m, sizeof m, MSG_NOSIGNAL) == sizeof m) {
        fa_error e = {0};
        ssize_t n;
        while ((n = recv(c->control, &m, sizeof m, 0)) < 0 && errno == EINTR) continue;
        if (n != sizeof m) break;
        pthread_mutex_lock(&c->lock);
        m.status = answer(c, &m, &e);
        pthread_mutex_unlock(&c->lock);
        if (m.status) snprintf(m.text, sizeof m.text, "%s", e.text);
    }
    sleep(LAST_S); /* the host process cleans up, and ends this one; else XRT ends with its model */
    for (;;) raise(SIGKILL);
}
