/* Who may wait, who runs next, who is refused: decided before any work is done for a request, from the time and the state alone. No clock, lock or thread in
 * here; host/server/accounts.h adds those.
 *
 * A request asks, waits, is chosen by fa_admission_next when a place is free, and leaves. Rules, in the order in which they refuse:
 *   1. a metered key whose balance is used up                                                       402
 *   2. the key's concurrency, requests a minute, tokens a minute (token buckets of one minute)      429
 *   3. the queue is full, or its part for newcomers is                                              503
 * Existing users first. A key is established when its first request finished `settle_ms` before now, or before the overload began while there is one; the others
 * are newcomers. Newcomers never take the last `reserve` places, nor more than half of the queue. During an overload they have `newcomer_places`
 * places, the same share of the queue and of the work of each step (pace.h), and established keys go first but for one place. Those parts hold while established keys
 * are about (one asked in the last `about_ms`); where there are none, newcomers only leave the reserve alone.
 * An overload begins when as many requests wait as there are places and ends when fewer than a quarter of that have waited for `calm_ms`. */
#ifndef FA_SERVER_ADMISSION_H
#define FA_SERVER_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/server/keys.h"

typedef struct fa_admission_options {
    int32_t places;          /* requests that run at one time, 1 .. 1024 */
    int32_t queue;           /* requests that wait at one time, 1 .. 65536 */
    int32_t reserve;         /* places that newcomers leave free, 0 .. places - 1 */
    int32_t newcomer_places; /* their places in an overload, 1 .. places */
    int64_t settle_ms, about_ms, calm_ms;
} fa_admission_options;

/* The defaults for a number of places: queue 8 * places, a quarter reserved, an eighth for newcomers, 10 min, 10 min, 10 s. */
fa_admission_options fa_admission_defaults(int32_t places);

/* why, HTTP status, code of the error object, message for the client */
#define FA_REFUSALS(X)                                                                                      \
    X(NONE, 0, "", "")                                                                                      \
    X(BALANCE, 402, "insufficient_balance", "The balance of this key is used up")                           \
    X(CONCURRENCY, 429, "concurrency_limit", "This key has as many requests under way as it may have")      \
    X(REQUESTS, 429, "request_rate_limit", "This key has made as many requests as it may make in a minute") \
    X(TOKENS, 429, "token_rate_limit", "This key has used as many tokens as it may use in a minute")        \
    X(NEWCOMERS, 503, "server_overloaded",                                                                  \
      "The server is overloaded and serves the keys that were active before first")                         \
    X(QUEUE, 503, "server_overloaded", "The server is overloaded: its queue is full")                       \
    X(LEDGER, 503, "ledger_unavailable", "The server cannot record usage at the moment")

typedef enum fa_refusal {
#define FA_REFUSAL_ROW(id, status, code, text) FA_REFUSE_##id,
    FA_REFUSALS(FA_REFUSAL_ROW)
#undef FA_REFUSAL_ROW
        FA_REFUSAL_COUNT
} fa_refusal;

int fa_refusal_status(fa_refusal r);
const char *fa_refusal_code(fa_refusal r);
const char *fa_refusal_text(fa_refusal r);

typedef struct fa_decision {
    fa_refusal refusal;    /* FA_REFUSE_NONE: it waits under `ticket` */
    int32_t retry_after_s; /* with a refusal of 429 or 503: 1 .. 60 */
    uint64_t ticket;       /* never 0, never used again */
    bool newcomer;         /* with a ticket: it is a newcomer's */
} fa_decision;

typedef struct fa_admission fa_admission;

/* FA_EINVAL names the option and its range; FA_ENOMEM. */
fa_status fa_admission_open(fa_admission **a, const fa_admission_options *o, fa_error *e);
void fa_admission_close(fa_admission *a);

/* Tells of a key, or of its changed limits. Slots are small numbers that the caller gives out, from 0. `first_active_ms` is the time, on the clock of `now_ms`, at
 * which its first request finished; INT64_MAX: never. FA_ENOMEM. */
fa_status fa_admission_key(fa_admission *a, int32_t slot, const fa_key_limits *limits, int64_t first_active_ms,
                           fa_error *e);

/* now_ms is a clock that never goes back, in all of these. */
fa_decision fa_admission_ask(fa_admission *a, int64_t now_ms, int32_t slot, bool broke);

/* The ticket of the request that starts now, or 0. Call until it gives 0, whenever a step is over. */
uint64_t fa_admission_next(fa_admission *a, int64_t now_ms);

/* The ticket of a waiting newcomer that is beyond the newcomers' share since the overload began, newest first, or 0; it is out of the queue and *why says what to
 * tell it. Call until it gives 0, before fa_admission_next. */
uint64_t fa_admission_shed(fa_admission *a, int64_t now_ms, fa_decision *why);

/* A request ends, waiting or running; an unknown ticket is ignored. `tokens` are taken from its key's minute; `finished` makes a newcomer's first activity. Returns
 * the slot, or -1. */
int32_t fa_admission_leave(fa_admission *a, int64_t now_ms, uint64_t ticket, int64_t tokens, bool finished);

/* What newcomers may have of the work, as a part of what established keys have: 1 while nobody is held back, and while an established
 * key waits for a place, which newcomers may hold. */
double fa_admission_share(const fa_admission *a, int64_t now_ms);

/* For /metrics. */
typedef struct fa_admission_view {
    int32_t running, waiting, newcomers_running, newcomers_waiting;
    bool overloaded;
    int64_t asked, refused[FA_REFUSAL_COUNT];
} fa_admission_view;
fa_admission_view fa_admission_look(const fa_admission *a);

#endif
