#include "tests/lib/grammar.h"

#include <stdlib.h>
#include <string.h>

static bool closes(const grammar_words *w, int32_t id) {
    size_t n = 0;
    const char *text = fa_tokenizer_piece(w->tokenizer, id, &n);
    if (id == w->end || fa_tokenizer_is_added(w->tokenizer, id)) return true;
    for (size_t i = 0; i < n; i++)
        if (strchr("\"]}`", text[i])) return true;
    return false;
}

void grammar_words_open(grammar_words *w, const char *folder) {
    fa_error e = {0};
    char *path = strncmp(folder, "models/", 7) ? check_golden(folder) : strdup(folder);
    CHECK_OK(fa_tokenizer_open(&w->tokenizer, path, &e), &e);
    free(path);
    CHECK_OK(fa_vocabulary_open(&w->vocabulary, w->tokenizer, fa_tokenizer_count(w->tokenizer) + 5, &e), &e);
    w->end = fa_tokenizer_eos(w->tokenizer);
    w->closing = calloc(fa_vocabulary_words(&w->vocabulary), sizeof *w->closing);
    CHECK(w->closing);
    for (int32_t id = 0; id < w->vocabulary.size; id++)
        if (closes(w, id)) w->closing[id >> 5] |= (uint32_t)1 << (id & 31);
}

void grammar_words_close(grammar_words *w) {
    free(w->closing);
    fa_vocabulary_free(&w->vocabulary);
    fa_tokenizer_close(w->tokenizer);
}

static uint32_t word(const grammar_words *w, const uint32_t *mask, size_t i, bool closing) {
    return closing ? mask[i] & w->closing[i] : mask[i];
}

/* One of the ids in the mask, of those that close if there are any and `closing` says so; -1 when none is. */
static int32_t draw(const grammar_words *w, const uint32_t *mask, check_rng *r, bool closing) {
    size_t words = fa_vocabulary_words(&w->vocabulary);
    uint64_t n = 0;
    for (size_t i = 0; i < words; i++) n += (uint64_t)__builtin_popcount(word(w, mask, i, closing));
    if (n == 0) return closing ? draw(w, mask, r, false) : -1;
    uint64_t at = check_u64(r) % n;
    for (size_t i = 0; i < words; i++)
        for (uint32_t bits = word(w, mask, i, closing); bits; bits &= bits - 1)
            if (at-- == 0) return (int32_t)(i * 32) + __builtin_ctz(bits);
    return -1;
}

int grammar_draw(const grammar_words *w, fa_constraint *c, check_rng *r, double closing, int32_t *ids, int room,
                 char **text) {
    fa_error e = {0};
    int n = 0;
    while (n < room && !fa_constraint_done(c)) {
        const uint32_t *mask = NULL;
        CHECK_OK(fa_constraint_mask(c, &mask, &e), &e);
        int32_t id = draw(w, mask, r, check_uniform(r) < closing);
        CHECK(id >= 0, "after %d tokens none is allowed", n);
        CHECK_OK(fa_constraint_take(c, id, &e), &e);
        ids[n++] = id;
    }
    if (!fa_constraint_done(c)) return -1;
    CHECK_OK(fa_decode_ids(w->tokenizer, ids, (size_t)(n - (n && ids[n - 1] == w->end)), false, text, NULL, &e), &e);
    return n;
}

bool grammar_accepts(const grammar_words *w, const fa_constraint_spec *spec, const char *text) {
    fa_constraint *c;
    fa_error e = {0};
    CHECK_OK(fa_constraint_open(&c, spec, &w->vocabulary, true, &w->end, 1, &e), &e);
    bool good = true;
    for (size_t i = 0; text[i] && good; i++) {
        int32_t id = -1;
        for (uint32_t k = 0; k < w->vocabulary.n_nodes && id < 0; k = w->vocabulary.nodes[k].end)
            if (w->vocabulary.nodes[k].byte == (uint8_t)text[i]) id = w->vocabulary.ids[w->vocabulary.nodes[k].tokens];
        good = id >= 0 && !fa_constraint_take(c, id, &e);
    }
    good = good && fa_constraint_complete(c);
    fa_constraint_close(c);
    return good;
}
