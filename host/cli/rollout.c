/* fathom rollout: sampled answers for a trainer, judged by rules, as JSON lines. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/cli/answers.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/eval.h"
#include "host/cli/many.h"
#include "host/cli/questions.h"
#include "host/cli/sampling.h"
#include "host/text/shape.h"

#define SPREAD_FLOOR 1e-4 /* keeps the advantages of nearly equal rewards finite */

typedef enum part { ACCURACY, FORMAT, LANGUAGE, LENGTH, PARTS } part;

static const char *const part_names[PARTS] = {"accuracy", "format", "language", "length"};

typedef struct settings {
    fathom_options engine;
    cli_sampling sampling;
    const char *prompts;
    int64_t samples, soft; /* soft: tokens before the last in which length is punished; -1: a quarter */
    double weight[PARTS];  /* of the reward's parts */
    fa_script language;
    bool keep_right, quiet, run_code;
} settings;

enum { OPTION_TOGETHER = 0x2001, OPTION_KEEP_RIGHT, OPTION_REWARD, OPTION_LANGUAGE, OPTION_SOFT, OPTION_RUN_CODE };

/* "accuracy=1,format=0.1": parts that are not named weigh nothing. */
static void read_weights(settings *s, const struct argp_state *state, const char *list) {
    memset(s->weight, 0, sizeof s->weight);
    for (const char *at = list;; at++) {
        size_t n = strcspn(at, "=,"), length = strcspn(at, ",");
        char number[64];
        int i = 0;
        while (i < PARTS && (strlen(part_names[i]) != n || strncmp(part_names[i], at, n))) i++;
        if (i == PARTS || at[n] != '=' || length - n - 1 >= sizeof number) {
            argp_error(state, "--reward: '%.*s' is no accuracy=, format=, language= or length= with a weight",
                       (int)length, at);
            return;
        }
        snprintf(number, sizeof number, "%.*s", (int)(length - n - 1), at + n + 1);
        s->weight[i] = cli_option_number(state, "--reward", number, -1e6, 1e6);
        at += length;
        if (!*at) return;
    }
}

static void check_settings(settings *s, struct argp_state *state) {
    int64_t most = s->sampling.values.max_tokens;
    if (s->weight[LENGTH] != 0 && !most) argp_error(state, "--reward: length needs --max-tokens");
    if (s->soft > most) argp_error(state, "--soft: %d tokens, but --max-tokens is %d", (int)s->soft, (int)most);
    if (s->soft < 0) s->soft = most / 4;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &s->sampling;
        state->child_inputs[1] = &s->engine;
        return 0;
    case 's': s->samples = cli_option_int(state, "--samples", arg, 1, 1 << 20); return 0;
    case OPTION_TOGETHER: s->engine.sessions = (int32_t)cli_option_int(state, "--together", arg, 1, 4096); return 0;
    case OPTION_KEEP_RIGHT: s->keep_right = true; return 0;
    case OPTION_REWARD: read_weights(s, state, arg); return 0;
    case OPTION_LANGUAGE:
        if (!fa_script_find(arg, &s->language)) argp_error(state, "--language: '%s' is neither en nor zh", arg);
        return 0;
    case OPTION_SOFT: s->soft = cli_option_int(state, "--soft", arg, 0, INT32_MAX); return 0;
    case OPTION_RUN_CODE: s->run_code = true; return 0;
    case ARGP_KEY_SUCCESS: check_settings(s, state); return 0; /* the children have their values by then */
    case 'q': s->quiet = true; return 0;
    case ARGP_KEY_ARG:
        if (s->prompts) argp_error(state, "more than one file of prompts");
        s->prompts = arg;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "no prompts: name a file of JSON lines, or - for standard input");
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"samples", 's', "N", 0, "Answers to each prompt, its group (default 8)", 0},
    {"together", OPTION_TOGETHER, "N", 0, "Answers that are written at once (default 64)", 0},
    {"keep-right", OPTION_KEEP_RIGHT, NULL, 0,
     "Write only answers that are right and have the form (rejection sampling)", 0},
    {"reward", OPTION_REWARD, "PART=WEIGHT[,...]", 0,
     "What the reward adds up: accuracy, format, language, length (default accuracy=1,format=0.1)", 0},
    {"language", OPTION_LANGUAGE, "NAME", 0, "Of the reasoning, for that reward: en (default) or zh", 0},
    {"soft", OPTION_SOFT, "N", 0, "The last N of --max-tokens are punished more and more by length (default a quarter)",
     0},
    {"run-code", OPTION_RUN_CODE, NULL, 0, "Run programs that the model writes, in a sandbox", 0},
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
    .args_doc = "PROMPTS",
    .doc =
        "Write several sampled answers to each of many prompts, with what a trainer needs to know about them.\v"
        "PROMPTS are JSON lines: {\"question\": \"What is 3 + 4?\", \"target\": \"7\"}. Instead of a question a line may have "
        "\"messages\" (a conversation) or \"ids\" (the prompt as it is). A target is compared with the last \\boxed{} of the "
        "answer, with \"rule\": \"answer\" with all that stands behind </think>; `fathom eval --help' has more rules.\n"
        "\n"
        "Each answer is a line: prompt and sample (counted from 0), \"id\" of the prompt's line if it has one, seed, finish "
        "(\"stop\", \"length\", \"context\"), prompt_ids, ids, logprobs (of each id under the model's own distribution, whatever "
        "the temperature) and text; where there is a target also accuracy, format, reward and advantage "
        "(reward against mean and spread of its group, as GRPO has it). Lines are in the order of prompts and samples.\n"
        "\n"
        "The reward is the sum of its parts by --reward. Accuracy and format are 0 or 1. `language' is the share of words of the "
        "reasoning that are of --language (R1's language consistency), told by their script. `length' is 0, and falls to -1 "
        "over the last --soft of --max-tokens (DAPO). Both are in the line where they weigh something.\n"
        "\n"
        "Here the temperature is 1 and the seed 0 unless they are given; answer k to prompt p has the seed + p * samples + "
        "k. The same "
        "prompts and seed give the same bytes on any machine and with any --together.\n"
        "\n"
        "Examples:\n"
        "  fathom rollout prompts.jsonl -s 8 -n 400 >answers.jsonl\n"
        "  fathom rollout prompts.jsonl -n 400 --reward accuracy=1,format=0.1,language=0.1,length=0.5 >answers.jsonl\n"
        "  fathom rollout prompts.jsonl --temp 0.6 --keep-right >right.jsonl",
    .children = children,
};

