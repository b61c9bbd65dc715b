/* What a launch costs, from its arguments. */
#include "hls/launch.h"

#include "hls/cost_attention.h"
#include "hls/kernels.h"

#define I32(kernel, name) HLS_VALUE_I32(a[HLS_AT_##kernel##_##name])

static hls_cost routed_launch(const hls_build *b, const uint64_t *a) {
    const int32_t *table = HLS_VALUE_TABLE(a[HLS_AT_matmul_table]);
    const int64_t outputs = I32(matmul, outputs), inputs = I32(matmul, inputs);
    const int gated = I32(matmul, op) == HLS_GATED, w8a8 = I32(matmul, w8a8);
    hls_passes passes = {{0}};
    hls_cost total = {0};
    if (!gated && !I32(matmul, keep))
        total = hls_cost_routed(b, HLS_F32, 0, I32(matmul, rows), &passes, outputs, inputs);
    for (int32_t v = 0; v < I32(matmul, visited); v++) { /* one by one: their types may differ */
        const int32_t *f = table + v * HLS_EXPERT_FIELDS;
        const hls_weight types[2] = {(hls_weight)f[HLS_EXPERT_GATE_TYPE], (hls_weight)f[HLS_EXPERT_UP_TYPE]};
        const hls_weight down = (hls_weight)f[HLS_EXPERT_DOWN_TYPE];
        passes = hls_passes_of(b, f[HLS_EXPERT_ROUTES]);
        total = hls_cost_add(total, gated ? hls_cost_gated(b, types, w8a8, &passes, outputs, inputs)
                                          : hls_cost_routed(b, down, w8a8, 0, &passes, outputs, inputs));
    }
    return total;
}

hls_cost hls_launch_matmul(const hls_build *b, const uint64_t *args) {
    const uint64_t *a = args + b->ports;
    if (I32(matmul, op) != HLS_LINEAR) return routed_launch(b, a);
    return hls_cost_matmul(b, (hls_weight)I32(matmul, type), I32(matmul, w8a8), I32(matmul, rows), I32(matmul, outputs),
                           I32(matmul, inputs));
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
                                         [HLS_STORE] = 2 * (n + I32(rowwise, n_b))};
    return hls_cost_rowwise(b, I32(rowwise, rows), values[I32(rowwise, op)]);
}
