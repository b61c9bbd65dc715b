#include "host/cli/plan_serve.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "host/cli/common.h"

enum {
    OPTION_SERVE = 0x4001,
    OPTION_RATE,
    OPTION_SECONDS,
    OPTION_SEED,
    OPTION_RUNNING,
    OPTION_QUEUE,
    OPTION_REUSE,
    OPTION_FIRST,
    OPTION_TOKEN
};

static void set_rates(cli_serve_options *o, const struct argp_state *state, const char *text) {
    char part[32];
    o->n_rates = 0;
    for (const char *p = text;; p++) {
        size_t length = strcspn(p, ",");
        if (length >= sizeof part || o->n_rates == CLI_SERVE_RATES) break;
        memcpy(part, p, length);
        part[length] = 0;
        if (!cli_number(part, 1e-6, 1e9, &o->rates[o->n_rates])) break;
        o->n_rates++;
        p += length;
        if (!*p) return;
    }
    argp_error(state, "--rate: expected at most %d numbers in 1e-6..1e9 with commas between them, found '%s'",
               CLI_SERVE_RATES, text);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    cli_serve_options *o = state->input;
    fa_serve_options *s = &o->serve;
    switch (key) {
    case ARGP_KEY_INIT:
        *o = (cli_serve_options){
            .n_rates = 1, .seed = 1, .serve = {.seconds = 3600, .queue = -1, .first_s = 10, .token_s = 0.1}};
        return 0;
    case OPTION_SERVE: o->trace = arg; return 0;
    case OPTION_RATE: set_rates(o, state, arg); return 0;
    case OPTION_SECONDS: s->seconds = cli_option_number(state, "--seconds", arg, 1e-3, 1e8); return 0;
    case OPTION_SEED: o->seed = cli_option_int(state, "--seed", arg, 0, INT64_MAX); return 0;
    case OPTION_RUNNING: s->running = (int32_t)cli_option_int(state, "--running", arg, 1, 1 << 24); return 0;
    case OPTION_QUEUE: s->queue = cli_option_int(state, "--queue", arg, 0, 100000000); return 0;
    case OPTION_REUSE: s->reuse = true; return 0;
    case OPTION_FIRST: s->first_s = cli_option_number(state, "--first-within", arg, 0, 1e9); return 0;
    case OPTION_TOKEN: s->token_s = cli_option_number(state, "--token-within", arg, 0, 1e9); return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {0, 0, 0, 0, "Requests that come and go, on the plan of the first batch:", 7},
    {"serve", OPTION_SERVE, "FILE", 0, "Replay a recorded trace: lines of seconds,prompt,output[,cached]", 7},
    {"rate", OPTION_RATE, "R[,R...]", 0, "Requests/s, by as many users as it takes (default: as recorded)", 7},
    {"seconds", OPTION_SECONDS, "N", 0, "How long requests come (default 3600)", 7},
    {"seed", OPTION_SEED, "N", 0, "Of the users' moments (default 1)", 7},
    {"running", OPTION_RUNNING, "N", 0, "Sequences at a time (default: the batch); memory may allow fewer", 7},
    {"queue", OPTION_QUEUE, "N", 0, "Requests that may wait; more are refused (default: as many as run)", 7},
    {"reuse", OPTION_REUSE, NULL, 0, "Prefixes that an earlier request had are cached", 7},
    {"first-within", OPTION_FIRST, "S", 0, "A good answer's first token comes within (default 10; 0: any)", 7},
    {"token-within", OPTION_TOKEN, "S", 0, "and each further one, in the mean, within (default 0.1; 0: any)", 7},
    {0},
};
const struct argp cli_serve_argp = {.options = options, .parser = parse};

/* ---- running ---- */

static void show(void *ctx, double seconds, double of) {
    if (!isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r%s requests/s: %.0f of %.0f s ", (const char *)ctx, seconds, of);
}

static fa_status run_rate(cli_serve_options *o, int i, const fa_plan_request *q, const fa_plan *plan, fa_error *e) {
    char label[32];
    fa_replay *replay;
    snprintf(label, sizeof label, "%g", o->rates[i]);
    fa_status s = fa_replay_open(&replay, &o->recording, o->rates[i], o->serve.seconds, (uint64_t)o->seed, e);
    if (s) return s;
    if (o->rates[i] <= 0) o->rates[i] = (double)o->recording.n / o->recording.seconds;
    fa_serve_options serve = o->serve;
    serve.progress = show;
    serve.progress_ctx = label;
    fa_arrivals arrivals = fa_replay_arrivals(replay);
    s = fa_serve(&o->served[i], q, plan, &arrivals, &serve, e);
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    fa_replay_close(replay);
    return s;
}

fa_status cli_serve_run(cli_serve_options *o, const fa_plan_request *q, const fa_plan *plan, fa_error *e) {
    fa_status s = fa_recording_read(&o->recording, o->trace, e);
    for (int i = 0; i < o->n_rates && !s; i++) s = run_rate(o, i, q, plan, e);
    return s;
}

/* ---- saying ---- */

static const char *share_text(char *text, size_t n, int64_t part, int64_t all) {
    snprintf(text, n, "%.1f %%", all ? 100.0 * (double)part / (double)all : 0);
    return text;
}

static void print_rates(const cli_serve_options *o) {
    printf("%11s %10s %8s %8s %10s %9s %9s %9s %9s %9s %8s %9s\n", "requests/s", "good/s", "refused", "too long",
           "tokens/s", "good t/s", "first p50", "p99 s", "token p50", "p99 s", "J/token", "$/M");
    for (int i = 0; i < o->n_rates; i++) {
        const fa_served *s = &o->served[i];
        char refused[16], long_[16];
        printf("%11.6g %10.4g %8s %8s %10.4g %9.4g %9.3g %9.3g %9.3g %9.3g %8.3g %9.3g\n", o->rates[i],
               s->good_requests_per_s, share_text(refused, sizeof refused, s->refused, s->arrived),
               share_text(long_, sizeof long_, s->too_long, s->arrived), s->output_tokens_per_s, s->good_tokens_per_s,
               s->first.p50, s->first.p99, s->token.p50, s->token.p99, s->joules_per_token, s->usd_per_million);
    }
}

void cli_serve_print(const cli_serve_options *o) {
    const fa_recording *r = &o->recording;
    const fa_serve_options *q = &o->serve;
    printf("\n%s: %lld requests in %.0f s, prompts of %.0f tokens and outputs of %.0f in the mean, at most %d together",
           o->trace, (long long)r->n, r->seconds, r->prompt_mean, r->output_mean, r->longest);
    if (q->reuse) printf("; %.0f %% of the prompts' tokens are cached", 100 * r->cached_share);
    printf(
        "\nrequests come for %g s; good: first token within %g s, the others within %g s each; caches of a replica hold %lld positions\n\n",
        q->seconds, q->first_s, q->token_s, (long long)o->served[0].positions);
    print_rates(o);
    printf("\n%11s %10s %10s %12s %10s %10s\n", "requests/s", "in system", "waiting", "wait p99 s", "busy", "watts");
    for (int i = 0; i < o->n_rates; i++) {
        const fa_served *s = &o->served[i];
        printf("%11.6g %10.4g %10.4g %12.3g %8.1f %% %10.0f\n", o->rates[i], s->in_system, s->in_queue, s->waiting.p99,
               100 * s->busy, s->watts);
    }
}

static json_t *json_spread(const fa_spread *s) {
    return json_pack("{s:I, s:f, s:f, s:f, s:f}", "n", (json_int_t)s->n, "mean", s->mean, "p50", s->p50, "p99", s->p99,
                     "max", s->most);
}

static json_t *json_rate(double rate, const fa_served *s) {
    json_t *o = json_pack("{s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "requests_per_s", rate, "arrived",
                          (json_int_t)s->arrived, "refused", (json_int_t)s->refused, "too_long",
                          (json_int_t)s->too_long, "finished", (json_int_t)s->finished, "good", (json_int_t)s->good,
                          "prompt_tokens", (json_int_t)s->prompt_tokens, "output_tokens", (json_int_t)s->output_tokens,
                          "steps", (json_int_t)s->steps);
    json_t *more = json_pack(
        "{s:f, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "good_requests_per_s",
        s->good_requests_per_s, "good_tokens_per_s", s->good_tokens_per_s, "output_tokens_per_s",
        s->output_tokens_per_s, "prompt_tokens_per_s", s->prompt_tokens_per_s, "first_token_s", json_spread(&s->first),
        "token_s", json_spread(&s->token), "waiting_s", json_spread(&s->waiting), "stay_s", json_spread(&s->stay),
        "last_s", s->last_s, "in_system", s->in_system, "in_queue", s->in_queue, "busy", s->busy, "weight_bytes_per_s",
        s->weight_bytes_per_s, "io_bytes_per_s", s->io_bytes_per_s, "watts", s->watts, "joules_per_token",
        s->joules_per_token, "usd_per_million_tokens", s->usd_per_million);
    if (o && more) json_object_update(o, more);
    json_decref(more);
    return o;
}

json_t *cli_serve_json(const cli_serve_options *o) {
    json_t *list = json_array();
    for (int i = 0; i < o->n_rates; i++) json_array_append_new(list, json_rate(o->rates[i], &o->served[i]));
    return list;
}
