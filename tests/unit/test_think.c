#include <string.h>

#include "host/text/chat.h"
#include "tests/lib/check.h"

static const struct {
    const char *text;
    bool inside; /* the prompt already opened the block */
    const char *reasoning, *answer;
} rows[] = {
    {"<think>\nEasy.\n</think>\n\n2", false, "Easy.", "2"},
    {"<think>hmm</think>4", false, "hmm", "4"},
    {"hmm\n</think>\n4\n", true, "hmm", "4\n"},
    {"\n\nhmm\n\nso\n\n</think>4", true, "hmm\n\nso", "4"},
    {"<think>\n\n</think>\n\nHi", false, "", "Hi"},
    {"</think>Hi", true, "", "Hi"},
    {"\n\n</think>\n\n", true, "", ""},
    {"no tags\n", false, "", "no tags\n"},
    {"\n\nno tags", false, "", "\n\nno tags"},
    {"\n", false, "", "\n"},
    {"", false, "", ""},
    {"", true, "", ""},
    {"\n<think>a</think>b", false, "a", "b"},
    {"cut off\n\n", true, "cut off\n\n", ""},
    {"cut off</thin", true, "cut off</thin", ""},
    {"cut off\n</think", true, "cut off\n</think", ""},
    {"<thin", false, "", "<thin"},
    {"<think", false, "", "<think"},
    {"\n<", false, "", "\n<"},
    {"a <think>b</think>c", false, "", "a <think>b</think>c"},
    {"</think>a", false, "", "</think>a"},
    {"<think>a<think>b</think>c</think>d", false, "a<think>b", "c</think>d"},
    {"<think>a</think>b<think>c</think>", false, "a", "b<think>c</think>"},
    {"<think>a</think>\n\n<think>c", false, "a", "<think>c"},
    {"<think>a</think>b\n\n", false, "a", "b\n\n"},
    {"<<think>a", false, "", "<<think>a"},
    {"a<</think>b", true, "a<", "b"},
    {"a</</think>b", true, "a</", "b"},
    {"a</think</think>b", true, "a</think", "b"},
    {"a\n<\n</think>\n<b", true, "a\n<", "<b"},
    {"\n</\n</think>b", true, "</", "b"},
    {"<THINK>a", false, "", "<THINK>a"},
    {"<think>思考\n</think>\n答え", false, "思考", "答え"},
    {" <think>a</think>", false, "", " <think>a</think>"},
    {"x\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n</think>y", true, "x", "y"},
    {"x\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\ny", true, "x\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\ny", ""},
};

/* True when `part` is what the whole rendering will begin with. */
static bool begins(const fa_text *part, const char *whole) {
    return part->n <= strlen(whole) && !memcmp(part->data ? part->data : "", whole, part->n);
}

static void check_cut(size_t row, const size_t *cuts, size_t n_cuts) {
    const char *text = rows[row].text;
    fa_think s = {.inside = rows[row].inside};
    fa_text reasoning = {0}, answer = {0};
    size_t at = 0, n = strlen(text);
    for (size_t i = 0; i <= n_cuts; i++) {
        size_t end = i < n_cuts ? cuts[i] : n;
        CHECK(fa_think_feed(&s, text + at, end - at, &reasoning, &answer) == FA_OK);
        CHECK(begins(&reasoning, rows[row].reasoning) && begins(&answer, rows[row].answer),
              "row %zu, cut at %zu: '%s' | '%s'", row, end, reasoning.data, answer.data);
        at = end;
    }
    CHECK(fa_think_end(&s, &reasoning, &answer) == FA_OK);
    CHECK(reasoning.n == strlen(rows[row].reasoning) && begins(&reasoning, rows[row].reasoning),
          "row %zu: reasoning '%s'", row, reasoning.data);
    CHECK(answer.n == strlen(rows[row].answer) && begins(&answer, rows[row].answer), "row %zu: answer '%s'", row,
          answer.data);
    fa_text_free(&reasoning);
    fa_text_free(&answer);
}

static void texts_split_the_same_wherever_they_are_cut(void *arg) {
    (void)arg;
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        size_t n = strlen(rows[row].text);
        check_cut(row, NULL, 0);
        for (size_t a = 0; a <= n; a++)
            for (size_t b = a; b <= n; b++) check_cut(row, (size_t[]){a, b}, 2);
    }
}

static void texts_split_the_same_byte_by_byte(void *arg) {
    (void)arg;
    size_t each[200];
    for (size_t i = 0; i < 200; i++) each[i] = i + 1;
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        size_t n = strlen(rows[row].text);
        CHECK(n < 200);
        check_cut(row, each, n ? n - 1 : 0);
    }
}

/* Answer text must not wait: what cannot begin a tag comes out at once. */
static void text_that_is_no_tag_comes_out_at_once(void *arg) {
    (void)arg;
    fa_text reasoning = {0}, answer = {0};
    fa_think s = {0};
    CHECK(fa_think_feed(&s, "Hi", 2, &reasoning, &answer) == FA_OK && answer.n == 2);
    CHECK(fa_think_feed(&s, "\n<think", 7, &reasoning, &answer) == FA_OK && answer.n == 9);
    fa_think in = {.inside = true};
    CHECK(fa_think_feed(&in, "so <b", 5, &reasoning, &answer) == FA_OK && reasoning.n == 5);
    CHECK(fa_think_feed(&in, "\n</", 3, &reasoning, &answer) == FA_OK && reasoning.n == 5);
    fa_text_free(&reasoning);
    fa_text_free(&answer);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"texts split the same wherever they are cut", texts_split_the_same_wherever_they_are_cut, NULL},
        {"texts split the same byte by byte", texts_split_the_same_byte_by_byte, NULL},
        {"text that is no tag comes out at once", text_that_is_no_tag_comes_out_at_once, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
