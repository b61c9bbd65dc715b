/* The kernels as a table: names, arguments in order, the C function and its cost. The simulator and the XRT device model call
 * through `run`; v++ link lines, xclbin metadata and the host's argument lists are checked against it.
 *
 * Conventions of all kernels
 * - Pointers are 64-byte aligned and buffers are whole words: kernels read and write 64 bytes at a time. An access to part of
 *   a word reads and writes the rest of it unchanged, so launches that run at the same time must not write to the same word.
 * - A matrix of FP32 activations is `first` (elements from the pointer to row 0) and `ld` (elements between rows); both are free.
 * - Cached rows are addressed in units of 4 bytes: page p, row r of a layer starts at
 *   kv_first + p * page_units + r * row_units behind `pool`; a_at, b_at: its parts in the row, a_scales, b_scales: their FP32
 *   scales (E4M3 only). a_type, b_type are of hls_weight. The layout is that of host/backend/kv.h.
 * - Weights: `w0` .. are the base pointers of the ports, `at` the word at which the weight starts behind each of them
 *   (hls/layout.h), `type` of hls_weight.
 * - int32 unless said otherwise. Floats are passed by their bits. Limits: HLS_MAX_* of hls/word.h; rows may be 0.
 *
 * fathom_matmul: products with weights, by `op`
 *   w0.. | x | bias | y | table | x_first, ldx, y_first, ldy, bias_first (int64) | op, rows, outputs, inputs, at, type, visited,
 *   w8a8, has_bias, keep
 *   HLS_LINEAR   y[t, n] = x[t, :] . W[n, :] (+ bias[n]) for t < rows, W at `at`; bias: FP32 [outputs] from element bias_first of
 *                its pointer, read when has_bias. Nothing of `table` is read.
 *   HLS_GATED    for the visited experts in order, for their routes: y[route] = silu(gate(x[row])) * up(x[row])
 *   HLS_ROUTED   y[t] = +0 for t < rows, unless `keep`; then for the visited experts in order, for their routes:
 *                y[row] = y[row] + weight * down(x[route])
 *   table: int32 [visited][HLS_EXPERT_FIELDS], then int32 [routes][2] = row, bits of the weight. Experts in rising id make the
 *   order of each row's sum that of its routes. A dense MLP is one expert with the routes (t, 1.0) of all rows. A unit may have
 *   any range of the outputs; what GATED gives has a row for each route, which ROUTED reads whole.
 *   w8a8 counts for E4M3 only: x is quantised.
 *
 * fathom_mla: fa_mla of host/backend/backend.h, whose names these are
 *   w0.. | q | y | pool | table | q_first, ldq, y_first, ldy, kv_first, page_units (int64)
 *   | rows, heads, nope, rope, v, rank, scale (float), k_at, k_type, k_first, k_stride, k_transposed, v_at, v_type, v_first,
 *   v_stride, row_units, a_type, a_at, a_scales, b_type, b_at
 *   table: int32 [rows][2] = pos, index in `table` of the row's page numbers [pos / 64 + 1].
 *   k_first, v_first, strides count outputs of the weight at k_at, v_at; any value is right, multiples of 16 stream least.
 *
 * fathom_gqa: fa_gqa; reads kv heads kv_head_first .. kv_head_first + kv_heads - 1 of the cached rows, with q and y of these alone
 *   q | y | pool | table | q_first, ldq, y_first, ldy, kv_first, page_units (int64) | rows, heads, kv_heads, kv_head_first,
 *   head_dim, scale (float), row_units, a_type, a_at, a_scales, b_type, b_at, b_scales
 *   table: as for fathom_mla.
 *
 * fathom_rowwise: one of the ops below over `rows` rows of n values
 *   a | b | y | table | a_first, lda, b_first, ldb, y_first, ldy, page_units (int64) | op, rows, n, n_b, heads, stride, flag, eps
 *   (float), row_units, a_type, a_at, a_scales, b_type, b_at, b_scales
 *   HLS_NORM     y[t] = rmsnorm(a[r]) * b, b FP32 [n] from b_first; flag: r = table[t], else t. y may be a.
 *   HLS_ROPE     rotates, in place, `heads` vectors of n elements of row t of y, `stride` apart from y_first + t * ldy;
 *                b: cos and sin, row table[t] of [positions, n] (ldb = n); flag: pairs are interleaved. a is not read.
 *   HLS_ADD      y = a + b
 *   HLS_STORE    a [rows, n], b [rows, n_b] into the cached rows at y; y_first is kv_first; table: int32 [rows][2] = page, row of it */
#ifndef HLS_KERNELS_H
#define HLS_KERNELS_H

#include <stdint.h>

#include "hls/cost.h"
#include "hls/layout.h"
#include "hls/word.h"

enum { HLS_KERNEL_ARGS = 64, HLS_MAX_PORTS = 16 };

typedef enum hls_product { HLS_LINEAR = 0, HLS_GATED, HLS_ROUTED } hls_product;

/* Fields of an expert in the table of fathom_matmul; first_route and routes count routes, of all experts together. */
enum {
    HLS_EXPERT_GATE_AT,
    HLS_EXPERT_UP_AT,
    HLS_EXPERT_DOWN_AT,
    HLS_EXPERT_GATE_TYPE,
    HLS_EXPERT_UP_TYPE,
    HLS_EXPERT_DOWN_TYPE,
    HLS_EXPERT_FIRST_ROUTE,
    HLS_EXPERT_ROUTES,
    HLS_EXPERT_FIELDS
};

typedef enum hls_row_op { HLS_NORM = 0, HLS_ROPE, HLS_ADD, HLS_STORE, HLS_ROW_OPS } hls_row_op;

typedef enum hls_arg_kind {
    HLS_ARG_END = 0,
    HLS_ARG_READ,   /* m_axi, the kernel reads */
    HLS_ARG_WRITE,  /* m_axi, the kernel writes */
    HLS_ARG_BOTH,   /* m_axi, reads and writes */
    HLS_ARG_SCALAR, /* s_axilite */
} hls_arg_kind;

typedef struct hls_arg {
    const char *name;
    hls_arg_kind kind;
    const char
        *bundle; /* AXI bundle: "w0" .., "io" (512 bits), "table" (32 bits); arguments of one bundle share a port */
    int bytes;   /* of a scalar, 4 or 8; of a pointer 8 */
} hls_arg;

typedef struct hls_kernel {
    const char *name; /* "fathom_matmul": the C function, and the kernel in the xclbin */
    int n_args;
    hls_arg args[HLS_KERNEL_ARGS];     /* ends with HLS_ARG_END */
    void (*run)(const uint64_t *args); /* pointers as addresses, scalars as bits; in the mode of fa_fp_enter */
    hls_cost (*cost)(const hls_build *build, const uint64_t *args); /* of this launch; build->ports is this table's */
} hls_kernel;

/* The kernels built for `ports` weight ports (1, 2, 4, 8, 16), ending with one whose name is NULL; NULL: no such build.
 * The rows and lanes of that build differ from a board's, which no result depends on. */
const hls_kernel *hls_kernels(int ports);

/* The kernel called `name`, or NULL. */
const hls_kernel *hls_kernel_find(int ports, const char *name);

#endif
