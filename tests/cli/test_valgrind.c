/* valgrind over a whole `fathom run`: no leak, no bad access. It knows no AVX-512, so the kernels run as AVX2 code. */
#include <stdlib.h>
#include <string.h>

#include "host/base/cpu.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"

static void run_is_clean(void *arg) {
    const char *flags = getenv("FATHOM_SANITIZE");
    if (flags && *flags) check_skip("valgrind does not run sanitized programs");
    check_output o = check_command("valgrind --version");
    if (o.status) check_skip("valgrind is not installed");
    check_output_free(&o);
    o = check_command("FATHOM_ISA=%s valgrind -q --leak-check=full --show-leak-kinds=definite,indirect,possible "
                      "--errors-for-leak-kinds=definite,indirect,possible --error-exitcode=99 \"$FATHOM_BIN\" run "
                      "--model %s/%s --ids 5,6,7,8 -n 4 --temp 0 --ignore-eos --print-ids --threads 2",
                      fa_isa_name(fa_isa_best() >= FA_ISA_AVX2 ? FA_ISA_AVX2 : FA_ISA_PORTABLE), check_golden_dir(),
                      (const char *)arg);
    CHECK(o.status == 0, "status %d\n%.4000s", o.status, o.err);
    CHECK(strchr(o.out, ','), "no ids: %s", o.out);
    check_output_free(&o);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"valgrind finds nothing in run: MLA, experts, FP8", run_is_clean, "deepseek-v3-tiny-fp8"},
        {"valgrind finds nothing in run: GQA, dense", run_is_clean, "r1-distill-qwen-tiny"},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
