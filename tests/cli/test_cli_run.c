/* `fathom run` as scripts and people use it. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/terminal.h"

/* "1,2,3" of a JSON array, malloc'd. */
static char *list(const json_t *ids) {
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    for (size_t i = 0; i < json_array_size(ids); i++)
        fprintf(f, "%s%lld", i ? "," : "", (long long)json_integer_value(json_array_get(ids, i)));
    fclose(f);
    return text;
}

static json_t *load(const char *model) {
    fa_error e;
    json_t *golden;
    char name[100];
    snprintf(name, sizeof name, "%s/golden.json", model);
    char *path = check_golden(name);
    CHECK_OK(fa_json_load(&golden, path, &e), &e);
    free(path);
    return golden;
}

static void prints_the_golden_greedy_ids(void *arg) {
    const char *model = arg;
    json_t *golden = load(model), *p;
    size_t i;
    json_array_foreach(json_object_get(golden, "prompts"), i, p) {
        if (i == 3) break;
        char *ids = list(json_object_get(p, "ids")), *greedy = list(json_object_get(p, "greedy"));
        check_output o =
            check_command("\"$FATHOM_BIN\" run --model %s/%s --ids %s -n 16 --temp 0 --ignore-eos --print-ids "
                          "--numerics w8a16 --cache f32 --threads 2",
                          check_golden_dir(), model, ids);
        CHECK(o.status == 0 && !strncmp(o.out, greedy, strlen(greedy)) && !strcmp(o.out + strlen(greedy), "\n"),
              "prompt %zu: expected %s, found %s %s", i, greedy, o.out, o.err);
        CHECK(strstr(o.err, "prompt tokens"), "%s", o.err);
        check_output_free(&o);
        free(ids);
        free(greedy);
    }
    json_decref(golden);
}

#define RUN "\"$FATHOM_BIN\" run --threads 1 --model %s/"

static const struct {
    const char *name, *command; /* RUN with the golden folder */
    int status;
    const char *out, *err; /* parts; NULL: empty */
} rows[] = {
    {"text ends with a newline and statistics", RUN "deepseek-v3-tiny -n 4 --ignore-eos Hi", 0, "\n", "4 new tokens"},
    {"--quiet says nothing else", RUN "deepseek-v3-tiny -n 4 --ignore-eos --quiet Hi", 0, "\n", NULL},
    {"the prompt can come through a pipe", "echo Hi | " RUN "deepseek-v3-tiny -n 4 --ignore-eos", 0, "\n",
     "4 new tokens"},
    {"reasoning stands in tags", RUN "r1-distill-qwen-tiny -n 4 --ignore-eos Hi", 0, "<think>\n", "seed"},
    {"reasoning can be hidden", RUN "r1-distill-qwen-tiny -n 4 --ignore-eos --hide-reasoning Hi", 0, "\n", "seed"},
    {"a prompt and ids exclude each other", RUN "deepseek-v3-tiny --ids 1 Hi", 2, NULL, "exclude each other"},
    {"--raw has no system message", RUN "deepseek-v3-tiny --raw --system S Hi", 2, NULL, "--raw"},
    {"bad ids are shown", RUN "deepseek-v3-tiny --ids 1,x", 1, NULL, "found 'x'"},
    {"ids beyond the vocabulary are an error", RUN "deepseek-v3-tiny --ids 1,99999999", 1, NULL, "99999999"},
    {"a temperature has a range", RUN "deepseek-v3-tiny --temp -1 Hi", 2, NULL, "--temp: expected a number in 0..100"},
    {"an empty stop text is refused", RUN "deepseek-v3-tiny --stop '' Hi", 2, NULL, "--stop"},
    {"an unknown backend is named", RUN "deepseek-v3-tiny --backend abacus Hi", 1, NULL, "abacus"},
    {"a prompt longer than the context is an error", RUN "deepseek-v3-tiny --ctx 2 --raw 'one two three four'", 1, NULL,
     "context"},
    {"pictures may be several",
     RUN "janus-pro-tiny --image tests/golden/image/inks.jpg --image tests/golden/image/lossy.webp -n 2 Hi", 0, "\n",
     "prompt tokens"},
    {"a model without eyes is named", RUN "deepseek-v3-tiny --image tests/golden/image/grey.png Hi", 1, NULL,
     "deepseek-v3-tiny does not look at pictures"},
    {"a picture that is none is named", RUN "janus-pro-tiny --image Makefile Hi", 1, NULL,
     "--image: Makefile: not a PNG, JPEG or WebP picture"},
    {"a picture that is not there is named", RUN "janus-pro-tiny --image /dev/null/x Hi", 1, NULL,
     "--image: /dev/null/x"},
    {"--raw has no pictures", RUN "janus-pro-tiny --raw --image tests/golden/image/grey.png Hi", 2, NULL, "--image"},
    {"a text that is not UTF-8 is an error", RUN "deepseek-v3-tiny \"$(printf '\\377')\"", 1, NULL, "UTF-8"},
};

