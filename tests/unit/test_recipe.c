/* The problems that the shipped model learns from: their reasoning, rewards and split are tested in Python, without torch. */
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

static void problems(void *arg) {
    (void)arg;
    check_output have = check_command("python3 -c 'import unittest'");
    if (have.status) check_skip("there is no python3");
    check_output_free(&have);
    check_output o = check_command("PYTHONDONTWRITEBYTECODE=1 python3 models/recipe/test_problems.py");
    CHECK(o.status == 0 && strstr(o.err, "\nOK"), "%s%s", o.out, o.err);
    check_output_free(&o);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"reasoning is right, rewards follow the rules, training and held-out problems never meet", problems, NULL},
    };
    return check_main(argc, argv, cases, 1);
}
