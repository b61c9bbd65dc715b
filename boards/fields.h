/* The table of a board file's facts: the reader, the listings and the tests use it, and nothing else knows a key. */
#ifndef FA_BOARDS_FIELDS_H
#define FA_BOARDS_FIELDS_H

#include <stddef.h>

#include "boards/board.h"

typedef enum fa_field_kind {
    FA_FIELD_TEXT,
    FA_FIELD_I32,
    FA_FIELD_I64,
    FA_FIELD_REAL,
    FA_FIELD_CHOICE, /* one of `choices`; its index is stored, as a bool or an enum */
} fa_field_kind;

typedef struct fa_field {
    const char *name; /* "section.key" */
    const char *unit, *about;
    fa_field_kind kind;
    size_t offset, size;        /* of the member of fa_board */
    double scale;               /* member = value in the file * scale */
    double min, max;            /* of the value in the file */
    const char *const *choices; /* ends with NULL */
    bool optional;              /* else the file must give it; those of memory2 only when memory2.name is there */
} fa_field;

enum { FA_FIELDS = 56 };
_Static_assert(FA_FIELDS <= 64, "fa_board.assumed has a bit for each");

extern const fa_field fa_fields[FA_FIELDS];

/* The index of "section.key", or -1. */
int fa_field_find(const char *section, const char *key);

/* The built-in files: made from boards/NAME.board by boards/embed.sh, in the order of their names; name is NULL after the last. */
typedef struct fa_board_file {
    const char *name, *text;
} fa_board_file;
extern const fa_board_file fa_board_files[];

#endif
