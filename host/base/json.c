#include "host/base/json.h"

#include <math.h>

#include "host/base/file.h"

fa_status fa_json_parse(json_t **out, const char *text, size_t n, const char *name, fa_error *e) {
    json_error_t je;
    fa_json_watch();
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &je);
    if (fa_json_starved()) {
        json_decref(*out);
        *out = NULL;
        return fa_fail(e, FA_ENOMEM, "%s: out of memory", name);
    }
    if (*out) return FA_OK;
    return fa_fail(e, FA_EFORMAT, "%s: line %d, column %d: %s", name, je.line, je.column, je.text);
}

fa_status fa_json_load(json_t **out, const char *path, fa_error *e) {
    fa_map m;
    *out = NULL;
    fa_status s = fa_map_open(&m, path, e);
    if (s) return s;
    s = m.bytes ? fa_json_parse(out, m.data, m.bytes, path, e) : fa_fail(e, FA_EFORMAT, "%s: empty file", path);
    fa_map_close(&m);
    return s;
}

static const json_t *present(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return v && !json_is_null(v) ? v : NULL;
}

fa_status fa_json_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t fallback, int64_t *out,
                      const char *name, fa_error *e) {
    const json_t *v = present(o, key);
    *out = fallback;
    if (!v) return FA_OK;
    double d = json_number_value(v);
    bool whole = json_is_integer(v) || (json_is_real(v) && d == floor(d) && fabs(d) < 9e15);
    if (!whole) return fa_fail(e, FA_EFORMAT, "%s: %s: expected a whole number", name, key);
    int64_t i = json_is_integer(v) ? json_integer_value(v) : (int64_t)d;
    if (i < min || i > max)
        return fa_fail(e, FA_EFORMAT, "%s: %s: %lld is not in %lld..%lld", name, key, (long long)i, (long long)min,
                       (long long)max);
    *out = i;
    return FA_OK;
}

fa_status fa_json_double(const json_t *o, const char *key, double min, double max, double fallback, double *out,
                         const char *name, fa_error *e) {
    const json_t *v = present(o, key);
    *out = fallback;
    if (!v) return FA_OK;
    if (!json_is_number(v)) return fa_fail(e, FA_EFORMAT, "%s: %s: expected a number", name, key);
    double d = json_number_value(v);
    if (!(d >= min && d <= max)) return fa_fail(e, FA_EFORMAT, "%s: %s: %g is not in %g..%g", name, key, d, min, max);
    *out = d;
    return FA_OK;
}

fa_status fa_json_bool(const json_t *o, const char *key, bool fallback, bool *out, const char *name, fa_error *e) {
    const json_t *v = present(o, key);
    *out = fallback;
    if (!v) return FA_OK;
    if (!json_is_boolean(v)) return fa_fail(e, FA_EFORMAT, "%s: %s: expected true or false", name, key);
    *out = json_is_true(v);
    return FA_OK;
}

fa_status fa_json_text(const json_t *o, const char *key, const char *fallback, const char **out, const char *name,
                       fa_error *e) {
    const json_t *v = present(o, key);
    *out = fallback;
    if (!v) return FA_OK;
    if (!json_is_string(v)) return fa_fail(e, FA_EFORMAT, "%s: %s: expected a string", name, key);
    *out = json_string_value(v);
    return FA_OK;
}
