#include "host/text/steps_json.h"

#include <stdio.h>
#include <string.h>

#include "host/text/gguf_pre.h"

/* One kind of step, by the name in its "type". */
typedef struct kind {
    const char *type;
    fa_status (*load)(fa_builder *b, const json_t *v);
} kind;

static fa_status load_kind(fa_builder *b, const json_t *v, const kind *kinds, size_t n, const char *field) {
    if (!v || json_is_null(v)) return FA_OK;
    if (!json_is_object(v)) return fa_fail(b->e, FA_EFORMAT, "%s: %s: expected an object", b->name, field);
    const char *type;
    fa_status s = fa_json_text(v, "type", "", &type, b->name, b->e);
    if (s) return fa_error_prefix(b->e, s, "%s", field);
    for (size_t i = 0; i < n; i++)
        if (strcmp(kinds[i].type, type) == 0) return kinds[i].load(b, v);
    return fa_fail(b->e, FA_EUNSUPPORTED, "%s: %s \"%.100s\" is not supported", b->name, field, type);
}

/* Loads the steps of a Sequence, in the array `key`, one after another. */
static fa_status load_all(fa_builder *b, const json_t *v, const char *key,
                          fa_status (*load)(fa_builder *b, const json_t *v)) {
    const json_t *list = json_object_get(v, key);
    if (!json_is_array(list)) return fa_fail(b->e, FA_EFORMAT, "%s: %s: expected an array", b->name, key);
    size_t i;
    const json_t *one;
    json_array_foreach(list, i, one) {
        fa_status s = json_is_object(one)
                          ? load(b, one)
                          : fa_fail(b->e, FA_EFORMAT, "%s: %s[%zu]: expected an object", b->name, key, i);
        if (s) return s;
    }
    return FA_OK;
}

/* A text field that must be there; a copy that stays. */
static fa_status text_field(fa_builder *b, const json_t *v, const char *key, const char **text, size_t *bytes) {
    const json_t *value = json_object_get(v, key);
    if (!json_is_string(value)) return fa_fail(b->e, FA_EFORMAT, "%s: %s: expected a string", b->name, key);
    *bytes = json_string_length(value);
    *text = fa_builder_text(b, json_string_value(value), *bytes);
    return *text ? FA_OK : fa_out_of_memory(b);
}

/* {"Regex": ..} or {"String": ..}. `step` is named in errors. */
static fa_status pattern_field(fa_builder *b, const json_t *v, const char *step, fa_regex **out) {
    const json_t *pattern = json_object_get(v, "pattern");
    const json_t *regex = json_object_get(pattern, "Regex"), *plain = json_object_get(pattern, "String");
    char where[512];
    snprintf(where, sizeof where, "%s: %s", b->name, step);
    if (json_is_string(regex))
        return fa_regex_open(out, json_string_value(regex), json_string_length(regex), where, b->e);
    if (json_is_string(plain))
        return fa_regex_open_plain(out, json_string_value(plain), json_string_length(plain), where, b->e);
    return fa_fail(b->e, FA_EFORMAT, "%s: %s: pattern: expected a Regex or a String", b->name, step);
}

/* ---- normalizers */

static fa_status load_nfc(fa_builder *b, const json_t *v) {
    (void)v;
    return fa_builder_normalizer(b, &(fa_normalizer){.kind = FA_NORMALIZE_NFC});
}

static fa_status load_prepend(fa_builder *b, const json_t *v) {
    fa_normalizer step = {.kind = FA_NORMALIZE_PREPEND};
    fa_status s = text_field(b, v, "prepend", &step.content, &step.content_bytes);
    return s ? s : fa_builder_normalizer(b, &step);
}

/* Replace, for a normalizer or a decoder. */
static fa_status load_replacement(fa_builder *b, const json_t *v,
                                  fa_status (*add)(fa_builder *b, const fa_normalizer *step)) {
    fa_normalizer step = {.kind = FA_NORMALIZE_REPLACE};
    fa_status s = text_field(b, v, "content", &step.content, &step.content_bytes);
    if (!s) s = pattern_field(b, v, "Replace", &step.pattern);
    if (!s) s = add(b, &step);
    if (s) fa_regex_close(step.pattern);
    return s;
}

static fa_status load_replace(fa_builder *b, const json_t *v) {
    return load_replacement(b, v, fa_builder_normalizer);
}

static fa_status load_normalizers(fa_builder *b, const json_t *v) {
    return load_all(b, v, "normalizers", fa_normalizer_from_json);
}

fa_status fa_normalizer_from_json(fa_builder *b, const json_t *v) {
    static const kind kinds[] = {
        {"Sequence", load_normalizers}, {"NFC", load_nfc}, {"Prepend", load_prepend}, {"Replace", load_replace}};
    return load_kind(b, v, kinds, sizeof kinds / sizeof *kinds, "normalizer");
}

/* ---- pre-tokenizers */

static fa_status add_split(fa_builder *b, fa_regex *regex, fa_split_behavior behavior, bool invert) {
    fa_pretokenizer step = {.kind = FA_PRE_SPLIT, .regex = regex, .behavior = behavior, .invert = invert};
    fa_status s = fa_builder_pretokenizer(b, &step);
    if (s) fa_regex_close(regex);
    return s;
}

