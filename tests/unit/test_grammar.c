/* Schemas as grammars: which texts fit, which schemas are refused and how, and what random choice among the allowed tokens writes. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/grammar.h"

/* The texts that fit, then those that do not. */
typedef struct fit {
    const char *name, *schema;
    const char *good[12], *bad[16];
} fit;

static const fit fits[] = {
    {"any object",
     "",
     {"{}", "{\"a\":1}", "{ \"a\": [true,null,{}], \"b\":\"\\u00e9\\n\"}", "{\n  \"a\": -1.5e10\n}", " {}"},
     {"", "[]", "1", "{", "{}}", "{} ", "{a:1}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\":01}", "{\"a\":1.}",
      "{\"a\":+1}", "{\"a\":nul}"}},
    {"texts are valid UTF-8 with valid escapes",
     "{\"type\":\"string\"}",
     {"\"\"", "\"世界 é 🌍\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0001\\uFFFD\"", "\"\\ud83c\\udf0d\"",
      "\"\\uD7FF\\ue000\"", "\"\x7f\""},
     {"\"", "\"\\x\"", "\"\n\"", "\"\\u12\"", "\"\\ud83c\"", "\"\\udf0d\"", "\"\\ud83c\\u0041\"", "\"\\u0000\"",
      "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\x80\"", "\"\xe4\xb8\"", "'a'"}},
    {"lengths count characters",
     "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
     {"\"ab\"", "\"世界é\"", "\"\\n\\u0041\"", "\"🌍\\ud83c\\udf0d\""},
     {"\"\"", "\"a\"", "\"🌍\"", "\"abcd\"", "\"\\n\""}},
    {"numbers without bounds",
     "{\"type\":\"number\"}",
     {"0", "-0", "12", "1.50", "-3e5", "2E+10", "1e-7", "123456789012345678"},
     {"", "-", "01", "1.", ".5", "1e", "+1", "1e999", "0x1", "NaN", "Infinity", "1e+"}},
    {"integers between bounds",
     "{\"type\":\"integer\",\"minimum\":-5,\"exclusiveMaximum\":120}",
     {"-5", "-1", "-0", "0", "7", "99", "100", "119"},
     {"-6", "120", "121", "1000", "1.0", "-10", "1e1", "00"}},
    {"integers of one sign",
     "{\"type\":\"integer\",\"exclusiveMinimum\":0}",
     {"1", "9", "10", "999999999999999999"},
     {"0", "-1", "-0", "01", "1000000000000000000"}},
    {"integers below zero",
     "{\"type\":\"integer\",\"maximum\":-17,\"minimum\":-203}",
     {"-17", "-99", "-100", "-203"},
     {"-16", "-204", "17", "-1", "0", "-2030"}},
    {"numbers between bounds",
     "{\"type\":\"number\",\"minimum\":0.25,\"maximum\":1.5}",
     {"0.25", "0.250", "0.3", "1", "1.0", "1.5", "1.50", "1.49999"},
     {"0", "0.2", "0.249", "1.51", "1.500001", "2", "-1", "1e0", "15"}},
    {"numbers strictly between bounds",
     "{\"type\":\"number\",\"exclusiveMinimum\":-0.5,\"exclusiveMaximum\":0}",
     {"-0.4", "-0.49999", "-0.001"},
     {"0", "-0", "-0.0", "-0.5", "-0.50", "-0.51", "-1", "0.1"}},
    {"bounds as small as numbers get",
     "{\"type\":\"number\",\"minimum\":0,\"maximum\":1e-300}",
     {"0", "0.0"},
     {"0.1", "0.00000001", "1"}},
    {"members in order, optional ones left out",
     "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"boolean\"},\"c\":{\"const\":1}},\"required\":[\"b\"]}",
     {"{\"b\":true}", "{\"a\":null,\"b\":false}", "{ \"a\": null, \"b\": true, \"c\": 1 }", "{\"b\":true,\"c\":1}",
      "{\n\t\"b\": true\n}"},
     {"{}", "{\"a\":null}", "{\"b\":true,\"a\":null}", "{\"b\":1}", "{\"b\":true,}", "{\"b\":true,\"d\":1}",
      "{\"b\":true,\"b\":true}", "{\"b\" :true}", "{\"b\":true  }"}},
    {"additional members have other names",
     "{\"properties\":{\"ab\":{\"const\":1},\"é\":{\"const\":2}},\"additionalProperties\":{\"type\":\"null\"}}",
     {"{}", "{\"ab\":1}", "{\"a\":null}", "{\"abc\":null,\"\":null}", "{\"ab\":1,\"x\":null}", "{\"è\":null}",
      "{\"é\":2,\"éé\":null}"},
     {"{\"ab\":null}", "{\"a\":1}", "{\"é\":null}", "{\"x\":null,\"ab\":1}", "{\"a\\u0062\":null}",
      "{\"a\":null,\"ab\":null}"}},
    {"required members that no property describes",
     "{\"type\":\"object\",\"required\":[\"k\"],\"additionalProperties\":{\"type\":\"integer\"}}",
     {"{\"k\":1}", "{\"k\":1,\"x\":2}"},
     {"{}", "{\"x\":1}", "{\"k\":null}"}},
    {"arrays between bounds",
     "{\"type\":\"array\",\"items\":{\"enum\":[1,2]},\"minItems\":1,\"maxItems\":3}",
     {"[1]", "[1, 2]", "[2,1,1]", "[ 1 ]", "[\n  1,\n  2\n]"},
     {"[]", "[1,2,1,2]", "[3]", "[1,]", "[,1]", "[1 2]", "[1 ,2]"}},
    {"arrays of any length",
     "{\"type\":\"array\",\"items\":{\"const\":0}}",
     {"[]", "[0]", "[0,0,0,0,0,0]", "[ ]"},
     {"[1]", "[0,]", "[0", "[  ]"}},
    {"arrays whose first elements differ",
     "{\"type\":\"array\",\"prefixItems\":[{\"const\":\"a\"},{\"type\":\"boolean\"}],\"items\":{\"const\":7},\"minItems\":1}",
     {"[\"a\"]", "[\"a\",true]", "[\"a\",false,7,7]"},
     {"[]", "[true]", "[\"a\",7]", "[\"a\",true,8]"}},
    {"arrays that end with their prefix",
     "{\"type\":\"array\",\"prefixItems\":[{\"const\":1},{\"const\":2}],\"items\":false,\"minItems\":2}",
     {"[1,2]"},
     {"[1]", "[1,2,3]", "[]"}},
    {"an array that must be empty", "{\"type\":\"array\",\"maxItems\":0}", {"[]"}, {"[1]", "[null]"}},
    {"given values",
     "{\"enum\":[\"red\",\"red\",\"rot\",\"\\\"\\\\é\",null,12,1,{\"a\":[1.5]}]}",
     {"\"red\"", "\"rot\"", "\"\\\"\\\\é\"", "null", "1", "12", "{\"a\": [1.5]}"},
     {"\"r\"", "\"redd\"", "2", "123", "{}", "\"\\u0072ed\""}},
    {"given values of a type",
     "{\"enum\":[\"a\",1,2.5,null],\"type\":[\"integer\",\"null\"]}",
     {"1", "null"},
     {"\"a\"", "2.5"}},
    {"one of several",
     "{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\",\"maxLength\":1},{\"type\":\"null\"}]}",
     {"12", "\"a\"", "null"},
     {"\"ab\"", "true", "1.5"}},
    {"one of several told apart by a property",
     "{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"},\"x\":{\"type\":\"integer\"}},\"required\":[\"k\",\"x\"]},"
     "{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"b\"}},\"required\":[\"k\"]}]}",
     {"{\"k\":\"a\",\"x\":1}", "{\"k\":\"b\"}"},
     {"{\"k\":\"a\"}", "{\"k\":\"b\",\"x\":1}", "{\"k\":\"c\"}"}},
    {"references, recursive ones too",
     "{\"$ref\":\"#/$defs/tree\",\"$defs\":{\"tree\":{\"type\":\"object\",\"properties\":{\"v\":{\"$ref\":\"#/$defs/x~1y\"},"
     "\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/tree\"}}},\"required\":[\"v\"]},\"x/y\":{\"const\":0}}}",
     {"{\"v\":0}", "{\"v\":0,\"kids\":[]}", "{\"v\":0,\"kids\":[{\"v\":0},{\"v\":0,\"kids\":[{\"v\":0}]}]}"},
     {"{}", "{\"v\":1}", "{\"v\":0,\"kids\":[{}]}", "{\"v\":0,\"kids\":[0]}"}},
    {"a schema that refers to its root",
     "{\"anyOf\":[{\"const\":1},{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}]}",
     {"1", "[]", "[1,[1,[[]]]]"},
     {"[2]", "[", "[[]"}},
    {"several types",
     "{\"type\":[\"string\",\"null\",\"boolean\"]}",
     {"\"\"", "null", "true", "false"},
     {"1", "[]", "tru"}},
    {"types that follow from keywords", "{\"minimum\":3}", {"3", "4.5"}, {"2", "\"a\""}},
    {"keywords of another type say nothing", "{\"type\":\"null\",\"minLength\":3,\"minimum\":5}", {"null"}, {"5"}},
    {"annotations say nothing",
     "{\"$schema\":\"s\",\"$id\":\"i\",\"title\":\"t\",\"description\":\"d\",\"default\":7,\"examples\":[1],\"deprecated\":true,\"x-own\":{},"
     "\"type\":\"boolean\"}",
     {"true"},
     {"7"}},
    {"a pattern with anchors",
     "{\"type\":\"string\",\"pattern\":\"^[A-Z]{2,3}-\\\\d+(\\\\.x)?$\"}",
     {"\"AB-1\"", "\"ABC-12.x\""},
     {"\"A-1\"", "\"ABCD-1\"", "\"AB-\"", "\"AB-1.\"", "\"AB-1 \"", "\"ab-1\"", "\"AB-1.x.x\""}},
    {"a pattern found anywhere",
     "{\"pattern\":\"ab|^x\"}",
     {"\"ab\"", "\"zabz\"", "\"xyz\"", "\"aab\""},
     {"\"\"", "\"a\"", "\"ax\"", "\"a b\""}},
    {"a pattern with characters that JSON escapes",
     "{\"pattern\":\"^[\\\"\\\\\\\\\\n]+$\"}",
     {"\"\\\"\"", "\"\\\\\\n\""},
     {"\"\"", "\"a\"", "\"\\u000a\""}},
    {"a pattern with classes left out",
     "{\"pattern\":\"^[^a-y]\\\\S.$\"}",
     {"\"zzz\"", "\"世界 \"", "\"A\\\"b\""},
     {"\"azz\"", "\"z z\"", "\"zz\"", "\"zz\\n\""}},
    {"a pattern with nested repeats",
     "{\"pattern\":\"^((a|b)*c){2}$\"}",
     {"\"cc\"", "\"abcbac\""},
     {"\"c\"", "\"ab\"", "\"ccc\""}},
    {"dates",
     "{\"format\":\"date\"}",
     {"\"2024-02-28\"", "\"1999-12-31\""},
     {"\"2024-02-30\"", "\"2024-13-01\"", "\"2024-04-31\"", "\"24-01-01\""}},
    {"uuids",
     "{\"type\":\"string\",\"format\":\"uuid\"}",
     {"\"01234567-89ab-cdef-0123-456789abcdef\""},
     {"\"0123\"", "\"g1234567-89ab-cdef-0123-456789abcdef\""}},
    {"the schema true in a member",
     "{\"properties\":{\"a\":true},\"required\":[\"a\"]}",
     {"{\"a\":[1]}", "{\"a\":\"x\"}"},
     {"{}", "{\"a\":}"}},
    {"the schema false in an optional member",
     "{\"properties\":{\"a\":false},\"additionalProperties\":true}",
     {"{}", "{\"b\":1}"},
     {"{\"a\":1}"}},
};

