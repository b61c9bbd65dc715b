/* fathom_matmul: see kernels.h. Every product with a weight but those of latent attention, on one set of lanes: a matmul, an
 * expert's gate and up, its down. Rows go in batches of HLS_ROWS that share a pass over a weight. */
#define HLS_DOT_SHARE HLS_MATMUL_SHARE
#include "hls/args.h"
#include "hls/kernels.h"
#include "hls/pass.h"

/* A row of a batch: which row of x, which row of y, the weight of its route. */
typedef struct batch_row {
    int32_t from, to;
    float weight;
} batch_row;

/* What is done with what a pass gives: it is y; it is gate, and stays on chip; it is up, and silu(gate) * up is y; weighted, it is
 * added to y. */
typedef enum result_use { USE_WRITE, USE_GATE, USE_UP, USE_ADD } result_use;

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

static void keep_gate(const hls_word row[HLS_PORTS], int32_t first, hls_word gate[HLS_ROW_WORDS]) {
#pragma HLS INLINE
    for (int p = 0; p < HLS_PORTS; p++) {
#pragma HLS PIPELINE II = 1
        gate[first + p] = row[p];
    }
}

/* row = silu(gate) * row, for words first .. of gate. */
static void gate_row(const hls_word gate[HLS_ROW_WORDS], int32_t first, hls_word row[HLS_PORTS]) {
#pragma HLS INLINE
    for (int p = 0; p < HLS_PORTS; p++) {
#pragma HLS PIPELINE II = HLS_SILU_CYCLES
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            float product = hls_silu(hls_float(gate[first + p].lane[lane])) * hls_float(row[p].lane[lane]);
            row[p].lane[lane] = hls_bits(product);
        }
    }
}

/* row = sum + weight * row. */
static void add_route(const hls_word sum[HLS_PORTS], float weight, hls_word row[HLS_PORTS]) {
#pragma HLS INLINE
    for (int p = 0; p < HLS_PORTS; p++) {
#pragma HLS PIPELINE II = HLS_ROUTE_CYCLES
        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
            float weighted = weight * hls_float(row[p].lane[lane]);
            float after = hls_float(sum[p].lane[lane]) + weighted;
            row[p].lane[lane] = hls_bits(after);
        }
    }
}

/* The second process: outputs [n0, outputs) of the rows of a batch. cost.c: the uses of pass_shape. */
static void take_results(HLS_STREAM_PARAM(hls_result, results, HLS_RESULTS), result_use use, int32_t groups, int32_t n0,
                         int32_t outputs, int32_t rows, const batch_row row[HLS_ROWS],
                         hls_word gate[HLS_ROWS][HLS_ROW_WORDS], const hls_word *bias, int64_t bias_first,
                         int32_t has_bias, hls_word *y, int64_t y_first, int64_t ldy) {
#pragma HLS INLINE off
    for (int32_t group = 0; group < groups; group++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_SLAB
        hls_word tile[HLS_ROWS][HLS_PORTS], other[HLS_PORTS];
#pragma HLS AGGREGATE variable = other
#pragma HLS AGGREGATE variable = tile
#pragma HLS ARRAY_PARTITION variable = tile complete dim = 1
#pragma HLS ARRAY_PARTITION variable = tile complete dim = 2
        int32_t n = n0 + group * HLS_GROUP_OUTPUTS, left = outputs - n;
        int32_t count = left < HLS_GROUP_OUTPUTS ? left : HLS_GROUP_OUTPUTS;
        hls_get_group(HLS_STREAM_PASS_ON(results), group, tile);
        if (count <= 0) continue; /* the last group of a share may be padding */
        if (has_bias) hls_load(other, HLS_PORTS, bias, bias_first + n, count);
        for (int32_t r = 0; r < rows; r++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROWS
            const int64_t at = y_first + row[r].to * ldy + n;
            if (use == USE_GATE) {
                keep_gate(tile[r], n / 16, gate[r]);
                continue;
            }
            if (has_bias) add_bias(other, tile[r]);
            if (use == USE_UP) gate_row(gate[r], n / 16, tile[r]);
            if (use == USE_ADD) {
                hls_load(other, HLS_PORTS, y, at, count);
                add_route(other, row[r].weight, tile[r]);
            }
            hls_copy(y, at, tile[r], 0, count);
        }
    }
}

