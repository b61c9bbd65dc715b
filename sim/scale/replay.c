#include <math.h>
#include <stdlib.h>

#include "sim/scale/arrivals.h"

enum { MOST_COPIES = 10000000 };

/* One copy of the recording: the next request of it. */
typedef struct copy {
    double seconds; /* when it comes */
    double start;   /* when this round of the recording began, below 0 in the first */
    int64_t item;
    uint64_t random;
} copy;

struct fa_replay {
    const fa_recording *recording;
    double end, keep; /* keep: the chance of a request */
    int64_t n;
    copy *heap; /* the earliest first */
};

/* splitmix64 */
static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double uniform(uint64_t *state) {
    return (double)(draw(state) >> 11) * 0x1p-53;
}

static void sink(fa_replay *p, int64_t at) {
    copy moving = p->heap[at];
    for (int64_t below; (below = 2 * at + 1) < p->n; at = below) {
        if (below + 1 < p->n && p->heap[below + 1].seconds < p->heap[below].seconds) below++;
        if (moving.seconds <= p->heap[below].seconds) break;
        p->heap[at] = p->heap[below];
    }
    p->heap[at] = moving;
}

static void advance(const fa_replay *p, copy *c) {
    if (++c->item == p->recording->n) {
        c->item = 0;
        c->start += p->recording->seconds;
    }
    c->seconds = c->start + p->recording->item[c->item].seconds;
}

/* The first request at or behind `phase` of the recording. */
static int64_t first_behind(const fa_recording *r, double phase) {
    int64_t low = 0, high = r->n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (r->item[middle].seconds < phase)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void begin(fa_replay *p, uint64_t seed, bool at_random) {
    for (int64_t i = 0; i < p->n; i++) {
        uint64_t random = seed + (uint64_t)i * 0x2545f4914f6cdd1du;
        double phase = at_random ? uniform(&random) * p->recording->seconds : 0;
        copy c = {.start = -phase, .item = first_behind(p->recording, phase) - 1, .random = random};
        advance(p, &c);
        p->heap[i] = c;
    }
    for (int64_t i = p->n / 2; i-- > 0;) sink(p, i);
}

fa_status fa_replay_open(fa_replay **out, const fa_recording *r, double rate, double seconds, uint64_t seed,
                         fa_error *e) {
    *out = NULL;
    double recorded = (double)r->n / r->seconds, copies = rate > 0 ? ceil(rate / recorded * (1 - 1e-12)) : 1;
    if (!(copies <= MOST_COPIES))
        return fa_fail(e, FA_EINVAL,
                       "rate: %g requests/s are %g copies of a recording of %g/s, at most %d are possible", rate,
                       copies, recorded, MOST_COPIES);
    fa_replay *p = calloc(1, sizeof *p);
    copy *heap = calloc((size_t)copies, sizeof *heap);
    if (!p || !heap) {
        free(p);
        free(heap);
        return fa_fail(e, FA_ENOMEM, "replay: memory ran out for %g copies", copies);
    }
    *p = (fa_replay){.recording = r,
                     .end = seconds,
                     .keep = rate > 0 ? rate / (copies * recorded) : 1,
                     .n = (int64_t)copies,
                     .heap = heap};
    begin(p, seed, rate > 0);
    *out = p;
    return FA_OK;
}

void fa_replay_close(fa_replay *p) {
    if (p) free(p->heap);
    free(p);
}

static bool next(void *ctx, fa_arrival *a) {
    fa_replay *p = ctx;
    for (;;) {
        copy *c = p->heap;
        if (c->seconds >= p->end) return false;
        bool kept = p->keep >= 1 || uniform(&c->random) < p->keep;
        *a = p->recording->item[c->item];
        a->seconds = c->seconds;
        advance(p, c);
        sink(p, 0);
        if (kept) return true;
    }
}

fa_arrivals fa_replay_arrivals(fa_replay *p) {
    return (fa_arrivals){next, p};
}
