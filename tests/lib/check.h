/* A small harness. A test program has one table of cases and ends with `return check_main(argc, argv, cases, n)`.
 * Each case prints "ok NAME", "FAIL NAME: why" or "skip NAME: why"; the runner (tests/run.sh) adds them up. */
#ifndef FA_TESTS_CHECK_H
#define FA_TESTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct check_case {
    const char *name; /* what must hold */
    void (*run)(void *arg);
    void *arg; /* passed to run; for tables of cases */
} check_case;

/* Runs all cases, or with one argument those whose name contains it. Returns 0 when none failed. */
int check_main(int argc, char **argv, const check_case *cases, size_t n);

/* Marks the running case failed and leaves it when `cond` is false; prints file, line and the message with values. */
#define CHECK(cond, ...)                                                    \
    do {                                                                    \
        if (!(cond)) check_fail(__FILE__, __LINE__, #cond, "" __VA_ARGS__); \
    } while (0)

/* Fails unless the status is FA_OK; prints the error's text. */
#define CHECK_OK(status, err)                                                          \
    do {                                                                               \
        int check_status_ = (status);                                                  \
        if (check_status_) check_fail(__FILE__, __LINE__, #status, "%s", (err)->text); \
    } while (0)

_Noreturn void check_fail(const char *file, int line, const char *cond, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Leaves the running case as skipped. */
_Noreturn void check_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "tests/golden" or what FATHOM_GOLDEN says: where the copied reference data lies. */
const char *check_golden_dir(void);

/* A malloc'd path below check_golden_dir(). */
char *check_golden(const char *name);

/* A deterministic generator (splitmix64) for test data. */
typedef struct check_rng {
    uint64_t state;
} check_rng;
uint64_t check_u64(check_rng *r);
double check_uniform(check_rng *r); /* [0, 1) */
float check_normal(check_rng *r);   /* mean 0, variance 1 */

#endif
