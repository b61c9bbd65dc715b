#include "host/cluster/rank/link.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    LOOKS = 200,
    YIELDS = 200,
    NAP_NS = 50000,
    LONG_NAP_NS = 1000000,
    LONG_AFTER_NS = 500000000,
    HEAR_NS = 300000000
};
enum { MOST_RANKS = 1024 };

static const char *const tag_names[FA_TAGS] = {
    [FA_TAG_ALARM] = "alarm",       [FA_TAG_SETUP] = "set-up",    [FA_TAG_HELLO] = "hello",
    [FA_TAG_STEP] = "step",         [FA_TAG_STREAM] = "stream",   [FA_TAG_KEYS] = "keys",
    [FA_TAG_DISPATCH] = "dispatch", [FA_TAG_COMBINE] = "combine", [FA_TAG_LOGITS] = "logits"};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (int64_t)1000000000 + t.tv_nsec;
}

static fa_status failed(fa_link *l, int code, const char *what, int32_t peer, fa_error *e) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int n = 0;
    MPI_Error_string(code, text, &n);
    l->blamed = peer;
    return fa_fail(e, FA_EDEVICE, "cluster: rank %d: %s with rank %d: %s", l->rank, what, peer, text);
}

static void listen_for_alarms(fa_link *l) {
    if (l->rank || l->size == 1) return;
    MPI_Irecv(&l->alarm, sizeof l->alarm, MPI_BYTE, MPI_ANY_SOURCE, FA_TAG_ALARM, l->comm, &l->listening);
}

fa_status fa_link_open(fa_link *l, MPI_Comm comm, int64_t deadline_ms, fa_error *e) {
    int rank, size;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &size);
    *l = (fa_link){.comm = comm,
                   .rank = rank,
                   .size = size,
                   .deadline_ns = deadline_ms * 1000000,
                   .blamed = -1,
                   .listening = MPI_REQUEST_NULL};
    if (size > MOST_RANKS) return fa_fail(e, FA_EINVAL, "cluster: %d ranks are more than %d", size, MOST_RANKS);
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    listen_for_alarms(l);
    return FA_OK;
}

void fa_link_close(fa_link *l) {
    if (l->listening != MPI_REQUEST_NULL) {
        MPI_Cancel(&l->listening);
        MPI_Wait(&l->listening, MPI_STATUS_IGNORE);
    }
}

fa_status fa_link_send(fa_link *l, int32_t to, fa_tag tag, const void *data, int64_t bytes, fa_parcel *p, fa_error *e) {
    if (bytes > INT32_MAX)
        return fa_fail(e, FA_ELIMIT, "cluster: a message of %lld bytes: let steps have fewer rows", (long long)bytes);
    int code = MPI_Isend(data, (int)bytes, MPI_BYTE, to, (int)tag, l->comm, &p->request);
    if (code) return failed(l, code, tag_names[tag], to, e);
    p->peer = to;
    p->tag = tag;
    p->under_way = true;
    l->bytes[tag] += bytes;
    l->sent[tag]++;
    return FA_OK;
}

fa_status fa_link_receive(fa_link *l, int32_t from, fa_tag tag, void *data, int64_t most, fa_parcel *p, fa_error *e) {
    int code =
        MPI_Irecv(data, most > INT32_MAX ? INT32_MAX : (int)most, MPI_BYTE, from, (int)tag, l->comm, &p->request);
    if (code) return failed(l, code, tag_names[tag], from, e);
    p->peer = from;
    p->tag = tag;
    p->under_way = true;
    return FA_OK;
}

/* Another rank's alarm, if one came. */
static bool alarmed(fa_link *l, fa_error *e) {
    int came = 0;
    MPI_Status status;
    if (l->rank || l->listening == MPI_REQUEST_NULL) return false;
    MPI_Test(&l->listening, &came, &status);
    if (!came) return false;
    l->alarm.text[sizeof l->alarm.text - 1] = 0;
    fa_fail(e, (fa_status)l->alarm.status, "%s", l->alarm.text);
    return true;
}

/* Looks whether a parcel arrived. */
static fa_status look(fa_link *l, fa_parcel *p, int64_t *bytes, fa_error *e) {
    int done = 0, n = 0;
    MPI_Status status;
    int code = MPI_Test(&p->request, &done, &status);
    if (code) return failed(l, code, tag_names[p->tag], p->peer, e);
    if (!done) return FA_OK;
    p->under_way = false;
    if (bytes) {
        MPI_Get_count(&status, MPI_BYTE, &n);
        *bytes = n;
    }
    return FA_OK;
}

