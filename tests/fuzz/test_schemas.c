/* Schemas made at random and schemas made to hurt: each ends in a typed error that says what and where, or in a constraint that never runs
 * into a dead end and whose whole answers are JSON. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/grammar.h"

enum { ROUNDS = 3000, ROOM = 300 };

static grammar_words words;

/* Opens the constraint; on success draws an answer from it. */
static fa_status try_schema(const char *schema, uint64_t seed, fa_error *e) {
    static int32_t ids[ROOM];
    fa_constraint_spec spec = {.json_schema = schema};
    fa_constraint *c;
    check_rng r = {seed};
    char *text = NULL;
    fa_status s = fa_constraint_open(&c, &spec, &words.vocabulary, false, &words.end, 1, e);
    if (s) {
        CHECK(*e->text && e->status == s && !c, "status %d without a text for %.200s", s, schema);
        return s;
    }
    if (grammar_draw(&words, c, &r, 0.6, ids, ROOM, &text) >= 0) {
        json_error_t why;
        json_t *value = json_loads(text, JSON_DECODE_ANY, &why);
        CHECK(value, "%.300s: '%s': %s", schema, text, why.text);
        json_decref(value);
    }
    free(text);
    fa_constraint_close(c);
    return FA_OK;
}

/* --- random schemas ---------------------------------------------------------------------------------------------------- */

static const char *const keywords[] = {"type",
                                       "const",
                                       "enum",
                                       "$ref",
                                       "anyOf",
                                       "oneOf",
                                       "allOf",
                                       "minLength",
                                       "maxLength",
                                       "pattern",
                                       "format",
                                       "minimum",
                                       "maximum",
                                       "exclusiveMinimum",
                                       "exclusiveMaximum",
                                       "items",
                                       "prefixItems",
                                       "minItems",
                                       "maxItems",
                                       "properties",
                                       "required",
                                       "additionalProperties",
                                       "title",
                                       "not",
                                       "$defs",
                                       "uniqueItems"};
static const char *const texts[] = {
    "null", "integer",          "number", "string", "array", "object", "boolean", "#",    "#/$defs/a", "#/properties/a",
    "^a+$", "[^x]{2,3}|(b|c)*", "a{2",    "date",   "uuid",  "a",      "b",       "\"\\", "",          "é"};
static const double numbers[] = {0, 1, 2, 3, -1, 0.5, 1e300, -1e-300, 17, 100000, 9e15};

static json_t *random_value(check_rng *r, int depth);

static json_t *random_list(check_rng *r, int depth, bool schemas) {
    json_t *list = json_array();
    for (uint64_t n = check_u64(r) % 4; n; n--)
        json_array_append_new(list, schemas || check_u64(r) % 2
                                        ? random_value(r, depth - 1)
                                        : json_string(texts[check_u64(r) % (sizeof texts / sizeof *texts)]));
    return list;
}

static json_t *random_value(check_rng *r, int depth) {
    switch (check_u64(r) % (depth > 0 ? 12 : 4)) {
    case 0: return json_string(texts[check_u64(r) % (sizeof texts / sizeof *texts)]);
    case 1: return json_real(numbers[check_u64(r) % (sizeof numbers / sizeof *numbers)]);
    case 2: return json_integer((json_int_t)(check_u64(r) % 7) - 1);
    case 3: return json_boolean(check_u64(r) % 2);
    case 4: return random_list(r, depth, false);
    default: break;
    }
    json_t *schema = json_object();
    for (uint64_t n = 1 + check_u64(r) % 3; n; n--) {
        const char *name = keywords[check_u64(r) % (sizeof keywords / sizeof *keywords)];
        json_t *value = random_value(r, depth - 1);
        if (strstr(name, "Of") || strstr(name, "prefix")) json_decref(value), value = random_list(r, depth, true);
        if (!strcmp(name, "properties") || !strcmp(name, "$defs")) {
            json_t *inside = json_object();
            json_object_set_new(inside, "a", value);
            json_object_set_new(inside, "b", random_value(r, depth - 1));
            value = inside;
        }
        if (!strcmp(name, "type")) json_decref(value), value = json_string(texts[check_u64(r) % 7]);
        json_object_set_new(schema, name, value);
    }
    return schema;
}

static void random_schemas(void *arg) {
    (void)arg;
    int good = 0, bad = 0;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        check_rng r = {seed};
        json_t *schema = random_value(&r, 5);
        char *text = json_dumps(schema, JSON_ENCODE_ANY);
        fa_error e = {0};
        fa_status s = try_schema(text, seed, &e);
        CHECK(s == FA_OK || s == FA_EINVAL || s == FA_EUNSUPPORTED || s == FA_ELIMIT, "status %d for %s", s, text);
        *(s ? &bad : &good) += 1;
        free(text);
        json_decref(schema);
    }
    CHECK(good > ROUNDS / 20 && bad > ROUNDS / 20, "%d good, %d bad", good, bad);
}

/* --- schemas made to hurt -------------------------------------------------------------------------------------------------- */

typedef struct hostile {
    const char *name;
    const char *before, *repeat, *between, *after,
        *end; /* before, `times` repeats (a %d in it is the number), after, `times` ends */
    int times;
    fa_status status;
    const char *says;
} hostile;

