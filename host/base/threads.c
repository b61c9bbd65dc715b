#include "host/base/threads.h"

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <numa.h>

#include "host/base/memory.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { MAX_THREADS = 1024 };

struct fa_team {
    int size;
    int n_cpus;            /* CPUs in `cpus`; 0 when workers are not pinned */
    int cpus[MAX_THREADS]; /* worker i runs on cpus[i] */
};

unsigned fa_fp_enter(void) {
#if defined(__x86_64__)
    unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | _MM_FLUSH_ZERO_ON | _MM_DENORMALS_ZERO_ON);
    return mode;
#else
    return 0;
#endif
}

void fa_fp_leave(unsigned mode) {
#if defined(__x86_64__)
    _mm_setcsr(mode);
#else
    (void)mode;
#endif
}

/* CPUs this process may use that belong to `node`; all of them for FA_NODE_INTERLEAVE. */
static int usable_cpus(int node, int *cpus) {
    cpu_set_t set;
    int n = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    for (int c = 0; c < CPU_SETSIZE && n < MAX_THREADS; c++)
        if (CPU_ISSET(c, &set) && (node < 0 || numa_available() < 0 || numa_node_of_cpu(c) == node)) cpus[n++] = c;
    return n;
}

fa_status fa_team_open(fa_team **team, int threads, int node, fa_error *e) {
    *team = NULL;
    if (threads < 0 || threads > MAX_THREADS)
        return fa_fail(e, FA_EINVAL, "threads: %d is not in 0..%d", threads, MAX_THREADS);
    if (node < FA_NODE_LOCAL || node >= fa_memory_nodes())
        return fa_fail(e, FA_EINVAL, "NUMA node %d does not exist (this machine has %d)", node, fa_memory_nodes());
    fa_team *t = calloc(1, sizeof *t);
    if (!t) return fa_fail(e, FA_ENOMEM, "cannot allocate a team of %d threads", threads);
    int cpus = usable_cpus(node, t->cpus);
    t->size = threads ? threads : (cpus ? cpus : 1);
    t->n_cpus = t->size <= cpus ? cpus : 0;
    *team = t;
    return FA_OK;
}

void fa_team_close(fa_team *team) {
    free(team);
}

int fa_team_size(const fa_team *team) {
    return team->size;
}

/* Worker 0 is the caller's own thread and is left where the caller wants it. */
static void pin(const fa_team *team, int thread) {
    static _Thread_local int pinned_to = -1;
    if (!team->n_cpus || thread == 0 || pinned_to == team->cpus[thread]) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(team->cpus[thread], &set);
    if (sched_setaffinity(0, sizeof set, &set) == 0) pinned_to = team->cpus[thread];
}

typedef struct run {
    atomic_int_least64_t next;
    int64_t n, grain;
    fa_work *work;
    void *ctx;
} run;

static void take_pieces(run *r, int thread) {
    unsigned mode = fa_fp_enter();
    for (;;) {
        int64_t begin = atomic_fetch_add_explicit(&r->next, r->grain, memory_order_relaxed);
        if (begin >= r->n) break;
        int64_t end = r->n - begin < r->grain ? r->n : begin + r->grain;
        r->work(r->ctx, begin, end, thread);
    }
    fa_fp_leave(mode);
}

void fa_team_run(fa_team *team, int64_t n, int64_t grain, fa_work *work, void *ctx) {
    if (n <= 0) return;
    run r = {.n = n, .grain = grain < 1 ? 1 : grain, .work = work, .ctx = ctx};
    if (team->size == 1 || n <= r.grain) {
        take_pieces(&r, 0);
        return;
    }
#pragma omp parallel num_threads(team->size)
    {
        int thread = omp_get_thread_num();
        pin(team, thread);
        take_pieces(&r, thread);
    }
}
