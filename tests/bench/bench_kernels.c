/* The cpu backend's matmul against this machine's limits, as JSON lines: the rate of reading memory, and for each instruction
 * set the rate of FP8 weights that stay in L2, of FP8 and BF16 weights that come from memory for one row, and for steps of many
 * rows. `percent` compares with the smaller of the two limits. One argument: the matrix's megabytes. */
#include <stdio.h>
#include <stdlib.h>

#include "host/backend/backend.h"
#include "host/base/cpu.h"
#include "host/base/memory.h"
#include "tests/lib/check.h"
#include "tests/lib/measure.h"

enum { COLS = 7168, PASSES = 7, MAX_ROWS = 64 };

typedef struct bench_case {
    fa_dtype type;
    fa_numerics numerics;
    int rows; /* T */
} bench_case;

static const bench_case cases[] = {
    {FA_F8_E4M3, FA_W8A8, 1},  {FA_F8_E4M3, FA_W8A8, 4},   {FA_F8_E4M3, FA_W8A8, 16}, {FA_F8_E4M3, FA_W8A8, 64},
    {FA_F8_E4M3, FA_W8A16, 1}, {FA_F8_E4M3, FA_W8A16, 16}, {FA_BF16, FA_W8A8, 1},     {FA_BF16, FA_W8A8, 16},
    {FA_Q4_1, FA_W8A8, 1},     {FA_Q8_0, FA_W8A8, 1},
};

/* One matrix of `bytes` that serves every type: bytes that are small values as FP8, BF16 and FP16. */
typedef struct bench_data {
    fa_memory weights;
    float *scales;
    size_t bytes;
} bench_data;

static fa_status make_data(bench_data *d, size_t bytes, fa_error *e) {
    d->bytes = bytes;
    fa_status s = fa_memory_alloc(&d->weights, bytes, FA_NODE_INTERLEAVE, e);
    size_t scales = bytes / FA_BLOCK / FA_BLOCK + COLS;
    d->scales = s ? NULL : malloc(scales * sizeof(float));
    if (!s && !d->scales) s = fa_fail(e, FA_ENOMEM, "no memory for %zu scales", scales);
    if (s) return s;
    check_rng rng = {1};
    uint64_t *words = d->weights.data;
    for (size_t i = 0; i < bytes / 8; i++) words[i] = check_u64(&rng) & 0xbfbfbfbfbfbfbfbf;
    for (size_t i = 0; i < scales; i++) d->scales[i] = 0.01f;
    return FA_OK;
}

static fa_status submit(fa_backend *b, const fa_op *op, fa_error *e) {
    fa_ticket ticket;
    fa_status s = b->submit(b, op, 1, &ticket, e);
    return s ? s : b->wait(b, ticket, e);
}

/* Seconds of the fastest of PASSES matmuls. */
static fa_status time_matmul(fa_backend *b, const bench_case *c, fa_weight *w, fa_buffer *x, fa_buffer *y,
                             double *seconds, fa_error *e) {
    fa_op op = {FA_OP_MATMUL, .matmul = {.numerics = c->numerics,
                                         .rows = c->rows,
                                         .x = {x, 0},
                                         .ldx = COLS,
                                         .n_parts = 1,
                                         .part = {{.w = w, .y = {y, 0}, .ldy = w->rows}}}};
    *seconds = 1e9;
    fa_status s = submit(b, &op, e);
    for (int i = 0; i < PASSES && !s; i++) {
        double start = measure_now();
        s = submit(b, &op, e);
        double took = measure_now() - start;
        if (took < *seconds) *seconds = took;
    }
    return s;
}

