/* FP8 linears against torch: tests/golden/fp8 (one matmul in double) and every quantised linear of deepseek-v3-tiny-fp8. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/backend.h"
#include "host/format/fp8.h"
#include "host/format/tensor.h"
#include "tests/lib/check.h"

static const double TOLERANCE = 1e-6; /* relative RMS, from tests/golden/README.md */

/* One linear: all that the golden files say about it. */
typedef struct linear {
    char name[160];
    const fa_tensor *w, *w_scale, *x, *x_codes, *x_scale, *y_w8a8, *y_w8f32;
} linear;

static fa_tensors *open_golden(const char *folder_or_file) {
    fa_error e;
    fa_tensors *ts;
    char *path = check_golden(folder_or_file);
    CHECK_OK(fa_tensors_open(&ts, path, &e), &e);
    free(path);
    return ts;
}

static const fa_tensor *need(const fa_tensors *ts, const char *name) {
    const fa_tensor *t = fa_tensors_find(ts, name);
    CHECK(t, "no tensor %s", name);
    return t;
}

__attribute__((format(printf, 2, 3))) static const fa_tensor *need_f(const fa_tensors *ts, const char *fmt, ...) {
    char name[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    return need(ts, name);
}

static double value_at(const fa_tensor *t, int64_t i) {
    double d;
    float f;
    if (t->type == FA_F64)
        memcpy(&d, (const char *)t->data + i * 8, 8);
    else
        memcpy(&f, (const char *)t->data + i * 4, 4), d = f;
    return d;
}

static double relative_rms(const float *y, const fa_tensor *expected) {
    double error = 0, size = 0;
    for (int64_t i = 0; i < fa_tensor_elements(expected); i++) {
        double want = value_at(expected, i);
        error += (y[i] - want) * (y[i] - want);
        size += want * want;
    }
    return sqrt(error / size);
}

static void codes_and_scales_are_equal(const linear *l) {
    int64_t rows = l->x->shape[0], n = l->x->shape[1], blocks = (n + 127) / 128;
    CHECK(l->x_codes->bytes == rows * n && l->x_scale->bytes == rows * blocks * 4, "%s", l->name);
    for (int64_t t = 0; t < rows; t++)
        for (int64_t b = 0; b < blocks; b++) {
            uint8_t codes[128];
            float want;
            int count = (int)(b * 128 + 128 < n ? 128 : n - b * 128);
            float scale = fa_quantise_block((const float *)l->x->data + t * n + b * 128, count, codes);
            memcpy(&want, (const char *)l->x_scale->data + (t * blocks + b) * 4, 4);
            CHECK(scale == want, "%s row %lld block %lld: scale %.9g, expected %.9g", l->name, (long long)t,
                  (long long)b, (double)scale, (double)want);
            CHECK(!memcmp(codes, (const uint8_t *)l->x_codes->data + t * n + b * 128, (size_t)count),
                  "%s row %lld block %lld: codes differ", l->name, (long long)t, (long long)b);
        }
}

/* The backend's matmul of the stored input; the caller frees. */
static float *multiply(fa_backend *b, const linear *l, fa_numerics numerics) {
    fa_error e;
    fa_buffer *x, *y;
    fa_ticket ticket;
    size_t y_bytes = (size_t)(l->x->shape[0] * l->w->shape[0]) * 4;
    fa_weight w = {.name = l->name,
                   .type = FA_F8_E4M3,
                   .rows = l->w->shape[0],
                   .cols = l->w->shape[1],
                   .data = l->w->data,
                   .scale = l->w_scale->data};
    CHECK_OK(b->weight(b, &w, &e), &e);
    CHECK_OK(b->alloc(b, (size_t)l->x->bytes, &x, &e), &e);
    CHECK_OK(b->alloc(b, y_bytes, &y, &e), &e);
    CHECK_OK(b->write(b, x, 0, l->x->data, (size_t)l->x->bytes, &e), &e);
    fa_op op = {.kind = FA_OP_MATMUL,
                .matmul = {.numerics = numerics,
                           .rows = l->x->shape[0],
                           .x = {x, 0},
                           .ldx = w.cols,
                           .n_parts = 1,
                           .part = {{.w = &w, .y = {y, 0}, .ldy = w.rows}}}};
    CHECK_OK(b->submit(b, &op, 1, &ticket, &e), &e);
    CHECK_OK(b->wait(b, ticket, &e), &e);
    float *out = malloc(y_bytes);
    CHECK(out);
    CHECK_OK(b->read(b, y, 0, out, y_bytes, &e), &e);
    b->free(b, x);
    b->free(b, y);
    return out;
}

static void check_linear(fa_backend *b, const linear *l) {
    codes_and_scales_are_equal(l);
    for (int mode = 0; mode < FA_NUMERICS_COUNT; mode++) {
        float *y = multiply(b, l, (fa_numerics)mode);
        double rms = relative_rms(y, mode == FA_W8A8 ? l->y_w8a8 : l->y_w8f32);
        free(y);
        CHECK(rms <= TOLERANCE, "%s in %s: relative RMS %.3g", l->name, mode == FA_W8A8 ? "w8a8" : "w8a16", rms);
    }
}

static fa_backend *open_backend(const char *name) {
    fa_error e;
    fa_backend *b;
    fa_limits limits = {.max_rows = 64, .max_cols = 512};
    CHECK_OK(fa_backend_open(&b, &(fa_backend_options){.name = name, .threads = 2, .node = -1}, &e), &e);
    CHECK_OK(b->reserve(b, &limits, &e), &e);
    return b;
}

static void fp8_matmul_is_right(void *backend) {
    fa_backend *b = open_backend(backend);
    fa_tensors *ts = open_golden("fp8/golden.safetensors");
    linear l = {"fp8 matmul",
                need(ts, "matmul.w_codes"),
                need(ts, "matmul.w_scale_inv"),
                need(ts, "matmul.x"),
                need(ts, "matmul.x_codes"),
                need(ts, "matmul.x_scale"),
                need(ts, "matmul.y_w8a8_f64"),
                need(ts, "matmul.y_w8f32_f64")};
    check_linear(b, &l);
    fa_tensors_close(ts);
    b->close(b);
}

static void model_linears_are_right(void *backend) {
    fa_backend *b = open_backend(backend);
    fa_tensors *gold = open_golden("deepseek-v3-tiny-fp8/golden.safetensors");
    fa_tensors *model = open_golden("deepseek-v3-tiny-fp8");
    int found = 0;
    for (int64_t i = 0; i < fa_tensors_count(gold); i++) {
        const char *name = fa_tensors_at(gold, i)->name, *end = strstr(name, ".y_w8a8");
        if (strncmp(name, "linear.", 7) != 0 || !end) continue;
        linear l;
        snprintf(l.name, sizeof l.name, "%.*s", (int)(end - name - 7), name + 7);
        l.w = need_f(model, "%s.weight", l.name);
        l.w_scale = need_f(model, "%s.weight_scale_inv", l.name);
        l.x = need_f(gold, "linear.%s.x", l.name);
        l.x_codes = need_f(gold, "linear.%s.x_codes", l.name);
        l.x_scale = need_f(gold, "linear.%s.x_scale", l.name);
        l.y_w8a8 = fa_tensors_at(gold, i);
        l.y_w8f32 = need_f(gold, "linear.%s.y_w8f32", l.name);
        check_linear(b, &l);
        found++;
    }
    CHECK(found >= 10, "only %d linears in the golden file", found);
    fa_tensors_close(model);
    fa_tensors_close(gold);
    b->close(b);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"reference: FP8 matmul is right", fp8_matmul_is_right, "reference"},
        {"auto: FP8 matmul is right", fp8_matmul_is_right, "auto"},
        {"reference: every FP8 linear of the model is right", model_linears_are_right, "reference"},
        {"auto: every FP8 linear of the model is right", model_linears_are_right, "auto"},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
