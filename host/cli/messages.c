#include "host/cli/messages.h"

#include <stdio.h>
#include <stdlib.h>

fa_status cli_add_message(json_t *messages, const char *role, const char *text, size_t n, fa_error *e) {
    json_t *message = json_pack("{ssss%}", "role", role, "content", text, n);
    if (!message) return fa_fail(e, FA_EINVAL, "the %s message is not UTF-8 text", role);
    if (json_array_append_new(messages, message)) return fa_fail(e, FA_ENOMEM, "memory ran out");
    return FA_OK;
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
