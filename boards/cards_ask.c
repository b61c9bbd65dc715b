/* Running xbutil. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "boards/cards.h"
#include "host/base/file.h"

enum { PATIENCE_MS = 20000, STEP_MS = 10 };

/* The script `xbutil` starts unwrapped/xbutil beside it. */
static bool try(const char *folder, int n, char *path, size_t size) {
    char program[PATH_MAX];
    snprintf(program, sizeof program, "%.*s/unwrapped/xbutil", n, folder);
    snprintf(path, size, "%.*s/xbutil", n, folder);
    if (access(path, X_OK)) return false;
    if (!access(program, X_OK)) return true;
    snprintf(program, sizeof program, "%.*s/unwrapped/xbutil2", n, folder);
    return !access(program, X_OK);
}

bool fa_cards_xbutil(char *path, size_t size) {
    const char *given = getenv("XILINX_XRT"), *search = getenv("PATH");
    char below[PATH_MAX];
    snprintf(below, sizeof below, "%s/bin", given ? given : "/opt/xilinx/xrt");
    if (try(below, (int)strlen(below), path, size)) return true;
    for (const char *p = search; p && *p;) {
        int n = (int)strcspn(p, ":");
        if (n && try(p, n, path, size)) return true;
        p += n + (p[n] == ':');
    }
    return false;
}

/* 0 when the process ended well; it is killed when it takes too long. */
static int wait_for(pid_t pid) {
    int status;
    for (int waited = 0; waited < PATIENCE_MS; waited += STEP_MS) {
        pid_t done = waitpid(pid, &status, WNOHANG);
        if (done == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (done < 0 && errno != EINTR) return -1;
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

static fa_status run(const char *xbutil, const fa_card *c, const char *report, fa_error *e) {
    char *argv[] = {(char *)xbutil, "examine", "-d", (char *)c->bdf, "-r", "host",         "platform",
                    "electrical",   "thermal", "-f", "JSON",         "-o", (char *)report, NULL};
    posix_spawn_file_actions_t files;
    pid_t pid;
    posix_spawn_file_actions_init(&files);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", fd ? O_WRONLY : O_RDONLY, 0);
    int bad = posix_spawn(&pid, xbutil, &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    if (bad) return fa_fail(e, FA_EIO, "%s: %s", xbutil, strerror(bad));
    int code = wait_for(pid);
    if (!code) return FA_OK;
    return fa_fail(e, FA_EIO, "%s examine -d %s %s (status %d)", xbutil, c->bdf,
                   code < 0 ? "does not answer" : "fails: run it to see why", code);
}

static fa_status ask_one(const char *xbutil, fa_card *c, const char *folder, fa_error *e) {
    char report[PATH_MAX + 16];
    fa_map m;
    snprintf(report, sizeof report, "%s/report.json", folder);
    fa_status s = run(xbutil, c, report, e);
    if (!s) s = fa_map_open(&m, report, e);
    if (!s) {
        s = fa_cards_take_report(c, 1, m.data ? m.data : "", m.bytes, "the report of xbutil", e);
        fa_map_close(&m);
    }
    unlink(report);
    return s;
}

fa_status fa_cards_ask(fa_card *cards, int n, fa_error *e) {
    const char *parent = getenv("TMPDIR");
    char xbutil[PATH_MAX], folder[PATH_MAX];
    if (!fa_cards_xbutil(xbutil, sizeof xbutil))
        return fa_fail(
            e, FA_EUNSUPPORTED,
            "no xbutil: it comes with XRT's own package, which goes to /opt/xilinx/xrt; Debian's has no program of it");
    snprintf(folder, sizeof folder, "%s/fathom-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(folder)) return fa_fail(e, FA_EIO, "%s: %s", folder, strerror(errno));
    fa_status s = FA_OK;
    for (int i = 0; i < n && !s; i++)
        if (cards[i].user) s = ask_one(xbutil, &cards[i], folder, e);
    rmdir(folder);
    return s;
}
