/* What the documents say: links lead somewhere, errors read as quoted, commands of the guides run. docs/boards.md has a test of its own. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

enum { MOST = 64 };

/* ---- quoted errors ---- */

typedef struct quoted {
    char name[300], command[300], says[300];
} quoted;

/* Indented lines in pairs: a command, and behind "> " what it answers. */
static int read_quoted(const char *path, quoted *q) {
    size_t n;
    int found = 0;
    char *page = (char *)check_read(path, &n), *next = page, last[300] = "";
    while (next) {
        char *line = strsep(&next, "\n");
        if (!strncmp(line, "    > ", 6) && *last && found < MOST) {
            snprintf(q[found].command, sizeof q->command, "%s", last);
            snprintf(q[found].says, sizeof q->says, "%s", line + 6);
            snprintf(q[found].name, sizeof q->name, "%s is answered as the page says", last);
            found++;
        }
        snprintf(last, sizeof last, "%s", strncmp(line, "    ", 4) ? "" : line + 4);
    }
    free(page);
    return found;
}

/* Whether the pieces between ".." come one after the other. */
static bool has_pieces(const char *text, char *pieces) {
    while (pieces) {
        char *end = strstr(pieces, " .. ");
        if (end) *end = 0;
        text = strstr(text, pieces);
        if (!text) return false;
        text += strlen(pieces);
        pieces = end ? end + 4 : NULL;
    }
    return true;
}

static void is_answered(void *arg) {
    quoted *q = arg;
    char *begin = strstr(q->command, "fathom ");
    CHECK(begin, "%s", q->command);
    if (strstr(begin, "opencl")) {
        check_output o = check_command("\"$FATHOM_BIN\" doctor opencl");
        if (o.status) check_skip("%s", o.out);
        check_output_free(&o);
    }
    check_output o = check_command("%.*s \"$FATHOM_BIN\" %s", (int)(begin - q->command), q->command, begin + 7);
    CHECK(o.status && o.status < 128, "status %d: %s%s", o.status, o.out, o.err);
    CHECK(has_pieces(o.err, q->says), "'%s' is not in: %s", q->says, o.err);
    check_output_free(&o);
}

/* ---- links and paths ---- */

/* Every [..](path) of every page, without http and anchors. */
static void links_lead_somewhere(void *arg) {
    (void)arg;
    check_output o =
        check_command("git ls-files '*.md' 2>/dev/null | grep . || find . -name '*.md' -not -path './build*'");
    int links = 0;
    for (char *page, *rest = o.out; (page = strsep(&rest, "\n"));) {
        if (!*page) continue;
        check_output l = check_command(
            "D=$(dirname '%s'); grep -o '](\\([^)#: ]*\\)[)#]' '%s' | sed 's/](//; s/[)#]$//' | while read -r to; do "
            "echo \"$to\"; [ -e \"$D/$to\" ] || echo \"%s: $to leads nowhere\" >&2; done",
            page, page, page);
        CHECK(!*l.err, "%s", l.err);
        for (char *c = l.out; *c; c++) links += *c == '\n';
        check_output_free(&l);
    }
    CHECK(links > 50, "only %d links were found", links);
    check_output_free(&o);
}

/* A path in backquotes that begins with one of our folders and has no placeholder is there. */
static void paths_are_there(void *arg) {
    (void)arg;
    check_output o = check_command(
        "cat README.md docs/*.md | grep -o '`\\(host\\|hls\\|boards\\|sim\\|opencl\\|quant\\|tests\\|models\\|deploy\\|packaging\\|examples\\)/"
        "[a-z0-9_./-]*`' | tr -d '`' | sort -u | while read -r p; do [ -e \"$p\" ] || ls -d \"$p\"* >/dev/null 2>&1 || echo \"$p\"; done");
    CHECK(o.status == 0 && !o.out_bytes, "named, but not there:\n%s", o.out);
    check_output_free(&o);
}

/* ---- the guide's commands ---- */

static void commands_of_the_guide_run(void *arg) {
    (void)arg;
    size_t n;
    char *page = (char *)check_read("docs/extending.md", &n), *next = page, *folder = check_folder();
    char script[4000] = "";
    int commands = 0;
    while (next) {
        char *line = strsep(&next, "\n");
        if (strncmp(line, "    ", 4) || !islower((unsigned char)line[4])) continue;
        char *comment = strstr(line, "   # ");
        if (comment) *comment = 0;
        size_t used = strlen(script);
        snprintf(script + used, sizeof script - used, "%s\n", line + 4);
        commands++;
    }
    CHECK(commands == 5, "%d commands", commands);
    free(check_write(folder, "script", script, strlen(script)));
    check_output o = check_command(
        "D='%s'; B=$(realpath \"$FATHOM_BIN\"); "
        "sed -i \"s,build/fathom,$B,g; s,build/my.board,$D/my.board,g\" \"$D/script\"; sh -e \"$D/script\"",
        folder);
    CHECK(o.status == 0, "%d: %s%s", o.status, o.out, o.err);
    CHECK(strstr(o.out, "My board"), "%s", o.out);
    check_output_free(&o);
    check_folder_remove(folder);
    free(page);
}

int main(int argc, char **argv) {
    static quoted q[MOST];
    check_case cases[MOST + 3] = {
        {"every link of every page leads somewhere", links_lead_somewhere, NULL},
        {"every path that the documents name is there", paths_are_there, NULL},
        {"the commands of docs/extending.md run", commands_of_the_guide_run, NULL},
    };
    int n = read_quoted("docs/troubleshooting.md", q);
    for (int i = 0; i < n; i++) cases[3 + i] = (check_case){q[i].name, is_answered, &q[i]};
    return check_main(argc, argv, cases, 3 + (size_t)n);
}
