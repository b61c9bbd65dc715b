/* The programs of examples/, against an installed library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

/* what a program is given, and what the command line answers to the same */
typedef struct example {
    const char *name, *run, *same_as;
} example;

static const char model[] = "models/fathom-r1-mini";

#define COMPILE(name) \
    "gcc -Wall -Wextra -Werror examples/" name ".c -o \"$D/" name "\" $(pkg-config --cflags --libs fathom) && "

static const example examples[] = {
    {"generate.c answers as fathom run does",
     COMPILE("generate") "\"$D/generate\" \"$M\" 'What is 47 * 68?' | tail -n 1",
     "\"$FATHOM_BIN\" run -q --model \"$M\" --seed 1 --temp 0.6 --top-p 0.95 'What is 47 * 68?' | tail -n 1"},
    {"batch.c continues each text as fathom run does alone",
     COMPILE("batch") "\"$D/batch\" \"$M\" 'The answer is' 'One and two' | sed 's/.* ->//; s/ ([0-9]* tokens)$//'",
     "for t in 'The answer is' 'One and two'; do \"$FATHOM_BIN\" run -q --raw --temp 0 -n 24 --model \"$M\" \"$t\"; done"},
    {"event_loop.c answers a line of its input",
     COMPILE("event_loop") "echo 'The answer is' | \"$D/event_loop\" \"$M\"",
     "\"$FATHOM_BIN\" run -q --raw --temp 0 -n 32 --model \"$M\" 'The answer is'"},
    {"generate.py answers through ctypes",
     "LIBFATHOM=\"$D/usr/lib/libfathom.so.1\" python3 examples/generate.py \"$M\" 'The answer is'",
     "\"$FATHOM_BIN\" run -q --raw --temp 0 -n 24 --model \"$M\" 'The answer is'"},
};

static void skip_where_it_cannot_run(void) {
    const char *flags = getenv("FATHOM_SANITIZE");
    if (flags && *flags) check_skip("a sanitized library is not for installing");
}

static void answers_the_same(void *arg) {
    const example *x = arg;
    skip_where_it_cannot_run();
    char *folder = check_folder();
    check_output o = check_command(
        "env -u MAKEFLAGS -u MAKELEVEL make BUILD=\"$FATHOM_BUILD\" PREFIX='%s/usr' install >/dev/null", folder);
    CHECK(o.status == 0, "%s%s", o.out, o.err);
    check_output_free(&o);
    o = check_command(
        "D='%s'; M=%s; export PKG_CONFIG_PATH=\"$D/usr/lib/pkgconfig\" LD_LIBRARY_PATH=\"$D/usr/lib\"; %s", folder,
        model, x->run);
    CHECK(o.status == 0 && o.out_bytes > 1, "%d: %s%s", o.status, o.out, o.err);
    check_output command_line = check_command("M=%s; %s", model, x->same_as);
    CHECK(!strcmp(o.out, command_line.out), "'%s' instead of '%s'%s", o.out, command_line.out, command_line.err);
    check_output_free(&o);
    check_output_free(&command_line);
    check_folder_remove(folder);
}

int main(int argc, char **argv) {
    enum { N = sizeof examples / sizeof *examples };
    check_case cases[N];
    for (int i = 0; i < N; i++) cases[i] = (check_case){examples[i].name, answers_the_same, (void *)&examples[i]};
    return check_main(argc, argv, cases, N);
}