static fa_status add_regex_split(fa_builder *b, const char *pattern, fa_split_behavior behavior, bool invert) {
    fa_regex *regex = NULL;
    fa_status s = fa_regex_open(&regex, pattern, strlen(pattern), b->name, b->e);
    return s ? s : add_split(b, regex, behavior, invert);
}

static fa_status behavior_field(fa_builder *b, const json_t *v, fa_split_behavior fallback, fa_split_behavior *out) {
    static const char *const names[] = {[FA_SPLIT_ISOLATED] = "Isolated",
                                        [FA_SPLIT_REMOVED] = "Removed",
                                        [FA_SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
                                        [FA_SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
                                        [FA_SPLIT_CONTIGUOUS] = "Contiguous"};
    const char *text;
    fa_status s = fa_json_text(v, "behavior", names[fallback], &text, b->name, b->e);
    if (s) return s;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], text) != 0) continue;
        *out = (fa_split_behavior)i;
        return FA_OK;
    }
    return fa_fail(b->e, FA_EUNSUPPORTED, "%s: behavior \"%.100s\" is not supported", b->name, text);
}

static fa_status load_split(fa_builder *b, const json_t *v) {
    fa_split_behavior behavior = FA_SPLIT_ISOLATED;
    bool invert = false;
    fa_regex *regex = NULL;
    fa_status s = behavior_field(b, v, FA_SPLIT_ISOLATED, &behavior);
    if (!s) s = fa_json_bool(v, "invert", false, &invert, b->name, b->e);
    if (!s) s = pattern_field(b, v, "Split", &regex);
    return s ? s : add_split(b, regex, behavior, invert);
}

static fa_status load_digits(fa_builder *b, const json_t *v) {
    bool individual;
    fa_status s = fa_json_bool(v, "individual_digits", false, &individual, b->name, b->e);
    return s ? s : add_regex_split(b, "\\p{N}", individual ? FA_SPLIT_ISOLATED : FA_SPLIT_CONTIGUOUS, false);
}

static fa_status load_punctuation(fa_builder *b, const json_t *v) {
    fa_split_behavior behavior = FA_SPLIT_ISOLATED;
    fa_status s = behavior_field(b, v, FA_SPLIT_ISOLATED, &behavior);
    return s ? s : add_regex_split(b, "[!-/:-@\\[-`{-~\\p{P}]", behavior, false);
}

static fa_status load_whitespace(fa_builder *b, const json_t *v) {
    (void)v;
#define WORD "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d" /* \w of Rust, which this step is written in */
    return add_regex_split(b, "[" WORD "]+|[^" WORD "\\s]+", FA_SPLIT_REMOVED, true);
#undef WORD
}

static fa_status load_whitespace_split(fa_builder *b, const json_t *v) {
    (void)v;
    return add_regex_split(b, "\\s", FA_SPLIT_REMOVED, false);
}

static fa_status load_byte_level(fa_builder *b, const json_t *v) {
    bool space = true, regex = true;
    fa_status s = fa_json_bool(v, "add_prefix_space", true, &space, b->name, b->e);
    if (!s) s = fa_json_bool(v, "use_regex", true, &regex, b->name, b->e);
    if (!s && space)
        s = fa_builder_pretokenizer(b, &(fa_pretokenizer){.kind = FA_PRE_PREFIX, .content = " ", .content_bytes = 1});
    if (!s && regex) s = add_regex_split(b, fa_gpt2_words, FA_SPLIT_ISOLATED, false);
    b->byte_letters = b->t->model.bytes = true;
    return s;
}

/* prepend_scheme, or add_prefix_space of older files. */
static fa_status scheme_field(fa_builder *b, const json_t *v, const char **scheme) {
    bool space;
    fa_status s = fa_json_bool(v, "add_prefix_space", true, &space, b->name, b->e);
    if (!s) s = fa_json_text(v, "prepend_scheme", space ? "always" : "never", scheme, b->name, b->e);
    if (s) return s;
    if (strcmp(*scheme, "always") == 0 || strcmp(*scheme, "first") == 0 || strcmp(*scheme, "never") == 0) return FA_OK;
    return fa_fail(b->e, FA_EUNSUPPORTED, "%s: prepend_scheme \"%.100s\" is not supported", b->name, *scheme);
}

static fa_status load_metaspace(fa_builder *b, const json_t *v) {
    fa_pretokenizer mark = {.kind = FA_PRE_REPLACE}, prefix = {.kind = FA_PRE_PREFIX};
    const char *scheme = "";
    bool split;
    fa_regex *regex = NULL;
    fa_status s = text_field(b, v, "replacement", &mark.content, &mark.content_bytes);
    if (!s) s = scheme_field(b, v, &scheme);
    if (!s) s = fa_json_bool(v, "split", true, &split, b->name, b->e);
    if (!s) s = fa_regex_open_plain(&mark.regex, " ", 1, b->name, b->e);
    if (!s && (s = fa_builder_pretokenizer(b, &mark))) fa_regex_close(mark.regex);
    if (s) return s;
    prefix.content = mark.content;
    prefix.content_bytes = mark.content_bytes;
    prefix.first_only = strcmp(scheme, "first") == 0;
    if (strcmp(scheme, "never") != 0) s = fa_builder_pretokenizer(b, &prefix);
    if (s || !split) return s;
    s = fa_regex_open_plain(&regex, mark.content, mark.content_bytes, b->name, b->e);
    return s ? s : add_split(b, regex, FA_SPLIT_MERGED_WITH_NEXT, false);
}

