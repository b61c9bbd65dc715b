/* The ops of models of pictures against plain formulas in double, on every backend with the same bits, however the rows are cut. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/scalar.h"
#include "host/vision/ops.h"
#include "tests/lib/check.h"

enum { MAX_VALUES = 1 << 16 };

/* ---- scalars ---- */

static double erf_error(float x) {
    double want = erf(x), ulp = ldexp(1, ilogb(want ? want : 1) - 23);
    return fabs((double)fa_erf(x) - want) / ulp;
}

static void erf_is_within_4_ulp(void *arg) {
    (void)arg;
    unsigned mode = fa_fp_enter();
    double worst = 0;
    float at = 0;
    for (uint32_t bits = 0x00800000; bits < 0x7f800000; bits += 97) {
        float x = fa_from_bits(bits);
        double error = erf_error(x);
        if (error > worst) worst = error, at = x;
        if (fa_erf(-x) != -fa_erf(x)) at = x, worst = 1e9;
    }
    fa_fp_leave(mode);
    CHECK(worst <= 4, "erf(%.9g): %g ulp", (double)at, worst);
    CHECK(fa_erf(0) == 0 && isnan(fa_erf(NAN)) && fa_erf(INFINITY) == 1 && fa_erf(-INFINITY) == -1);
}

static void gelu_is_x_times_phi(void *arg) {
    (void)arg;
    for (double x = -12; x < 12; x += 0.000731) {
        double want = (double)(float)x * 0.5 * erfc(-(double)(float)x * M_SQRT1_2), got = (double)fa_gelu((float)x);
        CHECK(fabs(got - want) <= 4e-7 * (1 + fabs(x)), "gelu(%.9g) = %.9g, expected %.9g", x, got, want);
    }
    CHECK(isnan(fa_gelu(NAN)) && fa_gelu(INFINITY) == INFINITY && fa_gelu(0) == 0);
}

static void layernorm_is_its_formula(void *arg) {
    (void)arg;
    enum { N = 77 };
    check_rng rng = {5};
    float x[N], w[N], b[N];
    double mean = 0, variance = 0, want[N];
    for (int i = 0; i < N; i++) {
        x[i] = check_normal(&rng) + 3, w[i] = check_normal(&rng), b[i] = check_normal(&rng);
        mean += (double)x[i] / N;
    }
    for (int i = 0; i < N; i++) variance += ((double)x[i] - mean) * ((double)x[i] - mean) / N;
    for (int i = 0; i < N; i++) want[i] = ((double)x[i] - mean) / sqrt(variance + 1e-6) * (double)w[i] + (double)b[i];
    fa_vision_layernorm(x, 1, N, w, b, 1e-6f);
    for (int i = 0; i < N; i++)
        CHECK(fabs((double)x[i] - want[i]) < 3e-6, "%d: %g, expected %g", i, (double)x[i], want[i]);
}

/* ---- ops ---- */

typedef struct rig {
    fa_backend *backend;
    fa_vision_ops ops;
} rig;

static const fa_vision_limits limits = {
    .max_in = 256, .max_out = 256, .max_width = 96, .max_heads = 6, .head_dim = 96, .max_positions = 150};

static bool open_rig(rig *r, const char *name, int threads, int32_t rows) {
    fa_error e = {0};
    fa_backend_options o = {.name = name, .threads = threads};
    fa_status s = fa_backend_open(&r->backend, &o, &e);
    if (s) return false;
    fa_limits reserve = {.max_rows = rows,
                         .max_cols = 1,
                         .max_inner = 1,
                         .max_top_k = 1,
                         .max_experts = 1,
                         .max_heads = 1,
                         .max_rank = 1,
                         .max_positions = 1};
    fa_vision_limits_join(&reserve, &limits);
    CHECK_OK(r->backend->reserve(r->backend, &reserve, &e), &e);
    CHECK_OK(fa_vision_ops_open(&r->ops, r->backend, FA_W8A8, rows, &limits, &e), &e);
    return true;
}

static void close_rig(rig *r) {
    fa_vision_ops_close(&r->ops);
    r->backend->close(r->backend);
}

static float *normals(uint64_t seed, int n) {
    check_rng rng = {seed};
    float *x = calloc((size_t)n, sizeof *x);
    CHECK(x);
    for (int i = 0; i < n; i++) x[i] = check_normal(&rng);
    return x;
}

