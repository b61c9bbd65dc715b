/* The arithmetic of hls/ for one element equals that of the host, which docs/numerics.md describes. */
#include <math.h>
#include <string.h>

#include "hls/float.h"
#include "hls/fp8.h"
#include "host/backend/scalar.h"
#include "host/base/threads.h"
#include "host/format/fp8.h"
#include "tests/lib/check.h"

static bool same(float a, float b) {
    return fa_bits(a) == fa_bits(b) || (isnan(a) && isnan(b));
}

/* Every 61st bit pattern: all exponents, some 140,000 mantissas of each sign and exponent, in 70 million values. */
static void over_floats(float (*ours)(float), float (*theirs)(float)) {
    unsigned mode = fa_fp_enter();
    uint32_t wrong = 0, count = 0;
    for (uint64_t u = 0; u < 1ull << 32; u += 61) {
        float x = fa_from_bits((uint32_t)u);
        if (same(ours(x), theirs(x))) continue;
        wrong = (uint32_t)u;
        count++;
    }
    fa_fp_leave(mode);
    CHECK(count == 0, "%u values differ, the last at %08x", count, wrong);
}

static float host_exp(float x) {
    return fa_exp(x);
}

static float hls_exp_of(float x) {
    return hls_exp(x);
}

static float host_silu(float x) {
    return fa_silu(x);
}

static float hls_silu_of(float x) {
    return hls_silu(x);
}

static float host_bf16(float x) {
    return (float)fa_bf16_encode(x);
}

static float hls_bf16(float x) {
    return (float)hls_bf16_encode(x);
}

/* NaN and infinities aside: a block that has one is never encoded. */
static float host_e4m3(float x) {
    return isfinite(x) ? (float)fa_e4m3_encode(fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x) : 0.0f;
}

static float hls_e4m3(float x) {
    return isfinite(x) ? (float)hls_e4m3_encode(x) : 0.0f;
}

static void exp_is_the_hosts(void *arg) {
    (void)arg;
    over_floats(hls_exp_of, host_exp);
}

static void silu_is_the_hosts(void *arg) {
    (void)arg;
    over_floats(hls_silu_of, host_silu);
}

static void bf16_rounds_as_the_hosts(void *arg) {
    (void)arg;
    over_floats(hls_bf16, host_bf16);
}

static void e4m3_rounds_as_the_hosts(void *arg) {
    (void)arg;
    over_floats(hls_e4m3, host_e4m3);
}

static int32_t host_pair(uint32_t w0, uint32_t a0, uint32_t w1, uint32_t a1) {
    const float w[] = {fa_e4m3_decode((uint8_t)w0), fa_e4m3_decode((uint8_t)w1)};
    const float a[] = {fa_e4m3_decode((uint8_t)a0), fa_e4m3_decode((uint8_t)a1)};
    return fa_pair_8ths(w, a);
}

/* Every product first and last, beside one that is even, odd, or a tie. */
static void every_pair_of_products_is_the_hosts(void *arg) {
    static const struct other { uint8_t w, a; } others[] = {{0, 0}, {0x20, 0x38}, {0x28, 0x28}, {0x3C, 0x97}};
    (void)arg;
    for (uint32_t w = 0; w < 256; w++)
        for (uint32_t a = 0; a < 256; a++)
            for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                if ((w & 0x7f) == 0x7f || (a & 0x7f) == 0x7f) continue;
                uint32_t w2 = others[i].w, a2 = others[i].a;
                int32_t got = hls_pair_8ths(w, a, w2, a2), want = host_pair(w, a, w2, a2);
                CHECK(got == want, "%02x * %02x after %02x * %02x: %d, host %d", w, a, w2, a2, got, want);
                got = hls_pair_8ths(w2, a2, w, a), want = host_pair(w2, a2, w, a);
                CHECK(got == want, "%02x * %02x after %02x * %02x: %d, host %d", w2, a2, w, a, got, want);
            }
}

static void every_code_decodes_as_the_hosts(void *arg) {
    (void)arg;
    for (uint32_t c = 0; c < 256; c++) {
        if ((c & 0x7f) == 0x7f) continue;
        float got = hls_e4m3_decode(c), want = fa_e4m3_decode((uint8_t)c);
        CHECK(same(got, want), "code %02x: %g, host %g", c, (double)got, (double)want);
    }
}

