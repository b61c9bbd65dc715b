/* From schemas to rules: every schema that is met gets a rule once, and its body when its turn comes; so recursive schemas need no
 * recursion here. */
#include "host/grammar/schema_inside.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the table of keywords ------------------------------------------------------------------------------------------- */

/* What a keyword is for. A schema that has keywords of a "whole" kind may have no others but annotations. */
typedef enum keyword_kind {
    NOTE = 0, /* says nothing about the value */
    TYPE,
    OF_TYPE, /* of the types in `types` */
    GIVEN,   /* const, enum: beside TYPE alone */
    REFERENCE,
    CHOICE,
    REFUSED,
} keyword_kind;

static const struct keyword {
    const char *name;
    keyword_kind kind;
    unsigned types;
} keywords[] = {
    {"type", TYPE, 0},
    {"const", GIVEN, 0},
    {"enum", GIVEN, 0},
    {"$ref", REFERENCE, 0},
    {"anyOf", CHOICE, 0},
    {"oneOf", CHOICE, 0},
    {"allOf", CHOICE, 0},
    {"minLength", OF_TYPE, FA_TYPE_STRING},
    {"maxLength", OF_TYPE, FA_TYPE_STRING},
    {"pattern", OF_TYPE, FA_TYPE_STRING},
    {"format", OF_TYPE, FA_TYPE_STRING},
    {"minimum", OF_TYPE, FA_TYPE_NUMBER},
    {"maximum", OF_TYPE, FA_TYPE_NUMBER},
    {"exclusiveMinimum", OF_TYPE, FA_TYPE_NUMBER},
    {"exclusiveMaximum", OF_TYPE, FA_TYPE_NUMBER},
    {"items", OF_TYPE, FA_TYPE_ARRAY},
    {"prefixItems", OF_TYPE, FA_TYPE_ARRAY},
    {"minItems", OF_TYPE, FA_TYPE_ARRAY},
    {"maxItems", OF_TYPE, FA_TYPE_ARRAY},
    {"uniqueItems", OF_TYPE, FA_TYPE_ARRAY}, /* false alone */
    {"properties", OF_TYPE, FA_TYPE_OBJECT},
    {"required", OF_TYPE, FA_TYPE_OBJECT},
    {"additionalProperties", OF_TYPE, FA_TYPE_OBJECT},
    {"multipleOf", REFUSED, 0},
    {"contains", REFUSED, 0},
    {"minContains", REFUSED, 0},
    {"maxContains", REFUSED, 0},
    {"additionalItems", REFUSED, 0},
    {"unevaluatedItems", REFUSED, 0},
    {"unevaluatedProperties", REFUSED, 0},
    {"patternProperties", REFUSED, 0},
    {"propertyNames", REFUSED, 0},
    {"minProperties", REFUSED, 0},
    {"maxProperties", REFUSED, 0},
    {"dependencies", REFUSED, 0},
    {"dependentRequired", REFUSED, 0},
    {"dependentSchemas", REFUSED, 0},
    {"if", REFUSED, 0},
    {"then", REFUSED, 0},
    {"else", REFUSED, 0},
    {"not", REFUSED, 0},
    {"$dynamicRef", REFUSED, 0},
    {"$recursiveRef", REFUSED, 0},
};

static const struct keyword *find_keyword(const char *name) {
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (!strcmp(keywords[i].name, name)) return &keywords[i];
    return NULL;
}

/* What a schema has: for each kind the last keyword of it, and the types that the keywords are for. */
typedef struct contents {
    const char *of_kind[REFUSED + 1];
    unsigned types;
} contents;

