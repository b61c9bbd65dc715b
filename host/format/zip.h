/* The files of a zip archive that lies in memory, as far as PyTorch writes them: stored, not compressed; zip64 for large ones
 * (PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 and 4.5). Private to host/format. */
#ifndef FA_FORMAT_ZIP_H
#define FA_FORMAT_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/arena.h"

typedef struct fa_zip_entry {
    const char *name; /* terminated, in the arena */
    const uint8_t *data;
    uint64_t bytes;
} fa_zip_entry;

typedef struct fa_zip {
    fa_zip_entry *entries; /* [n] sorted by name */
    size_t n;
} fa_zip;

/* Reads the directory of the archive [data, data + bytes); `file` is its path, for errors. FA_EFORMAT for anything that lies outside
 * the archive, a name that comes twice, or a compressed or encrypted file. */
fa_status fa_zip_open(fa_zip *z, fa_arena *arena, const uint8_t *data, size_t bytes, const char *file, fa_error *e);

/* NULL when there is no such name. */
const fa_zip_entry *fa_zip_find(const fa_zip *z, const char *name);

#endif
