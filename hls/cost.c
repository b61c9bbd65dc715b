/* Costs of fathom_matmul and fathom_rowwise. */
#include "hls/cost_parts.h"

/* run_batch: `routes` rows in `passes` passes over a weight. Loading them comes before. */
static hls_cost product(const hls_build *b, const pass_shape *p, double passes, double routes) {
    hls_cost c = {.cycles = passes * pass_cycles(b, p),
                  .weight_bytes = passes * share_bytes(b, p),
                  .bursts = passes * pass_bursts(b, p)};
    *(p->quantised ? &c.macs_fp8 : &c.macs_fp32) = routes * (double)p->outputs * (double)p->inputs;
    return c;
}

static hls_cost load_rows(double rows, int quantised, int64_t inputs) {
    double load = copy_cycles((double)inputs) + (quantised ? quantise_cycles((double)inputs) : 0);
    return (hls_cost){.cycles = rows * load, .io_bytes = 4 * rows * (double)inputs, .bursts = rows};
}

hls_cost hls_cost_matmul(const hls_build *b, hls_weight type, int w8a8, int64_t rows, int64_t outputs, int64_t inputs) {
    int quantised = w8a8 && type == HLS_E4M3;
    /* written as if with a bias, which the shape does not say */
    pass_shape whole = {type, quantised,           b->rows,         0, (int32_t)outputs, (int32_t)inputs,
                        1,    1 + HLS_BIAS_CYCLES, HLS_MATMUL_SHARE};
    pass_shape rest = whole;
    int64_t full = rows / b->rows;
    rest.rows = (double)(rows % b->rows);
    hls_cost c = hls_cost_add(load_rows((double)rows, quantised, inputs),
                              product(b, &whole, (double)full, (double)(rows - rows % b->rows)));
    if (rest.rows > 0) c = hls_cost_add(c, product(b, &rest, 1, rest.rows));
    c.io_bytes += 4.0 * (double)(rows * outputs);
    return c;
}

hls_cost hls_cost_gated(const hls_build *b, const hls_weight types[2], int w8a8, double passes, double routes,
                        int64_t outputs, int64_t inputs) {
    if (passes <= 0) return (hls_cost){0};
    hls_cost c = load_rows(routes, w8a8 && (types[0] == HLS_E4M3 || types[1] == HLS_E4M3), inputs);
    for (int i = 0; i < 2; i++) { /* gate stays, up is multiplied and written */
        pass_shape p = {types[i],  w8a8 && types[i] == HLS_E4M3, routes / passes, 1, (int32_t)outputs, (int32_t)inputs,
                        i ? 1 : 0, i ? 1 + HLS_SILU_CYCLES : 1,  HLS_MATMUL_SHARE};
        c = hls_cost_add(c, product(b, &p, passes, routes));
    }
    c.io_bytes += 4.0 * routes * (double)outputs;
    return c;
}

hls_cost hls_cost_routed(const hls_build *b, hls_weight type, int w8a8, int64_t rows, double passes, double routes,
                         int64_t outputs, int64_t inputs) {
    hls_cost c = {.cycles = (double)rows * copy_cycles((double)outputs), .io_bytes = 4.0 * (double)(rows * outputs)};
    if (passes <= 0) return c;
    int quantised = w8a8 && type == HLS_E4M3;
    /* a row of y is read, added to, written */
    pass_shape p = {type,
                    quantised,
                    routes / passes,
                    1,
                    (int32_t)outputs,
                    (int32_t)inputs,
                    3,
                    2 + HLS_ROUTE_CYCLES,
                    HLS_MATMUL_SHARE};
    c = hls_cost_add(c, hls_cost_add(load_rows(routes, quantised, inputs), product(b, &p, passes, routes)));
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
