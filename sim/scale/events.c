#include <stdlib.h>

#include "sim/scale/state.h"

static bool earlier(const event *a, const event *b) {
    if (a->at != b->at) return a->at < b->at;
    if (a->kind != b->kind) return a->kind < b->kind;
    return a->number < b->number;
}

fa_status events_push(events *q, double at, event_kind kind, int32_t id, fa_error *e) {
    if (q->n == q->room) {
        int64_t room = q->room ? 2 * q->room : 1024;
        event *more = realloc(q->heap, (size_t)room * sizeof *more);
        if (!more) return fa_fail(e, FA_ENOMEM, "serve: memory ran out for events");
        q->heap = more;
        q->room = room;
    }
    event new = {at, q->number++, kind, id};
    int64_t i = q->n++;
    for (int64_t above; i && earlier(&new, &q->heap[above = (i - 1) / 2]); i = above) q->heap[i] = q->heap[above];
    q->heap[i] = new;
    return FA_OK;
}

bool events_before(const events *q, double at) {
    return q->n && q->heap[0].at <= at;
}

event events_pop(events *q) {
    event first = q->heap[0], moving = q->heap[--q->n];
    int64_t i = 0;
    for (int64_t below; (below = 2 * i + 1) < q->n; i = below) {
        if (below + 1 < q->n && earlier(&q->heap[below + 1], &q->heap[below])) below++;
        if (!earlier(&q->heap[below], &moving)) break;
        q->heap[i] = q->heap[below];
    }
    q->heap[i] = moving;
    return first;
}
