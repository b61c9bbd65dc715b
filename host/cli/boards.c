/* fathom boards: the accelerator boards that fathom knows, their facts and where those come from, and how a build fits. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "boards/board.h"
#include "boards/vitis.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"

typedef struct boards_options {
    const char *name; /* NULL: all */
    const char *vitis, *attention;
    bool json;
} boards_options;

enum { OPTION_JSON = 0x2001, OPTION_VITIS, OPTION_ATTENTION };

static error_t parse(int key, char *arg, struct argp_state *state) {
    boards_options *o = state->input;
    switch (key) {
    case OPTION_JSON: o->json = true; return 0;
    case OPTION_VITIS: o->vitis = arg; return 0;
    case OPTION_ATTENTION: o->attention = arg; return 0;
    case ARGP_KEY_ARG:
        if (o->name) argp_error(state, "unexpected argument '%s'", arg);
        o->name = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->vitis && !o->name) argp_error(state, "--vitis needs the name of a board");
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"json", OPTION_JSON, NULL, 0, "Print JSON", 0},
    {"vitis", OPTION_VITIS, "DIR", 0, "Write the configurations of v++ for this board to the folder DIR", 0},
    {"attention", OPTION_ATTENTION, "KIND", 0, "The attention of the image: mla (default) or gqa", 0},
    {0},
};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[BOARD|FILE.board]",
    .doc =
        "Lists the accelerator boards that fathom knows. With the name of one, or the path of a board file of yours, "
        "shows every fact of it with its source, and what its build takes of the fabric.\v"
        "A figure marked * is an assumption: no text gives it for this board. Bandwidth is what the build's ports "
        "read of weights; lanes are FP8 multiply-adds a cycle.\n"
        "\n"
        "Examples:\n"
        "  fathom boards\n"
        "  fathom boards u55c\n"
        "  fathom boards --vitis build/u280 u280     # make xclbin BOARD=u280 does this",
};

/* ---- all boards ---- */

static bool assumes(const fa_board *b, const char *fact) {
    const char *a;
    for (int i = 0; (a = fa_board_assumption(b, i)); i++)
        if (!strcmp(a, fact)) return true;
    return false;
}

static int32_t fp8_lanes(const fa_board_build *d) {
    return d->units * d->ports * d->port_bytes * d->rows;
}

/* "$4747", "$1.98/h" or "-". */
static const char *price(const fa_board *b, char text[32]) {
    if (b->price_usd > 0)
        snprintf(text, 32, "$%.0f", b->price_usd);
    else if (b->rent_usd_per_h > 0)
        snprintf(text, 32, "$%.2f/h", b->rent_usd_per_h);
    else
        snprintf(text, 32, "-");
    return text;
}

static void print_row(const fa_board *b) {
    char memory[32] = "", money[32];
    for (int k = 0; k < b->n_bank_kinds; k++) {
        double gib = (double)b->bank[k].bank_bytes * b->bank[k].count / 1073741824.0;
        size_t n = strlen(memory);
        snprintf(memory + n, sizeof memory - n, "%s%.0f GiB %s", k ? " + " : "", gib, b->bank[k].name);
    }
    bool rate = assumes(b, "memory.read_share") || assumes(b, "memory.peak_gb_per_s");
    printf("%-9s %-24s %5.0f GB/s%s %4.0f MHz %6d %5.0f W%s %8s  %s\n", b->name, memory,
           fa_board_read_rate(b, &b->build) * 1e-9, rate ? "*" : " ", b->build.clock_hz * 1e-6, fp8_lanes(&b->build),
           b->full_w, assumes(b, "power.full_w") ? "*" : " ", price(b, money), fa_board_runtime_name(b->runtime));
}

static json_t *row_json(const fa_board *b) {
    json_t *assumed = json_array();
    const char *a;
    for (int i = 0; (a = fa_board_assumption(b, i)); i++) json_array_append_new(assumed, json_string(a));
    return json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:i, s:f, s:f, s:f, s:f, s:o}", "name", b->name, "title", b->title,
                     "runtime", fa_board_runtime_name(b->runtime), "memory_bytes", (json_int_t)fa_board_bytes(b),
                     "read_bytes_per_s", fa_board_read_rate(b, &b->build), "clock_hz", b->build.clock_hz, "fp8_lanes",
                     fp8_lanes(&b->build), "idle_w", b->idle_w, "full_w", b->full_w, "price_usd", b->price_usd,
                     "rent_usd_per_h", b->rent_usd_per_h, "assumed", assumed);
}

static int print_json(json_t *root) {
    bool ok = root && json_dumpf(root, stdout, JSON_INDENT(2)) == 0;
    if (ok) putchar('\n');
    json_decref(root);
    return ok ? CLI_OK : cli_fail("boards: memory ran out");
}

static int list_all(bool json) {
    json_t *list = json ? json_array() : NULL;
    if (!json)
        printf("%-9s %-24s %10s %9s %6s %7s %10s  %s\n", "board", "memory", "bandwidth", "clock", "lanes", "power",
               "price", "runtime");
    for (int i = 0; fa_board_name(i); i++) {
        fa_board b;
        fa_error e;
        if (fa_board_find(&b, fa_board_name(i), &e)) {
            json_decref(list);
            return cli_fail("%s", e.text);
        }
        if (json)
            json_array_append_new(list, row_json(&b));
        else
            print_row(&b);
    }
    if (json) return print_json(list);
    printf("* an assumption; `fathom boards BOARD' shows the facts and their sources\n");
    return CLI_OK;
}

/* ---- one board ---- */

typedef struct resource_row {
    const char *name;
    double needed, usable, fill; /* usable 0: not known */
} resource_row;

