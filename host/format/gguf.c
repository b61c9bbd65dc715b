/* GGUF v3 files (v2 has the same layout). The header is untrusted: a cursor checks every read against the end
 * of the file. */
#include "host/format/gguf.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "host/format/container.h"

/* Types of metadata values, numbered as in the file. */
typedef enum value_type {
    V_U8 = 0,
    V_I8,
    V_U16,
    V_I16,
    V_U32,
    V_I32,
    V_F32,
    V_BOOL,
    V_STRING,
    V_ARRAY,
    V_U64,
    V_I64,
    V_F64,
    V_COUNT
} value_type;

static const struct {
    const char *name;
    uint8_t bytes; /* 0: of variable size */
    char kind;     /* i integer, f float, b bool, s string, a array */
} value_types[V_COUNT] = {
    [V_U8] = {"u8", 1, 'i'},       [V_I8] = {"i8", 1, 'i'},     [V_U16] = {"u16", 2, 'i'},
    [V_I16] = {"i16", 2, 'i'},     [V_U32] = {"u32", 4, 'i'},   [V_I32] = {"i32", 4, 'i'},
    [V_F32] = {"f32", 4, 'f'},     [V_BOOL] = {"bool", 1, 'b'}, [V_U64] = {"u64", 8, 'i'},
    [V_I64] = {"i64", 8, 'i'},     [V_F64] = {"f64", 8, 'f'},   [V_STRING] = {"string", 0, 's'},
    [V_ARRAY] = {"array", 0, 'a'},
};

typedef struct entry {
    const char *key;
    value_type type; /* of the value, or of the elements of an array */
    bool array;
    uint64_t count;       /* elements; 1 for a plain value */
    const uint8_t *value; /* first element, in the map, unaligned */
} entry;

struct fa_gguf {
    const char *file;
    entry *entries; /* sorted by key */
    int64_t count;
};

/* ---- reading ---- */

typedef struct cursor {
    const uint8_t *start, *p, *end;
    const char *file;
    const char *what; /* being read, for error texts */
    fa_error *e;
} cursor;

static uint64_t left(const cursor *c) {
    return (uint64_t)(c->end - c->p);
}

static fa_status cut_short(const cursor *c) {
    return fa_fail(c->e, FA_EFORMAT, "%s: %s: the file ends too early", c->file, c->what);
}

static uint64_t little_endian(const uint8_t *p, int bytes) {
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static fa_status take(cursor *c, int bytes, uint64_t *v) {
    if (left(c) < (uint64_t)bytes) return cut_short(c);
    *v = little_endian(c->p, bytes);
    c->p += bytes;
    return FA_OK;
}

static fa_status skip(cursor *c, uint64_t bytes) {
    if (left(c) < bytes) return cut_short(c);
    c->p += bytes;
    return FA_OK;
}

static fa_status take_text(cursor *c, fa_gguf_text *t) {
    t->bytes = 0;
    fa_status s = take(c, 8, &t->bytes);
    t->data = (const char *)c->p;
    return s ? s : skip(c, t->bytes);
}

/* A key or a tensor's name, copied and terminated. */
static fa_status take_name(cursor *c, fa_arena *arena, const char **name) {
    fa_gguf_text t;
    fa_status s = take_text(c, &t);
    if (s) return s;
    if (t.bytes == 0 || t.bytes > USHRT_MAX || memchr(t.data, 0, t.bytes))
        return fa_fail(c->e, FA_EFORMAT, "%s: %s at byte %lld is empty, longer than 65535 or has a zero byte in it",
                       c->file, c->what, (long long)(c->p - c->start));
    *name = fa_arena_text(arena, t.data, t.bytes);
    return *name ? FA_OK : fa_fail(c->e, FA_ENOMEM, "%s: out of memory for names", c->file);
}

static fa_status skip_elements(cursor *c, value_type type, uint64_t count) {
    uint64_t size = value_types[type].bytes;
    if (size) return count > left(c) / size ? cut_short(c) : skip(c, count * size);
    fa_status s = FA_OK;
    fa_gguf_text t;
    for (uint64_t i = 0; i < count && !s; i++) s = take_text(c, &t);
    return s;
}

static fa_status read_entry(cursor *c, fa_arena *arena, entry *x) {
    uint64_t type = 0;
    c->what = "a metadata key";
    fa_status s = take_name(c, arena, &x->key);
    if (s) return s;
    c->what = x->key;
    s = take(c, 4, &type);
    if (s) return s;
    x->count = 1;
    if (type == V_ARRAY) {
        x->array = true;
        s = take(c, 4, &type);
        if (!s) s = take(c, 8, &x->count);
        if (s) return s;
        if (type == V_ARRAY)
            return fa_fail(c->e, FA_EUNSUPPORTED, "%s: %s: arrays of arrays are not supported", c->file, x->key);
    }
    if (type >= V_COUNT)
        return fa_fail(c->e, FA_EFORMAT, "%s: %s: value type %llu is not known", c->file, x->key,
                       (unsigned long long)type);
    x->type = (value_type)type;
    x->value = c->p;
    return skip_elements(c, x->type, x->count);
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const entry *)a)->key, ((const entry *)b)->key);
}

