#include "tests/lib/check.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static jmp_buf leave;
static const char *current;
enum { PASSED = 0, FAILED = 1, SKIPPED = 2 };

_Noreturn void check_fail(const char *file, int line, const char *cond, const char *fmt, ...) {
    printf("FAIL %s: %s:%d: %s", current, file, line, cond);
    if (*fmt) {
        printf(": ");
        va_list args;
        va_start(args, fmt);
        vprintf(fmt, args);
        va_end(args);
    }
    printf("\n");
    if (!current) abort(); /* outside of cases: in a fuzzer */
    longjmp(leave, FAILED);
}

_Noreturn void check_skip(const char *fmt, ...) {
    printf("skip %s: ", current);
    va_list args;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");
    longjmp(leave, SKIPPED);
}

/* PASSED, FAILED or SKIPPED. */
static int run_case(const check_case *c) {
    current = c->name;
    int verdict = setjmp(leave);
    if (verdict != PASSED) return verdict;
    c->run(c->arg);
    printf("ok %s\n", c->name);
    return PASSED;
}

int check_main(int argc, char **argv, const check_case *cases, size_t n) {
    int failed = 0;
    const char *build = getenv("FATHOM_BUILD");
    setenv("FATHOM_LIBEXEC", build && *build ? build : "build", 0);
    for (size_t i = 0; i < n; i++) {
        if (argc > 1 && !strstr(cases[i].name, argv[1])) continue;
        failed += run_case(&cases[i]) == FAILED;
        fflush(stdout);
    }
    return failed != 0;
}

const char *check_golden_dir(void) {
    const char *d = getenv("FATHOM_GOLDEN");
    return d && *d ? d : "tests/golden";
}

char *check_golden(const char *name) {
    char *p = NULL;
    if (asprintf(&p, "%s/%s", check_golden_dir(), name) < 0) abort();
    return p;
}

uint64_t check_u64(check_rng *r) {
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double check_uniform(check_rng *r) {
    return (double)(check_u64(r) >> 11) * 0x1p-53;
}

float check_normal(check_rng *r) {
    double u = 1.0 - check_uniform(r), v = check_uniform(r);
    return (float)(sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v));
}
