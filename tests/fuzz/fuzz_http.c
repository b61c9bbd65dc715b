/* What may come over a connection, against a whole server in this process. The first byte of an input says how the rest is read: as bytes of a connection;
 * as choices from which a request is composed that gets deeper, sent over a connection; or, most often, as such a request given to its route's
 * handler in this thread, which does what the preparing thread does (JSON, fields, messages, tools, schemas, tokens) many thousand times faster.
 *
 * Two programs from one file: with FATHOM_LIBFUZZER the target of libFuzzer (`make fuzz T=http TIME=60`), without it a test that replays
 * tests/fuzz/corpus-http and some thousand inputs composed at random. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/fathom.h"
#include "host/server/internal.h"
#include "host/server/routes.h"
#include "host/server/server.h"
#include "tests/lib/check.h"
#include "tests/lib/files.h"

enum { REQUEST_BYTES = 1 << 16 };

/* ---- composing a request ---- */

typedef struct input {
    const uint8_t *p, *end;
} input;

typedef struct output {
    char text[REQUEST_BYTES];
    size_t n;
} output;

static unsigned take(input *in) {
    return in->p < in->end ? *in->p++ : 0;
}

static void put(output *out, const char *text, size_t n) {
    if (n > sizeof out->text - out->n) n = sizeof out->text - out->n;
    memcpy(out->text + out->n, text, n);
    out->n += n;
}

static void puts_to(output *out, const char *text) {
    put(out, text, strlen(text));
}

#define PICK(in, table) ((table)[take(in) % (sizeof(table) / sizeof *(table))])

static const char *const methods[] = {"POST", "POST", "POST", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "BREW"};
static const char *const paths[] = {
    "/chat/completions",
    "/v1/chat/completions",
    "/beta/chat/completions",
    "/completions",
    "/beta/completions",
    "/tokenize",
    "/detokenize",
    "/models",
    "/models/m",
    "/v1/models/%00%ff",
    "/user/balance",
    "/embeddings",
    "/metrics",
    "/health",
    "/ready",
    "/",
    "//",
    "/../etc/passwd",
    "/v1",
    "*",
    "/chat/completions?x=1",
};
static const char *const headers[] = {
    "Content-Type: application/json\r\n",
    "Content-Type: application/json; charset=utf-8\r\n",
    "Content-Type: text/plain\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Content-Length: 3\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, Upgrade\r\n",
    "Authorization: Bearer sk-wrong\r\n",
    "Authorization: Basic eA==\r\n",
    "Host: a\r\nHost: b\r\n",
    "X: y\r\n folded\r\n",
    "\r\n",
    "Accept-Encoding: \x80\xff\r\n",
};
static const char *const names[] = {
    "model",
    "messages",
    "role",
    "content",
    "prompt",
    "suffix",
    "stream",
    "stream_options",
    "include_usage",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "seed",
    "stop",
    "logprobs",
    "top_logprobs",
    "presence_penalty",
    "frequency_penalty",
    "response_format",
    "type",
    "json_schema",
    "schema",
    "properties",
    "required",
    "enum",
    "items",
    "$ref",
    "anyOf",
    "pattern",
    "tools",
    "function",
    "name",
    "parameters",
    "arguments",
    "tool_choice",
    "tool_calls",
    "tool_call_id",
    "id",
    "prefix",
    "reasoning_content",
    "thinking",
    "echo",
    "text",
    "ids",
    "tokens",
    "input",
    "logit_bias",
    "user",
    "parallel_tool_calls",
    "strict",
    "",
};
static const char *const values[] = {
    "-1",
    "0",
    "1",
    "2",
    "2147483648",
    "-2147483649",
    "9223372036854775808",
    "1e308",
    "-1e400",
    "0.5",
    "NaN",
    "true",
    "false",
    "null",
    "\"\"",
    "\"user\"",
    "\"assistant\"",
    "\"system\"",
    "\"tool\"",
    "\"function\"",
    "\"json_object\"",
    "\"json_schema\"",
    "\"object\"",
    "\"string\"",
    "\"array\"",
    "\"integer\"",
    "\"auto\"",
    "\"required\"",
    "\"none\"",
    "\"deepseek-chat\"",
    "\"deepseek-reasoner\"",
    "\"text\"",
    "\"enabled\"",
    "\"What is 2 + 2?\"",
    "\"<think>\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"\xff\"",
    "\"\xe4\xb8\xad\"",
    "[]",
    "{}",
    "[0,1,2]",
    "#",
    "[",
    "}",
};

