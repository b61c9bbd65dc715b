/* What the loops that kernels share cost. Each function follows the loop it names: trips times initiation interval, a pipeline's
 * depth where it fills, the longer of two processes that run at the same time. Private to cost*.c. */
#ifndef HLS_COST_PARTS_H
#define HLS_COST_PARTS_H

#include <math.h>

#include "hls/build.h"
#include "hls/cost.h"

/* Cycles from a loop's first word in to its last result out: reading, decoding, products, the tree over 64 of them, conversion,
 * two multiplications and an addition in FP32 are about 60 at 300 MHz. One number for all loops. */
#define DEPTH 64.0
/* Starting a copy of a row: addresses, the first word of it from a buffer on chip. */
#define COPY 16.0

static inline double at_least(double a, double b) {
    return a > b ? a : b;
}

static inline double at_most(double a, double b) {
    return a < b ? a : b;
}

static inline double up(double n, double unit) {
    return ceil(n / unit);
}

static inline double word_cycles(const hls_build *b) { /* HLS_WORD_CYCLES */
    return 64.0 / b->port_bytes;
}

static inline double groups_of(const hls_build *b) { /* HLS_GROUPS */
    return b->lanes_fp32 / 16.0;
}

/* hls_copy, hls_load of n values: one word a cycle. */
static inline double copy_cycles(double n) {
    return COPY + up(n, 16);
}

/* hls_quantise_row: two loops over the words. */
static inline double quantise_cycles(double n) {
    return 2 * (8 * up(n, 128) + DEPTH);
}

/* hls_multiply_chunk: every column's 16 outputs for all parts of a word and all pairs of row and port, HLS_DOT_GROUPS a cycle. */
static inline double chunk_cycles(const hls_build *b, hls_weight type, double columns, double ports, double rows) {
    double groups = at_most(groups_of(b), (double)b->rows * b->ports);
    return columns * HLS_TILE * (64.0 / type / 16) * up(rows * ports, groups) + DEPTH;
}

/* One group of tiles, of which `ports` are multiplied: hls_multiply_codes takes a word of every port each word_cycles;
 * hls_multiply_ordered loads scales and the first chunk, then multiplies one chunk while it loads the next. */
static inline double group_cycles(const hls_build *b, hls_weight type, int quantised, double ports, double rows,
                                  int32_t inputs) {
    if (quantised) return hls_tile_words(type, inputs) * word_cycles(b);
    double columns = hls_row_words(type, inputs), chunk = HLS_CHUNK / HLS_TILE;
    double turns = up(rows * ports, at_most(groups_of(b), (double)b->rows * b->ports));
    double scales = hls_scale_words(type, inputs);
    double cycles = (2 * turns + 1) * HLS_TILE + 2 * DEPTH; /* hls_clear_partials, hls_put_group */
    if (scales > 0) cycles += scales * word_cycles(b) + DEPTH;
    cycles += at_most(columns, chunk) * HLS_TILE * word_cycles(b) + DEPTH;
    for (double c = 0; c < columns; c += chunk) {
        double now = at_most(columns - c, chunk), next = at_most(at_least(columns - c - chunk, 0), chunk);
        double load = next > 0 ? next * HLS_TILE * word_cycles(b) + DEPTH : 0;
        cycles += at_least(load, chunk_cycles(b, type, now, ports, rows));
    }
    return cycles;
}

/* A pass of at most HLS_ROWS rows over a weight. Its second process writes each group's outputs meanwhile: `copies` copies of
 * them a row. */
static inline double pass_cycles(const hls_build *b, hls_weight type, int quantised, double rows, int32_t outputs,
                                 int32_t inputs, double copies) {
    int32_t tiles = hls_tiles(outputs), whole = tiles / b->ports, rest = tiles % b->ports;
    double last = 0, cycles = 0;
    for (int part = 0; part < 2; part++) {
        double groups = part ? rest > 0 : whole, ports = part ? rest : b->ports;
        if (groups <= 0) continue;
        double multiply = group_cycles(b, type, quantised, ports, rows, inputs);
        last = HLS_TILE + rows * copies * (COPY + ports);
        cycles += groups * at_least(multiply, last);
    }
    return cycles + up(whole + (rest > 0), HLS_SLAB) * (DEPTH + last);
}

static inline double share_bytes(const hls_build *b, hls_weight type, int32_t outputs, int32_t inputs) {
    return 64.0 * b->ports * (double)hls_share_words(b->ports, type, outputs, inputs);
}

/* Waits for the first word in a pass: of each slab; ordered, of each group, for its scales and its first chunk. */
static inline double pass_bursts(const hls_build *b, hls_weight type, int quantised, int32_t outputs) {
    double groups = hls_port_tiles(b->ports, outputs);
    return quantised ? up(groups, HLS_SLAB) : groups * (type == HLS_E4M3 ? 2 : 1);
}

#endif
