/* fathom eval: how good a model is, on questions with known results or on a text. */
#include "host/cli/eval.h"

#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/plan_options.h"
#include "host/cli/sampling.h"

typedef struct settings {
    fathom_options engine;
    cli_sampling sampling;
    eval_settings eval;
    const char *compare, *reference;
    bool compares;
} settings;

enum {
    OPTION_PERPLEXITY = 0x2001,
    OPTION_WINDOW,
    OPTION_STRIDE,
    OPTION_TOGETHER,
    OPTION_JSON,
    OPTION_ANSWERS,
    OPTION_PASS_AT,
    OPTION_COMPARE,
    OPTION_REFERENCE,
    OPTION_RUN_CODE
};

/* ---- modes ---- */

static void add_mode(settings *s, const char *name, const char *model, const char *numerics, const char *cache) {
    eval_mode *m = &s->eval.modes[s->eval.n_modes++];
    snprintf(m->name, sizeof m->name, "%s", name);
    m->options = s->engine;
    m->options.model = model;
    m->options.numerics = numerics;
    m->options.cache = cache;
}

/* "NUMERICS" or "NUMERICS:CACHE" as a mode. */
static void add_named(settings *s, struct argp_state *state, const char *text, size_t n) {
    static const char *const numerics[] = {"w8a8", "w8a16"}, *const caches[] = {"f32", "bf16", "fp8"};
    char name[64];
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < 3; k++) {
            int length = snprintf(name, sizeof name, "%s:%s", numerics[i], caches[k]);
            bool bare = k == 0 && n == strlen(numerics[i]) && !strncmp(text, name, n);
            if (!bare && ((size_t)length != n || strncmp(text, name, n))) continue;
            if (s->eval.n_modes == EVAL_MODES) argp_error(state, "--compare: at most %d modes", EVAL_MODES - 1);
            if (k) snprintf(name, sizeof name, "%s, %s cache", numerics[i], caches[k]);
            if (!k) snprintf(name, sizeof name, "%s", numerics[i]);
            add_mode(s, name, s->engine.model, numerics[i], caches[k]);
            return;
        }
    }
    argp_error(state, "--compare: '%.*s' is no mode: w8a8 or w8a16, with :bf16 or :fp8 for the cache", (int)n, text);
}

/* FP32 is w8a16 with an FP32 cache: weights as they are stored, everything else in FP32. Without --reference the model's own w8a16 is that. */
static void set_modes(settings *s, struct argp_state *state) {
    if (!s->compares) {
        const char *numerics = s->engine.numerics ? s->engine.numerics : "auto", *cache = s->engine.cache;
        char name[64];
        snprintf(name, sizeof name, cache ? "%.20s, %.20s cache" : "%.20s", numerics, cache);
        add_mode(s, name, s->engine.model, s->engine.numerics, cache);
        return;
    }
    add_mode(s, "fp32", s->reference ? s->reference : s->engine.model, "w8a16", "f32");
    const char *list = s->compare     ? s->compare
                       : s->reference ? "w8a16,w8a8,w8a16:fp8,w8a8:fp8"
                                      : "w8a8,w8a16:fp8,w8a8:fp8";
    for (const char *at = list;; at++) {
        size_t n = strcspn(at, ",");
        add_named(s, state, at, n);
        at += n;
        if (!*at) return;
    }
}

/* ---- options ---- */

static void check_settings(settings *s, struct argp_state *state) {
    eval_settings *e = &s->eval;
    if (!e->questions == !e->text)
        argp_error(state, "name either a file of questions (JSON lines) or, with --perplexity, a text");
    if (!e->text && (e->window || e->stride)) argp_error(state, "--window and --stride belong to --perplexity");
    if (s->reference && !s->compares) argp_error(state, "--reference belongs to --compare");
    if (e->questions && !strcmp(e->questions, "-") && e->answers) /* nothing to go on with next time */
        argp_error(state, "--answers needs questions that lie in a file");
    for (int i = 0; i < e->n_pass; i++)
        if (e->pass_at[i] > e->samples) argp_error(state, "--pass-at: %d needs as many --samples", (int)e->pass_at[i]);
    if (!e->n_pass && e->samples > 1) e->pass_at[e->n_pass++] = e->samples;
    e->sampling = s->sampling.values;
    set_modes(s, state);
}

