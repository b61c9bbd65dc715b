/* A simulated board as a device, and the backend on it: where things lie, what is counted, what does not fit. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hls/kernels.h"
#include "host/backend/board/board.h"
#include "sim/device/sim.h"
#include "sim/device/time.h"
#include "tests/lib/check.h"

enum { OUTPUTS = 512, INPUTS = 300, ROWS = 3 };

/* A matmul on a board, from opening to the result. */
typedef struct stage {
    fa_board board;
    fa_device *device;
    fa_backend *backend;
    float *values;
    fa_weight w;
    fa_buffer *x, *y;
} stage;

static fa_device *open_device(fa_board *board, bool timeline) {
    fa_device *d;
    fa_error e;
    CHECK_OK(fa_sim_open(&d, board, &(sim_options){.threads = 1, .node = -1, .timeline = timeline}, &e), &e);
    return d;
}

static void open_stage(stage *s, const char *board, bool timeline) {
    static const fa_limits limits = {.max_rows = 16, .max_cols = 1024, .max_inner = 16, .max_positions = 64};
    fa_error e;
    *s = (stage){0};
    CHECK_OK(fa_board_find(&s->board, board, &e), &e);
    s->device = open_device(&s->board, timeline);
    CHECK_OK(fa_board_backend_open(&s->backend, s->device, "sim", &e), &e);
    CHECK_OK(s->backend->reserve(s->backend, &limits, &e), &e);
    s->values = calloc((size_t)OUTPUTS * INPUTS, sizeof(float));
    CHECK(s->values, "out of memory");
    for (int i = 0; i < OUTPUTS * INPUTS; i++) s->values[i] = (float)(i % 7 - 3);
    s->w = (fa_weight){.name = "w", .type = FA_F32, .rows = OUTPUTS, .cols = INPUTS, .data = s->values};
    CHECK_OK(s->backend->weight(s->backend, &s->w, &e), &e);
    CHECK_OK(s->backend->alloc(s->backend, ROWS * INPUTS * sizeof(float), &s->x, &e), &e);
    CHECK_OK(s->backend->alloc(s->backend, ROWS * OUTPUTS * sizeof(float), &s->y, &e), &e);
    CHECK_OK(s->backend->write(s->backend, s->x, 0, s->values, ROWS * INPUTS * sizeof(float), &e), &e);
}

static void close_stage(stage *s) {
    s->backend->free(s->backend, s->x);
    s->backend->free(s->backend, s->y);
    s->backend->close(s->backend);
    free(s->values);
}

static void run(stage *s) {
    fa_error e;
    fa_ticket ticket;
    fa_op op = {.kind = FA_OP_MATMUL,
                .matmul = {.rows = ROWS,
                           .x = {s->x, 0},
                           .ldx = INPUTS,
                           .n_parts = 1,
                           .part = {{.w = &s->w, .y = {s->y, 0}, .ldy = OUTPUTS}}}};
    CHECK_OK(s->backend->submit(s->backend, &op, 1, &ticket, &e), &e);
    CHECK_OK(s->backend->wait(s->backend, ticket, &e), &e);
}

/* ---- banks ---- */

