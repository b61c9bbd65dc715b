/* Keys, usage rows and the accounts over them, on a database of the test's own. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/server/accounts.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

/* A database in a folder of its own. */
typedef struct place {
    char *folder, path[256];
    sqlite3 *db;
} place;

static place place_open(void) {
    fa_error e;
    place p = {.folder = check_scratch()};
    snprintf(p.path, sizeof p.path, "%s/state/fathom.db", p.folder);
    CHECK_OK(fa_database_open(&p.db, p.path, true, &e), &e);
    return p;
}

static void place_close(place *p) {
    sqlite3_close(p->db);
    check_remove(p->folder);
    free(p->folder);
}

static fa_key key_add(sqlite3 *db, const char *name, fa_money balance, char text[FA_KEY_TEXT]) {
    fa_error e;
    fa_key k = {.rights = FA_RIGHT_CHAT, .metered = balance != 0, .balance = balance};
    snprintf(k.name, sizeof k.name, "%s", name);
    CHECK_OK(fa_key_add(db, &k, text, 1000, &e), &e);
    return k;
}

static fa_accounts *accounts_open(const char *path, bool keyless) {
    fa_error e;
    fa_accounts *a;
    fa_accounts_options o = {.database = path, .admission = fa_admission_defaults(8), .keyless = keyless};
    CHECK_OK(fa_accounts_open(&a, &o, &e), &e);
    return a;
}

static bool known(fa_accounts *a, const char *text, fa_identity *who) {
    return fa_accounts_identify(a, text, strlen(text), who);
}

/* Waits until a condition holds, for at most ten seconds. */
#define EVENTUALLY(cond)                                            \
    do {                                                            \
        for (int i_ = 0; !(cond) && i_ < 1000; i_++) usleep(10000); \
        CHECK(cond);                                                \
    } while (0)

