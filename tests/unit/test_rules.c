/* Rewards by rules: the table of models/recipe/test_problems.py, and what differs between texts without making a difference. */
#include "host/text/rules.h"

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
};

static void is_judged(void *arg) {
    const row *r = arg;
    fa_reward found = fa_judge(r->rule, r->target, r->text);
    CHECK(found.accuracy == r->accuracy, "accuracy %d", found.accuracy);
    CHECK(found.format == r->format, "format %d", found.format);
}

static void names(void *unused) {
    (void)unused;
    fa_rule rule;
    CHECK(fa_rule_find("boxed", &rule) && rule == FA_RULE_BOXED);
    CHECK(fa_rule_find("answer", &rule) && rule == FA_RULE_ANSWER);
    CHECK(!fa_rule_find("", &rule) && !fa_rule_find("box", &rule));
}

int main(int argc, char **argv) {
    enum { ROWS = sizeof rows / sizeof *rows };
    check_case cases[ROWS + 1] = {{"rules are found by name and nothing else is", names, NULL}};
    for (int i = 0; i < ROWS; i++) cases[i + 1] = (check_case){rows[i].name, is_judged, (void *)&rows[i]};
    return check_main(argc, argv, cases, ROWS + 1);
}
