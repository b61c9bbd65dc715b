/* Requests on boards (sim/scale): what queueing theory says of cases that it solves, and what must hold of all others. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/planner/models.h"
#include "sim/scale/spread.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

/* A plan of a model on boards. */
typedef struct planned {
    fa_config model;
    fa_board board;
    fa_routes routes;
    fa_plan_request q;
    fa_plan plan;
} planned;

static void make_plan(planned *p, const char *model, int32_t boards, int32_t batch, int32_t context, fa_split split) {
    fa_error e;
    *p = (planned){0};
    CHECK_OK(fa_plan_model(&p->model, model, &e), &e);
    CHECK_OK(fa_board_find(&p->board, "u55c", &e), &e);
    fa_plan_defaults(&p->q);
    p->q.model = &p->model;
    p->q.board = &p->board;
    p->q.boards = boards;
    p->q.batch = batch;
    p->q.context = context;
    p->q.prompt = context / 4;
    p->q.any_cache = false;
    p->q.cache = FA_CACHE_BF16;
    if (p->model.experts) fa_routes_zipf(&p->routes, &p->model, 0);
    p->q.routes = p->model.experts ? &p->routes : NULL;
    if (split.ways)
        CHECK_OK(fa_plan_split(&p->plan, &p->q, split, &e), &e);
    else
        CHECK_OK(fa_plan_make(&p->plan, &p->q, &e), &e);
}

/* Requests of one prompt, at random moments; outputs of one length, or with `geometric` of as many tokens as coins decide. */
typedef struct random_arrivals {
    check_rng rng;
    double rate, at;
    int64_t left;
    int32_t prompt, output;
    bool geometric;
} random_arrivals;

static bool next_random(void *ctx, fa_arrival *a) {
    random_arrivals *r = ctx;
    if (!r->left) return false;
    r->left--;
    r->at += -log1p(-check_uniform(&r->rng)) / r->rate;
    int32_t output = r->output;
    if (r->geometric) output = 1 + (int32_t)(log1p(-check_uniform(&r->rng)) / log1p(-1.0 / r->output));
    *a = (fa_arrival){.seconds = r->at, .prompt = r->prompt, .output = output};
    return true;
}

static fa_served serve(const planned *p, const random_arrivals *from, const fa_serve_options *o) {
    random_arrivals r = *from;
    fa_arrivals arrivals = {next_random, &r};
    fa_served s;
    fa_error e;
    CHECK_OK(fa_serve(&s, &p->q, &p->plan, &arrivals, o, &e), &e);
    CHECK(s.arrived == s.refused + s.too_long + s.finished, "%lld arrived, %lld refused, %lld too long, %lld finished",
          (long long)s.arrived, (long long)s.refused, (long long)s.too_long, (long long)s.finished);
    return s;
}

static double step_seconds(const planned *p, int32_t rows, double context, int32_t logits) {
    fa_timer *t;
    fa_error e;
    double stage[128], sum = 0;
    CHECK_OK(fa_timer_open(&t, &p->q, &p->plan, &e), &e);
    fa_timer_step(t, &(fa_timed_step){rows, context, logits}, stage);
    for (int32_t i = 0; i < fa_timer_stages(t); i++) sum += stage[i];
    fa_timer_close(t);
    return sum;
}

static void near(double found, double expected, double tolerance, const char *what) {
    CHECK(fabs(found / expected - 1) <= tolerance, "%s: found %g, expected %g", what, found, expected);
}

/* ---- closed forms ---- */

static const fa_split alone = {1, 1, 1};

/* Pollaczek-Khinchine for a fixed time of service. */
static void one_server_of_fixed_time(void *arg) {
    (void)arg;
    planned p;
    make_plan(&p, "r1-distill-qwen-1.5b", 1, 1, 1024, alone);
    double service = step_seconds(&p, 1, 1, 1);
    for (double load = 0.3; load < 0.9; load += 0.25) {
        random_arrivals r = {.rng = {7}, .rate = load / service, .left = 400000, .prompt = 1, .output = 1};
        fa_served s = serve(&p, &r, &(fa_serve_options){.seconds = 1e9, .queue = 1000000});
        near(s.waiting.mean, load * service / (2 * (1 - load)), 0.03, "mean waiting of M/D/1");
        near(s.in_system, load + load * load / (2 * (1 - load)), 0.03, "requests in M/D/1");
    }
}