/* A JSON value, or nearly one. */
static void compose_value(input *in, output *out, int depth) {
    unsigned kind = take(in), n = take(in) % 6;
    if (kind % 4 == 0 && depth < 12) {
        puts_to(out, "{");
        for (unsigned i = 0; i < n; i++) {
            puts_to(out, i ? ",\"" : "\"");
            puts_to(out, PICK(in, names));
            puts_to(out, "\":");
            compose_value(in, out, depth + 1);
        }
        puts_to(out, "}");
    } else if (kind % 4 == 1 && depth < 12) {
        puts_to(out, "[");
        for (unsigned i = 0; i < n; i++) {
            if (i) puts_to(out, ",");
            compose_value(in, out, depth + 1);
        }
        puts_to(out, "]");
    } else if (kind % 16 == 2) {
        size_t length = (size_t)(in->end - in->p) < n ? (size_t)(in->end - in->p) : n;
        puts_to(out, "\"");
        put(out, (const char *)in->p, length);
        in->p += length;
        puts_to(out, "\"");
    } else {
        puts_to(out, PICK(in, values));
    }
}

/* A body that is right but for some fields. */
static void compose_body(input *in, output *out) {
    static const char *const starts[] = {
        "{\"model\":\"deepseek-chat\",\"max_tokens\":2,\"messages\":[{\"role\":\"user\",\"content\":\"2+2\"}]",
        "{\"model\":\"deepseek-reasoner\",\"max_tokens\":2,\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"2+2\"}]",
        "{\"model\":\"deepseek-chat\",\"max_tokens\":1,\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":",
        "{\"model\":\"deepseek-chat\",\"max_tokens\":1,\"messages\":",
        "{\"model\":\"deepseek-chat\",\"max_tokens\":1,\"prompt\":\"2+2=\"",
        "{\"max_tokens\":1,\"prompt\":",
        "{\"text\":",
        "{\"tokens\":",
        "{\"model\":",
    };
    const char *start = PICK(in, starts);
    puts_to(out, start);
    if (start[strlen(start) - 1] == ':') compose_value(in, out, 0);
    if (strstr(start, "system")) puts_to(out, "}]");
    for (unsigned n = take(in) % 5; n; n--) {
        puts_to(out, ",\"");
        puts_to(out, PICK(in, names));
        puts_to(out, "\":");
        compose_value(in, out, 0);
    }
    puts_to(out, "}");
}

typedef struct composed {
    const char *method, *path;
    unsigned how;
    output body;
} composed;

static void compose(input *in, composed *c) {
    c->how = take(in);
    c->body.n = 0;
    c->method = c->how % 16 == 1 ? PICK(in, methods) : "POST";
    c->path = c->how % 3 ? PICK(in, paths) : "/chat/completions";
    if (c->how % 8)
        compose_body(in, &c->body);
    else
        compose_value(in, &c->body, 0);
}

/* Writes it as it goes over a connection. True when it is whole: its length and headers are right. */
static bool write_request(input *in, const composed *c, output *out) {
    unsigned how = c->how;
    char length[64];
    puts_to(out, c->method);
    puts_to(out, " ");
    puts_to(out, c->path);
    puts_to(out, how % 32 == 5 ? " HTTP/1.0\r\nHost: x\r\n" : " HTTP/1.1\r\nHost: x\r\n");
    if (how % 4 != 3) puts_to(out, headers[0]);
    for (unsigned n = how % 8 == 7 ? take(in) % 4 : 0; n; n--) puts_to(out, PICK(in, headers));
    snprintf(length, sizeof length, "Content-Length: %zu\r\n\r\n", c->body.n);
    puts_to(out, how % 64 == 9 ? "\r\n" : length);
    put(out, c->body.text, c->body.n);
    return how % 8 != 7 && how % 64 != 9 && out->n < sizeof out->text;
}

/* ---- a server and one connection ---- */

static fa_server *server;
static fathom_engine *engine;
static char *folder, database[300];

static void open_server(void) {
    fathom_error bad;
    fa_error e;
    fathom_options o = {.model = "models/fathom-r1-mini", .sessions = 4, .context = 96, .threads = 1};
    folder = check_scratch();
    snprintf(database, sizeof database, "%s/fathom.db", folder);
    CHECK_OK(fathom_engine_open(&engine, &o, &bad), &bad);
    fa_server_options s = {
        .socket = -1, .database = database, .admission = fa_admission_defaults(4), .body_bytes = REQUEST_BYTES};
    CHECK_OK(fa_server_open(&server, engine, &s, &e), &e);
}

static void close_server(void) {
    fa_server_close(server);
    fathom_engine_close(engine);
    check_remove(folder);
    free(folder);
}

static int connect_to(void) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(fa_server_port(server)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger at_once = {1, 0}; /* no connection lingers in TIME_WAIT: ports would run out */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "%s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return fd;
}

/* Whether a whole response is there; *status of it. */
static bool is_whole(const char *reply, size_t n, bool head_only, int *status) {
    const char *body = memmem(reply, n, "\r\n\r\n", 4), *length = memmem(reply, n, "Content-Length: ", 16);
    if (!body || n < 12) return false;
    *status = atoi(reply + 9);
    if (*status == 100) return false;
    size_t have = n - (size_t)(body + 4 - reply);
    if (head_only) return true;
    if (length && length < body) return have >= strtoull(length + 16, NULL, 10);
    return have >= 5 && !memcmp(reply + n - 5, "0\r\n\r\n", 5);
}

