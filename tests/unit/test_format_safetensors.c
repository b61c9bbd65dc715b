/* Reading and writing of safetensors: golden folders open, what is written reads back, hostile files are refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/format/safetensors.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

static void golden_folder_opens(void *arg) {
    fa_error e = {0};
    fa_tensors *ts;
    char *path = check_golden(arg);
    CHECK_OK(fa_tensors_open(&ts, path, &e), &e);
    CHECK(fa_tensors_count(ts) > 10 && !fa_tensors_gguf(ts));
    int64_t sum = 0;
    for (int64_t i = 0; i < fa_tensors_count(ts); i++) {
        const fa_tensor *t = fa_tensors_at(ts, i);
        CHECK(fa_tensors_find(ts, t->name) == t, "%s", t->name);
        CHECK((uintptr_t)t->data % (uintptr_t)fa_dtype_get(t->type)->block_bytes == 0, "%s", t->name);
        sum += t->bytes;
    }
    CHECK(sum < fa_tensors_file_bytes(ts) && sum > fa_tensors_file_bytes(ts) * 9 / 10, "%lld", (long long)sum);
    CHECK(!fa_tensors_find(ts, "model.layers.99.nothing") && !fa_tensors_find(ts, ""));
    fa_tensors_close(ts);
    free(path);
}

static void written_tensors_read_back(void *arg) {
    (void)arg;
    fa_error e = {0};
    float f[6] = {1, 2, 3, 4, 5, 6};
    uint8_t codes[3] = {7, 8, 9};
    const fa_tensor_spec specs[] = {
        {"a", FA_F32, 2, {2, 3}, f},    {"naïve \"name\"", FA_F8_E4M3, 1, {3}, codes},
        {"odd.f32", FA_F32, 1, {2}, f}, /* unaligned in the file: 3 codes lie before it */
        {"scalar", FA_BF16, 0, {0}, f}, {"none", FA_I64, 3, {4, 0, 2}, f},
    };
    char *dir = check_scratch(), *path = check_write(dir, "x.safetensors", "old", 3), text[64];
    CHECK_OK(fa_safetensors_save(path, specs, 5, &e), &e);
    fa_tensors *ts;
    CHECK_OK(fa_tensors_open(&ts, path, &e), &e);
    CHECK(fa_tensors_count(ts) == 5);
    const fa_tensor *a = fa_tensors_find(ts, "a"), *b = fa_tensors_find(ts, specs[1].name);
    const fa_tensor *c = fa_tensors_find(ts, "odd.f32"), *d = fa_tensors_find(ts, "scalar");
    CHECK(a->type == FA_F32 && !memcmp(a->data, f, 24) && a->bytes == 24 && a->shape[2] == 1);
    CHECK(b->type == FA_F8_E4M3 && !memcmp(b->data, codes, 3));
    CHECK((uintptr_t)c->data % 4 == 0 && !memcmp(c->data, f, 8));
    CHECK(d->n_dims == 0 && d->bytes == 2 && fa_tensor_elements(d) == 1);
    CHECK(!strcmp(fa_tensor_shape_text(a, text, sizeof text), "[2, 3]"), "%s", text);
    CHECK(!strcmp(fa_tensor_shape_text(d, text, sizeof text), "[]"), "%s", text);
    CHECK(!strcmp(fa_tensor_shape_text(a, text, 4), "[2,"), "%s", text);
    CHECK(fa_tensors_find(ts, "none")->bytes == 0);
    fa_tensors_close(ts);
    size_t n;
    uint8_t *raw = check_read(path, &n);
    CHECK(raw[0] % 8 == 0 && !memcmp(raw + 8, "{\"__metadata__\"", 15));
    free(raw);
    check_remove(dir);
    free(path), free(dir);
}

