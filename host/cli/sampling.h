/* How `run` and `chat` choose tokens: options, defaults, and the names that /set knows. */
#ifndef FA_CLI_SAMPLING_H
#define FA_CLI_SAMPLING_H

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>

#include "host/base/status.h"
#include "host/fathom.h"

enum { CLI_MAX_STOPS = 16 };

typedef struct cli_sampling {
    fathom_sampling values;
    const char *stops[CLI_MAX_STOPS]; /* borrowed from argv */
    bool temperature_given, top_p_given, seed_given;
} cli_sampling;

/* An argp child; its input is a zeroed cli_sampling that does not move afterwards. */
extern const struct argp cli_sampling_argp;

/* Fills what was not given: a random seed; for models that reason (R1) temperature 0.6 and top-p 0.95, as DeepSeek
 * advises; for others temperature 0. */
void cli_sampling_defaults(cli_sampling *s, bool reasons);

/* Sets one value by its name ("temp", "top-p", ...). FA_EINVAL says which names or which range there are. */
fa_status cli_sampling_set(cli_sampling *s, const char *name, const char *text, fa_error *e);
/* A line "name value" for each. */
void cli_sampling_print(FILE *f, const cli_sampling *s);

#endif
