/* Between the table of kernels and their launches: where an argument is, and as what C type it is passed. Host only. */
#ifndef HLS_LAUNCH_H
#define HLS_LAUNCH_H

#include "hls/args.h"
#include "hls/cost.h"

/* HLS_AT_kernel_name: the argument's position behind the weight ports. */
#define HLS_POSITION(kernel, name, type, kind, bundle) HLS_AT_##kernel##_##name,
enum { HLS_MATMUL_ARGS(HLS_POSITION, HLS_POSITION) HLS_MATMUL_COUNT };
enum { HLS_MLA_ARGS(HLS_POSITION, HLS_POSITION) HLS_MLA_COUNT };
enum { HLS_GQA_ARGS(HLS_POSITION, HLS_POSITION) HLS_GQA_COUNT };
enum { HLS_ROWWISE_ARGS(HLS_POSITION, HLS_POSITION) HLS_ROWWISE_COUNT };

/* Arguments of hls_kernel.run and .cost as the C functions take them. */
#define HLS_VALUE_IN(v) (const hls_word *)(uintptr_t)(v)
#define HLS_VALUE_OUT(v) (hls_word *)(uintptr_t)(v)
#define HLS_VALUE_TABLE(v) (const int32_t *)(uintptr_t)(v)
#define HLS_VALUE_I32(v) (int32_t)(v)
#define HLS_VALUE_I64(v) (int64_t)(v)
#define HLS_VALUE_F32(v) hls_float((uint32_t)(v))

/* What a launch costs; hls_kernel.cost. */
hls_cost hls_launch_matmul(const hls_build *b, const uint64_t *args);
hls_cost hls_launch_mla(const hls_build *b, const uint64_t *args);
hls_cost hls_launch_gqa(const hls_build *b, const uint64_t *args);
hls_cost hls_launch_rowwise(const hls_build *b, const uint64_t *args);

#endif
