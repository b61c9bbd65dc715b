/* XRT's C API, found when the process starts: nothing of fathom needs XRT to be installed but this. */
#ifndef FA_XRT_LIBRARY_H
#define FA_XRT_LIBRARY_H

/* XRT's headers include each other as <xrt.h>. */
#include <xrt.h>

#include <xrt/xrt_bo.h>
#include <xrt/xrt_device.h>
#include <xrt/xrt_kernel.h>

#include "host/base/status.h"

#define XRT_FUNCTIONS(X)       \
    X(xrtDeviceOpen)           \
    X(xrtDeviceOpenByBDF)      \
    X(xrtDeviceClose)          \
    X(xrtDeviceLoadXclbinFile) \
    X(xrtDeviceGetXclbinUUID)  \
    X(xrtBOAlloc)              \
    X(xrtBOSubAlloc)           \
    X(xrtBOFree)               \
    X(xrtBOAddress)            \
    X(xrtBOSync)               \
    X(xrtBOWrite)              \
    X(xrtBORead)               \
    X(xrtPLKernelOpen)         \
    X(xrtKernelClose)          \
    X(xrtRunOpen)              \
    X(xrtRunSetArg)            \
    X(xrtRunStart)             \
    X(xrtRunWaitFor)           \
    X(xrtRunState)             \
    X(xrtRunClose)

typedef struct xrt_library xrt_library;
struct xrt_library {
#define XRT_POINTER(name) __typeof__(name) *(name);
    XRT_FUNCTIONS(XRT_POINTER)
#undef XRT_POINTER
    /* xrtRunSetArg by kinds of argument: it takes what the image's metadata call its type. */
    int (*set_buffer)(const xrt_library *x, xrtRunHandle run, int i, xrtBufferHandle buffer);
    int (*set_word)(const xrt_library *x, xrtRunHandle run, int i, uint32_t bits);
    int (*set_long)(const xrt_library *x, xrtRunHandle run, int i, uint64_t bits);
    char folder[4096]; /* that holds it */
};

/* FA_EUNSUPPORTED when XRT is not installed, with what to do, or is of another kind. It stays loaded. */
fa_status xrt_library_open(xrt_library *x, fa_error *e);

#endif
