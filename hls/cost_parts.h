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
    return (1 + HLS_QUANTISE_CYCLES) * 8 * up(n, 128) + 2 * DEPTH;
}

/* HLS_DOT_MOST of a kernel that takes one in `share` groups. */
static inline double product_groups(const hls_build *b, int share) {
    return up(groups_of(b), share);
}

/* A pass over a weight. Its second process takes `copies` runs of a row's outputs of a group, and `word` cycles for each word. */
typedef struct pass_shape {
    hls_weight type;
    int quantised;
    double rows; /* at most HLS_ROWS */
    int32_t outputs, inputs;
    double copies, word;
    int share; /* HLS_DOT_SHARE of the kernel */
} pass_shape;

/* How often the groups of lanes take a pair of row and port, `ports` of them, HLS_DOT_GROUPS at a time. */
static inline double dot_turns(const hls_build *b, const pass_shape *p, double ports) {
    return up(p->rows * ports, at_most(product_groups(b, p->share), (double)b->rows * b->ports));
}

/* hls_load_chunk, then hls_multiply_chunk: every column's 16 outputs for all parts of a word and all pairs of row and port. */
static inline double chunk_cycles(const hls_build *b, const pass_shape *p, double columns, double ports) {
    return columns * HLS_TILE * (word_cycles(b) + 64.0 / p->type / 16 * dot_turns(b, p, ports)) + 2 * DEPTH;
}

/* One group of tiles, of which `ports` are multiplied: hls_multiply_codes takes a word of every port each word_cycles;
 * hls_multiply_ordered loads scales, then loads and multiplies chunk by chunk. */
static inline double group_cycles(const hls_build *b, const pass_shape *p, double ports) {
    if (p->quantised) return hls_tile_words(p->type, p->inputs) * word_cycles(b);
    double columns = hls_row_words(p->type, p->inputs), chunk = (double)HLS_CHUNK / HLS_TILE;
    double scales = hls_scale_words(p->type, p->inputs);
    double cycles = ((1 + HLS_TREE_CYCLES) * dot_turns(b, p, ports) + 1) * HLS_TILE +
                    2 * DEPTH; /* hls_clear_partials, hls_put_group */
    if (scales > 0) cycles += scales * word_cycles(b) + DEPTH;
    double whole = floor(columns / chunk), rest = columns - whole * chunk;
    if (rest > 0) cycles += chunk_cycles(b, p, rest, ports);
    return cycles + whole * chunk_cycles(b, p, chunk, ports);
}

/* All groups; the second process writes each while the next is multiplied. */
static inline double pass_cycles(const hls_build *b, const pass_shape *p) {
    int32_t tiles = hls_tiles(p->outputs), whole = tiles / b->ports, rest = tiles % b->ports;
    double last = 0, cycles = 0;
    for (int part = 0; part < 2; part++) {
        double groups = part ? rest > 0 : whole, ports = part ? rest : b->ports;
        if (groups <= 0) continue;
        last = HLS_TILE + p->rows * (p->copies * COPY + p->word * ports);
        cycles += groups * at_least(group_cycles(b, p, ports), last);
    }
    return cycles + up(whole + (rest > 0), HLS_SLAB) * (DEPTH + last);
}

static inline double share_bytes(const hls_build *b, const pass_shape *p) {
    return 64.0 * b->ports * (double)hls_share_words(b->ports, p->type, p->outputs, p->inputs);
}

/* Waits for the first word in a pass: of each slab; ordered, of each group's scales and each of its chunks. */
static inline double pass_bursts(const hls_build *b, const pass_shape *p) {
    double groups = hls_port_tiles(b->ports, p->outputs);
    double chunks = up(hls_row_words(p->type, p->inputs), (double)HLS_CHUNK / HLS_TILE);
    return p->quantised ? up(groups, HLS_SLAB) : groups * ((p->type == HLS_E4M3) + chunks);
}

#endif
