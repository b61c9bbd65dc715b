/* fathom devices: what this machine offers to compute with. */
#include <numa.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/cards.h"
#include "host/backend/backend.h"
#include "host/backend/opencl/opencl.h"
#include "host/base/cpu.h"
#include "host/base/memory.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"

static error_t parse(int key, char *arg, struct argp_state *state) {
    if (key != ARGP_KEY_ARG) return ARGP_ERR_UNKNOWN;
    argp_error(state, "unexpected argument '%s'", arg);
    return EINVAL;
}

static const struct argp argp = {
    .parser = parse,
    .doc =
        "Shows the CPU, its instruction set, caches and NUMA memory, the accelerator cards with their shells, temperatures "
        "and power where XRT's xbutil tells, and the backends that can run here. `fathom doctor' says what is missing.",
};

/* The first line of a file below /sys, without its newline; empty when there is none. */
static const char *read_line(const char *path, char *text, int size) {
    FILE *f = fopen(path, "r");
    *text = 0;
    if (!f) return text;
    if (fgets(text, size, f)) text[strcspn(text, "\n")] = 0;
    fclose(f);
    return text;
}

/* "L1d 32K, L2 1024K, L3 32768K", of the first CPU, as the kernel tells it. */
static void print_caches(void) {
    char path[128], level[16], type[32], size[32];
    const char *before = "caches    ";
    for (int i = 0; i < 16; i++) {
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
        if (!*read_line(path, level, sizeof level)) break;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", i);
        if (!strcmp(read_line(path, type, sizeof type), "Instruction")) continue;
        snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        printf("%sL%s%s %s", before, level, *type == 'D' ? "d" : "", read_line(path, size, sizeof size));
        before = ", ";
    }
    if (*before == ',') printf("\n");
}

static void print_nodes(void) {
    if (numa_available() < 0) {
        printf("NUMA      not offered by this kernel: one node\n");
        return;
    }
    for (int node = 0; node <= numa_max_node(); node++) {
        long long left = 0, bytes = numa_node_size64(node, &left);
        int cpus = 0;
        for (int c = 0; c < numa_num_configured_cpus(); c++) cpus += numa_node_of_cpu(c) == node;
        if (bytes > 0 || cpus)
            printf("node %-2d   %d CPUs, %.1f GB of memory, %.1f GB free\n", node, cpus, 1e-9 * (double)bytes,
                   1e-9 * (double)left);
    }
}

static void print_isa(void) {
    fa_isa isa;
    fa_error e;
    if (fa_isa_select(&isa, &e))
        printf("ISA       %s; %s\n", fa_isa_name(fa_isa_best()), e.text);
    else if (isa != fa_isa_best())
        printf("ISA       %s (FATHOM_ISA; this CPU offers %s)\n", fa_isa_name(isa), fa_isa_name(fa_isa_best()));
    else
        printf("ISA       %s\n", fa_isa_name(isa));
}

static void print_backends(void) {
    static const char *const names[] = {"cpu", "reference", "sim"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        fa_backend *b;
        fa_error e;
        fa_backend_options options = {.name = names[i], .node = FA_NODE_INTERLEAVE};
        if (fa_backend_open(&b, &options, &e)) {
            printf("backend   %s: %s\n", names[i], e.text);
            continue;
        }
        printf("backend   %s: %s\n", b->name, b->detail);
        b->close(b);
    }
}

/* A line for each OpenCL device: its name for --backend and what its driver says of it. */
static void print_opencl(void) {
    fa_opencl_device all[FA_OPENCL_DEVICES];
    int n;
    fa_error e;
    if (fa_opencl_list(all, FA_OPENCL_DEVICES, &n, &e)) {
        printf("backend   %s\n", e.text);
        return;
    }
    for (int i = 0; i < n; i++) {
        const fa_opencl_device *d = &all[i];
        printf("backend   opencl:%d.%d: %s (%s), %.1f GB%s, %u compute units, %s, %s, %s, driver %s\n", d->platform,
               d->device, d->name, d->kind, 1e-9 * (double)d->bytes, d->shared ? " shared with the host" : "", d->units,
               d->fp64 ? "FP64" : "no FP64", d->sub_groups ? "sub-groups" : "no sub-groups", d->version, d->driver);
    }
    if (!n) printf("backend   opencl: the installed platforms have no device\n");
}

/* A line for each card: "0000:3b:00.1: u55c, xilinx_u55c_gen3x16_xdma_base_3, node 1, 47 C (FPGA), 35.2 W of 150 W". */
static void print_cards(void) {
    fa_card cards[FA_CARDS];
    fa_error e = {0};
    int n = fa_cards_scan("/sys/bus/pci/devices", cards, FA_CARDS);
    if (!n) return;
    fa_status s = fa_cards_ask(cards, n, &e);
    for (const fa_card *c = cards; c < cards + n; c++) {
        printf("card      %s: %s", c->bdf, *c->board ? c->board : "unknown");
        if (*c->shell) printf(", %s%s", c->shell, c->ready ? "" : " (not ready)");
        if (!*c->driver) printf(", no driver");
        if (c->node >= 0) printf(", node %d", c->node);
        if (c->celsius > -273) printf(", %.0f C (%s)", c->celsius, c->hottest);
        if (c->watts >= 0) printf(", %.1f W", c->watts);
        if (c->watts >= 0 && c->max_watts > 0) printf(" of %.0f W", c->max_watts);
        printf("\n");
    }
    if (s) printf("card      %s\n", e.text);
}

int cli_devices(int argc, char **argv) {
    char name[64];
    cpu_set_t set;
    if (cli_parse(&argp, argc, argv, NULL)) return CLI_ERROR;
    fa_cpu_name(name, sizeof name);
    printf("CPU       %s\n", name);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        printf("CPUs      %d that this process may use\n", CPU_COUNT(&set));
    print_isa();
    print_caches();
    print_nodes();
    print_cards();
    print_backends();
    print_opencl();
    return CLI_OK;
}
