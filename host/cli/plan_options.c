#include "host/cli/plan_options.h"

#include <stdlib.h>
#include <string.h>

#include "host/cli/common.h"
#include "sim/planner/models.h"

enum {
    OPTION_BOARD = 0x3001,
    OPTION_BOARDS,
    OPTION_CONTEXT,
    OPTION_PROMPT,
    OPTION_BATCH,
    OPTION_CHUNK,
    OPTION_WEIGHTS,
    OPTION_CACHE,
    OPTION_TRACE,
    OPTION_SKEW,
    OPTION_DRAFT,
    OPTION_ACCEPT,
    OPTION_OFFLOAD,
    OPTION_UNITS,
    OPTION_PORTS,
    OPTION_PORT_BYTES,
    OPTION_ROWS,
    OPTION_LANES,
    OPTION_CLOCK,
    OPTION_YEARS,
    OPTION_USE,
    OPTION_KWH,
    OPTION_COOLING,
    OPTION_PER_HOST,
    OPTION_HOST_WATTS,
    OPTION_HOST_USD,
    OPTION_NODES,
    OPTION_NETWORK,
    OPTION_GBIT,
    OPTION_LEAF,
    OPTION_OVERSUBSCRIPTION
};

int cli_option_list(const struct argp_state *state, const char *option, const char *text, int64_t min, int64_t max,
                    int32_t *out, int most) {
    char part[32];
    int n = 0;
    for (const char *p = text;; p++) {
        size_t length = strcspn(p, ",");
        int64_t v;
        if (length >= sizeof part || n == most) break;
        memcpy(part, p, length);
        part[length] = 0;
        if (!cli_int(part, min, max, &v)) break;
        out[n++] = (int32_t)v;
        p += length;
        if (!*p) return n;
    }
    argp_error(state, "%s: expected at most %d whole numbers in %lld..%lld with commas between them, found '%s'",
               option, most, (long long)min, (long long)max, text);
    return 0;
}

/* The index of `text` among names that end with NULL; a usage error that lists them. */
static int choice(const struct argp_state *state, const char *option, const char *text, const char *const *names) {
    char list[128] = "";
    for (int i = 0; names[i]; i++) {
        if (!strcmp(names[i], text)) return i;
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", names[i]);
    }
    argp_error(state, "%s: expected one of %s, found '%s'", option, list, text);
    return 0;
}

static void set_weights(cli_plan_options *o, const struct argp_state *state, const char *text) {
    static const char *const names[] = {"fp8", "bf16", "f32", NULL};
    static const hls_weight types[] = {HLS_E4M3, HLS_BF16, HLS_F32};
    hls_weight type = types[choice(state, "--weights", text, names)];
    o->request.types = (fa_weight_types){type, type == HLS_F32 ? HLS_F32 : HLS_BF16};
}

static void set_cache(cli_plan_options *o, const struct argp_state *state, const char *text) {
    static const char *const names[] = {"f32", "bf16", "fp8", NULL};
    o->request.cache = (fa_cache_type)choice(state, "--cache", text, names);
    o->request.any_cache = false;
}

static void set_network(cli_plan_options *o, const struct argp_state *state, const char *text) {
    fa_error e;
    if (fa_network_find(&o->request.hosts.network, text, &e)) argp_error(state, "--%s", e.text);
}

/* Options whose value is a number, as a table: whole numbers go to `whole`, others to `real` times `unit`. */
typedef struct number_option {
    int key;
    const char *name;
    double min, max;
    int32_t *whole;
    double *real, unit;
} number_option;

