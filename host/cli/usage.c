/* fathom usage: what was used and what it cost; the prices of models. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/database.h"
#include "host/server/keys.h"
#include "host/server/usage.h"

#define DAY_S INT64_C(86400)

enum { OPTION_BY = 0x3201, OPTION_KEY, OPTION_FROM, OPTION_TO, OPTION_JSON };
enum { PRICE_ARGS = 4 };

typedef struct usage_options {
    const char *database, *key;
    fa_usage_by by;
    int64_t from_s, to_s; /* since 1970; [from, to) */
    bool json, ranged, price;
    const char *args[PRICE_ARGS]; /* of `price` */
    int n_args;
} usage_options;

static const struct argp_option options[] = {
    {"by", OPTION_BY, "WHAT", 0, "A line for each key (default), model or day", 0},
    {"key", OPTION_KEY, "NAME", 0, "Of this key alone", 0},
    {"from", OPTION_FROM, "DATE", 0, "From the beginning of this day, UTC: 2026-11-24, today, or 7d (seven days ago)",
     0},
    {"to", OPTION_TO, "DATE", 0, "To the end of this day", 0},
    {"json", OPTION_JSON, NULL, 0, "Print JSON", 0},
    {0},
};

static const char *const by_names[] = {
    [FA_USAGE_BY_KEY] = "key", [FA_USAGE_BY_MODEL] = "model", [FA_USAGE_BY_DAY] = "day"};

/* ---- options ---- */

/* The beginning of a day, s since 1970. */
static int64_t option_day(const struct argp_state *state, const char *option, const char *text) {
    struct tm t = {0};
    int64_t today = time(NULL) / DAY_S * DAY_S, days;
    size_t n = strlen(text);
    char number[16];
    if (!strcmp(text, "today")) return today;
    if (n > 1 && n < sizeof number && text[n - 1] == 'd') {
        memcpy(number, text, n - 1);
        number[n - 1] = 0;
        if (cli_int(number, 0, 36500, &days)) return today - days * DAY_S;
    }
    const char *end = strptime(text, "%Y-%m-%d", &t);
    int day = t.tm_mday;
    time_t when = end && !*end ? timegm(&t) : -1;
    if (when < 0 || t.tm_mday != day) /* timegm makes a March 1st of a February 29th that the calendar lacks */
        argp_error(state, "--%s: '%s' is not a day: write it like 2026-11-24, today or 7d", option, text);
    return when;
}

static fa_usage_by option_by(const struct argp_state *state, const char *text) {
    for (int i = 0; i < (int)(sizeof by_names / sizeof *by_names); i++)
        if (!strcmp(by_names[i], text)) return (fa_usage_by)i;
    argp_error(state, "--by: '%s' is not key, model or day", text);
    return FA_USAGE_BY_KEY;
}

static void check_use(const struct argp_state *state, const usage_options *o) {
    if (o->price && o->n_args != 0 && o->n_args != PRICE_ARGS)
        argp_error(state, "price takes MODEL INPUT CACHED OUTPUT, or nothing");
    if (o->price && o->ranged) argp_error(state, "--by, --key, --from and --to are not options of price");
    if (o->from_s >= o->to_s) argp_error(state, "--from is later than --to");
}