static fa_status read_keywords(fa_schema_builder *b, int32_t item, contents *c) {
    const char *name;
    json_t *value;
    *c = (contents){0};
    json_object_foreach((json_t *)b->items[item].schema, name, value) {
        const struct keyword *k = find_keyword(name);
        if (!k) continue;
        if (k->kind == REFUSED) return fa_schema_fail(b, item, FA_EUNSUPPORTED, name, "this keyword is not supported");
        if (k->kind == CHOICE && c->of_kind[CHOICE])
            return fa_schema_fail(b, item, FA_EUNSUPPORTED, name, "not supported beside %s", c->of_kind[CHOICE]);
        c->of_kind[k->kind] = k->name;
        c->types |= k->types;
    }
    static const struct {
        keyword_kind whole, beside;
    } apart[] = {{REFERENCE, TYPE}, {REFERENCE, OF_TYPE}, {REFERENCE, GIVEN}, {REFERENCE, CHOICE},
                 {CHOICE, TYPE},    {CHOICE, OF_TYPE},    {CHOICE, GIVEN},    {GIVEN, OF_TYPE}};
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++) {
        const char *whole = c->of_kind[apart[i].whole], *beside = c->of_kind[apart[i].beside];
        if (whole && beside) return fa_schema_fail(b, item, FA_EUNSUPPORTED, beside, "not supported beside %s", whole);
    }
    return FA_OK;
}

/* --- paths and errors ------------------------------------------------------------------------------------------------ */

/* Writes the path of an item as a JSON pointer behind the name of its schema; returns its length. */
static size_t put_path(const fa_schema_builder *b, int32_t item, char *out, size_t room) {
    int32_t chain[64] = {0}, n = 0;
    for (; item >= 0 && n < 64; item = b->items[item].above) chain[n++] = item;
    size_t used = 0;
    *out = 0;
    if (item >= 0) used += (size_t)snprintf(out, room, "...");
    while (n-- && used < room) {
        const fa_schema_item *x = &b->items[chain[n]];
        const char *slash = x->above < 0 ? "" : "/";
        if (x->step) used += (size_t)snprintf(out + used, room - used, "%s%s", slash, x->step);
        if (x->key && used < room) used += (size_t)snprintf(out + used, room - used, "/%.40s", x->key);
        if (x->index >= 0 && used < room) used += (size_t)snprintf(out + used, room - used, "/%d", x->index);
    }
    return used < room ? used : room - 1;
}

fa_status fa_schema_fail(const fa_schema_builder *b, int32_t item, fa_status s, const char *keyword, const char *fmt,
                         ...) {
    char path[256], text[256];
    va_list args;
    put_path(b, item, path, sizeof path);
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return fa_fail(b->e, s, "%s: %s%s%s", path, keyword ? keyword : "", keyword ? ": " : "", text);
}

void fa_schema_explain(const fa_schema_builder *b, int32_t rule, fa_error *e) {
    char path[256];
    for (int32_t i = 0; i < b->n_items; i++) {
        if (b->items[i].rule != rule) continue;
        put_path(b, i, path, sizeof path);
        if (e) fa_error_prefix(e, e->status, "%s", path);
        return;
    }
}

/* --- items ------------------------------------------------------------------------------------------------------------ */

static fa_schema_slot *slot_of(fa_schema_builder *b, const json_t *schema, const json_t *root) {
    size_t h = ((size_t)schema >> 4) * 0x9e3779b97f4a7c15u ^ ((size_t)root >> 4);
    for (h ^= h >> 32;; h++) {
        fa_schema_slot *s = &b->slots[h & (size_t)(b->n_slots - 1)];
        if (!s->schema || (s->schema == schema && s->root == root)) return s;
    }
}

static bool grow_slots(fa_schema_builder *b) {
    fa_schema_slot *old = b->slots;
    int32_t n_old = b->n_slots;
    fa_schema_slot *bigger = calloc((size_t)n_old * 2 + 256, sizeof *bigger);
    if (!bigger) return false;
    b->slots = bigger;
    b->n_slots = n_old ? n_old * 2 : 256;
    for (int32_t i = 0; i < n_old; i++)
        if (old[i].schema) *slot_of(b, old[i].schema, old[i].root) = old[i];
    free(old);
    return true;
}

/* The item of a schema, a new one where it was not met yet; -1 when memory ran out. `true` and `false` are one value wherever they
 * stand, so they are not looked up: their paths differ. */
