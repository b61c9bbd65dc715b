#include "host/server/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/base/file.h"

/* the layout below; raised with every change of it */
#define SCHEMA_VERSION 1
/* "fthm": tells our file from another program's */
#define APPLICATION_ID 0x6674686d
/* how long a writer waits for another one, ms */
#define BUSY_MS 10000

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

static const char schema[] =
    "CREATE TABLE keys("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " name TEXT NOT NULL, hint TEXT NOT NULL, digest BLOB NOT NULL UNIQUE, rights INTEGER NOT NULL,"
    " concurrency INTEGER NOT NULL, requests_per_minute INTEGER NOT NULL, tokens_per_minute INTEGER NOT NULL,"
    " metered INTEGER NOT NULL, balance INTEGER NOT NULL,"
    " created INTEGER NOT NULL, first_active INTEGER NOT NULL, last_active INTEGER NOT NULL, revoked INTEGER NOT NULL"
    ") STRICT;"
    "CREATE UNIQUE INDEX keys_name ON keys(name) WHERE revoked = 0;"
    "CREATE TABLE usage("
    " request TEXT PRIMARY KEY, key INTEGER NOT NULL, model TEXT NOT NULL,"
    " started_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL,"
    " prompt_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,"
    " completion_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,"
    " ended TEXT NOT NULL, cost INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX usage_finished ON usage(finished_ms);"
    "CREATE TABLE prices("
    " model TEXT PRIMARY KEY, input INTEGER NOT NULL, cached INTEGER NOT NULL, output INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "PRAGMA application_id = " TEXT(APPLICATION_ID) ";"
                                                    "PRAGMA user_version = " TEXT(SCHEMA_VERSION) ";";

fa_status fa_state_folder(char **folder, fa_error *e) {
    const char *state = getenv("STATE_DIRECTORY"), *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;
    if (state && *state)
        n = asprintf(folder, "%.*s", (int)strcspn(state, ":"), state);
    else if (xdg && *xdg)
        n = asprintf(folder, "%s/fathom", xdg);
    else if (home && *home)
        n = asprintf(folder, "%s/.local/state/fathom", home);
    else
        return fa_fail(
            e, FA_EINVAL,
            "there is no place for the database: give its path, or set STATE_DIRECTORY, XDG_STATE_HOME or HOME");
    return n < 0 ? fa_fail(e, FA_ENOMEM, "memory ran out") : FA_OK;
}

fa_status fa_database_path(char **path, const char *given, fa_error *e) {
    if (given) {
        *path = strdup(given);
        return *path ? FA_OK : fa_fail(e, FA_ENOMEM, "memory ran out");
    }
    char *folder;
    fa_status s = fa_state_folder(&folder, e);
    if (s) return s;
    *path = fa_path_join(folder, "fathom.db");
    free(folder);
    return *path ? FA_OK : fa_fail(e, FA_ENOMEM, "memory ran out");
}

fa_status fa_database_fail(sqlite3 *db, const char *what, fa_error *e) {
    const char *path = sqlite3_db_filename(db, "main");
    int code = sqlite3_errcode(db);
    fa_status s = code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? FA_EFORMAT
                  : code == SQLITE_NOMEM                          ? FA_ENOMEM
                                                                  : FA_EIO;
    return fa_fail(e, s, "%s: %s: %s", path && *path ? path : "database", what, sqlite3_errmsg(db));
}

fa_status fa_database_exec(sqlite3 *db, const char *sql, fa_error *e) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) ? fa_database_fail(db, "a statement failed", e) : FA_OK;
}

static int bind_all(sqlite3_stmt *s, const char *kinds, va_list args) {
    int rc = SQLITE_OK;
    for (int i = 1; *kinds && rc == SQLITE_OK; kinds++, i++) {
        if (*kinds == 'i') {
            rc = sqlite3_bind_int64(s, i, va_arg(args, int64_t));
        } else if (*kinds == 't') {
            rc = sqlite3_bind_text(s, i, va_arg(args, const char *), -1, SQLITE_STATIC);
        } else {
            const void *data = va_arg(args, const void *);
            rc = sqlite3_bind_blob(s, i, data, va_arg(args, int), SQLITE_STATIC);
        }
    }
    return rc;
}

static fa_status prepare(sqlite3 *db, sqlite3_stmt **s, fa_error *e, const char *sql, const char *kinds, va_list args) {
    *s = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, s, NULL) == SQLITE_OK && bind_all(*s, kinds, args) == SQLITE_OK) return FA_OK;
    fa_status status = fa_database_fail(db, "a statement failed", e);
    sqlite3_finalize(*s);
    *s = NULL;
    return status;
}

