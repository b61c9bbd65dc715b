/* JSON through jansson, with errors that name the file and the field. */
#ifndef FA_BASE_JSON_H
#define FA_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/base/status.h"

/* Parses `n` bytes; `name` is the file for error texts. Duplicate keys, nesting beyond jansson's limit and
 * trailing text are FA_EFORMAT with the line. The caller json_decref()s. */
fa_status fa_json_parse(json_t **out, const char *text, size_t n, const char *name, fa_error *e);

/* Maps and parses a file. */
fa_status fa_json_load(json_t **out, const char *path, fa_error *e);

/* Typed fields of an object, for tables of fields. `fallback` is used where the key is absent or null;
 * another type, or a number outside [min, max], is FA_EFORMAT naming `name` and the key. */
fa_status fa_json_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t fallback, int64_t *out,
                      const char *name, fa_error *e);
fa_status fa_json_double(const json_t *o, const char *key, double min, double max, double fallback, double *out,
                         const char *name, fa_error *e);
fa_status fa_json_bool(const json_t *o, const char *key, bool fallback, bool *out, const char *name, fa_error *e);
/* The text is borrowed from `o`. */
fa_status fa_json_text(const json_t *o, const char *key, const char *fallback, const char **out, const char *name,
                       fa_error *e);

/* jansson 2.14 that runs out of memory may give a wrong text without an error: it drops characters. What a thread's calls to it lacked is
 * known here. fa_json_parse watches; who composes a value calls fa_json_watch before, and asks after. */
void fa_json_watch(void);
/* Whether memory ran out in this thread's calls since fa_json_watch. */
bool fa_json_starved(void);
/* json_dumps; NULL also when memory ran out while `value` was made, after which the thread watches anew. The caller frees. */
char *fa_json_print(const json_t *value, size_t flags);

#endif
