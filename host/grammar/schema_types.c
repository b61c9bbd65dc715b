/* Texts, numbers, arrays, and values that are given. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/grammar/number.h"
#include "host/grammar/schema_inside.h"
#include "host/grammar/text.h"

static bool is_whole(double x) {
    return floor(x) == x;
}

unsigned fa_schema_type_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_NULL: return FA_TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE: return FA_TYPE_BOOLEAN;
    case JSON_INTEGER: return FA_TYPE_INTEGER | FA_TYPE_NUMBER;
    case JSON_REAL: return is_whole(json_real_value(value)) ? FA_TYPE_INTEGER | FA_TYPE_NUMBER : FA_TYPE_NUMBER;
    case JSON_STRING: return FA_TYPE_STRING;
    case JSON_ARRAY: return FA_TYPE_ARRAY;
    default: return FA_TYPE_OBJECT;
    }
}

/* --- texts ------------------------------------------------------------------------------------------------------------ */

/* Formats that are kept to; others are annotations. A day that some year lacks (29 February) is not written. */
#define DAY "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
#define DATE "[12][0-9]{3}-" DAY
#define TIME "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define OCTET "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define LABEL "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
static const struct {
    const char *name, *pattern;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"uuid", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
    {"ipv4", "^" OCTET "(\\." OCTET "){3}$"},
    {"email", "^[a-z0-9_+-]{1,32}(\\.[a-z0-9_+-]{1,32}){0,3}@" LABEL "(\\." LABEL "){1,4}$"},
    {"hostname", "^" LABEL "(\\." LABEL "){0,4}$"},
};

static fa_status with_pattern(fa_schema_builder *b, int32_t item, const char *keyword, const char *pattern,
                              int32_t close, int32_t *inside) {
    fa_error why = {0};
    fa_status s = fa_pattern_nodes(b->g, pattern, close, inside, &why);
    return s ? fa_schema_fail(b, item, s, keyword, "%.200s", why.text) : FA_OK;
}

static int32_t with_length(fa_schema_builder *b, int32_t least, int32_t most, int32_t close) {
    fa_grammar *g = b->g;
    int32_t node = most < 0 ? fa_node_call(g, b->text_rest, close) : close;
    for (int32_t i = least; i < most && !g->status; i++)
        node = fa_node_either(g, close, fa_node_call(g, b->point, node));
    for (int32_t i = 0; i < least && !g->status; i++) node = fa_node_call(g, b->point, node);
    return node;
}

fa_status fa_schema_text(fa_schema_builder *b, int32_t item, int32_t next, int32_t *out) {
    const json_t *schema = b->items[item].schema, *format = json_object_get(schema, "format");
    const json_t *pattern = json_object_get(schema, "pattern");
    const char *use = json_string_value(pattern), *keyword = "pattern";
    int32_t least, most, inside = FA_NO_NODE, close = fa_node_text(b->g, "\"", 1, next);
    if (pattern && !use) return fa_schema_fail(b, item, FA_EINVAL, "pattern", "expected a text");
    for (size_t i = 0; i < sizeof formats / sizeof *formats && !use; i++)
        if (json_is_string(format) && !strcmp(json_string_value(format), formats[i].name)) {
            use = formats[i].pattern;
            keyword = "format";
        }
    fa_status s = fa_schema_count(b, item, "minLength", 0, &least);
    if (!s) s = fa_schema_count(b, item, "maxLength", -1, &most);
    if (s) return s;
    if (most >= 0 && most < least) return fa_schema_fail(b, item, FA_EINVAL, "maxLength", "less than minLength");
    bool bounded = least > 0 || most >= 0;
    if (use && bounded)
        return fa_schema_fail(b, item, FA_EUNSUPPORTED, least ? "minLength" : "maxLength", "not supported beside %s",
                              keyword);
    if (use)
        s = with_pattern(b, item, keyword, use, close, &inside);
    else
        inside = with_length(b, least, most, close);
    *out = fa_node_text(b->g, "\"", 1, inside);
    return s;
}

/* --- numbers ---------------------------------------------------------------------------------------------------------- */

/* The tighter of a bound and its exclusive kin. `sign` 1: lower bounds. */
static fa_status read_bound(fa_schema_builder *b, int32_t item, const char *const names[2], int sign,
                            const json_t **bound, bool *exclusive) {
    const json_t *schema = b->items[item].schema;
    const json_t *found[2];
    for (int i = 0; i < 2; i++) {
        found[i] = json_object_get(schema, names[i]);
        if (found[i] && !json_is_number(found[i]))
            return fa_schema_fail(b, item, FA_EINVAL, names[i], "expected a number");
    }
    double at = found[0] ? json_number_value(found[0]) : 0, beyond = found[1] ? json_number_value(found[1]) : 0;
    *exclusive = found[1] && (!found[0] || (sign > 0 ? beyond >= at : beyond <= at));
    *bound = *exclusive ? found[1] : found[0];
    return FA_OK;
}

fa_status fa_schema_number(fa_schema_builder *b, int32_t item, bool whole, int32_t next, int32_t *out) {
    static const char *const lower[] = {"minimum", "exclusiveMinimum"}, *const upper[] = {"maximum",
                                                                                          "exclusiveMaximum"};
    fa_number_range r = {.whole = whole};
    fa_status s = read_bound(b, item, lower, 1, &r.least, &r.above);
    if (!s) s = read_bound(b, item, upper, -1, &r.most, &r.below);
    if (s) return s;
    if (!r.least && !r.most) {
        *out = fa_node_call(b->g, whole ? b->integer : b->number, next);
        return FA_OK;
    }
    fa_error why = {0};
    s = fa_number_nodes(b->g, &r, next, out, &why);
    return s ? fa_schema_fail(b, item, s, NULL, "%s", why.text) : FA_OK;
}

