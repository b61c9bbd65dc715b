#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/format/safetensors.h"

struct fa_safetensors_writer {
    fa_new_file file;
    int64_t announced, written; /* bytes of data */
};

static int64_t spec_bytes(const fa_tensor_spec *spec) {
    int64_t elements = 1;
    if (spec->n_dims < 0 || spec->n_dims > FA_MAX_DIMS || fa_dtype_get(spec->type)->block_elements > 1)
        return -1;
    for (int i = 0; i < spec->n_dims; i++)
        if (spec->shape[i] < 0 || __builtin_mul_overflow(elements, spec->shape[i], &elements)) return -1;
    return fa_dtype_bytes(spec->type, elements);
}

static json_t *make_entry(const fa_tensor_spec *spec, int64_t begin, int64_t end) {
    json_t *shape = json_array();
    for (int i = 0; i < spec->n_dims; i++) json_array_append_new(shape, json_integer(spec->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", fa_dtype_get(spec->type)->name, "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)end);
}

/* The header as text, padded with blanks to a multiple of 8 bytes; malloc'd. */
static fa_status make_header(char **text, size_t *bytes, int64_t *data_bytes, const char *path,
                             const fa_tensor_spec *specs, int64_t n, fa_error *e) {
    fa_status s = FA_OK;
    json_t *root = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    *data_bytes = 0;
    for (int64_t i = 0; i < n && !s; i++) {
        int64_t size = spec_bytes(&specs[i]), end;
        if (size < 0 || __builtin_add_overflow(*data_bytes, size, &end))
            s = fa_fail(e, FA_EINVAL, "%s: tensor %s: impossible shape or type", path, specs[i].name);
        else if (json_object_get(root, specs[i].name))
            s = fa_fail(e, FA_EINVAL, "%s: tensor %s: the name occurs twice", path, specs[i].name);
        else if (json_object_set_new(root, specs[i].name, make_entry(&specs[i], *data_bytes, end)))
            s = fa_fail(e, FA_EINVAL, "%s: tensor %s: the name is no UTF-8, or memory ran out", path,
                        specs[i].name);
        else
            *data_bytes = end;
    }
    char *json = s ? NULL : json_dumps(root, JSON_COMPACT);
    size_t length = json ? strlen(json) : 0;
    *bytes = (length + 7) / 8 * 8;
    *text = json ? realloc(json, *bytes + 1) : NULL;
    if (*text)
        memset(*text + length, ' ', *bytes - length);
    else if (!s)
        s = fa_fail(e, FA_ENOMEM, "%s: out of memory for the header", path);
    json_decref(root);
    return s;
}

static fa_status put(fa_safetensors_writer *w, const void *data, size_t bytes, fa_error *e) {
    if (fwrite(data, 1, bytes, w->file.stream) == bytes) return FA_OK;
    return fa_fail(e, FA_EIO, "%s: cannot write: %m", w->file.path);
}

fa_status fa_safetensors_create(fa_safetensors_writer **out, const char *path, const fa_tensor_spec *specs,
                                int64_t n, fa_error *e) {
    *out = NULL;
    char *header;
    size_t bytes;
    fa_safetensors_writer *w = calloc(1, sizeof *w);
    if (!w) return fa_fail(e, FA_ENOMEM, "%s: out of memory", path);
    fa_status s = make_header(&header, &bytes, &w->announced, path, specs, n, e);
    if (!s) s = fa_new_file_open(&w->file, path, e);
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bytes >> 8 * i);
    if (!s) s = put(w, length, sizeof length, e);
    if (!s) s = put(w, header, bytes, e);
    free(header);
    if (s)
        fa_safetensors_abandon(w);
    else
        *out = w;
    return s;
}

fa_status fa_safetensors_write(fa_safetensors_writer *w, const void *data, size_t bytes, fa_error *e) {
    if (bytes > (uint64_t)(w->announced - w->written))
        return fa_fail(e, FA_EINVAL, "%s: more data than the header announces", w->file.path);
    w->written += (int64_t)bytes;
    return put(w, data, bytes, e);
}

fa_status fa_safetensors_commit(fa_safetensors_writer *w, fa_error *e) {
    fa_status s = FA_OK;
    if (w->written != w->announced)
        s = fa_fail(e, FA_EINVAL, "%s: %lld bytes of data written, %lld announced", w->file.path,
                    (long long)w->written, (long long)w->announced);
    else
        s = fa_new_file_commit(&w->file, e);
    fa_safetensors_abandon(w);
    return s;
}

void fa_safetensors_abandon(fa_safetensors_writer *w) {
    if (!w) return;
    fa_new_file_abandon(&w->file);
    free(w);
}

fa_status fa_safetensors_save(const char *path, const fa_tensor_spec *specs, int64_t n, fa_error *e) {
    fa_safetensors_writer *w;
    fa_status s = fa_safetensors_create(&w, path, specs, n, e);
    for (int64_t i = 0; i < n && !s; i++)
        s = fa_safetensors_write(w, specs[i].data, (size_t)spec_bytes(&specs[i]), e);
    if (!s) return fa_safetensors_commit(w, e);
    fa_safetensors_abandon(w);
    return s;
}
