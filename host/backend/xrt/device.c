/* The board as a fa_device: launches, waiting, recovery, counts. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "host/backend/xrt/device.h"

/* WAIT_MORE_MS: between a launch's deadline, which the process sees, and the end of patience with the process. */
enum { CARD_MS = 10000, EMULATION_MS = 600000, WAIT_MORE_MS = 10000 };

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- launches ---- */

static fa_status launch(fa_device *base, const char *kernel, int32_t unit, const fa_device_arg *args, int n,
                        fa_error *e) {
    xrt_device *d = (xrt_device *)base;
    const hls_kernel *k;
    fa_status s = xrt_check_works(d, e);
    if (!s) s = fa_device_check_launch(&d->board, kernel, unit, args, n, &k, e);
    if (s) return s;
    wire_request r = {.kind = WIRE_LAUNCH, .unit = unit, .n_args = n};
    snprintf(r.name, sizeof r.name, "%s", kernel);
    for (int i = 0; i < n; i++) {
        const xrt_buffer *b = (const xrt_buffer *)args[i].buffer;
        bool pointer = k->args[i].kind != HLS_ARG_SCALAR;
        r.args[i] = (wire_arg){.value = args[i].value,
                               .buffer = b ? b->number : -1,
                               .type = pointer                 ? WIRE_POINTER
                                       : k->args[i].bytes == 8 ? WIRE_U64
                                                               : WIRE_U32};
    }
    d->launched = true;
    d->stats.launches++;
    return xrt_ask(d, &r, NULL, 0, e);
}

static fa_status wait_all(fa_device *base, fa_error *e) {
    xrt_device *d = (xrt_device *)base;
    fa_status s = xrt_check_works(d, e);
    if (s || !d->launched) return s;
    wire_request r = {.kind = WIRE_WAIT};
    wire_reply reply = {0};
    int64_t deadline_ms = (int64_t)d->deadline_ms * 2 + WAIT_MORE_MS;
    s = xrt_ask(d, &r, &reply, deadline_ms < INT_MAX ? (int)deadline_ms : INT_MAX, e);
    d->launched = false;
    d->stuck |= reply.stuck != 0;
    if (s) return s;
    d->stats.unit_cycles = reply.busy_s * d->board.build.clock_hz;
    xrt_control m = {.kind = XRT_CONTROL_JOIN};
    return d->mode == FA_XRT_CARD ? FA_OK : xrt_ask_model(d, &m, e);
}

/* ---- counts ---- */

static fa_device_stats add(fa_device_stats a, fa_device_stats b) {
    return (fa_device_stats){a.seconds + b.seconds,    a.unit_cycles + b.unit_cycles, a.joules + b.joules,
                             a.to_card + b.to_card,    a.from_card + b.from_card,     a.launches + b.launches,
                             a.transfers + b.transfers};
}

/* The model's counts, as long as it lives. */
static fa_device_stats stats(const fa_device *base) {
    xrt_device *d = (xrt_device *)base;
    xrt_control m = {.kind = XRT_CONTROL_STATS};
    if (d->mode == FA_XRT_CARD)
        d->stats.seconds = 1e-9 * (double)(now_ns() - d->opened_ns);
    else if (!d->dead && !xrt_ask_model(d, &m, NULL))
        d->stats = m.stats;
    return add(d->earlier, d->stats);
}

static fa_device_bank bank(const fa_device *base, int32_t index) {
    xrt_device *d = (xrt_device *)base;
    fa_device_bank result = d->banks[index];
    xrt_control m = {.kind = XRT_CONTROL_BANK, .value = index};
    if (d->mode == FA_XRT_CARD || d->dead || xrt_ask_model(d, &m, NULL)) return result;
    m.bank.used = result.used; /* it is XRT that places buffers */
    return m.bank;
}

static fa_status timeline(fa_device *base, const char *path, fa_error *e) {
    xrt_device *d = (xrt_device *)base;
    xrt_control m = {.kind = XRT_CONTROL_TIMELINE};
    char here[PATH_MAX];
    fa_status s = xrt_check_works(d, e);
    if (s) return s;
    bool below = *path != '/';
    if (below && !getcwd(here, sizeof here)) return fa_fail(e, FA_EIO, "%s: %s", path, strerror(errno));
    if (snprintf(m.text, sizeof m.text, "%s%s%s", below ? here : "", below ? "/" : "", path) >= (int)sizeof m.text)
        return fa_fail(e, FA_EINVAL, "%s: the path is too long", path);
    return xrt_ask_model(d, &m, e);
}

/* ---- faults and what follows ---- */

static fa_status recover(fa_device *base, bool *memory_lost, fa_error *e) {
    xrt_device *d = (xrt_device *)base;
    *memory_lost = d->dead || d->stuck;
    if (d->for_good) return xrt_check_works(d, e);
    if (!*memory_lost) {
        xrt_control m = {.kind = XRT_CONTROL_RESET};
        return d->mode == FA_XRT_CARD ? FA_OK : xrt_ask_model(d, &m, e);
    }
    xrt_disconnect(d);
    d->earlier = add(d->earlier, d->stats);
    d->stats = (fa_device_stats){0};
    fa_status s = xrt_connect(d, e);
    if (!s) s = xrt_alloc_again(d, e);
    if (!s) return FA_OK;
    if (!d->dead) xrt_disconnect(d);
    d->dead = true;
    if (e) d->why = *e;
    return FA_EDEVICE;
}

