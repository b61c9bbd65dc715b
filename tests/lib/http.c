#include "tests/lib/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

/* --- the server --------------------------------------------------------------------------------------------------------- */

static void nap(double seconds) {
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

static char *read_file(const char *path) {
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 1 << 20);
    if (f) {
        if (fread(text, 1, (1 << 20) - 1, f) == 0) text[0] = 0;
        fclose(f);
    }
    return text;
}

/* The port in what the server printed, or 0. */
static int port_in(const char *path) {
    char *text = read_file(path), *colon = strrchr(text, ':');
    int port = colon && strchr(text, '\n') ? atoi(colon + 1) : 0;
    free(text);
    return port;
}

void check_server_start(check_server *s, const char *options) {
    char *command = NULL, *out = NULL;
    *s = (check_server){.folder = check_folder()};
    CHECK(asprintf(&s->log_path, "%s/log", s->folder) > 0 && asprintf(&out, "%s/out", s->folder) > 0);
    CHECK(asprintf(&command, "exec \"$FATHOM_BIN\" serve --port 0 --database '%s/fathom.db' %s >'%s' 2>'%s' </dev/null",
                   s->folder, options ? options : "", out, s->log_path) > 0);
    fflush(stdout);
    s->child = fork();
    CHECK(s->child >= 0, "%s", strerror(errno));
    if (s->child == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 1200 && !s->port; i++) {
        CHECK(waitpid(s->child, NULL, WNOHANG) == 0, "it ended: %s", read_file(s->log_path));
        s->port = port_in(out);
        if (!s->port) nap(0.05);
    }
    CHECK(s->port, "it does not listen: %s", read_file(s->log_path));
    free(command);
    free(out);
}

int check_server_stop(check_server *s) {
    int status = 0;
    pid_t ended = 0;
    kill(s->child, SIGTERM);
    for (int i = 0; i < 400 && !(ended = waitpid(s->child, &status, WNOHANG)); i++) nap(0.05);
    if (!ended) {
        kill(s->child, SIGKILL);
        waitpid(s->child, &status, 0);
    }
    check_folder_remove(s->folder);
    free(s->log_path);
    if (!ended) puts("FAIL SIGTERM ends the server within 20 s");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

char *check_server_key(const check_server *s, const char *name, const char *options) {
    check_output o = check_command("\"$FATHOM_BIN\" key add '%s' %s --database '%s/fathom.db'", name,
                                   options ? options : "", s->folder);
    char *at = strstr(o.out, "sk-fathom-");
    CHECK(o.status == 0 && at, "%s%s", o.out, o.err);
    char *key = strndup(at, strcspn(at, " \n"));
    check_output_free(&o);
    for (int i = 0; i < 100; i++) {
        check_response with = check_http(s, "GET", "/no-such-path", key, NULL),
                       without = check_http(s, "GET", "/no-such-path", NULL, NULL);
        bool known = with.status == 404 && without.status == 401;
        check_response_free(&with);
        check_response_free(&without);
        if (known) return key;
        nap(0.05);
    }
    CHECK(0, "the server does not know the key %s after 5 s", name);
    return key;
}

/* --- the client ----------------------------------------------------------------------------------------------------------- */

int check_connect(const check_server *s) {
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)s->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "port %d: %s", s->port, strerror(errno));
    return fd;
}

/* What the server does not take any more (it may have answered and closed) is dropped. */
void check_send(int fd, const void *bytes, size_t n) {
    const char *from = bytes;
    while (n) {
        ssize_t sent = send(fd, from, n, MSG_NOSIGNAL);
        if (sent <= 0) return;
        from += sent;
        n -= (size_t)sent;
    }
}

static char *read_all(int fd, double seconds, size_t *n) {
    size_t room = 1 << 16;
    char *text = malloc(room);
    *n = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, (int)(seconds * 1000)) <= 0) break;
        if (room - *n < 4096) text = realloc(text, room *= 2);
        CHECK(text);
        ssize_t got = recv(fd, text + *n, room - *n - 1, 0);
        if (got <= 0) break;
        *n += (size_t)got;
    }
    text[*n] = 0;
    return text;
}

char *check_response_header(const check_response *r, const char *name) {
    size_t n = strlen(name);
    for (const char *line = r->headers; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncasecmp(line, name, n) != 0 || line[n] != ':') continue;
        const char *value = line + n + 1 + strspn(line + n + 1, " ");
        return strndup(value, strcspn(value, "\r\n"));
    }
    return NULL;
}

/* Joins chunks in place. */
static void join_chunks(check_response *r) {
    char *coding = check_response_header(r, "Transfer-Encoding"), *from = r->body, *to = r->body,
         *end = r->body + r->bytes;
    for (size_t size; coding && from < end; from += size + 2) {
        char *line;
        size = strtoul(from, &line, 16);
        from = strstr(line, "\r\n");
        if (!from || !size) break;
        from += 2;
        if (size > (size_t)(end - from)) size = (size_t)(end - from);
        memmove(to, from, size);
        to += size;
        if (size == (size_t)(end - from)) break;
    }
    if (coding) {
        r->bytes = (size_t)(to - r->body);
        r->body[r->bytes] = 0;
    }
    free(coding);
}

check_response check_receive(int fd, double seconds) {
    check_response r = {0};
    size_t n;
    char *text = read_all(fd, seconds, &n), *blank = strstr(text, "\r\n\r\n");
    while (blank && !strncmp(text, "HTTP/1.1 100", 12)) {
        n -= (size_t)(blank + 4 - text);
        memmove(text, blank + 4, n + 1);
        blank = strstr(text, "\r\n\r\n");
    }
    size_t head = blank ? (size_t)(blank + 4 - text) : n;
    if (blank && sscanf(text, "HTTP/%*s %d", &r.status) != 1) r.status = 0;
    r.headers = strndup(text, head);
    r.bytes = n - head;
    r.body = malloc(r.bytes + 1);
    memcpy(r.body, text + head, r.bytes + 1);
    free(text);
    join_chunks(&r);
    return r;
}

void check_response_free(check_response *r) {
    free(r->headers);
    free(r->body);
    *r = (check_response){0};
}

json_t *check_response_json(const check_response *r) {
    json_error_t e;
    json_t *o = json_loadb(r->body, r->bytes, 0, &e);
    CHECK(o, "status %d, no JSON (%s): %.2000s", r->status, e.text, r->body);
    return o;
}

check_response check_http(const check_server *s, const char *method, const char *path, const char *key,
                          const char *body) {
    char *head = NULL, length[100] = "";
    if (body)
        snprintf(length, sizeof length, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    int n = asprintf(&head, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s%s%s%s\r\n", method, path,
                     key ? "Authorization: Bearer " : "", key ? key : "", key ? "\r\n" : "", length);
    CHECK(n > 0);
    int fd = check_connect(s);
    check_send(fd, head, (size_t)n);
    if (body) check_send(fd, body, strlen(body));
    check_response r = check_receive(fd, 60);
    close(fd);
    free(head);
    return r;
}

check_response check_post(const check_server *s, const char *path, const char *key, json_t *body) {
    char *text = json_dumps(body, JSON_COMPACT);
    CHECK(text);
    json_decref(body);
    check_response r = check_http(s, "POST", path, key, text);
    free(text);
    return r;
}

json_t *check_chat(const char *model, const char *text) {
    return json_pack("{s:s, s:[{s:s, s:s}]}", "model", model, "messages", "role", "user", "content", text);
}
