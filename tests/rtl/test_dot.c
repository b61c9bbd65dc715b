/* The Verilog dot unit against the C of rule 1 (docs/numerics.md), bit for bit: that of the host and that of the kernels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hls/fp8.h"
#include "host/backend/scalar.h"
#include "host/format/fp8.h"
#include "tests/lib/check.h"
#include "tests/rtl/model.h"

enum { BLOCK = 128, QUEUE = 64, SUMS = RTL_PORTS * RTL_ROWS };

/* A unit being fed, and the results that it still owes, oldest first. */
typedef struct feed {
    rtl_model *model;
    rtl_unit unit;
    rtl_shape shape;
    uint32_t owed[QUEUE][SUMS];
    int sent, received;
} feed;

static feed start(rtl_unit unit) {
    if (!rtl_open) check_skip("built without verilator");
    return (feed){.model = rtl_open(), .unit = unit, .shape = rtl_shapes[unit]};
}

static void one_clock(feed *f, const uint8_t *w, const uint8_t *x, bool last) {
    uint32_t out[SUMS];
    if (!rtl_unit_clock(f->model, f->unit, w, x, last, out)) return;
    CHECK(f->received < f->sent, "a result that nothing asked for");
    const uint32_t *owed = f->owed[f->received % QUEUE];
    for (int i = 0; i < f->shape.ports * f->shape.rows; i++)
        CHECK(out[i] == owed[i], "block %d, weight row %d, activation row %d: %08x, C gives %08x", f->received,
              i / f->shape.rows, i % f->shape.rows, out[i], owed[i]);
    f->received++;
}

static void finish(feed *f) {
    static const uint8_t zeros[RTL_PORTS * RTL_LANES];
    for (int i = 0; i < QUEUE && f->received < f->sent; i++) one_clock(f, zeros, zeros, false);
    CHECK(f->received == f->sent, "%d blocks went in, %d results came out", f->sent, f->received);
    rtl_close(f->model);
}

/* The codes of NaN, which no weight or activation has, count as 480. */
static float value(uint8_t code) {
    return (code & 0x7F) == 0x7F ? copysignf(480, code & 0x80 ? -1 : 1) : fa_e4m3_decode(code);
}

/* Feeds the first n codes of every w[ports] and x[rows] in as many clocks as they need. */
static void block(feed *f, uint8_t w[][BLOCK], uint8_t x[][BLOCK], int n) {
    rtl_shape s = f->shape;
    uint32_t *owed = f->owed[f->sent++ % QUEUE];
    for (int p = 0; p < s.ports; p++)
        for (int r = 0; r < s.rows; r++) {
            int32_t sum = 0;
            for (int i = 0; i < n; i += 2) {
                bool both = i + 1 < n;
                uint8_t w_next = both ? w[p][i + 1] : 0, x_next = both ? x[r][i + 1] : 0;
                const float w_pair[] = {value(w[p][i]), value(w_next)}, x_pair[] = {value(x[r][i]), value(x_next)};
                int32_t pair = fa_pair_8ths(w_pair, x_pair);
                CHECK(pair == hls_pair_8ths(w[p][i], x[r][i], w_next, x_next),
                      "%02x * %02x, %02x * %02x: host and hls/", w[p][i], x[r][i], w_next, x_next);
                sum += pair;
            }
            owed[p * s.rows + r] = fa_bits((float)sum * 0.125f);
        }
    for (int from = 0; from < n; from += s.lanes) {
        uint8_t w_in[RTL_PORTS * RTL_LANES] = {0}, x_in[RTL_ROWS * RTL_LANES] = {0};
        size_t bytes = (size_t)(n - from < s.lanes ? n - from : s.lanes);
        for (int p = 0; p < s.ports; p++) memcpy(w_in + p * s.lanes, w[p] + from, bytes);
        for (int r = 0; r < s.rows; r++) memcpy(x_in + r * s.lanes, x[r] + from, bytes);
        one_clock(f, w_in, x_in, from + s.lanes >= n);
    }
}

static const rtl_unit units[] = {RTL_LUT, RTL_DSP};

