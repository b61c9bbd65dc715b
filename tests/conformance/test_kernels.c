/* Elementary functions of the cpu kernels, over far more values than whole ops can show: one wrong rounding inside exp changes
 * few results, and a sum over them hides most of these. */
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

#include "host/backend/cpu/kernels.h"
#include "host/backend/scalar.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "tests/lib/check.h"

enum { CHUNK = 4096 };

/* Floats whose bits go up from `first` by `step`. */
typedef struct sweep {
    const fa_cpu_kernels *kernels;
    uint32_t first, step;
    _Atomic uint64_t wrong; /* bits of a wrong one above 2^32 */
} sweep;

static bool same(float a, float b) {
    return fa_bits(a) == fa_bits(b) || (isnan(a) && isnan(b));
}

/* silu(x) * 1 in chunks, against fa_silu. */
static void sweep_silu(void *ctx, int64_t begin, int64_t end, int thread) {
    (void)thread;
    sweep *s = ctx;
    float x[CHUNK], ones[CHUNK], y[CHUNK];
    for (int i = 0; i < CHUNK; i++) ones[i] = 1.0f;
    for (int64_t c = begin; c < end; c++) {
        for (int i = 0; i < CHUNK; i++) x[i] = fa_from_bits(s->first + (uint32_t)(c * CHUNK + i) * s->step);
        s->kernels->gated(x, ones, CHUNK, y);
        for (int i = 0; i < CHUNK; i++)
            if (!same(y[i], fa_silu(x[i]) * 1.0f)) s->wrong = ((uint64_t)1 << 32) | fa_bits(x[i]);
    }
}

static void gated_equals_scalar_silu(void *arg) {
    /* every 61st float of all; every float where exp(-x) comes near 0 and infinity */
    static const struct {
        uint32_t first, step;
        int64_t chunks;
    } ranges[] = {
        {0, 61, ((int64_t)1 << 32) / 61 / CHUNK}, {0x42ae0000u, 1, 64}, {0xc2ae0000u, 1, 64}}; /* from +-87 on */
    fa_isa isa = (fa_isa) * (int *)arg;
    fa_error e;
    fa_team *team;
    if (isa > fa_isa_best()) check_skip("this CPU offers no %s", fa_isa_name(isa));
    CHECK_OK(fa_team_open(&team, 0, FA_NODE_INTERLEAVE, &e), &e);
    sweep s = {.kernels = fa_cpu_kernels_get(isa)};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        s.first = ranges[i].first, s.step = ranges[i].step;
        fa_team_run(team, ranges[i].chunks, 16, sweep_silu, &s);
    }
    fa_team_close(team);
    CHECK(!s.wrong, "silu(%.9g) has other bits than the scalar", (double)fa_from_bits((uint32_t)s.wrong));
}

int main(int argc, char **argv) {
    static int isas[FA_ISA_COUNT];
    static char names[FA_ISA_COUNT][80];
    check_case cases[FA_ISA_COUNT];
    for (int i = 0; i < FA_ISA_COUNT; i++) {
        isas[i] = i;
        snprintf(names[i], sizeof names[i], "gated equals the scalar silu over 70 million floats [cpu:%s]",
                 fa_isa_name((fa_isa)i));
        cases[i] = (check_case){names[i], gated_equals_scalar_silu, &isas[i]};
    }
    return check_main(argc, argv, cases, FA_ISA_COUNT);
}
