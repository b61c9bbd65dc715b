/* How a weight matrix [outputs, inputs] lies over the weight ports of a compute unit.
 *
 * 16 consecutive outputs are a tile; tile t belongs to port t % ports and is the (t / ports)-th of that port, so all ports
 * stream the same number of bytes at the same time. A tile is one burst:
 *
 *   E4M3 only: the FP32 scales of its blocks [ceil(inputs / 128)], zero-filled to whole words
 *   word 0 of output 0 | word 0 of output 1 | ... | word 0 of output 15 | word 1 of output 0 | ...
 *
 * A word is 64 bytes of one output: 64 codes, 32 BF16 or 16 FP32 values of consecutive inputs (word.h says where in it).
 * Consecutive words belong to different outputs, so that an adder of up to 16 cycles latency takes a new word every cycle. An output's row is padded with
 * zeros to whole words (codes: to whole blocks of 128), the last tile to 16 outputs, the shares of all ports to one size: a
 * weight starts at the same word `at` behind the base pointer of every port. The block row of a tile's scales is one, because
 * 16 divides 128. Zeros change no sum: a partial sum that starts at +0 is never -0.
 *
 * Plain C for kernels and host alike. */
#ifndef HLS_LAYOUT_H
#define HLS_LAYOUT_H

#include <stdint.h>

#include "hls/word.h"

enum { HLS_TILE = 16 };

/* What a port streams; the value is the bytes of an element. Every type that is neither E4M3 nor BF16 is decoded to FP32
 * when it is uploaded. */
typedef enum hls_weight { HLS_E4M3 = 1, HLS_BF16 = 2, HLS_F32 = 4 } hls_weight;

/* Elements of a word. */
static inline int32_t hls_word_elements(int32_t type) {
    return 64 / type;
}

static inline int32_t hls_blocks(int32_t inputs) {
    return (inputs + HLS_BLOCK - 1) / HLS_BLOCK;
}

/* Words of one output. */
static inline int32_t hls_row_words(int32_t type, int32_t inputs) {
    return type == HLS_E4M3 ? 2 * hls_blocks(inputs) : (inputs * type + 63) / 64;
}

/* Words of the scales before a tile. */
static inline int32_t hls_scale_words(int32_t type, int32_t inputs) {
    return type == HLS_E4M3 ? (hls_blocks(inputs) + 15) / 16 : 0;
}

static inline int32_t hls_tile_words(int32_t type, int32_t inputs) {
    return hls_scale_words(type, inputs) + HLS_TILE * hls_row_words(type, inputs);
}

static inline int32_t hls_tiles(int32_t outputs) {
    return (outputs + HLS_TILE - 1) / HLS_TILE;
}

/* Tiles of each port's share. */
static inline int32_t hls_port_tiles(int32_t ports, int32_t outputs) {
    return (hls_tiles(outputs) + ports - 1) / ports;
}

/* Words of each port's share. */
static inline int64_t hls_share_words(int32_t ports, int32_t type, int32_t outputs, int32_t inputs) {
    return (int64_t)hls_port_tiles(ports, outputs) * hls_tile_words(type, inputs);
}

static inline int32_t hls_port_of(int32_t ports, int32_t output) {
    return output / HLS_TILE % ports;
}

/* The first word of the tile of `output` in its port's share. */
static inline int64_t hls_tile_at(int32_t ports, int32_t type, int32_t output, int32_t inputs) {
    return (int64_t)(output / HLS_TILE / ports) * hls_tile_words(type, inputs);
}

/* Word `c` (0 .. hls_row_words - 1) of an output in its port's share. */
static inline int64_t hls_word_at(int32_t ports, int32_t type, int32_t output, int32_t inputs, int32_t c) {
    return hls_tile_at(ports, type, output, inputs) + hls_scale_words(type, inputs) + (int64_t)c * HLS_TILE +
           output % HLS_TILE;
}

/* Packs one output on the host: `row` is [inputs] codes, BF16 bits or FP32 values, `share` the start of this weight in each
 * port's memory (or in a copy of it): [ports] pointers to hls_share_words words, zero before the first output is packed.
 * `scales` are the [ceil(inputs / 128)] block scales of the output's block row, for E4M3 only. */
void hls_pack_output(int32_t ports, hls_weight type, int32_t output, int32_t inputs, const void *row,
                     const float *scales, hls_word *const *share);

#endif
