#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/backend/xrt/process.h"

/* The folder of a path, "" when it has none. */
static void cut_name(char *path) {
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = 0;
    else
        *path = 0;
}

static bool try(const char *folder, const char *below, const char *name, char path[PATH_MAX]) {
    char joined[2 * PATH_MAX + 64];
    if (!*folder) return false;
    snprintf(joined, sizeof joined, "%s/%s%s", folder, below, name);
    return realpath(joined, path) && !access(path, X_OK);
}

fa_status fa_xrt_find_program(const char *name, char path[PATH_MAX], fa_error *e) {
    const char *given = getenv("FATHOM_LIBEXEC");
    char program[PATH_MAX] = "", library[PATH_MAX] = "";
    Dl_info info;
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = 0;
    cut_name(program);
    if (dladdr((const void *)(uintptr_t)fa_xrt_find_program, &info) && strchr(info.dli_fname, '/'))
        snprintf(library, sizeof library, "%s", info.dli_fname);
    cut_name(library);
    if (given && *given) {
        if (try(given, "", name, path)) return FA_OK;
        return fa_fail(e, FA_EUNSUPPORTED, "%s/%s: %s (FATHOM_LIBEXEC says where it is)", given, name, strerror(errno));
    }
    if (try(program, "", name, path) || try(program, "../libexec/fathom/", name, path) ||
        try(library, "../libexec/fathom/", name, path))
        return FA_OK;
    return fa_fail(
        e, FA_EUNSUPPORTED,
        "the program %s is missing: it is neither in %s nor in %s/../libexec/fathom; `make install' puts it there",
        name, program, program);
}
