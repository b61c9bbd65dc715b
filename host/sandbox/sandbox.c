#include "host/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/sandbox/inmate.h"

const fa_sandbox_limits fa_sandbox_usual = {
    .seconds = 20,
    .cpu_seconds = 5,
    .memory_bytes = 512 << 20,
    .file_bytes = 16 << 20,
    .output_bytes = 1 << 20,
    .processes = 8,
    .files = 64,
};

enum { INPUT, OUTPUT, COMPLAINT, STREAMS };

/* A run from the outside. Descriptors are -1 where there is none. */
typedef struct run {
    const fa_sandbox_limits *limits;
    fa_sandbox_result *result;
    char folder[64];
    fa_inmate_report *report;
    int theirs[STREAMS], ours[STREAMS], pidfd;
    pid_t child;
    size_t capacity, complained;
} run;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void close_one(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static fa_status refused(fa_error *e, const char *step) {
    return fa_fail(e, FA_EIO, "sandbox: %s: %s", step, strerror(errno));
}

/* ---- before ---- */

/* Descriptors above those that the child gives new numbers. */
static int raised(int fd) {
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd >= 0) close(fd);
    return high;
}

static fa_status open_input(run *r, const fa_sandbox_program *p, fa_error *e) {
    int fd = raised(memfd_create("input", MFD_CLOEXEC));
    r->theirs[INPUT] = fd;
    if (fd < 0) return refused(e, "its input");
    for (size_t at = 0; p->input && at < p->input_bytes;) {
        ssize_t n = write(fd, p->input + at, p->input_bytes - at);
        if (n <= 0) return refused(e, "its input");
        at += (size_t)n;
    }
    return lseek(fd, 0, SEEK_SET) ? refused(e, "its input") : FA_OK;
}

static fa_status open_outputs(run *r, fa_error *e) {
    for (int i = OUTPUT; i < STREAMS; i++) {
        int both[2];
        if (pipe2(both, O_CLOEXEC)) return refused(e, "a pipe");
        r->ours[i] = raised(both[0]);
        r->theirs[i] = raised(both[1]);
        if (r->ours[i] < 0 || r->theirs[i] < 0 || fcntl(r->ours[i], F_SETFL, O_NONBLOCK)) return refused(e, "a pipe");
    }
    return FA_OK;
}

static fa_status make_folder(run *r, fa_error *e) {
    strcpy(r->folder, "/tmp/fathom-sandbox-XXXXXX");
    if (mkdtemp(r->folder)) return FA_OK;
    fa_status s = refused(e, r->folder);
    *r->folder = 0;
    return s;
}

static fa_status prepare(run *r, const fa_sandbox_program *p, fa_error *e) {
    void *shared = mmap(NULL, sizeof *r->report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return refused(e, "memory");
    r->report = shared;
    r->report->status = 1 << 8; /* unless it says otherwise, it failed */
    fa_status s = make_folder(r, e);
    if (!s) s = open_input(r, p, e);
    if (!s) s = open_outputs(r, e);
    r->result->output = calloc(1, 1);
    if (!s && !r->result->output) s = fa_fail(e, FA_ENOMEM, "sandbox: memory ran out");
    return s;
}

/* ---- while it runs ---- */

static bool keep_output(run *r, const char *data, size_t n) {
    fa_sandbox_result *to = r->result;
    size_t room = (size_t)r->limits->output_bytes - to->output_bytes, kept = n < room ? n : room;
    if (to->output_bytes + kept + 1 > r->capacity) {
        size_t capacity = 2 * (to->output_bytes + kept) + 4096;
        char *more = realloc(to->output, capacity);
        if (!more) return false;
        to->output = more;
        r->capacity = capacity;
    }
    memcpy(to->output + to->output_bytes, data, kept);
    to->output_bytes += kept;
    to->output[to->output_bytes] = 0;
    return kept == n;
}

/* The last bytes: where a traceback says what went wrong. */
static void keep_complaint(run *r, const char *data, size_t n) {
    size_t most = FA_SANDBOX_COMPLAINT - 1, have = r->complained;
    if (n > most) data += n - most, n = most;
    size_t drop = have + n > most ? have + n - most : 0;
    memmove(r->result->complaint, r->result->complaint + drop, have - drop);
    memcpy(r->result->complaint + have - drop, data, n);
    r->complained = have - drop + n;
    r->result->complaint[r->complained] = 0;
}

/* Takes what there is; false when it was too much. At the end of a stream its descriptor is closed. */
static bool take(run *r, int stream) {
    char data[16384];
    ssize_t n;
    while (r->ours[stream] >= 0 && (n = read(r->ours[stream], data, sizeof data)) != 0) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN;
        if (stream == COMPLAINT)
            keep_complaint(r, data, (size_t)n);
        else if (!keep_output(r, data, (size_t)n))
            return false;
    }
    close_one(&r->ours[stream]);
    return true;
}

