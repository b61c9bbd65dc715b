/* GGUF: a file of gguf-py, hand-made files, hostile ones, and a real model where one is at hand. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/format/gguf.h"
#include "host/format/tensor.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

static void values_of_gguf_py_read_back(void *arg) {
    (void)arg;
    fa_error e = {0};
    fa_tensors *ts;
    char *path = check_golden("gguf/blocks.gguf");
    CHECK_OK(fa_tensors_open(&ts, path, &e), &e);
    const fa_gguf *g = fa_tensors_gguf(ts);
    CHECK(g && !strcmp(fa_gguf_path(g), path) && fa_gguf_has(g, "k.u8") && !fa_gguf_has(g, "k.u9"));
    static const struct {
        const char *key;
        int64_t value;
    } ints[] = {{"k.u8", 200},         {"k.i8", -100},         {"k.u16", 60000},        {"k.i16", -30000},
                {"k.u32", 4000000000}, {"k.i32", -2000000000}, {"k.i64", -(1LL << 62)}, {"k.absent", -7}};
    int64_t i;
    for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
        CHECK_OK(fa_gguf_int(g, ints[k].key, INT64_MIN, INT64_MAX, -7, &i, &e), &e);
        CHECK(i == ints[k].value, "%s: %lld", ints[k].key, (long long)i);
    }
    double d;
    bool b;
    fa_gguf_text t;
    CHECK_OK(fa_gguf_double(g, "k.f32", 0, &d, &e), &e);
    CHECK(d == (double)1.5e-5f);
    CHECK_OK(fa_gguf_double(g, "k.f64", 0, &d, &e), &e);
    CHECK(d == 0.1);
    CHECK_OK(fa_gguf_double(g, "k.absent", 2.5, &d, &e), &e);
    CHECK(d == 2.5);
    CHECK(!fa_gguf_bool(g, "k.yes", false, &b, &e) && b && !fa_gguf_bool(g, "k.no", true, &b, &e) && !b);
    CHECK(!fa_gguf_bool(g, "k.absent", true, &b, &e) && b);
    CHECK_OK(fa_gguf_string(g, "k.text", &t, &e), &e);
    CHECK(t.bytes == strlen("häagen “x”") && !memcmp(t.data, "häagen “x”", t.bytes));
    CHECK(!fa_gguf_string(g, "k.empty", &t, &e) && t.data && t.bytes == 0);
    CHECK(!fa_gguf_string(g, "k.absent", &t, &e) && !t.data);
    fa_gguf_text texts[3];
    int32_t numbers[3];
    float floats[2];
    CHECK(fa_gguf_array_count(g, "k.texts") == 3 && fa_gguf_array_count(g, "k.absent") == -1 &&
          fa_gguf_array_count(g, "k.u8") == -1);
    CHECK_OK(fa_gguf_strings(g, "k.texts", texts, 3, &e), &e);
    CHECK(texts[0].bytes == 0 && texts[1].data[0] == 'a' && !memcmp(texts[2].data, "bc▁", texts[2].bytes));
    CHECK_OK(fa_gguf_ints(g, "k.ints", numbers, 3, &e), &e);
    CHECK(numbers[0] == 1 && numbers[1] == -2 && numbers[2] == 3);
    CHECK_OK(fa_gguf_floats(g, "k.floats", floats, 2, &e), &e);
    CHECK(floats[0] == 0.5f && floats[1] == -0.25f);
    const fa_tensor *stack = fa_tensors_find(ts, "stack");
    CHECK(stack->n_dims == 3 && stack->shape[0] == 3 && stack->shape[1] == 2 && stack->shape[2] == 32);
    fa_tensors_close(ts);
    free(path);
}

static void values_of_another_type_are_refused(void *arg) {
    (void)arg;
    fa_error e = {0};
    fa_tensors *ts;
    char *path = check_golden("gguf/blocks.gguf");
    CHECK_OK(fa_tensors_open(&ts, path, &e), &e);
    const fa_gguf *g = fa_tensors_gguf(ts);
    int64_t i;
    double d;
    bool b;
    fa_gguf_text t[4];
    int32_t n[4];
    float f[4];
    CHECK(fa_gguf_int(g, "k.f32", 0, 1, 0, &i, &e) == FA_EFORMAT &&
              strstr(e.text, "k.f32: expected a whole number, found f32"),
          "%s", e.text);
    CHECK(fa_gguf_int(g, "k.ints", 0, 1, 0, &i, &e) == FA_EFORMAT && strstr(e.text, "an array of i32"), "%s", e.text);
    CHECK(fa_gguf_int(g, "k.u64", INT64_MIN, INT64_MAX, 0, &i, &e) == FA_EFORMAT && strstr(e.text, path), "%s", e.text);
    CHECK(fa_gguf_int(g, "k.u8", 0, 199, 0, &i, &e) == FA_EFORMAT && strstr(e.text, "0..199"), "%s", e.text);
    CHECK(fa_gguf_double(g, "k.u8", 0, &d, &e) == FA_EFORMAT);
    CHECK(fa_gguf_bool(g, "k.u8", 0, &b, &e) == FA_EFORMAT);
    CHECK(fa_gguf_string(g, "k.texts", t, &e) == FA_EFORMAT);
    CHECK(fa_gguf_strings(g, "k.ints", t, 3, &e) == FA_EFORMAT &&
          fa_gguf_strings(g, "k.texts", t, 2, &e) == FA_EFORMAT);
    CHECK(fa_gguf_strings(g, "k.texts", t, 4, &e) == FA_EFORMAT && strstr(e.text, "3 elements, expected 4"), "%s",
          e.text);
    CHECK(fa_gguf_ints(g, "k.floats", n, 2, &e) == FA_EFORMAT && fa_gguf_floats(g, "k.ints", f, 3, &e) == FA_EFORMAT);
    CHECK(fa_gguf_ints(g, "k.absent", n, 1, &e) == FA_EFORMAT && strstr(e.text, "k.absent is missing"), "%s", e.text);
    fa_tensors_close(ts);
    free(path);
}

/* ---- hand-made files ---- */

