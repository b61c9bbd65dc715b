/* What each value of tokenizer.ggml.pre stands for: the patterns are those of the models' own tokenizer.json, which
 * llama.cpp's table of the same names (src/llama-vocab.cpp) follows. */
#include "host/text/gguf_pre.h"

#include <string.h>

const char fa_gpt2_words[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* Letters with case, which DeepSeek LLM lists one by one. */
static const char cased_words[] =
    "\\s?[A-Za-z\\u00b5\\u00c0-\\u00d6\\u00d8-\\u00f6\\u00f8-\\u01ba\\u01bc-\\u01bf\\u01c4-\\u0293\\u0295"
    "-\\u02af\\u0370-\\u0373\\u0376\\u0377\\u037b-\\u037d\\u037f\\u0386\\u0388-\\u038a\\u038c\\u038e-"
    "\\u03a1\\u03a3-\\u03f5\\u03f7-\\u0481\\u048a-\\u052f\\u0531-\\u0556\\u10a0-\\u10c5\\u13a0-\\u13f5"
    "\\u13f8-\\u13fd\\u1c90-\\u1cba\\u1cbd-\\u1cbf\\u1d00-\\u1d2b\\u1d6b-\\u1d77\\u1d79-\\u1d9a\\u1e00-"
    "\\u1f15\\u1f18-\\u1f1d\\u1f20-\\u1f45\\u1f48-\\u1f4d\\u1f50-\\u1f57\\u1f59\\u1f5b\\u1f5d\\u1f5f-"
    "\\u1f7d\\u1f80-\\u1fb4\\u1fb6-\\u1fbc\\u1fbe\\u1fc2-\\u1fc4\\u1fc6-\\u1fcc\\u1fd0-\\u1fd3\\u1fd6-"
    "\\u1fdb\\u1fe0-\\u1fec\\u1ff2-\\u1ff4\\u1ff6-\\u1ffc\\u2102\\u2107\\u210a-\\u2113\\u2115\\u2119-"
    "\\u211d\\u2124\\u2126\\u2128\\u212a-\\u212d\\u212f-\\u2134\\u2139\\u213c-\\u213f\\u2145-\\u2149"
    "\\u214e\\u2183\\u2184\\u2c00-\\u2c7b\\u2c7e-\\u2ce4\\u2ceb-\\u2cee\\u2cf2\\u2cf3\\ua640-\\ua66d"
    "\\ua680-\\ua69b\\ua722-\\ua76f\\ua771-\\ua787\\ua78b-\\ua78e\\uab70-\\uabbf\\ufb00-\\ufb06\\ufb13-"
    "\\ufb17\\uff21-\\uff3a\\uff41-\\uff5a\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}"
    "\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}]+";

static const char qwen2_words[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s"
    "*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static const char llama3_words[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]"
    "*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static const char deepseek_v3_words[] =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?["
    "\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";

#define NEWLINES "[\r\n]"
#define DIGIT "\\p{N}"
#define CJK "[\\u4e00-\\u9fa5\\u0800-\\u4e00\\uac00-\\ud7ff]+"

static const char *const default_chain[] = {"[\\p{P}$+<=>^~|]+", fa_gpt2_words, "\\p{N}+", "[0-9][0-9][0-9]", NULL};
static const char *const gpt2_chain[] = {fa_gpt2_words, NULL};
static const char *const digits_chain[] = {DIGIT, fa_gpt2_words, NULL};
static const char *const llama3_chain[] = {llama3_words, NULL};
static const char *const qwen2_chain[] = {qwen2_words, NULL};
static const char *const deepseek_llm_chain[] = {
    NEWLINES, cased_words, "\\s?[!-/:-~\\uff01-\\uff0f\\uff1a-\\uff5e\\u2018-\\u201f\\u3000-\\u3002]+", "\\s+$", CJK,
    DIGIT,    NULL};
static const char *const deepseek_coder_chain[] = {NEWLINES, "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, DIGIT, NULL};
static const char *const deepseek_v3_chain[] = {"\\p{N}{1,3}", "[\\u4e00-\\u9fa5\\u3040-\\u309f\\u30a0-\\u30ff]+",
                                                deepseek_v3_words, NULL};

static const fa_gguf_pre table[] = {
    {.name = "default", .patterns = default_chain},
    {.name = "gpt-2", .patterns = gpt2_chain},
    {.name = "smollm", .patterns = digits_chain},
    {.name = "starcoder", .patterns = digits_chain},
    {.name = "llama-bpe", .patterns = llama3_chain, .ignore_merges = true, .add_bos = true},
    {.name = "qwen2", .patterns = qwen2_chain, .nfc = true},
    {.name = "deepseek-r1-qwen", .patterns = qwen2_chain, .nfc = true},
    {.name = "deepseek-llm", .patterns = deepseek_llm_chain},
    {.name = "deepseek-coder", .patterns = deepseek_coder_chain},
    {.name = "deepseek-v3", .patterns = deepseek_v3_chain},
};

const fa_gguf_pre *fa_gguf_pre_find(const char *name, size_t n) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].name) == n && memcmp(table[i].name, name, n) == 0) return &table[i];
    return NULL;
}
