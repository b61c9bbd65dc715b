/* What a host process asks of the device model behind XRT's back: what no register of a board would tell. One SOCK_SEQPACKET
 * message there, one back. The model inherits its end of the socket as a descriptor that FATHOM_XRT_CONTROL numbers; when the other
 * end closes it ends too. */
#ifndef SIM_XRT_DEVICE_CONTROL_H
#define SIM_XRT_DEVICE_CONTROL_H

#include "sim/device/sim.h"

enum { XRT_CONTROL_VERSION = 1, XRT_CONTROL_FAULTS = 16, XRT_CONTROL_TEXT = 4096 };

/* Environment of the model, besides what XRT sets. */
#define XRT_ENV_CONTROL "FATHOM_XRT_CONTROL"   /* the descriptor */
#define XRT_ENV_BOARD "FATHOM_XRT_BOARD"       /* a name of boards/ or the absolute path of a .board file */
#define XRT_ENV_CHAIN "FATHOM_XRT_CHAIN"       /* "1": units are of ap_ctrl_chain */
#define XRT_ENV_TIMELINE "FATHOM_XRT_TIMELINE" /* "1": keep every event */

typedef enum xrt_control_kind {
    XRT_CONTROL_HELLO = 0, /* from the model alone, first: value is its version */
    XRT_CONTROL_FAILED,    /* from the model alone, last: status, text; value 1: the board is gone for good */
    XRT_CONTROL_NOWHERE,   /* value: a card address that stands for pointers that no kernel follows */
    XRT_CONTROL_JOIN,      /* the host has waited for all units: its clock goes on from there */
    XRT_CONTROL_STATS,     /* back: stats; value: how many faults have happened */
    XRT_CONTROL_BANK,      /* value: which; back: bank */
    XRT_CONTROL_TIMELINE,  /* text: path of the file to write; back: status, text */
    XRT_CONTROL_FAULT,     /* value: how many; faults that are to happen, in place of earlier ones */
    XRT_CONTROL_RESET,     /* what is on its way is dropped */
} xrt_control_kind;

typedef struct xrt_control {
    uint32_t kind;
    int32_t status; /* fa_status */
    int64_t value;
    union {
        char text[XRT_CONTROL_TEXT];
        fa_device_stats stats;
        fa_device_bank bank;
        sim_fault faults[XRT_CONTROL_FAULTS];
    };
} xrt_control;

#endif
