#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/arena.h"
#include "host/base/cpu.h"
#include "host/base/file.h"
#include "host/base/json.h"
#include "host/base/memory.h"
#include "host/base/threads.h"
#include "tests/lib/check.h"

static void errors_are_cut_and_prefixed(void *arg) {
    (void)arg;
    fa_error e = {0};
    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    CHECK(fa_fail(&e, FA_EIO, "%s", big) == FA_EIO);
    CHECK(strlen(e.text) == FA_ERROR_TEXT - 1 && !strcmp(e.text + FA_ERROR_TEXT - 4, "..."));
    fa_fail(&e, FA_EFORMAT, "bad\nline");
    fa_error_prefix(&e, FA_EFORMAT, "file %d", 7);
    CHECK(!strcmp(e.text, "file 7: bad line"), "'%s'", e.text);
    fa_fail(&e, FA_EFORMAT, "tensor a\x1b[2Jb\x7f\t");
    CHECK(!strcmp(e.text, "tensor a [2Jb  "), "'%s'", e.text);
    CHECK(fa_fail(NULL, FA_EIO, "no text wanted") == FA_EIO);
    for (int s = 0; s < FA_STATUS_COUNT; s++) CHECK(strcmp(fa_status_name((fa_status)s), "unknown"), "%d", s);
}

static void arena_hands_out_zeroed_aligned_memory(void *arg) {
    (void)arg;
    fa_arena a = {0};
    for (size_t n = 0; n < 2000; n += 37) {
        unsigned char *p = fa_arena_alloc(&a, n * 501);
        CHECK(p && (uintptr_t)p % 64 == 0);
        for (size_t i = 0; i < n * 501; i++) CHECK(p[i] == 0);
        memset(p, 0xff, n * 501);
    }
    CHECK(!fa_arena_array(&a, SIZE_MAX / 4, 8));
    CHECK(!strcmp(fa_arena_text(&a, "abcdef", 3), "abc"));
    fa_arena_free(&a);
    CHECK(a.used_bytes == 0);
}

static void numa_memory_is_zeroed_and_refuses_unknown_nodes(void *arg) {
    (void)arg;
    fa_error e;
    fa_memory m;
    int nodes[] = {FA_NODE_LOCAL, FA_NODE_INTERLEAVE, 0};
    for (int i = 0; i < 3; i++) {
        CHECK_OK(fa_memory_alloc(&m, (5u << 20) + 1, nodes[i], &e), &e);
        CHECK(m.bytes > 5u << 20);
        for (size_t k = 0; k < m.bytes; k += 4096) CHECK(((char *)m.data)[k] == 0);
        fa_memory_free(&m);
    }
    CHECK(fa_memory_alloc(&m, 1, fa_memory_nodes(), &e) == FA_EINVAL);
    CHECK(fa_memory_alloc(&m, SIZE_MAX - 5, 0, &e) == FA_ENOMEM);
}

typedef struct marks {
    int8_t seen[1001];
    float smallest;
} marks;

static void mark(void *ctx, int64_t begin, int64_t end, int thread) {
    (void)thread;
    marks *m = ctx;
    volatile float tiny = 1e-30f, product = tiny * 1e-10f; /* flushed to zero inside a team */
    for (int64_t i = begin; i < end; i++) m->seen[i] += product == 0.0f ? 1 : 100;
}

static void teams_do_each_item_once_with_ftz(void *arg) {
    (void)arg;
    fa_error e;
    int sizes[] = {1, 2, 7};
    for (int s = 0; s < 3; s++)
        for (int64_t grain = 1; grain < 2000; grain *= 7) {
            fa_team *t;
            CHECK_OK(fa_team_open(&t, sizes[s], FA_NODE_INTERLEAVE, &e), &e);
            CHECK(fa_team_size(t) == sizes[s]);
            marks m = {0};
            fa_team_run(t, 1001, grain, mark, &m);
            for (int i = 0; i < 1001; i++) CHECK(m.seen[i] == 1, "item %d ran as %d", i, m.seen[i]);
            fa_team_close(t);
        }
    fa_team *t;
    CHECK(fa_team_open(&t, -1, 0, &e) == FA_EINVAL);
    CHECK(fa_team_open(&t, 1, 99, &e) == FA_EINVAL);
}

static void add_indices(void *ctx, int64_t begin, int64_t end, int thread) {
    int64_t(*sums)[16] = ctx; /* [threads], each on cache lines of its own */
    for (int64_t i = begin; i < end; i++) sums[thread][0] += i;
}

/* Short rounds in a row: a worker that wakes late must neither miss the next round nor disturb it. */
static void *many_rounds(void *arg) {
    fa_error e;
    fa_team *t;
    int threads = *(int *)arg;
    int64_t sums[8][16] = {0}, total = 0, expected = 0;
    if (fa_team_open(&t, threads, FA_NODE_INTERLEAVE, &e)) return "cannot open";
    for (int round = 0; round < 3000; round++) {
        int64_t n = 1 + round % 13;
        fa_team_run(t, n, 1, add_indices, sums);
        expected += n * (n - 1) / 2;
    }
    fa_team_close(t);
    for (int i = 0; i < 8; i++) total += sums[i][0];
    return total == expected ? NULL : "items were lost or done twice";
}

static void teams_survive_many_rounds_side_by_side(void *arg) {
    (void)arg;
    static int sizes[] = {2, 3, 7};
    pthread_t id[3];
    void *wrong[3];
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&id[i], NULL, many_rounds, &sizes[i]) == 0);
    for (int i = 0; i < 3; i++) pthread_join(id[i], &wrong[i]);
    for (int i = 0; i < 3; i++) CHECK(!wrong[i], "%d threads: %s", sizes[i], (char *)wrong[i]);
}

