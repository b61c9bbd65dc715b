/* fathom_mla: see kernels.h. Rows go in batches of HLS_ROWS, which share the passes over the up-projections. Three steps:
 * every head's query is taken into the latent space; every head attends to the latent pages; every head's result is taken out of the latent space. */
#define HLS_X_WORDS HLS_KEY_WORDS
#define HLS_DOT_SHARE HLS_MLA_SHARE
#include "hls/args.h"
#include "hls/attend.h"
#include "hls/copy.h"
#include "hls/kernels.h"
#include "hls/ordered.h"

/* Groups that absorb_tiles can keep busy: each works on a row and a part of 16 elements of a word, and its sums are its own. */
#define HLS_ABSORB_GROUPS (HLS_DOT_MOST < 4 * HLS_ROWS ? HLS_DOT_MOST : 4 * HLS_ROWS)

/* Words of sums of a group: its pairs of row and part are rows * parts / groups, each of rank / 16 / parts words. */
#define HLS_ABSORB_WORDS ((HLS_ROWS + HLS_ABSORB_GROUPS - 1) / HLS_ABSORB_GROUPS * HLS_VALUE_WORDS)

typedef hls_word head_words[HLS_KEY_WORDS];

/* Elements [first, first + n) of the outputs of a pass, to out from element 0. */
static void keep_range(HLS_STREAM_PARAM(hls_result, results, HLS_RESULTS), int32_t groups, int32_t n0, int32_t first,
                       int32_t n, int32_t rows, head_words out[HLS_ROWS]) {
#pragma HLS INLINE off
    for (int32_t group = 0; group < groups; group++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_SLAB
        hls_word tile[HLS_ROWS][HLS_PORTS];
#pragma HLS AGGREGATE variable = tile
#pragma HLS ARRAY_PARTITION variable = tile complete dim = 1
#pragma HLS ARRAY_PARTITION variable = tile complete dim = 2
        int32_t at = n0 + group * HLS_GROUP_OUTPUTS, end = at + HLS_GROUP_OUTPUTS;
        int32_t low = at > first ? at : first, high = end < first + n ? end : first + n;
        hls_get_group(HLS_STREAM_PASS_ON(results), group, tile);
        for (int32_t r = 0; r < rows; r++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_ROWS
            hls_copy(out[r], low - first, tile[r], low - at, high - low);
        }
    }
}

static void multiply_slab(HLS_PORT_PARAMS int64_t at, int32_t type, int32_t groups, int32_t n0, int32_t inputs,
                          int32_t first, int32_t n, int32_t rows, const head_words x[HLS_ROWS],
                          head_words out[HLS_ROWS]) {
#pragma HLS DATAFLOW
    HLS_STREAM(hls_result, results, HLS_RESULTS);
#pragma HLS AGGREGATE variable = results
#pragma HLS STREAM variable = results depth = HLS_RESULTS
    hls_multiply_ordered(HLS_PORT_ARGS, at, type, groups, (first - n0) / HLS_TILE, (first + n - 1 - n0) / HLS_TILE + 1,
                         inputs, rows, x, HLS_STREAM_PASS(results));
    keep_range(HLS_STREAM_PASS(results), groups, n0, first, n, rows, out);
    HLS_STREAM_END(results);
}

/* out[r] = outputs first .. first + n - 1 of the weight for the rows x. */
static void multiply_range(HLS_PORT_PARAMS int64_t at, int32_t type, int32_t inputs, int32_t first, int32_t n,
                           int32_t rows, const head_words x[HLS_ROWS], head_words out[HLS_ROWS]) {
    const int32_t begin = first / HLS_GROUP_OUTPUTS, end = (first + n - 1) / HLS_GROUP_OUTPUTS + 1;
    for (int32_t group = begin; group < end; group += HLS_SLAB) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 2
        int32_t groups = end - group < HLS_SLAB ? end - group : HLS_SLAB;
        multiply_slab(HLS_PORT_ARGS, at + (int64_t)group * hls_tile_words(type, inputs), type, groups,
                      group * HLS_GROUP_OUTPUTS, inputs, first, n, rows, x, out);
    }
}

