/* `fathom plan --serve`: a recorded trace of requests on what was planned. */
#ifndef FA_CLI_PLAN_SERVE_H
#define FA_CLI_PLAN_SERVE_H

#include <jansson.h>

#include "host/cli/plan_options.h"
#include "sim/scale/serve.h"

enum { CLI_SERVE_RATES = 32 };

typedef struct cli_serve_options {
    const char *trace;             /* NULL: nothing is served */
    double rates[CLI_SERVE_RATES]; /* requests/s; 0: as recorded */
    int n_rates;
    int64_t seed;
    fa_serve_options serve;
    fa_recording recording; /* of cli_serve_run; freed with fa_recording_free */
    fa_served served[CLI_SERVE_RATES];
} cli_serve_options;

/* An argp child; its input is a cli_serve_options. */
extern const struct argp cli_serve_argp;

/* Every rate on the plan of the request's batch. */
fa_status cli_serve_run(cli_serve_options *o, const fa_plan_request *q, const fa_plan *plan, fa_error *e);

void cli_serve_print(const cli_serve_options *o);
json_t *cli_serve_json(const cli_serve_options *o);

#endif
