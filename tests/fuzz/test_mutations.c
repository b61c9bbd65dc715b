/* Damaged files of every kind: each ends in a typed error with a text, or in a correct load whose content can be read. Meant to
 * run under the sanitizers as well. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/fathom.h"
#include "quant/quantise.h"
#include "tests/lib/golden_gguf.h"
#include "tests/lib/mutate.h"
#include "tests/lib/openers.h"

typedef struct target {
    const char *folder; /* golden folder; its files are linked into the scratch folder */
    const char *file; /* the one that is damaged; NULL: a GGUF file made of the folder, under the pre-tokenizer `pre` */
    const char *pre;
    bool whole_folder; /* open gets the folder, not the file */
    check_opener *open;
    int count;
} target;

/* ---- openers ---- */

/* The whole engine, and one step of it. */
static fa_status open_engine(const char *path, fa_error *e) {
    fathom_engine *engine;
    fathom_options o = {.model = path, .backend = "reference", .threads = 1, .context = 64, .step_rows = 4};
    fathom_error fe = {0};
    fathom_status s = fathom_engine_open(&engine, &o, &fe);
    if (!s) {
        fathom_info info;
        fathom_engine_info(engine, &info);
        float *logits = calloc((size_t)info.vocabulary, sizeof *logits);
        s = fathom_logits(engine, (int32_t[]){0, 1, 2}, 3, false, logits, &fe);
        free(logits);
        fathom_engine_close(engine);
    }
    if (s) fa_fail(e, (fa_status)s, "%s", fe.text);
    return (fa_status)s;
}

/* A conversion to FP8, which on an error leaves nothing. */
static fa_status open_quantise(const char *path, fa_error *e) {
    char *dir = check_scratch(), *out = NULL;
    CHECK(asprintf(&out, "%s/out", dir) > 0);
    fa_status s = fa_quantise(&(fa_quantise_options){.source = path, .destination = out}, e);
    if (!s) check_remove(out);
    CHECK(rmdir(dir) == 0, "%s: %s; %s", dir, strerror(errno), e->text);
    free(out), free(dir);
    return s;
}

/* ---- running ---- */

/* Links the golden folder's files into `dir`, but for the one that is to be damaged and the reference data. */
static void link_files(const char *folder, const char *dir, const char *damaged) {
    static const char *const files[] = {"config.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "preprocessor_config.json",
                                        "model.safetensors",
                                        "model.safetensors.index.json",
                                        "model-00001-of-000003.safetensors",
                                        "model-00002-of-000003.safetensors",
                                        "model-00003-of-000003.safetensors"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char from[PATH_MAX], real[PATH_MAX], to[PATH_MAX];
        snprintf(from, sizeof from, "%s/%s", folder, files[i]);
        snprintf(to, sizeof to, "%s/%s", dir, files[i]);
        if (!strcmp(files[i], damaged) || !realpath(from, real)) continue;
        CHECK(symlink(real, to) == 0, "%s: %s", to, strerror(errno));
    }
}

/* Where the bytes that describe the file end. */
static size_t head_of(const char *name, const uint8_t *data, size_t n) {
    uint64_t header;
    if (strstr(name, ".json")) return n;
    if (strstr(name, ".gguf")) return n < 30000 ? 1800 : n / 20;
    if (strstr(name, ".bin")) return 40000; /* the pickle comes first */
    memcpy(&header, data, 8);
    return 8 + (size_t)header;
}

/* Every second one keeps its syntax where the file is JSON, or has a JSON header. */
static check_bytes damage(const char *name, const uint8_t *data, size_t n, int i) {
    size_t head = head_of(name, data, n);
    if (i % 2 || strstr(name, ".gguf") || strstr(name, ".bin")) return check_mutate(data, n, head, (uint64_t)i);
    if (strstr(name, ".json")) return check_mutate_json(data, n, (uint64_t)i);
    check_bytes header = check_mutate_json(data + 8, head - 8, (uint64_t)i), b = {0};
    while (header.n % 8) check_put(&header, " ", 1);
    check_put_int(&b, header.n, 8);
    check_put(&b, header.data, header.n);
    check_put(&b, data + head, n - head);
    free(header.data);
    return b;
}

