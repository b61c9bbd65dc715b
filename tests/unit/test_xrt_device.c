/* The device model as XRT's side sees it, when what XRT sends is not what it should be: a sentence over the control socket and a
 * death by SIGKILL, as XRT waits for ever for a model that exits; never a crash. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim/xrt_device/control.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

enum { WAIT_MS = 60000 };

typedef struct model {
    pid_t pid;
    int socket, control;
    char folder[32];
} model;

static void start(model *m) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int pair[2], listener = socket(AF_UNIX, SOCK_STREAM, 0);
    char program[4096], number[16];
    snprintf(m->folder, sizeof m->folder, "/tmp/fathom-model.XXXXXX");
    CHECK(mkdtemp(m->folder) && listener >= 0 && !socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    snprintf(at.sun_path, sizeof at.sun_path, "%s/s", m->folder);
    CHECK(!bind(listener, (struct sockaddr *)&at, sizeof at) && !listen(listener, 1), "%s", at.sun_path);
    snprintf(program, sizeof program, "%s/fathom-xrt-device", getenv("FATHOM_LIBEXEC"));
    snprintf(number, sizeof number, "%d", pair[1]);
    m->pid = fork();
    if (!m->pid) {
        setenv("USER", strrchr(m->folder, '/') + 1, 1);
        setenv("EMULATION_SOCKETID", "s", 1);
        setenv(XRT_ENV_BOARD, "u280", 1);
        setenv(XRT_ENV_CONTROL, number, 1);
        close(pair[0]);
        execl(program, program, (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    m->control = pair[0];
    struct pollfd p = {.fd = listener, .events = POLLIN};
    m->socket = poll(&p, 1, WAIT_MS) == 1 ? accept(listener, NULL, NULL) : -1;
    close(listener);
    CHECK(m->socket >= 0, "%s does not connect", program);
}

/* Its last words, "" without any; the status that waitpid gives. */
static int end(model *m, char text[XRT_CONTROL_TEXT]) {
    xrt_control c;
    int code = 0;
    *text = 0;
    while (recv(m->control, &c, sizeof c, 0) == sizeof c)
        if (c.kind == XRT_CONTROL_FAILED) snprintf(text, XRT_CONTROL_TEXT, "%s", c.text);
    waitpid(m->pid, &code, 0);
    close(m->socket);
    close(m->control);
    check_remove(m->folder);
    return code;
}

static void put_frame(check_bytes *b, uint32_t call, const void *body, size_t n) {
    check_put_int(b, 0x09, 1);
    check_put_int(b, n, 8);
    check_put_int(b, 0x15, 1);
    check_put_int(b, call, 4);
    check_put(b, body, n);
}

/* A call and its body, and a part of the sentence that must follow. */
typedef struct wrong {
    const char *name;
    uint32_t call;
    const char *body;
    size_t bytes;
    const char *sentence;
} wrong;
#define BODY(text) text, sizeof text - 1

