/* fathom-xrt-device: the device model that XRT's emulation starts in the place of the Xilinx one. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "sim/xrt_device/card.h"
#include "sim/xrt_device/control.h"
#include "sim/xrt_device/message.h"

enum { CONNECT_MS = 20000, CONNECT_STEP_MS = 2 };

static int usage(void) {
    fprintf(
        stderr,
        "fathom-xrt-device: a simulated board behind XRT's emulation (sw_emu, hw_emu). XRT starts it; ask for it with\n"
        "  fathom run --backend xrt:emu\n"
        "Environment: " XRT_ENV_BOARD " (a board of `fathom boards' or a .board file), EMULATION_SOCKETID, USER and\n"
        "XCL_EMULATION_MODE (set by XRT), " XRT_ENV_CONTROL ", " XRT_ENV_TIMELINE ", " XRT_ENV_CHAIN
        " (docs/xrt.md)\n");
    return 2;
}

/* XRT listens only after it has started this process (unix_socket.cxx). */
static int connect_to_xrt(const char *prefix, fa_error *e) {
    const char *user = getenv("USER"), *id = getenv("EMULATION_SOCKETID");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int n = snprintf(to.sun_path, sizeof to.sun_path, "/tmp/%s/%s%s", user ? user : "", prefix, id);
    if (n >= (int)sizeof to.sun_path) {
        fa_fail(e, FA_EINVAL, "the path of XRT's socket is %d bytes long", n);
        return -1;
    }
    for (int ms = 0; ms < CONNECT_MS; ms += CONNECT_STEP_MS) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && !connect(fd, (struct sockaddr *)&to, sizeof to)) return fd;
        if (fd >= 0) close(fd);
        usleep(CONNECT_STEP_MS * 1000);
    }
    fa_fail(e, FA_EIO, "XRT does not listen at %s: %s", to.sun_path, strerror(errno));
    return -1;
}

/* hw_emu listens a second time, for a device that reads host memory. Ours never does; but until somebody has come, and until it is told
 * that nobody will ask, XRT waits for seconds. */
static void *second_socket(void *fd) {
    fa_error e;
    *(int *)fd = connect_to_xrt("D2X_unix_sock_", &e);
    return NULL;
}

static void end_second_socket(int fd) {
    xrt_bytes last = {0};
    fa_error e;
    if (fd >= 0) xrt_request_send(fd, &last, XRT_CALL_CLOSE, &e);
}

int main(void) {
    static xrt_card card;
    static int second = -1;
    fa_error e = {0};
    pthread_t thread;
    const char *board = getenv(XRT_ENV_BOARD), *control = getenv(XRT_ENV_CONTROL), *mode = getenv("XCL_EMULATION_MODE"),
               *timeline = getenv(XRT_ENV_TIMELINE), *chain = getenv(XRT_ENV_CHAIN);
    if (!board || !getenv("EMULATION_SOCKETID")) return usage();
    signal(SIGPIPE, SIG_IGN);
    fa_status s = xrt_card_open(&card, board, timeline && *timeline == '1', control ? atoi(control) : -1, &e);
    if (s) xrt_card_fail(&card, &e);
    card.chain = chain && *chain == '1';
    if (control && pthread_create(&thread, NULL, xrt_card_control, &card)) {
        fa_fail(&e, FA_ENOMEM, "no thread for the control socket");
        xrt_card_fail(&card, &e);
    }
    bool hw_emu = mode && !strcmp(mode, "hw_emu");
    int socket = connect_to_xrt("", &e);
    if (socket >= 0 && hw_emu && pthread_create(&thread, NULL, second_socket, &second)) second = -1;
    if (socket < 0 || xrt_card_serve(&card, socket, !hw_emu, &e)) xrt_card_fail(&card, &e);
    end_second_socket(second);
    _exit(0); /* kernels may still run */
}
