/* Structures of fathom.h between a library and a program that know different lengths of them. */
#ifndef FA_ENGINE_SIZED_H
#define FA_ENGINE_SIZED_H

#include <stddef.h>

#include "host/base/status.h"

/* The caller's structure into the library's: what the caller does not know is zero. FA_EINVAL, naming `what`, when the caller knows more and
 * has set something of it. */
fa_status fa_sized_in(void *known, size_t known_bytes, const void *given, size_t given_bytes, const char *what,
                      fa_error *e);
/* The library's structure into the caller's: what the library does not know is zero. */
void fa_sized_out(void *given, size_t given_bytes, const void *known, size_t known_bytes);

#endif
