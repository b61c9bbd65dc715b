#include "host/grammar/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/grammar/schema.h"
#include "host/text/tool_calls.h"

enum { MAX_TOOLS = 128, MAX_TOOL_NAME = 64 };

static const char think_end[] = "</think>";

typedef struct maker {
    fa_grammar *g;
    fa_schema_builder *schemas;
    const fa_constraint_spec *spec;
    const fa_vocabulary *vocabulary;
    json_t *schema, *tools; /* owned */
    fa_error *e;
} maker;

static int32_t text(maker *m, const char *t, int32_t next) {
    return fa_node_text(m->g, t, strlen(t), next);
}

/* --- free text ---------------------------------------------------------------------------------------------------------- */

/* Any text, then `next`. */
static int32_t any_text(maker *m, int32_t next) {
    fa_grammar *g = m->g;
    int32_t loop = fa_node_loop(g, next);
    int32_t more = fa_node_range(g, 0, 255, loop);
    fa_node_close(g, loop, fa_node_either(g, more, fa_node_marker(g, -1, loop)));
    return loop;
}

/* Any text up to and with `mark`, which is written as bytes: the automaton of Knuth, Morris and Pratt (1977), whose state i has seen
 * the first i bytes of the mark. `may_end`: the answer may end before it. */
static int32_t until_text(maker *m, const char *mark, bool may_end, int32_t next) {
    fa_grammar *g = m->g;
    int n = (int)strlen(mark);
    int32_t state[32] = {0};
    int32_t end = may_end ? fa_node_end(g) : FA_NO_NODE;
    int32_t other = fa_node_marker(g, -1, fa_node_end(g)); /* a node to be pointed at the beginning below */
    for (int i = 0; i < n; i++) state[i] = fa_node_loop(g, other);
    for (int i = 0; i < n && !g->status; i++) {
        int32_t ways = end;
        fa_byte_set rest = fa_set_range((fa_byte_set){{0}}, 0, 255);
        for (int k = i; k >= 0; k--) { /* the longest beginning of the mark that ends with this byte */
            unsigned byte = (uint8_t)mark[k];
            bool suffix = !memcmp(mark, mark + i - k, (size_t)k);
            if (!suffix || !fa_set_has(&rest, byte)) continue;
            rest.bits[byte >> 6] &= ~((uint64_t)1 << (byte & 63));
            ways = fa_node_either(g, ways, fa_node_text(g, mark + k, 1, k + 1 == n ? next : state[k + 1]));
        }
        ways = fa_node_either(g, ways, fa_node_set(g, rest, state[0]));
        fa_node_close(g, state[i], ways);
    }
    if (!g->status) g->nodes[other].b = state[0];
    return state[0];
}

/* Any text up to and with the mark, a token `id` or, where it is -1, a text. */
static int32_t until(maker *m, const char *mark, int32_t id, bool may_end, int32_t next) {
    if (id < 0) return until_text(m, mark, may_end, next);
    int32_t ways = fa_node_marker(m->g, id, next);
    return any_text(m, may_end ? fa_node_either(m->g, ways, fa_node_end(m->g)) : ways);
}

/* --- tool calls ----------------------------------------------------------------------------------------------------------- */

static int32_t mark(maker *m, fa_tool_mark which, int32_t next) {
    int32_t id = fa_tool_mark_id(m->vocabulary->tokenizer, which);
    return id >= 0 ? fa_node_marker(m->g, id, next) : text(m, fa_tool_mark_text[which], next);
}

static bool good_name(const char *name) {
    size_t n = name ? strlen(name) : 0;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return n > 0 && n <= MAX_TOOL_NAME && strspn(name, letters) == n;
}

/* One tool: its name and arguments, up to the end of the call. */
static fa_status tool(maker *m, size_t i, int32_t next, int32_t *out, bool *chosen) {
    const json_t *function = json_object_get(json_array_get(m->tools, i), "function");
    const char *name = json_string_value(json_object_get(function, "name"));
    const json_t *parameters = json_object_get(function, "parameters");
    if (!good_name(name))
        return fa_fail(m->e, FA_EINVAL, "tools[%zu].function.name: expected 1 to %d letters, digits, _ or -", i,
                       MAX_TOOL_NAME);
    *chosen = !m->spec->tool || !strcmp(m->spec->tool, name);
    if (!*chosen) return FA_OK;
    int32_t arguments = fa_schema_any_object(m->schemas);
    if (parameters && !json_is_null(parameters)) {
        char what[64];
        const json_t *type = json_object_get(parameters, "type");
        snprintf(what, sizeof what, "tools[%zu].function.parameters", i);
        if (json_is_string(type) && strcmp(json_string_value(type), "object") != 0)
            return fa_fail(m->e, FA_EINVAL, "%s: type: arguments are an object", what);
        if (json_object_size(parameters) || !json_is_object(parameters)) {
            fa_status s = fa_schema_rule(m->schemas, parameters, what, &arguments, m->e);
            if (s) return s;
        }
    }
    int32_t behind = text(m, fa_tool_arguments_end, mark(m, FA_TOOL_CALL_END, next));
    *out = text(m, name, text(m, fa_tool_arguments_begin, fa_node_call(m->g, arguments, behind)));
    return FA_OK;
}

