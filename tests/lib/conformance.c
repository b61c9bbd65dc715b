#include "tests/lib/conformance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/format/fp8.h"

/* A backend under test. A new one is a new line here. */
static const struct conf_backend {
    const char *label, *name;
    const char *variable, *value; /* of the environment while it opens, or NULL */
    int n_threads, threads[3];
    bool brief;            /* slow to ask: one row alone, and all together */
    const char *placement; /* over several of them, or NULL */
} backends[] = {
    {"reference", "reference", NULL, NULL, 1, {1}, false, NULL},
    {"cpu:portable", "cpu", "FATHOM_ISA", "portable", 3, {1, 2, 7}, false, NULL},
    {"cpu:avx2", "cpu", "FATHOM_ISA", "avx2", 3, {1, 2, 7}, false, NULL},
    {"cpu:avx512", "cpu", "FATHOM_ISA", "avx512", 3, {1, 2, 7}, false, NULL},
    {"cpu:avx512bf16", "cpu", "FATHOM_ISA", "avx512bf16", 3, {1, 2, 7}, false, NULL},
    {"opencl", "opencl", NULL, NULL, 1, {0}, false, NULL},
    {"opencl:groups", "opencl", "FATHOM_OPENCL_GROUPS", "1", 1, {0}, false, NULL},
    /* three units, and one whose ports share their banks with activations */
    {"sim:three-units", "sim:tests/fixtures/boards/three-units.board", NULL, NULL, 1, {2}, false, NULL},
    {"sim:u200", "sim:u200", NULL, NULL, 1, {1}, false, NULL},
    {"cpu twice", "cpu", NULL, NULL, 1, {2}, false, "tests/fixtures/placements/two-boards.json"},
    {"sim twice",
     "sim:tests/fixtures/boards/three-units.board",
     NULL,
     NULL,
     1,
     {2},
     true,
     "tests/fixtures/placements/two-boards.json"},
    {"xrt:emu", "xrt:emu:tests/fixtures/boards/four-units.board", NULL, NULL, 1, {1}, true, NULL},
    {"xrt-opencl", "xrt-opencl:emu:tests/fixtures/boards/four-units.board", NULL, NULL, 1, {1}, true, NULL},
};
enum { N_BACKENDS = sizeof backends / sizeof *backends, MAX_THREAD_COUNTS = 3, BATCH = 5 };

static const fa_limits limits = {.max_rows = 80,
                                 .max_cols = 2048,
                                 .max_inner = 2048,
                                 .max_top_k = 8,
                                 .max_experts = 64,
                                 .max_heads = 64,
                                 .max_rank = 512,
                                 .max_positions = 8192};

static const uint32_t MARK = 0x7fa5a5a5; /* a NaN that no arithmetic makes */

/* Everything alive between cases: opened backends and the case whose data is at hand. */
static struct session {
    fa_backend *reference, *opened[N_BACKENDS][MAX_THREAD_COUNTS];
    const conf_case *current;
    fa_arena arena;
    conf_data *data;
    float *truth; /* [data->rows, data->width] */
} session;

/* One check case: a conformance case on a backend. */
typedef struct pair {
    const conf_case *c;
    int backend;
} pair;

void *conf_alloc(fa_arena *a, size_t n, size_t size) {
    void *p = fa_arena_array(a, n, size);
    CHECK(p, "out of memory");
    return p;
}

const char *conf_values_name(conf_values v) {
    static const char *const names[] = {"", " hard", " tiny", " vast", " ties"};
    return names[v];
}

static float hard_value(check_rng *rng, int64_t row, int64_t i, int64_t n) {
    float x = check_normal(rng);
    switch (row % 8) {
    case 1: return i % 3 == 0 ? 0.0f * x : (i % 3 == 1 ? x * 1e-39f : x);
    case 2: return x * 1e30f;
    case 3: return x * 1e-30f;
    case 4: return ldexpf(x, (int)(check_u64(rng) % 200) - 120);
    case 5: return i == n / 2 ? NAN : x;
    case 6: return i == n - 1 ? INFINITY : x;
    case 7: return x * 2e-5f; /* about the least scale of a quantised block */
    default: return x;
    }
}

/* The block's largest value makes the scale; the others are (8.5 .. 15.5) * 2^k of it. */
static void tie_block(check_rng *rng, int64_t n, float *x) {
    x[0] = ldexpf(1.0f + (float)check_uniform(rng), (int)(check_u64(rng) % 10));
    float scale = x[0] / 448.0f;
    for (int64_t i = 1; i < n; i++) {
        float tie = ldexpf(8.5f + (float)(check_u64(rng) % 8), (int)(check_u64(rng) % 12) - 8) * scale;
        uint64_t kind = check_u64(rng) % 3;
        x[i] = kind == 0 ? tie : nextafterf(tie, kind == 1 ? 0.0f : INFINITY);
        if (x[i] > x[0]) x[i] = -x[0];
    }
}

