#include "host/xrt/library.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define LIBRARY "libxrt_coreutil.so.2"

static const struct {
    const char *name;
    size_t at;
} functions[] = {
#define XRT_LINE(name) {#name, offsetof(xrt_library, name)},
    XRT_FUNCTIONS(XRT_LINE)
#undef XRT_LINE
};

fa_status xrt_library_open(xrt_library *x, fa_error *e) {
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    struct link_map *map;
    if (!library)
        return fa_fail(
            e, FA_EUNSUPPORTED,
            "XRT is not installed (%s): on Debian `apt install libxrt1', elsewhere AMD's package xrt with its "
            "setup.sh sourced",
            dlerror());
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *f = dlsym(library, functions[i].name);
        if (!f)
            return fa_fail(e, FA_EUNSUPPORTED, "XRT: " LIBRARY " has no %s: 2.13 or later is needed",
                           functions[i].name);
        memcpy((char *)x + functions[i].at, &f, sizeof f);
    }
    if (dlinfo(library, RTLD_DI_LINKMAP, &map)) return fa_fail(e, FA_EUNSUPPORTED, LIBRARY ": %s", dlerror());
    int n = snprintf(x->folder, sizeof x->folder, "%s", map->l_name);
    while (n && x->folder[n] != '/') n--;
    x->folder[n] = 0;
    return FA_OK;
}
