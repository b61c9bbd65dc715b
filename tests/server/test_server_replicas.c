/* Replicas behind a balancer: conversations stay with one, and one that is told to end does so without an error for anybody. With the
 * configurations of deploy/, in the balancers that are installed. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/http.h"

enum { CONVERSATIONS = 16 };

/* `config` writes $D/config from deploy/, for the replicas at ports $A and $B and a socket $D/socket; `run` stays in the foreground. */
typedef struct balancer {
    const char *program, *config, *run, *scheme;
} balancer;

static const balancer nginx = {
    "nginx",
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=fathom -keyout $D/privkey.pem "
    "-out $D/fullchain.pem 2>$D/openssl.log && "
    "sed \"s,/etc/letsencrypt/live/fathom.example.org,$D,; s,/var/log/nginx,$D,; /::/d; s,listen *443,listen unix:$D/socket,; "
    "s,127.0.0.1:8080,127.0.0.1:$A,; s,# server 127.0.0.1:8081,server 127.0.0.1:$B,; s,rate=20r/s,rate=10000r/s,\" "
    "deploy/nginx.conf >$D/fathom.conf && "
    "printf 'user root; daemon off; pid %s/pid; error_log %s/error.log; events {} http { include %s/fathom.conf; }' $D $D $D >$D/config",
    "nginx -e $D/error.log -c $D/config", "https"};
static const balancer haproxy = {
    "haproxy",
    "sed \"s,bind :443.*,bind unix@$D/socket,; s,10.0.0.1:8080,127.0.0.1:$A,; s,10.0.0.2:8080,127.0.0.1:$B,; s,/etc/haproxy,$D,; "
    "s,gt 200,gt 100000,\" deploy/haproxy.cfg >$D/config",
    "haproxy -f $D/config", "http"};

typedef struct site {
    const balancer *with;
    check_server replica[2]; /* named one and two, of one database */
    char *folder;
    pid_t child;
} site;

static void nap(double seconds) {
    nanosleep(&(struct timespec){(time_t)seconds, (long)(1e9 * (seconds - (double)(time_t)seconds))}, NULL);
}

/* Runs a shell command that sees where everything is. */
static check_output at(const site *s, const char *command) {
    check_output o =
        check_command("D=%s A=%d B=%d; export D A B; %s", s->folder, s->replica[0].port, s->replica[1].port, command);
    return o;
}

