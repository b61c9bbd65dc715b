/* fathom bench: how fast a model reads a prompt and writes an answer. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "host/cli/board_use.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/parts.h"

typedef struct bench_options {
    fathom_options engine;
    int32_t prompt, new_tokens, repeat;
    const char *timeline;
} bench_options;

enum { OPTION_PROMPT = 0x2001, OPTION_REPEAT, OPTION_TIMELINE };

static error_t parse(int key, char *arg, struct argp_state *state) {
    bench_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->engine; return 0;
    case OPTION_PROMPT: o->prompt = (int32_t)cli_option_int(state, "--prompt", arg, 1, 1 << 24); return 0;
    case 'n': o->new_tokens = (int32_t)cli_option_int(state, "-n", arg, 2, 1 << 24); return 0;
    case OPTION_REPEAT: o->repeat = (int32_t)cli_option_int(state, "--repeat", arg, 1, 1000); return 0;
    case OPTION_TIMELINE:
        o->timeline = arg;
        o->engine.timeline = true;
        return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return EINVAL;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"prompt", OPTION_PROMPT, "N", 0, "Tokens of the prompt (default 128)", 0},
    {"new", 'n', "N", 0, "Tokens of the answer (default 64)", 0},
    {"repeat", OPTION_REPEAT, "N", 0, "Measure N times (default 3)", 0},
    {"timeline", OPTION_TIMELINE, "FILE", 0, CLI_TIMELINE_HELP, 0},
    {0},
};
static const struct argp_child children[] = {{&cli_engine_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = children,
    .doc =
        "Measures the time to read a prompt of arbitrary ids and to write an answer, greedily, and prints a JSON "
        "object "
        "a line for each repeat.\v"
        "weight_bytes_per_token counts the weights that decoding one token reads, of the routed experts those of one "
        "token. With a board, board_ numbers are by its own clock, which the simulator models. peak_resident_bytes is the largest memory of the process so far, mapped files included.\n"
        "\n"
        "Example:\n"
        "  fathom bench --model DIR --prompt 512 -n 128 --threads 2",
};

typedef struct timing {
    double load, prompt, decode;              /* seconds: to open; to the first new token; from there to the last */
    fathom_device board_prompt, board_decode; /* what a board did in them */
} timing;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One answer. `owner` is new each time, or the prompt would come out of the cache. */
static fathom_status answer(fathom_engine *engine, const bench_options *o, const int32_t *ids, uint64_t owner,
                            timing *t, fathom_error *e) {
    fathom_session *session;
    fathom_status s = fathom_session_open(engine, owner, &session, e);
    if (s) return s;
    fathom_sampling sampling = {.max_tokens = o->new_tokens, .ignore_eos = true};
    double start = now(), first = 0;
    fathom_device before = {0}, middle = {0};
    fathom_engine_device(engine, &before);
    int32_t made = 0;
    s = fathom_session_prompt(session, ids, (size_t)o->prompt, &sampling, e);
    while (!s && fathom_session_finish(session) == FATHOM_RUNNING) {
        int busy;
        fathom_token token;
        s = fathom_engine_step(engine, &busy, e);
        while (!s && fathom_session_next(session, &token))
            if (made++ == 0) {
                first = now();
                fathom_engine_device(engine, &middle);
            }
    }
    t->board_prompt = middle;
    cli_board_use(engine, &middle, &t->board_decode);
    t->board_prompt.seconds -= before.seconds;
    t->board_prompt.joules -= before.joules;
    t->prompt = first - start;
    t->decode = now() - first;
    if (!s && made != o->new_tokens) {
        s = e->status = FATHOM_ELIMIT;
        snprintf(e->text, sizeof e->text, "the answer ended after %d of %d tokens: %s", made, o->new_tokens,
                 fathom_session_error(session) ? fathom_session_error(session) : "the context is full");
    }
    fathom_session_close(session);
    return s;
}

