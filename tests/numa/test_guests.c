/* test_numa as the only process of guests with 1, 2 and 4 NUMA nodes: QEMU, a kernel of Debian's, and no disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

enum { NODE_MB = 384 };

/* "-numa node,nodeid=0,cpus=0-1,memdev=m0 ...": two CPUs and some memory each. */
static void numa_options(char *text, size_t size, int nodes) {
    size_t n = (size_t)snprintf(text, size, "-smp %d -m %d", 2 * nodes, NODE_MB * nodes);
    for (int i = 0; i < nodes; i++)
        n += (size_t)snprintf(text + n, size - n,
                              " -object memory-backend-ram,size=%dM,id=m%d -numa node,nodeid=%d,cpus=%d-%d,memdev=m%d",
                              NODE_MB, i, i, 2 * i, 2 * i + 1, i);
}

static void guest(void *arg) {
    int nodes = *(const int *)arg;
    const char *kernel = getenv("FATHOM_KERNEL"), *build = getenv("FATHOM_BUILD");
    char *folder = check_folder(), numa[1024];
    const char *sanitize = getenv("FATHOM_SANITIZE");
    if (sanitize && *sanitize) check_skip("a sanitizer's memory is more than a guest's");
    if (system("command -v qemu-system-x86_64 >/dev/null"))
        check_skip("qemu-system-x86_64 is missing (Debian: apt-get install qemu-system-x86)");
    if (!kernel || access(kernel, R_OK))
        check_skip("FATHOM_KERNEL names no kernel, which tests/numa/fetch-kernel.sh fetches");
    numa_options(numa, sizeof numa, nodes);
    check_output o = check_command(
        "tests/numa/initramfs.py '%s/tests/numa/test_numa' >'%s/root' && timeout 400 qemu-system-x86_64 -accel tcg,thread=multi -cpu max %s "
        "-kernel '%s' -initrd '%s/root' -append 'console=ttyS0 quiet panic=-1 numa_balancing=disable' "
        "-nographic -nodefaults -serial stdio -no-reboot </dev/null",
        build && *build ? build : "build", folder, numa, kernel, folder);
    char ended[64];
    snprintf(ended, sizeof ended, "guest: %d nodes, ended with 0", nodes);
    int passed = 0; /* but for the first, which comes behind what the firmware wrote */
    for (const char *at = o.out; (at = strstr(at, "\nok ")); at++) passed++;
    CHECK(strstr(o.out, ended) && !strstr(o.out, "FAIL ") && !strstr(o.out, "skip ") && passed >= 10,
          "status %d, %d passed:\n%s%s", o.status, passed, o.out, o.err);
    check_output_free(&o);
    check_folder_remove(folder);
}

static const int nodes[] = {1, 2, 4};
static const check_case cases[] = {
    {"pages and workers are where they should be in a guest with 1 node", guest, (void *)&nodes[0]},
    {"pages and workers are where they should be in a guest with 2 nodes", guest, (void *)&nodes[1]},
    {"pages and workers are where they should be in a guest with 4 nodes", guest, (void *)&nodes[2]},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
