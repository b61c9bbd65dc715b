/* Patterns: the part of ECMA-262's regular expressions that is regular, over code points. */
#include <stdlib.h>
#include <string.h>

#include "host/grammar/text.h"
#include "host/text/unicode.h"

enum { MAX_NESTING = 64, MAX_PARTS = 1 << 14, MAX_RANGES = 4096, MAX_COUNT = 10000 };

typedef enum part_kind { NOTHING = 0, POINT, BOTH, EITHER, REPEAT } part_kind;

/* A part of the pattern; a, b are parts, but of POINT ranges [a, b). */
typedef struct part {
    part_kind kind;
    int32_t a, b, least, most; /* most < 0: any number */
    int32_t rule;              /* of POINT: made once */
} part;

typedef struct parser {
    const char *text, *at;
    fa_grammar *g;
    part *parts;
    fa_points *ranges;
    int32_t n_parts, n_ranges;
    int nesting;
    fa_status status;
    fa_error *e;
} parser;

static int32_t fail(parser *p, fa_status s, const char *what) {
    if (!p->status) p->status = fa_fail(p->e, s, "%s at byte %zu of '%.80s'", what, (size_t)(p->at - p->text), p->text);
    return 0;
}

static int32_t add(parser *p, part x) {
    if (p->status) return 0;
    if (p->n_parts == MAX_PARTS) return fail(p, FA_ELIMIT, "too long a pattern");
    x.rule = -1;
    p->parts[p->n_parts] = x;
    return p->n_parts++;
}

static void add_range(parser *p, uint32_t first, uint32_t last) {
    if (p->n_ranges == MAX_RANGES)
        fail(p, FA_ELIMIT, "too many characters in classes");
    else
        p->ranges[p->n_ranges++] = (fa_points){first, last};
}

/* --- classes ------------------------------------------------------------------------------------------------------- */

static const fa_points digits[] = {{'0', '9'}}, words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                       spaces[] = {{'\t', '\r'},     {' ', ' '},       {0xa0, 0xa0},     {0x1680, 0x1680},
                                   {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f},
                                   {0x3000, 0x3000}, {0xfeff, 0xfeff}},
                       line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

