/* Names and paths: EMU = core/pcie/emulation of XRT 202210.2.13.466. */
#include "host/backend/xrt/emulation.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/xrt_device/control.h"

/* EMU/cpu_em/generic_pcie_hal2/shim.cxx, launchDeviceProcess; later releases look into sw_emu. */
static const char *const model_folders[] = {"vitis/data/emulation/unified/cpu_em/generic_pcie/model",
                                            "vitis/data/emulation/unified/sw_emu/generic_pcie/model"};
#define MODEL_NAME "genericpciemodel"

/* Of a Vitis installation: they would lead XRT to the Xilinx model, or to a debugger. */
static const char *const unwanted[] = {"XILINX_HLS", "XILINX_VIVADO", "XILINX_SCOUT",
                                       "XILINX_SDX", "XILINX_OPENCL", "ENABLE_KERNEL_DEBUG"};

/* ---- the environment ---- */

__attribute__((format(printf, 2, 3))) static void add(fa_xrt_emulation *m, const char *format, ...) {
    int i = 0;
    va_list args;
    while (m->variable[i]) i++;
    va_start(args, format);
    if (vasprintf(&m->variable[i], format, args) < 0) m->variable[i] = NULL;
    va_end(args);
}

static fa_status make_environment(fa_xrt_emulation *m, const char *board, bool hw_emu, fa_error *e) {
    const char *folder = m->folder.path;
    char path[PATH_MAX];
    int n = 0;
    bool file = strchr(board, '/') || strstr(board, ".board");
    if (file && !realpath(board, path)) return fa_fail(e, FA_EIO, "%s: %s", board, strerror(errno));
    add(m, "XCL_EMULATION_MODE=%s", hw_emu ? "hw_emu" : "sw_emu");
    add(m, "XILINX_XRT=%s/xrt", folder);
    add(m, "XILINX_VITIS=%s/vitis", folder);
    add(m, "EMCONFIG_PATH=%s", folder);
    add(m, "SDACCEL_EM_RUN_DIR=%s", folder);
    add(m, "XRT_INI_PATH=%s/xrt.ini", folder);
    add(m, "USER=%s", strrchr(folder, '/') + 1);
    add(m, XRT_ENV_BOARD "=%s", file ? path : board);
    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted; i++) add(m, "%s", unwanted[i]);
    while (m->variable[n]) n++;
    return n == 8 + (int)(sizeof unwanted / sizeof *unwanted) ? FA_OK
                                                              : fa_fail(e, FA_ENOMEM, "no memory for an environment");
}

/* Whether `line` ("NAME=value") is of the variable that `mine` sets or takes away. */
static bool same_name(const char *line, const char *mine) {
    size_t n = strcspn(mine, "=");
    return !strncmp(line, mine, n) && line[n] == '=';
}

char **fa_xrt_environment(const fa_xrt_emulation *m, char **environment) {
    size_t n = 0, k = 0;
    while (environment[n]) n++;
    char **all = calloc(n + FA_XRT_VARIABLES + 1, sizeof *all);
    if (!all) return NULL;
    for (size_t i = 0; i < n; i++) {
        bool mine = false;
        for (int v = 0; v < FA_XRT_VARIABLES && m->variable[v]; v++) mine |= same_name(environment[i], m->variable[v]);
        if (!mine) all[k++] = environment[i];
    }
    for (int v = 0; v < FA_XRT_VARIABLES && m->variable[v]; v++)
        if (strchr(m->variable[v], '=')) all[k++] = m->variable[v];
    return all;
}

/* ---- files ---- */

static fa_status link_model(const fa_xrt_emulation *m, const char *model, fa_error *e) {
    fa_status s = FA_OK;
    for (size_t i = 0; i < sizeof model_folders / sizeof *model_folders && !s; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s/" MODEL_NAME, m->folder.path, model_folders[i]);
        s = fa_xrt_folder_make(m->folder.path, model_folders[i], e);
        if (!s && symlink(model, path)) s = fa_fail(e, FA_EIO, "%s: %s", path, strerror(errno));
    }
    return s;
}

/* hw_emu starts what sim_dir names in xrt.ini without unpacking a simulator from the image (EMU/hw_em/generic_pcie_hal2/shim.cxx). */
static fa_status write_settings(const fa_xrt_emulation *m, const char *model, bool hw_emu, fa_error *e) {
    char ini[PATH_MAX], script[PATH_MAX];
    snprintf(ini, sizeof ini, "[Emulation]\nsim_dir=%s/sim\n", m->folder.path);
    snprintf(script, sizeof script, "#!/bin/sh\nexec '%s'\n", model);
    fa_status s = fa_xrt_folder_write(m->folder.path, "xrt.ini", hw_emu ? ini : "", 0600, e);
    if (!s && hw_emu) s = fa_xrt_folder_make(m->folder.path, "sim", e);
    return s || !hw_emu ? s : fa_xrt_folder_write(m->folder.path, "sim/simulate.sh", script, 0700, e);
}

/* XRT puts one bank behind the other, with sizes that are powers of two: so are the model's. */
static fa_status check_banks(const fa_board *b, fa_error *e) {
    for (int k = 0; k < b->n_bank_kinds; k++)
        if (b->bank[k].bank_bytes & (b->bank[k].bank_bytes - 1))
            return fa_fail(e, FA_EUNSUPPORTED, "board %s: XRT's emulation has only banks of 1, 2, 4 .. bytes, not %lld",
                           b->name, (long long)b->bank[k].bank_bytes);
    return FA_OK;
}

static fa_status fill(fa_xrt_emulation *m, const fa_board *b, fa_xclbin_mode mode, fa_ip_control control, int cards,
                      const char *model, fa_error *e) {
    static const char bits[] = "fathom"; /* XRT hands them on and our model needs none */
    char config[PATH_MAX];
    fa_xclbin_options image = {.mode = mode, .control = control, .bitstream = bits, .bitstream_bytes = sizeof bits};
    snprintf(config, sizeof config, "%s/emconfig.json", m->folder.path);
    snprintf(m->image, sizeof m->image, "%s/fathom.xclbin", m->folder.path);
    fa_status s = fa_emconfig_write(b, cards, config, e);
    if (!s) s = fa_xclbin_write(b, &image, m->image, e);
    if (!s) s = link_model(m, model, e);
    return s ? s : write_settings(m, model, mode == FA_XCLBIN_HW_EMU, e);
}

fa_status fa_xrt_emulation_open(fa_xrt_emulation *m, const fa_board *board, const char *board_name, fa_xclbin_mode mode,
                                fa_ip_control control, int cards, const char *model, fa_error *e) {
    *m = (fa_xrt_emulation){.folder.lock = -1};
    m->shim = mode == FA_XCLBIN_HW_EMU ? "libxrt_hwemu.so.2" : "libxrt_swemu.so.2";
    fa_status s = check_banks(board, e);
    if (!s) s = fa_xrt_folder_open(&m->folder, e);
    if (!s) s = make_environment(m, board_name, mode == FA_XCLBIN_HW_EMU, e);
    if (!s) s = fill(m, board, mode, control, cards, model, e);
    if (s) fa_xrt_emulation_close(m);
    return s;
}

void fa_xrt_emulation_close(fa_xrt_emulation *m) {
    fa_xrt_folder_close(&m->folder);
    for (int v = 0; v < FA_XRT_VARIABLES; v++) free(m->variable[v]);
    memset(m->variable, 0, sizeof m->variable);
}
