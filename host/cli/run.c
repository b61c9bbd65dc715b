/* fathom run: one prompt, one answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/cli/answer.h"
#include "host/cli/board_use.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/messages.h"
#include "host/cli/sampling.h"

enum { MOST_IMAGES = 64 };

typedef struct settings {
    fathom_options engine;
    cli_sampling sampling;
    const char *prompt, *ids, *system, *timeline, *schema;
    const char *fim_prefix, *fim_suffix;
    const char *images[MOST_IMAGES]; /* files */
    int n_images;
    const fa_chat_family *family;
    bool raw, print_ids, quiet, hide_reasoning;
} settings;

enum {
    OPTION_IDS = 0x2001,
    OPTION_FIM_PREFIX,
    OPTION_FIM_SUFFIX,
    OPTION_SYSTEM,
    OPTION_TEMPLATE,
    OPTION_RAW,
    OPTION_PRINT_IDS,
    OPTION_HIDE_REASONING,
    OPTION_JSON,
    OPTION_JSON_SCHEMA,
    OPTION_TIMELINE,
    OPTION_IMAGE
};

/* What belongs between two texts is asked for. */
static bool fills(const settings *s) {
    return s->fim_prefix || s->fim_suffix;
}

static void check_settings(const settings *s, struct argp_state *state) {
    if (s->prompt && s->ids) argp_error(state, "a prompt and --ids exclude each other");
    if ((s->raw || s->ids) && (s->system || s->family))
        argp_error(state, "%s: the prompt is taken as it is, without %s", s->raw ? "--raw" : "--ids",
                   s->system ? "--system" : "--chat-template");
    if (s->raw && s->n_images)
        argp_error(state, "--raw and --image exclude each other: pictures stand in a chat template");
    if (fills(s) && (s->prompt || s->ids || s->system || s->family))
        argp_error(state, "--fim-prefix, --fim-suffix: the prompt is made of these alone");
    if (!s->prompt && !s->ids && !fills(s) && isatty(STDIN_FILENO))
        argp_error(state, "no prompt: give it as an argument or on standard input; `fathom chat' talks");
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &s->sampling;
        state->child_inputs[1] = &s->engine;
        return 0;
    case OPTION_IDS: s->ids = arg; return 0;
    case OPTION_FIM_PREFIX: s->fim_prefix = arg; return 0;
    case OPTION_FIM_SUFFIX: s->fim_suffix = arg; return 0;
    case OPTION_SYSTEM: s->system = arg; return 0;
    case OPTION_TEMPLATE: s->family = cli_option_family(state, arg); return 0;
    case OPTION_RAW: s->raw = true; return 0;
    case OPTION_PRINT_IDS: s->print_ids = true; return 0;
    case OPTION_HIDE_REASONING: s->hide_reasoning = true; return 0;
    case OPTION_JSON: s->sampling.values.json_schema = ""; return 0;
    case OPTION_JSON_SCHEMA: s->schema = arg; return 0;
    case OPTION_TIMELINE:
        s->timeline = arg;
        s->engine.timeline = true;
        return 0;
    case OPTION_IMAGE:
        if (s->n_images == MOST_IMAGES) argp_error(state, "--image: more than %d", MOST_IMAGES);
        s->images[s->n_images++] = arg;
        return 0;
    case 'q': s->quiet = true; return 0;
    case ARGP_KEY_ARG:
        if (s->prompt) argp_error(state, "more than one prompt: put quotes around it");
        s->prompt = arg;
        return 0;
    case ARGP_KEY_END: check_settings(s, state); return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"system", OPTION_SYSTEM, "TEXT", 0, "System message", 0},
    {"image", OPTION_IMAGE, "FILE", 0,
     "A picture to look at before the prompt: PNG, JPEG or WebP; may be given again (Janus-Pro)", 0},
    {"chat-template", OPTION_TEMPLATE, "FAMILY", 0, "Use this template instead of the model's own: " CLI_FAMILIES, 0},
    {"raw", OPTION_RAW, NULL, 0, "Complete the prompt as it is, without a chat template", 0},
    {"ids", OPTION_IDS, "IDS", 0, "The prompt as ids (1,2,3), taken as they are", 0},
    {"fim-prefix", OPTION_FIM_PREFIX, "TEXT", 0,
     "Fill in the middle: write what belongs between TEXT and --fim-suffix, of which one may be left out", 0},
    {"fim-suffix", OPTION_FIM_SUFFIX, "TEXT", 0, "What follows the middle", 0},
    {"print-ids", OPTION_PRINT_IDS, NULL, 0, "Print the new ids with commas between them, not the text", 0},
    {"hide-reasoning", OPTION_HIDE_REASONING, NULL, 0, "Show the answer without the reasoning", 0},
    {"json", OPTION_JSON, NULL, 0, "The answer is a JSON object", 0},
    {"json-schema", OPTION_JSON_SCHEMA, "FILE", 0, "The answer is JSON that fits the schema in FILE", 0},
    {"timeline", OPTION_TIMELINE, "FILE", 0, CLI_TIMELINE_HELP, 0},
    {"quiet", 'q', NULL, 0, "No statistics on standard error", 0},
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
    .args_doc = "[PROMPT]",
    .doc = "Answer PROMPT, or what standard input says, and show the text as it comes.\v"
           "Where the model has a chat template the prompt is a user's message in it; a base model completes the text. "
           "One "
           "newline at the end of standard input is dropped. A model's reasoning is dimmed on a terminal and stands "
           "between "
           "<think> and </think> elsewhere. Ctrl-C ends the answer (exit status 130).\n"
           "\n"
           "Examples:\n"
           "  fathom run --model DIR \"What is the capital of France?\"\n"
           "  fathom run --model DIR --system \"Answer in French.\" --temp 0 <question.txt\n"
           "  fathom run --model DIR --image photo.jpg \"What is in this picture?\"\n"
           "  fathom run --model DIR --raw -n 64 \"Once upon a time\"\n"
           "  fathom run --model DIR --fim-prefix \"def mean(xs):\" --fim-suffix \"    return total / len(xs)\" -n 64\n"
           "  fathom run --model DIR --ids 1,2,3 -n 16 --temp 0 --ignore-eos --print-ids",
    .children = children,
};

