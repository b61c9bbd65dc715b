/* Loads the vocabulary of a GGUF file: tokenizer.ggml.model "gpt2" (merges over bytes) or "llama" (SentencePiece's
 * scores, with fallback to bytes). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/text/gguf_pre.h"
#include "host/text/load.h"
#include "host/text/unicode.h"

#define KEY "tokenizer.ggml."
#define MARK "\xe2\x96\x81" /* U+2581, SentencePiece's space */

/* Values of tokenizer.ggml.token_type. */
enum { TYPE_NORMAL = 1, TYPE_CONTROL = 3, TYPE_USER = 4 };

static fa_status wrong(fa_builder *b, const char *what) {
    return fa_fail(b->e, FA_EFORMAT, "%s: %s", b->name, what);
}

static bool is_text(fa_gguf_text t, const char *text) {
    return t.bytes == strlen(text) && memcmp(t.data, text, t.bytes) == 0;
}

/* Reads the array `key` of `count` numbers; *out stays NULL when it is absent. */
static fa_status read_ints(fa_builder *b, const fa_gguf *g, const char *key, int64_t count, int32_t **out) {
    int64_t n = fa_gguf_array_count(g, key);
    if (n < 0) return FA_OK;
    if (n != count)
        return fa_fail(b->e, FA_EFORMAT, "%s: %s: %lld for %lld tokens", b->name, key, (long long)n, (long long)count);
    *out = calloc((size_t)count, sizeof **out);
    return *out ? fa_gguf_ints(g, key, *out, count, b->e) : FA_ENOMEM;
}

/* Reads the array `key` of texts; *count is 0 when that fails. */
static fa_status read_strings(fa_builder *b, const fa_gguf *g, const char *key, int64_t *count, fa_gguf_text **out) {
    int64_t n = fa_gguf_array_count(g, key);
    *count = 0;
    if (n < 1 || n > FA_MAX_VOCABULARY)
        return fa_fail(b->e, FA_EFORMAT, "%s: %s: expected 1 to %d texts", b->name, key, FA_MAX_VOCABULARY);
    *out = calloc((size_t)n, sizeof **out);
    if (!*out) return FA_ENOMEM;
    fa_status s = fa_gguf_strings(g, key, *out, n, b->e);
    if (!s) *count = n;
    return s;
}

static fa_status add_token(fa_builder *b, int64_t id, fa_gguf_text text, int32_t type) {
    if (!b->byte_letters && fa_utf8_valid(text.data, text.bytes) != text.bytes)
        return fa_fail(b->e, FA_EFORMAT, "%s: token %lld is not UTF-8", b->name, (long long)id);
    if (type != TYPE_CONTROL && type != TYPE_USER) return fa_builder_token(b, id, text.data, text.bytes);
    fa_added_spec spec = {.id = id, .content = text.data, .bytes = text.bytes, .special = type == TYPE_CONTROL};
    fa_status s = fa_builder_token(b, id, text.data, text.bytes);
    return s ? s : fa_builder_added(b, &spec);
}

static fa_status load_tokens(fa_builder *b, const fa_gguf *g) {
    fa_gguf_text *texts = NULL;
    int32_t *types = NULL;
    int64_t count = 0;
    fa_status s = read_strings(b, g, KEY "tokens", &count, &texts);
    if (!s) s = read_ints(b, g, KEY "token_type", count, &types);
    if (!s) s = fa_builder_tokens(b, count);
    for (int64_t id = 0; id < count && !s; id++) s = add_token(b, id, texts[id], types ? types[id] : TYPE_NORMAL);
    if (!s) s = fa_builder_maps(b);
    free(texts);
    free(types);
    return s;
}

static fa_status load_merges(fa_builder *b, const fa_gguf *g) {
    fa_gguf_text *merges = NULL;
    int64_t count;
    fa_status s = read_strings(b, g, KEY "merges", &count, &merges);
    if (!s) s = fa_builder_merges(b, (size_t)count);
    for (int64_t i = 0; i < count && !s; i++) {
        const char *text = merges[i].data, *space = merges[i].bytes ? memchr(text + 1, ' ', merges[i].bytes - 1) : NULL;
        if (!space) {
            s = fa_fail(b->e, FA_EFORMAT, "%s: " KEY "merges: entry %lld is not two tokens", b->name, (long long)i);
            break;
        }
        size_t left = (size_t)(space - text);
        s = fa_builder_merge(b, (uint32_t)i, text, left, space + 1, merges[i].bytes - left - 1);
    }
    free(merges);
    return s;
}

/* Turns a score into a rank: of two scores the higher one has the lower rank. */
static uint32_t rank_of_score(float score) {
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    uint32_t rising = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return UINT32_MAX - 1 - (rising >> 1); /* never UINT32_MAX, which says that there is no merge */
}

static fa_status load_scores(fa_builder *b, const fa_gguf *g) {
    int64_t count = b->t->count;
    if (fa_gguf_array_count(g, KEY "scores") != count) return wrong(b, KEY "scores: not one for each token");
    float *scores = calloc((size_t)count, sizeof *scores);
    uint32_t *ranks = fa_arena_array(&b->t->arena, (size_t)count, sizeof *ranks);
    fa_status s = scores && ranks ? fa_gguf_floats(g, KEY "scores", scores, count, b->e) : FA_ENOMEM;
    for (int64_t i = 0; i < count && !s; i++) {
        if (isnan(scores[i])) s = wrong(b, KEY "scores: not a number");
        ranks[i] = rank_of_score(scores[i]);
    }
    b->t->model.ranks = ranks;
    free(scores);
    return s;
}

