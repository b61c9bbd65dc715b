/* fathom render: messages -> the prompt text that a model's chat template makes of them. */
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/model/config.h"
#include "host/text/chat.h"

typedef struct settings {
    const char *model, *messages;
    const fa_chat_family *family;
    bool no_generation_prompt;
} settings;

enum { OPTION_TEMPLATE = 0x2001, OPTION_MESSAGES, OPTION_NO_GENERATION };

static error_t parse(int key, char *arg, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case 'm': s->model = arg; return 0;
    case OPTION_TEMPLATE: s->family = cli_option_family(state, arg); return 0;
    case OPTION_MESSAGES: s->messages = arg; return 0;
    case OPTION_NO_GENERATION: s->no_generation_prompt = true; return 0;
    case ARGP_KEY_END:
        if (!s->messages) argp_error(state, "no messages: give --messages FILE");
        if (!s->model && !s->family) s->model = getenv("FATHOM_MODEL");
        if (!s->model && !s->family) argp_error(state, "no template: give --chat-template FAMILY or --model PATH");
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"chat-template", OPTION_TEMPLATE, "FAMILY", 0, "The template: " CLI_FAMILIES, 0},
    {"model", 'm', "PATH", 0, "Take template and special tokens from this model's files", 0},
    {"messages", OPTION_MESSAGES, "FILE", 0, "A JSON array of {\"role\": ..., \"content\": ...}; - is standard input",
     0},
    {"no-generation-prompt", OPTION_NO_GENERATION, NULL, 0, "Leave out the beginning of the assistant's answer", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .doc = "Show the prompt text of a conversation. No newline is added, but on a terminal.\v"
           "Needs no model where --chat-template is given.\n"
           "\n"
           "Example:\n"
           "  echo '[{\"role\": \"user\", \"content\": \"Hi\"}]' |\n"
           "    fathom render --chat-template deepseek-r1 --messages -",
};

/* From a file of any kind, a pipe too. */
static fa_status read_messages(const char *path, json_t **messages, fa_error *e) {
    bool standard = !strcmp(path, "-");
    const char *name = standard ? "standard input" : path;
    FILE *f = standard ? stdin : fopen(path, "r");
    char *text = NULL;
    size_t n;
    if (!f) return fa_fail(e, FA_EIO, "%s: %m", path);
    fa_status s = cli_read_all(f, name, &text, &n, e);
    if (!standard) fclose(f);
    if (!s) s = fa_json_parse(messages, text, n, name, e);
    free(text);
    return s;
}

/* The model's own family. A folder without config.json still has its tokenizer's template. */
static fa_status family_of(const char *model, const fa_tokenizer *t, const fa_chat_family **family, fa_error *e) {
    fa_config config;
    *family = fa_chat_guess(t, fa_config_load(&config, model, NULL) ? NULL : config.architecture);
    if (*family) return FA_OK;
    return fa_fail(e, FA_EUNSUPPORTED,
                   "%s: its chat template is not one that is built in; choose one with --chat-template", model);
}

static fa_status render(settings *s, const fa_tokenizer *t, fa_error *e) {
    json_t *messages = NULL;
    fa_prompt prompt = {0};
    fa_status status = FA_OK;
    if (!s->family) status = family_of(s->model, t, &s->family, e);
    if (!status) status = read_messages(s->messages, &messages, e);
    if (!status) {
        const char *bos = t ? fa_tokenizer_bos_text(t) : fa_chat_default_bos(s->family);
        const char *eos = t ? fa_tokenizer_eos_text(t) : fa_chat_default_eos(s->family);
        status = fa_chat_render(s->family, messages, !s->no_generation_prompt, bos, eos, &prompt, e);
        if (status) fa_error_prefix(e, status, "%s", strcmp(s->messages, "-") ? s->messages : "standard input");
    }
    if (!status) cli_print_text(prompt.text.data, prompt.text.n);
    fa_prompt_free(&prompt);
    json_decref(messages);
    return status;
}

int cli_render(int argc, char **argv) {
    settings s = {0};
    fa_error e = {0};
    fa_tokenizer *t = NULL;
    if (cli_parse(&argp, argc, argv, &s)) return CLI_ERROR;
    fa_status status = s.model ? fa_tokenizer_open(&t, s.model, &e) : FA_OK;
    if (!status) status = render(&s, t, &e);
    fa_tokenizer_close(t);
    return status ? cli_fail("%s", e.text) : CLI_OK;
}