fa_status fa_database_prepare(sqlite3 *db, sqlite3_stmt **s, fa_error *e, const char *sql, const char *kinds, ...) {
    va_list args;
    va_start(args, kinds);
    fa_status status = prepare(db, s, e, sql, kinds, args);
    va_end(args);
    return status;
}

fa_status fa_database_run(sqlite3 *db, int *changed, fa_error *e, const char *sql, const char *kinds, ...) {
    sqlite3_stmt *s;
    va_list args;
    va_start(args, kinds);
    fa_status status = prepare(db, &s, e, sql, kinds, args);
    va_end(args);
    if (status) return status;
    if (sqlite3_step(s) != SQLITE_DONE) status = fa_database_fail(db, "writing failed", e);
    if (changed) *changed = status ? 0 : sqlite3_changes(db);
    sqlite3_finalize(s);
    return status;
}

/* Makes the folders that a path is in. */
static fa_status make_folders(const char *path, fa_error *e) {
    char *copy = strdup(path);
    if (!copy) return fa_fail(e, FA_ENOMEM, "memory ran out");
    fa_status s = FA_OK;
    for (char *p = strchr(copy + 1, '/'); p && !s; p = strchr(p + 1, '/')) {
        *p = 0;
        if (mkdir(copy, 0700) && errno != EEXIST) s = fa_fail(e, FA_EIO, "%s: %s", copy, strerror(errno));
        *p = '/';
    }
    free(copy);
    return s;
}

/* The file exists afterwards, for its owner alone: SQLite gives its side files the same rights. */
static fa_status make_private(const char *path, bool create, fa_error *e) {
    struct stat info;
    fa_status s = create ? make_folders(path, e) : FA_OK;
    if (s) return s;
    int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    if (fd < 0 && errno == ENOENT)
        return fa_fail(e, FA_EIO, "%s: there is no such database; `fathom key add' makes one", path);
    if (fd < 0 || fstat(fd, &info)) {
        s = fa_fail(e, FA_EIO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        s = fa_fail(e, FA_EIO, "%s: not a file", path);
    } else if (info.st_mode & 077) {
        s = fa_fail(e, FA_EIO, "%s: others may read or write this file of keys: run `chmod 600 %s'", path, path);
    }
    if (fd >= 0) close(fd);
    return s;
}

static fa_status read_int(sqlite3 *db, const char *sql, int64_t *value, fa_error *e) {
    sqlite3_stmt *s;
    fa_status status = fa_database_prepare(db, &s, e, sql, "");
    if (status) return status;
    if (sqlite3_step(s) == SQLITE_ROW)
        *value = sqlite3_column_int64(s, 0);
    else
        status = fa_database_fail(db, "reading failed", e);
    sqlite3_finalize(s);
    return status;
}

/* In a transaction: the tables are there, and of our version. */
static fa_status set_up(sqlite3 *db, const char *path, fa_error *e) {
    int64_t version = 0, application = 0, tables = 0;
    fa_status s = read_int(db, "PRAGMA user_version", &version, e);
    if (!s) s = read_int(db, "PRAGMA application_id", &application, e);
    if (!s) s = read_int(db, "SELECT count(*) FROM sqlite_schema", &tables, e);
    if (s) return s;
    if (application == APPLICATION_ID && version == SCHEMA_VERSION) return FA_OK;
    if (application == APPLICATION_ID)
        return fa_fail(e, FA_EUNSUPPORTED, "%s: made by a later version of fathom (layout %d; this one knows %d)", path,
                       (int)version, SCHEMA_VERSION);
    if (tables) return fa_fail(e, FA_EFORMAT, "%s: a database of another program", path);
    return fa_database_exec(db, schema, e);
}

fa_status fa_database_open(sqlite3 **db, const char *path, bool create, fa_error *e) {
    *db = NULL;
    fa_status s = make_private(path, create, e);
    if (s) return s;
    if (sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL)) {
        s = *db ? fa_database_fail(*db, "opening failed", e) : fa_fail(e, FA_ENOMEM, "memory ran out");
    } else {
        sqlite3_busy_timeout(*db, BUSY_MS);
        s = fa_database_exec(*db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE", e);
        if (!s) {
            s = set_up(*db, path, e);
            fa_status ended = fa_database_exec(*db, s ? "ROLLBACK" : "COMMIT", s ? NULL : e);
            if (!s) s = ended;
        }
    }
    if (s) {
        sqlite3_close(*db);
        *db = NULL;
    }
    return s;
}
