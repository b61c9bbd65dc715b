/* Files made to hurt, as the engine meets them: each is refused with an error that names the file and what is wrong in it. Damage to
 * the containers themselves is in tests/unit/test_format_*.c. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/fathom.h"
#include "host/format/tensor.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

#define CONFIG "config.json"
#define TOKENIZER "tokenizer.json"
#define INDEX "model.safetensors.index.json"

typedef struct hostile {
    const char *name, *folder, *file;
    const char *find, *put; /* the first `find` in the file becomes `put`; NULL: the whole file does */
    fathom_status status;
    const char *says; /* part of the error's text */
} hostile;

static const hostile table[] = {
    {"a billion layers", "deepseek-v3-tiny-fp8", CONFIG, "\"num_hidden_layers\": 3",
     "\"num_hidden_layers\": 1000000000", FATHOM_EFORMAT, "num_hidden_layers"},
    {"more layers than there are", "deepseek-v3-tiny-fp8", CONFIG, "\"num_hidden_layers\": 3",
     "\"num_hidden_layers\": 1000", FATHOM_EFORMAT, "model.layers.3."},
    {"no layers", "deepseek-v3-tiny-fp8", CONFIG, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 0",
     FATHOM_EFORMAT, "num_hidden_layers"},
    {"a width that the tensors do not have", "deepseek-v3-tiny-fp8", CONFIG, "\"hidden_size\": 192",
     "\"hidden_size\": 193", FATHOM_EFORMAT, "expected [1040, 193]"},
    {"a width of 2^63", "deepseek-v3-tiny-fp8", CONFIG, "\"hidden_size\": 192", "\"hidden_size\": 9223372036854775808",
     FATHOM_EFORMAT, "too big"},
    {"a negative width", "deepseek-v3-tiny-fp8", CONFIG, "\"hidden_size\": 192", "\"hidden_size\": -192",
     FATHOM_EFORMAT, "hidden_size"},
    {"a width that is a text", "deepseek-v3-tiny-fp8", CONFIG, "\"hidden_size\": 192", "\"hidden_size\": \"192\"",
     FATHOM_EFORMAT, "hidden_size"},
    {"no heads", "deepseek-v3-tiny-fp8", CONFIG, "\"num_attention_heads\": 4", "\"num_attention_heads\": 0",
     FATHOM_EFORMAT, "num_attention_heads"},
    {"more experts than there are", "deepseek-v3-tiny-fp8", CONFIG, "\"n_routed_experts\": 16",
     "\"n_routed_experts\": 4096", FATHOM_EFORMAT, "4096"},
    {"more chosen experts than experts", "deepseek-v3-tiny-fp8", CONFIG, "\"num_experts_per_tok\": 4",
     "\"num_experts_per_tok\": 17", FATHOM_EFORMAT, "num_experts_per_tok"},
    {"groups that do not divide the experts", "deepseek-v3-tiny-fp8", CONFIG, "\"n_group\": 4", "\"n_group\": 3",
     FATHOM_EFORMAT, "n_group"},
    {"an end token outside the vocabulary", "deepseek-v3-tiny-fp8", CONFIG, "\"eos_token_id\": 1",
     "\"eos_token_id\": 2000000000", FATHOM_EFORMAT, "eos_token_id"},
    {"another block size", "deepseek-v3-tiny-fp8", CONFIG, "128,\n      128", "64,\n      64", FATHOM_EUNSUPPORTED,
     "weight_block_size"},
    {"another architecture", "deepseek-v3-tiny-fp8", CONFIG, "DeepseekV3ForCausalLM\"\n", "MambaForCausalLM\"\n",
     FATHOM_EUNSUPPORTED, "MambaForCausalLM"},
    {"a rotary base of 0", "deepseek-v3-tiny-fp8", CONFIG, "\"rope_theta\": 10000", "\"rope_theta\": 0", FATHOM_EFORMAT,
     "rope_theta"},
    {"a number beyond FP64", "deepseek-v3-tiny-fp8", CONFIG, "\"rope_theta\": 10000", "\"rope_theta\": 1e999",
     FATHOM_EFORMAT, "config.json"},
    {"a key that comes twice", "deepseek-v3-tiny-fp8", CONFIG, "\"hidden_size\": 192",
     "\"hidden_size\": 192, \"hidden_size\": 192", FATHOM_EFORMAT, "duplicate"},
    {"an empty configuration", "deepseek-v3-tiny-fp8", CONFIG, NULL, "", FATHOM_EFORMAT, "config.json"},
    {"a configuration that is a list", "deepseek-v3-tiny-fp8", CONFIG, NULL, "[1, 2, 3]", FATHOM_EFORMAT,
     "config.json"},
    {"a token id of 2^31", "r1-distill-qwen-tiny", TOKENIZER, "\"vocab\":{\"!\":0", "\"vocab\":{\"!\":2147483648",
     FATHOM_EFORMAT, "2147483648"},
    {"a negative token id", "r1-distill-qwen-tiny", TOKENIZER, "\"vocab\":{\"!\":0", "\"vocab\":{\"!\":-1",
     FATHOM_EFORMAT, "-1"},
    {"two tokens of one id", "r1-distill-qwen-tiny", TOKENIZER, "\"vocab\":{\"!\":0", "\"vocab\":{\"!\":1",
     FATHOM_EFORMAT, "id 1"},
    {"a vocabulary that is a list", "r1-distill-qwen-tiny", TOKENIZER, "\"vocab\":{\"!\":0",
     "\"vocab\":[],\"other\":{\"!\":0", FATHOM_EFORMAT, "vocab"},
    {"a pattern that is none", "r1-distill-qwen-tiny", TOKENIZER,
     "\"Regex\":\"(?i:", "\"Regex\":\"((?i:", FATHOM_EFORMAT, "tokenizer.json"},
    {"a tokenizer of an unknown kind", "r1-distill-qwen-tiny", TOKENIZER, "\"type\":\"BPE\"", "\"type\":\"Unigram\"",
     FATHOM_EUNSUPPORTED, "Unigram"},
    {"an unknown normalizer", "r1-distill-qwen-tiny", TOKENIZER, "\"type\":\"NFC\"", "\"type\":\"NFZ\"",
     FATHOM_EUNSUPPORTED, "NFZ"},
    {"a shard above the folder", "deepseek-v2-lite-tiny", INDEX, "\"model-00001-of-000003.safetensors\"",
     "\"../model-00001-of-000003.safetensors\"", FATHOM_EFORMAT, "../model-00001"},
    {"a shard that is a device", "deepseek-v2-lite-tiny", INDEX, "\"model-00001-of-000003.safetensors\"",
     "\"/dev/zero\"", FATHOM_EFORMAT, "/dev/zero"},
    {"a shard that is not there", "deepseek-v2-lite-tiny", INDEX, "\"model-00001-of-000003.safetensors\"",
     "\"model-00009-of-000003.safetensors\"", FATHOM_EIO, "model-00009-of-000003.safetensors"},
    {"weights that are the configuration", "r1-distill-qwen-tiny", "model.safetensors", NULL, "{\"hidden_size\": 192}",
     FATHOM_EFORMAT, "model.safetensors"},
};
enum { N = sizeof table / sizeof *table };

