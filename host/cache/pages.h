/* The pages of a pool as numbers: who holds them, which are published, and which go first when room is
 * needed. The content of pages is none of its business.
 *
 *   free ──take──► private ──publish──► published, held ◄──hold/release──► published, kept ──evict──► free
 *     ▲                │ release                                          (a list, oldest first)
 *     └────────────────┘
 *
 * Published pages form trees, one for each owner: a page's parent is the page of the 64 positions before. Who
 * holds a page holds its ancestors, and lets go of the deepest first. So a kept page is always older in the
 * list than its parent, and the oldest one never has children: eviction needs no search. */
#ifndef FA_CACHE_PAGES_H
#define FA_CACHE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "host/backend/kv.h"
#include "host/base/arena.h"

enum { FA_NO_PAGE = -1 };

typedef struct fa_page {
    uint64_t owner, hash; /* published: hash of the owner and of all tokens from the sequence's start to this
                             page's end */
    int32_t holders;      /* sequences */
    int32_t parent;       /* published: FA_NO_PAGE at position 0 */
    int32_t next;         /* free: the next free page; published: the next page of its hash bucket */
    int32_t older, newer; /* kept: neighbours in the list */
    bool published;
    int32_t tokens[FA_PAGE_POSITIONS]; /* published */
} fa_page;

typedef struct fa_pages {
    fa_page *page;   /* [n] */
    int32_t *bucket; /* [mask + 1] first page of each hash bucket */
    uint32_t mask;
    int32_t n, n_free, n_kept;
    int32_t first_free, oldest, newest;
} fa_pages;

/* All `n` pages free; memory from the arena. False when it ran out. */
bool fa_pages_open(fa_pages *p, fa_arena *arena, int32_t n);

/* A private page held once, evicting the oldest kept page when none is free; FA_NO_PAGE when all are held. */
int32_t fa_pages_take(fa_pages *p);

/* One holder more of a published page; one less of any. */
void fa_pages_hold(fa_pages *p, int32_t i);
void fa_pages_release(fa_pages *p, int32_t i);

/* Evicts every kept page. */
void fa_pages_forget(fa_pages *p);

/* The owner's published page with these 64 tokens behind `parent`, or FA_NO_PAGE. */
int32_t fa_pages_find(const fa_pages *p, uint64_t owner, int32_t parent, const int32_t *tokens);

/* Publishes the private page `i`. When an equal one exists, that is held instead and `i` released. Returns
 * the page that the caller now holds. */
int32_t fa_pages_publish(fa_pages *p, int32_t i, uint64_t owner, int32_t parent, const int32_t *tokens);

#endif
