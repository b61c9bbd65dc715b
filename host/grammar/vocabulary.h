/* A vocabulary as a trie of bytes, to find all tokens that an automaton admits in one walk. Fixed after opening. */
#ifndef FA_GRAMMAR_VOCABULARY_H
#define FA_GRAMMAR_VOCABULARY_H

#include "host/grammar/grammar.h"
#include "host/text/tokenizer.h"

/* A node of the trie, in the order of a walk: its children follow it. */
typedef struct fa_trie_node {
    uint32_t end;    /* the first node behind it and all below it */
    uint32_t tokens; /* its tokens begin here in `ids` and end where those of the next node begin */
    uint16_t depth;  /* bytes from the root, >= 1 */
    uint8_t byte;
} fa_trie_node;

typedef struct fa_vocabulary {
    const fa_tokenizer *tokenizer;
    int32_t size;        /* of the model: ids are below it */
    fa_trie_node *nodes; /* [n_nodes + 1] */
    uint32_t n_nodes;
    int32_t *ids;   /* of ordinary tokens, by node */
    int32_t *added; /* [n_added] ids of added tokens, which are no text */
    int32_t n_added;
    uint16_t depth;  /* of the deepest node */
    fa_byte_set can; /* bytes for which there is a token of that byte alone */
} fa_vocabulary;

/* `size`: rows of the model's output; ids beyond the tokenizer's have no text and are never allowed. The tokenizer must outlive it.
 * FA_ENOMEM. */
fa_status fa_vocabulary_open(fa_vocabulary *v, const fa_tokenizer *t, int32_t size, fa_error *e);
void fa_vocabulary_free(fa_vocabulary *v);
static inline size_t fa_vocabulary_words(const fa_vocabulary *v) {
    return ((size_t)v->size + 31) / 32;
}

#endif
