/* The ledger under SIGKILL: a child records usage as the server does and is killed at a random moment, again and again. FATHOM_KILLS says how often. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/server/accounts.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

enum { KILLS = 25, ROWS_MAX = 8192, AT_ONCE = 4 };

static const fa_price price = {"m", FA_MONEY_UNIT, FA_MONEY_UNIT, FA_MONEY_UNIT}; /* a token is 1000 */
static const fa_money balance = 1000 * FA_MONEY_UNIT;

/* What a row is told by when it is on the disk: its number, written into a pipe. */
typedef struct ack {
    int fd;
    int32_t row;
} ack;

static void on_disk(void *ctx, fa_status s) {
    const ack *a = ctx;
    if (s || write(a->fd, &a->row, sizeof a->row) != sizeof a->row) _exit(3);
}

/* The child: records rows from `first` on until it is killed. Its last life may have written the first of them. */
static _Noreturn void record(const char *path, const char *text, int32_t first, int fd) {
    static ack acks[ROWS_MAX];
    fa_accounts *a;
    fa_identity who;
    fa_error e;
    fa_accounts_options o = {.database = path, .admission = fa_admission_defaults(AT_ONCE)};
    if (fa_accounts_open(&a, &o, &e) || !fa_accounts_identify(a, text, strlen(text), &who)) _exit(2);
    for (int32_t i = 0; i < ROWS_MAX; i++) {
        fa_usage u = {.model = "m", .prompt_tokens = 1 + (first + i) % 100, .finished_ms = 1000000};
        snprintf(u.request, sizeof u.request, "row-%d", first + i);
        acks[i] = (ack){fd, first + i};
        fa_decision d;
        while ((d = fa_accounts_ask(a, who.slot)).refusal) usleep(100);
        if (fa_accounts_next(a) != d.ticket || !fa_accounts_leave(a, d.ticket, &u, on_disk, &acks[i])) _exit(4);
        if (i % 64 == 0) usleep(200);
    }
    for (;;) pause();
}

/* Lets a child live until some rows are acknowledged and `more_us` longer. Fills in which are, returns the row after the last of them. */
static int32_t live_and_die(const char *path, const char *text, int32_t first, useconds_t more_us, uint8_t *acked) {
    int fds[2];
    int32_t row, last = first - 1;
    CHECK(pipe(fds) == 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(fds[0]);
        record(path, text, first, fds[1]);
    }
    close(fds[1]);
    ssize_t got = read(fds[0], &row, sizeof row);
    if (got == sizeof row) usleep(more_us);
    int status;
    kill(child, SIGKILL);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(got == sizeof row && WIFSIGNALED(status), "the child ended by itself: %d", status);
    do {
        acked[row] = 1;
        if (row > last) last = row;
    } while (read(fds[0], &row, sizeof row) == sizeof row);
    close(fds[0]);
    return last + 1;
}

static int64_t number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *s;
    fa_error e;
    CHECK_OK(fa_database_prepare(db, &s, &e, sql, ""), &e);
    CHECK(sqlite3_step(s) == SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

/* Every acknowledged row is there, and the balance is what the rows say. */
static void compare(const char *path, const uint8_t *acked, int32_t n, int kill_number) {
    sqlite3 *db;
    sqlite3_stmt *s;
    fa_error e;
    CHECK_OK(fa_database_open(&db, path, false, &e), &e);
    uint8_t *there = calloc((size_t)n + ROWS_MAX, 1);
    CHECK(there);
    CHECK_OK(fa_database_prepare(db, &s, &e, "SELECT request FROM usage", ""), &e);
    while (sqlite3_step(s) == SQLITE_ROW) {
        int32_t row = atoi((const char *)sqlite3_column_text(s, 0) + strlen("row-"));
        CHECK(row >= 0 && row < n + ROWS_MAX && !there[row], "kill %d: row %d is there twice", kill_number, row);
        there[row] = 1;
    }
    sqlite3_finalize(s);
    for (int32_t i = 0; i < n; i++)
        CHECK(!acked[i] || there[i], "kill %d: row %d was acknowledged and is lost", kill_number, i);
    free(there);
    int64_t tokens = number(db, "SELECT sum(prompt_tokens) FROM usage"),
            cost = number(db, "SELECT sum(cost) FROM usage");
    CHECK(cost == 1000 * tokens && number(db, "SELECT balance FROM keys") == balance - cost, "kill %d: cost %" PRId64,
          kill_number, cost);
    CHECK(number(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") == 1, "kill %d",
          kill_number);
    sqlite3_close(db);
}

static void kills_lose_no_acknowledged_row_and_double_none(void *arg) {
    (void)arg;
    const char *wanted = getenv("FATHOM_KILLS");
    int kills = wanted ? atoi(wanted) : KILLS;
    char *folder = check_scratch(), path[256], text[FA_KEY_TEXT];
    sqlite3 *db;
    fa_error e;
    check_rng rng = {3};
    snprintf(path, sizeof path, "%s/fathom.db", folder);
    CHECK_OK(fa_database_open(&db, path, true, &e), &e);
    fa_key key = {.name = "alice", .rights = FA_RIGHT_CHAT, .metered = true, .balance = balance};
    CHECK_OK(fa_key_add(db, &key, text, 1, &e), &e);
    CHECK_OK(fa_price_set(db, &price, &e), &e);
    sqlite3_close(db);
    uint8_t *acked = calloc((size_t)kills + 2, ROWS_MAX);
    CHECK(acked && kills > 0);
    int32_t next = 0, first = 0;
    for (int k = 0; k < kills; k++) {
        next = live_and_die(path, text, first, (useconds_t)(check_u64(&rng) % 30000), acked);
        compare(path, acked, next, k);
        first = next > 8 ? next - 8 : 0; /* the last ones are sent again */
    }
    printf("%d kills, %d rows acknowledged\n", kills, next);
    free(acked);
    check_remove(folder);
    free(folder);
}

static const check_case cases[] = {
    {"kills lose no acknowledged row and double none", kills_lose_no_acknowledged_row_and_double_none, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
