/* Codecs of small formats against the golden tables, and against one another over every code. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/threads.h"
#include "host/format/fp8.h"
#include "host/format/tensor.h"
#include "tests/lib/check.h"

static fa_tensors *open_golden(const char *name) {
    fa_error e = {0};
    fa_tensors *ts = NULL;
    char *path = check_golden(name);
    fa_status s = fa_tensors_open(&ts, path, &e);
    free(path);
    CHECK_OK(s, &e);
    return ts;
}

/* The data of a tensor that must be there with this type. */
static const void *need(const fa_tensors *ts, const char *name, fa_dtype type, int64_t *n) {
    const fa_tensor *t = fa_tensors_find(ts, name);
    CHECK(t && t->type == type, "%s", name);
    *n = fa_tensor_elements(t);
    return t->data;
}

static uint32_t bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static void decoding_equals_the_golden_tables(void *arg) {
    (void)arg;
    fa_tensors *ts = open_golden("fp8/golden.safetensors");
    int64_t n;
    const float *e4m3 = need(ts, "table.e4m3fn", FA_F32, &n), *e5m2 = need(ts, "table.e5m2", FA_F32, &n);
    for (int c = 0; c < 256; c++) {
        float x = fa_e4m3_decode((uint8_t)c), y = fa_e5m2_decode((uint8_t)c);
        CHECK(isnan(e4m3[c]) ? isnan(x) : bits(x) == bits(e4m3[c]), "e4m3 %d: %g, expected %g", c, x, e4m3[c]);
        CHECK(isnan(e5m2[c]) ? isnan(y) : bits(y) == bits(e5m2[c]), "e5m2 %d: %g, expected %g", c, y, e5m2[c]);
        float z = fa_e8m0_decode((uint8_t)c);
        CHECK(c == 255 ? isnan(z) : z == (float)ldexp(1, c - 127), "e8m0 %d: %g", c, z);
    }
    fa_tensors_close(ts);
}

static void encoding_equals_the_golden_casts(void *arg) {
    (void)arg;
    fa_tensors *ts = open_golden("fp8/golden.safetensors");
    int64_t n;
    const uint8_t *e4m3 = need(ts, "cast.e4m3fn_saturating", FA_U8, &n), *e5m2 = need(ts, "cast.e5m2", FA_U8, &n);
    const uint16_t *bf16 = need(ts, "cast.bf16", FA_I16, &n);
    const float *x = need(ts, "cast.x", FA_F32, &n);
    CHECK(n == 20000);
    for (int64_t i = 0; i < n; i++) {
        CHECK(fa_e4m3_encode(x[i]) == e4m3[i], "e4m3(%a) = %02x, expected %02x", x[i], fa_e4m3_encode(x[i]), e4m3[i]);
        CHECK(fa_e5m2_encode(x[i]) == e5m2[i], "e5m2(%a) = %02x, expected %02x", x[i], fa_e5m2_encode(x[i]), e5m2[i]);
        CHECK(fa_bf16_encode(x[i]) == bf16[i], "bf16(%a) = %04x, expected %04x", x[i], fa_bf16_encode(x[i]), bf16[i]);
    }
    fa_tensors_close(ts);
}

/* Encoding a code's own value, its neighbours' middle (a tie goes to the even code) and one step off that
 * middle. */
static void encoding_rounds_to_nearest_even_over_all_fp16(void *arg) {
    (void)arg;
    for (uint32_t c = 0; c < 0x7C00; c++) {
        float x = fa_f16_decode((uint16_t)c), y = c + 1 < 0x7C00 ? fa_f16_decode((uint16_t)(c + 1)) : 65536.0f;
        float middle = x + (y - x) / 2;
        CHECK(fa_f16_encode(x) == c && fa_f16_encode(-x) == (c | 0x8000), "%04x", c);
        CHECK(fa_f16_encode(middle) == c + (c & 1), "tie above %04x", c);
        CHECK(fa_f16_encode(nextafterf(middle, 0)) == c, "below the tie above %04x", c);
        CHECK(fa_f16_encode(nextafterf(middle, INFINITY)) == c + 1, "above the tie above %04x", c);
        CHECK(fa_f16_decode((uint16_t)c) ==
              (float)ldexp(c < 1024 ? c : 1024 + c % 1024, (c < 1024 ? 1 : (int)c / 1024) - 25));
    }
    CHECK(isnan(fa_f16_decode(0x7E01)) && fa_f16_decode(0xFC00) == -INFINITY);
    CHECK(fa_f16_encode(-INFINITY) == 0xFC00 && fa_f16_encode(1e6f) == 0x7C00 && fa_f16_encode(-NAN) == 0xFE00);
}

