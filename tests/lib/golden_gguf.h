/* Writes a golden folder's model as a GGUF file by the conventions of llama.cpp's converter (conversion/deepseek.py, llama.py,
 * qwen.py): its names and keys, permuted q and k of llama, stacked experts, kv_b split and transposed. */
#ifndef FA_TESTS_GOLDEN_GGUF_H
#define FA_TESTS_GOLDEN_GGUF_H

#include <stdbool.h>

typedef struct golden_gguf {
    bool whole_kv_b; /* as older files have it: attn_kv_b, and head sizes under the plain keys */
    bool f16;        /* matrices as F16 rather than BF16 */
    const char *
        pre; /* tokenizer.ggml.pre, with the folder's byte-level vocabulary; NULL: as many empty texts as there are ids */
} golden_gguf;

/* A malloc'd path in `scratch`. */
char *golden_to_gguf(const char *folder, const char *scratch, const golden_gguf *how);

#endif
