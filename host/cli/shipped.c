#include "host/cli/shipped.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* from the program's folder: in the source tree, and where `make install` puts it */
static const char *const places[] = {"../models/" CLI_SHIPPED_MODEL, "../share/fathom/models/" CLI_SHIPPED_MODEL};

bool cli_shipped_model(char *path, size_t size) {
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0) return false;
    program[n] = 0;
    char *slash = strrchr(program, '/');
    if (!slash) return false;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int length = snprintf(path, size, "%.*s/%s", (int)(slash - program), program, places[i]);
        if (length > 0 && (size_t)length < size && !access(path, R_OK)) return true;
    }
    return false;
}