static void codes_survive_when_subnormals_count_as_zero(void *arg) {
    (void)arg;
    unsigned mode = fa_fp_enter();
    int wrong = 0;
    for (int c = 0; c < 256; c++) {
        if (c % 128 != 127) wrong += fa_e4m3_encode(fa_e4m3_decode((uint8_t)c)) != c;
        if (c % 128 < 124) wrong += fa_e5m2_encode(fa_e5m2_decode((uint8_t)c)) != c;
    }
    for (uint32_t c = 0; c < 0x7C00; c++) wrong += fa_f16_encode(fa_f16_decode((uint16_t)c)) != c;
    fa_fp_leave(mode);
    CHECK(wrong == 0, "%d", wrong);
}

static void weight_blocks_equal_golden(void *arg) {
    (void)arg;
    fa_tensors *ts = open_golden("fp8/golden.safetensors");
    for (int k = 0; k < 5; k++) {
        char name[64];
        int64_t n, n_scales;
        snprintf(name, sizeof name, "block.%d.w", k);
        const fa_tensor *w = fa_tensors_find(ts, name);
        snprintf(name, sizeof name, "block.%d.codes", k);
        const uint8_t *codes = need(ts, name, FA_U8, &n);
        snprintf(name, sizeof name, "block.%d.scale_inv", k);
        const float *scales = need(ts, name, FA_F32, &n_scales);
        uint8_t *got = malloc((size_t)n);
        float got_scales[16];
        fa_quantise_weight(w->data, w->shape[0], w->shape[1], got, got_scales);
        for (int64_t i = 0; i < n_scales; i++)
            CHECK(bits(got_scales[i]) == bits(scales[i]), "scale %lld: %a, expected %a", (long long)i, got_scales[i],
                  scales[i]);
        for (int64_t i = 0; i < n; i++)
            CHECK(got[i] == codes[i], "block %d code %lld: %02x, expected %02x", k, (long long)i, got[i], codes[i]);
        free(got);
    }
    fa_tensors_close(ts);
}

static void activation_blocks_equal_golden(void *arg) {
    (void)arg;
    fa_tensors *ts = open_golden("fp8/golden.safetensors");
    for (int k = 0; k < 3; k++) {
        char name[64];
        int64_t n;
        snprintf(name, sizeof name, "act.%d.x", k);
        const fa_tensor *x = fa_tensors_find(ts, name);
        snprintf(name, sizeof name, "act.%d.codes", k);
        const uint8_t *codes = need(ts, name, FA_U8, &n);
        snprintf(name, sizeof name, "act.%d.scale", k);
        const float *scale = need(ts, name, FA_F32, &n), *row = x->data;
        for (int64_t r = 0; r < x->shape[0]; r++, row += x->shape[1], codes += x->shape[1])
            for (int64_t c = 0; c < x->shape[1]; c += 128) {
                uint8_t got[128];
                int64_t width = x->shape[1] - c < 128 ? x->shape[1] - c : 128;
                float s = fa_quantise_block(row + c, (int)width, got);
                CHECK(bits(s) == bits(*scale), "%a, expected %a", s, *scale);
                CHECK(!memcmp(got, codes + c, (size_t)width), "codes of row %lld", (long long)r);
                scale++;
            }
    }
    fa_tensors_close(ts);
}

static void a_number_that_is_not_finite_makes_the_scale_nan(void *arg) {
    (void)arg;
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++) {
        float x[5] = {1, 2, 3, bad[i], 5};
        uint8_t codes[5] = {9, 9, 9, 9, 9};
        CHECK(isnan(fa_quantise_block(x, 5, codes)), "%g", bad[i]);
        for (int k = 0; k < 5; k++) CHECK(codes[k] == 0);
    }
}

