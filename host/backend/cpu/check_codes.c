/* The search for NaN codes in FP8 weights at loading. It reads each code once, on all threads. */
#include <stdatomic.h>

#include "host/backend/cpu/ops.h"

enum { RUN = 1 << 18 }; /* codes of a piece */

typedef struct check_job {
    const fa_cpu *c;
    const uint8_t *codes;
    int64_t n;
    atomic_int_least64_t found; /* the first element, or n */
} check_job;

/* Items are runs of codes. */
static void check_runs(void *ctx, int64_t begin, int64_t end, int thread) {
    check_job *j = ctx;
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = j->c->kernels->find_nan(j->codes + i * RUN, cpu_min(RUN, j->n - i * RUN));
        if (at < 0) continue;
        int64_t element = i * RUN + at, before = atomic_load(&j->found);
        while (element < before && !atomic_compare_exchange_weak(&j->found, &before, element)) {
        }
    }
}

fa_status fa_cpu_check_codes(const fa_cpu *c, const fa_weight *w, fa_error *e) {
    if (w->type != FA_F8_E4M3) return FA_OK;
    check_job j = {.c = c, .codes = w->data, .n = w->rows * w->cols};
    atomic_init(&j.found, j.n);
    fa_team_run(c->team, cpu_ceil_div(j.n, RUN), 1, check_runs, &j);
    int64_t at = atomic_load(&j.found);
    if (at == j.n) return FA_OK;
    return fa_fail(e, FA_EFORMAT, "tensor %s: NaN code at element %lld", w->name ? w->name : "weight", (long long)at);
}
