/* The contract of all backends: the ops, their shapes, and what their results are, bit for bit (docs/numerics.md; the
 * scalar definition of each op is in reference.c and scalar.h).
 *
 * Life: open -> reserve(limits) -> weight() for each weight -> alloc buffers -> submit/wait ... -> close.
 * Ops of one submission run as if in order; an op sees the results of those before it. Nothing allocates after reserve.
 * All matrices are row-major. T = rows (token positions) of the step; `ld*` are row strides in elements. */
#ifndef FA_BACKEND_BACKEND_H
#define FA_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/backend/kv.h"
#include "host/base/status.h"
#include "host/base/threads.h"
#include "host/format/dtype.h"

/* How FP8 weights multiply. Tensors of other types always use the ordered sum, whatever the mode. */
typedef enum fa_numerics {
    FA_W8A8 = 0, /* activations quantised in 1x128 blocks, integer block sums (rules 1, 2) */
    FA_W8A16,    /* activations left in FP32, weight = code * scale rounded once, ordered sum (rule 3) */
    FA_NUMERICS_COUNT
} fa_numerics;

/* Memory that a backend owns. `host` is its address where the host can see it, else NULL. */
typedef struct fa_buffer {
    size_t bytes;
    void *host;
    void *device; /* the backend's own handle */
} fa_buffer;

/* FP32 values inside a buffer (or cache pages, for fa_kv). offset in bytes, a multiple of 4. */
typedef struct fa_ref {
    fa_buffer *buffer;
    size_t offset;
} fa_ref;

/* What ops do with a weight. Backends of several units place it by this; results are the same whatever it says. */
typedef enum fa_weight_use {
    FA_USE_MATMUL = 0, /* any op but experts */
    FA_USE_EXPERT,     /* gate, up or down of fa_weight.expert; the three should lie together */
    FA_USE_HOST,       /* none: the host reads it (an embedding) */
} fa_weight_use;

/* A weight: a view into the model's files, plus the backend's handle. Vectors (norms, biases) have rows == 1. */
typedef struct fa_weight {
    const char *name;
    fa_dtype type;
    int64_t rows, cols; /* outputs, inputs */
    const void *data;   /* [rows, cols]; plain types aligned to their size, GGUF blocks at any address */
    const float *scale; /* FP8: [ceil(rows / 128), ceil(cols / 128)], else NULL */
    void *device;       /* set by fa_backend.weight */
    const char
        *file;   /* the mapped file that `data` lies in, or NULL; weights with the same pointer lie in the same map */
    float share; /* of the tokens that are multiplied with it: 1, less for a routed expert, 0: none (a table) */
    fa_weight_use use;
    int32_t expert; /* its number in its layer; a dense MLP's: any */
    int32_t layer;  /* that it belongs to; -1: none */
    bool routed;    /* an expert that the router chooses, not a dense MLP or a shared one */
} fa_weight;

/* y_p[t, :] = x[t, :] . W_p^T (+ bias_p), for up to 4 weights that share x. */
enum { FA_MATMUL_PARTS = 4 };
typedef struct fa_matmul {
    fa_numerics numerics;
    int64_t rows; /* T */
    fa_ref x;     /* [T, K], K = cols of every part's weight */
    int64_t ldx;
    int n_parts;
    struct fa_matmul_part {
        const fa_weight *w;    /* [N, K] */
        const fa_weight *bias; /* [N] or NULL; added last, one rounding */
        fa_ref y;              /* [T, N] */
        int64_t ldy;
    } part[FA_MATMUL_PARTS];
} fa_matmul;

typedef struct fa_expert {
    fa_weight gate, up; /* [I, hidden] */
    fa_weight down;     /* [hidden, I] */
} fa_expert;

/* y[t] = sum over the routes k of row t, in order: weight[t, k] * down(silu(gate(x[t])) * up(x[t])).
 * acc starts at +0; each product with the route weight and each addition is one rounding. The inner row is requantised in
 * w8a8. A dense MLP or a shared expert is the case ids == NULL: every row takes expert 0 with weight 1. */
