#include "host/server/messages.h"

#include <stdlib.h>
#include <string.h>

#include "host/engine/engine.h"
#include "host/server/calls.h"

static bool bad(fa_problem *p, size_t i, const char *field, const char *what) {
    char param[56];
    snprintf(param, sizeof param, "messages[%zu]%s", i, field);
    return fa_problem_set(p, FA_ERROR_MALFORMED, param, "%s: %s", param, what);
}

/* --- one message ------------------------------------------------------------------------------------------------------ */

/* One part of a content: its text to `joined`, a picture to the conversation's; both to `parts`. False with a problem. */
static bool take_part(fa_conversation *c, const json_t *part, size_t i, size_t k, fa_text *joined, json_t *parts,
                      fa_problem *p) {
    const char *type = json_string_value(json_object_get(part, "type"));
    const json_t *text = json_object_get(part, "text");
    if (fa_is_picture(part)) {
        char where[64];
        snprintf(where, sizeof where, "messages[%zu].content[%zu]", i, k);
        if (!fa_picture_add(&c->pictures, c->engine, c->info, part, where, p)) return false;
        if (!json_array_append_new(parts, json_pack("{ss}", "type", "image"))) return true;
    } else {
        if (!type || strcmp(type, "text") != 0 || !json_is_string(text))
            return bad(p, i, ".content", "expected a text, or parts of type text and image_url");
        bool failed = fa_text_append(joined, json_string_value(text), json_string_length(text)) != FA_OK;
        if (!failed && !json_array_append_new(parts, json_pack("{sssO}", "type", "text", "text", text))) return true;
    }
    return fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
}

/* A content of parts: one text, or parts of type text and image where there are pictures; NULL with a problem. */
static json_t *join_parts(fa_conversation *c, const json_t *given, size_t i, fa_problem *p) {
    fa_text joined = {0};
    size_t k, pictures = c->pictures.n;
    json_t *part, *parts = json_array(), *content = NULL;
    json_array_foreach(given, k, part) if (!take_part(c, part, i, k, &joined, parts, p)) break;
    if (k == json_array_size(given))
        content =
            c->pictures.n > pictures ? json_incref(parts) : json_stringn(joined.data ? joined.data : "", joined.n);
    if (!content && !p->set) fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
    json_decref(parts);
    fa_text_free(&joined);
    return content;
}

static bool copy_content(fa_conversation *c, json_t *to, const json_t *message, size_t i, fa_problem *p) {
    json_t *given = json_object_get(message, "content");
    if (!given || json_is_null(given)) return true;
    json_t *content = json_is_array(given) ? join_parts(c, given, i, p) : json_incref(given);
    if (!content) return false;
    const char *role = json_string_value(json_object_get(message, "role"));
    bool shows = json_is_array(content), may = role && !strcmp(role, "user");
    if (shows ? !may : !json_is_string(content)) {
        json_decref(content);
        return bad(p, i, ".content", shows ? "only a user shows pictures" : "expected a text");
    }
    return json_object_set_new(to, "content", content) == 0;
}

/* "prefix": true makes the last message, of the assistant, the beginning of the answer. */
static bool take_prefix(fa_conversation *c, const json_t *messages, size_t i, const json_t *m, fa_problem *p) {
    const json_t *prefix = json_object_get(m, "prefix");
    const char *role = json_string_value(json_object_get(m, "role"));
    if (prefix && !json_is_null(prefix) && !json_is_boolean(prefix))
        return bad(p, i, ".prefix", "expected true or false");
    if (!json_is_true(prefix)) return true;
    if (!c->beta) return bad(p, i, ".prefix", "a prefix is taken by /beta/chat/completions");
    if (i + 1 != json_array_size(messages) || !role || strcmp(role, "assistant") != 0)
        return bad(p, i, ".prefix", "only the last message, of the assistant, can be a prefix");
    c->continues = true;
    return true;
}

static bool check_reasoning(const fa_conversation *c, const json_t *m, size_t i, fa_problem *p) {
    const json_t *reasoning = json_object_get(m, "reasoning_content");
    if (!reasoning || json_is_null(reasoning)) return true;
    if (!json_is_string(reasoning)) return bad(p, i, ".reasoning_content", "expected a text");
    if (!c->reasons || c->continues) return true;
    return bad(p, i, ".reasoning_content",
               "a reasoning model gets the answers of earlier turns without their reasoning");
}

