/* fathom serve: the HTTP service, from its options to its end by a signal. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/engine/engine.h"
#include "host/server/database.h"
#include "host/server/server.h"

/* Steps of a service are short: who has not answered by then will not. */
enum { CLUSTER_DEADLINE_MS = 8000 };

typedef struct settings {
    fathom_options engine;
    fa_server_options server;
    const char *database;
    int64_t queue, notice_seconds, drain_seconds;
    bool quiet;
} settings;

enum {
    OPTION_ADDRESS = 0x2001,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_DATABASE,
    OPTION_NAME,
    OPTION_PARALLEL,
    OPTION_QUEUE,
    OPTION_CACHE_MB,
    OPTION_BODY_KB,
    OPTION_CONNECTIONS,
    OPTION_REQUEST,
    OPTION_NOTICE,
    OPTION_DRAIN,
};

static error_t parse(int key, char *arg, struct argp_state *state) {
    settings *s = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &s->engine; return 0;
    case OPTION_ADDRESS: s->server.address = arg; return 0;
    case 'p': s->server.port = (uint16_t)cli_option_int(state, "--port", arg, 0, 65535); return 0;
    case OPTION_TLS_CERT: s->server.cert = arg; return 0;
    case OPTION_TLS_KEY: s->server.key = arg; return 0;
    case OPTION_DATABASE: s->database = arg; return 0;
    case OPTION_NAME: s->server.model = arg; return 0;
    case OPTION_PARALLEL: s->engine.sessions = (int32_t)cli_option_int(state, "--parallel", arg, 1, 1024); return 0;
    case OPTION_QUEUE: s->queue = cli_option_int(state, "--queue", arg, 1, 65536); return 0;
    case OPTION_CACHE_MB: s->engine.cache_bytes = cli_option_int(state, "--cache-mb", arg, 1, 1 << 24) << 20; return 0;
    case OPTION_BODY_KB:
        s->server.body_bytes = (size_t)cli_option_int(state, "--body-kb", arg, 1, 1 << 20) << 10;
        return 0;
    case OPTION_CONNECTIONS:
        s->server.connections = (int32_t)cli_option_int(state, "--connections", arg, 16, 100000);
        return 0;
    case OPTION_REQUEST:
        s->server.request_seconds = (int32_t)cli_option_int(state, "--request-seconds", arg, 1, 86400);
        return 0;
    case OPTION_NOTICE: s->notice_seconds = cli_option_int(state, "--notice-seconds", arg, 0, 3600); return 0;
    case OPTION_DRAIN: s->drain_seconds = cli_option_int(state, "--drain-seconds", arg, 0, 3600); return 0;
    case 'q': s->quiet = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "'%s': nothing is expected after the options", arg); return 0;
    case ARGP_KEY_END:
        if (!s->server.cert != !s->server.key) argp_error(state, "--tls-cert and --tls-key belong together");
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"address", OPTION_ADDRESS, "ADDRESS", 0,
     "Where to listen: 127.0.0.1 (default), ::1, a name, or 0.0.0.0 for all. One that others reach needs a key and TLS",
     0},
    {"port", 'p', "N", 0, "The port; 8080 is the default, 0 a free one", 0},
    {"tls-cert", OPTION_TLS_CERT, "FILE", 0, "The certificate and its chain (PEM): answer in HTTPS", 0},
    {"tls-key", OPTION_TLS_KEY, "FILE", 0, "Its private key (PEM)", 0},
    {"database", OPTION_DATABASE, "FILE", 0,
     "Where keys and usage are (`fathom key', `fathom usage'). Default: fathom.db in the state folder, "
     "~/.local/state/fathom or what systemd says",
     0},
    {"name", OPTION_NAME, "NAME", 0, "The name under which the model is served; its folder's by default", 0},
    {"parallel", OPTION_PARALLEL, "N", 0, "Requests computed at one time; 16 is the default", 0},
    {"queue", OPTION_QUEUE, "N", 0, "Requests that may wait; the default is 8 for each of --parallel", 0},
    {"cache-mb", OPTION_CACHE_MB, "N", 0, "Memory of the KV cache in MiB; default: for --parallel full contexts", 0},
    {"body-kb", OPTION_BODY_KB, "N", 0,
     "The largest body of a request in KiB; 4096 is the default, 16384 of models that look at pictures", 0},
    {"connections", OPTION_CONNECTIONS, "N", 0, "Connections at one time; 4096 is the default", 0},
    {"request-seconds", OPTION_REQUEST, "N", 0,
     "How long the headers and the body of a request may take, and the silence before the next; 60 is the default", 0},
    {"notice-seconds", OPTION_NOTICE, "N", 0,
     "After SIGTERM, how long new requests are taken while /ready says 503, so that a balancer sends them elsewhere; 0 is "
     "the default",
     0},
    {"drain-seconds", OPTION_DRAIN, "N", 0, "After that, how long running answers may go on; 30 is the default", 0},
    {"quiet", 'q', NULL, 0, "No log on standard error", 0},
    {0},
};

