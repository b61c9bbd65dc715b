/* Added tokens: texts that are found in a text before it is split into words. */
#ifndef FA_TEXT_ADDED_H
#define FA_TEXT_ADDED_H

#include <stdbool.h>

#include "host/text/ranges.h"

typedef struct fa_added_token {
    const char *content; /* a view */
    size_t bytes;        /* > 0 */
    int32_t id;
    bool single_word;    /* only where no letter, digit or _ touches it */
    bool lstrip, rstrip; /* takes the white space before, behind it as well */
} fa_added_token;

typedef struct fa_added_node fa_added_node;

/* A trie over bytes. */
typedef struct fa_added {
    fa_added_token *tokens; /* owned */
    size_t n, capacity;
    fa_added_node *nodes; /* owned; node 0 is the root */
    size_t n_nodes, nodes_capacity;
    int32_t first[256]; /* the root's child for a byte; 0: none */
} fa_added;

/* Adds a token whose content the caller keeps; of equal contents the first stands. */
fa_status fa_added_put(fa_added *a, const fa_added_token *t);
void fa_added_free(fa_added *a);

typedef struct fa_added_match {
    size_t begin, end; /* with what lstrip and rstrip take */
    int32_t id;        /* -1: none */
} fa_added_match;

/* The first match in text[n] at or behind `from`: the leftmost, of those the longest, that shares no byte with a
 * literal range (rising, none empty). */
fa_added_match fa_added_find(const fa_added *a, const char *text, size_t n, size_t from, const fa_text_range *literal,
                             size_t n_literal);

#endif
