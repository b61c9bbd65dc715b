/* A running `fathom serve` and a plain HTTP client for tests of the service. */
#ifndef FA_TESTS_HTTP_H
#define FA_TESTS_HTTP_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct check_server {
    pid_t child;
    int port;
    char *folder;   /* scratch: its database, its log */
    char *log_path; /* standard error: JSON lines */
} check_server;

/* Starts "$FATHOM_BIN" serve with a database of its own, a free port and `options`; fails the case when it does not listen within 60 s. */
void check_server_start(check_server *s, const char *options);
/* Ends it by SIGTERM, or SIGKILL after 20 s (a failure), and removes the folder. Returns the exit status. */
int check_server_stop(check_server *s);
/* Makes a key by `fathom key add NAME`, with options; malloc'd. The server knows it within half a second; this waits for that. */
char *check_server_key(const check_server *s, const char *name, const char *options);

/* A response. */
typedef struct check_response {
    int status;    /* 0: the connection was closed without one */
    char *headers; /* the lines, terminated */
    char *body;    /* chunks joined, terminated */
    size_t bytes;
} check_response;
void check_response_free(check_response *r);
/* A header's value, malloc'd; NULL when absent. */
char *check_response_header(const check_response *r, const char *name);
/* The body as JSON; fails the case when it is none. The caller decrefs. */
json_t *check_response_json(const check_response *r);

/* A connection of one's own, for what no proper client does. */
int check_connect(const check_server *s);
void check_send(int fd, const void *bytes, size_t n);
/* Reads until the other side closes or `seconds` pass without a byte. */
check_response check_receive(int fd, double seconds);

/* One request. `key` and `body` may be NULL; a body is JSON. */
check_response check_http(const check_server *s, const char *method, const char *path, const char *key,
                          const char *body);
/* POST of a JSON value, which is taken over. */
check_response check_post(const check_server *s, const char *path, const char *key, json_t *body);

/* A conversation of one user message, with more fields by json_pack's form in front: the caller owns it. */
json_t *check_chat(const char *model, const char *text);

#endif