static grammar_words words;

static void fits_and_does_not(void *arg) {
    const fit *f = arg;
    fa_constraint_spec spec = {.json_schema = f->schema};
    for (int i = 0; i < 12 && f->good[i]; i++)
        CHECK(grammar_accepts(&words, &spec, f->good[i]), "%s must fit", f->good[i]);
    for (int i = 0; i < 16 && f->bad[i]; i++)
        CHECK(!grammar_accepts(&words, &spec, f->bad[i]), "%s must not fit", f->bad[i]);
}

/* --- refused schemas --------------------------------------------------------------------------------------------------- */

typedef struct refusal {
    const char *schema;
    fa_status status;
    const char *says;
} refusal;

static const refusal refusals[] = {
    {"{", FA_EINVAL, "json_schema: line 1"},
    {"[]", FA_EINVAL, "json_schema: expected a schema"},
    {"false", FA_EINVAL, "nothing fits the schema false"},
    {"{\"type\":\"text\"}", FA_EINVAL, "json_schema: type: expected null"},
    {"{\"type\":[]}", FA_EINVAL, "type: expected null"},
    {"{\"properties\":{\"a\":{\"items\":{\"not\":{}}}}}", FA_EUNSUPPORTED,
     "json_schema/properties/a/items: not: this keyword is not supported"},
    {"{\"multipleOf\":2}", FA_EUNSUPPORTED, "multipleOf"},
    {"{\"patternProperties\":{}}", FA_EUNSUPPORTED, "patternProperties"},
    {"{\"uniqueItems\":true,\"type\":\"array\"}", FA_EUNSUPPORTED, "uniqueItems"},
    {"{\"if\":{}}", FA_EUNSUPPORTED, "if"},
    {"{\"$ref\":\"#/a\"}", FA_EINVAL, "$ref: '#/a' names nothing"},
    {"{\"$ref\":\"other.json\"}", FA_EUNSUPPORTED, "$ref: 'other.json': only references inside"},
    {"{\"$ref\":\"#\"}", FA_EINVAL, "refers to itself"},
    {"{\"anyOf\":[{\"$ref\":\"#/$defs/a\"},{\"const\":1}],\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#\"},{\"const\":2}]}}}",
     FA_EINVAL, "refers to itself"},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}", FA_EINVAL, "nothing fits"},
    {"{\"$ref\":\"#/$defs/a\",\"minimum\":1,\"$defs\":{\"a\":{}}}", FA_EUNSUPPORTED,
     "minimum: not supported beside $ref"},
    {"{\"anyOf\":[{}],\"type\":\"object\"}", FA_EUNSUPPORTED, "type: not supported beside anyOf"},
    {"{\"anyOf\":[]}", FA_EINVAL, "anyOf: expected an array of schemas"},
    {"{\"allOf\":[{},{}]}", FA_EUNSUPPORTED, "allOf: more than one"},
    {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", FA_EUNSUPPORTED, "a value may fit both 0 and 1"},
    {"{\"enum\":[]}", FA_EINVAL, "enum: expected an array"},
    {"{\"enum\":[1],\"type\":\"string\"}", FA_EINVAL, "no value that is given"},
    {"{\"enum\":[1],\"minimum\":0}", FA_EUNSUPPORTED, "minimum: not supported beside enum"},
    {"{\"type\":\"string\",\"minLength\":-1}", FA_EINVAL, "minLength: expected a whole number"},
    {"{\"type\":\"string\",\"minLength\":\"1\"}", FA_EINVAL, "minLength: expected a whole number"},
    {"{\"type\":\"string\",\"maxLength\":1e300}", FA_ELIMIT, "maxLength"},
    {"{\"type\":\"string\",\"minLength\":3,\"maxLength\":2}", FA_EINVAL, "maxLength: less than minLength"},
    {"{\"type\":\"string\",\"minLength\":3,\"pattern\":\"a\"}", FA_EUNSUPPORTED,
     "minLength: not supported beside pattern"},
    {"{\"pattern\":\"(\"}", FA_EINVAL, "pattern: a group without an end at byte 1"},
    {"{\"pattern\":\"(?=a)\"}", FA_EUNSUPPORTED, "pattern: groups of this kind"},
    {"{\"pattern\":\"a\\\\b\"}", FA_EUNSUPPORTED, "pattern: this escape"},
    {"{\"pattern\":\"(a)\\\\1\"}", FA_EUNSUPPORTED, "pattern: this escape"},
    {"{\"pattern\":\"[b-a]\"}", FA_EINVAL, "runs backwards"},
    {"{\"pattern\":\"*\"}", FA_EINVAL, "nothing to repeat"},
    {"{\"pattern\":\"a{3,2}\"}", FA_EINVAL, "runs backwards"},
    {"{\"pattern\":\"(((((a{999}){999}){999}){999}){999})\"}", FA_ELIMIT, "too large"},
    {"{\"pattern\":\"a^b\"}", FA_EUNSUPPORTED, "anchors inside"},
    {"{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}", FA_EINVAL, "no number is between"},
    {"{\"type\":\"integer\",\"exclusiveMinimum\":3,\"exclusiveMaximum\":4}", FA_EUNSUPPORTED, "no integer"},
    {"{\"type\":\"number\",\"minimum\":1e30}", FA_EUNSUPPORTED, "no number of at most"},
    {"{\"exclusiveMinimum\":true}", FA_EINVAL, "exclusiveMinimum: expected a number"},
    {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"required\":[\"b\"],\"additionalProperties\":false}", FA_EINVAL,
     "required: 'b' may not come"},
    {"{\"type\":\"object\",\"properties\":[]}", FA_EINVAL, "properties: expected an object"},
    {"{\"type\":\"object\",\"required\":[1]}", FA_EINVAL, "required: expected texts"},
    {"{\"type\":\"array\",\"items\":[{}]}", FA_EUNSUPPORTED, "items: a list of schemas is called prefixItems"},
    {"{\"type\":\"array\",\"minItems\":3,\"maxItems\":2}", FA_EINVAL, "maxItems: less than minItems"},
    {"{\"type\":\"array\",\"prefixItems\":[{}],\"items\":false,\"minItems\":2}", FA_EINVAL, "minItems"},
    {"{\"type\":\"array\",\"items\":{\"type\":\"array\",\"maxItems\":100000}}", FA_ELIMIT,
     "json_schema/items: maxItems: 100000"},
};