static void tensors_may_be_put_in_any_order(void *arg) {
    (void)arg;
    fa_error e = {0};
    char *dir = check_scratch(), *path = check_write(dir, "x.safetensors", "", 0);
    const char *text = "abcdefgh";
    const fa_tensor_spec specs[] = {{"a", FA_U8, 1, {3}, NULL}, {"b", FA_U8, 1, {5}, NULL}};
    fa_safetensors_writer *w;
    CHECK_OK(fa_safetensors_create(&w, path, specs, 2, &e), &e);
    CHECK_OK(fa_safetensors_put(w, 1, 2, text + 5, 3, &e), &e);
    CHECK_OK(fa_safetensors_put(w, 0, 0, text, 3, &e), &e);
    CHECK(fa_safetensors_put(w, 0, 2, text, 2, &e) == FA_EINVAL &&
          fa_safetensors_put(w, 2, 0, text, 0, &e) == FA_EINVAL);
    CHECK(fa_safetensors_put(w, 0, -1, text, 1, &e) == FA_EINVAL &&
          fa_safetensors_put(w, 0, 4, text, 0, &e) == FA_EINVAL);
    CHECK_OK(fa_safetensors_put(w, 1, 0, text + 3, 2, &e), &e);
    CHECK_OK(fa_safetensors_commit(w, &e), &e);
    fa_tensors *ts;
    CHECK_OK(fa_tensors_open(&ts, path, &e), &e);
    CHECK(!memcmp(fa_tensors_find(ts, "a")->data, text, 3) && !memcmp(fa_tensors_find(ts, "b")->data, text + 3, 5));
    fa_tensors_close(ts);
    check_remove(dir);
    free(path), free(dir);
}

static void an_unfinished_or_wrong_file_never_appears(void *arg) {
    (void)arg;
    fa_error e = {0};
    char *dir = check_scratch(), *path = check_write(dir, "x.safetensors", "old", 3);
    float f[2] = {1, 2};
    fa_tensor_spec specs[2] = {{"a", FA_F32, 1, {2}, f}, {"a", FA_F32, 1, {2}, f}};
    fa_safetensors_writer *w;
    CHECK(fa_safetensors_create(&w, path, specs, 2, &e) == FA_EINVAL && strstr(e.text, "twice"), "%s", e.text);
    CHECK_OK(fa_safetensors_create(&w, path, specs, 1, &e), &e);
    CHECK_OK(fa_safetensors_write(w, f, 4, &e), &e);
    CHECK(fa_safetensors_write(w, f, 8, &e) == FA_EINVAL, "more than announced");
    CHECK(fa_safetensors_commit(w, &e) == FA_EINVAL && strstr(e.text, "4 bytes"), "%s", e.text);
    CHECK_OK(fa_safetensors_create(&w, path, specs, 1, &e), &e);
    fa_safetensors_abandon(w);
    specs[0].shape[0] = INT64_MAX;
    CHECK(fa_safetensors_save(path, specs, 1, &e) == FA_EINVAL && strstr(e.text, "tensor a"), "%s", e.text);
    specs[0].shape[0] = -1;
    CHECK(fa_safetensors_save(path, specs, 1, &e) == FA_EINVAL);
    specs[0] = (fa_tensor_spec){"\xff", FA_F32, 1, {2}, f};
    CHECK(fa_safetensors_save(path, specs, 1, &e) == FA_EINVAL && strstr(e.text, "UTF-8"), "%s", e.text);
    CHECK(fa_safetensors_create(&w, "/nonexistent-folder/x", specs, 0, &e) == FA_EIO &&
          strstr(e.text, "/nonexistent-folder/x"));
    size_t n;
    uint8_t *old = check_read(path, &n);
    CHECK(n == 3 && !memcmp(old, "old", 3));
    free(old);
    remove(path);
    CHECK(rmdir(dir) == 0, "something was left behind");
    free(path), free(dir);
}

/* Files of one header, `length` as its length (or -1: the true one) and 16 bytes of data. */
typedef struct hostile {
    const char *what, *header;
    int64_t length;
    fa_status status;
    const char *part; /* of the error text */
} hostile;

