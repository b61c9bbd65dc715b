/* Costs: no faster than the hardware could, never more for a larger build, never less for a larger launch, additive. */
#include <math.h>
#include <string.h>

#include "hls/kernels.h"
#include "hls/launch.h"
#include "tests/lib/check.h"

enum { TRIALS = 3000 };

/* A launch of any kernel, as a line of numbers. */
typedef struct work {
    int kernel; /* 0 matmul, 1 gated, 2 routed, 3 mla, 4 gqa, 5 rowwise */
    int w8a8;
    hls_weight type;
    int64_t rows, outputs, inputs, heads, kv_heads, dim, rank, rope, passes;
    double context;
} work;

static int64_t between(check_rng *rng, int64_t low, int64_t high) {
    return low + (int64_t)(check_u64(rng) % (uint64_t)(high - low + 1));
}

static int32_t one_of(check_rng *rng, int n) { /* 1, 2, .. 2^(n - 1) */
    return 1 << check_u64(rng) % (uint64_t)n;
}

static work any_work(check_rng *rng) {
    static const hls_weight types[3] = {HLS_E4M3, HLS_BF16, HLS_F32};
    work w = {.kernel = (int)between(rng, 0, 5), .w8a8 = (int)between(rng, 0, 1), .type = types[between(rng, 0, 2)]};
    w.rows = between(rng, 1, 20);
    w.outputs = between(rng, 1, 8000);
    w.inputs = between(rng, 1, 8000);
    w.kv_heads = one_of(rng, 4);
    w.heads = w.kv_heads * between(rng, 1, 16);
    w.dim = between(rng, 1, 128);
    w.rank = between(rng, 1, 512);
    w.rope = between(rng, 1, 64);
    w.context = (double)between(rng, 1, 5000);
    return w;
}

static hls_build any_build(check_rng *rng) {
    return (hls_build){.ports = one_of(rng, 5),
                       .port_bytes = 32 * one_of(rng, 2),
                       .rows = one_of(rng, 5),
                       .lanes_fp32 = 16 * one_of(rng, 7)};
}

static hls_cost cost_of(const hls_build *b, const work *w) {
    const hls_weight types[2] = {w->type, w->type};
    const hls_passes passes = hls_passes_of(b, w->rows);
    switch (w->kernel) {
    case 0: return hls_cost_matmul(b, w->type, w->w8a8, w->rows, w->outputs, w->inputs);
    case 1: return hls_cost_gated(b, types, w->w8a8, &passes, w->outputs, w->inputs);
    case 2: return hls_cost_routed(b, w->type, w->w8a8, w->rows, &passes, w->outputs, w->inputs);
    case 3:
        return hls_cost_mla(b, w->type, w->type, (int32_t)(4 * (w->rank + w->rope)), w->rows, w->context, w->heads,
                            w->dim, w->rope, w->dim, w->rank);
    case 4:
        return hls_cost_gqa(b, (int32_t)(8 * w->kv_heads * w->dim), w->rows, w->context, w->heads, w->kv_heads, w->dim);
    default: return hls_cost_rowwise(b, w->rows, w->inputs);
    }
}

static void costs_never_beat_the_lanes_and_ports(void *arg) {
    (void)arg;
    check_rng rng = {1};
    for (int i = 0; i < TRIALS; i++) {
        work w = any_work(&rng);
        hls_build b = any_build(&rng);
        hls_cost c = cost_of(&b, &w);
        double lanes = (double)b.ports * b.port_bytes * b.rows;
        CHECK(c.cycles >= c.macs_fp8 / lanes, "kernel %d: %g cycles for %g FP8 products", w.kernel, c.cycles,
              c.macs_fp8);
        int loops = w.kernel == 3 || w.kernel == 4 ? 2 : 1; /* scores and values at the same time */
        CHECK(c.cycles >= c.macs_fp32 / (loops * b.lanes_fp32), "kernel %d: %g cycles for %g FP32 products", w.kernel,
              c.cycles, c.macs_fp32);
        double ports = (double)b.ports * b.port_bytes;
        CHECK(c.cycles >= c.weight_bytes / ports, "kernel %d: %g cycles for %g weight bytes", w.kernel, c.cycles,
              c.weight_bytes);
    }
}

static void costs_fall_when_a_build_doubles(void *arg) {
    (void)arg;
    check_rng rng = {2};
    for (int i = 0; i < TRIALS; i++) {
        work w = any_work(&rng);
        hls_build b = any_build(&rng), more[4] = {b, b, b, b};
        more[0].ports *= b.ports < 16 ? 2 : 1;
        more[1].port_bytes = 64;
        more[2].rows *= 2;
        more[3].lanes_fp32 *= 2;
        double cycles = cost_of(&b, &w).cycles;
        for (int k = 0; k < 4; k++) {
            double less = cost_of(&more[k], &w).cycles;
            CHECK(
                less <= cycles * (1 + 1e-12),
                "trial %d, kernel %d type %d w8a8 %d rows %lld [%lld, %lld], doubling %d of %d ports of %d, %d rows, %d lanes: "
                "%g cycles became %g",
                i, w.kernel, w.type, w.w8a8, (long long)w.rows, (long long)w.outputs, (long long)w.inputs, k, b.ports,
                b.port_bytes, b.rows, b.lanes_fp32, cycles, less);
        }
    }
}

