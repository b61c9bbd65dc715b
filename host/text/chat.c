/* Renders conversations. */
#include <stdlib.h>
#include <string.h>

#include "host/text/chat_family.h"

void fa_prompt_free(fa_prompt *p) {
    fa_text_free(&p->text);
    free(p->literal);
    *p = (fa_prompt){0};
}

fa_status fa_prompt_append(fa_prompt *p, const char *text, size_t n) {
    if (!n) return FA_OK;
    if (p->n_literal == p->capacity) {
        size_t capacity = p->capacity * 2 + 16;
        fa_text_range *more = realloc(p->literal, capacity * sizeof *more);
        if (!more) return FA_ENOMEM;
        p->literal = more;
        p->capacity = capacity;
    }
    p->literal[p->n_literal++] = (fa_text_range){p->text.n, p->text.n + n};
    return fa_text_append(&p->text, text, n);
}

/* ---- the writer ---- */

void fa_chat_put(fa_chat_writer *w, const char *text) {
    if (!w->status) w->status = fa_text_append(&w->out->text, text, strlen(text));
}

void fa_chat_put_literal(fa_chat_writer *w, const char *text, size_t n) {
    if (!w->status) w->status = fa_prompt_append(w->out, text, n);
}

/* ---- messages ---- */

static const char *const role_names[FA_ROLE_COUNT] = {"system", "user", "assistant", "tool"};

static bool knows(const fa_chat_family *f, fa_chat_role role) {
    if (role == FA_ROLE_SYSTEM) return true;
    return role == FA_ROLE_TOOL ? f->tools : f->turn[role].before != NULL;
}

fa_status fa_chat_role_of(const fa_chat_writer *w, size_t i, fa_chat_role *role, fa_error *e) {
    const json_t *m = json_array_get(w->messages, i);
    if (!json_is_object(m)) return fa_fail(e, FA_EFORMAT, "messages[%zu]: expected an object", i);
    const json_t *name = json_object_get(m, "role");
    if (!json_is_string(name)) return fa_fail(e, FA_EFORMAT, "messages[%zu].role: expected a text", i);
    for (int r = 0; r < FA_ROLE_COUNT; r++)
        if (!strcmp(json_string_value(name), role_names[r])) {
            *role = (fa_chat_role)r;
            if (knows(w->family, *role)) return FA_OK;
            return fa_fail(e, FA_EFORMAT, "messages[%zu].role: the template %s has no '%s' turns", i, w->family->name,
                           role_names[r]);
        }
    return fa_fail(e, FA_EFORMAT, "messages[%zu].role: expected system, user, assistant or tool", i);
}

fa_status fa_chat_content(const fa_chat_writer *w, size_t i, bool optional, const char **text, size_t *n, fa_error *e) {
    const json_t *content = json_object_get(json_array_get(w->messages, i), "content");
    *text = NULL;
    *n = 0;
    if (optional && (!content || json_is_null(content))) return FA_OK;
    *text = json_string_value(content);
    if (json_is_array(content) && !w->family->picture)
        return fa_fail(e, FA_EFORMAT, "messages[%zu].content: expected a text; the template %s takes no pictures", i,
                       w->family->name);
    if (!*text) {
        fa_fail(e, FA_EFORMAT, "messages[%zu].content: expected a text", i);
        return FA_EFORMAT;
    }
    *n = json_string_length(content);
    return FA_OK;
}

/* ---- families whose turns follow one another freely ---- */

static bool is_system(const json_t *message) {
    const char *role = json_string_value(json_object_get(message, "role"));
    return role && !strcmp(role, role_names[FA_ROLE_SYSTEM]);
}

static void put_default_system(fa_chat_writer *w) {
    size_t n = json_array_size(w->messages), first = 0;
    while (first < n && !is_system(json_array_get(w->messages, first))) first++;
    bool due = w->family->when_default == FA_DEFAULT_IF_NONE        ? first == n
               : w->family->when_default == FA_DEFAULT_IF_NOT_FIRST ? first > 0
                                                                    : false;
    if (due) fa_chat_put(w, w->family->default_system);
}

