/* Python's pickles as data: the opcodes that PyTorch's checkpoints consist of become a tree in which a call is a name with arguments. Nothing
 * is ever called, so what a pickle asks for can do no harm (opcodes: CPython's Lib/pickletools.py). Private to host/format. */
#ifndef FA_FORMAT_PICKLE_H
#define FA_FORMAT_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/arena.h"

typedef enum fa_pickle_kind {
    FA_PICKLE_NONE = 0,
    FA_PICKLE_INT, /* and booleans */
    FA_PICKLE_TEXT,
    FA_PICKLE_TUPLE,
    FA_PICKLE_LIST,
    FA_PICKLE_DICT,
    FA_PICKLE_GLOBAL,    /* a name of a module: "torch._utils _rebuild_tensor_v2" */
    FA_PICKLE_CALL,      /* items[0] called with items[1]; what was set on the result are pairs, as in a dict */
    FA_PICKLE_REFERENCE, /* a persistent id: items[0] */
    FA_PICKLE_OTHER,     /* a number with a fraction, or one that is too long */
} fa_pickle_kind;

typedef struct fa_pickle fa_pickle;
struct fa_pickle {
    fa_pickle_kind kind;
    int64_t number;    /* INT */
    const char *text;  /* TEXT, GLOBAL: terminated */
    fa_pickle **items; /* [n] of TUPLE, LIST; CALL: the callable, its arguments; REFERENCE */
    fa_pickle **pairs; /* [2 * n_pairs] keys and values of DICT and CALL */
    size_t n, n_pairs;
    size_t room, pairs_room;
};

/* Reads the pickle [data, data + bytes) into *out, all in the arena. Values may be shared, and may contain themselves. `where` names
 * it in errors. FA_EFORMAT when it is damaged, FA_EUNSUPPORTED (with the byte) for an opcode that no checkpoint needs. */
fa_status fa_pickle_read(const fa_pickle **out, fa_arena *arena, const uint8_t *data, size_t bytes, const char *where,
                         fa_error *e);

#endif
