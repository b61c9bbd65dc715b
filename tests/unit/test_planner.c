/* What must hold of plans whatever the board and the model: 1,000 random pairs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/planner/explore.h"
#include "sim/planner/models.h"
#include "sim/planner/plan.h"
#include "tests/lib/check.h"

enum { PAIRS = 1000 };
static const double slack = 1e-9; /* relative, of sums in another order */

static int32_t pick(check_rng *r, int32_t min, int32_t max) {
    return min + (int32_t)(check_uniform(r) * (max - min + 1));
}

static double between(check_rng *r, double min, double max) {
    return min * pow(max / min, check_uniform(r));
}

static fa_board random_board(check_rng *r) {
    fa_board b = {.name = "random",
                  .slrs = 1,
                  .n_bank_kinds = 1,
                  .to_card_bytes_per_s = between(r, 1e9, 60e9),
                  .from_card_bytes_per_s = between(r, 1e9, 60e9),
                  .launch_s = between(r, 1e-7, 1e-4),
                  .idle_w = between(r, 5, 100),
                  .price_usd = between(r, 100, 20000)};
    b.full_w = b.idle_w * between(r, 1, 5);
    b.bank[0] = (fa_bank_kind){.name = "HBM",
                               .count = 1 << pick(r, 0, 6),
                               .bank_bytes = (int64_t)1 << pick(r, 28, 34),
                               .peak_bytes_per_s = between(r, 2e9, 50e9),
                               .read_share = between(r, 0.5, 1),
                               .write_share = 0.9,
                               .bank_ports = 1,
                               .port_bytes = 32,
                               .read_latency_s = between(r, 5e-8, 1e-6),
                               .write_latency_s = 1e-7};
    b.build = (fa_board_build){.clock_hz = between(r, 1e8, 1e9),
                               .units = pick(r, 1, 4),
                               .ports = 1 << pick(r, 0, 4),
                               .port_bytes = 32 << pick(r, 0, 1),
                               .rows = 1 << pick(r, 0, 4),
                               .lanes_fp32 = 16 << pick(r, 0, 5)};
    return b;
}

static fa_config random_model(check_rng *r) {
    bool mla = pick(r, 0, 1), moe = pick(r, 0, 1);
    fa_config c = {.architecture = "Random",
                   .family = "random",
                   .vocab = pick(r, 1000, 150000),
                   .hidden = 128 * pick(r, 2, 56),
                   .layers = pick(r, 1, 40),
                   .intermediate = 128 * pick(r, 2, 150),
                   .max_positions = 1 << 17,
                   .attention = mla ? FA_ATTENTION_MLA : FA_ATTENTION_GQA,
                   .kv_heads = 1 << pick(r, 0, 4),
                   .head_dim = 64 << pick(r, 0, 1),
                   .q_rank = mla && pick(r, 0, 1) ? 128 * pick(r, 2, 12) : 0,
                   .kv_rank = mla ? 128 * pick(r, 1, 4) : 0,
                   .nope_dim = mla ? 128 : 0,
                   .rope_dim = mla ? 64 : 0,
                   .v_dim = mla ? 128 : 0,
                   .moe_layer_freq = 1};
    c.heads = c.kv_heads * pick(r, 1, 8);
    if (!moe) return c;
    c.experts = 8 * pick(r, 1, 32);
    c.top_k = pick(r, 1, c.experts < 8 ? c.experts : 8);
    c.shared_experts = pick(r, 0, 2);
    c.moe_inner = 128 * pick(r, 1, 16);
    c.first_moe_layer = pick(r, 0, 3);
    c.mtp_layers = pick(r, 0, 1);
    return c;
}

/* One random pair with a plan. */
typedef struct pair {
    fa_board board;
    fa_config model;
    fa_routes routes;
    fa_plan_request q;
    fa_plan plan;
} pair;

