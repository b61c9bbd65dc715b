/* fathom rollout: the shipped model's sampled answers, as a trainer reads them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/engine/sampler.h"
#include "host/fathom.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

#define MODEL "models/fathom-r1-mini"
#define ROLLOUT "\"$FATHOM_BIN\" rollout --model " MODEL " --numerics w8a8 "

static check_output must(check_output o) {
    CHECK(o.status == 0, "status %d: %s", o.status, o.err);
    return o;
}

static const char prompts[] =
    "{\"id\": \"a\", \"question\": \"What is 4837 * 96?\", \"target\": \"464352\"}\n"
    "{\"question\": \"Who are you?\"}\n"
    "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"Hello!\"}], "
    "\"question\": \"Sort 5, 31, 8.\", \"target\": \"5, 8, 31\"}\n"
    "{\"ids\": [0, 3, 27, 5], \"target\": \"no\", \"rule\": \"answer\"}\n"
    "{\"question\": \"7531 / 86\", \"target\": \"87 remainder 49\"}\n";
enum { PROMPTS = 5, SAMPLES = 4 };

/* The lines of an output as JSON; the caller frees the array's references. */
static int read_lines(const char *text, json_t **lines, int most) {
    int n = 0;
    for (const char *at = text; *at; n++) {
        size_t length = strcspn(at, "\n");
        CHECK(n < most && at[length] == '\n', "line %d", n);
        lines[n] = json_loadb(at, length, 0, NULL);
        CHECK(lines[n], "line %d is no JSON: %.80s", n, at);
        at += length + 1;
    }
    return n;
}

static json_int_t whole(const json_t *line, const char *key) {
    const json_t *v = json_object_get(line, key);
    CHECK(json_is_integer(v), "no %s", key);
    return json_integer_value(v);
}

typedef struct rollout {
    char *folder, *file;
    check_output output;
    json_t *lines[PROMPTS * SAMPLES];
} rollout;

static void roll(rollout *r, const char *options) {
    r->folder = check_scratch();
    r->file = check_write(r->folder, "prompts.jsonl", prompts, sizeof prompts - 1);
    r->output = must(check_command(ROLLOUT "-s %d -n 60 --seed 70 %s '%s'", SAMPLES, options, r->file));
}

static void finish(rollout *r) {
    for (int i = 0; i < PROMPTS * SAMPLES; i++) json_decref(r->lines[i]);
    check_output_free(&r->output);
    check_remove(r->folder);
    free(r->folder);
    free(r->file);
}

static void lines_are_in_order(void *unused) {
    (void)unused;
    rollout r = {0};
    roll(&r, "");
    int n = read_lines(r.output.out, r.lines, PROMPTS * SAMPLES);
    CHECK(n == PROMPTS * SAMPLES, "%d lines", n);
    for (int i = 0; i < n; i++) {
        const json_t *line = r.lines[i];
        int prompt = i / SAMPLES;
        CHECK(whole(line, "prompt") == prompt && whole(line, "sample") == i % SAMPLES && whole(line, "seed") == 70 + i,
              "line %d", i);
        CHECK(!json_object_get(line, "id") == (prompt != 0), "line %d", i);
        CHECK(!json_object_get(line, "reward") == (prompt == 1), "line %d", i);
        size_t ids = json_array_size(json_object_get(line, "ids"));
        CHECK(ids > 0 && ids == json_array_size(json_object_get(line, "logprobs")), "line %d: %zu ids", i, ids);
        const char *end = json_string_value(json_object_get(line, "finish"));
        CHECK(!strcmp(end, ids == 60 ? "length" : "stop"), "line %d: %zu ids, %s", i, ids, end);
    }
    CHECK(strstr(r.output.err, "20 answers"), "%s", r.output.err);
    finish(&r);
}

static void same_bytes(void *unused) {
    (void)unused;
    rollout want = {0};
    roll(&want, "--quiet");
    CHECK(!*want.output.err, "%s", want.output.err);
    static const char *const options[] = {"--together 1", "--together 3 --threads 1", "--threads 2 --together 20"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        rollout r = {0};
        roll(&r, options[i]);
        CHECK(!strcmp(r.output.out, want.output.out), "other answers with %s", options[i]);
        finish(&r);
    }
    finish(&want);
}

static char *id_list(const json_t *ids) {
    char *text = calloc(json_array_size(ids) + 1, 12), *end = text;
    CHECK(text);
    size_t i;
    const json_t *id;
    json_array_foreach(ids, i, id) end += sprintf(end, "%s%d", i ? "," : "", (int)json_integer_value(id));
    return text;
}

