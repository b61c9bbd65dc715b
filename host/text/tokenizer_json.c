/* Loads tokenizer.json, the format of Hugging Face tokenizers. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/text/load.h"
#include "host/text/parts.h"
#include "host/text/steps_json.h"

static fa_status wrong(fa_builder *b, const char *what) {
    return fa_fail(b->e, FA_EFORMAT, "%s: %s", b->name, what);
}

/* A name that must be absent, null or empty: pieces of words are not marked in the models that are known. */
static fa_status no_affix(fa_builder *b, const json_t *model, const char *key) {
    const char *text;
    fa_status s = fa_json_text(model, key, "", &text, b->name, b->e);
    if (s || !*text) return s;
    return fa_fail(b->e, FA_EUNSUPPORTED, "%s: model.%s is not supported", b->name, key);
}

/* The kind of model and its flags. */
static fa_status load_model_kind(fa_builder *b, const json_t *model) {
    fa_bpe *m = &b->t->model;
    const char *type;
    double dropout;
    if (!json_is_object(model)) return wrong(b, "model: expected an object");
    fa_status s = fa_json_text(model, "type", json_object_get(model, "merges") ? "BPE" : "", &type, b->name, b->e);
    if (s) return s;
    if (strcmp(type, "BPE") != 0)
        return fa_fail(b->e, FA_EUNSUPPORTED, "%s: model \"%.100s\" is not supported", b->name, type);
    if ((s = no_affix(b, model, "continuing_subword_prefix"))) return s;
    if ((s = no_affix(b, model, "end_of_word_suffix"))) return s;
    if ((s = fa_json_double(model, "dropout", 0, 1, 0, &dropout, b->name, b->e))) return s;
    if (dropout > 0) return fa_fail(b->e, FA_EUNSUPPORTED, "%s: model.dropout is not supported", b->name);
    if ((s = fa_json_bool(model, "fuse_unk", false, &m->fuse_unknown, b->name, b->e))) return s;
    if ((s = fa_json_bool(model, "byte_fallback", false, &m->byte_fallback, b->name, b->e))) return s;
    return fa_json_bool(model, "ignore_merges", false, &m->ignore_merges, b->name, b->e);
}

/* An id, which is a whole number from 0 to FA_MAX_VOCABULARY - 1; *end grows to be behind it. */
static fa_status read_id(fa_builder *b, const json_t *v, const char *what, int64_t *id, int64_t *end) {
    if (!json_is_integer(v)) return fa_fail(b->e, FA_EFORMAT, "%s: %.100s: expected an id", b->name, what);
    *id = json_integer_value(v);
    if (*id < 0 || *id >= FA_MAX_VOCABULARY)
        return fa_fail(b->e, FA_EFORMAT, "%s: %.100s: id %lld is not in 0..%d", b->name, what, (long long)*id,
                       FA_MAX_VOCABULARY - 1);
    if (*id >= *end) *end = *id + 1;
    return FA_OK;
}

static fa_status count_ids(fa_builder *b, const json_t *vocab, const json_t *added, int64_t *end) {
    const char *content;
    const json_t *v;
    int64_t id;
    size_t i;
    json_object_foreach((json_t *)vocab, content, v) {
        fa_status s = read_id(b, v, content, &id, end);
        if (s) return s;
    }
    json_array_foreach(added, i, v) {
        fa_status s = read_id(b, json_object_get(v, "id"), "added_tokens", &id, end);
        if (s) return s;
    }
    return FA_OK;
}

static fa_status load_vocab(fa_builder *b, const json_t *vocab) {
    const char *content;
    size_t bytes;
    json_t *v;
    json_object_keylen_foreach((json_t *)vocab, content, bytes, v) {
        fa_status s = fa_builder_token(b, json_integer_value(v), content, bytes);
        if (s) return s;
    }
    return FA_OK;
}

static fa_status load_added(fa_builder *b, const json_t *vocab, const json_t *added) {
    size_t i;
    const json_t *v;
    json_array_foreach(added, i, v) {
        const json_t *content = json_object_get(v, "content");
        if (!json_is_string(content))
            return fa_fail(b->e, FA_EFORMAT, "%s: added_tokens[%zu].content: expected a string", b->name, i);
        const json_t *id = json_object_get(vocab, json_string_value(content)); /* counts more than the token's own */
        fa_added_spec spec = {.id = json_integer_value(id ? id : json_object_get(v, "id")),
                              .content = json_string_value(content),
                              .bytes = json_string_length(content)};
        fa_status s = fa_json_bool(v, "special", false, &spec.special, b->name, b->e);
        if (!s) s = fa_json_bool(v, "normalized", !spec.special, &spec.normalized, b->name, b->e);
        if (!s) s = fa_json_bool(v, "single_word", false, &spec.single_word, b->name, b->e);
        if (!s) s = fa_json_bool(v, "lstrip", false, &spec.lstrip, b->name, b->e);
        if (!s) s = fa_json_bool(v, "rstrip", false, &spec.rstrip, b->name, b->e);
        if (!s) s = fa_builder_added(b, &spec);
        if (s) return s;
    }
    return FA_OK;
}

static fa_status load_unknown(fa_builder *b, const json_t *model) {
    const char *unknown;
    fa_status s = fa_json_text(model, "unk_token", NULL, &unknown, b->name, b->e);
    if (s || !unknown) return s;
    b->t->model.unknown = fa_builder_find(b, unknown, strlen(unknown));
    if (b->t->model.unknown >= 0) return FA_OK;
    return wrong(b, "model.unk_token is not in the vocabulary");
}

