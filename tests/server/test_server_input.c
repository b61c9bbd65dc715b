/* What is said to those who send what is no request, without a word of theirs in it; and clients that are slow or half gone. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "host/server/fields.h"
#include "host/server/routes.h"
#include "tests/lib/check.h"
#include "tests/lib/http.h"

static check_server server;

#define HEAD "POST /chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
#define CHAT "\"model\": \"deepseek-chat\", \"max_tokens\": 1, \"messages\": [{\"role\": \"user\", \"content\": \"a\"}]"
#define CANARY "kolibri-7f3a91"

/* POST of `body`: a status of 400 whose error names `param` (NULL: none) and says `text`. */
static void refused(const char *path, const char *body, const char *param, const char *text) {
    check_response r = check_http(&server, "POST", path, NULL, body);
    json_t *o = check_response_json(&r), *e = json_object_get(o, "error");
    const char *named = json_string_value(json_object_get(e, "param")),
               *message = json_string_value(json_object_get(e, "message"));
    CHECK(r.status == 400, "%s: %d %s", body, r.status, r.body);
    CHECK(message && strstr(message, text) &&
              (param ? named && !strcmp(named, param) && strstr(message, param) : !named),
          "%s: %s", body, r.body);
    CHECK(!strstr(r.body, CANARY), "quoted: %s", r.body);
    json_decref(o);
    check_response_free(&r);
}

/* --- words that are no JSON ---------------------------------------------------------------------------------------------------- */

static void tried(const char *path, const fa_field *f, const char *base) {
    static const char *const words[] = {"NaN", "nan", "Infinity", "-Infinity", "+1", ".5", "0x10", "True", "1e"};
    if (f->kind != FA_FIELD_INT && f->kind != FA_FIELD_NUMBER) return;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char *body = NULL;
        CHECK(asprintf(&body, "{\"%s\": %s, %s}", f->name, words[i], base) > 0);
        refused(path, body, f->name, "is not JSON: line 1");
        free(body);
    }
    static const char *const texts[] = {"\"NaN\"", "\"1\"", "\"\"", "[]", "{}", "true"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *body = NULL;
        bool is_length = !strncmp(f->name, "max_tokens", 10); /* of which `base` has one */
        CHECK(asprintf(&body, "{\"%s\": %s, %s}", f->name, texts[i],
                       is_length ? "\"model\": \"deepseek-chat\", \"messages\": [], \"prompt\": \"\"" : base) > 0);
        refused(path, body, f->name, "expected");
        free(body);
    }
}

static void a_word_for_a_number_is_400_and_the_field_is_named(void *arg) {
    const fa_field *f;
    (void)arg;
    for (size_t i = 0; (f = fa_chat_field(i)); i++) tried("/chat/completions", f, CHAT);
    for (size_t i = 0; (f = fa_completion_field(i)); i++)
        tried("/completions", f, "\"model\": \"deepseek-chat\", \"max_tokens\": 1, \"prompt\": \"a\"");
}

static const struct {
    const char *name, *body, *param, *text;
} bodies[] = {
    {"a field that comes twice is named", "{" CHAT ", \"top_p\": 1, \"top_p\" : 0.5}", "top_p", "is there twice"},
    {"a name of no field that comes twice is not", "{\"" CANARY "\": 1, \"" CANARY "\": 2}", NULL, "is there twice"},
    {"nor one in a message",
     "{\"model\": \"deepseek-chat\", \"messages\": [{\"role\": \"user\", \"" CANARY "\": 1, \"" CANARY "\": 1}]}", NULL,
     "is there twice"},
    {"a word behind a name of no field is not repeated", "{\"" CANARY "\": " CANARY "}", NULL, "is not JSON"},
    {"nor one in a list", "{\"messages\": [" CANARY "]}", NULL, "is not JSON"},
    {"nor the rest of a cut body", "{\"messages\": \"" CANARY, NULL, "is not JSON"},
    {"white space around a word is none of it", "{\"temperature\"\n\t:\r\n  NaN }", "temperature", "line 3"},
    {"an empty body is no JSON", "", NULL, "is not JSON"},
    {"nor is a word alone", "NaN", NULL, "is not JSON"},
    {"nor a colon alone", ":NaN", NULL, "is not JSON"},
    {"nor half a name", "\": NaN", NULL, "is not JSON"},
    {"a list is no object", "[]", NULL, "must be a JSON object"},
    {"a role that nobody has is not repeated",
     "{\"model\": \"deepseek-chat\", \"messages\": [{\"role\": \"" CANARY "\", \"content\": \"a\"}]}", "messages",
     "expected system, user, assistant or tool"},
    {"nor is one that is no text",
     "{\"model\": \"deepseek-chat\", \"messages\": [{\"role\": [\"" CANARY "\"], \"content\": \"a\"}]}", "messages",
     "expected a text"},
    {"nor a model that is not there",
     "{\"model\": 3, \"messages\": [{\"role\": \"user\", \"content\": \"" CANARY "\"}]}", "model", "expected a text"},
};

