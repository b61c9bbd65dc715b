/* The commands that need no engine, as scripts use them. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/json.h"
#include "tests/lib/check.h"
#include "tests/lib/command.h"

static json_t *load(const char *name) {
    fa_error e;
    json_t *o;
    char *path = check_golden(name);
    CHECK_OK(fa_json_load(&o, path, &e), &e);
    free(path);
    return o;
}

static void save(const json_t *value, const char *folder, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK(json_dump_file(value, path, JSON_ENCODE_ANY) == 0);
}

static const char *const names[] = {"tokenize", "detokenize", "render"};

static void help_shows_every_command(void *arg) {
    (void)arg;
    check_output o = check_command("\"$FATHOM_BIN\" --help");
    CHECK(o.status == 0 && !*o.err);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK(strstr(o.out, names[i]), "%s is missing", names[i]);
        check_output each = check_command("\"$FATHOM_BIN\" %s --help", names[i]);
        CHECK(each.status == 0 && strstr(each.out, "Usage: fathom ") && strstr(each.out, "Example"), "%s", each.out);
        check_output_free(&each);
    }
    check_output_free(&o);
    o = check_command("\"$FATHOM_BIN\" --version");
    CHECK(o.status == 0 && !strncmp(o.out, "fathom ", 7));
    check_output_free(&o);
}

static const struct {
    const char *command; /* after "$FATHOM_BIN"; {} is a golden folder's tokenizer */
    int status;
    const char *error;
} refusals[] = {
    {"", 2, "Commands:"},
    {"frobnicate", 2, "'frobnicate' is not a command. The commands are:"},
    {"--frobnicate", 2, "unrecognized option"},
    {"tokenize --model /nonexistent hello", 1, "fathom: /nonexistent"},
    {"tokenize --model {} a b", 2, "more than one text"},
    {"tokenize --model {} --batch a", 2, "--batch reads standard input"},
    {"detokenize --model {} 1,x", 1, "found 'x'"},
    {"detokenize --model {} 1,", 1, "expected numbers"},
    {"detokenize --model {} -- -1", 1, "found '-1'"},
    {"render --messages x", 2, "give --chat-template FAMILY or --model PATH"},
    {"render --chat-template janus", 2, "give --messages FILE"},
    {"render --chat-template v3 --messages x", 2, "expected deepseek-v3,"},
    {"render --chat-template janus --messages /nonexistent.json", 1, "/nonexistent.json"},
    {"render --chat-template janus --messages -", 1, "standard input"},
    {"render --chat-template janus --messages /tmp", 1, "/tmp"},
};

static void wrong_usage_is_2_and_errors_are_1(void *arg) {
    (void)arg;
    char *folder = check_golden("tokenizer/deepseek-llm");
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const char *command = refusals[i].command, *hole = strstr(command, "{}");
        check_output o = hole ? check_command("unset FATHOM_MODEL; \"$FATHOM_BIN\" %.*s%s%s", (int)(hole - command),
                                              command, folder, hole + 2)
                              : check_command("unset FATHOM_MODEL; \"$FATHOM_BIN\" %s", command);
        CHECK(o.status == refusals[i].status && strstr(o.err, refusals[i].error) && !*o.out, "%s: status %d, '%s'",
              command, o.status, o.err);
        check_output_free(&o);
    }
    free(folder);
}

static void check_render(const char *folder, const char *family, const char *more, const json_t *want) {
    check_output o =
        check_command("\"$FATHOM_BIN\" render --chat-template %s --messages %s/m.json %s", family, folder, more);
    if (json_is_null(want))
        CHECK(o.status == 1 && !*o.out);
    else
        CHECK(o.status == 0 && !strcmp(o.out, json_string_value(want)), "%s: expected '%s', found '%s' %s", family,
              json_string_value(want), o.out, o.err);
    check_output_free(&o);
}

static void render_prints_the_golden_texts(void *arg) {
    (void)arg;
    char *folder = check_folder();
    json_t *golden = load("chat/chat.json"), *rows;
    const char *family;
    json_object_foreach(json_object_get(golden, "rendered"), family, rows) for (size_t k = 0; k < json_array_size(rows);
                                                                                k++) {
        const json_t *row = json_array_get(rows, k);
        save(json_array_get(json_object_get(golden, "conversations"), k), folder, "m.json");
        check_render(folder, family, "", json_is_null(row) ? row : json_object_get(row, "prompt"));
        check_render(folder, family, "--no-generation-prompt",
                     json_is_null(row) ? row : json_object_get(row, "history"));
    }
    json_decref(golden);
    check_folder_remove(folder);
}

