/* fathom bench serve: what clients of the service see: time to the first token and tokens a second, for one stream and for many. */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "host/base/json.h"
#include "host/cli/bench_serve.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/server/server.h"

typedef struct serve_options {
    fathom_options engine;
    int32_t streams, prompt, new_tokens;
} serve_options;

enum { MOST_STREAMS = 256 };
enum { OPTION_STREAMS = 0x2001, OPTION_PROMPT };

static error_t parse(int key, char *arg, struct argp_state *state) {
    serve_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->engine; return 0;
    case OPTION_STREAMS: o->streams = (int32_t)cli_option_int(state, "--streams", arg, 1, MOST_STREAMS); return 0;
    case OPTION_PROMPT: o->prompt = (int32_t)cli_option_int(state, "--prompt", arg, 1, 100000); return 0;
    case 'n': o->new_tokens = (int32_t)cli_option_int(state, "-n", arg, 2, 100000); return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return EINVAL;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option options[] = {
    {"streams", OPTION_STREAMS, "N", 0, "Streams at a time, after one alone (default 16)", 0},
    {"prompt", OPTION_PROMPT, "N", 0, "Tokens of a prompt (default 64)", 0},
    {"new", 'n', "N", 0, "Tokens of an answer (default 64)", 0},
    {0},
};
static const struct argp_child children[] = {{&cli_engine_argp, 0, NULL, 0}, {0}};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .children = children,
    .doc =
        "Serves the model on a free port of loopback, streams completions from it as clients do, one and then many at a time, and "
        "prints a JSON object a line for each.\v"
        "The prompts are arbitrary ids, each its own. first_token_s is what a client waits for the first event of its answer; tokens_per_s is of all "
        "streams together, from the first request to the last event.\n"
        "\n"
        "Example:\n"
        "  fathom bench serve --model DIR --streams 16 --prompt 128 -n 64",
};

/* One client. */
typedef struct client {
    pthread_t thread;
    char *request;
    size_t bytes;
    uint16_t port;
    double first;   /* s until the first event */
    int32_t tokens; /* of its answer, as usage says; -1: it failed */
} client;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int connect_to(uint16_t port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !connect(fd, (struct sockaddr *)&at, sizeof at)) return fd;
    close(fd);
    return -1;
}

/* Reads the stream to its end; the last events, where usage is, stay in `tail`. */
static void read_stream(client *c, int fd, double start, char *tail, size_t room) {
    size_t n = 0;
    for (ssize_t got; (got = recv(fd, tail + n, room - 1 - n, 0)) > 0;) {
        n += (size_t)got;
        tail[n] = 0;
        if (!c->first && strstr(tail, "\ndata: ")) c->first = now() - start;
        if (n > room / 2) {
            memmove(tail, tail + n - room / 4, room / 4 + 1);
            n = room / 4;
        }
    }
}

static void *ask(void *ctx) {
    client *c = ctx;
    enum { ROOM = 64 << 10 };
    char *tail = calloc(1, ROOM);
    double start = now();
    int fd = tail ? connect_to(c->port) : -1;
    c->tokens = -1;
    if (fd >= 0 && send(fd, c->request, c->bytes, MSG_NOSIGNAL) == (ssize_t)c->bytes) {
        read_stream(c, fd, start, tail, ROOM);
        const char *usage = strstr(tail, "\"completion_tokens\":");
        if (usage) c->tokens = (int32_t)strtol(usage + strlen("\"completion_tokens\":"), NULL, 10);
    }
    if (fd >= 0) close(fd);
    free(tail);
    return NULL;
}

