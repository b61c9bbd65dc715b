/* Large memory placed on NUMA nodes through libnuma. On a machine with one node every policy gives the same. */
#ifndef FA_BASE_MEMORY_H
#define FA_BASE_MEMORY_H

#include <stddef.h>

#include "host/base/status.h"

enum {
    FA_NODE_INTERLEAVE = -1, /* pages spread over all nodes */
    FA_NODE_LOCAL = -2,      /* pages on the node of the thread that touches them first */
};

typedef struct fa_memory {
    void *data;   /* zeroed, page aligned */
    size_t bytes; /* mapped size, rounded up to pages */
} fa_memory;

/* Number of NUMA nodes with memory, at least 1. */
int fa_memory_nodes(void);

/* Maps `bytes` on `node` (0 .. nodes-1, or FA_NODE_*), with huge pages where the kernel offers them.
 * FA_EINVAL for an unknown node, FA_ENOMEM. The caller frees with fa_memory_free. */
fa_status fa_memory_alloc(fa_memory *m, size_t bytes, int node, fa_error *e);

/* Unmaps; a zeroed fa_memory is allowed. */
void fa_memory_free(fa_memory *m);

#endif