static float row_value(check_rng *rng, int64_t row, int64_t i, int64_t n, conf_values kind) {
    if (kind == CONF_HARD) return hard_value(rng, row, i, n);
    return check_normal(rng) * (kind == CONF_TINY ? 3e36f : kind == CONF_VAST ? 1e-36f : 1.0f);
}

float *conf_rows(fa_arena *a, check_rng *rng, int64_t rows, int64_t n, conf_values kind) {
    float *x = conf_alloc(a, (size_t)(rows * n), sizeof *x);
    for (int64_t t = 0; t < rows; t++)
        for (int64_t i = 0; i < n; i++) {
            if (kind != CONF_TIES)
                x[t * n + i] = row_value(rng, t, i, n, kind);
            else if (i % FA_BLOCK == 0)
                tie_block(rng, n - i < FA_BLOCK ? n - i : FA_BLOCK, x + t * n + i);
        }
    return x;
}

/* Where the FP16 factors of a GGUF block lie: random bytes there would make most weights infinite. */
static const struct block_factors {
    fa_dtype type;
    int offset, count;
} block_factors[] = {
    {FA_Q4_0, 0, 1}, {FA_Q4_1, 0, 2}, {FA_Q5_0, 0, 1}, {FA_Q5_1, 0, 2},
    {FA_Q8_0, 0, 1}, {FA_Q4_K, 0, 2}, {FA_Q5_K, 0, 2}, {FA_Q6_K, 208, 1},
};

static void fill_element(check_rng *rng, fa_dtype type, uint8_t *at, conf_values kind) {
    float x = check_normal(rng);
    /* FP16 keeps below its infinity, the wide types reach far into FP32's subnormals */
    if (kind == CONF_HARD)
        x = ldexpf(x, type == FA_F16 ? (int)(check_u64(rng) % 36) - 24 : (int)(check_u64(rng) % 230) - 170);
    if (kind == CONF_TINY) x = ldexpf(x, type == FA_F16 ? -15 : -126);
    uint16_t half = type == FA_BF16 ? fa_bf16_encode(x) : fa_f16_encode(x);
    uint8_t code = (uint8_t)(check_u64(rng) & (kind == CONF_VAST ? 0xbf : 0xff));
    if (type == FA_F32)
        memcpy(at, &x, 4);
    else if (type == FA_BF16 || type == FA_F16)
        memcpy(at, &half, 2);
    else if (type == FA_F8_E4M3)
        *at = (code & 0x7f) == 0x7f ? 0x80 : code;
    else
        *at = type == FA_F8_E5M2 && (code & 0x7c) == 0x7c ? 0x80 : code; /* E5M2 without infinities and NaN */
}

static void fill_blocks(check_rng *rng, fa_dtype type, uint8_t *data, int64_t bytes) {
    int32_t block = fa_dtype_get(type)->block_bytes;
    for (int64_t i = 0; i < bytes; i++) data[i] = (uint8_t)check_u64(rng);
    for (size_t f = 0; f < sizeof block_factors / sizeof *block_factors; f++)
        for (int64_t b = 0; block_factors[f].type == type && b < bytes; b += block)
            for (int i = 0; i < block_factors[f].count; i++)
                memcpy(data + b + block_factors[f].offset + 2 * i,
                       &(uint16_t){fa_f16_encode(0.05f * check_normal(rng))}, 2);
}

static float *block_scales(fa_arena *a, check_rng *rng, int64_t rows, int64_t cols, conf_values kind) {
    int64_t n = (rows + FA_BLOCK - 1) / FA_BLOCK * ((cols + FA_BLOCK - 1) / FA_BLOCK);
    float *scale = conf_alloc(a, (size_t)n, sizeof *scale);
    for (int64_t i = 0; i < n; i++) {
        int exponent = kind == CONF_HARD   ? (int)(check_u64(rng) % 267) - 140
                       : kind == CONF_TINY ? (int)(check_u64(rng) % 8) - 130
                       : kind == CONF_VAST ? (int)(check_u64(rng) % 14) + 113
                                           : -6;
        scale[i] = ldexpf(1.0f + (float)check_uniform(rng), exponent);
    }
    return scale;
}