static void costs_grow_with_the_work(void *arg) {
    (void)arg;
    check_rng rng = {3};
    for (int i = 0; i < TRIALS; i++) {
        work w = any_work(&rng), more[5] = {w, w, w, w, w};
        hls_build b = any_build(&rng);
        more[0].rows++;
        more[1].outputs += between(&rng, 1, 200);
        more[2].inputs += between(&rng, 1, 200);
        more[3].context += 100;
        more[4].heads += w.kv_heads;
        hls_cost c = cost_of(&b, &w);
        for (int k = 0; k < 5; k++) {
            hls_cost d = cost_of(&b, &more[k]);
            CHECK(d.cycles >= c.cycles && d.weight_bytes >= c.weight_bytes && d.io_bytes >= c.io_bytes &&
                      d.bursts >= c.bursts,
                  "trial %d, kernel %d, growing %d: %g cycles became %g", i, w.kernel, k, c.cycles, d.cycles);
        }
    }
}

/* What the table says of a launch is what the planner computes of its shape. */
static void a_launch_costs_what_its_shape_costs(void *arg) {
    (void)arg;
    hls_build b = {4, 64, 4, 64};
    uint64_t args[HLS_KERNEL_ARGS] = {0}, *a = args + b.ports;
    a[HLS_AT_matmul_rows] = 9, a[HLS_AT_matmul_outputs] = 500, a[HLS_AT_matmul_inputs] = 700,
    a[HLS_AT_matmul_type] = HLS_E4M3;
    a[HLS_AT_matmul_w8a8] = 1;
    hls_cost got = hls_kernel_find(4, "fathom_matmul")->cost(&b, args),
             want = hls_cost_matmul(&b, HLS_E4M3, 1, 9, 500, 700);
    CHECK(!memcmp(&got, &want, sizeof got), "%g cycles, planned %g", got.cycles, want.cycles);

    int32_t table[HLS_EXPERT_FIELDS] = {0, 0, 0, HLS_E4M3, HLS_E4M3, HLS_E4M3, 0, 9};
    const hls_weight types[2] = {HLS_E4M3, HLS_E4M3};
    const hls_passes passes = hls_passes_of(&b, 9);
    a[HLS_AT_matmul_table] = (uint64_t)(uintptr_t)table, a[HLS_AT_matmul_visited] = 1;
    a[HLS_AT_matmul_op] = HLS_GATED;
    got = hls_kernel_find(4, "fathom_matmul")->cost(&b, args);
    want = hls_cost_gated(&b, types, 1, &passes, 500, 700);
    CHECK(fabs(got.cycles / want.cycles - 1) < 1e-9, "gated: %g cycles, planned %g", got.cycles, want.cycles);
    a[HLS_AT_matmul_op] = HLS_ROUTED;
    got = hls_kernel_find(4, "fathom_matmul")->cost(&b, args);
    want = hls_cost_routed(&b, HLS_E4M3, 1, 9, &passes, 500, 700);
    CHECK(fabs(got.cycles / want.cycles - 1) < 1e-9, "routed: %g cycles, planned %g", got.cycles, want.cycles);

    int32_t places[6] = {99, 4, 99, 4, 0, 1};
    memset(args, 0, sizeof args);
    a[HLS_AT_mla_table] = (uint64_t)(uintptr_t)places, a[HLS_AT_mla_rows] = 2, a[HLS_AT_mla_heads] = 16;
    a[HLS_AT_mla_nope] = 128, a[HLS_AT_mla_rope] = 64, a[HLS_AT_mla_v] = 128, a[HLS_AT_mla_rank] = 512;
    a[HLS_AT_mla_k_type] = a[HLS_AT_mla_v_type] = HLS_E4M3, a[HLS_AT_mla_k_stride] = a[HLS_AT_mla_v_stride] = 256;
    a[HLS_AT_mla_v_first] = 128, a[HLS_AT_mla_row_units] = 576, a[HLS_AT_mla_a_type] = HLS_F32;
    got = hls_kernel_find(4, "fathom_mla")->cost(&b, args);
    want = hls_cost_mla(&b, HLS_E4M3, HLS_E4M3, 2304, 2, 100, 16, 128, 64, 128, 512);
    CHECK(fabs(got.cycles / want.cycles - 1) < 1e-9, "%g cycles, planned %g", got.cycles, want.cycles);
}

static void an_fp8_pass_keeps_its_ports_busy(void *arg) {
    (void)arg;
    hls_build b = {16, 64, 1, 64};
    hls_cost c = hls_cost_matmul(&b, HLS_E4M3, 1, 1, 18432, 7168);
    double least = c.weight_bytes / (16 * 64);
    CHECK(c.cycles < 1.05 * least, "%g cycles where streaming takes %g", c.cycles, least);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"costs never beat lanes and ports", costs_never_beat_the_lanes_and_ports, NULL},
        {"costs fall when a build doubles", costs_fall_when_a_build_doubles, NULL},
        {"costs grow with the work", costs_grow_with_the_work, NULL},
        {"a launch costs what its shape costs", a_launch_costs_what_its_shape_costs, NULL},
        {"an FP8 pass keeps its ports busy", an_fp8_pass_keeps_its_ports_busy, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