/* A tile of every port: rank is at most 512, so it fits a chunk. */
static void load_tiles(HLS_PORT_PARAMS int64_t at, int32_t type, int32_t rank, float scale[HLS_PORTS][HLS_MAX_BLOCKS],
                       hls_word chunk[HLS_CHUNK][HLS_PORTS]) {
#pragma HLS INLINE off
    const int32_t scale_words = hls_scale_words(type, rank);
    hls_load_scales(HLS_PORT_ARGS, at, scale_words, scale);
    hls_load_chunk(HLS_PORT_ARGS, at + scale_words, hls_row_words(type, rank) * HLS_TILE, chunk);
}

/* Adds q[d] * W[d, :] to partial d mod 16, for the outputs d0 + n of the tiles that are in 0 .. nope - 1. The tiles of the ports
 * follow each other, as the order of the sum wants; a sum comes back after the 16 outputs of a tile. cost.c: absorb_cycles. */
HLS_LANES static void absorb_tiles(const hls_word chunk[HLS_CHUNK][HLS_PORTS],
                                   const float scale[HLS_PORTS][HLS_MAX_BLOCKS], int32_t type, int32_t columns,
                                   int32_t d0, int32_t nope, int32_t rows, const head_words q[HLS_ROWS],
                                   hls_word partial[HLS_ABSORB_GROUPS][16][HLS_ABSORB_WORDS]) {
#pragma HLS INLINE off
    const int32_t subs = hls_word_elements(type) / 16, pairs = subs * rows;
    const int32_t p0 = d0 < 0 ? -d0 / HLS_TILE : 0, left = (nope - d0 + HLS_TILE - 1) / HLS_TILE;
    const int32_t p1 = left < HLS_PORTS ? left : HLS_PORTS;
    for (int32_t c = 0; c < columns; c++)
        for (int32_t pair = 0; pair < pairs; pair += HLS_ABSORB_GROUPS)
            for (int32_t p = p0; p < p1; p++)
                for (int32_t g = 0; g < HLS_TILE; g++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_FLATTEN
#pragma HLS LOOP_TRIPCOUNT min = HLS_TILE max = HLS_TILE
#pragma HLS DEPENDENCE variable = partial inter distance = 16 true
                    int32_t d = d0 + p * HLS_TILE + g;
                    for (int32_t i = 0; i < HLS_ABSORB_GROUPS; i++) {
#pragma HLS UNROLL
                        int32_t r = (pair + i) / subs, sub = (pair + i) % subs;
                        if (pair + i >= pairs || d < 0 || d >= nope) continue;
                        float factor = type == HLS_E4M3 ? scale[p][c / 2] : 1.0f;
                        float activation = hls_float(q[r][d / 16].lane[d % 16]);
                        hls_word *to = &partial[i][d % 16][pair / HLS_ABSORB_GROUPS * columns + c];
                        float value[16];
                        hls_word_values(&chunk[c * HLS_TILE + g][p], type, sub, factor, value);
                        for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
                            float product = activation * value[lane];
                            float sum = hls_float(to->lane[lane]) + product;
                            to->lane[lane] = hls_bits(sum);
                        }
                    }
                }
}

/* The first `used` words of every sum become +0. */
static void clear_sums(int32_t used, hls_word partial[HLS_ABSORB_GROUPS][16][HLS_ABSORB_WORDS]) {
#pragma HLS INLINE
    const hls_word zero = {{0}};
    for (int32_t j = 0; j < 16; j++)
        for (int32_t w = 0; w < HLS_ABSORB_WORDS && w < used; w++) {
#pragma HLS PIPELINE II = 1
#pragma HLS LOOP_FLATTEN
            for (int32_t i = 0; i < HLS_ABSORB_GROUPS; i++) {
#pragma HLS UNROLL
                partial[i][j][w] = zero;
            }
        }
}

