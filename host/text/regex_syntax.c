/* Most of a pattern means the same to both. What differs is rewritten (the sets behind \s \w \d \h, \u escapes), and
 * what is not known to be the same is refused, because a wrong split gives wrong ids without any sign. */
#include "host/text/regex_syntax.h"

#include <stdlib.h>
#include <string.h>

typedef struct translation {
    const char *p;
    size_t n, at;
    bool in_class;
    fa_text *out;
    const char *name;
    fa_error *e;
} translation;

static fa_status put(translation *t, const char *text) {
    return fa_text_append(t->out, text, strlen(text));
}

/* Copies the next `n` bytes. */
static fa_status pass(translation *t, size_t n) {
    fa_status s = fa_text_append(t->out, t->p + t->at, n);
    t->at += n;
    return s;
}

static fa_status refuse(const translation *t, const char *what) {
    return fa_fail(t->e, FA_EUNSUPPORTED, "%s: pattern, byte %zu: %s is not supported", t->name, t->at, what);
}

static bool follows(const translation *t, const char *text) {
    size_t n = strlen(text);
    return t->n - t->at >= n && memcmp(t->p + t->at, text, n) == 0;
}

/* Oniguruma takes the characters below U+0100 from a table for Latin-1, which adds the superscripts and fractions. */
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\xb2\\xb3\\xb9\\xbc-\\xbe"

/* Escapes whose meaning differs, outside and inside of a class; NULL: refused there. */
static const struct {
    char letter;
    const char *outside, *inside;
} escapes[] = {
    {'s', "\\p{White_Space}", "\\p{White_Space}"},
    {'S', "\\P{White_Space}", "\\P{White_Space}"},
    {'w', "[" WORD "]", WORD},
    {'W', "[^" WORD "]", NULL},
    {'d', "\\p{Nd}", "\\p{Nd}"},
    {'D', "\\P{Nd}", "\\P{Nd}"},
    {'h', "[0-9a-fA-F]", "0-9a-fA-F"},
    {'H', "[^0-9a-fA-F]", NULL},
    {'v', "\\x0b", "\\x0b"},
    {'A', "\\A", NULL},
    {'z', "\\z", NULL},
    {'t', "\\t", "\\t"},
    {'n', "\\n", "\\n"},
    {'r', "\\r", "\\r"},
    {'f', "\\f", "\\f"},
    {'a', "\\a", "\\a"},
    {'e', "\\e", "\\e"},
};

/* Properties by long names. PCRE2 reads the bare name of a script as its extensions, Oniguruma as the script itself. */
static const struct {
    const char *name, *to;
} properties[] = {{"Alphabetic", "Alphabetic"}, {"Han", "sc:Han"},          {"Hiragana", "sc:Hiragana"},
                  {"Katakana", "sc:Katakana"},  {"Hangul", "sc:Hangul"},    {"Latin", "sc:Latin"},
                  {"Greek", "sc:Greek"},        {"Cyrillic", "sc:Cyrillic"}};

/* \p{..} and \P{..}: general categories by their short names, and the names above. */
static fa_status property(translation *t) {
    const char *name = t->p + t->at + 3, *end = memchr(name, '}', t->n - t->at < 3 ? 0 : t->n - t->at - 3);
    if (!end || name[-1] != '{') return refuse(t, "a property without braces");
    size_t length = (size_t)(end - name);
    if (length - (length && *name == '^') <= 2) return pass(t, length + 4);
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
        if (strlen(properties[i].name) != length || memcmp(properties[i].name, name, length) != 0) continue;
        fa_status s = pass(t, 3);
        if (!s) s = put(t, properties[i].to);
        t->at += length;
        return s ? s : pass(t, 1);
    }
    return refuse(t, "a property by a long name");
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* \uHHHH */
static fa_status code_point(translation *t) {
    size_t i = 2;
    while (i < 6 && t->at + i < t->n && is_hex(t->p[t->at + i])) i++;
    if (i < 6) return refuse(t, "\\u without four digits");
    fa_status s = put(t, "\\x{");
    t->at += 2;
    if (!s) s = pass(t, 4);
    return s ? s : put(t, "}");
}

/* \xHH or \x{H..} */
static fa_status hex(translation *t) {
    size_t i = t->at + 2;
    bool braces = i < t->n && t->p[i] == '{';
    i += braces;
    size_t digits = i;
    while (i < t->n && is_hex(t->p[i]) && i - digits < (braces ? 8u : 2u)) i++;
    if (i == digits || (braces && (i == t->n || t->p[i] != '}'))) return refuse(t, "\\x without digits");
    return pass(t, i + braces - t->at);
}

static fa_status escape(translation *t) {
    if (t->at + 1 == t->n) return refuse(t, "a \\ at the end");
    char c = t->p[t->at + 1];
    if (c == 'p' || c == 'P') return property(t);
    if (c == 'u') return code_point(t);
    if (c == 'x') return hex(t);
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        const char *to = t->in_class ? escapes[i].inside : escapes[i].outside;
        if (escapes[i].letter != c || !to) continue;
        t->at += 2;
        return put(t, to);
    }
    bool known = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c & 0x80);
    return known ? refuse(t, "this escape") : pass(t, 2);
}

static fa_status in_class(translation *t) {
    if (t->p[t->at] == '[') return refuse(t, "a class in a class");
    if (follows(t, "&&")) return refuse(t, "an intersection of classes");
    if (t->p[t->at] == ']') t->in_class = false;
    return pass(t, 1);
}

static fa_status open_class(translation *t) {
    t->in_class = true;
    fa_status s = pass(t, follows(t, "[^") ? 2 : 1);
    return !s && follows(t, "]") ? refuse(t, "an empty class") : s;
}

static const char *const groups[] = {"(?:", "(?i:", "(?i)", "(?=", "(?!", "(?<=", "(?<!", "(?>"};

static fa_status open_group(translation *t) {
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (follows(t, groups[i])) return pass(t, strlen(groups[i]));
    if (follows(t, "(?") || follows(t, "(*")) return refuse(t, "this kind of group");
    return pass(t, 1);
}

static fa_status outside_class(translation *t) {
    switch (t->p[t->at]) {
    case '[': return open_class(t);
    case '(': return open_group(t);
    case '}':
        if (follows(t, "}+")) return refuse(t, "{n,m}+"); /* possessive in one syntax, repeated in the other */
        return pass(t, 1);
    default: return pass(t, 1);
    }
}

/* Whether the pattern is \s+ and something, with no alternative to that. */
static bool leads_with_spaces(const char *p, size_t n) {
    return n > 3 && memcmp(p, "\\s+", 3) == 0 && p[3] != '?' && p[3] != '+' && !memchr(p, '|', n);
}

fa_status fa_regex_translate(const char *pattern, size_t n, fa_text *out, const char *name, fa_error *e) {
    translation t = {.p = pattern, .n = n, .out = out, .name = name, .e = e};
    fa_status s = FA_OK;
    /* Where \s+ and the rest do not match at one space they do not match at the next ones of that run either;
     * trying them all is quadratic. */
    if (leads_with_spaces(pattern, n)) s = put(&t, "(?:\\G|(?<!\\p{White_Space}))");
    while (!s && t.at < n) {
        if (pattern[t.at] == '\\')
            s = escape(&t);
        else
            s = t.in_class ? in_class(&t) : outside_class(&t);
    }
    return s;
}