/* A file whose pieces a case may spoil. */
typedef struct recipe {
    const char *magic, *key, *name;
    uint32_t version, key_type, n_dims, type;
    uint64_t n_tensors, n_keys, dim, offset, data_bytes;
    uint32_t alignment; /* 0: no such key */
    uint32_t split;     /* 0: no such key */
    uint64_t second;    /* offset of tensor "w2", or 0: none */
} recipe;

/* A sound file with some fields replaced. */
#define RECIPE(...)                                                                                            \
    {                                                                                                          \
        .magic = "GGUF", .key = "general.architecture", .name = "w", .version = 3, .key_type = 8, .n_dims = 2, \
        .n_tensors = 1, .n_keys = 1, .dim = 32, .data_bytes = 256, __VA_ARGS__                                 \
    }

#pragma GCC diagnostic ignored "-Woverride-init"

static char *write_recipe(const char *dir, const recipe *r) {
    check_bytes b = {0};
    check_put(&b, r->magic, 4);
    check_put_int(&b, r->version, 4);
    check_put_int(&b, r->n_tensors, 8);
    check_put_int(&b, r->n_keys + (r->alignment != 0) + (r->split != 0), 8);
    check_gguf_text(&b, r->key);
    check_put_int(&b, r->key_type, 4);
    check_gguf_text(&b, "llama");
    if (r->alignment) check_gguf_key_u32(&b, "general.alignment", r->alignment);
    if (r->split) check_gguf_key_u32(&b, "split.count", r->split);
    if (r->n_keys == 2) check_gguf_key_text(&b, r->key, "again");
    uint64_t dims[8] = {r->dim, 2, 1, 1, 1, 1, 1, 1};
    check_gguf_tensor(&b, r->name, (int)r->n_dims, dims, r->type, r->offset);
    dims[0] = 8;
    if (r->second) check_gguf_tensor(&b, "w2", 2, dims, r->type, r->second);
    check_pad(&b, r->alignment ? r->alignment : 32);
    for (uint64_t i = 0; i < r->data_bytes; i++) check_put_int(&b, i, 1);
    char *path = check_write(dir, "x.gguf", b.data, b.n);
    free(b.data);
    return path;
}