enum { RESOURCES = 5 };

static void resource_rows(const fa_board *b, resource_row rows[RESOURCES]) {
    fa_resources n;
    fa_board_needs(b, &b->build, &n);
    const fa_resources *u = &b->usable, *f = &fa_board_fill;
    rows[0] = (resource_row){"LUT", n.lut, u->lut, f->lut};
    rows[1] = (resource_row){"FF", n.ff, u->ff, f->ff};
    rows[2] = (resource_row){"DSP", n.dsp, u->dsp, f->dsp};
    rows[3] = (resource_row){"BRAM", n.bram, u->bram, f->bram};
    rows[4] = (resource_row){"URAM", n.uram, u->uram, f->uram};
}

static void fact_line(void *context, const fa_board_fact *f) {
    char *section = context;
    size_t n = strcspn(f->name, ".");
    if (!f->value && !strncmp(f->name, "memory2.", 8)) return; /* most boards have one kind of memory */
    if (strncmp(section, f->name, n) != 0 || section[n]) {
        printf("\n[%.*s]\n", (int)n, f->name);
        snprintf(section, 32, "%.*s", (int)n, f->name);
    }
    const char *key = f->name + n + 1;
    char value[80];
    snprintf(value, sizeof value, "%s%s%s", f->value ? f->value : "not known", f->value && *f->unit ? " " : "",
             f->value ? f->unit : "");
    if (!strcmp(section, "sources"))
        printf("%-5s %s\n", key, f->value);
    else if (!f->value)
        printf("%-18s %-40s   %s\n", key, value, f->about);
    else
        printf("%-18s %-40s %s %s [%s]\n", key, value, f->assumed ? "*" : " ", f->about, f->source);
}

static void print_build(const fa_board *b) {
    resource_row rows[RESOURCES];
    fa_error e;
    resource_rows(b, rows);
    printf(
        "\nThe build: %d FP8 lanes, %d FP32 lanes; weights are read at %.1f GB/s, activations and pages at %.1f GB/s a unit\n",
        fp8_lanes(&b->build), b->build.units * b->build.lanes_fp32, fa_board_read_rate(b, &b->build) * 1e-9,
        fa_board_io_rate(b, &b->build) * 1e-9);
    printf("%-6s %10s %10s %10s\n", "", "needed", "may fill", "usable");
    for (int i = 0; i < RESOURCES; i++)
        if (rows[i].usable > 0)
            printf("%-6s %10.0f %10.0f %10.0f\n", rows[i].name, rows[i].needed, floor(rows[i].usable * rows[i].fill),
                   rows[i].usable);
        else
            printf("%-6s %10.0f %10s %10s\n", rows[i].name, rows[i].needed, "not known", "");
    if (fa_board_fits(b, &b->build, &e))
        printf("%s\n", e.text);
    else
        printf("It fits.\n");
}

static void fact_json(void *context, const fa_board_fact *f) {
    json_t *o = context;
    if (!strncmp(f->name, "sources.", 8)) {
        json_object_set_new(json_object_get(o, "sources"), f->name + 8, json_string(f->value));
        return;
    }
    if (!f->value) return;
    char *end;
    double number = strtod(f->value, &end);
    json_t *value = *end ? json_string(f->value) : json_real(number);
    json_object_set_new(
        json_object_get(o, "facts"), f->name,
        json_pack("{s:o, s:s, s:s, s:b}", "value", value, "unit", f->unit, "source", f->source, "assumed", f->assumed));
}

static json_t *build_json(const fa_board *b) {
    resource_row rows[RESOURCES];
    fa_error e;
    json_t *resources = json_object();
    resource_rows(b, rows);
    for (int i = 0; i < RESOURCES; i++)
        json_object_set_new(resources, rows[i].name,
                            json_pack("{s:f, s:f, s:f}", "needed", rows[i].needed, "usable", rows[i].usable, "may_fill",
                                      rows[i].usable * rows[i].fill));
    bool fits = !fa_board_fits(b, &b->build, &e);
    json_t *o =
        json_pack("{s:i, s:i, s:f, s:f, s:o, s:b}", "fp8_lanes", fp8_lanes(&b->build), "fp32_lanes",
                  b->build.units * b->build.lanes_fp32, "read_bytes_per_s", fa_board_read_rate(b, &b->build),
                  "io_bytes_per_s_of_a_unit", fa_board_io_rate(b, &b->build), "resources", resources, "fits", fits);
    if (o && !fits) json_object_set_new(o, "why_not", json_string(e.text));
    return o;
}

static int show_one(const boards_options *o) {
    fa_board b;
    fa_error e;
    if (fa_board_find(&b, o->name, &e)) return cli_fail("%s", e.text);
    if (o->vitis) {
        if (fa_vitis_write(&b, o->attention ? o->attention : "mla", o->vitis, &e)) return cli_fail("%s", e.text);
        return CLI_OK;
    }
    if (o->json) {
        json_t *root = json_pack("{s:s, s:{}, s:{}, s:o}", "name", b.name, "facts", "sources", "build", build_json(&b));
        if (root && fa_board_facts(o->name, fact_json, root, &e)) {
            json_decref(root);
            return cli_fail("%s", e.text);
        }
        return print_json(root);
    }
    char section[32] = "";
    printf("%s: %s\n", b.name, b.title);
    if (fa_board_facts(o->name, fact_line, section, &e)) return cli_fail("%s", e.text);
    print_build(&b);
    return CLI_OK;
}

int cli_boards(int argc, char **argv) {
    boards_options o = {0};
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    return o.name ? show_one(&o) : list_all(o.json);
}
