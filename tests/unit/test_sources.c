/* The sources themselves: the direction of includes and the sizes that docs/architecture.md promises. */
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

static void script_accepts_the_sources(void *arg) {
    check_output o = check_command("tests/%s", (const char *)arg);
    CHECK(o.status == 0 && o.out_bytes == 0, "\n%s%s", o.out, o.err);
    check_output_free(&o);
}

static void include_check_finds_wrong_ones(void *arg) {
    (void)arg;
    check_output o = check_command("tests/lint-includes.sh tests/fixtures/includes");
    CHECK(o.status == 1, "status %d: %s%s", o.status, o.out, o.err);
    CHECK(strstr(o.out, "host/base/back.c:2: host/base may not include \"host/format/tensor.h\""), "%s", o.out);
    CHECK(strstr(o.out, "host/format/relative.c:2: \"../base/status.h\" is not written from the root"), "%s", o.out);
    CHECK(!strstr(o.out, "good.c"), "%s", o.out);
    check_output_free(&o);
}

static void size_check_finds_long_ones(void *arg) {
    (void)arg;
    char *folder = check_folder();
    check_output o = check_command("mkdir '%s/host' && cd '%s/host' && { echo 'int long_one(int x) {'; "
                                   "for i in $(seq 60); do echo '    x++;'; done; echo '}'; seq 540; } >a.c",
                                   folder, folder);
    check_output_free(&o);
    o = check_command("tests/lint-sizes.sh '%s'", folder);
    CHECK(o.status == 1, "status %d: %s%s", o.status, o.out, o.err);
    CHECK(strstr(o.out, "host/a.c: 602 lines") && strstr(o.out, "host/a.c:1: 62 lines"), "%s", o.out);
    check_output_free(&o);
    check_folder_remove(folder);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"includes follow the arrows", script_accepts_the_sources, "lint-includes.sh"},
        {"files and functions are short", script_accepts_the_sources, "lint-sizes.sh"},
        {"the include check finds wrong includes", include_check_finds_wrong_ones, NULL},
        {"the size check finds long files and functions", size_check_finds_long_ones, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
