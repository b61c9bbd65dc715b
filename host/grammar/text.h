/* JSON texts as grammar: characters between quotation marks, patterns, enumerations, keys. Private to this folder. */
#ifndef FA_GRAMMAR_TEXT_H
#define FA_GRAMMAR_TEXT_H

#include "host/grammar/grammar.h"

/* Code points, both ends included. */
typedef struct fa_points {
    uint32_t first, last;
} fa_points;

/* One of the code points, as JSON writes it inside quotation marks: in one way only, escaped where it must be. U+0000 and
 * surrogates are left out. Ranges may touch and overlap. */
int32_t fa_json_points(fa_grammar *g, const fa_points *ranges, size_t n, int32_t next);

/* One code point, escaped in any way that JSON knows. */
int32_t fa_json_any_point(fa_grammar *g, int32_t next);

/* What is between the quotation marks of a text in which `pattern` (UTF-8, the part of ECMA-262 that README.md names) is found,
 * then `next`. FA_EINVAL, FA_EUNSUPPORTED, FA_ELIMIT with the place in it. */
fa_status fa_pattern_nodes(fa_grammar *g, const char *pattern, int32_t next, int32_t *out, fa_error *e);

/* One of the texts [n], which are sorted here: bytes that several begin with are matched once. */
int32_t fa_node_texts(fa_grammar *g, const char **texts, int32_t n, int32_t next);

/* A text with its quotation marks that is none of `names` [n] (sorted here), written without escapes. `any_text` is the rule of
 * what may be between quotation marks. */
int32_t fa_json_other_key(fa_grammar *g, const char **names, int32_t n, int32_t any_text, int32_t next);

#endif
