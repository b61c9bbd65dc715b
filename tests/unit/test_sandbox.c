/* Programs that nobody has read: what they may do, and what they may not. */
#include "host/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

/* Python's, so that a program that eats time or memory ends soon; enough for its start on a busy machine. */
static const fa_sandbox_limits small = {.seconds = 20,
                                        .cpu_seconds = 20,
                                        .memory_bytes = INT64_C(256) << 20,
                                        .file_bytes = 1 << 20,
                                        .output_bytes = 4096,
                                        .processes = 8,
                                        .files = 24};

typedef struct row {
    const char *name, *text;
    fa_sandbox_end end;
    int code;
    const char *output, *complains; /* NULL: anything */
    const char *input;
    double seconds;  /* 0: as in `small` */
    int cpu_seconds; /* likewise */
} row;

#define REFUSED(what, how)                                       \
    "try:\n " what "\nexcept " how " as e:\n print('refused')\n" \
    "else:\n print('done')\n"

static const row rows[] = {
    {"a program that is right", "print(6 * 7)", FA_SANDBOX_EXIT, 0, "42\n", "", NULL, 0, 0},
    {"a program that reads", "print(sum(map(int, input().split())))", FA_SANDBOX_EXIT, 0, "6\n", "", "1 2 3\n", 0, 0},
    {"a program that fails", "assert 1 == 2, 'no'", FA_SANDBOX_EXIT, 1, "", "AssertionError: no", NULL, 0, 0},
    {"a program that is none", "def", FA_SANDBOX_EXIT, 1, "", "SyntaxError", NULL, 0, 0},
    {"a status of its own", "import sys; sys.exit(7)", FA_SANDBOX_EXIT, 7, "", "", NULL, 0, 0},
    {"files of its own", "open('a', 'w').write('x'); print(open('a').read())", FA_SANDBOX_EXIT, 0, "x\n", "", NULL, 0,
     0},
    {"threads", "import threading as t; a = t.Thread(target=print, args=(1,)); a.start(); a.join()", FA_SANDBOX_EXIT, 0,
     "1\n", "", NULL, 0, 0},
    {"an endless loop", "while True: pass", FA_SANDBOX_TIMEOUT, 0, "", "", NULL, 1.5, 0},
    {"more time on a CPU than it may have", "while True: pass", FA_SANDBOX_SIGNAL, SIGKILL, "", "", NULL, 0, 1},
    {"an endless sleep", "import time; time.sleep(1000)", FA_SANDBOX_TIMEOUT, 0, "", NULL, NULL, 1.5, 0},
    {"a memory hog", "x = bytearray(1 << 30); print(len(x))", FA_SANDBOX_EXIT, 1, "", "MemoryError", NULL, 0, 0},
    {"output without end", "while True: print('x' * 1000)", FA_SANDBOX_OUTPUT, 0, NULL, "", NULL, 0, 0},
    {"complaints without end",
     "import sys\nfor i in range(3000): print('y' * 90, file=sys.stderr)\nprint('z', file=sys.stderr)", FA_SANDBOX_EXIT,
     0, "", "yyyy\nz\n", NULL, 0, 0},
    {"a fork bomb",
     "import os, time\nn = 0\ntry:\n"
     " while n < 1000:\n  n += 1\n  if os.fork() == 0: time.sleep(1000)\n"
     "except OSError: print('refused')\nprint(n < 9)",
     FA_SANDBOX_EXIT, 0, "refused\nTrue\n", "", NULL, 0, 0},
    {"a fork bomb that spreads", "import os\nwhile True:\n try: os.fork()\n except OSError: pass", FA_SANDBOX_TIMEOUT,
     0, "", NULL, NULL, 1.5, 0},
    {"a file that is too large", REFUSED("f = open('a', 'wb'); f.write(bytes(2 << 20)); f.close()", "OSError"),
     FA_SANDBOX_EXIT, 0, "refused\n", NULL, NULL, 0, 0},
    {"too many files", REFUSED("a = [open('f%d' % i, 'w') for i in range(100)]", "OSError"), FA_SANDBOX_EXIT, 0,
     "refused\n", "", NULL, 0, 0},
    {"a file elsewhere", REFUSED("open('/tmp/fathom-was-here', 'w')", "OSError"), FA_SANDBOX_EXIT, 0, "refused\n", "",
     NULL, 0, 0},
    {"a file in shared memory", REFUSED("open('/dev/shm/fathom-was-here', 'w')", "OSError"), FA_SANDBOX_EXIT, 0,
     "refused\n", "", NULL, 0, 0},
    {"a secret of the machine", REFUSED("open('/etc/shadow').read()", "OSError"), FA_SANDBOX_EXIT, 0, "refused\n", "",
     NULL, 0, 0},
    {"a way out of its folder",
     REFUSED("import os; os.symlink('/tmp', 'a'); open('a/fathom-was-here', 'w')", "OSError"), FA_SANDBOX_EXIT, 0,
     "refused\n", "", NULL, 0, 0},
    {"the network", REFUSED("import socket; socket.create_connection(('127.0.0.1', 1))", "PermissionError"),
     FA_SANDBOX_EXIT, 0, "refused\n", "", NULL, 0, 0},
    {"a socket of the machine", REFUSED("import socket; socket.socket(socket.AF_UNIX)", "PermissionError"),
     FA_SANDBOX_EXIT, 0, "refused\n", "", NULL, 0, 0},
    {"a signal to its parent", REFUSED("import os; os.kill(os.getppid(), 9)", "PermissionError"), FA_SANDBOX_EXIT, 0,
     "refused\n", "", NULL, 0, 0},
    {"a signal to everybody", REFUSED("import os; os.kill(-1, 9)", "PermissionError"), FA_SANDBOX_EXIT, 0, "refused\n",
     "", NULL, 0, 0},
    {"a session of its own", REFUSED("import os; os.fork() or os.setsid(); os.setsid()", "PermissionError"),
     FA_SANDBOX_EXIT, 0, NULL, "", NULL, 0, 0},
    {"our environment", "import os; print('FATHOM_SECRET' in os.environ, len(os.environ) < 8)", FA_SANDBOX_EXIT, 0,
     "False True\n", "", NULL, 0, 0},
    {"our descriptors",
     "import os\nn = 0\nfor i in range(3, 1000):\n try: os.fstat(i); n += 1\n except OSError: pass\nprint(n)",
     FA_SANDBOX_EXIT, 0, "0\n", "", NULL, 0, 0},
    {"our user", "import os; print(os.getuid() != 0 and os.geteuid() != 0)", FA_SANDBOX_EXIT, 0, "True\n", "", NULL, 0,
     0},
    {"a crash", "import ctypes; ctypes.string_at(0)", FA_SANDBOX_SIGNAL, SIGSEGV, "", NULL, NULL, 0, 0},
    {"a child that stays", "import os, time\nif os.fork() == 0: time.sleep(1000)\nprint('gone')", FA_SANDBOX_EXIT, 0,
     NULL, "", NULL, 0, 0},
};