static void render_takes_the_model_s_own_template(void *arg) {
    (void)arg;
    static const struct {
        const char *model, *text;
    } rows[] = {
        {"deepseek-v3-tiny", "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜>"},
        {"r1-distill-qwen-tiny", "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜><think>\n"},
        {"deepseek-v2-lite-tiny", "<｜begin▁of▁sentence｜>User: Hi\n\nAssistant:"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_output o = check_command("echo '[{\"role\":\"user\",\"content\":\"Hi\"}]' | "
                                       "\"$FATHOM_BIN\" render --model %s/%s --messages -",
                                       check_golden_dir(), rows[i].model);
        CHECK(o.status == 0 && !strcmp(o.out, rows[i].text), "%s: '%s' %s", rows[i].model, o.out, o.err);
        check_output_free(&o);
    }
    check_output o =
        check_command("echo '[]' | \"$FATHOM_BIN\" render --model %s/tokenizer/gpt2 --messages -", check_golden_dir());
    CHECK(o.status == 1 && strstr(o.err, "--chat-template"), "%s", o.err);
    check_output_free(&o);
}

/* JSON values, a line each. */
static void save_lines(const json_t *values, const char *folder, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    CHECK(f);
    for (size_t i = 0; i < json_array_size(values); i++) {
        CHECK(json_dumpf(json_array_get(values, i), f, JSON_ENCODE_ANY) == 0);
        fputc('\n', f);
    }
    fclose(f);
}

/* Compares lines of JSON with the elements of `want`. */
static void check_lines(const char *text, const json_t *want) {
    for (size_t i = 0; i < json_array_size(want); i++) {
        const char *end = strchr(text, '\n');
        CHECK(end, "only %zu lines", i);
        json_t *value = json_loadb(text, (size_t)(end - text), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        CHECK(json_equal(value, json_array_get(want, i)), "line %zu: %.*s", i + 1, (int)(end - text), text);
        json_decref(value);
        text = end + 1;
    }
    CHECK(!*text, "more than %zu lines", json_array_size(want));
}

static void batches_are_json_lines(void *arg) {
    const char *tokenizer = arg;
    char *folder = check_folder(), path[200];
    json_t *strings = load("tokenizer/strings.json");
    snprintf(path, sizeof path, "tokenizer/%s/golden.json", tokenizer);
    json_t *golden = load(path), *ids = json_object_get(golden, "ids");
    save_lines(strings, folder, "strings");
    check_output o = check_command("\"$FATHOM_BIN\" tokenize --model %s/tokenizer/%s --batch --no-special <%s/strings",
                                   check_golden_dir(), tokenizer, folder);
    CHECK(o.status == 0, "%s", o.err);
    check_lines(o.out, ids);
    check_output_free(&o);
    save_lines(ids, folder, "ids");
    o = check_command("\"$FATHOM_BIN\" detokenize --model %s/tokenizer/%s --batch <%s/ids", check_golden_dir(),
                      tokenizer, folder);
    CHECK(o.status == 0, "%s", o.err);
    const char *key;
    json_t *text;
    json_object_foreach(json_object_get(golden, "decode_differs"), key, text)
        json_array_set(strings, (size_t)atoi(key), text);
    check_lines(o.out, strings);
    check_output_free(&o);
    json_decref(golden);
    json_decref(strings);
    check_folder_remove(folder);
}

static const struct {
    const char *command, *out; /* {} is the golden folder */
} exact[] = {
    {"tokenize --model {}/deepseek-llm-tiny ''", "952\n"},
    {"tokenize --model {}/deepseek-llm-tiny --no-special ''", "\n"},
    {"detokenize --model {}/deepseek-llm-tiny ''", ""},
    {"detokenize --model {}/deepseek-llm-tiny 952", "<｜begin▁of▁sentence｜>"},
    {"detokenize --model {}/deepseek-llm-tiny --skip-special 952,953", ""},
};

static void texts_and_ids_print_exactly(void *arg) {
    (void)arg;
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        const char *command = exact[i].command, *hole = strstr(command, "{}");
        check_output o =
            check_command("\"$FATHOM_BIN\" %.*s%s%s", (int)(hole - command), command, check_golden_dir(), hole + 2);
        CHECK(o.status == 0 && !strcmp(o.out, exact[i].out), "%s: '%s' %s", command, o.out, o.err);
        check_output_free(&o);
    }
    /* there and back, through pipes and FATHOM_MODEL */
    check_output o = check_command("export FATHOM_MODEL=%s/tokenizer/deepseek-v3-real; printf 'Grüße, 世界!' | "
                                   "\"$FATHOM_BIN\" tokenize --no-special | \"$FATHOM_BIN\" detokenize",
                                   check_golden_dir());
    CHECK(o.status == 0 && !strcmp(o.out, "Grüße, 世界!"), "'%s' %s", o.out, o.err);
    check_output_free(&o);
}

static void bad_lines_are_named(void *arg) {
    (void)arg;
    static const struct {
        const char *command, *lines, *error;
    } rows[] = {
        {"tokenize", "\"a\"\\n[1]\\n", "standard input: line 2: expected a JSON string"},
        {"tokenize", "\"a\"\\n\\n", "standard input: line 2"},
        {"tokenize", "\"a", "standard input: line 1"},
        {"detokenize", "[1]\\n[1,\"x\"]\\n", "standard input: line 2: element 1 is not an id"},
        {"detokenize", "[-1]\\n", "standard input: line 1: element 0"},
        {"detokenize", "{}\\n", "standard input: line 1: expected a JSON array"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_output o = check_command("printf '%s' | \"$FATHOM_BIN\" %s --batch --model %s/tokenizer/deepseek-llm",
                                       rows[i].lines, rows[i].command, check_golden_dir());
        CHECK(o.status == 1 && strstr(o.err, rows[i].error), "row %zu: status %d, '%s'", i, o.status, o.err);
        check_output_free(&o);
    }
}

int main(int argc, char **argv) {
    static const check_case cases[] = {
        {"help shows every command", help_shows_every_command, NULL},
        {"wrong usage is 2 and errors are 1", wrong_usage_is_2_and_errors_are_1, NULL},
        {"render prints the golden texts", render_prints_the_golden_texts, NULL},
        {"render takes the model's own template", render_takes_the_model_s_own_template, NULL},
        {"batches of deepseek-v3-real are JSON lines", batches_are_json_lines, "deepseek-v3-real"},
        {"batches of llama-legacy are JSON lines", batches_are_json_lines, "llama-legacy"},
        {"batches of qwen2 are JSON lines", batches_are_json_lines, "qwen2"},
        {"texts and ids print exactly", texts_and_ids_print_exactly, NULL},
        {"bad lines are named", bad_lines_are_named, NULL},
    };
    setenv("FATHOM_BIN", "build/fathom", 0);
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
