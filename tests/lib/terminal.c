#include "tests/lib/terminal.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/check.h"

enum { SECONDS = 20 };

void check_terminal_open(check_terminal *t, const char *command, ...) {
    char *text;
    va_list args;
    va_start(args, command);
    CHECK(vasprintf(&text, command, args) >= 0);
    va_end(args);
    *t = (check_terminal){0};
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    fflush(stdout);
    t->child = forkpty(&t->fd, NULL, NULL, &size);
    if (t->child < 0) {
        free(text);
        if (errno == ENODEV || errno == ENOENT) check_skip("no pseudo-terminals here (/dev/pts is not mounted)");
        CHECK(t->child >= 0, "%s", strerror(errno));
    }
    if (t->child == 0) {
        setenv("TERM", "xterm", 1);
        execl("/bin/sh", "sh", "-c", text, (char *)NULL);
        _exit(127);
    }
    free(text);
}

void check_terminal_type(check_terminal *t, const char *keys) {
    size_t n = strlen(keys);
    CHECK(write(t->fd, keys, n) == (ssize_t)n);
}

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Adds what the program shows within `seconds`; false when there was nothing or it ended. */
static bool take(check_terminal *t, double seconds) {
    struct pollfd p = {.fd = t->fd, .events = POLLIN};
    if (seconds <= 0 || poll(&p, 1, (int)(seconds * 1000)) <= 0) return false;
    if (t->capacity - t->n_shown < 4096) {
        t->capacity = t->capacity * 2 + 8192;
        t->shown = realloc(t->shown, t->capacity);
        CHECK(t->shown);
    }
    ssize_t n = read(t->fd, t->shown + t->n_shown, t->capacity - t->n_shown - 1);
    if (n <= 0) return false;       /* EIO: nobody holds the other side any more */
    for (ssize_t i = 0; i < n; i++) /* a zero byte would end the text */
        if (!t->shown[t->n_shown + (size_t)i]) t->shown[t->n_shown + (size_t)i] = '@';
    t->n_shown += (size_t)n;
    t->shown[t->n_shown] = 0;
    return true;
}

void check_terminal_expect(check_terminal *t, const char *text) {
    double end = now() + SECONDS;
    for (;;) {
        const char *at = t->shown ? strstr(t->shown + t->seen, text) : NULL;
        if (at) {
            t->seen = (size_t)(at - t->shown) + strlen(text);
            return;
        }
        if (!take(t, end - now())) {
            kill(t->child, SIGKILL);
            check_fail(__FILE__, __LINE__, "shown in time",
                       "'%s' was not shown; after the last expected text came '%s'", text,
                       t->shown ? t->shown + t->seen : "");
        }
    }
}

void check_terminal_expect_editor(check_terminal *t) {
    struct termios mode;
    for (double end = now() + SECONDS; now() < end; take(t, 0.002))
        if (tcgetattr(t->fd, &mode) == 0 && !(mode.c_lflag & ICANON)) return;
    kill(t->child, SIGKILL);
    check_fail(__FILE__, __LINE__, "a line editor in time", "it shows '%s'", t->shown ? t->shown : "");
}

int check_terminal_close(check_terminal *t) {
    double end = now() + SECONDS;
    while (take(t, end - now())) {
    }
    if (now() >= end) kill(t->child, SIGKILL);
    int status;
    CHECK(waitpid(t->child, &status, 0) == t->child);
    close(t->fd);
    free(t->shown);
    *t = (check_terminal){0};
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
