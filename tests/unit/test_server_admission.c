/* Every rule of admission, with a clock that the test turns. */
#include <inttypes.h>
#include <stdlib.h>

#include "host/server/admission.h"
#include "tests/lib/check.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define NEVER INT64_MAX
/* when tests begin, and a first activity long before */
#define T0 (1000 * MINUTE)
#define LONG_AGO (T0 - 500 * MINUTE)

static fa_admission *gate(fa_admission_options o) {
    fa_error e;
    fa_admission *a;
    CHECK_OK(fa_admission_open(&a, &o, &e), &e);
    return a;
}

static void key(fa_admission *a, int32_t slot, fa_key_limits limits, int64_t first_active) {
    fa_error e;
    CHECK_OK(fa_admission_key(a, slot, &limits, first_active, &e), &e);
}

static uint64_t must_ask(fa_admission *a, int64_t now, int32_t slot) {
    fa_decision d = fa_admission_ask(a, now, slot, false);
    CHECK(d.refusal == FA_REFUSE_NONE && d.ticket, "slot %d: %s", slot, fa_refusal_text(d.refusal));
    return d.ticket;
}

static void must_refuse(fa_admission *a, int64_t now, int32_t slot, fa_refusal why, int32_t retry_s) {
    fa_decision d = fa_admission_ask(a, now, slot, false);
    CHECK(d.refusal == why && d.retry_after_s == retry_s && !d.ticket, "slot %d: refusal %d, retry %d; expected %d, %d",
          slot, d.refusal, d.retry_after_s, why, retry_s);
}

static void starts(fa_admission *a, int64_t now, uint64_t ticket) {
    uint64_t got = fa_admission_next(a, now);
    CHECK(got == ticket, "ticket %" PRIu64 ", expected %" PRIu64, got, ticket);
}

static void places_bound_what_runs_and_the_queue_what_waits(void *arg) {
    (void)arg;
    fa_admission_options o = fa_admission_defaults(2);
    o.queue = 3;
    fa_admission *a = gate(o);
    key(a, 0, (fa_key_limits){0}, LONG_AGO);
    uint64_t t[5];
    for (int i = 0; i < 2; i++) {
        t[i] = must_ask(a, T0, 0);
        starts(a, T0, t[i]);
    }
    for (int i = 2; i < 5; i++) t[i] = must_ask(a, T0, 0);
    starts(a, T0, 0);
    must_refuse(a, T0, 0, FA_REFUSE_QUEUE, 1);
    CHECK(fa_admission_leave(a, T0 + SECOND, t[0], 0, true) == 0);
    CHECK(fa_admission_leave(a, T0 + SECOND, t[0], 0, true) == -1, "a ticket ends twice");
    starts(a, T0 + SECOND, t[2]);
    starts(a, T0 + SECOND, 0);
    CHECK(fa_admission_leave(a, T0 + SECOND, t[3], 0, false) == 0, "one that waits may go");
    fa_admission_view v = fa_admission_look(a);
    CHECK(v.running == 2 && v.waiting == 1 && v.asked == 6 && v.refused[FA_REFUSE_QUEUE] == 1, "%d %d", v.running,
          v.waiting);
    fa_admission_close(a);
}

static void a_key_has_no_more_under_way_than_it_may(void *arg) {
    (void)arg;
    fa_admission *a = gate(fa_admission_defaults(8));
    key(a, 0, (fa_key_limits){.concurrency = 2}, LONG_AGO);
    key(a, 1, (fa_key_limits){0}, LONG_AGO);
    uint64_t first = must_ask(a, T0, 0);
    must_ask(a, T0, 0);
    must_refuse(a, T0, 0, FA_REFUSE_CONCURRENCY, 1);
    must_ask(a, T0, 1);
    starts(a, T0, first);
    must_refuse(a, T0, 0, FA_REFUSE_CONCURRENCY, 1);
    fa_admission_leave(a, T0, first, 0, true);
    must_ask(a, T0, 0);
    fa_admission_close(a);
}