static void a_block_adds_as_the_hosts(void *arg) {
    (void)arg;
    check_rng rng = {7};
    unsigned mode = fa_fp_enter();
    for (int i = 0; i < 1000000; i++) {
        float acc = ldexpf(check_normal(&rng), (int)(check_u64(&rng) % 200) - 100);
        float x = ldexpf(check_normal(&rng), (int)(check_u64(&rng) % 240) - 120), w = ldexpf(check_normal(&rng), -10);
        int32_t sum = (int32_t)(check_u64(&rng) % (1u << 30)) - (1 << 29);
        float got = hls_block_add(acc, sum, x, w), want = fa_block_add(acc, sum, x, w);
        CHECK(same(got, want), "%d: %08x, host %08x", i, fa_bits(got), fa_bits(want));
    }
    fa_fp_leave(mode);
}

static void a_tree_adds_as_the_hosts(void *arg) {
    (void)arg;
    check_rng rng = {8};
    unsigned mode = fa_fp_enter();
    for (int i = 0; i < 100000; i++) {
        float partial[16];
        for (int j = 0; j < 16; j++) partial[j] = ldexpf(check_normal(&rng), (int)(check_u64(&rng) % 40) - 20);
        float got = hls_tree_16(partial), want = fa_tree_16(partial);
        CHECK(same(got, want), "%d: %08x, host %08x", i, fa_bits(got), fa_bits(want));
    }
    fa_fp_leave(mode);
}

/* Rows that end inside a block, with ties, subnormals, NaN and infinities. */
static void a_row_quantises_as_the_hosts(void *arg) {
    (void)arg;
    static hls_word x[HLS_ROW_WORDS], codes[HLS_CODE_WORDS];
    static float scales[HLS_MAX_BLOCKS];
    check_rng rng = {9};
    unsigned mode = fa_fp_enter();
    for (int i = 0; i < 3000; i++) {
        int32_t n = 1 + (int32_t)(check_u64(&rng) % 700);
        float row[704] = {0};
        for (int k = 0; k < n; k++) {
            row[k] = ldexpf(1.0f + (float)(check_u64(&rng) % 16) / 16, (int)(check_u64(&rng) % 12) - 6);
            if (i % 3 == 0) row[k] = ldexpf(check_normal(&rng), (int)(check_u64(&rng) % 250) - 130);
            if (i % 7 == 0 && check_u64(&rng) % 500 == 0) row[k] = i % 2 ? NAN : -INFINITY;
        }
        memset(x, 0, sizeof x);
        memcpy(x, row, (size_t)n * 4);
        hls_quantise_row(x, n, codes, scales);
        for (int32_t b = 0; b < (n + 127) / 128; b++) {
            uint8_t want[128];
            int here = n - 128 * b < 128 ? n - 128 * b : 128;
            float scale = fa_quantise_block(row + 128 * b, here, want);
            CHECK(same(scales[b], scale), "row %d block %d: scale %g, host %g", i, b, (double)scales[b], (double)scale);
            for (int k = 0; k < here; k++) {
                uint32_t got = codes[2 * b + k / 64].lane[k % 16] >> k % 64 / 16 * 8 & 0xffu;
                CHECK(got == want[k], "row %d block %d value %d: %02x, host %02x", i, b, k, got, want[k]);
            }
        }
    }
    fa_fp_leave(mode);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"exp is the host's", exp_is_the_hosts, NULL},
        {"silu is the host's", silu_is_the_hosts, NULL},
        {"bf16 rounds as the host's", bf16_rounds_as_the_hosts, NULL},
        {"e4m3 rounds as the host's", e4m3_rounds_as_the_hosts, NULL},
        {"every pair of products is the host's", every_pair_of_products_is_the_hosts, NULL},
        {"every code decodes as the host's", every_code_decodes_as_the_hosts, NULL},
        {"a block adds as the host's", a_block_adds_as_the_hosts, NULL},
        {"a tree adds as the host's", a_tree_adds_as_the_hosts, NULL},
        {"a row quantises as the host's", a_row_quantises_as_the_hosts, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