/* ---- groups ---- */

/* The answers to one prompt; written when all are there and all groups before are written. */
typedef struct group {
    json_t **lines; /* [samples] */
    int64_t n;
} group;

typedef struct rollout {
    const settings *settings;
    cli_questions questions;
    group *groups; /* [questions] */
    int64_t written, answers, tokens, judged, right;
    cli_progress_bar bar;
} rollout;

static void give_prompt(void *ctx, int64_t prompt, const int32_t **ids, size_t *n) {
    const cli_question *q = &((rollout *)ctx)->questions.at[prompt];
    *ids = q->ids;
    *n = q->n;
}

static bool is_judged(const cli_question *q) {
    return q->target || q->rule == FA_RULE_CODE;
}

static fa_status judge(rollout *r, const cli_question *q, json_t *line, size_t tokens, fa_error *e) {
    const settings *of = r->settings;
    const char *text = json_string_value(json_object_get(line, "text"));
    fa_reward found = fa_judge(q->rule, q->target, q->thinks, text);
    fa_status s = q->rule == FA_RULE_CODE ? eval_code(q, text, &found.accuracy, e) : FA_OK;
    double parts[PARTS] = {[ACCURACY] = found.accuracy, [FORMAT] = found.format}, reward = 0;
    if (of->weight[LANGUAGE] != 0) parts[LANGUAGE] = fa_language_reward(text, of->language);
    if (of->weight[LENGTH] != 0)
        parts[LENGTH] = fa_length_reward((int64_t)tokens, of->sampling.values.max_tokens, of->soft);
    for (int i = 0; i < PARTS; i++) {
        reward += of->weight[i] * parts[i];
        if (i < LANGUAGE)
            json_object_set_new(line, part_names[i], json_integer((json_int_t)parts[i]));
        else if (of->weight[i] != 0)
            json_object_set_new(line, part_names[i], json_real(parts[i]));
    }
    json_object_set_new(line, "reward", json_real(reward));
    r->judged++;
    r->right += found.accuracy;
    return s;
}

/* Rewards against their group's mean and spread (GRPO, arXiv 2402.03300, section 4.1). */
static void set_advantages(const group *g) {
    double mean = 0, square = 0;
    for (int64_t i = 0; i < g->n; i++) mean += json_real_value(json_object_get(g->lines[i], "reward"));
    mean /= (double)g->n;
    for (int64_t i = 0; i < g->n; i++) square += pow(json_real_value(json_object_get(g->lines[i], "reward")) - mean, 2);
    double spread = g->n > 1 ? sqrt(square / (double)(g->n - 1)) : 0;
    for (int64_t i = 0; i < g->n; i++) {
        double reward = json_real_value(json_object_get(g->lines[i], "reward"));
        json_object_set_new(g->lines[i], "advantage", json_real((reward - mean) / (spread + SPREAD_FLOOR)));
    }
}

static bool is_kept(const rollout *r, const json_t *line) {
    if (!r->settings->keep_right) return true;
    return json_integer_value(json_object_get(line, "accuracy")) &&
           json_integer_value(json_object_get(line, "format")) &&
           !strcmp(json_string_value(json_object_get(line, "finish")), "stop");
}

