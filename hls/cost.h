/* What a launch costs, from the same constants that the pragmas state: the simulator's clock and the planner use nothing
 * else. Each function stands for one kernel, or an op of it; comments in the kernels say at the pragmas which line of cost.c describes them.
 *
 * A launch takes  max(cycles / clock, weight_bytes / weight rate, io_bytes / io rate) + bursts * read latency:  the streams of
 * weights, of activations and pages, and the pipelines overlap; `bursts` are those whose latency nothing hides. The rates are
 * those of the banks behind the ports (boards/). All numbers never fall when rows, outputs, inputs or context grow, and
 * cycles never grow when ports, port_bytes, rows or lanes_fp32 of the build are doubled. */
#ifndef HLS_COST_H
#define HLS_COST_H

#include <stdint.h>

#include "hls/layout.h"

/* The build's constants, those of fa_board_build. */
typedef struct hls_build {
    int32_t ports;      /* weight ports: 1, 2, 4, 8 or 16 */
    int32_t port_bytes; /* bytes a cycle of one port: 32 or 64 */
    int32_t rows; /* activation rows that share one pass over the weights: a power of two, at most HLS_PASS_ROWS */
    int32_t
        lanes_fp32; /* FP32 multiply-adds a cycle of a loop: 16 times a power of two; attention has two such loops at work */
} hls_build;

/* One launch on one compute unit. */
typedef struct hls_cost {
    double cycles; /* of the pipelines, fill and drain included, were memory infinitely fast */
    double
        weight_bytes; /* over all weight ports together, which take equal shares; a pass over the weights counts once */
    double io_bytes;  /* activations, tables and cache pages through the io port, read and written */
    double bursts;    /* first words that the pipeline waits for: starts, changes of direction, pages */
    double macs_fp8, macs_fp32;
} hls_cost;

/* Costs of launches one after the other on one unit. */
static inline hls_cost hls_cost_add(hls_cost a, hls_cost b) {
    return (hls_cost){a.cycles + b.cycles, a.weight_bytes + b.weight_bytes, a.io_bytes + b.io_bytes,
                      a.bursts + b.bursts, a.macs_fp8 + b.macs_fp8,         a.macs_fp32 + b.macs_fp32};
}

/* HLS_LINEAR of fathom_matmul: [rows, inputs] with a weight [outputs, inputs]. w8a8 counts for E4M3 alone. */
hls_cost hls_cost_matmul(const hls_build *b, hls_weight type, int w8a8, int64_t rows, int64_t outputs, int64_t inputs);

/* How often weights are streamed with how many rows: of[k] passes have k of them, k <= rows of the build. May be expectations. */
enum { HLS_PASS_ROWS = 64 };
typedef struct hls_passes {
    double of[HLS_PASS_ROWS + 1];
} hls_passes;

/* What a weight with so many rows takes. */
static inline hls_passes hls_passes_of(const hls_build *b, int64_t rows) {
    hls_passes p = {{0}};
    int64_t full = rows / b->rows;
    p.of[b->rows] = (double)full;
    if (rows % b->rows) p.of[rows % b->rows] += 1;
    return p;
}

/* HLS_GATED and HLS_ROUTED of fathom_matmul. types: of gate and up; `passes`: of all visited experts; rows: of y, that are cleared;
 * outputs, inputs: of each weight, as much as this unit has of it. */
hls_cost hls_cost_gated(const hls_build *b, const hls_weight types[2], int w8a8, const hls_passes *passes,
                        int64_t outputs, int64_t inputs);
hls_cost hls_cost_routed(const hls_build *b, hls_weight type, int w8a8, int64_t rows, const hls_passes *passes,
                         int64_t outputs, int64_t inputs);

/* fathom_mla for `rows` rows that see `context` cached positions each (a mean is exact up to whole pages). row_bytes: of one
 * cached position of one layer (fa_kv_layout.row_bytes). k_type, v_type: of the weights, which
 * lie as in kv_b (per head nope keys, then v values). */
hls_cost hls_cost_mla(const hls_build *b, hls_weight k_type, hls_weight v_type, int32_t row_bytes, int64_t rows,
                      double context, int64_t heads, int64_t nope, int64_t rope, int64_t v, int64_t rank);

/* fathom_gqa, likewise; row_bytes: of the kv heads of this launch. */
hls_cost hls_cost_gqa(const hls_build *b, int32_t row_bytes, int64_t rows, double context, int64_t heads,
                      int64_t kv_heads, int64_t head_dim);

/* fathom_rowwise: `rows` rows, of which each reads and writes `values` FP32 values in all (norm: x, weight, y; rope: table row
 * and the vectors twice; add: a, b, y; store: a, b and what is written). */
hls_cost hls_cost_rowwise(const hls_build *b, int64_t rows, int64_t values);

#endif