static void open_site(site *s, const balancer *with) {
    char *options = NULL, *command = NULL;
    *s = (site){.with = with, .folder = check_folder()};
    check_server_start(&s->replica[0], "--threads 1 --name one --notice-seconds 3 --drain-seconds 600");
    CHECK(asprintf(&options, "--threads 1 --name two --database %s/fathom.db", s->replica[0].folder) > 0);
    check_server_start(&s->replica[1], options);
    check_output o = at(s, with->config);
    CHECK(o.status == 0, "%s%s", o.out, o.err);
    check_output_free(&o);
    CHECK(asprintf(&command, "D=%s; export D; exec %s >$D/out 2>&1 </dev/null", s->folder, with->run) > 0);
    fflush(stdout);
    s->child = fork();
    if (s->child == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    for (int i = 0;; i++) {
        o = at(s, "test -S $D/socket || { cat $D/out $D/error.log; false; }");
        bool there = o.status == 0;
        CHECK(there || i < 400, "%s%s", o.out, o.err);
        check_output_free(&o);
        if (there) break;
        nap(0.05);
    }
    free(options);
    free(command);
}

static void close_site(site *s) {
    kill(s->child, SIGTERM);
    waitpid(s->child, NULL, 0);
    check_server_stop(&s->replica[1]);
    check_folder_remove(s->folder);
}

/* 1 or 2: which replica tells the models to this conversation; anything but 200 fails the case. */
static int who_serves(const site *s, int conversation) {
    char *command = NULL;
    CHECK(
        asprintf(
            &command,
            "curl -sk --max-time 30 --unix-socket $D/socket -H 'X-Prefix-Affinity: conversation %d' -w ' %%{http_code}' "
            "%s://localhost/v1/models",
            conversation, s->with->scheme) > 0);
    check_output o = at(s, command);
    size_t n = strlen(o.out);
    CHECK(o.status == 0 && n > 4 && !strcmp(o.out + n - 4, " 200"), "%d %s%s", o.status, o.out, o.err);
    int who = strstr(o.out, "\"id\":\"one\"") || strstr(o.out, "\"id\": \"one\"") ? 1 : 2;
    check_output_free(&o);
    free(command);
    return who;
}

static bool is_over(check_server *replica, int *status) {
    return waitpid(replica->child, status, WNOHANG) == replica->child;
}

static void ends_without_an_error(site *s, int conversation) {
    char *command = NULL;
    const char *flags = getenv("FATHOM_SANITIZE"); /* with which a token may take a hundred times as long */
    const int tokens = flags && *flags ? 40 : 700;
    CHECK(
        asprintf(
            &command,
            "curl -skN --max-time 600 --unix-socket $D/socket -H 'X-Prefix-Affinity: conversation %d' "
            "-H 'Content-Type: application/json' -d '{\"model\": \"deepseek-chat\", \"stream\": true, \"n\": 4, \"ignore_eos\": true, "
            "\"max_tokens\": %d, \"messages\": [{\"role\": \"user\", \"content\": \"What is 47 * 68?\"}]}' "
            "%s://localhost/v1/chat/completions >$D/stream 2>$D/stream.err & "
            "while ! grep -q data: $D/stream; do sleep 0.02; done",
            conversation, tokens, s->with->scheme) > 0);
    check_output o = at(s, command);
    CHECK(o.status == 0, "%s%s", o.out, o.err);
    check_output_free(&o);
    kill(s->replica[0].child, SIGTERM);
    int status = 0, asked = 0;
    while (!is_over(&s->replica[0], &status)) {
        who_serves(s, asked++ % CONVERSATIONS);
        CHECK(asked < 10000, "it does not end");
    }
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    o = at(
        s,
        "for i in $(seq 100); do grep -q '^data: .DONE' $D/stream && exit; sleep 0.1; done; tail -c 500 $D/stream; false");
    CHECK(o.status == 0, "the stream was cut: %s%s", o.out, o.err);
    check_output_free(&o);
    for (int c = 0; c < CONVERSATIONS; c++) CHECK(who_serves(s, c) == 2, "conversation %d", c);
    check_folder_remove(s->replica[0].folder);
    free(s->replica[0].log_path);
    free(command);
}

static void conversations_stay_and_a_replica_leaves(void *arg) {
    const balancer *with = arg;
    site s;
    int served[3] = {0}, of_one = -1;
    check_needs(with->program);
    check_needs("curl");
    check_needs("openssl");
    open_site(&s, with);
    for (int c = 0; c < CONVERSATIONS; c++) {
        int who = who_serves(&s, c);
        served[who]++;
        if (who == 1) of_one = c;
        for (int again = 0; again < 2; again++)
            CHECK(who_serves(&s, c) == who, "conversation %d changes its replica", c);
    }
    CHECK(served[1] && served[2], "%d and %d conversations", served[1], served[2]);
    ends_without_an_error(&s, of_one);
    close_site(&s);
}

/* The header of a connection that will not be used again. */
static bool closes(const check_response *r) {
    char *value = check_response_header(r, "Connection");
    bool yes = value && !strcasecmp(value, "close");
    free(value);
    return yes;
}

static void a_replica_that_will_end_says_so_and_serves_on(void *arg) {
    check_server s;
    int status = 0;
    (void)arg;
    check_server_start(&s, "--threads 1 --notice-seconds 600");
    check_response r = check_http(&s, "GET", "/ready", NULL, NULL);
    CHECK(r.status == 200, "%d", r.status);
    check_response_free(&r);
    kill(s.child, SIGTERM);
    for (int i = 0;; i++) {
        r = check_http(&s, "GET", "/ready", NULL, NULL);
        status = r.status;
        bool told = status == 503 && strstr(r.body, "stopping") && closes(&r);
        CHECK(told || i < 1000, "%d %s", status, r.body);
        check_response_free(&r);
        if (told) break;
        nap(0.01);
    }
    r = check_http(&s, "GET", "/health", NULL, NULL);
    CHECK(r.status == 200, "%d", r.status);
    check_response_free(&r);
    json_t *body = check_chat("deepseek-chat", "What is 1 + 1?");
    json_object_set_new(body, "max_tokens", json_integer(3));
    r = check_post(&s, "/chat/completions", NULL, body);
    CHECK(r.status == 200 && closes(&r), "%d %s", r.status, r.headers);
    check_response_free(&r);
    status = check_server_stop(&s); /* a second signal, and no waiting */
    CHECK(status == 0, "%d", status);
}

static const check_case cases[] = {
    {"a replica that will end says so and serves on", a_replica_that_will_end_says_so_and_serves_on, NULL},
    {"behind nginx conversations stay, and a replica leaves without an error", conversations_stay_and_a_replica_leaves,
     (void *)&nginx},
    {"behind HAProxy conversations stay, and a replica leaves without an error",
     conversations_stay_and_a_replica_leaves, (void *)&haproxy},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
