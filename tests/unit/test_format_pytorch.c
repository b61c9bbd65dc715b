/* PyTorch's checkpoints: the golden one holds what its safetensors twin holds, an index of shards opens, and a pickle that asks for
 * anything but tensors, or is damaged, is refused with what is wrong in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/format/tensor.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

static void the_same_as_safetensors(void *folder) {
    fa_error e = {0};
    fa_tensors *want, *got;
    char *path = check_golden(folder), *file = NULL;
    CHECK(asprintf(&file, "%s/pytorch_model.bin", path) > 0);
    CHECK_OK(fa_tensors_open(&want, path, &e), &e);
    CHECK_OK(fa_tensors_open(&got, file, &e), &e);
    CHECK(fa_tensors_count(got) == fa_tensors_count(want) && fa_tensors_count(got) > 100);
    for (int64_t i = 0; i < fa_tensors_count(want); i++) {
        const fa_tensor *a = fa_tensors_at(want, i), *b = fa_tensors_find(got, a->name);
        CHECK(b && b->type == a->type && b->n_dims == a->n_dims && !memcmp(a->shape, b->shape, sizeof a->shape), "%s",
              a->name);
        CHECK(b->bytes == a->bytes && !memcmp(a->data, b->data, (size_t)a->bytes), "%s", a->name);
    }
    fa_tensors_close(want);
    fa_tensors_close(got);
    free(path), free(file);
}

/* --- archives by hand ------------------------------------------------------------------------------------------------------ */

typedef struct member {
    const char *name;
    const void *data;
    size_t bytes;
    uint16_t method;
} member;

static void put_archive(check_bytes *b, const member *m, int n) {
    check_bytes directory = {0};
    for (int i = 0; i < n; i++) {
        size_t at = b->n, name = strlen(m[i].name);
        check_put(b, "PK\3\4\0\0\0\0", 8);
        check_put_int(b, m[i].method, 2);
        check_put_int(b, 0, 8);
        check_put_int(b, m[i].bytes, 4);
        check_put_int(b, m[i].bytes, 4);
        check_put_int(b, name, 4); /* and no extra field */
        check_put(b, m[i].name, name);
        check_put(b, m[i].data, m[i].bytes);
        check_put(&directory, "PK\1\2\0\0\0\0\0\0", 10);
        check_put_int(&directory, m[i].method, 2);
        check_put_int(&directory, 0, 8);
        check_put_int(&directory, m[i].bytes, 4);
        check_put_int(&directory, m[i].bytes, 4);
        check_put_int(&directory, name, 6); /* no extra field, no comment */
        check_put_int(&directory, 0, 8);
        check_put_int(&directory, at, 4);
        check_put(&directory, m[i].name, name);
    }
    size_t at = b->n;
    if (n) check_put(b, directory.data, directory.n);
    check_put(b, "PK\5\6\0\0\0\0", 8);
    check_put_int(b, (uint64_t)n, 2);
    check_put_int(b, (uint64_t)n, 2);
    check_put_int(b, directory.n, 4);
    check_put_int(b, at, 4);
    check_put_int(b, 0, 2);
    free(directory.data);
}

static const float numbers[] = {1, 2, 3, 4};

#define TEXT(n, text) "X" n "\0\0\0" text
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define STORAGE(type, key) "(" TEXT("\7", "storage") "ctorch\n" type "\n" TEXT("\1", key) TEXT("\3", "cpu") "K\4tQ"
#define SQUARE "K\2K\2\x86K\2K\1\x86"
#define DICTIONARY "ccollections\nOrderedDict\n)R"
#define TENSOR REBUILD "(" STORAGE("FloatStorage", "0") "K\0" SQUARE "\x89" DICTIONARY "tR"
#define BEGIN "\x80\2}"
#define W TEXT("\1", "w")
#define PICKLE(text) text, sizeof(text) - 1

typedef struct broken {
    const char *name, *pickle;
    size_t bytes;
    fa_status status;
    const char *says;
} broken;