static void refused_with_a_path(void *arg) {
    const refusal *r = arg;
    fa_constraint_spec spec = {.json_schema = r->schema};
    fa_constraint *c;
    fa_error e = {0};
    fa_status s = fa_constraint_open(&c, &spec, &words.vocabulary, true, NULL, 0, &e);
    CHECK(s == r->status && strstr(e.text, r->says), "status %d, '%s'", s, e.text);
    CHECK(!c);
}

/* --- tool calls -------------------------------------------------------------------------------------------------------- */

#define TOOLS                                                                                                                                  \
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_time\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}},"                    \
    "{\"type\":\"function\",\"function\":{\"name\":\"add\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}," \
    "\"required\":[\"a\"]}}},{\"type\":\"function\",\"function\":{\"name\":\"free\"}}]"
#define CALLS "<｜tool▁calls▁begin｜>"
#define CALL(name, arguments) \
    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>" name "\n```json\n" arguments "\n```<｜tool▁call▁end｜>"
#define ENDS "<｜tool▁calls▁end｜>"

typedef struct tool_fit {
    const char *name;
    fa_constraint_spec spec;
    const char *good[6], *bad[8];
} tool_fit;

static const tool_fit tool_fits[] = {
    {"calls that must come",
     {.tools = TOOLS, .tool_required = true},
     {CALLS CALL("get_time", "{}") ENDS, CALLS CALL("add", "{\"a\": 1}") "\n" CALL("free", "{\"x\":[1]}") ENDS},
     {"", "text", CALLS ENDS, CALLS CALL("add", "{}") ENDS, CALLS CALL("sub", "{}") ENDS,
      "x" CALLS CALL("get_time", "{}") ENDS, CALLS CALL("get_time", "{}"), CALLS CALL("get_time", "{}") ENDS "x"}},
    {"a named function",
     {.tools = TOOLS, .tool = "add"},
     {CALLS CALL("add", "{\"a\":1}") ENDS},
     {"", CALLS CALL("get_time", "{}") ENDS}},
    {"one call alone",
     {.tools = TOOLS, .tool_required = true, .single_call = true},
     {CALLS CALL("get_time", "{}") ENDS},
     {CALLS CALL("get_time", "{}") "\n" CALL("get_time", "{}") ENDS}},
    {"calls that may come",
     {.tools = TOOLS},
     {"", "just text < b", "Let me see. " CALLS CALL("get_time", "{}") ENDS, CALLS CALL("get_time", "{}") ENDS,
      "<｜tool▁calls▁", "<<<｜tool▁outputs"},
     {CALLS "x", "a" CALLS CALL("add", "{}") ENDS, CALLS CALL("get_time", "{}")}},
    {"a value or calls",
     {.tools = TOOLS, .json_schema = "{\"const\":1}"},
     {"1", CALLS CALL("get_time", "{}") ENDS},
     {"2", "", "1" CALLS CALL("get_time", "{}") ENDS}},
    {"a text that begins so",
     {.prefix = "So ü"},
     {"So ü", "So üb < c", "So ü\n"},
     {"", "So", "so ü", "So \xc3", " So ü"}},
    {"a text that begins so behind the reasoning",
     {.prefix = "So", .thinking = true},
     {"</think>So", "hm</think>\n\nSo it is"},
     {"So", "</think>", "hm</think>S", "hm</think>\n\n\nSo"}},
    {"a value behind the reasoning",
     {.json_schema = "{\"const\":1}", .thinking = true},
     {"hm <think> </thin </think>1", "</think>\n\n1"},
     {"1", "</think>", "</think>2", "</think>\n\n\n\n1"}},
    {"text and calls behind the reasoning",
     {.tools = TOOLS, .thinking = true},
     {"a</think>", "a</think>b" CALLS CALL("get_time", "{}") ENDS},
     {"a", "a" CALLS CALL("get_time", "{}") ENDS, "a</think>" CALLS "x"}},
};

static void tools_fit_and_do_not(void *arg) {
    const tool_fit *f = arg;
    grammar_words plain; /* no marks among its tokens, so all is bytes */
    grammar_words_open(&plain, "tokenizer/gpt2");
    for (int i = 0; i < 6 && f->good[i]; i++)
        CHECK(grammar_accepts(&plain, &f->spec, f->good[i]), "'%s' must fit", f->good[i]);
    for (int i = 0; i < 8 && f->bad[i]; i++)
        CHECK(!grammar_accepts(&plain, &f->spec, f->bad[i]), "'%s' must not fit", f->bad[i]);
    grammar_words_close(&plain);
}

static void tools_are_refused(void *arg) {
    (void)arg;
    static const struct {
        fa_constraint_spec spec;
        bool has_tools;
        fa_status status;
        const char *says;
    } table[] = {
        {{.tools = TOOLS}, false, FA_EUNSUPPORTED, "tools: the chat template"},
        {{.tool_required = true}, true, FA_EINVAL, "tools: none are given"},
        {{.tools = "[]"}, true, FA_EINVAL, "tools: expected an array of 1"},
        {{.tools = TOOLS, .prefix = "a"}, true, FA_EINVAL, "prefix: not together"},
        {{.json_schema = "", .prefix = "a"}, true, FA_EINVAL, "prefix: not together"},
        {{.tools = "{"}, true, FA_EINVAL, "tools: line 1"},
        {{.tools = TOOLS, .tool = "sub"}, true, FA_EINVAL, "'sub' is none of tools"},
        {{.tools = "[{\"function\":{\"name\":\"a b\"}}]"}, true, FA_EINVAL, "tools[0].function.name"},
        {{.tools = "[{\"function\":{\"name\":\"a\",\"parameters\":{\"type\":\"array\"}}}]"},
         true,
         FA_EINVAL,
         "tools[0].function.parameters: type"},
        {{.tools = "[{\"function\":{\"name\":\"a\",\"parameters\":{\"properties\":{\"x\":{\"not\":{}}}}}}]"},
         true,
         FA_EUNSUPPORTED,
         "tools[0].function.parameters/properties/x: not"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fa_constraint *c;
        fa_error e = {0};
        fa_status s = fa_constraint_open(&c, &table[i].spec, &words.vocabulary, table[i].has_tools, NULL, 0, &e);
        CHECK(s == table[i].status && strstr(e.text, table[i].says), "%zu: status %d, '%s'", i, s, e.text);
    }
}

int main(int argc, char **argv) {
    enum {
        FITS = sizeof fits / sizeof *fits,
        REFUSALS = sizeof refusals / sizeof *refusals,
        TOOL_FITS = sizeof tool_fits / sizeof *tool_fits
    };
    static check_case cases[FITS + REFUSALS + TOOL_FITS + 1];
    static char names[REFUSALS][128];
    size_t n = 0;
    for (size_t i = 0; i < FITS; i++) cases[n++] = (check_case){fits[i].name, fits_and_does_not, (void *)&fits[i]};
    for (size_t i = 0; i < TOOL_FITS; i++)
        cases[n++] = (check_case){tool_fits[i].name, tools_fit_and_do_not, (void *)&tool_fits[i]};
    cases[n++] = (check_case){"tools that are none are refused", tools_are_refused, NULL};
    for (size_t i = 0; i < REFUSALS; i++) {
        snprintf(names[i], sizeof names[i], "refused: %.100s", refusals[i].schema);
        cases[n++] = (check_case){names[i], refused_with_a_path, (void *)&refusals[i]};
    }
    grammar_words_open(&words, "tokenizer/gpt2");
    int code = check_main(argc, argv, cases, n);
    grammar_words_close(&words);
    return code;
}