static void requests_a_minute_come_back_evenly(void *arg) {
    (void)arg;
    fa_admission *a = gate(fa_admission_defaults(8));
    key(a, 0, (fa_key_limits){.requests_per_minute = 6}, LONG_AGO);
    for (int i = 0; i < 6; i++) fa_admission_leave(a, T0, must_ask(a, T0, 0), 0, true);
    must_refuse(a, T0, 0, FA_REFUSE_REQUESTS, 10);
    must_refuse(a, T0 + 4 * SECOND, 0, FA_REFUSE_REQUESTS, 6); /* a refused one costs nothing */
    fa_admission_leave(a, T0 + 10 * SECOND, must_ask(a, T0 + 10 * SECOND, 0), 0, true);
    must_refuse(a, T0 + 10 * SECOND, 0, FA_REFUSE_REQUESTS, 10);
    int64_t later = T0 + 60 * MINUTE; /* and never more than a minute's */
    for (int i = 0; i < 6; i++) fa_admission_leave(a, later, must_ask(a, later, 0), 0, true);
    must_refuse(a, later, 0, FA_REFUSE_REQUESTS, 10);
    fa_admission_close(a);
}

static void tokens_a_minute_are_paid_afterwards(void *arg) {
    (void)arg;
    fa_admission *a = gate(fa_admission_defaults(8));
    key(a, 0, (fa_key_limits){.tokens_per_minute = 600}, LONG_AGO);
    fa_admission_leave(a, T0, must_ask(a, T0, 0), 599, true);
    fa_admission_leave(a, T0, must_ask(a, T0, 0), 100, true); /* 99 too many */
    must_refuse(a, T0, 0, FA_REFUSE_TOKENS, 10);
    must_refuse(a, T0 + 9900, 0, FA_REFUSE_TOKENS, 1);
    must_ask(a, T0 + 10 * SECOND, 0);
    fa_admission_close(a);
}

static void a_used_up_balance_refuses_first(void *arg) {
    (void)arg;
    fa_admission *a = gate(fa_admission_defaults(1));
    key(a, 0, (fa_key_limits){.requests_per_minute = 1}, LONG_AGO);
    for (int i = 0; i < 3; i++) {
        fa_decision d = fa_admission_ask(a, T0, 0, true);
        CHECK(d.refusal == FA_REFUSE_BALANCE && fa_refusal_status(d.refusal) == 402 && !d.retry_after_s);
    }
    must_ask(a, T0, 0);
    fa_admission_close(a);
}

static void changed_limits_hold_at_once(void *arg) {
    (void)arg;
    fa_admission *a = gate(fa_admission_defaults(8));
    key(a, 0, (fa_key_limits){0}, LONG_AGO);
    must_ask(a, T0, 0);
    key(a, 0, (fa_key_limits){.concurrency = 1}, LONG_AGO);
    must_refuse(a, T0, 0, FA_REFUSE_CONCURRENCY, 1);
    key(a, 0, (fa_key_limits){.concurrency = 2}, LONG_AGO);
    must_ask(a, T0, 0);
    fa_admission_close(a);
}

static void keys_take_turns(void *arg) {
    (void)arg;
    fa_admission *a = gate(fa_admission_defaults(4));
    for (int32_t k = 0; k < 3; k++) key(a, k, (fa_key_limits){0}, LONG_AGO);
    uint64_t many[6], b, c;
    for (int i = 0; i < 6; i++) many[i] = must_ask(a, T0, 0);
    b = must_ask(a, T0, 1);
    c = must_ask(a, T0, 2);
    starts(a, T0, many[0]);
    starts(a, T0, b);
    starts(a, T0, c);
    starts(a, T0, many[1]);
    fa_admission_leave(a, T0, many[0], 0, true);
    fa_admission_leave(a, T0, many[1], 0, true);
    uint64_t b2 = must_ask(a, T0, 1);
    starts(a, T0, many[2]); /* its key has none running */
    starts(a, T0, b2);      /* one each: it waited longer for a start */
    fa_admission_close(a);
}

static void newcomers_leave_a_reserve(void *arg) {
    (void)arg;
    fa_admission *a = gate(fa_admission_defaults(8)); /* reserve 2, queue 64 */
    key(a, 0, (fa_key_limits){0}, LONG_AGO);
    key(a, 1, (fa_key_limits){0}, NEVER);
    for (int i = 0; i < 6; i++) {
        must_ask(a, T0, 1);
        CHECK(fa_admission_next(a, T0), "place %d", i);
    }
    must_ask(a, T0, 1);
    starts(a, T0, 0);
    starts(a, T0, must_ask(a, T0, 0));
    starts(a, T0, must_ask(a, T0, 0));
    starts(a, T0, 0);
    fa_admission_close(a);
}