static void run_repeats_an_answer(void *unused) {
    (void)unused;
    rollout r = {0};
    roll(&r, "");
    read_lines(r.output.out, r.lines, PROMPTS * SAMPLES);
    for (int i = 1; i < PROMPTS * SAMPLES; i += 6) {
        char *prompt = id_list(json_object_get(r.lines[i], "prompt_ids"));
        char *want = id_list(json_object_get(r.lines[i], "ids"));
        check_output o =
            must(check_command("\"$FATHOM_BIN\" run --model " MODEL " --numerics w8a8 --quiet --temp 1 --top-p 1 -n 60 "
                               "--seed %d --print-ids --ids %s",
                               (int)whole(r.lines[i], "seed"), prompt));
        CHECK(!strncmp(o.out, want, strlen(want)) && o.out[strlen(want)] == '\n', "%s\nwant %s", o.out, want);
        check_output_free(&o);
        free(prompt);
        free(want);
    }
    finish(&r);
}

/* Of the token `id` behind a row of logits, as the sampler reports it. */
static float logprob_of(fa_sampler *s, const float *logits, int32_t id) {
    fathom_sampling p = {.top_logprobs = FA_TOP_LOGPROBS};
    fa_choice c;
    fa_error e;
    CHECK_OK(fa_sample(s, &p, logits, &(fa_history){0}, &c, &e), &e);
    for (int k = 0; k < c.n_top; k++)
        if (c.top_ids[k] == id) return c.top_logprobs[k];
    return 1; /* rarer than the first 20 */
}

static int rescore(fathom_engine *g, fa_sampler *sampler, const json_t *line, int32_t vocab) {
    const json_t *prompt = json_object_get(line, "prompt_ids"), *ids = json_object_get(line, "ids");
    const json_t *logprobs = json_object_get(line, "logprobs");
    size_t n = json_array_size(prompt), m = json_array_size(ids);
    int32_t *all = calloc(n + m, sizeof *all);
    float *logits = calloc((n + m) * (size_t)vocab, sizeof *logits);
    CHECK(all && logits);
    for (size_t i = 0; i < n + m; i++)
        all[i] = (int32_t)json_integer_value(i < n ? json_array_get(prompt, i) : json_array_get(ids, i - n));
    fathom_error e = {0};
    CHECK_OK(fathom_logits(g, all, n + m, true, logits, &e), &e);
    int compared = 0;
    for (size_t k = 0; k < m; k++) {
        float want = logprob_of(sampler, logits + (n + k - 1) * (size_t)vocab, all[n + k]);
        float found = (float)json_real_value(json_array_get(logprobs, k));
        if (want > 0) continue;
        CHECK(found == want, "token %zu of seed %d: %a, rescored %a", k, (int)whole(line, "seed"), (double)found,
              (double)want);
        compared++;
    }
    free(all);
    free(logits);
    return compared;
}

static void logprobs_are_those_of_a_rescoring_pass(void *unused) {
    (void)unused;
    rollout r = {0};
    roll(&r, "");
    int n = read_lines(r.output.out, r.lines, PROMPTS * SAMPLES), compared = 0;
    fathom_engine *g;
    fathom_error e = {0};
    fathom_info info;
    fathom_options o = {.model = MODEL, .numerics = "w8a8", .logits_all = true, .context = 512};
    CHECK_OK(fathom_engine_open(&g, &o, &e), &e);
    fathom_engine_info(g, &info);
    fa_arena arena = {0};
    fa_sampler sampler;
    fa_error bad;
    CHECK_OK(fa_sampler_open(&sampler, &arena, info.vocabulary, &bad), &bad);
    for (int i = 0; i < n; i++) compared += rescore(g, &sampler, r.lines[i], info.vocabulary);
    CHECK(compared > 500, "%d tokens", compared);
    fa_arena_free(&arena);
    fathom_engine_close(g);
    finish(&r);
}

/* At a temperature at which some answers are wrong, some have no form and some letters of other scripts. */
static void rewards_are_those_of_the_recipe(void *arg) {
    const char *weights = arg;
    char options[200] = "", check[200] = "";
    if (weights) {
        snprintf(options, sizeof options, "--reward %s --soft 250", weights);
        snprintf(check, sizeof check, "%s 300 250", weights);
    }
    check_output have = check_command("python3 -c 'import statistics'");
    if (have.status) check_skip("there is no python3");
    check_output_free(&have);
    char *folder = check_scratch();
    check_output o = must(check_command(
        "export PYTHONDONTWRITEBYTECODE=1; cd '%s' && C=\"$OLDPWD\"/models/recipe/check_rollout.py && python3 $C prompts 60 >p && "
        "cd \"$OLDPWD\" && " ROLLOUT "-s 4 -n 300 --temp 1.5 %s -q '%s/p' >'%s/a' && python3 $C check '%s/p' '%s/a' %s",
        folder, options, folder, folder, folder, folder, check));
    int answers, right, groups;
    CHECK(sscanf(o.out, "%d answers, %d right, %d groups", &answers, &right, &groups) == 3, "%s", o.out);
    CHECK(answers == 240 && groups == 60 && right > 20 && right < 220, "%s", o.out);
    check_output_free(&o);
    check_remove(folder);
    free(folder);
}