static void amounts_of_money_are_exact(void *arg) {
    (void)arg;
    static const struct {
        const char *text;
        fa_money value;
        const char *shown; /* NULL: refused */
    } table[] = {
        {"5", 5 * FA_MONEY_UNIT, "5.00"},
        {"0.27", 270000000, "0.27"},
        {"-0.000000001", -1, "-0.000000001"},
        {"+.5", 500000000, "0.50"},
        {"12.", 12 * FA_MONEY_UNIT, "12.00"},
        {"1000000000", FA_MONEY_MAX, "1000000000.00"},
        {"2000000000", 0, NULL},
        {"99999999999999999999", 0, NULL},
        {"0.0000000001", 0, NULL},
        {"", 0, NULL},
        {".", 0, NULL},
        {"-", 0, NULL},
        {"1e3", 0, NULL},
        {"1,5", 0, NULL},
        {" 1", 0, NULL},
        {"nan", 0, NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fa_money m = 0;
        fa_error e;
        char shown[FA_MONEY_TEXT];
        fa_status s = fa_money_parse(&m, table[i].text, &e);
        CHECK((s == FA_OK) == (table[i].shown != NULL), "'%s': %d", table[i].text, s);
        if (!table[i].shown) continue;
        CHECK(m == table[i].value && !strcmp(fa_money_format(m, shown), table[i].shown), "'%s': %" PRId64 " %s",
              table[i].text, m, shown);
    }
}

static void a_key_is_shown_once_and_kept_as_a_hash(void *arg) {
    (void)arg;
    place p = place_open();
    char text[FA_KEY_TEXT], again[FA_KEY_TEXT];
    fa_key k = key_add(p.db, "alice", 0, text);
    key_add(p.db, "bob", 0, again);
    CHECK(strlen(text) == FA_KEY_TEXT - 3 && strcmp(text, again), "%s", text);
    CHECK(!strcmp(k.hint, text + strlen(text) - 4));
    fa_error e;
    CHECK_OK(fa_database_exec(p.db, "PRAGMA wal_checkpoint(TRUNCATE)", &e), &e);
    size_t n;
    uint8_t *file = check_read(p.path, &n);
    CHECK(memmem(file, n, "alice", 5) && memmem(file, n, k.digest, FA_KEY_DIGEST));
    CHECK(!memmem(file, n, text + strlen("sk-fathom-"), 12), "the key's text is in the file");
    free(file);
    place_close(&p);
}

static void the_file_is_its_owners_alone(void *arg) {
    (void)arg;
    place p = place_open();
    static const char *const files[] = {"", "-wal", "-shm"};
    struct stat info;
    fa_error e;
    for (size_t i = 0; i < 3; i++) {
        char path[300];
        snprintf(path, sizeof path, "%s%s", p.path, files[i]);
        CHECK(stat(path, &info) == 0 && (info.st_mode & 0777) == 0600, "%s: %o", path, info.st_mode);
    }
    sqlite3 *db;
    CHECK(chmod(p.path, 0640) == 0);
    CHECK(fa_database_open(&db, p.path, true, &e) == FA_EIO && strstr(e.text, "chmod 600"), "%s", e.text);
    place_close(&p);
}

static void wrong_files_are_errors(void *arg) {
    (void)arg;
    fa_error e;
    sqlite3 *db;
    char *folder = check_scratch(),
         *path = check_write(folder, "x.db", "not a database, but long enough to be looked at", 48);
    CHECK(chmod(path, 0600) == 0);
    CHECK(fa_database_open(&db, path, true, &e) == FA_EFORMAT, "%s", e.text);
    CHECK(fa_database_open(&db, "/dev/null/x/fathom.db", true, &e) == FA_EIO, "%s", e.text);
    CHECK(fa_database_open(&db, "/dev/null/x", false, &e) == FA_EIO, "%s", e.text);
    CHECK(unlink(path) == 0);
    CHECK(fa_database_open(&db, path, false, &e) == FA_EIO && strstr(e.text, "fathom key add"), "%s", e.text);
    CHECK_OK(fa_database_open(&db, path, true, &e), &e);
    CHECK_OK(fa_database_exec(db, "PRAGMA user_version = 99", &e), &e);
    sqlite3_close(db);
    CHECK(fa_database_open(&db, path, true, &e) == FA_EUNSUPPORTED && strstr(e.text, "later version"), "%s", e.text);
    free(path);
    check_remove(folder);
    free(folder);
}

static void names_and_rights_are_checked(void *arg) {
    (void)arg;
    place p = place_open();
    fa_error e;
    char text[FA_KEY_TEXT], shown[64];
    unsigned rights;
    static const char *const bad[] = {"", "two words", "#1", "-x", "tab\there", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fa_key k = {.rights = FA_RIGHT_CHAT};
        strcpy(k.name, bad[i]);
        CHECK(fa_key_add(p.db, &k, text, 1, &e) == FA_EINVAL, "'%s'", bad[i]);
    }
    key_add(p.db, "alice", 0, text);
    fa_key twice = {.name = "alice", .rights = FA_RIGHT_CHAT};
    CHECK(fa_key_add(p.db, &twice, text, 1, &e) == FA_EINVAL && strstr(e.text, "already"), "%s", e.text);
    CHECK_OK(fa_rights_parse(&rights, "metrics,chat", &e), &e);
    CHECK(rights == (FA_RIGHT_CHAT | FA_RIGHT_METRICS) && !strcmp(fa_rights_format(rights, shown), "chat,metrics"),
          "%s", shown);
    CHECK(fa_rights_parse(&rights, "chat,root", &e) == FA_EINVAL && strstr(e.text, "'root'") &&
              strstr(e.text, "metrics"),
          "%s", e.text);
    CHECK(fa_rights_parse(&rights, "", &e) == FA_EINVAL);
    place_close(&p);
}

static void only_the_right_text_is_a_key(void *arg) {
    (void)arg;
    place p = place_open();
    char text[FA_KEY_TEXT], other[FA_KEY_TEXT];
    fa_identity who;
    fa_key k = key_add(p.db, "alice", 0, text);
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "key%d", i);
        key_add(p.db, name, 0, other);
    }
    fa_accounts *a = accounts_open(p.path, false);
    CHECK(fa_accounts_keys(a) == 201);
    CHECK(known(a, text, &who) && who.id == k.id && !strcmp(who.name, "alice") && who.rights == FA_RIGHT_CHAT);
    CHECK(known(a, other, &who) && !strcmp(who.name, "key199"), "%s", who.name);
    for (size_t i = 0; i < strlen(text); i++) {
        char wrong[FA_KEY_TEXT];
        memcpy(wrong, text, sizeof wrong);
        wrong[i] ^= 1;
        CHECK(!known(a, wrong, &who), "%s for %s", wrong, text);
    }
    CHECK(!fa_accounts_identify(a, text, strlen(text) - 1, &who) && !fa_accounts_identify(a, NULL, 0, &who) &&
          !known(a, "", &who));
    fa_accounts_close(a);
    place_close(&p);
}

