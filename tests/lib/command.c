#include "tests/lib/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/check.h"

/* Everything in `f` from its start, terminated; closes it. */
static char *take(FILE *f, size_t *n) {
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *text = calloc(1, (size_t)size + 1);
    CHECK(text && fread(text, 1, (size_t)size, f) == (size_t)size);
    fclose(f);
    if (n) *n = (size_t)size;
    return text;
}

/* In the child: connects the streams and becomes the shell. */
static _Noreturn void become(const char *command, FILE *out, FILE *err) {
    FILE *in = fopen("/dev/null", "r");
    if (in && dup2(fileno(in), 0) == 0 && dup2(fileno(out), 1) == 1 && dup2(fileno(err), 2) == 2)
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

check_output check_command(const char *command, ...) {
    char *text;
    va_list args;
    va_start(args, command);
    int n = vasprintf(&text, command, args);
    va_end(args);
    FILE *out = tmpfile(), *err = tmpfile();
    CHECK(n >= 0 && out && err, "%s", strerror(errno));
    fflush(stdout); /* or the child would print it again */
    pid_t child = fork();
    CHECK(child >= 0, "%s", strerror(errno));
    if (child == 0) become(text, out, err);
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    free(text);
    check_output o = {.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)};
    o.out = take(out, &o.out_bytes);
    o.err = take(err, NULL);
    return o;
}

void check_output_free(check_output *o) {
    free(o->out);
    free(o->err);
    *o = (check_output){0};
}

void check_needs(const char *program) {
    check_output o = check_command("command -v %s", program);
    int status = o.status;
    check_output_free(&o);
    if (status) check_skip("%s is not installed", program);
}

void check_refusals(const check_refusal *uses, size_t n) {
    for (size_t i = 0; i < n; i++) {
        check_output o = check_command("env -u FATHOM_MODEL \"$FATHOM_BIN\" %s", uses[i].arguments);
        CHECK(o.status == uses[i].status && strstr(o.err, uses[i].says), "%s: %d, %s", uses[i].arguments, o.status,
              o.err);
        CHECK(o.out_bytes == 0, "%s: %s", uses[i].arguments, o.out);
        check_output_free(&o);
    }
}

char *check_folder(void) {
    const char *root = getenv("TMPDIR");
    char *name = NULL;
    CHECK(asprintf(&name, "%s/fathom-test-XXXXXX", root && *root ? root : "/tmp") > 0 && mkdtemp(name));
    return name;
}

void check_folder_remove(char *folder) {
    check_output o = check_command("rm -rf '%s'", folder);
    check_output_free(&o);
    free(folder);
}
