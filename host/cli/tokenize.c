/* fathom tokenize: text -> ids. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/text/tokenizer.h"

typedef struct settings {
    const char *model, *text;
    bool batch, no_special;
} settings;

enum { OPTION_BATCH = 0x2001, OPTION_NO_SPECIAL };

static error_t parse(int key, char *arg, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &s->model; return 0;
    case OPTION_BATCH: s->batch = true; return 0;
    case OPTION_NO_SPECIAL: s->no_special = true; return 0;
    case ARGP_KEY_ARG:
        if (s->text || s->batch) argp_error(state, s->batch ? "--batch reads standard input" : "more than one text");
        s->text = arg;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"batch", OPTION_BATCH, NULL, 0, "Read a JSON string a line, write a JSON array of ids a line", 0},
    {"no-special", OPTION_NO_SPECIAL, NULL, 0, "Leave out the ids that the model puts in front (begin of sentence)", 0},
    {0},
};

static const struct argp_child children[] = {{&cli_model_argp, 0, NULL, 0}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[TEXT]",
    .doc = "Show the ids of TEXT, or of standard input, with commas between them.\v"
           "Special tokens written in the text are recognised. The folder may hold a tokenizer alone.\n"
           "\n"
           "Examples:\n"
           "  fathom tokenize --model DIR \"Hello world\"\n"
           "  echo '\"Hello\"' | fathom tokenize --model DIR --batch --no-special",
    .children = children,
};

static fa_status tokenize_all(const fa_tokenizer *t, const fa_encode_options *o, const char *text, fa_error *e) {
    fa_ids ids = {0};
    char *input = NULL;
    size_t n = text ? strlen(text) : 0;
    fa_status status = FA_OK;
    if (!text) status = cli_read_all(stdin, "standard input", &input, &n, e);
    if (!status) status = fa_encode(t, text ? text : input, n, o, &ids, e);
    if (!status) cli_print_ids(stdout, ids.data, ids.n);
    fa_ids_free(&ids);
    free(input);
    return status;
}

/* What a line of a batch needs. */
typedef struct batch {
    const fa_tokenizer *tokenizer;
    const fa_encode_options *options;
} batch;

static fa_status tokenize_line(void *ctx, const json_t *line, fa_error *e) {
    const batch *b = ctx;
    if (!json_is_string(line)) return fa_fail(e, FA_EINVAL, "expected a JSON string");
    fa_ids ids = {0};
    fa_status status = fa_encode(b->tokenizer, json_string_value(line), json_string_length(line), b->options, &ids, e);
    if (!status) {
        putchar('[');
        for (size_t i = 0; i < ids.n; i++) printf("%s%d", i ? ", " : "", ids.data[i]);
        puts("]");
    }
    fa_ids_free(&ids);
    return status;
}

int cli_tokenize(int argc, char **argv) {
    settings s = {0};
    fa_error e = {0};
    fa_tokenizer *t = NULL;
    if (cli_parse(&argp, argc, argv, &s)) return CLI_ERROR;
    fa_encode_options o = {.prefix = !s.no_special};
    fa_status status = fa_tokenizer_open(&t, s.model, &e);
    if (!status)
        status =
            s.batch ? cli_each_line(CLI_STDIN, tokenize_line, &(batch){t, &o}, &e) : tokenize_all(t, &o, s.text, &e);
    fa_tokenizer_close(t);
    return status ? cli_fail("%s", e.text) : CLI_OK;
}