/* blocks.gguf was written, and blocks.safetensors decoded, by gguf-py. */
static void gguf_types_decode_to_the_values_of_gguf_py(void *arg) {
    (void)arg;
    fa_tensors *ts = open_golden("gguf/blocks.gguf"), *want = open_golden("gguf/blocks.safetensors");
    CHECK(fa_tensors_count(ts) == 12 && fa_tensors_count(want) == 12);
    for (int64_t i = 0; i < 12; i++) {
        const fa_tensor *t = fa_tensors_at(ts, i), *w = fa_tensors_find(want, t->name);
        CHECK(w && w->n_dims == t->n_dims && !memcmp(w->shape, t->shape, sizeof t->shape), "%s", t->name);
        int64_t n = fa_tensor_elements(t), half = n / 2;
        float *got = malloc((size_t)n * sizeof *got);
        if (half % fa_dtype_get(t->type)->block_elements) half = 0;
        fa_decode(t->type, t->data, half, n - half, got + half);
        fa_decode(t->type, t->data, 0, half, got);
        const float *expected = w->data;
        for (int64_t k = 0; k < n; k++)
            CHECK(bits(got[k]) == bits(expected[k]), "%s element %lld: %a, expected %a", t->name, (long long)k, got[k],
                  expected[k]);
        free(got);
    }
    fa_tensors_close(ts);
    fa_tensors_close(want);
}

static void plain_types_decode_by_value(void *arg) {
    (void)arg;
    const double f64[] = {0.1, -1e300, 3};
    const int64_t i64[] = {-5, (1LL << 60) + 1, 7};
    const int16_t i16[] = {-32768, 32767, 1};
    const uint8_t bytes[] = {0, 1, 200};
    float x[3];
    fa_decode(FA_F64, f64, 0, 3, x);
    CHECK(x[0] == 0.1f && x[1] == -INFINITY && x[2] == 3);
    fa_decode(FA_I64, i64, 0, 3, x);
    CHECK(x[0] == -5 && x[1] == 0x1p60f && x[2] == 7);
    fa_decode(FA_I16, i16, 1, 2, x);
    CHECK(x[0] == 32767 && x[1] == 1);
    fa_decode(FA_U8, bytes, 0, 3, x);
    CHECK(x[2] == 200);
    fa_decode(FA_I8, bytes, 0, 3, x);
    CHECK(x[2] == -56);
    fa_decode(FA_BOOL, bytes, 0, 3, x);
    CHECK(x[0] == 0 && x[1] == 1 && x[2] == 1);
    fa_decode(FA_F8_E8M0, bytes, 1, 2, x);
    CHECK(x[0] == 0x1p-126f && x[1] == 0x1p73f);
}

static void sizes_are_checked(void *arg) {
    (void)arg;
    CHECK(fa_dtype_bytes(FA_BF16, 5) == 10 && fa_dtype_bytes(FA_Q4_K, 512) == 288);
    CHECK(fa_dtype_bytes(FA_Q4_K, 511) == -1 && fa_dtype_bytes(FA_F32, -1) == -1);
    CHECK(fa_dtype_bytes(FA_F64, INT64_MAX / 4) == -1);
    for (int t = 0; t < FA_DTYPE_COUNT; t++) CHECK(fa_dtype_get((fa_dtype)t)->block_bytes > 0, "%d", t);
}

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"decoding equals the golden tables", decoding_equals_the_golden_tables, NULL},
        {"encoding equals the golden casts", encoding_equals_the_golden_casts, NULL},
        {"fp16 encoding rounds to nearest even", encoding_rounds_to_nearest_even_over_all_fp16, NULL},
        {"codes survive when subnormals count as zero", codes_survive_when_subnormals_count_as_zero, NULL},
        {"weight blocks equal golden", weight_blocks_equal_golden, NULL},
        {"activation blocks equal golden", activation_blocks_equal_golden, NULL},
        {"a number that is not finite makes the scale NaN", a_number_that_is_not_finite_makes_the_scale_nan, NULL},
        {"GGUF types decode to gguf-py's values", gguf_types_decode_to_the_values_of_gguf_py, NULL},
        {"plain types decode by value", plain_types_decode_by_value, NULL},
        {"sizes of types are checked", sizes_are_checked, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