static void behaves(void *arg) {
    size_t i = (size_t)(uintptr_t)arg;
    check_output o = check_command(rows[i].command, check_golden_dir());
    CHECK(o.status == rows[i].status, "status %d, '%s' '%s'", o.status, o.out, o.err);
    CHECK(rows[i].out ? strstr(o.out, rows[i].out) != NULL : !*o.out, "output '%s'", o.out);
    CHECK(rows[i].err ? strstr(o.err, rows[i].err) != NULL : !*o.err, "errors '%s'", o.err);
    check_output_free(&o);
}

/* The golden prompts about pictures, which are what the template of Janus makes of the picture and the question. */
static void looks_at_pictures(void *arg) {
    (void)arg;
    json_t *golden = load("janus-pro-tiny"), *p;
    size_t i;
    json_array_foreach(json_object_get(golden, "prompts"), i, p) {
        char *greedy = list(json_object_get(p, "greedy"));
        check_output o =
            check_command(RUN "janus-pro-tiny --image %s/janus-pro-tiny/%s.png -n 16 --temp 0 --ignore-eos --print-ids "
                              "\"What is in this picture?\"",
                          check_golden_dir(), check_golden_dir(), json_string_value(json_object_get(p, "image")));
        CHECK(o.status == 0 && !strncmp(o.out, greedy, strlen(greedy)), "expected %s, found %s %s", greedy, o.out,
              o.err);
        check_output_free(&o);
        free(greedy);
    }
    CHECK(i == 4, "%zu prompts", i);
    json_decref(golden);
}

static void same_seed_same_text(void *arg) {
    (void)arg;
    char *texts[3];
    for (int i = 0; i < 3; i++) {
        check_output o =
            check_command(RUN "r1-distill-qwen-tiny -n 12 --ignore-eos --print-ids --temp 1 --top-p 1 --seed %d Hi",
                          check_golden_dir(), i == 2 ? 8 : 7);
        CHECK(o.status == 0, "%s", o.err);
        texts[i] = strdup(o.out);
        check_output_free(&o);
    }
    CHECK(!strcmp(texts[0], texts[1]), "%s %s", texts[0], texts[1]);
    CHECK(strcmp(texts[0], texts[2]), "%s", texts[0]);
    for (int i = 0; i < 3; i++) free(texts[i]);
}

static void ctrl_c_ends_the_answer_with_statistics(void *arg) {
    (void)arg;
    check_terminal t;
    /* slow, with a long context: the answer goes on for seconds */
    check_terminal_open(&t,
                        "exec \"$FATHOM_BIN\" run --model %s/r1-distill-llama-tiny --backend reference --threads 1 "
                        "--ignore-eos Hi",
                        check_golden_dir());
    check_terminal_expect(&t, "\033[2m"); /* dimmed: the reasoning has begun */
    check_terminal_type(&t, "\003");
    check_terminal_expect(&t, "ended by an interruption");
    CHECK(check_terminal_close(&t) == 130);
}

static void smollm2_knows_the_capital_of_france(void *arg) {
    (void)arg;
    const char *path = getenv("FATHOM_SMOLLM2");
    if (!path || !*path) check_skip("FATHOM_SMOLLM2 names no file");
    check_output o = check_command("\"$FATHOM_BIN\" run --model '%s' 'What is the capital of France?'", path);
    CHECK(o.status == 0 && strstr(o.out, "Paris"), "'%s' %s", o.out, o.err);
    check_output_free(&o);
}

int main(int argc, char **argv) {
    static const char *const models[] = {"deepseek-v3-tiny",     "deepseek-v3-tiny-fp8", "deepseek-v2-lite-tiny",
                                         "deepseek-llm-tiny",    "deepseek-coder-tiny",  "r1-distill-qwen-tiny",
                                         "r1-distill-llama-tiny"};
    enum { ROWS = sizeof rows / sizeof *rows, MODELS = sizeof models / sizeof *models, MORE = 4 };
    check_case cases[MODELS + ROWS + MORE] = {
        {"same seed, same text", same_seed_same_text, NULL},
        {"run looks at pictures", looks_at_pictures, NULL},
        {"Ctrl-C ends the answer with statistics", ctrl_c_ends_the_answer_with_statistics, NULL},
        {"SmolLM2 knows the capital of France", smollm2_knows_the_capital_of_france, NULL},
    };
    char names[MODELS][80];
    for (size_t i = 0; i < MODELS; i++) {
        snprintf(names[i], sizeof names[i], "run prints the golden greedy ids of %s", models[i]);
        cases[MORE + i] = (check_case){names[i], prints_the_golden_greedy_ids, (void *)models[i]};
    }
    for (size_t i = 0; i < ROWS; i++)
        cases[MORE + MODELS + i] = (check_case){rows[i].name, behaves, (void *)(uintptr_t)i};
    setenv("FATHOM_BIN", "build/fathom", 0);
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
