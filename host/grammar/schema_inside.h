/* The making of a schema's rules. Private to schema*.c. */
#ifndef FA_GRAMMAR_SCHEMA_INSIDE_H
#define FA_GRAMMAR_SCHEMA_INSIDE_H

#include "host/grammar/schema.h"

/* A schema whose rule is wanted; `above` and `step` are its path. */
typedef struct fa_schema_item {
    const json_t *schema, *root; /* references reach into `root` */
    int32_t rule;
    int32_t above;    /* item it is part of; -1: `step` is the name of a whole schema */
    const char *step; /* a keyword, or NULL */
    const char *key;  /* a key or NULL, and behind it */
    int32_t index;    /* an index; -1: none */
} fa_schema_item;

typedef struct fa_schema_slot {
    const json_t *schema, *root; /* NULL: free */
    int32_t item;
} fa_schema_slot;

struct fa_schema_builder {
    fa_grammar *g;
    fa_schema_item *items; /* those from `done` on have no body yet */
    int32_t n_items, item_room, done;
    fa_schema_slot *slots; /* hash table of items */
    int32_t n_slots;       /* a power of two */
    char *what[128];       /* names of whole schemas */
    int32_t n_what;
    /* rules of JSON itself */
    int32_t any, object, array, text, text_rest, point, space, number, integer;
    fa_error *e;
};

/* FA_EINVAL and the like: "what/path: keyword: text". `keyword` may be NULL. */
fa_status fa_schema_fail(const fa_schema_builder *b, int32_t item, fa_status s, const char *keyword, const char *fmt,
                         ...) __attribute__((format(printf, 5, 6)));

/* The rule of a part of item `above`, made later if it is new. -1 when memory ran out. */
typedef struct fa_schema_step {
    const char *keyword, *key;
    int32_t index;
} fa_schema_step;
int32_t fa_schema_part(fa_schema_builder *b, const json_t *schema, int32_t above, fa_schema_step step);

/* A count: an integer, 0 .. FA_SCHEMA_COUNT. `fallback` where the keyword is absent. */
enum { FA_SCHEMA_COUNT = 60000, FA_SCHEMA_ALTERNATIVES = 256 };
fa_status fa_schema_count(fa_schema_builder *b, int32_t item, const char *keyword, int32_t fallback, int32_t *out);

/* Bodies by type, up to `next`. schema_types.c, schema_object.c */
fa_status fa_schema_text(fa_schema_builder *b, int32_t item, int32_t next, int32_t *out);
fa_status fa_schema_number(fa_schema_builder *b, int32_t item, bool whole, int32_t next, int32_t *out);
fa_status fa_schema_array(fa_schema_builder *b, int32_t item, int32_t next, int32_t *out);
fa_status fa_schema_object(fa_schema_builder *b, int32_t item, int32_t next, int32_t *out);
/* One of the JSON values [n] that has a type of `types` (bits of fa_schema_type). */
fa_status fa_schema_values(fa_schema_builder *b, int32_t item, json_t *const *values, size_t n, unsigned types,
                           int32_t next, int32_t *out);

typedef enum fa_schema_type {
    FA_TYPE_NULL = 1,
    FA_TYPE_BOOLEAN = 2,
    FA_TYPE_INTEGER = 4,
    FA_TYPE_NUMBER = 8,
    FA_TYPE_STRING = 16,
    FA_TYPE_ARRAY = 32,
    FA_TYPE_OBJECT = 64,
    FA_TYPE_ALL = 127
} fa_schema_type;
/* The type of a value; an integer is a number too. */
unsigned fa_schema_type_of(const json_t *value);

/* schema_disjoint.c: whether no value fits both. */
bool fa_schema_disjoint(const json_t *root, const json_t *a, const json_t *b);
/* The schema that `ref` names in `root`, or NULL. */
const json_t *fa_schema_find(const json_t *root, const char *ref);

#endif
