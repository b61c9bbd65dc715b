/* The sizes in hls/rtl/counts.h are what Yosys makes of the Verilog beside it. */
#include <stdio.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

static void counts_are_those_of_the_sources(void *arg) {
    (void)arg;
    check_output version = check_command("yosys -V 2>/dev/null | cut -d' ' -f2 && cat hls/rtl/counts.h");
    char *end = strchr(version.out, '\n'), made_with[64];
    CHECK(end && version.status == 0, "%s", version.err);
    *end = 0;
    if (!*version.out) check_skip("yosys is not installed");
    snprintf(made_with, sizeof made_with, "counts.py with Yosys %s:", version.out);
    if (!strstr(end + 1, made_with)) check_skip("counts.h was not written by this Yosys, %s", version.out);
    check_output_free(&version);
    check_output o = check_command("hls/rtl/counts.py | diff hls/rtl/counts.h -");
    CHECK(o.status == 0, "hls/rtl/counts.py >hls/rtl/counts.h writes it anew:\n%s%s", o.out, o.err);
    check_output_free(&o);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"counts.h holds the counts of these sources", counts_are_those_of_the_sources, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