static int32_t item_of(fa_schema_builder *b, const fa_schema_item *x) {
    if (b->n_items * 2 >= b->n_slots && !grow_slots(b)) return -1;
    fa_schema_slot *slot = slot_of(b, x->schema, x->root);
    if (slot->schema && !json_is_boolean(x->schema)) return slot->item;
    if (b->n_items == b->item_room) {
        int32_t room = b->item_room * 2 + 64;
        fa_schema_item *more = realloc(b->items, (size_t)room * sizeof *more);
        if (!more) return -1;
        b->items = more;
        b->item_room = room;
    }
    b->items[b->n_items] = *x;
    b->items[b->n_items].rule = fa_grammar_rule(b->g);
    if (!json_is_boolean(x->schema)) *slot = (fa_schema_slot){x->schema, x->root, b->n_items};
    return b->n_items++;
}

int32_t fa_schema_part(fa_schema_builder *b, const json_t *schema, int32_t above, fa_schema_step step) {
    if (json_is_true(schema)) return b->any;
    const fa_schema_item x = {.schema = schema,
                              .root = b->items[above].root,
                              .above = above,
                              .step = step.keyword,
                              .key = step.key,
                              .index = step.index};
    int32_t i = item_of(b, &x);
    if (i < 0) b->g->status = FA_ENOMEM;
    return i < 0 ? 0 : b->items[i].rule;
}

fa_status fa_schema_count(fa_schema_builder *b, int32_t item, const char *keyword, int32_t fallback, int32_t *out) {
    const json_t *value = json_object_get(b->items[item].schema, keyword);
    *out = fallback;
    if (!value) return FA_OK;
    double n = json_is_number(value) ? json_number_value(value) : -1;
    if (n < 0 || floor(n) != n)
        return fa_schema_fail(b, item, FA_EINVAL, keyword, "expected a whole number that is not negative");
    if (n > FA_SCHEMA_COUNT)
        return fa_schema_fail(b, item, FA_ELIMIT, keyword, "%.0f is more than the %d that are supported", n,
                              FA_SCHEMA_COUNT);
    *out = (int32_t)n;
    return FA_OK;
}

/* --- references and choices ------------------------------------------------------------------------------------------- */

const json_t *fa_schema_find(const json_t *root, const char *ref) {
    const json_t *at = root;
    if (*ref != '#') return NULL;
    for (ref++; *ref && at;) {
        char key[256];
        size_t n = 0;
        if (*ref++ != '/') return NULL;
        for (; *ref && *ref != '/'; ref++) {
            if (n + 1 >= sizeof key) return NULL;
            bool escaped = ref[0] == '~' && (ref[1] == '0' || ref[1] == '1');
            key[n++] = escaped ? (ref[1] == '1' ? '/' : '~') : *ref;
            ref += escaped;
        }
        key[n] = 0;
        char *end;
        unsigned long index = strtoul(key, &end, 10);
        at = json_is_array(at) ? (*key && !*end ? json_array_get(at, index) : NULL) : json_object_get(at, key);
    }
    return at;
}

static fa_status make_reference(fa_schema_builder *b, int32_t item, int32_t end, int32_t *out) {
    const fa_schema_item *x = &b->items[item];
    const char *ref = json_string_value(json_object_get(x->schema, "$ref"));
    if (!ref) return fa_schema_fail(b, item, FA_EINVAL, "$ref", "expected a text");
    const json_t *target = fa_schema_find(x->root, ref);
    if (!target && *ref == '#')
        return fa_schema_fail(b, item, FA_EINVAL, "$ref", "'%.80s' names nothing in the schema", ref);
    if (!target)
        return fa_schema_fail(b, item, FA_EUNSUPPORTED, "$ref",
                              "'%.80s': only references inside the schema (#/...) are supported", ref);
    *out = fa_node_call(b->g, fa_schema_part(b, target, item, (fa_schema_step){"$ref", NULL, -1}), end);
    return FA_OK;
}

enum { MAX_EXCLUSIVE = 64 }; /* each is compared with each */