/* out[r][i] = ordered sum over d of q[r][d] * W[first + d, i], i < rank. */
static void absorb_query(HLS_PORT_PARAMS int64_t at, int32_t type, int32_t rank, int32_t first, int32_t nope,
                         int32_t rows, const head_words q[HLS_ROWS], head_words out[HLS_ROWS]) {
    hls_word chunk[HLS_CHUNK][HLS_PORTS];
    hls_word partial[HLS_ABSORB_GROUPS][16][HLS_ABSORB_WORDS];
#pragma HLS AGGREGATE variable = chunk
#pragma HLS AGGREGATE variable = partial
    float scale[HLS_PORTS][HLS_MAX_BLOCKS];
#pragma HLS ARRAY_PARTITION variable = chunk complete dim = 2
#pragma HLS ARRAY_PARTITION variable = partial complete dim = 1
#pragma HLS ARRAY_PARTITION variable = scale complete dim = 1
#pragma HLS ARRAY_PARTITION variable = scale cyclic factor = 16 dim = 2
#pragma HLS BIND_STORAGE variable = chunk type = ram_2p impl = uram
    const int32_t begin = first / HLS_GROUP_OUTPUTS, end = (first + nope - 1) / HLS_GROUP_OUTPUTS + 1;
    const int32_t columns = hls_row_words(type, rank), tile_words = hls_tile_words(type, rank);
    const int32_t subs = hls_word_elements(type) / 16;
    const int32_t turns = (subs * rows + HLS_ABSORB_GROUPS - 1) / HLS_ABSORB_GROUPS, used = turns * columns;
    clear_sums(used, partial);
    for (int32_t group = begin; group < end; group++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 33
        load_tiles(HLS_PORT_ARGS, at + (int64_t)group * tile_words, type, rank, scale, chunk);
        absorb_tiles(chunk, scale, type, columns, group * HLS_GROUP_OUTPUTS - first, nope, rows, q, partial);
    }
    for (int32_t r = 0; r < HLS_ROWS && r < rows; r++)
        for (int32_t w = 0; w < (rank + 15) / 16; w++) {
#pragma HLS PIPELINE II = 8 /* 16 partial sums of a word from a memory of two ports */
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_VALUE_WORDS
            const int32_t pair = r * subs + w % subs;
            const int32_t at_sum = pair / HLS_ABSORB_GROUPS * columns + w / subs;
            for (int lane = 0; lane < 16; lane++) {
#pragma HLS UNROLL
                float sums[16];
#pragma HLS ARRAY_PARTITION variable = sums complete
                for (int j = 0; j < 16; j++) {
#pragma HLS UNROLL
                    sums[j] = hls_float(partial[pair % HLS_ABSORB_GROUPS][j][at_sum].lane[lane]);
                }
                out[r][w].lane[lane] = hls_bits(hls_tree_16(sums));
            }
        }
}

/* One row's heads over its positions; the queries become the heads' results in the latent space, zero behind rank. */
static void attend_row(const hls_word *pool, const int32_t *table, hls_pages pages, int32_t heads, float scale,
                       head_words query[HLS_MAX_HEADS]) {
    hls_word acc[HLS_MAX_HEADS][HLS_VALUE_WORDS];
#pragma HLS AGGREGATE variable = acc
    float m[HLS_MAX_HEADS], l[HLS_MAX_HEADS];
#pragma HLS ARRAY_PARTITION variable = acc cyclic factor = HLS_GROUPS dim = 1
#pragma HLS ARRAY_PARTITION variable = m cyclic factor = HLS_EXP_UNITS
#pragma HLS ARRAY_PARTITION variable = l cyclic factor = HLS_EXP_UNITS
#pragma HLS BIND_STORAGE variable = acc type = ram_2p impl = uram
    const int32_t key_words = (pages.a.n + pages.b.n + 15) / 16, value_words = (pages.a.n + 15) / 16;
    hls_attend_begin(heads, m, l);
    hls_attend_pages(pool, table, pages, heads, key_words, value_words, scale, query, m, l, acc);
    for (int32_t h = 0; h < heads; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
        hls_attend_end(pages.a.n, l[h], acc[h], query[h]);
    }
}

