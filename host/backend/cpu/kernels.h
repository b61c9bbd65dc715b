/* What differs between instruction sets: one table of kernels for each. A kernel works on one tile or one row inside one
 * thread, in the mode of fa_fp_enter; the files beside this one bring it the tiles.
 *
 * Quantised activations are kept as FP32 values of their codes in an order and scale that belong to the table (the order in
 * which its `codes` kernel takes weight codes apart), so only that table's kernels may read them. */
#ifndef FA_BACKEND_CPU_KERNELS_H
#define FA_BACKEND_CPU_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "host/base/cpu.h"
#include "host/format/dtype.h"

enum {
    CPU_BLOCK = 128,   /* codes that share a scale */
    CPU_TILE = 16,     /* output rows of a tile; a tile never spans two weight blocks */
    CPU_STRIP = 4,     /* weight rows that `dot` takes together */
    CPU_PARTIALS = 16, /* partial sums of an ordered sum */
    CPU_PAGE = 64,     /* positions of a cache page */
};

/* Up to CPU_TILE rows of FP8 codes inside one row of blocks. */
typedef struct cpu_codes {
    const uint8_t *codes; /* [n, cols] */
    const float *scale;   /* [ceil(cols / 128)], shared by the rows */
    int64_t cols;
    int n;
    const uint8_t *next; /* where reading goes on after this tile, for prefetching; any address */
} cpu_codes;

/* Encoded rows, whether of a weight or of a cache page. */
typedef struct cpu_matrix {
    fa_dtype type;
    const uint8_t *data; /* element 0 of row 0 */
    int64_t row_bytes;
    const uint8_t
        *scale; /* NULL, or FP32 factors of 128 elements each; row r's start at scale + (r >> shift) * scale_bytes */
    int64_t scale_bytes;
    int scale_shift;
    int64_t ahead_bytes; /* how far behind an element lies what will be read next, for prefetching; 0: not known */
} cpu_matrix;

typedef struct fa_cpu_kernels {
    /* Rule 1's activation block of n <= 128 elements: fills values [128] (zero beyond n), returns the scale. `values` may
     * be `x` when x has room for 128. */
    float (*quantise)(const float *x, int n, float *values);

    /* Rules 1 and 2: out[t][r] of n_x quantised rows x[t] (blocks of 128, scales x_scale[t]) and the tile's rows r;
     * out is [n_x][CPU_TILE], of which the first tile->n are meant. */
    void (*codes)(const cpu_codes *tile, const float *const *x, const float *const *x_scale, int n_x, float *out);

    /* Elements first .. first + n - 1 of rows row .. row + n_rows - 1 as FP32, row i to dst + i * ld. With block types and
     * scales `first` is a multiple of the block; so is n but at a row's end. */
    void (*decode)(const cpu_matrix *m, int64_t row, int n_rows, int64_t first, int64_t n, float *dst, int64_t ld);

    /* Rule 3: adds the products of n elements to partial sums [n_x][CPU_STRIP][16]; the first element belongs to partial 0. */
    void (*dot)(const float *const w[CPU_STRIP], const float *const *x, int n_x, int64_t n, float *partials);
    /* Rule 3's tree over n * CPU_STRIP sums: partials as above to out[t * ld + r]. */
    void (*tree)(const float *partials, int n_x, float *out, int64_t ld);

    /* Rule 3 down the columns: out[i] = ordered sum over d < n_d of x[d] * w[d * ldw + i], for i < n rounded up to 16, which
     * w and out must have room for. */
    void (*columns)(const float *w, int64_t ldw, const float *x, int n_d, int64_t n, float *out);

    /* Rule 4, one page of one head: s[n] are scores not yet multiplied by `scale`; on return the weights p. Updates the running
     * maximum and sum, and returns what older values are to be multiplied with (meaningless on the first page). */
    float (*softmax)(float s[CPU_PAGE], int n, bool first_page, float scale, float *max, float *sum);
    /* Rule 4, one page of n_heads heads: acc[h][i] = acc[h][i] * rescale[h] (0 on the first page), then position by position
     * += p[h][j] * v[j * ldv + i], i < n; acc is [n_heads] rows of lda, p is [n_heads][64]. n positions, `width` elements. */
    void (*values)(const float *v, int64_t ldv, int n, const float (*p)[CPU_PAGE], const float *rescale,
                   bool first_page, int n_heads, int64_t width, float *acc, int64_t lda);

    /* y[i] = silu(gate[i]) * up[i] */
    void (*gated)(const float *gate, const float *up, int64_t n, float *y);
    /* Rule 3: the ordered sum of x[i] * x[i]. */
    float (*square_sum)(const float *x, int64_t n);
    /* y[i] = weight[i] * (x[i] * factor); y may be x. */
    void (*scaled)(const float *x, float factor, const float *weight, int64_t n, float *y);
    /* y[i] = a[i] + b[i]; y may be a or b. */
    void (*add)(const float *a, const float *b, int64_t n, float *y);

    /* Index of the first NaN code (0x7F, 0xFF) of n, or -1. */
    int64_t (*find_nan)(const uint8_t *codes, int64_t n);
} fa_cpu_kernels;

/* The table of an instruction set; NULL when this build has none. */
const fa_cpu_kernels *fa_cpu_kernels_get(fa_isa isa);

#endif
