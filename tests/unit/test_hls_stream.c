/* The check of streams finds what HLS would make wrong hardware of, and says which stream. */
#define HLS_CHECK 1
#include "hls/stream.h"

#include <string.h>

#include "tests/lib/check.h"

enum { DEPTH = 4 };

static void producer(HLS_STREAM_PARAM(int, numbers, DEPTH), const int *order, int n) {
    for (int i = 0; i < n; i++) HLS_PUT(numbers, order[i], 10 * order[i]);
}

static int consumer(HLS_STREAM_PARAM(int, numbers, DEPTH), const int *order, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum += HLS_GET(numbers, order[i]);
    return sum;
}

typedef struct use {
    const char *name, *fault; /* the text it must hold; NULL: none */
    int put[DEPTH], n_put, get[DEPTH], n_get;
} use;

static const use uses[] = {
    {"streams used in order have no fault", NULL, {0, 1, 2, 3}, 4, {0, 1, 2, 3}, 4},
    {"a put out of order is found", "numbers: put out of order at 2", {0, 2, 1, 3}, 4, {0, 1, 2, 3}, 4},
    {"a value put twice is found", "numbers: put out of order at 0", {0, 0}, 2, {0, 1}, 2},
    {"a get out of order is found", "numbers: get out of order at 1", {0, 1}, 2, {1, 0}, 2},
    {"a value got twice is found", "numbers: get out of order at 0", {0, 1}, 2, {0, 0}, 2},
    {"a get before its put is found", "numbers: read before it was put: 1", {0}, 1, {0, 1}, 2},
    {"what is left behind is found", "numbers: left behind, of 2", {0, 1, 2}, 3, {0}, 1},
};
enum { N_USES = sizeof uses / sizeof *uses };

static void expect(const char *fault) {
    const char *got = hls_check_fault();
    if (!fault)
        CHECK(!got, "%s", got);
    else
        CHECK(got && !strcmp(got, fault), "%s, expected %s", got ? got : "no fault", fault);
    CHECK(!hls_check_fault(), "the fault was told twice");
}

static void check_use(void *arg) {
    const use *u = arg;
    HLS_STREAM(int, numbers, DEPTH);
    memset(numbers, 0, sizeof numbers);
    producer(HLS_STREAM_PASS(numbers), u->put, u->n_put);
    (void)consumer(HLS_STREAM_PASS(numbers), u->get, u->n_get);
    HLS_STREAM_END(numbers);
    expect(u->fault);
}

static void a_stream_deeper_than_declared_is_found(void *arg) {
    (void)arg;
    hls_stream_check s = {"deep", DEPTH, 0, 0};
    for (int i = 0; i < DEPTH; i++) hls_check_put(&s, i);
    expect(NULL);
    hls_check_put(&s, DEPTH);
    expect("deep: deeper than declared at put 4");
}

int main(int argc, char **argv) {
    check_case cases[N_USES + 1];
    for (int i = 0; i < N_USES; i++) cases[i] = (check_case){uses[i].name, check_use, (void *)&uses[i]};
    cases[N_USES] =
        (check_case){"a stream deeper than declared is found", a_stream_deeper_than_declared_is_found, NULL};
    return check_main(argc, argv, cases, N_USES + 1);
}
