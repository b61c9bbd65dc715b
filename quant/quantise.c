#include "quant/quantise.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/base/file.h"
#include "quant/codes.h"
#include "quant/folder.h"
#include "quant/metadata.h"
#include "quant/plan.h"
#include "quant/write.h"

static const char *const companions[] = {
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
};

/* The folder that holds config.json: the source itself, or the one its file lies in. Malloc'd. */
static char *folder_of(const char *source) {
    struct stat st;
    char *copy = strdup(source);
    if (!copy || (stat(source, &st) == 0 && S_ISDIR(st.st_mode))) return copy;
    char *dir = strdup(dirname(copy));
    free(copy);
    return dir;
}

/* Names the codes that are not the released ones. */
static void name_codes(json_t *config, const fa_quantise_options *o) {
    if (o->e5m2) json_object_set_new(json_object_get(config, "quantization_config"), "fmt", json_string("e5m2"));
}

static fa_status write_from_folder(const fa_new_folder *out, const fa_quantise_options *o, const char *dir,
                                   fa_error *e) {
    json_t *config = NULL;
    fa_status s = fa_metadata_of_folder(&config, dir, e);
    if (!s) name_codes(config, o);
    if (!s) s = fa_new_folder_json(out, "config.json", config, e);
    for (size_t i = 0; i < sizeof companions / sizeof *companions && !s; i++)
        s = fa_new_folder_copy(out, dir, companions[i], e);
    return s;
}

static fa_status write_from_gguf(const fa_new_folder *out, const fa_quantise_options *o, const fa_tensors *ts,
                                 fa_error *e) {
    json_t *config = NULL, *tokenizer = NULL, *tokenizer_config = NULL;
    fa_status s = fa_metadata_config(&config, ts, e);
    if (!s) name_codes(config, o);
    if (!s) s = fa_new_folder_json(out, "config.json", config, e);
    if (!s) s = fa_metadata_tokenizer(&tokenizer, &tokenizer_config, fa_tensors_gguf(ts), e);
    if (s) return s;
    s = fa_new_folder_json(out, "tokenizer.json", tokenizer, e);
    if (!s) return fa_new_folder_json(out, "tokenizer_config.json", tokenizer_config, e);
    json_decref(tokenizer_config);
    return s;
}

fa_status fa_quantise(const fa_quantise_options *options, fa_error *e) {
    fa_new_folder out = {0};
    fa_arena names = {0};
    fa_plan plan = {.arena = &names};
    fa_tensors *ts = NULL;
    char *dir = folder_of(options->source);
    fa_status s = dir ? fa_tensors_open(&ts, options->source, e) : fa_fail(e, FA_ENOMEM, "out of memory");
    bool gguf = !s && fa_tensors_gguf(ts);
    if (!s) s = gguf ? fa_plan_gguf(&plan, ts, e) : fa_plan_safetensors(&plan, ts, e);
    fa_codes codes = {options->e5m2, options->per_tensor};
    for (int64_t i = 0; i < plan.n; i++)
        if (fa_plan_is_fp8(&plan.list[i])) plan.list[i].type = fa_codes_type(&codes);
    if (!s) s = fa_new_folder_open(&out, options->destination, e);
    if (!s) s = gguf ? write_from_gguf(&out, options, ts, e) : write_from_folder(&out, options, dir, e);
    if (!s) s = fa_write_weights(&plan, out.temporary, options, e);
    if (!s) s = fa_new_folder_commit(&out, e);
    fa_new_folder_abandon(&out);
    fa_plan_free(&plan);
    fa_arena_free(&names);
    fa_tensors_close(ts);
    free(dir);
    return s;
}
