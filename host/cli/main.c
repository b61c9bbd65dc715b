/* fathom: finds the subcommand and runs it. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"

#define CLI_ROW(name, help) {#name, help, cli_##name},
static const cli_command commands[] = {CLI_COMMANDS(CLI_ROW){NULL, NULL, NULL}};

/* libc looks this up by name, so it must be visible */
FATHOM_API const char *argp_program_version = "fathom " FATHOM_VERSION;

static const cli_command *find(const char *name) {
    for (const cli_command *c = commands; c->name; c++)
        if (!strcmp(c->name, name)) return c;
    return NULL;
}

/* Puts the list of commands where argp prints the text after the options. The result is freed by argp. */
static char *help_filter(int key, const char *text, void *input) {
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC) return (char *)text;
    char *list = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&list, &n);
    if (!f) return (char *)text;
    fputs("Commands:\n", f);
    for (const cli_command *c = commands; c->name; c++) fprintf(f, "  %-12s%s\n", c->name, c->help);
    fprintf(f, "\n%s", text);
    return fclose(f) ? (char *)text : list;
}

static error_t unknown_command(const struct argp_state *state, const char *name) {
    fprintf(stderr, "fathom: '%s' is not a command. The commands are:", name);
    for (const cli_command *c = commands; c->name; c++) fprintf(stderr, "%s %s", c == commands ? "" : ",", c->name);
    fputs(".\n", stderr);
    argp_state_help(state, stderr, ARGP_HELP_SEE | ARGP_HELP_EXIT_ERR);
    return EINVAL;
}

/* input: int *, which becomes the index of the command's name in argv */
static error_t parse(int key, char *arg, struct argp_state *state) {
    if (key == ARGP_KEY_ARG) {
        if (!find(arg)) return unknown_command(state, arg);
        *(int *)state->input = state->next - 1;
        state->next = state->argc; /* what follows is the command's */
        return 0;
    }
    if (key == ARGP_KEY_NO_ARGS) {
        argp_state_help(state, stderr, ARGP_HELP_USAGE | ARGP_HELP_DOC | ARGP_HELP_EXIT_ERR);
        return EINVAL;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "COMMAND [ARG...]",
    .doc = "Inference for DeepSeek-family models: R1, V3, V2, LLM, Coder and the R1 distillations.\v"
           "`fathom COMMAND --help' describes a command.\n"
           "\n"
           "Environment:\n"
           "  FATHOM_MODEL  the model where --model is not given; without it, the model that ships with fathom\n"
           "  FATHOM_ISA    portable, avx2, avx512 or avx512bf16: the instruction set to use\n"
           "\n"
           "Exit status: 0 done, 1 an error, 2 wrong usage, 130 stopped by Ctrl-C.\n"
           "\n"
           "Examples:\n"
           "  fathom run \"What is 12 * 34?\"\n"
           "  fathom run --model ~/models/R1-Distill-Qwen-1.5B \"Why is the sky blue?\"",
    .help_filter = help_filter,
};

int main(int argc, char **argv) {
    int at = 0;
    argp_err_exit_status = CLI_USAGE;
    setenv("ARGP_HELP_FMT", "no-dup-args-note", 0); /* a note on short options that says the obvious */
    error_t bad = argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &at);
    if (bad == ENOMEM) return cli_fail("memory ran out");
    if (bad || !at) return CLI_USAGE;
    const cli_command *c = find(argv[at]);
    char *name = NULL; /* argp shows it in usage texts and errors */
    if (asprintf(&name, "fathom %s", c->name) < 0) return cli_fail("memory ran out");
    argv[at] = name;
    int code = c->run(argc - at, argv + at);
    free(name);
    if (fflush(stdout) || ferror(stdout)) code = cli_fail("standard output: %m");
    return code;
}
