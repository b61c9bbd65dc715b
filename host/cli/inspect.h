/* fathom inspect, the part for images of boards. */
#ifndef FA_CLI_INSPECT_H
#define FA_CLI_INSPECT_H

#include <jansson.h>

#include "host/cli/parts.h"
#include "host/cluster/grid.h"

#include <stdbool.h>

/* Shows an xclbin file; returns an exit code. */
int cli_inspect_image(const char *path, bool json);

/* What each rank of a cluster would have. */
void cli_cluster_print(const fa_grid *p, const cli_files *f);
json_t *cli_cluster_json(const fa_grid *p, const cli_files *f);

#endif
