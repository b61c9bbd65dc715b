/* What packaging/ makes: manual pages, completions, the list of parts, the sources to hand out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"

/* Runs it with $D a new folder; its standard output must be empty and its exit status 0. */
static void holds(const char *command) {
    char *folder = check_folder();
    check_output o = check_command("D='%s'; export D; set -e; %s", folder, command);
    CHECK(o.status == 0 && !o.out_bytes, "%d: %s%s", o.status, o.out, o.err);
    check_output_free(&o);
    check_folder_remove(folder);
}

static void every_option_has_its_place_in_a_page(void *arg) {
    (void)arg;
    check_needs("scdoc");
    check_needs("man");
    holds(
        "packaging/man/pages.sh \"$FATHOM_BIN\" 0 \"$D\";"
        "for page in \"$D\"/fathom-*.1; do c=${page##*/fathom-}; c=${c%.1};"
        "  MANWIDTH=1000 man --warnings -l \"$page\" 2>&1 >\"$D/text\" | sed \"s/^/$c: /\";"
        "  \"$FATHOM_BIN\" $c --help | grep -o '^  *\\(-[A-Za-z?], \\)\\?--[a-z0-9-]*' | sed 's/^ *//' | while read -r option; do"
        "    grep -qF -e \"$option\" \"$D/text\" || echo \"$c: $option is not in the page\"; done; done;"
        "[ \"$(ls \"$D\"/*.1 | wc -l)\" -gt 20 ] || echo 'too few pages'");
}

static void pages_are_the_same_every_time(void *arg) {
    (void)arg;
    check_needs("scdoc");
    holds(
        "SOURCE_DATE_EPOCH=86400; export SOURCE_DATE_EPOCH; for i in 1 2; do packaging/man/pages.sh \"$FATHOM_BIN\" 0 \"$D/$i\"; done;"
        "diff -r \"$D/1\" \"$D/2\"");
}

typedef struct completion {
    const char *line, *offers, *not_offers;
} completion;

static const completion completions[] = {
    {"pl", "plan", "run"},
    {"run --max-to", "--max-tokens=", "--min-p="},
    {"run --cache b", "bf16", "fp8"},
    {"serve --board u5", "u55c", "u280"},
    {"tokenize tests/cli/completion.b", "tests/cli/completion.bash", "tests/cli/completion.zsh"},
};

static void bash_completes(void *arg) {
    const completion *c = arg;
    check_output o = check_command("test -r /usr/share/bash-completion/bash_completion");
    int status = o.status;
    check_output_free(&o);
    if (status) check_skip("bash-completion is not installed");
    o = check_command("bash tests/cli/completion.bash \"$FATHOM_BIN\" %s", c->line);
    CHECK(o.status == 0 && strstr(o.out, c->offers), "offered: %s%s", o.out, o.err);
    CHECK(!strstr(o.out, c->not_offers), "offered: %s", o.out);
    check_output_free(&o);
}

static void zsh_completes(void *arg) {
    (void)arg;
    check_needs("zsh");
    check_output o = check_command(
        "zsh -f tests/cli/completion.zsh \"$(realpath \"$(dirname \"$FATHOM_BIN\")\")\" 'fathom plan --boa' --boards-per-host");
    CHECK(strstr(o.out, "--boards-per-host"), "offered: %s%s", o.out, o.err);
    CHECK(!strstr(o.out, "--skew"), "offered: %s", o.out);
    check_output_free(&o);
}

static void parts_are_listed_the_same_every_time(void *arg) {
    (void)arg;
    check_needs("python3");
    const char *flags = getenv("FATHOM_SANITIZE");
    if (flags && *flags) check_skip("a sanitizer's libraries are no part of what is handed out");
    holds(
        "for i in 1 2; do packaging/sbom.py --version 1 --program \"$FATHOM_BIN\" --vendored host/server/page/vendor "
        "--model models/fathom-r1-mini --out \"$D/$i.json\"; done; cmp \"$D/1.json\" \"$D/2.json\";"
        "grep -o '\"name\": \"[a-z0-9.-]*\"' \"$D/1.json\" >\"$D/names\";"
        "for l in jansson sodium sqlite3 microhttpd gnutls; do grep -q $l \"$D/names\" || echo \"$l is not listed\"; done;"
        "grep -q '\"name\": \"libjs-katex\"' \"$D/1.json\"; grep -q machine-learning-model \"$D/1.json\"");
}

/* debhelper brings a compiler and pkg-config's work is done by pkgconf */
static void debian_builds_with_what_the_makefile_asks_for(void *arg) {
    (void)arg;
    holds(
        "sed -n 's/^BUILD_PACKAGES := //p' Makefile | tr ' ' '\\n' | grep -v '^gcc$\\|^libc6-dev$\\|^pkg-config$' | sort >\"$D/asked\";"
        "awk '/^Build-Depends:/ { on = 1; next } /^[^ ]/ { on = 0 } on { print $1 }' debian/control | tr -d , |"
        "  grep -v '^pkgconf$\\|^scdoc$' | sort >\"$D/given\"; diff \"$D/asked\" \"$D/given\"");
}

static void the_changelog_is_of_this_version(void *arg) {
    (void)arg;
    holds("v=$(sed -n 's/^VERSION := //p' Makefile); head -n 1 debian/changelog | grep -qF \"fathom ($v)\"");
}

static void sources_are_the_same_every_time(void *arg) {
    (void)arg;
    check_output o = check_command("git rev-parse --git-dir");
    int status = o.status;
    check_output_free(&o);
    if (status) check_skip("not a git clone");
    holds(
        "unset MAKEFLAGS MAKELEVEL; for i in 1 2; do make -s BUILD=\"$D/$i\" dist >/dev/null; done;"
        "cmp \"$D\"/1/*.tar.gz \"$D\"/2/*.tar.gz; tar -tf \"$D\"/1/*.tar.gz >\"$D/list\"; grep -q '/debian/control$' \"$D/list\"");
}

int main(int argc, char **argv) {
    enum { FIXED = 7, COMPLETIONS = sizeof completions / sizeof *completions };
    check_case cases[FIXED + COMPLETIONS] = {
        {"every option of every command is in its manual page", every_option_has_its_place_in_a_page, NULL},
        {"manual pages are the same every time", pages_are_the_same_every_time, NULL},
        {"zsh completes options", zsh_completes, NULL},
        {"the list of parts names every library and is the same every time", parts_are_listed_the_same_every_time,
         NULL},
        {"debian/control builds with what the Makefile asks for", debian_builds_with_what_the_makefile_asks_for, NULL},
        {"debian/changelog is of this version", the_changelog_is_of_this_version, NULL},
        {"make dist gives the same bytes every time", sources_are_the_same_every_time, NULL},
    };
    char names[COMPLETIONS][80];
    for (int i = 0; i < COMPLETIONS; i++) {
        snprintf(names[i], sizeof names[i], "bash completes: fathom %s", completions[i].line);
        cases[FIXED + i] = (check_case){names[i], bash_completes, (void *)&completions[i]};
    }
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
