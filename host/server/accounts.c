#include "host/server/accounts.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* how often the writer looks whether another process changed the database */
#define POLL_MS 250
/* after a failed write */
#define RETRY_MS 500
/* failures after which `done` is told, and after which closing gives up */
#define TRIES 6
/* rows that may wait beyond one for each request under way */
#define ROWS_SPARE 4096
/* longer texts are no keys */
#define TEXT_MAX 256

typedef struct account {
    fa_key key;
    fa_money pending; /* of rows that are not yet on the disk */
} account;

typedef struct waiter {
    int32_t slot;
    fa_accounts_done *done;
    void *ctx;
} waiter;

/* Rows on their way to the disk, and who waits for each. */
typedef struct batch {
    fa_usage *rows;
    waiter *waiters;
    size_t n;
} batch;

struct fa_accounts {
    pthread_mutex_t
        lock; /* of all that follows but db, version and data_version, which are the writer's, as are the rows of `writing` */
    pthread_cond_t wake;
    pthread_t writer;
    bool closing, keyless;
    fa_admission *admission;

    account *accounts; /* by slot; slot 0 is who has no key */
    int32_t n_accounts, room;
    size_t active;  /* keys that are not revoked */
    int32_t *index; /* slots by digest, open addressing; 0: empty */
    uint32_t index_mask;
    fa_price prices[FA_PRICE_MODELS];
    size_t n_prices;

    batch queue;     /* what came since the writer last looked */
    batch writing;   /* the writer's */
    size_t rows_max; /* room in each */
    int64_t rows_written, write_errors, refused_by_ledger;
    bool ledger_ok;

    sqlite3 *db;
    sqlite3_stmt *version;
    int64_t data_version;
};

static int64_t clock_ms(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the keys in memory ---- */

static uint64_t digest_word(const unsigned char *digest) {
    uint64_t w;
    memcpy(&w, digest, sizeof w);
    return w;
}

static void index_put(fa_accounts *a, int32_t slot) {
    uint32_t at = (uint32_t)digest_word(a->accounts[slot].key.digest) & a->index_mask;
    while (a->index[at]) at = (at + 1) & a->index_mask;
    a->index[at] = slot;
}

/* A table at most half full of slots 1 .. n-1. */
static fa_status index_build(fa_accounts *a, fa_error *e) {
    uint32_t size = 64;
    while (size < 2 * (uint32_t)a->n_accounts) size *= 2;
    int32_t *index = calloc(size, sizeof *index);
    if (!index) return fa_fail(e, FA_ENOMEM, "memory ran out");
    free(a->index);
    a->index = index;
    a->index_mask = size - 1;
    for (int32_t slot = 1; slot < a->n_accounts; slot++) index_put(a, slot);
    return FA_OK;
}

/* The slot of a digest, or 0. How long it takes tells of the digest of what was sent, from which nothing of a stored key follows; whole digests are compared in
 * constant time all the same. */
static int32_t index_find(const fa_accounts *a, const unsigned char *digest) {
    for (uint32_t at = (uint32_t)digest_word(digest) & a->index_mask; a->index[at]; at = (at + 1) & a->index_mask)
        if (sodium_memcmp(a->accounts[a->index[at]].key.digest, digest, FA_KEY_DIGEST) == 0) return a->index[at];
    return 0;
}

static fa_status make_room(fa_accounts *a, int32_t n, fa_error *e) {
    if (n <= a->room) return FA_OK;
    account *more = realloc(a->accounts, (size_t)n * 2 * sizeof *more);
    if (!more) return fa_fail(e, FA_ENOMEM, "memory ran out");
    a->accounts = more;
    a->room = 2 * n;
    return FA_OK;
}

/* When a wall time was, on the clock of admission. */
static int64_t admission_time(int64_t wall_s) {
    if (!wall_s) return INT64_MAX;
    return clock_ms(CLOCK_MONOTONIC) - (clock_ms(CLOCK_REALTIME) - 1000 * wall_s);
}

/* Takes over the keys, which are sorted by id and never fewer than before: a key keeps its slot. */
static fa_status take_keys(fa_accounts *a, const fa_key *keys, size_t n, fa_error *e) {
    fa_status s = make_room(a, (int32_t)n + 1, e);
    a->active = 0;
    for (size_t i = 0; i < n && !s; i++) {
        int32_t slot = (int32_t)i + 1;
        if (slot >= a->n_accounts) {
            a->accounts[slot].pending = 0;
            a->n_accounts = slot + 1;
        }
        a->accounts[slot].key = keys[i];
        a->active += !keys[i].revoked;
        s = fa_admission_key(a->admission, slot, &keys[i].limits, admission_time(keys[i].first_active), e);
    }
    return s ? s : index_build(a, e);
}

/* Reads keys and prices again. */
static fa_status reload(fa_accounts *a, fa_error *e) {
    fa_key *keys;
    fa_price prices[FA_PRICE_MODELS];
    size_t n, n_prices;
    fa_status s = fa_key_list(a->db, &keys, &n, e);
    if (s) return s;
    s = fa_price_list(a->db, prices, &n_prices, e);
    if (!s) {
        pthread_mutex_lock(&a->lock);
        s = take_keys(a, keys, n, e);
        memcpy(a->prices, prices, n_prices * sizeof *prices);
        a->n_prices = n_prices;
        pthread_mutex_unlock(&a->lock);
    }
    free(keys);
    return s;
}

/* SQLite's own counter of what other connections changed. */
static bool changed_elsewhere(fa_accounts *a) {
    int64_t now = a->data_version;
    if (sqlite3_step(a->version) == SQLITE_ROW) now = sqlite3_column_int64(a->version, 0);
    sqlite3_reset(a->version);
    bool changed = now != a->data_version;
    a->data_version = now;
    return changed;
}

/* ---- the writer ---- */

/* Waits for rows, or for the time to look elsewhere; takes what there is. False when the end has come. */
static bool take_rows(fa_accounts *a) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += POLL_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&a->lock);
    while (!a->queue.n && !a->closing && pthread_cond_timedwait(&a->wake, &a->lock, &until) != ETIMEDOUT) {
    }
    batch taken = a->queue;
    a->queue = a->writing;
    a->writing = taken;
    bool more = taken.n > 0 || !a->closing;
    pthread_mutex_unlock(&a->lock);
    return more;
}

