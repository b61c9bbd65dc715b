/* fathom_matmul: see kernels.h. Rows go in batches of HLS_ROWS that share a pass over the weight. */
#define HLS_DOT_SHARE HLS_MATMUL_SHARE
#include "hls/args.h"
#include "hls/kernels.h"
#include "hls/pass.h"

/* Adds the biases of 16 outputs of each port. */
static void add_bias(const hls_word bias[HLS_PORTS], hls_word row[HLS_PORTS]) {
#pragma HLS INLINE
    for (int p = 0; p < HLS_PORTS; p++) {
#pragma HLS PIPELINE II = HLS_BIAS_CYCLES
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            float sum = hls_float(row[p].lane[lane]) + hls_float(bias[p].lane[lane]);
            row[p].lane[lane] = hls_bits(sum);
        }
    }
}

/* The second process: outputs [n0, outputs) of the rows that begin at y_first. cost.c: write_cycles. */
static void write_rows(HLS_STREAM_PARAM(hls_result, results, HLS_RESULTS), int32_t groups, int32_t n0, int32_t outputs,
                       int32_t rows, const hls_word *bias, int64_t bias_first, int32_t has_bias, hls_word *y,
                       int64_t y_first, int64_t ldy) {
#pragma HLS INLINE off
    for (int32_t group = 0; group < groups; group++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_SLAB
        hls_word tile[HLS_ROWS][HLS_PORTS], added[HLS_PORTS];
#pragma HLS AGGREGATE variable = added
#pragma HLS AGGREGATE variable = tile
#pragma HLS ARRAY_PARTITION variable = tile complete dim = 1
#pragma HLS ARRAY_PARTITION variable = tile complete dim = 2
        int32_t n = n0 + group * HLS_GROUP_OUTPUTS, left = outputs - n;
        int32_t count = left < HLS_GROUP_OUTPUTS ? left : HLS_GROUP_OUTPUTS;
        hls_get_group(HLS_STREAM_PASS_ON(results), group, tile);
        if (count <= 0) continue; /* the last group of a share may be padding */
        if (has_bias) hls_load(added, HLS_PORTS, bias, bias_first + n, count);
        for (int32_t r = 0; r < rows; r++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROWS
            if (has_bias) add_bias(added, tile[r]);
            hls_copy(y, y_first + r * ldy + n, tile[r], 0, count);
        }
    }
}

/* HLS_SLAB groups of tiles: multiplying and writing run at the same time. */
static void multiply_slab(HLS_PORT_PARAMS int64_t at, int32_t type, int32_t quantised, int32_t groups, int32_t n0,
                          int32_t outputs, int32_t inputs, int32_t rows, const hls_word x[HLS_ROWS][HLS_ROW_WORDS],
                          const hls_word codes[HLS_ROWS][HLS_CODE_WORDS], const float scales[HLS_ROWS][HLS_MAX_BLOCKS],
                          const hls_word *bias, int64_t bias_first, int32_t has_bias, hls_word *y, int64_t y_first,
                          int64_t ldy) {
#pragma HLS DATAFLOW
    HLS_STREAM(hls_result, results, HLS_RESULTS);
#pragma HLS AGGREGATE variable = results
#pragma HLS STREAM variable = results depth = HLS_RESULTS
    hls_multiply(HLS_PORT_ARGS, at, type, quantised, groups, hls_tiles(outputs - n0), inputs, rows, x, codes, scales,
                 HLS_STREAM_PASS(results));
    write_rows(HLS_STREAM_PASS(results), groups, n0, outputs, rows, bias, bias_first, has_bias, y, y_first, ldy);
    HLS_STREAM_END(results);
}

void HLS_KERNEL(fathom_matmul)(HLS_PORT_PARAMS const hls_word *x, const hls_word *bias, hls_word *y, int64_t x_first,
                               int64_t ldx, int64_t y_first, int64_t ldy, int64_t bias_first, int32_t rows,
                               int32_t outputs, int32_t inputs, int32_t at, int32_t type, int32_t w8a8,
                               int32_t has_bias) {
    HLS_EACH_PORT(HLS_PORT_INTERFACE)
#pragma HLS INTERFACE m_axi port = x bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = bias bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = y bundle = io offset = slave
#pragma HLS INTERFACE s_axilite port = return
    hls_word row[HLS_ROWS][HLS_ROW_WORDS], codes[HLS_ROWS][HLS_CODE_WORDS];
#pragma HLS AGGREGATE variable = codes
#pragma HLS AGGREGATE variable = row
    float scales[HLS_ROWS][HLS_MAX_BLOCKS];
#pragma HLS ARRAY_PARTITION variable = row complete dim = 1
#pragma HLS ARRAY_PARTITION variable = codes complete dim = 1
#pragma HLS ARRAY_PARTITION variable = scales complete dim = 1
#pragma HLS BIND_STORAGE variable = row type = ram_2p impl = uram
    const int32_t quantised = w8a8 && type == HLS_E4M3, all = hls_port_tiles(HLS_PORTS, outputs);
    for (int32_t t = 0; t < rows; t += HLS_ROWS) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
        int32_t some = rows - t < HLS_ROWS ? rows - t : HLS_ROWS;
        for (int32_t r = 0; r < some; r++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROWS
            hls_load(row[r], 8 * hls_blocks(inputs), x, x_first + (t + r) * ldx, inputs);
            if (quantised) hls_quantise_row(row[r], inputs, codes[r], scales[r]);
        }
        for (int32_t group = 0; group < all; group += HLS_SLAB) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
            int32_t groups = all - group < HLS_SLAB ? all - group : HLS_SLAB;
            multiply_slab(HLS_PORT_ARGS, at + (int64_t)group * hls_tile_words(type, inputs), type, quantised, groups,
                          group * HLS_GROUP_OUTPUTS, outputs, inputs, some, row, codes, scales, bias, bias_first,
                          has_bias, y, y_first + t * ldy, ldy);
        }
    }
}