static void a_running_server_sees_what_another_process_changes(void *arg) {
    (void)arg;
    place p = place_open();
    char text[FA_KEY_TEXT];
    fa_error e;
    fa_identity who;
    fa_money left;
    fa_accounts *a = accounts_open(p.path, true);
    CHECK(fa_accounts_identify(a, NULL, 0, &who) && who.id == 0 && who.slot == 0,
          "nobody is let in though there is no key");
    fa_key k = key_add(p.db, "alice", 2 * FA_MONEY_UNIT, text);
    EVENTUALLY(known(a, text, &who) && who.id == k.id);
    CHECK(!fa_accounts_identify(a, NULL, 0, &who) && !known(a, "sk-else", &who),
          "no key is needed though there is one");
    CHECK(known(a, text, &who) && fa_accounts_balance(a, who.slot, &left) && left == 2 * FA_MONEY_UNIT);
    CHECK_OK(fa_key_set_balance(p.db, k.id, true, true, FA_MONEY_UNIT, &e), &e);
    EVENTUALLY(fa_accounts_balance(a, who.slot, &left) && left == 3 * FA_MONEY_UNIT);
    CHECK_OK(fa_key_set_limits(p.db, k.id, FA_RIGHT_METRICS, &(fa_key_limits){.concurrency = 1}, &e), &e);
    EVENTUALLY(known(a, text, &who) && who.rights == FA_RIGHT_METRICS);
    fa_decision d = fa_accounts_ask(a, who.slot), next = fa_accounts_ask(a, who.slot);
    CHECK(!d.refusal && next.refusal == FA_REFUSE_CONCURRENCY, "%d %d", d.refusal, next.refusal);
    CHECK(fa_accounts_leave(a, d.ticket, NULL, NULL, NULL));
    CHECK_OK(fa_key_revoke(p.db, k.id, 2000, &e), &e);
    EVENTUALLY(!known(a, text, &who));
    CHECK(!fa_accounts_identify(a, NULL, 0, &who), "revoking the last key opens the service");
    CHECK(fa_key_revoke(p.db, k.id, 2001, &e) == FA_EINVAL && fa_key_get(p.db, &k, "alice", &e) == FA_EINVAL);
    CHECK_OK(fa_key_get(p.db, &k, "#1", &e), &e);
    CHECK(k.revoked == 2000);
    fa_accounts_close(a);
    place_close(&p);
}

/* ---- usage ---- */

typedef struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int done, bad;
} waiting;

