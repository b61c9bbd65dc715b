/* fathom key: makes, lists, changes and revokes the keys of the service. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/database.h"
#include "host/server/keys.h"

/* what `fathom key add` gives where no option says otherwise */
#define DEFAULT_CONCURRENCY 16

enum {
    OPTION_RIGHTS = 0x3101,
    OPTION_CONCURRENCY,
    OPTION_REQUESTS,
    OPTION_TOKENS,
    OPTION_BALANCE,
    OPTION_ADD,
    OPTION_SET,
    OPTION_UNMETERED,
    OPTION_ALL,
    OPTION_JSON,
    OPTIONS_END,
};

typedef struct key_options {
    const char *database, *action, *name;
    unsigned given; /* a bit for each option */
    unsigned rights;
    fa_key_limits limits;
    fa_money amount;
} key_options;

#define GIVEN(option) (1U << ((option)-OPTION_RIGHTS))
#define LIMITS (GIVEN(OPTION_RIGHTS) | GIVEN(OPTION_CONCURRENCY) | GIVEN(OPTION_REQUESTS) | GIVEN(OPTION_TOKENS))

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "Of add and limit:", 1},
    {"rights", OPTION_RIGHTS, "LIST", 0, "What the key may do: chat, metrics or chat,metrics (add: chat)", 1},
    {"concurrency", OPTION_CONCURRENCY, "N", 0, "Requests waiting or running at one time (add: 16; 0: no limit)", 1},
    {"requests-per-minute", OPTION_REQUESTS, "N", 0, "Requests a minute (0: no limit)", 1},
    {"tokens-per-minute", OPTION_TOKENS, "N", 0, "Tokens of prompts and answers a minute (0: no limit)", 1},
    {NULL, 0, NULL, 0, "Of add:", 2},
    {"balance", OPTION_BALANCE, "AMOUNT", 0,
     "Requests are paid from this, in " FA_CURRENCY " (without it: counted, not paid)", 2},
    {NULL, 0, NULL, 0, "Of balance:", 3},
    {"add", OPTION_ADD, "AMOUNT", 0, "Add to the balance; an amount below 0 takes away", 3},
    {"set", OPTION_SET, "AMOUNT", 0, "Replace the balance", 3},
    {"unmetered", OPTION_UNMETERED, NULL, 0, "Requests are counted, not paid", 3},
    {NULL, 0, NULL, 0, "Of list:", 4},
    {"all", OPTION_ALL, NULL, 0, "Revoked keys too", 4},
    {NULL, 0, NULL, 0, "Of all:", 20},
    {"json", OPTION_JSON, NULL, 0, "Print JSON", 20},
    {0},
};

/* ---- output ---- */

static json_t *time_json(int64_t s) {
    return s ? json_integer(s) : json_null();
}

static json_t *key_json(const fa_key *k) {
    char rights[64], balance[FA_MONEY_TEXT];
    return json_pack("{s:I, s:s, s:s, s:s, s:i, s:i, s:I, s:o, s:s, s:o, s:o, s:o, s:o}", "id", (json_int_t)k->id,
                     "name", k->name, "ends_in", k->hint, "rights", fa_rights_format(k->rights, rights), "concurrency",
                     k->limits.concurrency, "requests_per_minute", k->limits.requests_per_minute, "tokens_per_minute",
                     (json_int_t)k->limits.tokens_per_minute, "balance",
                     k->metered ? json_string(fa_money_format(k->balance, balance)) : json_null(), "currency",
                     FA_CURRENCY, "created", time_json(k->created), "first_active", time_json(k->first_active),
                     "last_active", time_json(k->last_active), "revoked", time_json(k->revoked));
}

static int print_json(json_t *root) {
    bool ok = root && json_dumpf(root, stdout, JSON_INDENT(2)) == 0;
    if (ok) putchar('\n');
    json_decref(root);
    return ok ? CLI_OK : cli_fail("key: memory ran out");
}

static const char *limit_text(int64_t limit, char text[32]) {
    snprintf(text, 32, limit ? "%" PRId64 : "-", limit);
    return text;
}

static void print_head(void) {
    printf("%4s  %-16s %-6s %-13s %6s %8s %10s %14s  %-16s  %s\n", "id", "name", "key", "rights", "at once", "req/min",
           "tokens/min", "balance " FA_CURRENCY, "created (UTC)", "last active");
}

