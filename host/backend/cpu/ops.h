/* Private to the cpu backend: its state, the product of a weight tile with activation rows that all multiplying ops are made
 * of, and the ops. */
#ifndef FA_BACKEND_CPU_OPS_H
#define FA_BACKEND_CPU_OPS_H

#include "host/backend/backend.h"
#include "host/backend/cpu/kernels.h"
#include "host/backend/host_memory.h"
#include "host/base/memory.h"
#include "host/base/threads.h"

enum { CPU_ROWS = 64 }; /* activation rows that go through a weight tile together */

typedef struct fa_cpu {
    fa_host_backend host;
    fa_team *team;
    int threads;
    const fa_cpu_kernels *kernels;
    fa_limits limits;
    fa_memory scratch; /* everything below */
    /* quantised inputs: [max_rows, blocks of max_cols * 128] and [max_rows, blocks of max_cols] */
    float *x_values, *x_scales;
    /* inner rows of the experts, by route; values are overwritten by their quantised form */
    float *inner_values, *inner_scales;
    /* routes grouped by expert: see experts.c */
    int32_t *route_row, *expert_first, *expert_active;
    float *route_weight;
    /* [threads][thread_floats]: attention's pages and sums */
    float *thread_scratch;
    int64_t thread_floats;
} fa_cpu;

/* Activation rows as a weight multiplies them: FP32, or quantised when `scales` is set (rows of whole blocks). */
typedef struct cpu_input {
    const float *values;
    int64_t ld;
    const float *scales;
    int64_t ld_scales;
} cpu_input;

/* Row t of the FP32 values at `ref`. */
static inline float *cpu_row(fa_ref ref, int64_t t, int64_t ld) {
    float *first = (void *)((char *)ref.buffer->host + ref.offset);
    return first + t * ld;
}

static inline int64_t cpu_ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static inline int64_t cpu_min(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* True when rules 1 and 2 apply: the weight takes quantised rows. */
static inline bool cpu_takes_codes(fa_numerics numerics, const fa_weight *w) {
    return numerics == FA_W8A8 && w->type == FA_F8_E4M3;
}

/* product.c: out[t][r] = row rows[t] of `in` (t itself when rows is NULL) times weight row first + r, for r < n <=
 * CPU_TILE and t < n_rows <= CPU_ROWS; out is [n_rows][CPU_TILE]. A tile of codes lies inside one row of blocks.
 * `next`: what is read afterwards. */
void fa_cpu_product(const fa_cpu *c, const fa_weight *w, int64_t first, int n, const cpu_input *in, const int32_t *rows,
                    int n_rows, const void *next, float *out);

/* The rows of a weight, for `decode`. */
cpu_matrix fa_cpu_weight_matrix(const fa_weight *w);

/* Address of row r. */
const uint8_t *fa_cpu_weight_row(const fa_weight *w, int64_t r);

/* Quantises n_rows rows of n elements: values and scales as a cpu_input of `ld` and `ld_scales` has them. values may be x. */
void fa_cpu_quantise(const fa_cpu *c, const float *x, int64_t ldx, int64_t n_rows, int64_t n, float *values, int64_t ld,
                     float *scales, int64_t ld_scales);

/* Runs `work` over 0 .. n-1 on the team; `cost` is the work of one item in multiplications or so. Little work stays on
 * the caller's thread. */
void fa_cpu_run(const fa_cpu *c, int64_t n, int64_t cost, fa_work *work, void *ctx);

/* FA_EFORMAT when an E4M3 weight has a NaN code. */
fa_status fa_cpu_check_codes(const fa_cpu *c, const fa_weight *w, fa_error *e);

/* Floats of scratch that attention needs for each thread. */
int64_t fa_cpu_attention_floats(const fa_limits *limits);

void fa_cpu_matmul(const fa_cpu *c, const fa_matmul *m);
void fa_cpu_experts(const fa_cpu *c, const fa_experts *x);
void fa_cpu_mla(const fa_cpu *c, const fa_mla *m);
void fa_cpu_gqa(const fa_cpu *c, const fa_gqa *g);
void fa_cpu_rmsnorm(const fa_cpu *c, const fa_rmsnorm *r);
void fa_cpu_rope(const fa_cpu *c, const fa_rope *r);
void fa_cpu_add(const fa_cpu *c, const fa_add *a);
void fa_cpu_store(const fa_cpu *c, const fa_store *s);

#endif