static int by_first(const void *a, const void *b) {
    const fa_points *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Turns ranges [from, n_ranges) into their complement. */
static void complement(parser *p, int32_t from) {
    int32_t n = p->n_ranges - from;
    fa_points *old = malloc(((size_t)n + 1) * sizeof *old);
    if (!old) {
        fail(p, FA_ENOMEM, "out of memory");
        return;
    }
    memcpy(old, p->ranges + from, (size_t)n * sizeof *old);
    qsort(old, (size_t)n, sizeof *old, by_first);
    p->n_ranges = from;
    uint32_t free_from = 0;
    for (int32_t i = 0; i < n; i++) {
        if (old[i].first > free_from) add_range(p, free_from, old[i].first - 1);
        if (old[i].last + 1 > free_from) free_from = old[i].last + 1;
    }
    if (free_from <= 0x10ffff) add_range(p, free_from, 0x10ffff);
    free(old);
}

/* \d and its kin; false for another letter. */
static bool add_class(parser *p, char letter) {
    static const struct {
        char letter;
        const fa_points *ranges;
        size_t n;
    } table[] = {{'d', digits, 1}, {'w', words, 4}, {'s', spaces, sizeof spaces / sizeof *spaces}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if ((letter | 0x20) != table[i].letter) continue;
        int32_t from = p->n_ranges;
        for (size_t k = 0; k < table[i].n; k++) add_range(p, table[i].ranges[k].first, table[i].ranges[k].last);
        if (letter != table[i].letter) complement(p, from);
        return true;
    }
    return false;
}

static uint32_t hex(parser *p, int n) {
    uint32_t c = 0;
    for (; n; n--, p->at++) {
        const char *all = "0123456789abcdef", *d = *p->at ? strchr(all, *p->at | 0x20) : NULL;
        if (!d || !*d) return (uint32_t)fail(p, FA_EINVAL, "expected a hexadecimal digit");
        c = c * 16 + (uint32_t)(d - all);
    }
    return c;
}

/* Behind a backslash: the character it stands for. */
static uint32_t escaped(parser *p) {
    static const char names[] = "nrtfv0", means[] = "\n\r\t\f\v";
    char c = *p->at++;
    const char *name = c ? strchr(names, c) : NULL;
    if (name) return (uint8_t)means[name - names];
    if (c == 'x') return hex(p, 2);
    if (c == 'u') {
        if (*p->at != '{') return hex(p, 4);
        size_t n = strcspn(p->at + 1, "}");
        p->at++;
        uint32_t value = n >= 1 && n <= 6 ? hex(p, (int)n) : (uint32_t)fail(p, FA_EINVAL, "expected \\u{...}");
        p->at += *p->at == '}';
        return value;
    }
    bool sign = c > 0 && c < 0x7f && strchr("^$\\.*+?()[]{}|/-_ \"'!@#%&,:;<=>~`", c);
    if (!sign) {
        p->at--;
        fail(p, FA_EUNSUPPORTED, "this escape is not supported");
    }
    return (uint8_t)c;
}

static uint32_t character(parser *p) {
    uint32_t c = 0;
    int n = fa_utf8_read(p->at, strlen(p->at), &c);
    if (n <= 0) return (uint32_t)fail(p, FA_EINVAL, "no UTF-8");
    p->at += n;
    return c;
}

/* One end of a range in [...]; false when it was a whole class. */
static bool class_point(parser *p, uint32_t *c) {
    if (*p->at != '\\') {
        *c = character(p);
        return true;
    }
    p->at++;
    if (*p->at && add_class(p, *p->at)) {
        p->at++;
        return false;
    }
    if (*p->at == 'b') {
        p->at++;
        *c = '\b';
    } else {
        *c = escaped(p);
    }
    return true;
}

static int32_t bracket(parser *p) {
    int32_t from = p->n_ranges;
    bool negative = *p->at == '^';
    p->at += negative;
    while (!p->status && *p->at != ']') {
        uint32_t first, last;
        if (!*p->at) return fail(p, FA_EINVAL, "a class without an end");
        if (!class_point(p, &first)) continue;
        last = first;
        if (p->at[0] == '-' && p->at[1] && p->at[1] != ']') {
            p->at++;
            if (!class_point(p, &last)) return fail(p, FA_EINVAL, "a range that ends in a class");
        }
        if (last < first) return fail(p, FA_EINVAL, "a range that runs backwards");
        add_range(p, first, last);
    }
    p->at++;
    complement(p, from);
    if (!negative) complement(p, from); /* twice: ranges that overlap have become one */
    return add(p, (part){.kind = POINT, .a = from, .b = p->n_ranges});
}

/* --- the rest of the syntax ------------------------------------------------------------------------------------------ */

static int32_t alternatives(parser *p);

static int32_t group(parser *p) {
    if (p->at[0] == '?') {
        if (p->at[1] != ':') return fail(p, FA_EUNSUPPORTED, "groups of this kind are not supported");
        p->at += 2;
    }
    if (p->nesting == MAX_NESTING) return fail(p, FA_ELIMIT, "groups nested too deep");
    p->nesting++;
    int32_t inside = alternatives(p);
    p->nesting--;
    if (*p->at != ')') return fail(p, FA_EINVAL, "a group without an end");
    p->at++;
    return inside;
}

static int32_t atom(parser *p) {
    int32_t from = p->n_ranges;
    switch (*p->at) {
    case '(': p->at++; return group(p);
    case '[': p->at++; return bracket(p);
    case '.':
        p->at++;
        for (size_t i = 0; i < sizeof line_ends / sizeof *line_ends; i++)
            add_range(p, line_ends[i].first, line_ends[i].last);
        complement(p, from);
        break;
    case '^':
    case '$': return fail(p, FA_EUNSUPPORTED, "anchors inside a pattern are not supported");
    case '*':
    case '+':
    case '?': return fail(p, FA_EINVAL, "nothing to repeat");
    case '\\':
        p->at++;
        if (*p->at && add_class(p, *p->at)) {
            p->at++;
        } else {
            uint32_t c = escaped(p);
            add_range(p, c, c);
        }
        break;
    default: {
        uint32_t c = character(p);
        add_range(p, c, c);
    }
    }
    return add(p, (part){.kind = POINT, .a = from, .b = p->n_ranges});
}

static int32_t count(parser *p) {
    int64_t n = 0;
    if (*p->at < '0' || *p->at > '9') return fail(p, FA_EINVAL, "expected a number");
    for (; *p->at >= '0' && *p->at <= '9'; p->at++) n = n < MAX_COUNT ? n * 10 + (*p->at - '0') : n;
    return n <= MAX_COUNT ? (int32_t)n : fail(p, FA_ELIMIT, "repeated more than 10000 times");
}

static int32_t repeated(parser *p) {
    int32_t x = atom(p);
    for (bool more = true; more && !p->status;) {
        int32_t least = 0, most = -1;
        switch (*p->at) {
        case '*': break;
        case '+': least = 1; break;
        case '?': most = 1; break;
        case '{':
            p->at++;
            least = most = count(p);
            if (*p->at == ',') most = *++p->at == '}' ? -1 : count(p);
            if (*p->at != '}') return fail(p, FA_EINVAL, "expected }");
            if (most >= 0 && most < least) return fail(p, FA_EINVAL, "a count that runs backwards");
            break;
        default: more = false;
        }
        if (!more) break;
        p->at++;
        p->at += *p->at == '?'; /* a lazy one matches the same texts */
        x = add(p, (part){.kind = REPEAT, .a = x, .least = least, .most = most});
    }
    return x;
}

/* What follows one another; at the top a ^ before and a $ behind it stand for the ends of the text, and where there is none anything
 * may be. */
static int32_t sequence(parser *p) {
    bool top = p->nesting == 0, begins = !top || *p->at == '^';
    p->at += top && *p->at == '^';
    int32_t all = add(p, (part){.kind = NOTHING}), from = p->n_ranges;
    add_range(p, 0, 0x10ffff);
    int32_t anything = add(p, (part){.kind = POINT, .a = from, .b = from + 1});
    anything = add(p, (part){.kind = REPEAT, .a = anything, .most = -1});
    if (!begins) all = anything;
    while (!p->status && *p->at && *p->at != '|' && *p->at != ')') {
        if (top && *p->at == '$' && (!p->at[1] || p->at[1] == '|')) {
            p->at++;
            return all;
        }
        int32_t one = repeated(p);
        all = add(p, (part){.kind = BOTH, .a = all, .b = one});
    }
    return top ? add(p, (part){.kind = BOTH, .a = all, .b = anything}) : all;
}

static int32_t alternatives(parser *p) {
    int32_t all = sequence(p);
    while (!p->status && *p->at == '|') {
        p->at++;
        int32_t other = sequence(p);
        all = add(p, (part){.kind = EITHER, .a = all, .b = other});
    }
    if (!p->status && *p->at == ')' && p->nesting == 0) fail(p, FA_EINVAL, "a ) without its (");
    return all;
}

/* --- nodes ------------------------------------------------------------------------------------------------------------ */

static int32_t make(parser *p, int32_t i, int32_t next);

static int32_t make_repeat(parser *p, const part *x, int32_t next) {
    fa_grammar *g = p->g;
    int32_t node = next;
    if (x->most < 0) {
        node = fa_node_loop(g, next);
        fa_node_close(g, node, make(p, x->a, node));
    }
    for (int32_t k = x->least; k < x->most && !g->status; k++) node = fa_node_either(g, next, make(p, x->a, node));
    for (int32_t k = 0; k < x->least && !g->status; k++) node = make(p, x->a, node);
    return node;
}

static int32_t make(parser *p, int32_t i, int32_t next) {
    fa_grammar *g = p->g;
    part *x = &p->parts[i];
    for (; x->kind == BOTH && !g->status; x = &p->parts[x->a]) next = make(p, x->b, next);
    if (g->status) return FA_NO_NODE;
    switch (x->kind) {
    case NOTHING: return next;
    case EITHER: {
        int32_t one = make(p, x->a, next);
        return fa_node_either(g, one, make(p, x->b, next));
    }
    case REPEAT: return make_repeat(p, x, next);
    default: break;
    }
    if (x->rule < 0) {
        x->rule = fa_grammar_rule(g);
        int32_t start = fa_json_points(g, p->ranges + x->a, (size_t)(x->b - x->a), fa_node_end(g));
        if (!g->status) g->rules[x->rule].start = start;
    }
    return fa_node_call(g, x->rule, next);
}

fa_status fa_pattern_nodes(fa_grammar *g, const char *pattern, int32_t next, int32_t *out, fa_error *e) {
    part *parts = malloc(MAX_PARTS * sizeof *parts);
    fa_points *ranges = malloc(MAX_RANGES * sizeof *ranges);
    parser p = {.text = pattern, .at = pattern, .g = g, .parts = parts, .ranges = ranges, .e = e};
    if (parts && ranges) {
        int32_t whole = alternatives(&p);
        if (!p.status) *out = make(&p, whole, next);
    } else {
        fail(&p, FA_ENOMEM, "out of memory");
    }
    free(parts);
    free(ranges);
    return p.status;
}
