/* The option --database, which `serve`, `key` and `usage` share. */
#ifndef FA_CLI_DATABASE_H
#define FA_CLI_DATABASE_H

#include <argp.h>
#include <stdint.h>

#include "host/server/database.h"

/* An argp child; its input is a const char *, which becomes the path, or stays NULL: the state folder's. */
extern const struct argp cli_database_argp;

/* Opens it; with `create` a missing one is made. */
fa_status cli_database_open(sqlite3 **db, const char *given, bool create, fa_error *e);

/* A time of the database (s since 1970) as "2026-11-24 17:05", UTC; "never" for 0. Returns `text`. */
const char *cli_time(int64_t seconds, char text[32]);

#endif
