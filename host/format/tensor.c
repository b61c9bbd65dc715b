#include "host/format/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/format/container.h"

/* ---- filling ---- */

static fa_status out_of_memory(const char *file, fa_error *e) {
    return fa_fail(e, FA_ENOMEM, "%s: out of memory for the list of tensors", file);
}

fa_status fa_tensors_map(fa_tensors *ts, const char *path, fa_map *map, const char **kept, fa_error *e) {
    *kept = fa_arena_text(&ts->arena, path, strlen(path));
    if (!*kept) return out_of_memory(path, e);
    if (ts->n_maps == ts->map_capacity) {
        int64_t capacity = ts->map_capacity ? 2 * ts->map_capacity : 4;
        fa_map *maps = realloc(ts->maps, (size_t)capacity * sizeof *maps);
        if (!maps) return out_of_memory(path, e);
        ts->maps = maps;
        ts->map_capacity = capacity;
    }
    fa_status s = fa_map_open(map, path, e);
    if (!s) ts->maps[ts->n_maps++] = *map;
    return s;
}

static fa_status grow(fa_tensors *ts, const char *file, fa_error *e) {
    if (ts->count < ts->capacity) return FA_OK;
    int64_t capacity = ts->capacity ? 2 * ts->capacity : 256;
    fa_tensor *list = realloc(ts->list, (size_t)capacity * sizeof *list);
    if (!list) return out_of_memory(file, e);
    ts->list = list;
    ts->capacity = capacity;
    return FA_OK;
}

/* Bytes that shape and type ask for; -1 on overflow or a row that is no whole number of blocks. */
static int64_t bytes_of_shape(const fa_tensor *t) {
    int64_t elements = 1;
    for (int i = 0; i < t->n_dims; i++)
        if (__builtin_mul_overflow(elements, t->shape[i], &elements)) return -1;
    int64_t row = t->n_dims ? t->shape[t->n_dims - 1] : 1;
    return row % fa_dtype_get(t->type)->block_elements ? -1 : fa_dtype_bytes(t->type, elements);
}

fa_status fa_tensors_add(fa_tensors *ts, fa_tensor t, const uint8_t *data, uint64_t data_bytes, uint64_t begin,
                         int64_t claimed, fa_error *e) {
    char shape[96];
    for (int i = t.n_dims; i < FA_MAX_DIMS; i++) t.shape[i] = 1;
    t.bytes = bytes_of_shape(&t);
    fa_tensor_shape_text(&t, shape, sizeof shape);
    const char *type = fa_dtype_get(t.type)->name;
    if (t.bytes < 0)
        return fa_fail(e, FA_EFORMAT, "%s: tensor %s: shape %s of %s is impossible", t.file, t.name, shape, type);
    if (claimed >= 0 && claimed != t.bytes)
        return fa_fail(e, FA_EFORMAT, "%s: tensor %s: %lld bytes of data, but %s of %s takes %lld", t.file, t.name,
                       (long long)claimed, shape, type, (long long)t.bytes);
    if (begin > data_bytes || (uint64_t)t.bytes > data_bytes - begin)
        return fa_fail(e, FA_EFORMAT,
                       "%s: tensor %s: %lld bytes at offset %llu reach past the file's %llu bytes of data (cut short?)",
                       t.file, t.name, (long long)t.bytes, (unsigned long long)begin, (unsigned long long)data_bytes);
    fa_status s = grow(ts, t.file, e);
    if (s) return s;
    t.name = fa_arena_text(&ts->arena, t.name, strlen(t.name));
    if (!t.name) return out_of_memory(t.file, e);
    t.data = data + begin;
    ts->list[ts->count++] = t;
    return FA_OK;
}

static int by_data(const void *a, const void *b) {
    const fa_tensor *const *x = a, *const *y = b;
    const char *p = (*x)->data, *q = (*y)->data;
    return (p > q) - (p < q);
}

