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

/* Appends a user's message that shows the pictures of `files` [n_files] before its text: their parts have the path as "file". */
fa_status cli_add_shown(json_t *messages, const char *const *files, size_t n_files, const char *text, size_t n,
                        fa_error *e);

/* Opens the picture of a file. */
fathom_status cli_open_picture(fathom_engine *engine, const char *path, fathom_picture **out, fathom_error *e);

/* Shows the session the pictures of all messages, for its next prompt. FATHOM_EFORMAT: a part without a file. */
fathom_status cli_show_pictures(fathom_engine *engine, fathom_session *session, const json_t *messages,
                                fathom_error *e);

/* The ids of the prompt, released with fathom_free. `family`: NULL is the model's own. */
fathom_status cli_encode_messages(fathom_engine *engine, const char *family, const json_t *messages, int32_t **ids,
                                  size_t *n, fathom_error *e);

#endif