static void random_pair(check_rng *r, pair *p) {
    fa_error e;
    p->board = random_board(r);
    p->model = random_model(r);
    fa_plan_defaults(&p->q);
    p->q.model = &p->model;
    p->q.board = &p->board;
    p->q.any_cache = false;
    p->q.cache = (fa_cache_type)pick(r, 0, 2);
    p->q.boards = pick(r, 1, 8);
    p->q.batch = pick(r, 1, 12);
    p->q.context = pick(r, 1, 8192);
    p->q.prompt = pick(r, 1, p->q.context);
    p->q.routes = p->model.experts ? &p->routes : NULL;
    if (p->model.mtp_layers && pick(r, 0, 1)) {
        p->q.draft = pick(r, 1, 2);
        p->q.accept = check_uniform(r);
    }
    if (p->model.experts) fa_routes_zipf(&p->routes, &p->model, 2 * check_uniform(r));
    int32_t needed = fa_plan_boards_needed(&p->q);
    if (!needed) p->q.cache = FA_CACHE_FP8, p->q.batch = 1, needed = fa_plan_boards_needed(&p->q);
    if (!needed) p->board.bank[0].bank_bytes <<= 6, needed = fa_plan_boards_needed(&p->q);
    CHECK(needed > 0, "no number of boards holds the model");
    if (p->q.boards < needed) p->q.boards = needed;
    CHECK_OK(fa_plan_make(&p->plan, &p->q, &e), &e);
}

static pair pairs[PAIRS]; /* made once */

static void point_at_itself(pair *p) {
    p->q.model = &p->model;
    p->q.board = &p->board;
    if (p->q.routes) p->q.routes = &p->routes;
}

/* Runs `must` for a copy of every pair. */
static void for_all(void *arg) {
    void (*must)(check_rng * r, pair * p) = *(void (**)(check_rng *, pair *))arg;
    check_rng r = {.state = 1};
    for (int i = 0; i < PAIRS && !pairs[PAIRS - 1].q.boards; i++) random_pair(&r, &pairs[i]);
    for (int i = 0; i < PAIRS; i++) {
        pair p = pairs[i];
        point_at_itself(&p);
        must(&r, &p);
    }
}

/* ---- bounds ---- */

/* Weights that any way of decoding reads: all that is used by a token, once a group. */
static double least_weight_bytes(const pair *p) {
    double parameters = fa_model_parameters(&p->model, true) - (double)p->model.vocab * p->model.hidden;
    return parameters - (double)p->model.layers * (10.0 * p->model.hidden + 3.0 * p->model.kv_rank); /* not vectors */
}

static void never_above_the_bounds(check_rng *r, pair *p) {
    (void)r;
    const fa_plan *a = &p->plan;
    const fa_board_build *b = &p->board.build;
    double boards = (double)a->split.replicas * a->split.stages * a->split.ways;
    double rate = boards * p->board.bank[0].count * p->board.bank[0].peak_bytes_per_s;
    double groups_per_s = a->decode_tokens_per_s / a->tokens_per_step / a->group;
    CHECK(groups_per_s * least_weight_bytes(p) <= rate * (1 + slack), "%g tokens/s from %g bytes/s",
          a->decode_tokens_per_s, rate);
    CHECK(a->decode_tokens_per_s <= a->bound_tokens_per_s * (1 + slack), "%g above %g", a->decode_tokens_per_s,
          a->bound_tokens_per_s);
    double lanes = boards * b->units * b->clock_hz * ((double)b->ports * b->port_bytes * b->rows + 2.0 * b->lanes_fp32);
    double sequences_per_s = a->decode_tokens_per_s / a->tokens_per_step;
    CHECK(sequences_per_s * least_weight_bytes(p) <= lanes * (1 + slack), "%g tokens/s by %g MAC/s",
          a->decode_tokens_per_s, lanes);
    const double busy[] = {a->busy.weight_banks, a->busy.io_banks,  a->busy.units,
                           a->busy.macs_fp8,     a->busy.macs_fp32, a->busy.link};
    for (size_t i = 0; i < sizeof busy / sizeof *busy - 1; i++)
        CHECK(busy[i] >= 0 && busy[i] <= 1 + slack, "busy %zu: %g; round %g, pass %g, %d x %d x %d", i, busy[i],
              a->round_s, a->pass.seconds, a->split.replicas, a->split.stages, a->split.ways);
    CHECK(a->board_bytes <= a->board_capacity, "%g of %g bytes", a->board_bytes, a->board_capacity);
    CHECK(a->group * a->groups * a->split.replicas <= p->q.batch);
}

