/* tokenizer.json and tokenizer_config.json from a GGUF vocabulary, in the form of Hugging Face's tokenizers library. */
#include <stdlib.h>
#include <string.h>

#include "host/text/gguf_pre.h"
#include "quant/metadata.h"

#define KEY "tokenizer.ggml."

/* Values of tokenizer.ggml.token_type. */
enum { TYPE_NORMAL = 1, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_UNUSED = 5, MAX_TOKENS = 1 << 24 };

typedef struct vocabulary {
    const fa_gguf *g;
    const fa_gguf_pre *pre;
    fa_gguf_text *tokens, *merges;
    int32_t *types;
    int64_t n_tokens, n_merges;
    int64_t bos, eos; /* -1: none */
    bool add_bos;
} vocabulary;

static void free_vocabulary(vocabulary *v) {
    free(v->tokens);
    free(v->merges);
    free(v->types);
}

static fa_status out_of_memory(const vocabulary *v, fa_error *e) {
    return fa_fail(e, FA_ENOMEM, "%s: out of memory for the vocabulary", fa_gguf_path(v->g));
}

static fa_status read_strings(vocabulary *v, const char *key, int64_t *n, fa_gguf_text **out, fa_error *e) {
    int64_t count = fa_gguf_array_count(v->g, key);
    if (count < 1 || count > MAX_TOKENS)
        return fa_fail(e, FA_EFORMAT, "%s: %s: expected 1 to %d texts", fa_gguf_path(v->g), key, MAX_TOKENS);
    *out = calloc((size_t)count, sizeof **out);
    if (!*out) return out_of_memory(v, e);
    *n = count;
    return fa_gguf_strings(v->g, key, *out, count, e);
}

static fa_status read_kind(vocabulary *v, fa_error *e) {
    fa_gguf_text model, pre;
    fa_status s = fa_gguf_string(v->g, KEY "model", &model, e);
    if (!s) s = fa_gguf_string(v->g, KEY "pre", &pre, e);
    if (s) return s;
    if (model.bytes != 4 || memcmp(model.data, "gpt2", 4))
        return fa_fail(e, FA_EUNSUPPORTED,
                       "%s: " KEY "model: \"%.*s\" cannot be turned into a tokenizer.json (gpt2 can)",
                       fa_gguf_path(v->g), model.bytes > 80 ? 80 : (int)model.bytes, model.data ? model.data : "");
    if (pre.data) v->pre = fa_gguf_pre_find(pre.data, pre.bytes);
    if (v->pre) return FA_OK;
    return fa_fail(e, FA_EUNSUPPORTED, "%s: " KEY "pre: \"%.*s\" is not supported", fa_gguf_path(v->g),
                   pre.bytes > 80 ? 80 : (int)pre.bytes, pre.data);
}

static fa_status read_vocabulary(vocabulary *v, fa_error *e) {
    fa_status s = read_kind(v, e);
    if (!s) s = read_strings(v, KEY "tokens", &v->n_tokens, &v->tokens, e);
    if (!s) s = read_strings(v, KEY "merges", &v->n_merges, &v->merges, e);
    if (s) return s;
    v->types = calloc((size_t)v->n_tokens, sizeof *v->types);
    if (!v->types) return out_of_memory(v, e);
    for (int64_t i = 0; i < v->n_tokens; i++) v->types[i] = TYPE_NORMAL;
    if (fa_gguf_has(v->g, KEY "token_type")) s = fa_gguf_ints(v->g, KEY "token_type", v->types, v->n_tokens, e);
    if (!s) s = fa_gguf_int(v->g, KEY "bos_token_id", 0, v->n_tokens - 1, -1, &v->bos, e);
    if (!s) s = fa_gguf_int(v->g, KEY "eos_token_id", 0, v->n_tokens - 1, -1, &v->eos, e);
    return s ? s : fa_gguf_bool(v->g, KEY "add_bos_token", v->pre->add_bos, &v->add_bos, e);
}

/* ---- pieces of tokenizer.json ---- */

static json_t *text_of(const vocabulary *v, int64_t id) {
    return id < 0 || id >= v->n_tokens ? json_null() : json_stringn(v->tokens[id].data, v->tokens[id].bytes);
}

static json_t *byte_level(bool as_decoder) {
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", as_decoder, "trim_offsets", 1,
                     "use_regex", as_decoder);
}

/* The pre-tokenizer: each pattern isolates its matches, then bytes become letters. */
static json_t *pre_tokenizer(const fa_gguf_pre *pre) {
    json_t *steps = json_array();
    for (size_t i = 0; pre->patterns[i]; i++)
        json_array_append_new(steps, json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex",
                                               pre->patterns[i], "behavior", "Isolated", "invert", 0));
    json_array_append_new(steps, byte_level(false));
    return json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", steps);
}

