#include "sim/planner/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/device/time.h"
#include "sim/planner/pass.h"

void fa_plan_defaults(fa_plan_request *q) {
    *q = (fa_plan_request){.types = {HLS_E4M3, HLS_BF16},
                           .any_cache = true,
                           .w8a8 = true,
                           .boards = 1,
                           .batch = 1,
                           .context = 4096,
                           .prompt = 1024,
                           .chunk = 256};
    q->hosts = (fa_hosts){.boards_per_host = 8,
                          .watts = 400,
                          .usd = 8000,
                          .nodes = 2,
                          .node_bytes_per_s = 150e9,
                          .far_share = 0.5,
                          .network = *fa_network_at(0),
                          .route_s = 1e-6,
                          .sum_bytes_per_s = 20e9};
    q->prices = (fa_prices){.years = 4, .utilisation = 0.6, .usd_per_kwh = 0.12, .cooling = 1.3};
}

static fa_status in_range(const char *name, double value, double min, double max, fa_error *e) {
    if (value >= min && value <= max) return FA_OK;
    return fa_fail(e, FA_EINVAL, "%s: expected %g..%g, found %g", name, min, max, value);
}

static fa_status check(const fa_plan_request *q, fa_error *e) {
    fa_status s = in_range("boards", q->boards, 1, 1 << 16, e);
    if (!s) s = in_range("batch", q->batch, 1, 1 << 16, e);
    if (!s) s = in_range("context", q->context, 1, 1 << 24, e);
    if (!s) s = in_range("prompt", q->prompt, 1, q->context, e);
    if (!s) s = in_range("chunk", q->chunk, 1, 1 << 16, e);
    if (!s) s = in_range("draft", q->draft, 0, 16, e);
    if (!s) s = in_range("accepted share", q->accept, 0, 1, e);
    if (!s && q->draft && !q->model->mtp_layers)
        return fa_fail(e, FA_EINVAL, "drafts need a layer of multi-token prediction, which this model lacks");
    return s;
}

/* ---- what is tried ---- */

/* Sizes of groups that are tried: all up to 64, then ever larger steps, so that what is tried for a number of sequences is also
 * tried for more. */
enum { GROUPS = 512, MOST_WAYS = 256 };

static int32_t next_group(int32_t group) {
    int32_t step = 1;
    while (group >= 64 * step) step *= 2;
    return group + step;
}

/* Boards of a group that are tried, likewise. */
static int32_t next_ways(int32_t ways) {
    return ways + (ways < 16 ? 1 : ways < 64 ? 4 : 16);
}

/* ---- memory ---- */

