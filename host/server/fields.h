/* Fields of request bodies as tables: name, type, range, where the value goes. A wrong type is 400, a value outside the range 422; both name field, value and
 * range. Fields that no table has are ignored. */
#ifndef FA_SERVER_FIELDS_H
#define FA_SERVER_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/server/reply.h"

typedef enum fa_field_kind {
    FA_FIELD_INT,    /* int64_t */
    FA_FIELD_NUMBER, /* double */
    FA_FIELD_BOOL,   /* bool */
    FA_FIELD_TEXT,   /* const char *, a view */
    FA_FIELD_ARRAY,  /* const json_t *, a view */
    FA_FIELD_OBJECT, /* const json_t *, a view */
    FA_FIELD_ANY,    /* const json_t *, a view */
} fa_field_kind;

typedef struct fa_field {
    const char *name;
    fa_field_kind kind;
    double min, max; /* of INT, NUMBER; INT64_MAX is written as 0x1p63, which no value reaches */
    bool required;
    size_t at; /* in the struct that is filled */
} fa_field;

/* Fills the members of `to` that `o` has fields for; absent and null ones are left as they are. */
bool fa_fields_read(const json_t *o, const fa_field *fields, size_t n, void *to, fa_problem *p);

/* The body as one JSON object, which the caller decrefs; NULL with a problem. Numbers too large for an integer become reals, so that the field's range can
 * be named. */
json_t *fa_fields_parse(const char *text, size_t n, fa_problem *p);

/* The fields of the two routes that have numbers, for the test that tries them all. `i` from 0; NULL after the last one. */
const fa_field *fa_chat_field(size_t i);
const fa_field *fa_completion_field(size_t i);

#endif
