/* What the host tells a kernel, read by both compilers: the one definition of every struct in the parameter buffer. All fields are
 * naturally aligned and every struct is a multiple of 8 bytes. `x`, `y`, ...: offsets in FP32 elements inside their buffers. */
#ifndef FATHOM_OPENCL_PARAMS_H
#define FATHOM_OPENCL_PARAMS_H

#ifdef __OPENCL_VERSION__
typedef int fcl_i32;
typedef long fcl_i64;
typedef float fcl_f32;
#else
#include <stdint.h>
typedef int32_t fcl_i32;
typedef int64_t fcl_i64;
typedef float fcl_f32;
#endif

enum {
    FCL_BLOCK = 128,                     /* elements that share a scale */
    FCL_TILE = 16,                       /* outputs of one work-item */
    FCL_TOGETHER = 4,                    /* activation rows that share a weight's decoding */
    FCL_ROWS = 64,                       /* activation rows of one work-item */
    FCL_GROUP = FCL_TILE * FCL_TOGETHER, /* work-items of a group, where groups make a tile */
    FCL_WINDOWS = 8,                     /* weight buffers that one launch may read */
    FCL_PARTS = 4,                       /* weights of one matmul */
    FCL_PAGE = 64,                       /* positions of a cache page */
    FCL_HEADS = 4,                       /* query heads that share decoded keys and values */
};

/* How a weight lies on the device. */
enum {
    FCL_F32 = 0,
    FCL_BF16,
    FCL_E4M3,
};

typedef struct fcl_weight {
    fcl_i64 data;                 /* byte offset inside its window */
    fcl_i64 scales;               /* E4M3: byte offset of [ceil(rows / 128), ceil(cols / 128)] FP32 */
    fcl_i32 window, scale_window; /* numbers of the launch's window arguments */
    fcl_i32 kind;
    fcl_i32 rows, cols;
    fcl_i32 codes; /* multiply by rules 1 and 2 */
} fcl_weight;

typedef struct fcl_part {
    fcl_weight w, bias; /* bias.rows == 0: none; FP32 */
    fcl_i64 y, ldy;
} fcl_part;

/* matmul: work-items [row chunks, tiles of all parts] */
typedef struct fcl_matmul {
    fcl_i64 x, ldx;
    fcl_i64 ldv, lds; /* quantised activations: values and scales a row */
    fcl_i32 rows, n_parts;
    fcl_part part[FCL_PARTS];
} fcl_matmul;

/* One active expert and its routes first .. last - 1. rows == 0: the device does not hold it, the host has computed its outputs. */
typedef struct fcl_expert {
    fcl_weight gate, up, down;
    fcl_i32 first, last;
} fcl_expert;

/* One row that takes part in an expert. */
typedef struct fcl_route {
    fcl_i32 row;
    fcl_f32 weight;
} fcl_route;

/* experts: offsets in bytes inside the parameter buffer for the two tables */
typedef struct fcl_experts {
    fcl_i64 x, ldx, y, ldy;
    fcl_i64 ldv, lds;            /* quantised x */
    fcl_i64 ld_inner, lds_inner; /* inner rows, one a route */
    fcl_i64 ld_given;            /* outputs by the host, one a route */
    fcl_i64 experts, routes;     /* [n_active] fcl_expert; fcl_route */
    fcl_i32 rows, hidden, inner, n_active;
} fcl_experts;

typedef struct fcl_quantise {
    fcl_i64 x, ldx, ldv, lds;
    fcl_i32 rows, n;
} fcl_quantise;

/* gate = silu(gate) * up over rows of an experts' inner buffer */
typedef struct fcl_gated {
    fcl_i64 ld;
    fcl_i32 rows, n;
} fcl_gated;

/* Which positions a row sees: 0 .. pos; `pages`: byte offset of its page numbers in the parameter buffer. */
typedef struct fcl_place {
    fcl_i64 pages;
    fcl_i32 pos, unused;
} fcl_place;

/* One part of a cached row; offsets in bytes. */
typedef struct fcl_kv_part {
    fcl_i32 kind, n, offset, scales;
} fcl_kv_part;

typedef struct fcl_kv {
    fcl_i64 layer_offset, page_bytes, row_bytes;
    fcl_kv_part a, b;
} fcl_kv;

/* store: work-items [rows, 2] */
typedef struct fcl_store {
    fcl_kv kv;
    fcl_i64 places; /* byte offset of fcl_place [rows] */
    fcl_i64 a, lda, b, ldb;
    fcl_i32 rows, unused;
} fcl_store;

/* gqa: work-items [head groups, kv_heads, rows]; mla's attend: [head groups, 1, rows] */
typedef struct fcl_attend {
    fcl_kv kv;
    fcl_i64 places;
    fcl_i64 q, ldq; /* gqa: queries; mla: where the rotary parts are */
    fcl_i64 y, ldy;
    fcl_i32 rows, heads, kv_heads, head_dim; /* mla: head_dim = rank, kv_heads = 1 */
    fcl_i32 nope, rope;                      /* mla only */
    fcl_f32 scale;
    fcl_i32 unused;
} fcl_attend;

/* mla's up-projections: absorb [chunks of 16 columns, heads, row groups], up [tiles of 16 outputs, heads, row chunks] */
typedef struct fcl_project {
    fcl_weight w;
    fcl_i64 first, stride;  /* rows of w that belong to head h begin at first + h * stride */
    fcl_i64 x, ldx, x_head; /* input vector of row t and head h at x + t * ldx + h * x_head */
    fcl_i64 y, ldy, y_head;
    fcl_i32 rows, heads, n_in, n_out;
} fcl_project;

typedef struct fcl_rmsnorm {
    fcl_i64 x, ldx, y, ldy;
    fcl_i64 index; /* byte offset of row numbers, or -1 */
    fcl_weight weight;
    fcl_i32 rows, n;
    fcl_f32 eps;
    fcl_i32 unused;
} fcl_rmsnorm;

typedef struct fcl_rope {
    fcl_i64 places, x, ldx, table;
    fcl_i32 rows, heads, stride, first, dims, interleaved;
} fcl_rope;

typedef struct fcl_add {
    fcl_i64 a, lda, b, ldb, y, ldy;
    fcl_i32 rows, n;
} fcl_add;

#endif