/* How many experts of a layer the boards can keep when some may be absent; -1: not even none fits. */
static int32_t most_resident(const fa_planner *p, int32_t sequences) {
    const fa_plan_request *q = p->q;
    int32_t fits = -1, low = 0, high = q->model->experts;
    while (low <= high) {
        int32_t middle = low + (high - low) / 2;
        fa_layer_bytes b = fa_layout_bytes(q, &p->lists, p->split.ways, sequences, middle);
        int32_t stages = fa_layout_stages(q, &b);
        if (stages && stages <= p->split.stages) {
            fits = middle;
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    return fits;
}

/* Decides what lies on the boards. False when it does not fit. */
static bool place(fa_planner *p, int32_t sequences) {
    const fa_plan_request *q = p->q;
    p->resident = q->model->experts;
    p->bytes = fa_layout_bytes(q, &p->lists, p->split.ways, sequences, p->resident);
    int32_t stages = fa_layout_stages(q, &p->bytes);
    if (stages && stages <= p->split.stages) return true;
    if (!q->offload || !q->model->experts) return false;
    p->resident = most_resident(p, sequences);
    if (p->resident < 0) return false;
    p->bytes = fa_layout_bytes(q, &p->lists, p->split.ways, sequences, p->resident);
    return true;
}

int32_t fa_plan_boards_needed(const fa_plan_request *q) {
    fa_planner p = {.q = q};
    int32_t best = 0;
    fa_lists_of(&p.lists, q);
    for (int32_t ways = 1; ways <= MOST_WAYS; ways = next_ways(ways)) {
        fa_layer_bytes b = fa_layout_bytes(q, &p.lists, ways, q->batch, q->model->experts);
        int32_t stages = fa_layout_stages(q, &b);
        if (stages && (!best || stages * ways < best)) best = stages * ways;
    }
    return best;
}

/* ---- decode ---- */

static double expected_tokens(const fa_plan_request *q) {
    double tokens = 0, chance = 1;
    for (int i = 0; i <= q->draft; i++, chance *= q->accept) tokens += chance;
    return tokens;
}

static fa_parts decode_parts(const fa_planner *p, int32_t group) {
    int32_t rows = group * (1 + p->q->draft);
    fa_plan_step s = fa_pass_step(p, rows, p->q->context, rows);
    return fa_pass_parts(p, &s, p->q->draft ? group : 0);
}

/* The same, kept where `known` is; `index`: of the group in the order of next_group. */
static const fa_parts *known_parts(fa_planner *p, int32_t group, int index, fa_parts *own) {
    if (p->known && (p->known_ways != p->split.ways || p->known_resident != p->resident)) {
        for (int i = 0; i < GROUPS; i++) p->known[i].made = false;
        p->known_ways = p->split.ways;
        p->known_resident = p->resident;
    }
    fa_parts *t = p->known && index < GROUPS ? &p->known[index] : own;
    if (!t->made) *t = decode_parts(p, group);
    return t;
}

/* Tokens/s of a replica that no layout exceeds: the pass alone, and a slowest stage that takes its share of the layers. */
static double most_tokens_per_s(const fa_planner *p, const fa_parts *t, int32_t group, int32_t groups) {
    double layers = (p->q->model->layers - p->moe_layers) * t->dense.seconds + p->moe_layers * t->moe.seconds;
    double least = fmax(layers + t->end.seconds, groups * layers / p->split.stages);
    return groups * group * expected_tokens(p->q) / least;
}

/* `group` sequences run together, `groups` such groups follow each other through the stages. False when that does not fit, or is no
 * better than `to_beat`. */
static bool decode(fa_plan *out, fa_planner *p, const fa_parts *t, int32_t group, int32_t groups, double to_beat) {
    const fa_plan_request *q = p->q;
    if (p->split.replicas * most_tokens_per_s(p, t, group, groups) <= to_beat) return false;
    fa_layer_seconds seconds = fa_pass_seconds(t);
    if (!fa_layout_make(&p->layout, q, &p->bytes, p->split.stages, &seconds)) return false;
    fa_pass a = fa_pass_sum(p, t);
    out->group = group;
    out->groups = groups;
    out->tokens_per_step = expected_tokens(q);
    out->pass = a.total;
    out->slowest_stage_s = a.slowest;
    out->round_s = fmax(groups * a.slowest, a.total.seconds);
    out->decode_tokens_per_s = p->split.replicas * (double)groups * group * out->tokens_per_step / out->round_s;
    out->sequence_tokens_per_s = out->tokens_per_step / out->round_s;
    return out->decode_tokens_per_s > to_beat;
}

/* The best way to run up to `sequences` sequences on one replica: fewer, larger groups or more, smaller ones. */
static bool decode_best(fa_plan *out, fa_planner *p, int32_t sequences, double to_beat) {
    fa_plan try = *out;
    fa_layout layout = {0};
    bool any = false;
    int index = 0;
    for (int32_t group = 1; group <= sequences; group = next_group(group)) {
        int32_t groups = sequences / group < p->split.stages ? sequences / group : p->split.stages;
        fa_parts own = {0};
        if (!decode(&try, p, known_parts(p, group, index++, &own), group, groups, to_beat)) continue;
        *out = try;
        to_beat = try.decode_tokens_per_s;
        layout = p->layout;
        any = true;
    }
    p->layout = layout;
    return any;
}

/* Board seconds of a group's turn. */
static double board_seconds(const fa_plan *p) {
    return p->round_s / p->groups * p->split.ways * p->split.stages;
}

void fa_plan_banks_busy(const fa_plan_request *q, const fa_plan *p, double *banks) {
    const fa_board *b = q->board;
    const fa_board_build *build = &b->build;
    int32_t first[FA_BOARD_BANK_KINDS + 1] = {0};
    for (int k = 0; k < b->n_bank_kinds; k++) first[k + 1] = first[k] + b->bank[k].count;
    for (int32_t i = 0; i < first[b->n_bank_kinds]; i++) banks[i] = 0;
    double weights = p->pass.weight_bytes / build->units / build->ports, io = p->pass.io_bytes / build->units;
    int32_t each = fa_board_port_banks(b, build);
    for (int32_t unit = 0; unit < build->units; unit++)
        for (int32_t port = 0; port <= build->ports; port++) {
            int32_t bank = fa_board_port_bank(b, build, unit, port);
            for (int32_t i = 0; i < each && port < build->ports; i++) banks[bank + i] += weights / each;
            if (port == build->ports) banks[bank] += io;
        }
    for (int k = 0; k < b->n_bank_kinds; k++)
        for (int32_t i = first[k]; i < first[k + 1]; i++)
            banks[i] /= b->bank[k].peak_bytes_per_s * b->bank[k].read_share * board_seconds(p);
}

void fa_plan_units_busy(const fa_plan_request *q, const fa_plan *p, double *units) {
    int32_t n = q->board->build.units;
    double each = (p->pass.unit_seconds - p->pass.first_seconds) / n;
    for (int32_t i = 0; i < n; i++) units[i] = (each + (i ? 0 : p->pass.first_seconds)) / board_seconds(p);
}

static void measure_busy(fa_plan *out, const fa_planner *p) {
    const fa_board *b = p->q->board;
    const fa_board_build *build = &b->build;
    double boards = (double)p->split.ways * p->layout.stages, time = board_seconds(out);
    double rate = fa_board_read_rate(b, build), units_hz = build->units * build->clock_hz;
    double io = build->units / sim_launch_seconds(b, &(hls_cost){.io_bytes = 1});
    double lanes = (double)build->ports * build->port_bytes * build->rows, link = b->to_card_bytes_per_s;
    out->busy = (fa_busy){
        .weight_banks = out->pass.weight_bytes / rate / time,
        .io_banks = out->pass.io_bytes / io / time,
        .units = out->pass.unit_seconds / build->units / time,
        .macs_fp8 = out->pass.macs_fp8 / lanes / units_hz / time,
        .macs_fp32 = out->pass.macs_fp32 / (2 * build->lanes_fp32) / units_hz / time, /* scores and values at once */
        .products = out->pass.product_bytes / (out->pass.product_seconds * p->split.ways * fa_board_memory_rate(b)),
        .link = link > 0 ? out->pass.link_bytes / link / time : 0};
    out->bound_bytes_per_s = rate * boards * p->split.replicas;
    out->bound_tokens_per_s = out->bound_bytes_per_s / out->pass.weight_bytes * out->group * out->tokens_per_step;
}

/* ---- prefill and costs ---- */

static void prefill(fa_plan *out, const fa_planner *p) {
    const fa_plan_request *q = p->q;
    int32_t rows = q->prompt < q->chunk ? q->prompt : q->chunk;
    double chunks = (double)q->prompt / rows, context = (q->prompt + 1) / 2.0;
    fa_plan_step s = fa_pass_step(p, rows, context, 0);
    fa_parts t = fa_pass_parts(p, &s, 0);
    fa_pass a = fa_pass_sum(p, &t);
    fa_plan_step last = fa_pass_step(p, 1, context, 1);
    fa_parts ends = fa_pass_parts(p, &last, 0);
    out->first_token_s = a.total.seconds + (chunks - 1) * a.slowest + ends.end.seconds;
    out->prefill_tokens_per_s = p->split.replicas * (double)rows / a.slowest;
    fa_limit_largest(a.total.by, a.total.seconds, &out->prefill_bottleneck, &out->prefill_share);
}

static bool rented(const fa_plan_request *q) { /* the rent includes host and power */
    return q->board->price_usd <= 0 && q->board->rent_usd_per_h > 0;
}

static double hosts_in_all(const fa_plan_request *q) {
    return ceil((double)q->boards / q->hosts.boards_per_host);
}

static double machines_usd(const fa_plan_request *q) {
    return rented(q) ? 0 : q->boards * q->board->price_usd + hosts_in_all(q) * q->hosts.usd;
}

void fa_plan_price(const fa_plan_request *q, double tokens_per_s, double watts, double *usd_per_million,
                   double *power_usd_per_million) {
    const fa_prices *prices = &q->prices;
    double seconds = prices->years * 365.25 * 86400 * prices->utilisation;
    double power = watts / tokens_per_s * prices->cooling * prices->usd_per_kwh / 3.6e6;
    double rent = q->boards * q->board->rent_usd_per_h / 3600 / prices->utilisation;
    double usd_per_s = rented(q) ? rent : machines_usd(q) / seconds;
    *power_usd_per_million = rented(q) ? 0 : 1e6 * power;
    *usd_per_million = 1e6 * usd_per_s / tokens_per_s + *power_usd_per_million;
}

static void cost(fa_plan *out, const fa_planner *p) {
    const fa_plan_request *q = p->q;
    double dynamic = out->pass.joules * out->groups * p->split.replicas / out->round_s;
    out->watts = fa_plan_rest_watts(q) + dynamic;
    out->joules_per_token = out->watts / out->decode_tokens_per_s;
    out->usd = machines_usd(q);
    fa_plan_price(q, out->decode_tokens_per_s, out->watts, &out->usd_per_million, &out->power_usd_per_million);
}

double fa_plan_rest_watts(const fa_plan_request *q) {
    return q->boards * q->board->idle_w + hosts_in_all(q) * q->hosts.watts;
}

static void memory(fa_plan *out, const fa_planner *p) {
    const fa_config *c = p->q->model;
    fa_plan_step s = fa_pass_step(p, 1, 0, 0);
    int32_t moe = p->moe_layers, sequences = out->group * out->groups;
    double ways = p->split.ways;
    out->weights_bytes = ways * ((c->layers - moe) * p->bytes.dense + moe * p->bytes.moe + p->bytes.ends);
    fa_layer_bytes b = fa_layout_bytes(p->q, &p->lists, p->split.ways, sequences, p->resident);
    out->cache_bytes = ways * (c->layers * b.cache + b.end_cache);
    out->host_bytes = moe * fa_plan_step_host_bytes(&s, &p->lists.moe);
    out->board_bytes = p->layout.board_bytes;
    out->board_capacity = fa_layout_capacity(p->q->board).both;
    out->resident = p->resident;
}

/* FA_ELIMIT also when it is no better than `to_beat` tokens/s. */
static fa_status plan_split(fa_plan *out, fa_planner *p, double to_beat, fa_error *e) {
    const fa_plan_request *q = p->q;
    int32_t sequences = q->batch / p->split.replicas;
    if (sequences < 1) return fa_fail(e, FA_ELIMIT, "more replicas than sequences");
    *out = (fa_plan){.split = p->split, .cache = q->cache};
    if (!place(p, sequences) || !decode_best(out, p, sequences, to_beat))
        return fa_fail(e, FA_ELIMIT, "the model does not fit on %d x %d boards", p->split.stages, p->split.ways);
    fa_limit_largest(out->pass.by, out->pass.seconds, &out->bottleneck, &out->bottleneck_share);
    out->split.stages = p->layout.stages;
    return FA_OK;
}

static void finish(fa_plan *out, const fa_planner *p) {
    out->split.stages = p->layout.stages;
    measure_busy(out, p);
    prefill(out, p);
    cost(out, p);
    memory(out, p);
}

fa_status fa_plan_split(fa_plan *out, const fa_plan_request *q, fa_split split, fa_error *e) {
    fa_planner p = {.q = q, .split = split, .moe_layers = fa_moe_layers(q->model)};
    fa_status s = check(q, e);
    if (!s && (int64_t)split.replicas * split.stages * split.ways > q->boards)
        s = fa_fail(e, FA_EINVAL, "%d x %d x %d boards are more than %d", split.replicas, split.stages, split.ways,
                    q->boards);
    if (s) return s;
    fa_lists_of(&p.lists, q);
    s = plan_split(out, &p, 0, e);
    if (!s) finish(out, &p);
    return s;
}

/* ---- the search ---- */

static fa_status does_not_fit(const fa_plan_request *q, fa_error *e) {
    fa_planner p = {.q = q, .split = {1, 1, 1}};
    fa_lists_of(&p.lists, q);
    fa_layer_bytes b = fa_layout_bytes(q, &p.lists, 1, q->batch, q->model->experts);
    fa_capacity one = fa_layout_capacity(q->board);
    double weights = b.ends, cache = b.cache * q->model->layers + b.end_cache;
    for (int32_t i = 0; i < q->model->layers; i++) weights += fa_config_is_moe(q->model, i) ? b.moe : b.dense;
    int32_t needed = fa_plan_boards_needed(q);
    char advice[64] = "the cache of one layer is too large for one";
    if (needed) snprintf(advice, sizeof advice, "at least %d boards are needed", needed);
    return fa_fail(
        e, FA_ELIMIT,
        "batch %d: %.0f GB of weights and %.1f GB of cache do not fit on %d board%s, which hold %.0f GB of weights "
        "(%.1f GB each, behind the weight ports) and %.0f GB in all: %s",
        q->batch, weights / 1e9, cache / 1e9, q->boards, q->boards == 1 ? "" : "s", q->boards * one.weights / 1e9,
        one.weights / 1e9, q->boards * one.both / 1e9, advice);
}

/* Every split that the boards allow; of the numbers of replicas that serve as many sequences each, the largest. */
static void search_replicas(fa_plan *out, fa_planner *best, fa_planner *p) {
    const fa_plan_request *q = p->q;
    fa_plan try;
    int32_t most = q->boards / (p->split.stages * p->split.ways);
    for (int32_t replicas = most < q->batch ? most : q->batch; replicas >= 1;) {
        int32_t sequences = q->batch / replicas, fewer = q->batch / (sequences + 1);
        p->split.replicas = replicas;
        replicas = fewer;
        if (plan_split(&try, p, out->decode_tokens_per_s, NULL)) continue;
        *out = try;
        *best = *p;
    }
}

/* False when nothing fits. */
static bool search(fa_plan *out, fa_planner *best, const fa_plan_request *q, fa_parts *known) {
    fa_planner p = {.q = q, .known = known, .moe_layers = fa_moe_layers(q->model)};
    fa_lists_of(&p.lists, q);
    *out = (fa_plan){0};
    for (int32_t ways = 1; ways <= MOST_WAYS && ways <= q->boards; ways = next_ways(ways))
        for (int32_t stages = 1; stages <= q->model->layers && stages * ways <= q->boards; stages++) {
            p.split = (fa_split){.stages = stages, .ways = ways};
            search_replicas(out, best, &p);
        }
    return out->decode_tokens_per_s > 0;
}

fa_status fa_plan_make(fa_plan *out, const fa_plan_request *request, fa_error *e) {
    fa_plan_request q = *request;
    fa_planner best = {.q = &q};
    fa_status s = check(&q, e);
    if (s) return s;
    fa_parts *known = calloc(GROUPS, sizeof *known);
    if (!known) return fa_fail(e, FA_ENOMEM, "plan: memory ran out");
    int last = q.any_cache ? FA_CACHE_TYPE_COUNT - 1 : (int)q.cache;
    for (int type = q.any_cache ? FA_CACHE_F32 : (int)q.cache; type <= last; type++) {
        q.cache = (fa_cache_type)type;
        if (!search(out, &best, &q, known)) continue;
        finish(out, &best);
        free(known);
        return FA_OK;
    }
    free(known);
    return does_not_fit(&q, e);
}
