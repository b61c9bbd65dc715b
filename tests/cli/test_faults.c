/* What a command does when one call of the C library fails: the k-th allocation, map, read, write, fsync, rename, open or thread start. It ends
 * well, or with a text and exit status 1, and leaves the right file or none. FATHOM_FAULTS=N tries N of each instead of a dozen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

typedef struct fault {
    const char *command, *call;
} fault;

#define RUN "run -q --temp 0 -n 3 --model models/fathom-r1-mini 'What is 2 + 2?'"
#define TOKENIZE "tokenize --model models/fathom-r1-mini <README.md"
#define QUANTIZE "quantize tests/golden/r1-distill-qwen-tiny \"$D/out\" >\"$D/log\" && cat \"$D\"/out/* | sha256sum"

static const fault faults[] = {
    {RUN, "malloc"},     {RUN, "mmap"},       {TOKENIZE, "read"},   {RUN, "write"},
    {RUN, "open"},       {RUN, "thread"},     {QUANTIZE, "malloc"}, {QUANTIZE, "mmap"},
    {QUANTIZE, "write"}, {QUANTIZE, "fsync"}, {QUANTIZE, "rename"}, {QUANTIZE, "open"},
};
enum { FAULTS = sizeof faults / sizeof *faults };

static check_output with_layer(const char *folder, const fault *f, const char *more) {
    return check_command(
        "D='%s'; rm -rf \"$D/out\"; fathom() { env FAULT_CALL=%s %s LD_PRELOAD=\"$(realpath \"$FATHOM_BUILD\")\""
        "/tests/layers/kth.so \"$FATHOM_BIN\" \"$@\"; }; fathom %s",
        folder, f->call, more, f->command);
}

/* The i-th of n calls to fail among `count`: the first ones, where most differ, and then evenly. */
static long place(long i, long n, long count) {
    return count <= n || i < n / 2 ? i + 1 : count - (n - 1 - i) * (count / n);
}

static void ends_well_or_with_a_text(void *arg) {
    const fault *f = arg;
    const char *flags = getenv("FATHOM_SANITIZE"), *asked = getenv("FATHOM_FAULTS");
    if (flags && *flags) check_skip("a sanitizer has an allocator of its own");
    char *folder = check_folder(), more[400];
    snprintf(more, sizeof more, "FAULT_COUNT=%s/count", folder);
    check_output good = with_layer(folder, f, more);
    CHECK(good.status == 0 && good.out_bytes, "%d: %s", good.status, good.err);
    check_output counted = check_command("cat '%s/count'", folder);
    long count = atol(counted.out), n = asked ? atol(asked) : 12;
    CHECK(count > 0, "the command never calls %s", f->call);
    int failed = 0;
    for (long i = 0; i < (count < n ? count : n); i++) {
        long at = place(i, n, count);
        snprintf(more, sizeof more, "FAULT_AT=%ld", at);
        check_output o = with_layer(folder, f, more);
        CHECK(o.status == 0 || o.status == 1, "%s %ld of %ld: exit status %d: %s", f->call, at, count, o.status, o.err);
        CHECK(o.status || !strcmp(o.out, good.out), "%s %ld of %ld: '%s' instead of '%s'", f->call, at, count, o.out,
              good.out);
        CHECK(!o.status || (*o.err && o.err[strlen(o.err) - 1] == '\n') || !strcmp(f->call, "write"),
              "%s %ld of %ld: an error without a text: %s", f->call, at, count, o.err);
        if (o.status) {
            check_output left = check_command("ls -d '%s'/out* 2>/dev/null", folder);
            CHECK(!left.out_bytes, "%s %ld of %ld: %sleft: %s", f->call, at, count, o.err, left.out);
            check_output_free(&left);
            failed++;
        }
        check_output_free(&o);
    }
    CHECK(failed > 0, "nothing failed: is the layer loaded?");
    check_output_free(&counted);
    check_output_free(&good);
    check_folder_remove(folder);
}

int main(int argc, char **argv) {
    check_case cases[FAULTS];
    static char names[FAULTS][80];
    for (int i = 0; i < FAULTS; i++) {
        snprintf(names[i], sizeof names[i], "%.*s: a failing %s ends it well or with a text",
                 (int)strcspn(faults[i].command, " "), faults[i].command, faults[i].call);
        cases[i] = (check_case){names[i], ends_well_or_with_a_text, (void *)&faults[i]};
    }
    return check_main(argc, argv, cases, FAULTS);
}