/* Every port's bank holds, and reads, the same share of the weight. */
static void weights_spread_over_banks(void *board_name) {
    stage s;
    open_stage(&s, board_name, false);
    const fa_board_build *b = &s.board.build;
    double share = 64.0 * (double)hls_share_words(b->ports, HLS_F32, OUTPUTS / b->units, INPUTS);
    double before[FA_BOARD_BANK_KINDS * 64] = {0}, ports[FA_BOARD_BANK_KINDS * 64] = {0};
    for (int32_t i = 0; i < s.device->banks; i++) before[i] = s.device->bank(s.device, i).weights;
    run(&s);
    for (int32_t u = 0; u < b->units; u++)
        for (int32_t p = 0; p < b->ports; p++) ports[fa_board_port_bank(&s.board, b, u, p)]++;
    hls_build build = sim_build(&s.board);
    hls_cost cost = hls_cost_matmul(&build, HLS_F32, 1, ROWS, OUTPUTS / b->units, INPUTS);
    double all = 0;
    for (int32_t i = 0; i < s.device->banks; i++) {
        fa_device_bank bank = s.device->bank(s.device, i);
        CHECK((double)bank.used >= share * ports[i], "bank %d holds %lld bytes", i, (long long)bank.used);
        CHECK(fabs(bank.weights - before[i] - ports[i] * cost.weight_bytes / b->ports) < 1, "bank %d: %.0f bytes read",
              i, bank.weights - before[i]);
        all += bank.to_card;
    }
    CHECK(all >= share * b->ports * b->units, "%.0f bytes came from the host", all);
    CHECK(all == s.device->stats(s.device).to_card, "banks and link disagree");
    close_stage(&s);
}

/* ---- time ---- */

static void time_is_cost(void *board_name) {
    stage s;
    open_stage(&s, board_name, false);
    fa_device_stats before = s.device->stats(s.device);
    run(&s);
    fa_device_stats after = s.device->stats(s.device);
    const fa_board_build *b = &s.board.build;
    hls_build build = sim_build(&s.board);
    hls_cost cost = hls_cost_matmul(&build, HLS_F32, 1, ROWS, OUTPUTS / b->units, INPUTS);
    double seconds = sim_launch_seconds(&s.board, &cost) + s.board.launch_s,
           cycles = b->units * sim_launch_cycles(&s.board, &cost);
    CHECK(fabs(after.seconds - before.seconds - seconds) < 1e-11, "%.12g s, want %.12g", after.seconds - before.seconds,
          seconds);
    CHECK(fabs(after.unit_cycles - before.unit_cycles - cycles) < 1e-3, "%.9g cycles, want %.9g",
          after.unit_cycles - before.unit_cycles, cycles);
    CHECK(after.launches - before.launches == b->units, "%lld launches", (long long)(after.launches - before.launches));
    double joules = b->units * sim_launch_joules(&s.board, &cost) + seconds * s.board.idle_w;
    CHECK(fabs(after.joules - before.joules - joules) < 1e-9, "%.9g J, want %.9g", after.joules - before.joules,
          joules);
    close_stage(&s);
}

/* ---- timeline ---- */

static json_t *timeline_of(stage *s) {
    char path[] = "/tmp/fathom-timeline-XXXXXX";
    fa_error e;
    json_error_t je;
    int fd = mkstemp(path);
    CHECK(fd >= 0, "no temporary file");
    close(fd);
    CHECK_OK(s->backend->timeline(s->backend, path, &e), &e);
    json_t *root = json_load_file(path, 0, &je);
    unlink(path);
    CHECK(root, "%s", je.text);
    return root;
}

static void timeline_adds_up(void *arg) {
    (void)arg;
    stage s;
    open_stage(&s, "u55c", true);
    for (int i = 0; i < 3; i++) run(&s);
    json_t *root = timeline_of(&s), *other = json_object_get(root, "otherData"), *event;
    json_int_t total = json_integer_value(json_object_get(other, "total_ps"));
    CHECK(total > 0 && total == json_integer_value(json_object_get(other, "critical_path_ps")), "total %lld",
          (long long)total);
    double end[8] = {0}, critical = 0;
    int kernels = 0, writes = 0;
    size_t i;
    json_array_foreach(json_object_get(root, "traceEvents"), i, event) {
        if (strcmp(json_string_value(json_object_get(event, "ph")), "X") != 0) continue;
        const char *name = json_string_value(json_object_get(event, "name"));
        int lane = (int)json_integer_value(json_object_get(event, "tid"));
        double ts = json_real_value(json_object_get(event, "ts")), dur = json_real_value(json_object_get(event, "dur"));
        CHECK(ts >= end[lane] - 1e-5, "%s on lane %d starts at %.6f us, the one before ends at %.6f", name, lane, ts,
              end[lane]);
        end[lane] = ts + dur;
        kernels += !strcmp(name, "fathom_matmul");
        writes += !strcmp(name, "write");
        if (json_is_true(json_object_get(json_object_get(event, "args"), "critical"))) critical += dur;
    }
    CHECK(kernels == 3 * s.board.build.units && writes > 0, "%d kernels, %d writes", kernels, writes);
    CHECK(fabs(critical * 1e6 - (double)total) < 1e3, "critical events take %.6f us", critical);
    json_decref(root);
    close_stage(&s);
}