static void print_row(const fa_key *k) {
    char rights[64], c[32], r[32], t[32], balance[FA_MONEY_TEXT], created[32], active[32];
    printf("%4" PRId64 "  %-16s ..%-4s %-13s %7s %8s %10s %14s  %-16s  %s%s\n", k->id, k->name, k->hint,
           fa_rights_format(k->rights, rights), limit_text(k->limits.concurrency, c),
           limit_text(k->limits.requests_per_minute, r), limit_text(k->limits.tokens_per_minute, t),
           k->metered ? fa_money_format(k->balance, balance) : "-", cli_time(k->created, created),
           cli_time(k->last_active, active), k->revoked ? "  revoked" : "");
}

static int show(const key_options *o, const fa_key *k) {
    if (o->given & GIVEN(OPTION_JSON)) return print_json(key_json(k));
    print_head();
    print_row(k);
    return CLI_OK;
}

/* ---- actions ---- */

static int add(sqlite3 *db, const key_options *o) {
    fa_error e;
    char text[FA_KEY_TEXT];
    fa_key k = {.rights = FA_RIGHT_CHAT,
                .limits = o->limits,
                .metered = (o->given & GIVEN(OPTION_BALANCE)) != 0,
                .balance = o->amount};
    if (strlen(o->name) >= sizeof k.name)
        return cli_fail("'%s' is too long for a name: at most %d characters", o->name, FA_KEY_NAME - 1);
    strcpy(k.name, o->name);
    if (o->given & GIVEN(OPTION_RIGHTS)) k.rights = o->rights;
    if (!(o->given & GIVEN(OPTION_CONCURRENCY))) k.limits.concurrency = DEFAULT_CONCURRENCY;
    if (fa_key_add(db, &k, text, time(NULL), &e)) return cli_fail("%s", e.text);
    if (o->given & GIVEN(OPTION_JSON)) {
        json_t *root = key_json(&k);
        if (root) json_object_set_new(root, "key", json_string(text));
        return print_json(root);
    }
    puts(text);
    fprintf(stderr, "This is the key of %s. It is shown only now: fathom keeps a hash of it.\n", k.name);
    return CLI_OK;
}

static int list(sqlite3 *db, const key_options *o) {
    fa_error e;
    fa_key *keys;
    size_t n;
    int code = CLI_OK;
    bool all = (o->given & GIVEN(OPTION_ALL)) != 0;
    if (fa_key_list(db, &keys, &n, &e)) return cli_fail("%s", e.text);
    if (o->given & GIVEN(OPTION_JSON)) {
        json_t *rows = json_array();
        for (size_t i = 0; i < n; i++)
            if (all || !keys[i].revoked) json_array_append_new(rows, key_json(&keys[i]));
        code = print_json(rows);
    } else {
        print_head();
        for (size_t i = 0; i < n; i++)
            if (all || !keys[i].revoked) print_row(&keys[i]);
    }
    free(keys);
    return code;
}

static int revoke(sqlite3 *db, const key_options *o) {
    fa_error e;
    fa_key k;
    if (fa_key_get(db, &k, o->name, &e) || fa_key_revoke(db, k.id, time(NULL), &e)) return cli_fail("%s", e.text);
    k.revoked = time(NULL);
    return show(o, &k);
}

static int limit(sqlite3 *db, const key_options *o) {
    fa_error e;
    fa_key k;
    if (fa_key_get(db, &k, o->name, &e)) return cli_fail("%s", e.text);
    if (o->given & GIVEN(OPTION_RIGHTS)) k.rights = o->rights;
    if (o->given & GIVEN(OPTION_CONCURRENCY)) k.limits.concurrency = o->limits.concurrency;
    if (o->given & GIVEN(OPTION_REQUESTS)) k.limits.requests_per_minute = o->limits.requests_per_minute;
    if (o->given & GIVEN(OPTION_TOKENS)) k.limits.tokens_per_minute = o->limits.tokens_per_minute;
    if (o->given & LIMITS && fa_key_set_limits(db, k.id, k.rights, &k.limits, &e)) return cli_fail("%s", e.text);
    return show(o, &k);
}

static int balance(sqlite3 *db, const key_options *o) {
    fa_error e;
    fa_key k;
    unsigned how = o->given & (GIVEN(OPTION_ADD) | GIVEN(OPTION_SET) | GIVEN(OPTION_UNMETERED));
    if (fa_key_get(db, &k, o->name, &e)) return cli_fail("%s", e.text);
    if (how && fa_key_set_balance(db, k.id, how != GIVEN(OPTION_UNMETERED), how == GIVEN(OPTION_ADD), o->amount, &e))
        return cli_fail("%s", e.text);
    if (fa_key_get(db, &k, o->name, &e)) return cli_fail("%s", e.text);
    return show(o, &k);
}

