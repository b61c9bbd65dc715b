#include "host/backend/backend.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "boards/board.h"
#include "host/backend/board/board.h"
#include "host/backend/cpu/cpu.h"
#include "host/backend/opencl/opencl.h"
#include "host/backend/placed/placed.h"
#include "host/backend/reference.h"
#include "host/backend/xrt/xrt.h"
#include "sim/device/sim.h"

typedef struct backend_entry {
    const char *name;
    fa_status (*open)(fa_backend **out, const fa_backend_options *options, fa_error *e);
    bool takes_more; /* the name may go on with a colon and what the backend makes of it */
    bool board;      /* it has one */
    bool timeline;   /* it records one */
} backend_entry;

/* A board whose build would not fit its part is refused here too. */
static fa_status open_sim(fa_backend **out, const fa_backend_options *options, fa_error *e) {
    fa_board board;
    fa_device *device = NULL;
    sim_options sim = {.threads = options->threads, .node = options->node, .timeline = options->timeline};
    const char *colon = strchr(options->name, ':'), *name = options->board ? options->board
                                                            : colon        ? colon + 1
                                                                           : FA_DEFAULT_BOARD;
    if (colon && strcmp(colon + 1, name) != 0)
        return fa_fail(e, FA_EINVAL, "backend '%s': but board '%s' was asked for too", options->name, name);
    fa_status s = fa_board_find(&board, name, e);
    if (!s) s = fa_board_fits(&board, &board.build, e);
    if (!s) s = fa_sim_open(&device, &board, &sim, e);
    return s ? s : fa_board_backend_open(out, device, "sim", e);
}

/* "xrt", "xrt:CARD", "xrt-opencl:CARD": a card, by its BDF or number; "xrt:emu", "xrt:emu:BOARD": XRT's software emulation, which newer releases have
 * no more, and "xrt:hw_emu..": the other one, which is the only one of "xrt-opencl". */
static const struct xrt_name {
    const char *name;
    fa_xrt_mode mode;
} xrt_names[] = {{"emu", FA_XRT_SW_EMU}, {"sw_emu", FA_XRT_SW_EMU}, {"hw_emu", FA_XRT_HW_EMU}};

static fa_status open_xrt(fa_backend **out, const fa_backend_options *options, fa_error *e) {
    fa_device *device = NULL;
    const char *colon = strchr(options->name, ':'), *rest = colon ? colon + 1 : "0";
    fa_xrt_options xrt = {.board = options->board,
                          .card = rest,
                          .image = options->xclbin,
                          .timeline = options->timeline,
                          .opencl = !strncmp(options->name, "xrt-opencl", strlen("xrt-opencl"))};
    for (size_t i = 0; i < sizeof xrt_names / sizeof *xrt_names; i++) {
        size_t n = strlen(xrt_names[i].name);
        if (strncmp(rest, xrt_names[i].name, n) || (rest[n] && rest[n] != ':')) continue;
        const char *board = rest[n] ? rest + n + 1 : NULL;
        if (board && options->board && strcmp(board, options->board))
            return fa_fail(e, FA_EINVAL, "backend '%s': but board '%s' was asked for too", options->name,
                           options->board);
        xrt.mode = xrt.opencl && !strncmp(rest, "emu", n) ? FA_XRT_HW_EMU : xrt_names[i].mode;
        if (board) xrt.board = board;
    }
    if (xrt.mode && xrt.image)
        return fa_fail(e, FA_EINVAL, "backend '%s' makes its own xclbin: --xclbin is for a card", options->name);
    if (!xrt.board) xrt.board = FA_DEFAULT_BOARD;
    fa_status s = fa_xrt_open(&device, &xrt, e);
    return s ? s : fa_board_backend_open(out, device, xrt.opencl ? "xrt-opencl" : "xrt", e);
}

/* What "auto" means comes first. */
static const backend_entry backends[] = {
    {"cpu", fa_cpu_open, false, false, false},
    {"opencl", fa_opencl_open, true, false, true},
    {"reference", fa_reference_open, false, false, false},
    {"sim", open_sim, true, true, true},
    {"xrt", open_xrt, true, true, true},
    {"xrt-opencl", open_xrt, true, true, true}, /* the same card through Xilinx's OpenCL */
};
enum { N_BACKENDS = sizeof backends / sizeof *backends };

fa_status fa_backend_open(fa_backend **out, const fa_backend_options *options, fa_error *e) {
    *out = NULL;
    if (options->placement) return fa_placed_open(out, options, e);
    fa_backend_options chosen = *options;
    const char *name = options->name ? options->name : "auto";
    if (!strcmp(name, "auto")) name = backends[0].name;
    size_t n = strcspn(name, ":");
    char known[128] = "auto";
    for (int i = 0; i < N_BACKENDS; i++) {
        const backend_entry *entry = &backends[i];
        if (strlen(entry->name) == n && !strncmp(name, entry->name, n) && (!name[n] || entry->takes_more)) {
            chosen.name = name;
            if ((chosen.board && !entry->board) || (chosen.timeline && !entry->timeline))
                return fa_fail(e, FA_EINVAL, "backend '%s' has no %s", entry->name,
                               chosen.board && !entry->board ? "board: choose 'sim' or 'xrt'"
                                                             : "timeline: choose 'sim', 'xrt' or 'opencl'");
            return entry->open(out, &chosen, e);
        }
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, ", %s", backends[i].name);
    }
    return fa_fail(e, FA_EINVAL, "backend '%s' is unknown: expected one of %s", name, known);
}

fa_status fa_backend_check_model(const fa_backend *b, uint64_t shape, int32_t layers, int32_t experts, fa_error *e) {
    const fa_board_placement *p = fa_placed_placement(b);
    if (!p) return FA_OK;
    if (p->shape != shape)
        return fa_fail(e, FA_EINVAL, "placement: made for %s, shape %016" PRIx64 "; this model's shape is %016" PRIx64,
                       p->model[0] ? p->model : "another model", p->shape, shape);
    if (p->layers < layers)
        return fa_fail(e, FA_EINVAL, "placement: layers: %d are placed, the model has %d", p->layers, layers);
    if (p->experts && p->experts != experts)
        return fa_fail(e, FA_EINVAL, "placement: experts: %d of a layer are placed, the model has %d", p->experts,
                       experts);
    return FA_OK;
}

const char *fa_op_name(fa_op_kind k) {
    static const char *const names[FA_OP_COUNT] = {"matmul",  "experts", "mla", "gqa",
                                                   "rmsnorm", "rope",    "add", "store"};
    return (unsigned)k < FA_OP_COUNT ? names[k] : "unknown";
}
