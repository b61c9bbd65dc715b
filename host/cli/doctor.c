/* fathom doctor: what this machine has of what fathom can use, and what to do about the rest. */
#include "host/cli/doctor.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"

enum { MAX_PARTS = 32, OPTION_JSON = 0x2001 };

typedef struct doctor_options {
    bool json;
    bool asked[MAX_PARTS]; /* parts named on the command line */
    int n_asked;
} doctor_options;

static const char *const state_names[] = {"ok", "note", "missing"};

void doctor_add(doctor_findings *f, const char *part, doctor_state state, const char *form, ...) {
    if (f->n == DOCTOR_FINDINGS) return;
    doctor_finding *d = &f->all[f->n++];
    va_list args;
    *d = (doctor_finding){.part = part, .state = state};
    va_start(args, form);
    vsnprintf(d->found, sizeof d->found, form, args);
    va_end(args);
}

void doctor_advise(doctor_findings *f, const char *form, ...) {
    va_list args;
    va_start(args, form);
    vsnprintf(f->all[f->n - 1].advice, sizeof f->all[f->n - 1].advice, form, args);
    va_end(args);
}

/* ---- the command ---- */

static int part_index(const char *name) {
    for (int i = 0; doctor_parts[i].name; i++)
        if (!strcmp(doctor_parts[i].name, name)) return i;
    return -1;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
    doctor_options *o = state->input;
    if (key == OPTION_JSON) {
        o->json = true;
        return 0;
    }
    if (key != ARGP_KEY_ARG) return ARGP_ERR_UNKNOWN;
    int part = part_index(arg);
    if (part < 0) argp_error(state, "'%s' is no part; they are in --help", arg);
    if (part >= 0) o->asked[part] = true;
    o->n_asked++;
    return 0;
}

/* The list of parts, where argp prints the text after the options. argp frees the result. */
static char *help_filter(int key, const char *text, void *input) {
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC) return (char *)text;
    char *list = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&list, &n);
    if (!f) return (char *)text;
    fputs("Parts:\n", f);
    for (const doctor_part *p = doctor_parts; p->name; p++) fprintf(f, "  %-11s%s\n", p->name, p->about);
    fprintf(f, "\n%s", text);
    return fclose(f) ? (char *)text : list;
}

static const struct argp_option options[] = {{"json", OPTION_JSON, NULL, 0, "Print JSON", 0}, {0}};
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[PART...]",
    .doc = "Looks at what this machine has of what fathom can use, and says what to do about what is missing. Changes "
           "nothing.\v"
           "Exit status: 0 when all that was asked for is there: the parts that are named or, without any, what every "
           "use of fathom needs (cpu, memory, model); 1 when something of it is missing.\n"
           "\n"
           "Examples:\n"
           "  fathom doctor\n"
           "  fathom doctor emulation       # can --backend xrt:emu run here?\n"
           "  fathom doctor --json boards",
    .help_filter = help_filter,
};

static int print_json(const doctor_findings *f, bool well) {
    json_t *list = json_array();
    for (const doctor_finding *d = f->all; d < f->all + f->n; d++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s*}", "part", d->part, "state", state_names[d->state],
                                              "found", d->found, "advice", *d->advice ? d->advice : NULL));
    json_t *root = json_pack("{s:b, s:o}", "well", well, "findings", list);
    bool ok = root && json_dumpf(root, stdout, JSON_INDENT(2)) == 0;
    if (ok) putchar('\n');
    json_decref(root);
    return ok ? CLI_OK : cli_fail("doctor: memory ran out");
}

static void print_text(const doctor_findings *f) {
    for (const doctor_finding *d = f->all; d < f->all + f->n; d++) {
        printf("%-8s %-10s %s\n", state_names[d->state], d->part, d->found);
        if (*d->advice) printf("%19s > %s\n", "", d->advice);
    }
}

int cli_doctor(int argc, char **argv) {
    doctor_options o = {0};
    doctor_findings f = {0};
    bool well = true;
    if (cli_parse(&argp, argc, argv, &o)) return CLI_ERROR;
    for (int i = 0; doctor_parts[i].name; i++) {
        const doctor_part *p = &doctor_parts[i];
        int first = f.n;
        if (o.n_asked && !o.asked[i]) continue;
        p->check(&f, p->name);
        for (int k = first; k < f.n; k++)
            if (f.all[k].state == DOCTOR_MISSING && (o.n_asked || p->needed)) well = false;
    }
    if (!o.json)
        print_text(&f);
    else if (print_json(&f, well))
        return CLI_ERROR;
    return well ? CLI_OK : CLI_ERROR;
}
