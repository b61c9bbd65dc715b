/* Programs that a model wrote, run in the sandbox. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/cli/eval.h"
#include "host/sandbox/sandbox.h"

/* How a language's programs run. `seal`: a last line that prints a word, so that a program which leaves before its tests have passed is not
 * taken for a right one. */
static const struct language {
    const char *name, *file, *argv[6], *seal;
} languages[] = {
    {"python", "main.py", {"python3", "-I", "-B", "main.py"}, "\nprint('\\n%s', end='')\n"},
    {"sh", "main.sh", {"sh", "main.sh"}, "\nprintf '\\n%%s' %s\n"},
    {"c", "main.c", {"sh", "-c", "cc -O1 -w -o main main.c -lm && exec ./main"}, NULL},
};

static const struct language *language_of(const cli_question *q, fa_error *e) {
    const char *name = cli_question_text(q, "language");
    for (size_t i = 0; i < sizeof languages / sizeof *languages; i++)
        if (!strcmp(languages[i].name, name ? name : "python")) return &languages[i];
    fa_fail(e, FA_EUNSUPPORTED, "language \"%s\": known are \"python\", \"sh\" and \"c\"", name);
    return NULL;
}

/* before, the program, tests and the seal; malloc'd. */
static char *compose(const cli_question *q, const char *text, const struct language *l, const char *word) {
    const char *before = cli_question_text(q, "before"), *tests = cli_question_text(q, "tests");
    char *program = NULL;
    size_t bytes, n;
    FILE *f = open_memstream(&program, &bytes);
    if (!f) return NULL;
    const char *code = fa_code_of(text, q->thinks, &n);
    fprintf(f, "%s%.*s\n%s\n", before ? before : "", (int)n, code, tests ? tests : "");
    if (*word) fprintf(f, l->seal, word); /* NOLINT(clang-diagnostic-format-nonliteral): a constant of the table */
    return fclose(f) ? NULL : program;
}

/* Whether the output ends with the seal, which is taken away. */
static bool unseal(fa_sandbox_result *r, const char *word) {
    size_t n = strlen(word);
    if (r->output_bytes < n + 1 || strcmp(r->output + r->output_bytes - n, word)) return false;
    r->output[r->output_bytes - n - 1] = 0;
    return true;
}

/* Equal but for blanks at the ends of lines and of the whole. */
static bool same_output(const char *a, const char *b) {
    for (;;) {
        size_t n = strcspn(a, "\n"), m = strcspn(b, "\n"), i = n, k = m;
        while (i && strchr(" \t\r", a[i - 1])) i--;
        while (k && strchr(" \t\r", b[k - 1])) k--;
        if (i != k || memcmp(a, b, i)) return false;
        a += n + strspn(a + n, "\n"), b += m + strspn(b + m, "\n");
        if (!*a || !*b) return !*a && !*b;
    }
}

/* A word that a program cannot have been written to print. */
static void draw_word(char word[40]) {
    unsigned char bytes[16];
    FILE *f = fopen("/dev/urandom", "r");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f) fclose(f);
    for (size_t i = 0; i < sizeof bytes; i++) sprintf(word + 2 * i, "%02x", i < n ? bytes[i] : (unsigned)i);
}

/* Once a process: what the system does not offer is worth knowing, and changes no verdict. */
static void tell(unsigned missing) {
    static bool told;
    if (told || !missing) return;
    told = true;
    fprintf(stderr, "fathom: note: programs run without%s%s, which this system does not allow\n",
            missing & FA_SANDBOX_NO_NAMESPACES ? " namespaces of their own" : "",
            missing & FA_SANDBOX_NO_LANDLOCK ? " Landlock" : "");
}

fa_status eval_code(const cli_question *q, const char *text, bool *right, fa_error *e) {
    const struct language *l = language_of(q, e);
    if (!l) return FA_EUNSUPPORTED;
    char word[40] = "";
    if (l->seal && cli_question_text(q, "tests")) draw_word(word);
    char *program = compose(q, text, l, word);
    if (!program) return fa_fail(e, FA_ENOMEM, "memory ran out");
    const char *input = cli_question_text(q, "input");
    fa_sandbox_program p = {.argv = l->argv,
                            .file = l->file,
                            .text = program,
                            .text_bytes = strlen(program),
                            .input = input,
                            .input_bytes = input ? strlen(input) : 0};
    fa_sandbox_result r;
    fa_status s = fa_sandbox_run(&r, &p, &fa_sandbox_usual, e);
    free(program);
    if (s) return s;
    tell(r.missing);
    *right = r.end == FA_SANDBOX_EXIT && r.code == 0 && (!*word || unseal(&r, word)) &&
             (!q->target || same_output(r.output, q->target));
    fa_sandbox_free(&r);
    return FA_OK;
}
