/* The OpenCL backend: the ops of backend.h on whatever device the installed OpenCL platforms offer, bit for bit like the others. */
#ifndef FA_BACKEND_OPENCL_OPENCL_H
#define FA_BACKEND_OPENCL_OPENCL_H

#include "host/backend/backend.h"

enum { FA_OPENCL_TEXT = 128, FA_OPENCL_DEVICES = 32 };

/* A device as its driver describes it. */
typedef struct fa_opencl_device {
    int platform, device; /* numbers for "opencl:PLATFORM.DEVICE" */
    char name[FA_OPENCL_TEXT], platform_name[FA_OPENCL_TEXT], version[FA_OPENCL_TEXT], driver[FA_OPENCL_TEXT];
    const char *kind;      /* "GPU", "CPU", "accelerator" */
    uint64_t bytes;        /* of its memory */
    uint64_t buffer_bytes; /* of the largest buffer */
    unsigned units;        /* compute units */
    bool fp64, sub_groups;
    bool local_memory;             /* work-items share a memory of their own, faster than the device's */
    bool shared;                   /* its memory is the host's */
    bool exact_divide;             /* division and square root are correctly rounded */
    bool subnormals;               /* it can keep them */
    void *platform_id, *device_id; /* cl_platform_id, cl_device_id */
} fa_opencl_device;

/* The devices of all platforms, at most `max`; *n may be 0. FA_EUNSUPPORTED, with a line to show, when there is no platform. */
fa_status fa_opencl_list(fa_opencl_device *devices, int max, int *n, fa_error *e);

/* options->name: "opencl" (a GPU before an accelerator before a CPU) or "opencl:PLATFORM.DEVICE", as fa_opencl_list numbers them.
 * FA_EUNSUPPORTED when there is no such device or it cannot do the arithmetic. */
fa_status fa_opencl_open(fa_backend **out, const fa_backend_options *options, fa_error *e);

#endif
