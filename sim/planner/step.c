#include "sim/planner/step.h"

#include <math.h>

#include "sim/device/time.h"

void fa_spent_add(fa_spent *to, const fa_spent *more, double times) {
    to->seconds += times * more->seconds;
    for (int i = 0; i < FA_LIMIT_COUNT; i++) to->by[i] += times * more->by[i];
    to->cycles += times * more->cycles;
    to->weight_bytes += times * more->weight_bytes;
    to->io_bytes += times * more->io_bytes;
    to->link_bytes += times * more->link_bytes;
    to->unit_seconds += times * more->unit_seconds;
    to->first_seconds += times * more->first_seconds;
    to->product_seconds += times * more->product_seconds;
    to->product_bytes += times * more->product_bytes;
    to->macs_fp8 += times * more->macs_fp8;
    to->macs_fp32 += times * more->macs_fp32;
    to->launches += times * more->launches;
    to->joules += times * more->joules;
}

static int64_t share_of(int64_t n, int64_t parts) {
    return (n + parts - 1) / parts;
}

static double positive(double x) {
    return x > 0 ? x : 0;
}

/* ---- what the host does between ops ---- */

static void spend(fa_spent *spent, fa_limit on, double seconds) {
    spent->seconds += seconds;
    spent->by[on] += seconds;
}

/* `bytes` between the host and each of the boards, whose links work at the same time. */
static void transfer(const fa_plan_step *s, fa_spent *spent, double bytes, bool to_card) {
    spend(spent, FA_LIMIT_LINK, sim_transfer_seconds(s->board, bytes, to_card));
    spent->link_bytes += bytes * s->ways;
}

/* Hosts that the boards of a group sit in. */
static double hosts_of(const fa_plan_step *s) {
    return (double)share_of(s->ways, s->hosts->boards_per_host);
}

/* Every host gets what the others have of `bytes`, where the boards sit in more than one. */
static void exchange(const fa_plan_step *s, fa_spent *spent, double bytes) {
    spend(spent, FA_LIMIT_NETWORK, fa_network_gather(&s->hosts->network, hosts_of(s), bytes));
}

/* before: the op whose results are brought together; MLPs of one board give all of a row. */
static void gather(const fa_plan_step *s, const fa_plan_op *before, fa_spent *spent) {
    if (s->ways == 1) return;
    double values =
        before->kind == FA_PLAN_ATTENTION
            ? (double)s->model->heads * (s->model->attention == FA_ATTENTION_MLA ? s->model->v_dim : s->model->head_dim)
            : (double)(before->kind == FA_PLAN_MLP ? before->inputs : before->outputs);
    double bytes = 4 * s->rows * values;
    transfer(s, spent, before->share == FA_SHARE_ONE ? bytes : bytes / s->ways, false);
    exchange(s, spent, bytes);
    transfer(s, spent, bytes, true);
}

static void route(const fa_plan_step *s, fa_spent *spent) {
    double scores = 4.0 * s->rows * s->model->experts, routes = 8.0 * s->rows * s->model->top_k;
    transfer(s, spent, scores / s->ways, false);
    exchange(s, spent, scores);
    spend(spent, FA_LIMIT_HOST, s->rows * s->hosts->route_s);
    transfer(s, spent, routes, true);
}

/* On one board the sum stays on the card. A host adds up its share of the rows, of which it gets all that other hosts' experts gave;
 * then all get the sums. */
static void sum_experts(const fa_plan_step *s, fa_spent *spent) {
    if (s->ways == 1) return;
    const fa_config *c = s->model;
    double row = 4.0 * c->hidden, all = s->rows * row * (c->top_k + (c->shared_experts > 0)), hosts = hosts_of(s);
    double board = fa_routes_load(s->routes, s->rows, 1, s->ways, c->experts).busiest;
    double host = hosts > 1 ? fa_routes_load(s->routes, s->rows, 1, (int32_t)hosts, c->experts).busiest : 1;
    transfer(s, spent, all * board, false);
    spend(spent, FA_LIMIT_NETWORK, fa_network_exchange(&s->hosts->network, hosts, all * host));
    spend(spent, FA_LIMIT_HOST, all / hosts / s->hosts->sum_bytes_per_s);
    exchange(s, spent, s->rows * row);
    transfer(s, spent, s->rows * row, true);
}