/* The chance that all servers are busy, and the mean waiting, by Erlang's C formula. */
static double erlang_waiting(int servers, double load, double service) {
    double term = 1, sum = 1;
    for (int k = 1; k < servers; k++) sum += term *= load / k;
    double busy = term * load / servers / (1 - load / servers);
    return busy / (sum + busy) * service / (servers - load);
}

/* A short prompt, then so many tokens of one time each as coins decide: nearly exponential, so Erlang's C holds nearly. */
static void many_servers_of_random_times(void *arg) {
    (void)arg;
    enum { TOKENS = 200 };
    for (int32_t servers = 1; servers <= 4; servers += 3) {
        planned p;
        make_plan(&p, "r1-distill-qwen-1.5b", servers, servers, 8192, (fa_split){servers, 1, 1});
        double service =
            TOKENS * step_seconds(&p, 1, TOKENS, 1); /* a token later in a long answer takes somewhat longer */
        double load = 0.7 * servers;
        random_arrivals r = {
            .rng = {11}, .rate = load / service, .left = 20000, .prompt = 1, .output = TOKENS, .geometric = true};
        fa_served s = serve(&p, &r, &(fa_serve_options){.seconds = 1e9, .queue = 1000000});
        near(s.stay.mean - s.waiting.mean, service, 0.05, "mean service");
        near(s.waiting.mean, erlang_waiting(servers, load, service), 0.12, "mean waiting of M/M/c");
    }
}

static void a_request_alone_takes_what_the_plan_says(void *arg) {
    (void)arg;
    planned p;
    make_plan(&p, "deepseek-r1", 256, 16, 4096, (fa_split){0});
    random_arrivals r = {.rng = {1}, .rate = 1e-9, .left = 3, .prompt = 1024, .output = 1};
    fa_served s = serve(&p, &r, &(fa_serve_options){.seconds = 1e9, .queue = 10});
    near(s.first.most, p.plan.first_token_s, 0.05, "time to the first token");
    CHECK(s.waiting.most == 0);
}

static void full_groups_decode_as_fast_as_the_plan_says(void *arg) {
    (void)arg;
    planned p;
    make_plan(&p, "deepseek-r1", 64, 16, 4096, (fa_split){0});
    int32_t rows = p.plan.group;
    near(step_seconds(&p, rows, 4096.0 * rows, rows), p.plan.pass.seconds, 1e-3, "one pass");
    random_arrivals r = {.rng = {1}, .rate = 1e3, .left = 16, .prompt = 1, .output = 4095};
    fa_served s = serve(&p, &r, &(fa_serve_options){.seconds = 1e9, .queue = 16});
    CHECK(s.token.p50 < p.plan.round_s * 1.01 && s.token.p50 > p.plan.round_s / 3,
          "half context on the average: %g s, plan: %g s", s.token.p50, p.plan.round_s);
}

/* ---- what holds of all ---- */

static fa_served serve_recording(const planned *p, double rate, double seconds, uint64_t seed, int64_t queue) {
    fa_error e;
    fa_recording recording;
    fa_replay *replay;
    fa_served s;
    CHECK_OK(fa_recording_read(&recording, "sim/scale/traces/mooncake-conversation.csv", &e), &e);
    CHECK_OK(fa_replay_open(&replay, &recording, rate, seconds, seed, &e), &e);
    fa_arrivals arrivals = fa_replay_arrivals(replay);
    fa_serve_options o = {.seconds = seconds, .queue = queue, .first_s = 60, .token_s = 1, .reuse = true};
    CHECK_OK(fa_serve(&s, &p->q, &p->plan, &arrivals, &o, &e), &e);
    fa_replay_close(replay);
    fa_recording_free(&recording);
    return s;
}