static void read_pass_at(settings *s, struct argp_state *state, const char *arg) {
    int32_t list[EVAL_PASSES];
    s->eval.n_pass = cli_option_list(state, "--pass-at", arg, 1, 1 << 20, list, EVAL_PASSES);
    for (int i = 0; i < s->eval.n_pass; i++) s->eval.pass_at[i] = list[i];
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    settings *s = state->input;
    eval_settings *e = &s->eval;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &s->sampling;
        state->child_inputs[1] = &s->engine;
        return 0;
    case 's': e->samples = cli_option_int(state, "--samples", arg, 1, 1 << 20); return 0;
    case OPTION_PERPLEXITY: e->text = arg; return 0;
    case OPTION_WINDOW: e->window = (int32_t)cli_option_int(state, "--window", arg, 2, INT32_MAX); return 0;
    case OPTION_STRIDE: e->stride = (int32_t)cli_option_int(state, "--stride", arg, 1, INT32_MAX); return 0;
    case OPTION_TOGETHER: s->engine.sessions = (int32_t)cli_option_int(state, "--together", arg, 1, 4096); return 0;
    case OPTION_JSON: e->json = true; return 0;
    case OPTION_ANSWERS: e->answers = arg; return 0;
    case OPTION_PASS_AT: read_pass_at(s, state, arg); return 0;
    case OPTION_COMPARE: s->compares = true, s->compare = arg; return 0;
    case OPTION_REFERENCE: s->reference = arg; return 0;
    case OPTION_RUN_CODE: e->run_code = true; return 0;
    case ARGP_KEY_ARG:
        if (e->questions) argp_error(state, "more than one file of questions");
        e->questions = arg;
        return 0;
    case ARGP_KEY_SUCCESS: check_settings(s, state); return 0; /* the children have their values by then */
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"perplexity", OPTION_PERPLEXITY, "FILE", 0, "Measure the perplexity of this text instead", 0},
    {"window", OPTION_WINDOW, "N", 0, "Of --perplexity: tokens that are read at once (default: the context)", 0},
    {"stride", OPTION_STRIDE, "N", 0, "Of --perplexity: how far a window is from the next (default: half of it)", 0},
    {"samples", 's', "N", 0, "Answers to each question (default 1)", 0},
    {"pass-at", OPTION_PASS_AT, "K[,K...]", 0, "Report pass@K (default: K = samples, where there are several)", 0},
    {"answers", OPTION_ANSWERS, "FILE", 0,
     "Keep each answer (of a text: each window) there as a JSON line, and go on from what is there", 0},
    {"run-code", OPTION_RUN_CODE, NULL, 0, "Run programs that the model writes, in a sandbox", 0},
    {"compare", OPTION_COMPARE, "MODE[,MODE...]", OPTION_ARG_OPTIONAL,
     "One table of these modes against FP32: w8a8 or w8a16, with :bf16 or :fp8 for the cache "
     "(default w8a8,w8a16:fp8,w8a8:fp8)",
     0},
    {"reference", OPTION_REFERENCE, "MODEL", 0, "Of --compare: FP32 is this model, before it was quantized", 0},
    {"together", OPTION_TOGETHER, "N", 0, "Answers that are written at once (default 64)", 0},
    {"json", OPTION_JSON, NULL, 0, "Print a JSON object a line", 0},
    {0},
};
static const struct argp_child children[] = {
    {&cli_sampling_argp, 0, "Choosing tokens:", 1},
    {&cli_engine_argp, 0, "Model and machine:", 2},
    {0},
};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = children,
    .args_doc = "QUESTIONS\n--perplexity FILE",
    .doc =
        "Ask a model questions whose results are known and count the right answers, or measure the perplexity of a text.\v"
        "QUESTIONS are JSON lines: {\"question\": \"What is 3 + 4?\", \"target\": \"7\", \"task\": \"add\"}. Instead of a question a "
        "line may have \"text\" (which the model goes on with), \"messages\" or \"ids\". Lines with the same task are counted "
        "together. What is right:\n"
        "  \"target\": the last \\boxed{} of the answer; with \"rule\": \"answer\" the whole answer; with \"rule\": \"number\" its "
        "last number\n"
        "  \"rule\": \"code\": the program in the answer ends with status 0 behind its \"tests\", or prints the \"target\" for the "
        "\"input\"; \"language\" is \"python\" (default), \"sh\" or \"c\", \"before\" stands in front of it\n"
        "  \"choices\" and \"correct\" (an index): the choice that the model finds likeliest behind the prompt; `by length' "
        "divides by its bytes\n"
        "\n"
        "Answers are greedy unless --temp says otherwise, and the seed is 0 unless it is given. `right' is the mean over "
        "answers; its interval is Wilson's over questions. pass@K is the unbiased estimate from all samples; its interval, and "
        "those of differences and perplexities, are bootstraps over questions or over blocks of 64 tokens. All are of 95 %.\n"
        "\n"
        "Programs run without network, with 20 s, 512 MiB, 8 processes and no files of yours; still, use a machine where little "
        "could be lost.\n"
        "\n"
        "An --answers file may also be what `fathom rollout' wrote to the same questions: then nothing is computed again.\n"
        "\n"
        "Of a text each token but the first is predicted once; a begin-of-sentence token comes first where the model's texts have "
        "one.\n"
        "\n"
        "Examples:\n"
        "  fathom eval questions.jsonl --numerics w8a8\n"
        "  fathom eval questions.jsonl -s 8 --temp 0.6 --pass-at 1,4,8 --answers answers.jsonl --json\n"
        "  fathom eval questions.jsonl --compare\n"
        "  fathom eval --perplexity book.txt --window 1024 --stride 512",
};

int cli_eval(int argc, char **argv) {
    settings s = {.eval = {.samples = 1}, .engine = {.sessions = 64}};
    if (cli_parse(&argp, argc, argv, &s)) return CLI_ERROR;
    return s.eval.text ? eval_text(&s.eval) : eval_tasks(&s.eval);
}
