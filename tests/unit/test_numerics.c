/* The scalar arithmetic of docs/numerics.md against exact or double arithmetic. */
#include <float.h>
#include <math.h>
#include <stdatomic.h>

#include "host/backend/scalar.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "host/format/fp8.h"
#include "tests/lib/check.h"

/* The distance from `y` to the exact value in units of a float's last place at that value (not 0, no subnormal). */
static double ulps(float y, double exact) {
    uint64_t u;
    double ulp;
    memcpy(&u, &exact, sizeof u);
    u = (u & 0x7ff0000000000000u) - ((uint64_t)23 << 52); /* the exponent's power of two, times 2^-23 */
    memcpy(&ulp, &u, sizeof ulp);
    return fabs((double)y - exact) / ulp;
}

/* Whether y may stand for exp(x). Within 2 ulp of the smallest normal or of the largest number, both sides are right. */
static bool exp_is_right(float x, float y) {
    if (isnan(x)) return isnan(y);
    double exact = exp(x);
    if (y == 0.0f) return exact < 0x1p-126 * (1 + 0x1p-22);
    if (y == INFINITY) return exact > (double)FLT_MAX * (1 - 0x1p-22);
    return y >= 0x1p-126f && ulps(y, exact) <= 2.0;
}

enum { CHUNK = 4096 };

/* True when exp is the same for the floats from a to b, of one sign: 0, 1 or infinity. */
static bool exp_is_constant(float a, float b, float *value) {
    if (isnan(a) || isnan(b)) return false;
    float low = fminf(a, b), high = fmaxf(a, b);
    *value = high < 0.0f ? 0.0f : INFINITY;
    if (high < -90.0f || low > 90.0f) return true;
    *value = 1.0f;
    return low > -0x1p-26f && high < 0x1p-26f;
}

/* Items are chunks of 4096 floats of neighbouring bits; a wrong one is kept. */
static void check_exp_chunks(void *ctx, int64_t begin, int64_t end, int thread) {
    (void)thread;
    _Atomic uint64_t *wrong = ctx;
    float x[CHUNK], y[CHUNK], value;
    for (int64_t c = begin; c < end; c++) {
        for (int i = 0; i < CHUNK; i++) x[i] = fa_from_bits((uint32_t)c * CHUNK + (uint32_t)i);
        for (int i = 0; i < CHUNK; i++) y[i] = fa_exp(x[i]);
        bool constant = exp_is_constant(x[0], x[CHUNK - 1], &value);
        for (int i = 0; i < CHUNK; i++)
            if (constant ? y[i] != value : !exp_is_right(x[i], y[i])) *wrong = ((uint64_t)1 << 32) | fa_bits(x[i]);
    }
}

static void exp_is_within_2_ulp_for_every_float(void *arg) {
    (void)arg;
    fa_error e;
    fa_team *team;
    _Atomic uint64_t wrong = 0;
    CHECK_OK(fa_team_open(&team, 0, FA_NODE_INTERLEAVE, &e), &e);
    fa_team_run(team, ((int64_t)1 << 32) / CHUNK, 1024, check_exp_chunks, &wrong);
    fa_team_close(team);
    float x = fa_from_bits((uint32_t)wrong);
    CHECK(!wrong, "exp(%.9g) = %.9g, exactly %.17g", (double)x, (double)fa_exp(x), exp(x));
}

static bool is_nan_code(int code) {
    return (code & 0x7f) == 0x7f;
}

/* A product in units of 2^-18, rounded to 2^-3; of a tie the one that makes `before` plus it even. */
static int64_t rounded_to_8ths(int64_t exact, int64_t before) {
    int64_t below = exact >> 15, rest = exact - below * 32768;
    return below + (rest > 16384 || (rest == 16384 && (before + below) % 2 != 0));
}

static int64_t exact_product(int w, int a) {
    return (int64_t)(fa_e4m3_decode((uint8_t)w) * 512) * (int64_t)(fa_e4m3_decode((uint8_t)a) * 512);
}

static int32_t pair_of_codes(int w0, int a0, int w1, int a1) {
    const float w[] = {fa_e4m3_decode((uint8_t)w0), fa_e4m3_decode((uint8_t)w1)};
    const float a[] = {fa_e4m3_decode((uint8_t)a0), fa_e4m3_decode((uint8_t)a1)};
    return fa_pair_8ths(w, a);
}

