#include "host/server/keys.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_PREFIX "sk-fathom-"
enum { SECRET_BYTES = 32 };

#define KEY_COLUMNS                                                                                                    \
    "id, name, hint, digest, rights, concurrency, requests_per_minute, tokens_per_minute, metered, balance, created, " \
    "first_active, last_active, revoked"

static const struct {
    unsigned bit;
    const char *name;
} rights_table[] = {
#define RIGHT_ROW(id, bit, name, help) {bit, name},
    FA_RIGHTS(RIGHT_ROW)
#undef RIGHT_ROW
};

enum { RIGHTS = sizeof rights_table / sizeof *rights_table };

static unsigned right_of(const char *word, size_t n) {
    for (size_t i = 0; i < RIGHTS; i++)
        if (strlen(rights_table[i].name) == n && !memcmp(rights_table[i].name, word, n)) return rights_table[i].bit;
    return 0;
}

fa_status fa_rights_parse(unsigned *rights, const char *text, fa_error *e) {
    unsigned all = 0, known = 0;
    char names[64];
    for (size_t i = 0; i < RIGHTS; i++) known |= rights_table[i].bit;
    for (const char *p = text;; p++) {
        size_t n = strcspn(p, ",");
        unsigned one = right_of(p, n);
        if (!one)
            return fa_fail(e, FA_EINVAL, "'%.*s' is not a right: the rights are %s", (int)n, p,
                           fa_rights_format(known, names));
        all |= one;
        p += n;
        if (!*p) break;
    }
    *rights = all;
    return FA_OK;
}

const char *fa_rights_format(unsigned rights, char text[64]) {
    size_t n = 0;
    text[0] = 0;
    for (size_t i = 0; i < RIGHTS; i++)
        if (rights & rights_table[i].bit)
            n += (size_t)snprintf(text + n, 64 - n, "%s%s", n ? "," : "", rights_table[i].name);
    return text;
}

void fa_key_digest(unsigned char digest[FA_KEY_DIGEST], const char *text, size_t bytes) {
    crypto_generichash(digest, FA_KEY_DIGEST, (const unsigned char *)text, bytes, NULL, 0);
}

