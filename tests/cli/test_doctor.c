/* fathom doctor: what it finds on this machine, whatever that is, is what other commands find too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"

static json_t *doctor(const char *before, const char *parts, int *status) {
    check_output o = check_command("%s \"$FATHOM_BIN\" doctor --json %s", before, parts);
    fa_error e;
    json_t *j;
    CHECK_OK(fa_json_parse(&j, o.out, o.out_bytes, "doctor", &e), &e);
    *status = o.status;
    check_output_free(&o);
    return j;
}

static const char *text(const json_t *o, const char *key) {
    const char *t = json_string_value(json_object_get(o, key));
    return t ? t : "";
}

/* The first finding of a part. */
static const json_t *finding(const json_t *j, const char *part) {
    size_t i;
    const json_t *f;
    json_array_foreach(json_object_get(j, "findings"), i, f) if (!strcmp(text(f, "part"), part)) return f;
    return NULL;
}

static void every_part_is_looked_at(void *arg) {
    (void)arg;
    static const char *const parts[] = {"cpu",    "numa", "memory", "huge-pages", "limits", "model",
                                        "opencl", "xrt",  "boards", "emulation",  "vitis",  "mpi"};
    int status;
    size_t i;
    json_t *j = doctor("", "", &status), *f;
    CHECK(status == 0 && json_is_true(json_object_get(j, "well")), "status %d", status);
    for (i = 0; i < sizeof parts / sizeof *parts; i++) CHECK(finding(j, parts[i]), "nothing of %s", parts[i]);
    json_array_foreach(json_object_get(j, "findings"), i, f) {
        const char *state = text(f, "state");
        CHECK(!strcmp(state, "ok") || !strcmp(state, "note") || !strcmp(state, "missing"), "%s", state);
        CHECK(*text(f, "found"), "%s finds nothing", text(f, "part"));
        CHECK(strcmp(state, "missing") || *text(f, "advice"), "%s is missing, and no word what to do", text(f, "part"));
    }
    CHECK(strstr(text(finding(j, "model"), "found"), "fathom-r1-mini"));
    json_decref(j);
}

typedef struct bad_case {
    const char *before, *part, *found, *advice;
} bad_case;

/* What is named and missing decides the exit status. */
static void missing_is_told(void *arg) {
    const bad_case *c = arg;
    int status;
    json_t *j = doctor(c->before, c->part, &status);
    const json_t *f = finding(j, c->part);
    CHECK(status == 1 && json_is_false(json_object_get(j, "well")), "status %d: %s", status, f ? text(f, "found") : "");
    CHECK(f && !strcmp(text(f, "state"), "missing") && strstr(text(f, "found"), c->found), "%s",
          f ? text(f, "found") : "");
    CHECK(strstr(text(f, "advice"), c->advice), "%s", text(f, "advice"));
    CHECK(json_array_size(json_object_get(j, "findings")) == 1, "parts that were not named are there");
    json_decref(j);
}

/* A folder with a program v++ in it. */
static void vitis_is_found(void *arg) {
    (void)arg;
    char *dir = check_folder(), before[512];
    check_output o = check_command("printf '#!/bin/sh\\n' >%s/v++ && chmod +x %s/v++", dir, dir);
    check_output_free(&o);
    snprintf(before, sizeof before, "PATH=/usr/bin:%s", dir);
    int status;
    json_t *j = doctor(before, "vitis", &status);
    CHECK(status == 0 && strstr(text(finding(j, "vitis"), "found"), "/v++"), "%s", text(finding(j, "vitis"), "found"));
    json_decref(j);
    check_folder_remove(dir);
}

static void text_has_a_line_each(void *arg) {
    (void)arg;
    check_output o = check_command("\"$FATHOM_BIN\" doctor cpu memory model");
    CHECK(o.status == 0 && strstr(o.out, "ok       memory ") && strstr(o.out, "ok       model "), "%s%s", o.out, o.err);
    check_output_free(&o);
    o = check_command("FATHOM_ISA=portable \"$FATHOM_BIN\" doctor cpu");
    CHECK(o.status == 0 && strstr(o.out, "note     cpu ") && strstr(o.out, "\n                    > "), "%s%s", o.out,
          o.err);
    check_output_free(&o);
}

static void wrong_use_says_what(void *arg) {
    (void)arg;
    static const check_refusal uses[] = {
        {"doctor nurse", "'nurse' is no part", 2},
        {"doctor --quick", "--quick", 2},
    };
    check_refusals(uses, sizeof uses / sizeof *uses);
}

int main(int argc, char **argv) {
    static const bad_case isa = {"FATHOM_ISA=mmx", "cpu", "mmx", "unset FATHOM_ISA"},
                          vitis = {"PATH=/usr/bin", "vitis", "not in PATH", "settings64.sh"},
                          opencl = {"OCL_ICD_VENDORS=/dev/null/x", "opencl", "OpenCL", "pocl"};
    const check_case cases[] = {
        {"every part is looked at, and what is missing has an advice", every_part_is_looked_at, NULL},
        {"an unknown instruction set is told", missing_is_told, (void *)&isa},
        {"a missing Vitis is told", missing_is_told, (void *)&vitis},
        {"a missing OpenCL platform is told", missing_is_told, (void *)&opencl},
        {"Vitis is found", vitis_is_found, NULL},
        {"as text, a line each", text_has_a_line_each, NULL},
        {"wrong use says what is wrong", wrong_use_says_what, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
