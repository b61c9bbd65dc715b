/* Inside of the simulated board, for the files of this folder. */
#ifndef SIM_DEVICE_DEVICE_H
#define SIM_DEVICE_DEVICE_H

#include "hls/kernels.h"
#include "host/base/threads.h"
#include "sim/device/clock.h"
#include "sim/device/faults.h"
#include "sim/device/memory.h"
#include "sim/device/sim.h"

/* A launch: what is asked for, then, once begun, whose cost is counted and whose kernel has yet to run. */
typedef struct sim_launch {
    const hls_kernel *kernel;
    int32_t unit;
    uint64_t args[HLS_KERNEL_ARGS]; /* pointers as this process's addresses, scalars as bits */
    uint64_t card[HLS_KERNEL_ARGS]; /* pointers as card addresses; SIM_NOWHERE: the kernel does not follow it */
    bool hangs, half_done;          /* it never ends; after it wrote */
} sim_launch;

#define SIM_NOWHERE UINT64_MAX

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
    const char *why;       /* it failed */
    int32_t hung;          /* units that did not end, or -1 */
    fa_device_stats stats; /* but for what units did */
    struct sim_unit {
        double cycles,
            joules; /* of its launches: summed for each unit, so that no order among units shows in the last bit */
    } unit[SIM_LANES - SIM_LANE_UNITS];
} sim_device;

/* For whoever places buffers and starts kernels itself, by card address (sim/xrt_device). `s`: what fa_sim_open gave. */

/* Moves bytes between this process and the card, as the next transfer does; the host waits for its end. FA_EDEVICE unless the board
 * works; FA_EINVAL when they are outside its memory. */
fa_status sim_transfer(sim_device *s, uint64_t address, void *host, size_t bytes, bool to_card, fa_error *e);
/* Points an argument at a card address; FA_EINVAL when it is outside the memory. */
fa_status sim_launch_point(const sim_device *s, sim_launch *l, int arg, uint64_t address, fa_error *e);
/* Lets a launch meet its fault and counts it; FA_EDEVICE when it is the end of the board. */
fa_status sim_launch_begin(sim_device *s, sim_launch *l, fa_error *e);
/* Runs its kernel, in the mode of fa_fp_enter; not when it hangs before that. */
void sim_launch_run(const sim_launch *l);
/* The host has waited for all units. */
void sim_join_units(sim_device *s);

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