static bool set_number(cli_plan_options *o, int key, const char *arg, const struct argp_state *state) {
    fa_plan_request *q = &o->request;
    const number_option table[] = {
        {OPTION_BOARDS, "--boards", 1, 65536, &q->boards, NULL, 1},
        {OPTION_CONTEXT, "--context", 1, 1 << 24, &q->context, NULL, 1},
        {OPTION_PROMPT, "--prompt", 1, 1 << 24, &q->prompt, NULL, 1},
        {OPTION_CHUNK, "--chunk", 1, 65536, &q->chunk, NULL, 1},
        {OPTION_DRAFT, "--draft", 0, 16, &q->draft, NULL, 1},
        {OPTION_UNITS, "--units", 1, 64, &o->units, NULL, 1},
        {OPTION_PORTS, "--ports", 1, 16, &o->ports, NULL, 1},
        {OPTION_PORT_BYTES, "--port-bytes", 32, 64, &o->port_bytes, NULL, 1},
        {OPTION_ROWS, "--rows", 1, 64, &o->rows, NULL, 1},
        {OPTION_LANES, "--lanes", 16, 65536, &o->lanes_fp32, NULL, 1},
        {OPTION_PER_HOST, "--boards-per-host", 1, 64, &q->hosts.boards_per_host, NULL, 1},
        {OPTION_NODES, "--nodes", 1, 64, &q->hosts.nodes, NULL, 1},
        {OPTION_SKEW, "--skew", 0, 10, NULL, &o->skew, 1},
        {OPTION_ACCEPT, "--spec-accept", 0, 1, NULL, &q->accept, 1},
        {OPTION_CLOCK, "--clock", 1, 2000, NULL, &o->clock_mhz, 1},
        {OPTION_YEARS, "--years", 0.1, 100, NULL, &q->prices.years, 1},
        {OPTION_USE, "--utilisation", 0.001, 1, NULL, &q->prices.utilisation, 1},
        {OPTION_KWH, "--usd-per-kwh", 0, 100, NULL, &q->prices.usd_per_kwh, 1},
        {OPTION_COOLING, "--cooling", 1, 10, NULL, &q->prices.cooling, 1},
        {OPTION_HOST_WATTS, "--host-watts", 0, 1e5, NULL, &q->hosts.watts, 1},
        {OPTION_HOST_USD, "--host-usd", 0, 1e7, NULL, &q->hosts.usd, 1},
        {OPTION_GBIT, "--network-gbit", 0.1, 1e5, NULL, &o->network_bytes_per_s, 1e9 / 8},
        {OPTION_LEAF, "--hosts-per-leaf", 1, 65536, &o->leaf_hosts, NULL, 1},
        {OPTION_OVERSUBSCRIPTION, "--oversubscription", 1, 1000, NULL, &o->oversubscription, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const number_option *n = &table[i];
        if (n->key != key) continue;
        if (n->whole) *n->whole = (int32_t)cli_option_int(state, n->name, arg, (int64_t)n->min, (int64_t)n->max);
        if (n->real) *n->real = n->unit * cli_option_number(state, n->name, arg, n->min, n->max);
        return true;
    }
    return false;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    cli_plan_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        fa_plan_defaults(&o->request);
        o->request.boards = 1;
        o->request.prompt = 0;
        o->request.draft = -1;
        o->request.accept = -1;
        o->batches[0] = o->n_batches = 1;
        return 0;
    case 'm': o->model = arg; return 0;
    case OPTION_BOARD: o->board_name = arg; return 0;
    case OPTION_BATCH:
        o->n_batches = cli_option_list(state, "--batch", arg, 1, 65536, o->batches, CLI_PLAN_BATCHES);
        return 0;
    case OPTION_WEIGHTS: set_weights(o, state, arg); return 0;
    case OPTION_CACHE: set_cache(o, state, arg); return 0;
    case OPTION_TRACE: o->trace = arg; return 0;
    case OPTION_NETWORK: set_network(o, state, arg); return 0;
    case OPTION_OFFLOAD: o->request.offload = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return EINVAL;
    case ARGP_KEY_END:
        if (!o->model) argp_error(state, "no model: give --model NAME, such as deepseek-r1, or a folder");
        if (!o->board_name) argp_error(state, "no board: give --board NAME, such as u55c");
        return 0;
    }
    return set_number(o, key, arg, state) ? 0 : ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {0, 0, 0, 0, "What to plan:", 1},
    {"model", 'm', "NAME", 0,
     "A released model by its name (deepseek-r1, r1-distill-llama-8b, ...), a folder or a .gguf", 1},
    {"board", OPTION_BOARD, "NAME", 0, "A board (u55c, ...) or a .board file", 1},
    {"boards", OPTION_BOARDS, "N", 0, "How many (default 1)", 1},
    {"context", OPTION_CONTEXT, "N", 0, "Positions of a sequence (default 4096)", 1},
    {"prompt", OPTION_PROMPT, "N", 0, "Of these, the prompt's (default: a quarter)", 1},
    {"batch", OPTION_BATCH, "N[,N...]", 0, "Sequences served at a time (default 1)", 1},
    {"chunk", OPTION_CHUNK, "N", 0, "Rows of a prefill step (default 256)", 1},
    {"weights", OPTION_WEIGHTS, "TYPE", 0, "fp8 (default; BF16 models by `fathom quantize'), bf16 or f32", 1},
    {"cache", OPTION_CACHE, "TYPE", 0,
     "What the KV cache keeps: f32, bf16 or fp8; default: the first of them that fits", 1},
    {0, 0, 0, 0, "Experts:", 2},
    {"trace", OPTION_TRACE, "FILE", 0, "Take their popularity from the output of `fathom trace'", 2},
    {"skew", OPTION_SKEW, "S", 0, "Take it from a Zipf law with this exponent (default 0: all alike)", 2},
    {"offload", OPTION_OFFLOAD, NULL, 0, "Leave experts that do not fit in the hosts' memory and fetch them", 2},
    {0, 0, 0, 0, "Drafts by the layer of multi-token prediction:", 3},
    {"draft", OPTION_DRAFT, "N", 0, "Tokens proposed in a step (default 0, or 1 with --spec-accept)", 3},
    {"spec-accept", OPTION_ACCEPT, "P", 0, "Probability that one stands (default 0.85 with --draft)", 3},
    {0, 0, 0, 0, "The build of the kernels, instead of the board file's:", 4},
    {"clock", OPTION_CLOCK, "MHZ", 0, "Kernel clock", 4},
    {"units", OPTION_UNITS, "N", 0, "Compute units", 4},
    {"ports", OPTION_PORTS, "N", 0, "Weight ports of a unit: 1, 2, 4, 8 or 16", 4},
    {"port-bytes", OPTION_PORT_BYTES, "N", 0, "Bytes a cycle of a port: 32 or 64", 4},
    {"rows", OPTION_ROWS, "N", 0, "Rows that share a pass over the weights, a power of two", 4},
    {"lanes", OPTION_LANES, "N", 0, "FP32 lanes of a unit, 16, 32, 64 ..", 4},
    {0, 0, 0, 0, "Hosts and prices:", 5},
    {"boards-per-host", OPTION_PER_HOST, "N", 0, "(default 8)", 5},
    {"nodes", OPTION_NODES, "N", 0, "NUMA nodes of a host (default 2)", 5},
    {"host-watts", OPTION_HOST_WATTS, "W", 0, "A host without its boards (default 400)", 5},
    {"host-usd", OPTION_HOST_USD, "USD", 0, "(default 8000)", 5},
    {"network", OPTION_NETWORK, "NAME", 0, "Between hosts: ethernet-100g (default), roce-100g, ndr-400g", 5},
    {"network-gbit", OPTION_GBIT, "N", 0, "A host's link, Gbit/s, instead of the network's", 5},
    {"hosts-per-leaf", OPTION_LEAF, "N", 0, "Hosts on one leaf switch, instead of the network's", 5},
    {"oversubscription", OPTION_OVERSUBSCRIPTION, "X", 0, "A leaf's links down over those up (default 1)", 5},
    {"years", OPTION_YEARS, "N", 0, "Over which the machines are paid (default 4)", 5},
    {"utilisation", OPTION_USE, "P", 0, "Share of that time in which they serve (default 0.6)", 5},
    {"usd-per-kwh", OPTION_KWH, "USD", 0, "(default 0.12)", 5},
    {"cooling", OPTION_COOLING, "X", 0, "Watts at the meter for one in the machines (default 1.3)", 5},
    {0},
};