static fa_status make_choice(fa_schema_builder *b, int32_t item, const char *keyword, int32_t end, int32_t *out) {
    const json_t *root = b->items[item].root, *list = json_object_get(b->items[item].schema, keyword);
    size_t n = json_array_size(list);
    if (n == 0) return fa_schema_fail(b, item, FA_EINVAL, keyword, "expected an array of schemas, not empty");
    if (n > FA_SCHEMA_ALTERNATIVES)
        return fa_schema_fail(b, item, FA_ELIMIT, keyword, "%zu schemas, at most %d are supported", n,
                              FA_SCHEMA_ALTERNATIVES);
    if (!strcmp(keyword, "oneOf") && n > MAX_EXCLUSIVE)
        return fa_schema_fail(b, item, FA_ELIMIT, keyword, "%zu schemas, at most %d are supported", n, MAX_EXCLUSIVE);
    if (!strcmp(keyword, "allOf") && n > 1)
        return fa_schema_fail(b, item, FA_EUNSUPPORTED, keyword, "more than one schema is not supported");
    for (size_t i = 0; i < n && !strcmp(keyword, "oneOf"); i++)
        for (size_t k = 0; k < i; k++)
            if (!fa_schema_disjoint(root, json_array_get(list, k), json_array_get(list, i)))
                return fa_schema_fail(b, item, FA_EUNSUPPORTED, keyword,
                                      "a value may fit both %zu and %zu; tell them apart by type or by a required "
                                      "property with const, or use anyOf",
                                      k, i);
    for (size_t i = 0; i < n; i++) {
        int32_t rule = fa_schema_part(b, json_array_get(list, i), item, (fa_schema_step){keyword, NULL, (int32_t)i});
        *out = fa_node_either(b->g, *out, fa_node_call(b->g, rule, end));
    }
    return FA_OK;
}

/* --- types ------------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    unsigned bit;
} type_names[] = {{"null", FA_TYPE_NULL},     {"boolean", FA_TYPE_BOOLEAN}, {"integer", FA_TYPE_INTEGER},
                  {"number", FA_TYPE_NUMBER}, {"string", FA_TYPE_STRING},   {"array", FA_TYPE_ARRAY},
                  {"object", FA_TYPE_OBJECT}};

static fa_status read_type(fa_schema_builder *b, int32_t item, const json_t *value, unsigned *types) {
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++)
        if (json_is_string(value) && !strcmp(json_string_value(value), type_names[i].name)) {
            *types |= type_names[i].bit;
            return FA_OK;
        }
    return fa_schema_fail(b, item, FA_EINVAL, "type",
                          "expected null, boolean, integer, number, string, array or object, or a list of them");
}

/* The types a value may have: those that `type` names, else those that the keywords are about, else all. */
static fa_status read_types(fa_schema_builder *b, int32_t item, const contents *c, unsigned *types) {
    const json_t *type = json_object_get(b->items[item].schema, "type");
    *types = 0;
    if (!type) {
        *types = c->types ? c->types : FA_TYPE_ALL;
        return FA_OK;
    }
    if (!json_is_array(type)) return read_type(b, item, type, types);
    if (!json_array_size(type)) return read_type(b, item, NULL, types);
    fa_status s = FA_OK;
    for (size_t i = 0; i < json_array_size(type) && !s; i++) s = read_type(b, item, json_array_get(type, i), types);
    return s;
}

static fa_status make_types(fa_schema_builder *b, int32_t item, unsigned types, int32_t end, int32_t *out) {
    fa_grammar *g = b->g;
    static const char *const words[] = {"null", "true", "false"};
    int32_t all = FA_NO_NODE, one = FA_NO_NODE;
    fa_status s = FA_OK;
    for (int i = 0; i < 3; i++)
        if (types & (i ? FA_TYPE_BOOLEAN : FA_TYPE_NULL))
            all = fa_node_either(g, all, fa_node_text(g, words[i], strlen(words[i]), end));
    if (types & (FA_TYPE_NUMBER | FA_TYPE_INTEGER)) {
        s = fa_schema_number(b, item, !(types & FA_TYPE_NUMBER), end, &one);
        all = fa_node_either(g, all, one);
    }
    static const struct {
        unsigned type;
        fa_status (*make)(fa_schema_builder *, int32_t, int32_t, int32_t *);
    } makers[] = {
        {FA_TYPE_STRING, fa_schema_text}, {FA_TYPE_ARRAY, fa_schema_array}, {FA_TYPE_OBJECT, fa_schema_object}};
    for (size_t i = 0; i < sizeof makers / sizeof *makers && !s; i++) {
        if (!(types & makers[i].type)) continue;
        s = makers[i].make(b, item, end, &one);
        all = fa_node_either(g, all, one);
    }
    *out = all;
    return s;
}

