/* The commands of docs/boards.md: each one runs, but those that are marked as needing a board, Vitis or root. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

enum { MAX_COMMANDS = 64 };

typedef struct command {
    char text[400], need[16]; /* need: "board", "Vitis", "root", or empty */
    int line;
} command;

/* An indented line whose first word is a program; its comment may begin with what it needs. */
static bool take(char *line, command *c) {
    static const char *const programs[] = {
        "fathom", "make", "sudo", "lspci", "xbmgmt", "xbutil", "v++", "source", "create_vitis_afi.sh"};
    static const char *const needs[] = {"board", "Vitis", "root"};
    size_t indent = strspn(line, " ");
    char *text = line + indent, *comment = strstr(text, " # ");
    size_t word = strcspn(text, " ");
    bool is = false;
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        is |= word == strlen(programs[i]) && !strncmp(text, programs[i], word);
    if (indent < 4 || !is) return false;
    *c->need = 0;
    if (comment) {
        *comment = 0;
        for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
            if (!strncmp(comment + 3, needs[i], strlen(needs[i])) &&
                !islower((unsigned char)comment[3 + strlen(needs[i])]))
                snprintf(c->need, sizeof c->need, "%s", needs[i]);
    }
    size_t end = strlen(text);
    while (end && text[end - 1] == ' ') text[--end] = 0;
    snprintf(c->text, sizeof c->text, "%s", text);
    return true;
}

static int read_commands(command *c) {
    size_t n;
    char *page = (char *)check_read("docs/boards.md", &n), *next = page;
    int found = 0;
    for (int line = 1; next; line++) {
        char *text = strsep(&next, "\n");
        if (found < MAX_COMMANDS && take(text, &c[found])) c[found++].line = line;
    }
    free(page);
    return found;
}

static void it_runs(void *arg) {
    const command *c = arg;
    check_output o;
    if (strstr(c->text, "emu")) {
        o = check_command("\"$FATHOM_BIN\" doctor emulation");
        if (o.status) check_skip("%s", o.out);
        check_output_free(&o);
    }
    char *dir = check_folder();
    if (!strncmp(c->text, "make", 4))
        o = check_command("env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make --no-print-directory BUILD=\"$FATHOM_BUILD\" "
                          "-o \"$FATHOM_BIN\" XCLBIN=%s/image %s",
                          dir, c->text + 4);
    else
        o = check_command("\"$FATHOM_BIN\" %s", c->text + strlen("fathom"));
    CHECK(o.status == 0, "docs/boards.md:%d: '%s': %s%s", c->line, c->text, o.out, o.err);
    check_output_free(&o);
    check_folder_remove(dir);
}

/* What is marked is what no machine of ours has: other programs than ours, or ours with a card, an image or v++. */
static void marks_are_right(void *arg) {
    command *c = calloc(MAX_COMMANDS, sizeof *c);
    (void)arg;
    int n = read_commands(c), marked = 0;
    CHECK(n > 20 && n < MAX_COMMANDS, "%d commands", n);
    for (int i = 0; i < n; i++) {
        bool ours = !strncmp(c[i].text, "fathom ", 7) || !strncmp(c[i].text, "make ", 5);
        bool card = strstr(c[i].text, ".xclbin") || strstr(c[i].text, "xclbin BOARD") || strstr(c[i].text, "doctor");
        CHECK(ours || *c[i].need, "docs/boards.md:%d: '%s' needs a mark", c[i].line, c[i].text);
        CHECK(!ours || !*c[i].need || card || strstr(c[i].text, "--xclbin"), "docs/boards.md:%d: '%s' could run here",
              c[i].line, c[i].text);
        marked += *c[i].need != 0;
    }
    CHECK(marked < n);
    free(c);
}

int main(int argc, char **argv) {
    static command c[MAX_COMMANDS];
    static char names[MAX_COMMANDS][448];
    check_case cases[MAX_COMMANDS + 1] = {
        {"docs/boards.md: what is marked needs more than a machine", marks_are_right, NULL}};
    size_t n = 1;
    int found = read_commands(c);
    for (int i = 0; i < found; i++) {
        if (*c[i].need) continue;
        snprintf(names[n], sizeof *names, "docs/boards.md: %.399s", c[i].text);
        cases[n] = (check_case){names[n], it_runs, &c[i]};
        n++;
    }
    return check_main(argc, argv, cases, n);
}
