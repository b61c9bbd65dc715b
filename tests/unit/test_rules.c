/* Rewards by rules: the table of models/recipe/test_problems.py, and what differs between texts without making a difference. */
#include "host/text/rules.h"

#include <string.h>

#include "tests/lib/check.h"

#define THOUGHT "1+2+0=03\n</think>\n\n"

typedef struct row {
    const char *name;
    fa_rule rule;
    const char *target, *text;
    bool accuracy, format;
} row;

static const row rows[] = {
    {"reasoning and one box", FA_RULE_BOXED, "3", THOUGHT "The answer is \\boxed{3}", 1, 1},
    {"blanks in the box", FA_RULE_BOXED, "3", "x\n</think>\n\n\\boxed{ 3 }", 1, 1},
    {"blanks behind the box", FA_RULE_BOXED, "3", "x\n</think>\n\n\\boxed{3} \n", 1, 1},
    {"another number", FA_RULE_BOXED, "3", "x\n</think>\n\n\\boxed{4}", 0, 1},
    {"words behind the box", FA_RULE_BOXED, "3", "x\n</think>\n\n\\boxed{3} is it", 1, 0},
    {"two boxes", FA_RULE_BOXED, "3", "x\n</think>\n\n\\boxed{3}\\boxed{3}", 1, 0},
    {"the last box counts", FA_RULE_BOXED, "3", "x\n</think>\n\n\\boxed{3}, no: \\boxed{4}", 0, 0},
    {"no reasoning", FA_RULE_BOXED, "3", "\n</think>\n\n\\boxed{3}", 1, 0},
    {"two ends of reasoning", FA_RULE_BOXED, "3", "x\n</think>\n</think>\\boxed{3}", 1, 0},
    {"a second beginning of reasoning", FA_RULE_BOXED, "3", "<think>x\n</think>\n\\boxed{3}", 1, 0},
    {"no end of reasoning", FA_RULE_BOXED, "3", "\\boxed{3}", 0, 0},
    {"a box in the reasoning alone", FA_RULE_BOXED, "3", "\\boxed{3}</think>3", 0, 0},
    {"no text", FA_RULE_BOXED, "3", "", 0, 0},
    {"boxes that do not end", FA_RULE_BOXED, "3", "\\boxed{{{{ </think> \\boxed{", 0, 0},
    {"a box in an unfinished box", FA_RULE_BOXED, "3", "x</think>\\boxed{\\boxed{3}", 1, 1},
    {"an empty box", FA_RULE_BOXED, "3", "x</think>\\boxed{}", 0, 1},
    {"blanks behind commas", FA_RULE_BOXED, "1, 2,3", "x</think>\\boxed{1,2, 3}", 1, 1},
    {"blanks between words", FA_RULE_BOXED, "2 h 5 min", "x</think>\\boxed{2  H 5 min.}", 1, 1},
    {"no blank where one belongs", FA_RULE_BOXED, "2 h", "x</think>\\boxed{2h}", 0, 1},
    {"a longer number", FA_RULE_BOXED, "3", "x</think>\\boxed{33}", 0, 1},
    {"a shorter number", FA_RULE_BOXED, "33", "x</think>\\boxed{3}", 0, 1},
    {"the whole answer", FA_RULE_ANSWER, "Goodbye!", "x\n</think>\n\nGoodbye!", 1, 1},
    {"the whole answer in another case, with a full stop", FA_RULE_ANSWER, "I am fine.", "x</think> i am Fine", 1, 1},
    {"another answer", FA_RULE_ANSWER, "Goodbye!", "x\n</think>\n\nHello!", 0, 1},
    {"a part of the answer", FA_RULE_ANSWER, "Goodbye! See you.", "x\n</think>\n\nGoodbye!", 0, 1},
    {"no answer", FA_RULE_ANSWER, "Goodbye!", "x\n</think>\n\n", 0, 0},
    {"the last number", FA_RULE_NUMBER, "42", "x</think>It was 7, then 42.", 1, 1},
    {"a number that is not the last", FA_RULE_NUMBER, "7", "x</think>It was 7, then 42.", 0, 1},
    {"a number with commas and a currency", FA_RULE_NUMBER, "1234.5", "x</think>$1,234.50 in all", 1, 1},
    {"a target with commas", FA_RULE_NUMBER, "1,234", "x</think>1234", 1, 1},
    {"leading zeros", FA_RULE_NUMBER, "7", "x</think>007.000", 1, 1},
    {"a fraction without a whole part", FA_RULE_NUMBER, "0.5", "x</think>.5", 1, 1},
    {"a negative number", FA_RULE_NUMBER, "-3", "x</think>-3", 1, 1},
    {"its opposite", FA_RULE_NUMBER, "-3", "x</think>3", 0, 1},
    {"a range is no negative number", FA_RULE_NUMBER, "4", "x</think>3-4", 1, 1},
    {"zero has no sign", FA_RULE_NUMBER, "0", "x</think>-0.0", 1, 1},
    {"a digit more", FA_RULE_NUMBER, "4", "x</think>4.1", 0, 1},
    {"digits that begin alike", FA_RULE_NUMBER, "12", "x</think>123", 0, 1},
    {"a list is numbers", FA_RULE_NUMBER, "3", "x</think>1, 2, 3", 1, 1},
    {"no number", FA_RULE_NUMBER, "3", "x</think>three", 0, 1},
    {"a number in the reasoning alone", FA_RULE_NUMBER, "3", "3</think>three", 0, 1},
    {"a block of code", FA_RULE_CODE, NULL, "x</think>So:\n```python\nf()\n```", 0, 1},
    {"two blocks of code", FA_RULE_CODE, NULL, "x</think>\n```\nf()\n```\n```\ng()\n```", 0, 0},
    {"code without fences", FA_RULE_CODE, NULL, "x</think>f()", 0, 0},
};

