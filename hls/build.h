/* The constants of a build: set by the board file (v++ -D..., from fa_board_build), never seen in a result. Pragmas and cost.c
 * use these and nothing else. */
#ifndef HLS_BUILD_H
#define HLS_BUILD_H

#include "hls/word.h"

#ifndef HLS_PORTS
#define HLS_PORTS 4 /* weight ports: 1, 2, 4, 8 or 16 */
#endif
#ifndef HLS_PORT_BYTES
#define HLS_PORT_BYTES 64 /* bytes a cycle of a weight port: 32 or 64 */
#endif
#ifndef HLS_ROWS
#define HLS_ROWS 4 /* activation rows that share one pass over the weights, a power of two */
#endif
#ifndef HLS_LANES_FP32
#define HLS_LANES_FP32 64 /* FP32 multiply-adds a cycle, 16 times a power of two */
#endif

#define HLS_WORD_CYCLES (64 / HLS_PORT_BYTES) /* a word of every port takes so long */
#define HLS_GROUPS (HLS_LANES_FP32 / 16)      /* groups of 16 FP32 lanes: one ordered sum of 16 partials each */

/* One in so many of these groups multiplies weights in FP32, in kernels of their own: most of a model is codes, which take
 * no FP32 lane, while attention is all FP32. A head and a router are in BF16 or FP32: fathom_matmul has all. */
#define HLS_MATMUL_SHARE 1
#define HLS_MLA_SHARE 2

/* Groups for that in the kernel that defines HLS_DOT_SHARE, and those that an ordered product can keep busy: each works on a row
 * and a port of its own. */
#define HLS_DOT_MOST ((HLS_GROUPS + HLS_DOT_SHARE - 1) / HLS_DOT_SHARE)
#define HLS_DOT_GROUPS (HLS_DOT_MOST < HLS_ROWS * HLS_PORTS ? HLS_DOT_MOST : HLS_ROWS * HLS_PORTS)

/* How many pairs of row and port a group takes in turn, and its sums, one for each output of their tiles: each group has a
 * memory of its own for them, so that it is known which memory is meant. */
#define HLS_DOT_TURNS ((HLS_ROWS * HLS_PORTS + HLS_DOT_GROUPS - 1) / HLS_DOT_GROUPS)
#define HLS_DOT_SUMS (HLS_DOT_TURNS * HLS_TILE)

/* Words of a port that are loaded, then multiplied (ordered sums); whole columns of a tile. */
#define HLS_CHUNK 512

/* Bursts of a weight port that are on their way at the same time, and their words: 256 words, where a bank's latency times its rate
 * is about 60. The port's FIFO holds them all: a block RAM for every 36 bits of its width up to 512 words (boards/needs.c). */
#define HLS_READ_OUTSTANDING 16
#define HLS_READ_BURST 16

/* Groups of tiles whose results may wait to be written (one tile a port each). */
#define HLS_SLAB 32

/* Cycles of an FP32 addition at the clocks of the boards: the distance at which a sum may be continued. */
#define HLS_ADD_CYCLES 8

/* Between two words: of 16 silu, so that 2 dividers and 2 exponentials do; of sums weighted by a route; of biases; of quotients for
 * codes. */
#define HLS_SILU_CYCLES 8
#define HLS_ROUTE_CYCLES 4
#define HLS_BIAS_CYCLES 4
#define HLS_QUANTISE_CYCLES 2

/* Between two trees of 16 partial sums, so that groups share adders: of a weight's products, of scores, which end more often. */
#define HLS_TREE_CYCLES 4
#define HLS_SCORE_CYCLES 4

/* Between two words of fathom_rowwise. */
#define HLS_ROWWISE_CYCLES 2

/* Exponentials a cycle in attention: one for every 8 heads that are at work at the same time. */
#define HLS_EXP_UNITS ((HLS_GROUPS + 7) / 8)

/* Between two words of results that are divided by their sum of weights: so that 4 dividers do. */
#define HLS_END_CYCLES 4

/* Words of the largest row, as FP32 and as codes. */
#define HLS_ROW_WORDS (HLS_MAX_COLS / 16)
#define HLS_CODE_WORDS (HLS_MAX_COLS / 64)

/* Function names: on a board as written; on the host each build has its suffix, so that all live in one library. */
#ifdef HLS_SUFFIX
#define HLS_PASTE_(a, b) a##b
#define HLS_PASTE(a, b) HLS_PASTE_(a, b)
#define HLS_KERNEL(name) HLS_PASTE(name, HLS_SUFFIX)
#else
#define HLS_KERNEL(name) name
#endif
#ifdef HLS_SHARED_SUFFIX /* of kernels without weight ports, which all builds of a library share */
#define HLS_SHARED(name) HLS_PASTE(name, HLS_SHARED_SUFFIX)
#else
#define HLS_SHARED(name) name
#endif

/* On the host the innermost loops exist for wider instruction sets too; the bits are the same. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SYNTHESIS__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(HLS_CHECK)
#define HLS_LANES __attribute__((target_clones("default", "avx2", "arch=skylake-avx512")))
#else
#define HLS_LANES
#endif

/* The weight ports as parameters, as arguments, and one after the other. */
#if HLS_PORTS == 1
#define HLS_EACH_PORT(X) X(0)
#define HLS_PORT_ARGS w0
#elif HLS_PORTS == 2
#define HLS_EACH_PORT(X) X(0) X(1)
#define HLS_PORT_ARGS w0, w1
#elif HLS_PORTS == 4
#define HLS_EACH_PORT(X) X(0) X(1) X(2) X(3)
#define HLS_PORT_ARGS w0, w1, w2, w3
#elif HLS_PORTS == 8
#define HLS_EACH_PORT(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define HLS_PORT_ARGS w0, w1, w2, w3, w4, w5, w6, w7
#elif HLS_PORTS == 16
#define HLS_EACH_PORT(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define HLS_PORT_ARGS w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15
#else
#error "HLS_PORTS is 1, 2, 4, 8 or 16"
#endif
/* Weight port p of a kernel: a bundle of its own, several bursts on their way. */
#define HLS_PRAGMA_(text) _Pragma(#text)
#define HLS_PRAGMA(text) HLS_PRAGMA_(text)
#define HLS_PORT_INTERFACE(p)                                                                      \
    HLS_PRAGMA(HLS INTERFACE m_axi port = w##p bundle = w##p offset = slave num_read_outstanding = \
                   HLS_READ_OUTSTANDING max_read_burst_length = HLS_READ_BURST)

#define HLS_PORT_PARAM(p) const hls_word *w##p,
#define HLS_PORT_PARAMS HLS_EACH_PORT(HLS_PORT_PARAM) /* ends with a comma */

#endif
