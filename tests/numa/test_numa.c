/* Where memory lies and threads run, by the kernel's own account (move_pages, getcpu), for every policy. On this machine, whatever it has;
 * and as the first process of a guest with several nodes (test_guests.c). */
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "host/backend/board/board.h"
#include "host/backend/cpu/ops.h"
#include "host/backend/placed/state.h"
#include "host/base/file.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "sim/device/device.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

enum { NODES = 16, MEMORY = 32 << 20, PAGE = 4096 };

/* Pages of [data, data + bytes) on each node; those that nobody touched are not counted. */
typedef struct pages {
    int64_t on[NODES], all;
} pages;

static pages pages_of(const void *data, size_t bytes) {
    pages p = {{0}, 0};
    size_t n = (bytes + PAGE - 1) / PAGE;
    void **page = malloc(n * sizeof *page);
    int *status = malloc(n * sizeof *status);
    CHECK(page && status, "out of memory");
    for (size_t i = 0; i < n; i++) page[i] = (char *)((uintptr_t)data & ~(uintptr_t)(PAGE - 1)) + i * PAGE;
    long moved = move_pages(0, n, page, NULL, status, 0);
    if (moved < 0 && (errno == EPERM || errno == ENOSYS)) check_skip("move_pages: %s", strerror(errno));
    CHECK(moved >= 0, "move_pages: %s", strerror(errno));
    for (size_t i = 0; i < n; i++) {
        if (status[i] < 0 || status[i] >= NODES) continue;
        p.on[status[i]]++;
        p.all++;
    }
    free(page);
    free(status);
    return p;
}

static void all_on(const void *data, size_t bytes, int node, const char *what) {
    pages p = pages_of(data, bytes);
    CHECK(p.all > 0, "%s: no page was touched", what);
    CHECK(p.on[node] == p.all, "%s: %lld of %lld pages are on node %d", what, (long long)p.on[node], (long long)p.all,
          node);
}

static void need_numa(void) {
    if (numa_available() < 0) check_skip("this kernel has no NUMA calls");
}

static int cpus_of(int node, cpu_set_t *set) {
    struct bitmask *cpus = numa_allocate_cpumask();
    int n = 0;
    CPU_ZERO(set);
    CHECK(numa_node_to_cpus(node, cpus) == 0);
    for (unsigned c = 0; c < cpus->size && c < CPU_SETSIZE; c++)
        if (numa_bitmask_isbitset(cpus, c)) CPU_SET(c, set), n++;
    numa_free_cpumask(cpus);
    return n;
}

/* Where the calling thread is and may be. */
typedef struct whereabouts {
    int node;
    cpu_set_t may;
} whereabouts;

static whereabouts here(void) {
    whereabouts w;
    unsigned cpu, node;
    CHECK(getcpu(&cpu, &node) == 0 && sched_getaffinity(0, sizeof w.may, &w.may) == 0);
    w.node = (int)node;
    return w;
}

/* ---- memory ---- */

static void a_node_gets_its_memory(void *arg) {
    (void)arg;
    need_numa();
    for (int node = 0; node < fa_memory_nodes(); node++)
        for (int from = 0; from < fa_memory_nodes(); from++) {
            fa_memory m;
            fa_error e;
            CHECK(numa_run_on_node(from) == 0);
            CHECK_OK(fa_memory_alloc(&m, MEMORY, node, &e), &e);
            memset(m.data, 1, MEMORY);
            all_on(m.data, MEMORY, node, "memory of a node");
            fa_memory_free(&m);
        }
    numa_run_on_node(-1);
}

static void local_memory_is_the_toucher_s(void *arg) {
    (void)arg;
    need_numa();
    for (int node = 0; node < fa_memory_nodes(); node++) {
        fa_memory m;
        fa_error e;
        CHECK(numa_run_on_node(node) == 0);
        CHECK_OK(fa_memory_alloc(&m, MEMORY, FA_NODE_LOCAL, &e), &e);
        memset(m.data, 1, MEMORY);
        all_on(m.data, MEMORY, node, "local memory");
        fa_memory_free(&m);
    }
    numa_run_on_node(-1);
}