/* Between looks number n and n + 1: a while without rest, then others may run, then sleep. */
static void rest(int64_t n, int64_t waited_ns) {
    if (n < LOOKS) return;
    if (n < LOOKS + YIELDS) {
        sched_yield();
        return;
    }
    struct timespec nap = {0, waited_ns > LONG_AFTER_NS ? LONG_NAP_NS : NAP_NS};
    nanosleep(&nap, NULL);
}

fa_status fa_link_wait(fa_link *l, fa_parcel *p, int64_t *bytes, fa_error *e) {
    int64_t start = now_ns(), waited = 0;
    fa_status s = FA_OK;
    for (int64_t n = 0; p->under_way && !s; n++) {
        s = look(l, p, bytes, e);
        waited = now_ns() - start;
        if (!p->under_way || s) break;
        if (alarmed(l, e)) return e ? e->status : FA_EDEVICE;
        if (waited > l->deadline_ns) {
            l->blamed = p->peer;
            return fa_fail(e, FA_EDEVICE, "cluster: rank %d: nothing from rank %d for %.1f s (%s)", l->rank, p->peer,
                           (double)waited * 1e-9, tag_names[p->tag]);
        }
        rest(n, waited);
    }
    l->waited_ns[p->tag] += waited;
    return s;
}

fa_status fa_link_idle(fa_link *l, fa_parcel *p, int64_t *bytes, bool (*idle)(void *ctx), void *ctx, fa_error *e) {
    int64_t start = now_ns();
    fa_status s = FA_OK;
    for (int64_t n = 0; p->under_way && !s; n++) {
        s = look(l, p, bytes, e);
        if (!p->under_way || s) break;
        if (idle && !idle(ctx)) return fa_fail(e, FA_ECANCELLED, "cluster: rank %d: ends", l->rank);
        rest(n, now_ns() - start);
    }
    return s;
}

void fa_link_nudge(fa_link *l) {
    int any;
    MPI_Iprobe(MPI_ANY_SOURCE, FA_TAG_ALARM, l->comm, &any, MPI_STATUS_IGNORE);
}

void fa_link_raise(fa_link *l, const fa_error *why) {
    if (!l->rank) return;
    fa_alarm a = {.rank = l->rank, .status = (int32_t)why->status, .blamed = l->blamed};
    fa_parcel p = {0};
    fa_error ignored;
    snprintf(a.text, sizeof a.text, "%s", why->text);
    if (!fa_link_send(l, 0, FA_TAG_ALARM, &a, sizeof a, &p, &ignored)) fa_link_wait(l, &p, NULL, &ignored);
}

/* Alarms that come together. */
typedef struct hearing {
    bool complained[MOST_RANKS];
    int32_t blamed[MOST_RANKS], n;
    fa_error own; /* of a rank that waited for nobody */
} hearing;

static void hear(hearing *h, const fa_alarm *a) {
    if (a->rank >= 0 && a->rank < MOST_RANKS) h->complained[a->rank] = true;
    if (a->blamed < 0 && !h->own.status)
        fa_fail(&h->own, FA_EDEVICE, "%s", a->text);
    else if (a->blamed >= 0 && a->blamed < MOST_RANKS && h->n < MOST_RANKS)
        h->blamed[h->n++] = a->blamed;
}

void fa_link_find_cause(fa_link *l, fa_error *e) {
    hearing h = {0};
    bool heard = l->listening == MPI_REQUEST_NULL;
    if (l->rank || l->size == 1 || (l->blamed < 0 && !heard)) return;
    if (l->blamed >= 0) hear(&h, &(fa_alarm){.rank = 0, .blamed = l->blamed});
    if (heard) hear(&h, &l->alarm);
    for (int64_t until = now_ns() + HEAR_NS; now_ns() < until;) {
        fa_error ignored;
        const struct timespec nap = {0, LONG_NAP_NS};
        if (l->listening == MPI_REQUEST_NULL) listen_for_alarms(l);
        if (alarmed(l, &ignored))
            hear(&h, &l->alarm);
        else
            nanosleep(&nap, NULL);
    }
    if (h.own.status) *e = h.own;
    for (int32_t i = 0; i < h.n && !h.own.status; i++)
        if (!h.complained[h.blamed[i]]) fa_fail(e, FA_EDEVICE, "cluster: rank %d does not answer", h.blamed[i]);
}
