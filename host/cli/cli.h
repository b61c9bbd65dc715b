/* The subcommands of `fathom`. To add one, add its line here and write cli_NAME in host/cli/NAME.c. */
#ifndef FA_CLI_CLI_H
#define FA_CLI_CLI_H

/* name, help of one line; the order is that of `fathom --help` */
#define CLI_COMMANDS(X)                                                      \
    X(run, "Answer one prompt")                                              \
    X(chat, "Talk with a model")                                             \
    X(draw, "Draw a picture")                                                \
    X(serve, "Serve a model over HTTP")                                      \
    X(tokenize, "Show the ids of a text")                                    \
    X(detokenize, "Show the text of ids")                                    \
    X(render, "Show the prompt text of a conversation")                      \
    X(inspect, "Show a model's architecture and memory, or a board's image") \
    X(logits, "Write the logits of a prompt to a file")                      \
    X(trace, "Show which experts each token visits")                         \
    X(quantize, "Turn a model into FP8")                                     \
    X(rollout, "Sample many judged answers for a trainer")                   \
    X(eval, "Count right answers, or measure a text's perplexity")           \
    X(bench, "Measure a model's speed")                                      \
    X(key, "Make, list, change and revoke keys of the service")              \
    X(usage, "Show what was used and what it cost")                          \
    X(boards, "Show accelerator boards, their facts and fits")               \
    X(plan, "Plan a model on boards: fit, speed, energy, cost")              \
    X(explore, "Sweep builds, boards and batches")                           \
    X(devices, "Show the CPU, memory and backends of this machine")          \
    X(doctor, "Show what is missing here, and what to do")

typedef struct cli_command {
    const char *name, *help;
    /* argv[0] is "fathom NAME"; returns an exit code. May leave through argp (--help, usage errors). */
    int (*run)(int argc, char **argv);
} cli_command;

/* Exit codes. */
enum { CLI_OK = 0, CLI_ERROR = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };

#define CLI_PROTOTYPE(name, help) int cli_##name(int argc, char **argv);
CLI_COMMANDS(CLI_PROTOTYPE)
#undef CLI_PROTOTYPE

#endif
