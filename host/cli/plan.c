/* fathom plan: what a model does on a number of boards, before anyone buys them. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/plan_emit.h"
#include "host/cli/plan_options.h"
#include "host/cli/plan_serve.h"
#include "host/cli/plot.h"

typedef struct plan_options {
    cli_plan_options common;
    cli_serve_options serve;
    bool json;
    const char *plot, *timeline, *emit;
    int32_t copies;
    int32_t samples; /* of a group of rollouts; 0: none are planned */
} plan_options;

enum { OPTION_JSON = 0x2001, OPTION_PLOT, OPTION_TIMELINE, OPTION_EMIT, OPTION_COPIES, OPTION_SAMPLES };

static const double deepseek_usd = 2.19; /* per million tokens written by R1, api-docs.deepseek.com, January 2025 */

static error_t parse(int key, char *arg, struct argp_state *state) {
    plan_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->common;
        state->child_inputs[1] = &o->serve;
        o->copies = -1;
        return 0;
    case OPTION_JSON: o->json = true; return 0;
    case OPTION_SAMPLES: o->samples = (int32_t)cli_option_int(state, "--samples", arg, 1, 1 << 20); return 0;
    case OPTION_PLOT: o->plot = arg; return 0;
    case OPTION_TIMELINE: o->timeline = arg; return 0;
    case OPTION_EMIT: o->emit = arg; return 0;
    case OPTION_COPIES: o->copies = (int32_t)cli_option_int(state, "--copies", arg, 0, 4096); return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"json", OPTION_JSON, NULL, 0, "Print one JSON object", 6},
    {"samples", OPTION_SAMPLES, "N", 0,
     "Also plan rollouts for a trainer: N answers to a prompt, each as long as the context behind the prompt", 6},
    {"plot", OPTION_PLOT, "FILE", 0,
     "Draw roofline and sweep over the batch (.png or .svg, by gnuplot); with --serve, what is served by rate", 6},
    {"timeline", OPTION_TIMELINE, "FILE", 0,
     "Write one step of the first batch as Chrome trace events; with .png or .svg draw one layer of it", 6},
    {"emit", OPTION_EMIT, "FILE", 0,
     "Write which of the boards, all in one host, holds which layer and expert, for `fathom run --placement FILE'; the caches are "
     "those of the first batch",
     6},
    {"copies", OPTION_COPIES, "N", 0, "Experts of a layer that may be on two boards (default: an eighth)", 6},
    {0},
};
static const struct argp_child children[] = {{&cli_plan_argp, 0, NULL, 0}, {&cli_serve_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = children,
    .doc =
        "Says whether a model fits on boards and, if so, how fast it will be, what takes the time, what energy a token "
        "takes and what it costs. Computed from the model's shape, the facts of the board's file and the costs that "
        "the kernels declare.\v"
        "Boards are used as replicas x stages x ways: copies of the model; groups of boards with some of the layers "
        "each; boards that share a layer. The split with the most tokens/s is shown.\n"
        "\n"
        "Examples:\n"
        "  fathom plan --model deepseek-r1 --board u55c --boards 48 --batch 1,8,64\n"
        "  fathom plan --model DIR --board u280 --trace routes.jsonl --json\n"
        "  fathom plan --model deepseek-r1 --board u55c --boards 64 --batch 256 --prompt 512 --context 2560 --samples 8\n"
        "  fathom plan --model deepseek-r1 --board v80 --boards 256 --context 131072 --batch 64 --serve requests.csv --rate 1,10,100\n"
        "  fathom plan --model DIR --board u55c --boards 2 --trace routes.jsonl --emit placement.json",
};

/* ---- as a table ---- */

static const char *const cache_names[FA_CACHE_TYPE_COUNT] = {"f32", "bf16", "fp8"};

static const char *type_name(hls_weight t) {
    return t == HLS_E4M3 ? "fp8" : t == HLS_BF16 ? "bf16" : "f32";
}

static void print_head(const cli_plan_options *o, const fa_plan *first) {
    const fa_plan_request *q = &o->request;
    const fa_board_build *b = &o->board.build;
    double all = fa_model_parameters(q->model, false), active = fa_model_parameters(q->model, true);
    bool small = all < 1e9;
    printf("%s: %.1f %s parameters, %.1f %s used by a token; %s weights, %.1f %s on boards\n", o->model,
           all / (small ? 1e6 : 1e9), small ? "M" : "B", active / (small ? 1e6 : 1e9), small ? "M" : "B",
           type_name(q->types.linear), first->weights_bytes / (small ? 1e6 : 1e9), small ? "MB" : "GB");
    printf("%d x %s: %.1f GB and %.0f GB/s each; %d unit%s of %d ports x %d bytes, %d row%s, %d FP32 lanes, %.0f MHz\n",
           q->boards, o->board.title, (double)fa_board_bytes(&o->board) / 1e9, fa_board_read_rate(&o->board, b) / 1e9,
           b->units, b->units == 1 ? "" : "s", b->ports, b->port_bytes, b->rows, b->rows == 1 ? "" : "s", b->lanes_fp32,
           b->clock_hz / 1e6);
    if (q->model->experts && o->trace)
        printf("experts as in %s", o->trace);
    else if (q->model->experts)
        printf("experts by a Zipf law of exponent %g", o->skew);
    if (q->model->experts) printf("; ");
    printf("context %d, prompt %d", q->context, q->prompt);
    if (q->draft) printf("; %d draft%s, accepted with %.2f", q->draft, q->draft == 1 ? "" : "s", q->accept);
    printf("\n\n");
}

static void print_speed(const fa_plan *p, const int32_t *batches, int n) {
    printf("%6s  %-15s %-5s %8s %10s %9s %9s %9s %8s %8s\n", "batch", "repl x st x way", "cache", "GB/board",
           "tokens/s", "/sequence", "prefill/s", "first s", "J/token", "$/M");
    for (int i = 0; i < n; i++, p++) {
        char split[32];
        snprintf(split, sizeof split, "%d x %d x %d", p->split.replicas, p->split.stages, p->split.ways);
        printf("%6d  %-15s %-5s %8.2f %10.2f %9.2f %9.1f %9.3f %8.2f %8.2f\n", batches[i], split, cache_names[p->cache],
               p->board_bytes / 1e9, p->decode_tokens_per_s, p->sequence_tokens_per_s, p->prefill_tokens_per_s,
               p->first_token_s, p->joules_per_token, p->usd_per_million);
    }
}

static void print_why(const fa_plan *p, const int32_t *batches, int n) {
    printf("\n%6s  %-32s %-30s\n", "batch", "decoding waits most for", "prefill waits most for");
    const fa_plan *first = p;
    for (int i = 0; i < n; i++, p++) {
        char decode[64], prefill[64];
        snprintf(decode, sizeof decode, "%s (%.0f %%)", fa_limit_name(p->bottleneck), 100 * p->bottleneck_share);
        snprintf(prefill, sizeof prefill, "%s (%.0f %%)", fa_limit_name(p->prefill_bottleneck), 100 * p->prefill_share);
        printf("%6d  %-32s %-30s\n", batches[i], decode, prefill);
    }
    printf(
        "\n%6s  %s\n", "batch",
        "busy while decoding: weight banks, io banks, units, FP8 lanes, FP32 lanes, host link; memory while products run");
    p = first;
    for (int i = 0; i < n; i++, p++) {
        const fa_busy *b = &p->busy;
        printf("%6d  %21.1f %% %8.1f %% %4.1f %% %8.1f %% %9.1f %% %8.1f %% %24.1f %%\n", batches[i],
               100 * b->weight_banks, 100 * b->io_banks, 100 * b->units, 100 * b->macs_fp8, 100 * b->macs_fp32,
               100 * b->link, 100 * b->products);
    }
}

/* "HBM[0..14] 5.1 %, HBM[15] 40.2 %": neighbours that are as busy are shown together. */
static void print_run(const char *what, int32_t first, int32_t last, double busy, bool comma) {
    printf("%s%s[%d", comma ? ", " : "", what, first);
    if (last > first) printf("..%d", last);
    printf("] %.1f %%", 100 * busy);
}

static void print_runs(const char *what, const double *busy, int32_t n, bool comma) {
    for (int32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && busy[end] - busy[i] < 5e-4 && busy[i] - busy[end] < 5e-4; end++) {
        }
        print_run(what, i, end - 1, busy[i], comma || i);
    }
}

