/* The parts of a tokenizer by themselves: UTF-8, form C, ranges, patterns, pre-tokenizers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "host/text/normalize.h"
#include "host/text/pretokenize.h"
#include "host/text/unicode.h"
#include "tests/lib/check.h"

#define R "\xef\xbf\xbd"

/* ---- UTF-8 */

static void repair_replaces_maximal_parts(void *arg) {
    (void)arg;
    static const struct {
        const char *bytes, *want;
    } cases[] = {
        {"", ""},
        {"plain \xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80", "plain \xc3\xa9 \xe4\xb8\xad \xf0\x9f\x98\x80"},
        {"\x80", R},
        {"a\xff\xfe", "a" R R},
        {"\xc3", R},
        {"\xc0\x80", R R},                   /* overlong */
        {"\xe0\x80\x80", R R R},             /* overlong */
        {"\xed\xa0\x80", R R R},             /* surrogate */
        {"\xf4\x90\x80\x80", R R R R},       /* above U+10FFFF */
        {"\xf8\x88\x80\x80\x80", R R R R R}, /* five bytes */
        {"\xe4\xb8"
         "a",
         R "a"}, /* cut short: one part */
        {"\xf0\x9f\x98"
         "a\xf0\x9f",
         R "a" R},
        {"\xf0\x9f\xc3\xa9", R "\xc3\xa9"},
        {"\xf1\x80\x80\xe1\x80\xc2"
         "b",
         R R R "b"}, /* the example of the Unicode standard, table 3-8 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_text out = {0};
        fa_ranges moved = {0};
        fa_range_map map = {.out = &moved};
        CHECK(fa_utf8_repair(cases[i].bytes, strlen(cases[i].bytes), &map, &out) == FA_OK);
        CHECK(strcmp(out.data ? out.data : "", cases[i].want) == 0, "%zu: %s", i, out.data);
        fa_text_free(&out);
    }
}

static void every_scalar_value_reads_as_written(void *arg) {
    (void)arg;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char bytes[4];
        uint32_t back = 0;
        int n = fa_utf8_write(c, bytes), r = fa_utf8_read(bytes, 4 < n ? 4 : (size_t)n, &back);
        bool surrogate = c >= 0xd800 && c < 0xe000;
        CHECK(surrogate ? r < 0 : r == n && back == c, "U+%04X: %d of %d, U+%04X", c, r, n, back);
    }
}

static void ranges_follow_repair(void *arg) {
    (void)arg;
    static const char bytes[] = "ab\xff"
                                "cd\xf0\x9f"
                                "ef"; /* 9 bytes; new: ab R cd R ef, 12 bytes */
    fa_text_range in[] = {{1, 3}, {4, 6}, {8, 9}};
    static const fa_text_range want[] = {{1, 5}, {6, 10}, {11, 12}};
    fa_text out = {0};
    fa_ranges moved = {0};
    fa_range_map map = {.in = in, .n = 3, .out = &moved};
    CHECK(fa_utf8_repair(bytes, sizeof bytes - 1, &map, &out) == FA_OK && out.n == 12);
    CHECK(moved.n == 3, "%zu", moved.n);
    for (size_t i = 0; i < 3; i++)
        CHECK(moved.data[i].begin == want[i].begin && moved.data[i].end == want[i].end, "%zu: %zu..%zu", i,
              moved.data[i].begin, moved.data[i].end);
    fa_text_free(&out);
    fa_ranges_free(&moved);
}

/* ---- form C */

static fa_text nfc_of(const char *text, size_t n) {
    fa_text out = {0};
    fa_ranges moved = {0};
    fa_range_map map = {.out = &moved};
    CHECK(fa_nfc(text, n, &map, &out) == FA_OK);
    return out;
}

static void nfc_equals_utf8proc(void *arg) {
    (void)arg;
    static const struct {
        uint32_t first, count;
    } blocks[] = {{0x20, 0x60},   {0xc0, 0x100},   {0x300, 0x70},   {0x370, 0x80},   {0x900, 0x80},  {0xe00, 0x60},
                  {0xf40, 0x80},  {0x1100, 0x100}, {0x1e00, 0x100}, {0x2120, 0x20},  {0x3040, 0x60}, {0xac00, 0x200},
                  {0xf900, 0x80}, {0xfb1d, 0x30},  {0x1d15e, 0x10}, {0x11080, 0x50}, {0x2f800, 0x40}};
    check_rng r = {7};
    for (int k = 0; k < 4000; k++) {
        char text[256];
        size_t n = 0;
        for (uint64_t left = check_u64(&r) % 24; left > 0; left--) {
            size_t b = check_u64(&r) % (sizeof blocks / sizeof *blocks);
            if (check_u64(&r) % 2) b = 2; /* marks, to be reordered */
            n += (size_t)fa_utf8_write(blocks[b].first + (uint32_t)(check_u64(&r) % blocks[b].count), text + n);
        }
        utf8proc_uint8_t *want;
        utf8proc_ssize_t bytes =
            utf8proc_map((utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &want, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        fa_text got = nfc_of(text, n);
        CHECK(bytes == (utf8proc_ssize_t)got.n && memcmp(got.data ? got.data : "", want, got.n) == 0, "%d: %.*s", k,
              (int)n, text);
        free(want);
        fa_text_free(&got);
    }
}

static void ranges_follow_nfc(void *arg) {
    (void)arg;
    static const char text[] = "xe\xcc\x81y<>"; /* e and its accent become one character: x \xc3\xa9 y < > */
    static const struct {
        fa_text_range in, want;
    } cases[] = {{{0, 1}, {0, 1}}, {{1, 2}, {1, 3}}, {{2, 4}, {1, 3}},
                 {{4, 5}, {3, 4}}, {{3, 6}, {1, 5}}, {{0, 7}, {0, 6}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_text out = {0};
        fa_ranges moved = {0};
        fa_range_map map = {.in = &cases[i].in, .n = 1, .out = &moved};
        CHECK(fa_nfc(text, sizeof text - 1, &map, &out) == FA_OK && strcmp(out.data, "x\xc3\xa9y<>") == 0);
        CHECK(moved.n == 1 && moved.data[0].begin == cases[i].want.begin && moved.data[0].end == cases[i].want.end,
              "%zu: %zu..%zu", i, moved.data[0].begin, moved.data[0].end);
        fa_text_free(&out);
        fa_ranges_free(&moved);
    }
}

/* ---- patterns */

static void patterns_that_mean_something_else_are_refused(void *arg) {
    (void)arg;
    static const struct {
        const char *pattern;
        fa_status want;
    } cases[] = {
        {"", FA_OK},
        {"[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|(?i:'s|'t)|\\s+(?!\\S)|[\\u4e00-\\u9fa5]++", FA_OK},
        {"[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+", FA_OK},
        {"\\p{Han}\\P{L}\\p{^N}(?<=a)(?<!b)(?=c)(?!d)(?>e)\\A\\z\\x41\\x{42}", FA_OK},
        {"[a[bc]]", FA_EUNSUPPORTED},
        {"[[:alpha:]]", FA_EUNSUPPORTED},
        {"[\\p{L}&&[^a]]", FA_EUNSUPPORTED},
        {"[\\W]", FA_EUNSUPPORTED},
        {"[]a]", FA_EUNSUPPORTED},
        {"a{1,3}+", FA_EUNSUPPORTED},
        {"\\p{Script=Han}", FA_EUNSUPPORTED},
        {"\\p{", FA_EUNSUPPORTED},
        {"\\p", FA_EUNSUPPORTED},
        {"\\pL", FA_EUNSUPPORTED},
        {"\\bword\\b", FA_EUNSUPPORTED},
        {"(a)\\1", FA_EUNSUPPORTED},
        {"\\K", FA_EUNSUPPORTED},
        {"\\u12", FA_EUNSUPPORTED},
        {"\\x", FA_EUNSUPPORTED},
        {"\\x{41", FA_EUNSUPPORTED},
        {"\\x{}", FA_EUNSUPPORTED},
        {"(?<name>a)", FA_EUNSUPPORTED},
        {"(?m:a)", FA_EUNSUPPORTED},
        {"(*UTF)a", FA_EUNSUPPORTED},
        {"a\\", FA_EUNSUPPORTED},
        {"(a", FA_EFORMAT},
        {"[a", FA_EFORMAT},
        {"*a", FA_EFORMAT},
        {"(?<=a+)b", FA_EFORMAT},
        {"\\x{110000}", FA_EFORMAT},
        {"\xff", FA_EFORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_regex *r;
        fa_error e = {0};
        fa_status s = fa_regex_open(&r, cases[i].pattern, strlen(cases[i].pattern), "here", &e);
        CHECK(s == cases[i].want, "%s: %s: %s", cases[i].pattern, fa_status_name(s), e.text);
        CHECK(s == FA_OK ? r != NULL : !r && strstr(e.text, "here") == e.text, "%s", e.text);
        fa_regex_close(r);
    }
}

/* The pieces of `text` with | between them, malloc'd. */
static char *cut(const fa_pretokenizer *steps, size_t n, const char *text, fa_status want) {
    fa_pieces p = {0}, spare = {0};
    fa_matcher *m;
    fa_error e = {0};
    CHECK(fa_matcher_open(&m, strlen(text)) == FA_OK && fa_text_append(&p.text, text, strlen(text)) == FA_OK);
    fa_status s = fa_pretokenize(steps, n, true, m, &p, &spare, &e);
    CHECK(s == want, "%s: %s", fa_status_name(s), e.text);
    fa_text out = {0};
    CHECK(fa_text_append(&out, "", 0) == FA_OK);
    for (size_t i = 0; i < p.ranges.n && !s; i++) {
        if (i) fa_text_append(&out, "|", 1);
        fa_text_append(&out, p.text.data + p.ranges.data[i].begin, p.ranges.data[i].end - p.ranges.data[i].begin);
    }
    fa_matcher_close(m);
    fa_text_free(&p.text);
    fa_text_free(&spare.text);
    fa_ranges_free(&p.ranges);
    fa_ranges_free(&spare.ranges);
    return out.data;
}

static fa_pretokenizer split_step(const char *pattern, fa_split_behavior behavior, bool invert) {
    fa_pretokenizer step = {.kind = FA_PRE_SPLIT, .behavior = behavior, .invert = invert};
    fa_error e = {0};
    CHECK_OK(fa_regex_open(&step.regex, pattern, strlen(pattern), "test", &e), &e);
    return step;
}

/* What Hugging Face tokenizers 0.23 gives for the same Split. */
static void split_behaviors(void *arg) {
    (void)arg;
    static const struct {
        const char *pattern, *text;
        fa_split_behavior behavior;
        bool invert;
        const char *want;
    } cases[] = {
        {"-", "a--b-c-", FA_SPLIT_ISOLATED, false, "a|-|-|b|-|c|-"},
        {"-", "a--b-c-", FA_SPLIT_REMOVED, false, "a|b|c"},
        {"-", "a--b-c-", FA_SPLIT_MERGED_WITH_PREVIOUS, false, "a-|-|b-|c-"},
        {"-", "a--b-c-", FA_SPLIT_MERGED_WITH_NEXT, false, "a|-|-b|-c|-"},
        {"-", "a--b-c-", FA_SPLIT_CONTIGUOUS, false, "a|--|b|-|c|-"},
        {"-", "--ab", FA_SPLIT_MERGED_WITH_PREVIOUS, false, "-|-|ab"},
        {"-", "--ab", FA_SPLIT_MERGED_WITH_NEXT, false, "-|-ab"},
        {"[a-z]", "ab1c2", FA_SPLIT_ISOLATED, true, "a|b|1|c|2"},
        {"[a-z]", "ab1c2", FA_SPLIT_REMOVED, true, "a|b|c"},
        {"[a-z]", "ab1c2", FA_SPLIT_MERGED_WITH_PREVIOUS, true, "a|b1|c2"},
        {"[a-z]", "ab1c2", FA_SPLIT_MERGED_WITH_NEXT, true, "a|b|1c|2"},
        {"[a-z]", "ab1c2", FA_SPLIT_CONTIGUOUS, true, "ab|1|c|2"},
        {"x*", "axb", FA_SPLIT_MERGED_WITH_PREVIOUS, false, "ax|b"},
        {"x*", "xxab", FA_SPLIT_MERGED_WITH_NEXT, false, "xxa|b"},
        {"x*", "axb", FA_SPLIT_MERGED_WITH_PREVIOUS, true, "a|xb"},
        {"x*", "axb", FA_SPLIT_REMOVED, true, "x"},
        {"x*", "axb", FA_SPLIT_ISOLATED, false, "a|x|b"},
        {"\\s+$", "a  \nb  ", FA_SPLIT_ISOLATED, false, "a|  |\nb|  "}, /* $ is the end of any line */
        {"^b", "a\nb", FA_SPLIT_ISOLATED, false, "a\n|b"},
        {".+", "a\nb", FA_SPLIT_ISOLATED, false, "a|\n|b"},
        {"\\s",
         "a\xe1\xa0\x8e"
         "b\xc2\x85"
         "c",
         FA_SPLIT_REMOVED, false,
         "a\xe1\xa0\x8e"
         "b|c"}, /* U+180E is no space */
        {"\\d", "a1\xd9\xa3\xc2\xb2", FA_SPLIT_ISOLATED, false, "a|1|\xd9\xa3|\xc2\xb2"},
        {"\\h+", "xyzBEEF g", FA_SPLIT_ISOLATED, false, "xyz|BEEF| g"},
        {"\\w+", "a_b\xc2\xb2-c", FA_SPLIT_ISOLATED, false, "a_b\xc2\xb2|-|c"},
        {"(?i:'s)", "a'S'\xc5\xbf", FA_SPLIT_ISOLATED, false, "a|'S|'\xc5\xbf"},
        {"\\x0b|\\v", "a\n\x0b", FA_SPLIT_ISOLATED, false, "a\n|\x0b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_pretokenizer step = split_step(cases[i].pattern, cases[i].behavior, cases[i].invert);
        char *got = cut(&step, 1, cases[i].text, FA_OK);
        CHECK(strcmp(got, cases[i].want) == 0, "%zu: %s: \"%s\", expected \"%s\"", i, cases[i].pattern, got,
              cases[i].want);
        free(got);
        fa_regex_close(step.regex);
    }
}

/* Patterns that take more steps than the square of a text's length, or than any power of it. */
static void patterns_that_explode_end_in_an_error(void *arg) {
    (void)arg;
    static const struct {
        const char *pattern;
        char repeated;
    } cases[] = {{"(a+)+$", 'a'},     {"(a|aa)+$", 'a'},      {"(?=(?:a+)+[bc])a", 'a'},
                 {"a*a*a*[bc]", 'a'}, {"\\s*[\\r\\n]+", ' '}, {"[ab]+[cd]", 'a'}};
    enum { BYTES = 100000 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_pretokenizer step = split_step(cases[i].pattern, FA_SPLIT_ISOLATED, false);
        fa_pieces p = {0}, spare = {0};
        fa_matcher *m;
        fa_error e = {0};
        CHECK(fa_matcher_open(&m, BYTES) == FA_OK);
        for (int k = 0; k < BYTES; k++) CHECK(fa_text_append(&p.text, &cases[i].repeated, 1) == FA_OK);
        CHECK(fa_text_append(&p.text, "!", 1) == FA_OK);
        fa_status s = fa_pretokenize(&step, 1, true, m, &p, &spare, &e);
        CHECK(s == FA_ELIMIT && strstr(e.text, "test: its pattern takes too long"), "%s: %s", cases[i].pattern, e.text);
        fa_matcher_close(m);
        fa_text_free(&p.text);
        fa_text_free(&spare.text);
        fa_ranges_free(&p.ranges);
        fa_ranges_free(&spare.ranges);
        fa_regex_close(step.regex);
    }
}

static void prefix_and_replace_steps(void *arg) {
    (void)arg;
    fa_pretokenizer mark = {.kind = FA_PRE_REPLACE, .content = "_", .content_bytes = 1};
    fa_pretokenizer first = {.kind = FA_PRE_PREFIX, .content = "_", .content_bytes = 1, .first_only = true};
    fa_pretokenizer each = {.kind = FA_PRE_PREFIX, .content = "_", .content_bytes = 1};
    fa_error e = {0};
    CHECK_OK(fa_regex_open_plain(&mark.regex, " ", 1, "test", &e), &e);
    fa_pretokenizer next = split_step("_", FA_SPLIT_MERGED_WITH_NEXT, false);
    fa_pretokenizer digits = split_step("[0-9]", FA_SPLIT_ISOLATED, false);
    const struct {
        fa_pretokenizer steps[4];
        const char *text, *want;
    } cases[] = {
        {{mark, first, next, next}, "a b  c", "_a|_b|_|_c"},
        {{mark, first, next, next}, " a", "_a"},
        {{digits, mark, first, next}, "a1b c2", "_a|1|b|_c|2"},
        {{digits, mark, each, next}, "a1b c2", "_a|_1|_b|_c|_2"},
        {{mark, each, next, next}, "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *got = cut(cases[i].steps, 4, cases[i].text, FA_OK);
        CHECK(strcmp(got, cases[i].want) == 0, "%zu: \"%s\", expected \"%s\"", i, got, cases[i].want);
        free(got);
    }
    fa_regex_close(mark.regex);
    fa_regex_close(next.regex);
    fa_regex_close(digits.regex);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"bytes that are no UTF-8 become U+FFFD by maximal parts", repair_replaces_maximal_parts, NULL},
        {"every scalar value reads as it was written, no surrogate does", every_scalar_value_reads_as_written, NULL},
        {"ranges follow the repair of bytes", ranges_follow_repair, NULL},
        {"form C equals utf8proc's on random texts", nfc_equals_utf8proc, NULL},
        {"ranges follow form C", ranges_follow_nfc, NULL},
        {"patterns that would mean something else are refused", patterns_that_mean_something_else_are_refused, NULL},
        {"splits give Hugging Face's pieces", split_behaviors, NULL},
        {"patterns that explode end in an error", patterns_that_explode_end_in_an_error, NULL},
        {"prefixes and replacements give Hugging Face's pieces", prefix_and_replace_steps, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