/* Alone, and beside products that are odd, that are a tie, and that leave the least room. */
static void pairs_round_to_8ths_odd_element_first(void *arg) {
    static const struct other {
        uint8_t w, a;
    } others[] = {{0, 0}, {0x20, 0x38}, {0x28, 0x28}, {0x7E, 0x7E}, {0xFE, 0x7E}};
    (void)arg;
    for (int w = 0; w < 256; w++)
        for (int a = 0; a < 256; a++)
            for (size_t i = 0; i < sizeof others / sizeof *others && !is_nan_code(w) && !is_nan_code(a); i++) {
                int w2 = others[i].w, a2 = others[i].a;
                int64_t first = rounded_to_8ths(exact_product(w2, a2), 0);
                int64_t expected = first + rounded_to_8ths(exact_product(w, a), first);
                int32_t got = pair_of_codes(w, a, w2, a2);
                CHECK(got == expected, "%02x * %02x after %02x * %02x: %d, expected %lld", w, a, w2, a2, got,
                      (long long)expected);
                first = rounded_to_8ths(exact_product(w, a), 0);
                expected = first + rounded_to_8ths(exact_product(w2, a2), first);
                got = pair_of_codes(w2, a2, w, a);
                CHECK(got == expected, "%02x * %02x after %02x * %02x: %d, expected %lld", w2, a2, w, a, got,
                      (long long)expected);
            }
}

static void block_sums_do_not_depend_on_the_order_of_pairs(void *arg) {
    (void)arg;
    check_rng rng = {1};
    for (int round = 0; round < 200; round++) {
        int32_t pair[64], sum = 0, shuffled = 0;
        for (int i = 0; i < 64; i++) {
            int code[4]; /* all of one sign: the largest sums */
            for (int k = 0; k < 4; k++) code[k] = (int)(check_u64(&rng) % 127);
            pair[i] = pair_of_codes(code[0], code[1], code[2], code[3]);
            sum += pair[i];
        }
        for (int i = 63; i >= 0; i--) {
            int k = (int)(check_u64(&rng) % (uint64_t)(i + 1));
            shuffled += pair[k];
            pair[k] = pair[i];
        }
        CHECK(sum == shuffled, "%d %d", sum, shuffled);
    }
    int64_t largest = 64 * (int64_t)pair_of_codes(0x7E, 0xFE, 0x7E, 0xFE);
    CHECK(largest == -128 * 448 * 448 * 8, "%lld", (long long)largest);
}

static void block_add_rounds_each_step_once(void *arg) {
    (void)arg;
    check_rng rng = {2};
    for (int i = 0; i < 100000; i++) {
        int32_t sum = (int32_t)(check_u64(&rng) % (1u << 30)) - (1 << 29);
        float a = fabsf(check_normal(&rng)), w = fabsf(check_normal(&rng)), acc = 1e7f * check_normal(&rng);
        /* rounding to double first changes no sum or product: 53 bits are more than 2 * 24 + 1 */
        float scale = (float)((double)a * w), s = (float)(sum / 8.0);
        float expected = (float)((double)acc + (double)(float)((double)s * scale));
        float got = fa_block_add(acc, sum, a, w);
        CHECK(fa_bits(got) == fa_bits(expected), "%.9g, expected %.9g", (double)got, (double)expected);
    }
}

static float sum(float a, float b) {
    return a + b;
}

static void partial_sums_join_in_the_stated_order(void *arg) {
    (void)arg;
    check_rng rng = {3};
    for (int round = 0; round < 10000; round++) {
        float p[16];
        for (int i = 0; i < 16; i++) p[i] = ldexpf(check_normal(&rng), (int)(check_u64(&rng) % 20));
        float even = sum(sum(sum(p[0], p[8]), sum(p[4], p[12])), sum(sum(p[2], p[10]), sum(p[6], p[14])));
        float odd = sum(sum(sum(p[1], p[9]), sum(p[5], p[13])), sum(sum(p[3], p[11]), sum(p[7], p[15])));
        CHECK(fa_bits(fa_tree_16(p)) == fa_bits(even + odd));
    }
}

