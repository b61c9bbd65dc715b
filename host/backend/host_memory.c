#include "host/backend/host_memory.h"

#include <stdlib.h>
#include <string.h>

#include "host/base/memory.h"

typedef struct host_buffer {
    fa_buffer buffer;
    fa_memory memory;
} host_buffer;

fa_status fa_host_alloc(fa_backend *b, size_t bytes, fa_buffer **out, fa_error *e) {
    fa_host_backend *host = (fa_host_backend *)b;
    *out = NULL;
    host_buffer *hb = calloc(1, sizeof *hb);
    if (!hb) return fa_fail(e, FA_ENOMEM, "cannot allocate a buffer of %zu bytes", bytes);
    fa_status s = fa_memory_alloc(&hb->memory, bytes, host->node, e);
    if (s) {
        free(hb);
        return s;
    }
    hb->buffer = (fa_buffer){.bytes = bytes, .host = hb->memory.data};
    host->bytes += hb->memory.bytes;
    *out = &hb->buffer;
    return FA_OK;
}

void fa_host_free(fa_backend *b, fa_buffer *buffer) {
    if (!buffer) return;
    host_buffer *hb = (host_buffer *)buffer;
    ((fa_host_backend *)b)->bytes -= hb->memory.bytes;
    fa_memory_free(&hb->memory);
    free(hb);
}

static fa_status check_range(const fa_buffer *buffer, size_t offset, size_t bytes, fa_error *e) {
    if (offset <= buffer->bytes && bytes <= buffer->bytes - offset) return FA_OK;
    return fa_fail(e, FA_EINVAL, "buffer: %zu bytes at %zu are outside its %zu", bytes, offset, buffer->bytes);
}

fa_status fa_host_write(fa_backend *b, fa_buffer *to, size_t offset, const void *from, size_t bytes, fa_error *e) {
    (void)b;
    fa_status s = check_range(to, offset, bytes, e);
    if (!s && bytes) memcpy((char *)to->host + offset, from, bytes);
    return s;
}

fa_status fa_host_read(fa_backend *b, const fa_buffer *from, size_t offset, void *to, size_t bytes, fa_error *e) {
    (void)b;
    fa_status s = check_range(from, offset, bytes, e);
    if (!s && bytes) memcpy(to, (const char *)from->host + offset, bytes);
    return s;
}
