/* Lists of ranges of a text: pieces of a pre-tokenizer, and the literal ranges that follow a text through rewriting. */
#ifndef FA_TEXT_RANGES_H
#define FA_TEXT_RANGES_H

#include <stdbool.h>
#include <stddef.h>

#include "host/base/status.h"
#include "host/text/tokenizer.h"

typedef struct fa_ranges {
    fa_text_range *data;
    size_t n, capacity;
} fa_ranges;

/* Room for at least one more. */
fa_status fa_ranges_grow(fa_ranges *r);
void fa_ranges_free(fa_ranges *r);

static inline fa_status fa_ranges_push(fa_ranges *r, size_t begin, size_t end) {
    if (r->n == r->capacity) {
        fa_status s = fa_ranges_grow(r);
        if (s) return s;
    }
    r->data[r->n++] = (fa_text_range){begin, end};
    return FA_OK;
}

/* The first of the `n` rising ranges that ends behind `at`; n when none does. */
size_t fa_ranges_after(const fa_text_range *r, size_t n, size_t at);

/* Whether [begin, end) shares a byte with one of the rising ranges, none of which is empty. */
bool fa_ranges_overlap(const fa_text_range *r, size_t n, size_t begin, size_t end);

/* Carries ranges of an old text over to a new one that is made from it front to back. */
typedef struct fa_range_map {
    const fa_text_range *in; /* rising ranges of the old text; a view */
    size_t n, at;            /* of them; the first that does not end before the last step */
    fa_ranges *out;          /* receives the ranges of the new text */
} fa_range_map;

/* The old bytes [old_begin, old_end) became the new bytes [new_begin, new_end). Where the lengths differ, all of the
 * new bytes belong to a range that any of the old ones belonged to; else they are taken as a copy. */
fa_status fa_range_map_step(fa_range_map *m, size_t old_begin, size_t old_end, size_t new_begin, size_t new_end);

#endif
