/* Every tokenizer of the golden set against what Hugging Face tokenizers made of 278 strings. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/json.h"
#include "host/text/tokenizer.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

static json_t *load_json(const char *name) {
    char *path = check_golden(name);
    json_t *v;
    fa_error e = {0};
    fa_status s = fa_json_load(&v, path, &e);
    free(path);
    CHECK_OK(s, &e);
    return v;
}

static json_t *load_golden(const char *folder, const char *file) {
    char name[256];
    snprintf(name, sizeof name, "%s/%s", folder, file);
    return load_json(name);
}

static fa_tokenizer *open_golden(const char *folder) {
    char *path = check_golden(folder);
    fa_tokenizer *t;
    fa_error e = {0};
    fa_status s = fa_tokenizer_open(&t, path, &e);
    free(path);
    CHECK_OK(s, &e);
    return t;
}

/* The JSON array of ids as numbers. */
static fa_ids ids_of(const json_t *list) {
    fa_ids ids = {0};
    size_t i;
    const json_t *v;
    json_array_foreach(list, i, v) fa_ids_push(&ids, (int32_t)json_integer_value(v));
    return ids;
}

static void check_ids(const fa_ids *got, const json_t *want, const char *what, size_t index) {
    CHECK(got->n == json_array_size(want), "%s %zu: %zu ids, expected %zu", what, index, got->n, json_array_size(want));
    for (size_t i = 0; i < got->n; i++) {
        int expected = (int)json_integer_value(json_array_get(want, i));
        CHECK(got->data[i] == expected, "%s %zu: id %zu is %d, expected %d", what, index, i, got->data[i], expected);
    }
}

static void check_decode(const fa_tokenizer *t, const fa_ids *ids, bool skip, const char *want, size_t want_n,
                         const char *what, size_t index) {
    char *text;
    size_t n;
    fa_error e = {0};
    CHECK_OK(fa_decode_ids(t, ids->data, ids->n, skip, &text, &n, &e), &e);
    bool same = n == want_n && memcmp(text, want, n) == 0;
    CHECK(same, "%s %zu: \"%s\", expected \"%s\"", what, index, text, want);
    free(text);
}

static void check_encode(const fa_tokenizer *t, const char *text, size_t n, const fa_encode_options *o,
                         const json_t *want, const char *what, size_t index) {
    fa_ids ids = {0};
    fa_error e = {0};
    CHECK_OK(fa_encode(t, text, n, o, &ids, &e), &e);
    check_ids(&ids, want, what, index);
    fa_ids_free(&ids);
}

static void encodes_equal(void *arg) {
    fa_tokenizer *t = open_golden(arg);
    json_t *golden = load_golden(arg, "golden.json"), *strings = load_json("tokenizer/strings.json");
    const json_t *all = json_object_get(golden, "ids"), *v;
    CHECK(fa_tokenizer_count(t) == json_integer_value(json_object_get(golden, "vocab_size")), "%d",
          fa_tokenizer_count(t));
    CHECK(json_array_size(all) == 278 && json_array_size(strings) == 278);
    size_t i;
    json_array_foreach(strings, i, v)
        check_encode(t, json_string_value(v), json_string_length(v), NULL, json_array_get(all, i), "string", i);
    fa_encode_options prefix = {.prefix = true};
    check_encode(t, "", 0, &prefix, json_object_get(golden, "prefix_when_special"), "prefix", 0);
    json_decref(golden);
    json_decref(strings);
    fa_tokenizer_close(t);
}

/* golden[key][index] if it is there, else `fallback`. */
static const json_t *entry(const json_t *golden, const char *key, size_t index, const json_t *fallback) {
    char number[32];
    snprintf(number, sizeof number, "%zu", index);
    const json_t *v = json_object_get(json_object_get(golden, key), number);
    return v ? v : fallback;
}

static void decodes_equal(void *arg) {
    fa_tokenizer *t = open_golden(arg);
    json_t *golden = load_golden(arg, "golden.json"), *strings = load_json("tokenizer/strings.json");
    size_t i;
    const json_t *v;
    json_array_foreach(json_object_get(golden, "ids"), i, v) {
        fa_ids ids = ids_of(v);
        const json_t *raw = entry(golden, "decode_differs", i, json_array_get(strings, i));
        const json_t *skip = entry(golden, "decode_skip_special", i, raw);
        check_decode(t, &ids, false, json_string_value(raw), json_string_length(raw), "decode", i);
        check_decode(t, &ids, true, json_string_value(skip), json_string_length(skip), "decode without special", i);
        fa_ids_free(&ids);
    }
    json_array_foreach(json_object_get(golden, "partial_decode"), i, v) {
        fa_ids ids = ids_of(json_array_get(v, 0));
        const json_t *want = json_array_get(v, 1);
        check_decode(t, &ids, false, json_string_value(want), json_string_length(want), "part", i);
        fa_ids_free(&ids);
    }
    json_decref(golden);
    json_decref(strings);
    fa_tokenizer_close(t);
}

