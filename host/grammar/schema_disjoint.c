/* Whether two schemas can never fit the same value, as far as `oneOf` needs to know: by type, by given values, or by a property that
 * both require. What cannot be told is no. */
#include <string.h>

#include "host/grammar/schema_inside.h"

enum { MAX_STEPS = 8, MAX_COMPARED = 10000 }; /* beyond it cannot be told */

static const json_t *follow(const json_t *root, const json_t *schema) {
    for (int i = 0; i < MAX_STEPS && json_object_get(schema, "$ref"); i++) {
        const char *ref = json_string_value(json_object_get(schema, "$ref"));
        schema = ref ? fa_schema_find(root, ref) : NULL;
    }
    return schema;
}

static unsigned types_of(const json_t *schema) {
    static const struct {
        const char *name;
        unsigned bits; /* an integer is a number, and a number may be one */
    } table[] = {{"null", FA_TYPE_NULL},
                 {"boolean", FA_TYPE_BOOLEAN},
                 {"integer", FA_TYPE_INTEGER},
                 {"string", FA_TYPE_STRING},
                 {"array", FA_TYPE_ARRAY},
                 {"object", FA_TYPE_OBJECT},
                 {"number", FA_TYPE_NUMBER | FA_TYPE_INTEGER}};
    const json_t *type = json_object_get(schema, "type");
    size_t n = json_is_array(type) ? json_array_size(type) : 1;
    unsigned types = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_array(type) ? json_array_get(type, i) : type);
        for (size_t k = 0; k < sizeof table / sizeof *table; k++)
            if (name && !strcmp(name, table[k].name)) types |= table[k].bits;
    }
    return types ? types : FA_TYPE_ALL;
}

/* Value i of const or enum; NULL behind the last, or where neither is there. */
static const json_t *given(const json_t *schema, size_t i) {
    const json_t *constant = json_object_get(schema, "const");
    if (constant) return i ? NULL : constant;
    return json_array_get(json_object_get(schema, "enum"), i);
}

static bool same_value(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) == json_number_value(b);
    return json_is_object(a) || json_is_array(a) || json_equal(a, b); /* numbers may hide inside */
}

static bool disjoint_values(const json_t *a, const json_t *b, int *left) {
    if (!given(a, 0) || !given(b, 0)) return false;
    const json_t *x, *y;
    for (size_t i = 0; (x = given(a, i)); i++)
        for (size_t k = 0; (y = given(b, k)); k++)
            if ((*left)-- <= 0 || same_value(x, y)) return false;
    return true;
}

static bool requires(const json_t *schema, const char *name, int *left) {
    const json_t *required = json_object_get(schema, "required");
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *r = json_string_value(json_array_get(required, i));
        if ((*left)-- <= 0) return false;
        if (r && !strcmp(r, name)) return true;
    }
    return false;
}

bool fa_schema_disjoint(const json_t *root, const json_t *a, const json_t *b) {
    a = follow(root, a);
    b = follow(root, b);
    if (!json_is_object(a) || !json_is_object(b)) return false;
    int left = MAX_COMPARED;
    unsigned types = types_of(a) & types_of(b);
    if (!types || disjoint_values(a, b, &left)) return true;
    if (types != FA_TYPE_OBJECT) return false;
    const char *name;
    json_t *x;
    json_object_foreach(json_object_get(a, "properties"), name, x) {
        const json_t *y = json_object_get(json_object_get(b, "properties"), name);
        if (left-- <= 0) return false;
        if (y && disjoint_values(follow(root, x), follow(root, y), &left) && requires(a, name, &left) &&
            requires(b, name, &left))
            return true;
    }
    return false;
}
