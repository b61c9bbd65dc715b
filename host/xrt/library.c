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

static int set_buffer(const xrt_library *x, xrtRunHandle run, int i, xrtBufferHandle buffer) {
    return x->xrtRunSetArg(run, i, buffer);
}

static int set_long(const xrt_library *x, xrtRunHandle run, int i, uint64_t bits) {
    return x->xrtRunSetArg(run, i, bits);
}

/* XRT reads a variable argument as what the image's metadata call its type: a whole number, or for "float" a double. The calling
 * conventions of its platforms pass the two in registers of different kinds, so both are given, and either is right. */
static int set_word(const xrt_library *x, xrtRunHandle run, int i, uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return x->xrtRunSetArg(run, i, bits, (double)value);
}

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
    x->set_buffer = set_buffer;
    x->set_word = set_word;
    x->set_long = set_long;
    if (dlinfo(library, RTLD_DI_LINKMAP, &map)) return fa_fail(e, FA_EUNSUPPORTED, LIBRARY ": %s", dlerror());
    int n = snprintf(x->folder, sizeof x->folder, "%s", map->l_name);
    while (n && x->folder[n] != '/') n--;
    x->folder[n] = 0;
    return FA_OK;
}
