/* A board through Xilinx's OpenCL: the same kernels, results and counts as through XRT's own functions; and what the OpenCL backend, which
 * compiles source, says of such a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/xclbin.h"
#include "host/backend/xrt/shim.h"
#include "host/backend/xrt/xrt.h"
#include "sim/device/sim.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

#define FOUR_UNITS "tests/fixtures/boards/four-units.board"

enum { VALUES = 80 };

static int place_of(const hls_kernel *k, const char *name) {
    int i = 0;
    while (i < k->n_args && strcmp(k->args[i].name, name)) i++;
    CHECK(i < k->n_args, "%s has no argument %s", k->name, name);
    return i;
}

/* y = a + b on every unit, with pointers into the midst of buffers, one of which no host wrote. Returns [units][VALUES]. */
static void add(fa_device *d, float *y) {
    const fa_board *board = d->board;
    const hls_kernel *k = hls_kernel_find(board->build.ports, "fathom_rowwise");
    fa_bank_range io = {fa_board_port_bank(board, &board->build, 0, board->build.ports), 1};
    fa_device_buffer *ab, *out;
    fa_error e;
    float a[2 * VALUES];
    for (int i = 0; i < 2 * VALUES; i++) a[i] = (float)(i * i % 89) / 3;
    CHECK_OK(d->alloc(d, io, sizeof a, &ab, &e), &e);
    CHECK_OK(d->alloc(d, io, (size_t)board->build.units * 8192, &out, &e), &e);
    CHECK_OK(d->write(d, ab, 0, a, sizeof a, &e), &e);
    for (int round = 0; round < 2; round++) {
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
    }
    for (int32_t u = 0; u < board->build.units; u++) {
        float *row = y + u * VALUES;
        CHECK_OK(d->read(d, out, (size_t)u * 8192 + 64, row, VALUES * sizeof *y, &e), &e);
        for (int i = 0; i < VALUES; i++)
            CHECK(row[i] == a[i] + a[VALUES + i], "unit %d value %d: %g", u, i, (double)row[i]);
    }
    d->free(d, ab);
    d->free(d, out);
}

static fa_device *open_opencl(fa_xrt_mode mode) {
    fa_device *d = NULL;
    fa_error e;
    fa_status s = fa_xrt_open(&d, &(fa_xrt_options){.mode = mode, .board = FOUR_UNITS, .opencl = true}, &e);
    if (s == FA_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK_OK(s, &e);
    return d;
}

static void results_and_counts_are_the_simulators(void *arg) {
    (void)arg;
    fa_device *ocl = open_opencl(FA_XRT_HW_EMU), *sim;
    fa_board board;
    fa_error e;
    float y[2][4 * VALUES];
    CHECK(!strcmp(ocl->name, "xrt-opencl"));
    CHECK_OK(fa_board_find(&board, FOUR_UNITS, &e), &e);
    CHECK_OK(fa_sim_open(&sim, &board, &(sim_options){.threads = 1, .node = -1}, &e), &e);
    add(ocl, y[0]);
    add(sim, y[1]);
    fa_device_stats a = ocl->stats(ocl), b = sim->stats(sim);
    CHECK(!memcmp(y[0], y[1], sizeof y[0]));
    CHECK(a.unit_cycles == b.unit_cycles && a.seconds == b.seconds && a.launches == b.launches,
          "%g s, %g cycles; simulator %g, %g", a.seconds, a.unit_cycles, b.seconds, b.unit_cycles);
    ocl->close(ocl);
    sim->close(sim);
}

/* Found out by trying: all buffers lie in one bank there, which the image does not connect with every argument. */
static void sw_emu_is_refused(void *arg) {
    (void)arg;
    fa_device *d = NULL;
    fa_error e = {0};
    fa_status s = fa_xrt_open(&d, &(fa_xrt_options){.mode = FA_XRT_SW_EMU, .board = FOUR_UNITS, .opencl = true}, &e);
    CHECK(s == FA_EUNSUPPORTED && strstr(e.text, "use hw_emu"), "%s", e.text);
}

/* The ICD loader lists Xilinx's platform from a file of ours, with an emulated card. */
static void the_backend_for_source_says_what_to_use(void *arg) {
    (void)arg;
    fa_board b;
    fa_error e;
    char *dir = check_folder(), path[512];
    CHECK_OK(fa_board_find(&b, "u55c", &e), &e);
    snprintf(path, sizeof path, "%s/emconfig.json", dir);
    CHECK_OK(fa_emconfig_write(&b, 1, path, &e), &e);
    free(check_write(dir, "xilinx.icd", "libxilinxopencl.so.2\n", 21));
    fa_status s = fa_xrt_shim_install("/usr/lib/x86_64-linux-gnu", dir, "libxrt_hwemu.so.2", &e);
    if (s) check_skip("%s", e.text);
    static const char before[] =
        "OCL_ICD_VENDORS=%s EMCONFIG_PATH=%s SDACCEL_EM_RUN_DIR=%s XILINX_XRT=%s/xrt XCL_EMULATION_MODE=hw_emu "
        "USER=$(basename %s) \"$FATHOM_BIN\" ";
    char command[2048];
    snprintf(command, sizeof command, before, dir, dir, dir, dir, dir);
    check_output o = check_command("%s devices", command);
    CHECK(o.status == 0 && strstr(o.out, "fathom_u55c (accelerator)"), "%s%s", o.out, o.err);
    check_output_free(&o);
    static const char *const names[] = {"opencl", "opencl:0.0"};
    for (int i = 0; i < 2; i++) {
        o = check_command("%s run --backend %s hello", command, names[i]);
        CHECK(o.status == 1 && strstr(o.err, "takes no OpenCL source") && strstr(o.err, "xrt-opencl:CARD"), "%s",
              o.err);
        check_output_free(&o);
    }
    check_folder_remove(dir);
}

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"results and counts are the simulator's", results_and_counts_are_the_simulators, NULL},
        {"sw_emu is refused with the reason", sw_emu_is_refused, NULL},
        {"the backend for source says what to use", the_backend_for_source_says_what_to_use, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
