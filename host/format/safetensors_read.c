/* Reading of safetensors files. Headers are untrusted: every number is checked before it is used.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/format/container.h"

/* The format's own limit on the JSON header. */
static const uint64_t MAX_HEADER_BYTES = 100000000;

static fa_status read_type(const json_t *entry, fa_tensor *t, fa_error *e) {
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    if (!name) return fa_fail(e, FA_EFORMAT, "%s: tensor %s: dtype is no text", t->file, t->name);
    for (int i = 0; i < FA_DTYPE_COUNT; i++) {
        const fa_dtype_info *info = fa_dtype_get((fa_dtype)i);
        if (info->block_elements > 1 || strcmp(info->name, name)) continue;
        t->type = (fa_dtype)i;
        return FA_OK;
    }
    return fa_fail(e, FA_EFORMAT, "%s: tensor %s: dtype %s is not known", t->file, t->name, name);
}

static fa_status read_shape(const json_t *entry, fa_tensor *t, fa_error *e) {
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape)) return fa_fail(e, FA_EFORMAT, "%s: tensor %s: shape is no array", t->file, t->name);
    if (json_array_size(shape) > FA_MAX_DIMS)
        return fa_fail(e, FA_EUNSUPPORTED, "%s: tensor %s: %zu dimensions, at most %d are supported", t->file, t->name,
                       json_array_size(shape), FA_MAX_DIMS);
    t->n_dims = (int)json_array_size(shape);
    for (int i = 0; i < t->n_dims; i++) {
        const json_t *d = json_array_get(shape, (size_t)i);
        if (!json_is_integer(d) || json_integer_value(d) < 0)
            return fa_fail(e, FA_EFORMAT, "%s: tensor %s: shape[%d] is no size", t->file, t->name, i);
        t->shape[i] = json_integer_value(d);
    }
    return FA_OK;
}

/* One entry {"dtype": "BF16", "shape": [2, 3], "data_offsets": [begin, end]} of the header. */
static fa_status read_entry(fa_tensors *ts, const char *file, const char *name, const json_t *entry,
                            const uint8_t *data, uint64_t data_bytes, fa_error *e) {
    fa_tensor t = {.name = name, .file = file};
    if (!json_is_object(entry)) return fa_fail(e, FA_EFORMAT, "%s: tensor %s: its entry is no object", file, name);
    fa_status s = read_type(entry, &t, e);
    if (!s) s = read_shape(entry, &t, e);
    if (s) return s;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    int64_t begin = json_integer_value(first), end = json_integer_value(last);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last) || begin < 0 || end < begin)
        return fa_fail(e, FA_EFORMAT, "%s: tensor %s: data_offsets are not [begin, end]", file, name);
    return fa_tensors_add(ts, t, data, data_bytes, (uint64_t)begin, end - begin, e);
}

fa_status fa_safetensors_read(fa_tensors *ts, const char *path, fa_error *e) {
    fa_map m;
    const char *file;
    fa_status s = fa_tensors_map(ts, path, &m, &file, e);
    if (s) return s;
    if (m.bytes < 8) return fa_fail(e, FA_EFORMAT, "%s: %zu bytes are too few for a safetensors file", file, m.bytes);
    const uint8_t *p = m.data;
    uint64_t header = 0;
    for (int i = 7; i >= 0; i--) header = header << 8 | p[i];
    if (header > MAX_HEADER_BYTES || header > m.bytes - 8)
        return fa_fail(e, FA_EFORMAT,
                       "%s: a header of %llu bytes does not fit (file of %zu bytes): no safetensors file?", file,
                       (unsigned long long)header, m.bytes);
    json_t *root;
    s = fa_json_parse(&root, (const char *)p + 8, (size_t)header, file, e);
    if (s) return s;
    if (!json_is_object(root)) s = fa_fail(e, FA_EFORMAT, "%s: the header is no JSON object", file);
    int64_t first = ts->count;
    const char *name;
    json_t *entry;
    json_object_foreach(root, name, entry) {
        if (s) break;
        if (strcmp(name, "__metadata__"))
            s = read_entry(ts, file, name, entry, p + 8 + header, m.bytes - 8 - header, e);
    }
    json_decref(root);
    return s ? s : fa_tensors_check_file(ts, first, e);
}
