#include "sim/device/faults.h"

#include <stdlib.h>
#include <string.h>

enum { LATE_TRANSFERS = 3 };

fa_status sim_faults_open(sim_faults *f, const sim_fault *plan, int n, fa_error *e) {
    *f = (sim_faults){0};
    if (n < 1) return FA_OK;
    f->plan = malloc((size_t)n * sizeof *f->plan);
    if (!f->plan) return fa_fail(e, FA_ENOMEM, "no memory for %d faults", n);
    memcpy(f->plan, plan, (size_t)n * sizeof *f->plan);
    f->n = n;
    return FA_OK;
}

void sim_faults_close(sim_faults *f) {
    sim_faults_drop_late(f);
    free(f->plan);
    *f = (sim_faults){0};
}

void sim_faults_drop_late(sim_faults *f) {
    while (f->late) {
        sim_late *next = f->late->next;
        free(f->late);
        f->late = next;
    }
}

static const sim_fault *find(sim_faults *f, bool launch, int64_t at) {
    for (int i = 0; i < f->n; i++)
        if ((f->plan[i].kind >= SIM_FAULT_HANG) == launch && f->plan[i].at == at) {
            f->happened++;
            return &f->plan[i];
        }
    return NULL;
}

const sim_fault *sim_faults_launch(sim_faults *f) {
    return find(f, true, f->launches++);
}

static void arrive(sim_faults *f) {
    for (sim_late **l = &f->late; *l;) {
        sim_late *one = *l;
        if (one->due > f->transfers) {
            l = &one->next;
            continue;
        }
        memcpy(one->to, one->data, one->bytes);
        *l = one->next;
        free(one);
    }
}

static void delay(sim_faults *f, void *to, const void *from, size_t bytes) {
    sim_late *late = malloc(sizeof *late + bytes);
    if (!late) return; /* then it never arrives */
    *late = (sim_late){.next = f->late, .due = f->transfers + LATE_TRANSFERS, .to = to, .bytes = bytes};
    memcpy(late->data, from, bytes);
    f->late = late;
}

void sim_faults_transfer(sim_faults *f, void *to, const void *from, size_t bytes, bool to_card) {
    const sim_fault *fault = find(f, false, f->transfers++);
    if (f->late) arrive(f);
    if (!bytes) return;
    if (fault && fault->kind == SIM_FAULT_LATE) {
        if (to_card) delay(f, to, from, bytes);
        return;
    }
    bool is_short = fault && fault->kind == SIM_FAULT_SHORT;
    memcpy(to, from, is_short ? fault->seed % bytes : bytes);
    if (fault && fault->kind == SIM_FAULT_FLIP)
        ((uint8_t *)to)[fault->seed % bytes] ^= (uint8_t)(1u << (fault->seed >> 32) % 8);
}
