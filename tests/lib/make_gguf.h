/* Makes a GGUF file from a Hugging Face folder as llama.cpp's convert_hf_to_gguf.py lays it out: for tests of what reads GGUF. */
#ifndef FA_TESTS_MAKE_GGUF_H
#define FA_TESTS_MAKE_GGUF_H

#include <stdbool.h>

typedef struct check_gguf_style {
    const char *pre; /* value of tokenizer.ggml.pre; NULL: no tokenizer */
    bool split_kv_b; /* deepseek2: attn_k_b and attn_v_b in the place of attn_kv_b, with the keys of newer files */
} check_gguf_style;

/* `folder` is a golden folder (llama, qwen2, deepseek_v2 or deepseek_v3) with BF16 weights; matrices stay BF16, vectors become
 * F32. Fails the running case on any trouble. */
void check_make_gguf(const char *folder, const char *path, const check_gguf_style *style);

#endif
