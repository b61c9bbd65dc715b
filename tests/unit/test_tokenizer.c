/* Tokenizers as a whole: added tokens, literal text, decoding in a stream, configuration files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/text/tokenizer.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

#define USER "<\xef\xbd\x9cUser\xef\xbd\x9c>"
#define ASSISTANT   \
    "<\xef\xbd\x9c" \
    "Assistant\xef\xbd\x9c>"
#define REPLACED "\xef\xbf\xbd"

static fa_tokenizer *open_golden(const char *folder) {
    char *path = check_golden(folder);
    fa_tokenizer *t;
    fa_error e = {0};
    fa_status s = fa_tokenizer_open(&t, path, &e);
    free(path);
    CHECK_OK(s, &e);
    return t;
}

/* A tokenizer from files made for the test: tokenizer.json and, where not NULL, tokenizer_config.json. */
static fa_tokenizer *open_made(const char *json, const char *config, const char *jinja) {
    char *dir = check_scratch();
    free(check_write(dir, "tokenizer.json", json, strlen(json)));
    if (config) free(check_write(dir, "tokenizer_config.json", config, strlen(config)));
    if (jinja) free(check_write(dir, "chat_template.jinja", jinja, strlen(jinja)));
    fa_tokenizer *t;
    fa_error e = {0};
    fa_status s = fa_tokenizer_open(&t, dir, &e);
    check_remove(dir);
    free(dir);
    CHECK_OK(s, &e);
    return t;
}

static fa_ids encode(const fa_tokenizer *t, const char *text, const fa_encode_options *o) {
    fa_ids ids = {0};
    fa_error e = {0};
    CHECK_OK(fa_encode(t, text, strlen(text), o, &ids, &e), &e);
    return ids;
}

static void check_ids(const fa_ids *got, const int *want, size_t n, const char *what) {
    CHECK(got->n == n, "%s: %zu ids, expected %zu", what, got->n, n);
    for (size_t i = 0; i < n; i++)
        CHECK(got->data[i] == want[i], "%s: id %zu is %d, expected %d", what, i, got->data[i], want[i]);
}

/* ---- added tokens, against ids of Hugging Face tokenizers 0.23 */

#define SMALL(added, normalizer)                                                                                       \
    "{\"added_tokens\":[" added "],\"normalizer\":" normalizer ",\"pre_tokenizer\":null,\"post_processor\":null,"      \
    "\"decoder\":null,\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"vocab\":{\"a\":0,\"b\":1,\" \":2,\"c\":3," \
    "\"\xc3\xa9\":4,\"_\":5,\"ab\":6,\"x\":7,\"<unk>\":8,\"\\n\":9,\"<\":10,\">\":11,\"e\":12,\"\xcc\x81\":13},"       \
    "\"merges\":[[\"a\",\"b\"]]}}"
#define ADDED(id, content, flags) "{\"id\":" #id ",\"content\":\"" content "\"" flags "}"
#define PLAIN ",\"normalized\":false"
#define NFC "{\"type\":\"NFC\"}"

