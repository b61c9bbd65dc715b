/* What the board of an engine did, for commands that run a model. */
#ifndef FA_CLI_BOARD_USE_H
#define FA_CLI_BOARD_USE_H

#include <stdio.h>

#include "host/fathom.h"

/* Help of --timeline. */
#define CLI_TIMELINE_HELP \
    "With --backend sim or opencl: write what the device did and when to FILE, for chrome://tracing or ui.perfetto.dev"

/* What the board did since `start` (fathom_engine_device of an earlier moment): false where there is none. */
bool cli_board_use(const fathom_engine *engine, const fathom_device *start, fathom_device *use);

/* A line of statistics for what was done since `start`: an answer of `tokens` tokens, prompt included. Nothing without a board. */
void cli_print_board_use(FILE *f, const fathom_engine *engine, const fathom_device *start, int64_t tokens);

/* Writes the timeline where `path` is not NULL. CLI_ERROR with a message when that fails. */
int cli_write_timeline(fathom_engine *engine, const char *path);

#endif