static fa_status check_overlap(const fa_tensor *list, int64_t n, fa_error *e) {
    const fa_tensor **order = malloc((size_t)n * sizeof(const fa_tensor *) + 1);
    if (!order) return out_of_memory(list[0].file, e);
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++)
        if (list[i].bytes > 0) order[m++] = &list[i];
    qsort(order, (size_t)m, sizeof *order, by_data);
    fa_status s = FA_OK;
    for (int64_t i = 1; i < m && !s; i++) {
        const fa_tensor *a = order[i - 1], *b = order[i];
        if ((const char *)a->data + a->bytes > (const char *)b->data)
            s = fa_fail(e, FA_EFORMAT, "%s: tensor %s: its data overlaps that of tensor %s", b->file, b->name, a->name);
    }
    free(order);
    return s;
}

/* Old writers did not pad the header. Everything else may rely on aligned data, so such tensors become
 * copies. */
static fa_status realign(fa_tensors *ts, fa_tensor *t, fa_error *e) {
    const fa_dtype_info *info = fa_dtype_get(t->type);
    if (info->block_elements > 1 || (uintptr_t)t->data % (uintptr_t)info->block_bytes == 0 || !t->bytes) return FA_OK;
    void *copy = fa_arena_alloc(&ts->arena, (size_t)t->bytes);
    if (!copy) return out_of_memory(t->file, e);
    t->data = memcpy(copy, t->data, (size_t)t->bytes);
    return FA_OK;
}

fa_status fa_tensors_realign(fa_tensors *ts, int64_t first, fa_error *e) {
    fa_status s = FA_OK;
    for (int64_t i = first; i < ts->count && !s; i++) s = realign(ts, &ts->list[i], e);
    return s;
}

fa_status fa_tensors_check_file(fa_tensors *ts, int64_t first, fa_error *e) {
    fa_status s = ts->count > first ? check_overlap(ts->list + first, ts->count - first, e) : FA_OK;
    return s ? s : fa_tensors_realign(ts, first, e);
}

static int by_name(const void *a, const void *b, void *list) {
    const fa_tensor *l = list;
    return strcmp(l[*(const int64_t *)a].name, l[*(const int64_t *)b].name);
}

fa_status fa_tensors_finish(fa_tensors *ts, fa_error *e) {
    free(ts->by_name);
    ts->by_name = malloc((size_t)ts->count * sizeof *ts->by_name + 1);
    if (!ts->by_name) return fa_fail(e, FA_ENOMEM, "out of memory for the index of %lld tensors", (long long)ts->count);
    for (int64_t i = 0; i < ts->count; i++) ts->by_name[i] = i;
    qsort_r(ts->by_name, (size_t)ts->count, sizeof *ts->by_name, by_name, ts->list);
    for (int64_t i = 1; i < ts->count; i++) {
        const fa_tensor *a = &ts->list[ts->by_name[i - 1]], *b = &ts->list[ts->by_name[i]];
        if (!strcmp(a->name, b->name))
            return fa_fail(e, FA_EFORMAT, "%s: tensor %s: the name occurs twice (also in %s)", b->file, b->name,
                           a->file);
    }
    return FA_OK;
}

/* ---- opening ---- */

typedef fa_status read_model(fa_tensors *ts, const char *dir, const char *path, fa_error *e);

static fa_status read_single(fa_tensors *ts, const char *dir, const char *path, fa_error *e) {
    (void)dir;
    return fa_tensors_read_file(ts, path, e);
}

/* What a model's folder may hold: of several the first is read. */
static const struct {
    const char *name;
    read_model *read;
} model_files[] = {
    {"model.safetensors", read_single},
    {"model.safetensors.index.json", fa_tensors_read_index},
    {"pytorch_model.bin", read_single},
    {"pytorch_model.bin.index.json", fa_tensors_read_index},
};
enum { MODEL_FILES = sizeof model_files / sizeof *model_files };

