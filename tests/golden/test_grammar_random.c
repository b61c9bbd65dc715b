/* What random choice among the allowed tokens writes must parse and fit its schema, whatever the vocabulary: by jansson, and by
 * python3-jsonschema, which knows nothing of our grammars. Random weights are the best liar there is. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/text/tool_calls.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/grammar.h"

enum { ROOM = 1500, SEEDS = 8 };

static const char *const schemas[] = {
    "{\"type\":\"object\"}",
    "{\"type\":\"string\"}",
    "{\"type\":\"string\",\"minLength\":3,\"maxLength\":40}",
    "{\"type\":\"string\",\"pattern\":\"^[A-Z]{2}[0-9]+( [a-zé世-界]*)?$\"}",
    "{\"type\":\"string\",\"pattern\":\"(cat|dog)s?\"}",
    "{\"type\":\"string\",\"pattern\":\"^\\\\d{3}-[^0-9]{2}.\\\\w$\"}",
    "{\"type\":\"string\",\"format\":\"date-time\"}",
    "{\"type\":\"string\",\"format\":\"date\"}",
    "{\"type\":\"string\",\"format\":\"ipv4\"}",
    "{\"type\":\"string\",\"format\":\"email\"}",
    "{\"type\":\"string\",\"format\":\"uuid\"}",
    "{\"type\":\"number\"}",
    "{\"type\":\"integer\"}",
    "{\"type\":\"integer\",\"minimum\":-37,\"maximum\":1205}",
    "{\"type\":\"integer\",\"exclusiveMinimum\":98,\"exclusiveMaximum\":101}",
    "{\"type\":\"integer\",\"minimum\":0.5,\"maximum\":3.5}",
    "{\"type\":\"integer\",\"minimum\":-99999999999,\"maximum\":-7}",
    "{\"type\":\"number\",\"minimum\":-1,\"maximum\":1}",
    "{\"type\":\"number\",\"exclusiveMinimum\":0.1,\"exclusiveMaximum\":0.3}",
    "{\"type\":\"number\",\"minimum\":99.95,\"maximum\":1000.001}",
    "{\"type\":\"number\",\"exclusiveMaximum\":0}",
    "{\"type\":\"number\",\"exclusiveMinimum\":0}",
    "{\"type\":\"number\",\"exclusiveMinimum\":1e16,\"maximum\":2e17}",
    "{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":5}",
    "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"string\"},{\"type\":\"boolean\"}],\"items\":{\"type\":\"null\"},\"minItems\":1}",
    "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"enum\":[1,\"a\",null,[2],{\"b\":0.5}]}}}",
    "{\"enum\":[\"red\",\"green\",\"gr\\u00fcn\",\"a\\\"b\\\\c\",1,10,100,1.5,true,null,{\"x\":[1,2]}]}",
    "{\"const\":{\"deep\":[{\"er\":\"\\u0001\"}]}}",
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":20},\"age\":{\"type\":\"integer\",\"minimum\":0,"
    "\"maximum\":150},\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"maxItems\":3}},\"required\":[\"name\",\"age\"],"
    "\"additionalProperties\":false}",
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"ab\":{\"type\":\"null\"},\"é\":{\"type\":\"null\"}},"
    "\"additionalProperties\":{\"type\":\"integer\"},\"required\":[\"ab\",\"z\"]}",
    "{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"object\",\"properties\":{\"x\":{\"$ref\":\"#\"}},\"required\":[\"x\"]},{\"type\":\"null\"}]}",
    "{\"oneOf\":[{\"properties\":{\"kind\":{\"const\":\"a\"},\"v\":{\"type\":\"integer\"}},\"required\":[\"kind\",\"v\"],\"type\":\"object\"},"
    "{\"properties\":{\"kind\":{\"enum\":[\"b\",\"c\"]}},\"required\":[\"kind\"],\"type\":\"object\"},{\"type\":\"string\"}]}",
    "{\"$ref\":\"#/$defs/node\",\"$defs\":{\"node\":{\"type\":\"object\",\"properties\":{\"value\":{\"type\":\"number\"},\"children\":"
    "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/node\"},\"maxItems\":2}},\"required\":[\"value\",\"children\"],"
    "\"additionalProperties\":false}}}",
    "{\"type\":[\"object\",\"null\"],\"properties\":{\"a\":true},\"required\":[\"a\"]}",
    "{}",
};
enum { SCHEMAS = sizeof schemas / sizeof *schemas };

static const char *const vocabularies[] = {"tokenizer/deepseek-v3-real", "tokenizer/gpt2", "tokenizer/llama-legacy",
                                           "tokenizer/qwen2", "models/fathom-r1-mini"};
enum { VOCABULARIES = sizeof vocabularies / sizeof *vocabularies };

/* A line for validate.py. */
static void put(FILE *f, const char *schema, const char *text) {
    json_t *s = json_loads(schema, JSON_DECODE_ANY, NULL);
    json_t *line = json_pack("{s:o, s:s}", "schema", s, "text", text);
    CHECK(line, "'%s' is no UTF-8", text);
    CHECK(json_dumpf(line, f, JSON_COMPACT) == 0);
    fputc('\n', f);
    json_decref(line);
}