#define ENTRY(dtype, shape, offsets) \
    "{\"w\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const hostile hostiles[] = {
    {"a header of 2^63 bytes", "{}", INT64_MIN, FA_EFORMAT, "9223372036854775808"},
    {"a header of 2^64 - 1 bytes", "{}", -2, FA_EFORMAT, "header"},
    {"a header longer than the file", "{}", 19, FA_EFORMAT, "19 bytes"},
    {"an empty header", "", 0, FA_EFORMAT, "line 1"},
    {"junk", "\x01\x02\x03", -1, FA_EFORMAT, "line 1"},
    {"bytes that are no UTF-8", "{\"\xff\xfe\":1}", -1, FA_EFORMAT, "decode byte 0xff"},
    {"a byte order mark", "\xEF\xBB\xBF{}", -1, FA_EFORMAT, "line 1"},
    {"text after the object", "{} {}", -1, FA_EFORMAT, "line 1"},
    {"an array", "[1,2]", -1, FA_EFORMAT, "no JSON object"},
    {"an entry that is no object", "{\"w\":3}", -1, FA_EFORMAT, "tensor w"},
    {"offsets past the end", ENTRY("U8", "[17]", "[0,17]"), -1, FA_EFORMAT, "tensor w"},
    {"offsets of 2^62", ENTRY("U8", "[4]", "[4611686018427387904,4611686018427387908]"), -1, FA_EFORMAT, "tensor w"},
    {"offsets beyond int64", ENTRY("U8", "[4]", "[18446744073709551612,18446744073709551616]"), -1, FA_EFORMAT,
     "line 1"},
    {"negative offsets", ENTRY("U8", "[4]", "[-4,0]"), -1, FA_EFORMAT, "tensor w: data_offsets"},
    {"offsets that go backwards", ENTRY("U8", "[4]", "[8,4]"), -1, FA_EFORMAT, "tensor w: data_offsets"},
    {"three offsets", ENTRY("U8", "[4]", "[0,4,8]"), -1, FA_EFORMAT, "tensor w: data_offsets"},
    {"fractional offsets", ENTRY("U8", "[4]", "[0,4.0]"), -1, FA_EFORMAT, "tensor w: data_offsets"},
    {"no offsets", "{\"w\":{\"dtype\":\"U8\",\"shape\":[4]}}", -1, FA_EFORMAT, "tensor w: data_offsets"},
    {"a size that does not match the shape", ENTRY("F32", "[3]", "[0,16]"), -1, FA_EFORMAT, "[3] of F32 takes 12"},
    {"a shape whose product overflows", ENTRY("U8", "[4294967296,4294967296,4]", "[0,0]"), -1, FA_EFORMAT,
     "impossible"},
    {"a shape whose bytes overflow", ENTRY("F64", "[2305843009213693952]", "[0,0]"), -1, FA_EFORMAT, "impossible"},
    {"a negative size", ENTRY("U8", "[-4]", "[0,4]"), -1, FA_EFORMAT, "shape[0]"},
    {"a fractional size", ENTRY("U8", "[4.5]", "[0,4]"), -1, FA_EFORMAT, "shape[0]"},
    {"a shape that is no array", ENTRY("U8", "4", "[0,4]"), -1, FA_EFORMAT, "shape"},
    {"five dimensions", ENTRY("U8", "[1,1,1,1,4]", "[0,4]"), -1, FA_EUNSUPPORTED, "5 dimensions"},
    {"a type that is not known", ENTRY("F7", "[4]", "[0,4]"), -1, FA_EFORMAT, "dtype F7"},
    {"a type of GGUF", ENTRY("Q8_0", "[32]", "[0,16]"), -1, FA_EFORMAT, "dtype Q8_0"},
    {"a type that is a number", "{\"w\":{\"dtype\":4,\"shape\":[4],\"data_offsets\":[0,4]}}", -1, FA_EFORMAT,
     "tensor w: dtype"},
    {"a name that occurs twice", "{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"w\":{}}", -1,
     FA_EFORMAT, "\"w\""},
    {"tensors that overlap",
     "{\"v\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]},"
     "\"w\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[7,15]}}",
     -1, FA_EFORMAT, "tensor w: its data overlaps that of tensor v"},
};

