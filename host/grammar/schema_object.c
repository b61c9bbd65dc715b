/* Objects: members in the order of `properties`, then those that only `required` names, then additional ones. */
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/grammar/schema_inside.h"
#include "host/grammar/text.h"

enum { MAX_NAME = 512, MAX_PROPERTIES = 1024 };

typedef struct member {
    const char *name;
    int32_t rule;
    bool required;
} member;

typedef struct object {
    fa_schema_builder *b;
    int32_t item;
    member *members; /* [n] */
    size_t n;
    int32_t other; /* rule of additional members; -1: none may come */
    int32_t close; /* node of the closing brace */
} object;

static fa_status read_additional(object *o, const json_t *schema) {
    const json_t *additional = json_object_get(schema, "additionalProperties");
    o->other = -1;
    if (!additional) {
        /* a model that may add members of its own seldom stops; where properties are named they are all */
        if (!json_object_size(json_object_get(schema, "properties"))) o->other = o->b->any;
        return FA_OK;
    }
    if (!json_is_false(additional))
        o->other = fa_schema_part(o->b, additional, o->item, (fa_schema_step){"additionalProperties", NULL, -1});
    return FA_OK;
}

static fa_status read_properties(object *o, const json_t *properties) {
    const char *name;
    json_t *schema;
    json_object_foreach((json_t *)properties, name, schema) {
        if (strlen(name) > MAX_NAME)
            return fa_schema_fail(o->b, o->item, FA_ELIMIT, "properties", "a name of more than %d bytes", MAX_NAME);
        if (json_is_false(schema)) continue; /* it may not come; as a required one it is refused below */
        int32_t rule = fa_schema_part(o->b, schema, o->item, (fa_schema_step){"properties", name, -1});
        o->members[o->n++] = (member){name, rule, false};
    }
    return FA_OK;
}

static fa_status read_required(object *o, const json_t *required, const json_t *properties) {
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        if (!name || strlen(name) > MAX_NAME)
            return fa_schema_fail(o->b, o->item, FA_EINVAL, "required", "expected texts of at most %d bytes", MAX_NAME);
        size_t k = 0;
        while (k < o->n && strcmp(o->members[k].name, name) != 0) k++;
        if (k == o->n) {
            if (o->other < 0 || json_object_get(properties, name))
                return fa_schema_fail(o->b, o->item, FA_EINVAL, "required", "'%.80s' may not come", name);
            o->members[o->n++] = (member){name, o->other, true};
        }
        o->members[k].required = true;
    }
    return FA_OK;
}

/* ": value" and what follows. */
static int32_t value(const object *o, int32_t rule, int32_t next) {
    fa_grammar *g = o->b->g;
    int32_t node = fa_node_call(g, rule, next);
    return fa_node_text(g, ":", 1, fa_node_either(g, node, fa_node_text(g, " ", 1, node)));
}

static int32_t comma(const object *o, bool first, int32_t next) {
    fa_grammar *g = o->b->g;
    return first ? next : fa_node_text(g, ",", 1, fa_node_call(g, o->b->space, next));
}

/* Members whose names are none of those that are spoken for. `first`: none came before. */
static fa_status others(const object *o, const json_t *properties, int32_t *behind, int32_t *first) {
    fa_grammar *g = o->b->g;
    int32_t close = fa_node_call(g, o->b->space, o->close);
    *behind = close;
    *first = o->close;
    if (o->other < 0) return FA_OK;
    const char **names = malloc((o->n + json_object_size(properties) + 1) * sizeof *names), *name;
    if (!names) return fa_schema_fail(o->b, o->item, FA_ENOMEM, NULL, "out of memory");
    int32_t n = 0;
    json_t *unused;
    for (size_t i = 0; i < o->n; i++) names[n++] = o->members[i].name;
    json_object_foreach((json_t *)properties, name, unused) if (json_is_false(unused)) names[n++] = name;
    int32_t loop = fa_node_loop(g, close);
    int32_t key = fa_json_other_key(g, names, n, o->b->text_rest, value(o, o->other, loop));
    free(names);
    fa_node_close(g, loop, comma(o, false, key));
    *behind = loop;
    *first = fa_node_either(g, o->close, key);
    return FA_OK;
}

/* From the last member to the first: what may follow behind another member, and what may follow the opening brace. */
static fa_status members(const object *o, const json_t *properties, int32_t *out) {
    fa_grammar *g = o->b->g;
    int32_t behind, first;
    fa_status s = others(o, properties, &behind, &first);
    for (size_t i = o->n; i-- > 0 && !s && !g->status;) {
        const member *m = &o->members[i];
        json_t *name = json_string(m->name);
        char *key = name ? fa_json_print(name, JSON_ENCODE_ANY) : NULL;
        json_decref(name);
        if (!key) return fa_schema_fail(o->b, o->item, FA_ENOMEM, NULL, "out of memory");
        int32_t here = fa_node_text(g, key, strlen(key), value(o, m->rule, behind));
        free(key);
        int32_t next = comma(o, false, here);
        behind = m->required ? next : fa_node_either(g, next, behind);
        first = m->required ? here : fa_node_either(g, here, first);
    }
    *out = first;
    return s;
}

fa_status fa_schema_object(fa_schema_builder *b, int32_t item, int32_t next, int32_t *out) {
    const json_t *schema = b->items[item].schema, *properties = json_object_get(schema, "properties");
    const json_t *required = json_object_get(schema, "required");
    size_t n = json_object_size(properties) + json_array_size(required);
    if (properties && !json_is_object(properties))
        return fa_schema_fail(b, item, FA_EINVAL, "properties", "expected an object");
    if (required && !json_is_array(required))
        return fa_schema_fail(b, item, FA_EINVAL, "required", "expected an array of texts");
    if (n > MAX_PROPERTIES)
        return fa_schema_fail(b, item, FA_ELIMIT, "properties", "%zu names, at most %d are supported", n,
                              MAX_PROPERTIES);
    object o = {.b = b, .item = item, .members = malloc((n + 1) * sizeof *o.members)};
    if (!o.members) return fa_schema_fail(b, item, FA_ENOMEM, NULL, "out of memory");
    o.close = fa_node_text(b->g, "}", 1, next);
    fa_status s = read_additional(&o, schema);
    if (!s) s = read_properties(&o, properties);
    if (!s) s = read_required(&o, required, properties);
    size_t optional = 0;
    for (size_t i = 0; i < o.n && !s; i++) optional += !o.members[i].required;
    if (!s && optional > FA_SCHEMA_ALTERNATIVES)
        s = fa_schema_fail(b, item, FA_ELIMIT, "properties", "%zu optional ones, at most %d are supported", optional,
                           FA_SCHEMA_ALTERNATIVES);
    if (!s) s = members(&o, properties, out);
    free(o.members);
    if (!s) *out = fa_node_text(b->g, "{", 1, fa_node_call(b->g, b->space, *out));
    return s;
}
