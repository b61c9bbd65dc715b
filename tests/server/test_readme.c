/* The examples of README.md for the service, run as they stand against a service on another port. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/http.h"

static check_server server;

enum { MOST = 32 };

/* Commands that begin with "curl" in the README, indented; what follows more deeply indented belongs to them. Returns their number. */
static int find_examples(char *examples[MOST]) {
    FILE *f = fopen("README.md", "r");
    char *line = NULL;
    size_t room = 0;
    int n = 0;
    CHECK(f, "README.md cannot be read");
    while (getline(&line, &room, f) > 0) {
        bool begins = !strncmp(line, "    curl ", 9), goes_on = n && !strncmp(line, "      ", 6);
        if (begins && n < MOST) {
            examples[n++] = strdup(line);
        } else if (goes_on) {
            char *longer = NULL;
            CHECK(asprintf(&longer, "%s%s", examples[n - 1], line) > 0);
            free(examples[n - 1]);
            examples[n - 1] = longer;
        }
    }
    free(line);
    fclose(f);
    return n;
}

/* `text` with the port of the examples replaced, into *out, malloc'd. */
static void with_port(const char *text, char **out) {
    size_t n;
    FILE *f = open_memstream(out, &n);
    for (const char *next; (next = strstr(text, ":8080/")); text = next + 6)
        fprintf(f, "%.*s:%d/", (int)(next - text), text, server.port);
    fputs(text, f);
    fclose(f);
}

static void every_example_works(void *arg) {
    char *examples[MOST];
    int n = find_examples(examples);
    (void)arg;
    CHECK(n >= 6, "%d examples were found", n);
    for (int i = 0; i < n; i++) {
        char *command = NULL;
        with_port(examples[i], &command);
        CHECK(command);
        const char *at = strstr(command, "curl ") + 5;
        CHECK(strstr(examples[i], "127.0.0.1:8080/"), "%s", examples[i]);
        check_output o = check_command("curl -sS --fail-with-body --max-time 120 %s", at);
        CHECK(o.status == 0 && o.out_bytes > 10 && !strstr(o.out, "\"error\""), "%s: %d\n%s%s", command, o.status,
              o.out, o.err);
        bool streams = strstr(command, "\"stream\": true") != NULL;
        CHECK(streams == (strstr(o.out, "data: [DONE]") != NULL), "%s:\n%s", command, o.out);
        check_output_free(&o);
        free(command);
        free(examples[i]);
    }
}

static const check_case cases[] = {{"every curl example of the README works", every_example_works, NULL}};

int main(int argc, char **argv) {
    check_server_start(&server, "--threads 1");
    int failed = check_main(argc, argv, cases, 1);
    return check_server_stop(&server) || failed;
}
