/* What no proper client sends, and clients that leave: each must be answered or dropped, and the service goes on. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/http.h"

static check_server server;

#define HEAD "POST /chat/completions HTTP/1.1\r\nHost: x\r\n"
#define JSON "Content-Type: application/json\r\n"

/* Bytes as they are, and what must come back: one of two statuses, or 0: the connection closed without a word. */
static const struct {
    const char *name, *bytes;
    int status, other;
} rows[] = {
    {"two lengths are refused", HEAD JSON "Content-Length: 2\r\nContent-Length: 50\r\n\r\n{}", 400, 0},
    {"two equal lengths are refused", HEAD JSON "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400, 0},
    {"a length beside chunks is refused",
     HEAD JSON
     "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
     400, 0},
    {"a coding that is not chunked is refused", HEAD JSON "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, 0},
    {"a coding spelled to be overlooked is refused", HEAD JSON "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, 0},
    {"a negative length is refused", HEAD JSON "Content-Length: -1\r\n\r\n", 400, 0},
    {"a length that is no number is refused", HEAD JSON "Content-Length: 0x10\r\n\r\n", 400, 0},
    {"a length beyond 64 bits is refused", HEAD JSON "Content-Length: 99999999999999999999999\r\n\r\n", 413, 400},
    {"a body announced too large is 413 before it is sent", HEAD JSON "Content-Length: 5000000\r\n\r\n", 413, 413},
    {"a chunk of a size that is no number ends the connection",
     HEAD JSON "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400, 0},
    {"chunks are understood",
     HEAD JSON "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 400, 400},
    {"another content type is 415", HEAD "Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
     415, 415},
    {"no content type is 415", HEAD "Connection: close\r\nContent-Length: 2\r\n\r\n{}", 415, 415},
    {"a content type with a charset is taken",
     HEAD "Connection: close\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}", 400,
     400},
    {"a request without a host is refused", "GET /health HTTP/1.1\r\n\r\n", 400, 400},
    {"nonsense is refused", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 nonsense\r\n\r\n", 400, 0},
    {"a path with .. is no path", "GET /v1/../health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404, 404},
    {"an escaped path is no other route", "GET /%2e%2e/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404,
     404},
    {"HEAD is answered without a body", "HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200, 200},
    {"HTTP/1.0 is answered", "GET /health HTTP/1.0\r\n\r\n", 200, 200},
};

static void still_answers(void) {
    check_response r = check_http(&server, "GET", "/health", NULL, NULL);
    CHECK(r.status == 200, "%d", r.status);
    check_response_free(&r);
}

static void row_holds(void *arg) {
    size_t i = (size_t)(uintptr_t)arg;
    int fd = check_connect(&server);
    check_send(fd, rows[i].bytes, strlen(rows[i].bytes));
    check_response r = check_receive(fd, 3);
    CHECK(r.status == rows[i].status || r.status == rows[i].other, "%d %s%s", r.status, r.headers, r.body);
    CHECK(!strstr(r.body, "HTTP/1.1 200"), "a second request was found: %s", r.body);
    check_response_free(&r);
    close(fd);
    still_answers();
}

static void a_flood_of_headers_is_cut_off(void *arg) {
    (void)arg;
    int fd = check_connect(&server);
    check_send(fd, "GET /health HTTP/1.1\r\nHost: x\r\n", 31);
    for (int i = 0; i < 4000; i++) {
        char line[64];
        int n = snprintf(line, sizeof line, "X-%d: 0123456789012345678901234567890123456789\r\n", i);
        check_send(fd, line, (size_t)n);
    }
    check_send(fd, "\r\n", 2);
    check_response r = check_receive(fd, 5);
    CHECK(r.status == 431 || r.status == 413 || r.status == 0, "%d", r.status);
    check_response_free(&r);
    close(fd);
    still_answers();
}

static void a_path_without_end_is_cut_off(void *arg) {
    (void)arg;
    char *path = malloc(100001);
    memset(path, 'a', 100000);
    path[0] = '/';
    path[100000] = 0;
    check_response r = check_http(&server, "GET", path, NULL, NULL);
    CHECK(r.status == 414 || r.status == 431 || r.status == 0, "%d", r.status);
    check_response_free(&r);
    free(path);
    still_answers();
}

/* A body made of `n` times `piece` between two texts. */
static char *body_of(const char *before, const char *piece, int n, const char *after) {
    size_t k = strlen(piece), at = strlen(before);
    char *text = malloc(at + k * (size_t)n + strlen(after) + 1);
    memcpy(text, before, at);
    for (int i = 0; i < n; i++, at += k) memcpy(text + at, piece, k);
    strcpy(text + at, after);
    return text;
}

static void deep_json_is_answered(void *arg) {
    static const struct {
        const char *piece;
        int n;
    } deep[] = {{"[", 100}, {"[", 100000}, {"{\"a\":", 100}, {"{\"a\":", 100000}};
    (void)arg;
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        char *text = body_of("{\"model\": \"deepseek-chat\", \"messages\": ", deep[i].piece, deep[i].n, "");
        check_response r = check_http(&server, "POST", "/chat/completions", NULL, text);
        CHECK(r.status == 400, "%d", r.status);
        check_response_free(&r);
        free(text);
    }
    char *closed = body_of(
        "{\"model\": \"deepseek-chat\", \"max_tokens\": 1, \"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"x\": ",
        "[", 100, "");
    char *text = body_of(closed, "]", 100, "}");
    check_response r = check_http(&server, "POST", "/chat/completions", NULL, text);
    CHECK(r.status == 200, "100 levels in a field that is ignored: %d %s", r.status, r.body);
    check_response_free(&r);
    free(closed);
    free(text);
}

static void a_body_beyond_the_limit_is_413(void *arg) {
    (void)arg;
    char *text = body_of("{\"x\": \"", "0123456789abcdef", 300000, "\"}");
    check_response r = check_http(&server, "POST", "/chat/completions", NULL, text);
    CHECK(r.status == 413 || r.status == 0, "%d", r.status);
    check_response_free(&r);
    int fd = check_connect(&server);
    static const char head[] = HEAD JSON "Transfer-Encoding: chunked\r\n\r\n";
    check_send(fd, head, sizeof head - 1);
    char size[16];
    int n = snprintf(size, sizeof size, "%zx\r\n", strlen(text));
    check_send(fd, size, (size_t)n);
    check_send(fd, text, strlen(text));
    check_send(fd, "\r\n0\r\n\r\n", 7);
    r = check_receive(fd, 5);
    CHECK(r.status == 413 || r.status == 0, "in chunks: %d", r.status);
    check_response_free(&r);
    close(fd);
    free(text);
    still_answers();
}

static void a_connection_is_used_again(void *arg) {
    static const char ask[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    (void)arg;
    int fd = check_connect(&server);
    for (int i = 0; i < 3; i++) {
        char seen[2000] = "";
        size_t n = 0;
        check_send(fd, ask, sizeof ask - 1);
        while (!strstr(seen, "\"ok\"}")) {
            ssize_t got = recv(fd, seen + n, sizeof seen - 1 - n, 0);
            CHECK(got > 0, "request %d: %s", i, seen);
            n += (size_t)got;
            seen[n] = 0;
        }
    }
    close(fd);
}

/* --- clients that leave ---------------------------------------------------------------------------------------------------------- */

static int64_t metric(const char *name) {
    check_response r = check_http(&server, "GET", "/metrics", NULL, NULL);
    char line[64];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(r.body, line);
    CHECK(at, "no %s in %s", name, r.body);
    int64_t value = atoll(at + strlen(line));
    check_response_free(&r);
    return value;
}

static void nap(int ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static bool comes_to(const char *name, int64_t value) {
    for (int i = 0; i < 1000; i++) {
        if (metric(name) == value) return true;
        nap(10);
    }
    return false;
}

/* A long answer of which the client sees nothing or the beginning. The stop that matters is the server's: nobody is left to compute for. */
static int start_long(const char *more) {
    char *text = NULL;
    int fd = check_connect(&server);
    char body[400];
    int m = snprintf(
        body, sizeof body,
        "{\"model\": \"deepseek-reasoner\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 47 * 68?\"}], "
        "\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"x\", \"schema\": {\"type\": \"array\", "
        "\"items\": {\"type\": \"integer\"}, \"minItems\": 20000}}}%s}",
        more);
    int n = asprintf(&text, HEAD JSON "Content-Length: %d\r\n\r\n%s", m, body);
    CHECK(n > 0);
    check_send(fd, text, (size_t)n);
    free(text);
    return fd;
}

static void clients_that_leave_free_their_places(void *arg) {
    enum { CLIENTS = 10 };
    int fds[CLIENTS];
    int64_t before = metric("fathom_disconnects_total");
    (void)arg;
    for (int i = 0; i < CLIENTS; i++) fds[i] = start_long(i % 2 ? ", \"stream\": true" : "");
    for (int i = 0; i < CLIENTS; i++) close(fds[i]);
    CHECK(comes_to("fathom_running", 0) && comes_to("fathom_waiting", 0), "places stay taken");
    CHECK(metric("fathom_disconnects_total") > before, "no client was seen to leave");
}

static void a_reader_that_stops_does_not_stop_the_others(void *arg) {
    (void)arg;
    int fd = start_long(", \"stream\": true"); /* nothing is read */
    json_t *body = check_chat("deepseek-chat", "What is 1 + 1?");
    check_response r = check_post(&server, "/chat/completions", NULL, body);
    CHECK(r.status == 200, "%d", r.status);
    check_response_free(&r);
    close(fd);
    CHECK(comes_to("fathom_running", 0), "its place stays taken");
}

/* --- starting and stopping --------------------------------------------------------------------------------------------------------- */

static void running_answers_end_before_the_service(void *arg) {
    check_server own;
    (void)arg;
    check_server_start(&own, "--threads 1");
    char *text = NULL;
    static const char body[] =
        "{\"model\": \"deepseek-reasoner\", \"stream\": true, \"temperature\": 0, \"messages\": [{\"role\": \"user\", "
        "\"content\": \"What is 47 * 68?\"}]}";
    int n = asprintf(&text, HEAD JSON "Connection: close\r\nContent-Length: %zu\r\n\r\n%s", sizeof body - 1, body);
    int fd = check_connect(&own);
    check_send(fd, text, (size_t)n);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    CHECK(poll(&p, 1, 20000) == 1, "no answer begins");
    kill(own.child, SIGTERM);
    check_response r = check_receive(fd, 20);
    CHECK(strstr(r.body, "data: [DONE]"), "the answer was cut: %s", r.body);
    check_response_free(&r);
    close(fd);
    free(text);
    int status = check_server_stop(&own);
    CHECK(status == 0, "exit status %d", status);
}

static void a_passed_socket_is_used(void *arg) {
    (void)arg;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    char *folder = check_folder();
    CHECK(!bind(listener, (struct sockaddr *)&at, sizeof at) && !listen(listener, 16) &&
          !getsockname(listener, (struct sockaddr *)&at, &size));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char pid[16], database[200];
        snprintf(pid, sizeof pid, "%d", getpid());
        snprintf(database, sizeof database, "%s/fathom.db", folder);
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
        int nothing = open("/dev/null", O_WRONLY);
        dup2(nothing, 1);
        dup2(nothing, 2);
        if (listener == 3)
            fcntl(3, F_SETFD, 0);
        else
            dup2(listener, 3);
        execl(getenv("FATHOM_BIN"), "fathom", "serve", "--threads", "1", "--database", database, (char *)NULL);
        _exit(127);
    }
    check_server passed = {.child = child, .port = ntohs(at.sin_port)};
    close(listener);
    check_response r = check_http(&passed, "GET", "/health", NULL, NULL); /* waits in the backlog until it serves */
    kill(child, SIGTERM);
    int status;
    waitpid(child, &status, 0);
    check_folder_remove(folder);
    CHECK(r.status == 200 && WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d, ended with %d", r.status, status);
    check_response_free(&r);
}

static void others_are_not_served_without_keys_and_tls(void *arg) {
    static const struct {
        const char *prepare, *options, *says;
    } uses[] = {
        {"true", "", "needs a key"},
        {"\"$FATHOM_BIN\" key add a --database %s/a.db >/dev/null 2>&1", "", "needs TLS"},
        {"true", "--tls-cert /dev/null", "belong together"},
        {"true", "--tls-cert /dev/null/x --tls-key /dev/null/x", "/dev/null/x"},
    };
    (void)arg;
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        char *folder = check_folder();
        check_output o = check_command(uses[i].prepare, folder);
        check_output_free(&o);
        o = check_command("timeout 30 \"$FATHOM_BIN\" serve --port 0 --address 0.0.0.0 --database %s/a.db %s", folder,
                          uses[i].options);
        CHECK(o.status != 0 && o.status != 124 && strstr(o.err, uses[i].says), "%d %s", o.status, o.err);
        check_output_free(&o);
        check_folder_remove(folder);
    }
}

static void tls_is_spoken(void *arg) {
    check_server own;
    char *folder = check_folder(), *options = NULL;
    (void)arg;
    check_output o = check_command(
        "cd %s && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 1 -subj /CN=localhost "
        "-addext subjectAltName=IP:127.0.0.1",
        folder);
    CHECK(o.status == 0, "%s", o.err);
    check_output_free(&o);
    CHECK(asprintf(&options, "--threads 1 --tls-cert %s/cert.pem --tls-key %s/key.pem", folder, folder) > 0);
    check_server_start(&own, options);
    o = check_command(
        "curl -sS --cacert %s/cert.pem https://127.0.0.1:%d/v1/chat/completions -H 'Content-Type: application/json' "
        "-d '{\"model\": \"deepseek-chat\", \"stream\": true, \"messages\": [{\"role\": \"user\", \"content\": \"What is 1 + 1?\"}]}'",
        folder, own.port);
    CHECK(o.status == 0 && strstr(o.out, "data: [DONE]"), "%d %s%s", o.status, o.out, o.err);
    check_output_free(&o);
    check_server_stop(&own);
    free(options);
    check_folder_remove(folder);
}

static void the_bench_measures_one_stream_and_many(void *arg) {
    (void)arg;
    check_output o = check_command("\"$FATHOM_BIN\" bench serve --threads 1 --streams 3 --prompt 8 -n 4");
    json_error_t e;
    json_t *one = json_loads(o.out, JSON_DISABLE_EOF_CHECK, &e),
           *many = json_loads(strchr(o.out, '\n') ? strchr(o.out, '\n') : "", 0, &e);
    CHECK(o.status == 0 && one && many, "%d %s%s", o.status, o.out, o.err);
    CHECK(json_integer_value(json_object_get(one, "tokens")) == 4 &&
              json_integer_value(json_object_get(many, "tokens")) == 12,
          "%s", o.out);
    CHECK(json_real_value(json_object_get(many, "first_token_s_median")) > 0, "%s", o.out);
    json_decref(one);
    json_decref(many);
    check_output_free(&o);
}

enum { ROWS = sizeof rows / sizeof *rows };

int main(int argc, char **argv) {
    static const check_case others[] = {
        {"a flood of headers is cut off", a_flood_of_headers_is_cut_off, NULL},
        {"a path without end is cut off", a_path_without_end_is_cut_off, NULL},
        {"deep JSON is answered", deep_json_is_answered, NULL},
        {"a body beyond the limit is 413", a_body_beyond_the_limit_is_413, NULL},
        {"a connection is used again", a_connection_is_used_again, NULL},
        {"clients that leave free their places", clients_that_leave_free_their_places, NULL},
        {"a reader that stops does not stop the others", a_reader_that_stops_does_not_stop_the_others, NULL},
        {"running answers end before the service does", running_answers_end_before_the_service, NULL},
        {"a socket that is passed is used", a_passed_socket_is_used, NULL},
        {"others are not served without keys and TLS", others_are_not_served_without_keys_and_tls, NULL},
        {"TLS is spoken", tls_is_spoken, NULL},
        {"the bench measures one stream and many", the_bench_measures_one_stream_and_many, NULL},
    };
    enum { OTHERS = sizeof others / sizeof *others };
    check_case cases[ROWS + OTHERS];
    for (size_t i = 0; i < ROWS; i++) cases[i] = (check_case){rows[i].name, row_holds, (void *)(uintptr_t)i};
    memcpy(cases + ROWS, others, sizeof others);
    check_server_start(&server, "--threads 1 --parallel 4");
    int failed = check_main(argc, argv, cases, ROWS + OTHERS);
    return check_server_stop(&server) || failed;
}
