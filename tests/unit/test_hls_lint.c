/* hls/lint: each file of tests/fixtures/hls holds one violation, on the lines marked "here"; the kernels hold none. And the order of
 * streams, which shows when a build with checked streams runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

/* A fixture, the case's name, and what is found on the first marked line: rule and text. */
static const struct violation {
    const char *file, *name, *says;
} violations[] = {
    {"loop", "finds a loop without a maximum", "loop] has no constant bounds"},
    {"while", "finds a while loop without a maximum", "loop] has no constant bounds"},
    {"endless", "finds a loop without a condition", "loop] has no condition"},
    {"unroll", "finds unrolling by a variable bound", "loop] is to be unrolled"},
    {"pipeline", "finds a variable loop inside a pipelined one", "pipeline] stands in a pipelined loop"},
    {"allocation", "finds an allocation", "allocation] malloc"},
    {"library", "finds a call of the C library", "library] expf"},
    {"contraction", "finds a multiply-add in one expression", "contraction] a product is added"},
    {"accumulate", "finds a multiply-add in an assignment", "contraction] a product is added"},
    {"double", "finds arithmetic in double", "double] arithmetic in double"},
    {"bundle", "finds an m_axi port without a bundle", "interface] y: m_axi without a bundle"},
    {"interface", "finds a pointer without an interface", "interface] y: a pointer needs"},
    {"control", "finds a kernel without a control port", "interface] fathom_fixture: #pragma HLS INTERFACE s_axilite"},
    {"pragma", "finds an unknown pragma", "pragma] HLS has no pragma PIPELINED"},
    {"option", "finds an unknown option of a pragma", "pragma] UNROLL has no option count"},
    {"value", "finds a pragma's value that is not constant", "pragma] UNROLL factor = n"},
    {"variable", "finds a pragma's variable that does not exist", "pragma] ARRAY_PARTITION: no variable"},
    {"braces", "finds a pragma outside of its loop's braces", "pragma] stands between"},
    {"recursion", "finds recursion through another function", "recursion] odd calls itself"},
    {"ports", "finds more reads than a memory has ports", "ports] kept: 4 accesses in a cycle"},
    {"partition", "finds more reads than a partition has ports", "ports] kept: 4 accesses in a cycle"},
    {"struct", "finds an array of structs that is taken apart", "struct] kept: an array of hls_word"},
    {"dataflow", "finds a stream with two readers", "dataflow] kept: used by 3 processes"},
    {"array", "finds an array of variable length", "array] kept"},
    {"pointers", "finds an array of pointers", "pointer] from"},
    {"function-pointer", "finds a pointer to a function", "pointer] f: pointer to a function"},
    {"cast", "finds a pointer that changes its type", "pointer] a pointer changes its type"},
    {"state", "finds a static variable", "state] sum"},
    {"include", "finds a header of the host", "include] host/base/status.h"},
};

enum { VIOLATIONS = sizeof violations / sizeof *violations };

static void need_clang(void) {
    check_output o = check_command("command -v clang && command -v python3");
    int missing = o.status != 0;
    check_output_free(&o);
    if (missing) check_skip("clang or python3 is not installed");
}

/* Each marked line has one finding, and no other line has. */
static void is_found(void *arg) {
    const struct violation *v = arg;
    char first[200];
    need_clang();
    check_output o = check_command("hls/lint/lint.py tests/fixtures/hls/%s.c", v->file);
    check_output marks = check_command("sed -n '/here \\*\\//=' tests/fixtures/hls/%s.c", v->file);
    const char *line = o.out;
    CHECK(o.status == 1, "status %d: %s%s", o.status, o.out, o.err);
    snprintf(first, sizeof first, ":%.*s: [%s", (int)strcspn(marks.out, "\n"), marks.out, v->says);
    CHECK(strstr(o.out, first), "the violation is at line %sbut found is\n%s", marks.out, o.out);
    for (const char *mark = marks.out; *mark; mark = strchr(mark, '\n') + 1) {
        char at[200];
        int n = snprintf(at, sizeof at, "tests/fixtures/hls/%s.c:%d: ", v->file, atoi(mark));
        CHECK(strncmp(line, at, (size_t)n) == 0, "after line %d of the fixture:\n%s", atoi(mark), o.out);
        line = strchr(line, '\n') + 1;
    }
    CHECK(!*line, "more is found than there is: %s", line);
    check_output_free(&marks);
    check_output_free(&o);
}

static void nothing_is_found(void *arg) {
    need_clang();
    check_output o = check_command("hls/lint/lint.py %s", (const char *)arg);
    CHECK(o.status == 0 && o.out_bytes == 0, "status %d:\n%s%s", o.status, o.out, o.err);
    check_output_free(&o);
}

static void a_missing_file_is_an_error(void *arg) {
    (void)arg;
    need_clang();
    check_output o = check_command("hls/lint/lint.py hls/no_such_kernel.c");
    CHECK(o.status == 2 && strstr(o.err, "hls/no_such_kernel.c"), "status %d: %s%s", o.status, o.out, o.err);
    check_output_free(&o);
}

/* The fixture's stream, got at an index, run with checked streams: what the check says. */
static const struct stream {
    const char *name, *get, *says;
} streams[] = {
    {"a stream got in another order than put is found when it runs", "63-i", "kept: get out of order at 63\n"},
    {"a stream in order is accepted", "i", "in order\n"},
};

static void stream_is_checked(void *arg) {
    const struct stream *s = arg;
    char *folder = check_folder();
    check_output o =
        check_command("cd tests/fixtures/hls && gcc -std=gnu11 -I../../.. -DHLS_CHECK -DGET='%s' -Wno-unknown-pragmas "
                      "-o '%s/run' stream.c run.c ../../../hls/check.c && '%s/run'",
                      s->get, folder, folder);
    CHECK(o.status == 0 && strcmp(o.out, s->says) == 0, "status %d: %s%s", o.status, o.out, o.err);
    check_output_free(&o);
    check_folder_remove(folder);
}

/* The kernels, as a board with few ports builds them and as one with many. */
static const char *const builds[] = {
    "",
    "-DHLS_PORTS=1 -DHLS_PORT_BYTES=32 -DHLS_ROWS=1 -DHLS_LANES_FP32=16",
    "-DHLS_PORTS=16 -DHLS_ROWS=8 -DHLS_LANES_FP32=128",
};

int main(int argc, char **argv) {
    check_case cases[VIOLATIONS + 7] = {
        {"accepts one of everything", nothing_is_found, "tests/fixtures/hls/clean.c"},
        {"a file that is not there is an error", a_missing_file_is_an_error, NULL},
        {"accepts the kernels of hls/", nothing_is_found, (void *)builds[0]},
        {"accepts the kernels of a small build", nothing_is_found, (void *)builds[1]},
        {"accepts the kernels of a large build", nothing_is_found, (void *)builds[2]},
        {streams[0].name, stream_is_checked, (void *)&streams[0]},
        {streams[1].name, stream_is_checked, (void *)&streams[1]},
    };
    for (int i = 0; i < VIOLATIONS; i++)
        cases[7 + i] = (check_case){violations[i].name, is_found, (void *)&violations[i]};
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
