/* The streams of a check build (-DHLS_CHECK); empty otherwise. */
#include "hls/stream.h"

#ifdef HLS_CHECK

#include <stdio.h>

static _Thread_local char first[96], told[96];

static void fault(const hls_stream_check *s, const char *what, int i) {
    if (!first[0]) snprintf(first, sizeof first, "%s: %s %d", s->name, what, i);
}

const char *hls_check_fault(void) {
    if (!first[0]) return 0;
    snprintf(told, sizeof told, "%s", first);
    first[0] = 0;
    return told;
}

void hls_check_put(hls_stream_check *s, int i) {
    if (i != s->puts) fault(s, "put out of order at", i);
    if (s->puts - s->gets >= s->depth || i < 0 || i >= s->depth) fault(s, "deeper than declared at put", i);
    s->puts++;
}

void hls_check_get(hls_stream_check *s, int i) {
    if (i != s->gets) fault(s, "get out of order at", i);
    if (i >= s->puts || i < 0 || i >= s->depth) fault(s, "read before it was put:", i);
    s->gets++;
}

void hls_check_end(hls_stream_check *s) {
    if (s->gets != s->puts) fault(s, "left behind, of", s->puts - s->gets);
}

#else

typedef int hls_check_is_off; /* ISO C wants a declaration */

#endif
