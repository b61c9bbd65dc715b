#include "host/server/usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TOKENS_OF_A_PRICE 1000000
#define PRICE_MAX (1000000 * FA_MONEY_UNIT)

static const char *const end_names[] = {
#define END_NAME(id, name) name,
    FA_USAGE_ENDS(END_NAME)
#undef END_NAME
};

const char *fa_usage_end_name(fa_usage_end end) {
    return end_names[end];
}

fa_money fa_price_cost(const fa_price *p, const fa_usage *u) {
    __int128 sum = (__int128)p->input * (u->prompt_tokens - u->cached_tokens) + (__int128)p->cached * u->cached_tokens +
                   (__int128)p->output * u->completion_tokens;
    return (fa_money)((sum + TOKENS_OF_A_PRICE - 1) / TOKENS_OF_A_PRICE);
}

static bool price_ok(fa_money m) {
    return m >= 0 && m <= PRICE_MAX;
}

fa_status fa_price_set(sqlite3 *db, const fa_price *p, fa_error *e) {
    int changed;
    if (!*p->model) return fa_fail(e, FA_EINVAL, "a price needs the name of a model");
    if (!price_ok(p->input) || !price_ok(p->cached) || !price_ok(p->output))
        return fa_fail(e, FA_EINVAL, "%s: a price of a million tokens is 0 to 1000000", p->model);
    fa_status s = fa_database_run(db, &changed, e,
                                  "INSERT INTO prices(model, input, cached, output) SELECT ?1, ?2, ?3, ?4"
                                  " WHERE (SELECT count(*) FROM prices WHERE model <> ?1) < ?5"
                                  " ON CONFLICT(model) DO UPDATE SET input = ?2, cached = ?3, output = ?4",
                                  "tiiii", p->model, p->input, p->cached, p->output, (int64_t)FA_PRICE_MODELS);
    if (!s && !changed) s = fa_fail(e, FA_ELIMIT, "there are prices of %d models already", FA_PRICE_MODELS);
    return s;
}

fa_status fa_price_list(sqlite3 *db, fa_price prices[FA_PRICE_MODELS], size_t *n, fa_error *e) {
    sqlite3_stmt *s;
    int rc;
    *n = 0;
    fa_status status =
        fa_database_prepare(db, &s, e, "SELECT model, input, cached, output FROM prices ORDER BY model", "");
    if (status) return status;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW && *n < FA_PRICE_MODELS) {
        fa_price *p = &prices[(*n)++];
        snprintf(p->model, sizeof p->model, "%s", (const char *)sqlite3_column_text(s, 0));
        p->input = sqlite3_column_int64(s, 1);
        p->cached = sqlite3_column_int64(s, 2);
        p->output = sqlite3_column_int64(s, 3);
    }
    if (rc != SQLITE_DONE && rc != SQLITE_ROW) status = fa_database_fail(db, "reading the prices failed", e);
    sqlite3_finalize(s);
    return status;
}

/* In a transaction: the row, and where it is new, the debit. */
static fa_status write_one(sqlite3 *db, const fa_usage *u, fa_error *e) {
    int changed;
    fa_status s = fa_database_run(
        db, &changed, e,
        "INSERT INTO usage(request, key, model, started_ms, finished_ms, prompt_tokens, cached_tokens,"
        " completion_tokens, reasoning_tokens, ended, cost) VALUES(?,?,?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT(request) DO NOTHING",
        "titiiiiiiti", u->request, u->key, u->model, u->started_ms, u->finished_ms, u->prompt_tokens, u->cached_tokens,
        u->completion_tokens, u->reasoning_tokens, fa_usage_end_name(u->end), u->cost);
    if (s || !changed || !u->key) return s;
    return fa_database_run(db, NULL, e,
                           "UPDATE keys SET balance = balance - CASE metered WHEN 1 THEN ?1 ELSE 0 END,"
                           " first_active = CASE first_active WHEN 0 THEN ?2 ELSE first_active END,"
                           " last_active = max(last_active, ?2) WHERE id = ?3",
                           "iii", u->cost, u->finished_ms / 1000, u->key);
}

fa_status fa_usage_write(sqlite3 *db, const fa_usage *rows, size_t n, fa_error *e) {
    fa_status s = fa_database_exec(db, "BEGIN IMMEDIATE", e);
    if (s) return s;
    for (size_t i = 0; i < n && !s; i++) s = write_one(db, &rows[i], e);
    if (!s) s = fa_database_exec(db, "COMMIT", e);
    if (s) fa_database_exec(db, "ROLLBACK", NULL);
    return s;
}

static const char *const sums_sql[] = {
#define SUMS(group, join)                                                                                \
    "SELECT " group                                                                                      \
    ", count(*), sum(prompt_tokens), sum(cached_tokens), sum(completion_tokens), sum(reasoning_tokens)," \
    " sum(cost) FROM usage " join                                                                        \
    " WHERE finished_ms >= ?1 AND finished_ms < ?2 AND (?3 = 0 OR key = ?3) GROUP BY 1 ORDER BY 1"
    [FA_USAGE_BY_KEY] = SUMS("coalesce(name || CASE revoked WHEN 0 THEN '' ELSE ' #' || id END, '-')",
                             "LEFT JOIN keys ON keys.id = usage.key"),
    [FA_USAGE_BY_MODEL] = SUMS("model", ""),
    [FA_USAGE_BY_DAY] = SUMS("date(finished_ms / 1000, 'unixepoch')", ""),
#undef SUMS
};

static void read_sum(fa_usage_sum *u, sqlite3_stmt *s) {
    int64_t *const numbers[] = {&u->requests,          &u->prompt_tokens,    &u->cached_tokens,
                                &u->completion_tokens, &u->reasoning_tokens, &u->cost};
    snprintf(u->group, sizeof u->group, "%s", (const char *)sqlite3_column_text(s, 0));
    for (int i = 0; i < (int)(sizeof numbers / sizeof *numbers); i++) *numbers[i] = sqlite3_column_int64(s, i + 1);
}

fa_status fa_usage_sums(sqlite3 *db, fa_usage_by by, int64_t key, int64_t from_ms, int64_t to_ms, fa_usage_sum **sums,
                        size_t *n, fa_error *e) {
    sqlite3_stmt *s;
    size_t room = 0;
    int rc;
    *sums = NULL;
    *n = 0;
    fa_status status = fa_database_prepare(db, &s, e, sums_sql[by], "iii", from_ms, to_ms, key);
    if (status) return status;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        if (*n == room) {
            room = room ? 2 * room : 16;
            fa_usage_sum *more = realloc(*sums, room * sizeof *more);
            if (!more) break;
            *sums = more;
        }
        read_sum(&(*sums)[(*n)++], s);
    }
    if (rc == SQLITE_ROW)
        status = fa_fail(e, FA_ENOMEM, "memory ran out");
    else if (rc != SQLITE_DONE)
        status = fa_database_fail(db, "reading the usage failed", e);
    sqlite3_finalize(s);
    if (status) {
        free(*sums);
        *sums = NULL;
        *n = 0;
    }
    return status;
}