static void body_is_refused(void *arg) {
    size_t i = (size_t)(uintptr_t)arg;
    refused("/chat/completions", bodies[i].body, bodies[i].param, bodies[i].text);
}

static void an_unknown_path_is_told_which_there_are(void *arg) {
    const fa_route *r;
    (void)arg;
    check_response got = check_http(&server, "GET", "/v1/" CANARY, NULL, NULL);
    CHECK(got.status == 404 && !strstr(got.body, CANARY), "%d %s", got.status, got.body);
    for (size_t i = 0; (r = fa_route_at(i)); i++) CHECK(strstr(got.body, r->path), "no %s: %s", r->path, got.body);
    check_response_free(&got);
}

/* --- time and ends --------------------------------------------------------------------------------------------------------------- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Whether the other side closes within `seconds`; what it sends before is dropped. */
static bool closes(int fd, double seconds) {
    char bytes[4096];
    for (double until = now() + seconds, left; (left = until - now()) > 0;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)(1000 * left) + 1) == 1 && recv(fd, bytes, sizeof bytes, 0) <= 0) return true;
    }
    return false;
}

/* One byte of `text` each tenth of a second, which is far from silence, until the other side closes; seconds that took. */
static double drip(int fd, const char *text) {
    double begin = now();
    for (const char *c = text; *c && now() - begin < 60; c++) {
        if (send(fd, c, 1, MSG_NOSIGNAL) != 1 || closes(fd, 0.1)) break;
    }
    return now() - begin;
}

/* The service was told that a request has two seconds. */
static void slow_ones_are_cut_off(void *arg) {
    static const char rest[] =
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
    int fd = check_connect(&server);
    check_send(fd, arg, strlen(arg));
    double took = drip(fd, rest);
    CHECK(took > 1.5 && took < 30, "cut off after %.1f s", took);
    close(fd);
    check_response r = check_http(&server, "GET", "/health", NULL, NULL);
    CHECK(r.status == 200);
    check_response_free(&r);
}

static void a_body_that_comes_in_time_is_read(void *arg) {
    static const char request[] = HEAD "Connection: close\r\nContent-Length: 2\r\n\r\n{";
    (void)arg;
    int fd = check_connect(&server);
    check_send(fd, request, sizeof request - 1);
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    check_send(fd, "}", 1);
    check_response r = check_receive(fd, 10);
    CHECK(r.status == 400 && strstr(r.body, "model: missing"), "%d %s", r.status, r.body);
    check_response_free(&r);
    close(fd);
}

/* The client has sent its last byte: no request will come on this connection any more. */
static void a_half_closed_connection_is_dropped(void *arg) {
    const char *sent = arg;
    int fd = check_connect(&server);
    check_send(fd, sent, strlen(sent));
    if (strstr(sent, "/health")) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        CHECK(poll(&p, 1, 10000) == 1, "no answer");
    }
    shutdown(fd, SHUT_WR);
    CHECK(closes(fd, 1.5), "it stays open"); /* silence alone would end it after two seconds */
    close(fd);
}

/* --- schemas that were made to hurt ---------------------------------------------------------------------------------------------- */

/* A stream whose schema has thousands of references, which takes long to compile. */
static int ask_with_references(void) {
    enum { REFERENCES = 20000 };
    char *body = NULL, *head = NULL;
    size_t n;
    FILE *f = open_memstream(&body, &n);
    CHECK(f);
    fprintf(
        f,
        "{\"model\": \"deepseek-chat\", \"stream\": true, \"max_tokens\": 2, \"n\": 3, \"messages\": [{\"role\": \"user\", \"content\": \"a\"}], "
        "\"response_format\": {\"type\": \"json_schema\", \"json_schema\": {\"name\": \"x\", \"schema\": {\"$ref\": \"#/$defs/0\", \"$defs\": {");
    for (int i = 0; i < REFERENCES; i++) fprintf(f, "\"%d\": {\"$ref\": \"#/$defs/x\"}, ", i);
    fputs("\"x\": {\"const\": 1}}}}}}", f);
    fclose(f);
    CHECK(asprintf(&head, HEAD "Connection: close\r\nContent-Length: %zu\r\n\r\n", n) > 0);
    int fd = check_connect(&server);
    check_send(fd, head, strlen(head));
    check_send(fd, body, n);
    free(head);
    free(body);
    return fd;
}

