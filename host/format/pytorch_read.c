/* PyTorch checkpoints (torch.save since 1.6): a zip archive NAME/ with data.pkl, which is a pickled state_dict, and one file of raw
 * elements for each storage, NAME/data/KEY. A tensor is torch._utils._rebuild_tensor_v2(storage, offset, sizes, strides, ...), a
 * storage the persistent id ("storage", torch.XStorage, KEY, device, elements) (torch/serialization.py, torch/_utils.py). The
 * pickle is read as data (pickle.h): a checkpoint that asks for anything else is refused with the name of what it asked for. */
#include <stdio.h>
#include <string.h>

#include "host/format/container.h"
#include "host/format/pickle.h"
#include "host/format/zip.h"

enum { MOST_PICKLE_BYTES = 1 << 24, LONGEST_NAME = 512 };

static const struct {
    const char *name;
    fa_dtype type;
} storages[] = {
    {"torch FloatStorage", FA_F32},  {"torch HalfStorage", FA_F16}, {"torch BFloat16Storage", FA_BF16},
    {"torch DoubleStorage", FA_F64}, {"torch ByteStorage", FA_U8},  {"torch CharStorage", FA_I8},
    {"torch ShortStorage", FA_I16},  {"torch IntStorage", FA_I32},  {"torch LongStorage", FA_I64},
    {"torch BoolStorage", FA_BOOL},
};
enum { STORAGES = sizeof storages / sizeof *storages };

typedef struct checkpoint {
    fa_tensors *ts;
    const char *file;
    char root[LONGEST_NAME]; /* NAME/ */
    fa_zip zip;
    fa_arena arena; /* of zip and pickle */
} checkpoint;

static fa_status unlike_a_tensor(const checkpoint *c, const char *name, const char *what, fa_error *e) {
    return fa_fail(e, FA_EFORMAT, "%s: tensor %s: %s", c->file, name, what);
}

static bool is_call(const fa_pickle *v, const char *name) {
    return v->kind == FA_PICKLE_CALL && !strcmp(v->items[0]->text, name);
}

/* The name of a call that no checkpoint of tensors needs, for the error; or what else the value is. */
static fa_status refuse_value(const checkpoint *c, const char *name, const fa_pickle *v, fa_error *e) {
    if (v->kind == FA_PICKLE_CALL)
        return fa_fail(e, FA_EUNSUPPORTED, "%s: %s asks for a call of '%s', which is refused", c->file, name,
                       v->items[0]->text);
    return fa_fail(e, FA_EUNSUPPORTED, "%s: %s is no tensor", c->file, name);
}

/* Sizes or strides. */
static bool read_integers(const fa_pickle *v, int64_t *to, int *n) {
    if (v->kind != FA_PICKLE_TUPLE || v->n > FA_MAX_DIMS) return false;
    for (size_t i = 0; i < v->n; i++) {
        if (v->items[i]->kind != FA_PICKLE_INT || v->items[i]->number < 0) return false;
        to[i] = v->items[i]->number;
    }
    *n = (int)v->n;
    return true;
}

static bool is_row_major(const fa_tensor *t, const int64_t *stride) {
    int64_t want = 1;
    for (int i = t->n_dims - 1; i >= 0; i--) {
        if (t->shape[i] != 1 && stride[i] != want) return false;
        if (__builtin_mul_overflow(want, t->shape[i], &want)) return false;
    }
    return true;
}

/* The file of a storage, and the type of its elements. */
static fa_status find_storage(const checkpoint *c, const char *name, const fa_pickle *v, fa_dtype *type,
                              const fa_zip_entry **entry, fa_error *e) {
    const fa_pickle *id = v->kind == FA_PICKLE_REFERENCE ? v->items[0] : v;
    if (v->kind != FA_PICKLE_REFERENCE || id->kind != FA_PICKLE_TUPLE || id->n < 3 ||
        id->items[1]->kind != FA_PICKLE_GLOBAL || id->items[2]->kind != FA_PICKLE_TEXT)
        return unlike_a_tensor(c, name, "its storage is not described as PyTorch does", e);
    int i = 0;
    while (i < STORAGES && strcmp(storages[i].name, id->items[1]->text)) i++;
    if (i == STORAGES)
        return fa_fail(e, FA_EUNSUPPORTED, "%s: tensor %s: storage '%s' is none that is known", c->file, name,
                       id->items[1]->text);
    *type = storages[i].type;
    char path[2 * LONGEST_NAME];
    snprintf(path, sizeof path, "%sdata/%s", c->root, id->items[2]->text);
    *entry = fa_zip_find(&c->zip, path);
    return *entry ? FA_OK : fa_fail(e, FA_EFORMAT, "%s: tensor %s: %s is not in the archive", c->file, name, path);
}