static void newcomers_alone_have_all_but_the_reserve(void *arg) {
    (void)arg;
    fa_admission *a = gate(fa_admission_defaults(8));
    for (int32_t k = 0; k < 40; k++) {
        key(a, k, (fa_key_limits){0}, NEVER);
        must_ask(a, T0, k % 32);
        if (k == 31) break;
    }
    CHECK(fa_admission_look(a).overloaded);
    must_refuse(a, T0, 0, FA_REFUSE_NEWCOMERS, 1); /* half of the queue of 64 */
    for (int i = 0; i < 6; i++) CHECK(fa_admission_next(a, T0), "place %d", i);
    starts(a, T0, 0);
    fa_admission_close(a);
}

/* 8 places, 16 to wait; slots 0..3 established, 4.. newcomers; a newcomer runs in every place that it may. */
static fa_admission *flooded(uint64_t running[6]) {
    fa_admission_options o = fa_admission_defaults(8);
    o.queue = 16;
    fa_admission *a = gate(o);
    for (int32_t k = 0; k < 40; k++) key(a, k, (fa_key_limits){0}, k < 4 ? LONG_AGO : NEVER);
    fa_admission_leave(a, T0, must_ask(a, T0, 0), 0, true); /* somebody established is about */
    for (int32_t k = 0; k < 6; k++) {
        running[k] = must_ask(a, T0, 4 + k);
        starts(a, T0, running[k]);
    }
    for (int32_t k = 0; k < 8; k++) must_ask(a, T0, 10 + k);
    CHECK(fa_admission_look(a).overloaded);
    return a;
}

static void in_an_overload_newcomers_wait_for_their_share_or_are_refused(void *arg) {
    (void)arg;
    uint64_t running[6];
    fa_decision why;
    fa_admission *a = flooded(running);
    must_refuse(a, T0, 20, FA_REFUSE_NEWCOMERS, 1);
    int shed = 0;
    uint64_t before = UINT64_MAX, ticket;
    for (; (ticket = fa_admission_shed(a, T0, &why)); shed++) {
        CHECK(ticket < before && why.refusal == FA_REFUSE_NEWCOMERS && why.retry_after_s >= 1, "the newest go first");
        before = ticket;
    }
    CHECK(shed == 6, "%d shed: an eighth of the queue is theirs", shed);
    for (int i = 0; i < 5; i++) {
        fa_admission_leave(a, T0 + SECOND, running[i], 0, true);
        starts(a, T0 + SECOND, 0); /* still more than one of them runs */
    }
    fa_admission_leave(a, T0 + SECOND, running[5], 0, true);
    CHECK(fa_admission_next(a, T0 + SECOND), "one place is theirs");
    starts(a, T0 + SECOND, 0);
    fa_admission_close(a);
}

static void in_an_overload_established_keys_go_first(void *arg) {
    (void)arg;
    uint64_t running[6], old[10];
    fa_admission *a = flooded(running);
    for (int i = 0; i < 8; i++) old[i] = must_ask(a, T0, i % 4);
    starts(a, T0, old[0]);
    starts(a, T0, old[1]);
    starts(a, T0, 0);
    for (int i = 0; i < 6; i++) {
        fa_admission_leave(a, T0 + SECOND, running[i], 0, true);
        uint64_t got = fa_admission_next(a, T0 + SECOND);
        if (i < 5) CHECK(got == old[2 + i], "%d: ticket %" PRIu64, i, got);
        if (i == 5) CHECK(got && got != old[7], "newcomers have one place though established keys wait");
    }
    fa_admission_close(a);
}

static void a_first_request_in_a_flood_does_not_make_a_key_established(void *arg) {
    (void)arg;
    uint64_t running[6];
    fa_admission *a = flooded(running);
    /* the flood goes on for an hour */
    for (int minute = 1; minute < 60; minute++) {
        int64_t now = T0 + minute * MINUTE;
        fa_decision d = fa_admission_ask(a, now, 30, false);
        CHECK(d.refusal == FA_REFUSE_NEWCOMERS, "minute %d: %d", minute, d.refusal);
        if (minute < 6) fa_admission_leave(a, now, running[minute], 0, true);
        fa_admission_leave(a, now, must_ask(a, now, 1), 0, true);
    }
    must_refuse(a, T0 + 60 * MINUTE, 5, FA_REFUSE_NEWCOMERS, 60);
    fa_admission_close(a);
}