static int64_t under_way(void) {
    check_response r = check_http(&server, "GET", "/metrics", NULL, NULL);
    const char *running = strstr(r.body, "\nfathom_running "), *waiting = strstr(r.body, "\nfathom_waiting ");
    CHECK(running && waiting, "%s", r.body);
    int64_t n = atoll(running + 16) + atoll(waiting + 16);
    check_response_free(&r);
    return n;
}

/* Whether the stream has come to its end; nothing is taken from it. */
static bool has_ended(int fd) {
    static char seen[1 << 17];
    ssize_t n = recv(fd, seen, sizeof seen, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 && memmem(seen, (size_t)n, "[DONE]", 6);
}

/* Not by a clock, but by who comes first: an answer of eight tokens, or the last of twelve grammars, for which there are sessions at one time. */
static void a_schema_made_to_hurt_delays_nobody_else(void *arg) {
    enum { ASKERS = 4 };
    int fds[ASKERS];
    (void)arg;
    for (int i = 0; i < ASKERS; i++) fds[i] = ask_with_references();
    while (under_way() < ASKERS) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    check_response r = check_http(&server, "POST", "/completions", NULL,
                                  "{\"model\": \"deepseek-chat\", \"prompt\": \"a\", \"max_tokens\": 8}");
    CHECK(r.status == 200, "%d %s", r.status, r.body);
    check_response_free(&r);
    int ended = 0;
    for (int i = 0; i < ASKERS; i++) ended += has_ended(fds[i]);
    CHECK(ended < ASKERS, "all grammars were made before the answer without one");
    for (int i = 0; i < ASKERS; i++) {
        r = check_receive(fds[i], 30);
        CHECK(r.status == 200 && strstr(r.body, "data: [DONE]"), "%d %s", r.status, r.body);
        check_response_free(&r);
        close(fds[i]);
    }
}

/* Their clients leave while the grammars are made: the places are free again, and the service goes on. */
static void whoever_waits_for_a_schema_may_leave(void *arg) {
    enum { ASKERS = 12 };
    int fds[ASKERS];
    (void)arg;
    for (int i = 0; i < ASKERS; i++) fds[i] = ask_with_references();
    while (under_way() < ASKERS) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    for (int i = 0; i < ASKERS; i++) close(fds[i]);
    for (int i = 0; under_way(); i++) {
        CHECK(i < 3000, "places stay taken");
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static const check_case others[] = {
    {"a word for a number is 400 and the field is named", a_word_for_a_number_is_400_and_the_field_is_named, NULL},
    {"an unknown path is told which there are", an_unknown_path_is_told_which_there_are, NULL},
    {"a body of one byte now and then is cut off", slow_ones_are_cut_off, HEAD "Content-Length: 5000\r\n\r\n"},
    {"so are chunks", slow_ones_are_cut_off, HEAD "Transfer-Encoding: chunked\r\n\r\nfff\r\n"},
    {"so are headers", slow_ones_are_cut_off, "GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: "},
    {"so is a first line", slow_ones_are_cut_off, "GET /"},
    {"a schema made to hurt delays nobody else", a_schema_made_to_hurt_delays_nobody_else, NULL},
    {"whoever waits for a schema may leave", whoever_waits_for_a_schema_may_leave, NULL},
    {"a body that comes in time is read", a_body_that_comes_in_time_is_read, NULL},
    {"a half-closed connection is dropped", a_half_closed_connection_is_dropped,
     "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"},
    {"also before a request", a_half_closed_connection_is_dropped, ""},
    {"also inside headers", a_half_closed_connection_is_dropped, "GET /health HTTP/1.1\r\nHost"},
    {"also inside a body", a_half_closed_connection_is_dropped, HEAD "Content-Length: 50\r\n\r\n{"},
};

enum { BODIES = sizeof bodies / sizeof *bodies, OTHERS = sizeof others / sizeof *others };

int main(int argc, char **argv) {
    check_case cases[BODIES + OTHERS];
    for (size_t i = 0; i < BODIES; i++) cases[i] = (check_case){bodies[i].name, body_is_refused, (void *)(uintptr_t)i};
    memcpy(cases + BODIES, others, sizeof others);
    check_server_start(&server, "--threads 1 --request-seconds 2");
    int failed = check_main(argc, argv, cases, BODIES + OTHERS);
    return check_server_stop(&server) || failed;
}
