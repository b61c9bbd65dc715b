#include "host/server/admission.h"

#include <stdlib.h>

#define MINUTE_MS INT64_C(60000)
#define RETRY_MAX_S 60
/* share of the last request's length in the mean of lengths */
#define MEAN_SHARE 0.125

/* Level of a token bucket that holds one minute; below 0 after something larger than what it held. */
typedef struct bucket {
    double level;
    int64_t filled_ms; /* up to when */
} bucket;

typedef struct member {
    bool known;
    fa_key_limits limits;
    int64_t first_active_ms;
    int32_t waiting, running;
    int64_t started; /* the number of the request of this key that started last, among all */
    bucket requests, tokens;
} member;

typedef struct place {
    uint64_t ticket; /* 0: free */
    int32_t slot;
    bool running, newcomer;
    int64_t started_ms;
} place;

struct fa_admission {
    fa_admission_options o;
    member *members;
    int32_t n_members, room;
    place *places; /* o.places + o.queue */
    uint64_t last_ticket;
    int64_t starts;
    double mean_ms;          /* how long a request runs; 0: none has ended */
    int64_t overload_ms;     /* when the overload began */
    int64_t last_crowded_ms; /* when it last had a reason */
    int64_t established_ms;  /* when an established key last asked */
    fa_admission_view view;
};

static const struct {
    int status;
    const char *code, *text;
} refusals[] = {
#define REFUSAL(id, status, code, text) {status, code, text},
    FA_REFUSALS(REFUSAL)
#undef REFUSAL
};

int fa_refusal_status(fa_refusal r) {
    return refusals[r].status;
}

const char *fa_refusal_code(fa_refusal r) {
    return refusals[r].code;
}

const char *fa_refusal_text(fa_refusal r) {
    return refusals[r].text;
}

fa_admission_options fa_admission_defaults(int32_t places) {
    return (fa_admission_options){
        .places = places,
        .queue = 8 * places,
        .reserve = places / 4,
        .newcomer_places = places / 8 > 1 ? places / 8 : 1,
        .settle_ms = 10 * MINUTE_MS,
        .about_ms = 10 * MINUTE_MS,
        .calm_ms = 10000,
    };
}

static fa_status check_options(const fa_admission_options *o, fa_error *e) {
    const struct {
        const char *name;
        int64_t value, min, max;
    } table[] = {
        {"places", o->places, 1, 1024},
        {"queue", o->queue, 1, 65536},
        {"reserve", o->reserve, 0, o->places - 1},
        {"newcomer places", o->newcomer_places, 1, o->places},
        {"settle time", o->settle_ms, 0, INT64_MAX / 4},
        {"about time", o->about_ms, 0, INT64_MAX / 4},
        {"calm time", o->calm_ms, 0, INT64_MAX / 4},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].value < table[i].min || table[i].value > table[i].max)
            return fa_fail(e, FA_EINVAL, "admission: %s is %lld, not in %lld..%lld", table[i].name,
                           (long long)table[i].value, (long long)table[i].min, (long long)table[i].max);
    return FA_OK;
}

fa_status fa_admission_open(fa_admission **out, const fa_admission_options *o, fa_error *e) {
    *out = NULL;
    fa_status s = check_options(o, e);
    if (s) return s;
    fa_admission *a = calloc(1, sizeof *a);
    if (a) a->places = calloc((size_t)o->places + (size_t)o->queue, sizeof *a->places);
    if (!a || !a->places) {
        free(a);
        return fa_fail(e, FA_ENOMEM, "memory ran out");
    }
    a->o = *o;
    a->established_ms = INT64_MIN / 2;
    *out = a;
    return FA_OK;
}

void fa_admission_close(fa_admission *a) {
    if (!a) return;
    free(a->members);
    free(a->places);
    free(a);
}

fa_status fa_admission_key(fa_admission *a, int32_t slot, const fa_key_limits *limits, int64_t first_active_ms,
                           fa_error *e) {
    if (slot >= a->room) {
        int32_t room = slot < 32 ? 64 : 2 * slot;
        member *more = realloc(a->members, (size_t)room * sizeof *more);
        if (!more) return fa_fail(e, FA_ENOMEM, "memory ran out");
        for (int32_t i = a->room; i < room; i++) more[i] = (member){0};
        a->members = more;
        a->room = room;
    }
    member *m = &a->members[slot];
    if (!m->known) {
        /* full, and so full whatever the clock says */
        m->requests = (bucket){limits->requests_per_minute, INT64_MIN / 2};
        m->tokens = (bucket){(double)limits->tokens_per_minute, INT64_MIN / 2};
        m->first_active_ms = first_active_ms;
        m->known = true;
    }
    m->limits = *limits;
    if (first_active_ms < m->first_active_ms)
        m->first_active_ms = first_active_ms; /* what is in memory may not be written yet */
    if (slot >= a->n_members) a->n_members = slot + 1;
    return FA_OK;
}

