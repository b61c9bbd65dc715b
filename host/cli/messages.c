#include "host/cli/messages.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"

#include "host/base/json.h"

fa_status cli_add_message(json_t *messages, const char *role, const char *text, size_t n, fa_error *e) {
    json_t *message = json_pack("{ssss%}", "role", role, "content", text, n);
    if (!message) return fa_fail(e, FA_EINVAL, "the %s message is not UTF-8 text", role);
    if (json_array_append_new(messages, message)) return fa_fail(e, FA_ENOMEM, "memory ran out");
    return FA_OK;
}

fa_status cli_add_shown(json_t *messages, const char *const *files, size_t n_files, const char *text, size_t n,
                        fa_error *e) {
    if (!n_files) return cli_add_message(messages, "user", text, n, e);
    json_t *parts = json_array(), *part = json_pack("{ssss%}", "type", "text", "text", text, n);
    if (!part) {
        json_decref(parts);
        return fa_fail(e, FA_EINVAL, "the user message is not UTF-8 text");
    }
    bool failed = false;
    for (size_t i = 0; i < n_files && !failed; i++)
        failed = json_array_append_new(parts, json_pack("{ssss}", "type", "image", "file", files[i])) != 0;
    failed |= json_array_append_new(parts, part) != 0;
    failed |= json_array_append_new(messages, json_pack("{ssso}", "role", "user", "content", parts)) != 0;
    return failed ? fa_fail(e, FA_ENOMEM, "memory ran out, or a path is not UTF-8") : FA_OK;
}

fathom_status cli_open_picture(fathom_engine *engine, const char *path, fathom_picture **out, fathom_error *e) {
    fa_map map;
    *out = NULL;
    fa_status s = fa_map_open(&map, path, (fa_error *)e);
    if (s) return (fathom_status)s;
    fathom_status status = fathom_picture_open(engine, map.data, map.bytes, path, out, e);
    fa_map_close(&map);
    return status;
}

static bool is_picture(const json_t *part) {
    const char *type = json_string_value(json_object_get(part, "type"));
    return type && !strcmp(type, "image");
}

/* The picture parts of all messages, in order: a new array of views. */
static json_t *picture_parts(const json_t *messages) {
    json_t *all = json_array();
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *content = json_object_get(json_array_get(messages, i), "content");
        for (size_t k = 0; k < json_array_size(content); k++)
            if (is_picture(json_array_get(content, k))) json_array_append(all, json_array_get(content, k));
    }
    return all;
}

fathom_status cli_show_pictures(fathom_engine *engine, fathom_session *session, const json_t *messages,
                                fathom_error *e) {
    json_t *parts = picture_parts(messages);
    size_t n = json_array_size(parts);
    fathom_picture **pictures = calloc(n + 1, sizeof(fathom_picture *));
    fathom_status s = FATHOM_OK;
    if (!pictures) s = (fathom_status)fa_fail((fa_error *)e, FA_ENOMEM, "memory ran out");
    for (size_t i = 0; i < n && !s; i++) {
        const char *file = json_string_value(json_object_get(json_array_get(parts, i), "file"));
        s = file ? cli_open_picture(engine, file, &pictures[i], e)
                 : (fathom_status)fa_fail((fa_error *)e, FA_EFORMAT, "a picture of the conversation has no file");
    }
    if (!s) s = fathom_session_show(session, pictures, n, e);
    for (size_t i = 0; pictures && i < n; i++) fathom_picture_close(pictures[i]);
    free(pictures);
    json_decref(parts);
    return s;
}

fathom_status cli_encode_messages(fathom_engine *engine, const char *family, const json_t *messages, int32_t **ids,
                                  size_t *n, fathom_error *e) {
    char *text = fa_json_print(messages, JSON_COMPACT);
    if (!text) {
        e->status = FATHOM_ENOMEM;
        snprintf(e->text, sizeof e->text, "memory ran out");
        return e->status;
    }
    fathom_status s = fathom_encode_chat(engine, family, text, ids, n, e);
    free(text);
    return s;
}