fa_weight conf_weight(fa_arena *a, check_rng *rng, fa_dtype type, int64_t rows, int64_t cols, conf_values kind) {
    const fa_dtype_info *info = fa_dtype_get(type);
    int64_t bytes = fa_dtype_bytes(type, rows * cols);
    CHECK(bytes > 0 && fa_dtype_bytes(type, cols) > 0, "%s [%lld, %lld]", info->name, (long long)rows, (long long)cols);
    bool plain = info->block_elements == 1, bytewise = !plain || info->block_bytes == 1;
    uint8_t *data = (uint8_t *)conf_alloc(a, (size_t)bytes + 1, 1) + bytewise; /* byte-wise data may lie anywhere */
    if (plain)
        for (int64_t i = 0; i < bytes; i += info->block_bytes) fill_element(rng, type, data + i, kind);
    else
        fill_blocks(rng, type, data, bytes);
    bool fp8 = type == FA_F8_E4M3 || type == FA_F8_E5M2;
    return (fa_weight){.name = info->name,
                       .type = type,
                       .rows = rows,
                       .cols = cols,
                       .data = data,
                       .scale = fp8 ? block_scales(a, rng, rows, cols, kind) : NULL};
}

conf_matrix conf_upload(fa_backend *b, const float *src, int64_t n, const int *rows, int count) {
    fa_error e;
    conf_matrix m = {.count = count, .n = n, .ld = n + 3, .first = 1};
    size_t total = (size_t)(count * m.ld);
    float *values = malloc(total * sizeof(float));
    CHECK(values, "out of memory");
    for (size_t i = 0; i < total; i++) memcpy(values + i, &MARK, sizeof MARK);
    for (int t = 0; src && t < count; t++)
        memcpy(values + t * m.ld + m.first, src + rows[t] * n, (size_t)n * sizeof(float));
    CHECK_OK(b->alloc(b, total * sizeof(float), &m.buffer, &e), &e);
    CHECK_OK(b->write(b, m.buffer, 0, values, total * sizeof(float), &e), &e);
    free(values);
    m.ref = (fa_ref){m.buffer, (size_t)m.first * sizeof(float)};
    return m;
}

void conf_free(fa_backend *b, conf_matrix *m) {
    b->free(b, m->buffer);
    m->buffer = NULL;
}

void conf_collect(fa_backend *b, conf_matrix *m, float *out, int64_t ld_out) {
    fa_error e;
    size_t total = (size_t)(m->count * m->ld);
    float *values = malloc(total * sizeof(float));
    CHECK(values, "out of memory");
    CHECK_OK(b->read(b, m->buffer, 0, values, total * sizeof(float), &e), &e);
    int64_t wrong = -1;
    for (int64_t i = 0; i < (int64_t)total && wrong < 0; i++) {
        int64_t column = i % m->ld - m->first;
        bool inside = column >= 0 && column < m->n;
        if (inside == !memcmp(&values[i], &MARK, sizeof MARK)) wrong = i;
        if (inside) out[i / m->ld * ld_out + column] = values[i];
    }
    free(values);
    conf_free(b, m);
    CHECK(wrong < 0, "row %lld column %lld of %lld: %s", (long long)(wrong / m->ld),
          (long long)(wrong % m->ld - m->first), (long long)m->n,
          wrong % m->ld - m->first < 0 || wrong % m->ld - m->first >= m->n ? "was written" : "was not written");
}

void conf_submit(fa_backend *b, const fa_op *ops, int n) {
    fa_error e;
    fa_ticket ticket;
    CHECK_OK(b->submit(b, ops, n, &ticket, &e), &e);
    CHECK_OK(b->wait(b, ticket, &e), &e);
}

/* NULL (and e) when it cannot be opened. */
static fa_backend *open_backend(const struct conf_backend *c, int threads, fa_error *e) {
    fa_backend *b = NULL;
    const char *before = c->variable ? getenv(c->variable) : NULL;
    char *old = before ? strdup(before) : NULL;
    if (c->variable) setenv(c->variable, c->value, 1);
    fa_backend_options options = {.name = c->name, .threads = threads, .node = -1, .placement = c->placement};
    fa_status s = fa_backend_open(&b, &options, e);
    if (old)
        setenv(c->variable, old, 1);
    else if (c->variable)
        unsetenv(c->variable);
    free(old);
    if (s) return NULL;
    CHECK_OK(b->reserve(b, &limits, e), e);
    return b;
}

fa_backend *conf_backend(int i, int thread_count) {
    fa_backend **b = &session.opened[i][thread_count];
    fa_error e = {0};
    if (!*b) *b = open_backend(&backends[i], backends[i].threads[thread_count], &e);
    if (!*b && e.status == FA_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK(*b, "%s", e.text);
    return *b;
}

int conf_backends(void) {
    return N_BACKENDS;
}

const char *conf_label(int i) {
    return backends[i].label;
}

/* Gives the case's weights and pages to a backend. */
static void bring(conf_data *d, fa_backend *b) {
    fa_error e;
    for (int i = 0; i < d->n_weights; i++) {
        d->weights[i]->device = NULL;
        CHECK_OK(b->weight(b, d->weights[i], &e), &e);
    }
    if (!d->pool_bytes) return;
    CHECK_OK(b->alloc(b, d->pool_size, &d->pool, &e), &e);
    CHECK_OK(b->write(b, d->pool, 0, d->pool_bytes, d->pool_size, &e), &e);
}

static void take_back(conf_data *d, fa_backend *b) {
    if (d->pool) b->free(b, d->pool);
    d->pool = NULL;
}

static const char *describe(const conf_case *c, char *text, size_t size) {
    c->kind->describe(c->params, text, size);
    return text;
}

static uint64_t seed_of(const char *text) {
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *text; text++) h = (h ^ (uint8_t)*text) * 1099511628211u;
    return h;
}

