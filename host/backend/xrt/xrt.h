/* A board behind XRT, the Xilinx runtime: a card, or its emulation with our device model in the place of one. */
#ifndef FA_BACKEND_XRT_XRT_H
#define FA_BACKEND_XRT_XRT_H

#include "boards/device.h"
#include "sim/device/sim.h"

typedef enum fa_xrt_mode { FA_XRT_CARD = 0, FA_XRT_SW_EMU, FA_XRT_HW_EMU } fa_xrt_mode;

typedef struct fa_xrt_options {
    fa_xrt_mode mode;
    const char *board; /* as for fa_board_find: what the card is and how its kernels were built */
    const char *
        card; /* of a card: its BDF ("0000:3b:00.1", "3b:00.1") or its number among the cards, from 0 in the order of BDFs */
    const char *image; /* of a card: the xclbin file */
    bool opencl;       /* through Xilinx's OpenCL, not through XRT's own functions */
    bool timeline;     /* keep every event */
    bool chain;        /* under emulation: units are of ap_ctrl_chain, else of ap_ctrl_hs */
    double deadline_s; /* after which a launch counts as hung; 0: 10 s on a card, 600 s under emulation */
} fa_xrt_options;

/* FA_EUNSUPPORTED when XRT or a program of ours is not installed or there is no such card; FA_EIO for the image or a full disk; FA_ELIMIT;
 * FA_EDEVICE. The device's timeline is the device model's; FA_EUNSUPPORTED for that of a card. */
fa_status fa_xrt_open(fa_device **out, const fa_xrt_options *o, fa_error *e);

/* Under emulation: lets these faults happen, in place of earlier ones (at most 16), and says how many have. A board that is lost or
 * resets itself ends its device model. */
fa_status fa_xrt_inject(fa_device *d, const sim_fault *faults, int n, fa_error *e);
fa_status fa_xrt_faults_happened(fa_device *d, int *n, fa_error *e);

#endif