typedef struct fa_experts {
    fa_numerics numerics;
    int64_t rows;
    int64_t hidden, inner; /* of every expert here */
    fa_ref x;              /* [T, hidden] */
    int64_t ldx;
    fa_ref y; /* [T, hidden]; must not overlap x */
    int64_t ldy;
    int n_experts;
    const fa_expert *experts; /* [n_experts] */
    int top_k;
    const int32_t *ids;   /* [T, top_k] rising within a row (so the sum's order is by expert); -1 ends a row early */
    const float *weights; /* [T, top_k] */
} fa_experts;

/* The cache of one layer. */
typedef struct fa_kv {
    fa_buffer *pool; /* pages of page_bytes each */
    const fa_kv_layout *layout;
    int32_t layer; /* rows of this layer start at page * page_bytes + layer * layer_bytes */
} fa_kv;

/* Which positions a row of a step sees: 0 .. pos, position p in page pages[p / 64], row p % 64. */
typedef struct fa_place {
    int32_t pos;
    const int32_t *pages; /* [pos / 64 + 1] page numbers in the pool */
} fa_place;

/* Multi-head latent attention in the absorbed form (rule 7). For row t, head h, with the rows of kv_b that belong to h:
 *   q_lat[i]  = ordered sum over d of q_nope[d] * W_k[d, i]          (i < rank, d < nope; element d to partial d mod 16)
 *   s_j       = ordered sum over i of [q_lat | q_rope][i] * [latent_j | rope_j][i], times scale
 *   o_lat     = online softmax over pages of 64 positions (rule 4)
 *   y[e]      = ordered sum over i of W_v[e, i] * o_lat[i]           (e < v)
 * W values are FP32 (FP8: code * scale, one rounding). W_k of head h: row k_first + h * k_stride + d of `k_up`; with
 * k_transposed (GGUF's attn_k_b) row k_first + h * k_stride + i holds W_k[:, i] and element d of it is used.
 * W_v of head h: row v_first + h * v_stride + e of `v_up`. */
typedef struct fa_mla {
    int64_t rows;
    const fa_place *place; /* [T] */
    int32_t heads, nope, rope, v, rank;
    float scale; /* of the scores */
    fa_ref q;    /* [T, heads * (nope + rope)], each head nope then rope (already rotated) */
    int64_t ldq;
    const fa_weight *k_up, *v_up; /* may be the same weight (kv_b) */
    int64_t k_first, k_stride, v_first, v_stride;
    bool k_transposed;
    fa_kv kv;
    fa_ref y; /* [T, heads * v] */
    int64_t ldy;
} fa_mla;

/* Grouped-query attention: query head h reads key/value head h / (heads / kv_heads). Scores, softmax and values as in
 * fa_mla, over head_dim elements: s_j = ordered sum of q * k_j, times scale. */
typedef struct fa_gqa {
    int64_t rows;
    const fa_place *place;
    int32_t heads, kv_heads, head_dim;
    float scale;
    fa_ref q; /* [T, heads * head_dim] */
    int64_t ldq;
    fa_kv kv;
    fa_ref y; /* [T, heads * head_dim] */
    int64_t ldy;
} fa_gqa;

/* y[t, i] = weight[i] * (x[r, i] * inv), inv = 1 / sqrt(ordered_sum(x * x) / n + eps), r = index ? index[t] : t. */
typedef struct fa_rmsnorm {
    int64_t rows, n;
    fa_ref x;
    int64_t ldx;
    const int32_t *index; /* [T] or NULL */
    const fa_weight *weight;
    float eps;
    fa_ref y; /* may be x when index is NULL */
    int64_t ldy;
} fa_rmsnorm;

/* Rotates `dims` elements of each of `heads` vectors, in place. Head h of row t starts at x[t, first + h * stride].
 * Pair i of dims / 2 is (2i, 2i + 1) when interleaved, else (i, i + dims / 2):
 *   u' = u * cos - v * sin,  v' = v * cos + u * sin     (each multiply and each add one rounding)
 * table row p: cos [dims / 2] then sin [dims / 2] of position p, FP32. */
