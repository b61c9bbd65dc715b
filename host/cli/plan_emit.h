#ifndef FA_CLI_PLAN_EMIT_H
#define FA_CLI_PLAN_EMIT_H

#include <stdio.h>

#include "host/cli/plan_options.h"

/* Writes where layers and experts go; copies: experts of a layer on two boards, -1 for as many as the planner wants. What it found
 * is said to `say`, NULL for nobody. */
fa_status cli_emit_placement(const char *path, const cli_plan_options *o, int32_t copies, FILE *say, fa_error *e);

#endif