static void near(const float *got, const double *want, int n) {
    for (int i = 0; i < n; i++)
        CHECK(fabs((double)got[i] - want[i]) < 2e-5 * (1 + fabs(want[i])), "%d: %g, expected %g", i, (double)got[i],
              want[i]);
}

typedef struct conv_case {
    int channels, kernel, stride, before, after, outputs, height, width;
} conv_case;

static const conv_case convs[] = {
    {3, 8, 8, 0, 0, 20, 24, 32}, /* patches */
    {5, 3, 1, 1, 1, 7, 9, 11},   /* of a decoder */
    {4, 3, 2, 0, 1, 6, 8, 10},   /* downsampling, padded behind alone */
    {9, 1, 1, 0, 0, 4, 3, 5},
};

static void convolve(const conv_case *c, const float *x, const float *w, const float *b, double *y) {
    int across = (c->width + c->before + c->after - c->kernel) / c->stride + 1;
    int down = (c->height + c->before + c->after - c->kernel) / c->stride + 1;
    for (int i = 0; i < across * down * c->outputs; i++) {
        int o = i % c->outputs, column = i / c->outputs % across, row = i / c->outputs / across;
        y[i] = (double)b[o];
        for (int k = 0; k < c->channels * c->kernel * c->kernel; k++) {
            int q = k % c->kernel, r = k / c->kernel % c->kernel, channel = k / c->kernel / c->kernel;
            int at_row = row * c->stride - c->before + r, at_column = column * c->stride - c->before + q;
            if (at_row < 0 || at_row >= c->height || at_column < 0 || at_column >= c->width) continue;
            y[i] += (double)x[(at_row * c->width + at_column) * c->channels + channel] *
                    (double)w[o * c->channels * c->kernel * c->kernel + k];
        }
    }
}

static int run_conv(rig *r, const conv_case *c, const float *x, const float *w, const float *b, float *y) {
    fa_error e = {0};
    int inputs = c->channels * c->kernel * c->kernel;
    fa_conv conv = {.linear = {{.name = "w", .type = FA_F32, .rows = c->outputs, .cols = inputs, .data = w},
                               {.name = "b", .type = FA_F32, .rows = 1, .cols = c->outputs, .data = b}},
                    .channels = c->channels,
                    .kernel = c->kernel,
                    .stride = c->stride,
                    .before = c->before,
                    .after = c->after};
    CHECK_OK(r->backend->weight(r->backend, &conv.linear.w, &e), &e);
    CHECK_OK(r->backend->weight(r->backend, &conv.linear.bias, &e), &e);
    CHECK_OK(fa_vision_conv(&r->ops, &conv, x, c->height, c->width, y, &e), &e);
    return fa_conv_side(&conv, c->height) * fa_conv_side(&conv, c->width) * c->outputs;
}

/* A convolution of FP8 weights, whose windows are quantised by blocks of 128; the number of values. */
static int run_fp8(rig *r, const float *x, float *y) {
    enum { INPUTS = 192, OUTPUTS = 20, SIDE = 24 };
    static uint8_t codes[OUTPUTS * INPUTS];
    static const float scales[2] = {0.03f, 0.07f};
    check_rng rng = {8};
    fa_error e = {0};
    for (size_t i = 0; i < sizeof codes; i++) codes[i] = (uint8_t)(check_u64(&rng) % 0x7f | (check_u64(&rng) & 0x80));
    fa_conv conv = {
        .linear.w = {.name = "w", .type = FA_F8_E4M3, .rows = OUTPUTS, .cols = INPUTS, .data = codes, .scale = scales},
        .channels = 3,
        .kernel = 8,
        .stride = 8};
    CHECK_OK(r->backend->weight(r->backend, &conv.linear.w, &e), &e);
    CHECK_OK(fa_vision_conv(&r->ops, &conv, x, SIDE, SIDE, y, &e), &e);
    return OUTPUTS * SIDE * SIDE / 64;
}

enum { ROWS = 131, HEADS = 3, HEAD = 20, WIDTH = HEADS * HEAD };