static const struct argp_child children[] = {{&cli_engine_argp, 0, "Model and machine:", 2}, {0}};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "",
    .doc =
        "Serve a model over HTTP, as DeepSeek's API and OpenAI's do: chat and completions, streamed or not, models, "
        "balance, tokens, metrics.\v"
        "One line on standard output says where it listens, once it does; the log, a JSON object a line, goes to standard "
        "error and has no prompt or answer in it. While no key was made, requests need none; after `fathom key add NAME' "
        "every request needs one, but those to /health. SIGTERM or Ctrl-C ends the service when the running answers have "
        "ended; a second one ends it at once. A socket that systemd passes (socket activation) is used in place of --address and --port.\n"
        "\n"
        "Examples:\n"
        "  fathom serve\n"
        "  fathom serve --model ~/models/DeepSeek-R1-Distill-Qwen-1.5B --port 9000\n"
        "  fathom serve --address 0.0.0.0 --port 443 --tls-cert chain.pem --tls-key key.pem\n"
        "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
        "    -d '{\"model\": \"deepseek-reasoner\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 12 * 34?\"}]}'",
    .children = children,
};

static void log_line(void *ctx, const char *line) {
    (void)ctx;
    fprintf(stderr, "%s\n", line);
}

/* ---- what systemd passes ---- */

/* The listening socket (sd_listen_fds(3)), or -1. */
static int activated_socket(void) {
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    int64_t p, n;
    if (!pid || !fds || !cli_int(pid, 1, INT32_MAX, &p) || p != getpid() || !cli_int(fds, 1, 1, &n)) return -1;
    fcntl(3, F_SETFD, FD_CLOEXEC);
    fcntl(3, F_SETFL, fcntl(3, F_GETFL) | O_NONBLOCK);
    return 3;
}

/* Tells a service manager that waits for it (sd_notify(3)). */
static void notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) return;
    memcpy(to.sun_path, path, strlen(path));
    if (path[0] == '@') to.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (fd >= 0) {
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, n);
        close(fd);
    }
}

/* ---- running ---- */

static void raise_file_limit(int32_t connections) {
    struct rlimit limit;
    rlim_t want = (rlim_t)connections + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= want) return;
    limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Before threads start: they must not get the signals that wait_for_end waits for. */
static void block_signals(sigset_t *ends) {
    sigemptyset(ends);
    sigaddset(ends, SIGTERM);
    sigaddset(ends, SIGINT);
    sigprocmask(SIG_BLOCK, ends, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Returns when all answers are over, the time is, or a second signal comes. The end of an engine that is part of a cluster is an end
 * too. */
static void wait_for_end(const settings *s, fa_server *server, const fathom_engine *engine, const sigset_t *ends) {
    const struct timespec second = {1, 0};
    while (sigtimedwait(ends, NULL, &second) < 0 && fa_engine_lives(engine)) continue;
    notify("STOPPING=1");
    fa_server_announce(server);
    if (s->notice_seconds && sigtimedwait(ends, NULL, &(struct timespec){.tv_sec = s->notice_seconds}) > 0) return;
    fa_server_drain(server);
    struct timespec now, tick = {0, 50000000};
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (time_t until = now.tv_sec + s->drain_seconds; fa_server_running(server) && now.tv_sec < until;) {
        if (sigtimedwait(ends, NULL, &tick) > 0) return;
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
}

static void say_where(const settings *s, const fa_server *server) {
    const char *address = s->server.address ? s->server.address : "127.0.0.1";
    bool six = strchr(address, ':') != NULL;
    printf("listening on http%s://%s%s%s:%u\n", s->server.cert ? "s" : "", six ? "[" : "", address, six ? "]" : "",
           fa_server_port(server));
    fflush(stdout);
}

static int serve(settings *s, fathom_engine *engine, const sigset_t *ends) {
    fa_server *server;
    fa_error e = {0};
    s->server.admission = fa_admission_defaults(s->engine.sessions);
    if (s->queue) s->server.admission.queue = (int32_t)s->queue;
    if (fa_server_open(&server, engine, &s->server, &e)) return cli_fail("%s", e.text);
    say_where(s, server);
    notify("READY=1");
    wait_for_end(s, server, engine, ends);
    fa_server_close(server);
    return fa_engine_lives(engine) ? CLI_OK : cli_fail("the cluster has ended");
}

int cli_serve(int argc, char **argv) {
    settings s = {.server = {.port = 8080, .connections = 4096}, .drain_seconds = 30, .engine = {.sessions = 16}};
    fathom_engine *engine = NULL;
    fathom_error bad = {0};
    fa_error e = {0};
    char *database = NULL;
    sigset_t ends;
    if (cli_parse(&argp, argc, argv, &s)) return CLI_ERROR;
    s.server.socket = activated_socket();
    if (s.engine.cluster && !s.engine.cluster_deadline_ms) s.engine.cluster_deadline_ms = CLUSTER_DEADLINE_MS;
    if (!s.quiet) s.server.log = log_line;
    if (fa_database_path(&database, s.database, &e)) return cli_fail("%s", e.text);
    s.server.database = database;
    raise_file_limit(s.server.connections);
    block_signals(&ends);
    int code = cli_engine_open(&engine, &s.engine, &bad) ? cli_fail("%s", bad.text) : serve(&s, engine, &ends);
    fathom_engine_close(engine);
    free(database);
    return code;
}