/* Sends and reads one response; returns its status, 0 for none. One whose end is known must come; what else is sent may wait for more of it, and is left. */
static int exchange(const output *o, bool whole_request, bool head_only) {
    static char reply[1 << 18];
    int status = 0, fd = connect_to();
    size_t have = 0;
    ssize_t k = 1;
    struct timeval patience = {whole_request ? 20 : 0, whole_request ? 0 : 2000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    for (size_t done = 0; done < o->n && k > 0; done += (size_t)k)
        k = send(fd, o->text + done, o->n - done, MSG_NOSIGNAL);
    errno = 0;
    while (have < sizeof reply && !is_whole(reply, have, head_only, &status)) {
        k = recv(fd, reply + have, sizeof reply - have, 0);
        if (k <= 0) break;
        have += (size_t)k;
    }
    CHECK(!whole_request || errno != EAGAIN, "no answer came to: %.*s", (int)(o->n < 400 ? o->n : 400), o->text);
    close(fd);
    return status;
}

/* What the HTTP thread and the preparing thread do with a whole request, without a connection. */
static int handle(const composed *c) {
    fa_found_route found = fa_route_find(c->method, c->path);
    if (!found.route) return 404;
    fa_exchange *x = fa_exchange_new(server, NULL);
    CHECK(x);
    x->route = found.route;
    x->beta = found.beta;
    memcpy(x->name, found.name, sizeof x->name);
    x->who = (fa_identity){.slot = 0, .rights = ~0U};
    CHECK(fa_text_append(&x->body, c->body.text, c->body.n) == FA_OK);
    bool computes = x->route->handle(x);
    CHECK(computes || fa_exchange_has_ended(x), "no answer to: %.*s", (int)(c->body.n < 400 ? c->body.n : 400),
          c->body.text);
    int status = computes ? 200 : x->status;
    fa_exchange_release(x);
    return status;
}

/* Not on the stack: they are large. One input runs at a time. */
static output request;
static composed parts;

/* A connection costs some milliseconds: libFuzzer, to which those inputs look new each time because threads ran otherwise, gets to open one for every 64th. */
static bool may_connect(const uint8_t *data, size_t size) {
#ifdef FATHOM_LIBFUZZER
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (size_t i = 0; i < size; i++) hash = (hash ^ data[i]) * 16777619U;
    return (hash >> 8) % 64 == 0;
#else
    (void)data;
    (void)size;
    return true;
#endif
}

static int run_one(const uint8_t *data, size_t size) {
    input in = {data, data + size};
    unsigned mode = take(&in);
    bool connect = mode < 8 && may_connect(data, size);
    request.n = 0;
    if (mode < 4 && connect) {
        put(&request, (const char *)in.p, (size_t)(in.end - in.p));
        return exchange(&request, false, false);
    }
    compose(&in, &parts);
    if (!connect) return handle(&parts);
    bool whole = write_request(&in, &parts, &request);
    return exchange(&request, whole, !strcmp(parts.method, "HEAD"));
}

#ifdef FATHOM_LIBFUZZER

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    open_server();
    atexit(close_server);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    run_one(data, size);
    return 0;
}

#else

enum { RANDOM_INPUTS = 20000 };

static void replay_file(const char *name) {
    char path[600];
    size_t n;
    snprintf(path, sizeof path, "tests/fuzz/corpus-http/%s", name);
    uint8_t *data = check_read(path, &n);
    run_one(data, n);
    free(data);
}

static void what_the_fuzzer_found_is_answered(void *arg) {
    (void)arg;
    DIR *d = opendir("tests/fuzz/corpus-http");
    struct dirent *one;
    int n = 0;
    CHECK(d, "%s", strerror(errno));
    open_server();
    while ((one = readdir(d)))
        if (one->d_name[0] != '.') {
            replay_file(one->d_name);
            n++;
        }
    closedir(d);
    close_server();
    CHECK(n > 10, "%d inputs", n);
}

/* Composed ones reach answers (200) as well as each kind of refusal, so they do get deep. */
static void composed_requests_are_answered(void *arg) {
    (void)arg;
    check_rng rng = {77};
    int seen[600] = {0};
    open_server();
    for (int i = 0; i < RANDOM_INPUTS; i++) {
        uint8_t data[200];
        for (size_t k = 0; k < sizeof data; k++) data[k] = (uint8_t)check_u64(&rng);
        data[0] = (uint8_t)(i % 40 ? 255 : 5);
        int status = run_one(data, sizeof data);
        CHECK(status < 500 || status == 503, "input %d: status %d: %.*s", i, status, (int)parts.body.n,
              parts.body.text);
        seen[status]++;
    }
    close_server();
    static const int expected[] = {200, 400, 404, 405, 415, 422};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        CHECK(seen[expected[i]], "no request got %d", expected[i]);
}

static const check_case cases[] = {
    {"what the fuzzer found is answered", what_the_fuzzer_found_is_answered, NULL},
    {"composed requests are answered", composed_requests_are_answered, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}

#endif
