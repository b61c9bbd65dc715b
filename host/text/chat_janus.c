/* The conversation style of the Janus code: user and assistant take turns, texts are stripped, an empty text
 * is only the role, the first system text stands in front, and the whole is stripped. No BOS is printed:
 * encoding adds it. */
#include <string.h>
#include <utf8proc.h>

#include "host/text/chat_family.h"

/* What Python's str.strip() takes away. */
static bool is_space(utf8proc_int32_t c) {
    if ((c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x1f) || c == 0x85) return true;
    utf8proc_category_t category = utf8proc_category(c);
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
}

static void strip_left(const char **text, size_t *n) {
    utf8proc_int32_t c;
    for (utf8proc_ssize_t k; *n; *text += k, *n -= (size_t)k) {
        k = utf8proc_iterate((const utf8proc_uint8_t *)*text, (utf8proc_ssize_t)*n, &c);
        if (k <= 0 || !is_space(c)) return;
    }
}

static void strip_right(const char *text, size_t *n) {
    utf8proc_int32_t c;
    while (*n) {
        size_t at = *n - 1;
        while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80) at--;
        if (utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(*n - at), &c) <= 0 || !is_space(c))
            return;
        *n = at;
    }
}

/* [from, to) of a message's content, whose texts stay literal. */
static void put_content(fa_chat_writer *w, const fa_prompt *content, size_t from, size_t to) {
    for (size_t k = 0; k <= content->n_literal && from < to; k++) {
        fa_text_range r = k < content->n_literal ? content->literal[k] : (fa_text_range){to, to};
        size_t begin = r.begin < from ? from : r.begin < to ? r.begin : to, end = r.end < to ? r.end : to;
        if (!w->status) w->status = fa_text_append(&w->out->text, content->text.data + from, begin - from);
        if (end > begin) fa_chat_put_literal(w, content->text.data + begin, end - begin);
        from = end > begin ? end : begin;
    }
}

/* The first system text, if there is one. What follows it separates, so only its own beginning is stripped.
 */
static void put_system(fa_chat_writer *w, const fa_prompt *content) {
    const char *text = content->text.data;
    size_t n = content->text.n;
    strip_left(&text, &n);
    put_content(w, content, content->text.n - n, content->text.n);
    if (n) fa_chat_put(w, "\n\n");
}

static void put_turn(fa_chat_writer *w, fa_chat_role role, const fa_prompt *content, const char **gap) {
    const fa_chat_turn *turn = &w->family->turn[role];
    const char *text = content->text.data;
    size_t n = content->text.n;
    strip_left(&text, &n);
    size_t from = content->text.n - n;
    strip_right(text, &n);
    fa_chat_put(w, *gap);
    fa_chat_put(w, turn->before);
    *gap = "";
    if (!n) return;
    fa_chat_put(w, " ");
    put_content(w, content, from, from + n);
    if (role == FA_ROLE_USER)
        *gap = turn->after; /* blank, so it is stripped where nothing follows */
    else
        fa_chat_put(w, turn->after);
}

/* One part of a content: a text, or a picture of the user. */
static fa_status add_part(const fa_chat_writer *w, size_t i, fa_chat_role role, const json_t *part, fa_prompt *content,
                          fa_error *e) {
    const char *type = json_string_value(json_object_get(part, "type"));
    const json_t *text = json_object_get(part, "text");
    fa_status s = FA_OK;
    if (type && !strcmp(type, "text") && json_is_string(text)) {
        s = fa_prompt_append(content, json_string_value(text), json_string_length(text));
    } else if (type && !strcmp(type, "image") && role == FA_ROLE_USER) {
        s = fa_text_append(&content->text, w->family->picture, strlen(w->family->picture));
        if (!s) s = fa_text_append(&content->text, "\n", 1);
    } else {
        return fa_fail(e, FA_EFORMAT, "messages[%zu].content: expected parts of type text, and image from the user", i);
    }
    return s ? fa_fail(e, s, "messages: memory ran out") : FA_OK;
}

/* Role and content of message i; the caller frees the content in every case. */
static fa_status message(const fa_chat_writer *w, size_t i, fa_chat_role *role, fa_prompt *content, fa_error *e) {
    const json_t *given = json_object_get(json_array_get(w->messages, i), "content");
    const char *text;
    size_t n;
    *content = (fa_prompt){0};
    fa_status s = fa_chat_role_of(w, i, role, e);
    if (s) return s;
    if (json_is_array(given)) {
        for (size_t k = 0; k < json_array_size(given) && !s; k++)
            s = add_part(w, i, *role, json_array_get(given, k), content, e);
        return s;
    }
    s = fa_chat_content(w, i, false, &text, &n, e);
    if (!s && fa_prompt_append(content, text, n)) s = fa_fail(e, FA_ENOMEM, "messages: memory ran out");
    return s;
}

static bool has_picture(const json_t *message) {
    const json_t *content = json_object_get(message, "content");
    for (size_t k = 0; k < json_array_size(content); k++) {
        const char *type = json_string_value(json_object_get(json_array_get(content, k), "type"));
        if (type && !strcmp(type, "image")) return true;
    }
    return false;
}

/* The first system message, wherever it stands; without one the family's own where there are pictures. */
static fa_status render_system(fa_chat_writer *w, fa_error *e) {
    fa_chat_role role = FA_ROLE_USER;
    fa_status s = FA_OK;
    bool pictures = false;
    for (size_t i = 0; i < json_array_size(w->messages) && !s && role != FA_ROLE_SYSTEM; i++) {
        fa_prompt content;
        s = message(w, i, &role, &content, e);
        if (!s && role == FA_ROLE_SYSTEM) put_system(w, &content);
        fa_prompt_free(&content);
        pictures |= has_picture(json_array_get(w->messages, i));
    }
    if (s || role == FA_ROLE_SYSTEM || !pictures) return s;
    fa_chat_put(w, w->family->default_system);
    fa_chat_put(w, "\n\n");
    return FA_OK;
}

/* Message i as a turn, in which *due speaks. */
static fa_status render_turn(fa_chat_writer *w, size_t i, fa_chat_role *due, const char **gap, fa_error *e) {
    fa_chat_role role;
    fa_prompt content;
    fa_status s = message(w, i, &role, &content, e);
    if (!s && role != FA_ROLE_SYSTEM && role != *due)
        s = fa_fail(e, FA_EFORMAT, "messages[%zu].role: user and assistant must take turns in the template %s", i,
                    w->family->name);
    if (!s && role != FA_ROLE_SYSTEM) {
        put_turn(w, role, &content, gap);
        *due = role == FA_ROLE_USER ? FA_ROLE_ASSISTANT : FA_ROLE_USER;
    }
    fa_prompt_free(&content);
    return s;
}

fa_status fa_chat_render_janus(fa_chat_writer *w, bool generation_prompt, fa_error *e) {
    fa_chat_role due = FA_ROLE_USER;
    const char *gap = "";
    fa_status s = render_system(w, e);
    bool turns = false;
    for (size_t i = 0; i < json_array_size(w->messages) && !s; i++) {
        size_t before = w->out->text.n;
        s = render_turn(w, i, &due, &gap, e);
        turns |= w->out->text.n > before;
    }
    if (s) return s;
    if (!turns) return fa_fail(e, FA_EFORMAT, "messages: the template %s needs a user message", w->family->name);
    if (generation_prompt && due == FA_ROLE_ASSISTANT) {
        fa_chat_put(w, gap);
        fa_chat_put(w, w->family->generation);
    }
    return FA_OK;
}
