/* The simulated board's parts: its clock, its memory, its faults. */
#include <string.h>

#include "sim/device/clock.h"
#include "sim/device/faults.h"
#include "sim/device/memory.h"
#include "sim/device/time.h"
#include "tests/lib/check.h"

/* ---- clock ---- */

typedef struct walk {
    int64_t next; /* where the event before must end */
    int n;
} walk;

static void step_back(void *ctx, const sim_event *event) {
    walk *w = ctx;
    CHECK(event->end == w->next, "event %d ends at %lld, the one behind it starts at %lld", w->n, (long long)event->end,
          (long long)w->next);
    w->next = event->start;
    w->n++;
}

/* Random launches on 4 units, transfers and waits. */
static void path_is_total(void *arg) {
    (void)arg;
    check_rng rng = {7};
    for (int run = 0; run < 200; run++) {
        sim_clock c;
        sim_clock_open(&c, true);
        for (int i = 0; i < 60; i++) {
            int unit = SIM_LANE_UNITS + (int)(check_u64(&rng) % 4), what = (int)(check_u64(&rng) % 6);
            double seconds = check_uniform(&rng) * 1e-3;
            if (what < 3) sim_clock_add(&c, unit, SIM_EVENT_KERNEL, "k", seconds, 0);
            if (what == 3 || what == 4) {
                sim_clock_add(&c, what - 3, SIM_EVENT_TRANSFER, "t", seconds, 1);
                sim_clock_join(&c, what - 3);
            }
            for (int u = 0; what == 5 && u < 4; u++) sim_clock_join(&c, SIM_LANE_UNITS + u);
        }
        walk w = {.next = c.host};
        int64_t sum = sim_clock_path(&c, step_back, &w);
        CHECK(w.next == 0, "the path starts at %lld ps", (long long)w.next);
        CHECK(sum == c.host, "the path is %lld ps, the total %lld", (long long)sum, (long long)c.host);
        sim_clock_close(&c);
    }
}

static void units_overlap(void *arg) {
    (void)arg;
    sim_clock c;
    sim_clock_open(&c, false);
    sim_clock_add(&c, SIM_LANE_UNITS, SIM_EVENT_KERNEL, "a", 2e-6, 0);
    sim_clock_add(&c, SIM_LANE_UNITS + 1, SIM_EVENT_KERNEL, "b", 3e-6, 0);
    sim_clock_add(&c, SIM_LANE_TO_CARD, SIM_EVENT_TRANSFER, "write", 1e-6, 0);
    sim_clock_join(&c, SIM_LANE_TO_CARD);
    CHECK(c.host == 1000000, "after the transfer: %lld ps", (long long)c.host);
    sim_clock_add(&c, SIM_LANE_UNITS, SIM_EVENT_KERNEL, "a", 2e-6, 0); /* in order behind the first */
    sim_clock_join(&c, SIM_LANE_UNITS);
    sim_clock_join(&c, SIM_LANE_UNITS + 1);
    CHECK(c.host == 4000000, "in all: %lld ps", (long long)c.host);
    sim_clock_close(&c);
}

/* ---- memory ---- */

static const fa_board two_kinds = {
    .name = "test",
    .n_bank_kinds = 2,
    .bank = {{.name = "HBM", .count = 4, .bank_bytes = 1 << 20}, {.name = "DDR", .count = 1, .bank_bytes = 1 << 22}},
};

static void memory_fills_banks(void *arg) {
    (void)arg;
    fa_error e;
    sim_memory m;
    fa_device_buffer *b[8];
    CHECK_OK(sim_memory_open(&m, &two_kinds, &e), &e);
    CHECK_OK(sim_memory_alloc(&m, (fa_bank_range){1, 1}, 700000, &b[0], &e), &e);
    CHECK(b[0]->address >= 1 << 20 && b[0]->address + b[0]->bytes <= 2 << 20, "address %llu",
          (unsigned long long)b[0]->address);
    CHECK(sim_memory_alloc(&m, (fa_bank_range){1, 1}, 400000, &b[1], &e) == FA_ENOMEM && !b[1], "it fits twice");
    CHECK(strstr(e.text, "HBM[1]") && strstr(e.text, "400000") && strstr(e.text, "348160"), "%s", e.text);
    CHECK_OK(sim_memory_alloc(&m, (fa_bank_range){0, 4}, 2000000, &b[1], &e), &e); /* over banks 2 and 3, as one */
    CHECK(m.banks[2].count.used == 1 << 20 && m.banks[1].count.used > 700000, "banks hold %lld and %lld",
          (long long)m.banks[1].count.used, (long long)m.banks[2].count.used);
    CHECK_OK(sim_memory_alloc(&m, (fa_bank_range){4, 1}, 1 << 22, &b[2], &e), &e);
    CHECK(sim_memory_bank(&m, b[2]->address) == 4, "bank %d", sim_memory_bank(&m, b[2]->address));
    CHECK(sim_memory_alloc(&m, (fa_bank_range){3, 2}, 1, &b[3], &e) == FA_EINVAL, "a range over two kinds");
    m.base[b[0]->address] = 1;
    sim_memory_free(&m, b[0]);
    CHECK(m.banks[1].count.used + m.banks[0].count.used + m.banks[2].count.used + m.banks[3].count.used ==
              (int64_t)b[1]->bytes,
          "what was freed still counts");
    CHECK_OK(sim_memory_alloc(&m, (fa_bank_range){1, 1}, 4096, &b[0], &e), &e);
    CHECK(m.base[b[0]->address] == 0, "a new buffer is not zero");
    sim_memory_close(&m);
}

