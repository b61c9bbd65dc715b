#include "host/cli/prompt.h"

#include <string.h>

enum { OPTION_IDS = 0x3001 };

static error_t parse(int key, char *arg, struct argp_state *state) {
    cli_prompt *p = state->input;
    switch (key) {
    case OPTION_IDS: p->ids = arg; return 0;
    case ARGP_KEY_ARG:
        if (p->text) argp_error(state, "more than one prompt: '%s'", arg);
        p->text = arg;
        return 0;
    case ARGP_KEY_END:
        if (!p->ids == !p->text) argp_error(state, "give either a prompt or --ids");
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"ids", OPTION_IDS, "LIST", 0, "Token ids with commas between them, instead of a prompt", 0},
    {0},
};

const struct argp cli_prompt_argp = {.options = options, .parser = parse, .args_doc = "[PROMPT]"};

fathom_status cli_prompt_encode(const cli_prompt *p, fathom_engine *engine, int32_t **ids, size_t *n, fathom_error *e) {
    fa_error bad;
    fathom_status s = FATHOM_OK;
    *ids = NULL;
    *n = 0;
    if (p->text)
        s = fathom_encode(engine, p->text, strlen(p->text), true, ids, n, e);
    else if (cli_parse_ids(p->ids, ids, n, &bad))
        s = (fathom_status)fa_fail((fa_error *)e, FA_EINVAL, "%s", bad.text);
    if (!s && *n == 0) s = (fathom_status)fa_fail((fa_error *)e, FA_EINVAL, "the prompt is empty");
    return s;
}