static void expect_refusal(const char *path, fa_status status, const char *part) {
    fa_error e = {0};
    fa_tensors *ts = NULL;
    fa_status s = fa_tensors_open(&ts, path, &e);
    CHECK(s == status && e.status == status && !ts, "%s: %s", fa_status_name(s), e.text);
    CHECK(strstr(e.text, part) && strstr(e.text, path), "'%s' without '%s'", e.text, part);
}

static void hostile_files_are_refused(void *arg) {
    (void)arg;
    char *dir = check_scratch();
    for (size_t i = 0; i < sizeof hostiles / sizeof *hostiles; i++) {
        const hostile *h = &hostiles[i];
        check_bytes b = {0};
        check_put_int(&b, h->length == -1 ? strlen(h->header) : (uint64_t)h->length, 8);
        check_put(&b, h->header, strlen(h->header));
        check_put(&b, "0123456789abcdef", 16);
        char *path = check_write(dir, "x.safetensors", b.data, b.n);
        expect_refusal(path, h->status, h->part);
        free(path), free(b.data);
    }
    char *path = check_write(dir, "x.safetensors", "GGU", 3);
    expect_refusal(path, FA_EFORMAT, "too few");
    free(path);
    path = check_write(dir, "x.safetensors", "", 0);
    expect_refusal(path, FA_EFORMAT, "too few");
    remove(path);
    expect_refusal(path, FA_EIO, "cannot open");
    expect_refusal(dir, FA_EIO, "neither");
    CHECK(mkfifo(path, 0600) == 0);
    expect_refusal(path, FA_EIO, "not a regular file");
    check_remove(dir);
    free(path), free(dir);
}

static void deep_json_is_refused(void *arg) {
    (void)arg;
    char *dir = check_scratch();
    check_bytes b = {0};
    check_put_int(&b, 1000000, 8);
    check_put(&b, "{\"w\":", 5);
    for (int i = 0; i < 999995; i++) check_put(&b, "[", 1);
    char *path = check_write(dir, "x.safetensors", b.data, b.n);
    expect_refusal(path, FA_EFORMAT, "depth");
    check_remove(dir);
    free(path), free(b.data), free(dir);
}

static const struct {
    const char *what, *index, *part;
} indices[] = {
    {"no object", "[]", "weight_map"},
    {"no weight_map", "{\"metadata\":{}}", "weight_map"},
    {"a weight_map that is a list", "{\"weight_map\":[\"a.safetensors\"]}", "weight_map"},
    {"cut short", "{\"weight_map\":{\"v\":\"a.safe", "line 1"},
    {"empty", "", "empty"},
    {"a shard that is a number", "{\"weight_map\":{\"v\":7}}", "tensor v"},
    {"a shard outside the folder", "{\"weight_map\":{\"v\":\"../a.safetensors\"}}",
     "shard ../a.safetensors is no name of a file"},
    {"an absolute shard", "{\"weight_map\":{\"v\":\"/etc/passwd\"}}", "shard /etc/passwd is no name of a file"},
    {"the folder itself", "{\"weight_map\":{\"v\":\".\"}}", "tensor v"},
    {"a shard without name", "{\"weight_map\":{\"v\":\"\"}}", "tensor v"},
    {"a shard that is not there", "{\"weight_map\":{\"v\":\"c.safetensors\"}}", "c.safetensors: cannot open"},
    {"a tensor that is not there", "{\"weight_map\":{\"u\":\"a.safetensors\"}}", "tensor u is not in a.safetensors"},
    {"a tensor of another shard",
     "{\"weight_map\":{\"v\":\"a.safetensors\",\"w\":\"a.safetensors\",\"x\":\"b.safetensors\"}}",
     "tensor w is not in a.safetensors"},
    {"the index as a shard", "{\"weight_map\":{\"v\":\"model.safetensors.index.json\"}}", "header"},
};

