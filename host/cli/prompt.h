/* A prompt given as text or as ids, taken as it stands (no chat template): what logits and trace share. */
#ifndef FA_CLI_PROMPT_H
#define FA_CLI_PROMPT_H

#include "host/cli/common.h"

typedef struct cli_prompt {
    const char *text, *ids; /* one of them is NULL; borrowed from argv */
} cli_prompt;

/* An argp child: [PROMPT] or --ids LIST, into a cli_prompt. */
extern const struct argp cli_prompt_argp;

/* The prompt's ids, released with fathom_free. FATHOM_EINVAL for an empty prompt. */
fathom_status cli_prompt_encode(const cli_prompt *p, fathom_engine *engine, int32_t **ids, size_t *n, fathom_error *e);

#endif
