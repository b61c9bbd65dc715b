/* Costs of fathom_matmul and fathom_rowwise. */
#include "hls/cost_parts.h"

/* run_batch: passes over one weight, p->rows of which is ignored. Loading the rows comes before. */
static hls_cost product(const hls_build *b, const pass_shape *p, const hls_passes *passes) {
    hls_cost c = {0};
    pass_shape with = *p;
    for (int32_t rows = 1; rows <= b->rows; rows++) {
        double n = passes->of[rows];
        if (n <= 0) continue;
        with.rows = rows;
        c.cycles += n * pass_cycles(b, &with);
        c.weight_bytes += n * share_bytes(b, p);
        c.bursts += n * pass_bursts(b, p);
        *(p->quantised ? &c.macs_fp8 : &c.macs_fp32) += n * rows * (double)p->outputs * (double)p->inputs;
    }
    return c;
}

static double rows_of(const hls_passes *passes) {
    double rows = 0;
    for (int k = 1; k <= HLS_PASS_ROWS; k++) rows += k * passes->of[k];
    return rows;
}

static hls_cost load_rows(double rows, int quantised, int64_t inputs) {
    double load = copy_cycles((double)inputs) + (quantised ? quantise_cycles((double)inputs) : 0);
    return (hls_cost){.cycles = rows * load, .io_bytes = 4 * rows * (double)inputs, .bursts = rows};
}

hls_cost hls_cost_matmul(const hls_build *b, hls_weight type, int w8a8, int64_t rows, int64_t outputs, int64_t inputs) {
    int quantised = w8a8 && type == HLS_E4M3;
    hls_passes passes = hls_passes_of(b, rows);
    /* written as if with a bias, which the shape does not say */
    pass_shape p = {type, quantised, 0, (int32_t)outputs, (int32_t)inputs, 1, 1 + HLS_BIAS_CYCLES, HLS_MATMUL_SHARE};
    hls_cost c = hls_cost_add(load_rows((double)rows, quantised, inputs), product(b, &p, &passes));
    c.io_bytes += 4.0 * (double)(rows * outputs);
    return c;
}

hls_cost hls_cost_gated(const hls_build *b, const hls_weight types[2], int w8a8, const hls_passes *passes,
                        int64_t outputs, int64_t inputs) {
    double routes = rows_of(passes);
    hls_cost c = load_rows(routes, w8a8 && (types[0] == HLS_E4M3 || types[1] == HLS_E4M3), inputs);
    for (int i = 0; i < 2; i++) { /* gate stays, up is multiplied and written */
        int quantised = w8a8 && types[i] == HLS_E4M3;
        double word = i ? 1 + HLS_SILU_CYCLES : 1;
        pass_shape p = {types[i], quantised, 0, (int32_t)outputs, (int32_t)inputs, i, word, HLS_MATMUL_SHARE};
        c = hls_cost_add(c, product(b, &p, passes));
    }
    c.io_bytes += 4.0 * routes * (double)outputs;
    return c;
}

hls_cost hls_cost_routed(const hls_build *b, hls_weight type, int w8a8, int64_t rows, const hls_passes *passes,
                         int64_t outputs, int64_t inputs) {
    hls_cost c = {.cycles = (double)rows * copy_cycles((double)outputs), .io_bytes = 4.0 * (double)(rows * outputs)};
    int quantised = w8a8 && type == HLS_E4M3;
    double routes = rows_of(passes);
    /* a row of y is read, added to, written */
    pass_shape p = {type, quantised, 0, (int32_t)outputs, (int32_t)inputs, 3, 2 + HLS_ROUTE_CYCLES, HLS_MATMUL_SHARE};
    c = hls_cost_add(c, hls_cost_add(load_rows(routes, quantised, inputs), product(b, &p, passes)));
    c.io_bytes += 8.0 * routes * (double)outputs;
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
