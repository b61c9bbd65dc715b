/* Tokenizer files that are wrong: each ends in an error that names the file and the place, or loads and works. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/text/tokenizer.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

/* Opens a tokenizer.json of these bytes in a scratch folder, with a tokenizer_config.json if `config` is not NULL. */
static fa_status open_bytes(fa_tokenizer **t, const void *json, size_t n, const char *config, fa_error *e) {
    char *dir = check_scratch();
    free(check_write(dir, "tokenizer.json", json, n));
    if (config) free(check_write(dir, "tokenizer_config.json", config, strlen(config)));
    fa_status s = fa_tokenizer_open(t, dir, e);
    check_remove(dir);
    free(dir);
    return s;
}

/* Uses a tokenizer in every way; what comes out does not matter. */
static void use(fa_tokenizer *t) {
    static const char text[] = "Hello, world! <s>\xe4\xbd\xa0\xe5\xa5\xbd</s> 123 \xff\xf0\x9f\x98\x80 ab  \n";
    fa_ids ids = {0};
    fa_error e = {0};
    fa_encode_options o = {.prefix = true};
    if (!fa_encode(t, text, sizeof text - 1, &o, &ids, &e)) {
        char *back;
        fa_text out = {0};
        fa_decoder d = {0};
        if (!fa_decode_ids(t, ids.data, ids.n, false, &back, NULL, &e)) free(back);
        for (size_t i = 0; i < ids.n; i++) fa_decoder_feed(&d, t, ids.data[i], true, &out, &e);
        fa_decoder_end(&d, &out);
        fa_text_free(&out);
    }
    fa_ids_free(&ids);
    fa_tokenizer_close(t);
}

#define MODEL(fields) "{\"model\":{\"type\":\"BPE\"," fields "}}"
#define VOCAB "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[]"
#define WITH(field) "{\"model\":{\"type\":\"BPE\"," VOCAB "}," field "}"
#define PRE(step) WITH("\"pre_tokenizer\":" step)