static void link_or_edit(const hostile *h, const char *folder, const char *dir, const char *name) {
    char from[PATH_MAX], real[PATH_MAX], to[PATH_MAX];
    snprintf(from, sizeof from, "%s/%s", folder, name);
    snprintf(to, sizeof to, "%s/%s", dir, name);
    if (!realpath(from, real)) return;
    if (strcmp(name, h->file)) {
        CHECK(symlink(real, to) == 0, "%s: %s", to, strerror(errno));
        return;
    }
    size_t n;
    char *text = (char *)check_read(real, &n);
    check_bytes b = {0};
    if (h->find) {
        char *at = strstr(text, h->find);
        CHECK(at, "%s is not in %s", h->find, real);
        check_put(&b, text, (size_t)(at - text));
        check_put(&b, h->put, strlen(h->put));
        at += strlen(h->find);
        check_put(&b, at, n - (size_t)(at - text));
    } else {
        check_put(&b, h->put, strlen(h->put));
    }
    free(check_write(dir, name, b.data, b.n));
    free(b.data), free(text);
}

static void hostile_file_is_refused(void *arg) {
    static const char *const files[] = {CONFIG,
                                        TOKENIZER,
                                        "tokenizer_config.json",
                                        "model.safetensors",
                                        INDEX,
                                        "model-00001-of-000003.safetensors",
                                        "model-00002-of-000003.safetensors",
                                        "model-00003-of-000003.safetensors"};
    const hostile *h = arg;
    char *folder = check_golden(h->folder), *dir = check_scratch();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) link_or_edit(h, folder, dir, files[i]);
    fathom_engine *engine = NULL;
    fathom_error e = {0};
    fathom_options o = {.model = dir, .backend = "reference", .threads = 1, .context = 64, .step_rows = 4};
    fathom_status s = fathom_engine_open(&engine, &o, &e);
    CHECK(s == h->status && !engine, "status %d: %s", s, e.text);
    CHECK(strstr(e.text, h->says) && strstr(e.text, dir), "'%s' does not say '%s'", e.text, h->says);
    check_remove(dir);
    free(folder), free(dir);
}

int main(int argc, char **argv) {
    check_case cases[N];
    for (int i = 0; i < N; i++) cases[i] = (check_case){table[i].name, hostile_file_is_refused, (void *)&table[i]};
    return check_main(argc, argv, cases, N);
}
