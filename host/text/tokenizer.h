/* Tokenizers: byte-level BPE and legacy byte-fallback BPE from tokenizer.json or from GGUF vocabularies. */
#ifndef FA_TEXT_TOKENIZER_H
#define FA_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/format/gguf.h"

typedef struct fa_tokenizer fa_tokenizer; /* fixed after opening: may be used by several threads */

/* Opens a folder's tokenizer.json (with tokenizer_config.json where present), a tokenizer.json itself, or a .gguf file.
 * FA_EFORMAT names file and field; a pre-tokenizer, normalizer or model kind that is not known is FA_EUNSUPPORTED
 * naming it. The caller closes. */
fa_status fa_tokenizer_open(fa_tokenizer **out, const char *path, fa_error *e);
fa_status fa_tokenizer_from_gguf(fa_tokenizer **out, const fa_gguf *g, fa_error *e);
void fa_tokenizer_close(fa_tokenizer *t);

/* A growing array of ids; zeroed is empty; fa_ids_free releases. */
typedef struct fa_ids {
    int32_t *data;
    size_t n, capacity;
} fa_ids;
fa_status fa_ids_push(fa_ids *ids, int32_t id);
void fa_ids_free(fa_ids *ids);

/* Bytes [begin, end) of a text. */
typedef struct fa_text_range {
    size_t begin, end;
} fa_text_range;

typedef struct fa_encode_options {
    bool prefix; /* put the ids in front that the model's post-processor adds (<s>, begin of sentence) */
    /* Ranges, rising, in which no added token may be recognised: what a user typed. An added token that only
     * touches such a range is not recognised either, so user text can never become a special token. */
    const fa_text_range *literal;
    size_t n_literal;
} fa_encode_options;

/* Appends the ids of `text` [n] (any bytes; invalid UTF-8 is replaced by U+FFFD as tokenizers do) to `out`.
 * Time is near-linear in n. `options` may be NULL (no prefix, nothing literal). FA_ELIMIT for more than 256 MB, and where
 * a pattern of the tokenizer's file takes too long on this text; `out` is as before on a failure. */
fa_status fa_encode(const fa_tokenizer *t, const char *text, size_t n, const fa_encode_options *options, fa_ids *out,
                    fa_error *e);

/* Decodes ids to a malloc'd, terminated text (length in *n_out, may be NULL) that the caller frees. Bytes that are not
 * UTF-8 become U+FFFD. An id without a token, which the padded output rows of a model are, gives no text; a negative
 * one is FA_EINVAL. */
fa_status fa_decode_ids(const fa_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, char **text,
                        size_t *n_out, fa_error *e);

/* A growing text; zeroed is empty. */
typedef struct fa_text {
    char *data; /* terminated */
    size_t n, capacity;
} fa_text;
void fa_text_free(fa_text *t);
/* Appends n bytes and keeps the text terminated. FA_ENOMEM leaves it as it was. */
fa_status fa_text_append(fa_text *t, const char *bytes, size_t n);

/* Streaming decode: holds back the bytes of an unfinished character. Zeroed is a fresh stream. */
typedef struct fa_decoder {
    unsigned char held[8];
    int n_held;
    bool started;     /* legacy: the first piece loses its leading space */
    bool bytes_apart; /* legacy: each byte that is no character becomes a U+FFFD of its own */
} fa_decoder;

/* Feeds one id and appends the text that became whole by it. In total that is what fa_decode_ids gives; only where
 * legacy byte tokens in a row are no valid text may the number of U+FFFD differ. */
fa_status fa_decoder_feed(fa_decoder *d, const fa_tokenizer *t, int32_t id, bool skip_special, fa_text *append,
                          fa_error *e);
/* The end of the stream: what is still held becomes U+FFFD. */
fa_status fa_decoder_end(fa_decoder *d, fa_text *append);

/* Ids are below this; there may be holes. */
int32_t fa_tokenizer_count(const fa_tokenizer *t);
int32_t fa_tokenizer_bos(const fa_tokenizer *t); /* -1: none */
int32_t fa_tokenizer_eos(const fa_tokenizer *t); /* -1: none */
/* Id of an added token or of a vocabulary entry with exactly this content; -1 when there is none. */
int32_t fa_tokenizer_find(const fa_tokenizer *t, const char *content);
/* Ids that the option `prefix` puts in front. */
size_t fa_tokenizer_prefix(const fa_tokenizer *t);
bool fa_tokenizer_is_special(const fa_tokenizer *t, int32_t id);
/* Whether text is searched for it before it is split (a special token or another added one). */
bool fa_tokenizer_is_added(const fa_tokenizer *t, int32_t id);
/* The bytes one id stands for (a view), for token-level matching; NULL for holes. */
const char *fa_tokenizer_piece(const fa_tokenizer *t, int32_t id, size_t *n);
/* The Jinja chat template found beside the tokenizer (tokenizer_config.json, chat_template.jinja, GGUF), or NULL. */
const char *fa_tokenizer_chat_template(const fa_tokenizer *t);
/* BOS and EOS as text, as chat templates print them; "" when there is none. */
const char *fa_tokenizer_bos_text(const fa_tokenizer *t);
const char *fa_tokenizer_eos_text(const fa_tokenizer *t);

#endif
