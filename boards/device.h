/* What the host asks of a board: memory in banks, the kernels of hls/ by name, launches on compute units. The simulator
 * (sim/device) and XRT implement it; host/backend/board drives ops through it and cannot tell which it is.
 *
 * Order: launches on one unit run in the order they were made, launches on different units at the same time. A transfer may
 * run beside launches that do not touch its memory; whoever reads what a launch writes waits first. One thread uses a device. */
#ifndef FA_BOARDS_DEVICE_H
#define FA_BOARDS_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boards/board.h"

/* Banks count over all kinds of a board: those of bank[0] first. */
typedef struct fa_bank_range {
    int32_t first, count; /* neighbours of one kind */
} fa_bank_range;

/* Memory on the card, contiguous, inside its range of banks (XRT: a buffer object in a memory group). */
typedef struct fa_device_buffer {
    size_t bytes;
    fa_bank_range banks;
    uint64_t address; /* on the card, a multiple of 4096 */
    void *own;        /* the device's handle */
} fa_device_buffer;

/* A kernel's argument: a place in a buffer (m_axi), or a scalar (s_axilite). Order and kinds are those of hls/kernels.h. */
typedef struct fa_device_arg {
    const fa_device_buffer *buffer; /* NULL: scalar, or a pointer that this launch does not follow */
    uint64_t value;                 /* byte offset in the buffer, or the scalar's bits */
} fa_device_arg;

/* One bank, and the bytes that went through it so far. */
typedef struct fa_device_bank {
    int64_t bytes, used;       /* capacity; held by buffers */
    double weights, io;        /* read by weight ports; read and written by io ports */
    double to_card, from_card; /* by transfers */
} fa_device_bank;

/* Totals since opening. Seconds and joules are the board's: modelled by the simulator, measured where there is a board
 * (joules 0 where it has no sensor). */
typedef struct fa_device_stats {
    double seconds;            /* from opening to the end of what was waited for */
    double unit_cycles;        /* kernel clock cycles in which a unit worked, summed over units */
    double joules;             /* what the board takes at rest included */
    double to_card, from_card; /* bytes */
    int64_t launches, transfers;
} fa_device_stats;

typedef struct fa_device fa_device;
struct fa_device {
    const char *name; /* "sim", "xrt" */
    bool simulated;   /* its seconds, cycles and joules are a model's */
    const fa_board *board;
    int32_t banks; /* of all kinds */

    /* Zeroed memory. FA_ENOMEM names the banks, what is needed and what is left. */
    fa_status (*alloc)(fa_device *d, fa_bank_range banks, size_t bytes, fa_device_buffer **out, fa_error *e);
    void (*free)(fa_device *d, fa_device_buffer *buffer);
    /* Copies; done when they return. What arrived is not checked here: see host/backend/board/transfer.c. */
    fa_status (*write)(fa_device *d, const fa_device_buffer *to, size_t offset, const void *from, size_t bytes,
                       fa_error *e);
    fa_status (*read)(fa_device *d, const fa_device_buffer *from, size_t offset, void *to, size_t bytes, fa_error *e);
    /* Starts `kernel` on `unit`. FA_EINVAL names a kernel, argument or range that is wrong; nothing is started then. */
    fa_status (*launch)(fa_device *d, const char *kernel, int32_t unit, const fa_device_arg *args, int n, fa_error *e);
    /* Waits for all that was launched. FA_EDEVICE with the cause when a unit did not end in time or the board is gone. */
    fa_status (*wait)(fa_device *d, fa_error *e);
    /* After FA_EDEVICE: drops what was launched and did not end, and makes the units ready again. Memory is as finished
     * transfers and launches left it, but for what an unfinished launch writes; with *memory_lost all of it is zero.
     * FA_EDEVICE when the board does not come back. */
    fa_status (*recover)(fa_device *d, bool *memory_lost, fa_error *e);
    fa_device_stats (*stats)(const fa_device *d);
    fa_device_bank (*bank)(const fa_device *d, int32_t bank);
    /* Writes what happened so far, a Chrome trace-event file; NULL where nothing is kept. FA_EIO, FA_EINVAL. */
    fa_status (*timeline)(fa_device *d, const char *path, fa_error *e);
    void (*close)(fa_device *d);
};

/* For those who implement `launch`: finds the kernel, and checks the unit and the arguments against the table of kernels. FA_EINVAL. */
struct hls_kernel;
fa_status fa_device_check_launch(const fa_board *b, const char *kernel, int32_t unit, const fa_device_arg *args, int n,
                                 const struct hls_kernel **found, fa_error *e);

#endif
