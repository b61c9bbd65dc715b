/* The model that ships: found without being named, in the source tree and where it is installed. */
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

static void run_reasons_and_answers(void *arg) {
    (void)arg;
    check_output o = check_command("env -u FATHOM_MODEL \"$FATHOM_BIN\" run --temp 0 'What is 47 * 68?'");
    const char *end = strstr(o.out, "</think>");
    CHECK(o.status == 0 && !strncmp(o.out, "<think>\n", 8) && end && end - o.out > 20, "%s%s", o.out, o.err);
    CHECK(strstr(end, "\\boxed{3196}"), "%s", o.out);
    check_output_free(&o);
}

static void chat_uses_it(void *arg) {
    (void)arg;
    check_output o = check_command("echo 'What is 7 plus 5?' | env -u FATHOM_MODEL \"$FATHOM_BIN\" chat --temp 0");
    CHECK(o.status == 0 && strstr(o.out, "\\boxed{12}"), "%s%s", o.out, o.err);
    check_output_free(&o);
}

static void another_model_goes_before(void *arg) {
    (void)arg;
    char *other = check_golden("r1-distill-qwen-tiny");
    check_output o = check_command("FATHOM_MODEL='%s' \"$FATHOM_BIN\" inspect", other);
    CHECK(o.status == 0 && strstr(o.out, "Qwen2ForCausalLM"), "%s%s", o.out, o.err);
    check_output_free(&o);
    free(other);
}

static void it_is_installed(void *arg) {
    (void)arg;
    const char *build = getenv("FATHOM_BUILD");
    CHECK(build, "FATHOM_BUILD is not set: run through make");
    char *folder = check_folder();
    check_output o = check_command("env -u MAKEFLAGS -u MAKELEVEL make BUILD='%s' PREFIX='%s/usr' install && "
                                   "cd / && env -u FATHOM_MODEL '%s/usr/bin/fathom' run --temp 0 'What is 7 + 5?'",
                                   build, folder, folder);
    CHECK(o.status == 0 && strstr(o.out, "\\boxed{12}"), "%s%s", o.out, o.err);
    check_output_free(&o);
    check_folder_remove(folder);
}

/* The program alone, away from every model. */
static void where_it_is_missing_that_is_said(void *arg) {
    (void)arg;
    char *folder = check_folder();
    check_output o = check_command(
        "cp \"$FATHOM_BIN\" '%s/fathom' && cd '%s' && env -u FATHOM_MODEL ./fathom tokenize hello", folder, folder);
    CHECK(o.status == 2 && strstr(o.err, "no model: give --model PATH") && o.out_bytes == 0, "%d: %s%s", o.status,
          o.out, o.err);
    check_output_free(&o);
    check_folder_remove(folder);
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"run without --model reasons and answers", run_reasons_and_answers, NULL},
        {"chat without --model answers", chat_uses_it, NULL},
        {"FATHOM_MODEL goes before the shipped model", another_model_goes_before, NULL},
        {"the installed program finds the installed model", it_is_installed, NULL},
        {"where the model is missing the error says what to do", where_it_is_missing_that_is_said, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
