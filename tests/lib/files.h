/* Scratch folders and hand-made model files for tests. */
#ifndef FA_TESTS_FILES_H
#define FA_TESTS_FILES_H

#include <stddef.h>
#include <stdint.h>

/* A new scratch folder below TMPDIR or /tmp (malloc'd); check_remove takes it and everything in it away. */
char *check_scratch(void);
void check_remove(const char *path);

/* dir/name, malloc'd, written with these bytes. */
char *check_write(const char *dir, const char *name, const void *data, size_t bytes);

/* The whole file, malloc'd and terminated. */
uint8_t *check_read(const char *path, size_t *bytes);

/* A growing run of bytes, to compose files by hand. Zeroed is empty; free(data) releases. */
typedef struct check_bytes {
    uint8_t *data;
    size_t n, capacity;
} check_bytes;
void check_put(check_bytes *b, const void *data, size_t bytes);
void check_put_int(check_bytes *b, uint64_t v, int bytes); /* little endian */

/* Pieces of GGUF files: header, a key of each kind, a tensor's info (dims fastest first), padding. */
void check_gguf_header(check_bytes *b, uint64_t tensors, uint64_t keys);
void check_gguf_text(check_bytes *b, const char *text);
void check_gguf_key_text(check_bytes *b, const char *key, const char *value);
void check_gguf_key_u32(check_bytes *b, const char *key, uint32_t value);
void check_gguf_key_f32(check_bytes *b, const char *key, float value);
void check_gguf_tensor(check_bytes *b, const char *name, int n_dims, const uint64_t *dims, uint32_t type,
                       uint64_t offset);
void check_pad(check_bytes *b, size_t multiple);

#endif