static const broken table[] = {
    {"a tensor", PICKLE(BEGIN W TENSOR "s."), FA_OK, NULL},
    {"an ordered dictionary with attributes", PICKLE("\x80\2" DICTIONARY "(" W TENSOR "u}b."), FA_OK, NULL},
    {"a parameter", PICKLE(BEGIN W "ctorch._utils\n_rebuild_parameter\n(" TENSOR "\x88" DICTIONARY "tRs."), FA_OK,
     NULL},
    {"protocol 4",
     PICKLE("\x80\4\x95\0\0\0\0\0\0\0\0}\x94\x8c\1w\x94\x8c\014torch._utils\x8c\022_rebuild_tensor_v2\x93\x94("
            "(\x8c\7storage\x94\x8c\5torch\x8c\014FloatStorage\x93\x8c\0010\x8c\3cpuK\4tQK\0" SQUARE "\x89NtRs."),
     FA_OK, NULL},
    {"a call of os.system", PICKLE(BEGIN W "cos\nsystem\n" TEXT("\2", "ls") "\x85Rs."), FA_EUNSUPPORTED, "'os system'"},
    {"a call at the top",
     PICKLE("\x80\2"
            "cbuiltins\neval\n" TEXT("\1", "1") "\x85R."),
     FA_EUNSUPPORTED, "'builtins eval'"},
    {"a tensor of another maker", PICKLE(BEGIN W "ctorch\nTensor\n)Rs."), FA_EUNSUPPORTED, "'torch Tensor'"},
    {"a new object", PICKLE(BEGIN W "ca\nB\n)\x81s."), FA_EUNSUPPORTED, "0x81"},
    {"an opcode of protocol 0", PICKLE(BEGIN "S'w'\ns."), FA_EUNSUPPORTED, "0x53"},
    {"a number instead of a tensor", PICKLE(BEGIN W "K\1s."), FA_EUNSUPPORTED, "w is no tensor"},
    {"a list at the top", PICKLE("\x80\2]."), FA_EUNSUPPORTED, "is no tensor"},
    {"a name that is a number", PICKLE(BEGIN "K\1" TENSOR "s."), FA_EFORMAT, "no text"},
    {"a name with a zero byte", PICKLE(BEGIN TEXT("\2", "w\0") TENSOR "s."), FA_EFORMAT, "zero byte"},
    {"a call of a text", PICKLE("\x80\2" W ")R."), FA_EFORMAT, "called"},
    {"a call without arguments",
     PICKLE("\x80\2"
            "ca\nb\nNR."),
     FA_EFORMAT, "called"},
    {"an empty pickle", PICKLE("\x80\2."), FA_EFORMAT, "missing"},
    {"no end", PICKLE(BEGIN W), FA_EFORMAT, "cut short"},
    {"a text beyond the end", PICKLE(BEGIN "X\377\377\377\377w."), FA_EFORMAT, "cut short"},
    {"a global without its end", PICKLE(BEGIN "ctorch"), FA_EFORMAT, "cut short"},
    {"no mark", PICKLE(BEGIN "u."), FA_EFORMAT, "mark"},
    {"a value from below the mark", PICKLE(BEGIN "(R."), FA_EFORMAT, "missing"},
    {"an odd number of items", PICKLE(BEGIN "(" W "u."), FA_EFORMAT, "dictionary"},
    {"items of a number", PICKLE("\x80\2K\1(u."), FA_EFORMAT, "dictionary"},
    {"an item for no list", PICKLE("\x80\2}K\1a."), FA_EFORMAT, "no list"},
    {"a memo that was not filled", PICKLE("\x80\2h\1."), FA_EFORMAT, "memo"},
    {"a memo of four billion", PICKLE("\x80\2}r\377\377\377\377."), FA_EFORMAT, "memo"},
    {"a storage of no type", PICKLE(BEGIN W REBUILD "(" STORAGE("QInt8Storage", "0") "K\0" SQUARE "\x89NtRs."),
     FA_EUNSUPPORTED, "QInt8Storage"},
    {"a storage that is not there", PICKLE(BEGIN W REBUILD "(" STORAGE("FloatStorage", "9") "K\0" SQUARE "\x89NtRs."),
     FA_EFORMAT, "data/9"},
    {"no storage", PICKLE(BEGIN W REBUILD "(K\1K\0" SQUARE "\x89NtRs."), FA_EFORMAT, "storage"},
    {"an offset beyond the storage", PICKLE(BEGIN W REBUILD "(" STORAGE("FloatStorage", "0") "K\1" SQUARE "\x89NtRs."),
     FA_EFORMAT, "reach past"},
    {"an offset of 2^62",
     PICKLE(BEGIN W REBUILD "(" STORAGE("FloatStorage", "0") "\x8a\x8\0\0\0\0\0\0\0\x40" SQUARE "\x89NtRs."),
     FA_EFORMAT, "reach past"},
    {"an offset below zero",
     PICKLE(BEGIN W REBUILD "(" STORAGE("FloatStorage", "0") "J\377\377\377\377" SQUARE "\x89NtRs."), FA_EFORMAT,
     "offset"},
    {"an integer of nine bytes",
     PICKLE(BEGIN W REBUILD "(" STORAGE("FloatStorage", "0") "\x8a\x9xxxxxxxxx" SQUARE "\x89NtRs."), FA_EFORMAT,
     "offset"},
    {"a transposed tensor", PICKLE(BEGIN W REBUILD "(" STORAGE("FloatStorage", "0") "K\0K\2K\2\x86K\1K\2\x86\x89NtRs."),
     FA_EFORMAT, "row-major"},
    {"a size below zero",
     PICKLE(BEGIN W REBUILD "(" STORAGE("FloatStorage", "0") "K\0J\377\377\377\377\x85K\1\x85\x89NtRs."), FA_EFORMAT,
     "sizes"},
    {"sizes whose product is too large",
     PICKLE(BEGIN W REBUILD
            "(" STORAGE("FloatStorage", "0") "K\0J\377\377\377\177J\377\377\377\177J\377\377\377\177\x87"
                                             "K\1K\1K\1\x87\x89NtRs."),
     FA_EFORMAT, "tensor w"},
    {"five dimensions",
     PICKLE(BEGIN W REBUILD "(" STORAGE("FloatStorage", "0") "K\0(K\1K\1K\1K\1K\1t(K\1K\1K\1K\1K\1t\x89NtRs."),
     FA_EFORMAT, "sizes"},
    {"too few arguments", PICKLE(BEGIN W REBUILD "(" STORAGE("FloatStorage", "0") "tRs."), FA_EFORMAT,
     "as PyTorch writes"},
    {"a tensor twice", PICKLE(BEGIN "(" W TENSOR W TENSOR "u."), FA_EFORMAT, "twice"},
};

