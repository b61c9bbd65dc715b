/* fathom logits: the logits of a prompt as a safetensors file, for comparing with other engines. */
#include <stdlib.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/prompt.h"
#include "host/format/safetensors.h"

typedef struct logits_options {
    fathom_options engine;
    cli_prompt prompt;
    const char *out;
    bool all;
} logits_options;

enum { OPTION_ALL = 0x2001 };

static error_t parse(int key, char *arg, struct argp_state *state) {
    logits_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->engine;
        state->child_inputs[1] = &o->prompt;
        return 0;
    case OPTION_ALL: o->all = true; return 0;
    case 'o': o->out = arg; return 0;
    case ARGP_KEY_END:
        if (!o->out) argp_error(state, "no file to write: give --out FILE");
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"all", OPTION_ALL, NULL, 0, "The logits of every position; without it those of the last one", 0},
    {"out", 'o', "FILE", 0, "The safetensors file to write: tensor logits, F32 [positions, vocabulary]", 0},
    {0},
};
static const struct argp_child children[] = {{&cli_engine_argp, 0, NULL, 0}, {&cli_prompt_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = children,
    .doc = "Computes the logits of a prompt (as it stands, without a chat template) and writes them to a file.\v"
           "Example:\n"
           "  fathom logits --model DIR --ids 1,2,3 --all --out logits.safetensors",
};

/* Computes and writes; an exit code. */
static int write_logits(fathom_engine *engine, const logits_options *o, const int32_t *ids, size_t n) {
    fathom_info info;
    fathom_error e;
    fa_error write_error;
    fathom_engine_info(engine, &info);
    size_t rows = o->all ? n : 1;
    float *logits = calloc(rows * (size_t)info.vocabulary, sizeof *logits);
    if (!logits) return cli_fail("logits: memory ran out");
    fa_tensor_spec spec = {"logits", FA_F32, 2, {(int64_t)rows, info.vocabulary}, logits};
    int code = CLI_OK;
    if (fathom_logits(engine, ids, n, o->all, logits, &e))
        code = cli_fail("%s", e.text);
    else if (fa_safetensors_save(o->out, &spec, 1, &write_error))
        code = cli_fail("%s", write_error.text);
    free(logits);
    return code;
}

int cli_logits(int argc, char **argv) {
    logits_options o = {0};
    fathom_engine *engine;
    fathom_error e;
    int32_t *ids = NULL;
    size_t n = 0;
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    o.engine.logits_all = o.all;
    if (cli_engine_open(&engine, &o.engine, &e)) return cli_fail("%s", e.text);
    int code;
    if (cli_prompt_encode(&o.prompt, engine, &ids, &n, &e))
        code = cli_fail("%s", e.text);
    else
        code = write_logits(engine, &o, ids, n);
    fathom_free(ids);
    fathom_engine_close(engine);
    return code;
}
