/* Rewrites a pattern from Oniguruma's syntax to PCRE2's. */
#ifndef FA_TEXT_REGEX_SYNTAX_H
#define FA_TEXT_REGEX_SYNTAX_H

#include "host/text/tokenizer.h"

/* Appends to `out` what means to PCRE2 (UTF, UCP, multi-line, newline is LF) what pattern[n] means to Oniguruma with its
 * Ruby syntax, which is what tokenizer.json is written in. FA_EUNSUPPORTED names `name` and the construct. */
fa_status fa_regex_translate(const char *pattern, size_t n, fa_text *out, const char *name, fa_error *e);

#endif
