/* fathom_experts: see kernels.h. For each visited expert, batches of HLS_ROWS of its routes share a pass over gate, up and
 * down; what gate and up give stays on chip. Results are added to y in memory, expert after expert. */
#define HLS_DOT_SHARE HLS_EXPERTS_SHARE
#include "hls/args.h"
#include "hls/kernels.h"
#include "hls/pass.h"

typedef struct batch_route {
    int32_t row;
    float weight;
} batch_route;

typedef enum expert_part { PART_GATE, PART_UP, PART_DOWN } expert_part; /* in the order of the table's fields */

/* Gate's outputs go to `inner`; up's then become silu(gate) * up there, zero behind the last. cost.c: silu_cycles. */
static void keep_inner(HLS_STREAM_PARAM(hls_result, results, HLS_RESULTS), int32_t is_up, int32_t groups,
                       int32_t group0, int32_t outputs, int32_t rows, hls_word inner[HLS_ROWS][HLS_ROW_WORDS]) {
#pragma HLS INLINE off
    for (int32_t group = 0; group < groups; group++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_SLAB
        hls_word tile[HLS_ROWS][HLS_PORTS];
#pragma HLS AGGREGATE variable = tile
#pragma HLS ARRAY_PARTITION variable = tile complete dim = 1
#pragma HLS ARRAY_PARTITION variable = tile complete dim = 2
        hls_get_group(HLS_STREAM_PASS_ON(results), group, tile);
        for (int p = 0; p < HLS_PORTS; p++)
            for (int32_t r = 0; r < rows; r++) {
#pragma HLS PIPELINE II = HLS_SILU_CYCLES
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROWS
                int32_t word = (group0 + group) * HLS_PORTS + p;
                hls_word up = tile[r][p], out = up, gate = is_up ? inner[r][word] : up;
                for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
                    if (!is_up) continue;
                    float product = hls_silu(hls_float(gate.lane[lane])) * hls_float(up.lane[lane]);
                    out.lane[lane] = 16 * word + lane < outputs ? hls_bits(product) : 0;
                }
                inner[r][word] = out;
            }
    }
}

/* y[row] = y[row] + weight * down's outputs. cost.c: write_cycles. */
static void add_down(HLS_STREAM_PARAM(hls_result, results, HLS_RESULTS), int32_t groups, int32_t group0,
                     int32_t outputs, int32_t rows, const batch_route route[HLS_ROWS], hls_word *y, int64_t y_first,
                     int64_t ldy) {
#pragma HLS INLINE off
    for (int32_t group = 0; group < groups; group++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_SLAB
        hls_word tile[HLS_ROWS][HLS_PORTS], sum[HLS_PORTS];
#pragma HLS AGGREGATE variable = sum
#pragma HLS AGGREGATE variable = tile
#pragma HLS ARRAY_PARTITION variable = tile complete dim = 1
#pragma HLS ARRAY_PARTITION variable = tile complete dim = 2
        int32_t n = (group0 + group) * HLS_GROUP_OUTPUTS, left = outputs - n;
        int32_t count = left < HLS_GROUP_OUTPUTS ? left : HLS_GROUP_OUTPUTS;
        hls_get_group(HLS_STREAM_PASS_ON(results), group, tile);
        if (count <= 0) continue; /* the last group of a share may be padding */
        for (int32_t r = 0; r < rows; r++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROWS
            int64_t at = y_first + route[r].row * ldy + n;
            hls_load(sum, HLS_PORTS, y, at, count);
            for (int p = 0; p < HLS_PORTS; p++) {
#pragma HLS PIPELINE II = HLS_ROUTE_CYCLES
                for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
                    float weighted = route[r].weight * hls_float(tile[r][p].lane[lane]);
                    float after = hls_float(sum[p].lane[lane]) + weighted;
                    sum[p].lane[lane] = hls_bits(after);
                }
            }
            hls_copy(y, at, sum, 0, count);
        }
    }
}

