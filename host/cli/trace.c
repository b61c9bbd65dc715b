/* fathom trace: which experts each token visits, as JSON lines. */
#include <stdio.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/prompt.h"
#include "host/engine/engine.h"

typedef struct trace_options {
    fathom_options engine;
    cli_prompt prompt;
    int32_t new_tokens;
} trace_options;

static error_t parse(int key, char *arg, struct argp_state *state) {
    trace_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->engine;
        state->child_inputs[1] = &o->prompt;
        return 0;
    case 'n': o->new_tokens = (int32_t)cli_option_int(state, "-n", arg, 0, INT32_MAX - 1); return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"new", 'n', "N", 0, "Go on for N tokens, greedily (default 0)", 0},
    {0},
};
static const struct argp_child children[] = {{&cli_engine_argp, 0, NULL, 0}, {&cli_prompt_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = children,
    .doc =
        "Runs a prompt (as it stands, without a chat template) through a mixture-of-experts model and prints the "
        "routes: for each position and MoE layer a JSON object a line, with the experts in rising order and the weight "
        "of each.\v"
        "Lines come step by step, in a step layer by layer, in a layer by position:\n"
        "  {\"position\":0,\"layer\":1,\"experts\":[3,7],\"weights\":[0.41,0.59]}\n"
        "\n"
        "Example:\n"
        "  fathom trace --model DIR -n 100 \"Once upon a time\" >routes.jsonl",
};

typedef struct tracer {
    int32_t first, rows; /* position of the running step's first row; its rows */
} tracer;

static void print_routes(void *ctx, int layer, int rows, int top_k, const int32_t *ids, const float *weights) {
    tracer *t = ctx;
    t->rows = rows;
    for (int r = 0; r < rows; r++) {
        int n = 0;
        while (n < top_k && ids[r * top_k + n] >= 0) n++;
        printf("{\"position\":%d,\"layer\":%d,\"experts\":[", t->first + r, layer);
        for (int k = 0; k < n; k++) printf("%s%d", k ? "," : "", ids[r * top_k + k]);
        printf("],\"weights\":[");
        for (int k = 0; k < n; k++) printf("%s%.9g", k ? "," : "", (double)weights[r * top_k + k]);
        printf("]}\n");
    }
}

/* An answer of n tokens computes the rows of the prompt and of n - 1 tokens. */
static fathom_status run(fathom_engine *engine, const trace_options *o, const int32_t *ids, size_t n, fathom_error *e) {
    fathom_session *session;
    fathom_status s = fathom_session_open(engine, 0, &session, e);
    if (s) return s;
    tracer t = {0};
    fa_probe probe = {.ctx = &t, .routes = print_routes};
    fa_engine_set_probe(engine, &probe);
    fathom_sampling sampling = {.max_tokens = o->new_tokens + 1, .ignore_eos = true};
    s = fathom_session_prompt(session, ids, n, &sampling, e);
    while (!s && fathom_session_finish(session) == FATHOM_RUNNING) {
        int busy;
        fathom_token token;
        s = fathom_engine_step(engine, &busy, e);
        t.first += t.rows;
        while (fathom_session_next(session, &token)) {
        }
    }
    if (!s && fathom_session_finish(session) == FATHOM_FAILED) {
        s = e->status = FATHOM_ENUMERIC;
        snprintf(e->text, sizeof e->text, "%s", fathom_session_error(session));
    }
    fa_engine_set_probe(engine, NULL);
    fathom_session_close(session);
    return s;
}

int cli_trace(int argc, char **argv) {
    trace_options o = {0};
    fathom_engine *engine;
    fathom_error e;
    int32_t *ids = NULL;
    size_t n = 0;
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    if (cli_engine_open(&engine, &o.engine, &e)) return cli_fail("%s", e.text);
    int code = CLI_OK;
    if (fa_model_config(fa_engine_model(engine))->experts == 0)
        code = cli_fail("%s: this model has no experts, so there are no routes", o.engine.model);
    else if (cli_prompt_encode(&o.prompt, engine, &ids, &n, &e) || run(engine, &o, ids, n, &e))
        code = cli_fail("%s", e.text);
    fathom_free(ids);
    fathom_engine_close(engine);
    return code;
}
