/* The arguments of every kernel, in order: X(kernel, name, type, kind, bundle), the last by LAST. Weight ports come before them.
 * The table of kernels.c, its calls and the prototypes below are made from these lists. */
#ifndef HLS_ARGS_H
#define HLS_ARGS_H

#include "hls/build.h"

/* Types: IN const hls_word *, OUT hls_word *, TABLE const int32_t *, I32, I64, F32. */
#define HLS_MATMUL_ARGS(X, LAST)           \
    X(matmul, x, IN, READ, "io")           \
    X(matmul, bias, IN, READ, "io")        \
    X(matmul, y, OUT, BOTH, "io")          \
    X(matmul, table, TABLE, READ, "table") \
    X(matmul, x_first, I64, SCALAR, 0)     \
    X(matmul, ldx, I64, SCALAR, 0)         \
    X(matmul, y_first, I64, SCALAR, 0)     \
    X(matmul, ldy, I64, SCALAR, 0)         \
    X(matmul, bias_first, I64, SCALAR, 0)  \
    X(matmul, op, I32, SCALAR, 0)          \
    X(matmul, rows, I32, SCALAR, 0)        \
    X(matmul, outputs, I32, SCALAR, 0)     \
    X(matmul, inputs, I32, SCALAR, 0)      \
    X(matmul, at, I32, SCALAR, 0)          \
    X(matmul, type, I32, SCALAR, 0)        \
    X(matmul, visited, I32, SCALAR, 0)     \
    X(matmul, w8a8, I32, SCALAR, 0)        \
    X(matmul, has_bias, I32, SCALAR, 0)    \
    LAST(matmul, keep, I32, SCALAR, 0)

#define HLS_MLA_ARGS(X, LAST)            \
    X(mla, q, IN, READ, "io")            \
    X(mla, y, OUT, BOTH, "io")           \
    X(mla, pool, IN, READ, "io")         \
    X(mla, table, TABLE, READ, "table")  \
    X(mla, q_first, I64, SCALAR, 0)      \
    X(mla, ldq, I64, SCALAR, 0)          \
    X(mla, y_first, I64, SCALAR, 0)      \
    X(mla, ldy, I64, SCALAR, 0)          \
    X(mla, kv_first, I64, SCALAR, 0)     \
    X(mla, page_units, I64, SCALAR, 0)   \
    X(mla, rows, I32, SCALAR, 0)         \
    X(mla, heads, I32, SCALAR, 0)        \
    X(mla, nope, I32, SCALAR, 0)         \
    X(mla, rope, I32, SCALAR, 0)         \
    X(mla, v, I32, SCALAR, 0)            \
    X(mla, rank, I32, SCALAR, 0)         \
    X(mla, scale, F32, SCALAR, 0)        \
    X(mla, k_at, I32, SCALAR, 0)         \
    X(mla, k_type, I32, SCALAR, 0)       \
    X(mla, k_first, I32, SCALAR, 0)      \
    X(mla, k_stride, I32, SCALAR, 0)     \
    X(mla, k_transposed, I32, SCALAR, 0) \
    X(mla, v_at, I32, SCALAR, 0)         \
    X(mla, v_type, I32, SCALAR, 0)       \
    X(mla, v_first, I32, SCALAR, 0)      \
    X(mla, v_stride, I32, SCALAR, 0)     \
    X(mla, row_units, I32, SCALAR, 0)    \
    X(mla, a_type, I32, SCALAR, 0)       \
    X(mla, a_at, I32, SCALAR, 0)         \
    X(mla, a_scales, I32, SCALAR, 0)     \
    X(mla, b_type, I32, SCALAR, 0)       \
    LAST(mla, b_at, I32, SCALAR, 0)

