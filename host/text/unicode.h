/* UTF-8 and Unicode normalisation form C. */
#ifndef FA_TEXT_UNICODE_H
#define FA_TEXT_UNICODE_H

#include <stddef.h>
#include <stdint.h>

#include "host/text/ranges.h"
#include "host/text/tokenizer.h"

/* Reads the character at `p`, of which `n` > 0 bytes are there, into *c. Returns its length (1..4); 0 when the bytes are
 * a proper beginning that ends at n; otherwise minus the length of what is wrong: the maximal subpart of the Unicode
 * standard, section 3.9, which one U+FFFD replaces. */
int fa_utf8_read(const char *p, size_t n, uint32_t *c);

/* Writes c, a scalar value, as 1..4 bytes; returns their number. */
int fa_utf8_write(uint32_t c, char *out);

/* Number of leading bytes that are whole, valid characters. */
size_t fa_utf8_valid(const char *p, size_t n);

#define FA_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Appends p[n] to `out` with U+FFFD for each maximal part that is no character; `map` follows. */
fa_status fa_utf8_repair(const char *p, size_t n, fa_range_map *map, fa_text *out);

/* Appends the normalisation form C of the valid text p[n] to `out`; `map` follows. Linear in n, apart from the sorting of
 * combining marks. */
fa_status fa_nfc(const char *p, size_t n, fa_range_map *map, fa_text *out);

#endif