static void a_key_is_established_some_time_after_its_first_request(void *arg) {
    (void)arg;
    fa_admission_options o = fa_admission_defaults(4); /* reserve 1 */
    fa_admission *a = gate(o);
    key(a, 0, (fa_key_limits){0}, NEVER);
    fa_admission_leave(a, T0, must_ask(a, T0, 0), 0, true);
    int64_t later = T0 + o.settle_ms - 1;
    uint64_t t = must_ask(a, later, 0);
    CHECK(fa_admission_look(a).newcomers_waiting == 1);
    fa_admission_leave(a, later, t, 0, true);
    must_ask(a, later + 1, 0);
    CHECK(fa_admission_look(a).newcomers_waiting == 0);
    key(a, 0, (fa_key_limits){0}, NEVER); /* the row is not in the database yet */
    must_ask(a, later + 1, 0);
    CHECK(fa_admission_look(a).newcomers_waiting == 0);
    fa_admission_close(a);
}

static void an_overload_ends_when_it_has_been_calm(void *arg) {
    (void)arg;
    fa_admission_options o = fa_admission_defaults(4);
    fa_admission *a = gate(o);
    uint64_t t[4];
    key(a, 0, (fa_key_limits){0}, LONG_AGO);
    for (int i = 0; i < 4; i++) t[i] = must_ask(a, T0, 0);
    CHECK(fa_admission_look(a).overloaded);
    for (int i = 0; i < 4; i++) fa_admission_leave(a, T0, t[i], 0, true);
    fa_admission_next(a, T0 + o.calm_ms - 1);
    CHECK(fa_admission_look(a).overloaded);
    fa_admission_next(a, T0 + o.calm_ms);
    CHECK(!fa_admission_look(a).overloaded);
    fa_admission_close(a);
}

static void retry_after_follows_how_long_requests_take(void *arg) {
    (void)arg;
    fa_admission_options o = fa_admission_defaults(2);
    o.queue = 3;
    fa_admission *a = gate(o);
    key(a, 0, (fa_key_limits){0}, LONG_AGO);
    uint64_t t = must_ask(a, T0, 0);
    starts(a, T0, t);
    fa_admission_leave(a, T0 + 10 * SECOND, t, 0, true);
    for (int i = 0; i < 3; i++) must_ask(a, T0, 0);
    must_refuse(a, T0, 0, FA_REFUSE_QUEUE, 20); /* four in two places, 10 s each */
    fa_admission_close(a);
}

static void one_place_serves_newcomers_too(void *arg) {
    (void)arg;
    fa_admission *a = gate(fa_admission_defaults(1));
    key(a, 0, (fa_key_limits){0}, LONG_AGO);
    key(a, 1, (fa_key_limits){0}, NEVER);
    uint64_t newcomer = must_ask(a, T0, 1), old = must_ask(a, T0, 0);
    starts(a, T0, old);
    starts(a, T0, 0);
    fa_admission_leave(a, T0, old, 0, true);
    starts(a, T0, newcomer);
    fa_admission_close(a);
}

/* Whatever happens, the counts agree with what was handed out, and the bounds hold. */
static void random_traffic_keeps_the_bounds(void *arg) {
    (void)arg;
    enum { KEYS = 20, STEPS = 200000 };
    check_rng rng = {9};
    fa_admission_options o = fa_admission_defaults(8);
    fa_admission *a = gate(o);
    uint64_t open[8 + 64];
    int32_t n = 0, running = 0;
    int64_t now = T0;
    for (int32_t k = 0; k < KEYS; k++)
        key(a, k, (fa_key_limits){.concurrency = k % 4 ? 0 : 3, .requests_per_minute = k % 3 ? 0 : 600},
            k % 2 ? LONG_AGO : NEVER);
    for (int step = 0; step < STEPS; step++) {
        uint64_t r = check_u64(&rng);
        now += (int64_t)(r >> 40) % 50;
        fa_decision d;
        if (r % 8 < 5) {
            d = fa_admission_ask(a, now, (int32_t)((r >> 8) % KEYS), r % 64 == 0);
            CHECK(!d.refusal == (d.ticket != 0));
            if (d.ticket) open[n++] = d.ticket;
            if (fa_refusal_status(d.refusal) >= 429) CHECK(d.retry_after_s >= 1 && d.retry_after_s <= 60);
        } else if (r % 8 < 7 && n) {
            int32_t i = (int32_t)((r >> 8) % (uint64_t)n);
            CHECK(fa_admission_leave(a, now, open[i], 10, true) >= 0);
            open[i] = open[--n];
        } else {
            while (fa_admission_next(a, now)) {
            }
        }
        fa_admission_view v = fa_admission_look(a);
        running = v.running;
        CHECK(v.running + v.waiting == n && running <= o.places && v.waiting <= o.queue, "step %d: %d + %d, %d", step,
              v.running, v.waiting, n);
        CHECK(v.newcomers_running >= 0 && v.newcomers_running <= o.places - o.reserve &&
              v.newcomers_waiting <= o.queue / 2);
    }
    while (n) fa_admission_leave(a, now, open[--n], 0, false);
    fa_admission_view v = fa_admission_look(a);
    CHECK(!v.running && !v.waiting && !v.newcomers_running && !v.newcomers_waiting);
    fa_admission_close(a);
}