/* Of a model whose prompt does not end in <think>. */
static const row plain[] = {
    {"an answer without reasoning", FA_RULE_ANSWER, "Paris", "Paris.", 1, 1},
    {"a box without reasoning", FA_RULE_BOXED, "3", "It is \\boxed{3}", 1, 1},
    {"a number without reasoning", FA_RULE_NUMBER, "3", "2 + 1 = 3", 1, 1},
    {"reasoning that it began itself", FA_RULE_ANSWER, "Paris", "<think>\nx\n</think>\nParis", 1, 1},
    {"an empty answer", FA_RULE_ANSWER, "Paris", " \n", 0, 0},
};

static const struct code_row {
    const char *name, *text;
    bool thinks;
    const char *code;
} codes[] = {
    {"code between fences", "x</think>So:\n```python\nf()\ng()\n```\nThat is all.", true, "f()\ng()\n"},
    {"the last code between fences", "```\na\n```\n```c\nb\n```", false, "b\n"},
    {"a fence that does not end", "```\na\n```\n```c\nb\n", false, "a\n"},
    {"code without a fence", "    return 1\n", false, "    return 1\n"},
    {"no code behind the reasoning", "```\na\n```", true, ""},
    {"a fence at the end of the text", "```", false, "```"},
};

static void is_the_code(void *arg) {
    const struct code_row *r = arg;
    size_t n;
    const char *code = fa_code_of(r->text, r->thinks, &n);
    CHECK(n == strlen(r->code) && !memcmp(code, r->code, n), "'%.*s'", (int)n, code);
}

static void numbers(void *unused) {
    (void)unused;
    CHECK(fa_is_number("3") && fa_is_number("-1,234.5 ") && fa_is_number(".5"));
    CHECK(!fa_is_number("") && !fa_is_number("x") && !fa_is_number("3 apples") && !fa_is_number("-"));
}

static void compare(const row *r, bool thinks) {
    fa_reward found = fa_judge(r->rule, r->target, thinks, r->text);
    CHECK(found.accuracy == r->accuracy, "accuracy %d", found.accuracy);
    CHECK(found.format == r->format, "format %d", found.format);
}

static void is_judged(void *arg) {
    compare(arg, true);
}

static void is_judged_plainly(void *arg) {
    compare(arg, false);
}

static void names(void *unused) {
    (void)unused;
    fa_rule rule;
    CHECK(fa_rule_find("boxed", &rule) && rule == FA_RULE_BOXED);
    CHECK(fa_rule_find("answer", &rule) && rule == FA_RULE_ANSWER);
    CHECK(fa_rule_find("number", &rule) && rule == FA_RULE_NUMBER);
    CHECK(fa_rule_find("code", &rule) && rule == FA_RULE_CODE);
    CHECK(!fa_rule_find("", &rule) && !fa_rule_find("box", &rule));
}

int main(int argc, char **argv) {
    enum {
        ROWS = sizeof rows / sizeof *rows,
        PLAIN = sizeof plain / sizeof *plain,
        CODES = sizeof codes / sizeof *codes
    };
    check_case cases[ROWS + PLAIN + CODES + 2] = {{"rules are found by name and nothing else is", names, NULL},
                                                  {"what is a number", numbers, NULL}};
    check_case *at = cases + 2;
    for (int i = 0; i < ROWS; i++) *at++ = (check_case){rows[i].name, is_judged, (void *)&rows[i]};
    for (int i = 0; i < PLAIN; i++) *at++ = (check_case){plain[i].name, is_judged_plainly, (void *)&plain[i]};
    for (int i = 0; i < CODES; i++) *at++ = (check_case){codes[i].name, is_the_code, (void *)&codes[i]};
    return check_main(argc, argv, cases, (size_t)(at - cases));
}
