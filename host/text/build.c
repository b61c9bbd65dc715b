#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "host/text/parts.h"
#include "host/text/unicode.h"

fa_status fa_out_of_memory(fa_builder *b) {
    return fa_fail(b->e, FA_ENOMEM, "%s: out of memory", b->name);
}

fa_status fa_builder_open(fa_builder *b, const char *name, fa_error *e) {
    *b = (fa_builder){.name = name, .e = e};
    b->t = calloc(1, sizeof *b->t);
    if (!b->t) return fa_out_of_memory(b);
    fa_tokenizer *t = b->t;
    b->pool.arena = &t->arena;
    t->bos = t->eos = t->model.unknown = -1;
    for (int i = 0; i < 256; i++) t->model.byte_ids[i] = -1;
    t->decode.strip = t->decode.drop_first = "";
    if (fa_matcher_open(&b->matcher, (size_t)1 << 24)) {
        free(t);
        return fa_out_of_memory(b);
    }
    return FA_OK;
}

fa_status fa_builder_close(fa_builder *b, fa_status s, fa_tokenizer **out) {
    for (size_t i = 0; i < b->n_decode_steps; i++) fa_regex_close(b->decode_steps[i].pattern);
    free(b->decode_steps);
    fa_matcher_close(b->matcher);
    fa_text_free(&b->a);
    fa_text_free(&b->b);
    free(b->verbatim);
    if (s) fa_tokenizer_close(b->t);
    if (s == FA_ENOMEM) fa_out_of_memory(b);
    *out = s ? NULL : b->t;
    return s;
}

const char *fa_builder_text(fa_builder *b, const char *text, size_t n) {
    return fa_text_pool_add(&b->pool, text, n);
}

/* Appends the step of `size` bytes to the array *data of *n. */
static fa_status append(fa_builder *b, void *data, size_t *n, const void *step, size_t size) {
    void **array = data;
    char *more = realloc(*array, (*n + 1) * size);
    if (!more) return fa_out_of_memory(b);
    memcpy(more + *n * size, step, size);
    *array = more;
    ++*n;
    return FA_OK;
}

fa_status fa_builder_normalizer(fa_builder *b, const fa_normalizer *step) {
    return append(b, &b->t->normalizers, &b->t->n_normalizers, step, sizeof *step);
}

fa_status fa_builder_pretokenizer(fa_builder *b, const fa_pretokenizer *step) {
    return append(b, &b->t->pretokenizers, &b->t->n_pretokenizers, step, sizeof *step);
}

fa_status fa_builder_decode_step(fa_builder *b, const fa_normalizer *step) {
    return append(b, &b->decode_steps, &b->n_decode_steps, step, sizeof *step);
}