/* ---- the rules ---- */

static void fill(bucket *b, int64_t now_ms, double per_minute) {
    double more = (double)(now_ms - b->filled_ms) * per_minute / (double)MINUTE_MS;
    b->level = b->level + more < per_minute ? b->level + more : per_minute;
    b->filled_ms = now_ms;
}

static int32_t whole_seconds(double ms) {
    double s = ms / 1000.0;
    if (!(s < RETRY_MAX_S)) return RETRY_MAX_S;
    int32_t n = (int32_t)s;
    n += (double)n < s;
    return n < 1 ? 1 : n;
}

/* Until the bucket holds `want`. */
static int32_t wait_for(const bucket *b, double want, double per_minute) {
    return whole_seconds((want - b->level) * (double)MINUTE_MS / per_minute);
}

/* Until `ahead` requests have been through `places` places. */
static int32_t wait_behind(const fa_admission *a, int32_t ahead, int32_t places) {
    return whole_seconds(a->mean_ms * (double)(ahead + 1) / (double)places);
}

/* Begins and ends the overload. */
static void watch(fa_admission *a, int64_t now_ms) {
    fa_admission_view *v = &a->view;
    if (v->waiting >= a->o.places && !v->overloaded) {
        v->overloaded = true;
        a->overload_ms = now_ms;
    }
    if (4 * v->waiting >= a->o.places) a->last_crowded_ms = now_ms;
    if (v->overloaded && now_ms - a->last_crowded_ms >= a->o.calm_ms) v->overloaded = false;
}

static bool is_established(const fa_admission *a, const member *m, int64_t now_ms) {
    int64_t since = a->view.overloaded ? a->overload_ms : now_ms;
    return m->first_active_ms <= since - a->o.settle_ms;
}

/* Whether newcomers are held to their share now. */
static bool is_shared(const fa_admission *a, int64_t now_ms) {
    return a->view.overloaded && now_ms - a->established_ms <= a->o.about_ms;
}

static int32_t newcomer_places(const fa_admission *a, int64_t now_ms) {
    return is_shared(a, now_ms) ? a->o.newcomer_places : a->o.places - a->o.reserve;
}

static int32_t newcomer_queue(const fa_admission *a, int64_t now_ms) {
    int64_t part = is_shared(a, now_ms) ? (int64_t)a->o.queue * a->o.newcomer_places / a->o.places : a->o.queue / 2;
    return part > 1 ? (int32_t)part : 1;
}

static fa_decision refuse(fa_refusal why, int32_t retry_after_s) {
    return (fa_decision){.refusal = why, .retry_after_s = retry_after_s};
}

static fa_decision decide(fa_admission *a, int64_t now_ms, member *m, bool broke, bool newcomer) {
    const fa_admission_view *v = &a->view;
    const fa_key_limits *l = &m->limits;
    if (broke) return (fa_decision){.refusal = FA_REFUSE_BALANCE};
    if (l->concurrency && m->waiting + m->running >= l->concurrency)
        return refuse(FA_REFUSE_CONCURRENCY, wait_behind(a, 0, 1));
    if (l->requests_per_minute) {
        fill(&m->requests, now_ms, l->requests_per_minute);
        if (m->requests.level < 1) return refuse(FA_REFUSE_REQUESTS, wait_for(&m->requests, 1, l->requests_per_minute));
    }
    if (l->tokens_per_minute) {
        fill(&m->tokens, now_ms, (double)l->tokens_per_minute);
        if (m->tokens.level <= 0)
            return refuse(FA_REFUSE_TOKENS, wait_for(&m->tokens, 1, (double)l->tokens_per_minute));
    }
    if (newcomer && v->newcomers_waiting >= newcomer_queue(a, now_ms))
        return refuse(FA_REFUSE_NEWCOMERS, wait_behind(a, v->newcomers_waiting, newcomer_places(a, now_ms)));
    if (v->waiting >= a->o.queue) return refuse(FA_REFUSE_QUEUE, wait_behind(a, v->waiting, a->o.places));
    return (fa_decision){.refusal = FA_REFUSE_NONE};
}

static place *free_place(fa_admission *a) {
    place *p = a->places;
    while (p->ticket) p++; /* there is one: at most o.places run and at most o.queue wait */
    return p;
}

