#include "host/base/memory.h"

#include <errno.h>
#include <numa.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t HUGE_BYTES = (size_t)2 << 20;

int fa_memory_nodes(void) {
    int n = numa_available() < 0 ? 1 : numa_num_configured_nodes();
    return n < 1 ? 1 : n;
}

/* Best effort: on a one-node machine, or in a container that forbids mbind, the default placement stands. */
static void place(void *p, size_t bytes, int node) {
    if (numa_available() < 0 || node == FA_NODE_LOCAL || fa_memory_nodes() == 1) return;
    if (node == FA_NODE_INTERLEAVE)
        numa_interleave_memory(p, bytes, numa_all_nodes_ptr);
    else
        numa_tonode_memory(p, bytes, node);
}

fa_status fa_memory_alloc(fa_memory *m, size_t bytes, int node, fa_error *e) {
    *m = (fa_memory){0};
    if (node < FA_NODE_LOCAL || node >= fa_memory_nodes())
        return fa_fail(e, FA_EINVAL, "NUMA node %d does not exist (this machine has %d)", node, fa_memory_nodes());
    size_t unit = bytes >= HUGE_BYTES ? HUGE_BYTES : (size_t)sysconf(_SC_PAGESIZE);
    size_t size;
    if (__builtin_add_overflow(bytes ? bytes : 1, unit - 1, &size))
        return fa_fail(e, FA_ENOMEM, "cannot map %zu bytes", bytes);
    size = size / unit * unit;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return fa_fail(e, FA_ENOMEM, "cannot map %zu bytes: %s", bytes, strerror(errno));
    if (unit == HUGE_BYTES) madvise(p, size, MADV_HUGEPAGE);
    place(p, size, node);
    *m = (fa_memory){p, size};
    return FA_OK;
}

void fa_memory_free(fa_memory *m) {
    if (m->data) munmap(m->data, m->bytes);
    *m = (fa_memory){0};
}
