/* fathom plan and fathom explore, as a person or a script uses them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"
#include "tests/lib/files.h"

#define R1 "\"$FATHOM_BIN\" plan --model deepseek-r1 --board u55c --context 4096"

static json_t *json_of(const check_output *o) {
    fa_error e;
    json_t *root;
    CHECK(o->status == 0, "status %d: %s", o->status, o->err);
    CHECK_OK(fa_json_parse(&root, o->out, o->out_bytes, "output", &e), &e);
    return root;
}

static double number(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    CHECK(json_is_number(v), "%s is missing", key);
    return json_number_value(v);
}

static void r1_on_48_boards_is_planned(void *arg) {
    (void)arg;
    check_output o = check_command(R1 " --boards 48 --batch 1,8,64");
    CHECK(o.status == 0 && !*o.err, "status %d: %s", o.status, o.err);
    static const char *const said[] = {"671.0 B parameters",  "tokens/s", "J/token", "$/M", "$2.19", "waits most",
                                       "busy while decoding", "    64  "};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        CHECK(strstr(o.out, said[i]), "\"%s\" is not in:\n%s", said[i], o.out);
    check_output_free(&o);
}

static void r1_on_16_boards_does_not_fit(void *arg) {
    (void)arg;
    check_output o = check_command(R1 " --boards 16");
    CHECK(o.status == 1 && o.out_bytes == 0, "status %d: %s", o.status, o.out);
    const char *needed = strstr(o.err, "at least ");
    CHECK(needed && strstr(o.err, "67") && strstr(o.err, "do not fit on 16 boards"), "%s", o.err);
    int boards = atoi(needed + strlen("at least "));
    CHECK(boards > 39 && boards <= 48, "%d boards", boards); /* 671 GB on 17.2 GB each */
    check_output_free(&o);
    o = check_command(R1 " --boards %d", boards);
    CHECK(o.status == 0, "%d boards do not do: %s", boards, o.err);
    check_output_free(&o);
}

static void a_batch_that_does_not_fit_is_left_out(void *arg) {
    (void)arg;
    check_output o = check_command(R1 " --boards 48 --cache f32 --batch 8,512 --json");
    json_t *root = json_of(&o);
    CHECK(strstr(o.err, "batch 512") && json_array_size(json_object_get(root, "plans")) == 1, "%s", o.err);
    json_decref(root);
    check_output_free(&o);
}

static void json_agrees_with_itself(void *arg) {
    (void)arg;
    check_output o = check_command(R1 " --boards 48 --batch 4 --json");
    json_t *root = json_of(&o);
    const json_t *plan = json_array_get(json_object_get(root, "plans"), 0),
                 *shares = json_object_get(plan, "time_shares");
    double sum = 0, tokens = number(plan, "decode_tokens_per_s");
    const char *key;
    json_t *share;
    json_object_foreach((json_t *)shares, key, share) sum += json_number_value(share);
    CHECK(fabs(sum - 1) < 1e-4, "shares add up to %g", sum);
    CHECK(fabs(number(plan, "watts") / tokens / number(plan, "joules_per_token") - 1) < 1e-4);
    CHECK(tokens <= number(plan, "bound_tokens_per_s"));
    CHECK(number(plan, "board_bytes") <= number(plan, "board_capacity_bytes"));
    CHECK(fabs(number(root, "parameters") / 671.03e9 - 1) < 1e-3);
    json_decref(root);
    check_output_free(&o);
}

static double speed(const char *more) {
    check_output o = check_command(R1 " --boards 48 --batch 8 --json %s", more);
    json_t *root = json_of(&o);
    double tokens = number(json_array_get(json_object_get(root, "plans"), 0), "decode_tokens_per_s");
    json_decref(root);
    check_output_free(&o);
    return tokens;
}

