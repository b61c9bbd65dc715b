/* A board behind XRT's emulation: what is asked of it arrives, and what comes back is right. */
#include <dirent.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hls/kernels.h"
#include "host/backend/xrt/shim.h"
#include "host/backend/xrt/xrt.h"
#include "sim/device/sim.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"
#include "tests/lib/processes.h"

#define FOUR_UNITS "tests/fixtures/boards/four-units.board"

enum { WORDS = 5, VALUES = 16 * WORDS };

static fa_device *open_xrt(fa_xrt_mode mode, const char *board) {
    fa_device *d = NULL;
    fa_error e;
    fa_status s = fa_xrt_open(&d, &(fa_xrt_options){.mode = mode, .board = board}, &e);
    if (s == FA_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK_OK(s, &e);
    return d;
}

static fa_device *open_sim(const char *name) {
    fa_board board;
    fa_device *d;
    fa_error e;
    CHECK_OK(fa_board_find(&board, name, &e), &e);
    CHECK_OK(fa_sim_open(&d, &board, &(sim_options){.threads = 1, .node = -1}, &e), &e);
    return d;
}

static int place_of(const hls_kernel *k, const char *name) {
    int i = 0;
    while (i < k->n_args && strcmp(k->args[i].name, name)) i++;
    CHECK(i < k->n_args, "%s has no argument %s", k->name, name);
    return i;
}

/* y = a + b by fathom_rowwise on every unit, with y behind a in one buffer: a pointer into it. Returns what came back, [units][VALUES]. */
static void add(fa_device *d, float *y) {
    const fa_board *board = d->board;
    const hls_kernel *k = hls_kernel_find(board->build.ports, "fathom_rowwise");
    fa_bank_range io = {fa_board_port_bank(board, &board->build, 0, board->build.ports), 1};
    fa_device_buffer *ab, *out;
    fa_error e;
    float a[2 * VALUES];
    for (int i = 0; i < 2 * VALUES; i++) a[i] = (float)(i * i % 97) / 7;
    CHECK_OK(d->alloc(d, io, sizeof a, &ab, &e), &e);
    CHECK_OK(d->alloc(d, io, (size_t)board->build.units * 8192, &out, &e), &e);
    CHECK_OK(d->write(d, ab, 0, a, sizeof a, &e), &e);
    for (int32_t u = 0; u < board->build.units; u++) {
        fa_device_arg args[HLS_KERNEL_ARGS] = {0};
        args[place_of(k, "a")] = (fa_device_arg){ab, 0};
        args[place_of(k, "b")] = (fa_device_arg){ab, sizeof a / 2};
        args[place_of(k, "y")] = (fa_device_arg){out, (uint64_t)u * 8192 + 64};
        args[place_of(k, "op")].value = HLS_ADD;
        args[place_of(k, "rows")].value = 1;
        args[place_of(k, "n")].value = VALUES;
        CHECK_OK(d->launch(d, k->name, u, args, k->n_args, &e), &e);
    }
    CHECK_OK(d->wait(d, &e), &e);
    for (int32_t u = 0; u < board->build.units; u++) {
        CHECK_OK(d->read(d, out, (size_t)u * 8192 + 64, y + u * VALUES, VALUES * sizeof *y, &e), &e);
        for (int i = 0; i < VALUES; i++)
            CHECK(y[u * VALUES + i] == a[i] + a[VALUES + i], "unit %d value %d: %g", u, i, (double)y[u * VALUES + i]);
    }
    d->free(d, ab);
    d->free(d, out);
}

static void counts_are_the_simulators(void *options) {
    fa_device *xrt, *sim;
    fa_error e;
    fa_status s = fa_xrt_open(&xrt, options, &e);
    if (s == FA_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK_OK(s, &e);
    sim = open_sim(FOUR_UNITS);
    float y[4 * VALUES];
    for (int i = 0; i < 3; i++) {
        add(xrt, y);
        add(sim, y);
    }
    fa_device_stats a = xrt->stats(xrt), b = sim->stats(sim);
    CHECK(!memcmp(&a, &b, sizeof a), "%.17g s %.17g cycles %.17g J %lld launches, simulator %.17g %.17g %.17g %lld",
          a.seconds, a.unit_cycles, a.joules, (long long)a.launches, b.seconds, b.unit_cycles, b.joules,
          (long long)b.launches);
    for (int32_t i = 0; i < sim->banks; i++) {
        fa_device_bank p = xrt->bank(xrt, i), q = sim->bank(sim, i);
        CHECK(!memcmp(&p, &q, sizeof p), "bank %d: io %g, simulator %g", i, p.io, q.io);
    }
    xrt->close(xrt);
    sim->close(sim);
}

static void two_boards_at_once(void *arg) {
    (void)arg;
    fa_device *a = open_xrt(FA_XRT_SW_EMU, FOUR_UNITS), *b = open_xrt(FA_XRT_SW_EMU, "u280");
    float y[4 * VALUES];
    for (int i = 0; i < 2; i++) {
        add(a, y);
        add(b, y);
    }
    a->close(a);
    add(b, y);
    b->close(b);
}

/* ---- nothing stays ---- */

static int descriptors(void) {
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (d && readdir(d)) n++;
    if (d) closedir(d);
    return n;
}

/* The private folder of an emulated card: where its process works. */
static void folder_of(pid_t host, char path[64]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/cwd", host);
    ssize_t n = readlink(link, path, 63);
    path[n > 0 ? n : 0] = 0;
    CHECK(!strncmp(path, "/tmp/fathom-xrt.", 16), "process %d works in '%s'", host, path);
}

static void cycles_leave_nothing(void *arg) {
    (void)arg;
    enum { CYCLES = 200 };
    pid_t children[8];
    char folder[64];
    float y[4 * VALUES];
    fa_device *d = open_xrt(FA_XRT_SW_EMU, FOUR_UNITS);
    d->close(d);
    int open_before = descriptors();
    for (int i = 0; i < CYCLES; i++) {
        d = open_xrt(i % 20 ? FA_XRT_SW_EMU : FA_XRT_HW_EMU, FOUR_UNITS);
        if (i % 10 == 0) add(d, y);
        CHECK(check_children(getpid(), children, 8) == 1, "cycle %d: not one process", i);
        folder_of(children[0], folder);
        d->close(d);
        CHECK(!check_children(getpid(), children, 8), "cycle %d: process %d is still there", i, children[0]);
        CHECK(access(folder, F_OK), "cycle %d: %s is still there", i, folder);
        CHECK(descriptors() == open_before, "cycle %d: %d descriptors, %d before", i, descriptors(), open_before);
    }
}

/* The engine's process is killed with a card open: its helpers end and the folder goes. */
static void killed_engine_leaves_nothing(void *arg) {
    (void)arg;
    int ready[2];
    char byte;
    pid_t hosts[2] = {0}, models[2] = {0};
    char folder[64] = "";
    CHECK(!pipe(ready));
    pid_t engine = fork();
    if (!engine) {
        fa_device *d;
        fa_status s = fa_xrt_open(&d, &(fa_xrt_options){.mode = FA_XRT_SW_EMU, .board = FOUR_UNITS}, NULL);
        byte = (char)s;
        if (write(ready[1], &byte, 1) != 1) _exit(1);
        for (;;) pause();
    }
    close(ready[1]);
    bool told = read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    check_children(engine, hosts, 2);
    check_children(hosts[0], models, 2);
    if (hosts[0]) folder_of(hosts[0], folder);
    kill(engine, SIGKILL);
    waitpid(engine, NULL, 0);
    CHECK(told);
    if (byte == FA_EUNSUPPORTED) check_skip("XRT is not installed");
    CHECK(!byte && hosts[0] && models[0], "status %d, processes %d, %d", byte, hosts[0], models[0]);
    bool left = true;
    for (int ms = 0; ms < 20000 && left; ms += 10) {
        usleep(10000);
        left = check_alive(hosts[0]) || check_alive(models[0]) || !access(folder, F_OK);
    }
    CHECK(!left, "something is still there: process %d, process %d or %s", hosts[0], models[0], folder);
}

/* ---- what goes wrong ---- */

static void no_model_program(void *arg) {
    (void)arg;
    char *folder = check_scratch(), *was = strdup(getenv("FATHOM_LIBEXEC")), host[4096], link[4096];
    fa_device *d;
    fa_error e;
    snprintf(host, sizeof host, "%s/fathom-xrt-host", was);
    snprintf(link, sizeof link, "%s/fathom-xrt-host", folder);
    char *real = realpath(host, NULL);
    CHECK(real && !symlink(real, link), "%s", link);
    setenv("FATHOM_LIBEXEC", folder, 1);
    fa_status s = fa_xrt_open(&d, &(fa_xrt_options){.mode = FA_XRT_SW_EMU, .board = FOUR_UNITS}, &e);
    setenv("FATHOM_LIBEXEC", was, 1);
    CHECK(s == FA_EUNSUPPORTED && strstr(e.text, "fathom-xrt-device"), "status %d: %s", s, e.text);
    free(real);
    free(was);
    check_remove(folder);
    free(folder);
}

/* A model of another protocol: it says hello with another number, or is no model at all. */
static void other_model_program(void *script) {
    char *folder = check_scratch(), *was = strdup(getenv("FATHOM_LIBEXEC")), host[4096], link[4096];
    fa_device *d;
    fa_error e;
    snprintf(host, sizeof host, "%s/fathom-xrt-host", was);
    snprintf(link, sizeof link, "%s/fathom-xrt-host", folder);
    char *real = realpath(host, NULL), *model = check_write(folder, "fathom-xrt-device", script, strlen(script));
    CHECK(real && !symlink(real, link) && !chmod(model, 0755), "%s", link);
    setenv("FATHOM_LIBEXEC", folder, 1);
    fa_status s = fa_xrt_open(&d, &(fa_xrt_options){.mode = FA_XRT_SW_EMU, .board = FOUR_UNITS}, &e);
    setenv("FATHOM_LIBEXEC", was, 1);
    if (s == FA_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK(s == FA_EDEVICE && strstr(e.text, "device model has ended"), "status %d: %s", s, e.text);
    free(real);
    free(model);
    free(was);
    check_remove(folder);
    free(folder);
}

/* In a process whose /tmp has `kib`: FA_OK for a device that opens and adds, or the error's status; its text in `text`. */
static int open_with_little(int kib, char *text, size_t size) {
    int out[2], code;
    CHECK(!pipe(out));
    pid_t child = fork();
    if (!child) {
        char option[32];
        fa_device *d;
        fa_error e = {0};
        snprintf(option, sizeof option, "size=%dk", kib);
        if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
            mount("tmpfs", "/tmp", "tmpfs", 0, option))
            _exit(99);
        fa_status s = fa_xrt_open(&d, &(fa_xrt_options){.mode = FA_XRT_SW_EMU, .board = FOUR_UNITS}, &e);
        if (!s) d->close(d);
        if (write(out[1], e.text, strlen(e.text)) < 0) _exit(98);
        _exit(s);
    }
    close(out[1]);
    ssize_t n = read(out[0], text, size - 1);
    text[n > 0 ? n : 0] = 0;
    close(out[0]);
    waitpid(child, &code, 0);
    return WIFEXITED(code) ? WEXITSTATUS(code) : 128 + WTERMSIG(code);
}

static void full_disk(void *arg) {
    (void)arg;
    static const int kib[] = {4, 16, 40, 64, 256, 1024, 1376, 1384, 1400, 1420, 1500};
    char text[600];
    int failed = 0;
    for (size_t i = 0; i < sizeof kib / sizeof *kib; i++) {
        int s = open_with_little(kib[i], text, sizeof text);
        if (s == 99) check_skip("no file system may be mounted here");
        if (s == FA_EUNSUPPORTED) check_skip("%s", text);
        CHECK(s == FA_OK || s == FA_EIO || s == FA_EDEVICE, "%d KiB: status %d: %s", kib[i], s, text);
        CHECK(s != FA_EIO || strstr(text, "space"), "%d KiB: %s", kib[i], text);
        failed += s != FA_OK;
    }
    CHECK(failed >= 5, "only %d failed", failed);
}

/* A fault, and what the device is after it. */
typedef struct fault_case {
    sim_fault_kind kind;
    bool fails, comes_back, memory_lost;
} fault_case;

static void faults_are_noticed(void *arg) {
    const fault_case *f = arg;
    fa_device *d = NULL;
    fa_error e;
    float y[4 * VALUES];
    bool lost = false;
    int happened;
    fa_xrt_options o = {.mode = FA_XRT_SW_EMU, .board = FOUR_UNITS, .deadline_s = f->kind == SIM_FAULT_HANG ? 0.5 : 0};
    fa_status s = fa_xrt_open(&d, &o, &e);
    if (s == FA_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK_OK(s, &e);
    const hls_kernel *k = hls_kernel_find(d->board->build.ports, "fathom_rowwise");
    fa_device_buffer *kept;
    fa_device_arg args[HLS_KERNEL_ARGS] = {0};
    CHECK_OK(d->alloc(d, (fa_bank_range){0, 1}, 4096, &kept, &e), &e);
    CHECK_OK(fa_xrt_inject(d, &(sim_fault){.kind = f->kind, .at = 0, .seed = 3}, 1, &e), &e);
    CHECK_OK(d->write(d, kept, 0, "0123456", 8, &e), &e);
    CHECK_OK(d->launch(d, k->name, 1, args, k->n_args, &e), &e); /* of 0 rows: it does nothing */
    s = d->wait(d, &e);
    CHECK(s == (f->fails ? FA_EDEVICE : FA_OK), "status %d: %s", s, e.text);
    CHECK(!s || strstr(e.text, "Test board") || strstr(e.text, "four-units"), "%s", e.text);
    s = d->recover(d, &lost, &e);
    CHECK(s == (f->comes_back ? FA_OK : FA_EDEVICE), "recover: status %d: %s", s, e.text);
    if (f->comes_back) {
        CHECK(lost == f->memory_lost, "memory lost: %d", lost);
        add(d, y);
        char back[8];
        CHECK_OK(d->read(d, kept, 0, back, 8, &e), &e);
        CHECK(lost ? !memcmp(back, "\0\0\0\0\0\0\0", 8) : memcmp(back, "0123456", 8), "'%.8s' is there", back);
        if (!lost) CHECK(!fa_xrt_faults_happened(d, &happened, &e) && happened == 1, "it did not happen");
    } else {
        CHECK(d->wait(d, &e) == FA_EDEVICE && d->write(d, kept, 0, "x", 1, &e) == FA_EDEVICE, "it goes on");
    }
    d->free(d, kept);
    d->close(d);
}

/* ---- the timeline ---- */

static void timeline_has_all(void *arg) {
    (void)arg;
    char path[] = "/tmp/fathom-timeline-XXXXXX";
    fa_device *d;
    fa_error e;
    float y[4 * VALUES];
    int fd = mkstemp(path), kernels = 0, launches = 0, copies = 0;
    CHECK(fd >= 0);
    close(fd);
    fa_xrt_options o = {.mode = FA_XRT_SW_EMU, .board = FOUR_UNITS, .timeline = true};
    fa_status s = fa_xrt_open(&d, &o, &e);
    if (s == FA_EUNSUPPORTED) check_skip("%s", e.text);
    CHECK_OK(s, &e);
    add(d, y);
    CHECK_OK(d->timeline(d, path, &e), &e);
    CHECK(d->timeline(d, "/dev/null/x", &e) == FA_EIO && strstr(e.text, "/dev/null/x"), "%s", e.text);
    json_t *root = json_load_file(path, 0, NULL), *event;
    size_t i;
    unlink(path);
    json_array_foreach(json_object_get(root, "traceEvents"), i, event) {
        const char *kind = json_string_value(json_object_get(event, "cat"));
        kernels += kind && !strcmp(kind, "kernel");
        launches += kind && !strcmp(kind, "launch");
        copies += kind && !strcmp(kind, "transfer");
    }
    fa_device_stats all = d->stats(d);
    CHECK(kernels == 4 && launches == 4 && copies == all.transfers && copies == 5, "%d kernels, %d launches, %d copies",
          kernels, launches, copies);
    json_decref(root);
    d->close(d);
}

/* ---- the shim ---- */

/* alloc_void's end as Debian's compiler made it, the place of `buf` being 0x670: malloc, store, DONE, realloc, test, jump. */
static const uint8_t faulty[] = {0x48, 0x89, 0x83, 0x70, 6,    0,    0,    0x48, 0x89, 0xe8, 0xeb, 0xe1,
                                 0x0f, 0x1f, 0x40, 0,    0x48, 0x8b, 0xbf, 0x70, 6,    0,    0,    0xe8,
                                 1,    2,    3,    4,    0x48, 0x85, 0xc0, 0x75, 0xe6, 0x48, 0x8b, 0xbb,
                                 0x70, 6,    0,    0,    0xe8, 1,    2,    3,    4};
enum { JUMP_AT = 32, STORE_AT = 0, ROOM = 400 };

static void shim_is_repaired(void *arg) {
    (void)arg;
    uint8_t library[4 * ROOM] = {0};
    CHECK(fa_xrt_shim_repair(library, sizeof library) == 0, "a fault in nothing");
    memcpy(library + ROOM, faulty, sizeof faulty);
    CHECK(fa_xrt_shim_repair(library, sizeof library) == 1, "the fault was not found");
    const uint8_t *code = library + ROOM;
    CHECK(JUMP_AT + 1 + (int8_t)code[JUMP_AT] == STORE_AT, "the jump goes to %d", JUMP_AT + 1 + (int8_t)code[JUMP_AT]);
    for (size_t i = 0; i < sizeof faulty; i++) CHECK(i == JUMP_AT || code[i] == faulty[i], "byte %zu", i);
    CHECK(fa_xrt_shim_repair(library, sizeof library) == 0, "a repaired library has the fault");
    memcpy(library + ROOM, faulty, sizeof faulty);
    library[ROOM + 19] = 0x78; /* another object's field */
    CHECK(fa_xrt_shim_repair(library, sizeof library) == 0, "a fault between two fields");
    memcpy(library + ROOM, faulty, sizeof faulty);
    memcpy(library + 2 * ROOM, faulty, sizeof faulty);
    CHECK(fa_xrt_shim_repair(library, sizeof library) == 2 && !memcmp(library + ROOM, faulty, sizeof faulty),
          "two faults, one repaired");
    CHECK(fa_xrt_shim_repair(library, ROOM + sizeof faulty - 6) == 0, "a fault that is cut off");
}

int main(int argc, char **argv) {
    static const fa_xrt_options sw = {.mode = FA_XRT_SW_EMU, .board = FOUR_UNITS},
                                hw = {.mode = FA_XRT_HW_EMU, .board = FOUR_UNITS},
                                chain = {.mode = FA_XRT_HW_EMU, .board = FOUR_UNITS, .chain = true};
    static const fault_case faults[] = {{SIM_FAULT_HANG, true, true, true},
                                        {SIM_FAULT_RESET, true, true, true},
                                        {SIM_FAULT_LOST, true, false, false},
                                        {SIM_FAULT_FLIP, false, true, false}};
    static const check_case cases[] = {
        {"every unit's sums and all counts are the simulator's, sw_emu", counts_are_the_simulators, (void *)&sw},
        {"every unit's sums and all counts are the simulator's, hw_emu", counts_are_the_simulators, (void *)&hw},
        {"the same with units of ap_ctrl_chain", counts_are_the_simulators, (void *)&chain},
        {"two boards work at the same time", two_boards_at_once, NULL},
        {"the timeline has copies, launches and kernels", timeline_has_all, NULL},
        {"200 times opened and closed: no process, file or descriptor stays", cycles_leave_nothing, NULL},
        {"a killed engine leaves no process and no file", killed_engine_leaves_nothing, NULL},
        {"a missing model program is named", no_model_program, NULL},
        {"a model that ends at once is noticed", other_model_program, (void *)"#!/bin/sh\nkill -9 $$\n"},
        {"a full disk is an error at every stage", full_disk, NULL},
        {"a unit that hangs is noticed, and the card comes back", faults_are_noticed, (void *)&faults[0]},
        {"a card that resets itself is noticed, and comes back", faults_are_noticed, (void *)&faults[1]},
        {"a card that is lost stays so", faults_are_noticed, (void *)&faults[2]},
        {"a copy with a wrong bit arrives as it is", faults_are_noticed, (void *)&faults[3]},
        {"the fault of Debian's shim is found, repaired once, and nothing else", shim_is_repaired, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
