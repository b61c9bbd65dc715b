/* Conformance: every case on every backend, thread count and composition of rows must give the reference's bits (any NaN
 * equals any NaN). A test program has a table of cases of one op; the backends are a table in conformance.c. */
#ifndef FA_TESTS_CONFORMANCE_H
#define FA_TESTS_CONFORMANCE_H

#include "host/backend/backend.h"
#include "host/base/arena.h"
#include "tests/lib/check.h"

enum { CONF_MAX_WEIGHTS = 64 };

/* The input of a case. Kinds put their own data behind it. */
typedef struct conf_data {
    int rows;      /* that may be run alone, all together or in any mixture */
    int64_t width; /* FP32 values in the result of one row */
    int n_weights;
    fa_weight *weights[CONF_MAX_WEIGHTS]; /* given to each backend before it runs the case */
    const void *pool_bytes;               /* cache pages that the rows read, or NULL */
    size_t pool_size;
    fa_buffer *pool; /* their copy in the backend under test */
} conf_data;

/* How to name, make and run the cases of one op. `params` is a line of its table. */
typedef struct conf_kind {
    void (*describe)(const void *params, char *text, size_t size);
    conf_data *(*make)(const void *params, fa_arena *arena, check_rng *rng);
    /* Runs the `n` rows listed (in that order, as one op) and writes their results to out [n, width]. */
    void (*run)(conf_data *data, fa_backend *b, const int *rows, int n, float *out);
} conf_kind;

typedef struct conf_case {
    const conf_kind *kind;
    const void *params;
} conf_case;

/* Runs all cases on all backends: one check case per pair, named "CASE [BACKEND]". Returns main's result. */
int conf_main(int argc, char **argv, const conf_case *cases, size_t n);

/* The backends of the table for checks that are no comparison: their number, labels, and each one with its i-th thread
 * count, opened and reserved (skips the case where this CPU lacks it). They stay open until conf_close. */
int conf_backends(void);
const char *conf_label(int backend);
fa_backend *conf_backend(int backend, int thread_count);
void conf_close(void);

/* Values of test rows and weights. */
typedef enum conf_values {
    CONF_NORMAL, /* around 1 */
    CONF_HARD, /* rows in turn: normal; with zeros and subnormals; huge; tiny; mixed magnitudes; one NaN; one infinity; small.
                    Weights and scales of all magnitudes */
    CONF_TINY, /* rows around 3e36; weights, scales and cached values around 2^-126, many of them subnormal */
    CONF_VAST, /* the reverse: rows around 1e-36, FP8 scales up to 2^127 over codes below 2 */
    CONF_TIES, /* rows whose blocks of 128, divided by their scale, lie half-way between codes or one ulp beside */
} conf_values;
/* "", " hard", .. for names. */
const char *conf_values_name(conf_values v);
float *conf_rows(fa_arena *a, check_rng *rng, int64_t rows, int64_t n, conf_values kind);

/* A random weight of any type that ops multiply; hard: scales and values of all magnitudes. */
fa_weight conf_weight(fa_arena *a, check_rng *rng, fa_dtype type, int64_t rows, int64_t cols, conf_values kind);

void *conf_alloc(fa_arena *a, size_t n, size_t size);
/* [count, n] FP32 values somewhere in a buffer of their own: in rows of `ld`, after `first` others. What lies between is
 * marked with a NaN, so that reading it shows in a result and writing it is found. */
typedef struct conf_matrix {
    fa_buffer *buffer;
    fa_ref ref; /* of row 0 */
    int count;
    int64_t n, ld, first;
} conf_matrix;

/* The listed rows of src [.., n] in the backend's memory; NULL: all marked. */
conf_matrix conf_upload(fa_backend *b, const float *src, int64_t n, const int *rows, int count);
/* Copies the matrix to out (row stride ld_out), checks that it was written, all of it and nothing around it, frees it. */
void conf_collect(fa_backend *b, conf_matrix *m, float *out, int64_t ld_out);
void conf_free(fa_backend *b, conf_matrix *m);

/* Submits the ops and waits. */
void conf_submit(fa_backend *b, const fa_op *ops, int n);

#endif
