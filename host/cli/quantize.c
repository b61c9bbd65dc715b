/* fathom quantize: a checkpoint or a GGUF file -> an FP8 checkpoint, with the error of each tensor. */
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/quantize_study.h"
#include "quant/quantise.h"

typedef struct quantize_options {
    const char *source, *destination;
    int64_t shard_bytes;
    bool e5m2, per_tensor, json;
    quantize_study_settings study;
} quantize_options;

enum { OPTION_SHARD = 0x2001, OPTION_JSON, OPTION_CODES, OPTION_SCALES, OPTION_STUDY, OPTION_TOKENS, OPTION_THREADS };

/* Which of two words an option's value is. */
static bool second_of(const struct argp_state *state, const char *option, const char *arg, const char *first,
                      const char *second) {
    if (strcmp(arg, first) && strcmp(arg, second))
        argp_error(state, "%s: '%s' is neither %s nor %s", option, arg, first, second);
    return !strcmp(arg, second);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    quantize_options *o = state->input;
    switch (key) {
    case OPTION_SHARD:
        o->shard_bytes = cli_option_int(state, "--shard-mb", arg, 1, INT64_MAX / 1000000) * 1000000;
        return 0;
    case OPTION_JSON: o->json = o->study.json = true; return 0;
    case OPTION_CODES: o->e5m2 = second_of(state, "--codes", arg, "e4m3", "e5m2"); return 0;
    case OPTION_SCALES: o->per_tensor = second_of(state, "--scales", arg, "block", "tensor"); return 0;
    case OPTION_STUDY: o->study.text = arg; return 0;
    case OPTION_TOKENS: o->study.tokens = (int32_t)cli_option_int(state, "--tokens", arg, 2, INT32_MAX); return 0;
    case OPTION_THREADS: o->study.threads = (int)cli_option_int(state, "--threads", arg, 1, 4096); return 0;
    case ARGP_KEY_ARG:
        if (o->destination) argp_error(state, "unexpected argument '%s'", arg);
        *(o->source ? &o->destination : &o->source) = arg;
        return 0;
    case ARGP_KEY_END:
        if (o->study.text && o->destination)
            argp_error(state, "--study writes no model: leave '%s' out", o->destination);
        if (o->study.text ? !o->source : !o->destination)
            argp_error(state, "give the model to read and%s", o->study.text ? " no more" : " the folder to write");
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"shard-mb", OPTION_SHARD, "N", 0, "Cut larger models into files of about N megabytes (default 5000)", 0},
    {"codes", OPTION_CODES, "TYPE", 0, "e4m3 (default, as released) or e5m2, which only w8a16 multiplies", 0},
    {"scales", OPTION_SCALES, "UNIT", 0, "One for each: block of 128x128 (default, as released), or tensor", 0},
    {"json", OPTION_JSON, NULL, 0, "Report each tensor as a JSON object a line", 0},
    {"study", OPTION_STUDY, "TEXT", 0,
     "Write no model but measure what FP8 would cost: errors by layer, perplexity of TEXT", 1},
    {"tokens", OPTION_TOKENS, "N", 0, "Of --study: only the first N (default 4096)", 1},
    {"threads", OPTION_THREADS, "N", 0, "Of --study: CPUs (default: all)", 1},
    {0},
};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "SRC DST\nSRC --study TEXT",
    .doc =
        "Writes the model SRC (a folder of safetensors in BF16, FP16 or FP32, or a .gguf file) to the new folder DST as FP8 "
        "codes with a scale for each 128x128 block, as DeepSeek-V3 is released, and reports what that cost each "
        "tensor.\v"
        "The error is relative: the root mean square of the differences over that of the values. Tensors that stay as they "
        "are have none. DST appears when all of it is written.\n"
        "\n"
        "--study makes the model in E4M3 and E5M2, with a scale for each block and for each tensor, in a folder that is gone "
        "afterwards, and reads the text with each, with quantized activations, and with BF16 and FP8 in the cache: what each "
        "does to the perplexity and to the hidden states behind each layer, against FP32 (docs/quantisation.md). A TEXT that is "
        "called .jsonl holds lines of `fathom rollout': only their answers are predicted.\n"
        "\n"
        "Examples:\n"
        "  fathom quantize ~/models/R1-Distill-Qwen-1.5B ~/models/R1-Distill-Qwen-1.5B-FP8\n"
        "  fathom quantize ~/models/R1-Distill-Qwen-1.5B --study book.txt",
};

typedef struct work {
    cli_progress_bar bar;
    bool json;
    int64_t quantised, kept;
    double worst;
    char worst_name[256];
} work;

/* Set by Ctrl-C; the library then stops and removes what it wrote. */
static volatile sig_atomic_t stop;

static void ask_to_stop(int signal_number) {
    (void)signal_number;
    stop = 1;
}

static bool progress(void *ctx, int64_t done, int64_t total) {
    work *w = ctx;
    cli_progress(&w->bar, done, total);
    return !stop;
}

static void print_json(const fa_quantise_report *r) {
    json_t *line = json_pack("{s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:I}", "name", r->name, "from", r->from, "to", r->to,
                             "rows", (json_int_t)r->rows, "cols", (json_int_t)r->cols, "relative_rms", r->relative_rms,
                             "max_error", r->max_error, "saturated", (json_int_t)r->saturated);
    if (line) json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(line);
}

static void report(void *ctx, const fa_quantise_report *r) {
    work *w = ctx;
    bool quantised = !strncmp(r->to, "F8_", 3) && strcmp(r->from, r->to) != 0;
    *(quantised ? &w->quantised : &w->kept) += 1;
    if (quantised && r->relative_rms > w->worst) {
        w->worst = r->relative_rms;
        snprintf(w->worst_name, sizeof w->worst_name, "%s", r->name);
    }
    cli_progress_end(&w->bar);
    if (w->json)
        print_json(r);
    else
        printf("%-60s %5s -> %-7s %6" PRId64 " x %-6" PRId64 " error %.2e, largest %.2e\n", r->name, r->from, r->to,
               r->rows, r->cols, r->relative_rms, r->max_error);
}

int cli_quantize(int argc, char **argv) {
    quantize_options o = {0};
    fa_error e;
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    if (o.study.text) {
        o.study.model = o.source;
        return quantize_study(&o.study);
    }
    work w = {.bar = {.label = "quantizing"}, .json = o.json};
    struct sigaction on_stop = {.sa_handler = ask_to_stop}, before;
    sigaction(SIGINT, &on_stop, &before);
    fa_quantise_options work_options = {.source = o.source,
                                        .destination = o.destination,
                                        .e5m2 = o.e5m2,
                                        .per_tensor = o.per_tensor,
                                        .shard_bytes = o.shard_bytes,
                                        .progress = progress,
                                        .report = report,
                                        .ctx = &w};
    fa_status s = fa_quantise(&work_options, &e);
    sigaction(SIGINT, &before, NULL);
    cli_progress_end(&w.bar);
    if (s == FA_ECANCELLED) {
        cli_fail("stopped; nothing was written to %s", o.destination);
        return CLI_INTERRUPTED;
    }
    if (s) return cli_fail("%s", e.text);
    if (!o.json)
        printf("%" PRId64 " tensors quantized, %" PRId64 " kept; the largest error is %.2e (%s)\n", w.quantised, w.kept,
               w.worst, w.quantised ? w.worst_name : "none");
    return CLI_OK;
}
