/* What tokenizer_config.json and chat_template.jinja add to a tokenizer.json. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/text/load.h"

enum { MAX_TEMPLATE_BYTES = 1 << 22 };

/* A malloc'd path of `name` in the folder of `file`. */
static char *beside(const char *file, const char *name) {
    const char *slash = strrchr(file, '/');
    char *dir = slash ? strndup(file, (size_t)(slash - file) + 1) : strdup(".");
    char *path = dir ? fa_path_join(dir, name) : NULL;
    free(dir);
    return path;
}

/* The id of config[key], a text or an object with "content"; *id stays when there is none. A token that the vocabulary
 * lacks counts as none: configurations name such ones. */
static fa_status token_field(fa_builder *b, const json_t *config, const char *key, const char *path, int32_t *id) {
    const json_t *v = json_object_get(config, key);
    if (json_is_object(v)) v = json_object_get(v, "content");
    if (!v || json_is_null(v)) return FA_OK;
    if (!json_is_string(v)) return fa_fail(b->e, FA_EFORMAT, "%s: %s: expected a string", path, key);
    *id = fa_builder_find(b, json_string_value(v), json_string_length(v));
    return FA_OK;
}

/* A text, or a list of {"name", "template"} of which "default" counts, else the first. */
static fa_status template_field(fa_builder *b, const json_t *config, const char *path) {
    const json_t *v = json_object_get(config, "chat_template"), *one, *chosen = NULL;
    if (json_is_array(v)) {
        size_t i;
        json_array_foreach(v, i, one) {
            const char *name = json_string_value(json_object_get(one, "name"));
            if (i == 0 || (name && strcmp(name, "default") == 0)) chosen = json_object_get(one, "template");
        }
        v = chosen;
    }
    if (!v || json_is_null(v)) return FA_OK;
    if (!json_is_string(v)) return fa_fail(b->e, FA_EFORMAT, "%s: chat_template: expected a string", path);
    b->t->chat_template = fa_builder_text(b, json_string_value(v), json_string_length(v));
    return b->t->chat_template ? FA_OK : fa_out_of_memory(b);
}

/* Where add_bos_token is given it decides, whatever the post-processor says. */
static fa_status add_bos_field(fa_builder *b, const json_t *config, const char *path) {
    const json_t *v = json_object_get(config, "add_bos_token");
    bool add;
    if (!v || json_is_null(v)) return FA_OK;
    fa_status s = fa_json_bool(config, "add_bos_token", false, &add, path, b->e);
    if (s) return s;
    b->t->n_prefix = add && b->t->bos >= 0;
    b->t->prefix[0] = b->t->bos;
    return FA_OK;
}

static fa_status load_config(fa_builder *b, const char *path) {
    json_t *config;
    fa_status s = fa_json_load(&config, path, b->e);
    if (s) return s;
    if (!json_is_object(config)) s = fa_fail(b->e, FA_EFORMAT, "%s: expected an object", path);
    if (!s) s = token_field(b, config, "bos_token", path, &b->t->bos);
    if (!s) s = token_field(b, config, "eos_token", path, &b->t->eos);
    if (!s) s = template_field(b, config, path);
    if (!s) s = add_bos_field(b, config, path);
    json_decref(config);
    return s;
}

static fa_status load_template_file(fa_builder *b, const char *path) {
    fa_map m;
    fa_status s = fa_map_open(&m, path, b->e);
    if (s) return s;
    if (m.bytes > MAX_TEMPLATE_BYTES)
        s = fa_fail(b->e, FA_EFORMAT, "%s: longer than %d bytes", path, MAX_TEMPLATE_BYTES);
    if (!s) b->t->chat_template = fa_builder_text(b, m.bytes ? m.data : "", m.bytes);
    if (!s && !b->t->chat_template) s = fa_out_of_memory(b);
    fa_map_close(&m);
    return s;
}

/* Runs `load` on the file `name` beside the tokenizer if it exists. */
static fa_status load_beside(fa_builder *b, const char *name, fa_status (*load)(fa_builder *b, const char *path)) {
    char *path = beside(b->name, name);
    if (!path) return fa_out_of_memory(b);
    fa_status s = access(path, F_OK) == 0 ? load(b, path) : FA_OK;
    free(path);
    return s;
}

fa_status fa_tokenizer_config(fa_builder *b) {
    b->t->bos = b->t->n_prefix ? b->t->prefix[0] : -1;
    fa_status s = load_beside(b, "tokenizer_config.json", load_config);
    return s ? s : load_beside(b, "chat_template.jinja", load_template_file);
}