/* Makes the case's data, and the truth: the reference, row by row. */
static void make_current(const conf_case *c) {
    fa_error e;
    if (session.current == c) return;
    session.current = NULL;
    fa_arena_free(&session.arena);
    if (!session.reference) session.reference = open_backend(&backends[0], 1, &e);
    CHECK(session.reference, "%s", e.text);
    char text[200];
    check_rng rng = {seed_of(describe(c, text, sizeof text))};
    conf_data *d = session.data = c->kind->make(c->params, &session.arena, &rng);
    session.truth = conf_alloc(&session.arena, (size_t)(d->rows * d->width), sizeof(float));
    bring(d, session.reference);
    for (int t = 0; t < d->rows; t++) c->kind->run(d, session.reference, &t, 1, session.truth + t * d->width);
    take_back(d, session.reference);
    session.current = c;
}

static bool same(float a, float b) {
    return !memcmp(&a, &b, sizeof a) || (isnan(a) && isnan(b));
}

static uint32_t bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static void run_and_compare(const char *how, int threads, fa_backend *b, const int *rows, int n, float *out) {
    conf_data *d = session.data;
    session.current->kind->run(d, b, rows, n, out);
    for (int t = 0; t < n; t++)
        for (int64_t i = 0; i < d->width; i++) {
            float got = out[t * d->width + i], want = session.truth[rows[t] * d->width + i];
            CHECK(same(got, want), "%d threads, %s: row %d value %lld: %08x (%.9g), reference %08x (%.9g)", threads,
                  how, rows[t], (long long)i, bits(got), (double)got, bits(want), (double)want);
        }
}

/* Every row alone; all rows together; every row in a batch of 5 in another order. Brief: the first alone, all together. */
static void run_compositions(int threads, fa_backend *b, bool brief) {
    conf_data *d = session.data;
    int rows[limits.max_rows], n = d->rows < BATCH ? d->rows : BATCH;
    CHECK(d->rows <= limits.max_rows, "%d rows", d->rows);
    float *out = conf_alloc(&session.arena, (size_t)(d->rows * d->width), sizeof *out);
    for (int t = 0; t < (brief ? 1 : d->rows); t++) run_and_compare("row alone", threads, b, &t, 1, out);
    if (d->rows == 1) return;
    for (int t = 0; t < d->rows; t++) rows[t] = t;
    run_and_compare("all rows", threads, b, rows, d->rows, out);
    for (int first = 0; first < d->rows && !brief; first += n) {
        for (int i = 0; i < n; i++) rows[i] = (first + n - 1 - i) % d->rows;
        run_and_compare("batch of 5", threads, b, rows, n, out);
    }
}

static void run_pair(void *arg) {
    const pair *p = arg;
    for (int i = 0; i < backends[p->backend].n_threads; i++) {
        fa_backend *b = conf_backend(p->backend, i);
        make_current(p->c);
        bring(session.data, b);
        run_compositions(backends[p->backend].threads[i], b, backends[p->backend].brief);
        take_back(session.data, b);
    }
}

void conf_close(void) {
    for (int i = 0; i < N_BACKENDS; i++)
        for (int t = 0; t < MAX_THREAD_COUNTS; t++)
            if (session.opened[i][t]) session.opened[i][t]->close(session.opened[i][t]);
    if (session.reference) session.reference->close(session.reference);
    fa_arena_free(&session.arena);
    session = (struct session){0};
}

int conf_main(int argc, char **argv, const conf_case *cases, size_t n) {
    size_t total = n * N_BACKENDS;
    pair *pairs = calloc(total, sizeof *pairs);
    check_case *checks = calloc(total, sizeof *checks);
    for (size_t i = 0; i < total; i++) {
        char text[200], *name = NULL;
        pairs[i] = (pair){&cases[i / N_BACKENDS], (int)(i % N_BACKENDS)};
        describe(pairs[i].c, text, sizeof text);
        if (asprintf(&name, "%s [%s]", text, backends[pairs[i].backend].label) < 0) abort();
        checks[i] = (check_case){name, run_pair, &pairs[i]};
    }
    int rc = check_main(argc, argv, checks, total);
    conf_close();
    for (size_t i = 0; i < total; i++) free((char *)checks[i].name);
    free(checks);
    free(pairs);
    return rc;
}
