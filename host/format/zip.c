#include "host/format/zip.h"

#include <stdlib.h>
#include <string.h>

enum {
    END_BYTES = 22,     /* end of central directory record, without its comment */
    END64_BYTES = 56,   /* its zip64 form */
    LOCATOR_BYTES = 20, /* where that lies, right before the end record */
    ENTRY_BYTES = 46,   /* of the central directory, without name, extra field and comment */
    LOCAL_BYTES = 30,   /* local header, without name and extra field */
    LONGEST_COMMENT = 65535,
};

static const uint64_t IN_EXTRA_FIELD = 0xffffffff; /* a 32-bit field whose value is in the zip64 extra field */

typedef struct archive {
    const uint8_t *data;
    uint64_t bytes;
    const char *file;
} archive;

static uint64_t number(const uint8_t *p, int bytes) {
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static bool has_magic(const uint8_t *p, uint8_t a, uint8_t b) {
    return p[0] == 'P' && p[1] == 'K' && p[2] == a && p[3] == b;
}

static bool inside(const archive *a, uint64_t at, uint64_t bytes) {
    return at <= a->bytes && bytes <= a->bytes - at;
}

/* The end record is the last one whose comment fills the rest of the file; NULL without one. */
static const uint8_t *find_end(const archive *a) {
    for (uint64_t comment = 0; comment <= LONGEST_COMMENT && comment + END_BYTES <= a->bytes; comment++) {
        const uint8_t *p = a->data + a->bytes - END_BYTES - comment;
        if (has_magic(p, 5, 6) && number(p + 20, 2) == comment) return p;
    }
    return NULL;
}

/* Where the directory lies and how many entries it has. */
static fa_status find_directory(const archive *a, uint64_t *at, uint64_t *bytes, uint64_t *n, fa_error *e) {
    const uint8_t *end = find_end(a);
    if (!end) return fa_fail(e, FA_EFORMAT, "%s: no end of a zip archive (cut short?)", a->file);
    *n = number(end + 10, 2);
    *bytes = number(end + 12, 4);
    *at = number(end + 16, 4);
    const uint8_t *locator = end - LOCATOR_BYTES;
    if (end - a->data >= LOCATOR_BYTES && has_magic(locator, 6, 7)) {
        uint64_t end64 = number(locator + 8, 8);
        if (!inside(a, end64, END64_BYTES) || !has_magic(a->data + end64, 6, 6))
            return fa_fail(e, FA_EFORMAT, "%s: the zip64 end record is not where the archive says", a->file);
        *n = number(a->data + end64 + 32, 8);
        *bytes = number(a->data + end64 + 40, 8);
        *at = number(a->data + end64 + 48, 8);
    }
    if (!inside(a, *at, *bytes) || *n > *bytes / ENTRY_BYTES)
        return fa_fail(e, FA_EFORMAT, "%s: a directory of %llu files in %llu bytes at offset %llu is not in this file",
                       a->file, (unsigned long long)*n, (unsigned long long)*bytes, (unsigned long long)*at);
    return FA_OK;
}

/* Replaces those of `fields`, in the order of the format, that the zip64 extra field [extra, extra + bytes) has. */
static bool take_extra_field(const uint8_t *extra, uint64_t bytes, uint64_t *const fields[3]) {
    while (bytes >= 4) {
        uint64_t id = number(extra, 2), size = number(extra + 2, 2), at = 4;
        if (size > bytes - 4) return false;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*fields[i] != IN_EXTRA_FIELD) continue;
            if (at + 8 > 4 + size) return false;
            *fields[i] = number(extra + at, 8);
            at += 8;
        }
        extra += 4 + size;
        bytes -= 4 + size;
    }
    return true;
}

/* One entry of the directory at `p`, of which `left` bytes are left; *used: its length. */
static fa_status read_entry(const archive *a, fa_arena *arena, const uint8_t *p, uint64_t left, fa_zip_entry *out,
                            uint64_t *used, fa_error *e) {
    if (left < ENTRY_BYTES || !has_magic(p, 1, 2))
        return fa_fail(e, FA_EFORMAT, "%s: the directory of the archive is damaged", a->file);
    uint64_t name_bytes = number(p + 28, 2), extra_bytes = number(p + 30, 2);
    *used = ENTRY_BYTES + name_bytes + extra_bytes + number(p + 32, 2);
    if (*used > left) return fa_fail(e, FA_EFORMAT, "%s: the directory of the archive is cut short", a->file);
    out->name = fa_arena_text(arena, (const char *)p + ENTRY_BYTES, name_bytes);
    if (!out->name) return fa_fail(e, FA_ENOMEM, "%s: out of memory for the archive's directory", a->file);
    uint64_t packed = number(p + 20, 4), local = number(p + 42, 4);
    out->bytes = number(p + 24, 4);
    bool whole =
        take_extra_field(p + ENTRY_BYTES + name_bytes, extra_bytes, (uint64_t *const[3]){&out->bytes, &packed, &local});
    if (number(p + 8, 2) & 1 || number(p + 10, 2) || packed != out->bytes)
        return fa_fail(e, FA_EUNSUPPORTED,
                       "%s: %s is compressed or encrypted in the archive, which PyTorch's files are not", a->file,
                       out->name);
    if (!whole || !inside(a, local, LOCAL_BYTES) || !has_magic(a->data + local, 3, 4))
        return fa_fail(e, FA_EFORMAT, "%s: %s is not where the archive's directory says", a->file, out->name);
    uint64_t begin = local + LOCAL_BYTES + number(a->data + local + 26, 2) + number(a->data + local + 28, 2);
    if (!inside(a, begin, out->bytes))
        return fa_fail(e, FA_EFORMAT, "%s: %s: %llu bytes at offset %llu reach past the end of the file (cut short?)",
                       a->file, out->name, (unsigned long long)out->bytes, (unsigned long long)begin);
    out->data = a->data + begin;
    return FA_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const fa_zip_entry *)a)->name, ((const fa_zip_entry *)b)->name);
}

fa_status fa_zip_open(fa_zip *z, fa_arena *arena, const uint8_t *data, size_t bytes, const char *file, fa_error *e) {
    archive a = {data, bytes, file};
    uint64_t at = 0, directory = 0, n = 0, used = 0;
    *z = (fa_zip){0};
    fa_status s = find_directory(&a, &at, &directory, &n, e);
    if (s) return s;
    z->entries = fa_arena_array(arena, (size_t)n + 1, sizeof *z->entries);
    if (!z->entries) return fa_fail(e, FA_ENOMEM, "%s: out of memory for the archive's directory", file);
    for (; z->n < n && !s; z->n++, at += used, directory -= used)
        s = read_entry(&a, arena, data + at, directory, &z->entries[z->n], &used, e);
    if (s) return s;
    qsort(z->entries, z->n, sizeof *z->entries, by_name);
    for (size_t i = 1; i < z->n; i++)
        if (!by_name(&z->entries[i - 1], &z->entries[i]))
            return fa_fail(e, FA_EFORMAT, "%s: %s is twice in the archive", file, z->entries[i].name);
    return FA_OK;
}

const fa_zip_entry *fa_zip_find(const fa_zip *z, const char *name) {
    fa_zip_entry key = {.name = name};
    return z->n ? bsearch(&key, z->entries, z->n, sizeof key, by_name) : NULL;
}