static fa_status read_metadata(cursor *c, fa_arena *arena, uint64_t count, fa_gguf **out) {
    c->what = "metadata";
    if (count > left(c) / 13) return cut_short(c); /* a key takes 9 bytes, its value's type 4 */
    fa_gguf *g = fa_arena_alloc(arena, sizeof *g);
    entry *entries = fa_arena_array(arena, count, sizeof *entries);
    if (!g || !entries) return fa_fail(c->e, FA_ENOMEM, "%s: out of memory for metadata", c->file);
    fa_status s = FA_OK;
    for (uint64_t i = 0; i < count && !s; i++) s = read_entry(c, arena, &entries[i]);
    if (s) return s;
    qsort(entries, count, sizeof *entries, by_key);
    for (uint64_t i = 1; i < count; i++)
        if (!strcmp(entries[i - 1].key, entries[i].key))
            return fa_fail(c->e, FA_EFORMAT, "%s: %s: the key occurs twice", c->file, entries[i].key);
    *g = (fa_gguf){c->file, entries, (int64_t)count};
    *out = g;
    return FA_OK;
}

/* ggml's numbers of element types; those without a match here have only a name, for the error text. */
static const struct {
    const char *name;
    fa_dtype type; /* FA_DTYPE_COUNT: not supported */
} ggml_types[] = {
    [0] = {"F32", FA_F32},
    [1] = {"F16", FA_F16},
    [2] = {"Q4_0", FA_Q4_0},
    [3] = {"Q4_1", FA_Q4_1},
    [6] = {"Q5_0", FA_Q5_0},
    [7] = {"Q5_1", FA_Q5_1},
    [8] = {"Q8_0", FA_Q8_0},
    [9] = {"Q8_1", FA_DTYPE_COUNT},
    [10] = {"Q2_K", FA_DTYPE_COUNT},
    [11] = {"Q3_K", FA_DTYPE_COUNT},
    [12] = {"Q4_K", FA_Q4_K},
    [13] = {"Q5_K", FA_Q5_K},
    [14] = {"Q6_K", FA_Q6_K},
    [15] = {"Q8_K", FA_DTYPE_COUNT},
    [16] = {"IQ2_XXS", FA_DTYPE_COUNT},
    [17] = {"IQ2_XS", FA_DTYPE_COUNT},
    [18] = {"IQ3_XXS", FA_DTYPE_COUNT},
    [19] = {"IQ1_S", FA_DTYPE_COUNT},
    [20] = {"IQ4_NL", FA_DTYPE_COUNT},
    [21] = {"IQ3_S", FA_DTYPE_COUNT},
    [22] = {"IQ2_S", FA_DTYPE_COUNT},
    [23] = {"IQ4_XS", FA_DTYPE_COUNT},
    [24] = {"I8", FA_I8},
    [25] = {"I16", FA_I16},
    [26] = {"I32", FA_I32},
    [27] = {"I64", FA_I64},
    [28] = {"F64", FA_F64},
    [29] = {"IQ1_M", FA_DTYPE_COUNT},
    [30] = {"BF16", FA_BF16},
    [34] = {"TQ1_0", FA_DTYPE_COUNT},
    [35] = {"TQ2_0", FA_DTYPE_COUNT},
    [39] = {"MXFP4", FA_DTYPE_COUNT},
};