static void take_argument(usage_options *o, const char *arg, const struct argp_state *state) {
    if (!o->price && !strcmp(arg, "price"))
        o->price = true;
    else if (o->price && o->n_args < PRICE_ARGS)
        o->args[o->n_args++] = arg;
    else
        argp_error(state, "unexpected argument '%s'", arg);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    usage_options *o = state->input;
    o->ranged |= key == OPTION_BY || key == OPTION_KEY || key == OPTION_FROM || key == OPTION_TO;
    switch (key) {
    case OPTION_BY: o->by = option_by(state, arg); return 0;
    case OPTION_KEY: o->key = arg; return 0;
    case OPTION_FROM: o->from_s = option_day(state, "from", arg); return 0;
    case OPTION_TO: o->to_s = option_day(state, "to", arg) + DAY_S; return 0;
    case OPTION_JSON: o->json = true; return 0;
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->database; return 0;
    case ARGP_KEY_ARG: take_argument(o, arg, state); return 0;
    case ARGP_KEY_END: check_use(state, o); return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_child children[] = {{&cli_database_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = children,
    .args_doc = "\nprice [MODEL INPUT CACHED OUTPUT]",
    .doc =
        "Shows what the keys of `fathom serve' used and what it cost, or the prices of models.\v"
        "`price' sets what a million tokens of a model cost, in " FA_CURRENCY
        ": of prompts that were computed, of prompts from the cache, and of "
        "answers. Requests are charged at the price of the moment when they end; a model without a price costs nothing. Cancelled "
        "requests count with what was computed.\n"
        "\n"
        "Examples:\n"
        "  fathom usage --from 7d --by day\n"
        "  fathom usage --key alice --by model --json\n"
        "  fathom usage price deepseek-chat 0.27 0.07 1.10",
};

/* ---- usage ---- */

static fa_usage_sum total_of(const fa_usage_sum *sums, size_t n) {
    fa_usage_sum t = {.group = "total"};
    for (size_t i = 0; i < n; i++) {
        t.requests += sums[i].requests;
        t.prompt_tokens += sums[i].prompt_tokens;
        t.cached_tokens += sums[i].cached_tokens;
        t.completion_tokens += sums[i].completion_tokens;
        t.reasoning_tokens += sums[i].reasoning_tokens;
        t.cost += sums[i].cost;
    }
    return t;
}

static json_t *sum_json(const char *by, const fa_usage_sum *u) {
    char cost[FA_MONEY_TEXT];
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:s}", by, u->group, "requests", (json_int_t)u->requests,
                     "prompt_tokens", (json_int_t)u->prompt_tokens, "cached_tokens", (json_int_t)u->cached_tokens,
                     "completion_tokens", (json_int_t)u->completion_tokens, "reasoning_tokens",
                     (json_int_t)u->reasoning_tokens, "cost", fa_money_format(u->cost, cost));
}

static int print_json(json_t *root) {
    bool ok = root && json_dumpf(root, stdout, JSON_INDENT(2)) == 0;
    if (ok) putchar('\n');
    json_decref(root);
    return ok ? CLI_OK : cli_fail("usage: memory ran out");
}

static int sums_as_json(const usage_options *o, const fa_usage_sum *sums, size_t n) {
    fa_usage_sum total = total_of(sums, n);
    const char *by = by_names[o->by];
    json_t *rows = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(rows, sum_json(by, &sums[i]));
    return print_json(json_pack("{s:s, s:s, s:o, s:o}", "currency", FA_CURRENCY, "by", by, "rows", rows, "total",
                                sum_json(by, &total)));
}

static void print_sum(const fa_usage_sum *u) {
    char cost[FA_MONEY_TEXT];
    printf("%-24s %10" PRId64 " %14" PRId64 " %14" PRId64 " %14" PRId64 " %14" PRId64 " %16s\n", u->group, u->requests,
           u->prompt_tokens, u->cached_tokens, u->completion_tokens, u->reasoning_tokens,
           fa_money_format(u->cost, cost));
}

static void sums_as_table(const usage_options *o, const fa_usage_sum *sums, size_t n) {
    fa_usage_sum total = total_of(sums, n);
    printf("%-24s %10s %14s %14s %14s %14s %16s\n", by_names[o->by], "requests", "prompt tokens", "of the cache",
           "answer tokens", "of reasoning", "cost " FA_CURRENCY);
    for (size_t i = 0; i < n; i++) print_sum(&sums[i]);
    print_sum(&total);
}

static int show_usage(sqlite3 *db, const usage_options *o) {
    fa_error e;
    fa_key k = {0};
    fa_usage_sum *sums;
    size_t n;
    int code = CLI_OK;
    if ((o->key && fa_key_get(db, &k, o->key, &e)) ||
        fa_usage_sums(db, o->by, k.id, 1000 * o->from_s, 1000 * o->to_s, &sums, &n, &e))
        return cli_fail("%s", e.text);
    if (o->json)
        code = sums_as_json(o, sums, n);
    else
        sums_as_table(o, sums, n);
    free(sums);
    return code;
}

/* ---- prices ---- */

static int show_prices(sqlite3 *db, bool json) {
    fa_error e;
    fa_price p[FA_PRICE_MODELS];
    size_t n;
    char a[FA_MONEY_TEXT], b[FA_MONEY_TEXT], c[FA_MONEY_TEXT];
    if (fa_price_list(db, p, &n, &e)) return cli_fail("%s", e.text);
    json_t *rows = json ? json_array() : NULL;
    if (!json)
        printf("%-32s %12s %12s %12s  %s per million tokens\n", "model", "input", "cached", "output", FA_CURRENCY);
    for (size_t i = 0; i < n; i++) {
        const char *input = fa_money_format(p[i].input, a), *cached = fa_money_format(p[i].cached, b),
                   *output = fa_money_format(p[i].output, c);
        if (json)
            json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s}", "model", p[i].model, "input", input, "cached",
                                                  cached, "output", output));
        else
            printf("%-32s %12s %12s %12s\n", p[i].model, input, cached, output);
    }
    return json ? print_json(json_pack("{s:s, s:o}", "currency", FA_CURRENCY, "prices", rows)) : CLI_OK;
}

static int set_price(sqlite3 *db, const usage_options *o) {
    fa_error e;
    fa_price p = {0};
    if (strlen(o->args[0]) >= sizeof p.model) return cli_fail("'%s' is too long for the name of a model", o->args[0]);
    strcpy(p.model, o->args[0]);
    if (fa_money_parse(&p.input, o->args[1], &e) || fa_money_parse(&p.cached, o->args[2], &e) ||
        fa_money_parse(&p.output, o->args[3], &e) || fa_price_set(db, &p, &e))
        return cli_fail("%s", e.text);
    return show_prices(db, o->json);
}

int cli_usage(int argc, char **argv) {
    usage_options o = {.to_s = INT64_MAX / 2000};
    sqlite3 *db;
    fa_error e;
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    if (cli_database_open(&db, o.database, o.n_args > 0, &e)) return cli_fail("%s", e.text);
    int code = !o.price ? show_usage(db, &o) : o.n_args ? set_price(db, &o) : show_prices(db, o.json);
    sqlite3_close(db);
    return code;
}