static void attend(const float *qkv, double *y) {
    double p[ROWS];
    for (int t = 0; t < ROWS; t++)
        for (int h = 0; h < HEADS; h++) {
            double sum = 0;
            for (int j = 0; j < ROWS; j++) {
                double s = 0;
                for (int i = h * HEAD; i < (h + 1) * HEAD; i++)
                    s += (double)qkv[t * 3 * WIDTH + i] * (double)qkv[j * 3 * WIDTH + WIDTH + i];
                sum += p[j] = exp(s / sqrt(HEAD));
            }
            for (int i = h * HEAD; i < (h + 1) * HEAD; i++) {
                y[t * WIDTH + i] = 0;
                for (int j = 0; j < ROWS; j++)
                    y[t * WIDTH + i] += p[j] / sum * (double)qkv[j * 3 * WIDTH + 2 * WIDTH + i];
            }
        }
}

static void run_attention(rig *r, const float *qkv, float *y) {
    fa_error e = {0};
    CHECK_OK(fa_vision_attention(&r->ops, qkv, ROWS, HEADS, HEAD, 1 / sqrtf(HEAD), y, &e), &e);
    CHECK(fa_vision_attention(&r->ops, qkv, 151, HEADS, HEAD, 1, y, &e) == FA_ELIMIT, "%s", e.text);
}

static void ops_are_their_formulas(void *arg) {
    (void)arg;
    rig r;
    CHECK(open_rig(&r, "reference", 1, 64));
    double *want = calloc(MAX_VALUES, sizeof *want);
    float *x = normals(1, MAX_VALUES), *w = normals(2, MAX_VALUES), *b = normals(3, 256),
          *y = calloc(MAX_VALUES, sizeof *y);
    CHECK(want && y);
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) {
        convolve(&convs[i], x, w, b, want);
        near(y, want, run_conv(&r, &convs[i], x, w, b, y));
    }
    attend(x, want);
    run_attention(&r, x, y);
    near(y, want, ROWS * WIDTH);
    close_rig(&r);
    free(want), free(x), free(w), free(b), free(y);
}

/* All results of a rig one after the other. */
static int run_all(rig *r, const float *x, const float *w, const float *b, float *y) {
    int n = 0;
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) n += run_conv(r, &convs[i], x, w, b, y + n);
    n += run_fp8(r, x, y + n);
    run_attention(r, x, y + n);
    return n + ROWS * WIDTH;
}

typedef struct variant {
    const char *backend;
    int threads, rows;
} variant;

static void bits_are_the_references(void *arg) {
    const variant *v = arg;
    rig reference, other;
    float *x = normals(1, MAX_VALUES), *w = normals(2, MAX_VALUES), *b = normals(3, 256);
    float *want = calloc(MAX_VALUES, sizeof *want), *got = calloc(MAX_VALUES, sizeof *got);
    CHECK(want && got);
    if (!open_rig(&other, v->backend, v->threads, v->rows)) check_skip("no %s here", v->backend);
    CHECK(open_rig(&reference, "reference", 1, 64));
    int n = run_all(&reference, x, w, b, want);
    CHECK(run_all(&other, x, w, b, got) == n);
    for (int i = 0; i < n; i++)
        CHECK(fa_bits(got[i]) == fa_bits(want[i]), "value %d: %.9g, expected %.9g", i, (double)got[i], (double)want[i]);
    close_rig(&reference), close_rig(&other);
    free(x), free(w), free(b), free(want), free(got);
}

int main(int argc, char **argv) {
    static variant cpu_1 = {"cpu", 1, 64}, cpu_7 = {"cpu", 7, 200}, cut = {"cpu", 2, 9}, sim = {"sim", 1, 64},
                   opencl = {"opencl", 0, 64};
    static const check_case cases[] = {
        {"erf is within 4 ulp", erf_is_within_4_ulp, NULL},
        {"gelu is x times Phi(x)", gelu_is_x_times_phi, NULL},
        {"layernorm is its formula", layernorm_is_its_formula, NULL},
        {"convolution and attention are their formulas", ops_are_their_formulas, NULL},
        {"bits on one thread are the reference's", bits_are_the_references, &cpu_1},
        {"bits on seven threads, all rows at once", bits_are_the_references, &cpu_7},
        {"bits with rows cut by nine", bits_are_the_references, &cut},
        {"bits on a simulated board", bits_are_the_references, &sim},
        {"bits on OpenCL", bits_are_the_references, &opencl},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
