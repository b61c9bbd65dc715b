/* make install: what lands where, and that the library can be used from there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

static char *folder;

/* Runs a command in which %s is the folder; fails the case, showing what it said, when it fails. */
static check_output must(const char *command) {
    check_output o = check_command(command, folder, folder, folder);
    CHECK(o.status == 0, "%s\n%s%s", command, o.out, o.err);
    return o;
}

static void install(void) {
    const char *build = getenv("FATHOM_BUILD");
    CHECK(build, "FATHOM_BUILD is not set: run through make");
    folder = check_folder();
    check_output o =
        check_command("env -u MAKEFLAGS -u MAKELEVEL make BUILD='%s' PREFIX='%s/usr' install", build, folder);
    CHECK(o.status == 0, "%s%s", o.out, o.err);
    check_output_free(&o);
}

static void skip_under_sanitizers(void) {
    const char *flags = getenv("FATHOM_SANITIZE");
    if (flags && *flags) check_skip("a sanitized library is not for installing");
}

static void installed_library_compiles_and_runs(void *arg) {
    (void)arg;
    skip_under_sanitizers();
    install();
    check_output o = must("printf '#include <fathom.h>\\n#include <stdio.h>\\n"
                          "int main(void) { puts(fathom_version()); return 0; }' >'%s/a.c'");
    check_output_free(&o);
    o = must(
        "export PKG_CONFIG_PATH='%s/usr/lib/pkgconfig'; cd '%s' && gcc a.c -o a $(pkg-config --cflags --libs fathom) && "
        "LD_LIBRARY_PATH='%s/usr/lib' ./a");
    check_output program = check_command("'%s/usr/bin/fathom' --version", folder);
    CHECK(strstr(program.out, o.out), "library '%s', program '%s'", o.out, program.out);
    check_output_free(&o);
    check_output_free(&program);
    o = must(
        "export PKG_CONFIG_PATH='%s/usr/lib/pkgconfig'; cd '%s' && "
        "gcc a.c -o b usr/lib/libfathom.a $(pkg-config --static --cflags --libs fathom | sed 's/-lfathom//') && ./b");
    check_output_free(&o);
    check_folder_remove(folder);
}

static void only_the_public_names_are_exported(void *arg) {
    (void)arg;
    skip_under_sanitizers();
    check_output o = check_command("nm -D --defined-only \"$FATHOM_BUILD/libfathom.so\" | sed -n 's/.* T //p'");
    CHECK(o.status == 0 && strstr(o.out, "fathom_engine_open_sized@@FATHOM_1\n"), "%s%s", o.out, o.err);
    for (char *name = strtok(o.out, "\n"); name; name = strtok(NULL, "\n"))
        CHECK(!strncmp(name, "fathom_", 7), "%s is visible", name);
    check_output_free(&o);
}

static void every_public_function_is_there(void *arg) {
    (void)arg;
    skip_under_sanitizers();
    check_output o = check_command(
        "nm -D --defined-only \"$FATHOM_BUILD/libfathom.so\" | sed -n 's/.* T \\(.*\\)@@FATHOM_1$/\\1/p' | sort >/tmp/$$.have;"
        "grep -o 'FATHOM_API .*' host/fathom.h | grep -o 'fathom_[a-z_]*(' | tr -d '(' | sort "
        "| comm -23 - /tmp/$$.have; rm /tmp/$$.have");
    CHECK(o.status == 0 && o.out_bytes == 0, "declared, but not in the library:\n%s%s", o.out, o.err);
    check_output_free(&o);
}

/* packaging/abi.sh says what is listed */
static void programs_of_the_last_release_run(void *arg) {
    (void)arg;
    skip_under_sanitizers();
    check_output o = check_command("command -v pahole");
    int status = o.status;
    check_output_free(&o);
    if (status) check_skip("pahole is not installed");
    o = check_command(
        "packaging/abi.sh host/fathom.h \"$FATHOM_BUILD/libfathom.so\" | LC_ALL=C comm -13 - packaging/libfathom.abi");
    CHECK(o.status == 0 && !o.out_bytes, "gone or changed, though the SONAME is the same:\n%s%s", o.out, o.err);
    check_output_free(&o);
}

static void uninstall_removes_all_files(void *arg) {
    (void)arg;
    skip_under_sanitizers();
    install();
    check_output o =
        must("env -u MAKEFLAGS -u MAKELEVEL make PREFIX='%s/usr' uninstall >/dev/null; find '%s' ! -type d");
    CHECK(o.out_bytes == 0, "left behind: %s", o.out);
    check_output_free(&o);
    check_folder_remove(folder);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"the installed library compiles and runs", installed_library_compiles_and_runs, NULL},
        {"the shared library shows the public names alone", only_the_public_names_are_exported, NULL},
        {"every function of fathom.h is in the library", every_public_function_is_there, NULL},
        {"programs that were built with the last release's header run with this library",
         programs_of_the_last_release_run, NULL},
        {"uninstall removes every file", uninstall_removes_all_files, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