static void damaged_files_are_refused_or_read(void *arg) {
    const target *t = arg;
    char *folder = check_golden(t->folder), *dir = check_scratch(), *path = NULL;
    const char *name = t->file ? t->file : "model.gguf";
    if (!t->file)
        path = golden_to_gguf(t->folder, dir, &(golden_gguf){.pre = t->pre});
    else
        CHECK(asprintf(&path, "%s/%s", folder, name) > 0);
    size_t n;
    uint8_t *data = check_read(path, &n);
    if (t->whole_folder) link_files(folder, dir, name);
    int loads = 0, errors = 0;
    fa_error whole = {0};
    free(check_write(dir, name, data, n));
    char *undamaged = t->whole_folder ? strdup(dir) : NULL;
    if (!undamaged) CHECK(asprintf(&undamaged, "%s/%s", dir, name) > 0);
    CHECK_OK(t->open(undamaged, &whole), &whole);
    free(undamaged);
    for (int i = 0; i < t->count; i++) {
        fa_error e = {0};
        check_bytes b = damage(name, data, n, i);
        char *damaged = check_write(dir, name, b.data, b.n);
        fa_status s = t->open(t->whole_folder ? dir : damaged, &e);
        CHECK(s >= FA_OK && s < FA_STATUS_COUNT, "mutation %d: status %d", i, s);
        CHECK(!s || (e.text[0] && e.status == s), "mutation %d: %s without a text", i, fa_status_name(s));
        loads += !s;
        errors += s != FA_OK;
        free(damaged), free(b.data);
    }
    CHECK(errors > t->count / 5 && loads > 0, "%d loads, %d errors", loads, errors);
    check_remove(dir);
    free(data), free(path), free(folder), free(dir);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        target t;
    } table[] = {
        {"safetensors", {"gguf", "blocks.safetensors", NULL, false, check_open_tensors, 1000}},
        {"safetensors, by the engine", {"r1-distill-qwen-tiny", "model.safetensors", NULL, true, open_engine, 250}},
        {"checkpoint of PyTorch", {"janus-pro-tiny", "pytorch_model.bin", NULL, false, check_open_tensors, 500}},
        {"index of shards",
         {"deepseek-v2-lite-tiny", "model.safetensors.index.json", NULL, true, check_open_tensors, 500}},
        {"GGUF", {"gguf", "blocks.gguf", NULL, false, check_open_tensors, 1000}},
        {"GGUF, by the engine", {"r1-distill-qwen-tiny", NULL, "deepseek-r1-qwen", false, open_engine, 250}},
        {"GGUF of experts, by the engine", {"deepseek-v2-lite-tiny", NULL, "deepseek-llm", false, open_engine, 100}},
        {"GGUF, converted", {"r1-distill-qwen-tiny", NULL, "deepseek-r1-qwen", false, open_quantise, 150}},
        {"GGUF of experts, converted", {"deepseek-v2-lite-tiny", NULL, "deepseek-llm", false, open_quantise, 100}},
        {"safetensors, converted", {"r1-distill-qwen-tiny", "model.safetensors", NULL, true, open_quantise, 100}},
        {"tokenizer.json of V3", {"deepseek-v3-tiny", "tokenizer.json", NULL, false, check_open_tokenizer, 250}},
        {"tokenizer.json of Qwen", {"r1-distill-qwen-tiny", "tokenizer.json", NULL, false, check_open_tokenizer, 150}},
        {"tokenizer.json of Llama 2",
         {"tokenizer/llama-legacy", "tokenizer.json", NULL, false, check_open_tokenizer, 150}},
        {"tokenizer_config.json", {"deepseek-v3-tiny", "tokenizer_config.json", NULL, true, check_open_tokenizer, 150}},
        {"config.json of V3", {"deepseek-v3-tiny-fp8", "config.json", NULL, true, check_open_config, 500}},
        {"config.json of Llama 3", {"r1-distill-llama-tiny", "config.json", NULL, true, check_open_config, 500}},
        {"config.json, by the engine", {"deepseek-v3-tiny-fp8", "config.json", NULL, true, open_engine, 250}},
        {"config.json of Janus, by the engine", {"janus-pro-tiny", "config.json", NULL, true, open_engine, 250}},
        {"preprocessor_config.json, by the engine",
         {"janus-pro-tiny", "preprocessor_config.json", NULL, true, open_engine, 100}},
        {"config.json of Qwen, by the engine", {"r1-distill-qwen-tiny", "config.json", NULL, true, open_engine, 250}},
    };
    enum { N = sizeof table / sizeof *table };
    check_case cases[N];
    for (int i = 0; i < N; i++)
        cases[i] = (check_case){table[i].name, damaged_files_are_refused_or_read, (void *)&table[i].t};
    return check_main(argc, argv, cases, N);
}