static void only_right_answers(void *unused) {
    (void)unused;
    char *folder = check_scratch();
    const char text[] =
        "{\"question\": \"What is 12 + 7?\", \"target\": \"19\"}\n{\"question\": \"What is 12 + 7?\", \"target\": \"18\"}\n";
    char *file = check_write(folder, "p", text, sizeof text - 1);
    check_output o = must(check_command(ROLLOUT "--keep-right -s 3 --temp 0.1 '%s'", file));
    json_t *lines[6];
    int n = read_lines(o.out, lines, 6);
    CHECK(n == 3, "%d lines", n);
    for (int i = 0; i < n; i++) {
        CHECK(whole(lines[i], "prompt") == 0 && whole(lines[i], "accuracy") == 1 && whole(lines[i], "format") == 1);
        json_decref(lines[i]);
    }
    check_output_free(&o);
    check_remove(folder);
    free(folder);
    free(file);
}

typedef struct broken {
    const char *name, *line, *says;
} broken;

static const broken bad_lines[] = {
    {"a line that is no JSON is named", "{\"question\": \"a\"}\n{\n", "p: line 2: "},
    {"a line that is no object is named", "[]", "p: line 1: expected an object"},
    {"a line without a prompt is named", "{\"target\": \"3\"}",
     "p: line 1: expected one of ids, messages, question and text"},
    {"a question that is no text is named", "{\"question\": 3}", "question: expected a text"},
    {"ids that are none are named", "{\"ids\": [1, \"2\"]}", "ids: entry 1 is no id"},
    {"no ids are named", "{\"ids\": []}", "ids: expected an array of ids that is not empty"},
    {"an id outside the vocabulary is named", "{\"ids\": [1, 70000]}", "prompt 1: "},
    {"a target that is no text is named", "{\"question\": \"a\", \"target\": 3}", "target: expected a text"},
    {"code runs when asked alone", "{\"question\": \"a\", \"rule\": \"code\", \"tests\": \"x\"}",
     "prompt 1: the rule \"code\""},
    {"an unknown rule is named", "{\"question\": \"a\", \"target\": \"3\", \"rule\": \"x\"}", "rule: expected"},
    {"a message of an unknown role is named", "{\"messages\": [{\"role\": \"cat\", \"content\": \"x\"}]}", "line 1: "},
};

static void is_named(void *arg) {
    const broken *b = arg;
    char *folder = check_scratch(), *file = check_write(folder, "p", b->line, strlen(b->line));
    check_output o =
        check_command("cd '%s' && \"$OLDPWD\"/\"${FATHOM_BIN#$OLDPWD/}\" rollout -m \"$OLDPWD\"/" MODEL " p", folder);
    CHECK(o.status == 1 && !*o.out && strstr(o.err, b->says), "status %d: %s", o.status, o.err);
    check_output_free(&o);
    check_remove(folder);
    free(folder);
    free(file);
}

static void refusals(void *unused) {
    (void)unused;
    static const check_refusal uses[] = {
        {"rollout", "no prompts", 2},
        {"rollout a b", "more than one file", 2},
        {"rollout -s 0 a", "--samples", 2},
        {"rollout --together 0 a", "--together", 2},
        {"rollout --reward accuracy a", "'accuracy' is no accuracy=", 2},
        {"rollout --reward accuracy=1,beauty=2 a", "'beauty=2' is no", 2},
        {"rollout --reward accuracy=x a", "--reward", 2},
        {"rollout --reward length=1 a", "length needs --max-tokens", 2},
        {"rollout --language fr a", "'fr' is neither en nor zh", 2},
        {"rollout -n 10 --soft 11 a", "--soft: 11 tokens, but --max-tokens is 10", 2},
        {"rollout /dev/null/x", "/dev/null/x", 1},
    };
    check_refusals(uses, sizeof uses / sizeof *uses);
}

int main(int argc, char **argv) {
    enum { BROKEN = sizeof bad_lines / sizeof *bad_lines, OTHERS = 9 };
    check_case cases[OTHERS + BROKEN] = {
        {"a line for each answer, in the order of prompts and samples", lines_are_in_order, NULL},
        {"the same bytes whatever is written together", same_bytes, NULL},
        {"`fathom run` repeats an answer by its seed", run_repeats_an_answer, NULL},
        {"log-probabilities are those of a rescoring pass, bit for bit", logprobs_are_those_of_a_rescoring_pass, NULL},
        {"rewards and advantages are those of the recipe's Python", rewards_are_those_of_the_recipe, NULL},
        {"so are those with language and length", rewards_are_those_of_the_recipe,
         "accuracy=1,format=0.1,language=0.25,length=0.5"},
        {"so are those of the shape alone", rewards_are_those_of_the_recipe, "language=1,length=2"},
        {"--keep-right writes right answers alone", only_right_answers, NULL},
        {"wrong uses are refused", refusals, NULL},
    };
    for (int i = 0; i < BROKEN; i++)
        cases[OTHERS + i] = (check_case){bad_lines[i].name, is_named, (void *)&bad_lines[i]};
    return check_main(argc, argv, cases, OTHERS + BROKEN);
}