static void a_sound_file_opens(void *arg) {
    (void)arg;
    fa_error e = {0};
    char *dir = check_scratch();
    for (uint32_t alignment = 0; alignment <= 64; alignment = alignment ? alignment * 2 : 8) {
        recipe r = RECIPE(.alignment = alignment);
        char *path = write_recipe(dir, &r);
        fa_tensors *ts;
        CHECK_OK(fa_tensors_open(&ts, path, &e), &e);
        const fa_tensor *t = fa_tensors_find(ts, "w");
        CHECK(t && t->shape[0] == 2 && t->shape[1] == 32 && t->bytes == 256 && ((const uint8_t *)t->data)[5] == 5,
              "alignment %u", alignment);
        fa_tensors_close(ts);
        free(path);
    }
    check_remove(dir);
    free(dir);
}

typedef struct spoiled {
    const char *what;
    recipe r;
    fa_status status;
    const char *part;
} spoiled;

static void hostile_files_are_refused(void *arg) {
    (void)arg;
    static const spoiled table[] = {
        {"another magic", RECIPE(.magic = "GGML"), FA_EFORMAT, "header"},
        {"version 1", RECIPE(.version = 1), FA_EUNSUPPORTED, "version 1"},
        {"big endian", RECIPE(.version = 3u << 24), FA_EUNSUPPORTED, "big-endian"},
        {"2^60 keys", RECIPE(.n_keys = 1ull << 60), FA_EFORMAT, "too early"},
        {"2^64 - 1 tensors", RECIPE(.n_tensors = UINT64_MAX), FA_EFORMAT, "too early"},
        {"a key type that is not known", RECIPE(.key_type = 13), FA_EFORMAT, "general.architecture: value type 13"},
        {"a key that occurs twice", RECIPE(.n_keys = 2), FA_EFORMAT, "general.architecture: the key occurs twice"},
        {"an empty key", RECIPE(.key = ""), FA_EFORMAT, "key"},
        {"an empty name", RECIPE(.name = ""), FA_EFORMAT, "name"},
        {"a name that occurs twice", RECIPE(.name = "w2", .n_tensors = 2, .second = 256, .data_bytes = 512), FA_EFORMAT,
         "tensor w2: the name occurs twice"},
        {"seven dimensions", RECIPE(.n_dims = 7), FA_EFORMAT, "tensor w: 7 dimensions"},
        {"a shape that overflows", RECIPE(.dim = 1ull << 62), FA_EFORMAT, "tensor w: shape"},
        {"a dimension of 2^63", RECIPE(.dim = 1ull << 63), FA_EFORMAT, "tensor w: dimension"},
        {"a type that is not known", RECIPE(.type = 1000), FA_EFORMAT, "tensor w: type number 1000"},
        {"a type that was removed", RECIPE(.type = 4), FA_EFORMAT, "tensor w: type number 4"},
        {"a type that is not supported", RECIPE(.type = 10), FA_EUNSUPPORTED, "tensor w: type Q2_K"},
        {"half a block", RECIPE(.type = 12), FA_EFORMAT, "tensor w: shape [2, 32] of Q4_K"},
        {"an offset past the end", RECIPE(.offset = 288), FA_EFORMAT, "tensor w"},
        {"an offset of 2^64 - 32", RECIPE(.offset = UINT64_MAX - 31), FA_EFORMAT, "tensor w"},
        {"an unaligned offset", RECIPE(.offset = 4), FA_EFORMAT, "tensor w: offset 4"},
        {"data cut short", RECIPE(.data_bytes = 224), FA_EFORMAT, "tensor w: 256 bytes"},
        {"no data", RECIPE(.data_bytes = 0), FA_EFORMAT, "tensor w"},
        {"overlap", RECIPE(.n_tensors = 2, .second = 224, .data_bytes = 512), FA_EFORMAT,
         "tensor w2: its data overlaps that of tensor w"},
        {"alignment 48", RECIPE(.alignment = 48), FA_EFORMAT, "48 is no power of two"},
        {"alignment 4", RECIPE(.alignment = 4), FA_EFORMAT, "general.alignment"},
        {"a part of a split file", RECIPE(.split = 3), FA_EUNSUPPORTED, "one of 3 parts"},
    };
    char *dir = check_scratch();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        fa_error e = {0};
        fa_tensors *ts = NULL;
        char *path = write_recipe(dir, &table[i].r);
        fa_status s = fa_tensors_open(&ts, path, &e);
        CHECK(s == table[i].status && !ts, "%s: %s: %s", table[i].what, fa_status_name(s), e.text);
        CHECK(strstr(e.text, table[i].part) && strstr(e.text, path), "%s: '%s' without '%s'", table[i].what, e.text,
              table[i].part);
        free(path);
    }
    check_remove(dir);
    free(dir);
}

