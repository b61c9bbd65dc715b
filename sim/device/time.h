/* Seconds and joules of a launch: its cost (hls/cost.h) on a board's banks, links and power. The simulator's clock and the planner
 * use these functions and no others. */
#ifndef SIM_DEVICE_TIME_H
#define SIM_DEVICE_TIME_H

#include "boards/board.h"
#include "hls/cost.h"

hls_build sim_build(const fa_board *board);

/* From the start signal to the end of one launch on one unit while the others work too: what hls/cost.h says, with the rates
 * of the banks behind the ports. */
double sim_launch_seconds(const fa_board *board, const hls_cost *cost);

/* Cycles of the kernel clock in that time. */
double sim_launch_cycles(const fa_board *board, const hls_cost *cost);

/* Energy above rest. The board's power between rest and full load is taken to be one half memory, one half arithmetic: a byte costs
 * its half over the rate of all banks, a multiply-add its half over the rate of all lanes of its kind. */
double sim_launch_joules(const fa_board *board, const hls_cost *cost);

/* One transfer between host and card. Starting it costs what starting a kernel does (a driver call and an interrupt both), for
 * want of a figure of its own; nothing where the host shares the memory. */
double sim_transfer_seconds(const fa_board *board, double bytes, bool to_card);

#endif
