/* Growing texts. */
#include <stdlib.h>
#include <string.h>

#include "host/text/tokenizer.h"

fa_status fa_text_append(fa_text *t, const char *bytes, size_t n) {
    if (n > SIZE_MAX / 4 || t->n > SIZE_MAX / 4) return FA_ENOMEM;
    if (t->n + n + 1 > t->capacity) {
        size_t capacity = (t->n + n + 1) * 2;
        char *more = realloc(t->data, capacity);
        if (!more) return FA_ENOMEM;
        t->data = more;
        t->capacity = capacity;
    }
    if (n) memcpy(t->data + t->n, bytes, n);
    t->n += n;
    t->data[t->n] = 0;
    return FA_OK;
}

void fa_text_free(fa_text *t) {
    free(t->data);
    *t = (fa_text){0};
}