static void isa_follows_the_environment(void *arg) {
    (void)arg;
    fa_error e;
    fa_isa isa;
    const char *set = getenv("FATHOM_ISA");
    char *old = set ? strdup(set) : NULL;
    setenv("FATHOM_ISA", "portable", 1);
    CHECK_OK(fa_isa_select(&isa, &e), &e);
    CHECK(isa == FA_ISA_PORTABLE);
    setenv("FATHOM_ISA", "sse9", 1);
    CHECK(fa_isa_select(&isa, &e) == FA_EINVAL && strstr(e.text, "sse9"), "%s", e.text);
    unsetenv("FATHOM_ISA");
    CHECK_OK(fa_isa_select(&isa, &e), &e);
    CHECK(isa == fa_isa_best());
    if (old) setenv("FATHOM_ISA", old, 1);
    free(old);
}

static void new_files_appear_whole_or_not_at_all(void *arg) {
    (void)arg;
    fa_error e;
    char dir[] = "/tmp/fathom-test-XXXXXX";
    CHECK(mkdtemp(dir));
    char *path = fa_path_join(dir, "file");
    fa_new_file f;
    CHECK_OK(fa_new_file_open(&f, path, &e), &e);
    fputs("half", f.stream);
    fa_new_file_abandon(&f);
    CHECK(access(path, F_OK) != 0);
    CHECK(rmdir(dir) == 0, "an abandoned file left something behind");
    CHECK(mkdtemp(strcpy(dir, "/tmp/fathom-test-XXXXXX")));
    free(path);
    path = fa_path_join(dir, "file");
    CHECK_OK(fa_new_file_open(&f, path, &e), &e);
    fputs("whole", f.stream);
    CHECK_OK(fa_new_file_commit(&f, &e), &e);
    fa_map m;
    CHECK_OK(fa_map_open(&m, path, &e), &e);
    CHECK(m.bytes == 5 && !memcmp(m.data, "whole", 5));
    fa_map_close(&m);
    unlink(path);
    CHECK(rmdir(dir) == 0);
    free(path);
    CHECK(fa_new_file_open(&f, "/nonexistent/x", &e) == FA_EIO && strstr(e.text, "/nonexistent/x"));
    CHECK(fa_map_open(&m, "/nonexistent/x", &e) == FA_EIO);
    CHECK(fa_map_open(&m, "/tmp", &e) == FA_EIO);
}

static void json_errors_name_file_and_field(void *arg) {
    (void)arg;
    fa_error e;
    json_t *o;
    const char *text = "{\"a\": 3, \"b\": 2.5, \"c\": \"t\", \"d\": true, \"e\": 4.0}";
    CHECK_OK(fa_json_parse(&o, text, strlen(text), "x.json", &e), &e);
    int64_t i;
    double d;
    bool b;
    const char *s;
    CHECK_OK(fa_json_int(o, "a", 0, 9, 1, &i, "x.json", &e), &e);
    CHECK(i == 3);
    CHECK_OK(fa_json_int(o, "e", 0, 9, 1, &i, "x.json", &e), &e);
    CHECK(i == 4);
    CHECK_OK(fa_json_int(o, "none", 0, 9, 1, &i, "x.json", &e), &e);
    CHECK(i == 1);
    CHECK(fa_json_int(o, "b", 0, 9, 1, &i, "x.json", &e) == FA_EFORMAT);
    CHECK(fa_json_int(o, "a", 0, 2, 1, &i, "x.json", &e) == FA_EFORMAT);
    CHECK(!strcmp(e.text, "x.json: a: 3 is not in 0..2"), "%s", e.text);
    CHECK_OK(fa_json_double(o, "b", 0, 9, 1, &d, "x.json", &e), &e);
    CHECK(fa_json_double(o, "c", 0, 9, 1, &d, "x.json", &e) == FA_EFORMAT);
    CHECK_OK(fa_json_bool(o, "d", false, &b, "x.json", &e), &e);
    CHECK(b && fa_json_bool(o, "a", false, &b, "x.json", &e) == FA_EFORMAT);
    CHECK_OK(fa_json_text(o, "c", NULL, &s, "x.json", &e), &e);
    CHECK(!strcmp(s, "t") && fa_json_text(o, "a", NULL, &s, "x.json", &e) == FA_EFORMAT);
    json_decref(o);
    const char *bad[] = {"{", "{\"a\":1,\"a\":2}", "[1,]", "{} x", ""};
    for (int k = 0; k < 5; k++)
        CHECK(fa_json_parse(&o, bad[k], strlen(bad[k]), "x.json", &e) == FA_EFORMAT, "%s", bad[k]);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"errors are cut and prefixed", errors_are_cut_and_prefixed, NULL},
        {"arena hands out zeroed aligned memory", arena_hands_out_zeroed_aligned_memory, NULL},
        {"NUMA memory is zeroed and refuses unknown nodes", numa_memory_is_zeroed_and_refuses_unknown_nodes, NULL},
        {"teams do each item once with FTZ", teams_do_each_item_once_with_ftz, NULL},
        {"teams survive many rounds side by side", teams_survive_many_rounds_side_by_side, NULL},
        {"FATHOM_ISA is followed", isa_follows_the_environment, NULL},
        {"new files appear whole or not at all", new_files_appear_whole_or_not_at_all, NULL},
        {"JSON errors name file and field", json_errors_name_file_and_field, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
