/* Buffers in host memory placed on NUMA nodes, and their accounting: shared by the backends that run on the
 * host. */
#ifndef FA_BACKEND_HOST_MEMORY_H
#define FA_BACKEND_HOST_MEMORY_H

#include "host/backend/backend.h"

/* A backend on the host starts with this; its `base` starts with the fa_host_* functions below as entries. */
typedef struct fa_host_backend {
    fa_backend base;
    int node;     /* where its buffers lie, FA_NODE_INTERLEAVE for all */
    size_t bytes; /* of buffers held now */
} fa_host_backend;

/* Entries of fa_backend for a fa_host_backend. Copies are checked against the buffer's size (FA_EINVAL). */
fa_status fa_host_alloc(fa_backend *b, size_t bytes, fa_buffer **out, fa_error *e);
void fa_host_free(fa_backend *b, fa_buffer *buffer); /* NULL allowed */
fa_status fa_host_write(fa_backend *b, fa_buffer *to, size_t offset, const void *from, size_t bytes, fa_error *e);
fa_status fa_host_read(fa_backend *b, const fa_buffer *from, size_t offset, void *to, size_t bytes, fa_error *e);

#endif