static const struct action {
    const char *name;
    bool takes_name;
    unsigned may; /* options */
    int (*run)(sqlite3 *db, const key_options *o);
} actions[] = {
    {"add", true, LIMITS | GIVEN(OPTION_BALANCE), add},
    {"list", false, GIVEN(OPTION_ALL), list},
    {"revoke", true, 0, revoke},
    {"limit", true, LIMITS, limit},
    {"balance", true, GIVEN(OPTION_ADD) | GIVEN(OPTION_SET) | GIVEN(OPTION_UNMETERED), balance},
};

static const struct action *find_action(const char *name) {
    for (size_t i = 0; name && i < sizeof actions / sizeof *actions; i++)
        if (!strcmp(actions[i].name, name)) return &actions[i];
    return NULL;
}

/* ---- options ---- */

static const char *option_name(int option) {
    for (const struct argp_option *p = options; p->name || p->doc; p++)
        if (p->key == option) return p->name;
    return "";
}

static void check_use(const struct argp_state *state, const key_options *o) {
    const struct action *a = find_action(o->action);
    if (!o->action) argp_error(state, "what to do is missing: add, list, revoke, limit or balance");
    if (!a) {
        argp_error(state, "'%s' is not known: it is add, list, revoke, limit or balance", o->action);
        return;
    }
    if (a->takes_name && !o->name) argp_error(state, "%s needs the name of a key", a->name);
    if (!a->takes_name && o->name) argp_error(state, "unexpected argument '%s'", o->name);
    for (int option = OPTION_RIGHTS; option < OPTION_JSON; option++)
        if (o->given & GIVEN(option) & ~a->may)
            argp_error(state, "--%s is not an option of %s", option_name(option), a->name);
    unsigned how = o->given & (GIVEN(OPTION_ADD) | GIVEN(OPTION_SET) | GIVEN(OPTION_UNMETERED));
    if (how & (how - 1)) argp_error(state, "--add, --set and --unmetered exclude each other");
}

static void parse_value(key_options *o, int option, const char *arg, const struct argp_state *state) {
    fa_error e;
    const char *name = option_name(option);
    if (option == OPTION_RIGHTS && fa_rights_parse(&o->rights, arg, &e)) argp_error(state, "--%s: %s", name, e.text);
    if (option == OPTION_CONCURRENCY)
        o->limits.concurrency = (int32_t)cli_option_int(state, "concurrency", arg, 0, 100000);
    if (option == OPTION_REQUESTS)
        o->limits.requests_per_minute = (int32_t)cli_option_int(state, "requests-per-minute", arg, 0, 1000000000);
    if (option == OPTION_TOKENS)
        o->limits.tokens_per_minute = cli_option_int(state, "tokens-per-minute", arg, 0, INT64_C(1000000000000));
    if ((option == OPTION_BALANCE || option == OPTION_ADD || option == OPTION_SET) &&
        fa_money_parse(&o->amount, arg, &e))
        argp_error(state, "--%s: %s", name, e.text);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    key_options *o = state->input;
    if (key >= OPTION_RIGHTS && key < OPTIONS_END) {
        o->given |= GIVEN(key);
        parse_value(o, key, arg, state);
        return 0;
    }
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->database; return 0;
    case ARGP_KEY_ARG:
        if (!o->action)
            o->action = arg;
        else if (!o->name)
            o->name = arg;
        else
            argp_error(state, "unexpected argument '%s'", arg);
        return 0;
    case ARGP_KEY_END: check_use(state, o); return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_child children[] = {{&cli_database_argp, 0, NULL, 20}, {0}};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = children,
    .args_doc = "add NAME\nlist\nrevoke NAME\nlimit NAME\nbalance NAME",
    .doc =
        "Makes, lists, changes and revokes the keys of `fathom serve'. A running server takes each change over within half a second.\v"
        "`add' prints the key on standard output. It is shown this once and kept as a hash. `limit' and `balance' without options show "
        "what holds. A revoked key stays in the list (--all) and is named by its number: '#7'. Requests that run when a key is revoked or "
        "its balance used up are finished.\n"
        "\n"
        "The state folder is $STATE_DIRECTORY, $XDG_STATE_HOME/fathom or ~/.local/state/fathom, whichever is set first. The database is "
        "readable by its owner alone.\n"
        "\n"
        "Examples:\n"
        "  fathom key add alice --balance 10 --tokens-per-minute 100000\n"
        "  fathom key add prometheus --rights metrics\n"
        "  fathom key balance alice --add 5\n"
        "  fathom key revoke alice",
};

int cli_key(int argc, char **argv) {
    key_options o = {0};
    sqlite3 *db;
    fa_error e;
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    const struct action *a = find_action(o.action);
    if (!a) return CLI_USAGE;
    if (cli_database_open(&db, o.database, a->run == add, &e)) return cli_fail("%s", e.text);
    int code = a->run(db, &o);
    sqlite3_close(db);
    return code;
}
