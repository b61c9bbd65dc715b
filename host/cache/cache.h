/* The KV cache: a pool of pages (64 positions, all layers) in backend memory, sequences that hold pages, and
 * a prefix tree through which sequences of one owner share full pages. A page's bits depend on its tokens and
 * positions alone (rule 8 of docs/numerics.md), so sharing never changes a result.
 *
 * Not thread-safe: one thread (the engine's) calls it. */
#ifndef FA_CACHE_CACHE_H
#define FA_CACHE_CACHE_H

#include <stdint.h>

#include "host/backend/backend.h"
#include "host/backend/kv.h"

typedef struct fa_cache fa_cache;
typedef struct fa_sequence fa_sequence;

/* A pool of `pages` pages and at most `max_sequences` sequences of at most `max_positions` positions each;
 * all memory is taken here. The layout is copied. The caller closes, after all sequences. */
fa_status fa_cache_open(fa_cache **out, fa_backend *backend, const fa_kv_layout *layout, int32_t pages,
                        int32_t max_sequences, int32_t max_positions, fa_error *e);
void fa_cache_close(fa_cache *c);

/* The pool buffer and the layout, for fa_kv. */
fa_buffer *fa_cache_pool(const fa_cache *c);
const fa_kv_layout *fa_cache_layout(const fa_cache *c);

/* Drops the published pages that no sequence holds. After the pool's content was lost, with all sequences truncated to 0. */
void fa_cache_forget(fa_cache *c);

typedef struct fa_cache_usage {
    int32_t pages;       /* in the pool */
    int32_t held;        /* by open sequences (a shared page counts once) */
    int32_t kept;        /* only by the prefix tree: evicted, oldest first, when pages run out */
    int32_t free_pages;  /* pages - held - kept */
    int64_t bytes;       /* of the pool */
    int64_t table_bytes; /* of the tables beside it */
    int64_t reused;      /* positions that fa_sequence_reuse has found since opening */
} fa_cache_usage;
fa_cache_usage fa_cache_get_usage(const fa_cache *c);

/* An empty sequence. Only sequences of the same `owner` share pages. FA_ELIMIT when max_sequences are open.
 */
fa_status fa_sequence_open(fa_cache *c, uint64_t owner, fa_sequence **out, fa_error *e);

/* Returns its pages; those published stay in the prefix tree until evicted. NULL allowed. */
void fa_sequence_close(fa_sequence *s);

/* Makes the sequence hold the longest prefix of `tokens` [n] that is to be had without computing, at most n -
 * 1 positions so that at least one row remains to be computed: what it holds already, or published pages of
 * its owner where they reach further. Everything else is dropped. Returns the new length. */
int32_t fa_sequence_reuse(fa_sequence *s, const int32_t *tokens, int32_t n);

/* Makes room for `n` more positions behind the present length: pages are taken, evicting kept ones when none
 * is free. FA_ELIMIT (pages, or max_positions) leaves the sequence as it was. */
fa_status fa_sequence_extend(fa_sequence *s, int32_t n, fa_error *e);

/* Records that the `n` tokens now lie in the cache behind the present length, in room taken by extend (after
 * the step that stored them succeeded), and publishes every page that is full. Where the owner has published
 * an equal page before, the sequence takes that one and gives its own back. */
void fa_sequence_append(fa_sequence *s, const int32_t *tokens, int32_t n);

/* Drops positions from `length` on. Published pages are never written again: a length inside one is rounded
 * down to the page's start. Returns the length that stands. */
int32_t fa_sequence_truncate(fa_sequence *s, int32_t length);

uint64_t fa_sequence_owner(const fa_sequence *s);
int32_t fa_sequence_length(const fa_sequence *s);
const int32_t *fa_sequence_tokens(const fa_sequence *s); /* [length] */

/* Page numbers, valid up to the room taken by extend, until the next append, truncate or reuse; the place of
 * row `pos` is {pos, fa_sequence_pages(s)}. The address does not change while the sequence is open. */
const int32_t *fa_sequence_pages(const fa_sequence *s);

#endif