/* Writes an archive of this pickle and one storage to dir/pytorch_model.bin. */
static char *write_checkpoint(const char *dir, const char *pickle, size_t bytes, const char *order) {
    const member members[] = {{"m/data.pkl", pickle, bytes, 0},
                              {"m/byteorder", order, strlen(order), 0},
                              {"m/data/0", numbers, sizeof numbers, 0}};
    check_bytes b = {0};
    put_archive(&b, members, 3);
    char *path = check_write(dir, "pytorch_model.bin", b.data, b.n);
    free(b.data);
    return path;
}

static void expect(const char *path, const broken *t) {
    fa_error e = {0};
    fa_tensors *ts;
    fa_status s = fa_tensors_open(&ts, path, &e);
    CHECK(s == t->status, "%s: %s: %s", t->name, fa_status_name(s), e.text);
    if (s) {
        CHECK(strstr(e.text, "pytorch_model.bin") && strstr(e.text, t->says), "%s: '%s' does not say '%s'", t->name,
              e.text, t->says);
        return;
    }
    const fa_tensor *w = fa_tensors_find(ts, "w");
    CHECK(w && w->type == FA_F32 && w->n_dims == 2 && w->shape[0] == 2 && w->shape[1] == 2, "%s", t->name);
    CHECK((uintptr_t)w->data % 4 == 0 && !memcmp(w->data, numbers, sizeof numbers), "%s", t->name);
    fa_tensors_close(ts);
}

static void pickles(void *unused) {
    (void)unused;
    char *dir = check_scratch();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *path = write_checkpoint(dir, table[i].pickle, table[i].bytes, "little");
        expect(path, &table[i]);
        free(path);
    }
    broken big = {"another byte order", NULL, 0, FA_EUNSUPPORTED, "little-endian"};
    char *path = write_checkpoint(dir, table[0].pickle, table[0].bytes, "big");
    expect(path, &big);
    free(path);
    check_remove(dir);
    free(dir);
}