static void add_board(json_t *line, const bench_options *o, const timing *t) {
    const fathom_device *p = &t->board_prompt, *d = &t->board_decode;
    double steps = o->new_tokens - 1;
    json_t *more =
        json_pack("{s:s, s:b, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "board", d->board, "simulated", d->simulated,
                  "board_prompt_tokens_per_s", o->prompt / p->seconds, "board_decode_tokens_per_s", steps / d->seconds,
                  "board_prompt_j_per_token", p->joules / o->prompt, "board_decode_j_per_token", d->joules / steps,
                  "board_decode_unit_cycles_per_token", d->unit_cycles / steps, "board_decode_bank_bytes_per_token",
                  d->bank_bytes / steps, "board_decode_launches_per_token", (double)d->launches / steps);
    json_object_update(line, more);
    json_decref(more);
}

static int print_line(const bench_options *o, const fathom_engine *engine, const cli_files *files, int repeat,
                      const timing *t) {
    fathom_info info;
    struct rusage usage;
    fathom_engine_info(engine, &info);
    getrusage(RUSAGE_SELF, &usage);
    double decode_rate = (o->new_tokens - 1) / t->decode;
    json_t *line = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:I, s:f, s:I, s:I, s:I}", "model",
        o->engine.model, "backend", info.backend, "detail", info.backend_detail, "numerics", info.numerics, "cache",
        info.cache, "repeat", repeat, "prompt_tokens", o->prompt, "new_tokens", o->new_tokens, "load_s", t->load,
        "prompt_s", t->prompt, "prompt_tokens_per_s", o->prompt / t->prompt, "decode_tokens_per_s", decode_rate,
        "weight_bytes_per_token", (json_int_t)files->read_per_token, "weight_bytes_per_s",
        decode_rate * (double)files->read_per_token, "file_bytes", (json_int_t)info.file_bytes, "cache_bytes",
        (json_int_t)info.cache_bytes, "peak_resident_bytes", (json_int_t)usage.ru_maxrss * 1024);
    if (t->board_decode.board) add_board(line, o, t);
    bool ok = line && json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6)) == 0;
    if (ok) putchar('\n');
    fflush(stdout);
    json_decref(line);
    return ok ? CLI_OK : cli_fail("bench: memory ran out");
}

static int measure(fathom_engine *engine, const bench_options *o, const cli_files *files, timing t) {
    fathom_error e;
    int32_t *ids = malloc((size_t)o->prompt * sizeof *ids);
    if (!ids) return cli_fail("bench: memory ran out");
    uint32_t r = 1;
    for (int32_t i = 0; i < o->prompt; i++) {
        r = r * 1664525u + 1013904223u; /* arbitrary ids, the same each time (Numerical Recipes' generator) */
        ids[i] = (int32_t)((uint64_t)(r >> 8) * (uint64_t)files->config.vocab >> 24);
    }
    int code = CLI_OK;
    for (int i = 1; i <= o->repeat && code == CLI_OK; i++) {
        if (answer(engine, o, ids, (uint64_t)i, &t, &e))
            code = cli_fail("%s", e.text);
        else
            code = print_line(o, engine, files, i, &t);
    }
    free(ids);
    return code ? code : cli_write_timeline(engine, o->timeline);
}

int cli_bench(int argc, char **argv) {
    bench_options o = {.prompt = 128, .new_tokens = 64, .repeat = 3};
    cli_files files;
    fa_error file_error;
    fathom_error e;
    fathom_engine *engine;
    if (argp_parse(&argp, argc, argv, 0, NULL, &o)) return CLI_USAGE;
    if (!o.engine.context) o.engine.context = o.prompt + o.new_tokens;
    if (cli_files_open(&files, o.engine.model, &file_error)) return cli_fail("%s", file_error.text);
    double start = now();
    int code;
    if (cli_engine_open(&engine, &o.engine, &e)) {
        code = cli_fail("%s", e.text);
    } else {
        code = measure(engine, &o, &files, (timing){.load = now() - start});
        fathom_engine_close(engine);
    }
    cli_files_close(&files);
    return code;
}