static const struct {
    const char *json, *text;
    int want[16];
    size_t n;
} added_cases[] = {
    {SMALL(ADDED(14, "<a>", PLAIN), "null"), "b<a>b", {1, 14, 1}, 3},
    {SMALL(ADDED(14, "<a>", PLAIN ",\"lstrip\":true"), "null"), "b \n<a> b", {1, 14, 2, 1}, 4},
    {SMALL(ADDED(14, "<a>", PLAIN ",\"rstrip\":true"), "null"), "b <a> \nb", {1, 2, 14, 1}, 4},
    {SMALL(ADDED(14, "<a>", PLAIN ",\"lstrip\":true,\"rstrip\":true"), "null"), " <a>  <a> ", {14, 14}, 2},
    {SMALL(ADDED(6, "ab", PLAIN ",\"single_word\":true"), "null"),
     "ab abc ab_ b ab",
     {6, 2, 6, 3, 2, 6, 5, 2, 1, 2, 6},
     11},
    {SMALL(ADDED(6, "ab", PLAIN) "," ADDED(14, "abc", PLAIN), "null"), "abcab", {14, 6}, 2},
    {SMALL(ADDED(14, "aba", PLAIN) "," ADDED(15, "bc", PLAIN), "null"), "ababc", {14, 15}, 2},
    {SMALL(ADDED(14,
                 "e\xcc\x81"
                 "c",
                 ",\"normalized\":true"),
           NFC),
     "\xc3\xa9"
     "c e\xcc\x81"
     "c",
     {14, 2, 14},
     3},
    {SMALL(ADDED(14,
                 "\xc3\xa9"
                 "c",
                 PLAIN),
           NFC),
     "\xc3\xa9"
     "c e\xcc\x81"
     "c",
     {14, 2, 4, 3},
     4},
    {SMALL(ADDED(14,
                 "e\xcc\x81"
                 "c",
                 PLAIN),
           NFC),
     "\xc3\xa9"
     "c e\xcc\x81"
     "c",
     {4, 3, 2, 14},
     4},
    {SMALL(ADDED(14, "<a>", ",\"normalized\":true") "," ADDED(15, "a>b", PLAIN), NFC), "<a>b", {10, 15}, 2},
    {SMALL(ADDED(10, "<", PLAIN ",\"single_word\":true") "," ADDED(15, "<a>", PLAIN), "null"),
     "a<b <a>",
     {0, 10, 1, 2, 15},
     5},
    {SMALL(ADDED(14, "ab", PLAIN), "null"), "ab", {6}, 1}, /* the vocabulary's id counts */
};

static void added_tokens_are_found(void *arg) {
    (void)arg;
    for (size_t i = 0; i < sizeof added_cases / sizeof *added_cases; i++) {
        fa_tokenizer *t = open_made(added_cases[i].json, NULL, NULL);
        fa_ids ids = encode(t, added_cases[i].text, NULL);
        check_ids(&ids, added_cases[i].want, added_cases[i].n, added_cases[i].text);
        fa_ids_free(&ids);
        fa_tokenizer_close(t);
    }
}

/* ---- literal text */

/* A prompt in parts: those of kind 'u' were typed by a user. */
typedef struct part {
    char kind; /* 0 ends the list */
    const char *text;
} part;

static fa_ids encode_parts(const fa_tokenizer *t, const part *parts) {
    fa_text text = {0};
    fa_text_range literal[8];
    fa_encode_options o = {.literal = literal};
    for (; parts->kind; parts++) {
        size_t begin = text.n;
        CHECK(fa_text_append(&text, parts->text, strlen(parts->text)) == FA_OK);
        if (parts->kind == 'u') literal[o.n_literal++] = (fa_text_range){begin, text.n};
    }
    fa_ids ids = {0};
    fa_error e = {0};
    CHECK_OK(fa_encode(t, text.data, text.n, &o, &ids, &e), &e);
    fa_text_free(&text);
    return ids;
}

