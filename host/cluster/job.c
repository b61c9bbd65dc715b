#include "host/cluster/job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/backend/xrt/process.h"

enum { MOST_WORDS = 64, LOG_TAIL = 16384, LOOK_MS = 10, END_MS = 3000, CAUSE_MS = 2500 };
#define LAUNCH "mpirun --oversubscribe --bind-to none"

/* ---- opening ---- */

fa_cluster_self fa_cluster_find_self(void) {
    const char *rank = getenv("OMPI_COMM_WORLD_RANK"), *size = getenv("OMPI_COMM_WORLD_SIZE");
    if (!rank || !size) return (fa_cluster_self){0};
    return (fa_cluster_self){true, atoi(rank), atoi(size)};
}

fa_status fa_cluster_program(char path[PATH_MAX], fa_error *e) {
    fa_status s = fa_xrt_find_program("fathom-rank", path, e);
    return s ? fa_error_prefix(e, s, "cluster: was fathom built without Open MPI (libopenmpi-dev)?") : FA_OK;
}

fa_status fa_job_open(fa_job *j, const fa_cluster_options *o, fa_error *e) {
    fa_cluster_self self = fa_cluster_find_self();
    *j = (fa_job){.socket = -1, .log = -1, .ranks = self.started ? self.ranks : o->ranks ? o->ranks : 2};
    fa_status s = fa_cluster_program(j->program, e);
    if (s) return s;
    if (self.started) {
        if (o->ranks && o->ranks != self.ranks)
            return fa_fail(e, FA_EINVAL, "cluster: mpirun has started %d ranks, not %d", self.ranks, o->ranks);
        return FA_OK;
    }
    const char *launch = o->launch ? o->launch : LAUNCH;
    if (!launch[strspn(launch, " ")]) return fa_fail(e, FA_EINVAL, "cluster: the launch command is empty");
    j->launch = strdup(launch);
    return j->launch ? FA_OK : fa_fail(e, FA_ENOMEM, "cluster: out of memory");
}

void fa_job_close(fa_job *j) {
    fa_job_end(j);
    free(j->launch);
    j->launch = NULL;
}

/* ---- starting ---- */

/* A listening socket in a folder of its own. */
static fa_status listen_in(char folder[64], struct sockaddr_un *at, int *fd, fa_error *e) {
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, 64, "%.32s/fathom-cluster-XXXXXX", temporary && strlen(temporary) < 32 ? temporary : "/tmp");
    *fd = -1;
    if (!mkdtemp(folder)) return fa_fail(e, FA_EIO, "cluster: %s: %m", folder);
    *at = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(at->sun_path, sizeof at->sun_path, "%s/rank0", folder);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd >= 0 && !bind(*fd, (struct sockaddr *)at, sizeof *at) && !listen(*fd, 1)) return FA_OK;
    fa_status s = fa_fail(e, FA_EIO, "cluster: %s: %m", at->sun_path);
    if (*fd >= 0) close(*fd);
    *fd = -1;
    unlink(at->sun_path);
    rmdir(folder);
    return s;
}

/* Words of the launch command, then -n RANKS PROGRAM SOCKET. `words` is cut in place. */
static void make_arguments(const fa_job *j, char *words, char *socket, char *argv[MOST_WORDS + 6], char number[16]) {
    int n = 0;
    char *rest = NULL;
    for (char *w = words ? strtok_r(words, " ", &rest) : NULL; w && n < MOST_WORDS; w = strtok_r(NULL, " ", &rest))
        argv[n++] = w;
    if (words) {
        snprintf(number, 16, "%d", j->ranks);
        argv[n++] = "-n";
        argv[n++] = number;
    }
    argv[n++] = (char *)j->program;
    argv[n++] = socket;
    argv[n] = NULL;
}

static int spawn(fa_job *j, char *const argv[]) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, usual;
    sigemptyset(&none);
    sigfillset(&usual);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, j->log >= 0 ? j->log : 2, 1);
    if (j->log >= 0) posix_spawn_file_actions_adddup2(&actions, j->log, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &usual);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (j->launch ? POSIX_SPAWN_SETSID : 0));
    int code = posix_spawnp(&j->pid, argv[0], &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    if (code) j->pid = 0;
    return code;
}

