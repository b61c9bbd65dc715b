/* make xclbin, which needs Vitis: what it would run is held to a record, and it runs to the end with a v++ that only looks at its arguments:
 * the files that it is given are there, and it leaves the file that it was asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boards/image.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

/* As a person calls make: not as a part of the make that runs the tests. */
#define MAKE(path)                                                             \
    "env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS PATH=" path "/usr/bin:/bin make " \
    "--no-print-directory BUILD=\"$FATHOM_BUILD\" -o \"$FATHOM_BIN\" "

typedef struct image {
    const char *board, *target, *attention;
    bool recorded;
} image;

/* Every line of the record, in order, and no other but those that look for v++. */
static void commands_are_as_recorded(void *arg) {
    const image *m = arg;
    char path[128], *dir = check_folder();
    snprintf(path, sizeof path, "tests/cli/xclbin/%s-%s.txt", m->board, m->target);
    size_t n;
    uint8_t *wanted = check_read(path, &n);
    check_output o = check_command(
        MAKE("") "XCLBIN=%s/%s-%s -n xclbin BOARD=%s TARGET=%s | sed -e '/^command -v/d' -e '/^  \"the platform/d' "
                 "-e 's,%s/,build/xclbin/,g'",
        dir, m->board, m->target, m->board, m->target, dir);
    CHECK(o.status == 0 && *o.out, "%s", o.err);
    CHECK(!strcmp(o.out, (char *)wanted),
          "make -n says\n%s\nwhere %s says\n%s\n(tests/cli/xclbin/record.sh writes it anew)", o.out, path,
          (char *)wanted);
    check_output_free(&o);
    free(wanted);
    check_folder_remove(dir);
}

/* Fails on a file that is not there; writes the outputs of v++ and emconfigutil; notes each command in $NOTES. */
static const char tool[] = "#!/bin/sh\n"
                           "echo \"$(basename $0) $*\" >>\"$NOTES\"\n"
                           "while [ $# -gt 0 ]; do case $1 in\n"
                           "  -o) out=$2; shift;;\n"
                           "  --od) mkdir -p $2; out=$2/emconfig.json; shift;;\n"
                           "  --config) [ -s \"$2\" ] || { echo \"no $2\" >&2; exit 1; }; shift;;\n"
                           "  --platform) case $2 in xilinx_*) ;; *) echo \"platform $2\" >&2; exit 1;; esac; shift;;\n"
                           "  --temp_dir|--log_dir|--report_dir|-k|-t|--nd) shift;;\n"
                           "  -*) ;;\n"
                           "  *) [ -s \"$1\" ] || { echo \"no $1\" >&2; exit 1; };;\n"
                           "esac; shift; done\n"
                           "echo made >\"$out\"\n";

static int lines_with(const char *text, const char *what) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++) n++;
    return n;
}

static void every_file_is_made(void *arg) {
    const image *m = arg;
    static const char *const names[] = {"v++", "emconfigutil"};
    fa_board b;
    fa_error e;
    hls_kernel kernels[FA_IMAGE_KERNELS];
    CHECK_OK(fa_board_find(&b, m->board, &e), &e);
    int n = fa_image_kernels(&b, m->attention, kernels);
    char *dir = check_folder(), path[512];
    for (size_t i = 0; i < 2; i++) {
        free(check_write(dir, names[i], tool, sizeof tool - 1));
        check_output o = check_command("chmod +x %s/%s", dir, names[i]);
        check_output_free(&o);
    }
    check_output o =
        check_command("NOTES=%s/notes " MAKE("%s:") "XCLBIN=%s/image xclbin BOARD=%s TARGET=%s ATTENTION=%s", dir, dir,
                      dir, m->board, m->target, m->attention);
    CHECK(o.status == 0, "%s%s", o.out, o.err);
    CHECK(!strcmp(m->board, "f2") == !!strstr(o.out, "create_vitis_afi.sh"), "%s", o.out);
    check_output_free(&o);
    snprintf(path, sizeof path, "%s/image/fathom.xclbin", dir);
    size_t bytes;
    free(check_read(path, &bytes));
    snprintf(path, sizeof path, "%s/notes", dir);
    char *notes = (char *)check_read(path, &bytes);
    CHECK(lines_with(notes, "v++ -c ") == n && lines_with(notes, "v++ -l ") == 1, "%s", notes);
    CHECK(lines_with(notes, "v++ -p ") == b.packaged, "%s", notes);
    CHECK(lines_with(notes, "emconfigutil ") == !strcmp(m->target, "hw_emu"), "%s", notes);
    for (int k = 0; k < n; k++) {
        char option[96];
        snprintf(option, sizeof option, " -k %s ", kernels[k].name);
        CHECK(lines_with(notes, option) == 1, "no%s in %s", option, notes);
    }
    free(notes);
    o = check_command("NOTES=/dev/full " MAKE("%s:") "XCLBIN=%s/image xclbin BOARD=%s TARGET=%s ATTENTION=%s", dir, dir,
                      m->board, m->target, m->attention);
    CHECK(!strstr(o.out, "v++"), "what is there is made again: %s", o.out);
    check_output_free(&o);
    check_folder_remove(dir);
}

int main(int argc, char **argv) {
    static const image images[] = {{"u280", "hw", "mla", true},    {"u280", "hw_emu", "mla", true},
                                   {"vck5000", "hw", "mla", true}, {"f2", "hw", "mla", true},
                                   {"u55c", "hw", "gqa", false},   {"u250", "hw_emu", "gqa", false}};
    enum { IMAGES = sizeof images / sizeof *images };
    static char names[2 * IMAGES][80];
    check_case cases[2 * IMAGES];
    size_t n = 0;
    for (const image *m = images; m < images + IMAGES; m++) {
        if (m->recorded) {
            snprintf(names[n], sizeof *names, "%s, %s: make -n says what is recorded", m->board, m->target);
            cases[n] = (check_case){names[n], commands_are_as_recorded, (void *)m};
            n++;
        }
        snprintf(names[n], sizeof *names, "%s, %s, %s: every file is made, once", m->board, m->target, m->attention);
        cases[n] = (check_case){names[n], every_file_is_made, (void *)m};
        n++;
    }
    return check_main(argc, argv, cases, n);
}
