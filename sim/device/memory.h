/* The card's memory: one address space in which bank follows bank, backed by host memory that exists where it is touched. */
#ifndef SIM_DEVICE_MEMORY_H
#define SIM_DEVICE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "boards/device.h"

typedef struct sim_bank {
    const char *kind; /* "HBM" */
    int32_t index;    /* inside its kind */
    uint64_t address;
    fa_device_bank count;
} sim_bank;

typedef struct sim_memory {
    uint8_t *base;  /* the host's address of card address 0 */
    uint64_t bytes; /* of all banks */
    sim_bank *banks;
    int32_t n_banks;
    fa_device_buffer **buffers; /* [n_buffers] by rising address */
    size_t n_buffers, capacity;
} sim_memory;

/* FA_ENOMEM when the address space cannot be had. */
fa_status sim_memory_open(sim_memory *m, const fa_board *board, fa_error *e);
void sim_memory_close(sim_memory *m); /* with its buffers */

fa_status sim_memory_alloc(sim_memory *m, fa_bank_range banks, size_t bytes, fa_device_buffer **out, fa_error *e);
void sim_memory_free(sim_memory *m, fa_device_buffer *buffer);
void sim_memory_clear(sim_memory *m); /* every byte is zero; buffers stay */

/* The bank that holds a card address. */
int32_t sim_memory_bank(const sim_memory *m, uint64_t address);

/* FA_EINVAL unless [offset, offset + bytes) lies inside the buffer. */
fa_status sim_memory_range(const fa_device_buffer *buffer, size_t offset, size_t bytes, fa_error *e);

#endif