static void impossible_options_are_errors(void *arg) {
    (void)arg;
    fa_admission_options bad[5];
    for (int i = 0; i < 5; i++) bad[i] = fa_admission_defaults(8);
    bad[0].places = 0;
    bad[1].queue = 0;
    bad[2].reserve = 8;
    bad[3].newcomer_places = 9;
    bad[4].settle_ms = -1;
    for (int i = 0; i < 5; i++) {
        fa_admission *a;
        fa_error e;
        CHECK(fa_admission_open(&a, &bad[i], &e) == FA_EINVAL && !a, "%d", i);
    }
}

static void held(fa_admission *a, int64_t now, double share) {
    double got = fa_admission_share(a, now);
    CHECK(got == share, "share %g, expected %g", got, share);
}

static void in_an_overload_newcomers_have_a_share_of_the_work(void *arg) {
    (void)arg;
    fa_admission *a = gate(fa_admission_defaults(8));
    uint64_t old;
    key(a, 0, (fa_key_limits){0}, LONG_AGO);
    for (int32_t i = 1; i < 32; i++) key(a, i, (fa_key_limits){0}, NEVER);
    for (int i = 0; i < 14; i++) {
        must_ask(a, T0, 1 + i);
        fa_admission_next(a, T0);
    }
    held(a, T0, 1); /* six run, eight wait: an overload, but no established key is about */
    CHECK(fa_admission_look(a).overloaded && fa_admission_look(a).newcomers_running == 6);
    fa_decision d = fa_admission_ask(a, T0, 0, false);
    CHECK(!d.newcomer && d.ticket);
    old = d.ticket;
    held(a, T0, 1); /* it waits, perhaps for a place that a newcomer has */
    starts(a, T0, old);
    held(a, T0, 0.125);
    fa_decision why;
    while (fa_admission_shed(a, T0, &why)) {
    }
    held(a, T0, 0.125);
    fa_admission_leave(a, T0 + SECOND, old, 0, true);
    held(a, T0 + SECOND, 0.125);  /* it was here a moment ago */
    held(a, T0 + 11 * MINUTE, 1); /* nobody but newcomers */
    fa_admission_close(a);
}

static const check_case cases[] = {
    {"places bound what runs and the queue what waits", places_bound_what_runs_and_the_queue_what_waits, NULL},
    {"a key has no more under way than it may", a_key_has_no_more_under_way_than_it_may, NULL},
    {"requests a minute come back evenly", requests_a_minute_come_back_evenly, NULL},
    {"tokens a minute are paid afterwards", tokens_a_minute_are_paid_afterwards, NULL},
    {"a used-up balance refuses first", a_used_up_balance_refuses_first, NULL},
    {"changed limits hold at once", changed_limits_hold_at_once, NULL},
    {"keys take turns", keys_take_turns, NULL},
    {"newcomers leave a reserve", newcomers_leave_a_reserve, NULL},
    {"newcomers alone have all but the reserve", newcomers_alone_have_all_but_the_reserve, NULL},
    {"in an overload newcomers wait for their share or are refused",
     in_an_overload_newcomers_wait_for_their_share_or_are_refused, NULL},
    {"in an overload newcomers have a share of the work", in_an_overload_newcomers_have_a_share_of_the_work, NULL},
    {"in an overload established keys go first", in_an_overload_established_keys_go_first, NULL},
    {"a first request in a flood does not make a key established",
     a_first_request_in_a_flood_does_not_make_a_key_established, NULL},
    {"a key is established some time after its first request", a_key_is_established_some_time_after_its_first_request,
     NULL},
    {"an overload ends when it has been calm", an_overload_ends_when_it_has_been_calm, NULL},
    {"Retry-After follows how long requests take", retry_after_follows_how_long_requests_take, NULL},
    {"one place serves newcomers too", one_place_serves_newcomers_too, NULL},
    {"random traffic keeps the bounds", random_traffic_keeps_the_bounds, NULL},
    {"impossible options are errors", impossible_options_are_errors, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
