/* Running kernels of hls/ by themselves: weights packed over ports, arguments by name, results beside the reference's. */
#ifndef FA_TESTS_HLS_H
#define FA_TESTS_HLS_H

#include "hls/kernels.h"
#include "tests/lib/conformance.h"

/* The builds under test: the library's for each number of ports, one with checked streams, one by clang. */
typedef struct hls_variant {
    const char *name;
    int ports;
    const hls_kernel *kernels;
} hls_variant;

int hls_variants(void);
hls_variant hls_variant_get(int i); /* skips the case when the build is missing */

/* Memory of a unit's weight ports; weights are put one behind the other. */
typedef struct hls_memory {
    int ports;
    hls_word *port[HLS_MAX_PORTS];
    int64_t words, room; /* used and allocated, of each port */
} hls_memory;

/* Room for `words` words a port, filled with a pattern that is no number. */
hls_memory hls_memory_make(fa_arena *a, int ports, int64_t words);

/* What the board keeps of a type: E4M3, BF16, or FP32 for all others. */
hls_weight hls_type(fa_dtype type);

/* Packs a weight; returns the word where it starts. */
int32_t hls_put_weight(hls_memory *m, const fa_weight *w);

/* A launch: every argument is set by its name, once. */
typedef struct hls_call {
    const hls_variant *variant;
    const hls_kernel *kernel;
    uint64_t args[HLS_KERNEL_ARGS];
    bool set[HLS_KERNEL_ARGS];
} hls_call;

hls_call hls_call_make(const hls_variant *v, const char *kernel,
                       const hls_memory *m); /* m: NULL where there are no ports */
void hls_set(hls_call *c, const char *name, int64_t value);
void hls_set_float(hls_call *c, const char *name, float value);
void hls_set_pointer(hls_call *c, const char *name, const void *p);
/* Runs it in the mode of kernels; fails when an argument is missing or a checked stream was misused. */
void hls_run(const hls_call *c);

/* A matrix [rows, n] in whole words behind `first` marked values, row stride n + gap. */
typedef struct hls_matrix {
    hls_word *words;
    int64_t n_words, rows, n, first, ld;
} hls_matrix;

hls_matrix hls_matrix_make(fa_arena *a, const float *src, int64_t rows, int64_t n, int64_t first, int64_t gap);
float *hls_at(const hls_matrix *m, int64_t row);
/* Fails unless the matrix is bit-equal to want [rows, n] (any NaN equals any other) and nothing around it was written. */
void hls_check_equal(const hls_matrix *m, const float *want);

/* The bits of the reference for an op: runs it on buffers whose memory the caller sees. */
fa_buffer *hls_reference_buffer(const void *bytes, size_t n);
void hls_reference(const fa_op *op);
void hls_reference_free(fa_buffer *b);

#endif
