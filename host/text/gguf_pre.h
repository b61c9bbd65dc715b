/* Pre-tokenizer chains by the names that GGUF files use. */
#ifndef FA_TEXT_GGUF_PRE_H
#define FA_TEXT_GGUF_PRE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fa_gguf_pre {
    const char *name;            /* value of tokenizer.ggml.pre */
    const char *const *patterns; /* each isolates its matches; NULL ends them */
    bool nfc;                    /* the model's text is in form C */
    bool ignore_merges;
    bool add_bos; /* where the file does not say */
} fa_gguf_pre;

/* NULL when unknown. */
const fa_gguf_pre *fa_gguf_pre_find(const char *name, size_t n);

/* The words of GPT-2, which the ByteLevel pre-tokenizer looks for too. */
extern const char fa_gpt2_words[];

#endif
