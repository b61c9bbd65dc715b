/* A board behind XRT's emulation: what is asked of it arrives, and what comes back is right. */
#include <stdlib.h>
#include <string.h>

#include "hls/kernels.h"
#include "host/backend/xrt/xrt.h"
#include "sim/device/sim.h"
#include "tests/lib/check.h"

#define FOUR_UNITS "tests/fixtures/boards/four-units.board"

enum { WORDS = 5, VALUES = 16 * WORDS };

static fa_device *open_xrt(fa_xrt_mode mode, const char *board) {
    fa_device *d = NULL;
    fa_error e;
    fa_status s = fa_xrt_open(&d, &(fa_xrt_options){.mode = mode, .board = board}, &e);
    if (s == FA_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK_OK(s, &e);
    return d;
}

static fa_device *open_sim(const char *name) {
    fa_board board;
    fa_device *d;
    fa_error e;
    CHECK_OK(fa_board_find(&board, name, &e), &e);
    CHECK_OK(fa_sim_open(&d, &board, &(sim_options){.threads = 1, .node = -1}, &e), &e);
    return d;
}

static int place_of(const hls_kernel *k, const char *name) {
    int i = 0;
    while (i < k->n_args && strcmp(k->args[i].name, name)) i++;
    CHECK(i < k->n_args, "%s has no argument %s", k->name, name);
    return i;
}

/* y = a + b by fathom_rowwise on every unit, with y behind a in one buffer: a pointer into it. Returns what came back, [units][VALUES]. */
static void add(fa_device *d, float *y) {
    const fa_board *board = d->board;
    const hls_kernel *k = hls_kernel_find(board->build.ports, "fathom_rowwise");
    fa_bank_range io = {fa_board_port_bank(board, &board->build, 0, board->build.ports), 1};
    fa_device_buffer *ab, *out;
    fa_error e;
    float a[2 * VALUES];
    for (int i = 0; i < 2 * VALUES; i++) a[i] = (float)(i * i % 97) / 7;
    CHECK_OK(d->alloc(d, io, sizeof a, &ab, &e), &e);
    CHECK_OK(d->alloc(d, io, (size_t)board->build.units * 8192, &out, &e), &e);
    CHECK_OK(d->write(d, ab, 0, a, sizeof a, &e), &e);
    for (int32_t u = 0; u < board->build.units; u++) {
        fa_device_arg args[HLS_KERNEL_ARGS] = {0};
        args[place_of(k, "a")] = (fa_device_arg){ab, 0};
        args[place_of(k, "b")] = (fa_device_arg){ab, sizeof a / 2};
        args[place_of(k, "y")] = (fa_device_arg){out, (uint64_t)u * 8192 + 64};
        args[place_of(k, "op")].value = HLS_ADD;
        args[place_of(k, "rows")].value = 1;
        args[place_of(k, "n")].value = VALUES;
        CHECK_OK(d->launch(d, k->name, u, args, k->n_args, &e), &e);
    }
    CHECK_OK(d->wait(d, &e), &e);
    for (int32_t u = 0; u < board->build.units; u++) {
        CHECK_OK(d->read(d, out, (size_t)u * 8192 + 64, y + u * VALUES, VALUES * sizeof *y, &e), &e);
        for (int i = 0; i < VALUES; i++)
            CHECK(y[u * VALUES + i] == a[i] + a[VALUES + i], "unit %d value %d: %g", u, i, (double)y[u * VALUES + i]);
    }
    d->free(d, ab);
    d->free(d, out);
}

static void counts_are_the_simulators(void *mode) {
    fa_device *xrt = open_xrt(*(const fa_xrt_mode *)mode, FOUR_UNITS), *sim = open_sim(FOUR_UNITS);
    float y[4 * VALUES];
    for (int i = 0; i < 3; i++) {
        add(xrt, y);
        add(sim, y);
    }
    fa_device_stats a = xrt->stats(xrt), b = sim->stats(sim);
    CHECK(!memcmp(&a, &b, sizeof a), "%.17g s %.17g cycles %.17g J %lld launches, simulator %.17g %.17g %.17g %lld",
          a.seconds, a.unit_cycles, a.joules, (long long)a.launches, b.seconds, b.unit_cycles, b.joules,
          (long long)b.launches);
    for (int32_t i = 0; i < sim->banks; i++) {
        fa_device_bank p = xrt->bank(xrt, i), q = sim->bank(sim, i);
        CHECK(!memcmp(&p, &q, sizeof p), "bank %d: io %g, simulator %g", i, p.io, q.io);
    }
    xrt->close(xrt);
    sim->close(sim);
}

static void two_boards_at_once(void *arg) {
    (void)arg;
    fa_device *a = open_xrt(FA_XRT_SW_EMU, FOUR_UNITS), *b = open_xrt(FA_XRT_SW_EMU, "u280");
    float y[4 * VALUES];
    for (int i = 0; i < 2; i++) {
        add(a, y);
        add(b, y);
    }
    a->close(a);
    add(b, y);
    b->close(b);
}

int main(int argc, char **argv) {
    static const fa_xrt_mode sw = FA_XRT_SW_EMU, hw = FA_XRT_HW_EMU;
    static const check_case cases[] = {
        {"every unit's sums and all counts are the simulator's, sw_emu", counts_are_the_simulators, (void *)&sw},
        {"every unit's sums and all counts are the simulator's, hw_emu", counts_are_the_simulators, (void *)&hw},
        {"two boards work at the same time", two_boards_at_once, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