static void interleaved_memory_is_everywhere(void *arg) {
    (void)arg;
    need_numa();
    fa_memory m;
    fa_error e;
    int nodes = fa_memory_nodes();
    CHECK_OK(fa_memory_alloc(&m, MEMORY, FA_NODE_INTERLEAVE, &e), &e);
    memset(m.data, 1, MEMORY);
    pages p = pages_of(m.data, MEMORY);
    for (int node = 0; node < nodes; node++)
        CHECK(p.on[node] * nodes >= p.all * 3 / 4 && p.on[node] * nodes <= p.all * 5 / 4,
              "node %d of %d has %lld of %lld pages", node, nodes, (long long)p.on[node], (long long)p.all);
    fa_memory_free(&m);
}

static void an_unknown_node_is_refused(void *arg) {
    (void)arg;
    fa_memory m;
    fa_team *t;
    fa_error e;
    CHECK(fa_memory_alloc(&m, PAGE, fa_memory_nodes(), &e) == FA_EINVAL && strstr(e.text, "does not exist"), "%s",
          e.text);
    CHECK(fa_team_open(&t, 1, fa_memory_nodes(), &e) == FA_EINVAL && strstr(e.text, "does not exist"), "%s", e.text);
}

/* ---- teams ---- */

typedef struct seen {
    whereabouts of[64];
    volatile int at_work;
} seen;

static void look(void *ctx, int64_t begin, int64_t end, int thread) {
    seen *s = ctx;
    (void)end;
    (void)begin;
    s->of[thread] = here();
    __atomic_add_fetch(&s->at_work, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 2000 && s->at_work < 64; i++) usleep(100); /* so that others take the other pieces */
}

static void a_team_runs_on_its_node(void *arg) {
    (void)arg;
    need_numa();
    for (int node = 0; node < fa_memory_nodes(); node++) {
        cpu_set_t own;
        int cpus = cpus_of(node, &own);
        fa_team *t;
        fa_error e;
        CHECK_OK(fa_team_open(&t, 0, node, &e), &e);
        int size = fa_team_size(t);
        CHECK(size <= cpus && size >= 1, "%d workers on %d CPUs", size, cpus);
        seen s = {.at_work = 64 - size};
        CHECK(numa_run_on_node(node) == 0); /* the caller is worker 0 */
        fa_team_run(t, size, 1, look, &s);
        for (int i = 0; i < size; i++) {
            cpu_set_t outside;
            if (!CPU_COUNT(&s.of[i].may)) continue; /* another worker took its piece */
            CPU_AND(&outside, &s.of[i].may, &own);
            CHECK(s.of[i].node == node && CPU_EQUAL(&outside, &s.of[i].may), "worker %d of node %d is on node %d", i,
                  node, s.of[i].node);
        }
        fa_team_close(t);
    }
    numa_run_on_node(-1);
}

/* ---- a backend on a node ---- */

static fa_backend *open_cpu(int node) {
    fa_backend *b;
    fa_error e;
    fa_limits limits = {.max_rows = 256,
                        .max_cols = 4096,
                        .max_inner = 4096,
                        .max_top_k = 8,
                        .max_experts = 8,
                        .max_heads = 8,
                        .max_rank = 64,
                        .max_positions = 4096};
    CHECK_OK(fa_backend_open(&b, &(fa_backend_options){.name = "cpu", .threads = 1, .node = node}, &e), &e);
    CHECK_OK(b->reserve(b, &limits, &e), &e);
    return b;
}

static void cache_and_scratch_are_the_backend_s(void *arg) {
    (void)arg;
    need_numa();
    for (int node = 0; node < fa_memory_nodes(); node++) {
        fa_backend *b = open_cpu(node);
        fa_buffer *cache;
        fa_error e;
        CHECK_OK(b->alloc(b, MEMORY, &cache, &e), &e);
        memset(cache->host, 1, MEMORY); /* by a thread that may be anywhere */
        all_on(cache->host, MEMORY, node, "cache");
        const fa_memory *scratch = &((fa_cpu *)b)->scratch;
        memset(scratch->data, 1, scratch->bytes);
        all_on(scratch->data, scratch->bytes, node, "scratch");
        b->free(b, cache);
        b->close(b);
    }
    fa_backend *b = open_cpu(FA_NODE_INTERLEAVE);
    fa_buffer *cache;
    fa_error e;
    CHECK_OK(b->alloc(b, MEMORY, &cache, &e), &e);
    memset(cache->host, 1, MEMORY);
    pages p = pages_of(cache->host, MEMORY);
    for (int node = 0; node < fa_memory_nodes(); node++)
        CHECK(p.on[node] * fa_memory_nodes() >= p.all * 3 / 4, "node %d has %lld of %lld", node, (long long)p.on[node],
              (long long)p.all);
    b->free(b, cache);
    b->close(b);
}

