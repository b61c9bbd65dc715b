#include "host/cli/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { OPTION_DATABASE = 0x3001 };

static error_t parse(int key, char *arg, struct argp_state *state) {
    if (key != OPTION_DATABASE) return ARGP_ERR_UNKNOWN;
    if (!*arg) argp_error(state, "--database: the path is empty");
    *(const char **)state->input = arg;
    return 0;
}

static const struct argp_option options[] = {
    {"database", OPTION_DATABASE, "FILE", 0, "The database of keys and usage (default: fathom.db in the state folder)",
     20},
    {0},
};
const struct argp cli_database_argp = {.options = options, .parser = parse};

fa_status cli_database_open(sqlite3 **db, const char *given, bool create, fa_error *e) {
    char *path;
    *db = NULL;
    fa_status s = fa_database_path(&path, given, e);
    if (s) return s;
    s = fa_database_open(db, path, create, e);
    free(path);
    return s;
}

const char *cli_time(int64_t seconds, char text[32]) {
    struct tm t;
    time_t when = (time_t)seconds;
    if (!seconds || !gmtime_r(&when, &t) || !strftime(text, 32, "%Y-%m-%d %H:%M", &t)) snprintf(text, 32, "never");
    return text;
}