/* ---- monotony ---- */

static void never_slower(const pair *p, const fa_plan *before, const char *why) {
    fa_error e;
    fa_plan now;
    CHECK_OK(fa_plan_make(&now, &p->q, &e), &e);
    const fa_board_build *b = &p->board.build;
    CHECK(
        now.decode_tokens_per_s >= before->decode_tokens_per_s * (1 - slack),
        "%s: %.9g tokens/s after %.9g; split %d x %d x %d, %d x %d rows; before %d x %d x %d, %d x %d; %d units of %d "
        "ports of %d, %d rows, %d lanes",
        why, now.decode_tokens_per_s, before->decode_tokens_per_s, now.split.replicas, now.split.stages, now.split.ways,
        now.groups, now.group, before->split.replicas, before->split.stages, before->split.ways, before->groups,
        before->group, b->units, b->ports, b->port_bytes, b->rows, b->lanes_fp32);
}

static void more_is_never_slower(check_rng *r, pair *p) {
    const fa_plan *before = &p->plan;
    pair more = *p;
    point_at_itself(&more);
    fa_board_build *b = &more.board.build;
    switch (pick(r, 0, 8)) {
    case 0:
        b->clock_hz *= between(r, 1, 4);
        never_slower(&more, before, "clock");
        break;
    case 1:
        b->lanes_fp32 <<= pick(r, 1, 3);
        never_slower(&more, before, "FP32 lanes");
        break;
    case 2:
        b->rows <<= pick(r, 1, 2);
        never_slower(&more, before, "rows");
        break;
    case 3:
        b->port_bytes = 64;
        never_slower(&more, before, "port bytes");
        break;
    case 4:
        more.board.bank[0].count *= 2;
        never_slower(&more, before, "banks");
        break;
    case 5:
        more.board.bank[0].peak_bytes_per_s *= between(r, 1, 4);
        never_slower(&more, before, "bank rate");
        break;
    case 6:
        more.q.boards += pick(r, 1, 4);
        never_slower(&more, before, "boards");
        break;
    case 7:
        more.board.launch_s /= 2;
        never_slower(&more, before, "launches");
        break;
    case 8: /* each with banks of its own, and as much memory behind them: a rest of the banks may be left over */
        if (b->ports < 16 && 2 * b->units * b->ports <= more.board.bank[0].count) b->ports *= 2;
        more.board.bank[0].bank_bytes *= 2;
        never_slower(&more, before, "ports");
        break;
    }
}

static void larger_batches_are_never_slower(check_rng *r, pair *p) {
    fa_error e;
    fa_plan small, large;
    int32_t fewer = pick(r, 1, p->q.batch);
    p->board.bank[0].bank_bytes = (int64_t)1 << 44; /* or more sequences may force another split */
    CHECK_OK(fa_plan_make(&large, &p->q, &e), &e);
    p->q.batch = fewer;
    CHECK_OK(fa_plan_make(&small, &p->q, &e), &e);
    CHECK(large.decode_tokens_per_s >= small.decode_tokens_per_s * (1 - slack), "%.9g for more, %.9g for %d sequences",
          large.decode_tokens_per_s, small.decode_tokens_per_s, fewer);
}

