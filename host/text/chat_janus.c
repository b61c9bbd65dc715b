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

/* The first system text, if there is one. What follows it separates, so only its own beginning is stripped.
 */
static void put_system(fa_chat_writer *w, const char *text, size_t n) {
    strip_left(&text, &n);
    fa_chat_put_literal(w, text, n);
    if (n) fa_chat_put(w, "\n\n");
}

static void put_turn(fa_chat_writer *w, fa_chat_role role, const char *text, size_t n, const char **gap) {
    const fa_chat_turn *turn = &w->family->turn[role];
    strip_left(&text, &n);
    strip_right(text, &n);
    fa_chat_put(w, *gap);
    fa_chat_put(w, turn->before);
    *gap = "";
    if (!n) return;
    fa_chat_put(w, " ");
    fa_chat_put_literal(w, text, n);
    if (role == FA_ROLE_USER)
        *gap = turn->after; /* blank, so it is stripped where nothing follows */
    else
        fa_chat_put(w, turn->after);
}

static fa_status message(const fa_chat_writer *w, size_t i, fa_chat_role *role, const char **text, size_t *n,
                         fa_error *e) {
    fa_status s = fa_chat_role_of(w, i, role, e);
    return s ? s : fa_chat_content(w, i, false, text, n, e);
}

fa_status fa_chat_render_janus(fa_chat_writer *w, bool generation_prompt, fa_error *e) {
    fa_chat_role role, due = FA_ROLE_USER;
    const char *text, *gap = "";
    size_t n, count = json_array_size(w->messages), turns = 0;
    bool has_system = false;
    for (size_t i = 0; i < count && !has_system; i++) {
        fa_status s = message(w, i, &role, &text, &n, e);
        if (s) return s;
        has_system = role == FA_ROLE_SYSTEM;
        if (has_system) put_system(w, text, n);
    }
    for (size_t i = 0; i < count; i++) {
        fa_status s = message(w, i, &role, &text, &n, e);
        if (s) return s;
        if (role == FA_ROLE_SYSTEM) continue;
        if (role != due)
            return fa_fail(e, FA_EFORMAT, "messages[%zu].role: user and assistant must take turns in the template %s",
                           i, w->family->name);
        put_turn(w, role, text, n, &gap);
        due = due == FA_ROLE_USER ? FA_ROLE_ASSISTANT : FA_ROLE_USER;
        turns++;
    }
    if (!turns) return fa_fail(e, FA_EFORMAT, "messages: the template %s needs a user message", w->family->name);
    if (generation_prompt && due == FA_ROLE_ASSISTANT) {
        fa_chat_put(w, gap);
        fa_chat_put(w, w->family->generation);
    }
    return FA_OK;
}