/* Cut anywhere, it is refused. */
static void cut_archives(void *unused) {
    (void)unused;
    char *dir = check_scratch(), *whole = write_checkpoint(dir, table[0].pickle, table[0].bytes, "little");
    size_t n;
    uint8_t *data = check_read(whole, &n);
    for (size_t end = 0; end < n; end++) {
        fa_error e = {0};
        fa_tensors *ts;
        char *path = check_write(dir, "cut.bin", data, end);
        CHECK(fa_tensors_open(&ts, path, &e) == FA_EFORMAT, "%zu of %zu bytes: %s", end, n, e.text);
        free(path);
    }
    free(data), free(whole);
    check_remove(dir);
    free(dir);
}

static void other_archives(void *unused) {
    (void)unused;
    const char *pickle = table[0].pickle;
    size_t bytes = table[0].bytes;
    const struct {
        broken want;
        int n;
        member members[3];
    } archives[] = {
        {{"a compressed pickle", NULL, 0, FA_EUNSUPPORTED, "compressed"}, 1, {{"m/data.pkl", pickle, bytes, 8}}},
        {{"no pickle", NULL, 0, FA_EFORMAT, "data.pkl"}, 1, {{"m/data/0", numbers, sizeof numbers, 0}}},
        {{"an empty archive", NULL, 0, FA_EFORMAT, "data.pkl"}, 0, {{0}}},
        {{"a file twice", NULL, 0, FA_EFORMAT, "twice"},
         3,
         {{"m/data.pkl", pickle, bytes, 0}, {"m/data/0", numbers, 16, 0}, {"m/data/0", numbers, 16, 0}}},
    };
    char *dir = check_scratch();
    for (size_t i = 0; i < sizeof archives / sizeof *archives; i++) {
        check_bytes b = {0};
        if (!archives[i].n) check_put(&b, "PK\3\4", 4);
        put_archive(&b, archives[i].members, archives[i].n);
        char *path = check_write(dir, "pytorch_model.bin", b.data, b.n);
        expect(path, &archives[i].want);
        free(path), free(b.data);
    }
    static const char old[] = "\x80\2\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    char *path = check_write(dir, "pytorch_model.bin", old, sizeof old - 1);
    expect(path, &(broken){"before 1.6", NULL, 0, FA_EUNSUPPORTED, "1.6"});
    free(path);
    check_remove(dir);
    free(dir);
}

static void shards(void *unused) {
    (void)unused;
    static const char index[] = "{\"weight_map\": {\"w\": \"pytorch_model.bin\"}}",
                      wrong[] = "{\"weight_map\": {\"v\": \"pytorch_model.bin\"}}";
    char *dir = check_scratch(), *moved = NULL;
    char *shard = write_checkpoint(dir, table[0].pickle, table[0].bytes, "little");
    char *path = check_write(dir, "pytorch_model.bin.index.json", index, sizeof index - 1);
    fa_error e = {0};
    fa_tensors *ts;
    CHECK_OK(fa_tensors_open(&ts, dir, &e), &e);
    fa_tensors_close(ts);
    CHECK(asprintf(&moved, "%s/shard.bin", dir) > 0 && rename(shard, moved) == 0);
    CHECK(fa_tensors_open(&ts, dir, &e) == FA_EIO && strstr(e.text, "pytorch_model.bin"), "%s", e.text);
    CHECK(rename(moved, shard) == 0);
    free(path);
    path =
        check_write(dir, "model.safetensors.index.json", wrong, sizeof wrong - 1); /* comes before pytorch_model.bin */
    CHECK(fa_tensors_open(&ts, dir, &e) == FA_EFORMAT && strstr(e.text, "tensor v"), "%s", e.text);
    free(path), free(shard), free(moved);
    check_remove(dir);
    free(dir);
}

static const check_case cases[] = {
    {"a checkpoint holds what its safetensors twin holds", the_same_as_safetensors, "janus-pro-tiny"},
    {"a pickle of tensors opens, any other is refused by name", pickles, NULL},
    {"an archive that is cut anywhere is refused", cut_archives, NULL},
    {"archives that are no checkpoint are refused", other_archives, NULL},
    {"an index of checkpoints opens", shards, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
