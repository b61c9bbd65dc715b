/* Prompts of fill-in-the-middle: the ids that the released models were trained on, from the library, the command line and the service. */
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/text/fim.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/golden_engine.h"
#include "tests/lib/http.h"

#define CODER "deepseek-coder-tiny"

static json_t *load_cases(void) {
    char *path = check_golden("fim/fim.json");
    json_t *v;
    fa_error e = {0};
    fa_status s = fa_json_load(&v, path, &e);
    free(path);
    CHECK_OK(s, &e);
    CHECK(json_array_size(v) >= 7);
    return v;
}

/* A member that is a text, and its length. */
static const char *text_of(const json_t *c, const char *name, size_t *n) {
    *n = json_string_length(json_object_get(c, name));
    return json_string_value(json_object_get(c, name));
}

static void same_ids(const json_t *c, const char *folder, const int32_t *ids, size_t n) {
    const json_t *want = json_object_get(json_object_get(c, "ids"), folder);
    const char *name = json_string_value(json_object_get(c, "name"));
    CHECK(json_array_size(want) == n, "%s: %zu ids, expected %zu", name, n, json_array_size(want));
    for (size_t i = 0; i < n; i++)
        CHECK(ids[i] == json_integer_value(json_array_get(want, i)), "%s: id %zu is %d", name, i, ids[i]);
}

static void a_tokenizer_gives_the_golden_ids(void *folder) {
    char *path = check_golden(folder);
    json_t *cases = load_cases(), *c;
    fa_tokenizer *t;
    fa_error e = {0};
    size_t i, n_prefix, n_suffix;
    CHECK_OK(fa_tokenizer_open(&t, path, &e), &e);
    json_array_foreach(cases, i, c) {
        fa_ids ids = {0};
        const char *prefix = text_of(c, "prefix", &n_prefix), *suffix = text_of(c, "suffix", &n_suffix);
        CHECK_OK(fa_fim_encode(t, prefix, n_prefix, suffix, n_suffix, &ids, &e), &e);
        same_ids(c, folder, ids.data, ids.n);
        fa_ids_free(&ids);
    }
    fa_tokenizer_close(t);
    json_decref(cases);
    free(path);
}

static void a_coder_model_gets_the_golden_ids(void *arg) {
    (void)arg;
    json_t *cases = load_cases(), *c;
    fathom_engine *g = golden_engine_open((fathom_options){.threads = 1}, CODER);
    fathom_error e = {0};
    size_t i, n, n_prefix, n_suffix;
    json_array_foreach(cases, i, c) {
        int32_t *ids;
        const char *prefix = text_of(c, "prefix", &n_prefix), *suffix = text_of(c, "suffix", &n_suffix);
        CHECK(fathom_encode_fim(g, prefix, n_prefix, suffix, n_suffix, &ids, &n, &e) == FATHOM_OK, "%s", e.text);
        same_ids(c, CODER, ids, n);
        fathom_free(ids);
    }
    fathom_engine_close(g);
    json_decref(cases);
}

static void a_model_without_the_tokens_says_so(void *arg) {
    (void)arg;
    fathom_engine *g = golden_engine_open((fathom_options){.threads = 1}, "deepseek-llm-tiny");
    fathom_error e = {0};
    int32_t *ids;
    size_t n;
    CHECK(fathom_encode_fim(g, "a", 1, "b", 1, &ids, &n, &e) == FATHOM_EUNSUPPORTED && !ids, "%s", e.text);
    CHECK(strstr(e.text, "fill-in-the-middle"), "%s", e.text);
    fathom_engine_close(g);
}

/* "1,2,3" of a case's ids; malloc'd. */
static char *list_of(const json_t *c) {
    const json_t *ids = json_object_get(json_object_get(c, "ids"), CODER), *id;
    char *list = calloc(1, 12 * json_array_size(ids) + 1);
    size_t i;
    json_array_foreach(ids, i, id)
        sprintf(list + strlen(list), "%s%lld", i ? "," : "", (long long)json_integer_value(id));
    return list;
}

static void run_answers_as_from_the_golden_ids(void *arg) {
    (void)arg;
    json_t *cases = load_cases();
    static const char common[] =
        "\"$FATHOM_BIN\" run -q --model tests/golden/" CODER " -n 12 --temp 0 --ignore-eos --print-ids";
    for (size_t i = 0; i < 3; i++) {
        const json_t *c = json_array_get(cases, i);
        setenv("BEFORE", json_string_value(json_object_get(c, "prefix")), 1);
        setenv("BEHIND", json_string_value(json_object_get(c, "suffix")), 1);
        char *list = list_of(c);
        check_output want = check_command("%s --ids %s", common, list);
        check_output got =
            check_command("%s --fim-suffix \"$BEHIND\" %s", common, i == 2 ? "" : "--fim-prefix \"$BEFORE\"");
        CHECK(want.status == 0 && got.status == 0 && !strcmp(got.out, want.out), "'%s' '%s', expected '%s'", got.out,
              got.err, want.out);
        check_output_free(&want);
        check_output_free(&got);
        free(list);
    }
    json_decref(cases);
}

static json_t *completion(const json_t *prompt) {
    return json_pack("{s:s, s:O, s:i, s:i, s:i, s:b}", "model", CODER, "prompt", prompt, "max_tokens", 12,
                     "temperature", 0, "logprobs", 2, "ignore_eos", 1);
}

static void the_service_answers_as_from_the_golden_ids(void *arg) {
    (void)arg;
    json_t *cases = load_cases(), *c;
    check_server server;
    size_t i;
    check_server_start(&server, "--threads 1 --model tests/golden/" CODER);
    json_array_foreach(cases, i, c) {
        json_t *body = completion(json_object_get(c, "prefix"));
        json_object_set(body, "suffix", json_object_get(c, "suffix"));
        check_response fim = check_post(&server, "/beta/completions", NULL, body);
        check_response ids =
            check_post(&server, "/v1/completions", NULL, completion(json_object_get(json_object_get(c, "ids"), CODER)));
        json_t *got = check_response_json(&fim), *want = check_response_json(&ids);
        CHECK(fim.status == 200 && ids.status == 200, "%s %s", fim.body, ids.body);
        CHECK(json_equal(json_object_get(got, "choices"), json_object_get(want, "choices")), "%s, expected %s",
              fim.body, ids.body);
        CHECK(json_integer_value(json_object_get(json_object_get(got, "usage"), "prompt_tokens")) ==
                  (json_int_t)json_array_size(json_object_get(json_object_get(c, "ids"), CODER)),
              "%s", fim.body);
        json_decref(got);
        json_decref(want);
        check_response_free(&fim);
        check_response_free(&ids);
    }
    CHECK(check_server_stop(&server) == 0);
    json_decref(cases);
}

#define FOLDER(name) (void *)(uintptr_t)name
static const check_case cases[] = {
    {"a tokenizer gives the golden ids: Coder's layout", a_tokenizer_gives_the_golden_ids, FOLDER(CODER)},
    {"a tokenizer gives the golden ids: V3's own", a_tokenizer_gives_the_golden_ids,
     FOLDER("tokenizer/deepseek-v3-real")},
    {"a Coder model gets the golden ids", a_coder_model_gets_the_golden_ids, NULL},
    {"a model without the tokens says so", a_model_without_the_tokens_says_so, NULL},
    {"fathom run answers as from the golden ids", run_answers_as_from_the_golden_ids, NULL},
    {"/beta/completions answers as from the golden ids", the_service_answers_as_from_the_golden_ids, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