const struct argp cli_plan_argp = {.options = options, .parser = parse};

static void set_build(cli_plan_options *o) {
    fa_board_build *b = &o->board.build;
    if (o->clock_mhz > 0) b->clock_hz = 1e6 * o->clock_mhz;
    if (o->units) b->units = o->units;
    if (o->ports) b->ports = o->ports;
    if (o->port_bytes) b->port_bytes = o->port_bytes;
    if (o->rows) b->rows = o->rows;
    if (o->lanes_fp32) b->lanes_fp32 = o->lanes_fp32;
}

static void change_network(cli_plan_options *o) {
    fa_network *n = &o->request.hosts.network;
    if (o->network_bytes_per_s > 0) n->bytes_per_s = o->network_bytes_per_s;
    if (o->leaf_hosts) n->leaf_hosts = o->leaf_hosts;
    if (o->oversubscription > 0) n->oversubscription = o->oversubscription;
}

fa_status cli_plan_open(cli_plan_options *o, fa_error *e) {
    fa_plan_request *q = &o->request;
    fa_status s = fa_plan_model(&o->config, o->model, e);
    if (!s) s = fa_board_find(&o->board, o->board_name, e);
    if (s) return s;
    set_build(o);
    change_network(o);
    if (q->draft < 0) q->draft = q->accept >= 0;
    if (q->accept < 0) q->accept = 0.85;
    if (!q->prompt) q->prompt = (q->context + 3) / 4;
    q->model = &o->config;
    q->board = &o->board;
    if (o->trace)
        s = fa_routes_trace(&o->routes, &o->config, o->trace, e);
    else if (o->config.experts)
        fa_routes_zipf(&o->routes, &o->config, o->skew);
    q->routes = o->config.experts ? &o->routes : NULL;
    return s;
}
