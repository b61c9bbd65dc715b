#include "host/engine/sized.h"

#include <string.h>

fa_status fa_sized_in(void *known, size_t known_bytes, const void *given, size_t given_bytes, const char *what,
                      fa_error *e) {
    const unsigned char *bytes = given;
    for (size_t i = known_bytes; i < given_bytes; i++)
        if (bytes[i])
            return fa_fail(e, FA_EINVAL,
                           "%s: a field is set that this libfathom (%s) does not know: install a later one", what,
                           FATHOM_VERSION);
    fa_sized_out(known, known_bytes, given, given_bytes);
    return FA_OK;
}

void fa_sized_out(void *given, size_t given_bytes, const void *known, size_t known_bytes) {
    size_t both = given_bytes < known_bytes ? given_bytes : known_bytes;
    memcpy(given, known, both);
    memset((char *)given + both, 0, given_bytes - both);
}
