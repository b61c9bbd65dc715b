/* fathom inspect FILE.xclbin: what an image of a board holds. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "boards/xclbin.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/inspect.h"

static const char *const modes[] = {
    [FA_XCLBIN_SW_EMU] = "sw_emu", [FA_XCLBIN_HW_EMU] = "hw_emu", [FA_XCLBIN_HW] = "hw"};

static const char *control_name(const fa_axlf_ip *ip) {
    switch (ip->properties >> FA_IP_CONTROL_SHIFT & 0xFF) {
    case FA_AP_CTRL_HS: return "ap_ctrl_hs";
    case FA_AP_CTRL_CHAIN: return "ap_ctrl_chain";
    default: return "another control";
    }
}

/* Whether IP `ip` is a unit of the kernel: its name is "kernel:unit". */
static bool is_unit(const fa_axlf_ip *ip, const fa_xclbin_kernel *k) {
    size_t n = strlen(k->name);
    return ip->type == FA_IP_KERNEL && !strncmp(ip->name, k->name, n) && ip->name[n] == ':';
}

/* ---- as JSON ---- */

static json_t *memory_list(const fa_xclbin *x) {
    json_t *list = json_array();
    for (int i = 0; i < x->n_mems; i++)
        json_array_append_new(list, json_pack("{s:s, s:b, s:i, s:I, s:I}", "tag", x->mem[i].tag, "used", x->mem[i].used,
                                              "type", x->mem[i].type, "base", (json_int_t)x->mem[i].base, "bytes",
                                              (json_int_t)x->mem[i].kib * 1024));
    return list;
}

static json_t *argument_list(const fa_xclbin *x, const fa_xclbin_kernel *k) {
    json_t *list = json_array();
    for (const fa_xclbin_arg *a = x->arg + k->first_arg; a < x->arg + k->first_arg + k->n_args; a++)
        json_array_append_new(list, json_pack("{s:i, s:s, s:s, s:s, s:b, s:I, s:I}", "id", a->id, "name", a->name,
                                              "port", a->port, "type", a->type, "pointer", a->pointer, "offset",
                                              (json_int_t)a->offset, "bytes", (json_int_t)a->bytes));
    return list;
}

static json_t *unit_list(const fa_xclbin *x, const fa_xclbin_kernel *k) {
    json_t *list = json_array();
    for (int i = 0; i < x->n_ips; i++) {
        if (!is_unit(&x->ip[i], k)) continue;
        json_t *connections = json_array();
        for (int c = 0; c < x->n_connections; c++)
            if (x->connection[c].ip == i)
                json_array_append_new(connections, json_pack("[i, i]", x->connection[c].arg, x->connection[c].mem));
        json_array_append_new(list, json_pack("{s:s, s:I, s:s, s:o}", "name", x->ip[i].name + strlen(k->name) + 1,
                                              "base", (json_int_t)x->ip[i].base, "control", control_name(&x->ip[i]),
                                              "argument_memory", connections));
    }
    return list;
}

static int print_json(const fa_xclbin *x) {
    char text[24];
    json_t *sections = json_array(), *clocks = json_array(), *kernels = json_array();
    for (int i = 0; i < x->n_sections; i++)
        json_array_append_new(sections,
                              json_pack("{s:s, s:I}", "kind", fa_xclbin_section_name(x->section[i].kind, text), "bytes",
                                        (json_int_t)x->section[i].bytes));
    for (int i = 0; i < x->n_clocks; i++)
        json_array_append_new(clocks, json_pack("{s:s, s:i}", "name", x->clock[i].name, "mhz", x->clock[i].mhz));
    for (int i = 0; i < x->n_kernels; i++)
        json_array_append_new(kernels,
                              json_pack("{s:s, s:o, s:o}", "name", x->kernel[i].name, "units",
                                        unit_list(x, &x->kernel[i]), "arguments", argument_list(x, &x->kernel[i])));
    json_t *root = json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:o}", "mode", modes[x->mode], "platform",
                             x->platform, "uuid", x->uuid, "file_bytes", (json_int_t)x->file_bytes, "sections",
                             sections, "clocks", clocks, "memories", memory_list(x), "kernels", kernels);
    bool ok = root && json_dumpf(root, stdout, JSON_INDENT(2)) == 0;
    if (ok) putchar('\n');
    json_decref(root);
    return ok ? CLI_OK : cli_fail("inspect: memory ran out");
}

/* ---- for people ---- */

static void print_head(const fa_xclbin *x) {
    char text[24];
    printf("image         %s, %" PRIu64 " bytes\n", modes[x->mode], x->file_bytes);
    printf("platform      %s\nUUID          %s\nclocks        ", x->platform, x->uuid);
    for (int i = 0; i < x->n_clocks; i++) printf("%s%s %d MHz", i ? ", " : "", x->clock[i].name, x->clock[i].mhz);
    printf("\nsections      ");
    for (int i = 0; i < x->n_sections; i++)
        printf("%s%s %" PRIu64, i ? ", " : "", fa_xclbin_section_name(x->section[i].kind, text), x->section[i].bytes);
    printf(" bytes\n");
}

static void print_memories(const fa_xclbin *x) {
    printf("\nmemory       from           size\n");
    for (int i = 0; i < x->n_mems; i++)
        printf("%-12s 0x%-10" PRIx64 " %6" PRIu64 " MiB%s\n", x->mem[i].tag, x->mem[i].base, x->mem[i].kib / 1024,
               x->mem[i].used ? "" : "  no port reaches it");
}

/* The pointers of a unit, each with the memory where XRT puts its buffers: the last one that it is joined with. */
static void print_unit(const fa_xclbin *x, const fa_xclbin_kernel *k, int ip) {
    printf("  %s at 0x%" PRIx64 ", %s:", x->ip[ip].name + strlen(k->name) + 1, x->ip[ip].base,
           control_name(&x->ip[ip]));
    for (const fa_xclbin_arg *a = x->arg + k->first_arg; a < x->arg + k->first_arg + k->n_args; a++) {
        int last = -1;
        for (int c = 0; c < x->n_connections; c++)
            if (x->connection[c].ip == ip && x->connection[c].arg == a->id && x->connection[c].mem > last)
                last = x->connection[c].mem;
        if (last >= 0) printf(" %s %s", a->name, x->mem[last].tag);
    }
    printf("\n");
}

int cli_inspect_image(const char *path, bool json) {
    fa_xclbin x;
    fa_error e;
    int code = CLI_OK;
    if (fa_xclbin_read(&x, path, &e)) {
        code = cli_fail("%s", e.text);
    } else if (json) {
        code = print_json(&x);
    } else {
        print_head(&x);
        print_memories(&x);
        for (int k = 0; k < x.n_kernels; k++) {
            printf("\n%s, %d arguments\n", x.kernel[k].name, x.kernel[k].n_args);
            for (int i = 0; i < x.n_ips; i++)
                if (is_unit(&x.ip[i], &x.kernel[k])) print_unit(&x, &x.kernel[k], i);
        }
    }
    fa_xclbin_free(&x);
    return code;
}
