/* Inside of the simulated board, for the files of this folder. */
#ifndef SIM_DEVICE_DEVICE_H
#define SIM_DEVICE_DEVICE_H

#include "hls/kernels.h"
#include "host/base/threads.h"
#include "sim/device/clock.h"
#include "sim/device/faults.h"
#include "sim/device/memory.h"
#include "sim/device/sim.h"

/* A launch whose cost is counted and whose kernel has yet to run. */
typedef struct sim_launch {
    const hls_kernel *kernel;
    int32_t unit;
    bool hangs, half_done; /* it never ends; after it wrote */
    uint64_t args[HLS_KERNEL_ARGS];
} sim_launch;

typedef enum sim_state { SIM_READY = 0, SIM_FAILED, SIM_GONE } sim_state;

typedef struct sim_device {
    fa_device base;
    fa_board board;
    hls_build build;
    const hls_kernel *kernels;
    sim_memory memory;
    sim_clock clock;
    sim_faults faults;
    fa_team *team;
    sim_launch *queue; /* [n_queued] */
    int n_queued;
    sim_state state;
    bool memory_lost;
    const char *why; /* it failed */
    int32_t hung;    /* units that did not end, or -1 */
    fa_device_stats stats;
} sim_device;

/* launch.c: entries of fa_device, and the run of what is queued. */
fa_status sim_launch_kernel(fa_device *d, const char *kernel, int32_t unit, const fa_device_arg *args, int n,
                            fa_error *e);
fa_status sim_wait(fa_device *d, fa_error *e);
fa_status sim_launch_open(sim_device *s, fa_error *e);

/* timeline.c: the entry of fa_device. */
fa_status sim_timeline(fa_device *d, const char *path, fa_error *e);

/* FA_EDEVICE with the cause unless the board works. */
fa_status sim_check_state(const sim_device *s, fa_error *e);

#endif
