/* Stop texts, matched byte by byte over a stream of text: what comes out does not depend on how the stream was cut. Text
 * that may be the beginning of a stop text is held back. Of several stop texts the one that is complete first counts; of
 * those complete at the same byte the longest. */
#ifndef FA_ENGINE_STOP_H
#define FA_ENGINE_STOP_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/text/tokenizer.h"

typedef struct fa_stop_text {
    const char *bytes;
    int32_t *fail; /* [length + 1] longest proper border of each prefix (Knuth, Morris, Pratt) */
    int32_t length;
    int32_t matched; /* bytes of it that end the stream so far */
} fa_stop_text;

typedef struct fa_stops {
    fa_stop_text *text; /* [n] in one block with their bytes and tables */
    int32_t n, longest;
    const char *
        behind; /* nothing is matched until this, which begins with a byte that is nowhere else in it, has passed; NULL: passed */
    int32_t passed;       /* bytes of it */
    int32_t holder, held; /* the stream's last `held` bytes are the beginning of text[holder] and not out yet */
} fa_stops;

/* Copies the texts. FA_EINVAL for an empty one, or one that begins inside a UTF-8 character, naming its index. */
fa_status fa_stops_open(fa_stops *s, const char *const *texts, int32_t n, fa_error *e);
void fa_stops_close(fa_stops *s); /* a zeroed one is allowed, and matches nothing */

/* Feeds `n` bytes and writes those that are safe to `out`, which has room for n + longest. Returns the bytes written. *stop
 * becomes true when a stop text is complete: it and what follows do not come out. */
size_t fa_stops_feed(fa_stops *s, const char *bytes, size_t n, char *out, bool *stop);

/* The end of the stream: the bytes held back (a view). */
const char *fa_stops_held(const fa_stops *s, size_t *n);

#endif