static void drop(const rollout *r, group *g) {
    for (int64_t i = 0; g->lines && i < r->settings->samples; i++) json_decref(g->lines[i]);
    free(g->lines);
    *g = (group){0};
}

static fa_status write_group(rollout *r, group *g, bool judged, fa_error *e) {
    if (judged) set_advantages(g);
    fa_status s = FA_OK;
    for (int64_t i = 0; i < g->n && !s; i++) {
        if (!is_kept(r, g->lines[i])) continue;
        if (json_dumpf(g->lines[i], stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) || putchar('\n') == EOF)
            s = fa_fail(e, FA_EIO, "standard output: %m");
    }
    drop(r, g);
    return s;
}

static fa_status take_answer(void *ctx, const cli_written *a, fa_error *e) {
    rollout *r = ctx;
    const cli_question *q = &r->questions.at[a->prompt];
    group *g = &r->groups[a->prompt];
    int64_t samples = r->settings->samples;
    if (!g->lines) g->lines = calloc((size_t)samples, sizeof(json_t *));
    json_t *line = g->lines ? cli_answer_json(q, a) : NULL;
    if (!line) return fa_fail(e, FA_ENOMEM, "memory for the answers ran out");
    g->lines[a->sample] = line;
    g->n++;
    fa_status s = is_judged(q) ? judge(r, q, line, a->n, e) : FA_OK;
    if (s) return s;
    r->answers++;
    r->tokens += (int64_t)a->n;
    cli_progress(&r->bar, r->answers, r->questions.n * samples);
    for (; r->written < r->questions.n && r->groups[r->written].n == samples && !s; r->written++)
        s = write_group(r, &r->groups[r->written], is_judged(&r->questions.at[r->written]), e);
    return s;
}

/* ---- the command ---- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int answer_all(rollout *r, fathom_engine *engine) {
    const settings *s = r->settings;
    fathom_error e = {0};
    r->bar.label = "answers";
    r->groups = calloc((size_t)r->questions.n + 1, sizeof *r->groups);
    if (!r->groups) return cli_fail("memory for the answers ran out");
    cli_many work = {.sessions = s->engine.sessions,
                     .prompts = r->questions.n,
                     .samples = s->samples,
                     .sampling = &s->sampling.values,
                     .prompt = give_prompt,
                     .done = take_answer,
                     .ctx = r};
    double start = now();
    fathom_status status = cli_answer_many(engine, &work, &e);
    double seconds = now() - start;
    cli_progress_end(&r->bar);
    if (status == FATHOM_ECANCELLED) return CLI_INTERRUPTED;
    if (status) return cli_fail("%s", e.text);
    if (fflush(stdout)) return cli_fail("standard output: %m");
    if (s->quiet) return CLI_OK;
    fprintf(stderr, "%" PRId64 " answers, %" PRId64 " tokens, %.0f tokens/s", r->answers, r->tokens,
            (double)r->tokens / seconds);
    if (r->judged) fprintf(stderr, "; %.1f %% right", 100 * (double)r->right / (double)r->judged);
    fputc('\n', stderr);
    return CLI_OK;
}

static void release(rollout *r) {
    for (int64_t i = 0; r->groups && i < r->questions.n; i++) drop(r, &r->groups[i]);
    free(r->groups);
    cli_questions_free(&r->questions);
}

static int check_question(const settings *s, const cli_question *q) {
    if (s->keep_right && !is_judged(q)) return cli_fail("--keep-right: prompt %" PRId64 " has no target", q->number);
    if (q->rule != FA_RULE_CODE || s->run_code) return CLI_OK;
    return cli_fail("prompt %" PRId64 ": the rule \"code\" runs what the model writes: ask for it with --run-code",
                    q->number);
}

int cli_rollout(int argc, char **argv) {
    settings s = {.samples = 8, .soft = -1, .weight = {[ACCURACY] = 1, [FORMAT] = 0.1}, .engine = {.sessions = 64}};
    rollout r = {.settings = &s};
    fathom_engine *engine = NULL;
    fathom_error e = {0};
    fa_error bad = {0};
    if (cli_parse(&argp, argc, argv, &s)) return CLI_ERROR;
    if (!s.sampling.temperature_given) s.sampling.values.temperature = 1;
    if (cli_engine_open(&engine, &s.engine, &e)) return cli_fail("%s", e.text);
    fa_status st = cli_questions_load(&r.questions, s.prompts, &bad);
    if (!st) st = cli_questions_encode(&r.questions, engine, &bad);
    int code = st ? cli_fail("%s", bad.text) : CLI_OK;
    for (int64_t i = 0; i < r.questions.n && !code; i++) code = check_question(&s, &r.questions.at[i]);
    if (!code) code = answer_all(&r, engine);
    release(&r);
    fathom_engine_close(engine);
    return code;
}
