/* The simulated board as a fa_device: memory, transfers, recovery. */
#include "sim/device/device.h"

#include <stdlib.h>
#include <sys/sysinfo.h>

#include "host/base/memory.h"
#include "sim/device/time.h"

static const double reset_s = 1; /* of a recovery; no source gives it */

static fa_status alloc(fa_device *d, fa_bank_range banks, size_t bytes, fa_device_buffer **out, fa_error *e) {
    sim_device *s = (sim_device *)d;
    fa_status st = sim_memory_alloc(&s->memory, banks, bytes, out, e);
    return st ? fa_error_prefix(e, st, "board %s", s->board.name) : FA_OK;
}

static void free_buffer(fa_device *d, fa_device_buffer *buffer) {
    sim_memory_free(&((sim_device *)d)->memory, buffer);
}

/* Counts a transfer and lets the host wait for its end. */
static void count_transfer(sim_device *s, uint64_t address, size_t bytes, bool to_card) {
    int lane = to_card ? SIM_LANE_TO_CARD : SIM_LANE_FROM_CARD;
    double seconds = sim_transfer_seconds(&s->board, (double)bytes, to_card);
    fa_device_bank *bank = &s->memory.banks[sim_memory_bank(&s->memory, address)].count;
    *(to_card ? &bank->to_card : &bank->from_card) += (double)bytes;
    *(to_card ? &s->stats.to_card : &s->stats.from_card) += (double)bytes;
    s->stats.transfers++;
    sim_clock_add(&s->clock, lane, SIM_EVENT_TRANSFER, to_card ? "write" : "read", seconds, (double)bytes);
    sim_clock_join(&s->clock, lane);
}

fa_status sim_transfer(sim_device *s, uint64_t address, void *host, size_t bytes, bool to_card, fa_error *e) {
    fa_status st = sim_check_state(s, e);
    if (st) return st;
    if (address > s->memory.bytes || bytes > s->memory.bytes - address)
        return fa_fail(e, FA_EINVAL, "board %s: %zu bytes at 0x%llx are outside its memory", s->board.name, bytes,
                       (unsigned long long)address);
    uint8_t *card = s->memory.base + address;
    count_transfer(s, address, bytes, to_card);
    sim_faults_transfer(&s->faults, to_card ? card : host, to_card ? host : card, bytes, to_card);
    return FA_OK;
}

static fa_status transfer(fa_device *d, const fa_device_buffer *b, size_t offset, void *host, size_t bytes,
                          bool to_card, fa_error *e) {
    sim_device *s = (sim_device *)d;
    fa_status st = sim_check_state(s, e);
    if (!st) st = sim_memory_range(b, offset, bytes, e);
    return st ? st : sim_transfer(s, b->address + offset, host, bytes, to_card, e);
}

static fa_status write_buffer(fa_device *d, const fa_device_buffer *to, size_t offset, const void *from, size_t bytes,
                              fa_error *e) {
    return transfer(d, to, offset, (void *)from, bytes, true, e); /* read from, never written */
}

static fa_status read_buffer(fa_device *d, const fa_device_buffer *from, size_t offset, void *to, size_t bytes,
                             fa_error *e) {
    return transfer(d, from, offset, to, bytes, false, e);
}

static fa_status recover(fa_device *d, bool *memory_lost, fa_error *e) {
    sim_device *s = (sim_device *)d;
    *memory_lost = s->memory_lost;
    if (s->state == SIM_GONE) return sim_check_state(s, e);
    sim_faults_drop_late(&s->faults);
    s->n_queued = 0;
    s->state = SIM_READY;
    s->memory_lost = false;
    sim_clock_add(&s->clock, SIM_LANE_UNITS, SIM_EVENT_FAULT, "reset", reset_s, 0);
    sim_clock_join(&s->clock, SIM_LANE_UNITS);
    return FA_OK;
}

static fa_device_stats stats(const fa_device *d) {
    const sim_device *s = (const sim_device *)d;
    fa_device_stats result = s->stats;
    result.seconds = sim_clock_seconds(&s->clock);
    result.joules = s->board.idle_w * result.seconds;
    for (int32_t u = 0; u < s->board.build.units; u++) {
        result.unit_cycles += s->unit[u].cycles;
        result.joules += s->unit[u].joules;
    }
    return result;
}

static fa_device_bank bank(const fa_device *d, int32_t index) {
    return ((const sim_device *)d)->memory.banks[index].count;
}

static void close_device(fa_device *d) {
    sim_device *s = (sim_device *)d;
    fa_team_close(s->team);
    free(s->queue);
    sim_faults_close(&s->faults);
    sim_clock_close(&s->clock);
    sim_memory_close(&s->memory);
    free(s);
}

static const fa_device entries = {
    .name = "sim",
    .simulated = true,
    .alloc = alloc,
    .free = free_buffer,
    .write = write_buffer,
    .read = read_buffer,
    .launch = sim_launch_kernel,
    .wait = sim_wait,
    .recover = recover,
    .stats = stats,
    .bank = bank,
    .timeline = sim_timeline,
    .close = close_device,
};

static fa_status open_parts(sim_device *s, const sim_options *o, fa_error *e) {
    const fa_board_build *build = &s->board.build;
    if (!s->kernels)
        return fa_fail(e, FA_ELIMIT, "board %s: the kernels are not built for %d weight ports a unit", s->board.name,
                       build->ports);
    if (build->units < 1 || build->units > SIM_LANES - SIM_LANE_UNITS)
        return fa_fail(e, FA_ELIMIT, "board %s: %d compute units are not in 1 .. %d", s->board.name, build->units,
                       SIM_LANES - SIM_LANE_UNITS);
    fa_status st = sim_memory_open(&s->memory, &s->board, e);
    if (!st) st = sim_launch_open(s, e);
    int most = o->threads ? o->threads : get_nprocs(), threads = most < build->units ? most : build->units;
    if (!st) st = fa_team_open(&s->team, threads, o->node, e);
    return st;
}

fa_status fa_sim_open(fa_device **out, const fa_board *board, const sim_options *o, fa_error *e) {
    *out = NULL;
    sim_device *s = calloc(1, sizeof *s);
    if (!s) return fa_fail(e, FA_ENOMEM, "sim: no memory for the board");
    s->base = entries;
    s->board = *board;
    s->base.board = &s->board;
    s->build = sim_build(board);
    s->kernels = hls_kernels(board->build.ports);
    s->hung = -1;
    sim_clock_open(&s->clock, o->timeline);
    fa_status st = open_parts(s, o, e);
    if (st) {
        close_device(&s->base);
        return st;
    }
    s->base.banks = s->memory.n_banks;
    *out = &s->base;
    return FA_OK;
}

fa_status fa_sim_inject(fa_device *d, const sim_fault *faults, int n, fa_error *e) {
    sim_device *s = (sim_device *)d;
    sim_faults_close(&s->faults);
    return sim_faults_open(&s->faults, faults, n, e);
}

int fa_sim_faults_happened(const fa_device *d) {
    return ((const sim_device *)d)->faults.happened;
}
