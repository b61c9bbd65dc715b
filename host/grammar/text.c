#include "host/grammar/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/text/unicode.h"

static const fa_points everything = {0, 0x10ffff};

/* `range` without what JSON must escape, unescaped. */
static int32_t plain(fa_grammar *g, fa_points range, int32_t next) {
    static const fa_points good[] = {{' ', '!'}, {'#', '['}, {']', 0x10ffff}};
    int32_t all = FA_NO_NODE;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint32_t first = range.first > good[i].first ? range.first : good[i].first;
        uint32_t last = range.last < good[i].last ? range.last : good[i].last;
        if (first <= last) all = fa_node_either(g, all, fa_node_code_points(g, first, last, next));
    }
    return all;
}

int32_t fa_json_points(fa_grammar *g, const fa_points *ranges, size_t n, int32_t next) {
    static const char shorts[][3] = {"\"\"", "\\\\", "\bb", "\ff", "\nn", "\rr", "\tt"};
    int32_t all = FA_NO_NODE;
    for (size_t i = 0; i < n; i++) {
        all = fa_node_either(g, all, plain(g, ranges[i], next));
        for (uint32_t c = 1; c <= '\\'; c++) {
            if (c < ranges[i].first || c > ranges[i].last || (c >= ' ' && c != '"' && c != '\\')) continue;
            char text[8];
            snprintf(text, sizeof text, "\\u%04x", c);
            for (size_t k = 0; k < sizeof shorts / sizeof *shorts; k++)
                if ((uint32_t)shorts[k][0] == c) snprintf(text, sizeof text, "\\%c", shorts[k][1]);
            all = fa_node_either(g, all, fa_node_text(g, text, strlen(text), next));
        }
    }
    return all;
}

static fa_byte_set hex_digits(const char *digits) {
    fa_byte_set s = {{0}};
    for (; *digits; digits++) s = fa_set_range(s, (uint8_t)*digits, (uint8_t)*digits);
    return s;
}

/* \uXXXX: any but U+0000 and a surrogate, or a pair of surrogates. */
static int32_t escaped_by_number(fa_grammar *g, int32_t next) {
    fa_byte_set any = hex_digits("0123456789abcdefABCDEF"), not_0 = hex_digits("123456789abcdefABCDEF");
    int32_t one = fa_node_set(g, any, next), two = fa_node_set(g, any, one), three = fa_node_set(g, any, two);
    int32_t all = fa_node_set(g, hex_digits("123456789abcefABCEF"), three);
    all = fa_node_either(g, all, fa_node_set(g, hex_digits("dD"), fa_node_set(g, hex_digits("01234567"), two)));
    int32_t zeros = fa_node_range(g, '0', '0', fa_node_set(g, not_0, next));
    zeros = fa_node_either(g, fa_node_set(g, not_0, one), zeros);
    zeros = fa_node_either(g, fa_node_set(g, not_0, two), fa_node_range(g, '0', '0', zeros));
    all = fa_node_either(g, all, fa_node_range(g, '0', '0', zeros));
    int32_t low = fa_node_set(g, hex_digits("cdefCDEF"), two);
    low = fa_node_text(g, "\\u", 2, fa_node_set(g, hex_digits("dD"), low));
    int32_t high = fa_node_set(g, any, fa_node_set(g, any, low));
    high = fa_node_set(g, hex_digits("dD"), fa_node_set(g, hex_digits("89abAB"), high));
    return fa_node_range(g, 'u', 'u', fa_node_either(g, all, high));
}

int32_t fa_json_any_point(fa_grammar *g, int32_t next) {
    fa_byte_set shorts = {{0}};
    for (const char *c = "\"\\/bfnrt"; *c; c++) shorts = fa_set_range(shorts, (uint8_t)*c, (uint8_t)*c);
    int32_t escape = fa_node_either(g, fa_node_set(g, shorts, next), escaped_by_number(g, next));
    return fa_node_either(g, plain(g, everything, next), fa_node_range(g, '\\', '\\', escape));
}

/* --- texts that are given ------------------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted texts that share their first `at` bytes. */
static int32_t texts_from(fa_grammar *g, const char **texts, int32_t n, size_t at, int32_t next) {
    size_t fork = at; /* the first byte that they do not all share is where the first and the last differ */
    while (texts[0][fork] && texts[0][fork] == texts[n - 1][fork]) fork++;
    int32_t all = FA_NO_NODE;
    for (int32_t i = 0; i < n && !g->status;) {
        int32_t k = i + 1;
        while (k < n && texts[k][fork] == texts[i][fork]) k++;
        char byte = texts[i][fork];
        int32_t rest = byte ? texts_from(g, texts + i, k - i, fork + 1, next) : next;
        all = fa_node_either(g, all, byte ? fa_node_text(g, &byte, 1, rest) : rest);
        i = k;
    }
    return fa_node_text(g, texts[0] + at, fork - at, all);
}

int32_t fa_node_texts(fa_grammar *g, const char **texts, int32_t n, int32_t next) {
    if (n == 0) return FA_NO_NODE;
    qsort(texts, (size_t)n, sizeof *texts, by_bytes);
    int32_t kept = 1;
    for (int32_t i = 1; i < n; i++)
        if (strcmp(texts[i], texts[kept - 1]) != 0) {
            const char *other = texts[kept]; /* the caller keeps all of them */
            texts[kept++] = texts[i];
            texts[i] = other;
        }
    return texts_from(g, texts, kept, 0, next);
}

/* Keys that begin as names [n] do, which are sorted and share `at` bytes, and then go another way. `rest`: the rest of any key with
 * its quotation mark. */
static int32_t other_from(fa_grammar *g, const char **names, int32_t n, size_t at, int32_t rest, int32_t next) {
    bool is_name = names[0][at] == 0;
    int32_t all = is_name ? FA_NO_NODE : fa_node_text(g, "\"", 1, next);
    uint32_t free = 0; /* code points from here on begin no name */
    for (int32_t i = is_name; i < n && !g->status;) {
        uint32_t c = 0;
        int bytes = fa_utf8_read(names[i] + at, strlen(names[i] + at), &c);
        int32_t k = i + 1;
        while (k < n && !strncmp(names[k] + at, names[i] + at, (size_t)bytes)) k++;
        if (c > free) all = fa_node_either(g, all, plain(g, (fa_points){free, c - 1}, rest));
        int32_t deeper = other_from(g, names + i, k - i, at + (size_t)bytes, rest, next);
        all = fa_node_either(g, all, plain(g, (fa_points){c, c}, deeper));
        free = c + 1;
        i = k;
    }
    return fa_node_either(g, all, plain(g, (fa_points){free, 0x10ffff}, rest));
}

int32_t fa_json_other_key(fa_grammar *g, const char **names, int32_t n, int32_t any_text, int32_t next) {
    int32_t rest = fa_node_call(g, any_text, fa_node_text(g, "\"", 1, next));
    if (n == 0) return fa_node_text(g, "\"", 1, rest);
    qsort(names, (size_t)n, sizeof *names, by_bytes);
    return fa_node_text(g, "\"", 1, other_from(g, names, n, 0, rest, next));
}
