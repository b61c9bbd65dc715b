#include "host/engine/stop.h"

#include <stdlib.h>
#include <string.h>

static void make_table(fa_stop_text *t) {
    t->fail[0] = -1;
    for (int32_t i = 0, k = -1; i < t->length; i++) {
        while (k >= 0 && t->bytes[k] != t->bytes[i]) k = t->fail[k];
        t->fail[i + 1] = ++k;
    }
}

fa_status fa_stops_open(fa_stops *s, const char *const *texts, int32_t n, fa_error *e) {
    *s = (fa_stops){0};
    size_t bytes = 0;
    for (int32_t i = 0; i < n; i++) {
        size_t length = texts[i] ? strlen(texts[i]) : 0;
        if (length == 0 || length > 4096 || ((unsigned char)texts[i][0] & 0xc0) == 0x80)
            return fa_fail(e, FA_EINVAL, "sampling: stop[%d] must be text of 1 to 4096 bytes in UTF-8", i);
        bytes += sizeof(fa_stop_text) + (length + 1) * (sizeof(int32_t) + 1);
    }
    if (n == 0) return FA_OK;
    s->text = malloc(bytes);
    if (!s->text) return fa_fail(e, FA_ENOMEM, "stop texts: out of memory");
    s->n = n;
    int32_t *fail = (int32_t *)(s->text + n);
    for (int32_t i = 0; i < n; i++) {
        s->text[i] = (fa_stop_text){.fail = fail, .length = (int32_t)strlen(texts[i])};
        fail += s->text[i].length + 1;
    }
    char *copy = (char *)fail;
    for (int32_t i = 0; i < n; i++) {
        fa_stop_text *t = &s->text[i];
        t->bytes = memcpy(copy, texts[i], (size_t)t->length + 1);
        copy += t->length + 1;
        make_table(t);
        if (t->length > s->longest) s->longest = t->length;
    }
    return FA_OK;
}

void fa_stops_close(fa_stops *s) {
    free(s->text);
    *s = (fa_stops){0};
}

/* Whether the byte comes before what is matched. */
static bool is_before(fa_stops *s, char byte) {
    if (!s->behind) return false;
    s->passed = byte == s->behind[s->passed] ? s->passed + 1 : byte == s->behind[0];
    if (!s->behind[s->passed]) s->behind = NULL;
    return true;
}

/* Feeds one byte to one text; true when the text is complete. A complete text never goes on: the stream ends with it. */
static bool advance(fa_stop_text *t, char byte) {
    int32_t k = t->matched;
    while (k >= 0 && t->bytes[k] != byte) k = t->fail[k];
    t->matched = k + 1;
    return t->matched == t->length;
}

size_t fa_stops_feed(fa_stops *s, const char *bytes, size_t n, char *out, bool *stop) {
    size_t written = 0;
    for (size_t b = 0; b < n && !*stop; b++) {
        int32_t complete = 0, longest = 0, holder = 0;
        if (is_before(s, bytes[b])) {
            out[written++] = bytes[b];
            continue;
        }
        for (int32_t i = 0; i < s->n; i++) {
            fa_stop_text *t = &s->text[i];
            if (advance(t, bytes[b]) && t->length > complete) complete = t->length;
            if (t->matched > longest) {
                longest = t->matched;
                holder = i;
            }
        }
        /* held + this byte: all come out but those that a text may still claim, or has claimed */
        int32_t free_bytes = s->held + 1 - (complete ? complete : longest);
        int32_t from_held = free_bytes < s->held ? free_bytes : s->held;
        if (from_held > 0) memcpy(out + written, s->text[s->holder].bytes, (size_t)from_held);
        written += (size_t)from_held;
        if (free_bytes > s->held) out[written++] = bytes[b];
        *stop = complete > 0;
        s->holder = holder;
        s->held = *stop ? 0 : longest;
    }
    return written;
}

const char *fa_stops_held(const fa_stops *s, size_t *n) {
    *n = (size_t)s->held;
    return s->held ? s->text[s->holder].bytes : "";
}
