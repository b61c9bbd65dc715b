#include "host/backend/xrt/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_FREE = 16, STEP_MS = 2, LOG_TAIL = 4096 };

static void shut(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* Above the numbers that the process gets them under. */
static int out_of_the_way(int fd) {
    int moved = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE);
    if (fd >= 0) close(fd);
    return moved;
}

static bool pair(int *ours, int *theirs) {
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd)) return false;
    *ours = out_of_the_way(fd[0]);
    *theirs = out_of_the_way(fd[1]);
    return *ours >= 0 && *theirs >= 0;
}

/* ---- starting ---- */

static int spawn(pid_t *pid, const char *program, char **environment, const char *folder, const int *map) {
    char *const argv[] = {(char *)program, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    for (int fd = 1; fd < WIRE_DESCRIPTORS; fd++)
        if (map[fd] >= 0) posix_spawn_file_actions_adddup2(&actions, map[fd], fd);
    posix_spawn_file_actions_addclosefrom_np(&actions, map[WIRE_MODEL] >= 0 ? WIRE_DESCRIPTORS : WIRE_MODEL);
    if (folder) posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int code = posix_spawn(pid, program, &actions, &attr, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return code;
}

fa_status fa_xrt_process_start(fa_xrt_process *p, const char *program, char **environment, const char *folder,
                               bool with_model, fa_error *e) {
    *p = (fa_xrt_process){.socket = -1, .model = -1, .log = -1, .staging = MAP_FAILED};
    int socket = -1, model = -1, staging = out_of_the_way(memfd_create("fathom-xrt-staging", MFD_CLOEXEC));
    p->log = out_of_the_way(memfd_create("fathom-xrt-log", MFD_CLOEXEC));
    bool made = p->log >= 0 && staging >= 0 && !ftruncate(staging, WIRE_STAGING_BYTES) && pair(&p->socket, &socket) &&
                (!with_model || pair(&p->model, &model)) && fcntl(p->log, F_SETFL, O_APPEND) >= 0;
    if (made) p->staging = mmap(NULL, WIRE_STAGING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, staging, 0);
    int code = errno;
    if (p->staging != MAP_FAILED) {
        const int map[WIRE_DESCRIPTORS] = {-1, p->log, p->log, socket, staging, model};
        code = spawn(&p->pid, program, environment, folder, map);
    }
    bool failed = p->staging == MAP_FAILED || code;
    shut(&socket);
    shut(&model);
    shut(&staging);
    if (!failed) return FA_OK;
    p->pid = 0;
    fa_xrt_process_end(p, 0);
    return fa_fail(e, FA_EIO, "%s: %s", program, strerror(code));
}

/* ---- ending ---- */

static bool ended(pid_t pid) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid == pid;
}

/* The group's number is the process's own until it is waited for. */
void fa_xrt_process_end(fa_xrt_process *p, int grace_ms) {
    if (p->pid > 0) {
        const struct timespec step = {0, STEP_MS * 1000000};
        for (int ms = 0; ms < grace_ms && !ended(p->pid); ms += STEP_MS) nanosleep(&step, NULL);
        kill(-p->pid, SIGKILL);
        while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) continue;
    }
    p->pid = 0;
    if (p->staging != MAP_FAILED) munmap(p->staging, WIRE_STAGING_BYTES);
    p->staging = MAP_FAILED;
    shut(&p->socket);
    shut(&p->model);
    shut(&p->log);
}

/* The last line that XRT or the process printed; "" for none. */
static void last_line(const fa_xrt_process *p, char line[256]) {
    char tail[LOG_TAIL + 1];
    off_t end = lseek(p->log, 0, SEEK_END), from = end > LOG_TAIL ? end - LOG_TAIL : 0;
    ssize_t n = end > 0 ? pread(p->log, tail, LOG_TAIL, from) : 0;
    while (n > 0 && (unsigned char)tail[n - 1] <= ' ') n--;
    tail[n > 0 ? n : 0] = 0;
    const char *start = strrchr(tail, '\n');
    snprintf(line, 256, "%.255s", start ? start + 1 : tail);
}

/* What the model said last, if it said why it ends. */
static bool last_words(const fa_xrt_process *p, xrt_control *m) {
    bool found = false;
    xrt_control next;
    while (p->model >= 0 && recv(p->model, &next, sizeof next, MSG_DONTWAIT) == sizeof next)
        if (next.kind == XRT_CONTROL_FAILED) {
            *m = next;
            found = true;
        }
    return found;
}

