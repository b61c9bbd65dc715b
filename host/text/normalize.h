/* Normalizers: what a tokenizer does to text before it looks for words. */
#ifndef FA_TEXT_NORMALIZE_H
#define FA_TEXT_NORMALIZE_H

#include "host/text/ranges.h"
#include "host/text/regex.h"

typedef enum fa_normalizer_kind {
    FA_NORMALIZE_NFC,
    FA_NORMALIZE_PREPEND, /* `content` in front of a text that is not empty */
    FA_NORMALIZE_REPLACE, /* every match of `pattern` by `content` */
} fa_normalizer_kind;

typedef struct fa_normalizer {
    fa_normalizer_kind kind;
    fa_regex *pattern; /* owned */
    const char *content;
    size_t content_bytes;
} fa_normalizer;

/* Normalises the valid text in `text` in place by the `n` steps, with `spare` as scratch; `literal` follows. */
fa_status fa_normalize(const fa_normalizer *steps, size_t n, fa_matcher *m, fa_text *text, fa_text *spare,
                       fa_ranges *literal, fa_error *e);

#endif