/* A group: its prompt once at the prefill's rate, its answers at that of decoding. */
static void rollouts_are_planned(void *arg) {
    (void)arg;
    check_output o = check_command(
        "\"$FATHOM_BIN\" plan --model r1-distill-qwen-1.5b --board u55c --batch 64,256 --cache fp8 --prompt 500 --context 2548 --samples 8 --json");
    json_t *root = json_of(&o);
    for (size_t i = 0; i < 2; i++) {
        const json_t *plan = json_array_get(json_object_get(root, "plans"), i), *r = json_object_get(plan, "rollouts");
        double written = 8 * 2048, decode = written / number(plan, "decode_tokens_per_s");
        double seconds = decode + 500 / number(plan, "prefill_tokens_per_s");
        CHECK(fabs(number(r, "groups_per_hour") * seconds / 3600 - 1) < 1e-5);
        CHECK(fabs(number(r, "tokens_per_s") * seconds / written - 1) < 1e-5);
        CHECK(fabs(number(r, "tokens_per_joule") * seconds * number(plan, "watts") / written - 1) < 1e-5);
        CHECK(number(r, "tokens_per_s_with_prompts_apart") < number(r, "tokens_per_s"));
        CHECK(number(r, "tokens_per_joule") < number(plan, "tokens_per_joule"));
    }
    json_decref(root);
    check_output_free(&o);
}

static void options_change_what_they_should(void *arg) {
    (void)arg;
    double plain = speed("");
    CHECK(speed("--lanes 16") < plain, "FP32 lanes");
    CHECK(speed("--skew 1.2") > plain, "popular experts are read once for many rows");
    CHECK(speed("--spec-accept 1") > speed("--spec-accept 0"), "accepted drafts");
    CHECK(speed("--clock 100") < plain, "clock");
}

static void timeline_ends_with_the_step(void *arg) {
    (void)arg;
    char *folder = check_folder(), *path = NULL;
    fa_error e;
    json_t *trace;
    CHECK(asprintf(&path, "%s/t.json", folder) > 0);
    check_output o = check_command(R1 " --boards 48 --json --timeline '%s'", path);
    json_t *root = json_of(&o);
    CHECK_OK(fa_json_load(&trace, path, &e), &e);
    double step = 1e6 * number(json_array_get(json_object_get(root, "plans"), 0), "step_s"), sum = 0, end = 0;
    size_t i;
    json_t *event;
    json_array_foreach(json_object_get(trace, "traceEvents"), i, event) {
        if (strcmp(json_string_value(json_object_get(event, "ph")), "X")) continue;
        sum += number(event, "dur");
        end = fmax(end, number(event, "ts") + number(event, "dur"));
    }
    CHECK(fabs(sum / step - 1) < 1e-5 && fabs(end / step - 1) < 1e-5, "%g us of events end at %g us, the step takes %g",
          sum, end, step);
    json_decref(trace);
    json_decref(root);
    check_output_free(&o);
    free(path);
    check_folder_remove(folder);
}

/* Of the golden V3: the routes of one prompt. */
static void a_trace_drives_the_plan(void *arg) {
    (void)arg;
    char *model = check_golden("deepseek-v3-tiny"), *folder = check_folder();
    check_output o =
        check_command("\"$FATHOM_BIN\" trace --model '%s' --ids 1,2,3,4,5,6,7,8 >'%s/r.jsonl'", model, folder);
    CHECK(o.status == 0, "%s", o.err);
    check_output_free(&o);
    o = check_command("\"$FATHOM_BIN\" plan --model '%s' --board u55c --context 64 --batch 8 --trace '%s/r.jsonl'",
                      model, folder);
    CHECK(o.status == 0 && strstr(o.out, "experts as in"), "%s", o.err);
    check_output_free(&o);
    o = check_command(
        "echo '{\"position\":0,\"layer\":1,\"experts\":[99]}' >'%s/bad'; \"$FATHOM_BIN\" plan --model '%s' "
        "--board u55c --context 64 --trace '%s/bad'",
        folder, model, folder);
    CHECK(o.status == 1 && strstr(o.err, "bad: line 1") && strstr(o.err, "expert ids"), "%s", o.err);
    check_output_free(&o);
    check_folder_remove(folder);
    free(model);
}