/* HLS_SLAB groups of tiles: multiplying and taking the results run at the same time. */
static void multiply_slab(HLS_PORT_PARAMS int64_t at, int32_t type, int32_t quantised, result_use use, int32_t groups,
                          int32_t n0, int32_t outputs, int32_t inputs, int32_t rows, const batch_row row[HLS_ROWS],
                          const hls_word x[HLS_ROWS][HLS_ROW_WORDS], const hls_word codes[HLS_ROWS][HLS_CODE_WORDS],
                          const float scales[HLS_ROWS][HLS_MAX_BLOCKS], hls_word gate[HLS_ROWS][HLS_ROW_WORDS],
                          const hls_word *bias, int64_t bias_first, int32_t has_bias, hls_word *y, int64_t y_first,
                          int64_t ldy) {
#pragma HLS DATAFLOW
    HLS_STREAM(hls_result, results, HLS_RESULTS);
#pragma HLS AGGREGATE variable = results
#pragma HLS STREAM variable = results depth = HLS_RESULTS
    hls_multiply(HLS_PORT_ARGS, at, type, quantised, groups, hls_tiles(outputs - n0), inputs, rows, x, codes, scales,
                 HLS_STREAM_PASS(results));
    take_results(HLS_STREAM_PASS(results), use, groups, n0, outputs, rows, row, gate, bias, bias_first, has_bias, y,
                 y_first, ldy);
    HLS_STREAM_END(results);
}

/* Places and types of the weights of a batch: of one, or of gate and up. */
typedef struct batch_weights {
    int32_t at[2], type[2], n;
} batch_weights;

static void run_batch(HLS_PORT_PARAMS batch_weights w, int32_t op, int32_t w8a8, int32_t outputs, int32_t inputs,
                      int32_t rows, const batch_row row[HLS_ROWS], const hls_word *x, int64_t x_first, int64_t ldx,
                      const hls_word *bias, int64_t bias_first, int32_t has_bias, hls_word *y, int64_t y_first,
                      int64_t ldy) {
    hls_word values[HLS_ROWS][HLS_ROW_WORDS], gate[HLS_ROWS][HLS_ROW_WORDS], codes[HLS_ROWS][HLS_CODE_WORDS];
#pragma HLS AGGREGATE variable = codes
#pragma HLS AGGREGATE variable = gate
#pragma HLS AGGREGATE variable = values
    float scales[HLS_ROWS][HLS_MAX_BLOCKS];
#pragma HLS ARRAY_PARTITION variable = values complete dim = 1
#pragma HLS ARRAY_PARTITION variable = gate complete dim = 1
#pragma HLS ARRAY_PARTITION variable = codes complete dim = 1
#pragma HLS ARRAY_PARTITION variable = scales complete dim = 1
#pragma HLS BIND_STORAGE variable = values type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = gate type = ram_2p impl = uram
    for (int32_t r = 0; r < rows; r++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROWS
        hls_load(values[r], 8 * hls_blocks(inputs), x, x_first + row[r].from * ldx, inputs);
        if (w8a8 && (w.type[0] == HLS_E4M3 || w.type[w.n - 1] == HLS_E4M3))
            hls_quantise_row(values[r], inputs, codes[r], scales[r]);
    }
    const int32_t all = hls_port_tiles(HLS_PORTS, outputs);
    for (int32_t i = 0; i < w.n; i++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 2
        const int32_t type = w.type[i];
        const result_use use = op == HLS_LINEAR ? USE_WRITE : op == HLS_ROUTED ? USE_ADD : i == 0 ? USE_GATE : USE_UP;
        for (int32_t group = 0; group < all; group += HLS_SLAB) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
            int32_t groups = all - group < HLS_SLAB ? all - group : HLS_SLAB;
            multiply_slab(HLS_PORT_ARGS, w.at[i] + (int64_t)group * hls_tile_words(type, inputs), type,
                          w8a8 && type == HLS_E4M3, use, groups, group * HLS_GROUP_OUTPUTS, outputs, inputs, rows, row,
                          values, codes, scales, gate, bias, bias_first, has_bias, y, y_first, ldy);
        }
    }
}