static void timeline_must_be_asked_for(void *arg) {
    (void)arg;
    stage s;
    fa_error e;
    open_stage(&s, "kv260", false);
    CHECK(s.backend->timeline(s.backend, "/tmp/none", &e) == FA_EINVAL, "%s", e.text);
    close_stage(&s);
    open_stage(&s, "kv260", true);
    CHECK(s.backend->timeline(s.backend, "/no/such/folder/x", &e) == FA_EIO && strstr(e.text, "/no/such"), "%s",
          e.text);
    close_stage(&s);
}

/* ---- what does not fit ---- */

static void too_large_model_is_refused_with_numbers(void *arg) {
    (void)arg;
    fa_error e;
    fa_board board;
    fa_backend *b;
    fa_buffer *buffer;
    float *values = calloc(1024 * 1024, sizeof *values);
    CHECK_OK(fa_board_find(&board, "kv260", &e), &e);
    board.bank[0].bank_bytes = 1 << 20; /* 4 MiB in all */
    fa_device *d = open_device(&board, false);
    CHECK_OK(fa_board_backend_open(&b, d, "sim", &e), &e);
    CHECK_OK(b->reserve(b, &(fa_limits){.max_rows = 1, .max_cols = 1024}, &e), &e);
    for (int i = 0; i < 3; i++) { /* 4 MiB each */
        fa_weight w = {.name = "w", .type = FA_F32, .rows = 1024, .cols = 1024, .data = values};
        CHECK_OK(b->weight(b, &w, &e), &e);
    }
    CHECK(b->alloc(b, 4096, &buffer, &e) == FA_ENOMEM && !buffer, "12 MiB of weights fit into 4");
    CHECK(strstr(e.text, "kv260") && strstr(e.text, "does not fit") && strstr(e.text, "0.01 GB") &&
              strstr(e.text, "4 such boards"),
          "%s", e.text);
    b->close(b);
    free(values);
}

static void limits_of_kernels_hold(void *arg) {
    (void)arg;
    stage s;
    fa_error e;
    open_stage(&s, "kv260", false);
    const fa_limits wide = {.max_rows = 1, .max_cols = HLS_MAX_COLS + 1}, heads = {.max_heads = HLS_MAX_HEADS + 1};
    CHECK(s.backend->reserve(s.backend, &wide, &e) == FA_ELIMIT && strstr(e.text, "32769 columns"), "%s", e.text);
    CHECK(s.backend->reserve(s.backend, &heads, &e) == FA_ELIMIT && strstr(e.text, "heads"), "%s", e.text);
    fa_weight w = {.name = "wide", .type = FA_F32, .rows = 1, .cols = HLS_MAX_COLS + 1, .data = s.values};
    CHECK(s.backend->weight(s.backend, &w, &e) == FA_ELIMIT && strstr(e.text, "tensor wide"), "%s", e.text);
    close_stage(&s);
}

static void unknown_weights_are_refused(void *arg) {
    (void)arg;
    stage s;
    fa_error e;
    fa_ticket ticket;
    open_stage(&s, "kv260", false);
    fa_weight never = s.w;
    never.name = "never.given";
    never.device = NULL;
    fa_op op = {.kind = FA_OP_MATMUL,
                .matmul = {.rows = ROWS,
                           .x = {s.x, 0},
                           .ldx = INPUTS,
                           .n_parts = 1,
                           .part = {{.w = &never, .y = {s.y, 0}, .ldy = OUTPUTS}}}};
    CHECK(s.backend->submit(s.backend, &op, 1, &ticket, &e) == FA_EINVAL && strstr(e.text, "never.given"), "%s",
          e.text);
    close_stage(&s);
}