static void pictures_are_drawn_or_refused(void *arg) {
    (void)arg;
    char *folder = check_folder();
    check_output o = check_command(R1 " --boards 48 --plot '%s/p.gif'", folder);
    CHECK(o.status == 1 && strstr(o.err, ".png or .svg"), "%s", o.err);
    check_output_free(&o);
    o = check_command("PATH=/nonexistent " R1 " --boards 48 --plot '%s/p.png' >'%s/out'", folder, folder);
    CHECK(o.status == 1 && strstr(o.err, "gnuplot-nox"), "%s", o.err);
    check_output_free(&o);
    if (system("command -v gnuplot >/dev/null")) check_skip("gnuplot is not installed");
    o = check_command(R1 " --boards 48 --plot '%s/p.png' && ls '%s'", folder, folder);
    CHECK(o.status == 0 && strstr(o.out, "p.png") && !strstr(o.out, "tmp"), "%s%s", o.out, o.err);
    check_output_free(&o);
    char *path = NULL;
    size_t bytes;
    CHECK(asprintf(&path, "%s/p.png", folder) > 0);
    uint8_t *png = check_read(path, &bytes);
    CHECK(bytes > 10000 && !memcmp(png, "\x89PNG", 4), "%zu bytes", bytes);
    free(png);
    free(path);
    check_folder_remove(folder);
}

static void exploring_refuses_and_writes_csv(void *arg) {
    (void)arg;
    char *folder = check_folder(), *path = NULL;
    CHECK(asprintf(&path, "%s/all.csv", folder) > 0);
    check_output o =
        check_command("\"$FATHOM_BIN\" explore --model r1-distill-llama-8b --board u55c --boards 2 "
                      "--sweep-units 1,32 --sweep-ports 4,8 --sweep-rows 1 --sweep-lanes 16 --sweep-batch 1,4 "
                      "--csv '%s' --json",
                      path);
    json_t *root = json_of(&o);
    size_t points = json_array_size(json_object_get(root, "points")), bytes, lines = 0;
    CHECK(number(root, "tried") == 8 && number(root, "refused_by_the_part") >= 4 && points >= 2 && points <= 4, "%s",
          o.out);
    uint8_t *csv = check_read(path, &bytes);
    for (size_t i = 0; i < bytes; i++) lines += csv[i] == '\n';
    CHECK(lines == points + 1, "%zu lines for %zu points", lines, points);
    free(csv);
    json_decref(root);
    check_output_free(&o);
    free(path);
    check_folder_remove(folder);
}

#define SERVE R1 " --boards 256 --context 131072 --batch 64 --serve sim/scale/traces/mooncake-conversation.csv --reuse "

/* 256 boards, contexts of 128k, 10,000 requests/s. */
static void ten_thousand_requests_a_second_are_served(void *arg) {
    (void)arg;
    check_output a = check_command(SERVE "--rate 0.01,10000 --seconds 1200 --seed 7 --json");
    check_output b = check_command(SERVE "--rate 0.01,10000 --seconds 1200 --seed 7 --json");
    CHECK(a.out_bytes == b.out_bytes && !memcmp(a.out, b.out, a.out_bytes), "the same seed gives something else");
    json_t *root = json_of(&a);
    const json_t *few = json_array_get(json_object_get(root, "serve"), 0),
                 *many = json_array_get(json_object_get(root, "serve"), 1);
    CHECK(fabs(number(many, "arrived") / 12e6 - 1) < 0.02 && number(many, "refused") > 0.99 * number(many, "arrived"),
          "%s", a.out);
    CHECK(number(few, "refused") == 0 && number(few, "arrived") < 40, "%s", a.out);
    const json_t *first = json_object_get(many, "first_token_s");
    CHECK(number(first, "p50") > number(json_object_get(few, "first_token_s"), "p50") &&
          number(first, "p99") >= number(first, "p50"));
    CHECK(fabs(number(many, "watts") / number(many, "output_tokens_per_s") / number(many, "joules_per_token") - 1) <
          1e-4);
    json_decref(root);
    check_output_free(&a);
    check_output_free(&b);
    a = check_command(SERVE "--rate 0.01 --seconds 1200");
    CHECK(a.status == 0 && strstr(a.out, "12031 requests in 3537 s") && strstr(a.out, "good/s"), "%s%s", a.out, a.err);
    check_output_free(&a);
}

