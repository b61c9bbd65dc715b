/* The one file the service keeps: keys, usage rows and prices in SQLite, in WAL mode with an fsync a commit. No prompt and no answer is in it. */
#ifndef FA_SERVER_DATABASE_H
#define FA_SERVER_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "host/base/status.h"

/* The folder for what outlives a run, malloc'd: $STATE_DIRECTORY (systemd sets it; the first of several), else $XDG_STATE_HOME/fathom, else
 * ~/.local/state/fathom. FA_EINVAL where none of the variables is set. */
fa_status fa_state_folder(char **folder, fa_error *e);

/* `given`, or fathom.db in the state folder; malloc'd. */
fa_status fa_database_path(char **path, const char *given, fa_error *e);

/* Opens the database. With `create` a missing one is made, with its missing folders (0700); without it that is FA_EIO. The file is 0600, and one that
 * others may read or write is refused. A database of a later version is FA_EUNSUPPORTED, another kind of file FA_EFORMAT. The caller
 * closes with sqlite3_close. A connection belongs to one thread. */
fa_status fa_database_open(sqlite3 **db, const char *path, bool create, fa_error *e);

/* Fills `e` with what SQLite says: "PATH: WHAT: reason". FA_EIO, or FA_EFORMAT where the file is damaged. */
fa_status fa_database_fail(sqlite3 *db, const char *what, fa_error *e);

/* Runs one or several statements without parameters. */
fa_status fa_database_exec(sqlite3 *db, const char *sql, fa_error *e);

/* Prepares a statement and binds it: each character of `kinds` takes one argument: i int64_t, t text or NULL (borrowed until the statement ends),
 * b pointer and int (borrowed likewise). The caller ends it with sqlite3_finalize. */
fa_status fa_database_prepare(sqlite3 *db, sqlite3_stmt **s, fa_error *e, const char *sql, const char *kinds, ...);

/* Prepares, runs and ends a statement that returns no row; *changed (may be NULL) is the number of rows it changed. */
fa_status fa_database_run(sqlite3 *db, int *changed, fa_error *e, const char *sql, const char *kinds, ...);

#endif