static void tell(batch *b, fa_status s) {
    for (size_t i = 0; i < b->n; i++) {
        if (b->waiters[i].done) b->waiters[i].done(b->waiters[i].ctx, s);
        b->waiters[i].done = NULL;
    }
}

/* The rows of `writing` are on the disk. */
static void settle(fa_accounts *a) {
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->writing.n; i++) {
        account *one = &a->accounts[a->writing.waiters[i].slot];
        fa_money cost = a->writing.rows[i].cost;
        one->pending -= cost;
        if (one->key.metered) one->key.balance -= cost;
    }
    a->rows_written += (int64_t)a->writing.n;
    a->ledger_ok = true;
    pthread_mutex_unlock(&a->lock);
}

/* Notes a failure; whether to try again. */
static bool note_failure(fa_accounts *a, int tries, fa_status s) {
    pthread_mutex_lock(&a->lock);
    a->write_errors++;
    a->ledger_ok = false;
    bool again = !a->closing || tries < TRIES;
    pthread_mutex_unlock(&a->lock);
    if (tries == TRIES) tell(&a->writing, s);
    if (again) nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000}, NULL);
    return again;
}

/* The rows are on the disk afterwards, unless the server is closed while the disk refuses. */
static void write_rows(fa_accounts *a) {
    fa_status s;
    int tries = 0;
    while ((s = fa_usage_write(a->db, a->writing.rows, a->writing.n, NULL)) && note_failure(a, ++tries, s)) {
    }
    if (!s) settle(a);
    tell(&a->writing, s);
    if (tries) a->data_version = -1; /* what is in memory may differ: a commit that failed may have been one */
    pthread_mutex_lock(&a->lock);
    a->writing.n = 0;
    pthread_mutex_unlock(&a->lock);
}