typedef struct fa_rope {
    int64_t rows;
    const fa_place *place; /* [T], only pos is used */
    fa_ref x;
    int64_t ldx;
    int32_t heads, stride, first, dims;
    bool interleaved;
    fa_ref table; /* [positions, dims] */
} fa_rope;

/* y[t, i] = a[t, i] + b[t, i]; y may be a or b. */
typedef struct fa_add {
    int64_t rows, n;
    fa_ref a, b, y;
    int64_t lda, ldb, ldy;
} fa_add;

/* Writes row t's `a` and `b` parts into the cache at its place (page pages[pos / 64], row pos % 64). No two rows of an op
 * have the same place. */
typedef struct fa_store {
    int64_t rows;
    const fa_place *place;
    fa_ref a, b; /* [T, layout->a.n], [T, layout->b.n] */
    int64_t lda, ldb;
    fa_kv kv;
} fa_store;

typedef enum fa_op_kind {
    FA_OP_MATMUL = 0,
    FA_OP_EXPERTS,
    FA_OP_MLA,
    FA_OP_GQA,
    FA_OP_RMSNORM,
    FA_OP_ROPE,
    FA_OP_ADD,
    FA_OP_STORE,
    FA_OP_COUNT
} fa_op_kind;

typedef struct fa_op {
    fa_op_kind kind;
    union {
        fa_matmul matmul;
        fa_experts experts;
        fa_mla mla;
        fa_gqa gqa;
        fa_rmsnorm rmsnorm;
        fa_rope rope;
        fa_add add;
        fa_store store;
    };
} fa_op;

/* The largest step that will be submitted; a backend sizes its scratch memory from it, once. */
typedef struct fa_limits {
    int64_t max_rows;  /* T */
    int64_t max_cols;  /* K of any matmul, hidden and inner of experts */
    int64_t max_inner; /* inner of experts */
    int32_t max_top_k; /* routes of a row */
    int32_t max_experts;
    int32_t max_heads;     /* query heads */
    int32_t max_rank;      /* the largest of kv_lora_rank, nope, rope and v of an mla, or head_dim of a gqa */
    int32_t max_positions; /* context length */
} fa_limits;

typedef struct fa_ticket {
    uint64_t number;
} fa_ticket;

/* Whom to tell how far a long call is; report may be NULL. */
typedef struct fa_progress {
    void (*report)(void *ctx, int64_t done, int64_t total);
    void *ctx;
} fa_progress;

/* What a board did since opening, by its clock (a simulated one's is modelled). */
typedef struct fa_backend_use {
    const char *board; /* its name */
    bool simulated;
    double seconds, joules, unit_cycles; /* cycles in which a compute unit worked, summed over units */
    double bank_bytes;                   /* that kernels read and wrote */
    double to_card, from_card;           /* bytes over the host link */
    int64_t launches, transfers;
    int64_t card_used, card_bytes; /* memory now */
} fa_backend_use;

typedef struct fa_backend fa_backend;
struct fa_backend {
    const char *name; /* "reference", "cpu", ... */
    char detail[160]; /* what it runs on: "avx512, 2 threads" */
    const char *lost; /* NULL; else what happened to the device whose work `cpu` does since recover was called */