static void take(HLS_STREAM_PARAM(hls_result, results, HLS_RESULTS), expert_part part, int32_t groups, int32_t group0,
                 int32_t outputs, int32_t rows, hls_word inner[HLS_ROWS][HLS_ROW_WORDS],
                 const batch_route route[HLS_ROWS], hls_word *y, int64_t y_first, int64_t ldy) {
#pragma HLS INLINE off
    if (part == PART_DOWN)
        add_down(HLS_STREAM_PASS_ON(results), groups, group0, outputs, rows, route, y, y_first, ldy);
    else
        keep_inner(HLS_STREAM_PASS_ON(results), part == PART_UP, groups, group0, outputs, rows, inner);
}

/* HLS_SLAB groups of tiles of gate, up or down: multiplying and taking the results run at the same time. One region for all three,
 * for each would have lanes of its own. */
static void expert_slab(HLS_PORT_PARAMS int64_t at, int32_t type, int32_t quantised, expert_part part, int32_t groups,
                        int32_t group0, int32_t outputs, int32_t inputs, int32_t rows,
                        const hls_word x[HLS_ROWS][HLS_ROW_WORDS], const hls_word codes[HLS_ROWS][HLS_CODE_WORDS],
                        const float scales[HLS_ROWS][HLS_MAX_BLOCKS], hls_word inner[HLS_ROWS][HLS_ROW_WORDS],
                        const batch_route route[HLS_ROWS], hls_word *y, int64_t y_first, int64_t ldy) {
#pragma HLS DATAFLOW
    HLS_STREAM(hls_result, results, HLS_RESULTS);
#pragma HLS AGGREGATE variable = results
#pragma HLS STREAM variable = results depth = HLS_RESULTS
    hls_multiply(HLS_PORT_ARGS, at, type, quantised, groups, hls_tiles(outputs - group0 * HLS_GROUP_OUTPUTS), inputs,
                 rows, x, codes, scales, HLS_STREAM_PASS(results));
    take(HLS_STREAM_PASS(results), part, groups, group0, outputs, rows, inner, route, y, y_first, ldy);
    HLS_STREAM_END(results);
}

/* A whole weight of an expert. */
static void expert_weight(HLS_PORT_PARAMS const int32_t fields[HLS_EXPERT_FIELDS], int32_t w8a8, expert_part part,
                          int32_t outputs, int32_t inputs, int32_t rows, const hls_word x[HLS_ROWS][HLS_ROW_WORDS],
                          const hls_word codes[HLS_ROWS][HLS_CODE_WORDS], const float scales[HLS_ROWS][HLS_MAX_BLOCKS],
                          hls_word inner[HLS_ROWS][HLS_ROW_WORDS], const batch_route route[HLS_ROWS], hls_word *y,
                          int64_t y_first, int64_t ldy) {
#pragma HLS INLINE off
    const int32_t at = fields[HLS_EXPERT_GATE_AT + part], type = fields[HLS_EXPERT_GATE_TYPE + part];
    const int32_t all = hls_port_tiles(HLS_PORTS, outputs);
    for (int32_t group = 0; group < all; group += HLS_SLAB) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
        int32_t groups = all - group < HLS_SLAB ? all - group : HLS_SLAB;
        expert_slab(HLS_PORT_ARGS, at + (int64_t)group * hls_tile_words(type, inputs), type, w8a8 && type == HLS_E4M3,
                    part, groups, group, outputs, inputs, rows, x, codes, scales, inner, route, y, y_first, ldy);
    }
}

