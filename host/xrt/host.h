/* The process that has XRT loaded: one card, driven by the messages of host/backend/xrt/wire.h. */
#ifndef FA_XRT_HOST_H
#define FA_XRT_HOST_H

#include <pthread.h>
#include <stdbool.h>

#include "host/backend/xrt/wire.h"
#include "host/xrt/library.h"

enum { HOST_UNITS = 64, HOST_KERNELS = 8, HOST_QUEUE = 256 };

typedef struct host_buffer {
    xrtBufferHandle handle; /* NULL: the number is free */
    uint64_t bytes;
} host_buffer;

/* A launch that waits for its unit. */
typedef struct host_launch {
    char kernel[WIRE_NAME];
    int n_args;
    wire_arg args[HLS_KERNEL_ARGS];
} host_launch;

/* One kernel of a unit, opened when it is first launched. */
typedef struct host_kernel {
    char name[WIRE_NAME];
    xrtKernelHandle kernel;
    xrtRunHandle run;
} host_kernel;

/* Launches on a unit run one after the other: a thread starts one and waits for it. */
typedef struct host_unit {
    struct host *host;
    int32_t index;
    pthread_t thread;
    bool started, stuck; /* stuck: a launch did not end, and none runs after it */
    host_launch queue[HOST_QUEUE];
    int first, n;
    host_kernel kernel[HOST_KERNELS];
    int n_kernels;
    double busy_s;
} host_unit;

typedef struct host {
    xrt_library xrt;
    wire_open open;
    uint8_t *staging; /* [WIRE_STAGING_BYTES] */
    xrtDeviceHandle device;
    xuid_t image;
    host_buffer *buffers; /* [n_buffers] */
    int32_t n_buffers;
    host_buffer nowhere;
    pthread_mutex_t lock; /* of all below, and of queues */
    pthread_cond_t changed;
    bool closing;
    fa_error failure; /* the first since the last wait */
    host_unit *units; /* [open.units] */
} host;

/* card.c: the card and its memory. */
fa_status host_open(host *h, uint64_t *nowhere, fa_error *e);
void host_close(host *h);
fa_status host_alloc(host *h, int32_t bank, uint64_t bytes, int32_t *buffer, uint64_t *address, fa_error *e);
fa_status host_free(host *h, int32_t buffer, fa_error *e);
fa_status host_copy(host *h, const wire_request *r, bool to_card, fa_error *e);
/* A buffer by its number; NULL: there is none. */
xrtBufferHandle host_find(const host *h, int32_t buffer, uint64_t offset, uint64_t bytes);

/* units.c */
fa_status host_units_open(host *h, fa_error *e);
void host_units_close(host *h);
void host_launch_later(host *h, const wire_request *r);
/* Waits for all launches. FA_EDEVICE, FA_EINVAL: the first that failed. */
fa_status host_wait(host *h, wire_reply *reply, fa_error *e);

#endif