/* Draws answers; the number of those that were whole. */
static int draw_answers(const grammar_words *w, const char *schema, FILE *f) {
    int whole = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
        fa_constraint_spec spec = {.json_schema = schema};
        fa_constraint *c;
        fa_error e = {0};
        static int32_t ids[ROOM];
        char *text = NULL;
        check_rng r = {(uint64_t)seed * 7919 + strlen(schema)};
        CHECK_OK(fa_constraint_open(&c, &spec, &w->vocabulary, true, &w->end, w->end >= 0, &e), &e);
        if (grammar_draw(w, c, &r, 0.3 + 0.08 * seed, ids, ROOM, &text) >= 0) {
            json_error_t why;
            json_t *value = json_loads(text, JSON_DECODE_ANY, &why);
            CHECK(value, "%s: '%s': %s", schema, text, why.text);
            json_decref(value);
            put(f, schema, text);
            whole++;
        }
        free(text);
        fa_constraint_close(c);
    }
    return whole;
}

static void all_fit(void *arg) {
    const char *vocabulary = arg;
    grammar_words w;
    char *folder = check_folder(), path[512];
    snprintf(path, sizeof path, "%s/lines", folder);
    FILE *f = fopen(path, "w");
    CHECK(f);
    grammar_words_open(&w, vocabulary);
    for (int i = 0; i < SCHEMAS; i++) {
        int whole = draw_answers(&w, schemas[i], f);
        CHECK(whole >= 2, "%s: only %d of %d answers became whole", schemas[i], whole, SEEDS);
    }
    fclose(f);
    grammar_words_close(&w);
    check_output o =
        check_command("python3 -c 'import jsonschema' 2>/dev/null && python3 tests/golden/validate.py %s", path);
    bool missing = o.status != 0 && !*o.out;
    bool good = o.status == 0;
    char said[1200];
    snprintf(said, sizeof said, "%s%s", o.out, o.err);
    check_output_free(&o);
    check_folder_remove(folder);
    if (missing) check_skip("python3-jsonschema is not installed");
    CHECK(good, "%s", said);
}

/* --- tool calls ---------------------------------------------------------------------------------------------------------- */

typedef struct calls {
    char name[64], arguments[65536];
    int begun, ended;
} calls;

static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},"
    "\"s\":{\"type\":\"string\"}},\"required\":[\"a\"]}}},{\"type\":\"function\",\"function\":{\"name\":\"ping\"}}]";

static fa_status on_event(void *ctx, const fa_tool_event *event) {
    calls *c = ctx;
    if (event->kind == FA_EVENT_CALL) {
        snprintf(c->name, sizeof c->name, "%.*s", (int)event->n, event->text);
        CHECK(!strcmp(c->name, "add") || !strcmp(c->name, "ping"), "'%s' is called", c->name);
        *c->arguments = 0;
        c->begun++;
    } else if (event->kind == FA_EVENT_ARGUMENTS) {
        CHECK(strlen(c->arguments) + event->n < sizeof c->arguments);
        strncat(c->arguments, event->text, event->n);
    } else if (event->kind == FA_EVENT_CALL_END) {
        json_t *value = json_loads(c->arguments, 0, NULL);
        CHECK(value, "'%s' is no JSON", c->arguments);
        CHECK(strcmp(c->name, "add") || json_is_integer(json_object_get(value, "a")), "'%s'", c->arguments);
        json_decref(value);
        c->ended++;
    }
    return FA_OK;
}

static void calls_are_whole(void *arg) {
    const char *vocabulary = arg;
    grammar_words w;
    int whole = 0;
    grammar_words_open(&w, vocabulary);
    for (int seed = 0; seed < 30; seed++) {
        fa_constraint_spec spec = {.tools = tools, .tool_required = true, .thinking = seed % 2};
        fa_constraint *c;
        fa_error e = {0};
        static int32_t ids[ROOM];
        char *text = NULL;
        check_rng r = {(uint64_t)seed};
        CHECK_OK(fa_constraint_open(&c, &spec, &w.vocabulary, true, &w.end, 1, &e), &e);
        int n = grammar_draw(&w, c, &r, 0.7, ids, ROOM, &text);
        fa_constraint_close(c);
        free(text);
        if (n < 0) continue;
        static calls got;
        got = (calls){.begun = 0};
        fa_tool_parser p;
        fa_text piece = {0};
        fa_decoder d = {0};
        fa_tool_parser_open(&p, w.tokenizer);
        for (int i = 0; i < n && ids[i] != w.end; i++) {
            piece.n = 0;
            CHECK_OK(fa_decoder_feed(&d, w.tokenizer, ids[i], true, &piece, &e), &e);
            CHECK(!fa_tool_parser_feed(&p, ids[i], piece.data, piece.n, on_event, &got));
        }
        CHECK(!fa_tool_parser_end(&p, on_event, &got));
        fa_tool_parser_free(&p);
        fa_text_free(&piece);
        CHECK(got.begun > 0 && got.begun == got.ended, "seed %d: %d calls, %d whole", seed, got.begun, got.ended);
        whole++;
    }
    grammar_words_close(&w);
    CHECK(whole >= 10, "only %d answers became whole", whole);
}

int main(int argc, char **argv) {
    static check_case cases[VOCABULARIES + 2];
    static char names[VOCABULARIES][80];
    for (int i = 0; i < VOCABULARIES; i++) {
        snprintf(names[i], sizeof names[i], "what is drawn from %s fits its schema", vocabularies[i]);
        cases[i] = (check_case){names[i], all_fit, (void *)vocabularies[i]};
    }
    cases[VOCABULARIES] =
        (check_case){"calls are whole where marks are tokens", calls_are_whole, "tokenizer/deepseek-v3-real"};
    cases[VOCABULARIES + 1] = (check_case){"calls are whole where marks are texts", calls_are_whole, "tokenizer/gpt2"};
    return check_main(argc, argv, cases, VOCABULARIES + 2);
}
