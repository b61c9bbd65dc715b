/* What `fathom plan` and `fathom explore` share: model, board, prices and how they are asked for. */
#ifndef FA_CLI_PLAN_OPTIONS_H
#define FA_CLI_PLAN_OPTIONS_H

#include <argp.h>
#include <jansson.h>

#include "sim/planner/plan.h"

enum { CLI_PLAN_BATCHES = 64 };

typedef struct cli_plan_options {
    const char *model, *board_name, *trace;
    double skew;
    int32_t batches[CLI_PLAN_BATCHES];
    int n_batches;
    fa_plan_request request;                            /* without what cli_plan_open fills */
    int32_t units, ports, port_bytes, rows, lanes_fp32; /* of the build; 0: the board's */
    double clock_mhz;
    double network_bytes_per_s, oversubscription; /* 0: the network's */
    int32_t leaf_hosts;

    fa_config config;
    fa_board board;
    fa_routes routes;
} cli_plan_options;

/* An argp child; its input is a cli_plan_options. */
extern const struct argp cli_plan_argp;

/* "1,8,64": rising or not, each in [min, max]; leaves with a usage error. Returns how many. */
int cli_option_list(const struct argp_state *state, const char *option, const char *text, int64_t min, int64_t max,
                    int32_t *out, int most);

/* Reads model, board and trace, and fills request.model, .board, .routes. The build is not checked against the part. */
fa_status cli_plan_open(cli_plan_options *o, fa_error *e);

/* Rollouts for a trainer on planned boards: groups of `samples` answers that fill the context behind one prompt. */
void cli_plan_print_rollouts(const cli_plan_options *o, const fa_plan *plans, int32_t samples);
json_t *cli_plan_json_rollouts(const cli_plan_options *o, const fa_plan *plan, int32_t samples);

#endif