static fa_status read_type(cursor *c, uint64_t number, fa_tensor *t) {
    const char *name = number < sizeof ggml_types / sizeof *ggml_types ? ggml_types[number].name : NULL;
    if (!name)
        return fa_fail(c->e, FA_EFORMAT, "%s: tensor %s: type number %llu is not known", c->file, t->name,
                       (unsigned long long)number);
    t->type = ggml_types[number].type;
    if (t->type == FA_DTYPE_COUNT)
        return fa_fail(c->e, FA_EUNSUPPORTED, "%s: tensor %s: type %s is not supported", c->file, t->name, name);
    return FA_OK;
}

/* Where one tensor of the file lies, while the data section's begin is not yet known. */
typedef struct info {
    fa_tensor t;
    uint64_t offset;
} info;

static fa_status read_info(cursor *c, fa_arena *arena, info *x) {
    uint64_t dims = 0, dim = 0, type = 0;
    x->t.file = c->file;
    c->what = "a tensor's name";
    fa_status s = take_name(c, arena, &x->t.name);
    if (s) return s;
    c->what = x->t.name;
    s = take(c, 4, &dims);
    if (s) return s;
    if (dims > FA_MAX_DIMS)
        return fa_fail(c->e, FA_EFORMAT, "%s: tensor %s: %llu dimensions, at most %d are possible", c->file, x->t.name,
                       (unsigned long long)dims, FA_MAX_DIMS);
    x->t.n_dims = (int)dims;
    for (int i = (int)dims - 1; i >= 0; i--) { /* the file has the fastest first */
        s = take(c, 8, &dim);
        if (s) return s;
        if (dim > INT64_MAX)
            return fa_fail(c->e, FA_EFORMAT, "%s: tensor %s: dimension %llu is too large", c->file, x->t.name,
                           (unsigned long long)dim);
        x->t.shape[i] = (int64_t)dim;
    }
    s = take(c, 4, &type);
    if (!s) s = read_type(c, type, &x->t);
    return s ? s : take(c, 8, &x->offset);
}

/* Adds the tensors of `infos` once the cursor stands at the end of the last one. */
static fa_status add_tensors(fa_tensors *ts, cursor *c, const fa_gguf *g, const info *infos, uint64_t count) {
    int64_t alignment, first = ts->count;
    fa_status s = fa_gguf_int(g, "general.alignment", 8, 1 << 20, 32, &alignment, c->e);
    if (s) return s;
    if (alignment & (alignment - 1))
        return fa_fail(c->e, FA_EFORMAT, "%s: general.alignment: %lld is no power of two", c->file,
                       (long long)alignment);
    uint64_t header = (uint64_t)(c->p - c->start), mask = (uint64_t)alignment - 1, padding = -header & mask;
    if (padding > left(c)) padding = left(c); /* a file without tensor data need not be padded */
    c->p += padding;
    for (uint64_t i = 0; i < count && !s; i++) {
        if (infos[i].offset & mask)
            s = fa_fail(c->e, FA_EFORMAT, "%s: tensor %s: offset %llu is no multiple of %lld", c->file, infos[i].t.name,
                        (unsigned long long)infos[i].offset, (long long)alignment);
        else
            s = fa_tensors_add(ts, infos[i].t, c->p, left(c), infos[i].offset, -1, c->e);
    }
    return s ? s : fa_tensors_check_file(ts, first, c->e);
}