static const hostile table[] = {
    {"arrays nested deeper than any stack", "", "{\"items\":", "", "{\"type\":\"null\"}", "}", 1500, FA_OK, NULL},
    {"arrays that must nest deeper than the limit", "", "{\"minItems\":1,\"items\":", "", "{\"type\":\"null\"}", "}",
     1500, FA_EINVAL, "nests without end or deeper"},
    {"JSON deeper than a reader goes", "", "{\"items\":", "", "{}", "}", 5000, FA_EINVAL, "json_schema: line 1"},
    {"a long chain of references", "{\"$ref\":\"#/$defs/0\",\"$defs\":{", "\"%d\":{\"$ref\":\"#/$defs/x\"}", ",",
     ",\"x\":{\"const\":1}}}", "", 20000, FA_OK, NULL},
    {"10000 values", "{\"enum\":[", "\"value %d\"", ",", "]}", "", 10000, FA_OK, NULL},
    {"more values than are supported", "{\"enum\":[", "%d", ",", "]}", "", 10001, FA_ELIMIT, "enum: 10001 values"},
    {"alternatives without number", "{\"anyOf\":[", "{\"const\":%d}", ",", "]}", "", 1000, FA_ELIMIT,
     "anyOf: 1000 schemas"},
    {"alternatives of alternatives", "{\"$defs\":{\"a\":{\"anyOf\":[", "{\"const\":%d}", ",",
     "]}},\"anyOf\":[{\"$ref\":\"#/$defs/a\"},{\"items\":{\"$ref\":\"#/$defs/a\"}}]}", "", 256, FA_OK, NULL},
    {"exclusive alternatives without number", "{\"oneOf\":[", "{\"const\":%d}", ",", "]}", "", 100, FA_ELIMIT,
     "oneOf: 100 schemas"},
    {"properties without number", "{\"properties\":{", "\"p%d\":{}", ",", "}}", "", 5000, FA_ELIMIT,
     "properties: 5000 names"},
    {"optional properties without number", "{\"properties\":{", "\"p%d\":{}", ",", "}}", "", 300, FA_ELIMIT,
     "300 optional"},
    {"200 properties, most of them optional", "{\"properties\":{", "\"p%d\":{\"type\":\"null\"}", ",",
     "},\"required\":[\"p1\"]}", "", 200, FA_OK, NULL},
    {"a text of a million bytes", "{\"const\":\"", "0123456789", "", "\"}", "", 100000, FA_ELIMIT, "too large"},
    {"patterns that repeat repeats", "{\"pattern\":\"^", "(", "", "a){99}){99}){99}){99}$\"}", "", 4, FA_ELIMIT,
     "too large"},
    {"a pattern of open brackets", "{\"pattern\":\"", "(", "", "\"}", "", 3000, FA_ELIMIT, "nested too deep"},
    {"a pattern of many alternatives", "{\"pattern\":\"^(", "a%db", "|", ")$\"}", "", 400, FA_OK, NULL},
    {"a pattern with every range there is", "{\"pattern\":\"^[", "\\\\u%04d-\\\\uffff", "", "]$\"}", "", 2000, FA_OK,
     NULL},
    {"long counts of long counts",
     "{\"type\":\"array\",\"minItems\":60000,\"items\":{\"type\":\"array\",\"maxItems\":60000,\"items\":{\"maxLength\":",
     "6", "", "0000}}}", "", 1, FA_ELIMIT, "too large"},
    {"a name that is long", "{\"properties\":{\"", "name", "", "\":{}}}", "", 1000, FA_ELIMIT, "a name of more than"},
};

static char *build(const hostile *h) {
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    CHECK(f);
    fputs(h->before, f);
    for (int i = 0; i < h->times; i++) {
        if (i) fputs(h->between, f);
        const char *percent = strchr(h->repeat, '%');
        if (percent) {
            int width = percent[1] == '0' ? 4 : 0;
            fprintf(f, "%.*s%0*d%s", (int)(percent - h->repeat), h->repeat, width, i, strchr(percent, 'd') + 1);
        } else {
            fputs(h->repeat, f);
        }
    }
    fputs(h->after, f);
    for (int i = 0; i < h->times && *h->end; i++) fputs(h->end, f);
    fclose(f);
    return text;
}

static void hostile_schema(void *arg) {
    const hostile *h = arg;
    char *text = build(h);
    fa_error e = {0};
    fa_status s = try_schema(text, 1, &e);
    free(text);
    CHECK(s == h->status && (!h->says || strstr(e.text, h->says)), "status %d, '%s'", s, e.text);
}

int main(int argc, char **argv) {
    enum { N = sizeof table / sizeof *table };
    check_case cases[N + 1];
    for (size_t i = 0; i < N; i++) cases[i] = (check_case){table[i].name, hostile_schema, (void *)&table[i]};
    cases[N] = (check_case){"random schemas", random_schemas, NULL};
    grammar_words_open(&words, "tokenizer/qwen2");
    int code = check_main(argc, argv, cases, N + 1);
    grammar_words_close(&words);
    return code;
}