static const wrong messages[] = {
    {"an unknown call", 99, BODY(""), "none that this device model knows"},
    {"a call without its fields", 4, BODY(""), "has no field 1"},
    {"a field that runs past the end", 6,
     BODY("\x22\x7f"
          "ab"),
     "is no field"},
    {"a number without an end", 4, BODY("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "is no field"},
    {"a field of the number 0", 4, BODY("\x00\x01"), "is no field"},
    {"a group, which nobody uses any more", 4, BODY("\x0b\x0c"), "is no field"},
    {"a buffer outside the memory", 4, BODY("\x08\x80\x20\x10\xff\xff\xff\xff\xff\xff\xff\x7f"), "a buffer of"},
    {"a buffer between pages", 4, BODY("\x08\x01\x10\x01"), "a buffer of"},
    {"a copy shorter than it says", 6, BODY("\x18\x80\x20\x22\x01x\x28\x02"), "2 bytes are said, 1 came"},
    {"a copy to outside the memory", 6, BODY("\x18\xff\xff\xff\xff\xff\xff\xff\x7f\x22\x01x\x28\x01"),
     "outside its memory"},
    {"a copy from outside the memory", 7, BODY("\x20\xff\xff\xff\xff\xff\xff\xff\x7f\x28\x01"), "outside its memory"},
    {"a copy of more than there is", 7, BODY("\x20\x01\x28\xff\xff\xff\xff\xff\xff\xff\x7f"), "copy from the card"},
    {"registers of no unit", 9, BODY("\x10\x01\x22\x01x"), "no compute unit"},
    {"more registers than a unit has", 11, BODY("\x10\x80\x80\x80\x04\x18\xff\xff\x03"), "bytes of registers"},
    {"a kernel whose pointers lead out of the memory", 9,
     BODY(
         "\x10\x80\x80\x80\x04\x22\x40"
         "\x00\x00\x00\x00\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef"
         "\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef\xef"
         "\xef\xef\xef\xef\xef\xef\xef\xef"),
     "outside the memory"},
};
enum { N_MESSAGES = sizeof messages / sizeof *messages };

static void ends_with_a_sentence(void *arg) {
    const wrong *w = arg;
    static const char go[] = "\x10\x80\x80\x80\x04\x22\x04\x01\x00\x00\x00"; /* the start bit of the first unit */
    model m;
    check_bytes b = {0};
    char text[XRT_CONTROL_TEXT];
    start(&m);
    put_frame(&b, w->call, w->body, w->bytes);
    put_frame(&b, 9, go, sizeof go - 1);
    put_frame(&b, 99, "", 0);
    CHECK(send(m.socket, b.data, b.n, MSG_NOSIGNAL) == (ssize_t)b.n);
    int code = end(&m, text);
    free(b.data);
    CHECK(WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL, "it ended with %x", (unsigned)code);
    CHECK(strstr(text, w->sentence), "it said '%s'", text);
}

static void other_protocol(void *bytes) {
    model m;
    char text[XRT_CONTROL_TEXT];
    start(&m);
    CHECK(send(m.socket, bytes, 20, MSG_NOSIGNAL) == 20);
    shutdown(m.socket, SHUT_WR);
    int code = end(&m, text);
    CHECK(WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL, "it ended with %x", (unsigned)code);
    CHECK(strstr(text, "XRT's message"), "it said '%s'", text);
}

static void closed_socket_is_an_end(void *arg) {
    (void)arg;
    model m;
    char text[XRT_CONTROL_TEXT];
    start(&m);
    shutdown(m.socket, SHUT_RDWR);
    int code = end(&m, text);
    CHECK(WIFEXITED(code) && !WEXITSTATUS(code) && !*text, "it ended with %x: %s", (unsigned)code, text);
}

/* Frames with right heads and random bodies, of small numbers, so that some make sense. */
static void random_messages(void *arg) {
    (void)arg;
    enum { MODELS = 60, FRAMES = 40 };
    static const uint32_t calls[] = {1, 3, 4, 5, 6, 7, 9, 11, 14, 17, 19, 20, 28, 51, 52, 53};
    check_rng rng = {41};
    for (int i = 0; i < MODELS; i++) {
        model m;
        check_bytes b = {0};
        char text[XRT_CONTROL_TEXT], back[4096];
        start(&m);
        for (int k = 0; k < FRAMES; k++) {
            uint8_t body[24];
            size_t n = check_u64(&rng) % sizeof body;
            for (size_t at = 0; at < n; at++) body[at] = (uint8_t)(check_u64(&rng) % (at % 2 ? 256 : 64));
            put_frame(&b, calls[check_u64(&rng) % (sizeof calls / sizeof *calls)], body, n);
        }
        send(m.socket, b.data, b.n, MSG_NOSIGNAL);
        shutdown(m.socket, SHUT_WR);
        while (recv(m.socket, back, sizeof back, 0) > 0) continue;
        int code = end(&m, text);
        free(b.data);
        CHECK((WIFEXITED(code) && !WEXITSTATUS(code)) || (WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL && *text),
              "model %d ended with %x: %s", i, (unsigned)code, text);
    }
}

int main(int argc, char **argv) {
    static char other[] = "GET / HTTP/1.1\r\nHost: x", cut[] = "\x09\x40\0\0\0\0\0\0\0\x15\x03\0\0\0abcdef";
    check_case cases[N_MESSAGES + 4];
    for (int i = 0; i < N_MESSAGES; i++)
        cases[i] = (check_case){messages[i].name, ends_with_a_sentence, (void *)&messages[i]};
    int n = N_MESSAGES;
    cases[n++] = (check_case){"another protocol", other_protocol, other};
    cases[n++] = (check_case){"a message that is cut off", other_protocol, cut};
    cases[n++] = (check_case){"a closed socket is the end", closed_socket_is_an_end, NULL};
    cases[n++] = (check_case){"random messages never crash it", random_messages, NULL};
    return check_main(argc, argv, cases, (size_t)n);
}