/* Puts the begin token in front. */
static json_t *post_processor(const vocabulary *v) {
    if (!v->add_bos || v->bos < 0) return byte_level(true);
    json_t *bos = text_of(v, v->bos), *special = json_object();
    if (!bos || !special) return NULL;
    json_object_set_new(special, json_string_value(bos),
                        json_pack("{s:O, s:[I], s:[O]}", "id", bos, "ids", (json_int_t)v->bos, "tokens", bos));
    json_t *first = json_pack("{s:{s:O, s:i}}", "SpecialToken", "id", bos, "type_id", 0);
    json_t *a = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "A", "type_id", 0);
    json_t *b = json_pack("{s:{s:s, s:i}}", "Sequence", "id", "B", "type_id", 1);
    json_t *all = json_pack("{s:s, s:[O, O], s:[o, o, o], s:o}", "type", "TemplateProcessing", "single", first, a,
                            "pair", first, a, b, "special_tokens", special);
    json_decref(bos);
    return all;
}

/* Every token that is used; FA_EFORMAT for one that is no UTF-8 or occurs twice. */
static fa_status add_tokens(const vocabulary *v, json_t *vocab, json_t *added, fa_error *e) {
    for (int64_t id = 0; id < v->n_tokens; id++) {
        if (v->types[id] == TYPE_UNUSED) continue;
        json_t *text = text_of(v, id);
        const char *content = json_string_value(text);
        bool known = content && json_object_get(vocab, content);
        if (!content || known || strlen(content) != v->tokens[id].bytes || !*content) {
            json_decref(text);
            return fa_fail(e, FA_EFORMAT, "%s: " KEY "tokens: token %lld is empty, no UTF-8 text or there twice",
                           fa_gguf_path(v->g), (long long)id);
        }
        int failed = json_object_set_new(vocab, content, json_integer(id));
        if (v->types[id] == TYPE_CONTROL || v->types[id] == TYPE_USER)
            failed |=
                json_array_append_new(added, json_pack("{s:I, s:O, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id,
                                                       "content", text, "single_word", 0, "lstrip", 0, "rstrip", 0,
                                                       "normalized", 0, "special", v->types[id] == TYPE_CONTROL));
        json_decref(text);
        if (failed) return out_of_memory(v, e);
    }
    return FA_OK;
}

static fa_status add_merges(const vocabulary *v, json_t *merges, fa_error *e) {
    for (int64_t i = 0; i < v->n_merges; i++) {
        json_t *text = json_stringn(v->merges[i].data, v->merges[i].bytes);
        if (!text)
            return fa_fail(e, FA_EFORMAT, "%s: " KEY "merges: entry %lld is no UTF-8 text", fa_gguf_path(v->g),
                           (long long)i);
        if (json_array_append_new(merges, text)) return out_of_memory(v, e);
    }
    return FA_OK;
}

static json_t *tokenizer_of(const vocabulary *v, json_t *vocab, json_t *merges, json_t *added) {
    json_t *model =
        json_pack("{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:O, s:O}", "type", "BPE", "dropout", "unk_token",
                  "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0, "ignore_merges",
                  v->pre->ignore_merges, "vocab", vocab, "merges", merges);
    json_t *normalizer = v->pre->nfc ? json_pack("{s:s}", "type", "NFC") : json_null();
    return json_pack("{s:s, s:n, s:n, s:O, s:o, s:o, s:o, s:o, s:o}", "version", "1.0", "truncation", "padding",
                     "added_tokens", added, "normalizer", normalizer, "pre_tokenizer", pre_tokenizer(v->pre),
                     "post_processor", post_processor(v), "decoder", byte_level(true), "model", model);
}

static fa_status make_config(const vocabulary *v, json_t **config, fa_error *e) {
    fa_gguf_text template;
    fa_status s = fa_gguf_string(v->g, "tokenizer.chat_template", &template, e);
    if (s) return s;
    *config = json_pack("{s:s, s:o, s:o, s:b, s:b}", "tokenizer_class", "PreTrainedTokenizerFast", "bos_token",
                        text_of(v, v->bos), "eos_token", text_of(v, v->eos), "add_bos_token", v->add_bos,
                        "clean_up_tokenization_spaces", 0);
    if (!*config) return out_of_memory(v, e);
    if (!template.data) return FA_OK;
    json_t *text = json_stringn(template.data, template.bytes);
    if (text && !json_object_set_new(*config, "chat_template", text)) return FA_OK;
    return fa_fail(e, FA_EFORMAT, "%s: tokenizer.chat_template: no UTF-8 text", fa_gguf_path(v->g));
}

fa_status fa_metadata_tokenizer(json_t **tokenizer, json_t **config, const fa_gguf *g, fa_error *e) {
    vocabulary v = {.g = g, .pre = fa_gguf_pre_find("default", 7)};
    json_t *vocab = json_object(), *merges = json_array(), *added = json_array();
    *tokenizer = *config = NULL;
    fa_status s = vocab && merges && added ? read_vocabulary(&v, e) : out_of_memory(&v, e);
    if (!s) s = add_tokens(&v, vocab, added, e);
    if (!s) s = add_merges(&v, merges, e);
    if (!s) s = make_config(&v, config, e);
    if (!s && !(*tokenizer = tokenizer_of(&v, vocab, merges, added))) s = out_of_memory(&v, e);
    if (s) {
        json_decref(*config);
        *config = NULL;
    }
    json_decref(vocab), json_decref(merges), json_decref(added);
    free_vocabulary(&v);
    return s;
}