/* ---- boards ---- */

enum { ROWS = 8, HIDDEN = 256, INNER = 512, LAYER_ROWS = 4096, POSITIONS = 256 };

/* A board on each node, with a layer of its own, and two experts of layer 0. */
static fa_placed *open_boards(const char *backend) {
    fa_board_placement p;
    fa_error e;
    fa_backend *b;
    int nodes = fa_memory_nodes();
    CHECK_OK(fa_board_placement_make(&p, nodes, nodes, 2 * nodes, &e), &e);
    for (int i = 0; i < nodes; i++) p.board[i].node = p.layer[i] = i;
    for (int x = 0; x < 2 * nodes; x++) p.expert[x] = 1u << x % nodes;
    char *folder = check_scratch(), *path = check_write(folder, "p.json", "", 0);
    CHECK_OK(fa_board_placement_write(&p, path, &e), &e);
    fa_board_placement_free(&p);
    CHECK_OK(
        fa_backend_open(&b, &(fa_backend_options){.name = backend, .node = FA_NODE_INTERLEAVE, .placement = path}, &e),
        &e);
    fa_limits limits = {.max_rows = ROWS,
                        .max_cols = INNER,
                        .max_inner = INNER,
                        .max_top_k = 2,
                        .max_experts = 32,
                        .max_heads = 4,
                        .max_rank = 64,
                        .max_positions = POSITIONS};
    CHECK_OK(b->reserve(b, &limits, &e), &e);
    check_remove(folder);
    free(folder);
    free(path);
    return (fa_placed *)b;
}

static whereabouts found[NODES];

static fa_status run_look(fa_backend *b, placed_call *c) {
    (void)b;
    found[c->n] = here();
    return FA_OK;
}

static void boards_are_served_from_their_nodes(void *arg) {
    need_numa();
    fa_placed *p = open_boards(arg);
    for (int i = 0; i < p->n; i++) {
        cpu_set_t own, both;
        cpus_of(i, &own);
        CHECK(placed_do(&p->worker[i], &(placed_call){.run = run_look, .n = i}, NULL) == FA_OK);
        CPU_AND(&both, &found[i].may, &own);
        CHECK(found[i].node == i && CPU_EQUAL(&both, &found[i].may), "board %d is served from node %d", i,
              found[i].node);
        memset(p->piece[i], 1, PLACED_PIECE);
        all_on(p->piece[i], PLACED_PIECE, i, "staging");
        memset(p->routes[i].memory.data, 1, p->routes[i].memory.bytes);
        all_on(p->routes[i].memory.data, p->routes[i].memory.bytes, i, "rows of routes");
    }
    p->base.close(&p->base);
}

/* Stores rows into the cache of every layer. */
static void store(fa_placed *p, fa_buffer *pool, const fa_kv_layout *layout) {
    fa_error e;
    fa_ticket ticket;
    fa_buffer *keys;
    int32_t pages[POSITIONS / FA_PAGE_POSITIONS] = {0, 1, 2, 3};
    fa_place place[ROWS];
    for (int t = 0; t < ROWS; t++) place[t] = (fa_place){.pos = t * (POSITIONS / ROWS), .pages = pages};
    CHECK_OK(p->base.alloc(&p->base, ROWS * HIDDEN * sizeof(float), &keys, &e), &e);
    for (int i = 0; i < p->n; i++) {
        fa_op op = {.kind = FA_OP_STORE,
                    .store = {.rows = ROWS,
                              .place = place,
                              .a = {keys, 0},
                              .b = {keys, 0},
                              .lda = HIDDEN,
                              .ldb = HIDDEN,
                              .kv = {pool, layout, i}}};
        CHECK_OK(p->base.submit(&p->base, &op, 1, &ticket, &e), &e);
    }
    p->base.free(&p->base, keys);
}