/* "left right" or ["left", "right"]. */
static fa_status load_merge(fa_builder *b, const json_t *v, size_t rank) {
    const json_t *left = json_array_get(v, 0), *right = json_array_get(v, 1);
    if (json_array_size(v) == 2 && json_is_string(left) && json_is_string(right))
        return fa_builder_merge(b, (uint32_t)rank, json_string_value(left), json_string_length(left),
                                json_string_value(right), json_string_length(right));
    const char *text = json_string_value(v);
    size_t n = json_string_length(v);
    const char *space = text ? memchr(text, ' ', n) : NULL;
    size_t left_bytes = space ? (size_t)(space - text) : 0;
    if (!space || memchr(space + 1, ' ', n - left_bytes - 1))
        return fa_fail(b->e, FA_EFORMAT, "%s: model.merges[%zu]: expected two tokens", b->name, rank);
    return fa_builder_merge(b, (uint32_t)rank, text, left_bytes, space + 1, n - left_bytes - 1);
}

static fa_status load_merges(fa_builder *b, const json_t *merges) {
    if (!json_is_array(merges)) return wrong(b, "model.merges: expected an array");
    if (json_array_size(merges) > INT_MAX / 4) return wrong(b, "model.merges: too many");
    fa_status s = fa_builder_merges(b, json_array_size(merges));
    size_t i;
    const json_t *v;
    json_array_foreach(merges, i, v) {
        if (s) break;
        s = load_merge(b, v, i);
    }
    return s;
}

/* The ids of one {"SpecialToken": {"id": name}} of a template. */
static fa_status add_prefix(fa_builder *b, const json_t *processor, const json_t *special) {
    const char *name = json_string_value(json_object_get(special, "id"));
    const json_t *token = name ? json_object_get(json_object_get(processor, "special_tokens"), name) : NULL;
    const json_t *ids = json_object_get(token, "ids"), *v;
    if (!json_is_array(ids)) return wrong(b, "post_processor: a special token without ids");
    size_t i;
    json_array_foreach(ids, i, v) {
        int64_t id, end = 0;
        fa_status s = read_id(b, v, "post_processor", &id, &end);
        if (s) return s;
        if (id >= b->t->count || b->t->n_prefix == FA_MAX_PREFIX)
            return fa_fail(b->e, FA_EFORMAT, "%s: post_processor: id %lld does not exist, or there are more than %d",
                           b->name, (long long)id, FA_MAX_PREFIX);
        b->t->prefix[b->t->n_prefix++] = (int32_t)id;
    }
    return FA_OK;
}

/* Takes what the template puts in front of a text; what it puts behind would end the text that a model goes on with. */
static fa_status load_template(fa_builder *b, const json_t *processor) {
    const json_t *single = json_object_get(processor, "single"), *v;
    if (!json_is_array(single)) return wrong(b, "post_processor.single: expected an array");
    b->t->n_prefix = 0;
    size_t i;
    json_array_foreach(single, i, v) {
        const json_t *special = json_object_get(v, "SpecialToken");
        if (!special) break;
        fa_status s = add_prefix(b, processor, special);
        if (s) return s;
    }
    return FA_OK;
}

static fa_status load_post_processor(fa_builder *b, const json_t *v) {
    if (!v || json_is_null(v)) return FA_OK;
    const char *type;
    fa_status s = fa_json_text(v, "type", "", &type, b->name, b->e);
    if (s || strcmp(type, "ByteLevel") == 0) return s; /* changes offsets only */
    if (strcmp(type, "TemplateProcessing") == 0) return load_template(b, v);
    if (strcmp(type, "Sequence") != 0)
        return fa_fail(b->e, FA_EUNSUPPORTED, "%s: post_processor \"%.100s\" is not supported", b->name, type);
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(v, "processors"), i, one) {
        s = load_post_processor(b, one);
        if (s) return s;
    }
    return FA_OK;
}

static fa_status load_tokens(fa_builder *b, const json_t *root, const json_t *model) {
    const json_t *vocab = json_object_get(model, "vocab"), *added = json_object_get(root, "added_tokens");
    if (!json_is_object(vocab)) return wrong(b, "model.vocab: expected an object");
    if (added && !json_is_null(added) && !json_is_array(added)) return wrong(b, "added_tokens: expected an array");
    int64_t count = 0;
    fa_status s = count_ids(b, vocab, added, &count);
    if (!s) s = fa_builder_tokens(b, count);
    if (!s) s = load_vocab(b, vocab);
    if (!s) s = load_added(b, vocab, added);
    return s ? s : fa_builder_maps(b);
}

static fa_status load_root(fa_builder *b, const json_t *root) {
    const json_t *model = json_object_get(root, "model");
    if (!json_is_object(root)) return wrong(b, "expected an object");
    fa_status s = load_model_kind(b, model);
    if (!s) s = fa_normalizer_from_json(b, json_object_get(root, "normalizer"));
    if (!s) s = fa_pretokenizer_from_json(b, json_object_get(root, "pre_tokenizer"));
    if (!s) s = fa_decoder_from_json(b, json_object_get(root, "decoder"));
    if (!s) s = load_tokens(b, root, model);
    if (!s) s = load_unknown(b, model);
    if (!s) s = load_merges(b, json_object_get(model, "merges"));
    return s ? s : load_post_processor(b, json_object_get(root, "post_processor"));
}

fa_status fa_tokenizer_from_json(fa_tokenizer **out, const char *path, fa_error *e) {
    *out = NULL;
    json_t *root;
    fa_builder b;
    fa_status s = fa_json_load(&root, path, e);
    if (s) return s;
    s = fa_builder_open(&b, path, e);
    if (!s) {
        s = load_root(&b, root);
        if (!s) s = fa_tokenizer_config(&b);
        s = fa_builder_close(&b, s, out);
    }
    json_decref(root);
    return s;
}
