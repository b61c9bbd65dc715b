/* The process that has XRT loaded (host/xrt), as the engine holds it: started, asked, ended. */
#ifndef FA_BACKEND_XRT_PROCESS_H
#define FA_BACKEND_XRT_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "host/backend/xrt/wire.h"
#include "sim/xrt_device/control.h"

typedef struct fa_xrt_process {
    pid_t pid;        /* also of its group and session; 0: none */
    int socket;       /* wire.h */
    int model;        /* control.h, of the device model; -1 on a card */
    int log;          /* what it and XRT print */
    uint8_t *staging; /* [WIRE_STAGING_BYTES] */
    bool gone;        /* it, or its device model, does not answer any more: fa_xrt_process_bury is next */
} fa_xrt_process;

/* The absolute path of a program of ours: in $FATHOM_LIBEXEC, beside the running program, or in ../libexec/fathom of it or of the
 * library. FA_EUNSUPPORTED says where it was sought. */
fa_status fa_xrt_find_program(const char *name, char path[PATH_MAX], fa_error *e);

/* environment: of the process. folder: where it works; NULL: where the engine does. with_model: XRT will start a device model there.
 * FA_EIO, FA_ENOMEM. */
fa_status fa_xrt_process_start(fa_xrt_process *p, const char *program, char **environment, const char *folder,
                               bool with_model, fa_error *e);

/* Waits up to `grace_ms` for it to end by itself; then it and all of its group are killed. */
void fa_xrt_process_end(fa_xrt_process *p, int grace_ms);

/* Sends a message, of which args are cut to n_args. FA_EDEVICE when the process is gone. `e` is never NULL here. */
fa_status fa_xrt_send(fa_xrt_process *p, const wire_request *r, fa_error *e);
/* Sends it and waits for the answer, whose status it returns. FA_EDEVICE besides when none comes in time. */
fa_status fa_xrt_call(fa_xrt_process *p, const wire_request *r, wire_reply *reply, int deadline_ms, fa_error *e);

/* The same with the device model. */
fa_status fa_xrt_control(fa_xrt_process *p, xrt_control *m, int deadline_ms, fa_error *e);
/* Waits for its first message. FA_EDEVICE when it is of another version. */
fa_status fa_xrt_control_hello(fa_xrt_process *p, int deadline_ms, fa_error *e);

/* Ends a process that is gone, and puts the reason, as far as it, the model or XRT told one, into `e`, which holds what the call said
 * that found it. *for_good: the model says that its board will not come back. */
void fa_xrt_process_bury(fa_xrt_process *p, bool *for_good, fa_error *e);

#endif
