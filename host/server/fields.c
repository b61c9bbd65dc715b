#include "host/server/fields.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/base/json.h"

static const char *const kind_names[] = {
    [FA_FIELD_INT] = "a whole number", [FA_FIELD_NUMBER] = "a number", [FA_FIELD_BOOL] = "true or false",
    [FA_FIELD_TEXT] = "a text",        [FA_FIELD_ARRAY] = "an array",  [FA_FIELD_OBJECT] = "an object",
    [FA_FIELD_ANY] = "a value",
};

static bool has_kind(const json_t *v, fa_field_kind kind) {
    switch (kind) {
    case FA_FIELD_INT:
        return json_is_integer(v) || (json_is_real(v) && json_real_value(v) == floor(json_real_value(v)));
    case FA_FIELD_NUMBER: return json_is_number(v);
    case FA_FIELD_BOOL: return json_is_boolean(v);
    case FA_FIELD_TEXT: return json_is_string(v);
    case FA_FIELD_ARRAY: return json_is_array(v);
    case FA_FIELD_OBJECT: return json_is_object(v);
    case FA_FIELD_ANY: return true;
    }
    return false;
}

static bool out_of_range(const fa_field *f, const json_t *v, fa_problem *p) {
    char found[40];
    if (json_is_integer(v))
        snprintf(found, sizeof found, "%lld", (long long)json_integer_value(v));
    else
        snprintf(found, sizeof found, "%.15g", json_real_value(v));
    if (f->kind == FA_FIELD_INT && f->max >= 0x1p63)
        return fa_problem_set(p, FA_ERROR_RANGE, f->name, "%s: %s is not in %.0f .. 9223372036854775807", f->name,
                              found, f->min);
    return fa_problem_set(p, FA_ERROR_RANGE, f->name, "%s: %s is not in %.15g .. %.15g", f->name, found, f->min,
                          f->max);
}

/* Integers are compared as such: a double does not hold them all. */
static bool in_range(const fa_field *f, const json_t *v) {
    double d = json_number_value(v);
    if (json_is_integer(v) && f->max >= 0x1p63) return d >= f->min;
    return d >= f->min && d <= f->max && (f->kind != FA_FIELD_INT || d < 0x1p63);
}

static bool read_one(const fa_field *f, const json_t *v, void *to, fa_problem *p) {
    char *at = (char *)to + f->at;
    if (!has_kind(v, f->kind))
        return fa_problem_set(p, FA_ERROR_MALFORMED, f->name, "%s: expected %s", f->name, kind_names[f->kind]);
    switch (f->kind) {
    case FA_FIELD_INT:
        if (!in_range(f, v)) return out_of_range(f, v, p);
        *(int64_t *)(void *)at = json_is_integer(v) ? json_integer_value(v) : (int64_t)json_real_value(v);
        break;
    case FA_FIELD_NUMBER:
        if (!in_range(f, v)) return out_of_range(f, v, p);
        *(double *)(void *)at = json_number_value(v);
        break;
    case FA_FIELD_BOOL: *(bool *)at = json_is_true(v); break;
    case FA_FIELD_TEXT: *(const char **)(void *)at = json_string_value(v); break;
    case FA_FIELD_ARRAY:
    case FA_FIELD_OBJECT:
    case FA_FIELD_ANY: *(const json_t **)(void *)at = v; break;
    }
    return true;
}

bool fa_fields_read(const json_t *o, const fa_field *fields, size_t n, void *to, fa_problem *p) {
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_object_get(o, fields[i].name);
        if (!v || json_is_null(v)) {
            if (fields[i].required)
                return fa_problem_set(p, FA_ERROR_MALFORMED, fields[i].name, "%s: missing", fields[i].name);
            continue;
        }
        if (!read_one(&fields[i], v, to, p)) return false;
    }
    return true;
}

static const fa_field *find_in(const fa_field *(*table)(size_t), const char *name, size_t n) {
    const fa_field *f;
    for (size_t i = 0; (f = table(i)); i++)
        if (strlen(f->name) == n && !memcmp(f->name, name, n)) break;
    return f;
}

static const fa_field *known_field(const char *name, size_t n) {
    const fa_field *f = find_in(fa_chat_field, name, n);
    return f ? f : find_in(fa_completion_field, name, n);
}

static bool is_part_of_word(char c) {
    return isalnum((unsigned char)c) || c == '+' || c == '-' || c == '.';
}

/* Over what JSON takes for white space. */
static size_t skip_back(const char *text, size_t at) {
    while (at && (text[at - 1] == ' ' || text[at - 1] == '\t' || text[at - 1] == '\r' || text[at - 1] == '\n')) at--;
    return at;
}

/* The field whose name ends in front of text[end]; NULL: none that a table has, and no other name is repeated to anybody. */
static const fa_field *field_named(const char *text, size_t end) {
    if (!end || text[end - 1] != '"') return NULL;
    size_t begin = --end;
    while (begin && text[begin - 1] != '"') begin--;
    return begin ? known_field(text + begin, end - begin) : NULL;
}

/* The field that the parser gave up at, in front of text[end]: behind "name": word, as NaN and True are words, or behind a name that
 * comes a second time. */
static const fa_field *field_before(const char *text, size_t end, bool twice) {
    size_t at = end;
    if (twice) return field_named(text, end);
    while (at && is_part_of_word(text[at - 1])) at--;
    at = skip_back(text, at);
    return at && text[at - 1] == ':' ? field_named(text, skip_back(text, at - 1)) : NULL;
}

static void not_json(const char *text, size_t n, json_error_t *e, fa_problem *p) {
    bool twice = json_error_code(e) == json_error_duplicate_key;
    char *quote = strstr(e->text, " near '"); /* a request's text belongs in no error */
    if (quote) *quote = 0;
    const fa_field *f = NULL;
    if (e->position > 0 && (size_t)e->position <= n) f = field_before(text, (size_t)e->position, twice);
    const char *what = twice ? "is there twice" : "is not JSON";
    fa_problem_set(p, FA_ERROR_MALFORMED, f ? f->name : NULL, "%s %s: line %d, column %d: %s",
                   f       ? f->name
                   : twice ? "A name"
                           : "The body",
                   what, e->line, e->column, e->text);
}

json_t *fa_fields_parse(const char *text, size_t n, fa_problem *p) {
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
    json_error_t e;
    fa_json_watch();
    if (!text) text = "";
    json_t *o = json_loadb(text, n, flags, &e);
    if (!o && json_error_code(&e) == json_error_numeric_overflow)
        o = json_loadb(text, n, flags | JSON_DECODE_INT_AS_REAL, &e);
    if (fa_json_starved()) {
        fa_problem_set(p, FA_ERROR_INTERNAL, NULL, "Memory ran out while the body was read");
        json_decref(o);
        o = NULL;
    } else if (!o) {
        not_json(text, n, &e, p);
    } else if (!json_is_object(o)) {
        fa_problem_set(p, FA_ERROR_MALFORMED, NULL, "The body must be a JSON object");
        json_decref(o);
        o = NULL;
    }
    return o;
}