static void host_part(const fa_plan_step *s, const fa_plan_op *w, const fa_plan_op *before, fa_spent *spent) {
    switch (w->before) {
    case FA_HOST_NOTHING: return;
    case FA_HOST_GATHER: gather(s, before, spent); return;
    case FA_HOST_ROUTE: route(s, spent); return;
    case FA_HOST_SUM: sum_experts(s, spent); return;
    }
}

/* Experts that are not on the boards come over the link while nothing else runs. Boards of a node share its memory. */
static void fetch(const fa_plan_step *s, const fa_plan_op *w, double absent, fa_spent *spent) {
    if (absent <= 0) return;
    const fa_hosts *h = s->hosts;
    double bytes = absent * fa_plan_op_bytes(s->model, w) / s->model->experts / s->ways;
    int64_t of_node = share_of(s->ways < h->boards_per_host ? s->ways : h->boards_per_host, h->nodes);
    double far = h->nodes > 1 ? h->far_share : 1; /* experts lie on all nodes, boards on one each */
    double memory = h->node_bytes_per_s / (double)of_node * h->nodes / (1 + (h->nodes - 1) / far);
    double seconds = sim_transfer_seconds(s->board, bytes, true);
    spend(spent, FA_LIMIT_FETCH, fmax(seconds, bytes / memory));
    spent->link_bytes += bytes * s->ways;
}

/* ---- kernels ---- */

/* One op as launches: what one unit does, and how much that is in all. */
typedef struct fa_launches {
    hls_cost unit; /* of the busiest unit */
    double units;  /* units that do as much, over all boards: the total is unit * units */
    fa_limit pipelines;
} fa_launches;

/* The build as the cost functions see it: ports that carry as many more codes a cycle as these are smaller than a byte. */
static hls_build build_of(const fa_plan_step *s) {
    hls_build b = sim_build(s->board);
    if (s->code_bits) b.port_bytes = b.port_bytes * 8 / s->code_bits;
    return b;
}

/* Boards that do the op; each of them all its units. */
static double boards_at(const fa_plan_step *s, const fa_plan_op *w) {
    return w->share == FA_SHARE_ONE ? 1 : s->ways;
}

/* A board's share of `n` outputs or heads. */
static int64_t of_board(const fa_plan_step *s, const fa_plan_op *w, int64_t n) {
    return share_of(n, w->share == FA_SHARE_OUTPUTS ? s->ways : 1);
}

/* Units of a board that share a weight of so many outputs: whole tiles each and as many, or one has it all
 * (host/backend/board/weights.c). */
static int64_t units_at(const fa_plan_step *s, int64_t outputs) {
    int64_t units = s->board->build.units;
    return outputs % (HLS_TILE * units) ? 1 : units;
}

static fa_launches matmul(const fa_plan_step *s, const fa_plan_op *w, const hls_build *b) {
    int64_t rows = w->outputs == s->model->vocab ? (int64_t)ceil(s->logits) : s->rows;
    int64_t outputs = of_board(s, w, w->outputs), units = units_at(s, outputs);
    return (fa_launches){.unit = hls_cost_matmul(b, w->type, s->w8a8, rows, outputs / units, w->inputs),
                         .units = boards_at(s, w) * (double)units,
                         .pipelines = FA_LIMIT_MATMUL};
}

