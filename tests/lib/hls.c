#include "tests/lib/hls.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hls/stream.h"
#include "host/base/threads.h"

extern const hls_kernel hls_kernels_check[], hls_kernels_clang[];
const char *hls_check_fault(void);

static const uint32_t MARK = 0x7fa5a5a5; /* a NaN that no arithmetic makes */
enum { REFERENCE = 0 };

int hls_variants(void) {
    return 7;
}

hls_variant hls_variant_get(int i) {
    static const int ports[5] = {1, 2, 4, 8, 16};
    static const char *const names[5] = {"1 port", "2 ports", "4 ports", "8 ports", "16 ports"};
    if (i < 5) return (hls_variant){names[i], ports[i], hls_kernels(ports[i])};
    if (i == 5) return (hls_variant){"checked streams, 2 ports", 2, hls_kernels_check};
#ifdef HLS_WITH_CLANG
    return (hls_variant){"clang, 4 ports", 4, hls_kernels_clang};
#else
    check_skip("clang was not there when the tests were built");
#endif
}

static uint32_t bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static hls_word *marked(fa_arena *a, int64_t words) {
    uint32_t *lanes = conf_alloc(a, (size_t)words, sizeof(hls_word));
    for (int64_t i = 0; i < 16 * words; i++) lanes[i] = MARK;
    return (hls_word *)lanes;
}

hls_memory hls_memory_make(fa_arena *a, int ports, int64_t words) {
    hls_memory m = {.ports = ports, .room = words};
    for (int p = 0; p < ports; p++) m.port[p] = marked(a, words);
    return m;
}

hls_weight hls_type(fa_dtype type) {
    return type == FA_F8_E4M3 ? HLS_E4M3 : type == FA_BF16 ? HLS_BF16 : HLS_F32;
}

int32_t hls_put_weight(hls_memory *m, const fa_weight *w) {
    hls_weight type = hls_type(w->type);
    int32_t rows = (int32_t)w->rows, cols = (int32_t)w->cols, blocks = hls_blocks(cols), at = (int32_t)m->words;
    int64_t words = hls_share_words(m->ports, type, rows, cols);
    hls_word *share[HLS_MAX_PORTS];
    CHECK(at + words <= m->room, "%lld words of %lld", (long long)(at + words), (long long)m->room);
    m->words += words;
    for (int p = 0; p < m->ports; p++) {
        share[p] = m->port[p] + at;
        memset(share[p], 0, (size_t)words * sizeof(hls_word));
    }
    float row[4096];
    CHECK(cols <= 4096, "%d", cols);
    for (int32_t r = 0; r < rows; r++) {
        const float *scale = w->scale ? w->scale + r / 128 * blocks : NULL;
        const char *data = (const char *)w->data + (size_t)r * (size_t)cols * (type == HLS_F32 ? 0 : type);
        unsigned mode = fa_fp_enter();
        if (type == HLS_F32) fa_decode(w->type, w->data, (int64_t)r * cols, cols, row);
        for (int32_t i = 0; type == HLS_F32 && scale && i < cols; i++) row[i] = row[i] * scale[i / 128];
        fa_fp_leave(mode);
        hls_pack_output(m->ports, type, r, cols, type == HLS_F32 ? (const void *)row : data, scale, share);
    }
    return at;
}

hls_call hls_call_make(const hls_variant *v, const char *kernel, const hls_memory *m) {
    hls_call c = {.variant = v, .kernel = v->kernels};
    while (c.kernel->name && strcmp(c.kernel->name, kernel)) c.kernel++;
    CHECK(c.kernel->name, "no kernel %s", kernel);
    for (int p = 0; m && p < m->ports; p++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", p);
        hls_set_pointer(&c, name, m->port[p]);
    }
    return c;
}

static int find(const hls_call *c, const char *name) {
    for (int i = 0; i < c->kernel->n_args; i++)
        if (!strcmp(c->kernel->args[i].name, name)) {
            CHECK(!c->set[i], "%s is set twice", name);
            return i;
        }
    CHECK(false, "%s has no argument %s", c->kernel->name, name);
    return 0;
}

void hls_set(hls_call *c, const char *name, int64_t value) {
    int i = find(c, name);
    c->set[i] = true;
    c->args[i] = c->kernel->args[i].bytes == 4 ? (uint32_t)value : (uint64_t)value;
}

void hls_set_float(hls_call *c, const char *name, float value) {
    hls_set(c, name, bits(value));
}

void hls_set_pointer(hls_call *c, const char *name, const void *p) {
    hls_set(c, name, (int64_t)(uintptr_t)p);
}

void hls_run(const hls_call *c) {
    for (int i = 0; i < c->kernel->n_args; i++) CHECK(c->set[i], "%s is not set", c->kernel->args[i].name);
    CHECK(c->kernel->args[c->kernel->n_args].kind == HLS_ARG_END);
    unsigned mode = fa_fp_enter();
    c->kernel->run(c->args);
    fa_fp_leave(mode);
    const char *fault = hls_check_fault();
    CHECK(!fault, "%s", fault);
}

hls_matrix hls_matrix_make(fa_arena *a, const float *src, int64_t rows, int64_t n, int64_t first, int64_t gap) {
    hls_matrix m = {.rows = rows, .n = n, .first = first, .ld = n + gap};
    m.n_words = (first + rows * m.ld + 15) / 16 + 1;
    m.words = marked(a, m.n_words);
    for (int64_t t = 0; src && t < rows; t++) memcpy(hls_at(&m, t), src + t * n, (size_t)n * sizeof *src);
    return m;
}

float *hls_at(const hls_matrix *m, int64_t row) {
    return (float *)(void *)m->words + m->first + row * m->ld;
}

void hls_check_equal(const hls_matrix *m, const float *want) {
    const float *all = (const float *)(const void *)m->words;
    for (int64_t i = 0; i < 16 * m->n_words; i++) {
        int64_t row = (i - m->first) / m->ld, column = (i - m->first) % m->ld;
        if (i < m->first || row >= m->rows || column >= m->n) {
            CHECK(bits(all[i]) == MARK, "value %lld outside the result was written", (long long)i);
            continue;
        }
        float got = all[i], wanted = want[row * m->n + column];
        CHECK(bits(got) == bits(wanted) || (isnan(got) && isnan(wanted)),
              "row %lld value %lld: %08x (%.9g), reference %08x (%.9g)", (long long)row, (long long)column, bits(got),
              (double)got, bits(wanted), (double)wanted);
    }
}

fa_buffer *hls_reference_buffer(const void *bytes, size_t n) {
    fa_error e;
    fa_buffer *b;
    CHECK_OK(conf_backend(REFERENCE, 0)->alloc(conf_backend(REFERENCE, 0), n, &b, &e), &e);
    if (bytes) memcpy(b->host, bytes, n);
    return b;
}

void hls_reference(const fa_op *op) {
    conf_submit(conf_backend(REFERENCE, 0), op, 1);
}

void hls_reference_free(fa_buffer *b) {
    conf_backend(REFERENCE, 0)->free(conf_backend(REFERENCE, 0), b);
}
