#include "host/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/base/file.h"
#include "host/format/tensor.h"
#include "host/text/load.h"

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static fa_status open_gguf(fa_tokenizer **out, const char *path, fa_error *e) {
    fa_tensors *tensors;
    fa_status s = fa_tensors_open(&tensors, path, e);
    if (s) return s;
    const fa_gguf *g = fa_tensors_gguf(tensors);
    s = g ? fa_tokenizer_from_gguf(out, g, e) : fa_fail(e, FA_EFORMAT, "%s: not a GGUF file", path);
    fa_tensors_close(tensors);
    return s;
}

fa_status fa_tokenizer_open(fa_tokenizer **out, const char *path, fa_error *e) {
    *out = NULL;
    struct stat st;
    if (ends_with(path, ".gguf")) return open_gguf(out, path, e);
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return fa_tokenizer_from_json(out, path, e);
    char *file = fa_path_join(path, "tokenizer.json");
    if (!file) return fa_fail(e, FA_ENOMEM, "%s: out of memory", path);
    fa_status s = fa_tokenizer_from_json(out, file, e);
    free(file);
    return s;
}

void fa_tokenizer_close(fa_tokenizer *t) {
    if (!t) return;
    for (size_t i = 0; i < t->n_normalizers; i++) fa_regex_close(t->normalizers[i].pattern);
    for (size_t i = 0; i < t->n_pretokenizers; i++) fa_regex_close(t->pretokenizers[i].regex);
    free(t->normalizers);
    free(t->pretokenizers);
    fa_added_free(&t->raw);
    fa_added_free(&t->normalized);
    fa_arena_free(&t->arena);
    free(t);
}

int32_t fa_tokenizer_count(const fa_tokenizer *t) {
    return t->count;
}

int32_t fa_tokenizer_bos(const fa_tokenizer *t) {
    return t->bos;
}

int32_t fa_tokenizer_eos(const fa_tokenizer *t) {
    return t->eos;
}

size_t fa_tokenizer_prefix(const fa_tokenizer *t) {
    return t->n_prefix;
}

static const fa_token *token(const fa_tokenizer *t, int32_t id) {
    if (id < 0 || id >= t->count) return NULL;
    const fa_token *k = &t->tokens[id];
    return k->flags & FA_TOKEN_PRESENT ? k : NULL;
}

int32_t fa_tokenizer_find(const fa_tokenizer *t, const char *content) {
    size_t n = strlen(content);
    int32_t id = fa_text_map_find(&t->names, content, n);
    return id >= 0 ? id : fa_text_map_find(&t->model.texts, content, n);
}

bool fa_tokenizer_is_added(const fa_tokenizer *t, int32_t id) {
    const fa_token *k = token(t, id);
    return k && (k->flags & FA_TOKEN_ADDED);
}

bool fa_tokenizer_is_special(const fa_tokenizer *t, int32_t id) {
    const fa_token *k = token(t, id);
    return k && (k->flags & FA_TOKEN_SPECIAL);
}

const char *fa_tokenizer_piece(const fa_tokenizer *t, int32_t id, size_t *n) {
    const fa_token *k = token(t, id);
    *n = k ? k->piece_bytes : 0;
    return k ? k->piece : NULL;
}

const char *fa_tokenizer_chat_template(const fa_tokenizer *t) {
    return t->chat_template;
}

static const char *text_of(const fa_tokenizer *t, int32_t id) {
    const fa_token *k = token(t, id);
    return k ? k->text : "";
}

const char *fa_tokenizer_bos_text(const fa_tokenizer *t) {
    return text_of(t, t->bos);
}

const char *fa_tokenizer_eos_text(const fa_tokenizer *t) {
    return text_of(t, t->eos);
}

fa_status fa_ids_push(fa_ids *ids, int32_t id) {
    if (ids->n == ids->capacity) {
        size_t capacity = ids->capacity * 2 + 64;
        int32_t *more = realloc(ids->data, capacity * sizeof *more);
        if (!more) return FA_ENOMEM;
        ids->data = more;
        ids->capacity = capacity;
    }
    ids->data[ids->n++] = id;
    return FA_OK;
}

void fa_ids_free(fa_ids *ids) {
    free(ids->data);
    *ids = (fa_ids){0};
}
