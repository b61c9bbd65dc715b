/* Constraints through fathom.h: random weights at a high temperature, and the shipped model. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/golden_engine.h"

static const char schema[] =
    "{\"type\":\"object\",\"properties\":{\"kind\":{\"enum\":[\"a\",\"b\"]},\"n\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":30},"
    "\"s\":{\"type\":\"string\",\"maxLength\":8}},\"required\":[\"kind\",\"n\",\"s\"]}";

static fathom_engine *open_with(const char *model, int drafts) {
    fathom_engine *g;
    fathom_error e = {0};
    char *path = strncmp(model, "models/", 7) ? check_golden(model) : strdup(model);
    fathom_options o = {.model = path, .context = 512, .sessions = 2, .drafts = drafts};
    CHECK(fathom_engine_open(&g, &o, &e) == FATHOM_OK, "%s", e.text);
    free(path);
    return g;
}

/* The whole answer to a short prompt. */
static fathom_finish ask(fathom_engine *g, const fathom_sampling *p, golden_answer *a) {
    fathom_session *s = golden_session(g, 1);
    golden_ask(s, (const int32_t[]){5, 9, 11, 8}, 4, p);
    golden_run(g, s, a);
    fathom_finish finish = fathom_session_finish(s);
    CHECK(finish != FATHOM_FAILED, "%s", fathom_session_error(s));
    fathom_session_close(s);
    return finish;
}

static void check_value(const char *text) {
    json_error_t why;
    json_t *value = json_loads(text, 0, &why);
    CHECK(value, "'%s': %s", text, why.text);
    const char *kind = json_string_value(json_object_get(value, "kind"));
    json_int_t n = json_integer_value(json_object_get(value, "n"));
    CHECK(kind && (!strcmp(kind, "a") || !strcmp(kind, "b")) && n >= 1 && n <= 30, "'%s'", text);
    CHECK(json_is_string(json_object_get(value, "s")) && json_object_size(value) == 3, "'%s'", text);
    json_decref(value);
}

static void every_answer_fits(void *model) {
    static golden_answer a;
    fathom_engine *g = open_with(model, 0);
    for (int seed = 0; seed < 12; seed++) {
        fathom_sampling p = {
            .temperature = seed ? 5.0f : 0, .seed = (uint64_t)seed, .json_schema = schema, .max_tokens = 400};
        CHECK(ask(g, &p, &a) == FATHOM_STOP, "seed %d: '%s'", seed, a.text);
        check_value(a.text);
    }
    fathom_engine_close(g);
}

static void a_cut_answer_says_length(void *model) {
    static golden_answer a;
    fathom_engine *g = open_with(model, 0);
    fathom_sampling p = {.json_schema = "{\"type\":\"string\",\"minLength\":100}", .max_tokens = 5};
    CHECK(ask(g, &p, &a) == FATHOM_LENGTH && a.n == 5);
    fathom_engine_close(g);
}

/* Log-probabilities are those of the model, whatever may be chosen. */
static void numbers_stay_the_models_own(void *model) {
    static golden_answer free_answer, a;
    fathom_engine *g = open_with(model, 0);
    fathom_sampling p = {.max_tokens = 1, .top_logprobs = 5};
    ask(g, &p, &free_answer);
    p.json_schema = "{\"const\":\"z\"}";
    ask(g, &p, &a);
    CHECK(!memcmp(a.token[0].top_logprobs, free_answer.token[0].top_logprobs, 5 * sizeof(float)));
    CHECK(a.token[0].logprob <= free_answer.token[0].logprob, "%f, %f", (double)a.token[0].logprob,
          (double)free_answer.token[0].logprob);
    fathom_engine_close(g);
}

/* Guessing ahead never changes an answer, a constrained one neither. */
static void drafts_change_nothing(void *model) {
    static golden_answer plain, drafted;
    fathom_engine *one = open_with(model, 0), *two = open_with(model, 3);
    for (int seed = 0; seed < 4; seed++) {
        fathom_sampling p = {.temperature = 1, .seed = (uint64_t)seed, .json_schema = schema, .max_tokens = 400};
        ask(one, &p, &plain);
        ask(two, &p, &drafted);
        CHECK(!strcmp(plain.text, drafted.text), "'%s', '%s'", plain.text, drafted.text);
    }
    fathom_engine_close(one);
    fathom_engine_close(two);
}

static void what_is_wrong_is_said(void *model) {
    fathom_engine *g = open_with(model, 0);
    fathom_session *s = golden_session(g, 1);
    static const struct {
        fathom_sampling p;
        fathom_status status;
        const char *says;
    } table[] = {
        {{.json_schema = "{\"not\":{}}"}, FATHOM_EUNSUPPORTED, "json_schema: not"},
        {{.json_schema = "{"}, FATHOM_EINVAL, "json_schema: line 1"},
        {{.tool_required = true}, FATHOM_EINVAL, "tools"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fathom_error e = {0};
        fathom_status st = fathom_session_prompt(s, (const int32_t[]){5}, 1, &table[i].p, &e);
        CHECK(st == table[i].status && strstr(e.text, table[i].says), "%d, '%s'", st, e.text);
    }
    fathom_engine_close(g);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"every answer of a random DeepSeek-V3 fits", every_answer_fits, "deepseek-v3-tiny"},
        {"every answer of a random Qwen2 fits", every_answer_fits, "r1-distill-qwen-tiny"},
        {"every answer of a random DeepSeek-LLM fits", every_answer_fits, "deepseek-llm-tiny"},
        {"every answer of the shipped model fits", every_answer_fits, "models/fathom-r1-mini"},
        {"an answer that max_tokens cuts ends with length", a_cut_answer_says_length, "r1-distill-qwen-tiny"},
        {"log-probabilities are the model's own", numbers_stay_the_models_own, "r1-distill-qwen-tiny"},
        {"drafts change no constrained answer", drafts_change_nothing, "models/fathom-r1-mini"},
        {"a constraint that is wrong is refused", what_is_wrong_is_said, "r1-distill-qwen-tiny"},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
