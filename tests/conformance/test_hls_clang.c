/* The kernels of hls/ as clang compiles them, through backend `sim`: every case of conformance once more, by programs that the
 * Makefile links with clang's objects. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

static void every_case_holds(void *arg) {
    char program[512];
    const char *build = getenv("FATHOM_BUILD");
    snprintf(program, sizeof program, "%s/tests/hls-clang/test_%s", build ? build : "build", (const char *)arg);
    if (access(program, X_OK)) check_skip("clang was not there when the tests were built");
    check_output o = check_command("%s sim:three-units", program);
    const char *failed = strstr(o.out, "FAIL");
    CHECK(o.status == 0 && !failed, "%.300s", failed ? failed : o.err);
    CHECK(strstr(o.out, "ok "), "no case ran");
    check_output_free(&o);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"matmul by clang's kernels", every_case_holds, "matmul"},
        {"experts by clang's kernels", every_case_holds, "experts"},
        {"attention by clang's kernels", every_case_holds, "attention"},
        {"rowwise by clang's kernels", every_case_holds, "rowwise"},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