/* A prompt of ids that no other client has, so that nothing comes out of the cache. */
static bool make_request(client *c, const serve_options *o, const fathom_info *info, uint32_t seed) {
    json_t *ids = json_array();
    for (int32_t i = 0; i < o->prompt; i++) {
        seed = seed * 1664525u + 1013904223u;
        json_array_append_new(ids,
                              json_integer((json_int_t)((uint64_t)(seed >> 8) * (uint64_t)info->vocabulary >> 24)));
    }
    json_t *body =
        json_pack("{s:s, s:o, s:i, s:i, s:b, s:{s:b}, s:b}", "model", info->model_name, "prompt", ids, "max_tokens",
                  o->new_tokens, "temperature", 0, "stream", 1, "stream_options", "include_usage", 1, "ignore_eos", 1);
    char *text = body ? fa_json_print(body, JSON_COMPACT) : NULL;
    json_decref(body);
    int n =
        text
            ? asprintf(
                  &c->request,
                  "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n\r\n%s",
                  strlen(text), text)
            : -1;
    free(text);
    c->bytes = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int report(const client *clients, int32_t n, const fathom_info *info, double seconds) {
    double first[MOST_STREAMS] = {0};
    int64_t tokens = 0;
    for (int32_t i = 0; i < n; i++) {
        if (clients[i].tokens < 0) return cli_fail("bench: stream %d of %d broke off", i + 1, n);
        first[i] = clients[i].first;
        tokens += clients[i].tokens;
    }
    qsort(first, (size_t)n, sizeof *first, by_size);
    json_t *line = json_pack("{s:s, s:s, s:i, s:I, s:f, s:f, s:f, s:f, s:f}", "model", info->model_name, "backend",
                             info->backend, "streams", n, "tokens", (json_int_t)tokens, "seconds", seconds,
                             "tokens_per_s", (double)tokens / seconds, "first_token_s_median", first[n / 2],
                             "first_token_s_p99", first[(n * 99 - 1) / 100], "first_token_s_max", first[n - 1]);
    bool ok = line && json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6)) == 0;
    if (ok) putchar('\n');
    fflush(stdout);
    json_decref(line);
    return ok ? CLI_OK : cli_fail("bench: memory ran out");
}

static int measure(const fa_server *server, const serve_options *o, const fathom_info *info, int32_t n, uint32_t seed) {
    client clients[MOST_STREAMS] = {0};
    int32_t started = 0;
    int code = CLI_OK;
    for (int32_t i = 0; i < n && !code; i++) {
        clients[i].port = fa_server_port(server);
        if (!make_request(&clients[i], o, info, seed + (uint32_t)i)) code = cli_fail("bench: memory ran out");
    }
    double start = now();
    for (int32_t i = 0; i < n && !code; i++, started++)
        if (pthread_create(&clients[i].thread, NULL, ask, &clients[i]))
            code = cli_fail("bench: no thread could be started");
    for (int32_t i = 0; i < started; i++) pthread_join(clients[i].thread, NULL);
    if (!code) code = report(clients, n, info, now() - start);
    for (int32_t i = 0; i < n; i++) free(clients[i].request);
    return code;
}

static int run(fathom_engine *engine, const serve_options *o, const char *database) {
    fa_server_options so = {.socket = -1, .database = database, .admission = fa_admission_defaults(o->streams)};
    fa_server *server;
    fathom_info info;
    fa_error e = {0};
    fathom_engine_info(engine, &info);
    if (fa_server_open(&server, engine, &so, &e)) return cli_fail("%s", e.text);
    int code = measure(server, o, &info, 1, 1);
    if (!code && o->streams > 1) code = measure(server, o, &info, o->streams, 1000);
    fa_server_close(server);
    return code;
}

int cli_bench_serve(int argc, char **argv) {
    serve_options o = {.streams = 16, .prompt = 64, .new_tokens = 64};
    char folder[] = "/tmp/fathom-bench-XXXXXX";
    char database[sizeof folder + 16];
    fathom_engine *engine;
    fathom_error e;
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    o.engine.sessions = o.streams;
    if (!o.engine.context) o.engine.context = o.prompt + o.new_tokens;
    if (!mkdtemp(folder)) return cli_fail("%s: %m", folder);
    snprintf(database, sizeof database, "%s/fathom.db", folder);
    int code = cli_engine_open(&engine, &o.engine, &e) ? cli_fail("%s", e.text) : run(engine, &o, database);
    fathom_engine_close(engine);
    static const char *const made[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        char path[sizeof database + 8];
        snprintf(path, sizeof path, "%s%s", database, made[i]);
        unlink(path);
    }
    rmdir(folder);
    return code;
}