static fa_status add_tensor(const checkpoint *c, const char *name, const fa_pickle *v, fa_error *e) {
    const fa_pickle *arguments = v->items[1];
    fa_tensor t = {.name = name, .file = c->file};
    const fa_zip_entry *entry;
    int64_t stride[FA_MAX_DIMS];
    int n_strides;
    if (arguments->n < 4 || arguments->items[1]->kind != FA_PICKLE_INT || arguments->items[1]->number < 0 ||
        !read_integers(arguments->items[2], t.shape, &t.n_dims) ||
        !read_integers(arguments->items[3], stride, &n_strides) || n_strides != t.n_dims)
        return unlike_a_tensor(c, name, "its offset, sizes or strides are not as PyTorch writes them", e);
    if (!is_row_major(&t, stride))
        return unlike_a_tensor(c, name, "its elements do not lie in row-major order; save a contiguous copy", e);
    fa_status s = find_storage(c, name, arguments->items[0], &t.type, &entry, e);
    if (s) return s;
    uint64_t begin;
    if (__builtin_mul_overflow((uint64_t)arguments->items[1]->number, (uint64_t)fa_dtype_get(t.type)->block_bytes,
                               &begin))
        begin = UINT64_MAX;
    return fa_tensors_add(c->ts, t, entry->data, entry->bytes, begin, -1, e);
}

/* A parameter is a tensor in a wrapper. */
static fa_status add_value(const checkpoint *c, const char *name, const fa_pickle *v, fa_error *e) {
    if (is_call(v, "torch._utils _rebuild_parameter") && v->items[1]->n) v = v->items[1]->items[0];
    return is_call(v, "torch._utils _rebuild_tensor_v2") ? add_tensor(c, name, v, e) : refuse_value(c, name, v, e);
}

static fa_status add_all(const checkpoint *c, const fa_pickle *top, fa_error *e) {
    if (top->kind != FA_PICKLE_DICT && !is_call(top, "collections OrderedDict"))
        return refuse_value(c, "the checkpoint", top, e);
    fa_status s = FA_OK;
    for (size_t i = 0; i < top->n_pairs && !s; i++) {
        const fa_pickle *key = top->pairs[2 * i];
        if (key->kind != FA_PICKLE_TEXT)
            s = fa_fail(e, FA_EFORMAT, "%s: the name of tensor %zu is no text", c->file, i);
        else
            s = add_value(c, key->text, top->pairs[2 * i + 1], e);
    }
    return s;
}

/* The one file NAME/data.pkl; its folder becomes the root. */
static fa_status find_pickle(checkpoint *c, const fa_zip_entry **pickle, fa_error *e) {
    static const char last[] = "/data.pkl";
    *pickle = NULL;
    for (size_t i = 0; i < c->zip.n && !*pickle; i++) {
        const char *name = c->zip.entries[i].name;
        size_t n = strlen(name), tail = sizeof last - 1;
        if (n <= tail || n >= sizeof c->root || strcmp(name + n - tail, last)) continue;
        *pickle = &c->zip.entries[i];
        memcpy(c->root, name, n - tail + 1);
        c->root[n - tail + 1] = 0;
    }
    if (!*pickle)
        return fa_fail(e, FA_EFORMAT, "%s: a zip archive without data.pkl: no checkpoint of PyTorch", c->file);
    if ((*pickle)->bytes > MOST_PICKLE_BYTES)
        return fa_fail(e, FA_ELIMIT, "%s: %s has %llu bytes, at most %d are read", c->file, (*pickle)->name,
                       (unsigned long long)(*pickle)->bytes, MOST_PICKLE_BYTES);
    return FA_OK;
}

static fa_status check_byte_order(const checkpoint *c, fa_error *e) {
    char path[LONGEST_NAME + 16];
    snprintf(path, sizeof path, "%sbyteorder", c->root);
    const fa_zip_entry *order = fa_zip_find(&c->zip, path);
    if (!order || (order->bytes == 6 && !memcmp(order->data, "little", 6))) return FA_OK;
    return fa_fail(e, FA_EUNSUPPORTED, "%s: the elements are not little-endian", c->file);
}

static fa_status read_checkpoint(checkpoint *c, const fa_map *m, fa_error *e) {
    const fa_zip_entry *pickle = NULL;
    const fa_pickle *top = NULL;
    char where[LONGEST_NAME + LONGEST_NAME];
    fa_status s = fa_zip_open(&c->zip, &c->arena, m->data, m->bytes, c->file, e);
    if (!s) s = find_pickle(c, &pickle, e);
    if (!s) s = check_byte_order(c, e);
    if (s) return s;
    snprintf(where, sizeof where, "%s: %s", c->file, pickle->name);
    s = fa_pickle_read(&top, &c->arena, pickle->data, (size_t)pickle->bytes, where, e);
    return s ? s : add_all(c, top, e);
}

/* Tensors may share a storage, and tied weights do, so overlapping ones are no damage here. */
fa_status fa_pytorch_read(fa_tensors *ts, const char *path, fa_error *e) {
    checkpoint c = {.ts = ts};
    fa_map m;
    fa_status s = fa_tensors_map(ts, path, &m, &c.file, e);
    int64_t first = ts->count;
    if (!s) s = read_checkpoint(&c, &m, e);
    fa_arena_free(&c.arena);
    return s ? s : fa_tensors_realign(ts, first, e);
}
