/* Rewards for the language and the length of an answer: by hand, and as the recipe's Python has them. */
#include "host/text/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

typedef struct text_row {
    const char *name, *text; /* as in a text of JSON */
    double en, zh;
} text_row;

static const text_row texts[] = {
    {"no text", "", 1, 1},
    {"numbers alone", "1+2+0=03</think>", 1, 1},
    {"English", "first we add, then we are done</think>", 1, 0},
    {"Chinese", "我们先加</think>", 0, 1},
    {"a word between Chinese characters", "我们add加</think>", 1.0 / 4, 3.0 / 4},
    {"half and half", "add 加 two 二", 0.5, 0.5},
    {"what stands behind the reasoning does not count", "add</think>加加加", 1, 0},
    {"accents are Latin", "naïve café Straße", 1, 0},
    {"accents of their own are no words", "cafe\xCC\x81 e\xCC\x81t", 1, 0},
    {"Russian is neither", "add прибавить", 0.5, 0},
    {"Japanese kana are neither", "たす 加", 0, 0.5},
    {"Greek letters of formulas are neither", "α plus β", 1.0 / 3, 0},
    {"digits cut words", "a1b2c", 1, 0},
    {"scripts cut words", "aбв", 0.5, 0},
    {"rare Chinese characters", "\xF0\xA0\x80\x80\xE3\x90\x80", 0, 1},
    {"the sign of repetition is Chinese", "人々", 0, 1},
    {"times is no letter", "2×3", 1, 1},
    {"letters of wide forms are neither", "ａｂ add", 0.5, 0},
    {"emoji are no words", "add \xF0\x9F\x98\x80", 1, 0},
};

typedef struct length_row {
    const char *name;
    int64_t tokens, most, soft;
    double reward;
} length_row;

static const length_row lengths[] = {
    {"no token", 0, 400, 100, 0},
    {"where punishment begins", 300, 400, 100, 0},
    {"one token more", 301, 400, 100, -0.01},
    {"half of it", 350, 400, 100, -0.5},
    {"the last token", 400, 400, 100, -1},
    {"more than all", 500, 400, 100, -1},
    {"no soft part", 399, 400, 0, 0},
    {"no soft part, at the end", 400, 400, 0, 0},
    {"all of it soft", 100, 400, 400, -0.25},
};

static void language(void *arg) {
    const text_row *r = arg;
    double en = fa_language_reward(r->text, FA_SCRIPT_LATIN), zh = fa_language_reward(r->text, FA_SCRIPT_HAN);
    CHECK(en == r->en && zh == r->zh, "en %g, zh %g; want %g, %g", en, zh, r->en, r->zh);
}

static void length(void *arg) {
    const length_row *r = arg;
    double found = fa_length_reward(r->tokens, r->most, r->soft);
    CHECK(found == r->reward, "%.17g, want %.17g", found, r->reward);
}

static void bytes_that_are_no_text(void *unused) {
    (void)unused;
    CHECK(fa_language_reward("add\xFF\xFE more\xE5\x8A", FA_SCRIPT_LATIN) == 1);
    CHECK(fa_language_reward("\xE5\x8A\xA0\xFF\xE5\x8A\xA0", FA_SCRIPT_HAN) == 1);
}

static void names(void *unused) {
    (void)unused;
    fa_script s;
    CHECK(fa_script_find("en", &s) && s == FA_SCRIPT_LATIN && fa_script_find("zh", &s) && s == FA_SCRIPT_HAN);
    CHECK(!fa_script_find("", &s) && !fa_script_find("e", &s) && !fa_script_find("fr", &s));
}

/* Both tables through models/recipe/problems/reward.py. */
static void python_says_the_same(void *unused) {
    (void)unused;
    check_output have = check_command("python3 -c 'import re'");
    if (have.status) check_skip("there is no python3");
    check_output_free(&have);
    char *script = NULL;
    size_t bytes;
    FILE *f = open_memstream(&script, &bytes);
    CHECK(f);
    fputs("import sys; sys.path.insert(0, \"models/recipe\"); from problems import language, length\n", f);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        fprintf(f, "print(\"%%.17g %%.17g\" %% (language(\"%s\", \"en\"), language(\"%s\", \"zh\")))\n", texts[i].text,
                texts[i].text);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        fprintf(f, "print(\"%%.17g 0\" %% length(%d, %d, %d))\n", (int)lengths[i].tokens, (int)lengths[i].most,
                (int)lengths[i].soft);
    fclose(f);
    check_output o = check_command("PYTHONDONTWRITEBYTECODE=1 python3 -c '%s'", script);
    CHECK(o.status == 0, "%s", o.err);
    const char *at = o.out;
    for (size_t i = 0; i < sizeof texts / sizeof *texts + sizeof lengths / sizeof *lengths; i++) {
        bool text = i < sizeof texts / sizeof *texts;
        const length_row *l = text ? NULL : &lengths[i - sizeof texts / sizeof *texts];
        double a, b,
            want = text ? fa_language_reward(texts[i].text, FA_SCRIPT_LATIN)
                        : fa_length_reward(l->tokens, l->most, l->soft);
        CHECK(sscanf(at, "%lf %lf", &a, &b) == 2, "%s", at);
        CHECK(a == want, "%s: %.17g, here %.17g", text ? texts[i].name : l->name, a, want);
        CHECK(!text || b == fa_language_reward(texts[i].text, FA_SCRIPT_HAN), "%s: %.17g", texts[i].name, b);
        at += strcspn(at, "\n") + 1;
    }
    free(script);
    check_output_free(&o);
}

int main(int argc, char **argv) {
    enum { TEXTS = sizeof texts / sizeof *texts, LENGTHS = sizeof lengths / sizeof *lengths, OTHERS = 3 };
    check_case cases[OTHERS + TEXTS + LENGTHS] = {
        {"languages are found by name and nothing else is", names, NULL},
        {"bytes that are no text are blanks", bytes_that_are_no_text, NULL},
        {"the recipe's Python says the same", python_says_the_same, NULL},
    };
    check_case *at = cases + OTHERS;
    for (int i = 0; i < TEXTS; i++) *at++ = (check_case){texts[i].name, language, (void *)&texts[i]};
    for (int i = 0; i < LENGTHS; i++) *at++ = (check_case){lengths[i].name, length, (void *)&lengths[i]};
    return check_main(argc, argv, cases, (size_t)(at - cases));
}
