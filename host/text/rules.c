/* Judging an answer: like a person, it looks for the result and overlooks how it is written. */
#include "host/text/rules.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define END "</think>"
#define BOX "\\boxed{"

bool fa_rule_find(const char *name, fa_rule *rule) {
    static const char *const names[] = {[FA_RULE_BOXED] = "boxed", [FA_RULE_ANSWER] = "answer"};
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

fa_reward fa_judge(fa_rule rule, const char *target, const char *text) {
    const char *end = strstr(text, END), *answer = end ? end + strlen(END) : "";
    bool formed =
        end && !strstr(answer, END) && !strstr(text, "<think>") && trimmed((part){text, (size_t)(end - text)}).n > 0;
    part said = trimmed(whole(answer));
    if (rule == FA_RULE_ANSWER) return (fa_reward){alike(said, whole(target)), formed && said.n > 0};
    int boxes = 0;
    part box = {0}, found;
    for (const char *from = answer; find_box(from, &found, &from);) {
        box = found;
        boxes++;
    }
    return (fa_reward){boxes && alike(box, whole(target)), formed && boxes == 1 && said.at[said.n - 1] == '}'};
}
