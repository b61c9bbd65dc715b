/* fathom bench: how fast a model reads a prompt and writes an answer. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "host/cli/bench_serve.h"
#include "host/cli/board_use.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/parts.h"

typedef struct bench_options {
    fathom_options engine;
    int32_t prompt, new_tokens, repeat, sequences;
    const char *timeline;
} bench_options;

enum { MOST_SEQUENCES = 256 };
enum { OPTION_PROMPT = 0x2001, OPTION_REPEAT, OPTION_SEQUENCES, OPTION_TIMELINE };

static error_t parse(int key, char *arg, struct argp_state *state) {
    bench_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->engine; return 0;
    case OPTION_PROMPT: o->prompt = (int32_t)cli_option_int(state, "--prompt", arg, 1, 1 << 24); return 0;
    case 'n': o->new_tokens = (int32_t)cli_option_int(state, "-n", arg, 2, 1 << 24); return 0;
    case OPTION_REPEAT: o->repeat = (int32_t)cli_option_int(state, "--repeat", arg, 1, 1000); return 0;
    case OPTION_SEQUENCES:
        o->sequences = (int32_t)cli_option_int(state, "--sequences", arg, 1, MOST_SEQUENCES);
        return 0;
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
    {"sequences", OPTION_SEQUENCES, "N", 0, "Answer N prompts at a time (default 1); rates are of all together", 0},
    {"timeline", OPTION_TIMELINE, "FILE", 0, CLI_TIMELINE_HELP, 0},
    {0},
};
static const struct argp_child children[] = {{&cli_engine_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = children,
    .doc =
        "Measures the time to read a prompt of arbitrary ids and to write an answer, greedily, and prints a JSON object "
        "a line for each repeat.\v"
        "weight_bytes_per_token counts the weights that decoding one token reads, of the routed experts those of one "
        "token. With a board, board_ numbers are by its own clock, which the simulator models. peak_resident_bytes is the largest memory of the process so far, mapped files included.\n"
        "\n"
        "Example:\n"
        "  fathom bench --model DIR --prompt 512 -n 128 --threads 2\n"
        "  fathom bench serve --help     what clients of the service see",
};

typedef struct timing {
    double load, prompt, decode; /* seconds: to open; until every answer had begun; from there to the last token */
    int32_t decoded;             /* tokens made in the latter */
    fathom_device board_prompt, board_decode; /* what a board did in them */
} timing;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Answers at one time, and how far they are. */
typedef struct batch {
    fathom_session *session[MOST_SEQUENCES];
    int32_t made[MOST_SEQUENCES];
    int32_t begun, all; /* answers with a token; tokens */
} batch;

/* Opens the sessions. `owner` is new each time, or the prompts would come out of the cache; each begins with another id. */
static fathom_status ask(fathom_engine *engine, const bench_options *o, int32_t *ids, uint64_t owner, batch *b,
                         fathom_error *e) {
    fathom_sampling sampling = {.max_tokens = o->new_tokens, .ignore_eos = true};
    fathom_status s = FATHOM_OK;
    for (int32_t i = 0; i < o->sequences && !s; i++) {
        s = fathom_session_open(engine, owner * MOST_SEQUENCES + (uint64_t)i, &b->session[i], e);
        ids[0] = i;
        if (!s) s = fathom_session_prompt(b->session[i], ids, (size_t)o->prompt, &sampling, e);
    }
    return s;
}

static void take(const bench_options *o, batch *b) {
    fathom_token token;
    for (int32_t i = 0; i < o->sequences; i++)
        while (fathom_session_next(b->session[i], &token)) {
            b->begun += b->made[i]++ == 0;
            b->all++;
        }
}

static fathom_status run(fathom_engine *engine, const bench_options *o, batch *b, timing *t, fathom_error *e) {
    double start = now(), first = 0;
    fathom_device before = {0}, middle = {0};
    fathom_engine_device(engine, &before);
    fathom_status s = FATHOM_OK;
    for (int busy = 1; busy && !s;) {
        s = fathom_engine_step(engine, &busy, e);
        take(o, b);
        if (b->begun == o->sequences && !first) {
            first = now();
            t->decoded = -b->all;
            fathom_engine_device(engine, &middle);
        }
    }
    t->decoded += b->all;
    t->board_prompt = middle;
    cli_board_use(engine, &middle, &t->board_decode);
    t->board_prompt.seconds -= before.seconds;
    t->board_prompt.joules -= before.joules;
    t->prompt = first - start;
    t->decode = now() - first;
    return s;
}

static fathom_status answer(fathom_engine *engine, const bench_options *o, int32_t *ids, uint64_t owner, timing *t,
                            fathom_error *e) {
    batch b = {0};
    fathom_status s = ask(engine, o, ids, owner, &b, e);
    if (!s) s = run(engine, o, &b, t, e);
    for (int32_t i = 0; i < o->sequences && b.session[i]; i++) {
        if (!s && b.made[i] != o->new_tokens) {
            const char *why = fathom_session_error(b.session[i]);
            s = e->status = FATHOM_ELIMIT;
            snprintf(e->text, sizeof e->text, "an answer ended after %d of %d tokens: %s", b.made[i], o->new_tokens,
                     *why ? why : "the context is full");
        }
        fathom_session_close(b.session[i]);
    }
    return s;
}

static void add_board(json_t *line, const bench_options *o, const timing *t) {
    const fathom_device *p = &t->board_prompt, *d = &t->board_decode;
    double steps = t->decoded, prompts = (double)o->prompt * o->sequences;
    json_t *more =
        json_pack("{s:s, s:b, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "board", d->board, "simulated", d->simulated,
                  "board_prompt_tokens_per_s", prompts / p->seconds, "board_decode_tokens_per_s", steps / d->seconds,
                  "board_prompt_j_per_token", p->joules / prompts, "board_decode_j_per_token", d->joules / steps,
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
    double decode_rate = t->decoded / t->decode;
    json_t *line =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:I, s:f, s:I, s:I, s:I}", "model",
                  o->engine.model, "backend", info.backend, "detail", info.backend_detail, "numerics", info.numerics,
                  "cache", info.cache, "repeat", repeat, "sequences", o->sequences, "prompt_tokens", o->prompt,
                  "new_tokens", o->new_tokens, "load_s", t->load, "prompt_s", t->prompt, "prompt_tokens_per_s",
                  (double)o->prompt * o->sequences / t->prompt, "decode_tokens_per_s", decode_rate,
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
    bench_options o = {.prompt = 128, .new_tokens = 64, .repeat = 3, .sequences = 1};
    cli_files files;
    fa_error file_error;
    fathom_error e;
    fathom_engine *engine;
    if (argc > 1 && !strcmp(argv[1], "serve")) {
        static char name[] = "fathom bench serve";
        argv[1] = name;
        return cli_bench_serve(argc - 1, argv + 1);
    }
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    if (!o.engine.context) o.engine.context = o.prompt + o.new_tokens;
    o.engine.sessions = o.sequences;
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
