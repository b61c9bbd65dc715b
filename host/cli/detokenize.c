/* fathom detokenize: ids -> text. */
#include <stdlib.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/text/tokenizer.h"

typedef struct settings {
    const char *model, *ids;
    bool batch, skip_special;
} settings;

enum { OPTION_BATCH = 0x2001, OPTION_SKIP_SPECIAL };

static error_t parse(int key, char *arg, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &s->model; return 0;
    case OPTION_BATCH: s->batch = true; return 0;
    case OPTION_SKIP_SPECIAL: s->skip_special = true; return 0;
    case ARGP_KEY_ARG:
        if (s->ids || s->batch)
            argp_error(state, s->batch ? "--batch reads standard input" : "more than one list of ids");
        s->ids = arg;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"batch", OPTION_BATCH, NULL, 0, "Read a JSON array of ids a line, write a JSON string a line", 0},
    {"skip-special", OPTION_SKIP_SPECIAL, NULL, 0, "Leave out special tokens", 0},
    {0},
};

static const struct argp_child children[] = {{&cli_model_argp, 0, NULL, 0}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[IDS]",
    .doc = "Show the text of IDS (1,2,3), or of the ids on standard input.\v"
           "Bytes that are not UTF-8 become U+FFFD.\n"
           "\n"
           "Examples:\n"
           "  fathom detokenize --model DIR 9690,198\n"
           "  echo '[9690, 198]' | fathom detokenize --model DIR --batch",
    .children = children,
};

static fa_status detokenize_all(const fa_tokenizer *t, const settings *s, fa_error *e) {
    char *input = NULL, *text = NULL;
    int32_t *ids = NULL;
    size_t n = 0, n_text = 0;
    fa_status status = FA_OK;
    if (!s->ids) status = cli_read_all(stdin, "standard input", &input, &n, e);
    if (!status) status = cli_parse_ids(s->ids ? s->ids : input, &ids, &n, e);
    if (!status) status = fa_decode_ids(t, ids, n, s->skip_special, &text, &n_text, e);
    if (!status) cli_print_text(text, n_text);
    free(text);
    free(ids);
    free(input);
    return status;
}

/* What a line of a batch needs. */
typedef struct batch {
    const fa_tokenizer *tokenizer;
    bool skip_special;
} batch;

/* A JSON array -> ids; the caller frees them, also after an error. */
static fa_status read_ids(const json_t *line, fa_ids *ids, fa_error *e) {
    if (!json_is_array(line)) return fa_fail(e, FA_EINVAL, "expected a JSON array of ids");
    for (size_t i = 0; i < json_array_size(line); i++) {
        const json_t *v = json_array_get(line, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            return fa_fail(e, FA_EINVAL, "element %zu is not an id", i);
        fa_status status = fa_ids_push(ids, (int32_t)json_integer_value(v));
        if (status) return fa_fail(e, status, "memory ran out");
    }
    return FA_OK;
}

static fa_status detokenize_line(void *ctx, const json_t *line, fa_error *e) {
    const batch *b = ctx;
    fa_ids ids = {0};
    char *text = NULL;
    size_t n = 0;
    fa_status status = read_ids(line, &ids, e);
    if (!status) status = fa_decode_ids(b->tokenizer, ids.data, ids.n, b->skip_special, &text, &n, e);
    if (!status) {
        json_t *value = json_stringn(text, n);
        if (!value || json_dumpf(value, stdout, JSON_ENCODE_ANY) || putchar('\n') == EOF)
            status = fa_fail(e, FA_EIO, "the text cannot be written");
        json_decref(value);
    }
    free(text);
    fa_ids_free(&ids);
    return status;
}

int cli_detokenize(int argc, char **argv) {
    settings s = {0};
    fa_error e = {0};
    fa_tokenizer *t = NULL;
    if (cli_parse(&argp, argc, argv, &s)) return CLI_ERROR;
    fa_status status = fa_tokenizer_open(&t, s.model, &e);
    if (!status)
        status = s.batch ? cli_each_line(CLI_STDIN, detokenize_line, &(batch){t, s.skip_special}, &e)
                         : detokenize_all(t, &s, &e);
    fa_tokenizer_close(t);
    return status ? cli_fail("%s", e.text) : CLI_OK;
}