/* What comes behind the mark that begins calls, up to the one that ends them. */
static fa_status calls(maker *m, int32_t next, int32_t *out) {
    fa_grammar *g = m->g;
    size_t n = json_array_size(m->tools);
    if (n == 0 || n > MAX_TOOLS)
        return fa_fail(m->e, FA_EINVAL, "tools: expected an array of 1 to %d functions", MAX_TOOLS);
    int32_t call = fa_grammar_rule(g), end = fa_node_end(g), tools = FA_NO_NODE;
    for (size_t i = 0; i < n; i++) {
        int32_t one = FA_NO_NODE;
        bool chosen = false;
        fa_status s = tool(m, i, end, &one, &chosen);
        if (s) return s;
        if (chosen) tools = fa_node_either(g, tools, one);
    }
    if (tools == FA_NO_NODE && !g->status)
        return fa_fail(m->e, FA_EINVAL, "tool: '%.80s' is none of tools", m->spec->tool);
    int32_t body = mark(m, FA_TOOL_CALL_BEGIN, text(m, "function", mark(m, FA_TOOL_SEP, tools)));
    if (!g->status) g->rules[call].start = body;
    int32_t ended = mark(m, FA_TOOL_CALLS_END, next), more = ended;
    if (!m->spec->single_call) {
        more = fa_node_loop(g, ended);
        fa_node_close(g, more, text(m, "\n", fa_node_call(g, call, more)));
    }
    *out = fa_node_call(g, call, more);
    return FA_OK;
}

/* --- the answer ------------------------------------------------------------------------------------------------------------- */

static fa_status value(maker *m, int32_t next, int32_t *out) {
    int32_t rule = fa_schema_any_object(m->schemas);
    if (json_object_size(m->schema) || (m->schema && !json_is_object(m->schema))) {
        fa_status s = fa_schema_rule(m->schemas, m->schema, "json_schema", &rule, m->e);
        if (s) return s;
    }
    *out = fa_node_call(m->g, fa_schema_space(m->schemas), fa_node_call(m->g, rule, next));
    return FA_OK;
}

static fa_status answer(maker *m, int32_t *out) {
    const fa_constraint_spec *spec = m->spec;
    int32_t end = fa_node_end(m->g), json = FA_NO_NODE, called = FA_NO_NODE;
    bool must_call = spec->tool_required || spec->tool;
    fa_status s = FA_OK;
    if (spec->json_schema && !(spec->tools && must_call)) s = value(m, end, &json);
    if (!s && spec->tools) s = calls(m, end, &called);
    if (s) return s;
    if (spec->tools) {
        int32_t id = fa_tool_mark_id(m->vocabulary->tokenizer, FA_TOOL_CALLS_BEGIN);
        if (must_call || spec->json_schema)
            called = mark(m, FA_TOOL_CALLS_BEGIN, called);
        else
            called = until(m, fa_tool_mark_text[FA_TOOL_CALLS_BEGIN], id, true, called);
    }
    *out = fa_node_either(m->g, json, called);
    if (spec->prefix) *out = text(m, spec->prefix, any_text(m, end));
    if (!spec->thinking) return FA_OK;
    int32_t id = fa_tokenizer_find(m->vocabulary->tokenizer, think_end);
    if (id >= 0 && !fa_tokenizer_is_added(m->vocabulary->tokenizer, id)) id = -1;
    int32_t line = fa_node_either(m->g, *out, text(m, "\n", *out));
    line = fa_node_either(m->g, *out, text(m, "\n", line));
    *out = until(m, think_end, id, false, line);
    return FA_OK;
}

static fa_status parse(const char *what, const char *json, json_t **out, fa_error *e) {
    json_error_t why;
    if (!json) return FA_OK;
    if (!*json) json = "{}";
    fa_json_watch();
    *out = json_loads(json, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (fa_json_starved()) {
        json_decref(*out);
        *out = NULL;
        return fa_fail(e, FA_ENOMEM, "%s: out of memory", what);
    }
    return *out ? FA_OK : fa_fail(e, FA_EINVAL, "%s: line %d: %s", what, why.line, why.text);
}

fa_status fa_answer_grammar(fa_grammar *g, const fa_constraint_spec *spec, const fa_vocabulary *v, bool has_tools,
                            fa_error *e) {
    maker m = {.g = g, .spec = spec, .vocabulary = v, .e = e};
    if (spec->tools && !has_tools)
        return fa_fail(e, FA_EUNSUPPORTED, "tools: the chat template of this model has no tool calls");
    if ((spec->tool || spec->tool_required) && !spec->tools)
        return fa_fail(e, FA_EINVAL, "tools: none are given to call");
    if (spec->prefix && (spec->json_schema || spec->tools))
        return fa_fail(e, FA_EINVAL, "prefix: not together with a schema or tools");
    fa_status s = parse("json_schema", spec->json_schema, &m.schema, e);
    if (!s) s = parse("tools", spec->tools, &m.tools, e);
    if (!s) s = fa_schema_builder_open(&m.schemas, g, e);
    if (!s) {
        int32_t start = FA_NO_NODE;
        g->root = fa_grammar_rule(g);
        s = answer(&m, &start);
        if (!s && !g->status) g->rules[g->root].start = start;
        if (!s) s = fa_grammar_finish(g, &v->can, e);
        if (s && g->left >= 0) fa_schema_explain(m.schemas, g->left, e);
    }
    fa_schema_builder_close(m.schemas);
    json_decref(m.schema);
    json_decref(m.tools);
    return s;
}
