/* fathom key and fathom usage, as an operator uses them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/base/json.h"
#include "host/server/keys.h"
#include "host/server/usage.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"

/* Runs `fathom ARGUMENTS` with a state folder of its own. */
static check_output fathom(const char *folder, const char *arguments) {
    return check_command("env -u HOME -u XDG_STATE_HOME STATE_DIRECTORY='%s' \"$FATHOM_BIN\" %s", folder, arguments);
}

static void does(const char *folder, const char *arguments, const char *says) {
    check_output o = fathom(folder, arguments);
    CHECK(o.status == 0 && strstr(o.out, says), "%s: status %d, \"%s\" is not in:\n%s%s", arguments, o.status, says,
          o.out, o.err);
    check_output_free(&o);
}

static void refuses(const char *folder, const char *arguments, int status, const char *says) {
    check_output o = fathom(folder, arguments);
    CHECK(o.status == status && strstr(o.err, says) && !o.out_bytes, "%s: status %d, \"%s\" is not in:\n%s%s",
          arguments, o.status, says, o.err, o.out);
    check_output_free(&o);
}

static sqlite3 *database(const char *folder) {
    char path[256];
    sqlite3 *db;
    fa_error e;
    snprintf(path, sizeof path, "%s/fathom.db", folder);
    CHECK_OK(fa_database_open(&db, path, true, &e), &e);
    return db;
}

static void a_key_is_made_listed_limited_and_revoked(void *arg) {
    (void)arg;
    char *folder = check_folder();
    check_output o = fathom(folder, "key add alice --balance 10 --tokens-per-minute 100000");
    CHECK(o.status == 0 && !strncmp(o.out, "sk-fathom-", 10) && o.out_bytes == FA_KEY_TEXT - 2, "%d %s", o.status,
          o.out);
    CHECK(strstr(o.err, "alice") && strstr(o.err, "only now"), "%s", o.err);
    char hint[16];
    snprintf(hint, sizeof hint, "..%.4s", o.out + o.out_bytes - 5);
    does(folder, "key list", "100000");
    does(folder, "key list", hint);
    check_output listed = fathom(folder, "key list --json");
    o.out[o.out_bytes - 1] = 0;
    CHECK(!strstr(listed.out, o.out), "the list shows the key");
    check_output_free(&listed);
    check_output_free(&o);
    does(folder, "key add prometheus --rights metrics", "sk-fathom-");
    does(folder, "key limit prometheus", "metrics");
    does(folder, "key limit alice --concurrency 3 --rights chat,metrics", "chat,metrics");
    does(folder, "key balance alice --add 5", "15.00");
    does(folder, "key balance alice --add -0.5", "14.50");
    does(folder, "key balance alice --set 1", "1.00");
    does(folder, "key balance alice", "1.00");
    does(folder, "key revoke alice", "revoked");
    refuses(folder, "key revoke alice", 1, "no key 'alice'");
    o = fathom(folder, "key list");
    CHECK(!strstr(o.out, "alice") && strstr(o.out, "prometheus"), "%s", o.out);
    check_output_free(&o);
    does(folder, "key list --all", "alice");
    does(folder, "key add alice", "sk-fathom-");
    does(folder, "key balance alice", " - ");
    check_folder_remove(folder);
}

static void json_says_what_the_table_says(void *arg) {
    (void)arg;
    char *folder = check_folder();
    fa_error e;
    json_t *root;
    check_output o = fathom(folder, "key add alice --balance 2.5 --json");
    CHECK_OK(fa_json_parse(&root, o.out, o.out_bytes, "output", &e), &e);
    CHECK(!strncmp(json_string_value(json_object_get(root, "key")), "sk-fathom-", 10));
    json_decref(root);
    check_output_free(&o);
    o = fathom(folder, "key list --json");
    CHECK_OK(fa_json_parse(&root, o.out, o.out_bytes, "output", &e), &e);
    const json_t *k = json_array_get(root, 0);
    CHECK(!strcmp(json_string_value(json_object_get(k, "balance")), "2.50") &&
              json_is_null(json_object_get(k, "last_active")) &&
              json_integer_value(json_object_get(k, "concurrency")) == 16 && !json_object_get(k, "key"),
          "%s", o.out);
    json_decref(root);
    check_output_free(&o);
    check_folder_remove(folder);
}

static void usage_is_summed_by_key_model_and_day(void *arg) {
    (void)arg;
    char *folder = check_folder();
    fa_error e;
    does(folder, "key add alice --balance 1", "sk-");
    does(folder, "key add bob", "sk-");
    sqlite3 *db = database(folder);
    const int64_t day_ms = 86400000, first = 20000 * day_ms; /* 2024-10-04 */
    fa_usage rows[] = {
        {"a", "chat", 1, first, first + 5, 100, 50, 10, 3, FA_USAGE_STOP, FA_MONEY_UNIT / 4},
        {"b", "chat", 1, first, first + day_ms, 100, 0, 10, 0, FA_USAGE_LENGTH, FA_MONEY_UNIT / 4},
        {"c", "other", 2, first, first + day_ms, 7, 0, 1, 0, FA_USAGE_CANCELLED, 0},
    };
    CHECK_OK(fa_usage_write(db, rows, 3, &e), &e);
    sqlite3_close(db);
    does(folder, "key balance alice", " 0.50");
    does(
        folder, "usage",
        "alice                             2            200             50             20              3             0.50");
    does(folder, "usage --by model", "other                             1              7");
    does(folder, "usage --by day --key alice", "2024-10-05                        1            100");
    does(folder, "usage --from 2024-10-05 --to 2024-10-05", "total                             2            107");
    does(folder, "usage --from today", "total                             0");
    check_output o = fathom(folder, "usage --by model --json");
    json_t *root;
    CHECK_OK(fa_json_parse(&root, o.out, o.out_bytes, "output", &e), &e);
    const json_t *row = json_array_get(json_object_get(root, "rows"), 0), *total = json_object_get(root, "total");
    CHECK(!strcmp(json_string_value(json_object_get(row, "model")), "chat") &&
              !strcmp(json_string_value(json_object_get(row, "cost")), "0.50") &&
              json_integer_value(json_object_get(total, "requests")) == 3,
          "%s", o.out);
    json_decref(root);
    check_output_free(&o);
    check_folder_remove(folder);
}