/* MLA needs whole heads of kv_b on a unit; GQA's units take key/value heads, the last perhaps fewer. */
static fa_launches attention(const fa_plan_step *s, const fa_plan_op *w, const hls_build *b) {
    const fa_config *c = s->model;
    int32_t row_bytes = fa_model_cache(c, s->cache).row_bytes;
    int64_t heads = of_board(s, w, c->heads), units;
    hls_cost cost;
    if (c->attention == FA_ATTENTION_MLA) {
        units = units_at(s, heads * (c->nope_dim + c->v_dim));
        if (heads % units) units = 1;
        cost = hls_cost_mla(b, w->type, w->type, row_bytes, s->rows, s->context, heads / units, c->nope_dim,
                            c->rope_dim, c->v_dim, c->kv_rank);
    } else {
        int64_t kv_heads = of_board(s, w, c->kv_heads), each = share_of(kv_heads, s->board->build.units);
        units = share_of(kv_heads, each);
        cost = hls_cost_gqa(b, (int32_t)(row_bytes * each / c->kv_heads), s->rows, s->context, share_of(heads, units),
                            each, c->head_dim);
    }
    return (fa_launches){.unit = cost, .units = boards_at(s, w) * (double)units, .pipelines = FA_LIMIT_ATTENTION};
}

/* What the visited experts of one board ask of it: passes over their weights, whose results are added to `rows` rows; of `boards`
 * boards that do as much. */
typedef struct fa_visits {
    hls_passes passes;
    double boards;
    int64_t rows;
} fa_visits;

/* Whole experts lie on boards: the board with the most passes is waited for. Routes of several boards get a row each. */
static fa_visits visits_of(const fa_plan_step *s, const fa_plan_op *w, const hls_build *b, fa_spent *spent) {
    if (w->kind == FA_PLAN_MLP) return (fa_visits){hls_passes_of(b, s->rows), boards_at(s, w), s->rows};
    fa_load load = s->load ? *s->load : fa_routes_load(s->routes, s->rows, b->rows, s->ways, s->resident);
    fetch(s, w, load.absent, spent);
    double routes = (double)s->rows * s->model->top_k * load.busiest;
    fa_visits v = {.boards = 1 / load.busiest, .rows = s->ways > 1 ? (int64_t)ceil(routes) : s->rows};
    for (int32_t k = 1; k <= b->rows; k++) v.passes.of[k] = load.passes.of[k] * load.busiest;
    return v;
}

/* Gate and up, then down, each on all units of a board (host/backend/board/experts.c). */
static fa_launches gated(const fa_plan_step *s, const fa_plan_op *w, const hls_build *b, const fa_visits *v) {
    const hls_weight types[2] = {w->type, w->type};
    int64_t units = units_at(s, w->outputs);
    return (fa_launches){.unit = hls_cost_gated(b, types, s->w8a8, &v->passes, w->outputs / units, w->inputs),
                         .units = v->boards * (double)units,
                         .pipelines = FA_LIMIT_MATMUL};
}

static fa_launches routed(const fa_plan_step *s, const fa_plan_op *w, const hls_build *b, const fa_visits *v) {
    int64_t units = units_at(s, w->inputs);
    return (fa_launches){.unit =
                             hls_cost_routed(b, w->type, s->w8a8, v->rows, &v->passes, w->inputs / units, w->outputs),
                         .units = v->boards * (double)units,
                         .pipelines = FA_LIMIT_MATMUL};
}

/* On the first unit of a board. */
static fa_launches rowwise(const fa_plan_step *s, const fa_plan_op *w, const hls_build *b) {
    int64_t ways = w->share == FA_SHARE_OUTPUTS ? s->ways : 1;
    return (fa_launches){.unit = hls_cost_rowwise(b, s->rows, share_of(w->outputs, ways)),
                         .units = boards_at(s, w),
                         .pipelines = FA_LIMIT_ROWWISE};
}

