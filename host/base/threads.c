/* A team is one OpenMP parallel region that lives as long as the team: its threads wait for rounds of work. They do not wait in
 * OpenMP's barrier, which spins for milliseconds and cannot be told otherwise from inside a program: on a machine that has
 * anything else to do, two threads were then twenty times slower than one. Here a thread spins for some microseconds and
 * then sleeps, and a round ends when its work is done, whether or not every worker woke up in time to help. */
#include "host/base/threads.h"

#include <linux/futex.h>
#include <numa.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/base/memory.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { MAX_THREADS = 1024, SPINS = 2000 };
static const uint32_t OPEN = 1u << 31; /* in the gate: workers may enter; the rest counts those inside */

struct fa_team {
    int size;
    int spins;             /* looks before a waiting thread sleeps */
    int n_cpus;            /* CPUs in `cpus`; 0 when workers are not bound */
    int cpus[MAX_THREADS]; /* worker i runs on the node of cpus[i] */

    pthread_t region;               /* its thread starts the OpenMP region and is worker 1; unused when size is 1 */
    _Atomic uint32_t round, asleep; /* raised for each round (futex); workers that sleep on it */
    _Atomic uint32_t gate, waiting; /* see OPEN (futex); whether the caller sleeps on it */
    atomic_bool closing;

    /* the round's work: written while the gate is closed and nobody is inside */
    _Atomic int64_t next;
    int64_t n, grain;
    fa_work *work;
    void *ctx;
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

static void pause_cpu(void) {
#if defined(__x86_64__)
    _mm_pause();
#endif
}

/* Returns once *word is no longer `value`; `sleepers` counts those who must be woken for it. */
static void wait_while(_Atomic uint32_t *word, uint32_t value, int spins, _Atomic uint32_t *sleepers) {
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != value) return;
        pause_cpu();
    }
    atomic_fetch_add(sleepers, 1);
    while (atomic_load(word) == value) syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
    atomic_fetch_sub(sleepers, 1);
}

/* To be called after *word changed. */
static void wake(_Atomic uint32_t *word, const _Atomic uint32_t *sleepers) {
    if (atomic_load(sleepers)) syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, MAX_THREADS, NULL, NULL, 0);
}

static void take_pieces(fa_team *t, int thread) {
    unsigned mode = fa_fp_enter();
    for (;;) {
        int64_t begin = atomic_fetch_add_explicit(&t->next, t->grain, memory_order_relaxed);
        if (begin >= t->n) break;
        int64_t end = t->n - begin < t->grain ? t->n : begin + t->grain;
        t->work(t->ctx, begin, end, thread);
    }
    fa_fp_leave(mode);
}

/* ---- workers ---- */

static int node_of(int cpu) {
    return numa_available() < 0 ? 0 : numa_node_of_cpu(cpu);
}

/* To a node, where its memory is, and not to one CPU: whoever else runs there, a thread of the service for instance, would hold up the
 * worker and so the whole team, while another CPU stands idle. */
static void bind_to_node(const fa_team *t, int thread) {
    if (!t->n_cpus) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    int node = node_of(t->cpus[thread]);
    for (int i = 0; i < t->n_cpus; i++)
        if (node_of(t->cpus[i]) == node) CPU_SET(t->cpus[i], &set);
    sched_setaffinity(0, sizeof set, &set); /* where that is forbidden, the worker runs anywhere */
}

static bool enter(fa_team *t) {
    uint32_t gate = atomic_load(&t->gate);
    while (gate & OPEN)
        if (atomic_compare_exchange_weak(&t->gate, &gate, gate + 1)) return true;
    return false;
}

static void worker(fa_team *t, int thread) {
    uint32_t seen = 0;
    bind_to_node(t, thread);
    for (;;) {
        wait_while(&t->round, seen, t->spins, &t->asleep);
        seen = atomic_load(&t->round);
        if (atomic_load(&t->closing)) return;
        if (!enter(t)) continue;
        take_pieces(t, thread);
        atomic_fetch_sub(&t->gate, 1);
        wake(&t->gate, &t->waiting);
    }
}

static void *run_region(void *arg) {
    fa_team *t = arg;
#pragma omp parallel num_threads(t->size - 1)
    worker(t, omp_get_thread_num() + 1);
    return NULL;
}

/* ---- the team ---- */

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
    t->spins = t->size <= cpus ? SPINS : 0; /* more threads than CPUs: waiting ones must make room at once */
    int failed = t->size > 1 ? pthread_create(&t->region, NULL, run_region, t) : 0;
    if (failed) {
        fa_status s = fa_fail(e, FA_ENOMEM, "cannot start a team of %d threads: %s", t->size, strerror(failed));
        free(t);
        return s;
    }
    *team = t;
    return FA_OK;
}

void fa_team_close(fa_team *team) {
    if (!team) return;
    if (team->size > 1) {
        atomic_store(&team->closing, true);
        atomic_fetch_add(&team->round, 1);
        wake(&team->round, &team->asleep);
        pthread_join(team->region, NULL);
    }
    free(team);
}

int fa_team_size(const fa_team *team) {
    return team->size;
}

void fa_team_run(fa_team *team, int64_t n, int64_t grain, fa_work *work, void *ctx) {
    if (n <= 0) return;
    atomic_store_explicit(&team->next, 0, memory_order_relaxed);
    team->n = n;
    team->grain = grain < 1 ? 1 : grain;
    team->work = work;
    team->ctx = ctx;
    if (team->size == 1 || n <= team->grain) {
        take_pieces(team, 0);
        return;
    }
    atomic_store(&team->gate, OPEN);
    atomic_fetch_add(&team->round, 1);
    wake(&team->round, &team->asleep);
    take_pieces(team, 0);
    uint32_t inside = atomic_fetch_and(&team->gate, ~OPEN) & ~OPEN;
    for (; inside; inside = atomic_load(&team->gate)) wait_while(&team->gate, inside, team->spins, &team->waiting);
}
