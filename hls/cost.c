/* Costs of fathom_matmul, fathom_experts and fathom_rowwise. */
#include "hls/cost_parts.h"

hls_cost hls_cost_matmul(const hls_build *b, hls_weight type, int w8a8, int64_t rows, int64_t outputs, int64_t inputs) {
    int quantised = w8a8 && type == HLS_E4M3;
    /* written as if with a bias, which the shape does not say */
    pass_shape whole = {type, quantised,           b->rows,         0, (int32_t)outputs, (int32_t)inputs,
                        1,    1 + HLS_BIAS_CYCLES, HLS_MATMUL_SHARE},
               rest = whole;
    rest.rows = (double)(rows % b->rows);
    int64_t full = rows / b->rows;
    double n_whole = (double)full, passes = n_whole + (rest.rows > 0);
    double load = copy_cycles((double)inputs) + (quantised ? quantise_cycles((double)inputs) : 0);
    hls_cost c = {.cycles = (double)rows * load + n_whole * pass_cycles(b, &whole)};
    if (rest.rows > 0) c.cycles += pass_cycles(b, &rest);
    c.weight_bytes = passes * share_bytes(b, &whole);
    c.io_bytes = 4.0 * (double)rows * (double)(inputs + outputs);
    c.bursts = (double)rows + passes * pass_bursts(b, &whole);
    *(quantised ? &c.macs_fp8 : &c.macs_fp32) = (double)rows * (double)outputs * (double)inputs;
    return c;
}

hls_cost hls_cost_experts(const hls_build *b, const hls_weight types[3], int w8a8, int64_t rows, double passes,
                          double routes, int64_t hidden, int64_t inner) {
    hls_cost c = {.cycles = (double)rows * copy_cycles((double)hidden), .io_bytes = 4.0 * (double)(rows * hidden)};
    if (passes <= 0) return c;
    double load = copy_cycles((double)hidden) + (w8a8 ? quantise_cycles((double)hidden) : 0);
    if (w8a8 && types[2] == HLS_E4M3) load += quantise_cycles((double)inner);
    load += copy_cycles((double)inner); /* from what is kept to what is multiplied */
    c.cycles += routes * load;
    for (int i = 0; i < 3; i++) {
        int quantised = w8a8 && types[i] == HLS_E4M3, down = i == 2;
        /* keep_inner; add_down reads, adds and writes */
        pass_shape p = {types[i],
                        quantised,
                        routes / passes,
                        1,
                        (int32_t)(down ? hidden : inner),
                        (int32_t)(down ? inner : hidden),
                        down ? 3 : 1,
                        down ? 2 + HLS_ROUTE_CYCLES : HLS_SILU_CYCLES,
                        HLS_EXPERTS_SHARE};
        c.cycles += passes * pass_cycles(b, &p);
        c.weight_bytes += passes * share_bytes(b, &p);
        c.bursts += passes * pass_bursts(b, &p);
        *(quantised ? &c.macs_fp8 : &c.macs_fp32) += routes * (double)inner * (double)hidden;
    }
    c.io_bytes += 4.0 * routes * 3 * (double)hidden;
    c.bursts += 2 * routes;
    return c;
}

/* A row is read, computed and written, one after the other. The slowest op sets the pace: norm's sum of squares takes a word
 * each HLS_ADD_CYCLES, and for its three words of values read or written four loops run. */
hls_cost hls_cost_rowwise(const hls_build *b, int64_t rows, int64_t values) {
    (void)b;
    double words = up((double)values, 16),
           row = words * (HLS_ADD_CYCLES + HLS_ROWWISE_CYCLES + 2) / 3 + 3 * COPY + 2 * DEPTH;
    return (hls_cost){
        .cycles = (double)rows * row, .io_bytes = 4.0 * (double)rows * (double)values, .bursts = 3.0 * (double)rows};
}