static void a_seed_gives_the_same_again(void *arg) {
    (void)arg;
    planned p;
    make_plan(&p, "deepseek-v2-lite", 16, 16, 131072, (fa_split){0});
    fa_served a = serve_recording(&p, 0.5, 600, 5, -1), b = serve_recording(&p, 0.5, 600, 5, -1),
              c = serve_recording(&p, 0.5, 600, 6, -1);
    CHECK(!memcmp(&a, &b, sizeof a), "two runs of one seed differ");
    CHECK(memcmp(&a, &c, sizeof a), "another seed changed nothing");
}

static void littles_law_holds(void *arg) {
    (void)arg;
    planned p;
    make_plan(&p, "deepseek-v2-lite", 16, 16, 131072, (fa_split){0});
    for (double rate = 0.05; rate < 100; rate *= 10) {
        fa_served s = serve_recording(&p, rate, 600, 1, -1);
        double finished_per_s = (double)s.finished / s.last_s, begun_per_s = (double)s.waiting.n / s.last_s;
        CHECK(s.finished > 0);
        near(s.in_system, finished_per_s * s.stay.mean, 1e-9, "requests in the system");
        if (s.in_queue > 0) near(s.in_queue, begun_per_s * s.waiting.mean, 1e-9, "requests that wait");
    }
}

static void memory_is_never_faster_than_its_banks(void *arg) {
    (void)arg;
    static const char *const models[] = {"deepseek-r1", "deepseek-v2-lite", "r1-distill-llama-8b"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        planned p;
        make_plan(&p, models[i], 128, 64, 16384, (fa_split){0});
        fa_served s = serve_recording(&p, 1000, 200, 1, -1);
        double boards = (double)p.plan.split.replicas * p.plan.split.stages * p.plan.split.ways;
        double bound = boards * fa_board_read_rate(&p.board, &p.board.build);
        CHECK(s.weight_bytes_per_s > 0 && s.weight_bytes_per_s <= bound, "%s reads %g B/s, %g are possible", models[i],
              s.weight_bytes_per_s, bound);
        double tokens =
            (double)p.plan.split.replicas * p.plan.group * p.plan.groups / p.plan.group / step_seconds(&p, 1, 1, 1);
        CHECK(s.output_tokens_per_s <= tokens * p.plan.group, "%s writes %g tokens/s", models[i],
              s.output_tokens_per_s);
        CHECK(s.busy > 0 && s.busy <= 1, "%g busy", s.busy);
    }
}

static void more_boards_are_never_worse(void *arg) {
    (void)arg;
    fa_served before = {0};
    for (int32_t replicas = 1; replicas <= 8; replicas *= 2) {
        planned p;
        make_plan(&p, "r1-distill-llama-8b", replicas, 8 * replicas, 4096, (fa_split){replicas, 1, 1});
        random_arrivals r = {.rng = {3}, .rate = 0.05, .left = 2000, .prompt = 700, .output = 300};
        fa_served s =
            serve(&p, &r, &(fa_serve_options){.seconds = 40000, .queue = 1000000, .first_s = 60, .token_s = 1});
        CHECK(replicas == 1 || (s.good >= before.good && s.first.mean <= before.first.mean &&
                                s.stay.mean <= before.stay.mean && s.output_tokens >= before.output_tokens),
              "%d boards: %lld good, first %g s, stay %g s; half as many: %lld, %g s, %g s", replicas,
              (long long)s.good, s.first.mean, s.stay.mean, (long long)before.good, before.first.mean,
              before.stay.mean);
        before = s;
    }
}

/* The same, with whatever the planner makes of as many boards. */
static void more_boards_planned_anew_are_never_worse(void *arg) {
    (void)arg;
    fa_served before = {0};
    for (int32_t boards = 64; boards <= 256; boards += 64) {
        planned p;
        make_plan(&p, "deepseek-r1", boards, 16, 16384, (fa_split){0});
        fa_served s = serve_recording(&p, 0.005, 40000, 1, -1);
        CHECK(boards == 64 || (s.good >= before.good && s.first.mean <= before.first.mean * 1.001 &&
                               s.stay.mean <= before.stay.mean * 1.001 && s.refused <= before.refused),
              "%d boards: %lld good, first %g s, stay %g s, %lld refused; 64 fewer: %lld, %g s, %g s, %lld", boards,
              (long long)s.good, s.first.mean, s.stay.mean, (long long)s.refused, (long long)before.good,
              before.first.mean, before.stay.mean, (long long)before.refused);
        before = s;
    }
}