static const struct {
    const char *json;
    fa_status want;
    const char *named; /* in the error text */
} wrong_files[] = {
    {"", FA_EFORMAT, "empty"},
    {"{", FA_EFORMAT, "line 1"},
    {"[]", FA_EFORMAT, "expected an object"},
    {"null", FA_EFORMAT, "line"},
    {"{}", FA_EFORMAT, "model"},
    {"{\"model\":3}", FA_EFORMAT, "model"},
    {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{}}}", FA_EUNSUPPORTED, "WordPiece"},
    {"{\"model\":{\"type\":7}}", FA_EFORMAT, "type"},
    {MODEL("\"merges\":[]"), FA_EFORMAT, "vocab"},
    {MODEL("\"vocab\":[],\"merges\":[]"), FA_EFORMAT, "vocab"},
    {MODEL("\"vocab\":{},\"merges\":[]"), FA_EFORMAT, "empty"},
    {MODEL("\"vocab\":{\"a\":0}"), FA_EFORMAT, "merges"},
    {MODEL("\"vocab\":{\"a\":-1},\"merges\":[]"), FA_EFORMAT, "id -1"},
    {MODEL("\"vocab\":{\"a\":4294967296},\"merges\":[]"), FA_EFORMAT, "4294967296"},
    {MODEL("\"vocab\":{\"a\":4194304},\"merges\":[]"), FA_EFORMAT, "4194304"},
    {MODEL("\"vocab\":{\"a\":1.5},\"merges\":[]"), FA_EFORMAT, "a: expected an id"},
    {MODEL("\"vocab\":{\"a\":\"0\"},\"merges\":[]"), FA_EFORMAT, "a: expected an id"},
    {MODEL("\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]"), FA_EFORMAT, "id 0 is given twice"},
    {MODEL("\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]"), FA_EFORMAT, "duplicate"},
    {MODEL("\"vocab\":{\"a\":0},\"merges\":[\"a x\"]"), FA_EFORMAT, "merge 0"},
    {MODEL("\"vocab\":{\"a\":0},\"merges\":[\"a a\"]"), FA_EFORMAT, "merge 0"},
    {MODEL("\"vocab\":{\"a\":0},\"merges\":[\"aa\"]"), FA_EFORMAT, "merges[0]"},
    {MODEL("\"vocab\":{\"a\":0},\"merges\":[\"a a a\"]"), FA_EFORMAT, "merges[0]"},
    {MODEL("\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]"), FA_EFORMAT, "merges[0]"},
    {MODEL("\"vocab\":{\"a\":0},\"merges\":[[\"a\",1]]"), FA_EFORMAT, "merges[0]"},
    {MODEL("\"vocab\":{\"a\":0},\"merges\":[null]"), FA_EFORMAT, "merges[0]"},
    {MODEL("\"vocab\":{\"a\":0},\"merges\":{}"), FA_EFORMAT, "merges"},
    {MODEL(VOCAB ",\"unk_token\":\"zz\""), FA_EFORMAT, "unk_token"},
    {MODEL(VOCAB ",\"unk_token\":1"), FA_EFORMAT, "unk_token"},
    {MODEL(VOCAB ",\"dropout\":0.1"), FA_EUNSUPPORTED, "dropout"},
    {MODEL(VOCAB ",\"fuse_unk\":1"), FA_EFORMAT, "fuse_unk"},
    {MODEL(VOCAB ",\"continuing_subword_prefix\":\"##\""), FA_EUNSUPPORTED, "continuing_subword_prefix"},
    {MODEL(VOCAB ",\"end_of_word_suffix\":\"</w>\""), FA_EUNSUPPORTED, "end_of_word_suffix"},
    {WITH("\"added_tokens\":{}"), FA_EFORMAT, "added_tokens"},
    {WITH("\"added_tokens\":[1]"), FA_EFORMAT, "added_tokens"},
    {WITH("\"added_tokens\":[{\"id\":3}]"), FA_EFORMAT, "added_tokens[0].content"},
    {WITH("\"added_tokens\":[{\"content\":\"x\"}]"), FA_EFORMAT, "added_tokens"},
    {WITH("\"added_tokens\":[{\"id\":99999999,\"content\":\"x\"}]"), FA_EFORMAT, "99999999"},
    {WITH("\"added_tokens\":[{\"id\":0,\"content\":\"x\"}]"), FA_EFORMAT, "id 0"},
    {WITH("\"added_tokens\":[{\"id\":3,\"content\":\"x\"},{\"id\":3,\"content\":\"y\"}]"), FA_EFORMAT, "id 3"},
    {WITH("\"added_tokens\":[{\"id\":3,\"content\":\"x\",\"special\":1}]"), FA_EFORMAT, "special"},
    {WITH("\"normalizer\":{\"type\":\"Lowercase\"}"), FA_EUNSUPPORTED, "normalizer \"Lowercase\""},
    {WITH("\"normalizer\":{}"), FA_EUNSUPPORTED, "normalizer"},
    {WITH("\"normalizer\":5"), FA_EFORMAT, "normalizer"},
    {WITH("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[3]}"), FA_EFORMAT, "normalizers[0]"},
    {WITH("\"normalizer\":{\"type\":\"Prepend\"}"), FA_EFORMAT, "prepend"},
    {WITH("\"normalizer\":{\"type\":\"Replace\",\"content\":\"x\"}"), FA_EFORMAT, "pattern"},
    {WITH("\"normalizer\":{\"type\":\"Replace\",\"content\":\"x\",\"pattern\":{\"String\":\"\"}}"), FA_EFORMAT,
     "empty"},
    {PRE("{\"type\":\"Bert\"}"), FA_EUNSUPPORTED, "pre_tokenizer \"Bert\""},
    {PRE("{\"type\":\"Sequence\"}"), FA_EFORMAT, "pretokenizers"},
    {PRE("{\"type\":\"Split\",\"behavior\":\"Isolated\"}"), FA_EFORMAT, "pattern"},
    {PRE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"}}"), FA_EFORMAT, "Split"},
    {PRE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a[b]]\"}}"), FA_EUNSUPPORTED, "Split"},
    {PRE("{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"Sideways\"}"), FA_EUNSUPPORTED, "Sideways"},
    {PRE("{\"type\":\"Metaspace\"}"), FA_EFORMAT, "replacement"},
    {PRE("{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"last\"}"), FA_EUNSUPPORTED, "last"},
    {PRE("{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},{\"type\":\"Digits\"}]}"), FA_EUNSUPPORTED,
     "behind ByteLevel"},
    {WITH("\"decoder\":{\"type\":\"CTC\"}"), FA_EUNSUPPORTED, "decoder \"CTC\""},
    {WITH("\"decoder\":{\"type\":\"Strip\",\"content\":\" \",\"start\":1}"), FA_EUNSUPPORTED, "Fuse"},
    {WITH("\"post_processor\":{\"type\":\"Roberta\"}"), FA_EUNSUPPORTED, "Roberta"},
    {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\"}"), FA_EFORMAT, "single"},
    {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}]}"),
     FA_EFORMAT, "without ids"},
    {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],"
          "\"special_tokens\":{\"x\":{\"ids\":[3]}}}"),
     FA_EFORMAT, "id 3"},
    {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],"
          "\"special_tokens\":{\"x\":{\"ids\":[0,0,0,0,0,0,0,0,0]}}}"),
     FA_EFORMAT, "more than"},
};

