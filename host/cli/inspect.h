/* fathom inspect, the part for images of boards. */
#ifndef FA_CLI_INSPECT_H
#define FA_CLI_INSPECT_H

#include <stdbool.h>

/* Shows an xclbin file; returns an exit code. */
int cli_inspect_image(const char *path, bool json);

#endif
