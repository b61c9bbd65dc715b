#include "tests/lib/measure.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/base/memory.h"
#include "tests/lib/check.h"

double measure_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int64_t measure_resident(void) {
    long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%ld %ld", &total, &resident) != 2) resident = 0;
    fclose(f);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

/* ---- reading memory ---- */

enum { READ_PASSES = 5 };
static const int64_t READ_BYTES = (int64_t)1 << 29, PIECE = (int64_t)1 << 20;

typedef uint64_t words __attribute__((vector_size(64)));

typedef struct reading {
    const words *data;
    uint64_t sum[1024]; /* by thread: keeps the reads from being dropped */
} reading;

static void read_piece(void *ctx, int64_t begin, int64_t end, int thread) {
    reading *r = ctx;
    words a = {0}, b = {0};
    for (int64_t i = begin * PIECE / 64; i < end * PIECE / 64; i += 2) {
        a ^= r->data[i];
        b ^= r->data[i + 1];
    }
    a ^= b;
    for (int i = 0; i < 8; i++) r->sum[thread] ^= a[i];
}

double measure_read_rate(int threads) {
    fa_team *team;
    fa_memory m;
    double best = 0;
    if (fa_team_open(&team, threads, FA_NODE_INTERLEAVE, NULL)) return 0;
    if (fa_memory_alloc(&m, (size_t)READ_BYTES, FA_NODE_INTERLEAVE, NULL) == FA_OK) {
        memset(m.data, 1, (size_t)READ_BYTES);
        reading r = {.data = m.data};
        for (int i = 0; i < READ_PASSES; i++) {
            double start = measure_now();
            fa_team_run(team, READ_BYTES / PIECE, 1, read_piece, &r);
            double rate = (double)READ_BYTES / (measure_now() - start);
            if (rate > best) best = rate;
        }
        fa_memory_free(&m);
    }
    fa_team_close(team);
    return best;
}

/* ---- the kernel on a block that stays in L2 ---- */

enum { ROWS = 256, COLS = 2048, OPS = 64, KERNEL_PASSES = 40 };

typedef struct kernel_run {
    const char *name;
    fa_numerics numerics;
    pthread_barrier_t *together;
    double rate;
    fa_status status;
    fa_error error;
} kernel_run;

typedef struct block {
    uint8_t codes[ROWS * COLS];
    float scales[ROWS / FA_BLOCK * COLS / FA_BLOCK];
    float x[COLS];
} block;

static void fill_block(block *b) {
    check_rng rng = {7};
    for (int i = 0; i < ROWS * COLS; i++) b->codes[i] = (uint8_t)(check_u64(&rng) & 0xbf); /* |value| <= 1.875 */
    for (size_t i = 0; i < sizeof b->scales / sizeof *b->scales; i++) b->scales[i] = 0.02f;
    for (int i = 0; i < COLS; i++) b->x[i] = check_normal(&rng);
}

/* Seconds of the fastest submission of OPS matmuls. */
static fa_status time_matmuls(fa_backend *backend, fa_weight *w, const block *b, kernel_run *r, double *seconds) {
    fa_error *e = &r->error;
    fa_buffer *x = NULL, *y = NULL;
    fa_op ops[OPS];
    fa_limits limits = {.max_rows = 1,
                        .max_cols = COLS,
                        .max_inner = COLS,
                        .max_top_k = 1,
                        .max_experts = 1,
                        .max_heads = 1,
                        .max_rank = FA_BLOCK,
                        .max_positions = FA_PAGE_POSITIONS};
    fa_status s = backend->reserve(backend, &limits, e);
    if (!s) s = backend->weight(backend, w, e);
    if (!s) s = backend->alloc(backend, sizeof b->x, &x, e);
    if (!s) s = backend->alloc(backend, ROWS * sizeof(float), &y, e);
    if (!s) s = backend->write(backend, x, 0, b->x, sizeof b->x, e);
    for (int i = 0; i < OPS; i++)
        ops[i] = (fa_op){FA_OP_MATMUL, .matmul = {.numerics = r->numerics,
                                                  .rows = 1,
                                                  .x = {x, 0},
                                                  .ldx = COLS,
                                                  .n_parts = 1,
                                                  .part = {{.w = w, .y = {y, 0}, .ldy = ROWS}}}};
    *seconds = 1e9;
    pthread_barrier_wait(r->together);
    for (int i = 0; i < KERNEL_PASSES && !s; i++) {
        fa_ticket ticket;
        double start = measure_now();
        s = backend->submit(backend, ops, OPS, &ticket, e);
        if (!s) s = backend->wait(backend, ticket, e);
        double took = measure_now() - start;
        if (took < *seconds) *seconds = took;
    }
    if (x) backend->free(backend, x);
    if (y) backend->free(backend, y);
    return s;
}

static void *run_kernel(void *arg) {
    kernel_run *r = arg;
    fa_backend *backend = NULL;
    fa_backend_options options = {.name = r->name, .threads = 1, .node = FA_NODE_INTERLEAVE};
    block *b = malloc(sizeof *b);
    r->status = b ? fa_backend_open(&backend, &options, &r->error) : FA_ENOMEM;
    if (r->status) {
        pthread_barrier_wait(r->together);
    } else {
        double seconds;
        fill_block(b);
        fa_weight w = {
            .name = "block", .type = FA_F8_E4M3, .rows = ROWS, .cols = COLS, .data = b->codes, .scale = b->scales};
        r->status = time_matmuls(backend, &w, b, r, &seconds);
        r->rate = r->status ? 0 : (double)OPS * ROWS * COLS / seconds;
        backend->close(backend);
    }
    free(b);
    return NULL;
}

double measure_kernel_rate(const char *name, fa_numerics numerics, int threads, fa_error *e) {
    enum { MOST = 256 };
    pthread_t id[MOST];
    kernel_run run[MOST];
    pthread_barrier_t together;
    if (threads < 1 || threads > MOST) return 0;
    pthread_barrier_init(&together, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        run[i] = (kernel_run){.name = name, .numerics = numerics, .together = &together};
        if (pthread_create(&id[i], NULL, run_kernel, &run[i])) abort();
    }
    double rate = 0;
    bool failed = false;
    for (int i = 0; i < threads; i++) {
        pthread_join(id[i], NULL);
        rate += run[i].rate;
        if (run[i].status) *e = run[i].error;
        failed |= run[i].status != FA_OK;
    }
    pthread_barrier_destroy(&together);
    return failed ? 0 : rate;
}