fa_status fa_xrt_inject(fa_device *base, const sim_fault *faults, int n, fa_error *e) {
    xrt_control m = {.kind = XRT_CONTROL_FAULT, .value = n};
    if (n < 0 || n > XRT_CONTROL_FAULTS)
        return fa_fail(e, FA_EINVAL, "%d faults, %d are the most", n, XRT_CONTROL_FAULTS);
    memcpy(m.faults, faults, (size_t)n * sizeof *faults);
    return xrt_ask_model((xrt_device *)base, &m, e);
}

fa_status fa_xrt_faults_happened(fa_device *base, int *n, fa_error *e) {
    xrt_control m = {.kind = XRT_CONTROL_STATS};
    fa_status s = xrt_ask_model((xrt_device *)base, &m, e);
    *n = s ? 0 : (int)m.value;
    return s;
}

/* ---- opening ---- */

static void close_device(fa_device *base) {
    xrt_device *d = (xrt_device *)base;
    xrt_disconnect(d);
    while (d->buffers) {
        xrt_buffer *next = d->buffers->next;
        free(d->buffers);
        d->buffers = next;
    }
    fa_xrt_emulation_close(&d->emulation);
    free(d->banks);
    free(d);
}

static const fa_device entries = {
    .name = "xrt",
    .alloc = xrt_alloc,
    .free = xrt_free,
    .write = xrt_write,
    .read = xrt_read,
    .launch = launch,
    .wait = wait_all,
    .recover = recover,
    .stats = stats,
    .bank = bank,
    .timeline = timeline,
    .close = close_device,
};

static fa_status open_banks(xrt_device *d, fa_error *e) {
    const fa_board *b = &d->board;
    for (int k = 0; k < b->n_bank_kinds; k++) d->base.banks += b->bank[k].count;
    d->banks = calloc((size_t)d->base.banks, sizeof *d->banks);
    if (!d->banks) return fa_fail(e, FA_ENOMEM, "board %s: no memory for its banks", b->name);
    int32_t i = 0;
    for (int k = 0; k < b->n_bank_kinds; k++)
        for (int32_t n = 0; n < b->bank[k].count; n++) d->banks[i++].bytes = b->bank[k].bank_bytes;
    return FA_OK;
}

static fa_status open_emulation(xrt_device *d, const fa_xrt_options *o, fa_error *e) {
    char model[PATH_MAX];
    fa_xclbin_mode mode = o->mode == FA_XRT_HW_EMU ? FA_XCLBIN_HW_EMU : FA_XCLBIN_SW_EMU;
    fa_status s = fa_xrt_find_program("fathom-xrt-device", model, e);
    snprintf(d->card, sizeof d->card, "0");
    return s ? s
             : fa_xrt_emulation_open(&d->emulation, &d->board, o->board, mode,
                                     o->chain ? FA_AP_CTRL_CHAIN : FA_AP_CTRL_HS, 1, model, e);
}

static fa_status open_card(xrt_device *d, const fa_xrt_options *o, fa_error *e) {
    d->base.timeline = NULL;
    if (o->timeline)
        return fa_fail(e, FA_EUNSUPPORTED, "card %s: fathom keeps no timeline of a card; xrt.ini can let XRT write one",
                       o->card);
    if (!o->image)
        return fa_fail(e, FA_EINVAL, "card %s: --xclbin FILE is needed (docs/boards.md says how to make one)", o->card);
    if (!realpath(o->image, d->image)) return fa_fail(e, FA_EIO, "%s: %s", o->image, strerror(errno));
    fa_status s = xrt_find_card(o->card, d->card, e);
    return s ? s : fa_xrt_folder_open(&d->emulation.folder, e);
}

fa_status fa_xrt_open(fa_device **out, const fa_xrt_options *o, fa_error *e) {
    *out = NULL;
    xrt_device *d = calloc(1, sizeof *d);
    if (!d) return fa_fail(e, FA_ENOMEM, "xrt: no memory for the board");
    d->base = entries;
    d->base.board = &d->board;
    d->mode = o->mode;
    d->base.simulated = o->mode != FA_XRT_CARD;
    d->timeline = o->timeline;
    d->chain = o->chain;
    d->opencl = o->opencl;
    if (o->opencl) d->base.name = "xrt-opencl";
    d->emulation.folder.lock = -1;
    d->process = (fa_xrt_process){.socket = -1, .model = -1, .log = -1, .staging = MAP_FAILED};
    d->deadline_ms = o->deadline_s > 0        ? (uint32_t)(o->deadline_s * 1e3)
                     : o->mode == FA_XRT_CARD ? CARD_MS
                                              : EMULATION_MS;
    d->opened_ns = now_ns();
    fa_status s = fa_board_find(&d->board, o->board, e);
    if (!s && o->opencl && o->mode == FA_XRT_SW_EMU) /* xocl/core/memory.cpp, get_ext_memidx_nolock */
        s = fa_fail(e, FA_EUNSUPPORTED,
                    "xrt-opencl: Xilinx's OpenCL puts all buffers into one bank under sw_emu: use hw_emu");
    if (!s) s = fa_board_fits(&d->board, &d->board.build, e);
    if (!s) s = open_banks(d, e);
    if (!s) s = fa_xrt_find_program("fathom-xrt-host", d->program, e);
    if (!s) s = o->mode == FA_XRT_CARD ? open_card(d, o, e) : open_emulation(d, o, e);
    if (!s) s = xrt_connect(d, e);
    if (s)
        close_device(&d->base);
    else
        *out = &d->base;
    return s;
}
