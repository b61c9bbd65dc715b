/* fathom eval: how good a model is, on questions with known results or on a text. */
#include "host/cli/eval.h"

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/sampling.h"

typedef struct settings {
    fathom_options engine;
    cli_sampling sampling;
    eval_tasks_settings tasks;
    eval_text_settings text;
} settings;

enum { OPTION_PERPLEXITY = 0x2001, OPTION_WINDOW, OPTION_STRIDE, OPTION_TOGETHER, OPTION_JSON };

static void check_settings(const settings *s, struct argp_state *state) {
    if (!s->tasks.file == !s->text.file)
        argp_error(state, "name either a file of questions (JSON lines) or, with --perplexity, a text");
    if (!s->text.file && (s->text.window || s->text.stride))
        argp_error(state, "--window and --stride belong to --perplexity");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &s->sampling;
        state->child_inputs[1] = &s->engine;
        return 0;
    case 's': s->tasks.samples = cli_option_int(state, "--samples", arg, 1, 1 << 20); return 0;
    case OPTION_PERPLEXITY: s->text.file = arg; return 0;
    case OPTION_WINDOW: s->text.window = (int32_t)cli_option_int(state, "--window", arg, 2, INT32_MAX); return 0;
    case OPTION_STRIDE: s->text.stride = (int32_t)cli_option_int(state, "--stride", arg, 1, INT32_MAX); return 0;
    case OPTION_TOGETHER: s->engine.sessions = (int32_t)cli_option_int(state, "--together", arg, 1, 4096); return 0;
    case OPTION_JSON: s->tasks.json = s->text.json = true; return 0;
    case ARGP_KEY_ARG:
        if (s->tasks.file) argp_error(state, "more than one file of questions");
        s->tasks.file = arg;
        return 0;
    case ARGP_KEY_END: check_settings(s, state); return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"perplexity", OPTION_PERPLEXITY, "FILE", 0, "Measure the perplexity of this text instead", 0},
    {"window", OPTION_WINDOW, "N", 0, "Of --perplexity: tokens that are read at once (default: the context)", 0},
    {"stride", OPTION_STRIDE, "N", 0, "Of --perplexity: how far a window is from the next (default: half of it)", 0},
    {"samples", 's', "N", 0, "Answers to each question (default 1)", 0},
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
        "QUESTIONS are JSON lines: {\"question\": \"What is 3 + 4?\", \"target\": \"7\", \"task\": \"add\"}; `fathom rollout --help' "
        "says what else a line may have. Lines with the same task are counted together. Answers are greedy unless --temp says "
        "otherwise, and the seed is 0 unless it is given. With several samples `right' is the mean (pass@1) and `one of N' the share of "
        "questions with a right answer among N (pass@N). The interval is Wilson's, of 95 %, over questions.\n"
        "\n"
        "Of a text each token but the first is predicted once; a begin-of-sentence token comes first where the model's texts have "
        "one.\n"
        "\n"
        "Examples:\n"
        "  fathom eval questions.jsonl --numerics w8a8\n"
        "  fathom eval questions.jsonl -s 8 --temp 0.6 --json\n"
        "  fathom eval --perplexity book.txt --window 1024 --stride 512",
};

int cli_eval(int argc, char **argv) {
    settings s = {.tasks = {.samples = 1}, .engine = {.sessions = 64}};
    fathom_engine *engine = NULL;
    fathom_error e = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &s)) return CLI_USAGE;
    if (s.text.file) s.engine.sessions = 1;
    s.engine.logits_all = s.text.file != NULL;
    if (cli_engine_open(&engine, &s.engine, &e)) return cli_fail("%s", e.text);
    s.tasks.sessions = s.engine.sessions;
    s.tasks.sampling = s.sampling.values;
    int code = s.text.file ? eval_text(engine, &s.text) : eval_tasks(engine, &s.tasks);
    fathom_engine_close(engine);
    return code;
}
