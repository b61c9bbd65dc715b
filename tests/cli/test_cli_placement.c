/* fathom plan --emit, and --placement: a model over several boards of one host, as a person uses it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"
#include "tests/lib/command.h"

#define SHIPPED "models/fathom-r1-mini"
#define PLAN "\"$FATHOM_BIN\" plan --model " SHIPPED " --board u55c --context 512 --boards 3 "
#define RUN "\"$FATHOM_BIN\" run --model " SHIPPED " --temp 0 --ctx 512 -n 24 "

static check_output must(const char *command, const char *folder) {
    check_output o = check_command(command, folder, folder);
    CHECK(o.status == 0, "%s: status %d: %s", command, o.status, o.err);
    return o;
}

/* The shipped model on one cpu, on three of them and on three simulated boards. */
static void the_answer_is_the_same(void *arg) {
    (void)arg;
    char *folder = check_folder();
    check_output o = must("\"$FATHOM_BIN\" trace --model " SHIPPED " 'What is 47 * 68?' >'%s/r.jsonl'", folder);
    check_output_free(&o);
    o = must(PLAN "--trace '%s/r.jsonl' --emit '%s/p.json'", folder);
    CHECK(strstr(o.out, "3 boards on 2 NUMA nodes") && strstr(o.out, "experts are on two"), "%s", o.out);
    check_output_free(&o);
    static const char *const backends[] = {"cpu", "sim:u55c"};
    check_output plain = must(RUN "--backend cpu 'What is 47 * 68?'", folder);
    CHECK(plain.out_bytes > 10);
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        o = check_command(RUN "--backend %s --placement '%s/p.json' 'What is 47 * 68?'", backends[i], folder);
        CHECK(o.status == 0, "%s: %s", backends[i], o.err);
        CHECK(!strcmp(o.out, plain.out), "%s: \"%s\" instead of \"%s\"", backends[i], o.out, plain.out);
        check_output_free(&o);
    }
    check_output_free(&plain);
    check_folder_remove(folder);
}

static void another_model_is_refused(void *arg) {
    (void)arg;
    char *folder = check_folder();
    check_output o =
        must("\"$FATHOM_BIN\" plan --model deepseek-v2-lite --board u55c --boards 2 --emit '%s/p.json'", folder);
    check_output_free(&o);
    o = check_command(RUN "--placement '%s/p.json' x", folder);
    CHECK(o.status == 1 && strstr(o.err, "made for deepseek-v2-lite, shape") && strstr(o.err, "this model's shape is"),
          "%s", o.err);
    check_output_free(&o);
    check_folder_remove(folder);
}

static void wrong_use_is_said(void *arg) {
    (void)arg;
    char *folder = check_folder();
    check_output o = check_command(RUN "--placement '%s/none.json' x", folder);
    CHECK(o.status == 1 && strstr(o.err, "none.json"), "%s", o.err);
    check_output_free(&o);
    o = check_command(
        "echo '{\"version\": 1, \"shape\": \"0000000000000000\", \"boards\": [{}], \"layers\": [0, 5], \"head\": 0}' >'%s/p.json'; " RUN
        "--placement '%s/p.json' x",
        folder, folder);
    CHECK(o.status == 1 && strstr(o.err, "p.json: layers[1]: expected a board in 0..0, found 5"), "%s", o.err);
    check_output_free(&o);
    o = check_command("\"$FATHOM_BIN\" plan --model deepseek-r1 --board u55c --boards 48 --emit '%s/p.json'; ls '%s'",
                      folder, folder);
    CHECK(strstr(o.err, "48 boards are not in 1..32"), "%s", o.err);
    check_output_free(&o);
    o = check_command("\"$FATHOM_BIN\" plan --model r1-distill-llama-8b --board u55c --emit /dev/null/x/p.json");
    CHECK(o.status == 1 && strstr(o.err, "/dev/null/x"), "%s", o.err);
    check_output_free(&o);
    check_folder_remove(folder);
}

static const check_case cases[] = {
    {"the shipped model answers the same on several placed boards", the_answer_is_the_same, NULL},
    {"a placement of another model is refused with both shapes", another_model_is_refused, NULL},
    {"wrong use is said", wrong_use_is_said, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