static fa_status add_split(fa_builder *b, const char *pattern) {
    fa_pretokenizer step = {.kind = FA_PRE_SPLIT, .behavior = FA_SPLIT_ISOLATED};
    fa_status s = fa_regex_open(&step.regex, pattern, strlen(pattern), b->name, b->e);
    if (!s && (s = fa_builder_pretokenizer(b, &step))) fa_regex_close(step.regex);
    return s;
}

/* Merges over bytes. */
static fa_status load_gpt2(fa_builder *b, const fa_gguf *g, bool *add_bos) {
    fa_gguf_text name;
    fa_status s = fa_gguf_string(g, KEY "pre", &name, b->e);
    if (s) return s;
    if (!name.data) name = (fa_gguf_text){"default", 7};
    const fa_gguf_pre *pre = fa_gguf_pre_find(name.data, name.bytes);
    if (!pre)
        return fa_fail(b->e, FA_EUNSUPPORTED, "%s: " KEY "pre \"%.*s\" is not supported", b->name,
                       name.bytes < 100 ? (int)name.bytes : 100, name.data);
    *add_bos = pre->add_bos;
    b->byte_letters = b->t->model.bytes = b->t->decode.byte_level = true;
    b->t->model.ignore_merges = pre->ignore_merges;
    if (pre->nfc) s = fa_builder_normalizer(b, &(fa_normalizer){.kind = FA_NORMALIZE_NFC});
    for (size_t i = 0; pre->patterns[i] && !s; i++) s = add_split(b, pre->patterns[i]);
    if (!s) s = load_tokens(b, g);
    return s ? s : load_merges(b, g);
}

/* The replacement of `from` by `to`, for a list of steps. */
static fa_status add_replacement(fa_builder *b, const char *from, const char *to,
                                 fa_status (*add)(fa_builder *b, const fa_normalizer *step)) {
    fa_normalizer step = {.kind = FA_NORMALIZE_REPLACE, .content = to, .content_bytes = strlen(to)};
    fa_status s = fa_regex_open_plain(&step.pattern, from, strlen(from), b->name, b->e);
    if (!s && (s = add(b, &step))) fa_regex_close(step.pattern);
    return s;
}

/* SentencePiece's pairs by score; what is no token falls back to bytes. */
static fa_status load_llama(fa_builder *b, const fa_gguf *g, bool *add_bos) {
    bool space;
    int64_t unknown;
    fa_tokenizer *t = b->t;
    fa_normalizer prepend = {.kind = FA_NORMALIZE_PREPEND, .content = MARK, .content_bytes = sizeof MARK - 1};
    *add_bos = true;
    t->model.by_score = t->model.byte_fallback = t->decode.byte_fallback = true;
    fa_status s = fa_gguf_bool(g, KEY "add_space_prefix", true, &space, b->e);
    if (s) return s;
    if (space) {
        t->decode.strip = " ";
        s = fa_builder_normalizer(b, &prepend);
    }
    if (!s) s = add_replacement(b, " ", MARK, fa_builder_normalizer);
    if (!s) s = add_replacement(b, MARK, " ", fa_builder_decode_step);
    if (!s) s = load_tokens(b, g);
    if (!s) s = load_scores(b, g);
    if (!s) s = fa_gguf_int(g, KEY "unknown_token_id", -1, t->count - 1, -1, &unknown, b->e);
    if (!s) t->model.unknown = (int32_t)unknown;
    return s;
}

static fa_status load_id(fa_builder *b, const fa_gguf *g, const char *key, int32_t *id) {
    int64_t value;
    fa_status s = fa_gguf_int(g, key, -1, b->t->count - 1, -1, &value, b->e);
    if (!s) *id = (int32_t)value;
    return s;
}

static fa_status load_ends(fa_builder *b, const fa_gguf *g, bool add_bos) {
    fa_tokenizer *t = b->t;
    fa_gguf_text template;
    fa_status s = load_id(b, g, KEY "bos_token_id", &t->bos);
    if (!s) s = load_id(b, g, KEY "eos_token_id", &t->eos);
    if (!s) s = fa_gguf_bool(g, KEY "add_bos_token", add_bos, &add_bos, b->e);
    if (!s) s = fa_gguf_string(g, "tokenizer.chat_template", &template, b->e);
    if (s) return s;
    t->n_prefix = add_bos && t->bos >= 0;
    t->prefix[0] = t->bos;
    if (!template.data) return FA_OK;
    t->chat_template = fa_builder_text(b, template.data, template.bytes);
    return t->chat_template ? FA_OK : fa_out_of_memory(b);
}

static fa_status load(fa_builder *b, const fa_gguf *g) {
    fa_gguf_text model;
    bool add_bos = false;
    fa_status s = fa_gguf_string(g, KEY "model", &model, b->e);
    if (s) return s;
    if (is_text(model, "gpt2"))
        s = load_gpt2(b, g, &add_bos);
    else if (is_text(model, "llama"))
        s = load_llama(b, g, &add_bos);
    else
        s = fa_fail(b->e, FA_EUNSUPPORTED, "%s: " KEY "model \"%.*s\" is not supported", b->name,
                    model.bytes < 100 ? (int)model.bytes : 100, model.data ? model.data : "");
    return s ? s : load_ends(b, g, add_bos);
}

fa_status fa_tokenizer_from_gguf(fa_tokenizer **out, const fa_gguf *g, fa_error *e) {
    *out = NULL;
    fa_builder b;
    fa_status s = fa_builder_open(&b, fa_gguf_path(g), e);
    return s ? s : fa_builder_close(&b, load(&b, g), out);
}
