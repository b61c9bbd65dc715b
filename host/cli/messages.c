#include "host/cli/messages.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

fa_status cli_add_message(json_t *messages, const char *role, const char *text, size_t n, fa_error *e) {
    json_t *message = json_pack("{ssss%}", "role", role, "content", text, n);
    if (!message) return fa_fail(e, FA_EINVAL, "the %s message is not UTF-8 text", role);
    if (json_array_append_new(messages, message)) return fa_fail(e, FA_ENOMEM, "memory ran out");
    return FA_OK;
}

fa_status cli_add_shown(json_t *messages, int pictures, const char *text, size_t n, fa_error *e) {
    if (!pictures) return cli_add_message(messages, "user", text, n, e);
    json_t *parts = json_array(), *part = json_pack("{ssss%}", "type", "text", "text", text, n);
    if (!part) {
        json_decref(parts);
        return fa_fail(e, FA_EINVAL, "the user message is not UTF-8 text");
    }
    bool failed = false;
    for (int i = 0; i < pictures; i++) failed |= json_array_append_new(parts, json_pack("{ss}", "type", "image")) != 0;
    failed |= json_array_append_new(parts, part) != 0;
    failed |= json_array_append_new(messages, json_pack("{ssso}", "role", "user", "content", parts)) != 0;
    return failed ? fa_fail(e, FA_ENOMEM, "memory ran out") : FA_OK;
}

fathom_status cli_encode_messages(fathom_engine *engine, const char *family, const json_t *messages, int32_t **ids,
                                  size_t *n, fathom_error *e) {
    char *text = json_dumps(messages, JSON_COMPACT);
    if (!text) {
        e->status = FATHOM_ENOMEM;
        snprintf(e->text, sizeof e->text, "memory ran out");
        return e->status;
    }
    fathom_status s = fathom_encode_chat(engine, family, text, ids, n, e);
    free(text);
    return s;
}