/* Of mpirun, which needs a while to end after a rank. */
static bool process_has_ended(const fa_job *j) {
    siginfo_t info = {0};
    return j->pid <= 0 || waitid(P_PID, (id_t)j->pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid == j->pid;
}

bool fa_job_has_ended(const fa_job *j) {
    char byte;
    return process_has_ended(j) || (j->socket >= 0 && recv(j->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0);
}

/* Until rank 0 connects, or all is over. */
static fa_status await_rank(fa_job *j, int listening, fa_error *e) {
    struct pollfd on = {.fd = listening, .events = POLLIN};
    for (;;) {
        if (poll(&on, 1, LOOK_MS * 10) > 0) j->socket = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        if (j->socket >= 0) return FA_OK;
        if (!process_has_ended(j)) continue;
        *e = (fa_error){0};
        fa_job_bury(j, e);
        return e->status;
    }
}

fa_status fa_job_start(fa_job *j, fa_error *e) {
    char folder[64], number[16], *argv[MOST_WORDS + 6];
    struct sockaddr_un at;
    int listening;
    fa_job_end(j);
    if (j->launch && !geteuid() && !getenv("OMPI_ALLOW_RUN_AS_ROOT"))
        return fa_fail(e, FA_EINVAL,
                       "cluster: Open MPI starts nothing as root, unless OMPI_ALLOW_RUN_AS_ROOT=1 and "
                       "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 are set");
    fa_status s = listen_in(folder, &at, &listening, e);
    if (s) return s;
    char *words = j->launch ? strdup(j->launch) : NULL;
    if (j->launch) j->log = memfd_create("fathom-cluster-log", MFD_CLOEXEC);
    if (j->log >= 0) fcntl(j->log, F_SETFL, O_APPEND);
    make_arguments(j, words, at.sun_path, argv, number);
    int code = spawn(j, argv);
    if (code)
        s = fa_fail(e, FA_EIO, "cluster: %s: %s%s", argv[0], strerror(code),
                    code == ENOENT ? " (Debian: openmpi-bin)" : "");
    if (!s) s = await_rank(j, listening, e);
    close(listening);
    unlink(at.sun_path);
    rmdir(folder);
    free(words);
    return s;
}

/* ---- ending ---- */

/* False: time is over. */
static bool await_end(const fa_job *j, int ms) {
    const struct timespec nap = {0, LOOK_MS * 1000000};
    for (; ms > 0 && !process_has_ended(j); ms -= LOOK_MS) nanosleep(&nap, NULL);
    return process_has_ended(j);
}

static void hang_up(fa_job *j) {
    if (j->socket >= 0) close(j->socket);
    j->socket = -1;
}

/* Ranks die with mpirun, also those that are stopped; but mpirun that is asked removes its files. */
void fa_job_end(fa_job *j) {
    hang_up(j);
    if (j->pid > 0) {
        if (!await_end(j, END_MS / 4)) kill(j->pid, SIGTERM);
        if (!await_end(j, END_MS)) kill(j->pid, SIGKILL);
        while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR) continue;
    }
    j->pid = 0;
    if (j->log >= 0) close(j->log);
    j->log = -1;
}

/* mpirun's words for a rank that died, else the last line of ours or of anybody. */
static void read_cause(const fa_job *j, fa_error *e) {
    static const char died[] = "noticed that process rank ";
    char tail[LOG_TAIL + 1];
    off_t end = lseek(j->log, 0, SEEK_END), from = end > LOG_TAIL ? end - LOG_TAIL : 0;
    ssize_t n = end > 0 ? pread(j->log, tail, LOG_TAIL, from) : 0;
    while (n > 0 && (unsigned char)tail[n - 1] <= ' ') n--;
    tail[n > 0 ? n : 0] = 0;
    int rank = 0, signal = 0;
    const char *at = strstr(tail, died), *how = at ? strstr(at, "exited on signal ") : NULL;
    if (how && sscanf(at + sizeof died - 1, "%d", &rank) == 1 && sscanf(how, "exited on signal %d", &signal) == 1) {
        fa_fail(e, FA_EDEVICE, "cluster: rank %d was ended by signal %d (%s)", rank, signal, strsignal(signal));
        return;
    }
    const char *ours = strstr(tail, "fathom-rank: "), *last = strrchr(tail, '\n');
    const char *line = ours ? ours + strlen("fathom-rank: ") : last ? last + 1 : tail;
    int length = (int)strcspn(line, "\n");
    fa_fail(e, FA_EDEVICE, "%s%.*s", ours ? "" : "cluster: the job has ended: ", length, line);
}

void fa_job_bury(fa_job *j, fa_error *e) {
    hang_up(j);
    if (j->log < 0) {
        fa_fail(e, FA_EDEVICE, "cluster: rank 0, and with it the job, has ended");
        return;
    }
    if (!await_end(j, CAUSE_MS)) kill(j->pid, SIGTERM);
    read_cause(j, e);
}
