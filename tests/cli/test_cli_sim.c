/* Models on a simulated board, as a person runs them. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"

#define MODEL "--model %s/deepseek-v3-tiny-fp8 --ids 1,2,3,4,5 --threads 2 "

static void same_answer_with_statistics(void *arg) {
    (void)arg;
    const char *golden = check_golden_dir();
    check_output cpu = check_command("\"$FATHOM_BIN\" run " MODEL "-n 8 --temp 0 --ignore-eos --print-ids", golden);
    check_output sim = check_command(
        "\"$FATHOM_BIN\" run " MODEL "-n 8 --temp 0 --ignore-eos --print-ids --backend sim --board u280", golden);
    CHECK(cpu.status == 0 && sim.status == 0 && !strcmp(cpu.out, sim.out), "cpu %s, sim %s %s", cpu.out, sim.out,
          sim.err);
    static const char *const parts[] = {"simulated board u280: ", " J a token; ", " launches, ", " unit cycles, "};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        CHECK(strstr(sim.err, parts[i]), "%s is missing: %s", parts[i], sim.err);
    CHECK(!strstr(cpu.err, "board"), "%s", cpu.err);
    check_output_free(&cpu);
    check_output_free(&sim);
}

static void timeline_is_written(void *arg) {
    (void)arg;
    char *folder = check_folder(), path[300];
    snprintf(path, sizeof path, "%s/timeline.json", folder);
    check_output o =
        check_command("\"$FATHOM_BIN\" run " MODEL "-n 2 --temp 0 --print-ids --backend sim:u200 --timeline %s",
                      check_golden_dir(), path);
    CHECK(o.status == 0, "%s", o.err);
    json_t *root;
    fa_error e;
    CHECK_OK(fa_json_load(&root, path, &e), &e);
    json_t *other = json_object_get(root, "otherData");
    json_int_t total = json_integer_value(json_object_get(other, "total_ps"));
    CHECK(json_array_size(json_object_get(root, "traceEvents")) > 50 && total > 0 &&
              total == json_integer_value(json_object_get(other, "critical_path_ps")),
          "total %lld ps", (long long)total);
    json_decref(root);
    check_output_free(&o);
    check_folder_remove(folder);
}

static void bench_tells_of_the_board(void *arg) {
    (void)arg;
    check_output o =
        check_command("\"$FATHOM_BIN\" bench --model %s/deepseek-v3-tiny-fp8 --prompt 8 -n 4 --repeat 2 --backend sim "
                      "--threads 2",
                      check_golden_dir());
    CHECK(o.status == 0, "%s", o.err);
    json_error_t je;
    char *second = strchr(o.out, '\n');
    CHECK(second, "%s", o.out);
    json_t *a = json_loads(o.out, JSON_DISABLE_EOF_CHECK, &je), *b = json_loads(second, JSON_DISABLE_EOF_CHECK, &je);
    static const char *const same[] = {"board_prompt_tokens_per_s", "board_decode_tokens_per_s",
                                       "board_decode_j_per_token", "board_decode_unit_cycles_per_token"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) { /* the board's clock is the same in every run */
        double x = json_number_value(json_object_get(a, same[i])), y = json_number_value(json_object_get(b, same[i]));
        CHECK(x > 0 && x < y * (1 + 1e-4) && y < x * (1 + 1e-4), "%s: %g and %g", same[i], x, y);
    }
    json_decref(a);
    json_decref(b);
    check_output_free(&o);
}

static const struct {
    const char *name, *command; /* with the golden folder */
    int status;
    const char *err;
} refused[] = {
    {"an unknown board is named with those that are known", "run " MODEL "--backend sim:abacus", 1, "u55c"},
    {"a board needs a backend that has one", "run " MODEL "--board u280", 1, "choose 'sim'"},
    {"a timeline needs a board", "run " MODEL "--timeline /tmp/none", 1, "choose 'sim'"},
    {"a timeline that cannot be written is an error",
     "run " MODEL "-n 1 --backend sim --timeline /no/such/folder/t.json", 1, "/no/such/folder/t.json: cannot create"},
};

static void is_refused(void *arg) {
    size_t i = (size_t)(uintptr_t)arg;
    char command[400];
    snprintf(command, sizeof command, "\"$FATHOM_BIN\" %s", refused[i].command);
    check_output o = check_command(command, check_golden_dir());
    CHECK(o.status == refused[i].status && strstr(o.err, refused[i].err), "status %d: %s", o.status, o.err);
    check_output_free(&o);
}

/* A real model: SmolLM2-135M in GGUF blocks, decoded to FP32 when it is sent to the board. */
static void smollm2_has_the_same_logits(void *arg) {
    (void)arg;
    const char *model = getenv("FATHOM_SMOLLM2");
    if (!model || !*model) check_skip("SmolLM2 is not there");
    char *folder = check_folder();
    static const char *const backends[] = {"cpu", "sim:u55c"};
    for (int i = 0; i < 2; i++) {
        check_output o =
            check_command("\"$FATHOM_BIN\" logits --model \"$FATHOM_SMOLLM2\" --ids 504,3575,282,4649,314 --all "
                          "--ctx 64 --backend %s --out %s/%d.safetensors",
                          backends[i], folder, i);
        CHECK(o.status == 0, "%s: %s", backends[i], o.err);
        check_output_free(&o);
    }
    check_output o = check_command("cmp %s/0.safetensors %s/1.safetensors", folder, folder);
    CHECK(o.status == 0, "%s%s", o.out, o.err);
    check_output_free(&o);
    check_folder_remove(folder);
}

int main(int argc, char **argv) {
    enum { N_REFUSED = sizeof refused / sizeof *refused };
    check_case cases[4 + N_REFUSED] = {
        {"a simulated board gives the ids of cpu, and says what they took", same_answer_with_statistics, NULL},
        {"run writes a timeline", timeline_is_written, NULL},
        {"bench tells what the board took, the same every time", bench_tells_of_the_board, NULL},
        {"SmolLM2 has the same logits on cpu and on a board", smollm2_has_the_same_logits, NULL},
    };
    for (size_t i = 0; i < N_REFUSED; i++)
        cases[4 + i] = (check_case){refused[i].name, is_refused, (void *)(uintptr_t)i};
    return check_main(argc, argv, cases, 4 + N_REFUSED);
}
