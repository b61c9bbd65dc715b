/* Kernels and arguments out of EMBEDDED_METADATA: project/platform/device/core/kernel/arg. Expat parses; elements that XRT does not read
 * are passed over, as XRT does. */
#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "boards/xclbin_parts.h"

enum { DEEP = 64, MOST = 65536 };

typedef struct reading {
    fa_xclbin *x;
    XML_Parser parser;
    const char *file;
    fa_error *error;
    fa_status status;
    int depth, matched; /* elements that are open; how many of them, from the first, lie on the path to a kernel */
    int kernels_room, args_room;
} reading;

static void wrong(reading *r, fa_status s, const char *what, const char *name) {
    if (r->status) return;
    r->status = fa_fail(r->error, s, "%s: EMBEDDED_METADATA:%lu: %s '%s'", r->file,
                        (unsigned long)XML_GetCurrentLineNumber(r->parser), what, name);
    XML_StopParser(r->parser, XML_FALSE);
}

/* Room for one more of `size` bytes; NULL, with the error set, when memory or patience ends. */
static void *more(reading *r, void **table, int *n, int *room, size_t size) {
    if (*n == *room) {
        int want = *room ? 2 * *room : 16;
        void *bigger = want > MOST ? NULL : realloc(*table, (size_t)want * size);
        if (!bigger) {
            wrong(r, want > MOST ? FA_EFORMAT : FA_ENOMEM, "too many elements",
                  size == sizeof(fa_xclbin_arg) ? "arg" : "kernel");
            return NULL;
        }
        *table = bigger;
        *room = want;
    }
    void *entry = (char *)*table + (size_t)(*n)++ * size;
    memset(entry, 0, size);
    return entry;
}

static const char *attribute(const char **attributes, const char *name) {
    for (int i = 0; attributes[i]; i += 2)
        if (!strcmp(attributes[i], name)) return attributes[i + 1];
    return "";
}

/* Decimal or 0x…; empty is 0. */
static uint64_t number(reading *r, const char **attributes, const char *name) {
    const char *text = attribute(attributes, name);
    char *end;
    unsigned long long v = strtoull(text, &end, 0);
    if (*end || *text == '-') wrong(r, FA_EFORMAT, name, text);
    return v;
}

static void text(char *to, size_t size, const char **attributes, const char *name) {
    snprintf(to, size, "%s", attribute(attributes, name));
    xclbin_clean(to);
}

static void take_kernel(reading *r, const char **attributes) {
    fa_xclbin_kernel *k = more(r, (void **)&r->x->kernel, &r->x->n_kernels, &r->kernels_room, sizeof *k);
    if (!k) return;
    text(k->name, sizeof k->name, attributes, "name");
    k->first_arg = r->x->n_args;
    if (!*k->name) wrong(r, FA_EFORMAT, "a kernel without a name", "");
}

static void take_arg(reading *r, const char **attributes) {
    fa_xclbin_arg *a = more(r, (void **)&r->x->arg, &r->x->n_args, &r->args_room, sizeof *a);
    if (!a) return;
    text(a->name, sizeof a->name, attributes, "name");
    text(a->port, sizeof a->port, attributes, "port");
    text(a->type, sizeof a->type, attributes, "type");
    a->pointer = number(r, attributes, "addressQualifier") == 1;
    uint64_t id = number(r, attributes, "id");
    if (id > INT_MAX) wrong(r, FA_EFORMAT, "id", attribute(attributes, "id"));
    a->id = (int32_t)id;
    a->offset = number(r, attributes, "offset");
    a->bytes = number(r, attributes, "size");
    r->x->kernel[r->x->n_kernels - 1].n_args++;
}

static const char *const path[] = {"project", "platform", "device", "core", "kernel"};
enum { KERNEL = sizeof path / sizeof *path };

static void XMLCALL begin(void *context, const char *name, const char **attributes) {
    reading *r = context;
    int depth = r->depth++;
    if (depth == DEEP) wrong(r, FA_EFORMAT, "elements nest too deep at", name);
    if (r->status) return;
    if (depth == 0 && strcmp(name, path[0]) != 0) wrong(r, FA_EFORMAT, "expected a project, found", name);
    if (depth < KERNEL && r->matched == depth && !strcmp(name, path[depth])) {
        r->matched++;
        if (depth == KERNEL - 1) take_kernel(r, attributes);
    } else if (depth == KERNEL && r->matched == KERNEL && !strcmp(name, "arg")) {
        take_arg(r, attributes);
    }
}

static void XMLCALL end(void *context, const char *name) {
    reading *r = context;
    (void)name;
    r->depth--;
    if (r->matched > r->depth) r->matched = r->depth;
}

fa_status xclbin_read_xml(fa_xclbin *x, const char *data, size_t bytes, const char *file, fa_error *e) {
    reading r = {.x = x, .file = file, .error = e, .parser = XML_ParserCreate(NULL)};
    if (!r.parser) return fa_fail(e, FA_ENOMEM, "%s: memory ran out", file);
    while (bytes && !data[bytes - 1]) bytes--; /* v++ pads with NUL */
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, begin, end);
    if (bytes > INT_MAX)
        r.status = fa_fail(e, FA_EFORMAT, "%s: EMBEDDED_METADATA: %zu bytes", file, bytes);
    else if (XML_Parse(r.parser, data, (int)bytes, 1) != XML_STATUS_OK && !r.status)
        r.status =
            fa_fail(e, FA_EFORMAT, "%s: EMBEDDED_METADATA:%lu: %s", file,
                    (unsigned long)XML_GetCurrentLineNumber(r.parser), XML_ErrorString(XML_GetErrorCode(r.parser)));
    XML_ParserFree(r.parser);
    return r.status;
}