static fa_status read_folder(fa_tensors *ts, const char *dir, fa_error *e) {
    for (int i = 0; i < MODEL_FILES; i++) {
        char *path = fa_path_join(dir, model_files[i].name);
        if (!path) return out_of_memory(dir, e);
        bool there = access(path, F_OK) == 0;
        fa_status s = there ? model_files[i].read(ts, dir, path, e) : FA_OK;
        free(path);
        if (there) return s;
    }
    return fa_fail(
        e, FA_EIO,
        "%s: neither model.safetensors nor model.safetensors.index.json in this folder, nor pytorch_model.bin or its index",
        dir);
}

/* Checkpoints of PyTorch before 1.6 are a sequence of pickles that begins so. */
static const uint8_t old_pytorch[] = {0x80, 0x02, 0x8a, 0x0a};

/* A safetensors file begins with the length of its header, which none of these could be: it would be beyond the limit. */
fa_status fa_tensors_read_file(fa_tensors *ts, const char *path, fa_error *e) {
    fa_map m;
    fa_status s = fa_map_open(&m, path, e);
    if (s) return s;
    uint8_t head[4] = {0};
    if (m.bytes >= sizeof head) memcpy(head, m.data, sizeof head);
    fa_map_close(&m);
    if (!memcmp(head, "GGUF", 4)) return fa_gguf_read(ts, path, e);
    if (!memcmp(head, "PK\3\4", 4)) return fa_pytorch_read(ts, path, e);
    if (!memcmp(head, old_pytorch, 4))
        return fa_fail(e, FA_EUNSUPPORTED, "%s: a checkpoint of PyTorch before 1.6; load and save it with a newer one",
                       path);
    return fa_safetensors_read(ts, path, e);
}

fa_status fa_tensors_open(fa_tensors **out, const char *path, fa_error *e) {
    *out = NULL;
    fa_tensors *ts = calloc(1, sizeof *ts);
    if (!ts) return out_of_memory(path, e);
    struct stat st;
    bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    fa_status s = folder ? read_folder(ts, path, e) : fa_tensors_read_file(ts, path, e);
    if (!s) s = fa_tensors_finish(ts, e);
    if (s) {
        fa_tensors_close(ts);
        return s;
    }
    *out = ts;
    return FA_OK;
}

void fa_tensors_close(fa_tensors *ts) {
    if (!ts) return;
    for (int64_t i = 0; i < ts->n_maps; i++) fa_map_close(&ts->maps[i]);
    fa_arena_free(&ts->arena);
    free(ts->maps);
    free(ts->list);
    free(ts->by_name);
    free(ts);
}

/* ---- asking ---- */

int64_t fa_tensors_count(const fa_tensors *ts) {
    return ts->count;
}

const fa_tensor *fa_tensors_at(const fa_tensors *ts, int64_t i) {
    return &ts->list[i];
}

const fa_tensor *fa_tensors_find(const fa_tensors *ts, const char *name) {
    int64_t low = 0, high = ts->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        const fa_tensor *t = &ts->list[ts->by_name[middle]];
        int order = strcmp(name, t->name);
        if (order == 0) return t;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int64_t fa_tensors_file_bytes(const fa_tensors *ts) {
    int64_t sum = 0;
    for (int64_t i = 0; i < ts->n_maps; i++) sum += (int64_t)ts->maps[i].bytes;
    return sum;
}

const struct fa_gguf *fa_tensors_gguf(const fa_tensors *ts) {
    return ts->gguf;
}

int64_t fa_tensor_elements(const fa_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->n_dims; i++) n *= t->shape[i];
    return n;
}

char *fa_tensor_shape_text(const fa_tensor *t, char *text, size_t size) {
    size_t used = 0;
    if (size) text[0] = 0;
    for (int i = 0; i <= t->n_dims && used < size; i++) {
        int n = i == t->n_dims ? snprintf(text + used, size - used, "%s", i ? "]" : "[]")
                               : snprintf(text + used, size - used, "%s%lld", i ? ", " : "[", (long long)t->shape[i]);
        used += (size_t)n;
    }
    return text;
}