static void a_full_queue_refuses(void *arg) {
    (void)arg;
    planned p;
    make_plan(&p, "r1-distill-qwen-1.5b", 1, 2, 1024, alone);
    random_arrivals r = {.rng = {3}, .rate = 1e6, .left = 100, .prompt = 10, .output = 10};
    fa_served s = serve(&p, &r, &(fa_serve_options){.seconds = 1, .queue = 5});
    CHECK(s.refused == 100 - 2 - 5 && s.finished == 7, "%lld refused", (long long)s.refused);
    r.output = 1015;
    s = serve(&p, &r, &(fa_serve_options){.seconds = 1, .queue = 5});
    CHECK(s.too_long == 100, "%lld are longer than the context", (long long)s.too_long);
}

static void memory_limits_what_runs(void *arg) {
    (void)arg;
    planned p;
    make_plan(&p, "r1-distill-llama-8b", 1, 1, 65536, alone);
    fa_timer *t;
    fa_error e;
    CHECK_OK(fa_timer_open(&t, &p.q, &p.plan, &e), &e);
    int64_t positions = fa_timer_positions(t);
    fa_timer_close(t);
    double bytes = 2.0 * 2 * p.model.kv_heads * p.model.head_dim * p.model.layers; /* of a position, BF16 */
    double room = fa_board_bytes(&p.board) * 0.98 - p.plan.weights_bytes;
    near((double)positions * bytes, room, 0.01, "bytes of all positions");
    random_arrivals r = {.rng = {3}, .rate = 1e3, .left = 40, .prompt = 60000, .output = 2};
    fa_served s = serve(&p, &r, &(fa_serve_options){.seconds = 1e9, .queue = 100, .running = 40});
    CHECK(s.in_system - s.in_queue <= (double)(positions / 60032) + 1e-9, "%g run at a time, %lld positions",
          s.in_system - s.in_queue, (long long)positions);
}

/* ---- arrivals ---- */

/* Reads `text` as a recording; *path, malloc'd, is what the file was called. */
static fa_status read_text(const char *text, fa_recording *r, char **path, fa_error *e) {
    char *folder = check_scratch();
    *path = check_write(folder, "trace.csv", text, strlen(text));
    fa_status s = fa_recording_read(r, *path, e);
    check_remove(folder);
    free(folder);
    return s;
}

static void a_replay_has_the_rate_that_was_asked_for(void *arg) {
    (void)arg;
    fa_error e;
    fa_recording r;
    CHECK_OK(fa_recording_read(&r, "sim/scale/traces/mooncake-conversation.csv", &e), &e);
    CHECK(r.n == 12031 && fabs(r.prompt_mean - 12035) < 1 && fabs(r.output_mean - 343) < 1,
          "not the published trace: %lld, %g, %g", (long long)r.n, r.prompt_mean, r.output_mean);
    static const double rates[] = {0, 0.5, 3, 100, 10000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        fa_replay *p;
        double seconds = rates[i] > 1000 ? 60 : 7200, before = 0, prompts = 0;
        double expected = seconds * (rates[i] > 0 ? rates[i] : (double)r.n / r.seconds);
        CHECK_OK(fa_replay_open(&p, &r, rates[i], seconds, 9, &e), &e);
        fa_arrivals a = fa_replay_arrivals(p);
        fa_arrival next;
        int64_t n = 0;
        for (; a.next(a.ctx, &next); n++) {
            CHECK(next.seconds >= before && next.seconds < seconds, "%g behind %g", next.seconds, before);
            before = next.seconds;
            prompts += next.prompt;
        }
        CHECK(fabs((double)n - expected) < 4 * sqrt(expected) + 0.05 * expected, "%lld requests, %g expected",
              (long long)n, expected);
        near(prompts / (double)n, r.prompt_mean, 0.1, "mean prompt");
        fa_replay_close(p);
    }
    fa_recording_free(&r);
}