/* What the run holds; release() gives it back. */
typedef struct run {
    const settings *settings;
    fathom_engine *engine;
    fathom_session *session;
    const fa_chat_family *family; /* NULL: the prompt is taken as it is */
    fathom_picture *pictures[MOST_IMAGES];
    int32_t *given_ids, *ids; /* of --ids; of a text (the engine's) */
    char *schema;             /* of --json-schema */
    size_t n_ids;
    cli_answer answer;
    fathom_device start; /* what the board did before the answer */
} run;

static void release(run *r) {
    cli_answer_free(&r->answer);
    for (int i = 0; i < MOST_IMAGES; i++) fathom_picture_close(r->pictures[i]);
    fathom_session_close(r->session);
    fathom_engine_close(r->engine);
    fathom_free(r->ids);
    free(r->given_ids);
    free(r->schema);
}

static int read_schema(run *r, settings *s) {
    fa_error e = {0};
    size_t n;
    if (!s->schema) return CLI_OK;
    FILE *f = fopen(s->schema, "r");
    if (!f) return cli_fail("--json-schema: %s: %s", s->schema, strerror(errno));
    fa_status status = cli_read_all(f, s->schema, &r->schema, &n, &e);
    fclose(f);
    if (status) return cli_fail("--json-schema: %s", e.text);
    s->sampling.values.json_schema = r->schema;
    return CLI_OK;
}

static int open_engine(run *r, settings *s) {
    fathom_error e = {0};
    fathom_info info;
    fathom_status status = cli_engine_open(&r->engine, &s->engine, &e);
    if (status) return cli_fail("%s", e.text);
    fathom_engine_info(r->engine, &info);
    if (s->raw || s->ids || fills(s)) return CLI_OK;
    r->family = s->family ? s->family : info.chat_family ? fa_chat_find(info.chat_family) : NULL;
    if (r->family) return CLI_OK;
    if (s->system)
        return cli_fail("--system: the model has no chat template that is built in; choose one with --chat-template");
    if (!s->quiet)
        fputs("fathom: the model has no chat template that is built in: the text is completed as it is "
              "(--chat-template chooses one)\n",
              stderr);
    return CLI_OK;
}

static int read_images(run *r, const settings *s) {
    fathom_error e = {0};
    for (int i = 0; i < s->n_images; i++)
        if (cli_open_picture(r->engine, s->images[i], &r->pictures[i], &e)) return cli_fail("--image: %s", e.text);
    if (s->n_images && r->family && !fa_chat_picture(r->family))
        return cli_fail("--image: the template %s takes no pictures", fa_chat_name(r->family));
    return CLI_OK;
}

