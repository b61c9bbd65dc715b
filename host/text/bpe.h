/* Byte-pair encoding of one piece of text: start from characters (or bytes) and merge neighbours, the pair of the
 * lowest rank first and of equal ones the leftmost, until no pair can merge. */
#ifndef FA_TEXT_BPE_H
#define FA_TEXT_BPE_H

#include "host/text/tokenizer.h"
#include "host/text/vocab.h"

typedef struct fa_bpe {
    bool bytes;         /* starts from bytes (byte-level), else from characters */
    bool by_score;      /* SentencePiece in GGUF: any two neighbours merge whose joined text is a token, highest score
                         * first; else by the list of merges */
    bool ignore_merges; /* a piece that is a token as a whole is that token */
    bool byte_fallback; /* a character that is no token becomes its bytes' tokens */
    bool fuse_unknown;  /* unknown characters in a row become one unknown token */
    int32_t unknown;    /* -1: unknown characters are dropped */
    int32_t byte_ids[256]; /* of a byte, or of its <0xNN>; -1: none */
    fa_text_map texts;     /* of the tokens that text may become; special tokens are not in it */
    fa_pair_map merges;    /* none makes a special token */
    const uint32_t *ranks; /* by_score: of each id; lower merges first */
    size_t longest_bytes;  /* by_score: of the token texts */
} fa_bpe;

typedef struct fa_bpe_scratch fa_bpe_scratch; /* what one thread needs */
fa_status fa_bpe_scratch_open(fa_bpe_scratch **out);
void fa_bpe_scratch_close(fa_bpe_scratch *s);

/* Appends the ids of the valid text piece[n], n < 2^31. O(n log n). */
fa_status fa_bpe_encode(const fa_bpe *m, fa_bpe_scratch *s, const char *piece, size_t n, fa_ids *out);

#endif