static void wrong_files_are_errors(void *arg) {
    (void)arg;
    for (size_t i = 0; i < sizeof wrong_files / sizeof *wrong_files; i++) {
        fa_tokenizer *t;
        fa_error e = {0};
        fa_status s = open_bytes(&t, wrong_files[i].json, strlen(wrong_files[i].json), NULL, &e);
        CHECK(s == wrong_files[i].want && !t, "%s: %s: %s", wrong_files[i].json, fa_status_name(s), e.text);
        CHECK(strstr(e.text, wrong_files[i].named) && strstr(e.text, "tokenizer.json"), "%s: \"%s\" does not name %s",
              wrong_files[i].json, e.text, wrong_files[i].named);
    }
}

static void odd_files_load(void *arg) {
    (void)arg;
    static const char *const cases[] = {
        MODEL(VOCAB),
        MODEL("\"vocab\":{\"a\":7},\"merges\":[]"), /* holes */
        MODEL("\"vocab\":{\"\":0,\"a\":1},\"merges\":[]"),
        MODEL("\"vocab\":{\"a\":0,\"ab\":1,\"b\":2},\"merges\":[\"a b\",\"a b\",[\"a\",\"b\"]]"),
        WITH("\"added_tokens\":[{\"id\":3,\"content\":\"\"}]"),
        WITH("\"added_tokens\":[{\"id\":3,\"content\":\"x\"},{\"id\":4,\"content\":\"x\"}]"),
        WITH("\"added_tokens\":[{\"id\":3,\"content\":\"\\u0000\\u0000\"}]"),
        PRE("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\"}}"),
        PRE("{\"type\":\"ByteLevel\"}"),
        WITH("\"normalizer\":{\"type\":\"Replace\",\"content\":\"\",\"pattern\":{\"Regex\":\".*\"}}"),
        WITH("\"decoder\":{\"type\":\"ByteLevel\"}"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_tokenizer *t;
        fa_error e = {0};
        fa_status s = open_bytes(&t, cases[i], strlen(cases[i]), NULL, &e);
        CHECK(s == FA_OK, "%s: %s", cases[i], e.text);
        use(t);
    }
}

static void wrong_configurations_are_errors(void *arg) {
    (void)arg;
    static const char *const cases[] = {
        "",
        "[]",
        "{\"bos_token\":3}",
        "{\"eos_token\":[]}",
        "{\"add_bos_token\":\"yes\"}",
        "{\"chat_template\":7}",
        "{\"chat_template\":[{\"name\":\"default\",\"template\":7}]}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_tokenizer *t;
        fa_error e = {0};
        fa_status s = open_bytes(&t, MODEL(VOCAB), strlen(MODEL(VOCAB)), cases[i], &e);
        CHECK(s == FA_EFORMAT && strstr(e.text, "tokenizer_config.json"), "%s: %s", cases[i], e.text);
    }
}

/* A step within a step, `depth` times. */
static void deep_nesting_is_an_error_or_loads(void *arg) {
    (void)arg;
    static const size_t depths[] = {100, 1000, 100000};
    static const char head[] = WITH("\"normalizer\":"), open[] = "{\"type\":\"Sequence\",\"normalizers\":[";
    for (size_t i = 0; i < 3; i++) {
        fa_text b = {0};
        fa_text_append(&b, head, sizeof head - 2);
        for (size_t k = 0; k < depths[i]; k++) fa_text_append(&b, open, sizeof open - 1);
        for (size_t k = 0; k < depths[i]; k++) fa_text_append(&b, "]}", 2);
        CHECK(fa_text_append(&b, "}", 1) == FA_OK);
        fa_tokenizer *t;
        fa_error e = {0};
        fa_status s = open_bytes(&t, b.data, b.n, NULL, &e);
        CHECK(s == (depths[i] > 1000 ? FA_EFORMAT : FA_OK), "%zu: %s", depths[i], e.text);
        fa_tokenizer_close(t);
        fa_text_free(&b);
    }
}

/* One random change; every other one leaves the JSON sound. Returns the new size, which is below n + 64. */
static size_t mutate(uint8_t *p, size_t n, check_rng *r) {
    size_t some = check_u64(r) % 64, at = check_u64(r) % 4096; /* the steps are at the head, the merges at the end */
    if (check_u64(r) % 2) at = n - 64 - at;
    switch (check_u64(r) % 6) {
    case 0: p[at] = (uint8_t) "\"0{}[],:\\\xff"[check_u64(r) % 10]; return n;
    case 1: memmove(p + at, p + at + some, n - at - some); return n - some;
    case 2: memmove(p + at + some, p + at, n - at); return n + some;
    default:
        while (at + 1 < n && !isalnum(p[at])) at++;
        p[at] = isdigit(p[at]) ? (uint8_t)('0' + check_u64(r) % 10) : (uint8_t)('a' + check_u64(r) % 26);
        return n;
    }
}

static void mutated_files_end_well(void *arg) {
    enum { TRIES = 100, CHANGES = 4 };
    char *path = check_golden(arg);
    size_t n;
    uint8_t *file = check_read(path, &n), *copy = malloc(n + CHANGES * 64);
    CHECK(copy);
    check_rng r = {11};
    int loaded = 0;
    for (int k = 0; k < TRIES; k++) {
        memcpy(copy, file, n);
        size_t m = n;
        for (uint64_t i = check_u64(&r) % CHANGES + 1; i > 0; i--) m = mutate(copy, m, &r);
        fa_tokenizer *t;
        fa_error e = {0};
        fa_status s = open_bytes(&t, copy, m, NULL, &e);
        CHECK(s == FA_OK || (!t && e.text[0]), "%d: no error text", k);
        loaded += s == FA_OK;
        if (!s) use(t);
    }
    CHECK(loaded > 0 && loaded < TRIES, "%d loaded", loaded);
    free(copy);
    free(file);
    free(path);
}

static void a_missing_file_is_named(void *arg) {
    (void)arg;
    fa_tokenizer *t;
    fa_error e = {0};
    char *dir = check_scratch(), want[512];
    snprintf(want, sizeof want, "%s/tokenizer.json", dir);
    CHECK(fa_tokenizer_open(&t, dir, &e) == FA_EIO && strstr(e.text, want), "%s", e.text);
    CHECK(fa_tokenizer_open(&t, want, &e) == FA_EIO && !t, "%s", e.text);
    check_remove(dir);
    free(dir);
}

/* ---- GGUF */

enum { U32 = 4, I32 = 5, F32 = 6, TEXT = 8, ARRAY = 9 };

static void put_array(check_bytes *b, const char *key, uint32_t type, uint64_t n) {
    check_gguf_text(b, key);
    check_put_int(b, ARRAY, 4);
    check_put_int(b, type, 4);
    check_put_int(b, n, 8);
}

typedef struct gguf_case {
    const char *model, *pre;
    const char *tokens[4]; /* NULL ends them; the first one NULL: no such key */
    const char *merge;     /* NULL: no such key */
    int32_t types[4];
    int n_types, n_scores; /* 0: no such key */
    float score;
    uint32_t eos;
    fa_status want;
    const char *named;
} gguf_case;

static check_bytes make_gguf(const gguf_case *c) {
    check_bytes b = {0};
    uint64_t n = 0, keys = 2 + (c->pre != NULL) + (c->tokens[0] != NULL) + (c->merge != NULL) + (c->n_types > 0) +
                           (c->n_scores > 0);
    while (n < 4 && c->tokens[n]) n++;
    check_gguf_header(&b, 0, keys);
    check_gguf_key_text(&b, "tokenizer.ggml.model", c->model);
    check_gguf_key_u32(&b, "tokenizer.ggml.eos_token_id", c->eos);
    if (c->pre) check_gguf_key_text(&b, "tokenizer.ggml.pre", c->pre);
    if (n) put_array(&b, "tokenizer.ggml.tokens", TEXT, n);
    for (uint64_t i = 0; i < n; i++) check_gguf_text(&b, c->tokens[i]);
    if (c->merge) put_array(&b, "tokenizer.ggml.merges", TEXT, 1);
    if (c->merge) check_gguf_text(&b, c->merge);
    if (c->n_types) put_array(&b, "tokenizer.ggml.token_type", I32, (uint64_t)c->n_types);
    for (int i = 0; i < c->n_types; i++) check_put_int(&b, (uint32_t)c->types[i], 4);
    if (c->n_scores) put_array(&b, "tokenizer.ggml.scores", F32, (uint64_t)c->n_scores);
    for (int i = 0; i < c->n_scores; i++) check_put(&b, &c->score, 4);
    return b;
}

static void wrong_gguf_vocabularies_are_errors(void *arg) {
    (void)arg;
#define GPT2 .model = "gpt2", .pre = "gpt-2"
#define ABC .tokens = { "a", "b", "ab" }
    static const gguf_case cases[] = {
        {GPT2, ABC, .merge = "a b", .n_types = 3, .types = {1, 1, 4}, .want = FA_OK, .named = ""},
        {.model = "llama", ABC, .n_scores = 3, .score = -1, .want = FA_OK, .named = ""},
        {.model = "bert", ABC, .want = FA_EUNSUPPORTED, .named = "\"bert\""},
        {.model = "gpt2", .pre = "tekken", ABC, .merge = "a b", .want = FA_EUNSUPPORTED, .named = "\"tekken\""},
        {GPT2, .merge = "a b", .want = FA_EFORMAT, .named = "tokens"},
        {GPT2, ABC, .want = FA_EFORMAT, .named = "merges"},
        {GPT2, ABC, .merge = "a c", .want = FA_EFORMAT, .named = "merge 0"},
        {GPT2, ABC, .merge = "ab", .want = FA_EFORMAT, .named = "entry 0"},
        {GPT2, ABC, .merge = "", .want = FA_EFORMAT, .named = "entry 0"},
        {GPT2, ABC, .merge = "a b", .n_types = 2, .types = {1, 1}, .want = FA_EFORMAT, .named = "token_type"},
        {GPT2, ABC, .merge = "a b", .eos = 3, .want = FA_EFORMAT, .named = "eos_token_id"},
        {.model = "llama", ABC, .want = FA_EFORMAT, .named = "scores"},
        {.model = "llama", ABC, .n_scores = 2, .want = FA_EFORMAT, .named = "scores"},
        {.model = "llama", ABC, .n_scores = 3, .score = __builtin_nanf(""), .want = FA_EFORMAT, .named = "scores"},
        {.model = "llama", .tokens = {"\xff", "a"}, .n_scores = 2, .want = FA_EFORMAT, .named = "token 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_bytes b = make_gguf(&cases[i]);
        char *dir = check_scratch(), *path = check_write(dir, "v.gguf", b.data, b.n);
        fa_tokenizer *t;
        fa_error e = {0};
        fa_status s = fa_tokenizer_open(&t, path, &e);
        check_remove(dir);
        free(dir);
        CHECK(s == cases[i].want, "case %zu: %s: %s", i, fa_status_name(s), e.text);
        CHECK(s == FA_OK || (strstr(e.text, cases[i].named) && strstr(e.text, path)), "case %zu: %s", i, e.text);
        if (!s) use(t);
        free(path);
        free(b.data);
    }
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"a wrong tokenizer.json is an error that names the place", wrong_files_are_errors, NULL},
        {"an odd tokenizer.json loads and works", odd_files_load, NULL},
        {"a wrong tokenizer_config.json is an error that names it", wrong_configurations_are_errors, NULL},
        {"deep nesting is an error or loads", deep_nesting_is_an_error_or_loads, NULL},
        {"mutated files end in an error or work: gpt2", mutated_files_end_well, "tokenizer/gpt2/tokenizer.json"},
        {"mutated files end in an error or work: legacy", mutated_files_end_well,
         "tokenizer/llama-legacy/tokenizer.json"},
        {"a missing file is named", a_missing_file_is_named, NULL},
        {"a wrong GGUF vocabulary is an error that names the key", wrong_gguf_vocabularies_are_errors, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
