#include "host/server/calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"

/* --- the request ----------------------------------------------------------------------------------------------------------- */

static bool keep_json(char **to, const json_t *value, fa_problem *p) {
    *to = fa_json_print(value, JSON_COMPACT | JSON_ENCODE_ANY);
    return *to || fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
}

static bool take_format(fa_job *j, const json_t *format, fa_problem *p) {
    if (!format) return true;
    const char *type = json_string_value(json_object_get(format, "type"));
    if (type && !strcmp(type, "text")) return true;
    if (type && !strcmp(type, "json_object")) {
        j->sampling.json_schema = "";
        return true;
    }
    if (!type || strcmp(type, "json_schema") != 0)
        return fa_problem_set(p, FA_ERROR_MALFORMED, "response_format",
                              "response_format.type: expected text, json_object or json_schema");
    const json_t *schema = json_object_get(json_object_get(format, "json_schema"), "schema");
    if (!json_is_object(schema))
        return fa_problem_set(p, FA_ERROR_MALFORMED, "response_format",
                              "response_format.json_schema.schema: expected an object");
    if (!keep_json(&j->schema, schema, p)) return false;
    j->sampling.json_schema = j->schema;
    return true;
}

static const char *name_of(const json_t *tool) {
    return json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
}

static bool check_tools(const json_t *tools, fa_problem *p) {
    size_t i;
    json_t *tool;
    json_array_foreach(tools, i, tool) {
        const char *type = json_string_value(json_object_get(tool, "type"));
        if (!type || strcmp(type, "function") != 0)
            return fa_problem_set(p, FA_ERROR_MALFORMED, "tools", "tools[%zu].type: expected function", i);
        if (!name_of(tool))
            return fa_problem_set(p, FA_ERROR_MALFORMED, "tools", "tools[%zu].function.name: expected a text", i);
    }
    return true;
}

static bool take_named(fa_job *j, const fa_form *f, fa_problem *p) {
    const char *name = name_of(f->tool_choice);
    size_t i;
    json_t *tool;
    if (!name)
        return fa_problem_set(p, FA_ERROR_MALFORMED, "tool_choice",
                              "tool_choice: expected none, auto, required, or a function by its name");
    json_array_foreach(f->tools, i, tool) if (!strcmp(name_of(tool), name)) {
        j->sampling.tool = name;
        return true;
    }
    return fa_problem_set(p, FA_ERROR_MALFORMED, "tool_choice", "tool_choice: tools has no function of this name");
}

/* *none: the tools are there, and must not be called. */
static bool take_choice(fa_job *j, const fa_form *f, bool *none, fa_problem *p) {
    const char *word = json_string_value(f->tool_choice);
    *none = word && !strcmp(word, "none");
    if (!f->tool_choice || *none || (word && !strcmp(word, "auto"))) return true;
    if (!json_array_size(f->tools))
        return fa_problem_set(p, FA_ERROR_MALFORMED, "tool_choice", "tool_choice: there are no tools");
    j->sampling.tool_required = word && !strcmp(word, "required");
    return j->sampling.tool_required || take_named(j, f, p);
}

bool fa_form_take(fa_job *j, const fa_form *f, const json_t **tools_in_prompt, fa_problem *p) {
    bool none;
    *tools_in_prompt = NULL;
    if (!take_format(j, f->response_format, p)) return false;
    if (f->tools && !check_tools(f->tools, p)) return false;
    if (!take_choice(j, f, &none, p)) return false;
    if (none || !json_array_size(f->tools)) return true;
    if (!keep_json(&j->tools, f->tools, p)) return false;
    j->sampling.tools = j->tools;
    j->sampling.single_call = !f->parallel_tool_calls;
    *tools_in_prompt = f->tools;
    return true;
}

char *fa_form_describe(const json_t *tools) {
    char *text = NULL;
    size_t n = 0, i;
    json_t *tool;
    FILE *f = open_memstream(&text, &n);
    if (!f) return NULL;
    fputs("You can call these functions:", f);
    json_array_foreach(tools, i, tool) {
        const json_t *function = json_object_get(tool, "function"),
                     *parameters = json_object_get(function, "parameters");
        const char *description = json_string_value(json_object_get(function, "description"));
        char *schema = parameters ? fa_json_print(parameters, JSON_COMPACT) : NULL;
        fprintf(f, "\n- %s", name_of(tool));
        if (description) fprintf(f, ": %s", description);
        if (schema) fprintf(f, "\n  %s", schema);
        free(schema);
    }
    return fclose(f) ? NULL : text;
}

/* --- the answer ------------------------------------------------------------------------------------------------------------ */

typedef struct sink {
    fa_exchange *x;
    fa_choice *c;
    fa_calls_send *send; /* NULL: a whole answer */
} sink;

static json_t *new_call(const sink *s, const fa_tool_event *e) {
    char id[FA_REQUEST_ID + 24];
    snprintf(id, sizeof id, "call_%s_%d_%d", s->x->id + 4, (int)(s->c - s->x->job->choices), e->call);
    return json_pack("{s:s, s:s, s:{s:s%, s:s}}", "id", id, "type", "function", "function", "name", e->text, e->n,
                     "arguments", "");
}

static fa_status send_call(const sink *s, const fa_tool_event *e) {
    json_t *call =
        e->kind == FA_EVENT_CALL ? new_call(s, e) : json_pack("{s:{s:s%}}", "function", "arguments", e->text, e->n);
    if (!call) return FA_ENOMEM;
    json_object_set_new(call, "index", json_integer(e->call));
    s->send(s->x, s->c, json_pack("{s:[o]}", "tool_calls", call));
    return FA_OK;
}

static fa_status keep_call(const sink *s, const fa_tool_event *e) {
    if (!s->c->calls) s->c->calls = json_array();
    if (e->kind == FA_EVENT_CALL) return json_array_append_new(s->c->calls, new_call(s, e)) ? FA_ENOMEM : FA_OK;
    json_t *function = json_object_get(json_array_get(s->c->calls, (size_t)e->call), "function");
    json_t *before = json_object_get(function, "arguments");
    json_t *after = json_pack("s%+%", json_string_value(before), json_string_length(before), e->text, e->n);
    return json_object_set_new(function, "arguments", after) ? FA_ENOMEM : FA_OK;
}

static fa_status take_event(void *ctx, const fa_tool_event *e) {
    const sink *s = ctx;
    switch (e->kind) {
    case FA_EVENT_CONTENT: return fa_text_append(&s->c->content, e->text, e->n);
    case FA_EVENT_CALL_END: return FA_OK;
    case FA_EVENT_CALL:
    case FA_EVENT_ARGUMENTS: break;
    }
    if (!s->send) return keep_call(s, e);
    return send_call(s, e);
}

fa_status fa_calls_feed(fa_exchange *x, fa_choice *c, int32_t id, const char *text, size_t n, fa_calls_send *send) {
    sink s = {x, c, send};
    return fa_tool_parser_feed(&c->parser, id, text, n, take_event, &s);
}

fa_status fa_calls_end(fa_exchange *x, fa_choice *c, fa_calls_send *send) {
    sink s = {x, c, send};
    return fa_tool_parser_end(&c->parser, take_event, &s);
}
