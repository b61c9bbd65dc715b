/* Conversations as JSON: arrays of {"role", "content"}. */
#ifndef FA_CLI_MESSAGES_H
#define FA_CLI_MESSAGES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/fathom.h"

/* Appends a message. FA_EINVAL when the text is not UTF-8. */
fa_status cli_add_message(json_t *messages, const char *role, const char *text, size_t n, fa_error *e);

/* Appends a user's message that shows `pictures` pictures before its text. */
fa_status cli_add_shown(json_t *messages, int pictures, const char *text, size_t n, fa_error *e);

/* The ids of the prompt, released with fathom_free. `family`: NULL is the model's own. */
fathom_status cli_encode_messages(fathom_engine *engine, const char *family, const json_t *messages, int32_t **ids,
                                  size_t *n, fathom_error *e);

#endif
