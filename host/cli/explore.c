/* fathom explore: sweeps builds, numbers of boards, contexts and batches, and shows the Pareto front. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/plan_options.h"
#include "host/cli/plot.h"

typedef struct explore_options {
    cli_plan_options common;
    fa_space space;
    bool json;
    const char *csv, *plot;
} explore_options;

enum {
    OPTION_JSON = 0x2001,
    OPTION_CSV,
    OPTION_PLOT,
    OPTION_UNITS,
    OPTION_PORTS,
    OPTION_ROWS,
    OPTION_LANES,
    OPTION_BOARDS,
    OPTION_CONTEXT,
    OPTION_BATCH
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    explore_options *o = state->input;
    fa_space *s = &o->space;
    const struct {
        int key;
        const char *name;
        int64_t min, max;
        fa_sweep *to;
    } lists[] = {
        {OPTION_UNITS, "--sweep-units", 1, 64, &s->units},
        {OPTION_PORTS, "--sweep-ports", 1, 16, &s->ports},
        {OPTION_ROWS, "--sweep-rows", 1, 64, &s->rows},
        {OPTION_LANES, "--sweep-lanes", 16, 65536, &s->lanes_fp32},
        {OPTION_BOARDS, "--sweep-boards", 1, 65536, &s->boards},
        {OPTION_CONTEXT, "--sweep-context", 1, 1 << 24, &s->context},
        {OPTION_BATCH, "--sweep-batch", 1, 65536, &s->batch},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i].key == key) {
            lists[i].to->n = cli_option_list(state, lists[i].name, arg, lists[i].min, lists[i].max, lists[i].to->value,
                                             FA_SWEEP_VALUES);
            return 0;
        }
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->common; return 0;
    case OPTION_JSON: o->json = true; return 0;
    case OPTION_CSV: o->csv = arg; return 0;
    case OPTION_PLOT: o->plot = arg; return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {0, 0, 0, 0, "What to sweep; lists of numbers with commas between them:", -2},
    {"sweep-units", OPTION_UNITS, "LIST", 0, "Compute units (default 1,2,4)", -2},
    {"sweep-ports", OPTION_PORTS, "LIST", 0, "Weight ports of a unit (default 2,4,8,16)", -2},
    {"sweep-rows", OPTION_ROWS, "LIST", 0, "Rows that share a pass over the weights (default 1,2,4)", -2},
    {"sweep-lanes", OPTION_LANES, "LIST", 0, "FP32 lanes of a unit (default 16,32,64,128)", -2},
    {"sweep-boards", OPTION_BOARDS, "LIST", 0, "(default what --boards says)", -2},
    {"sweep-context", OPTION_CONTEXT, "LIST", 0, "(default what --context says)", -2},
    {"sweep-batch", OPTION_BATCH, "LIST", 0, "(default 1,8,64)", -2},
    {0, 0, 0, 0, "What to show:", -1},
    {"json", OPTION_JSON, NULL, 0, "Print all points as one JSON object", -1},
    {"csv", OPTION_CSV, "FILE", 0, "Write all points", -1},
    {"plot", OPTION_PLOT, "FILE", 0, "Draw them (.png or .svg, by gnuplot)", -1},
    {0},
};
static const struct argp_child children[] = {{&cli_plan_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = children,
    .doc =
        "Plans a model on every combination of the swept values, leaves out builds that do not fit the board's part "
        "and boards that do not hold the model, and prints the Pareto front: what no other point of the same context beats "
        "in tokens/s, J/token and the price of the machines at once.\v"
        "Example:\n"
        "  fathom explore --model deepseek-r1 --board u55c --sweep-boards 40,48,64 --sweep-batch 1,8,64 --csv all.csv",
};

/* ---- rows of a point, for all forms ---- */

static const struct column {
    const char *name;
    int width, digits;
} columns[] = {{"units", 5, 0},         {"ports", 5, 0},   {"rows", 4, 0},         {"fp32_lanes", 10, 0},
               {"part_use", 8, 2},      {"boards", 6, 0},  {"context", 7, 0},      {"batch", 5, 0},
               {"tokens_per_s", 12, 2}, {"first_s", 8, 3}, {"j_per_token", 11, 2}, {"usd_per_m", 9, 2},
               {"usd", 8, 0},           {"front", 5, 0}};
enum { COLUMNS = sizeof columns / sizeof *columns };