/* The system texts of families that have them in front. */
static fa_status put_system(fa_chat_writer *w, fa_error *e) {
    const char *text, *last = NULL;
    size_t n, n_last = 0;
    bool first = true;
    for (size_t i = 0; i < json_array_size(w->messages); i++) {
        if (!is_system(json_array_get(w->messages, i))) continue;
        fa_status s = fa_chat_content(w, i, false, &text, &n, e);
        if (s) return s;
        if (w->family->system == FA_SYSTEM_JOINED) {
            if (!first) fa_chat_put(w, "\n\n");
            fa_chat_put_literal(w, text, n);
        }
        first = false;
        last = text;
        n_last = n;
    }
    if (w->family->system == FA_SYSTEM_LAST && last) fa_chat_put_literal(w, last, n_last);
    return FA_OK;
}

/* Skips what precedes the end of the last reasoning block. */
static void strip_think(const char **text, size_t *n) {
    static const char tag[] = "</think>";
    const size_t n_tag = sizeof tag - 1;
    for (const char *at; (at = memmem(*text, *n, tag, n_tag));) {
        *n -= (size_t)(at - *text) + n_tag;
        *text = at + n_tag;
    }
}

static void put_turn(fa_chat_writer *w, fa_chat_role role, const char *text, size_t n) {
    const fa_chat_turn *turn = &w->family->turn[role];
    fa_chat_put(w, turn->before);
    fa_chat_put_literal(w, text, n);
    fa_chat_put(w, turn->after);
    if (turn->eos) fa_chat_put(w, w->eos);
}

static fa_status put_message(fa_chat_writer *w, size_t i, fa_chat_tools *tools, fa_error *e) {
    fa_chat_role role = FA_ROLE_USER;
    const char *text;
    size_t n;
    fa_status s = fa_chat_role_of(w, i, &role, e);
    if (s) return s;
    bool calls = role == FA_ROLE_ASSISTANT && w->family->tools && fa_chat_has_calls(json_array_get(w->messages, i));
    s = fa_chat_content(w, i, calls, &text, &n, e);
    if (s) return s;
    if (calls) return fa_chat_put_calls(w, tools, i, text, n, e);
    if (role == FA_ROLE_SYSTEM && w->family->system != FA_SYSTEM_TURN) return FA_OK;
    if (role == FA_ROLE_TOOL) {
        fa_chat_put_output(w, tools, text, n);
    } else if (role == FA_ROLE_ASSISTANT && tools->in_outputs) {
        fa_chat_end_outputs(w, tools); /* the answer goes on from the outputs, with no new turn */
        fa_chat_put_literal(w, text, n);
        fa_chat_put(w, w->family->turn[role].after);
    } else {
        if (role == FA_ROLE_ASSISTANT && w->family->strips_think) strip_think(&text, &n);
        put_turn(w, role, text, n);
        if (role == FA_ROLE_USER) tools->in_outputs = false;
    }
    return FA_OK;
}

static fa_status render_turns(fa_chat_writer *w, bool generation_prompt, fa_error *e) {
    fa_chat_tools tools = {0};
    put_default_system(w);
    fa_status s = put_system(w, e);
    for (size_t i = 0; i < json_array_size(w->messages) && !s; i++) s = put_message(w, i, &tools, e);
    if (s) return s;
    if (tools.in_outputs)
        fa_chat_end_outputs(w, &tools);
    else if (generation_prompt)
        fa_chat_put(w, w->family->generation);
    return FA_OK;
}

fa_status fa_chat_render(const fa_chat_family *f, const json_t *messages, bool generation_prompt, const char *bos,
                         const char *eos, fa_prompt *out, fa_error *e) {
    fa_chat_writer w = {.family = f, .eos = eos, .messages = messages, .out = out};
    *out = (fa_prompt){0};
    if (!json_is_array(messages) || !json_array_size(messages))
        return fa_fail(e, FA_EFORMAT, "messages: expected an array with at least one message");
    if (f->prints_bos) fa_chat_put(&w, bos);
    fa_status s =
        f->strict_turns ? fa_chat_render_janus(&w, generation_prompt, e) : render_turns(&w, generation_prompt, e);
    if (!s && w.status) s = fa_fail(e, w.status, "messages: memory ran out");
    if (s) fa_prompt_free(out);
    return s;
}