static void make_text(char text[FA_KEY_TEXT]) {
    unsigned char secret[SECRET_BYTES];
    char coded[sodium_base64_ENCODED_LEN(SECRET_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
    randombytes_buf(secret, sizeof secret);
    sodium_bin2base64(coded, sizeof coded, secret, sizeof secret, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    snprintf(text, FA_KEY_TEXT, "%s%s", KEY_PREFIX, coded);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(coded, sizeof coded);
}

/* #NUMBER would be read as an id */
static fa_status check_name(const char *name, fa_error *e) {
    size_t n = strlen(name);
    bool good = n > 0 && n < FA_KEY_NAME && name[0] != '#' && name[0] != '-';
    for (size_t i = 0; i < n; i++) good &= name[i] > ' ' && name[i] <= '~';
    if (good) return FA_OK;
    return fa_fail(
        e, FA_EINVAL,
        "'%s' is not a name for a key: 1 to %d printable characters without blanks, not starting with # or -", name,
        FA_KEY_NAME - 1);
}

static void read_text(char *out, size_t size, sqlite3_stmt *s, int column) {
    const char *text = (const char *)sqlite3_column_text(s, column);
    snprintf(out, size, "%s", text ? text : "");
}

static void read_key(fa_key *k, sqlite3_stmt *s) {
    *k = (fa_key){0};
    k->id = sqlite3_column_int64(s, 0);
    read_text(k->name, sizeof k->name, s, 1);
    read_text(k->hint, sizeof k->hint, s, 2);
    const void *digest = sqlite3_column_blob(s, 3);
    if (digest && sqlite3_column_bytes(s, 3) == FA_KEY_DIGEST) memcpy(k->digest, digest, FA_KEY_DIGEST);
    k->rights = (unsigned)sqlite3_column_int(s, 4);
    k->limits.concurrency = sqlite3_column_int(s, 5);
    k->limits.requests_per_minute = sqlite3_column_int(s, 6);
    k->limits.tokens_per_minute = sqlite3_column_int64(s, 7);
    k->metered = sqlite3_column_int(s, 8) != 0;
    k->balance = sqlite3_column_int64(s, 9);
    k->created = sqlite3_column_int64(s, 10);
    k->first_active = sqlite3_column_int64(s, 11);
    k->last_active = sqlite3_column_int64(s, 12);
    k->revoked = sqlite3_column_int64(s, 13);
}

fa_status fa_key_get(sqlite3 *db, fa_key *key, const char *name, fa_error *e) {
    sqlite3_stmt *s;
    char *end = NULL;
    int64_t id = name[0] == '#' ? strtoll(name + 1, &end, 10) : 0;
    if (end && *end) id = 0;
    fa_status status = fa_database_prepare(
        db, &s, e, "SELECT " KEY_COLUMNS " FROM keys WHERE (name = ?1 AND revoked = 0) OR id = ?2", "ti", name, id);
    if (status) return status;
    int rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        read_key(key, s);
    else if (rc == SQLITE_DONE)
        status = fa_fail(e, FA_EINVAL, "there is no key '%s': `fathom key list' shows them", name);
    else
        status = fa_database_fail(db, "reading a key failed", e);
    sqlite3_finalize(s);
    return status;
}

fa_status fa_key_list(sqlite3 *db, fa_key **keys, size_t *n, fa_error *e) {
    sqlite3_stmt *s;
    size_t room = 0;
    int rc;
    *keys = NULL;
    *n = 0;
    fa_status status = fa_database_prepare(db, &s, e, "SELECT " KEY_COLUMNS " FROM keys ORDER BY id", "");
    if (status) return status;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        if (*n == room) {
            room = room ? 2 * room : 16;
            fa_key *more = realloc(*keys, room * sizeof *more);
            if (!more) break;
            *keys = more;
        }
        read_key(&(*keys)[(*n)++], s);
    }
    if (rc == SQLITE_ROW)
        status = fa_fail(e, FA_ENOMEM, "memory ran out");
    else if (rc != SQLITE_DONE)
        status = fa_database_fail(db, "reading the keys failed", e);
    sqlite3_finalize(s);
    if (status) {
        free(*keys);
        *keys = NULL;
        *n = 0;
    }
    return status;
}

static fa_status check_limits(const fa_key_limits *l, fa_error *e) {
    if (l->concurrency >= 0 && l->requests_per_minute >= 0 && l->tokens_per_minute >= 0) return FA_OK;
    return fa_fail(e, FA_EINVAL, "a limit is 0 (none) or more");
}

fa_status fa_key_add(sqlite3 *db, fa_key *key, char text[FA_KEY_TEXT], int64_t now_s, fa_error *e) {
    fa_key known;
    fa_status s = check_name(key->name, e);
    if (!s) s = check_limits(&key->limits, e);
    if (s) return s;
    if (sodium_init() < 0)
        return fa_fail(e, FA_EUNSUPPORTED, "libsodium does not start: this system gives no random numbers");
    if (fa_key_get(db, &known, key->name, NULL) == FA_OK)
        return fa_fail(e, FA_EINVAL, "there is a key '%s' already: take another name, or revoke it first", key->name);
    make_text(text);
    fa_key_digest(key->digest, text, strlen(text));
    memcpy(key->hint, text + strlen(text) - (FA_KEY_HINT - 1), FA_KEY_HINT);
    key->created = now_s;
    key->first_active = key->last_active = key->revoked = 0;
    s = fa_database_run(
        db, NULL, e,
        "INSERT INTO keys(name, hint, digest, rights, concurrency, requests_per_minute, tokens_per_minute, metered,"
        " balance, created, first_active, last_active, revoked) VALUES(?,?,?,?,?,?,?,?,?,?,0,0,0)",
        "ttbiiiiiii", key->name, key->hint, key->digest, FA_KEY_DIGEST, (int64_t)key->rights,
        (int64_t)key->limits.concurrency, (int64_t)key->limits.requests_per_minute, key->limits.tokens_per_minute,
        (int64_t)key->metered, key->balance, now_s);
    if (!s) key->id = sqlite3_last_insert_rowid(db);
    return s;
}

/* The statement changed one row, or there is no such key. */
static fa_status one_changed(fa_status s, int changed, int64_t id, fa_error *e) {
    return s || changed == 1 ? s : fa_fail(e, FA_EINVAL, "key #%" PRId64 " is revoked or does not exist", id);
}

fa_status fa_key_revoke(sqlite3 *db, int64_t id, int64_t now_s, fa_error *e) {
    int changed;
    fa_status s =
        fa_database_run(db, &changed, e, "UPDATE keys SET revoked = ? WHERE id = ? AND revoked = 0", "ii", now_s, id);
    return one_changed(s, changed, id, e);
}

fa_status fa_key_set_limits(sqlite3 *db, int64_t id, unsigned rights, const fa_key_limits *limits, fa_error *e) {
    int changed;
    fa_status s = check_limits(limits, e);
    if (s) return s;
    s = fa_database_run(db, &changed, e,
                        "UPDATE keys SET rights = ?, concurrency = ?, requests_per_minute = ?, tokens_per_minute = ?"
                        " WHERE id = ? AND revoked = 0",
                        "iiiii", (int64_t)rights, (int64_t)limits->concurrency, (int64_t)limits->requests_per_minute,
                        limits->tokens_per_minute, id);
    return one_changed(s, changed, id, e);
}

fa_status fa_key_set_balance(sqlite3 *db, int64_t id, bool metered, bool add, fa_money amount, fa_error *e) {
    int changed;
    fa_status s = fa_database_run(db, &changed, e,
                                  "UPDATE keys SET metered = ?1, balance = ?2 + CASE ?3 WHEN 1 THEN balance ELSE 0 END"
                                  " WHERE id = ?4 AND revoked = 0",
                                  "iiii", (int64_t)metered, amount, (int64_t)add, id);
    return one_changed(s, changed, id, e);
}