static bool have(const char *program) {
    check_output o = check_command("command -v %s", program);
    bool found = o.status == 0;
    check_output_free(&o);
    return found;
}

static void run(fa_sandbox_result *r, const char *text, const char *input, double seconds, int cpu_seconds) {
    static const char *const argv[] = {"python3", "-I", "-B", "main.py", NULL};
    if (!have("python3")) check_skip("there is no python3");
    fa_sandbox_limits limits = small;
    if (seconds > 0) limits.seconds = seconds;
    if (cpu_seconds) limits.cpu_seconds = cpu_seconds;
    fa_error e = {0};
    CHECK_OK(fa_sandbox_run(r,
                            &(fa_sandbox_program){.argv = argv,
                                                  .file = "main.py",
                                                  .text = text,
                                                  .text_bytes = strlen(text),
                                                  .input = input,
                                                  .input_bytes = input ? strlen(input) : 0},
                            &limits, &e),
             &e);
}

static void ends_so(void *arg) {
    const row *w = arg;
    fa_sandbox_result r;
    run(&r, w->text, w->input, w->seconds, w->cpu_seconds);
    CHECK(r.end == w->end && r.code == w->code, "end %d, code %d: %s%s", r.end, r.code, r.output, r.complaint);
    CHECK(!w->output || !strcmp(r.output, w->output), "'%s'", r.output);
    CHECK(!w->complains || (*w->complains ? strstr(r.complaint, w->complains) != NULL : !*r.complaint), "'%s'",
          r.complaint);
    CHECK(r.output_bytes <= (size_t)small.output_bytes);
    CHECK(access("/tmp/fathom-was-here", F_OK) && access("/dev/shm/fathom-was-here", F_OK));
    fa_sandbox_free(&r);
}

/* Processes that a program left, or its bomb, are gone when it has ended. */
static void nothing_stays(void *unused) {
    (void)unused;
    char text[200];
    int mark = (int)getpid();
    snprintf(text, sizeof text,
             "import os\nif os.fork() == 0: os.execvp('sleep', ['sleep', '7%06d'])\nimport time; time.sleep(0.2)",
             mark);
    fa_sandbox_result r;
    run(&r, text, NULL, 0, 0);
    fa_sandbox_free(&r);
    for (int tries = 0; tries < 100; tries++) {
        check_output o = check_command("pgrep -f '^sleep 7%06d' || echo none", mark);
        bool none = !strcmp(o.out, "none\n");
        check_output_free(&o);
        if (none) return;
        usleep(50000);
    }
    CHECK(false, "the program's child still runs");
}

static void a_program_that_is_not_there(void *unused) {
    (void)unused;
    fa_sandbox_result r;
    fa_error e = {0};
    fa_sandbox_program p = {.argv = (const char *const[]){"fathom-no-such-program", NULL}, .file = "x", .text = ""};
    fa_status s = fa_sandbox_run(&r, &p, &small, &e);
    CHECK(s == FA_EUNSUPPORTED && strstr(e.text, "fathom-no-such-program"), "%d: %s", s, e.text);
    CHECK(!r.output);
}

int main(int argc, char **argv) {
    enum { ROWS = sizeof rows / sizeof *rows, OTHERS = 2 };
    check_case cases[ROWS + OTHERS] = {
        {"nothing of a program stays", nothing_stays, NULL},
        {"a program that does not exist is named", a_program_that_is_not_there, NULL},
    };
    for (int i = 0; i < ROWS; i++) cases[OTHERS + i] = (check_case){rows[i].name, ends_so, (void *)&rows[i]};
    setenv("FATHOM_SECRET", "1", 1);
    int open_one = open("/etc/hostname", O_RDONLY); /* without O_CLOEXEC */
    int code = check_main(argc, argv, cases, ROWS + OTHERS);
    close(open_one);
    return code;
}
