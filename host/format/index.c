/* Index files: which shard of a model holds which tensor ("weight_map", as Hugging Face writes it). */
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/format/container.h"

/* A shard lies in the index's own folder: a path that leaves it, or a device, is refused. */
static bool is_plain_name(const char *name) {
    return *name && *name != '.' && !strchr(name, '/');
}

/* Reads every shard once, in the order of first mention. */
static fa_status read_shards(fa_tensors *ts, const json_t *map, const char *dir, const char *index, fa_error *e) {
    json_t *seen = json_object();
    fa_status s = seen ? FA_OK : fa_fail(e, FA_ENOMEM, "%s: out of memory", index);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)map, name, value) {
        if (s) break;
        const char *shard = json_string_value(value);
        if (!shard || !is_plain_name(shard)) {
            s = fa_fail(e, FA_EFORMAT, "%s: tensor %s: shard %s is no name of a file in this folder", index, name,
                        shard ? shard : "(no text)");
        } else if (!json_object_get(seen, shard)) {
            char *path = fa_path_join(dir, shard);
            if (!path || json_object_set_new(seen, shard, json_true()))
                s = fa_fail(e, FA_ENOMEM, "%s: out of memory", index);
            else
                s = fa_tensors_read_file(ts, path, e);
            if (s) fa_error_prefix(e, s, "%s: shard of tensor %s", index, name);
            free(path);
        }
    }
    json_decref(seen);
    return s;
}

/* Every tensor of the index must lie in the shard that the index names. */
static fa_status check_index(fa_tensors *ts, const json_t *map, const char *index, fa_error *e) {
    fa_status s = fa_tensors_finish(ts, e);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)map, name, value) {
        if (s) break;
        const fa_tensor *t = fa_tensors_find(ts, name);
        const char *shard = json_string_value(value);
        if (!t || strcmp(strrchr(t->file, '/') + 1, shard))
            s = fa_fail(e, FA_EFORMAT, "%s: tensor %s is not in %s as the index says", index, name, shard);
    }
    return s;
}

fa_status fa_tensors_read_index(fa_tensors *ts, const char *dir, const char *index, fa_error *e) {
    json_t *root;
    fa_status s = fa_json_load(&root, index, e);
    if (s) return s;
    const json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map)) s = fa_fail(e, FA_EFORMAT, "%s: weight_map is no object", index);
    if (!s) s = read_shards(ts, map, dir, index, e);
    if (!s) s = check_index(ts, map, index, e);
    json_decref(root);
    return s;
}