static fa_status refuse_split(const fa_gguf *g, fa_error *e) {
    int64_t parts;
    fa_status s = fa_gguf_int(g, "split.count", 0, INT64_MAX, 0, &parts, e);
    if (s || parts <= 1) return s;
    return fa_fail(e, FA_EUNSUPPORTED, "%s: one of %lld parts; join them first (llama-gguf-split --merge)", g->file,
                   (long long)parts);
}

static fa_status read_header(cursor *c, uint64_t *tensors, uint64_t *keys) {
    uint64_t magic = 0, version = 0;
    c->what = "the header";
    fa_status s = take(c, 4, &magic);
    if (!s) s = take(c, 4, &version);
    if (s) return s;
    if (version & 0xFFFF0000u)
        return fa_fail(c->e, FA_EUNSUPPORTED, "%s: a big-endian GGUF file is not supported", c->file);
    if (version < 2 || version > 3)
        return fa_fail(c->e, FA_EUNSUPPORTED, "%s: GGUF version %llu is not supported (2 and 3 are)", c->file,
                       (unsigned long long)version);
    s = take(c, 8, tensors);
    return s ? s : take(c, 8, keys);
}

fa_status fa_gguf_read(fa_tensors *ts, const char *path, fa_error *e) {
    fa_map m;
    cursor c = {.e = e};
    uint64_t count = 0, keys = 0;
    fa_status s = fa_tensors_map(ts, path, &m, &c.file, e);
    if (s) return s;
    c.start = c.p = m.data;
    c.end = c.p + m.bytes;
    s = read_header(&c, &count, &keys);
    if (!s) s = read_metadata(&c, &ts->arena, keys, &ts->gguf);
    if (!s) s = refuse_split(ts->gguf, e);
    if (s) return s;
    c.what = "the list of tensors";
    if (count > left(&c) / 25) return cut_short(&c); /* name 9 bytes, dimensions 4, type 4, offset 8 */
    info *infos = calloc(count + 1, sizeof *infos);
    if (!infos) return fa_fail(e, FA_ENOMEM, "%s: out of memory for %llu tensors", c.file, (unsigned long long)count);
    for (uint64_t i = 0; i < count && !s; i++) s = read_info(&c, &ts->arena, &infos[i]);
    if (!s) s = add_tensors(ts, &c, ts->gguf, infos, count);
    free(infos);
    return s;
}

/* ---- asking ---- */

const char *fa_gguf_path(const fa_gguf *g) {
    return g->file;
}

static const entry *find(const fa_gguf *g, const char *key) {
    entry wanted = {.key = key};
    return bsearch(&wanted, g->entries, (size_t)g->count, sizeof wanted, by_key);
}

bool fa_gguf_has(const fa_gguf *g, const char *key) {
    return find(g, key) != NULL;
}

/* Finds a value of one kind; `*out` is NULL when absent. */
static fa_status find_kind(const fa_gguf *g, const char *key, char kind, const char *wanted, const entry **out,
                           fa_error *e) {
    const entry *x = find(g, key);
    *out = x;
    if (!x || (!x->array && value_types[x->type].kind == kind)) return FA_OK;
    return fa_fail(e, FA_EFORMAT, "%s: %s: expected %s, found %s%s", g->file, key, wanted,
                   x->array ? "an array of " : "", value_types[x->type].name);
}

/* False when the value, of an integer type, is above INT64_MAX. */
static bool integer_at(const entry *x, uint64_t i, int64_t *v) {
    int bytes = value_types[x->type].bytes;
    uint64_t u = little_endian(x->value + i * (uint64_t)bytes, bytes);
    switch (x->type) {
    case V_I8: *v = (int8_t)u; break;
    case V_I16: *v = (int16_t)u; break;
    case V_I32: *v = (int32_t)u; break;
    default: *v = (int64_t)u;
    }
    return x->type != V_U64 || u <= INT64_MAX;
}

static double float_at(const entry *x, uint64_t i) {
    float f;
    double d;
    if (x->type == V_F64) {
        memcpy(&d, x->value + i * 8, sizeof d);
        return d;
    }
    memcpy(&f, x->value + i * 4, sizeof f);
    return f;
}