static int encode_chat(run *r, const char *text, size_t n) {
    const char *system = r->settings->system;
    json_t *messages = json_array();
    fa_error bad = {0};
    fathom_error e = {0};
    fa_status s = FA_OK;
    if (system) s = cli_add_message(messages, "system", system, strlen(system), &bad);
    if (!s) s = cli_add_shown(messages, r->settings->images, (size_t)r->settings->n_images, text, n, &bad);
    int code = s ? cli_fail("%s", bad.text) : CLI_OK;
    if (!s && cli_encode_messages(r->engine, fa_chat_name(r->family), messages, &r->ids, &r->n_ids, &e))
        code = cli_fail("%s", e.text);
    json_decref(messages);
    return code;
}

/* The ids of the prompt, whatever it is. */
static int encode(run *r) {
    const settings *s = r->settings;
    fa_error bad = {0};
    fathom_error e = {0};
    if (s->ids) return cli_parse_ids(s->ids, &r->given_ids, &r->n_ids, &bad) ? cli_fail("--%s", bad.text) : CLI_OK;
    if (fills(s)) {
        const char *before = s->fim_prefix ? s->fim_prefix : "", *behind = s->fim_suffix ? s->fim_suffix : "";
        fathom_status st =
            fathom_encode_fim(r->engine, before, strlen(before), behind, strlen(behind), &r->ids, &r->n_ids, &e);
        return st ? cli_fail("%s", e.text) : CLI_OK;
    }
    char *input = NULL;
    size_t n = s->prompt ? strlen(s->prompt) : 0;
    if (!s->prompt) {
        if (cli_read_all(stdin, "standard input", &input, &n, &bad)) return cli_fail("%s", bad.text);
        n -= n && input[n - 1] == '\n';
    }
    const char *text = s->prompt ? s->prompt : input;
    int code = CLI_OK;
    if (r->family)
        code = encode_chat(r, text, n);
    else if (fathom_encode(r->engine, text, n, true, &r->ids, &r->n_ids, &e))
        code = cli_fail("%s", e.text);
    free(input);
    return code;
}

static void print_statistics(const run *r, const fathom_sampling *sampling) {
    const fathom_usage *u = &r->answer.usage;
    cli_answer_print_statistics(stderr, &r->answer, sampling->temperature > 0 ? &sampling->seed : NULL);
    cli_print_board_use(stderr, r->engine, &r->start, u->prompt_tokens - u->cached_tokens + u->new_tokens);
}

static int answer(run *r, const settings *s) {
    fathom_error e = {0};
    const fathom_sampling *sampling = &s->sampling.values;
    cli_show show = s->print_ids        ? CLI_SHOW_NOTHING
                    : !r->family        ? CLI_SHOW_PLAIN
                    : s->hide_reasoning ? CLI_SHOW_ANSWER
                                        : CLI_SHOW_PARTS;
    bool thinking = r->family && fa_chat_starts_in_think(r->family);
    fathom_engine_device(r->engine, &r->start);
    fathom_status status = fathom_session_open(r->engine, 0, &r->session, &e);
    if (!status) status = fathom_session_show(r->session, r->pictures, (size_t)s->n_images, &e);
    if (!status)
        status = cli_answer_run(&r->answer, r->engine, r->session, r->ids ? r->ids : r->given_ids, r->n_ids, sampling,
                                show, thinking, &e);
    if (s->print_ids)
        cli_print_ids(stdout, r->answer.ids, r->answer.n_ids);
    else if (r->answer.n_ids)
        putchar('\n');
    fflush(stdout);
    if (status) return cli_fail("%s", e.text);
    if (!s->quiet) print_statistics(r, sampling);
    int code = cli_write_timeline(r->engine, s->timeline);
    return r->answer.interrupted ? CLI_INTERRUPTED : code;
}

int cli_run(int argc, char **argv) {
    settings s = {0};
    run r = {.settings = &s};
    if (cli_parse(&argp, argc, argv, &s)) return CLI_ERROR;
    int code = read_schema(&r, &s);
    if (!code) code = open_engine(&r, &s);
    s.sampling.values.thinking = r.family && fa_chat_starts_in_think(r.family);
    cli_sampling_defaults(&s.sampling, r.family && fa_chat_starts_in_think(r.family));
    if (!code) code = read_images(&r, &s);
    if (!code) code = encode(&r);
    if (!code) code = answer(&r, &s);
    release(&r);
    return code;
}
