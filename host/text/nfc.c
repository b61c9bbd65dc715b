/* Normalisation form C, a segment at a time: a character that neither combines with nor is reordered before what
 * precedes it begins a new segment, so that most segments are one character and ASCII is copied. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "host/text/unicode.h"

enum { FIRST_COMBINING = 0x300 }; /* below it nothing combines backwards, and every character is its own form C */

typedef struct nfc {
    int32_t *chars, *sorted; /* of one segment, decomposed; room for sorting it */
    size_t n, capacity;
    fa_text form; /* of one segment */
    const char *text;
    size_t copied; /* old bytes that are in `out` already */
    fa_range_map *map;
    fa_text *out;
} nfc;

static bool begins_segment(uint32_t c) {
    if (c < FIRST_COMBINING) return true;
    if (c >= 0x1160 && c <= 0x11ff) return false; /* Hangul vowels and finals */
    utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
    return k != UTF8PROC_CATEGORY_MN && k != UTF8PROC_CATEGORY_MC && k != UTF8PROC_CATEGORY_ME;
}

static fa_status reserve(nfc *s, size_t more) {
    if (s->n + more <= s->capacity) return FA_OK;
    size_t capacity = (s->n + more) * 2;
    int32_t *chars = realloc(s->chars, capacity * sizeof *chars);
    if (chars) s->chars = chars;
    int32_t *sorted = realloc(s->sorted, capacity * sizeof *sorted);
    if (sorted) s->sorted = sorted;
    if (!chars || !sorted) return FA_ENOMEM;
    s->capacity = capacity;
    return FA_OK;
}

static fa_status decompose(nfc *s, uint32_t c) {
    enum { LONGEST = 32 };
    fa_status status = reserve(s, LONGEST);
    if (status) return status;
    int boundary = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)c, s->chars + s->n, LONGEST, UTF8PROC_DECOMPOSE, &boundary);
    if (n < 1 || n > LONGEST) return FA_EINVAL; /* no character decomposes so far */
    s->n += (size_t)n;
    return FA_OK;
}

static int combining_class(int32_t c) {
    return utf8proc_get_property(c)->combining_class;
}

/* Stable counting sort of chars [begin, end) by combining class, which none has as 0: linear however long. */
static void sort_marks(nfc *s, size_t begin, size_t end) {
    size_t place[257] = {0};
    for (size_t i = begin; i < end; i++) place[combining_class(s->chars[i]) + 1]++;
    for (int k = 0; k < 256; k++) place[k + 1] += place[k];
    for (size_t i = begin; i < end; i++) s->sorted[place[combining_class(s->chars[i])]++] = s->chars[i];
    memcpy(s->chars + begin, s->sorted, (end - begin) * sizeof *s->chars);
}

static void order_marks(nfc *s) {
    for (size_t i = 0; i < s->n; i++) {
        size_t end = i;
        bool ordered = true;
        while (end < s->n && combining_class(s->chars[end]) > 0) {
            ordered = ordered && (end == i || combining_class(s->chars[end - 1]) <= combining_class(s->chars[end]));
            end++;
        }
        if (!ordered) sort_marks(s, i, end);
        if (end > i) i = end - 1;
    }
}

/* Copies the old bytes up to `end` that are their own form C. */
static fa_status copy_to(nfc *s, size_t end) {
    size_t to = s->out->n;
    fa_status status = fa_text_append(s->out, s->text + s->copied, end - s->copied);
    if (!status) status = fa_range_map_step(s->map, s->copied, end, to, s->out->n);
    s->copied = end;
    return status;
}

/* Normalises the old bytes [begin, end), whose decomposition is in chars. */
static fa_status finish_segment(nfc *s, size_t begin, size_t end) {
    order_marks(s);
    utf8proc_ssize_t n = utf8proc_normalize_utf32(s->chars, (utf8proc_ssize_t)s->n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n < 0) return FA_EINVAL;
    s->form.n = 0;
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        char bytes[4];
        int length = fa_utf8_write((uint32_t)s->chars[i], bytes);
        fa_status status = fa_text_append(&s->form, bytes, (size_t)length);
        if (status) return status;
    }
    if (s->form.n == end - begin && memcmp(s->form.data, s->text + begin, s->form.n) == 0) return FA_OK;
    fa_status status = copy_to(s, begin);
    size_t to = s->out->n;
    if (!status) status = fa_text_append(s->out, s->form.data, s->form.n);
    if (!status) status = fa_range_map_step(s->map, begin, end, to, s->out->n);
    s->copied = end;
    return status;
}

static fa_status normalise(nfc *s, size_t n) {
    const char *p = s->text;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        size_t end = i + (size_t)fa_utf8_read(p + i, n - i, &c);
        if (c < FIRST_COMBINING && (end == n || (unsigned char)p[end] < 0x80)) {
            i = end;
            continue;
        }
        s->n = 0;
        fa_status status = decompose(s, c);
        while (!status && end < n) {
            int length = fa_utf8_read(p + end, n - end, &c);
            if (begins_segment(c)) break;
            status = decompose(s, c);
            end += (size_t)length;
        }
        if (!status) status = finish_segment(s, i, end);
        if (status) return status;
        i = end;
    }
    return copy_to(s, n);
}

fa_status fa_nfc(const char *p, size_t n, fa_range_map *map, fa_text *out) {
    nfc s = {.text = p, .map = map, .out = out};
    fa_status status = normalise(&s, n);
    free(s.chars);
    free(s.sorted);
    fa_text_free(&s.form);
    return status;
}