static void spend_launches(const fa_plan_step *s, const fa_plan_op *w, fa_launches given, fa_spent *spent) {
    fa_launches *l = &given;
    if (s->code_bytes > 0) l->unit.weight_bytes *= s->code_bytes;
    if (s->on_chip) l->unit.io_bytes = 0;
    if (s->on_chip && w->kind == FA_PLAN_ROWWISE) l->unit.bursts = 0;
    double kernel = sim_launch_seconds(s->board, &l->unit);
    spent->seconds += fa_launch_parts(s->board, &l->unit, l->pipelines, spent->by);
    spent->cycles += kernel * s->board->build.clock_hz;
    spent->launches += 1;
    spent->weight_bytes += l->unit.weight_bytes * l->units;
    spent->io_bytes += l->unit.io_bytes * l->units;
    spent->unit_seconds += kernel * l->units;
    if (l->pipelines == FA_LIMIT_ROWWISE) spent->first_seconds += kernel * l->units;
    if (l->pipelines == FA_LIMIT_MATMUL) {
        spent->product_seconds += kernel;
        spent->product_bytes += l->unit.weight_bytes * l->units;
    }
    spent->macs_fp8 += l->unit.macs_fp8 * l->units;
    spent->macs_fp32 += l->unit.macs_fp32 * l->units;
    spent->joules += sim_launch_joules(s->board, &l->unit) * l->units;
}

static void run(const fa_plan_step *s, const fa_plan_op *w, fa_spent *spent) {
    const hls_build b = build_of(s);
    switch (w->kind) {
    case FA_PLAN_MATMUL: spend_launches(s, w, matmul(s, w, &b), spent); return;
    case FA_PLAN_ATTENTION: spend_launches(s, w, attention(s, w, &b), spent); return;
    case FA_PLAN_ROWWISE: spend_launches(s, w, rowwise(s, w, &b), spent); return;
    case FA_PLAN_EXPERTS:
    case FA_PLAN_MLP: break;
    }
    fa_visits v = visits_of(s, w, &b, spent);
    spend_launches(s, w, gated(s, w, &b, &v), spent);
    spend_launches(s, w, routed(s, w, &b, &v), spent);
}

void fa_plan_step_ops(const fa_plan_step *s, const fa_plan_ops *list, fa_spent *spent, fa_plan_step_watch *watch,
                      void *ctx) {
    double start = spent->seconds;
    for (int i = 0; i < list->n; i++) {
        const fa_plan_op *w = &list->item[i];
        fa_spent op = {0};
        if (i) host_part(s, w, &list->item[i - 1], &op);
        run(s, w, &op);
        if (watch) watch(ctx, w, spent->seconds - start, &op);
        fa_spent_add(spent, &op, 1);
    }
}

void fa_plan_step_enter(const fa_plan_step *s, bool from_boards, fa_spent *spent) {
    double bytes = 4.0 * s->rows * s->model->hidden;
    if (from_boards) {
        transfer(s, spent, bytes / s->ways, false);
        spend(spent, FA_LIMIT_NETWORK, fa_network_message(&s->hosts->network, bytes));
    }
    transfer(s, spent, bytes, true);
}

void fa_plan_step_leave(const fa_plan_step *s, fa_spent *spent) {
    transfer(s, spent, 4 * s->logits * s->model->vocab / s->ways, false);
}

double fa_plan_step_board_bytes(const fa_plan_step *s, const fa_plan_ops *list) {
    double bytes = 0;
    for (int i = 0; i < list->n; i++) {
        const fa_plan_op *w = &list->item[i];
        double all = fa_plan_op_bytes(s->model, w), experts = s->model->experts;
        if (w->share == FA_SHARE_OUTPUTS) all /= s->ways;
        if (w->share == FA_SHARE_EXPERTS) all *= (double)share_of(s->resident, s->ways) / experts;
        bytes += all;
    }
    return bytes;
}

double fa_plan_step_host_bytes(const fa_plan_step *s, const fa_plan_ops *list) {
    double bytes = 0;
    for (int i = 0; i < list->n; i++)
        if (list->item[i].share == FA_SHARE_EXPERTS)
            bytes += fa_plan_op_bytes(s->model, &list->item[i]) * positive(1 - (double)s->resident / s->model->experts);
    return bytes;
}
