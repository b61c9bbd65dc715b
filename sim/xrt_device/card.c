/* Registers of the compute units: Vitis HLS, UG1399, S_AXILITE Control Register Map and block-level control protocols. */
#include "sim/xrt_device/card.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/base/memory.h"
#include "host/base/threads.h"

enum { AP_START = 1, AP_DONE = 2, AP_IDLE = 4, AP_CONTINUE = 16, CONTROL_BYTES = 4, PAGE = 4096 };

fa_status xrt_card_open(xrt_card *c, const char *name, bool timeline, int control, fa_error *e) {
    fa_board board;
    *c = (xrt_card){.control = control, .nowhere = SIM_NOWHERE};
    pthread_mutex_init(&c->lock, NULL);
    fa_status s = fa_board_find(&board, name, e);
    sim_options o = {.threads = 1, .node = FA_NODE_INTERLEAVE, .timeline = timeline};
    if (!s) s = fa_sim_open(&c->device, &board, &o, e);
    if (s) return s;
    c->sim = (sim_device *)c->device;
    int n = fa_image_kernels(&board, NULL, c->kernels), units = board.build.units;
    c->n_units = n * units;
    c->units = calloc((size_t)c->n_units, sizeof *c->units);
    if (!c->units) return fa_fail(e, FA_ENOMEM, "board %s: no memory for its registers", board.name);
    for (int i = 0; i < c->n_units; i++)
        c->units[i] = (xrt_unit){.card = c, .kernel = &c->kernels[i / units], .unit = i % units};
    return FA_OK;
}

fa_status xrt_card_clear(xrt_card *c, uint64_t address, uint64_t bytes, fa_error *e) {
    const sim_memory *m = &c->sim->memory;
    if (address % PAGE || address > m->bytes || bytes > m->bytes - address)
        return fa_fail(e, FA_EINVAL, "a buffer of %llu bytes at 0x%llx: the memory of board %s has %llu",
                       (unsigned long long)bytes, (unsigned long long)address, c->sim->board.name,
                       (unsigned long long)m->bytes);
    madvise(m->base + address, (size_t)((bytes + PAGE - 1) / PAGE * PAGE), MADV_DONTNEED);
    return FA_OK;
}

/* ---- a kernel at work ---- */

static void *work(void *arg) {
    xrt_unit *u = arg;
    unsigned mode = fa_fp_enter();
    sim_launch_run(&u->launch);
    fa_fp_leave(mode);
    pthread_mutex_lock(&u->card->lock);
    u->running = false;
    u->done = true;
    pthread_mutex_unlock(&u->card->lock);
    return NULL;
}

/* What the registers say, as a launch. */
static fa_status read_registers(xrt_unit *u, fa_error *e) {
    const hls_kernel *k = u->kernel;
    sim_launch *l = &u->launch;
    *l = (sim_launch){.kernel = k, .unit = u->unit};
    for (int i = 0; i < k->n_args; i++) {
        uint64_t value = 0;
        memcpy(&value, u->registers + fa_image_register(k, i), (size_t)k->args[i].bytes);
        l->args[i] = value;
        l->card[i] = SIM_NOWHERE;
        if (k->args[i].kind == HLS_ARG_SCALAR) continue;
        if (value == u->card->nowhere) {
            l->args[i] = 0;
            continue;
        }
        fa_status s = sim_launch_point(u->card->sim, l, i, value, e);
        if (s) return s;
    }
    return FA_OK;
}

/* Holding the lock. */
static fa_status start(xrt_unit *u, fa_error *e) {
    fa_status s = read_registers(u, e);
    if (!s) s = sim_launch_begin(u->card->sim, &u->launch, e);
    if (s) return s;
    if (u->joinable) pthread_join(u->thread, NULL); /* it has ended but for its last instructions */
    u->joinable = false;
    u->running = true;
    u->done = false;
    if (u->launch.hangs) {
        sim_launch_run(&u->launch);
        return FA_OK;
    }
    if (pthread_create(&u->thread, NULL, work, u))
        return fa_fail(e, FA_ENOMEM, "%s: no thread for unit %d", u->kernel->name, u->unit);
    u->joinable = true;
    return FA_OK;
}

/* ---- the bus ---- */

static fa_status find(xrt_card *c, uint64_t address, size_t n, xrt_unit **u, uint64_t *at, fa_error *e) {
    uint64_t index = (address - FA_XCLBIN_FIRST_UNIT) / FA_XCLBIN_UNIT_BYTES;
    *at = (address - FA_XCLBIN_FIRST_UNIT) % FA_XCLBIN_UNIT_BYTES;
    if (address < FA_XCLBIN_FIRST_UNIT || index >= (uint64_t)c->n_units || *at > FA_XCLBIN_UNIT_RANGE ||
        n > FA_XCLBIN_UNIT_RANGE - *at)
        return fa_fail(e, FA_EINVAL, "%zu bytes at 0x%llx of the bus: no compute unit of board %s is there", n,
                       (unsigned long long)address, c->sim->board.name);
    *u = &c->units[index];
    return FA_OK;
}

fa_status xrt_card_write(xrt_card *c, uint64_t address, const uint8_t *from, size_t n, fa_error *e) {
    xrt_unit *u;
    uint64_t at;
    fa_status s = find(c, address, n, &u, &at, e);
    if (s) return s;
    unsigned command = at == 0 && n ? from[0] : 0;
    size_t skip = at >= CONTROL_BYTES ? 0 : CONTROL_BYTES - at < n ? CONTROL_BYTES - at : n;
    pthread_mutex_lock(&c->lock);
    memcpy(u->registers + at + skip, from + skip, n - skip);
    if (command & AP_CONTINUE) u->done = false;
    if (command & AP_START && !u->running) s = start(u, e);
    pthread_mutex_unlock(&c->lock);
    return s;
}

fa_status xrt_card_read(xrt_card *c, uint64_t address, uint8_t *to, size_t n, fa_error *e) {
    xrt_unit *u;
    uint64_t at;
    fa_status s = find(c, address, n, &u, &at, e);
    if (s) return s;
    pthread_mutex_lock(&c->lock);
    memcpy(to, u->registers + at, n);
    if (at == 0 && n) {
        to[0] = (uint8_t)(u->running ? AP_START : AP_IDLE | (u->done ? AP_DONE : 0));
        if (!c->chain) u->done = u->done && u->running;
    }
    pthread_mutex_unlock(&c->lock);
    return FA_OK;
}