static void wrong_indices_are_refused(void *arg) {
    (void)arg;
    fa_error e = {0};
    char *dir = check_scratch(), *path;
    uint8_t x[4] = {0};
    const fa_tensor_spec specs[] = {{"v", FA_U8, 1, {4}, x}, {"w", FA_U8, 1, {4}, x}, {"x", FA_U8, 1, {1}, x}};
    path = check_write(dir, "a.safetensors", "", 0);
    CHECK_OK(fa_safetensors_save(path, specs, 1, &e), &e);
    free(path);
    path = check_write(dir, "b.safetensors", "", 0);
    CHECK_OK(fa_safetensors_save(path, specs + 1, 2, &e), &e);
    free(path);
    for (size_t i = 0; i < sizeof indices / sizeof *indices; i++) {
        path = check_write(dir, "model.safetensors.index.json", indices[i].index, strlen(indices[i].index));
        fa_tensors *ts = NULL;
        fa_status s = fa_tensors_open(&ts, dir, &e);
        CHECK(s && !ts && strstr(e.text, indices[i].part) && strstr(e.text, dir), "%s: '%s'", indices[i].what, e.text);
        free(path);
    }
    const char *good = "{\"weight_map\":{\"v\":\"a.safetensors\",\"w\":\"b.safetensors\"}}";
    path = check_write(dir, "model.safetensors.index.json", good, strlen(good));
    fa_tensors *ts;
    CHECK_OK(fa_tensors_open(&ts, dir, &e), &e);
    CHECK(fa_tensors_count(ts) == 3 && fa_tensors_find(ts, "w"));
    fa_tensors_close(ts);
    char *twice = check_write(dir, "b.safetensors", "", 0);
    CHECK_OK(fa_safetensors_save(twice, specs, 2, &e), &e);
    CHECK(fa_tensors_open(&ts, dir, &e) == FA_EFORMAT && strstr(e.text, "tensor v: the name occurs twice"), "%s",
          e.text);
    check_remove(dir);
    free(path), free(twice), free(dir);
}

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"deepseek-v3-tiny opens", golden_folder_opens, "deepseek-v3-tiny"},
        {"deepseek-v3-tiny-fp8 opens", golden_folder_opens, "deepseek-v3-tiny-fp8"},
        {"deepseek-v3-tiny-mtp opens", golden_folder_opens, "deepseek-v3-tiny-mtp"},
        {"deepseek-v2-tiny opens", golden_folder_opens, "deepseek-v2-tiny"},
        {"deepseek-v2-lite-tiny opens: three shards", golden_folder_opens, "deepseek-v2-lite-tiny"},
        {"deepseek-llm-tiny opens", golden_folder_opens, "deepseek-llm-tiny"},
        {"deepseek-coder-tiny opens", golden_folder_opens, "deepseek-coder-tiny"},
        {"r1-distill-llama-tiny opens", golden_folder_opens, "r1-distill-llama-tiny"},
        {"r1-distill-qwen-tiny opens", golden_folder_opens, "r1-distill-qwen-tiny"},
        {"r1-distill-qwen-tiny-untied opens", golden_folder_opens, "r1-distill-qwen-tiny-untied"},
        {"written tensors read back", written_tensors_read_back, NULL},
        {"tensors may be put in any order", tensors_may_be_put_in_any_order, NULL},
        {"an unfinished or wrong file never appears", an_unfinished_or_wrong_file_never_appears, NULL},
        {"hostile files are refused by name", hostile_files_are_refused, NULL},
        {"deep JSON is refused", deep_json_is_refused, NULL},
        {"wrong indices are refused by name", wrong_indices_are_refused, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