static void clear_rows(hls_word *y, int64_t y_first, int64_t ldy, int32_t rows, int32_t n) {
    hls_word zeros[HLS_CODE_WORDS];
#pragma HLS AGGREGATE variable = zeros
    for (int32_t i = 0; i < HLS_CODE_WORDS; i++) {
#pragma HLS PIPELINE II = 1
        const hls_word zero = {{0}};
        zeros[i] = zero;
    }
    for (int32_t t = 0; t < rows; t++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_ROWS
        for (int32_t i = 0; i < n; i += HLS_CODE_WORDS * 16) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 4
            int32_t left = n - i, some = left < HLS_CODE_WORDS * 16 ? left : HLS_CODE_WORDS * 16;
            hls_copy(y, y_first + t * ldy + i, zeros, 0, some);
        }
    }
}

/* Rows k .. k + rows - 1 of a matmul, or routes of an expert whose first is `first`. */
static void find_rows(int32_t op, const int32_t *routes, int32_t first, int32_t k, int32_t rows,
                      batch_row row[HLS_ROWS]) {
#pragma HLS INLINE
    for (int32_t r = 0; r < rows; r++) {
#pragma HLS PIPELINE II = 2
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROWS
        const int32_t i = first + k + r;
        const int32_t routed = op == HLS_LINEAR ? i : routes[2 * (int64_t)i];
        row[r].from = op == HLS_GATED ? routed : i;
        row[r].to = op == HLS_ROUTED ? routed : i;
        row[r].weight = op == HLS_ROUTED ? hls_float((uint32_t)routes[2 * (int64_t)i + 1]) : 1.0f;
    }
}

void HLS_KERNEL(fathom_matmul)(HLS_PORT_PARAMS const hls_word *x, const hls_word *bias, hls_word *y,
                               const int32_t *table, int64_t x_first, int64_t ldx, int64_t y_first, int64_t ldy,
                               int64_t bias_first, int32_t op, int32_t rows, int32_t outputs, int32_t inputs,
                               int32_t at, int32_t type, int32_t visited, int32_t w8a8, int32_t has_bias,
                               int32_t keep) {
    HLS_EACH_PORT(HLS_PORT_INTERFACE)
#pragma HLS INTERFACE m_axi port = x bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = bias bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = y bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = table bundle = table offset = slave
#pragma HLS INTERFACE s_axilite port = return
    if (op == HLS_ROUTED && !keep) clear_rows(y, y_first, ldy, rows, outputs);
    const int32_t *routes = table + (int64_t)visited * HLS_EXPERT_FIELDS;
    for (int32_t v = 0; v < (op == HLS_LINEAR ? 1 : visited); v++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 256
        int32_t fields[HLS_EXPERT_FIELDS] = {0};
#pragma HLS ARRAY_PARTITION variable = fields complete
        for (int i = 0; i < HLS_EXPERT_FIELDS && op != HLS_LINEAR; i++) {
#pragma HLS PIPELINE II = 1
            fields[i] = table[v * HLS_EXPERT_FIELDS + i];
        }
        batch_weights w = {{fields[HLS_EXPERT_GATE_AT], fields[HLS_EXPERT_UP_AT]},
                           {fields[HLS_EXPERT_GATE_TYPE], fields[HLS_EXPERT_UP_TYPE]},
                           op == HLS_GATED ? 2 : 1};
        if (op == HLS_ROUTED) w.at[0] = fields[HLS_EXPERT_DOWN_AT], w.type[0] = fields[HLS_EXPERT_DOWN_TYPE];
        if (op == HLS_LINEAR) w.at[0] = at, w.type[0] = type;
        const int32_t n = op == HLS_LINEAR ? rows : fields[HLS_EXPERT_ROUTES];
        for (int32_t k = 0; k < n; k += HLS_ROWS) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
            int32_t some = n - k < HLS_ROWS ? n - k : HLS_ROWS;
            batch_row row[HLS_ROWS];
#pragma HLS AGGREGATE variable = row
#pragma HLS ARRAY_PARTITION variable = row complete
            find_rows(op, routes, fields[HLS_EXPERT_FIRST_ROUTE], k, some, row);
            run_batch(HLS_PORT_ARGS, w, op, w8a8, outputs, inputs, some, row, x, x_first, ldx, bias, bias_first,
                      has_bias, y, y_first, ldy);
        }
    }
}
