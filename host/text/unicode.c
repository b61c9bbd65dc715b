#include "host/text/unicode.h"

#include <string.h>

static bool is_tail(unsigned char b) {
    return (b & 0xc0) == 0x80;
}

/* Length that a lead byte announces, and the allowed values of the byte after it (Unicode standard, table 3-7);
 * 0 when no character begins with it. */
static int announced(unsigned char lead, unsigned char *low, unsigned char *high) {
    *low = 0x80;
    *high = 0xbf;
    if (lead < 0xc2 || lead > 0xf4) return 0;
    if (lead < 0xe0) return 2;
    if (lead == 0xe0) *low = 0xa0;
    if (lead == 0xed) *high = 0x9f;
    if (lead < 0xf0) return 3;
    if (lead == 0xf0) *low = 0x90;
    if (lead == 0xf4) *high = 0x8f;
    return 4;
}

int fa_utf8_read(const char *p, size_t n, uint32_t *c) {
    const unsigned char *u = (const unsigned char *)p;
    if (u[0] < 0x80) {
        *c = u[0];
        return 1;
    }
    unsigned char low, high;
    int length = announced(u[0], &low, &high);
    if (!length) return -1;
    if (n < 2) return 0;
    if (u[1] < low || u[1] > high) return -1;
    uint32_t value = (uint32_t)(u[0] & (0x7f >> length)) << 6 | (u[1] & 0x3f);
    for (int i = 2; i < length; i++) {
        if ((size_t)i == n) return 0;
        if (!is_tail(u[i])) return -i;
        value = value << 6 | (u[i] & 0x3f);
    }
    *c = value;
    return length;
}

int fa_utf8_write(uint32_t c, char *out) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    int length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)((0xf00 >> length & 0xff) | c);
    return length;
}

size_t fa_utf8_valid(const char *p, size_t n) {
    size_t i = 0;
    while (i < n) {
        uint64_t eight;
        if (n - i >= 8 && (memcpy(&eight, p + i, 8), !(eight & 0x8080808080808080u))) {
            i += 8;
            continue;
        }
        uint32_t c;
        int r = fa_utf8_read(p + i, n - i, &c);
        if (r <= 0) break;
        i += (size_t)r;
    }
    return i;
}

fa_status fa_utf8_repair(const char *p, size_t n, fa_range_map *map, fa_text *out) {
    for (size_t i = 0; i < n;) {
        size_t good = fa_utf8_valid(p + i, n - i), to = out->n;
        fa_status s = fa_text_append(out, p + i, good);
        if (!s) s = fa_range_map_step(map, i, i + good, to, out->n);
        if (s) return s;
        i += good;
        if (i == n) break;
        uint32_t c;
        int r = fa_utf8_read(p + i, n - i, &c);
        size_t bad = r ? (size_t)-r : n - i;
        to = out->n;
        s = fa_text_append(out, FA_REPLACEMENT, sizeof FA_REPLACEMENT - 1);
        if (!s) s = fa_range_map_step(map, i, i + bad, to, out->n);
        if (s) return s;
        i += bad;
    }
    return FA_OK;
}
