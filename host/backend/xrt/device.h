/* Inside of a board behind XRT. */
#ifndef FA_BACKEND_XRT_DEVICE_H
#define FA_BACKEND_XRT_DEVICE_H

#include "host/backend/xrt/emulation.h"
#include "host/backend/xrt/process.h"
#include "host/backend/xrt/xrt.h"

typedef struct xrt_buffer {
    fa_device_buffer base;
    struct xrt_buffer *next;
    int32_t number, bank; /* the process's; where it lies */
} xrt_buffer;

typedef struct xrt_device {
    fa_device base;
    fa_board board;
    fa_xrt_mode mode;
    char card[WIRE_NAME], image[PATH_MAX], program[PATH_MAX];
    bool timeline, chain, opencl;
    uint32_t deadline_ms;
    fa_xrt_emulation emulation; /* of a card: its folder alone */
    fa_xrt_process process;
    xrt_buffer *buffers;
    fa_device_bank *banks;          /* [base.banks] of a card: what the process was asked for */
    fa_device_stats stats, earlier; /* as of the last wait; of processes before this one */
    int64_t opened_ns;
    bool launched;    /* since the last wait */
    bool stuck, dead; /* a unit did not end; the process is gone, or .. */
    bool for_good;    /* .. the board is, .. */
    fa_error why;     /* .. because */
} xrt_device;

/* connect.c: a process for the device's card; its image is loaded then. */
fa_status xrt_connect(xrt_device *d, fa_error *e);
void xrt_disconnect(xrt_device *d);
/* Which card a name means, as BDF. FA_EUNSUPPORTED when there is none such. */
fa_status xrt_find_card(const char *name, char bdf[WIRE_NAME], fa_error *e);

/* Asks; when the process is gone then, d->dead and d->why say so. */
fa_status xrt_ask(xrt_device *d, const wire_request *r, wire_reply *reply, int deadline_ms, fa_error *e);
fa_status xrt_ask_model(xrt_device *d, xrt_control *m, fa_error *e);
/* FA_EDEVICE with the cause unless the board works. */
fa_status xrt_check_works(const xrt_device *d, fa_error *e);

/* memory.c: entries of fa_device. */
fa_status xrt_alloc(fa_device *base, fa_bank_range banks, size_t bytes, fa_device_buffer **out, fa_error *e);
void xrt_free(fa_device *base, fa_device_buffer *buffer);
fa_status xrt_write(fa_device *base, const fa_device_buffer *to, size_t offset, const void *from, size_t bytes,
                    fa_error *e);
fa_status xrt_read(fa_device *base, const fa_device_buffer *from, size_t offset, void *to, size_t bytes, fa_error *e);
/* All buffers again, zeroed, in a new process. */
fa_status xrt_alloc_again(xrt_device *d, fa_error *e);

#endif
