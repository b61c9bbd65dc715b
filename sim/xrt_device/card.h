/* The card of the device model: the simulated board (sim/device) behind the registers of its compute units. */
#ifndef SIM_XRT_DEVICE_CARD_H
#define SIM_XRT_DEVICE_CARD_H

#include <pthread.h>

#include "boards/image.h"
#include "boards/xclbin.h"
#include "sim/device/device.h"

struct xrt_card;

/* One compute unit as the bus sees it: registers, and a kernel that runs on a thread of its own once started. */
typedef struct xrt_unit {
    struct xrt_card *card;
    const hls_kernel *kernel;
    int32_t unit;
    uint8_t registers[FA_XCLBIN_UNIT_RANGE];
    sim_launch launch; /* the one at work: what the registers were when it started */
    bool running, done, joinable;
    pthread_t thread;
} xrt_unit;

typedef struct xrt_card {
    fa_device *device;    /* the simulated board, .. */
    sim_device *sim;      /* .. its inside, and .. */
    pthread_mutex_t lock; /* .. who looks at it */
    hls_kernel kernels[FA_IMAGE_KERNELS];
    xrt_unit *units; /* [n_units] in the order of their addresses */
    int n_units;
    uint64_t nowhere; /* card address of pointers that are not followed */
    bool chain;       /* ap_ctrl_chain: done until it is told to go on; else until it was read */
    int control;      /* socket of control.h, or -1 */
} xrt_card;

/* FA_EINVAL, FA_ELIMIT, FA_ENOMEM as fa_board_find and fa_sim_open. */
fa_status xrt_card_open(xrt_card *c, const char *board, bool timeline, int control, fa_error *e);

/* Writes n bytes of registers at a bus address; bit 0 of the first one of a unit starts it. FA_EINVAL when no unit is there or a pointer
 * is outside the memory; FA_EDEVICE when the board fails. */
fa_status xrt_card_write(xrt_card *c, uint64_t address, const uint8_t *from, size_t n, fa_error *e);
fa_status xrt_card_read(xrt_card *c, uint64_t address, uint8_t *to, size_t n, fa_error *e);

/* The range of memory becomes zeros: a buffer begins or ends there. FA_EINVAL when it is outside. */
fa_status xrt_card_clear(xrt_card *c, uint64_t address, uint64_t bytes, fa_error *e);

/* Says why over the control socket and ends the process in the way that XRT understands: by a signal. */
_Noreturn void xrt_card_fail(xrt_card *c, const fa_error *e);

/* Serves the control socket until it closes; then ends the process. A thread's function. */
void *xrt_card_control(void *card);

/* Serves XRT until it closes the card. */
fa_status xrt_card_serve(xrt_card *c, int socket, bool sw_emu, fa_error *e);

#endif
