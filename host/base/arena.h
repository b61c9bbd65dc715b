/* An arena: memory that is sized once, handed out in order and freed as a whole. A step allocates nothing
 * because everything it needs was taken from arenas at opening. */
#ifndef FA_BASE_ARENA_H
#define FA_BASE_ARENA_H

#include <stddef.h>

#include "host/base/status.h"

typedef struct fa_arena_block fa_arena_block;

typedef struct fa_arena {
    fa_arena_block *blocks; /* newest first */
    size_t used_bytes;      /* handed out, with alignment */
} fa_arena;

/* Zeroed memory of `bytes`, 64-byte aligned, owned by the arena; NULL when memory ran out or bytes overflow.
 * A zeroed fa_arena is a valid empty one. */
void *fa_arena_alloc(fa_arena *a, size_t bytes);

/* As fa_arena_alloc for `n` items of `size` bytes; NULL when n * size overflows. */
void *fa_arena_array(fa_arena *a, size_t n, size_t size);

/* A terminated copy of the first `n` bytes of `s`. */
char *fa_arena_text(fa_arena *a, const char *s, size_t n);

/* Frees everything; the arena may be used again. */
void fa_arena_free(fa_arena *a);

#endif