/* Until the child has ended, or must be. */
static fa_sandbox_end watch(run *r) {
    double end = now() + r->limits->seconds;
    for (;;) {
        double left = end - now();
        if (left <= 0) return FA_SANDBOX_TIMEOUT;
        struct pollfd fds[] = {{r->pidfd, POLLIN, 0}, {r->ours[OUTPUT], POLLIN, 0}, {r->ours[COMPLAINT], POLLIN, 0}};
        if (poll(fds, 3, (int)(left * 1000) + 1) < 0 && errno != EINTR) return FA_SANDBOX_TIMEOUT;
        if (fds[1].revents && !take(r, OUTPUT)) return FA_SANDBOX_OUTPUT;
        if (fds[2].revents) take(r, COMPLAINT);
        if (fds[0].revents) return take(r, OUTPUT) ? FA_SANDBOX_EXIT : FA_SANDBOX_OUTPUT;
    }
}

/* The child is not waited for before its group is gone, so that its number cannot be another's. */
static fa_status end(run *r, fa_error *e) {
    kill(-r->child, SIGKILL);
    kill(r->child, SIGKILL);
    int status;
    while (waitpid(r->child, &status, 0) < 0)
        if (errno != EINTR) return refused(e, "waiting");
    take(r, COMPLAINT);
    return FA_OK;
}

static fa_status judge(run *r, const fa_sandbox_program *p, fa_error *e) {
    const fa_inmate_report *found = r->report;
    fa_sandbox_result *to = r->result;
    to->missing = found->missing;
    if (found->failed) {
        bool absent = found->error == ENOENT || found->failed == p->argv[0] || !strcmp(found->failed, "seccomp");
        return fa_fail(e, absent ? FA_EUNSUPPORTED : FA_EIO, "sandbox: %s: %s", found->failed, strerror(found->error));
    }
    if (to->end != FA_SANDBOX_EXIT) return FA_OK;
    to->end = WIFSIGNALED(found->status) ? FA_SANDBOX_SIGNAL : FA_SANDBOX_EXIT;
    to->code = WIFSIGNALED(found->status) ? WTERMSIG(found->status) : WEXITSTATUS(found->status);
    return FA_OK;
}

static fa_status start(run *r, const fa_sandbox_program *p, fa_error *e) {
    r->child = fork();
    if (r->child < 0) return refused(e, "starting a process");
    if (!r->child) fa_inmate(p, r->limits, r->folder, r->theirs, r->report);
    r->pidfd = pidfd_open(r->child, 0);
    for (int i = 0; i < STREAMS; i++) close_one(&r->theirs[i]);
    if (r->pidfd >= 0) return FA_OK;
    fa_status s = refused(e, "watching it");
    (void)end(r, NULL);
    return s;
}

/* ---- after ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void clean_up(run *r) {
    for (int i = 0; i < STREAMS; i++) {
        close_one(&r->theirs[i]);
        close_one(&r->ours[i]);
    }
    close_one(&r->pidfd);
    if (r->report) munmap(r->report, sizeof *r->report);
    if (*r->folder) nftw(r->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* has files where it was none in memory */
}

fa_status fa_sandbox_run(fa_sandbox_result *result, const fa_sandbox_program *program, const fa_sandbox_limits *limits,
                         fa_error *e) {
    run r = {.limits = limits, .result = result, .theirs = {-1, -1, -1}, .ours = {-1, -1, -1}, .pidfd = -1};
    *result = (fa_sandbox_result){0};
    fa_status s = prepare(&r, program, e);
    if (!s) s = start(&r, program, e);
    if (!s) {
        result->end = watch(&r);
        s = end(&r, e);
        if (!s) s = judge(&r, program, e);
    }
    clean_up(&r);
    if (s) fa_sandbox_free(result);
    return s;
}

void fa_sandbox_free(fa_sandbox_result *result) {
    free(result->output);
    *result = (fa_sandbox_result){0};
}
