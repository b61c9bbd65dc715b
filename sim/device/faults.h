/* Faults on their way: which transfer or launch meets one, and what a transfer with a fault does. */
#ifndef SIM_DEVICE_FAULTS_H
#define SIM_DEVICE_FAULTS_H

#include "sim/device/sim.h"

/* A transfer to the card that has not arrived. */
typedef struct sim_late {
    struct sim_late *next;
    int64_t due; /* the transfer before which it arrives */
    uint8_t *to;
    size_t bytes;
    uint8_t data[];
} sim_late;

typedef struct sim_faults {
    sim_fault *plan; /* [n] */
    int n, happened;
    int64_t transfers, launches; /* seen so far */
    sim_late *late;
} sim_faults;

fa_status sim_faults_open(sim_faults *f, const sim_fault *plan, int n, fa_error *e);
void sim_faults_close(sim_faults *f);

/* The fault of the next launch, or NULL. */
const sim_fault *sim_faults_launch(sim_faults *f);

/* Moves bytes as the next transfer does. `to_card`: late ones arrive here. */
void sim_faults_transfer(sim_faults *f, void *to, const void *from, size_t bytes, bool to_card);

/* A recovery drops what has not arrived. */
void sim_faults_drop_late(sim_faults *f);

#endif