void fa_xrt_process_bury(fa_xrt_process *p, bool *for_good, fa_error *e) {
    xrt_control m;
    char line[256];
    struct pollfd model = {.fd = p->model};
    bool model_gone = p->model >= 0 && poll(&model, 1, 0) == 1;
    last_line(p, line);
    *for_good = false;
    if (last_words(p, &m)) {
        *for_good = m.value != 0;
        m.text[sizeof m.text - 1] = 0;
        fa_fail(e, FA_EDEVICE, "%s", m.text);
    } else if (model_gone) {
        fa_fail(e, FA_EDEVICE, "its device model has ended%s%s", *line ? "; XRT: " : "", line);
    } else if (!e->status || !*e->text) {
        fa_fail(e, FA_EDEVICE, "the process that drives it has ended%s%s", *line ? "; XRT: " : "", line);
    }
    fa_xrt_process_end(p, 0);
}

/* ---- asking ---- */

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static fa_status gone(fa_xrt_process *p, fa_error *e) {
    p->gone = true;
    *e = (fa_error){.status = FA_EDEVICE}; /* fa_xrt_process_bury finds out why */
    return FA_EDEVICE;
}

/* Waits for a message on `fd`; the end of `other` (or -1) is an end too. */
static fa_status await(fa_xrt_process *p, int fd, int other, int deadline_ms, fa_error *e) {
    int64_t until = now_ms() + deadline_ms;
    struct pollfd on[2] = {{.fd = fd, .events = POLLIN}, {.fd = other}};
    for (;;) {
        int64_t left = until - now_ms();
        int n = poll(on, 2, left > 0 ? (int)left : 0);
        if (n < 0 && errno == EINTR) continue;
        if (n > 0 && on[0].revents & POLLIN) return FA_OK;
        if (n) return gone(p, e);
        if (left > 0) continue;
        p->gone = true;
        return fa_fail(e, FA_EDEVICE, "XRT did not answer within %d s", deadline_ms / 1000);
    }
}

fa_status fa_xrt_send(fa_xrt_process *p, const wire_request *r, fa_error *e) {
    size_t n = r->kind == WIRE_OPEN ? sizeof *r : offsetof(wire_request, args) + (size_t)r->n_args * sizeof *r->args;
    ssize_t sent;
    while ((sent = send(p->socket, r, n, MSG_NOSIGNAL)) < 0 && errno == EINTR) continue;
    return sent == (ssize_t)n ? FA_OK : gone(p, e);
}

fa_status fa_xrt_call(fa_xrt_process *p, const wire_request *r, wire_reply *reply, int deadline_ms, fa_error *e) {
    fa_status s = fa_xrt_send(p, r, e);
    if (!s) s = await(p, p->socket, r->kind == WIRE_CLOSE ? -1 : p->model, deadline_ms, e);
    if (s) return s;
    if (recv(p->socket, reply, sizeof *reply, MSG_DONTWAIT) != sizeof *reply) return gone(p, e);
    reply->text[sizeof reply->text - 1] = 0;
    return reply->status ? fa_fail(e, (fa_status)reply->status, "%s", reply->text) : FA_OK;
}

static fa_status control_answer(fa_xrt_process *p, xrt_control *m, int deadline_ms, fa_error *e) {
    fa_status s = await(p, p->model, p->socket, deadline_ms, e);
    if (s) return s;
    if (recv(p->model, m, sizeof *m, MSG_DONTWAIT | MSG_PEEK) != sizeof *m || m->kind == XRT_CONTROL_FAILED)
        return gone(p, e);
    recv(p->model, m, sizeof *m, MSG_DONTWAIT);
    return FA_OK;
}

fa_status fa_xrt_control(fa_xrt_process *p, xrt_control *m, int deadline_ms, fa_error *e) {
    if (send(p->model, m, sizeof *m, MSG_NOSIGNAL) != sizeof *m) return gone(p, e);
    fa_status s = control_answer(p, m, deadline_ms, e);
    if (s || !m->status) return s;
    m->text[sizeof m->text - 1] = 0;
    return fa_fail(e, (fa_status)m->status, "%s", m->text);
}

fa_status fa_xrt_control_hello(fa_xrt_process *p, int deadline_ms, fa_error *e) {
    xrt_control m;
    fa_status s = control_answer(p, &m, deadline_ms, e);
    if (s || (m.kind == XRT_CONTROL_HELLO && m.value == XRT_CONTROL_VERSION)) return s;
    return fa_fail(e, FA_EDEVICE, "fathom-xrt-device is of another version than the engine: install both again");
}
