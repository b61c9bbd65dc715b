/* The clients that people use, against a real server: tests/clients, whose checks print lines as ours do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/http.h"

/* Its output is the program's own. Returns whether every check held. */
static bool run(const char *python, const char *script, const char *filter) {
    char *command = NULL;
    CHECK(asprintf(&command, "exec '%s' -B tests/clients/%s '%s'", python, script, filter) > 0);
    fflush(stdout);
    int status = system(command);
    free(command);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv) {
    static const char *const scripts[] = {"check_openai.py", "check_langchain.py"};
    const char *python = getenv("FATHOM_CLIENTS"), *filter = argc > 1 ? argv[1] : "";
    check_server server, janus;
    char url[64], options[300];
    if (!python || access(python, X_OK) != 0) {
        puts("skip the openai SDK and langchain-deepseek: their packages could not be installed (no PyPI?)");
        return 0;
    }
    check_server_start(&server, "--threads 1");
    snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
    setenv("FATHOM_URL", url, 1);
    snprintf(options, sizeof options, "--threads 1 --ctx 512 --parallel 2 --model %s/janus-pro-tiny",
             check_golden_dir());
    check_server_start(&janus, options);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", janus.port);
    setenv("FATHOM_JANUS_URL", url, 1);
    setenv("FATHOM_KEY", check_server_key(&server, "ada", "--concurrency 0"), 1);
    setenv("FATHOM_BROKE_KEY", check_server_key(&server, "broke", "--balance 0"), 1);
    setenv("FATHOM_LIMITED_KEY", check_server_key(&server, "limited", "--requests-per-minute 120"), 1);
    setenv("FATHOM_METRICS_KEY", check_server_key(&server, "prometheus", "--rights metrics"), 1);
    bool held = true;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) held &= run(python, scripts[i], filter);
    bool ended = check_server_stop(&janus) == 0;
    return check_server_stop(&server) || !ended || !held;
}