static fa_status bench_one(fa_backend *b, const bench_data *d, const bench_case *c, double *rate, double *macs,
                           fa_error *e) {
    int64_t row_bytes = fa_dtype_bytes(c->type, COLS);
    size_t bytes = c->rows > 4 ? d->bytes / 8 : d->bytes; /* many rows are not limited by memory */
    fa_weight w = {
        .name = "matrix", .type = c->type, .rows = (int64_t)bytes / row_bytes, .cols = COLS, .data = d->weights.data};
    if (c->type == FA_F8_E4M3) w.scale = d->scales;
    fa_buffer *x = NULL, *y = NULL;
    fa_status s = b->weight(b, &w, e);
    if (!s) s = b->alloc(b, sizeof(float) * COLS * (size_t)c->rows, &x, e);
    if (!s) s = b->alloc(b, sizeof(float) * (size_t)w.rows * (size_t)c->rows, &y, e);
    double seconds = 1;
    if (!s) {
        check_rng rng = {2};
        for (int64_t i = 0; i < (int64_t)COLS * c->rows; i++) ((float *)x->host)[i] = check_normal(&rng);
        s = time_matmul(b, c, &w, x, y, &seconds, e);
    }
    if (x) b->free(b, x);
    if (y) b->free(b, y);
    *rate = (double)(w.rows * row_bytes) / seconds;
    *macs = (double)w.rows * COLS * c->rows / seconds;
    return s;
}

static fa_status bench_backend(const char *isa, int threads, const bench_data *d, double read_rate, fa_error *e) {
    static const fa_limits limits = {.max_rows = MAX_ROWS, .max_cols = COLS, .max_positions = FA_PAGE_POSITIONS};
    static const char *const names[] = {"w8a8", "w8a16"};
    fa_backend *b;
    setenv("FATHOM_ISA", isa, 1);
    double kernel = measure_kernel_rate("cpu", FA_W8A8, threads, e);
    printf("{\"bench\": \"kernel\", \"isa\": \"%s\", \"threads\": %d, \"l2_gb_s\": %.1f}\n", isa, threads,
           kernel * 1e-9);
    fa_status s =
        fa_backend_open(&b, &(fa_backend_options){.name = "cpu", .threads = threads, .node = FA_NODE_INTERLEAVE}, e);
    if (s) return s;
    s = b->reserve(b, &limits, e);
    for (size_t i = 0; i < sizeof cases / sizeof *cases && !s; i++) {
        const bench_case *c = &cases[i];
        bool codes = c->type == FA_F8_E4M3;
        double rate, macs, limit = codes && c->numerics == FA_W8A8 && kernel < read_rate ? kernel : read_rate;
        s = bench_one(b, d, c, &rate, &macs, e);
        if (s) break;
        printf(
            "{\"bench\": \"matmul\", \"isa\": \"%s\", \"threads\": %d, \"type\": \"%s\", \"numerics\": \"%s\", \"rows\": %d, "
            "\"gb_s\": %.1f, \"gmac_s\": %.1f, \"percent\": %.0f}\n",
            isa, threads, fa_dtype_get(c->type)->name, codes ? names[c->numerics] : "ordered", c->rows, rate * 1e-9,
            macs * 1e-9, 100 * rate / limit);
        fflush(stdout);
    }
    b->close(b);
    return s;
}

int main(int argc, char **argv) {
    fa_error e = {0};
    bench_data d = {0};
    size_t megabytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 256;
    fa_status s = make_data(&d, megabytes << 20, &e);
    for (int threads = 1; threads <= 2 && !s; threads++) {
        double read_rate = measure_read_rate(threads);
        printf("{\"bench\": \"read\", \"threads\": %d, \"gb_s\": %.1f}\n", threads, read_rate * 1e-9);
        for (int isa = FA_ISA_COUNT - 1; isa >= 0 && !s; isa--)
            if (isa <= (int)fa_isa_best()) s = bench_backend(fa_isa_name((fa_isa)isa), threads, &d, read_rate, &e);
    }
    if (s) fprintf(stderr, "bench_kernels: %s\n", e.text);
    free(d.scales);
    fa_memory_free(&d.weights);
    return s != FA_OK;
}
