/* The model that ships with fathom: what commands use where no other is named. */
#ifndef FA_CLI_SHIPPED_H
#define FA_CLI_SHIPPED_H

#include <stdbool.h>
#include <stddef.h>

#define CLI_SHIPPED_MODEL "fathom-r1-mini"

/* Its folder, found from where the program lies. False when it is not there. */
bool cli_shipped_model(char *path, size_t size);

#endif