static void print_each(const cli_plan_options *o, const fa_plan *p, const int32_t *batches, int n) {
    double banks[512], units[64];
    const fa_board *b = &o->board;
    if (b->bank[0].count + b->bank[1].count > 512 || b->build.units > 64) return;
    printf("\n%6s  each bank and unit of a board is busy\n", "batch");
    for (int i = 0; i < n; i++, p++) {
        fa_plan_banks_busy(&o->request, p, banks);
        fa_plan_units_busy(&o->request, p, units);
        printf("%6d  ", batches[i]);
        for (int k = 0, first = 0; k < b->n_bank_kinds; first += b->bank[k++].count)
            print_runs(b->bank[k].name, banks + first, b->bank[k].count, k);
        print_runs("unit", units, b->build.units, true);
        putchar('\n');
    }
}

static void print_costs(const cli_plan_options *o, const fa_plan *p) {
    const fa_plan_request *q = &o->request;
    const fa_prices *c = &q->prices;
    printf("\nDeepSeek asks $%.2f for a million tokens that R1 writes. Here:", deepseek_usd);
    if (p->usd > 0)
        printf(" $%.0f of boards and hosts over %g years, in use %.0f %% of the time;", p->usd, c->years,
               100 * c->utilisation);
    if (o->board.price_usd <= 0)
        printf(o->board.rent_usd_per_h > 0 ? " boards rented at $%.2f an hour;" : " boards whose price is not known;",
               o->board.rent_usd_per_h);
    printf(" %.0f W and $%g/kWh x %g.\n", p->watts, c->usd_per_kwh, c->cooling);
    if (p->host_bytes > 0)
        printf("%d of %d experts of a layer are on boards; %.1f GB are in the hosts' memory.\n", p->resident,
               q->model->experts, p->host_bytes / 1e9);
}