fa_status fa_builder_tokens(fa_builder *b, int64_t count) {
    if (count < 1) return fa_fail(b->e, FA_EFORMAT, "%s: the vocabulary is empty", b->name);
    if (count > FA_MAX_VOCABULARY)
        return fa_fail(b->e, FA_EFORMAT, "%s: id %lld is not in 0..%d", b->name, (long long)count - 1,
                       FA_MAX_VOCABULARY - 1);
    b->t->count = (int32_t)count;
    b->t->tokens = fa_arena_array(&b->t->arena, (size_t)count, sizeof *b->t->tokens);
    b->verbatim = calloc((size_t)count, 1);
    return b->t->tokens && b->verbatim ? FA_OK : fa_out_of_memory(b);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "<0xNN>" stands for; -1 for other texts. */
static int byte_of_name(const char *text, size_t n) {
    if (n != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    int high = hex_digit(text[3]), low = hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* What the bytes that the stand-in letters content[n] mean, in b->a; false when it has other characters. */
static bool letters_to_bytes(fa_builder *b, const char *content, size_t n, fa_status *s) {
    b->a.n = 0;
    *s = fa_text_append(&b->a, content, n); /* as much room as is needed: a letter has at least one byte */
    return !*s && fa_byte_letters_decode(content, n, b->a.data, &b->a.n);
}

/* Sets what the token decodes to. `content` is as the file writes it. */
static fa_status set_piece(fa_builder *b, fa_token *k, const char *content, size_t n) {
    fa_decode_plan *plan = &b->t->decode;
    fa_status s = FA_OK;
    const char *piece = content;
    size_t bytes = n;
    char byte;
    if (plan->byte_level && letters_to_bytes(b, content, n, &s)) {
        piece = b->a.data;
        bytes = b->a.n;
    } else if (!s && b->n_decode_steps) {
        fa_ranges none = {0};
        b->a.n = 0;
        s = fa_text_append(&b->a, content, n);
        if (!s) s = fa_normalize(b->decode_steps, b->n_decode_steps, b->matcher, &b->a, &b->b, &none, b->e);
        fa_ranges_free(&none);
        piece = b->a.data;
        bytes = b->a.n;
    }
    if (s) return s;
    int value = plan->byte_fallback ? byte_of_name(piece, bytes) : -1;
    if (value >= 0) {
        byte = (char)value;
        piece = &byte;
        bytes = 1;
        k->flags |= FA_TOKEN_BYTE;
    }
    bool same = bytes == k->text_bytes && memcmp(piece, k->text, bytes) == 0;
    k->piece = same ? k->text : fa_builder_text(b, piece, bytes);
    k->piece_bytes = (uint32_t)bytes;
    return k->piece ? FA_OK : fa_out_of_memory(b);
}

fa_status fa_builder_token(fa_builder *b, int64_t id, const char *content, size_t n) {
    if (n > INT_MAX / 4) return fa_fail(b->e, FA_EFORMAT, "%s: token %lld is too long", b->name, (long long)id);
    fa_token *k = &b->t->tokens[id];
    if (k->flags & FA_TOKEN_PRESENT)
        return fa_fail(b->e, FA_EFORMAT, "%s: id %lld is given twice", b->name, (long long)id);
    fa_status s = FA_OK;
    const char *text = content;
    size_t bytes = n;
    if (b->byte_letters) {
        if (letters_to_bytes(b, content, n, &s)) {
            text = b->a.data;
            bytes = b->a.n;
        } else {
            b->verbatim[id] = 1;
        }
        if (s) return fa_out_of_memory(b);
    }
    k->text = fa_builder_text(b, text, bytes);
    if (!k->text) return fa_out_of_memory(b);
    k->text_bytes = (uint32_t)bytes;
    k->flags = FA_TOKEN_PRESENT;
    return set_piece(b, k, content, n);
}

/* Whether token `id` of the vocabulary has the content that an added token gives it. */
static bool same_content(fa_builder *b, int64_t id, const fa_added_spec *spec) {
    const fa_token *k = &b->t->tokens[id];
    const char *text = spec->content;
    size_t bytes = spec->bytes;
    fa_status s;
    if (b->byte_letters && !b->verbatim[id]) {
        if (!letters_to_bytes(b, spec->content, spec->bytes, &s)) return false;
        text = b->a.data;
        bytes = b->a.n;
    }
    return k->text_bytes == bytes && memcmp(k->text, text, bytes) == 0;
}

/* Where the token is looked for: a token that is compared with normalized text is normalized itself. */
static fa_status match_added(fa_builder *b, const fa_added_spec *spec) {
    fa_tokenizer *t = b->t;
    bool normalized = spec->normalized && t->n_normalizers;
    b->a.n = 0;
    fa_status s = fa_text_append(&b->a, spec->content, spec->bytes);
    fa_ranges none = {0};
    if (!s && normalized) s = fa_normalize(t->normalizers, t->n_normalizers, b->matcher, &b->a, &b->b, &none, b->e);
    fa_ranges_free(&none);
    if (s || !b->a.n) return s;
    fa_added_token a = {.bytes = b->a.n,
                        .id = (int32_t)spec->id,
                        .single_word = spec->single_word,
                        .lstrip = spec->lstrip,
                        .rstrip = spec->rstrip};
    a.content = fa_builder_text(b, b->a.data, b->a.n);
    if (!a.content) return fa_out_of_memory(b);
    s = fa_added_put(spec->normalized ? &t->normalized : &t->raw, &a);
    return s ? fa_out_of_memory(b) : FA_OK;
}

fa_status fa_builder_added(fa_builder *b, const fa_added_spec *spec) {
    if (!spec->bytes) return FA_OK;
    if (spec->bytes > INT_MAX / 4) return fa_fail(b->e, FA_EFORMAT, "%s: an added token is too long", b->name);
    fa_token *k = &b->t->tokens[spec->id];
    if ((k->flags & FA_TOKEN_PRESENT) && !same_content(b, spec->id, spec))
        return fa_fail(b->e, FA_EFORMAT, "%s: id %lld is given to two contents", b->name, (long long)spec->id);
    if (!(k->flags & FA_TOKEN_PRESENT)) {
        k->text = fa_builder_text(b, spec->content, spec->bytes);
        if (!k->text) return fa_out_of_memory(b);
        k->text_bytes = (uint32_t)spec->bytes;
        b->verbatim[spec->id] = 1;
        fa_status s = set_piece(b, k, spec->content, spec->bytes);
        if (s) return s;
    }
    k->flags |= FA_TOKEN_PRESENT | FA_TOKEN_ADDED | (spec->special ? FA_TOKEN_SPECIAL : 0);
    return match_added(b, spec);
}

/* The byte that the token is for: its only one in byte-level models, the one it names in others; -1. */
static int byte_of_token(const fa_builder *b, const fa_token *k) {
    if (!b->t->model.bytes) return byte_of_name(k->text, k->text_bytes);
    return k->text_bytes == 1 ? (unsigned char)k->text[0] : -1;
}

/* Whether text can become the token by merging. The name of a byte stands for that byte, not for its letters. */
static bool is_reachable(const fa_builder *b, int32_t id) {
    const fa_token *k = &b->t->tokens[id];
    if (!(k->flags & FA_TOKEN_PRESENT) || b->verbatim[id] || (k->flags & FA_TOKEN_SPECIAL)) return false;
    return b->t->model.bytes || byte_of_token(b, k) < 0;
}

fa_status fa_builder_maps(fa_builder *b) {
    fa_tokenizer *t = b->t;
    fa_status s = fa_text_map_init(&t->model.texts, &t->arena, (size_t)t->count);
    size_t n_names = 0;
    for (int32_t id = 0; id < t->count; id++) n_names += !is_reachable(b, id);
    if (!s) s = fa_text_map_init(&t->names, &t->arena, n_names);
    if (s) return fa_out_of_memory(b);
    for (int32_t id = 0; id < t->count; id++) {
        const fa_token *k = &t->tokens[id];
        if (!(k->flags & FA_TOKEN_PRESENT)) continue;
        bool reachable = is_reachable(b, id);
        fa_text_map_put(reachable ? &t->model.texts : &t->names, k->text, k->text_bytes, id);
        if (reachable && k->text_bytes > t->model.longest_bytes) t->model.longest_bytes = k->text_bytes;
        int byte = byte_of_token(b, k);
        bool own = !b->verbatim[id] && !(k->flags & FA_TOKEN_SPECIAL);
        if (byte >= 0 && own) t->model.byte_ids[byte] = id;
    }
    return FA_OK;
}

int32_t fa_builder_find(fa_builder *b, const char *content, size_t n) {
    fa_status s;
    int32_t id = -1;
    if (!b->byte_letters)
        id = fa_text_map_find(&b->t->model.texts, content, n);
    else if (letters_to_bytes(b, content, n, &s))
        id = fa_text_map_find(&b->t->model.texts, b->a.data, b->a.n);
    if (id < 0) id = fa_text_map_find(&b->t->names, content, n);
    return id;
}

fa_status fa_builder_merges(fa_builder *b, size_t count) {
    return fa_pair_map_init(&b->t->model.merges, &b->t->arena, count) ? fa_out_of_memory(b) : FA_OK;
}

fa_status fa_builder_merge(fa_builder *b, uint32_t rank, const char *left, size_t left_bytes, const char *right,
                           size_t right_bytes) {
    fa_pair_slot pair = {.rank = rank};
    pair.left = fa_builder_find(b, left, left_bytes);
    pair.right = fa_builder_find(b, right, right_bytes);
    b->b.n = 0;
    fa_status s = fa_text_append(&b->b, left, left_bytes);
    if (!s) s = fa_text_append(&b->b, right, right_bytes);
    if (s) return fa_out_of_memory(b);
    pair.id = fa_builder_find(b, b->b.data, b->b.n);
    if (pair.left < 0 || pair.right < 0 || pair.id < 0)
        return fa_fail(b->e, FA_EFORMAT, "%s: merge %u needs a token that is not in the vocabulary", b->name, rank);
    if (!(b->t->tokens[pair.id].flags & FA_TOKEN_SPECIAL)) fa_pair_map_put(&b->t->model.merges, pair);
    return FA_OK;
}
