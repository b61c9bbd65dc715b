/* Inside of a tokenizer, and how the loaders for tokenizer.json and GGUF put one together. */
#ifndef FA_TEXT_PARTS_H
#define FA_TEXT_PARTS_H

#include "host/text/added.h"
#include "host/text/bpe.h"
#include "host/text/normalize.h"
#include "host/text/pretokenize.h"
#include "host/text/tokenizer.h"
#include "host/text/vocab.h"

/* How the pieces of ids become a text. */
typedef struct fa_decode_plan {
    bool byte_level;        /* pieces are bytes; else whole characters, apart from FA_TOKEN_BYTE ones */
    bool byte_fallback;     /* FA_TOKEN_BYTE pieces in a row are one run of bytes */
    bool spaced;            /* no decoder: a space between pieces */
    const char *strip;      /* one of these is dropped from the start of the text; "" for none */
    const char *drop_first; /* all of these are dropped from the first token; "" for none */
} fa_decode_plan;

enum { FA_MAX_PREFIX = 8 };

struct fa_tokenizer {
    fa_arena arena;
    fa_token *tokens;
    int32_t count;
    fa_text_map names; /* added tokens, and tokens that no text becomes; the others are in model.texts */
    fa_bpe model;
    fa_added raw;        /* found before normalizing */
    fa_added normalized; /* found after it */
    fa_normalizer *normalizers;
    fa_pretokenizer *pretokenizers;
    size_t n_normalizers, n_pretokenizers;
    fa_decode_plan decode;
    int32_t prefix[FA_MAX_PREFIX]; /* ids that the post-processor puts in front */
    size_t n_prefix;
    int32_t bos, eos;
    const char *chat_template; /* NULL: none */
};

/* A tokenizer in the making. `name` is the file, for error texts. */
typedef struct fa_builder {
    fa_tokenizer *t;
    fa_text_pool pool;
    const char *name;
    fa_error *e;
    fa_normalizer *decode_steps; /* replacements in each token's content; owned */
    size_t n_decode_steps;
    bool fused;              /* a Fuse was among the decoders */
    bool byte_letters;       /* the vocabulary is written in stand-in letters */
    fa_matcher *matcher;     /* for decode_steps */
    fa_text a, b;            /* scratch */
    unsigned char *verbatim; /* of each id: its content is no stand-in letters, so no text becomes it */
} fa_builder;

fa_status fa_builder_open(fa_builder *b, const char *name, fa_error *e);
/* Hands out the tokenizer, or on a failure frees it; frees the rest. Returns `s`. */
fa_status fa_builder_close(fa_builder *b, fa_status s, fa_tokenizer **out);

/* Room for ids 0 .. count-1, all holes. Steps and decode plan are set before. */
fa_status fa_builder_tokens(fa_builder *b, int64_t count);
/* One entry of the model's vocabulary, as the file writes it. FA_EFORMAT for an id given before. */
fa_status fa_builder_token(fa_builder *b, int64_t id, const char *content, size_t n);
/* An added token; the id may be in the vocabulary with the same content. */
typedef struct fa_added_spec {
    int64_t id;
    const char *content;
    size_t bytes;
    bool special, normalized, single_word, lstrip, rstrip;
} fa_added_spec;
fa_status fa_builder_added(fa_builder *b, const fa_added_spec *spec);
/* Once all tokens are in: the maps from texts to ids. */
fa_status fa_builder_maps(fa_builder *b);
/* Merges, once the maps are there, in order of rank: both sides as the file writes them. */
fa_status fa_builder_merges(fa_builder *b, size_t count);
fa_status fa_builder_merge(fa_builder *b, uint32_t rank, const char *left, size_t left_bytes, const char *right,
                           size_t right_bytes);

/* The id of a token by its content as the file writes it; -1. */
int32_t fa_builder_find(fa_builder *b, const char *content, size_t n);

/* A terminated copy that lives as long as the tokenizer; NULL when memory ran out. */
const char *fa_builder_text(fa_builder *b, const char *text, size_t n);

/* Appends a step that lives as long as the tokenizer. */
fa_status fa_builder_normalizer(fa_builder *b, const fa_normalizer *step);
fa_status fa_builder_pretokenizer(fa_builder *b, const fa_pretokenizer *step);
fa_status fa_builder_decode_step(fa_builder *b, const fa_normalizer *step);

fa_status fa_out_of_memory(fa_builder *b);

#endif
