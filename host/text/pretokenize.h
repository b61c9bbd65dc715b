/* Pre-tokenizers: the chain of steps that cuts a text into the pieces that are encoded one by one. */
#ifndef FA_TEXT_PRETOKENIZE_H
#define FA_TEXT_PRETOKENIZE_H

#include "host/text/ranges.h"
#include "host/text/regex.h"

/* What a Split does with the matches of its pattern. */
typedef enum fa_split_behavior {
    FA_SPLIT_ISOLATED, /* each match is a piece */
    FA_SPLIT_REMOVED,
    FA_SPLIT_MERGED_WITH_PREVIOUS,
    FA_SPLIT_MERGED_WITH_NEXT,
    FA_SPLIT_CONTIGUOUS, /* matches in a row are one piece */
} fa_split_behavior;

typedef enum fa_pretokenizer_kind {
    FA_PRE_SPLIT,
    FA_PRE_REPLACE, /* every match of `regex` by `content` */
    FA_PRE_PREFIX,  /* `content` in front of a piece that does not begin with it */
} fa_pretokenizer_kind;

typedef struct fa_pretokenizer {
    fa_pretokenizer_kind kind;
    fa_regex *regex; /* owned; split, replace */
    fa_split_behavior behavior;
    bool invert; /* split: what does not match counts as the match */
    const char *content;
    size_t content_bytes;
    bool first_only; /* prefix: only the piece at the very start of the whole text */
} fa_pretokenizer;

/* A text and its pieces, neither empty nor overlapping. */
typedef struct fa_pieces {
    fa_text text;
    fa_ranges ranges;
} fa_pieces;

/* Runs the `n` steps over `p`, whose text is set and whose pieces are made here; `spare` is scratch. `at_start`: the
 * text is the start of what the caller encodes. */
fa_status fa_pretokenize(const fa_pretokenizer *steps, size_t n, bool at_start, fa_matcher *m, fa_pieces *p,
                         fa_pieces *spare, fa_error *e);

#endif