static void ordered_sums_put_element_i_into_partial_i_mod_16(void *arg) {
    (void)arg;
    check_rng rng = {4};
    enum { N = 77 };
    float a[N], b[N], products[N];
    for (int n = 0; n <= N; n++) {
        float partial[16] = {0};
        for (int i = 0; i < n; i++) {
            a[i] = check_normal(&rng), b[i] = check_normal(&rng);
            products[i] = a[i] * b[i];
            partial[i & 15] = sum(partial[i & 15], products[i]);
        }
        float expected = fa_tree_16(partial), cut[16] = {0};
        CHECK(fa_bits(fa_ordered_dot(a, b, n)) == fa_bits(expected), "n = %d", n);
        CHECK(fa_bits(fa_ordered_sum(products, n)) == fa_bits(expected), "n = %d", n);
        int first = n / 3;
        fa_partial_dot(cut, 0, a, b, first);
        fa_partial_dot(cut, first, a + first, b + first, n - first);
        CHECK(fa_bits(fa_tree_16(cut)) == fa_bits(expected), "n = %d cut at %d", n, first);
    }
}

static void sigmoid_and_silu_follow_their_definitions(void *arg) {
    (void)arg;
    unsigned mode = fa_fp_enter();
    float before = 0.0f;
    for (float x = -100.0f; x < 100.0f; x += 0.0037f) {
        double exact = 1.0 / (1.0 + exp(-(double)x));
        float s = fa_sigmoid(x), silu = fa_silu(x);
        if (x < -87.0f) {
            CHECK(s >= 0.0f && s < 2e-38f && silu <= 0.0f && silu > -2e-36f, "at %.9g: %.9g %.9g", (double)x, (double)s,
                  (double)silu);
            continue;
        }
        CHECK(ulps(s, exact) <= 5.0, "sigmoid(%.9g) = %.9g, exactly %.17g", (double)x, (double)s, exact);
        CHECK(fabs(silu - x * exact) <= 4e-7 * fabs(x * exact), "silu(%.9g) = %.9g", (double)x, (double)silu);
        CHECK(s >= before * (1 - 0x1p-22f) && s <= 1.0f, "sigmoid falls at %.9g", (double)x);
        before = s;
    }
    CHECK(fa_sigmoid(-INFINITY) == 0.0f && fa_sigmoid(INFINITY) == 1.0f && fa_sigmoid(0.0f) == 0.5f);
    CHECK(fa_silu(0.0f) == 0.0f && fa_silu(200.0f) == 200.0f && fa_silu(-200.0f) == 0.0f);
    CHECK(isnan(fa_sigmoid(NAN)) && isnan(fa_silu(NAN)) && isnan(fa_silu(-INFINITY)));
    fa_fp_leave(mode);
}

/* Rule 6: subnormal is what is below 2^-126 after rounding with an unbounded exponent. */
static void results_that_round_to_the_smallest_normal_are_kept(void *arg) {
    (void)arg;
    unsigned mode = fa_fp_enter();
    volatile float a = 0x1.000002p-63f, b = 0x1.fffffcp-64f, c = 0x1p-63f, d = 0x1.fffffep-64f, subnormal = 0x1p-130f;
    float kept = a * b, flushed = c * d, negative = -c * d, operand = subnormal * 0x1p10f;
    fa_fp_leave(mode);
    CHECK(fa_bits(kept) == fa_bits(0x1p-126f), "2^-126 (1 - 2^-46) gave %a", (double)kept);
    CHECK(fa_bits(flushed) == 0, "2^-126 (1 - 2^-24) gave %a", (double)flushed);
    CHECK(fa_bits(negative) == fa_bits(-0.0f), "a negative subnormal gave %a", (double)negative);
    CHECK(fa_bits(operand) == 0, "a subnormal operand gave %a", (double)operand);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"exp is within 2 ulp for every float", exp_is_within_2_ulp_for_every_float, NULL},
        {"pairs of code products round to 8ths, the odd element first", pairs_round_to_8ths_odd_element_first, NULL},
        {"block sums do not depend on the order of pairs", block_sums_do_not_depend_on_the_order_of_pairs, NULL},
        {"block add rounds each step once", block_add_rounds_each_step_once, NULL},
        {"partial sums join in the stated order", partial_sums_join_in_the_stated_order, NULL},
        {"ordered sums put element i into partial i mod 16", ordered_sums_put_element_i_into_partial_i_mod_16, NULL},
        {"results that round to the smallest normal are kept", results_that_round_to_the_smallest_normal_are_kept,
         NULL},
        {"sigmoid and SiLU follow their definitions", sigmoid_and_silu_follow_their_definitions, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