static fa_status make_given(fa_schema_builder *b, int32_t item, const contents *c, int32_t end, int32_t *out) {
    const json_t *schema = b->items[item].schema;
    const json_t *list = json_object_get(schema, "enum"), *constant = json_object_get(schema, "const");
    unsigned types;
    fa_status s = read_types(b, item, c, &types);
    if (s) return s;
    if (list && constant) return fa_schema_fail(b, item, FA_EUNSUPPORTED, "const", "not supported beside enum");
    size_t n = constant ? 1 : json_array_size(list);
    if (n == 0) return fa_schema_fail(b, item, FA_EINVAL, "enum", "expected an array that is not empty");
    json_t **values = malloc(n * sizeof *values);
    if (!values) return fa_schema_fail(b, item, FA_ENOMEM, NULL, "out of memory");
    for (size_t i = 0; i < n; i++) values[i] = (json_t *)(constant ? constant : json_array_get(list, i));
    s = fa_schema_values(b, item, values, n, types, end, out);
    free(values);
    return s;
}

/* The body of an item's rule. */
static fa_status make_item(fa_schema_builder *b, int32_t item) {
    const json_t *schema = b->items[item].schema;
    if (json_is_false(schema)) return fa_schema_fail(b, item, FA_EINVAL, NULL, "nothing fits the schema false");
    contents c = {0};
    fa_status s = FA_OK;
    if (!json_is_true(schema)) {
        if (!json_is_object(schema)) return fa_schema_fail(b, item, FA_EINVAL, NULL, "expected a schema: an object");
        s = read_keywords(b, item, &c);
    }
    int32_t end = fa_node_end(b->g), start = FA_NO_NODE;
    unsigned types = FA_TYPE_ALL;
    if (s) return s;
    if (c.of_kind[REFERENCE])
        s = make_reference(b, item, end, &start);
    else if (c.of_kind[CHOICE])
        s = make_choice(b, item, c.of_kind[CHOICE], end, &start);
    else if (c.of_kind[GIVEN])
        s = make_given(b, item, &c, end, &start);
    else if (!c.of_kind[TYPE] && !c.types)
        start = fa_node_call(b->g, b->any, end);
    else if (!(s = read_types(b, item, &c, &types)))
        s = make_types(b, item, types, end, &start);
    if (!s && !b->g->status) b->g->rules[b->items[item].rule].start = start;
    return s;
}

fa_status fa_schema_rule(fa_schema_builder *b, const json_t *schema, const char *what, int32_t *rule, fa_error *e) {
    b->e = e;
    if (b->n_what == (int32_t)(sizeof b->what / sizeof *b->what))
        return fa_fail(e, FA_ELIMIT, "%s: more than %d schemas", what, b->n_what);
    char *name = b->what[b->n_what] = strdup(what);
    if (!name) return fa_fail(e, FA_ENOMEM, "grammar: out of memory");
    b->n_what++;
    int32_t item =
        item_of(b, &(fa_schema_item){.schema = schema, .root = schema, .above = -1, .step = name, .index = -1});
    if (item < 0) return fa_fail(e, FA_ENOMEM, "grammar: out of memory");
    *rule = b->items[item].rule;
    fa_status s = FA_OK;
    for (; b->done < b->n_items && !s; b->done++) {
        if (b->g->status == FA_ELIMIT)
            return fa_schema_fail(b, b->done, FA_ELIMIT, NULL, "too large: an automaton of more than %d nodes",
                                  FA_GRAMMAR_NODES);
        if (b->g->status) return fa_schema_fail(b, b->done, b->g->status, NULL, "out of memory");
        s = make_item(b, b->done);
    }
    return s;
}