static void what_was_served_is_drawn(void *arg) {
    (void)arg;
    if (system("command -v gnuplot >/dev/null")) check_skip("gnuplot is not installed");
    char *folder = check_folder();
    check_output o =
        check_command(SERVE "--rate 0.01,0.1 --seconds 600 --plot '%s/p.svg' && grep -c 'of good answers' '%s/p.svg'",
                      folder, folder);
    CHECK(o.status == 0, "%s", o.err);
    check_output_free(&o);
    check_folder_remove(folder);
}

static void wrong_use_says_what_is_right(void *arg) {
    (void)arg;
    static const struct {
        const char *command, *says;
        int status;
    } wrong[] = {
        {"plan --board u55c", "--model", 2},
        {"plan --model deepseek-r1", "--board", 2},
        {"plan --model deepseek-r9 --board u55c", "deepseek-r1", 1},
        {"plan --model deepseek-r1 --board u555", "u55c", 1},
        {"plan --model deepseek-r1 --board u55c --batch 1,x", "whole numbers", 2},
        {"plan --model deepseek-r1 --board u55c --weights int4", "fp8, bf16, f32", 2},
        {"plan --model r1-distill-llama-8b --board u55c --draft 1", "multi-token", 1},
        {"plan --model r1-distill-llama-8b --board u55c --units 32", "do not fit", 1},
        {"plan --model r1-distill-llama-8b --board u55c --context 9 --prompt 10", "prompt", 1},
        {"explore --model deepseek-r1 --board u55c --sweep-rows 0", "--sweep-rows", 2},
        {"plan --model r1-distill-llama-8b --board u55c --network carrier-pigeon", "ethernet-100g", 2},
        {"plan --model r1-distill-llama-8b --board u55c --serve /dev/null/x", "/dev/null/x", 1},
        {"plan --model r1-distill-llama-8b --board u55c --serve README.md", "README.md:3: expected seconds", 1},
        {"plan --model r1-distill-llama-8b --board u55c --serve README.md --rate 1,x", "--rate", 2},
        {"plan --model deepseek-r1 --board u55c --boards 64 --draft 1 --serve sim/scale/traces/mooncake-conversation.csv",
         "drafts", 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        check_output o = check_command("\"$FATHOM_BIN\" %s", wrong[i].command);
        CHECK(o.status == wrong[i].status && strstr(o.err, wrong[i].says), "%s: status %d: %s", wrong[i].command,
              o.status, o.err);
        check_output_free(&o);
    }
}

static const check_case cases[] = {
    {"R1 on 48 boards is planned", r1_on_48_boards_is_planned, NULL},
    {"R1 on 16 boards does not fit, and how many do is right", r1_on_16_boards_does_not_fit, NULL},
    {"a batch that does not fit is left out", a_batch_that_does_not_fit_is_left_out, NULL},
    {"plan --json agrees with itself", json_agrees_with_itself, NULL},
    {"rollouts are planned: a prompt once, its answers together", rollouts_are_planned, NULL},
    {"plan's options change what they should", options_change_what_they_should, NULL},
    {"a timeline ends with the step", timeline_ends_with_the_step, NULL},
    {"a trace drives the plan", a_trace_drives_the_plan, NULL},
    {"pictures are drawn, or refused with the reason", pictures_are_drawn_or_refused, NULL},
    {"exploring refuses builds and writes CSV", exploring_refuses_and_writes_csv, NULL},
    {"10,000 requests/s on 256 boards are served, the same again by seed", ten_thousand_requests_a_second_are_served,
     NULL},
    {"what was served is drawn", what_was_served_is_drawn, NULL},
    {"wrong use says what is right", wrong_use_says_what_is_right, NULL},
};

int main(int argc, char **argv) {
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
