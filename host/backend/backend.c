#include "host/backend/backend.h"

#include <stdio.h>
#include <string.h>

#include "host/backend/cpu/cpu.h"
#include "host/backend/opencl/opencl.h"
#include "host/backend/reference.h"

typedef struct backend_entry {
    const char *name;
    fa_status (*open)(fa_backend **out, const fa_backend_options *options, fa_error *e);
    bool takes_more;
} backend_entry;

/* What "auto" means comes first. A name may go on with a colon and what the backend makes of it. */
static const backend_entry backends[] = {
    {"cpu", fa_cpu_open, false},
    {"opencl", fa_opencl_open, true},
    {"reference", fa_reference_open, false},
};
enum { N_BACKENDS = sizeof backends / sizeof *backends };

fa_status fa_backend_open(fa_backend **out, const fa_backend_options *options, fa_error *e) {
    *out = NULL;
    const char *name = options->name ? options->name : "auto";
    if (!strcmp(name, "auto")) name = backends[0].name;
    char known[128] = "auto";
    for (int i = 0; i < N_BACKENDS; i++) {
        size_t n = strlen(backends[i].name);
        if (!strncmp(name, backends[i].name, n) && (!name[n] || (name[n] == ':' && backends[i].takes_more))) {
            fa_backend_options chosen = *options;
            chosen.name = name;
            return backends[i].open(out, &chosen, e);
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, ", %s", backends[i].name);
    }
    return fa_fail(e, FA_EINVAL, "backend '%s' is unknown: expected one of %s", name, known);
}

const char *fa_op_name(fa_op_kind k) {
    static const char *const names[FA_OP_COUNT] = {"matmul",  "experts", "mla", "gqa",
                                                   "rmsnorm", "rope",    "add", "store"};
    return (unsigned)k < FA_OP_COUNT ? names[k] : "unknown";
}
