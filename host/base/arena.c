#include "host/base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, BLOCK_BYTES = 1 << 18 };

struct fa_arena_block {
    fa_arena_block *next;
    size_t size, used; /* bytes after the header */
    _Alignas(ALIGN) unsigned char data[];
};

static fa_arena_block *add_block(fa_arena *a, size_t bytes) {
    size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    fa_arena_block *b = aligned_alloc(ALIGN, sizeof *b + size);
    if (!b) return NULL;
    *b = (fa_arena_block){.next = a->blocks, .size = size};
    a->blocks = b;
    return b;
}

void *fa_arena_alloc(fa_arena *a, size_t bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    size_t need = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    fa_arena_block *b = a->blocks;
    if (!b || b->size - b->used < need) b = add_block(a, need);
    if (!b) return NULL;
    void *p = b->data + b->used;
    b->used += need;
    a->used_bytes += need;
    return memset(p, 0, bytes);
}

void *fa_arena_array(fa_arena *a, size_t n, size_t size) {
    size_t bytes;
    return __builtin_mul_overflow(n, size, &bytes) ? NULL : fa_arena_alloc(a, bytes);
}

char *fa_arena_text(fa_arena *a, const char *s, size_t n) {
    char *p = fa_arena_alloc(a, n + 1);
    return p ? memcpy(p, s, n) : NULL;
}

void fa_arena_free(fa_arena *a) {
    for (fa_arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (fa_arena){0};
}
