/* Regular expressions of tokenizer.json, written for Oniguruma, run by PCRE2 with its JIT compiler where there is one.
 * Work is bounded: a pattern that would take longer than a fixed multiple of the text's length fails. */
#ifndef FA_TEXT_REGEX_H
#define FA_TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "host/text/tokenizer.h"

typedef struct fa_regex fa_regex; /* fixed after compiling: may be used by several threads */

/* Compiles pattern[n]. FA_EUNSUPPORTED for what means another thing to PCRE2 than to Oniguruma, FA_EFORMAT
 * for what is no pattern; both name `name` and the place. */
fa_status fa_regex_open(fa_regex **out, const char *pattern, size_t n, const char *name, fa_error *e);

/* One that finds the plain text word[n], n > 0. */
fa_status fa_regex_open_plain(fa_regex **out, const char *word, size_t n, const char *name, fa_error *e);
void fa_regex_close(fa_regex *r);

typedef struct fa_matcher fa_matcher; /* what one thread needs for matching */

/* `text_bytes`: how much text it will work on, which bounds the work of all its searches together. */
fa_status fa_matcher_open(fa_matcher **out, size_t text_bytes);
void fa_matcher_close(fa_matcher *m);

/* All matches of one pattern in one text, front to back. The text ends at n for every assertion. */
typedef struct fa_search {
    const fa_regex *regex;
    fa_matcher *matcher;
    const char *text;       /* valid UTF-8 */
    size_t n, at, last_end; /* bytes, where to go on, where the last match ended */
    bool found;             /* whether the last call found one */
} fa_search;
void fa_search_begin(fa_search *s, const fa_regex *r, fa_matcher *m, const char *text, size_t n);

/* The next match, if search->found. FA_ELIMIT names the regex. */
fa_status fa_search_next(fa_search *s, fa_text_range *match, fa_error *e);

#endif