/* One expert's share of `some` rows. `fields` is its line of the table. */
static void expert_batch(HLS_PORT_PARAMS const int32_t fields[HLS_EXPERT_FIELDS], int32_t w8a8, int32_t hidden,
                         int32_t inner, int32_t some, const batch_route route[HLS_ROWS], const hls_word *x,
                         int64_t x_first, int64_t ldx, hls_word *y, int64_t y_first, int64_t ldy) {
    hls_word row[HLS_ROWS][HLS_ROW_WORDS], kept[HLS_ROWS][HLS_ROW_WORDS], codes[HLS_ROWS][HLS_CODE_WORDS];
#pragma HLS AGGREGATE variable = codes
#pragma HLS AGGREGATE variable = kept
#pragma HLS AGGREGATE variable = row
    float scales[HLS_ROWS][HLS_MAX_BLOCKS];
#pragma HLS ARRAY_PARTITION variable = row complete dim = 1
#pragma HLS ARRAY_PARTITION variable = kept complete dim = 1
#pragma HLS ARRAY_PARTITION variable = codes complete dim = 1
#pragma HLS ARRAY_PARTITION variable = scales complete dim = 1
#pragma HLS BIND_STORAGE variable = row type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = kept type = ram_2p impl = uram
    const hls_word zero = {{0}};
    const int32_t inner_tiles = hls_port_tiles(HLS_PORTS, inner);
    for (int32_t r = 0; r < some; r++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROWS
        hls_load(row[r], 8 * hls_blocks(hidden), x, x_first + route[r].row * ldx, hidden);
        if (w8a8) hls_quantise_row(row[r], hidden, codes[r], scales[r]);
        for (int32_t i = inner_tiles * HLS_PORTS; i < 8 * hls_blocks(inner); i++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_TRIPCOUNT min = 0 max = 8
            kept[r][i] = zero;
        }
    }
    for (int32_t part = PART_GATE; part <= PART_DOWN; part++) {
        if (part == PART_DOWN)
            for (int32_t r = 0; r < some; r++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROWS
                hls_copy(row[r], 0, kept[r], 0, HLS_BLOCK * hls_blocks(inner));
                if (w8a8 && fields[HLS_EXPERT_DOWN_TYPE] == HLS_E4M3)
                    hls_quantise_row(row[r], inner, codes[r], scales[r]);
            }
        expert_weight(HLS_PORT_ARGS, fields, w8a8, (expert_part)part, part == PART_DOWN ? hidden : inner,
                      part == PART_DOWN ? inner : hidden, some, row, codes, scales, kept, route, y, y_first, ldy);
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

void HLS_KERNEL(fathom_experts)(HLS_PORT_PARAMS const hls_word *x, hls_word *y, const int32_t *table, int64_t x_first,
                                int64_t ldx, int64_t y_first, int64_t ldy, int32_t rows, int32_t hidden, int32_t inner,
                                int32_t visited, int32_t w8a8, int32_t keep) {
    HLS_EACH_PORT(HLS_PORT_INTERFACE)
#pragma HLS INTERFACE m_axi port = x bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = y bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = table bundle = table offset = slave
#pragma HLS INTERFACE s_axilite port = return
    if (!keep) clear_rows(y, y_first, ldy, rows, hidden);
    const int32_t *routes = table + (int64_t)visited * HLS_EXPERT_FIELDS;
    for (int32_t v = 0; v < visited; v++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 256
        int32_t fields[HLS_EXPERT_FIELDS];
#pragma HLS ARRAY_PARTITION variable = fields complete
        for (int i = 0; i < HLS_EXPERT_FIELDS; i++) {
#pragma HLS PIPELINE II = 1
            fields[i] = table[v * HLS_EXPERT_FIELDS + i];
        }
        for (int32_t k = 0; k < fields[HLS_EXPERT_ROUTES]; k += HLS_ROWS) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
            int32_t left = fields[HLS_EXPERT_ROUTES] - k, some = left < HLS_ROWS ? left : HLS_ROWS;
            batch_route route[HLS_ROWS];
#pragma HLS AGGREGATE variable = route
#pragma HLS ARRAY_PARTITION variable = route complete
            for (int32_t r = 0; r < some; r++) {
#pragma HLS PIPELINE II = 2
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROWS
                int64_t at = 2 * (int64_t)(fields[HLS_EXPERT_FIRST_ROUTE] + k + r);
                route[r].row = routes[at];
                route[r].weight = hls_float((uint32_t)routes[at + 1]);
            }
            expert_batch(HLS_PORT_ARGS, fields, w8a8, hidden, inner, some, route, x, x_first, ldx, y, y_first, ldy);
        }
    }
}