#define HLS_GQA_ARGS(X, LAST)             \
    X(gqa, q, IN, READ, "io")             \
    X(gqa, y, OUT, BOTH, "io")            \
    X(gqa, pool, IN, READ, "io")          \
    X(gqa, table, TABLE, READ, "table")   \
    X(gqa, q_first, I64, SCALAR, 0)       \
    X(gqa, ldq, I64, SCALAR, 0)           \
    X(gqa, y_first, I64, SCALAR, 0)       \
    X(gqa, ldy, I64, SCALAR, 0)           \
    X(gqa, kv_first, I64, SCALAR, 0)      \
    X(gqa, page_units, I64, SCALAR, 0)    \
    X(gqa, rows, I32, SCALAR, 0)          \
    X(gqa, heads, I32, SCALAR, 0)         \
    X(gqa, kv_heads, I32, SCALAR, 0)      \
    X(gqa, kv_head_first, I32, SCALAR, 0) \
    X(gqa, head_dim, I32, SCALAR, 0)      \
    X(gqa, scale, F32, SCALAR, 0)         \
    X(gqa, row_units, I32, SCALAR, 0)     \
    X(gqa, a_type, I32, SCALAR, 0)        \
    X(gqa, a_at, I32, SCALAR, 0)          \
    X(gqa, a_scales, I32, SCALAR, 0)      \
    X(gqa, b_type, I32, SCALAR, 0)        \
    X(gqa, b_at, I32, SCALAR, 0)          \
    LAST(gqa, b_scales, I32, SCALAR, 0)

#define HLS_ROWWISE_ARGS(X, LAST)           \
    X(rowwise, a, IN, READ, "io")           \
    X(rowwise, b, IN, READ, "io")           \
    X(rowwise, y, OUT, BOTH, "io")          \
    X(rowwise, table, TABLE, READ, "table") \
    X(rowwise, a_first, I64, SCALAR, 0)     \
    X(rowwise, lda, I64, SCALAR, 0)         \
    X(rowwise, b_first, I64, SCALAR, 0)     \
    X(rowwise, ldb, I64, SCALAR, 0)         \
    X(rowwise, y_first, I64, SCALAR, 0)     \
    X(rowwise, ldy, I64, SCALAR, 0)         \
    X(rowwise, page_units, I64, SCALAR, 0)  \
    X(rowwise, op, I32, SCALAR, 0)          \
    X(rowwise, rows, I32, SCALAR, 0)        \
    X(rowwise, n, I32, SCALAR, 0)           \
    X(rowwise, n_b, I32, SCALAR, 0)         \
    X(rowwise, heads, I32, SCALAR, 0)       \
    X(rowwise, stride, I32, SCALAR, 0)      \
    X(rowwise, flag, I32, SCALAR, 0)        \
    X(rowwise, eps, F32, SCALAR, 0)         \
    X(rowwise, row_units, I32, SCALAR, 0)   \
    X(rowwise, a_type, I32, SCALAR, 0)      \
    X(rowwise, a_at, I32, SCALAR, 0)        \
    X(rowwise, a_scales, I32, SCALAR, 0)    \
    X(rowwise, b_type, I32, SCALAR, 0)      \
    X(rowwise, b_at, I32, SCALAR, 0)        \
    LAST(rowwise, b_scales, I32, SCALAR, 0)

/* Prototypes. */
#define HLS_TYPE_IN const hls_word *
#define HLS_TYPE_OUT hls_word *
#define HLS_TYPE_TABLE const int32_t *
#define HLS_TYPE_I32 int32_t
#define HLS_TYPE_I64 int64_t
#define HLS_TYPE_F32 float
#define HLS_PARAM(kernel, name, type, kind, bundle) HLS_TYPE_##type name,
#define HLS_LAST_PARAM(kernel, name, type, kind, bundle) HLS_TYPE_##type name

void HLS_KERNEL(fathom_matmul)(HLS_PORT_PARAMS HLS_MATMUL_ARGS(HLS_PARAM, HLS_LAST_PARAM));
void HLS_KERNEL(fathom_mla)(HLS_PORT_PARAMS HLS_MLA_ARGS(HLS_PARAM, HLS_LAST_PARAM));
void HLS_SHARED(fathom_gqa)(HLS_GQA_ARGS(HLS_PARAM, HLS_LAST_PARAM));
void HLS_SHARED(fathom_rowwise)(HLS_ROWWISE_ARGS(HLS_PARAM, HLS_LAST_PARAM));

#endif
