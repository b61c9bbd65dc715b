/* The kernels of one build as a table. Compiled once for each number of ports; no part of a kernel. */
#include "hls/float.h"
#include "hls/kernels.h"
#include "hls/launch.h"

#define PASS_PORT(p) HLS_VALUE_IN(args[p]),
#define PASS(kernel, name, type, kind, bundle) HLS_VALUE_##type(scalars[HLS_AT_##kernel##_##name]),
#define PASS_LAST(kernel, name, type, kind, bundle) HLS_VALUE_##type(scalars[HLS_AT_##kernel##_##name])

static void run_matmul(const uint64_t *args) {
    const uint64_t *scalars = args + HLS_PORTS;
    HLS_KERNEL(fathom_matmul)(HLS_EACH_PORT(PASS_PORT) HLS_MATMUL_ARGS(PASS, PASS_LAST));
}

static void run_mla(const uint64_t *args) {
    const uint64_t *scalars = args + HLS_PORTS;
    HLS_KERNEL(fathom_mla)(HLS_EACH_PORT(PASS_PORT) HLS_MLA_ARGS(PASS, PASS_LAST));
}

static void run_gqa(const uint64_t *scalars) {
    HLS_SHARED(fathom_gqa)(HLS_GQA_ARGS(PASS, PASS_LAST));
}

static void run_rowwise(const uint64_t *scalars) {
    HLS_SHARED(fathom_rowwise)(HLS_ROWWISE_ARGS(PASS, PASS_LAST));
}

#define BYTES_IN 8
#define BYTES_OUT 8
#define BYTES_TABLE 8
#define BYTES_I64 8
#define BYTES_I32 4
#define BYTES_F32 4
#define PORT_LINE(p) {"w" #p, HLS_ARG_READ, "w" #p, 8},
#define LINE(kernel, name, type, kind, bundle) {#name, HLS_ARG_##kind, bundle, BYTES_##type},

const hls_kernel HLS_KERNEL(hls_kernels)[] = {
    {"fathom_matmul",
     HLS_PORTS + HLS_MATMUL_COUNT,
     {HLS_EACH_PORT(PORT_LINE) HLS_MATMUL_ARGS(LINE, LINE)},
     run_matmul,
     hls_launch_matmul},
    {"fathom_mla",
     HLS_PORTS + HLS_MLA_COUNT,
     {HLS_EACH_PORT(PORT_LINE) HLS_MLA_ARGS(LINE, LINE)},
     run_mla,
     hls_launch_mla},
    {"fathom_gqa", HLS_GQA_COUNT, {HLS_GQA_ARGS(LINE, LINE)}, run_gqa, hls_launch_gqa},
    {"fathom_rowwise", HLS_ROWWISE_COUNT, {HLS_ROWWISE_ARGS(LINE, LINE)}, run_rowwise, hls_launch_rowwise},
    {.name = 0},
};
