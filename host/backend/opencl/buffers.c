/* Buffers. On a device that shares the host's memory a buffer is host memory on the chosen NUMA node, used where it lies. Elsewhere it
 * is the device's, and host memory of the same size, which takes none before it is touched, waits for the loss of the device. */
#include <stdlib.h>
#include <string.h>

#include "host/backend/opencl/internal.h"

static cl_int make_mem(const fa_opencl *o, ocl_buffer *b) {
    cl_int code;
    size_t bytes = b->memory.bytes;
    cl_mem_flags flags = CL_MEM_READ_WRITE | (o->device.shared ? CL_MEM_USE_HOST_PTR : 0);
    b->mem = clCreateBuffer(o->context, flags, bytes, o->device.shared ? b->memory.data : NULL, &code);
    if (!b->mem) return code;
    if (o->device.shared) { /* the device sees the zeros */
        void *at = clEnqueueMapBuffer(o->queue, b->mem, CL_TRUE, CL_MAP_WRITE, 0, bytes, 0, NULL, NULL, &code);
        if (at) code = clEnqueueUnmapMemObject(o->queue, b->mem, at, 0, NULL, NULL);
    } else {
        const cl_uint zero = 0;
        code = clEnqueueFillBuffer(o->queue, b->mem, &zero, sizeof zero, 0, bytes / 4 * 4, 0, NULL, NULL);
    }
    return code ? code : clFinish(o->queue);
}

fa_status ocl_buffer_new(fa_opencl *o, size_t bytes, ocl_buffer **out, fa_error *e) {
    *out = NULL;
    ocl_buffer *b = calloc(1, sizeof *b);
    if (!b) return fa_fail(e, FA_ENOMEM, "opencl: cannot allocate a buffer of %zu bytes", bytes);
    fa_status s = fa_memory_alloc(&b->memory, bytes ? bytes : 1, o->node, e);
    if (!s && !o->on_host && b->memory.bytes > o->device.buffer_bytes)
        s = fa_fail(e, FA_ENOMEM, "opencl: %s: a buffer of %zu bytes is larger than its largest, %llu", o->device.name,
                    bytes, (unsigned long long)o->device.buffer_bytes);
    if (!s && !o->on_host) {
        cl_int code = make_mem(o, b);
        if (code) s = ocl_fail(&o->device, "clCreateBuffer", code, e);
    }
    if (s) {
        if (b->mem) clReleaseMemObject(b->mem);
        fa_memory_free(&b->memory);
        free(b);
        return s;
    }
    b->base = (fa_buffer){.bytes = bytes, .host = o->on_host ? b->memory.data : NULL, .device = b};
    o->bytes += b->memory.bytes;
    b->next = o->buffers;
    b->link = &o->buffers;
    if (b->next) b->next->link = &b->next;
    o->buffers = b;
    *out = b;
    return FA_OK;
}

void ocl_buffer_free(fa_opencl *o, ocl_buffer *b) {
    if (!b) return;
    if (b->mem) clReleaseMemObject(b->mem);
    *b->link = b->next;
    if (b->next) b->next->link = b->link;
    o->bytes -= b->memory.bytes;
    fa_memory_free(&b->memory);
    free(b);
}

fa_status ocl_alloc(fa_backend *b, size_t bytes, fa_buffer **out, fa_error *e) {
    ocl_buffer *buffer;
    fa_status s = ocl_buffer_new((fa_opencl *)b, bytes, &buffer, e);
    *out = s ? NULL : &buffer->base;
    return s;
}

void ocl_free(fa_backend *b, fa_buffer *buffer) {
    ocl_buffer_free((fa_opencl *)b, (ocl_buffer *)buffer);
}

static fa_status check_range(const fa_buffer *buffer, size_t offset, size_t bytes, fa_error *e) {
    if (offset <= buffer->bytes && bytes <= buffer->bytes - offset) return FA_OK;
    return fa_fail(e, FA_EINVAL, "buffer: %zu bytes at %zu are outside its %zu", bytes, offset, buffer->bytes);
}

fa_status ocl_write(fa_backend *b, fa_buffer *to, size_t offset, const void *from, size_t bytes, fa_error *e) {
    fa_opencl *o = (fa_opencl *)b;
    ocl_buffer *buffer = (ocl_buffer *)to;
    fa_status s = check_range(to, offset, bytes, e);
    if (!s) s = ocl_check_lost(o, e);
    if (s || !bytes) return s;
    if (o->on_host) {
        memcpy((char *)buffer->memory.data + offset, from, bytes);
        return FA_OK;
    }
    cl_int code = clEnqueueWriteBuffer(o->queue, buffer->mem, CL_TRUE, offset, bytes, from, 0, NULL, NULL);
    if (!code) return FA_OK;
    return ocl_give_up(o, "clEnqueueWriteBuffer", code, e);
}

fa_status ocl_read(fa_backend *b, const fa_buffer *from, size_t offset, void *to, size_t bytes, fa_error *e) {
    fa_opencl *o = (fa_opencl *)b;
    const ocl_buffer *buffer = (const ocl_buffer *)from;
    fa_status s = check_range(from, offset, bytes, e);
    if (!s) s = ocl_check_lost(o, e);
    if (s || !bytes) return s;
    if (o->on_host) {
        memcpy(to, (const char *)buffer->memory.data + offset, bytes);
        return FA_OK;
    }
    cl_int code = clEnqueueReadBuffer(o->queue, buffer->mem, CL_TRUE, offset, bytes, to, 0, NULL, NULL);
    if (!code) return FA_OK;
    return ocl_give_up(o, "clEnqueueReadBuffer", code, e);
}