static bool is_tail(char c) {
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Length that a lead byte announces. */
static size_t announced(char c) {
    unsigned char u = (unsigned char)c;
    return u < 0x80 ? 1 : u < 0xe0 ? 2 : u < 0xf0 ? 3 : 4;
}

/* Whether text[n] starts and ends between characters. */
static bool is_whole(const char *text, size_t n) {
    if (n == 0) return true;
    size_t last = n - 1;
    while (last > 0 && is_tail(text[last])) last--;
    return !is_tail(text[0]) && n - last == announced(text[last]);
}

static void check_stream(const fa_tokenizer *t, const fa_ids *ids, size_t index) {
    fa_text out = {0};
    fa_decoder d = {0};
    fa_error e = {0};
    for (size_t i = 0; i <= ids->n; i++) {
        size_t before = out.n;
        fa_status s = i < ids->n ? fa_decoder_feed(&d, t, ids->data[i], false, &out, &e) : fa_decoder_end(&d, &out);
        CHECK_OK(s, &e);
        CHECK(is_whole(out.data + before, out.n - before), "%zu: half a character at id %zu", index, i);
    }
    check_decode(t, ids, false, out.data ? out.data : "", out.n, "whole decode against stream", index);
    fa_text_free(&out);
}

static void streams_equal(void *arg) {
    fa_tokenizer *t = open_golden(arg);
    json_t *golden = load_golden(arg, "golden.json");
    size_t i;
    const json_t *v;
    json_array_foreach(json_object_get(golden, "ids"), i, v) {
        fa_ids ids = ids_of(v);
        check_stream(t, &ids, i);
        fa_ids_free(&ids);
    }
    bool legacy = strstr(arg, "legacy"); /* there Hugging Face looks at whole runs of bytes, which no stream can */
    json_array_foreach(json_object_get(golden, "partial_decode"), i, v) {
        fa_ids ids = ids_of(json_array_get(v, 0));
        if (!legacy) check_stream(t, &ids, i);
        fa_ids_free(&ids);
    }
    json_decref(golden);
    fa_tokenizer_close(t);
}

/* The prompts of a model folder that have a text. */
static void prompts_equal(void *arg) {
    fa_tokenizer *t = open_golden(arg);
    json_t *golden = load_golden(arg, "golden.json");
    size_t i, n = 0;
    const json_t *p;
    json_array_foreach(json_object_get(golden, "prompts"), i, p) {
        const json_t *text = json_object_get(p, "text"), *greedy = json_object_get(p, "greedy_text");
        if (!text) continue;
        check_encode(t, json_string_value(text), json_string_length(text), NULL, json_object_get(p, "ids"), "prompt",
                     i);
        fa_ids ids = ids_of(json_object_get(p, "greedy"));
        check_decode(t, &ids, false, json_string_value(greedy), json_string_length(greedy), "answer", i);
        fa_ids_free(&ids);
        n++;
    }
    CHECK(n > 0);
    CHECK(fa_tokenizer_bos(t) >= 0 && fa_tokenizer_eos(t) >= 0 && fa_tokenizer_chat_template(t), "%s", (char *)arg);
    json_decref(golden);
    fa_tokenizer_close(t);
}

/* Where SmolLM2 lies: $FATHOM_SMOLLM2, else the user's cache. */
static void smollm2_path(char *path, size_t size) {
    const char *own = getenv("FATHOM_SMOLLM2"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const char *file = "fathom/SmolLM2-135M-Instruct.Q4_1.gguf";
    if (own && *own)
        snprintf(path, size, "%s", own);
    else if (cache && *cache)
        snprintf(path, size, "%s/%s", cache, file);
    else
        snprintf(path, size, "%s/.cache/%s", home ? home : "", file);
}

static void smollm2_equal(void *arg) {
    (void)arg;
    char path[4096];
    smollm2_path(path, sizeof path);
    if (access(path, R_OK) != 0) check_skip("no %s", path);
    fa_tokenizer *t;
    fa_error e = {0};
    CHECK_OK(fa_tokenizer_open(&t, path, &e), &e);
    json_t *golden = load_golden("smollm2", "golden.json"), *strings = load_json("tokenizer/strings.json");
    const json_t *all = json_object_get(golden, "tokenizer_ids"), *v;
    CHECK(json_array_size(all) == json_array_size(strings));
    size_t i;
    json_array_foreach(strings, i, v)
        check_encode(t, json_string_value(v), json_string_length(v), NULL, json_array_get(all, i), "string", i);
    json_array_foreach(json_object_get(golden, "prompts"), i, v) {
        const json_t *text = json_object_get(v, "text"), *greedy = json_object_get(v, "greedy_text");
        check_encode(t, json_string_value(text), json_string_length(text), NULL, json_object_get(v, "ids"), "prompt",
                     i);
        fa_ids ids = ids_of(json_object_get(v, "greedy"));
        check_decode(t, &ids, false, json_string_value(greedy), json_string_length(greedy), "answer", i);
        fa_ids_free(&ids);
    }
    CHECK(strcmp(fa_tokenizer_chat_template(t), json_string_value(json_object_get(golden, "chat_template"))) == 0);
    CHECK(strcmp(fa_tokenizer_eos_text(t), "<|im_end|>") == 0, "%s", fa_tokenizer_eos_text(t));
    json_decref(golden);
    json_decref(strings);
    fa_tokenizer_close(t);
}

/* ---- the same tokenizers as GGUF vocabularies */

typedef struct gguf_case {
    const char *folder, *pre; /* pre: NULL for SentencePiece's scores */
} gguf_case;

/* One entry of a vocabulary as GGUF has it: text, kind and score. */
typedef struct entry_of_gguf {
    const char *text;
    uint32_t type;
    float score;
} entry_of_gguf;

enum { MAX_ENTRIES = 130000 };

/* Tokens by id; the order of the merges becomes the scores of what they make. */
static size_t list_tokens(const json_t *root, entry_of_gguf *list) {
    const json_t *model = json_object_get(root, "model"), *v;
    const char *text;
    size_t i, n = 0;
    json_object_foreach((json_t *)json_object_get(model, "vocab"), text, v) {
        size_t id = (size_t)json_integer_value(v);
        list[id] = (entry_of_gguf){text, strlen(text) == 6 && !strncmp(text, "<0x", 3) ? 6 : 1, -1e6f};
        n = id + 1 > n ? id + 1 : n;
    }
    json_array_foreach(json_object_get(root, "added_tokens"), i, v) {
        size_t id = (size_t)json_integer_value(json_object_get(v, "id"));
        text = json_string_value(json_object_get(v, "content"));
        list[id] = (entry_of_gguf){text, json_is_true(json_object_get(v, "special")) ? 3 : 4, 0};
        n = id + 1 > n ? id + 1 : n;
    }
    json_array_foreach(json_object_get(model, "merges"), i, v) {
        if (!json_is_array(v)) continue;
        char joined[512];
        snprintf(joined, sizeof joined, "%s%s", json_string_value(json_array_get(v, 0)),
                 json_string_value(json_array_get(v, 1)));
        const json_t *id = json_object_get(json_object_get(model, "vocab"), joined);
        list[json_integer_value(id)].score = -(float)i;
    }
    return n;
}

static void put_array(check_bytes *b, const char *key, uint32_t type, size_t n) {
    check_gguf_text(b, key);
    check_put_int(b, 9, 4);
    check_put_int(b, type, 4);
    check_put_int(b, n, 8);
}

static void put_merges(check_bytes *b, const json_t *merges) {
    size_t i;
    const json_t *v;
    put_array(b, "tokenizer.ggml.merges", 8, json_array_size(merges));
    json_array_foreach(merges, i, v) {
        char joined[1024];
        snprintf(joined, sizeof joined, "%s %s", json_string_value(json_array_get(v, 0)),
                 json_string_value(json_array_get(v, 1)));
        check_gguf_text(b, json_is_string(v) ? json_string_value(v) : joined);
    }
}

/* The bytes of a GGUF file with the vocabulary of a tokenizer.json. */
static check_bytes to_gguf(const json_t *root, const char *pre) {
    entry_of_gguf *list = calloc(MAX_ENTRIES, sizeof *list);
    size_t n = list_tokens(root, list);
    check_bytes b = {0};
    check_gguf_header(&b, 0, 5);
    check_gguf_key_text(&b, "tokenizer.ggml.model", pre ? "gpt2" : "llama");
    put_array(&b, "tokenizer.ggml.tokens", 8, n);
    for (size_t i = 0; i < n; i++) check_gguf_text(&b, list[i].text);
    put_array(&b, "tokenizer.ggml.token_type", 5, n);
    for (size_t i = 0; i < n; i++) check_put_int(&b, list[i].type, 4);
    if (pre) {
        check_gguf_key_text(&b, "tokenizer.ggml.pre", pre);
        put_merges(&b, json_object_get(json_object_get(root, "model"), "merges"));
    } else {
        put_array(&b, "tokenizer.ggml.scores", 6, n);
        for (size_t i = 0; i < n; i++) check_put(&b, &list[i].score, sizeof list[i].score);
        check_gguf_key_u32(&b, "tokenizer.ggml.bos_token_id", 1);
    }
    free(list);
    return b;
}

static fa_tokenizer *open_as_gguf(const gguf_case *c) {
    json_t *root = load_golden(c->folder, "tokenizer.json");
    check_bytes b = to_gguf(root, c->pre);
    json_decref(root);
    char *dir = check_scratch(), *path = check_write(dir, "vocabulary.gguf", b.data, b.n);
    fa_tokenizer *t;
    fa_error e = {0};
    fa_status s = fa_tokenizer_open(&t, path, &e);
    check_remove(dir);
    free(dir);
    free(path);
    free(b.data);
    CHECK_OK(s, &e);
    return t;
}

static void gguf_equal(void *arg) {
    const gguf_case *c = arg;
    fa_tokenizer *t = open_as_gguf(c);
    json_t *golden = load_golden(c->folder, "golden.json"), *strings = load_json("tokenizer/strings.json");
    size_t i;
    const json_t *v;
    json_array_foreach(strings, i, v) {
        const json_t *ids = json_array_get(json_object_get(golden, "ids"), i);
        check_encode(t, json_string_value(v), json_string_length(v), NULL, ids, "string", i);
        fa_ids list = ids_of(ids);
        const json_t *text = entry(golden, "decode_differs", i, v);
        check_decode(t, &list, false, json_string_value(text), json_string_length(text), "decode", i);
        fa_ids_free(&list);
    }
    json_decref(golden);
    json_decref(strings);
    fa_tokenizer_close(t);
}

#define FOLDER(name)                                                       \
    {"ids equal: " name, encodes_equal, "tokenizer/" name},                \
        {"decoded text equal: " name, decodes_equal, "tokenizer/" name}, { \
        "stream equals decode: " name, streams_equal, "tokenizer/" name    \
    }
#define GGUF(name, pre)                                        \
    {                                                          \
        "ids equal as GGUF: " name, gguf_equal, &(gguf_case) { \
            "tokenizer/" name, pre                             \
        }                                                      \
    }
#define MODEL(name) \
    { "prompt ids equal: " name, prompts_equal, name }

static const check_case cases[] = {
    FOLDER("deepseek-coder"),
    FOLDER("deepseek-llm"),
    FOLDER("deepseek-v3"),
    FOLDER("deepseek-v3-real"),
    FOLDER("deepseek-v4-real"),
    FOLDER("gpt2"),
    FOLDER("llama-legacy"),
    FOLDER("llama-legacy-metaspace"),
    FOLDER("llama3"),
    FOLDER("qwen2"),
    MODEL("deepseek-coder-tiny"),
    MODEL("deepseek-llm-tiny"),
    MODEL("deepseek-v2-lite-tiny"),
    MODEL("deepseek-v2-tiny"),
    MODEL("deepseek-v3-tiny"),
    MODEL("deepseek-v3-tiny-mtp"),
    MODEL("r1-distill-llama-tiny"),
    MODEL("r1-distill-qwen-tiny"),
    MODEL("r1-distill-qwen-tiny-untied"),
    GGUF("deepseek-coder", "deepseek-coder"),
    GGUF("deepseek-llm", "deepseek-llm"),
    GGUF("deepseek-v3-real", "deepseek-v3"),
    GGUF("gpt2", "gpt-2"),
    GGUF("llama3", "llama-bpe"),
    GGUF("qwen2", "qwen2"),
    {"ids equal as GGUF: qwen2, by DeepSeek's name", gguf_equal, &(gguf_case){"tokenizer/qwen2", "deepseek-r1-qwen"}},
    GGUF("llama-legacy", NULL),
    {"ids equal through GGUF: smollm2", smollm2_equal, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