static void wrong_launches_are_refused(void *arg) {
    (void)arg;
    fa_error e;
    fa_board board;
    CHECK_OK(fa_board_find(&board, "kv260", &e), &e);
    fa_device *d = open_device(&board, false);
    fa_device_buffer *buffer;
    CHECK_OK(d->alloc(d, (fa_bank_range){0, 1}, 4096, &buffer, &e), &e);
    const hls_kernel *k = hls_kernel_find(board.build.ports, "fathom_rowwise");
    CHECK(k, "no kernel fathom_rowwise");
    fa_device_arg args[HLS_KERNEL_ARGS] = {{0}};
    CHECK(d->launch(d, "fathom_nothing", 0, args, 1, &e) == FA_EINVAL && strstr(e.text, "fathom_nothing"), "%s",
          e.text);
    CHECK(d->launch(d, k->name, 0, args, k->n_args - 1, &e) == FA_EINVAL, "%s", e.text);
    CHECK(d->launch(d, k->name, 1, args, k->n_args, &e) == FA_EINVAL && strstr(e.text, "unit 1"), "%s", e.text);
    args[0] = (fa_device_arg){buffer, 4096};
    CHECK(d->launch(d, k->name, 0, args, k->n_args, &e) == FA_EINVAL && strstr(e.text, k->args[0].name), "%s", e.text);
    args[0] = (fa_device_arg){NULL, 7};
    CHECK(d->launch(d, k->name, 0, args, k->n_args, &e) == FA_EINVAL, "%s", e.text);
    args[0] = (fa_device_arg){0};
    args[k->n_args - 1] = (fa_device_arg){buffer, 0};
    CHECK(d->launch(d, k->name, 0, args, k->n_args, &e) == FA_EINVAL, "%s", e.text);
    CHECK(d->stats(d).launches == 0, "something was started");
    d->close(d);
}

static void boards_are_named(void *arg) {
    (void)arg;
    fa_error e;
    fa_backend *b;
    CHECK(fa_backend_open(&b, &(fa_backend_options){.name = "sim:abacus", .node = -1}, &e) && strstr(e.text, "u55c"),
          "%s", e.text);
    CHECK(fa_backend_open(&b, &(fa_backend_options){.name = "cpu", .board = "u55c", .node = -1}, &e) == FA_EINVAL, "%s",
          e.text);
    CHECK(fa_backend_open(&b, &(fa_backend_options){.name = "sim:u55c", .board = "u280", .node = -1}, &e) == FA_EINVAL,
          "%s", e.text);
    CHECK_OK(fa_backend_open(&b, &(fa_backend_options){.name = "sim", .node = -1}, &e), &e);
    CHECK(!strcmp(b->name, "sim") && strstr(b->detail, "U55C"), "%s: %s", b->name, b->detail);
    b->close(b);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"weights are spread evenly over the banks of u55c", weights_spread_over_banks, "u55c"},
        {"weights are spread evenly over the banks of kv260", weights_spread_over_banks, "kv260"},
        {"a launch on u55c takes what the cost model says", time_is_cost, "u55c"},
        {"a launch on kv260 takes what the cost model says", time_is_cost, "kv260"},
        {"the timeline's critical path is its total, and lanes do one thing at a time", timeline_adds_up, NULL},
        {"a timeline must be asked for, and its file can be written", timeline_must_be_asked_for, NULL},
        {"a model too large is refused with bytes and boards", too_large_model_is_refused_with_numbers, NULL},
        {"what kernels cannot hold is refused", limits_of_kernels_hold, NULL},
        {"a weight that the board was not given is refused by name", unknown_weights_are_refused, NULL},
        {"wrong launches are refused and start nothing", wrong_launches_are_refused, NULL},
        {"backend sim names its board", boards_are_named, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
