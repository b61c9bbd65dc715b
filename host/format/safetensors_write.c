#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/format/safetensors.h"

/* Written in whole runs of this, a file lies in the page cache in pieces as large as a huge page. Read where it lies, as fathom does,
 * it gives a fifth more bytes a second than in pieces of single pages. */
enum { BUFFER = 2 << 20 };

struct fa_safetensors_writer {
    fa_new_file file;
    char *buffer;          /* of file.stream; NULL: its own */
    int64_t n, *begin;     /* [n + 1] offsets of the tensors in the data */
    int64_t data;          /* offset of the data in the file */
    int64_t written, next; /* bytes so far; where fa_safetensors_write goes on */
};

static int64_t spec_bytes(const fa_tensor_spec *spec) {
    int64_t elements = 1;
    if (spec->n_dims < 0 || spec->n_dims > FA_MAX_DIMS || fa_dtype_get(spec->type)->block_elements > 1) return -1;
    for (int i = 0; i < spec->n_dims; i++)
        if (spec->shape[i] < 0 || __builtin_mul_overflow(elements, spec->shape[i], &elements)) return -1;
    return fa_dtype_bytes(spec->type, elements);
}

static json_t *make_entry(const fa_tensor_spec *spec, int64_t begin, int64_t end) {
    json_t *shape = json_array();
    for (int i = 0; i < spec->n_dims; i++) json_array_append_new(shape, json_integer(spec->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", fa_dtype_get(spec->type)->name, "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)end);
}

/* The header as text, padded with blanks to a multiple of 8 bytes; malloc'd. Fills begin[0 .. n]. */
static fa_status make_header(char **text, size_t *bytes, int64_t *begin, const char *path, const fa_tensor_spec *specs,
                             int64_t n, fa_error *e) {
    fa_status s = FA_OK;
    fa_json_watch();
    json_t *root = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    begin[0] = 0;
    for (int64_t i = 0; i < n && !s; i++) {
        int64_t size = spec_bytes(&specs[i]);
        if (size < 0 || __builtin_add_overflow(begin[i], size, &begin[i + 1]))
            s = fa_fail(e, FA_EINVAL, "%s: tensor %s: impossible shape or type", path, specs[i].name);
        else if (json_object_get(root, specs[i].name))
            s = fa_fail(e, FA_EINVAL, "%s: tensor %s: the name occurs twice", path, specs[i].name);
        else if (json_object_set_new(root, specs[i].name, make_entry(&specs[i], begin[i], begin[i + 1])))
            s = fa_json_starved() ? fa_fail(e, FA_ENOMEM, "%s: out of memory for the header", path)
                                  : fa_fail(e, FA_EINVAL, "%s: tensor %s: the name is no UTF-8", path, specs[i].name);
    }
    char *json = s ? NULL : fa_json_print(root, JSON_COMPACT);
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

fa_status fa_safetensors_create(fa_safetensors_writer **out, const char *path, const fa_tensor_spec *specs, int64_t n,
                                fa_error *e) {
    *out = NULL;
    char *header;
    size_t bytes;
    fa_safetensors_writer *w = calloc(1, sizeof *w);
    if (w) w->begin = calloc((size_t)n + 1, sizeof *w->begin);
    if (!w || !w->begin) {
        free(w);
        return fa_fail(e, FA_ENOMEM, "%s: out of memory", path);
    }
    w->n = n;
    fa_status s = make_header(&header, &bytes, w->begin, path, specs, n, e);
    w->data = 8 + (int64_t)bytes;
    if (!s) s = fa_new_file_open(&w->file, path, e);
    w->buffer = s ? NULL : malloc(BUFFER);
    if (w->buffer) setvbuf(w->file.stream, w->buffer, _IOFBF, BUFFER);
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

/* At offset `at` of the data, whose size the caller has checked. */
static fa_status put_at(fa_safetensors_writer *w, int64_t at, const void *data, size_t bytes, fa_error *e) {
    if (ftello(w->file.stream) != w->data + at && fseeko(w->file.stream, w->data + at, SEEK_SET) != 0)
        return fa_fail(e, FA_EIO, "%s: cannot seek: %m", w->file.path);
    w->written += (int64_t)bytes;
    return put(w, data, bytes, e);
}

fa_status fa_safetensors_write(fa_safetensors_writer *w, const void *data, size_t bytes, fa_error *e) {
    if (bytes > (uint64_t)(w->begin[w->n] - w->next))
        return fa_fail(e, FA_EINVAL, "%s: more data than the header announces", w->file.path);
    int64_t at = w->next;
    w->next += (int64_t)bytes;
    return put_at(w, at, data, bytes, e);
}

fa_status fa_safetensors_put(fa_safetensors_writer *w, int64_t i, int64_t offset, const void *data, size_t bytes,
                             fa_error *e) {
    int64_t size = i < 0 || i >= w->n ? -1 : w->begin[i + 1] - w->begin[i];
    if (offset < 0 || offset > size || bytes > (uint64_t)(size - offset))
        return fa_fail(e, FA_EINVAL, "%s: %zu bytes at %lld do not lie in tensor number %lld", w->file.path, bytes,
                       (long long)offset, (long long)i);
    return put_at(w, w->begin[i] + offset, data, bytes, e);
}

fa_status fa_safetensors_commit(fa_safetensors_writer *w, fa_error *e) {
    fa_status s = FA_OK;
    if (w->written != w->begin[w->n])
        s = fa_fail(e, FA_EINVAL, "%s: %lld bytes of data written, %lld announced", w->file.path, (long long)w->written,
                    (long long)w->begin[w->n]);
    else
        s = fa_new_file_commit(&w->file, e);
    fa_safetensors_abandon(w);
    return s;
}

void fa_safetensors_abandon(fa_safetensors_writer *w) {
    if (!w) return;
    fa_new_file_abandon(&w->file);
    free(w->buffer);
    free(w->begin);
    free(w);
}

fa_status fa_safetensors_save(const char *path, const fa_tensor_spec *specs, int64_t n, fa_error *e) {
    fa_safetensors_writer *w;
    fa_status s = fa_safetensors_create(&w, path, specs, n, e);
    if (!w) return s;
    for (int64_t i = 0; i < n && !s; i++) s = fa_safetensors_write(w, specs[i].data, (size_t)spec_bytes(&specs[i]), e);
    if (!s) return fa_safetensors_commit(w, e);
    fa_safetensors_abandon(w);
    return s;
}