static void values_of(const fa_point *p, double v[COLUMNS]) {
    const fa_board_build *b = &p->build;
    const double all[COLUMNS] = {b->units,
                                 b->ports,
                                 b->rows,
                                 b->lanes_fp32,
                                 p->use,
                                 p->boards,
                                 p->context,
                                 p->batch,
                                 p->plan.decode_tokens_per_s,
                                 p->plan.first_token_s,
                                 p->plan.joules_per_token,
                                 p->plan.usd_per_million,
                                 p->plan.usd,
                                 p->front};
    memcpy(v, all, sizeof all);
}

static fa_status write_csv(const char *path, const fa_explored *x, fa_error *e) {
    fa_new_file f = {0};
    fa_status s = fa_new_file_open(&f, path, e);
    if (s) return s;
    for (int i = 0; i < COLUMNS; i++) fprintf(f.stream, "%s%s", i ? "," : "", columns[i].name);
    fprintf(f.stream, ",bottleneck\n");
    for (int64_t i = 0; i < x->n; i++) {
        double v[COLUMNS];
        values_of(&x->point[i], v);
        for (int k = 0; k < COLUMNS; k++) fprintf(f.stream, "%s%.7g", k ? "," : "", v[k]);
        fprintf(f.stream, ",%s\n", fa_limit_name(x->point[i].plan.bottleneck));
    }
    s = fa_new_file_commit(&f, e);
    fa_new_file_abandon(&f);
    return s;
}

static int print_json(const explore_options *o, const fa_explored *x) {
    json_t *list = json_array();
    for (int64_t i = 0; i < x->n; i++) {
        double v[COLUMNS];
        json_t *point = json_object();
        values_of(&x->point[i], v);
        for (int k = 0; k < COLUMNS; k++) json_object_set_new(point, columns[k].name, json_real(v[k]));
        json_object_set_new(point, "bottleneck", json_string(fa_limit_name(x->point[i].plan.bottleneck)));
        json_array_append_new(list, point);
    }
    json_t *root = json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "model", o->common.model, "board", o->common.board.name,
                             "tried", (json_int_t)x->tried, "refused_by_the_part", (json_int_t)x->refused_build,
                             "refused_by_memory", (json_int_t)x->refused_memory, "points", list);
    bool ok = root && json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(7)) == 0;
    if (ok) putchar('\n');
    json_decref(root);
    return ok ? CLI_OK : cli_fail("explore: memory ran out");
}

static void print_front(const explore_options *o, const fa_explored *x) {
    printf("%s on %s: %lld combinations, %lld do not fit the part, %lld do not fit the memory. The Pareto front:\n\n",
           o->common.model, o->common.board.title, (long long)x->tried, (long long)x->refused_build,
           (long long)x->refused_memory);
    for (int k = 0; k < COLUMNS - 1; k++) printf("%s%*s", k ? "  " : "", columns[k].width, columns[k].name);
    printf("  bottleneck\n");
    for (int64_t i = 0; i < x->n; i++) {
        double v[COLUMNS];
        if (!x->point[i].front) continue;
        values_of(&x->point[i], v);
        for (int k = 0; k < COLUMNS - 1; k++)
            printf("%s%*.*f", k ? "  " : "", columns[k].width, columns[k].digits, v[k]);
        printf("  %s\n", fa_limit_name(x->point[i].plan.bottleneck));
    }
}

static void default_sweep(fa_sweep *s, int n, const int32_t *values) {
    if (s->n) return;
    memcpy(s->value, values, (size_t)n * sizeof *values);
    s->n = n;
}

int cli_explore(int argc, char **argv) {
    explore_options o = {0};
    fa_error e;
    fa_explored x = {0};
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    default_sweep(&o.space.units, 3, (const int32_t[]){1, 2, 4});
    default_sweep(&o.space.ports, 4, (const int32_t[]){2, 4, 8, 16});
    default_sweep(&o.space.rows, 3, (const int32_t[]){1, 2, 4});
    default_sweep(&o.space.lanes_fp32, 4, (const int32_t[]){16, 32, 64, 128});
    default_sweep(&o.space.batch, 3, (const int32_t[]){1, 8, 64});
    if (cli_plan_open(&o.common, &e)) return cli_fail("%s", e.text);
    cli_progress_bar bar = {.label = "exploring"};
    fa_status s = fa_explore(&x, &o.common.request, &o.space, cli_progress, &bar, &e);
    cli_progress_end(&bar);
    if (!s && o.csv) s = write_csv(o.csv, &x, &e);
    if (!s && o.plot) s = cli_plot_front(o.plot, &o.common, &x, &e);
    int code = s ? cli_fail("%s", e.text) : CLI_OK;
    if (!s && o.json)
        code = print_json(&o, &x);
    else if (!s)
        print_front(&o, &x);
    fa_explored_free(&x);
    return code;
}