static void *writer_main(void *arg) {
    fa_accounts *a = arg;
    while (take_rows(a)) {
        if (a->writing.n) write_rows(a);
        if (changed_elsewhere(a) && reload(a, NULL)) a->data_version = -1; /* tried again */
    }
    return NULL;
}

/* ---- opening and closing ---- */

static bool batch_make(batch *b, size_t rows) {
    b->rows = calloc(rows, sizeof *b->rows);
    b->waiters = calloc(rows, sizeof *b->waiters);
    return b->rows && b->waiters;
}

static void batch_free(batch *b) {
    free(b->rows);
    free(b->waiters);
}

static fa_status open_parts(fa_accounts *a, const fa_accounts_options *o, fa_error *e) {
    fa_status s = fa_admission_open(&a->admission, &o->admission, e);
    if (!s) s = fa_database_open(&a->db, o->database, true, e);
    if (!s) s = fa_database_prepare(a->db, &a->version, e, "PRAGMA data_version", "");
    if (!s) s = make_room(a, 1, e);
    if (s) return s;
    a->rows_max = (size_t)o->admission.places + (size_t)o->admission.queue + ROWS_SPARE;
    if (!batch_make(&a->queue, a->rows_max) || !batch_make(&a->writing, a->rows_max))
        return fa_fail(e, FA_ENOMEM, "memory ran out");
    a->accounts[0] = (account){.key.rights = ~0U};
    a->n_accounts = 1;
    changed_elsewhere(a); /* before the keys are read: a change meanwhile is seen */
    s = fa_admission_key(a->admission, 0, &(fa_key_limits){0}, INT64_MIN / 4, e);
    return s ? s : reload(a, e);
}

static void release(fa_accounts *a) {
    fa_admission_close(a->admission);
    sqlite3_finalize(a->version);
    sqlite3_close(a->db);
    pthread_cond_destroy(&a->wake);
    pthread_mutex_destroy(&a->lock);
    free(a->accounts);
    free(a->index);
    batch_free(&a->queue);
    batch_free(&a->writing);
    free(a);
}

fa_status fa_accounts_open(fa_accounts **out, const fa_accounts_options *o, fa_error *e) {
    *out = NULL;
    if (sodium_init() < 0)
        return fa_fail(e, FA_EUNSUPPORTED, "libsodium does not start: this system gives no random numbers");
    fa_accounts *a = calloc(1, sizeof *a);
    if (!a) return fa_fail(e, FA_ENOMEM, "memory ran out");
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    a->keyless = o->keyless;
    a->ledger_ok = true;
    fa_status s = open_parts(a, o, e);
    if (!s && pthread_create(&a->writer, NULL, writer_main, a))
        s = fa_fail(e, FA_ENOMEM, "a thread could not be started");
    if (s)
        release(a);
    else
        *out = a;
    return s;
}

void fa_accounts_close(fa_accounts *a) {
    if (!a) return;
    pthread_mutex_lock(&a->lock);
    a->closing = true;
    pthread_cond_signal(&a->wake);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->writer, NULL);
    release(a);
}

/* ---- the face ---- */

bool fa_accounts_identify(fa_accounts *a, const char *text, size_t bytes, fa_identity *who) {
    unsigned char digest[FA_KEY_DIGEST] = {0};
    bool is_key = text && bytes && bytes <= TEXT_MAX;
    if (is_key) fa_key_digest(digest, text, bytes);
    pthread_mutex_lock(&a->lock);
    int32_t slot = is_key ? index_find(a, digest) : 0;
    const fa_key *k = &a->accounts[slot].key;
    bool known = slot ? !k->revoked : a->keyless && a->n_accounts == 1; /* revoking the last key opens nothing */
    if (known) {
        *who = (fa_identity){.slot = slot, .id = k->id, .rights = k->rights};
        memcpy(who->name, k->name, sizeof who->name);
    }
    pthread_mutex_unlock(&a->lock);
    return known;
}

size_t fa_accounts_keys(fa_accounts *a) {
    pthread_mutex_lock(&a->lock);
    size_t n = a->active;
    pthread_mutex_unlock(&a->lock);
    return n;
}