static void longer_contexts_are_never_faster(check_rng *r, pair *p) {
    fa_error e;
    fa_plan shorter;
    p->q.context = pick(r, 1, p->q.context);
    p->q.prompt = 1;
    CHECK_OK(fa_plan_make(&shorter, &p->q, &e), &e);
    CHECK(shorter.decode_tokens_per_s >= p->plan.decode_tokens_per_s * (1 - slack), "%.9g for context %d, %.9g before",
          shorter.decode_tokens_per_s, p->q.context, p->plan.decode_tokens_per_s);
}

/* ---- sums ---- */

typedef struct walked {
    double end, longest_gap;
    int events;
} walked;

static void walk_event(void *ctx, const fa_plan_event *event) {
    walked *w = ctx;
    w->longest_gap = fmax(w->longest_gap, fabs(event->start - w->end));
    w->end = event->start + event->seconds;
    w->events++;
}

static void parts_add_up(check_rng *r, pair *p) {
    (void)r;
    const fa_plan *a = &p->plan;
    double sum = 0;
    for (int i = 0; i < FA_LIMIT_COUNT; i++) {
        CHECK(a->pass.by[i] >= 0);
        sum += a->pass.by[i];
    }
    CHECK(fabs(sum / a->pass.seconds - 1) < slack, "%.12g of %.12g s", sum, a->pass.seconds);
    walked w = {0};
    fa_plan_walk(&p->q, a, walk_event, &w);
    CHECK(w.events > 10 * p->model.layers && w.longest_gap < slack * a->pass.seconds, "%d events, a gap of %g s",
          w.events, w.longest_gap);
    CHECK(fabs(w.end / a->pass.seconds - 1) < slack, "critical path %.12g s, pass %.12g s", w.end, a->pass.seconds);
}

/* ---- experts ---- */

/* Draws `rows` tokens' experts by their probabilities (systematic sampling, whose inclusion probabilities are exactly p) and counts
 * the distinct. */
static double drawn_distinct(const fa_routes *r, int32_t rows, check_rng *rng) {
    char seen[FA_ROUTES_EXPERTS] = {0};
    double n = 0;
    for (int32_t t = 0; t < rows; t++) {
        double at = check_uniform(rng), sum = 0;
        for (int32_t i = 0; i < r->experts; i++) {
            sum += r->p[i];
            if (sum < at) continue;
            n += !seen[i];
            seen[i] = 1;
            at += 1;
        }
    }
    return n;
}

static void distinct_experts_are_those_of_draws(void *arg) {
    (void)arg;
    fa_config c;
    fa_error e;
    fa_routes r;
    check_rng rng = {.state = 7};
    CHECK_OK(fa_plan_model(&c, "deepseek-r1", &e), &e);
    for (int skew = 0; skew <= 2; skew++)
        for (int32_t rows = 1; rows <= 64; rows *= 4) {
            fa_routes_zipf(&r, &c, 0.6 * skew);
            double drawn = 0, expected = fa_routes_load(&r, rows, 1, 1, c.experts).visited;
            for (int i = 0; i < 200; i++) drawn += drawn_distinct(&r, rows, &rng) / 200;
            CHECK(fabs(drawn / expected - 1) < 0.02, "skew %g, %d rows: %g drawn, %g expected", 0.6 * skew, rows, drawn,
                  expected);
        }
}

static void loads_are_consistent(check_rng *r, pair *p) {
    if (!p->model.experts) return;
    int32_t rows = pick(r, 1, 300), a_pass = 1 << pick(r, 0, 4), bins = pick(r, 1, 64);
    double sum = 0;
    for (int32_t i = 0; i < p->model.experts; i++) sum += p->routes.p[i];
    CHECK(fabs(sum - p->model.top_k) < 1e-6, "probabilities add up to %g, not %d", sum, p->model.top_k);
    fa_load load = fa_routes_load(&p->routes, rows, a_pass, bins, p->model.experts / 2);
    double routes = (double)rows * p->model.top_k;
    CHECK(load.visited <= fmin(p->model.experts, routes) + 1e-6, "%g visited", load.visited);
    CHECK(load.n_passes >= load.visited * (1 - 1e-6) && load.n_passes <= routes + 1e-6, "%g passes of %g",
          load.n_passes, load.visited);
    double with_rows = 0;
    for (int32_t k = 1; k <= a_pass; k++) with_rows += k * load.passes.of[k];
    CHECK(fabs(with_rows / routes - 1) < 1e-6, "%g rows in passes, %g routes", with_rows, routes);
    CHECK(load.busiest >= 1.0 / bins - slack && load.busiest <= 1, "%g of %d bins", load.busiest, bins);
    CHECK(load.absent <= load.visited);
}

