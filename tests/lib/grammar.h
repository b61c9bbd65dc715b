/* Constraints in tests: answers drawn at random from what a constraint allows, as a model with random weights would. */
#ifndef FA_TESTS_GRAMMAR_H
#define FA_TESTS_GRAMMAR_H

#include "host/grammar/constraint.h"
#include "tests/lib/check.h"

/* A vocabulary of a tokenizer below the golden folder ("tokenizer/deepseek-v3-real") or of "models/...". */
typedef struct grammar_words {
    fa_tokenizer *tokenizer;
    fa_vocabulary vocabulary;
    uint32_t *closing; /* [words] tokens with a quotation mark, a bracket, or the end */
    int32_t end;       /* of sequence; a token that ends an answer */
} grammar_words;
void grammar_words_open(grammar_words *w, const char *folder);
void grammar_words_close(grammar_words *w);

/* Every allowed token alike, or with `closing` in 0..1 so often the one that brings a quotation mark, a bracket or the end, so that
 * answers become whole in few tokens. Writes ids [room] and the text (malloc'd, special tokens too); the number of ids, or -1 when the
 * constraint was not complete after `room` of them. */
int grammar_draw(const grammar_words *w, fa_constraint *c, check_rng *r, double closing, int32_t *ids, int room,
                 char **text);

/* Whether the whole text is what the constraint asks for: byte by byte, through tokens of one byte. */
bool grammar_accepts(const grammar_words *w, const fa_constraint_spec *spec, const char *text);

#endif