    /* Takes scratch memory for steps within `limits`. Called once, before the first submit. */
    fa_status (*reserve)(fa_backend *b, const fa_limits *limits, fa_error *e);
    /* Takes a weight, whose data stay where they are until close: checks that it can multiply the type (FA_EUNSUPPORTED) and
     * that no FP8 code or scale is a NaN or infinite (FA_EFORMAT), both by name; uploads where it must. */
    fa_status (*weight)(fa_backend *b, fa_weight *w, fa_error *e);
    /* Optional: called after the last weight. A backend with memory of its own decides here what it holds, copies it and reports
     * bytes done and in all. Without this call it happens with the first submission. */
    fa_status (*settle)(fa_backend *b, const fa_progress *progress, fa_error *e);
    /* Zeroed buffers; freed by `free`, all of them before close. */
    fa_status (*alloc)(fa_backend *b, size_t bytes, fa_buffer **out, fa_error *e);
    void (*free)(fa_backend *b, fa_buffer *buffer);
    /* Copies between host memory and a buffer; called with no submission in flight. */
    fa_status (*write)(fa_backend *b, fa_buffer *to, size_t offset, const void *from, size_t bytes, fa_error *e);
    fa_status (*read)(fa_backend *b, const fa_buffer *from, size_t offset, void *to, size_t bytes, fa_error *e);
    /* Starts `n` ops. The arrays that ops point to stay unchanged until wait returns. */
    fa_status (*submit)(fa_backend *b, const fa_op *ops, int n, fa_ticket *ticket, fa_error *e);
    fa_status (*wait)(fa_backend *b, fa_ticket ticket, fa_error *e);
    /* After FA_EDEVICE, which submit, wait, read and write go on returning: makes the device, or `lost`, work again. Weights are as they
     * were given, buffers as they were but for what the failed submission or transfer writes; with *memory_lost buffers are
     * zero. FA_EDEVICE: it stays lost. NULL where nothing can fail. */
    fa_status (*recover)(fa_backend *b, bool *memory_lost, fa_error *e);
    /* False (or NULL) where there is no board. */
    bool (*used)(const fa_backend *b, fa_backend_use *use);
    /* Writes a Chrome trace-event file of what the board did; asked for by fa_backend_options.timeline. NULL: no board. */
    fa_status (*timeline)(fa_backend *b, const char *path, fa_error *e);
    /* Scratch and buffer memory held now. */
    size_t (*bytes)(const fa_backend *b);
    void (*close)(fa_backend *b);
};

#define FA_DEFAULT_BOARD "u55c"

typedef struct fa_backend_options {
    const char *
        name; /* "auto", "cpu", "opencl", "opencl:PLATFORM.DEVICE", "reference", "sim", "sim:BOARD", "xrt:CARD", "xrt:emu", "xrt:emu:BOARD", "xrt:hw_emu..", "xrt-opencl:.." */
    int threads;           /* 0: all */
    int node;              /* NUMA node, FA_NODE_INTERLEAVE for all */
    const char *board;     /* for "sim", "xrt": a name of boards/ or a .board file; NULL: FA_DEFAULT_BOARD */
    const char *xclbin;    /* for "xrt:CARD": the image's file */
    bool timeline;         /* keep what fa_backend.timeline writes */
    const char *placement; /* a file that spreads a model over several boards (boards/placement.h), or NULL */
} fa_backend_options;

/* FA_EINVAL, with both, when `b` has a placement that was made for a model of another shape (host/model/shape.h), or for fewer layers or
 * another number of experts. */
fa_status fa_backend_check_model(const fa_backend *b, uint64_t shape, int32_t layers, int32_t experts, fa_error *e);

/* Opens a backend by name. FA_EINVAL lists the known names. The caller calls close. */
fa_status fa_backend_open(fa_backend **out, const fa_backend_options *options, fa_error *e);

/* Checks an op against the contract before a backend runs it: shapes, strides, references inside their buffers, overlap,
 * ids, pages; FA_EINVAL names the op and the field. An op of 0 rows is valid and does nothing. */
fa_status fa_op_check(const fa_op *op, fa_error *e);

/* Checks an op that passed fa_op_check against what was reserved; FA_ELIMIT names the op and the field. */
fa_status fa_limits_check(const fa_op *op, const fa_limits *limits, fa_error *e);

/* Checks a weight for fa_backend.weight: FA_EUNSUPPORTED when its type is not one that ops multiply (F32, F16, BF16, FP8
 * with scales, the GGUF blocks), FA_EINVAL for an impossible shape, FA_EFORMAT for a scale or E5M2 code that is no finite
 * number; all name the weight. NaN codes of E4M3, of which there may be gigabytes, are left to the backend. */
fa_status fa_weight_check(const fa_weight *w, fa_error *e);

/* "matmul", "experts", ...; never NULL. */
const char *fa_op_name(fa_op_kind k);

#endif