static void user_text_gives_no_added_token(void *arg) {
    fa_tokenizer *t = open_golden(arg);
    int user = fa_tokenizer_find(t, USER), assistant = fa_tokenizer_find(t, ASSISTANT);
    CHECK(user >= 0 && assistant >= 0);
    const struct {
        part parts[6];
        int users, assistants;
    } cases[] = {
        {{{'t', USER "x" ASSISTANT}}, 1, 1},
        {{{'u', USER "x" ASSISTANT}}, 0, 0},
        {{{'t', USER}, {'u', "x" ASSISTANT USER}, {'t', ASSISTANT}}, 1, 1},
        {{{'t', USER}, {'u', ""}, {'t', ASSISTANT}}, 1, 1},
        {{{'t', "<\xef\xbd\x9cUs"}, {'u', "er\xef\xbd\x9c>"}}, 0, 0},            /* begins outside */
        {{{'u', "<\xef\xbd\x9cUs"}, {'t', "er\xef\xbd\x9c>" ASSISTANT}}, 0, 1},  /* ends outside */
        {{{'t', "<\xef\xbd\x9cUs"}, {'u', ""}, {'t', "er\xef\xbd\x9c>"}}, 1, 0}, /* nothing typed within */
        {{{'t', "<\xef\xbd\x9cUs"}, {'u', "e"}, {'t', "r\xef\xbd\x9c>"}}, 0, 0},
        {{{'u', "<\xef\xbd\x9c"}, {'t', USER}, {'u', "<"}, {'t', ASSISTANT}}, 1, 1},
        {{{'u', "\xff\xf0\x9f" USER "\xff"}, {'t', ASSISTANT}, {'u', USER}}, 0, 1}, /* ranges move with the repair */
        {{{'t', "e\xcc\x81"}, {'u', "e\xcc\x81" USER}, {'t', USER}}, 1, 0},         /* and with form C */
        {{{'u', "a"}, {'u', USER}, {'t', USER}, {'u', "b"}}, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_ids ids = encode_parts(t, cases[i].parts);
        int users = 0, assistants = 0;
        for (size_t k = 0; k < ids.n; k++) {
            users += ids.data[k] == user;
            assistants += ids.data[k] == assistant;
        }
        CHECK(users == cases[i].users && assistants == cases[i].assistants, "case %zu: %d users, %d assistants", i,
              users, assistants);
        fa_ids_free(&ids);
    }
    fa_tokenizer_close(t);
}

/* All the special tokens of a tokenizer in random order, typed by a user. */
static void typed_special_tokens_stay_text(void *arg) {
    fa_tokenizer *t = open_golden(arg);
    int unknown = fa_tokenizer_find(t, "<unk>");
    check_rng r = {3};
    for (int k = 0; k < 200; k++) {
        fa_text text = {0};
        for (int i = 0; i < 6; i++) {
            size_t n;
            int32_t id = (int32_t)(check_u64(&r) % (uint64_t)fa_tokenizer_count(t));
            for (int j = 0; j < 5000 && !fa_tokenizer_is_special(t, id); j++) id = (id + 1) % fa_tokenizer_count(t);
            const char *piece = fa_tokenizer_piece(t, id, &n);
            CHECK(piece && fa_text_append(&text, piece, n) == FA_OK &&
                  fa_text_append(&text, " a", check_u64(&r) % 3) == FA_OK);
        }
        fa_text_range all = {0, text.n};
        fa_encode_options o = {.literal = &all, .n_literal = 1};
        fa_ids ids = {0};
        fa_error e = {0};
        CHECK_OK(fa_encode(t, text.data, text.n, &o, &ids, &e), &e);
        for (size_t i = 0; i < ids.n; i++)
            CHECK(!fa_tokenizer_is_special(t, ids.data[i]) || ids.data[i] == unknown, "%s: id %d", text.data,
                  ids.data[i]);
        fa_ids_free(&ids);
        fa_text_free(&text);
    }
    fa_tokenizer_close(t);
}

static void literal_text_keeps_normalized_tokens_away(void *arg) {
    (void)arg;
    fa_tokenizer *t = open_made(SMALL(ADDED(14,
                                            "e\xcc\x81"
                                            "c",
                                            ",\"normalized\":true"),
                                      NFC),
                                NULL, NULL);
    const struct {
        part parts[4];
        int want[8];
        size_t n;
    } cases[] = {
        {{{'t', "e\xcc\x81"
                "c"}},
         {14},
         1},
        {{{'u', "e\xcc\x81"
                "c"}},
         {4, 3},
         2},
        {{{'u', "e\xcc\x81"
                "c"},
          {'t', "\xc3\xa9"
                "c"}},
         {4, 3, 14},
         3},
        {{{'t', "\xc3\xa9"
                "c"},
          {'u', "\xc3\xa9"
                "c"}},
         {14, 4, 3},
         3},
        {{{'t', "e"}, {'u', "\xcc\x81"}, {'t', "c"}}, {4, 3}, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_ids ids = encode_parts(t, cases[i].parts);
        check_ids(&ids, cases[i].want, cases[i].n, cases[i].parts[0].text);
        fa_ids_free(&ids);
    }
    fa_tokenizer_close(t);
}

/* A special token that merges could make, and one that is a whole word. */
static void merges_make_no_special_token(void *arg) {
    (void)arg;
    static const char json[] =
        "{\"added_tokens\":[{\"id\":2,\"content\":\"ab\",\"special\":true}],"
        "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"c\":1,\"ab\":2,\"b\":3},\"merges\":[\"a b\"]}}";
    fa_tokenizer *t = open_made(json, NULL, NULL);
    fa_text_range all = {0, 4};
    fa_encode_options o = {.literal = &all, .n_literal = 1};
    fa_ids ids = encode(t, "abca", &o), open = encode(t, "abca", NULL);
    check_ids(&ids, (int[]){0, 3, 1, 0}, 4, "typed");
    check_ids(&open, (int[]){2, 1, 0}, 3, "of the template");
    fa_ids_free(&ids);
    fa_ids_free(&open);
    fa_tokenizer_close(t);
}

#define UNKNOWN(fields)                                                                                                         \
    "{\"added_tokens\":[{\"id\":5,\"content\":\"<x>\",\"normalized\":true}],\"pre_tokenizer\":{\"type\":\"Metaspace\","         \
    "\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"first\"},\"model\":{\"type\":\"BPE\",\"byte_fallback\":true," fields \
    "\"vocab\":{\"a\":0,\"<unk>\":1,\"<0xC3>\":2,\"<0xA9>\":3,\"\xe2\x96\x81\":4},\"merges\":[]}}"

/* Ids of Hugging Face tokenizers 0.23. */
static void unknown_characters_and_prefixes_equal(void *arg) {
    (void)arg;
    static const struct {
        const char *json, *text;
        int want[12];
        size_t n;
    } cases[] = {
        {UNKNOWN("\"unk_token\":\"<unk>\","), "yya\xc3\xa9zz\xc3\xa9y", {4, 1, 1, 0, 2, 3, 1, 2, 3, 1, 1}, 11},
        {UNKNOWN("\"unk_token\":\"<unk>\",\"fuse_unk\":true,"), "yya\xc3\xa9zz\xc3\xa9y", {4, 1, 0, 2, 3, 2, 3, 1}, 8},
        {UNKNOWN("\"fuse_unk\":true,"), "yya\xc3\xa9zz\xc3\xa9y", {4, 0, 2, 3, 2, 3}, 6},
        {UNKNOWN(""), "a<x>a", {4, 0, 5, 0}, 4},
        {UNKNOWN(""), "<x>a a", {5, 0, 4, 0}, 4},
        {UNKNOWN(""), "a", {4, 0}, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_tokenizer *t = open_made(cases[i].json, NULL, NULL);
        fa_ids ids = encode(t, cases[i].text, NULL);
        check_ids(&ids, cases[i].want, cases[i].n, cases[i].text);
        fa_ids_free(&ids);
        fa_tokenizer_close(t);
    }
}

static void wrong_literal_ranges_are_refused(void *arg) {
    (void)arg;
    fa_tokenizer *t = open_golden("tokenizer/gpt2");
    static const fa_text_range cases[][2] = {{{0, 9}, {9, 9}}, {{2, 1}, {3, 3}}, {{0, 3}, {2, 4}}, {{3, 4}, {1, 2}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_encode_options o = {.literal = cases[i], .n_literal = 2};
        fa_ids ids = {0};
        fa_error e = {0};
        CHECK(fa_encode(t, "12345678", 8, &o, &ids, &e) == FA_EINVAL && strstr(e.text, "literal range"), "%zu", i);
        CHECK(ids.n == 0);
        fa_ids_free(&ids);
    }
    fa_tokenizer_close(t);
}

/* ---- decoding */

/* Id of the token that is exactly these bytes. */
static int32_t id_of(const fa_tokenizer *t, const char *bytes) {
    for (int32_t id = 0; id < fa_tokenizer_count(t); id++) {
        size_t n;
        const char *piece = fa_tokenizer_piece(t, id, &n);
        if (piece && n == strlen(bytes) && !memcmp(piece, bytes, n)) return id;
    }
    CHECK(false, "no token %s", bytes);
    return -1;
}

typedef struct stream_case {
    const char *bytes; /* each is fed as its own token */
    const char *want[6];
    const char *end;
} stream_case;

static void check_stream(const fa_tokenizer *t, const stream_case *c) {
    fa_decoder d = {0};
    fa_error e = {0};
    size_t n = strlen(c->bytes);
    for (size_t k = 0; k <= n; k++) {
        fa_text out = {0};
        char one[2] = {c->bytes[k]};
        fa_status s = k < n ? fa_decoder_feed(&d, t, id_of(t, one), false, &out, &e) : fa_decoder_end(&d, &out);
        CHECK_OK(s, &e);
        const char *want = k < n ? c->want[k] : c->end;
        CHECK(strcmp(out.data ? out.data : "", want) == 0, "%s, byte %zu: \"%s\"", c->bytes, k, out.data);
        fa_text_free(&out);
    }
}

static void stream_says_what_is_certain(void *arg) {
    fa_tokenizer *t = open_golden(arg);
    static const stream_case cases[] = {
        {"\xe4\xb8\xad", {"", "", "\xe4\xb8\xad"}, ""},
        {"\xf0\x9f\x98\x80", {"", "", "", "\xf0\x9f\x98\x80"}, ""},
        {"\xe4\xb8"
         "a",
         {"", "", REPLACED "a"},
         ""},
        {"\xe4\xb8\xe4", {"", "", REPLACED}, REPLACED},
        {"\xf0\x9f\x98", {"", "", ""}, REPLACED},
        {"\x80"
         "a",
         {REPLACED, "a"},
         ""},
        {"\xe0\x80\x80", {"", REPLACED REPLACED, REPLACED}, ""},
        {"\xff\xc3\xa9", {REPLACED, "", "\xc3\xa9"}, ""},
        {"\xc3\xc3\xa9", {"", REPLACED, "\xc3\xa9"}, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_stream(t, &cases[i]);
    fa_tokenizer_close(t);
}

/* Byte tokens of legacy vocabularies: each byte that is no character is a U+FFFD of its own. */
static void stream_of_byte_tokens(void *arg) {
    fa_tokenizer *t = open_golden(arg);
    static const stream_case cases[] = {
        {"\xe4\xb8\xad", {"", "", "\xe4\xb8\xad"}, ""},
        {"\xe4\xb8"
         "a",
         {"", "", REPLACED REPLACED "a"},
         ""},
        {"\xf0\x9f\x98", {"", "", ""}, REPLACED REPLACED REPLACED},
        {" a ", {"", "a", " "}, ""}, /* the space at the start is the one that encoding put there */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_stream(t, &cases[i]);
    fa_tokenizer_close(t);
}

static void ids_without_token_give_nothing(void *arg) {
    (void)arg;
    fa_tokenizer *t = open_golden("tokenizer/gpt2");
    int32_t ids[] = {id_of(t, "a"), fa_tokenizer_count(t), INT32_MAX, id_of(t, "b")}, negative = -1;
    char *text;
    size_t n;
    fa_error e = {0};
    CHECK_OK(fa_decode_ids(t, ids, 4, false, &text, &n, &e), &e);
    CHECK(n == 2 && !strcmp(text, "ab"), "%s", text);
    free(text);
    fa_text out = {0};
    fa_decoder d = {0};
    CHECK_OK(fa_decoder_feed(&d, t, ids[1], false, &out, &e), &e);
    CHECK(out.n == 0 && !fa_tokenizer_piece(t, ids[1], &n) && !fa_tokenizer_is_special(t, ids[1]));
    CHECK(fa_decoder_feed(&d, t, -1, false, &out, &e) == FA_EINVAL && strstr(e.text, "-1"));
    CHECK(fa_decode_ids(t, &negative, 1, false, &text, &n, &e) == FA_EINVAL && !text);
    CHECK_OK(fa_decode_ids(t, NULL, 0, false, &text, NULL, &e), &e);
    CHECK(text && !*text);
    free(text);
    fa_text_free(&out);
    fa_tokenizer_close(t);
}

#define DECODER(decoder)                                                                       \
    "{\"added_tokens\":[{\"id\":7,\"content\":\"<s>\",\"special\":true}],\"decoder\":" decoder \
    ",\"model\":{\"type\":\"BPE\",\"vocab\":{\"\xe2\x96\x81"                                   \
    "a\":0,\"b\":1,\"\xe2\x96\x81\":2,\"<0xC3>\":3,\"<0xA9>\":4,"                              \
    "\"<0x20>\":5,\"c\xe2\x96\x81\":6},\"merges\":[]}}"
#define REPLACE "{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xe2\x96\x81\"},\"content\":\" \"}"
#define STRIP "{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}"

/* What Hugging Face tokenizers 0.23 gives with the same decoders. */
static void decoders_equal(void *arg) {
    (void)arg;
    static const char *const json[] = {
        DECODER("null"),
        DECODER("{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"first\"}"),
        DECODER("{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"never\"}"),
        DECODER("{\"type\":\"Sequence\",\"decoders\":[" REPLACE ",{\"type\":\"ByteFallback\"}," STRIP "]}"),
        DECODER("{\"type\":\"Sequence\",\"decoders\":[" REPLACE ",{\"type\":\"Fuse\"}]}"),
    };
    static const struct {
        int json;
        int32_t ids[6];
        size_t n;
        bool skip;
        const char *want;
    } cases[] = {
        {0,
         {0, 1, 7, 6},
         4,
         false,
         "\xe2\x96\x81"
         "a b <s> c\xe2\x96\x81"},
        {0,
         {0, 7, 1},
         3,
         true,
         "\xe2\x96\x81"
         "a b"},
        {1, {0, 0, 1}, 3, false, "a ab"},
        {1, {6, 2, 0}, 3, false, "c  a"},
        {1, {7, 0, 0}, 3, true, "a a"},
        {1, {7, 0, 0}, 3, false, "<s> a a"},
        {2, {0, 0, 1}, 3, false, " a ab"},
        {3, {0, 0, 1}, 3, false, "a ab"},
        {3, {2, 0}, 2, false, " a"},
        {3, {5, 0}, 2, false, " a"},
        {3,
         {3, 4, 1},
         3,
         false,
         "\xc3\xa9"
         "b"},
        {3, {3, 1, 4}, 3, false, REPLACED "b" REPLACED},
        {3, {3, 4, 4}, 3, false, REPLACED REPLACED REPLACED},
        {3, {3, 7, 4}, 3, true, "\xc3\xa9"},
        {4, {0, 3, 4}, 3, false, " a<0xC3><0xA9>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_tokenizer *t = open_made(json[cases[i].json], NULL, NULL);
        char *text;
        size_t n;
        fa_error e = {0};
        CHECK_OK(fa_decode_ids(t, cases[i].ids, cases[i].n, cases[i].skip, &text, &n, &e), &e);
        CHECK(strcmp(text, cases[i].want) == 0, "%zu: \"%s\", expected \"%s\"", i, text, cases[i].want);
        free(text);
        fa_tokenizer_close(t);
    }
}

/* ---- configuration */

#define MADE SMALL(ADDED(14, "<s>", ",\"special\":true") "," ADDED(15, "</s>", ",\"special\":true"), "null")

static void configuration_is_read(void *arg) {
    (void)arg;
    static const struct {
        const char *config, *jinja;
        int bos, eos, prefix; /* prefix: number of ids in front */
        const char *template;
    } cases[] = {
        {NULL, NULL, -1, -1, 0, NULL},
        {"{}", NULL, -1, -1, 0, NULL},
        {"{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"</s>\"}}", NULL, 14, 15, 0, NULL},
        {"{\"bos_token\":\"<s>\",\"add_bos_token\":true}", NULL, 14, -1, 1, NULL},
        {"{\"bos_token\":\"<s>\",\"add_bos_token\":false}", NULL, 14, -1, 0, NULL},
        {"{\"bos_token\":null,\"add_bos_token\":true}", NULL, -1, -1, 0, NULL},
        {"{\"bos_token\":\"<nowhere>\"}", NULL, -1, -1, 0, NULL},
        {"{\"chat_template\":\"T\"}", NULL, -1, -1, 0, "T"},
        {"{\"chat_template\":\"T\"}", "J", -1, -1, 0, "J"},
        {NULL, "J", -1, -1, 0, "J"},
        {"{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"U\"},{\"name\":\"default\",\"template\":\"D\"}]}",
         NULL, -1, -1, 0, "D"},
        {"{\"chat_template\":[{\"name\":\"rag\",\"template\":\"G\"},{\"name\":\"x\",\"template\":\"X\"}]}", NULL, -1,
         -1, 0, "G"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fa_tokenizer *t = open_made(MADE, cases[i].config, cases[i].jinja);
        CHECK(fa_tokenizer_bos(t) == cases[i].bos && fa_tokenizer_eos(t) == cases[i].eos, "%zu: %d, %d", i,
              fa_tokenizer_bos(t), fa_tokenizer_eos(t));
        CHECK(strcmp(fa_tokenizer_bos_text(t), cases[i].bos < 0 ? "" : "<s>") == 0, "%zu", i);
        CHECK(strcmp(fa_tokenizer_eos_text(t), cases[i].eos < 0 ? "" : "</s>") == 0, "%zu", i);
        const char *template = fa_tokenizer_chat_template(t);
        CHECK(template && cases[i].template ? !strcmp(template, cases[i].template) : !template && !cases[i].template,
              "%zu", i);
        fa_encode_options o = {.prefix = true};
        fa_ids ids = encode(t, "a", &o);
        CHECK((int)ids.n == cases[i].prefix + 1 && (ids.n == 1 || ids.data[0] == 14), "%zu: %zu", i, ids.n);
        fa_ids_free(&ids);
        CHECK(fa_tokenizer_find(t, "<s>") == 14 && fa_tokenizer_find(t, "ab") == 6 && fa_tokenizer_find(t, "zz") == -1);
        fa_tokenizer_close(t);
    }
}

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"added tokens are found as by Hugging Face", added_tokens_are_found, NULL},
        {"user text gives no added token: deepseek-v3", user_text_gives_no_added_token, "tokenizer/deepseek-v3"},
        {"user text gives no added token: qwen2", user_text_gives_no_added_token, "tokenizer/qwen2"},
        {"user text gives no added token: llama3", user_text_gives_no_added_token, "tokenizer/llama3"},
        {"typed special tokens stay text: deepseek-v3", typed_special_tokens_stay_text, "tokenizer/deepseek-v3"},
        {"typed special tokens stay text: gpt2", typed_special_tokens_stay_text, "tokenizer/gpt2"},
        {"typed special tokens stay text: llama3", typed_special_tokens_stay_text, "tokenizer/llama3"},
        {"typed special tokens stay text: llama-legacy", typed_special_tokens_stay_text, "tokenizer/llama-legacy"},
        {"literal text keeps normalized added tokens away", literal_text_keeps_normalized_tokens_away, NULL},
        {"merges make no special token", merges_make_no_special_token, NULL},
        {"unknown characters and prefixes give Hugging Face's ids", unknown_characters_and_prefixes_equal, NULL},
        {"wrong literal ranges are refused", wrong_literal_ranges_are_refused, NULL},
        {"a stream gives each character when it is certain", stream_says_what_is_certain, "tokenizer/gpt2"},
        {"a stream of byte tokens", stream_of_byte_tokens, "tokenizer/llama-legacy"},
        {"ids without a token give nothing, negative ones an error", ids_without_token_give_nothing, NULL},
        {"decoders give Hugging Face's text", decoders_equal, NULL},
        {"BOS, EOS and template come from the files beside", configuration_is_read, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