static void recordings_that_are_wrong_are_named(void *arg) {
    (void)arg;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"", "no requests"},
        {"seconds,prompt,output\n", "no requests"},
        {"time,tokens\n1,2\n", ":1: expected seconds,prompt,output"},
        {"seconds,prompt,output\n1,2\n", ":2: expected seconds"},
        {"# c\nseconds,prompt,output\n1,2,3\n0.5,2,3\n", ":4: seconds fall from 1 to 0.5"},
        {"seconds,prompt,output\n1,0,3\n", ":2: expected seconds"},
        {"seconds,prompt,output\n-1,2,3\n", ":2: expected seconds"},
        {"seconds,prompt,output\nnan,2,3\n", ":2: expected seconds"},
        {"seconds,prompt,output,cached\n1,2,3\n", ":2: expected seconds"},
        {"seconds,prompt,output,cached\n1,2,3,5\n", ":2: expected seconds"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path;
        fa_recording r;
        fa_error e;
        fa_status found = read_text(cases[i].text, &r, &path, &e);
        CHECK(found == FA_EFORMAT && strstr(e.text, cases[i].said) && strstr(e.text, path), "%s: %s", cases[i].text,
              e.text);
        fa_recording_free(&r);
        free(path);
    }
}

static void requests_of_one_tick_are_spread(void *arg) {
    (void)arg;
    char *path;
    fa_recording r;
    fa_error e;
    CHECK_OK(read_text("seconds,prompt,output\n10,1,1\n10,2,1\n10,3,1\n13,4,1\n13,5,1\n", &r, &path, &e), &e);
    static const double at[] = {0, 1, 2, 3, 3.375};
    for (int i = 0; i < 5; i++) CHECK(fabs(r.item[i].seconds - at[i]) < 1e-12, "%d at %g", i, r.item[i].seconds);
    fa_recording_free(&r);
    free(path);
}

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void percentiles_are_those_of_the_sorted_values(void *arg) {
    (void)arg;
    enum { N = 20001 };
    static double value[N];
    static fa_counts counts;
    check_rng rng = {4};
    for (int i = 0; i < N; i++) fa_counts_add(&counts, value[i] = exp(5 * check_normal(&rng)), 1);
    qsort(value, N, sizeof *value, rising);
    fa_spread s = fa_counts_spread(&counts);
    near(s.p50, value[N / 2], 0.006, "p50");
    near(s.p99, value[(int)(0.99 * N)], 0.006, "p99");
    CHECK(s.most == value[N - 1] && s.n == N);
}

static const check_case cases[] = {
    {"one server of a fixed time waits as Pollaczek and Khinchine say", one_server_of_fixed_time, NULL},
    {"servers of random times wait as Erlang says", many_servers_of_random_times, NULL},
    {"a request alone takes what the plan says", a_request_alone_takes_what_the_plan_says, NULL},
    {"full groups decode as fast as the plan says", full_groups_decode_as_fast_as_the_plan_says, NULL},
    {"a seed gives the same again, another seed does not", a_seed_gives_the_same_again, NULL},
    {"Little's law holds at every load", littles_law_holds, NULL},
    {"memory is never read faster than its banks give", memory_is_never_faster_than_its_banks, NULL},
    {"more replicas are never worse", more_boards_are_never_worse, NULL},
    {"more boards, planned anew, are never worse", more_boards_planned_anew_are_never_worse, NULL},
    {"a full queue refuses, and so does a context that is too short", a_full_queue_refuses, NULL},
    {"the boards' memory limits what runs", memory_limits_what_runs, NULL},
    {"a replay has the rate that was asked for", a_replay_has_the_rate_that_was_asked_for, NULL},
    {"a wrong recording is named with its line", recordings_that_are_wrong_are_named, NULL},
    {"requests of one tick are spread to the next", requests_of_one_tick_are_spread, NULL},
    {"percentiles are those of the sorted values", percentiles_are_those_of_the_sorted_values, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