/* All weight rows times all activation rows of a block are pairs: one lane of each is not zero. */
static void every_pair_of_codes(void *arg) {
    feed f = start(*(const rtl_unit *)arg);
    rtl_shape s = f.shape;
    for (int a = 0; a < 256; a += s.ports)
        for (int b = 0; b < 256; b += s.rows) {
            uint8_t w[RTL_PORTS][BLOCK] = {{0}}, x[RTL_ROWS][BLOCK] = {{0}};
            int lane = (a + b) / 2 % s.lanes;
            for (int p = 0; p < s.ports; p++) w[p][lane] = (uint8_t)(a + p);
            for (int r = 0; r < s.rows; r++) x[r][lane] = (uint8_t)(b + r);
            block(&f, w, x, s.lanes);
        }
    CHECK(f.sent * s.ports * s.rows == 65536, "%d blocks", f.sent);
    finish(&f);
}

/* Codes of exponent fields `low` to `high` of 0 .. 15, any sign and fraction. */
static void random_row(check_rng *r, uint8_t *row, unsigned low, unsigned high) {
    for (int i = 0; i < BLOCK; i++) {
        uint64_t u = check_u64(r);
        uint64_t exponent = low + (u >> 8) % (high - low + 1);
        row[i] = (uint8_t)((u & 0x87) | exponent << 3);
    }
}

static void random_blocks(void *arg) {
    static const struct range { unsigned low, high; } ranges[] = {{0, 15}, {0, 0}, {0, 7}, {5, 9}, {12, 15}};
    static const uint8_t zeros[RTL_PORTS * RTL_LANES];
    feed f = start(*(const rtl_unit *)arg);
    check_rng rng = {6};
    for (int i = 0; i < 5000; i++) {
        uint8_t w[RTL_PORTS][BLOCK], x[RTL_ROWS][BLOCK];
        struct range of_w = ranges[check_u64(&rng) % 5], of_x = ranges[check_u64(&rng) % 5];
        for (int p = 0; p < RTL_PORTS; p++) random_row(&rng, w[p], of_w.low, of_w.high);
        for (int r = 0; r < RTL_ROWS; r++) random_row(&rng, x[r], of_x.low, of_x.high);
        block(&f, w, x, i % 3 ? BLOCK : 1 + (int)(check_u64(&rng) % BLOCK));
        for (uint64_t pause = check_u64(&rng) % 8; pause > 5; pause--) one_clock(&f, zeros, x[0], false);
    }
    finish(&f);
}

static void largest_sums(void *arg) {
    feed f = start(*(const rtl_unit *)arg);
    for (int sign = 0; sign < 4; sign++) {
        uint8_t w[RTL_PORTS][BLOCK], x[RTL_ROWS][BLOCK];
        memset(w, sign & 1 ? 0xFF : 0x7F, sizeof w); /* larger than any finite code's */
        memset(x, sign & 2 ? 0xFF : 0x7F, sizeof x);
        block(&f, w, x, BLOCK);
    }
    finish(&f);
}

static void check_conversion(rtl_model *m, int32_t sum) {
    uint32_t want = fa_bits((float)sum * 0.125f), got = rtl_convert(m, sum);
    CHECK(got == want, "%d: %08x, C gives %08x", sum, got, want);
}

/* Around every place where the rounding of 30 bits to 24 changes: each leading bit with the patterns that are cut off. */
static void conversion_rounds_once(void *arg) {
    (void)arg;
    if (!rtl_open) check_skip("built without verilator");
    rtl_model *m = rtl_open();
    check_rng rng = {7};
    for (int32_t sum = -512; sum <= 512; sum++) check_conversion(m, sum);
    for (int top = 9; top < 28; top++)
        for (int i = 0; i < 256; i++) {
            uint32_t random = (uint32_t)check_u64(&rng) & ((1u << top) - 1);
            uint32_t carried =
                i & 1 ? (1u << top) - 256 : random & ~255u; /* so that rounding up reaches the exponent */
            int32_t sum = (int32_t)(1u << top | carried | (uint32_t)i);
            check_conversion(m, sum);
            check_conversion(m, -sum);
            check_conversion(m, (int32_t)(1u << top | random));
        }
    rtl_close(m);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"products in LUTs: all 65536 pairs of codes", every_pair_of_codes, (void *)&units[0]},
        {"products in DSPs: all 65536 pairs of codes", every_pair_of_codes, (void *)&units[1]},
        {"products in LUTs: random blocks of 1 to 128, with and without pauses", random_blocks, (void *)&units[0]},
        {"products in DSPs: random blocks of 1 to 128, with and without pauses", random_blocks, (void *)&units[1]},
        {"products in LUTs: the largest sums", largest_sums, (void *)&units[0]},
        {"products in DSPs: the largest sums", largest_sums, (void *)&units[1]},
        {"a sum becomes FP32 with one rounding, ties to even", conversion_rounds_once, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