/* ---- as JSON ---- */

static json_t *json_shares(const double by[FA_LIMIT_COUNT], double seconds) {
    json_t *o = json_object();
    for (int i = 0; i < FA_LIMIT_COUNT; i++)
        if (by[i] > 0) json_object_set_new(o, fa_limit_name((fa_limit)i), json_real(by[i] / seconds));
    return o;
}

static json_t *json_numbers(const double *v, int32_t n) {
    json_t *list = json_array();
    for (int32_t i = 0; i < n; i++) json_array_append_new(list, json_real(v[i]));
    return list;
}

/* Banks of the first kind come first. */
static void json_each(json_t *o, const cli_plan_options *options, const fa_plan *p) {
    const fa_board *b = &options->board;
    int32_t n = b->bank[0].count + (b->n_bank_kinds > 1 ? b->bank[1].count : 0);
    double *busy = calloc((size_t)(n > b->build.units ? n : b->build.units), sizeof *busy);
    if (!busy) return;
    fa_plan_banks_busy(&options->request, p, busy);
    json_object_set_new(o, "busy_banks", json_numbers(busy, n));
    fa_plan_units_busy(&options->request, p, busy);
    json_object_set_new(o, "busy_units", json_numbers(busy, b->build.units));
    free(busy);
}

static json_t *json_plan(const cli_plan_options *options, const fa_plan *p, int32_t batch) {
    const fa_busy *b = &p->busy;
    json_t *o = json_pack(
        "{s:i, s:s, s:{s:i, s:i, s:i}, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:f, s:f, s:f, s:f, s:f, s:f}",
        "batch", batch, "cache", cache_names[p->cache], "split", "replicas", p->split.replicas, "stages",
        p->split.stages, "ways", p->split.ways, "sequences_in_a_group", p->group, "groups_in_flight", p->groups,
        "weights_bytes", p->weights_bytes, "cache_bytes", p->cache_bytes, "board_bytes", p->board_bytes,
        "board_capacity_bytes", p->board_capacity, "host_bytes", p->host_bytes, "decode_tokens_per_s",
        p->decode_tokens_per_s, "sequence_tokens_per_s", p->sequence_tokens_per_s, "bottleneck",
        fa_limit_name(p->bottleneck), "bottleneck_share", p->bottleneck_share, "bound_tokens_per_s",
        p->bound_tokens_per_s, "prefill_tokens_per_s", p->prefill_tokens_per_s, "first_token_s", p->first_token_s,
        "watts", p->watts, "joules_per_token", p->joules_per_token);
    if (!o) return NULL;
    json_t *more = json_pack("{s:f, s:f, s:f, s:f, s:o, s:{s:f, s:f, s:f, s:f, s:f, s:f, s:f}, s:f, s:f}",
                             "tokens_per_joule", 1 / p->joules_per_token, "usd", p->usd, "usd_per_million_tokens",
                             p->usd_per_million, "usd_of_power_per_million_tokens", p->power_usd_per_million,
                             "time_shares", json_shares(p->pass.by, p->pass.seconds), "busy", "weight_banks",
                             b->weight_banks, "io_banks", b->io_banks, "units", b->units, "fp8_lanes", b->macs_fp8,
                             "fp32_lanes", b->macs_fp32, "host_link", b->link, "memory_while_products_run", b->products,
                             "step_s", p->pass.seconds, "step_unit_cycles", p->pass.cycles);
    json_object_update(o, more);
    json_decref(more);
    json_each(o, options, p);
    return o;
}

