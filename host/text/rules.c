/* Judging an answer: like a person, it looks for the result and overlooks how it is written. */
#include "host/text/rules.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define END "</think>"
#define BOX "\\boxed{"

bool fa_rule_find(const char *name, fa_rule *rule) {
    static const char *const names[] = {
        [FA_RULE_BOXED] = "boxed", [FA_RULE_ANSWER] = "answer", [FA_RULE_NUMBER] = "number", [FA_RULE_CODE] = "code"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name)) continue;
        *rule = (fa_rule)i;
        return true;
    }
    return false;
}

/* A part of a text. */
typedef struct part {
    const char *at;
    size_t n;
} part;

static bool is_blank(char c) {
    return isspace((unsigned char)c);
}

static part trimmed(part p) {
    while (p.n && is_blank(p.at[0])) p.at++, p.n--;
    while (p.n && is_blank(p.at[p.n - 1])) p.n--;
    return p;
}

/* The next character of a text without the differences that do not matter, or 0 at its end: a run of blanks is one, and none follows a
 * comma. */
static char next(part *p, char before) {
    bool blank = false;
    while (p->n && is_blank(p->at[0])) p->at++, p->n--, blank = true;
    if (blank && before != ',') return ' ';
    if (!p->n) return 0;
    p->n--;
    return (char)tolower((unsigned char)*p->at++);
}

static bool alike(part a, part b) {
    part *both[] = {&a, &b};
    for (int i = 0; i < 2; i++) {
        *both[i] = trimmed(*both[i]);
        while (both[i]->n && both[i]->at[both[i]->n - 1] == '.') both[i]->n--;
    }
    char x = 0, y = 0;
    do {
        x = next(&a, x);
        y = next(&b, y);
    } while (x && x == y);
    return x == y;
}

/* The content of the first box from `text` on, without braces in it; false when there is none. */
static bool find_box(const char *text, part *content, const char **behind) {
    for (const char *at = strstr(text, BOX); at; at = strstr(at + 1, BOX)) {
        at += strlen(BOX);
        size_t n = strcspn(at, "{}");
        *content = (part){at, n};
        *behind = at + n + 1;
        if (at[n] == '}') return true;
        at--; /* what follows may begin a box of its own */
    }
    return false;
}

static part whole(const char *text) {
    return (part){text, strlen(text)};
}

/* ---- numbers ---- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* A number as it was written, in parts that lie in the text; commas between digits are passed over when it is compared. */
typedef struct number {
    bool negative;
    part whole, fraction;
} number;

/* The number at `at`, which is a digit or a point before one; the text begins at `start`. Returns where it ends. */
static const char *read_number(const char *start, const char *at, number *found) {
    const char *end = at;
    *found = (number){.negative = at > start && at[-1] == '-' && (at - 1 == start || !isalnum((unsigned char)at[-2]))};
    while (is_digit(*end) || (*end == ',' && is_digit(end[1]))) end++;
    found->whole = (part){at, (size_t)(end - at)};
    if (*end != '.' || !is_digit(end[1])) return end;
    const char *point = end++;
    while (is_digit(*end)) end++;
    found->fraction = (part){point + 1, (size_t)(end - point - 1)};
    return end;
}

static bool last_number(const char *text, number *found) {
    bool any = false;
    for (const char *at = text; *at;) {
        if (!is_digit(*at) && !(*at == '.' && is_digit(at[1]))) {
            at++;
            continue;
        }
        at = read_number(text, at, found);
        any = true;
    }
    return any;
}

/* The next digit of a whole part, from the left; 0 at its end. */
static char next_digit(part *p) {
    while (p->n && !is_digit(*p->at)) p->at++, p->n--;
    if (!p->n) return 0;
    p->n--;
    return *p->at++;
}

static void skip_zeros(part *p) {
    while (p->n && (*p->at == '0' || *p->at == ',')) p->at++, p->n--;
}

static void cut_zeros(part *p) {
    while (p->n && p->at[p->n - 1] == '0') p->n--;
}

static bool same_number(number a, number b) {
    skip_zeros(&a.whole), skip_zeros(&b.whole);
    cut_zeros(&a.fraction), cut_zeros(&b.fraction);
    bool zero = !a.whole.n && !a.fraction.n;
    char x, y;
    do {
        x = next_digit(&a.whole);
        y = next_digit(&b.whole);
    } while (x && x == y);
    if (x != y || a.fraction.n != b.fraction.n || memcmp(a.fraction.at, b.fraction.at, a.fraction.n)) return false;
    return zero || a.negative == b.negative;
}

bool fa_is_number(const char *text) {
    number n;
    const char *at = text + strspn(text, " ");
    at += *at == '-';
    if (!is_digit(*at) && !(*at == '.' && is_digit(at[1]))) return false;
    at = read_number(text, at, &n);
    return !at[strspn(at, " ")];
}

static bool is_number(const char *answer, const char *target) {
    number said, wanted;
    return last_number(answer, &said) && last_number(target, &wanted) && same_number(said, wanted);
}

/* ---- code ---- */

/* Blocks between fences in an answer; *last is the content of the last one that ends. */
static int find_blocks(const char *answer, part *last) {
    int n = 0;
    const char *inside = NULL;
    for (const char *line = answer; line; line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, "```", 3)) continue;
        if (inside) {
            *last = (part){inside, (size_t)(line - inside)};
            inside = NULL;
            n++;
        } else {
            inside = strchr(line, '\n');
            if (!inside) break;
            inside++;
        }
    }
    return n;
}

static const char *answer_of(const char *text, bool thinks) {
    const char *end = strstr(text, END);
    return end ? end + strlen(END) : thinks ? "" : text;
}

const char *fa_code_of(const char *text, bool thinks, size_t *n) {
    const char *answer = answer_of(text, thinks);
    part block = whole(answer);
    find_blocks(answer, &block);
    *n = block.n;
    return block.at;
}

/* ---- judging ---- */

static bool has_form(const char *text, const char *answer, bool thinks) {
    const char *end = strstr(text, END);
    if (!trimmed(whole(answer)).n || strstr(answer, END)) return false;
    if (!thinks) return true;
    return end && !strstr(text, "<think>") && trimmed((part){text, (size_t)(end - text)}).n > 0;
}

fa_reward fa_judge(fa_rule rule, const char *target, bool thinks, const char *text) {
    const char *answer = answer_of(text, thinks);
    bool formed = has_form(text, answer, thinks);
    part said = trimmed(whole(answer)), box = {0}, found;
    if (rule == FA_RULE_ANSWER) return (fa_reward){alike(said, whole(target)), formed};
    if (rule == FA_RULE_NUMBER) return (fa_reward){is_number(answer, target), formed};
    if (rule == FA_RULE_CODE) return (fa_reward){false, formed && find_blocks(answer, &found) == 1};
    int boxes = 0;
    for (const char *from = answer; find_box(from, &found, &from);) {
        box = found;
        boxes++;
    }
    return (fa_reward){boxes && alike(box, whole(target)), formed && boxes == 1 && said.at[said.n - 1] == '}'};
}