/* A copy with what templates read, in the form they read it. */
static json_t *copy_message(fa_conversation *c, const json_t *messages, size_t i, fa_problem *p) {
    static const char *const kept[] = {"tool_calls", "tool_call_id", "name"};
    const json_t *m = json_array_get(messages, i);
    if (!json_is_object(m)) {
        bad(p, i, "", "expected an object");
        return NULL;
    }
    json_t *copy = json_object(), *role = json_object_get(m, "role");
    bool developer = json_is_string(role) && !strcmp(json_string_value(role), "developer");
    if (role) json_object_set_new(copy, "role", developer ? json_string("system") : json_incref(role));
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
        if (json_object_get(m, kept[k])) json_object_set(copy, kept[k], json_object_get(m, kept[k]));
    if (take_prefix(c, messages, i, m, p) && check_reasoning(c, m, i, p) && copy_content(c, copy, m, i, p)) return copy;
    json_decref(copy);
    return NULL;
}

/* The tools are a system message of their own: templates that know tools join all of them. */
static bool tell_tools(fa_conversation *c, fa_problem *p) {
    char *text = fa_form_describe(c->tools);
    json_t *m = text ? json_pack("{s:s, s:s}", "role", "system", "content", text) : NULL;
    free(text);
    return !json_array_append_new(c->messages, m) ||
           fa_problem_set(p, FA_ERROR_BUSY, NULL, "The server is out of memory");
}

bool fa_messages_read(fa_conversation *c, const json_t *messages, fa_problem *p) {
    size_t n = json_array_size(messages);
    c->messages = json_array();
    if (!n) return fa_problem_set(p, FA_ERROR_MALFORMED, "messages", "messages: expected at least one message");
    if (c->tools && !tell_tools(c, p)) return false;
    for (size_t i = 0; i < n; i++) {
        json_t *copy = copy_message(c, messages, i, p);
        if (!copy) return false;
        json_array_append_new(c->messages, copy);
    }
    if (!c->continues) return true;
    const json_t *last = json_array_get(messages, n - 1);
    c->reasoning = json_object_get(last, "reasoning_content");
    c->content = json_object_get(json_array_get(c->messages, json_array_size(c->messages) - 1), "content");
    json_incref((json_t *)(uintptr_t)c->content);
    json_array_remove(c->messages, json_array_size(c->messages) - 1);
    if (n > 1) return true;
    return fa_problem_set(p, FA_ERROR_MALFORMED, "messages", "messages: a prefix needs a message before it");
}

void fa_messages_free(fa_conversation *c) {
    json_decref(c->messages);
    fa_picture_list_free(&c->pictures);
    if (c->continues) json_decref((json_t *)(uintptr_t)c->content);
    c->messages = NULL;
}

/* --- the prompt --------------------------------------------------------------------------------------------------------- */

static fa_status put(fa_prompt *out, const char *text) {
    return fa_text_append(&out->text, text, strlen(text));
}

static fa_status put_literal(fa_prompt *out, const json_t *text) {
    return fa_prompt_append(out, json_string_value(text), json_string_length(text));
}

/* Not all prompts of a template that thinks end so: after the output of a tool the answer goes on. */
static bool ends_in_think(const fa_text *t) {
    static const char tag[] = "<think>\n";
    return t->n >= sizeof tag - 1 && !memcmp(t->data + t->n - (sizeof tag - 1), tag, sizeof tag - 1);
}

/* What follows the template: a reasoning that was given, and the beginning of the answer. */
static fa_status put_beginning(fa_conversation *c, fa_prompt *out) {
    fa_status s = FA_OK;
    bool thinks = ends_in_think(&out->text), reasoned = c->continues && json_string_length(c->reasoning) > 0;
    bool answered = c->continues && json_string_length(c->content) > 0;
    c->inside = thinks && !(reasoned && answered);
    if (thinks && reasoned) s = put_literal(out, c->reasoning);
    if (c->inside) {
        c->prefix = answered ? c->content : NULL;
        return s;
    }
    if (!s && thinks) s = put(out, "\n</think>\n\n");
    return !s && answered ? put_literal(out, c->content) : s;
}

bool fa_messages_encode(fa_conversation *c, fa_ids *ids, fa_problem *p) {
    const fa_tokenizer *t = fa_engine_tokenizer(c->engine);
    fa_prompt out = {0};
    fa_error e = {0};
    fa_status s =
        fa_chat_render(c->family, c->messages, true, fa_tokenizer_bos_text(t), fa_tokenizer_eos_text(t), &out, &e);
    if (!s && (s = put_beginning(c, &out))) fa_fail(&e, s, "messages: memory ran out");
    fa_encode_options options = {
        .prefix = !fa_chat_prints_bos(c->family), .literal = out.literal, .n_literal = out.n_literal};
    if (!s) s = fa_encode(t, out.text.data, out.text.n, &options, ids, &e);
    if (!s) s = fa_engine_expand_pictures(c->engine, ids, &e);
    fa_prompt_free(&out);
    return s ? fa_problem_of(p, s, "messages", e.text) : true;
}