fa_status fa_gguf_int(const fa_gguf *g, const char *key, int64_t min, int64_t max, int64_t fallback, int64_t *out,
                      fa_error *e) {
    const entry *x;
    *out = fallback;
    fa_status s = find_kind(g, key, 'i', "a whole number", &x, e);
    if (s || !x) return s;
    int64_t v;
    if (!integer_at(x, 0, &v) || v < min || v > max)
        return fa_fail(e, FA_EFORMAT, "%s: %s: the number is not in %lld..%lld", g->file, key, (long long)min,
                       (long long)max);
    *out = v;
    return FA_OK;
}

fa_status fa_gguf_double(const fa_gguf *g, const char *key, double fallback, double *out, fa_error *e) {
    const entry *x;
    *out = fallback;
    fa_status s = find_kind(g, key, 'f', "a floating-point number", &x, e);
    if (!s && x) *out = float_at(x, 0);
    return s;
}

fa_status fa_gguf_bool(const fa_gguf *g, const char *key, bool fallback, bool *out, fa_error *e) {
    const entry *x;
    *out = fallback;
    fa_status s = find_kind(g, key, 'b', "true or false", &x, e);
    if (!s && x) *out = x->value[0] != 0;
    return s;
}

static fa_gguf_text text_at(const uint8_t *p) {
    return (fa_gguf_text){(const char *)p + 8, little_endian(p, 8)};
}

fa_status fa_gguf_string(const fa_gguf *g, const char *key, fa_gguf_text *out, fa_error *e) {
    const entry *x;
    *out = (fa_gguf_text){0};
    fa_status s = find_kind(g, key, 's', "a string", &x, e);
    if (!s && x) *out = text_at(x->value);
    return s;
}

int64_t fa_gguf_array_count(const fa_gguf *g, const char *key) {
    const entry *x = find(g, key);
    return x && x->array ? (int64_t)x->count : -1;
}

static fa_status find_array(const fa_gguf *g, const char *key, char kind, int64_t count, const entry **out,
                            fa_error *e) {
    const entry *x = find(g, key);
    *out = x;
    if (!x) return fa_fail(e, FA_EFORMAT, "%s: %s is missing", g->file, key);
    if (!x->array || value_types[x->type].kind != kind)
        return fa_fail(e, FA_EFORMAT, "%s: %s: an array of %s is not what is needed here", g->file, key,
                       value_types[x->type].name);
    if (count < 0 || x->count != (uint64_t)count)
        return fa_fail(e, FA_EFORMAT, "%s: %s: %llu elements, expected %lld", g->file, key,
                       (unsigned long long)x->count, (long long)count);
    return FA_OK;
}

fa_status fa_gguf_strings(const fa_gguf *g, const char *key, fa_gguf_text *out, int64_t count, fa_error *e) {
    const entry *x;
    fa_status s = find_array(g, key, 's', count, &x, e);
    if (s) return s;
    const uint8_t *p = x->value;
    for (int64_t i = 0; i < count; i++) {
        out[i] = text_at(p);
        p += 8 + out[i].bytes;
    }
    return FA_OK;
}

fa_status fa_gguf_ints(const fa_gguf *g, const char *key, int32_t *out, int64_t count, fa_error *e) {
    const entry *x;
    fa_status s = find_array(g, key, 'i', count, &x, e);
    for (int64_t i = 0; i < count && !s; i++) {
        int64_t v;
        if (!integer_at(x, (uint64_t)i, &v) || v < INT32_MIN || v > INT32_MAX)
            s = fa_fail(e, FA_EFORMAT, "%s: %s: element %lld is not in 32 bits", g->file, key, (long long)i);
        else
            out[i] = (int32_t)v;
    }
    return s;
}

fa_status fa_gguf_floats(const fa_gguf *g, const char *key, float *out, int64_t count, fa_error *e) {
    const entry *x;
    fa_status s = find_array(g, key, 'f', count, &x, e);
    for (int64_t i = 0; i < count && !s; i++) out[i] = (float)float_at(x, (uint64_t)i);
    return s;
}
