/* Between the files that write and read an xclbin. */
#ifndef FA_BOARDS_XCLBIN_PARTS_H
#define FA_BOARDS_XCLBIN_PARTS_H

#include <stdio.h>

#include "boards/xclbin.h"

enum { XCLBIN_MEMORIES = 256 };

typedef struct xclbin_plan {
    const fa_board *board;
    const fa_xclbin_options *options;
    char platform[64]; /* the board's, or "fathom_NAME" where it has none */
    hls_kernel kernels[FA_IMAGE_KERNELS];
    int n_kernels;
    fa_xclbin_memory memory[XCLBIN_MEMORIES];
    int n_banks, n_memories;
} xclbin_plan;

static inline int32_t xclbin_unit_ip(const xclbin_plan *p, int kernel, int32_t unit) {
    return kernel * p->board->build.units + unit;
}

static inline uint32_t xclbin_unit_base(const xclbin_plan *p, int kernel, int32_t unit) {
    return FA_XCLBIN_FIRST_UNIT + (uint32_t)xclbin_unit_ip(p, kernel, unit) * FA_XCLBIN_UNIT_BYTES;
}

/* Puts '?' for every byte of a text that is not printable ASCII: texts of strange files go to terminals. */
void xclbin_clean(char *text);

/* Fills x->kernel and x->arg from the text of EMBEDDED_METADATA. */
fa_status xclbin_read_xml(fa_xclbin *x, const char *data, size_t bytes, const char *file, fa_error *e);

/* The text of EMBEDDED_METADATA. */
void xclbin_put_xml(const xclbin_plan *p, FILE *to);

#endif
