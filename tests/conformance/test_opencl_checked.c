/* The OpenCL kernels and calls under oclgrind: no data race, no use of uninitialised memory, nothing outside a buffer and no wrong
 * argument, in small cases of every kernel. Any line but "ok" is a report. They are compiled in the way that asks nothing of a device:
 * oclgrind 21.10 takes lane 11 of a vector move for uninitialised. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

typedef struct checked {
    const char *name, *program, *filter; /* of a conformance program, and a text that few of its cases' names contain */
} checked;

static const checked cases[] = {
    {"matmul of FP8 codes and of their values", "test_matmul", "T=3 K=3 F8_E4M3 N=5 [opencl]"},
    {"matmul of several types with biases", "test_matmul", "K=96 Q8_0 N=65 bias F32 Q4_0 N=31 bias F16 [opencl]"},
    {"experts of FP8 codes", "test_experts", "T=2 hidden=1 inner=1 F8_E4M3/F8_E4M3 experts=4 top_k=2 [opencl]"},
    {"experts of FP32", "test_experts", "hidden=127 inner=15 F32/F32 experts=8 top_k=2 [opencl]"},
    {"matmul of FP8 codes by groups", "test_matmul", "T=3 K=3 F8_E4M3 N=5 [opencl:groups]"},
    {"experts of FP8 codes by groups", "test_experts",
     "T=2 hidden=1 inner=1 F8_E4M3/F8_E4M3 experts=4 top_k=2 [opencl:groups]"},
    {"rmsnorm", "test_rowwise", "rmsnorm T=3 n=15 F32 [opencl]"},
    {"add", "test_rowwise", "add to b hard T=7 n=15 [opencl]"},
    {"rope", "test_rowwise", "T=3 n=18 heads=5 gap=7 [opencl]"},
    {"store in FP8", "test_rowwise", "store gqa hard T=21 n=3 and 3 fp8 [opencl]"},
    {"gqa", "test_attention", "gqa prefill fp8 heads=5/5 head_dim=3 [opencl]"},
    {"mla", "test_attention", "mla mixed fp8 heads=5 nope=1 rope=2 v=1 rank=1 kv_b F32/F32 [opencl]"},
};
enum { N_CASES = sizeof cases / sizeof *cases };

/* The first line that is no "ok", or NULL; *n: lines that are. */
static char *report_in(char *text, int *n) {
    *n = 0;
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end) *end++ = 0;
        if (!strncmp(line, "ok ", 3))
            ++*n;
        else if (*line)
            return line;
    }
    return NULL;
}

static void is_clean(void *arg) {
    const checked *c = arg;
    const char *sanitize = getenv("FATHOM_SANITIZE");
    if (sanitize && *sanitize) check_skip("oclgrind cannot be loaded into a sanitizer's program");
    check_output found = check_command("command -v oclgrind");
    bool there = found.status == 0;
    check_output_free(&found);
    if (!there) check_skip("oclgrind is not installed");
    check_output o = check_command("FATHOM_OPENCL_BY_CODE=1 oclgrind --data-races --uninitialized --check-api "
                                   "\"$FATHOM_BUILD/tests/conformance/%s\" '%s' 2>&1",
                                   c->program, c->filter);
    int n = 0;
    const char *report = report_in(o.out, &n);
    CHECK(!report && o.status == 0, "status %d: %s", o.status, report ? report : "");
    CHECK(n > 0, "no case ran");
    check_output_free(&o);
}

int main(int argc, char **argv) {
    check_case all[N_CASES];
    for (int i = 0; i < N_CASES; i++) all[i] = (check_case){cases[i].name, is_clean, (void *)&cases[i]};
    return check_main(argc, argv, all, N_CASES);
}
