#include "tests/lib/files.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

char *check_scratch(void) {
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    CHECK(asprintf(&path, "%s/fathom-test-XXXXXX", base && *base ? base : "/tmp") > 0);
    CHECK(mkdtemp(path), "%s", path);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw) {
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

void check_remove(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

char *check_write(const char *dir, const char *name, const void *data, size_t bytes) {
    char *path = NULL;
    CHECK(asprintf(&path, "%s/%s", dir, name) > 0);
    FILE *f = fopen(path, "wb");
    CHECK(f && fwrite(data, 1, bytes, f) == bytes && fclose(f) == 0, "%s", path);
    return path;
}

uint8_t *check_read(const char *path, size_t *bytes) {
    FILE *f = fopen(path, "rb");
    CHECK(f && fseek(f, 0, SEEK_END) == 0, "%s", path);
    *bytes = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*bytes + 1);
    CHECK(data && fread(data, 1, *bytes, f) == *bytes, "%s", path);
    data[*bytes] = 0;
    fclose(f);
    return data;
}

void check_put(check_bytes *b, const void *data, size_t bytes) {
    if (b->n + bytes >= b->capacity) {
        b->capacity = 2 * (b->n + bytes) + 1;
        b->data = realloc(b->data, b->capacity);
        CHECK(b->data);
    }
    memcpy(b->data + b->n, data, bytes);
    b->n += bytes;
}

void check_put_int(check_bytes *b, uint64_t v, int bytes) {
    uint8_t p[8];
    for (int i = 0; i < bytes; i++) p[i] = (uint8_t)(v >> 8 * i);
    check_put(b, p, (size_t)bytes);
}

void check_gguf_header(check_bytes *b, uint64_t tensors, uint64_t keys) {
    check_put(b, "GGUF", 4);
    check_put_int(b, 3, 4);
    check_put_int(b, tensors, 8);
    check_put_int(b, keys, 8);
}

void check_gguf_text(check_bytes *b, const char *text) {
    check_put_int(b, strlen(text), 8);
    check_put(b, text, strlen(text));
}

void check_gguf_key_text(check_bytes *b, const char *key, const char *value) {
    check_gguf_text(b, key);
    check_put_int(b, 8, 4);
    check_gguf_text(b, value);
}

void check_gguf_key_u32(check_bytes *b, const char *key, uint32_t value) {
    check_gguf_text(b, key);
    check_put_int(b, 4, 4);
    check_put_int(b, value, 4);
}

void check_gguf_key_f32(check_bytes *b, const char *key, float value) {
    check_gguf_text(b, key);
    check_put_int(b, 6, 4);
    check_put(b, &value, 4);
}

void check_gguf_tensor(check_bytes *b, const char *name, int n_dims, const uint64_t *dims, uint32_t type,
                       uint64_t offset) {
    check_gguf_text(b, name);
    check_put_int(b, (uint64_t)n_dims, 4);
    for (int i = 0; i < n_dims; i++) check_put_int(b, dims[i], 8);
    check_put_int(b, type, 4);
    check_put_int(b, offset, 8);
}

void check_pad(check_bytes *b, size_t multiple) {
    while (b->n % multiple) check_put(b, "", 1);
}