/* Random allocations never overlap, and what is free is what is not used. */
static void memory_never_overlaps(void *arg) {
    (void)arg;
    fa_error e;
    sim_memory m;
    check_rng rng = {3};
    fa_device_buffer *held[64] = {0};
    CHECK_OK(sim_memory_open(&m, &two_kinds, &e), &e);
    for (int i = 0; i < 3000; i++) {
        int k = (int)(check_u64(&rng) % 64);
        if (held[k]) sim_memory_free(&m, held[k]);
        int first = (int)(check_u64(&rng) % 4);
        fa_bank_range r = {first, 1 + (int)(check_u64(&rng) % (uint64_t)(4 - first))};
        if (sim_memory_alloc(&m, r, check_u64(&rng) % 200000, &held[k], &e)) continue;
        for (size_t j = 1; j < m.n_buffers; j++)
            CHECK(m.buffers[j - 1]->address + m.buffers[j - 1]->bytes <= m.buffers[j]->address, "buffers overlap");
        CHECK(held[k]->address >= m.banks[first].address, "below its banks");
    }
    sim_memory_close(&m);
}

/* ---- faults ---- */

static void transfers_go_wrong(void *arg) {
    (void)arg;
    fa_error e;
    const sim_fault plan[] = {{SIM_FAULT_SHORT, 1, 5}, {SIM_FAULT_FLIP, 2, 3 | 6ull << 32}, {SIM_FAULT_LATE, 3, 0}};
    sim_faults f;
    char to[9] = "........";
    CHECK_OK(sim_faults_open(&f, plan, 3, &e), &e);
    sim_faults_transfer(&f, to, "abcdefgh", 8, true);
    CHECK(!strcmp(to, "abcdefgh"), "%s", to);
    sim_faults_transfer(&f, to, "ABCDEFGH", 8, true);
    CHECK(!strcmp(to, "ABCDEfgh"), "%s", to);
    sim_faults_transfer(&f, to, "ABCDEFGH", 8, true);
    CHECK(to[3] == ('D' ^ 64) && to[4] == 'E', "%s", to);
    sim_faults_transfer(&f, to, "ijklmnop", 8, true);
    CHECK(to[0] == 'A', "%s", to);
    for (int i = 0; i < 3; i++) sim_faults_transfer(&f, &to[8], "", 1, true);
    CHECK(!strcmp(to, "ijklmnop") && f.happened == 3, "%s after %d faults", to, f.happened);
    sim_faults_close(&f);
}

/* ---- time ---- */

static void more_never_costs_less(void *arg) {
    (void)arg;
    fa_error e;
    check_rng rng = {11};
    for (int i = 0; fa_board_name(i); i++) {
        fa_board b;
        CHECK_OK(fa_board_find(&b, fa_board_name(i), &e), &e);
        for (int k = 0; k < 200; k++) {
            double *of[] = {NULL, NULL, NULL, NULL};
            hls_cost c = {.cycles = check_uniform(&rng) * 1e5,
                          .weight_bytes = check_uniform(&rng) * 1e8,
                          .io_bytes = check_uniform(&rng) * 1e6,
                          .bursts = check_uniform(&rng) * 10};
            of[0] = &c.cycles, of[1] = &c.weight_bytes, of[2] = &c.io_bytes, of[3] = &c.bursts;
            double seconds = sim_launch_seconds(&b, &c), joules = sim_launch_joules(&b, &c);
            CHECK(seconds >= c.weight_bytes * b.build.units / fa_board_read_rate(&b, &b.build), "faster than memory");
            CHECK(joules <= seconds * (b.full_w - b.idle_w), "more than full power");
            *of[check_u64(&rng) % 4] *= 1.5;
            CHECK(sim_launch_seconds(&b, &c) >= seconds, "%s: more work takes less time", b.name);
        }
    }
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"the critical path is as long as the run", path_is_total, NULL},
        {"units overlap with each other and with transfers, one unit's launches do not", units_overlap, NULL},
        {"a bank that is full is named with what is needed and left", memory_fills_banks, NULL},
        {"buffers never overlap", memory_never_overlaps, NULL},
        {"transfers arrive short, wrong or late as planned", transfers_go_wrong, NULL},
        {"more work never takes less time, nor more than full power", more_never_costs_less, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
