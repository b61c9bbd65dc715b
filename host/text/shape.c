#include "host/text/shape.h"

#include <string.h>
#include <utf8proc.h>

bool fa_script_find(const char *name, fa_script *script) {
    static const char *const names[] = {[FA_SCRIPT_LATIN] = "en", [FA_SCRIPT_HAN] = "zh"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name)) continue;
        *script = (fa_script)i;
        return true;
    }
    return false;
}

/* What a character is to a word: LATIN and HAN are those of fa_script. */
enum { LATIN, HAN, OTHER, MARK, NONE };

/* Letters by their blocks in Unicode; those that stand in no row are of other scripts. */
static const struct block {
    utf8proc_int32_t first, last;
    int script;
} blocks[] = {
    {0x41, 0x5A, LATIN},   {0x61, 0x7A, LATIN},   {0xC0, 0x24F, LATIN},  {0x1E00, 0x1EFF, LATIN}, {0x3005, 0x3007, HAN},
    {0x3400, 0x4DBF, HAN}, {0x4E00, 0x9FFF, HAN}, {0xF900, 0xFAFF, HAN}, {0x20000, 0x323AF, HAN},
};

static int script_of(utf8proc_int32_t c) {
    utf8proc_category_t kind = utf8proc_category(c);
    if (kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_ME) return MARK;
    if (kind < UTF8PROC_CATEGORY_LU || kind > UTF8PROC_CATEGORY_LO) return NONE;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (c >= blocks[i].first && c <= blocks[i].last) return blocks[i].script;
    return OTHER;
}

double fa_language_reward(const char *text, fa_script script) {
    const char *end = strstr(text, "</think>");
    utf8proc_ssize_t left = (utf8proc_ssize_t)(end ? (size_t)(end - text) : strlen(text));
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    int64_t words[] = {[LATIN] = 0, [HAN] = 0, [OTHER] = 0};
    int before = NONE;
    while (left > 0) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(at, left, &c);
        int now = n > 0 ? script_of(c) : NONE;
        if (n < 1) n = 1;
        at += n;
        left -= n;
        if (now == MARK) continue; /* belongs to the letter before it */
        if (now != NONE && (now != before || now == HAN)) words[now]++;
        before = now;
    }
    int64_t all = words[LATIN] + words[HAN] + words[OTHER];
    return all ? (double)words[script == FA_SCRIPT_LATIN ? LATIN : HAN] / (double)all : 1;
}

double fa_length_reward(int64_t tokens, int64_t most, int64_t soft) {
    if (tokens <= most - soft) return 0;
    return tokens >= most ? -1 : (double)(most - soft - tokens) / (double)soft;
}