static void the_busiest_of_one_bin_is_all(void *arg) {
    (void)arg;
    fa_config c;
    fa_error e;
    fa_routes r;
    CHECK_OK(fa_plan_model(&c, "deepseek-r1", &e), &e);
    fa_routes_zipf(&r, &c, 0);
    CHECK(fa_routes_load(&r, 1, 1, 1, 256).busiest == 1);
    CHECK(fabs(fa_routes_load(&r, 1, 1, 1, 256).visited - 8) < 1e-6);
    CHECK(fabs(fa_routes_load(&r, 100000, 1, 16, 256).busiest - 1.0 / 16) < 1e-6); /* every expert is visited */
}

/* ---- errors, offloading ---- */

static void too_few_boards_say_how_many(void *arg) {
    (void)arg;
    fa_config c;
    fa_error e;
    fa_routes r;
    fa_plan plan;
    fa_plan_request q;
    check_rng rng = {.state = 3};
    fa_board b = random_board(&rng);
    b.bank[0].count = 32;
    b.bank[0].bank_bytes = 512 << 20;
    CHECK_OK(fa_plan_model(&c, "deepseek-r1", &e), &e);
    fa_routes_zipf(&r, &c, 0);
    fa_plan_defaults(&q);
    q.model = &c;
    q.board = &b;
    q.routes = &r;
    q.boards = 16;
    CHECK(fa_plan_make(&plan, &q, &e) == FA_ELIMIT);
    int32_t needed = fa_plan_boards_needed(&q);
    char text[64];
    snprintf(text, sizeof text, "at least %d boards", needed);
    CHECK(needed > 39 && needed < 48, "%d boards", needed);
    CHECK(strstr(e.text, "67") && strstr(e.text, text), "%s", e.text);
    q.boards = needed;
    CHECK_OK(fa_plan_make(&plan, &q, &e), &e);
    q.boards = needed - 1;
    CHECK(fa_plan_make(&plan, &q, &e) == FA_ELIMIT);
    q.offload = true;
    CHECK_OK(fa_plan_make(&plan, &q, &e), &e);
    CHECK(plan.resident < 256 && plan.host_bytes > 0 && plan.pass.by[FA_LIMIT_FETCH] > 0, "%d resident", plan.resident);
}

static void no_exploration_beats_its_front(void *arg) {
    (void)arg;
    fa_config c;
    fa_error e;
    fa_board b;
    fa_plan_request q;
    fa_explored x;
    CHECK_OK(fa_plan_model(&c, "r1-distill-llama-8b", &e), &e);
    CHECK_OK(fa_board_find(&b, "u55c", &e), &e);
    fa_plan_defaults(&q);
    q.model = &c;
    q.board = &b;
    q.boards = 1;
    fa_space space = {.units = {.value = {1, 2, 16}, .n = 3},
                      .ports = {.value = {4, 8}, .n = 2},
                      .lanes_fp32 = {.value = {16, 32}, .n = 2},
                      .boards = {.value = {1, 2, 4}, .n = 3},
                      .batch = {.value = {1, 8}, .n = 2}};
    CHECK_OK(fa_explore(&x, &q, &space, NULL, NULL, &e), &e);
    CHECK(x.tried == 72 && x.n + x.refused_build + x.refused_memory == x.tried && x.refused_build > 0);
    int64_t front = 0;
    for (int64_t i = 0; i < x.n; i++) {
        bool beaten = false;
        CHECK(x.point[i].use > 0 && x.point[i].use <= 1, "use of the part: %g", x.point[i].use);
        for (int64_t j = 0; j < x.n; j++) {
            const fa_plan *a = &x.point[j].plan, *of = &x.point[i].plan;
            beaten |= a->decode_tokens_per_s > of->decode_tokens_per_s && a->joules_per_token < of->joules_per_token &&
                      a->usd <= of->usd;
        }
        CHECK(!x.point[i].front || !beaten, "point %lld of the front is beaten", (long long)i);
        front += x.point[i].front;
    }
    CHECK(front > 0 && front < x.n, "%lld of %lld", (long long)front, (long long)x.n);
    fa_explored_free(&x);
}