static void prices_are_set_and_shown(void *arg) {
    (void)arg;
    char *folder = check_folder();
    does(folder, "usage price deepseek-chat 0.27 0.07 1.10", "1.10");
    does(folder, "usage price deepseek-chat 0.5 0.07 1.10", "0.50");
    does(folder, "usage price", "deepseek-chat");
    does(folder, "usage price --json", "\"input\": \"0.50\"");
    refuses(folder, "usage price deepseek-chat 0.27", 2, "MODEL INPUT CACHED OUTPUT");
    refuses(folder, "usage price deepseek-chat a 0 0", 1, "'a' is not an amount");
    refuses(folder, "usage price m -- -1 0 0", 1, "a price");
    check_folder_remove(folder);
}

static void the_state_folder_is_where_users_expect_it(void *arg) {
    (void)arg;
    static const struct {
        const char *environment, *file;
    } table[] = {
        {"STATE_DIRECTORY=%s/a:%s/b", "a/fathom.db"},
        {"-u STATE_DIRECTORY XDG_STATE_HOME=%s/x HOME=%s/h", "x/fathom/fathom.db"},
        {"-u STATE_DIRECTORY -u XDG_STATE_HOME HOME=%s/h USER=%s", "h/.local/state/fathom/fathom.db"},
    };
    char *folder = check_folder();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char environment[300], path[300];
        struct stat info;
        snprintf(environment, sizeof environment, table[i].environment, folder, folder); // NOLINT
        check_output o = check_command("umask 0; env %s \"$FATHOM_BIN\" key add k%zu", environment, i);
        CHECK(o.status == 0, "%s: %s", environment, o.err);
        check_output_free(&o);
        snprintf(path, sizeof path, "%s/%s", folder, table[i].file);
        CHECK(stat(path, &info) == 0 && (info.st_mode & 0777) == 0600, "%s: %o", path, info.st_mode);
        *strrchr(path, '/') = 0;
        CHECK(stat(path, &info) == 0 && (info.st_mode & 0777) == 0700, "%s: %o", path, info.st_mode);
    }
    check_folder_remove(folder);
}

static void wrong_uses_are_refused(void *arg) {
    (void)arg;
    static const struct {
        const char *arguments, *says;
        int status;
    } table[] = {
        {"key", "add, list, revoke, limit or balance", 2},
        {"key make alice", "'make' is not known", 2},
        {"key add", "needs the name of a key", 2},
        {"key add a b", "unexpected argument 'b'", 2},
        {"key list a", "unexpected argument 'a'", 2},
        {"key list --balance 3", "--balance is not an option of list", 2},
        {"key add a --set 3", "--set is not an option of add", 2},
        {"key add a --rights root", "'root' is not a right", 2},
        {"key add a --balance ten", "'ten' is not an amount", 2},
        {"key add a --concurrency -1", "concurrency", 2},
        {"key add a --tokens-per-minute 1e9", "tokens-per-minute", 2},
        {"key balance a --set 3 --add 3", "exclude each other", 2},
        {"key list", "there is no such database", 1},
        {"usage", "there is no such database", 1},
        {"key add 'two words'", "not a name for a key", 1},
        {"key add 1234567890123456789012345678901234567890123456789012345678901234", "too long", 1},
        {"usage --by hour", "'hour' is not key, model or day", 2},
        {"usage --from 2026-02-29", "'2026-02-29' is not a day", 2},
        {"usage --from yesterday", "is not a day", 2},
        {"usage --from today --to 1d", "later than", 2},
        {"usage price --by day", "not options of price", 2},
        {"usage alice", "unexpected argument 'alice'", 2},
        {"key list --database ''", "the path is empty", 2},
        {"key list --database /dev/null/x", "/dev/null/x", 1},
    };
    char *folder = check_folder();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        refuses(folder, table[i].arguments, table[i].status, table[i].says);
    check_folder_remove(folder);
}

static const check_case cases[] = {
    {"a key is made, listed, limited and revoked", a_key_is_made_listed_limited_and_revoked, NULL},
    {"JSON says what the table says", json_says_what_the_table_says, NULL},
    {"usage is summed by key, model and day", usage_is_summed_by_key_model_and_day, NULL},
    {"prices are set and shown", prices_are_set_and_shown, NULL},
    {"the state folder is where users expect it", the_state_folder_is_where_users_expect_it, NULL},
    {"wrong uses are refused", wrong_uses_are_refused, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