static void cache_pages_lie_with_their_layers(void *arg) {
    (void)arg;
    need_numa();
    fa_placed *p = open_boards("cpu");
    fa_kv_layout layout = fa_kv_layout_make(FA_CACHE_F32, false, HIDDEN, HIDDEN, p->n);
    fa_buffer *pool;
    fa_error e;
    CHECK_OK(p->base.alloc(&p->base, (size_t)(POSITIONS / FA_PAGE_POSITIONS * layout.page_bytes), &pool, &e), &e);
    store(p, pool, &layout);
    const placed_buffer *b = placed_buffer_of(pool);
    for (int i = 0; i < p->n; i++) all_on(b->at[i]->host, b->at[i]->bytes, i, "cache of a board");
    p->base.free(&p->base, pool);
    p->base.close(&p->base);
}

/* A weight of layer `layer`, in a file that nobody has read: a hole. */
static fa_weight weight_of(const char *name, const void *data, const float *scales, int layer) {
    return (fa_weight){.name = name,
                       .type = FA_F8_E4M3,
                       .rows = LAYER_ROWS,
                       .cols = HIDDEN,
                       .data = data,
                       .scale = scales,
                       .share = 1,
                       .layer = layer};
}

static void weights_lie_with_their_layers(void *arg) {
    need_numa();
    fa_placed *p = open_boards(arg);
    bool sim = !strcmp(p->worker[0].backend->name, "sim");
    static const float scales[LAYER_ROWS / FA_BLOCK * (HIDDEN / FA_BLOCK)];
    fa_error e;
    for (int i = 0; i < p->n; i++) {
        char *folder = check_scratch(), *path = check_write(folder, "w", "", 0);
        fa_map map;
        CHECK(truncate(path, LAYER_ROWS * HIDDEN) == 0, "%s", strerror(errno));
        CHECK_OK(fa_map_open(&map, path, &e), &e);
        fa_weight w = weight_of("w", map.data, scales, i);
        CHECK_OK(p->base.weight(&p->base, &w, &e), &e);
        if (!sim) all_on(map.data, map.bytes, i, "weights in a file");
        CHECK_OK(p->base.settle(&p->base, NULL, &e), &e);
        fa_map_close(&map);
        check_remove(folder);
        free(folder);
        free(path);
    }
    for (int i = 0; i < p->n && sim; i++) {
        const sim_memory *m = &((const sim_device *)fa_board_backend_device(p->worker[i].backend))->memory;
        for (size_t k = 0; k < m->n_buffers; k++) {
            pages there = pages_of(m->base + m->buffers[k]->address, m->buffers[k]->bytes);
            CHECK(there.on[i] == there.all, "board %d: %lld of %lld pages of its banks are on its node", i,
                  (long long)there.on[i], (long long)there.all);
        }
    }
    p->base.close(&p->base);
}

static const check_case cases[] = {
    {"memory of a node lies there, whoever touches it", a_node_gets_its_memory, NULL},
    {"local memory lies with who touches it first", local_memory_is_the_toucher_s, NULL},
    {"interleaved memory lies on all nodes alike", interleaved_memory_is_everywhere, NULL},
    {"a node that does not exist is refused", an_unknown_node_is_refused, NULL},
    {"workers of a team run on its node", a_team_runs_on_its_node, NULL},
    {"cache and scratch lie where the backend is", cache_and_scratch_are_the_backend_s, NULL},
    {"boards are served, and staged, from their nodes", boards_are_served_from_their_nodes, "cpu"},
    {"simulated boards are served, and staged, from their nodes", boards_are_served_from_their_nodes, "sim:u50"},
    {"cache pages lie with their layers", cache_pages_lie_with_their_layers, NULL},
    {"weights in a file lie with the board that reads them", weights_lie_with_their_layers, "cpu"},
    {"weights in a simulated board's banks lie on its node", weights_lie_with_their_layers, "sim:u50"},
};

/* As the first process: there is nothing yet. libnuma looks at /sys when it is loaded, so the program begins once more. */
static void begin_machine(char **argv) {
    mount("proc", "/proc", "proc", 0, NULL);
    mount("sysfs", "/sys", "sysfs", 0, NULL);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
    setenv("FATHOM_GUEST", "1", 1);
    execv("/init", argv);
}

int main(int argc, char **argv) {
    bool machine = getpid() == 1;
    if (machine && !getenv("FATHOM_GUEST")) begin_machine(argv);
    int code = check_main(machine ? 1 : argc, argv, cases, sizeof cases / sizeof *cases);
    if (!machine) return code;
    printf("guest: %d nodes, ended with %d\n", fa_memory_nodes(), code);
    fflush(stdout);
    reboot(RB_POWER_OFF); /* the machine ends with it */
    return code;
}
