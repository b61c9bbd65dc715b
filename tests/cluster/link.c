/* link DELAY_US LOSS_PERMILLE COMMAND..: two network namespaces joined by a link that delays every packet and loses some; runs COMMAND in
 * the first, whose address is 10.9.0.1. LINK_PEER in its environment is the second one's file for nsenter --net=, with 10.9.0.2. What
 * tc netem does, for kernels that are built without it. Status 77: not permitted here. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SKIP = 77, PACKET = 2048, QUEUE = 4096 };

typedef struct packet {
    int64_t due_ns;
    int to;
    ssize_t n;
    unsigned char bytes[PACKET];
} packet;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * (int64_t)1000000000 + t.tv_nsec;
}

/* A new namespace with one end of the link; *ns is the namespace. */
static int make_end(const char *address, int *ns) {
    char command[160];
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    if (unshare(CLONE_NEWNET)) return -1;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    strcpy(r.ifr_name, "link0");
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r)) return -1;
    snprintf(command, sizeof command, "ip addr add %s/24 dev link0 && ip link set link0 up && ip link set lo up",
             address);
    *ns = open("/proc/self/ns/net", O_RDONLY);
    return system(command) || *ns < 0 ? -1 : fd;
}

/* Carries packets for ever: first come, first go. */
static void carry(const int *ends, int64_t delay_ns, unsigned loss) {
    static packet queue[QUEUE];
    unsigned head = 0, tail = 0;
    uint32_t random = 1;
    for (;;) {
        struct pollfd on[2] = {{.fd = ends[0], .events = POLLIN}, {.fd = ends[1], .events = POLLIN}};
        int64_t wait = head == tail ? 1000000000 : queue[head % QUEUE].due_ns - now_ns();
        struct timespec t = {wait > 0 ? wait / 1000000000 : 0, wait > 0 ? wait % 1000000000 : 0};
        ppoll(on, 2, &t, NULL);
        for (int i = 0; i < 2; i++) {
            packet *p = &queue[tail % QUEUE];
            while (tail - head < QUEUE && (p->n = read(ends[i], p->bytes, PACKET)) > 0) {
                random = random * 1664525u + 1013904223u;
                if ((random >> 8) % 1000 < loss) continue;
                p->due_ns = now_ns() + delay_ns;
                p->to = ends[!i];
                p = &queue[++tail % QUEUE];
            }
        }
        for (; head != tail && queue[head % QUEUE].due_ns <= now_ns(); head++) {
            const packet *p = &queue[head % QUEUE];
            if (write(p->to, p->bytes, (size_t)p->n) < 0 && errno != EAGAIN) _exit(1);
        }
    }
}

int main(int argc, char **argv) {
    int ends[2], ns[2], status;
    char peer[64];
    if (argc < 4) return 2;
    for (int i = 0; i < 2; i++)
        if ((ends[i] = make_end(i ? "10.9.0.2" : "10.9.0.1", &ns[i])) < 0) {
            fprintf(stderr, "link: no network namespaces or no /dev/net/tun here: %s\n", strerror(errno));
            return SKIP;
        }
    if (setns(ns[0], CLONE_NEWNET)) return SKIP;
    snprintf(peer, sizeof peer, "/proc/%d/fd/%d", getpid(), ns[1]);
    setenv("LINK_PEER", peer, 1);
    pid_t carrier = fork();
    if (carrier == 0) {
        const struct sched_param soon = {.sched_priority = 50};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sched_setscheduler(0, SCHED_FIFO, &soon); /* packets wait for no rank that computes */
        carry(ends, atoll(argv[1]) * 1000, (unsigned)atoi(argv[2]));
    }
    pid_t child = fork();
    if (child == 0) {
        execvp(argv[3], argv + 3);
        _exit(127);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    kill(carrier, SIGKILL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