/* Batch 1, a board with layers of its own. Attention, which is no product of codes, and the head in BF16 are not counted. */
static void products_of_v3_read_at_the_rate_of_memory(void *arg) {
    const char *name = arg;
    fa_board b;
    fa_config c;
    fa_routes routes;
    fa_error e;
    fa_plan_ops dense, moe;
    fa_spent spent = {0};
    CHECK_OK(fa_board_find(&b, name, &e), &e);
    CHECK_OK(fa_board_fits(&b, &b.build, &e), &e);
    CHECK_OK(fa_plan_model(&c, "deepseek-v3", &e), &e);
    fa_routes_zipf(&routes, &c, 0);
    const fa_hosts hosts = {.boards_per_host = 1, .nodes = 1};
    const fa_weight_types types = {HLS_E4M3, HLS_BF16};
    fa_plan_step s = {.model = &c, .board = &b, .hosts = &hosts, .routes = &routes, .types = types, .w8a8 = true};
    s.ways = s.rows = 1;
    s.context = 4096;
    s.resident = c.experts;
    fa_plan_layer_ops(&dense, &c, false, types);
    fa_plan_layer_ops(&moe, &c, true, types);
    for (int i = 0; i < c.layers; i++)
        fa_plan_step_ops(&s, fa_config_is_moe(&c, i) ? &moe : &dense, &spent, NULL, NULL);
    double share = spent.product_bytes / spent.product_seconds / fa_board_memory_rate(&b);
    CHECK(share >= 0.85 && share <= 1, "%s: %.1f %% of its memory's rate", name, 100 * share);
}

typedef void must(check_rng *r, pair *p);
static must *const bounds = never_above_the_bounds, *const more = more_is_never_slower,
                   *const batches = larger_batches_are_never_slower, *const contexts = longer_contexts_are_never_faster,
                   *const sums = parts_add_up, *const loads = loads_are_consistent;

static const check_case cases[] = {
    {"no plan is above what banks and lanes give", for_all, (void *)&bounds},
    {"more clock, lanes, banks, ports, boards are never slower", for_all, (void *)&more},
    {"larger batches never decode fewer tokens/s", for_all, (void *)&batches},
    {"longer contexts are never faster", for_all, (void *)&contexts},
    {"the critical path is the total", for_all, (void *)&sums},
    {"expected loads of experts are consistent", for_all, (void *)&loads},
    {"distinct experts are as many as draws give", distinct_experts_are_those_of_draws, NULL},
    {"one bin has everything, all experts visited are even", the_busiest_of_one_bin_is_all, NULL},
    {"too few boards say how many are needed", too_few_boards_say_how_many, NULL},
    {"DeepSeek-V3's products read 85 % of a U55C's memory rate", products_of_v3_read_at_the_rate_of_memory, "u55c"},
    {"DeepSeek-V3's products read 85 % of a V80's memory rate", products_of_v3_read_at_the_rate_of_memory, "v80"},
    {"nothing explored beats the Pareto front", no_exploration_beats_its_front, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