static int print_json(const plan_options *of, const fa_plan *plans) {
    const cli_plan_options *o = &of->common;
    const fa_plan_request *q = &o->request;
    json_t *list = json_array();
    for (int i = 0; i < o->n_batches; i++) {
        json_t *plan = json_plan(o, &plans[i], o->batches[i]);
        if (of->samples) json_object_set_new(plan, "rollouts", cli_plan_json_rollouts(o, &plans[i], of->samples));
        json_array_append_new(list, plan);
    }
    json_t *root =
        json_pack("{s:s, s:f, s:f, s:s, s:i, s:i, s:i, s:s, s:f, s:o}", "model", o->model, "parameters",
                  fa_model_parameters(q->model, false), "active_parameters", fa_model_parameters(q->model, true),
                  "board", o->board.name, "boards", q->boards, "context", q->context, "prompt", q->prompt, "weights",
                  type_name(q->types.linear), "deepseek_usd_per_million_tokens", deepseek_usd, "plans", list);
    if (root && of->serve.trace) json_object_set_new(root, "serve", cli_serve_json(&of->serve));
    bool ok = root && json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(7)) == 0;
    if (ok) putchar('\n');
    json_decref(root);
    return ok ? CLI_OK : cli_fail("plan: memory ran out");
}

/* ---- running ---- */

/* Plans every batch; one that does not fit is said and left out. Fails when none is left. */
static int make(cli_plan_options *o, fa_plan *plans) {
    fa_error e;
    if (cli_plan_open(o, &e) || fa_board_fits(&o->board, &o->board.build, &e)) return cli_fail("%s", e.text);
    int n = 0;
    for (int i = 0; i < o->n_batches; i++) {
        o->request.batch = o->batches[i];
        if (fa_plan_make(&plans[n], &o->request, &e))
            cli_fail("%s: %s", o->model, e.text);
        else
            o->batches[n++] = o->batches[i];
    }
    o->n_batches = n;
    return n ? CLI_OK : CLI_ERROR;
}

static fa_status timeline(const char *path, cli_plan_options *o, const fa_plan *plan, fa_error *e) {
    const char *dot = strrchr(path, '.');
    o->request.batch = o->batches[0];
    bool picture = dot && (!strcmp(dot, ".png") || !strcmp(dot, ".svg"));
    return picture ? cli_plot_timeline(path, o, plan, e) : cli_timeline_plan(path, o, plan, e);
}

static void print_all(const plan_options *o, const fa_plan *plans) {
    const cli_plan_options *c = &o->common;
    print_head(c, plans);
    print_speed(plans, c->batches, c->n_batches);
    print_why(plans, c->batches, c->n_batches);
    print_each(c, plans, c->batches, c->n_batches);
    if (o->samples) cli_plan_print_rollouts(c, plans, o->samples);
    print_costs(c, plans);
    if (o->serve.trace) cli_serve_print(&o->serve);
}

static fa_status serve(plan_options *o, const fa_plan *plan, fa_error *e) {
    o->common.request.batch = o->common.batches[0];
    return o->serve.trace ? cli_serve_run(&o->serve, &o->common.request, plan, e) : FA_OK;
}

static fa_status draw(const plan_options *o, const fa_plan *plans, fa_error *e) {
    if (!o->plot) return FA_OK;
    return o->serve.trace ? cli_plot_serve(o->plot, &o->common, &o->serve, e)
                          : cli_plot_plan(o->plot, &o->common, plans, e);
}

static int run(plan_options *o, fa_plan *plans) {
    fa_error e;
    cli_plan_options *c = &o->common;
    int code = make(c, plans);
    if (code) return code;
    if (serve(o, &plans[0], &e)) return cli_fail("%s", e.text);
    if (o->json) return print_json(o, plans);
    print_all(o, plans);
    return CLI_OK;
}

int cli_plan(int argc, char **argv) {
    plan_options o = {0};
    fa_plan plans[CLI_PLAN_BATCHES] = {0};
    fa_error e;
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    int code = run(&o, plans);
    if (!code && o.emit && cli_emit_placement(o.emit, &o.common, o.copies, o.json ? NULL : stdout, &e))
        code = cli_fail("%s", e.text);
    if (!code && draw(&o, plans, &e)) code = cli_fail("%s", e.text);
    if (!code && o.timeline && timeline(o.timeline, &o.common, &plans[0], &e)) code = cli_fail("%s", e.text);
    fa_recording_free(&o.serve.recording);
    return code;
}