fa_decision fa_admission_ask(fa_admission *a, int64_t now_ms, int32_t slot, bool broke) {
    member *m = &a->members[slot];
    watch(a, now_ms);
    bool newcomer = !is_established(a, m, now_ms);
    if (!newcomer) a->established_ms = now_ms;
    fa_decision d = decide(a, now_ms, m, broke, newcomer);
    a->view.asked++;
    a->view.refused[d.refusal]++;
    if (d.refusal) return d;
    d.ticket = ++a->last_ticket;
    d.newcomer = newcomer;
    *free_place(a) = (place){.ticket = d.ticket, .slot = slot, .newcomer = newcomer};
    if (m->limits.requests_per_minute) m->requests.level -= 1;
    m->waiting++;
    a->view.waiting++;
    a->view.newcomers_waiting += newcomer;
    watch(a, now_ms);
    return d;
}

/* Whether `p` goes before `q`: established keys first, then the key with fewer running, then the key that waited longest for a start, then who came first. */
static bool goes_before(const fa_admission *a, const place *p, const place *q, bool newcomers_turn) {
    const member *m = &a->members[p->slot], *other = &a->members[q->slot];
    if (p->newcomer != q->newcomer) return p->newcomer == newcomers_turn;
    if (m->running != other->running) return m->running < other->running;
    if (m->started != other->started) return m->started < other->started;
    return p->ticket < q->ticket;
}

uint64_t fa_admission_next(fa_admission *a, int64_t now_ms) {
    fa_admission_view *v = &a->view;
    watch(a, now_ms);
    if (v->running >= a->o.places || !v->waiting) return 0;
    bool newcomers_may = v->newcomers_running < newcomer_places(a, now_ms);
    bool newcomers_turn = !v->newcomers_running && v->running > 0; /* one place is theirs, but never the only one */
    place *best = NULL;
    for (place *p = a->places; p < a->places + a->o.places + a->o.queue; p++)
        if (p->ticket && !p->running && (!p->newcomer || newcomers_may) &&
            (!best || goes_before(a, p, best, newcomers_turn)))
            best = p;
    if (!best) return 0;
    member *m = &a->members[best->slot];
    best->running = true;
    best->started_ms = now_ms;
    m->started = ++a->starts;
    m->waiting--;
    m->running++;
    v->waiting--;
    v->running++;
    v->newcomers_waiting -= best->newcomer;
    v->newcomers_running += best->newcomer;
    return best->ticket;
}

static place *find(fa_admission *a, uint64_t ticket) {
    for (place *p = a->places; ticket && p < a->places + a->o.places + a->o.queue; p++)
        if (p->ticket == ticket) return p;
    return NULL;
}

uint64_t fa_admission_shed(fa_admission *a, int64_t now_ms, fa_decision *why) {
    fa_admission_view *v = &a->view;
    place *newest = NULL;
    watch(a, now_ms);
    if (v->newcomers_waiting <= newcomer_queue(a, now_ms)) return 0;
    for (place *p = a->places; p < a->places + a->o.places + a->o.queue; p++)
        if (p->ticket && !p->running && p->newcomer && (!newest || p->ticket > newest->ticket)) newest = p;
    if (!newest) return 0;
    uint64_t ticket = newest->ticket;
    *why = refuse(FA_REFUSE_NEWCOMERS, wait_behind(a, v->newcomers_waiting, newcomer_places(a, now_ms)));
    v->refused[FA_REFUSE_NEWCOMERS]++;
    fa_admission_leave(a, now_ms, ticket, 0, false);
    return ticket;
}

int32_t fa_admission_leave(fa_admission *a, int64_t now_ms, uint64_t ticket, int64_t tokens, bool finished) {
    place *p = find(a, ticket);
    if (!p) return -1;
    int32_t slot = p->slot;
    member *m = &a->members[slot];
    fa_admission_view *v = &a->view;
    if (p->running) {
        double ms = (double)(now_ms - p->started_ms);
        a->mean_ms = a->mean_ms > 0 ? a->mean_ms + MEAN_SHARE * (ms - a->mean_ms) : ms;
        m->running--;
        v->running--;
        v->newcomers_running -= p->newcomer;
    } else {
        m->waiting--;
        v->waiting--;
        v->newcomers_waiting -= p->newcomer;
    }
    if (m->limits.tokens_per_minute) {
        fill(&m->tokens, now_ms, (double)m->limits.tokens_per_minute);
        m->tokens.level -= (double)tokens;
    }
    if (finished && m->first_active_ms > now_ms) m->first_active_ms = now_ms;
    p->ticket = 0;
    watch(a, now_ms);
    return slot;
}

double fa_admission_share(const fa_admission *a, int64_t now_ms) {
    if (!is_shared(a, now_ms) || a->view.waiting > a->view.newcomers_waiting) return 1;
    return (double)a->o.newcomer_places / a->o.places;
}

fa_admission_view fa_admission_look(const fa_admission *a) {
    return a->view;
}
