/* Between the engine and the process that has XRT loaded (host/xrt): one SOCK_SEQPACKET message there, one back, but for launches,
 * which are not answered: what is wrong with one the next wait says. Bytes of transfers go through memory that both map. */
#ifndef FA_BACKEND_XRT_WIRE_H
#define FA_BACKEND_XRT_WIRE_H

#include <limits.h>
#include <stdint.h>

#include "hls/kernels.h"
#include "host/base/status.h"

/* The process's descriptors. WIRE_MODEL is for the device model that XRT will start; 0 is /dev/null, 1 and 2 the log. */
enum { WIRE_SOCKET = 3, WIRE_STAGING = 4, WIRE_MODEL = 5, WIRE_DESCRIPTORS = 6 };
enum { WIRE_VERSION = 2, WIRE_STAGING_BYTES = 4 << 20, WIRE_NAME = 64 };

typedef enum wire_kind {
    WIRE_OPEN = 0, /* open: the card, its image; back: address of the pointers that lead nowhere */
    WIRE_ALLOC,    /* first, bytes: memory in this bank; back: buffer, address */
    WIRE_FREE,     /* buffer */
    WIRE_WRITE,    /* buffer, offset, bytes: from the staging memory to the card */
    WIRE_READ,     /* the reverse */
    WIRE_LAUNCH,   /* unit, name, args; no answer */
    WIRE_WAIT,     /* for all launches; back: busy_s */
    WIRE_CLOSE,    /* then the process ends */
} wire_kind;

typedef enum wire_type { WIRE_U32 = 0, WIRE_U64, WIRE_POINTER } wire_type;

typedef struct wire_arg {
    uint64_t value; /* the scalar's bits, or the byte offset in .. */
    int32_t buffer; /* .. this buffer; -1: nowhere, the kernel does not follow it */
    uint32_t type;  /* wire_type */
} wire_arg;

typedef struct wire_open {
    uint32_t version;
    uint32_t emulated;
    uint32_t opencl; /* by Xilinx's OpenCL, not by XRT's own functions */
    int32_t units;
    int32_t io_bank;       /* where pointers that lead nowhere point */
    uint32_t deadline_ms;  /* for one launch */
    char card[WIRE_NAME];  /* BDF; of an emulated one the index */
    char image[PATH_MAX];  /* xclbin file */
    char folder[PATH_MAX]; /* private, removed when the engine dies */
    char shim[WIRE_NAME];  /* file name of the emulation's library; "" */
} wire_open;

typedef struct wire_request {
    uint32_t kind;
    int32_t unit, first, buffer, n_args;
    uint64_t offset, bytes;
    char name[WIRE_NAME]; /* of the kernel */
    union {
        wire_open open;
        wire_arg args[HLS_KERNEL_ARGS]; /* [n_args] are sent */
    };
} wire_request;

typedef struct wire_reply {
    int32_t status; /* fa_status */
    int32_t buffer;
    int32_t stuck; /* a unit did not end: the card must be opened again */
    uint64_t address;
    double busy_s; /* in which units worked, summed */
    char text[FA_ERROR_TEXT];
} wire_reply;

#endif
