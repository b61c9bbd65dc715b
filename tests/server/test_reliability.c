/* The parts of tests/reliability in their short form: seconds each and no verdict on times, which `make reliability` has. */
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

static void short_part(void *arg) {
    const char *part = arg;
    check_output o = check_command("command -v python3");
    int missing = o.status;
    check_output_free(&o);
    if (missing) check_skip("python3 is not installed");
    o = check_command("FATHOM_MODEL=models/fathom-r1-mini python3 tests/reliability/run.py --short %s", part);
    CHECK(o.status == 0, "status %d:\n%s%s", o.status, o.out, o.err);
    check_output_free(&o);
}

static const check_case cases[] = {
    {"a text in a prompt is in no file, log, metric or error", short_part, "canary"},
    {"the prompt of one key is not in the cache of another", short_part, "timing"},
    {"/health answers while prompts are computed", short_part, "health"},
    {"clients that leave free their places", short_part, "disconnects"},
    {"idle and slow clients keep nobody from an answer", short_part, "idle"},
    {"a flood of newcomers is refused and old keys are served", short_part, "overload"},
    {"kills lose no answer that was seen and double none", short_part, "crash"},
    {"mixed traffic leaves no file and no thread behind", short_part, "soak"},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
