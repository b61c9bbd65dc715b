/* A vocabulary: what each id stands for, and the ids of texts and of pairs. Built once, then only read. */
#ifndef FA_TEXT_VOCAB_H
#define FA_TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/arena.h"
#include "host/base/status.h"

enum { FA_MAX_VOCABULARY = 1 << 22 }; /* ids are below this */

enum {
    FA_TOKEN_PRESENT = 1, /* else the id is a hole */
    FA_TOKEN_ADDED = 2,
    FA_TOKEN_SPECIAL = 4,
    FA_TOKEN_BYTE = 8, /* <0xNN>: stands for one byte */
};

typedef struct fa_token {
    const char *text;  /* as the model matches it: raw bytes in byte-level models, not their stand-in letters */
    const char *piece; /* what it decodes to */
    uint32_t text_bytes, piece_bytes;
    unsigned flags;
} fa_token;

/* Texts -> ids: open addressing, linear probing, at most half full. */
typedef struct fa_text_slot {
    const char *text; /* NULL: free */
    uint32_t bytes, hash;
    int32_t id;
} fa_text_slot;
typedef struct fa_text_map {
    fa_text_slot *slots;
    size_t mask; /* slots - 1, a power of two less one; 0 while empty */
} fa_text_map;

/* Room for `n` texts, from `a`. */
fa_status fa_text_map_init(fa_text_map *m, fa_arena *a, size_t n);
/* The last one put for a text stands. `text` stays the caller's. */
void fa_text_map_put(fa_text_map *m, const char *text, size_t bytes, int32_t id);
int32_t fa_text_map_find(const fa_text_map *m, const char *text, size_t bytes); /* -1: none */

/* Pairs of ids -> rank and id of what they merge to. */
typedef struct fa_pair_slot {
    int32_t left, right;
    uint32_t rank; /* UINT32_MAX: free */
    int32_t id;
} fa_pair_slot;
typedef struct fa_pair_map {
    fa_pair_slot *slots;
    size_t mask;
} fa_pair_map;
fa_status fa_pair_map_init(fa_pair_map *m, fa_arena *a, size_t n);
void fa_pair_map_put(fa_pair_map *m, fa_pair_slot pair);
const fa_pair_slot *fa_pair_map_find(const fa_pair_map *m, int32_t left, int32_t right); /* NULL: none */

/* Copies of many short texts, kept until the arena goes. */
typedef struct fa_text_pool {
    fa_arena *arena;
    char *at;
    size_t left; /* bytes */
} fa_text_pool;
/* A terminated copy of text[bytes]; NULL when memory ran out. */
const char *fa_text_pool_add(fa_text_pool *p, const char *text, size_t bytes);

/* The stand-in letters of byte-level vocabularies (GPT-2): printable Latin-1 stands for itself, the rest for U+0100 on.
 * Writes the bytes that text[n] stands for to out[n] and their number to *bytes; false when it has another character. */
bool fa_byte_letters_decode(const char *text, size_t n, char *out, size_t *bytes);

#endif
