/* What a launch costs, from its arguments. */
#include "hls/launch.h"

#include "hls/cost_attention.h"
#include "hls/kernels.h"

#define I32(kernel, name) HLS_VALUE_I32(a[HLS_AT_##kernel##_##name])

hls_cost hls_launch_matmul(const hls_build *b, const uint64_t *args) {
    const uint64_t *a = args + b->ports;
    return hls_cost_matmul(b, (hls_weight)I32(matmul, type), I32(matmul, w8a8), I32(matmul, rows), I32(matmul, outputs),
                           I32(matmul, inputs));
}

/* Visited experts one by one: their types may differ. y is cleared once, unless kept. */
hls_cost hls_launch_experts(const hls_build *b, const uint64_t *args) {
    const uint64_t *a = args + b->ports;
    const int32_t *table = HLS_VALUE_TABLE(a[HLS_AT_experts_table]);
    const int64_t hidden = I32(experts, hidden), inner = I32(experts, inner);
    const hls_weight any[3] = {HLS_E4M3, HLS_E4M3, HLS_E4M3};
    hls_cost total = {0};
    if (!I32(experts, keep)) total = hls_cost_experts(b, any, 0, I32(experts, rows), 0, 0, hidden, inner);
    for (int32_t v = 0; v < I32(experts, visited); v++) {
        const int32_t *f = table + v * HLS_EXPERT_FIELDS;
        hls_weight types[3];
        for (int i = 0; i < 3; i++) types[i] = (hls_weight)f[HLS_EXPERT_GATE_TYPE + i];
        int32_t routes = f[HLS_EXPERT_ROUTES], passes = (routes + b->rows - 1) / b->rows;
        total = hls_cost_add(total, hls_cost_experts(b, types, I32(experts, w8a8), 0, passes, routes, hidden, inner));
    }
    return total;
}

hls_cost hls_launch_mla(const hls_build *b, const uint64_t *args) {
    const uint64_t *a = args + b->ports;
    const int32_t *table = HLS_VALUE_TABLE(a[HLS_AT_mla_table]);
    hls_mla_shape m = {.k_type = (hls_weight)I32(mla, k_type),
                       .v_type = (hls_weight)I32(mla, v_type),
                       .heads = I32(mla, heads),
                       .nope = I32(mla, nope),
                       .rope = I32(mla, rope),
                       .v = I32(mla, v),
                       .rank = I32(mla, rank),
                       .k_first = I32(mla, k_first),
                       .k_stride = I32(mla, k_stride),
                       .v_first = I32(mla, v_first),
                       .v_stride = I32(mla, v_stride),
                       .k_transposed = I32(mla, k_transposed)};
    hls_cost total = hls_cost_mla_weights(b, &m, I32(mla, rows));
    for (int32_t t = 0; t < I32(mla, rows); t++)
        total = hls_cost_add(total, hls_cost_mla_pages(b, &m, 4 * I32(mla, row_units), 1, table[2 * t] + 1.0));
    return total;
}

hls_cost hls_launch_gqa(const hls_build *b, const uint64_t *args) {
    const uint64_t *a = args;
    const int32_t *table = HLS_VALUE_TABLE(a[HLS_AT_gqa_table]);
    const int32_t heads = I32(gqa, heads), kv_heads = I32(gqa, kv_heads), dim = I32(gqa, head_dim);
    /* the kv heads of this launch alone: a share of the row, as keys and values have one type */
    const int32_t bytes = 2 * kv_heads * dim * I32(gqa, a_type);
    hls_cost total = {0};
    for (int32_t t = 0; t < I32(gqa, rows); t++)
        total = hls_cost_add(total, hls_cost_gqa(b, bytes, 1, table[2 * t] + 1.0, heads, kv_heads, dim));
    return total;
}

hls_cost hls_launch_rowwise(const hls_build *b, const uint64_t *args) {
    const uint64_t *a = args;
    const int64_t n = I32(rowwise, n), heads = I32(rowwise, heads);
    const int64_t values[HLS_ROW_OPS] = {[HLS_NORM] = 3 * n,
                                         [HLS_ROPE] = n + 2 * n * heads,
                                         [HLS_ADD] = 3 * n,
                                         [HLS_STORE] = 2 * (n + I32(rowwise, n_b)),
                                         [HLS_COMBINE] = n + 2 * n * heads};
    return hls_cost_rowwise(b, I32(rowwise, rows), values[I32(rowwise, op)]);
}
