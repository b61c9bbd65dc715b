/* Launches: checked, counted by the clock at once, run when the host waits, each unit's in order on a thread of its own. */
#include <stdlib.h>
#include <string.h>

#include "sim/device/device.h"
#include "sim/device/time.h"

enum { QUEUE = 1024 };
static const double deadline_s = 1; /* after which a unit counts as hung: far above any launch */

fa_status sim_launch_open(sim_device *s, fa_error *e) {
    s->queue = calloc(QUEUE, sizeof *s->queue);
    return s->queue ? FA_OK : fa_fail(e, FA_ENOMEM, "sim: no memory for the queue of launches");
}

fa_status sim_check_state(const sim_device *s, fa_error *e) {
    if (s->state == SIM_READY) return FA_OK;
    if (s->hung >= 0)
        return fa_fail(e, FA_EDEVICE, "board %s: unit %d: %s did not end within %g s", s->board.name, s->hung, s->why,
                       deadline_s);
    return fa_fail(e, FA_EDEVICE, "board %s: %s", s->board.name, s->why);
}

static void fail(sim_device *s, sim_state state, const char *why, int32_t unit) {
    if (s->state != SIM_READY) return;
    s->state = state;
    s->why = why;
    s->hung = unit;
}

void sim_launch_run(const sim_launch *l) {
    if (!l->hangs || l->half_done) l->kernel->run(l->args);
}

static void run_units(void *ctx, int64_t begin, int64_t end, int thread) {
    sim_device *s = ctx;
    (void)thread;
    for (int64_t unit = begin; unit < end; unit++)
        for (int i = 0; i < s->n_queued; i++) {
            const sim_launch *l = &s->queue[i];
            if (l->unit != unit) continue;
            sim_launch_run(l);
            if (l->hangs) break;
        }
}

static void run_queue(sim_device *s) {
    if (!s->n_queued) return;
    fa_team_run(s->team, s->board.build.units, 1, run_units, s);
    for (int i = 0; i < s->n_queued; i++)
        if (s->queue[i].hangs) fail(s, SIM_FAILED, s->queue[i].kernel->name, s->queue[i].unit);
    s->n_queued = 0;
}

fa_status sim_launch_point(const sim_device *s, sim_launch *l, int arg, uint64_t address, fa_error *e) {
    if (address > s->memory.bytes - sizeof(hls_word))
        return fa_fail(e, FA_EINVAL, "%s: %s: 0x%llx is outside the memory of board %s", l->kernel->name,
                       l->kernel->args[arg].name, (unsigned long long)address, s->board.name);
    l->card[arg] = address;
    l->args[arg] = (uint64_t)(uintptr_t)(s->memory.base + address);
    return FA_OK;
}

/* Fills what the kernel sees. */
static fa_status bind(const sim_device *s, sim_launch *l, const fa_device_arg *args, int n, fa_error *e) {
    fa_status st = FA_OK;
    for (int i = 0; i < n && !st; i++) {
        l->args[i] = args[i].value;
        l->card[i] = SIM_NOWHERE;
        if (args[i].buffer) st = sim_launch_point(s, l, i, args[i].buffer->address + args[i].value, e);
    }
    return st;
}

/* Weight bytes go to the banks of the weight ports in equal shares, io bytes to the banks of the io arguments. */
static void count_banks(sim_device *s, const sim_launch *l, const hls_cost *cost) {
    const hls_kernel *k = l->kernel;
    int n_io = 0;
    for (int i = 0; i < k->n_args; i++) n_io += l->card[i] != SIM_NOWHERE && k->args[i].bundle[0] != 'w';
    for (int i = 0; i < k->n_args; i++) {
        if (l->card[i] == SIM_NOWHERE) continue;
        fa_device_bank *count = &s->memory.banks[sim_memory_bank(&s->memory, l->card[i])].count;
        if (k->args[i].bundle[0] == 'w')
            count->weights += cost->weight_bytes / s->build.ports;
        else
            count->io += cost->io_bytes / n_io;
    }
}

static void count(sim_device *s, const sim_launch *l) {
    hls_cost cost = l->kernel->cost(&s->build, l->args);
    int lane = SIM_LANE_UNITS + l->unit;
    s->stats.launches++;
    sim_clock_add(&s->clock, lane, SIM_EVENT_LAUNCH, "launch", s->board.launch_s, 0);
    if (l->hangs) {
        sim_clock_add(&s->clock, lane, SIM_EVENT_FAULT, "hung until the deadline", deadline_s, 0);
        return;
    }
    double seconds = sim_launch_seconds(&s->board, &cost);
    sim_clock_add(&s->clock, lane, SIM_EVENT_KERNEL, l->kernel->name, seconds, cost.weight_bytes + cost.io_bytes);
    count_banks(s, l, &cost);
    s->unit[l->unit].cycles += sim_launch_cycles(&s->board, &cost);
    s->unit[l->unit].joules += sim_launch_joules(&s->board, &cost);
}

/* What the next launch meets. */
static fa_status meet_fault(sim_device *s, bool *hangs, bool *half_done, fa_error *e) {
    const sim_fault *fault = sim_faults_launch(&s->faults);
    if (!fault) return FA_OK;
    *hangs = fault->kind == SIM_FAULT_HANG;
    *half_done = fault->seed % 2;
    if (*hangs) return FA_OK;
    bool lost = fault->kind == SIM_FAULT_LOST;
    fail(s, lost ? SIM_GONE : SIM_FAILED, lost ? "it no longer answers" : "it has reset itself", -1);
    s->memory_lost = true;
    sim_memory_clear(&s->memory);
    return sim_check_state(s, e);
}

fa_status sim_launch_begin(sim_device *s, sim_launch *l, fa_error *e) {
    fa_status st = sim_check_state(s, e);
    if (!st) st = meet_fault(s, &l->hangs, &l->half_done, e);
    if (!st) count(s, l);
    return st;
}

fa_status sim_launch_kernel(fa_device *d, const char *kernel, int32_t unit, const fa_device_arg *args, int n,
                            fa_error *e) {
    sim_device *s = (sim_device *)d;
    fa_status st = sim_check_state(s, e);
    if (st) return st;
    const hls_kernel *k;
    st = fa_device_check_launch(&s->board, kernel, unit, args, n, &k, e);
    if (st) return st;
    if (s->n_queued == QUEUE) run_queue(s);
    sim_launch *l = &s->queue[s->n_queued];
    *l = (sim_launch){.kernel = k, .unit = unit};
    st = bind(s, l, args, n, e);
    if (!st) st = sim_launch_begin(s, l, e);
    if (!st) s->n_queued++;
    return st;
}

void sim_join_units(sim_device *s) {
    for (int32_t u = 0; u < s->board.build.units; u++) sim_clock_join(&s->clock, SIM_LANE_UNITS + u);
}

fa_status sim_wait(fa_device *d, fa_error *e) {
    sim_device *s = (sim_device *)d;
    if (s->state == SIM_READY) run_queue(s);
    sim_join_units(s);
    return sim_check_state(s, e);
}