static fa_status load_pretokenizers(fa_builder *b, const json_t *v) {
    return load_all(b, v, "pretokenizers", fa_pretokenizer_from_json);
}

fa_status fa_pretokenizer_from_json(fa_builder *b, const json_t *v) {
    static const kind kinds[] = {
        {"Sequence", load_pretokenizers},  {"Split", load_split},           {"Digits", load_digits},
        {"Punctuation", load_punctuation}, {"Whitespace", load_whitespace}, {"WhitespaceSplit", load_whitespace_split},
        {"ByteLevel", load_byte_level},    {"Metaspace", load_metaspace},
    };
    if (v && !json_is_null(v) && b->byte_letters) /* what follows would see the stand-in letters */
        return fa_fail(b->e, FA_EUNSUPPORTED, "%s: pre_tokenizer: a step behind ByteLevel is not supported", b->name);
    return load_kind(b, v, kinds, sizeof kinds / sizeof *kinds, "pre_tokenizer");
}

/* ---- decoders */

static fa_status refuse_decoder(fa_builder *b, const char *what) {
    return fa_fail(b->e, FA_EUNSUPPORTED, "%s: decoder: %s is not supported", b->name, what);
}

static fa_status load_byte_decoder(fa_builder *b, const json_t *v) {
    (void)v;
    b->t->decode.byte_level = true;
    return FA_OK;
}

static fa_status load_decode_replace(fa_builder *b, const json_t *v) {
    if (b->t->decode.byte_fallback || b->fused) return refuse_decoder(b, "Replace behind ByteFallback or Fuse");
    return load_replacement(b, v, fa_builder_decode_step);
}

static fa_status load_byte_fallback(fa_builder *b, const json_t *v) {
    (void)v;
    b->t->decode.byte_fallback = true;
    return FA_OK;
}

/* Pieces are always joined; the place of Fuse only matters to what follows it. */
static fa_status load_fuse(fa_builder *b, const json_t *v) {
    (void)v;
    b->fused = true;
    return FA_OK;
}

static fa_status load_strip(fa_builder *b, const json_t *v) {
    int64_t start, stop;
    size_t bytes = 0;
    fa_status s = fa_json_int(v, "start", 0, INT32_MAX, 0, &start, b->name, b->e);
    if (!s) s = fa_json_int(v, "stop", 0, INT32_MAX, 0, &stop, b->name, b->e);
    if (s) return s;
    if (start > 1 || stop > 0) return refuse_decoder(b, "Strip of more than one character at the start");
    if (start && !b->fused) return refuse_decoder(b, "Strip without Fuse before it");
    return start ? text_field(b, v, "content", &b->t->decode.strip, &bytes) : FA_OK;
}

static fa_status load_decode_metaspace(fa_builder *b, const json_t *v) {
    fa_normalizer step = {.kind = FA_NORMALIZE_REPLACE, .content = " ", .content_bytes = 1};
    const char *scheme = "", *mark = "";
    size_t bytes = 0;
    if (b->fused) return refuse_decoder(b, "Metaspace behind Fuse");
    fa_status s = text_field(b, v, "replacement", &mark, &bytes);
    if (!s) s = scheme_field(b, v, &scheme);
    if (!s) s = fa_regex_open_plain(&step.pattern, mark, bytes, b->name, b->e);
    if (!s && (s = fa_builder_decode_step(b, &step))) fa_regex_close(step.pattern);
    if (!s && strcmp(scheme, "never") != 0) b->t->decode.drop_first = mark;
    return s;
}

static fa_status load_decoders(fa_builder *b, const json_t *v) {
    return load_all(b, v, "decoders", fa_decoder_from_json);
}

fa_status fa_decoder_from_json(fa_builder *b, const json_t *v) {
    static const kind kinds[] = {
        {"Sequence", load_decoders},
        {"ByteLevel", load_byte_decoder},
        {"Replace", load_decode_replace},
        {"ByteFallback", load_byte_fallback},
        {"Fuse", load_fuse},
        {"Strip", load_strip},
        {"Metaspace", load_decode_metaspace},
    };
    fa_decode_plan *plan = &b->t->decode;
    if (!v || json_is_null(v)) plan->spaced = true;
    fa_status s = load_kind(b, v, kinds, sizeof kinds / sizeof *kinds, "decoder");
    if (!s && plan->byte_level && (b->n_decode_steps || plan->byte_fallback || *plan->strip))
        return refuse_decoder(b, "ByteLevel with other steps");
    if (!s && *plan->strip && *plan->drop_first) return refuse_decoder(b, "Metaspace with Strip");
    return s;
}
