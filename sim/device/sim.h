/* A simulated board: the kernels of hls/ run by this machine's CPU on memory that lies in the board's banks, while a clock
 * counts what the board would take. Results are those of the board bit for bit; time and energy come from the board's file
 * and hls/cost.h alone. */
#ifndef SIM_DEVICE_SIM_H
#define SIM_DEVICE_SIM_H

#include "boards/device.h"

/* What can go wrong. `at` counts transfers or launches from the call of fa_sim_inject, from 0. */
typedef enum sim_fault_kind {
    SIM_FAULT_SHORT = 0, /* transfer `at` moves a part of its bytes */
    SIM_FAULT_LATE,      /* transfer `at` arrives some transfers later; one that the host reads, never */
    SIM_FAULT_FLIP,      /* transfer `at` arrives with one wrong bit */
    SIM_FAULT_HANG,      /* launch `at` does not end; what it writes is half there */
    SIM_FAULT_RESET,     /* at launch `at` the board resets itself: its memory is lost */
    SIM_FAULT_LOST,      /* at launch `at` the board disappears */
    SIM_FAULT_KINDS
} sim_fault_kind;

typedef struct sim_fault {
    sim_fault_kind kind;
    int64_t at;
    uint64_t seed; /* which byte, bit, part */
} sim_fault;

typedef struct sim_options {
    int threads;   /* of this machine, 0: all; units run on threads of their own */
    int node;      /* NUMA node of the threads, FA_NODE_INTERLEAVE for all */
    bool timeline; /* keep every event */
} sim_options;

/* The board is copied. FA_ELIMIT when its build has a number of ports that the kernels are not compiled for. */
fa_status fa_sim_open(fa_device **out, const fa_board *board, const sim_options *options, fa_error *e);

/* The device's timeline has a row for each direction of the link and each unit (chrome://tracing, ui.perfetto.dev). FA_EINVAL
 * without sim_options.timeline. */

/* Lets these faults (copied) happen, in place of earlier ones. FA_ENOMEM. */
fa_status fa_sim_inject(fa_device *d, const sim_fault *faults, int n, fa_error *e);

/* How many of them have happened. */
int fa_sim_faults_happened(const fa_device *d);

#endif