static void every_shorter_file_is_refused(void *arg) {
    (void)arg;
    char *dir = check_scratch(), *golden = check_golden("gguf/blocks.gguf");
    size_t n;
    uint8_t *data = check_read(golden, &n);
    for (size_t keep = 0; keep < n; keep = keep < 2000 ? keep + 1 : keep + 997) {
        fa_error e = {0};
        fa_tensors *ts = NULL;
        char *path = check_write(dir, "x.gguf", data, keep);
        CHECK(fa_tensors_open(&ts, path, &e) == FA_EFORMAT && !ts && strstr(e.text, path), "%zu bytes: %s", keep,
              e.text);
        free(path);
    }
    check_remove(dir);
    free(data), free(golden), free(dir);
}

static void smollm2_opens(void *arg) {
    (void)arg;
    const char *path = getenv("FATHOM_SMOLLM2");
    if (!path) check_skip("FATHOM_SMOLLM2 does not name the file");
    fa_error e = {0};
    fa_tensors *ts;
    CHECK_OK(fa_tensors_open(&ts, path, &e), &e);
    const fa_tensor *embed = fa_tensors_find(ts, "token_embd.weight");
    int64_t layers;
    CHECK_OK(fa_gguf_int(fa_tensors_gguf(ts), "llama.block_count", 1, 1000, 0, &layers, &e), &e);
    CHECK(fa_tensors_count(ts) == 272 && layers == 30 && embed && embed->type == FA_Q8_0 && embed->shape[1] == 576);
    CHECK(fa_gguf_array_count(fa_tensors_gguf(ts), "tokenizer.ggml.tokens") == embed->shape[0]);
    float row[576], sum = 0;
    fa_decode(embed->type, embed->data, 576 * 5, 576, row);
    for (int i = 0; i < 576; i++) sum += row[i] * row[i];
    CHECK(isfinite(sum) && sum > 0.1f && sum < 100, "%g", sum);
    fa_tensors_close(ts);
}

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"values of gguf-py read back", values_of_gguf_py_read_back, NULL},
        {"values of another type are refused", values_of_another_type_are_refused, NULL},
        {"a sound GGUF file opens with every alignment", a_sound_file_opens, NULL},
        {"hostile GGUF files are refused by name", hostile_files_are_refused, NULL},
        {"every shorter GGUF file is refused", every_shorter_file_is_refused, NULL},
        {"SmolLM2 opens", smollm2_opens, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