void HLS_KERNEL(fathom_mla)(HLS_PORT_PARAMS const hls_word *q, hls_word *y, const hls_word *pool, const int32_t *table,
                            int64_t q_first, int64_t ldq, int64_t y_first, int64_t ldy, int64_t kv_first,
                            int64_t page_units, int32_t rows, int32_t heads, int32_t nope, int32_t rope, int32_t v,
                            int32_t rank, float scale, int32_t k_at, int32_t k_type, int32_t k_first, int32_t k_stride,
                            int32_t k_transposed, int32_t v_at, int32_t v_type, int32_t v_first, int32_t v_stride,
                            int32_t row_units, int32_t a_type, int32_t a_at, int32_t a_scales, int32_t b_type,
                            int32_t b_at) {
    HLS_EACH_PORT(HLS_PORT_INTERFACE)
#pragma HLS INTERFACE m_axi port = q bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = y bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = pool bundle = io offset = slave
#pragma HLS INTERFACE m_axi port = table bundle = table offset = slave
#pragma HLS INTERFACE s_axilite port = return
    hls_word row[HLS_ROWS][HLS_ROW_WORDS];
#pragma HLS AGGREGATE variable = row
    head_words query[HLS_ROWS][HLS_MAX_HEADS], in[HLS_ROWS], out[HLS_ROWS];
#pragma HLS ARRAY_PARTITION variable = row complete dim = 1
#pragma HLS ARRAY_PARTITION variable = query complete dim = 1
#pragma HLS ARRAY_PARTITION variable = query cyclic factor = HLS_GROUPS dim = 2
#pragma HLS ARRAY_PARTITION variable = in complete dim = 1
#pragma HLS ARRAY_PARTITION variable = out complete dim = 1
#pragma HLS BIND_STORAGE variable = row type = ram_2p impl = uram
#pragma HLS BIND_STORAGE variable = query type = ram_2p impl = uram
    const hls_part latent = {a_type, a_at, a_scales, 0, rank}, rotary = {b_type, b_at, 0, 0, rope};
    const int32_t width = nope + rope, key_words = (rank + rope + 15) / 16;
    for (int32_t t = 0; t < rows; t += HLS_ROWS) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = 64
        int32_t some = rows - t < HLS_ROWS ? rows - t : HLS_ROWS;
        for (int32_t r = 0; r < HLS_ROWS && r < some; r++)
            hls_copy(row[r], 0, q, q_first + (t + r) * ldq, heads * width);
        for (int32_t h = 0; h < heads; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
            int32_t first = k_first + h * k_stride;
            for (int32_t r = 0; r < HLS_ROWS && r < some; r++)
                hls_load(in[r], 8 * hls_blocks(nope), row[r], h * width, nope);
            if (k_transposed)
                multiply_range(HLS_PORT_ARGS, k_at, k_type, nope, first, rank, some, in, out);
            else
                absorb_query(HLS_PORT_ARGS, k_at, k_type, rank, first, nope, some, in, out);
            for (int32_t r = 0; r < HLS_ROWS && r < some; r++) {
                hls_load(query[r][h], key_words, out[r], 0, rank);
                hls_copy(query[r][h], rank, row[r], h * width + nope, rope);
            }
        }
        for (int32_t r = 0; r < HLS_ROWS && r < some; r++) {
            hls_pages pages = {kv_first, page_units, row_units, table[2 * (t + r)], latent, rotary, 1};
            attend_row(pool, &table[table[2 * (t + r) + 1]], pages, heads, scale, query[r]);
        }
        for (int32_t h = 0; h < heads; h++) {
#pragma HLS LOOP_TRIPCOUNT min = 1 max = HLS_MAX_HEADS
            for (int32_t r = 0; r < HLS_ROWS && r < some; r++)
                hls_load(in[r], 8 * hls_blocks(rank), query[r][h], 0, rank);
            multiply_range(HLS_PORT_ARGS, v_at, v_type, rank, v_first + h * v_stride, v, some, in, out);
            for (int32_t r = 0; r < HLS_ROWS && r < some; r++) hls_copy(row[r], h * v, out[r], 0, v);
        }
        for (int32_t r = 0; r < HLS_ROWS && r < some; r++) hls_copy(y, y_first + (t + r) * ldy, row[r], 0, heads * v);
    }
}