/* --- arrays ----------------------------------------------------------------------------------------------------------- */

typedef struct array {
    fa_schema_builder *b;
    const json_t *prefix;
    int32_t item, least, most; /* most < 0: any number */
    int32_t n_prefix;
    int32_t rest;  /* rule of what follows the prefix; -1: nothing may */
    int32_t close; /* node */
} array;

/* Element i and what follows; -1 where there may be none. */
static int32_t element(const array *a, int32_t i, int32_t next) {
    fa_schema_builder *b = a->b;
    int32_t rule = a->rest;
    if (i < a->n_prefix)
        rule =
            fa_schema_part(b, json_array_get(a->prefix, (size_t)i), a->item, (fa_schema_step){"prefixItems", NULL, i});
    if (rule < 0) return FA_NO_NODE;
    int32_t node = fa_node_call(b->g, rule, next);
    return i ? fa_node_text(b->g, ",", 1, fa_node_call(b->g, b->space, node)) : node;
}

static int32_t elements(const array *a) {
    fa_grammar *g = a->b->g;
    int32_t close = fa_node_call(g, a->b->space, a->close), node = close;
    int32_t last = a->most;
    if (last < 0) { /* from here on all elements are alike, and none is the first */
        last = a->least > a->n_prefix ? a->least : a->n_prefix;
        if (last == 0) last = 1;
        node = fa_node_loop(g, close);
        int32_t more = element(a, last, node);
        if (more == FA_NO_NODE)
            node = close;
        else
            fa_node_close(g, node, more);
    }
    for (int32_t i = last - 1; i >= 0 && !g->status; i--) {
        node = element(a, i, node);
        if (i >= a->least) node = fa_node_either(g, i ? close : a->close, node);
    }
    return node;
}

fa_status fa_schema_array(fa_schema_builder *b, int32_t item, int32_t next, int32_t *out) {
    const json_t *schema = b->items[item].schema, *items = json_object_get(schema, "items");
    const json_t *unique = json_object_get(schema, "uniqueItems"), *prefix = json_object_get(schema, "prefixItems");
    if (unique && !json_is_false(unique))
        return fa_schema_fail(b, item, FA_EUNSUPPORTED, "uniqueItems", "this keyword is not supported");
    if (json_is_array(items))
        return fa_schema_fail(b, item, FA_EUNSUPPORTED, "items", "a list of schemas is called prefixItems");
    if (prefix && !json_array_size(prefix))
        return fa_schema_fail(b, item, FA_EINVAL, "prefixItems", "expected an array of schemas, not empty");
    array a = {.b = b, .prefix = prefix, .item = item, .rest = b->any};
    if (json_is_false(items))
        a.rest = -1;
    else if (items)
        a.rest = fa_schema_part(b, items, item, (fa_schema_step){"items", NULL, -1});
    fa_status s = fa_schema_count(b, item, "minItems", 0, &a.least);
    if (!s) s = fa_schema_count(b, item, "maxItems", -1, &a.most);
    if (s) return s;
    if (a.most >= 0 && a.most < a.least) return fa_schema_fail(b, item, FA_EINVAL, "maxItems", "less than minItems");
    if (json_array_size(prefix) > FA_SCHEMA_COUNT)
        return fa_schema_fail(b, item, FA_ELIMIT, "prefixItems", "more than %d schemas", FA_SCHEMA_COUNT);
    a.n_prefix = (int32_t)json_array_size(prefix);
    if (a.rest < 0 && a.least > a.n_prefix)
        return fa_schema_fail(b, item, FA_EINVAL, "minItems", "more than there may be items");
    if (a.rest < 0 && (a.most < 0 || a.most > a.n_prefix)) a.most = a.n_prefix;
    a.close = fa_node_text(b->g, "]", 1, next);
    *out = fa_node_text(b->g, "[", 1, fa_node_call(b->g, b->space, elements(&a)));
    return FA_OK;
}

/* --- const and enum --------------------------------------------------------------------------------------------------- */

enum { MAX_VALUES = 10000 };

fa_status fa_schema_values(fa_schema_builder *b, int32_t item, json_t *const *values, size_t n, unsigned types,
                           int32_t next, int32_t *out) {
    if (n > MAX_VALUES)
        return fa_schema_fail(b, item, FA_ELIMIT, "enum", "%zu values, at most %d are supported", n, MAX_VALUES);
    char **texts = calloc(n, sizeof *texts);
    int32_t kept = 0;
    fa_status s = FA_OK;
    if (!texts) return fa_schema_fail(b, item, FA_ENOMEM, NULL, "out of memory");
    for (size_t i = 0; i < n && !s; i++) {
        if (!(fa_schema_type_of(values[i]) & types)) continue;
        texts[kept] = fa_json_print(values[i], JSON_ENCODE_ANY);
        if (!texts[kept++]) s = fa_schema_fail(b, item, FA_ENOMEM, NULL, "out of memory");
    }
    if (!s && !kept) s = fa_schema_fail(b, item, FA_EINVAL, "type", "no value that is given is of this type");
    if (!s) *out = fa_node_texts(b->g, (const char **)texts, kept, next);
    for (int32_t i = 0; i < kept; i++) free(texts[i]);
    free(texts);
    return s;
}
