#include "host/sandbox/inmate.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)
enum { NOBODY = 65534, MOST_INODES = 4096, FILES_TOGETHER = 4 };

typedef struct inmate {
    const fa_sandbox_program *program;
    const fa_sandbox_limits *limits;
    const char *folder;
    fa_inmate_report *report;
} inmate;

static _Noreturn void give_up(const inmate *in, const char *step) {
    in->report->error = errno;
    in->report->failed = step;
    _exit(1);
}

/* Nothing of the caller's: its session, signals, descriptors. */
static void leave_caller(const inmate *in, const int descriptors[3]) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (setsid() < 0) give_up(in, "a session of its own");
    for (int n = 1; n < NSIG; n++) signal(n, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
    for (int i = 0; i < 3; i++)
        if (dup2(descriptors[i], i) != i) give_up(in, "standard streams");
    if (close_range(3, ~0U, 0)) give_up(in, "closing descriptors");
}

/* The folder becomes one in memory with an end, which is gone with the namespace. */
static bool own_folder(const inmate *in) {
    char options[96];
    snprintf(options, sizeof options, "size=%lld,nr_inodes=%d,mode=0777",
             (long long)in->limits->file_bytes * FILES_TOGETHER, MOST_INODES);
    return !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
           !mount("tmpfs", in->folder, "tmpfs", MS_NOSUID | MS_NODEV, options);
}

static bool write_text(const char *path, const char *text, size_t n) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    bool ok = true;
    for (size_t at = 0; at < n && ok;) {
        ssize_t wrote = write(fd, text + at, n - at);
        ok = wrote > 0;
        at += ok ? (size_t)wrote : 0;
    }
    return close(fd) == 0 && ok;
}

/* In a new user namespace: we stay who we are, or files could not be made there. */
static bool map_self(uid_t uid, gid_t gid) {
    char line[64];
    int n = snprintf(line, sizeof line, "%u %u 1", uid, uid);
    if (!write_text("/proc/self/setgroups", "deny", 4) || !write_text("/proc/self/uid_map", line, (size_t)n))
        return false;
    n = snprintf(line, sizeof line, "%u %u 1", gid, gid);
    return write_text("/proc/self/gid_map", line, (size_t)n);
}

/* Namespaces where they are allowed, with or without privilege; root becomes nobody. */
static void separate(const inmate *in) {
    bool apart = false;
    if (geteuid() == 0) {
        apart = !unshare(SPACES) && own_folder(in);
        if (!apart && chown(in->folder, NOBODY, NOBODY)) give_up(in, "the folder's owner");
        if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
            give_up(in, "becoming another user");
        prctl(PR_SET_DUMPABLE, 1); /* or /proc/self belongs to root */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    uid_t uid = getuid();
    gid_t gid = getgid();
    if (!apart) apart = !unshare(CLONE_NEWUSER | SPACES) && map_self(uid, gid) && own_folder(in);
    if (!apart) in->report->missing |= FA_SANDBOX_NO_NAMESPACES;
}

static void limit(const inmate *in, int what, int64_t most) {
    struct rlimit both = {(rlim_t)most, (rlim_t)most};
    if (setrlimit((__rlimit_resource_t)what, &both)) give_up(in, "limits");
}

static void set_limits(const inmate *in) {
    const fa_sandbox_limits *l = in->limits;
    limit(in, RLIMIT_CPU, l->cpu_seconds);
    limit(in, RLIMIT_AS, l->memory_bytes);
    limit(in, RLIMIT_FSIZE, l->file_bytes);
    limit(in, RLIMIT_NPROC, l->processes);
    limit(in, RLIMIT_NOFILE, l->files);
    limit(in, RLIMIT_CORE, 0);
    limit(in, RLIMIT_MEMLOCK, 0);
    limit(in, RLIMIT_MSGQUEUE, 0);
}

static void set_environment(void) {
    static const char *const few[][2] = {
        {"PATH", "/usr/local/bin:/usr/bin:/bin"},
        {"HOME", "."},
        {"LANG", "C.UTF-8"},
        {"OMP_NUM_THREADS", "1"},
        {"OPENBLAS_NUM_THREADS", "1"},
    };
    clearenv();
    for (size_t i = 0; i < sizeof few / sizeof *few; i++) setenv(few[i][0], few[i][1], 1);
}

static _Noreturn void become_program(const inmate *in) {
    const fa_sandbox_program *p = in->program;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (chdir(in->folder)) give_up(in, "entering its folder");
    if (!write_text(p->file, p->text, p->text_bytes)) give_up(in, "writing its file");
    (void)write_text("/proc/self/oom_score_adj", "1000", 4); /* what goes first when memory is short; no condition */
    set_environment();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) give_up(in, "giving up privileges");
    int paths = fa_fence_paths(in->folder);
    if (paths < 0) give_up(in, "Landlock");
    if (paths > 0) in->report->missing |= FA_SANDBOX_NO_LANDLOCK;
    if (fa_fence_calls()) give_up(in, "seccomp");
    set_limits(in); /* last: we may hold more memory than the program may */
    execvp(p->argv[0], (char *const *)p->argv);
    give_up(in, p->argv[0]);
}

void fa_inmate(const fa_sandbox_program *program, const fa_sandbox_limits *limits, const char *folder,
               const int descriptors[3], fa_inmate_report *report) {
    inmate in = {program, limits, folder, report};
    leave_caller(&in, descriptors);
    separate(&in);
    pid_t child = fork(); /* the first process of the new namespace: all others end with it */
    if (child < 0) give_up(&in, "starting a process");
    if (!child) become_program(&in);
    for (int i = 0; i < 3; i++) close(i);
    if (waitpid(child, &report->status, 0) != child) give_up(&in, "waiting");
    _exit(0);
}