/* Each request under way has room for its row: refused where there would be none. */
static bool ledger_has_room(const fa_accounts *a) {
    fa_admission_view v = fa_admission_look(a->admission);
    return a->ledger_ok && a->queue.n + (size_t)(v.running + v.waiting) < a->rows_max;
}

fa_decision fa_accounts_ask(fa_accounts *a, int32_t slot) {
    fa_decision d = {.refusal = FA_REFUSE_LEDGER, .retry_after_s = 1};
    int64_t now = clock_ms(CLOCK_MONOTONIC);
    pthread_mutex_lock(&a->lock);
    const account *one = &a->accounts[slot];
    if (ledger_has_room(a))
        d = fa_admission_ask(a->admission, now, slot, one->key.metered && one->key.balance - one->pending <= 0);
    else
        a->refused_by_ledger++;
    pthread_mutex_unlock(&a->lock);
    return d;
}

uint64_t fa_accounts_shed(fa_accounts *a, fa_decision *why) {
    pthread_mutex_lock(&a->lock);
    uint64_t ticket = fa_admission_shed(a->admission, clock_ms(CLOCK_MONOTONIC), why);
    pthread_mutex_unlock(&a->lock);
    return ticket;
}

uint64_t fa_accounts_next(fa_accounts *a) {
    pthread_mutex_lock(&a->lock);
    uint64_t ticket = fa_admission_next(a->admission, clock_ms(CLOCK_MONOTONIC));
    pthread_mutex_unlock(&a->lock);
    return ticket;
}

double fa_accounts_share(fa_accounts *a) {
    pthread_mutex_lock(&a->lock);
    double share = fa_admission_share(a->admission, clock_ms(CLOCK_MONOTONIC));
    pthread_mutex_unlock(&a->lock);
    return share;
}

static fa_money cost_of(const fa_accounts *a, const fa_usage *u) {
    for (size_t i = 0; i < a->n_prices; i++)
        if (!strcmp(a->prices[i].model, u->model)) return fa_price_cost(&a->prices[i], u);
    return 0;
}

bool fa_accounts_leave(fa_accounts *a, uint64_t ticket, const fa_usage *usage, fa_accounts_done *done, void *ctx) {
    int64_t tokens = usage ? usage->prompt_tokens + usage->completion_tokens : 0;
    pthread_mutex_lock(&a->lock);
    int32_t slot = fa_admission_leave(a->admission, clock_ms(CLOCK_MONOTONIC), ticket, tokens, usage != NULL);
    if (slot >= 0 && usage) {
        account *one = &a->accounts[slot];
        fa_usage *row = &a->queue.rows[a->queue.n];
        *row = *usage;
        row->key = one->key.id;
        row->cost = cost_of(a, usage);
        one->pending += row->cost;
        a->queue.waiters[a->queue.n++] = (waiter){slot, done, ctx};
        pthread_cond_signal(&a->wake);
    }
    pthread_mutex_unlock(&a->lock);
    return slot >= 0;
}

bool fa_accounts_price(fa_accounts *a, const char *model, fa_price *price) {
    bool found = false;
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < a->n_prices && !found; i++) {
        found = !strcmp(a->prices[i].model, model);
        if (found) *price = a->prices[i];
    }
    pthread_mutex_unlock(&a->lock);
    return found;
}

bool fa_accounts_balance(fa_accounts *a, int32_t slot, fa_money *balance) {
    pthread_mutex_lock(&a->lock);
    const account *one = &a->accounts[slot];
    bool metered = one->key.metered;
    *balance = metered ? one->key.balance - one->pending : 0;
    pthread_mutex_unlock(&a->lock);
    return metered;
}

fa_accounts_view fa_accounts_look(fa_accounts *a) {
    pthread_mutex_lock(&a->lock);
    fa_accounts_view v = {
        .admission = fa_admission_look(a->admission),
        .keys = a->active,
        .rows_waiting = a->queue.n + a->writing.n,
        .rows_written = a->rows_written,
        .write_errors = a->write_errors,
        .ledger_ok = a->ledger_ok,
    };
    v.admission.refused[FA_REFUSE_LEDGER] = a->refused_by_ledger;
    pthread_mutex_unlock(&a->lock);
    return v;
}