static void row_done(void *ctx, fa_status s) {
    waiting *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->done++;
    w->bad += s != FA_OK;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static void wait_done(waiting *w, int n) {
    pthread_mutex_lock(&w->lock);
    while (w->done < n) pthread_cond_wait(&w->wake, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static fa_usage usage_of(int i, const char *model) {
    fa_usage u = {
        .started_ms = 1000, .finished_ms = 5000000, .prompt_tokens = 100, .cached_tokens = 64, .completion_tokens = 10};
    snprintf(u.request, sizeof u.request, "req-%d", i);
    snprintf(u.model, sizeof u.model, "%s", model);
    return u;
}

static fa_usage_sum sum_of(sqlite3 *db, fa_usage_by by, int64_t from_ms, int64_t to_ms) {
    fa_usage_sum *sums, first = {0};
    size_t n;
    fa_error e;
    CHECK_OK(fa_usage_sums(db, by, 0, from_ms, to_ms, &sums, &n, &e), &e);
    CHECK(n < 2);
    if (n) first = sums[0];
    free(sums);
    return first;
}

static void a_request_is_counted_once_and_paid(void *arg) {
    (void)arg;
    place p = place_open();
    fa_error e;
    char text[FA_KEY_TEXT];
    fa_identity who;
    fa_money left;
    /* 36 * 1 + 64 * 0.5 + 10 * 2 millionths */
    const fa_price price = {"m", FA_MONEY_UNIT, FA_MONEY_UNIT / 2, 2 * FA_MONEY_UNIT};
    const fa_money cost = 88000;
    CHECK_OK(fa_price_set(p.db, &price, &e), &e);
    key_add(p.db, "alice", 3 * cost, text);
    fa_accounts *a = accounts_open(p.path, false);
    CHECK(known(a, text, &who));
    waiting w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    for (int i = 0; i < 3; i++) {
        fa_decision d = fa_accounts_ask(a, who.slot);
        CHECK(!d.refusal && fa_accounts_next(a) == d.ticket, "%d: %d", i, d.refusal);
        fa_usage u = usage_of(i, "m");
        CHECK(fa_accounts_leave(a, d.ticket, &u, row_done, &w));
        CHECK(!fa_accounts_leave(a, d.ticket, &u, row_done, &w), "a ticket counts twice");
        CHECK(fa_accounts_balance(a, who.slot, &left) && left == (2 - i) * cost, "%" PRId64, left);
    }
    CHECK(fa_accounts_ask(a, who.slot).refusal == FA_REFUSE_BALANCE, "the balance is used up");
    wait_done(&w, 3);
    CHECK(w.bad == 0);
    fa_usage_sum sum = sum_of(p.db, FA_USAGE_BY_KEY, 0, INT64_MAX);
    CHECK(!strcmp(sum.group, "alice") && sum.requests == 3 && sum.prompt_tokens == 300 && sum.cached_tokens == 192 &&
              sum.cost == 3 * cost,
          "%s %" PRId64 " %" PRId64, sum.group, sum.requests, sum.cost);
    CHECK(sum_of(p.db, FA_USAGE_BY_DAY, 5000000, 5000001).requests == 3 &&
          sum_of(p.db, FA_USAGE_BY_DAY, 0, 5000000).requests == 0);
    CHECK(!strcmp(sum_of(p.db, FA_USAGE_BY_DAY, 0, INT64_MAX).group, "1970-01-01"));
    fa_key k;
    CHECK_OK(fa_key_get(p.db, &k, "alice", &e), &e);
    CHECK(k.balance == 0 && k.first_active == 5000 && k.last_active == 5000, "%" PRId64, k.balance);
    fa_usage again = usage_of(1, "m");
    again.key = k.id;
    again.cost = cost;
    CHECK_OK(fa_usage_write(p.db, &again, 1, &e), &e);
    CHECK_OK(fa_key_get(p.db, &k, "alice", &e), &e);
    CHECK(k.balance == 0 && sum_of(p.db, FA_USAGE_BY_MODEL, 0, INT64_MAX).requests == 3, "a request id counts twice");
    fa_accounts_close(a);
    place_close(&p);
}

static void a_batch_is_written_whole_or_not_at_all(void *arg) {
    (void)arg;
    place p = place_open();
    fa_error e;
    fa_usage rows[3] = {usage_of(1, "m"), usage_of(2, "m"), usage_of(3, "m")};
    CHECK_OK(
        fa_database_exec(
            p.db,
            "CREATE TRIGGER no BEFORE INSERT ON usage WHEN new.request = 'req-3' BEGIN SELECT raise(ABORT, 'no'); END",
            &e),
        &e);
    CHECK(fa_usage_write(p.db, rows, 3, &e) != FA_OK);
    CHECK(sum_of(p.db, FA_USAGE_BY_MODEL, 0, INT64_MAX).requests == 0, "a part was written");
    CHECK_OK(fa_usage_write(p.db, rows, 2, &e), &e);
    CHECK(sum_of(p.db, FA_USAGE_BY_MODEL, 0, INT64_MAX).requests == 2);
    place_close(&p);
}

static void a_disk_that_refuses_stops_new_requests_and_loses_none(void *arg) {
    (void)arg;
    place p = place_open();
    fa_error e;
    fa_accounts *a = accounts_open(p.path, true);
    waiting w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    CHECK_OK(
        fa_database_exec(p.db, "CREATE TRIGGER no BEFORE INSERT ON usage BEGIN SELECT raise(ABORT, 'no'); END", &e),
        &e);
    fa_decision d = fa_accounts_ask(a, 0);
    fa_usage u = usage_of(1, "m");
    CHECK(!d.refusal && fa_accounts_leave(a, d.ticket, &u, row_done, &w));
    EVENTUALLY(!fa_accounts_look(a).ledger_ok);
    d = fa_accounts_ask(a, 0);
    CHECK(d.refusal == FA_REFUSE_LEDGER && fa_refusal_status(d.refusal) == 503 && d.retry_after_s > 0);
    CHECK_OK(fa_database_exec(p.db, "DROP TRIGGER no", &e), &e);
    EVENTUALLY(fa_accounts_look(a).ledger_ok && fa_accounts_look(a).rows_written == 1);
    CHECK(!fa_accounts_ask(a, 0).refusal);
    wait_done(&w, 1);
    CHECK(sum_of(p.db, FA_USAGE_BY_MODEL, 0, INT64_MAX).requests == 1);
    fa_accounts_close(a);
    place_close(&p);
}

static void prices_round_up_and_stay_exact(void *arg) {
    (void)arg;
    const fa_price p = {"m", 1, 0, 0}, dear = {"m", 1000000 * FA_MONEY_UNIT, 0, 1000000 * FA_MONEY_UNIT};
    fa_usage u = {.prompt_tokens = 1};
    CHECK(fa_price_cost(&p, &u) == 1);
    u.prompt_tokens = 1000000;
    CHECK(fa_price_cost(&p, &u) == 1);
    u.prompt_tokens = 1000001;
    CHECK(fa_price_cost(&p, &u) == 2);
    u = (fa_usage){.prompt_tokens = 1 << 27, .completion_tokens = 1 << 27};
    CHECK(fa_price_cost(&dear, &u) == (fa_money)(1 << 28) * FA_MONEY_UNIT);
}

static const check_case cases[] = {
    {"amounts of money are exact", amounts_of_money_are_exact, NULL},
    {"a key is shown once and kept as a hash", a_key_is_shown_once_and_kept_as_a_hash, NULL},
    {"the file is its owner's alone", the_file_is_its_owners_alone, NULL},
    {"wrong files are errors", wrong_files_are_errors, NULL},
    {"names and rights are checked", names_and_rights_are_checked, NULL},
    {"only the right text is a key", only_the_right_text_is_a_key, NULL},
    {"a running server sees what another process changes", a_running_server_sees_what_another_process_changes, NULL},
    {"a request is counted once and paid", a_request_is_counted_once_and_paid, NULL},
    {"a batch is written whole or not at all", a_batch_is_written_whole_or_not_at_all, NULL},
    {"a disk that refuses stops new requests and loses none", a_disk_that_refuses_stops_new_requests_and_loses_none,
     NULL},
    {"prices round up and stay exact", prices_round_up_and_stay_exact, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
