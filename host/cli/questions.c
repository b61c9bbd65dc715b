#include "host/cli/questions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/common.h"
#include "host/cli/messages.h"
#include "host/engine/engine.h"

bool cli_question_has_result(const cli_question *q) {
    return q->target || q->n_choices || q->rule == FA_RULE_CODE;
}

const char *cli_question_text(const cli_question *q, const char *key) {
    return json_string_value(json_object_get(q->line, key));
}

/* ---- reading ---- */

static fa_status check_texts(const cli_question *q, fa_error *e) {
    static const char *const keys[] = {"target", "question", "text", "language", "before", "tests", "input", "task"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *value = json_object_get(q->line, keys[i]);
        if (value && !json_is_string(value)) return fa_fail(e, FA_EFORMAT, "%s: expected a text", keys[i]);
    }
    return FA_OK;
}

static fa_status read_rule(cli_question *q, fa_error *e) {
    const json_t *rule = json_object_get(q->line, "rule");
    q->target = cli_question_text(q, "target");
    if (rule && (!json_is_string(rule) || !fa_rule_find(json_string_value(rule), &q->rule)))
        return fa_fail(e, FA_EFORMAT, "rule: expected \"boxed\", \"answer\", \"number\" or \"code\"");
    if (q->rule == FA_RULE_NUMBER && !(q->target && fa_is_number(q->target)))
        return fa_fail(e, FA_EFORMAT, "target: the rule \"number\" expects one");
    if (q->rule == FA_RULE_CODE && !q->target && !cli_question_text(q, "tests"))
        return fa_fail(e, FA_EFORMAT, "the rule \"code\" expects \"tests\" or a \"target\"");
    return FA_OK;
}

static fa_status read_choices(cli_question *q, fa_error *e) {
    const json_t *choices = json_object_get(q->line, "choices"), *correct = json_object_get(q->line, "correct"),
                 *choice;
    if (!choices) return FA_OK;
    size_t i;
    q->n_choices = json_array_size(choices);
    if (q->n_choices < 2) return fa_fail(e, FA_EFORMAT, "choices: expected an array of at least two texts");
    json_array_foreach(choices, i, choice) {
        if (!json_string_length(choice)) return fa_fail(e, FA_EFORMAT, "choices: entry %zu is no text, or empty", i);
    }
    json_int_t index = json_integer_value(correct);
    if (!json_is_integer(correct) || index < 0 || (size_t)index >= q->n_choices)
        return fa_fail(e, FA_EFORMAT, "correct: expected an index of choices, from 0 to %zu", q->n_choices - 1);
    q->correct = (size_t)index;
    return FA_OK;
}

static fa_status check_prompt(const cli_question *q, fa_error *e) {
    const json_t *messages = json_object_get(q->line, "messages");
    if (messages && !json_is_array(messages)) return fa_fail(e, FA_EFORMAT, "messages: expected an array");
    if (messages || json_object_get(q->line, "ids") || cli_question_text(q, "question") || cli_question_text(q, "text"))
        return FA_OK;
    return fa_fail(e, FA_EFORMAT, "expected one of ids, messages, question and text");
}

static fa_status read_line(void *ctx, const json_t *line, fa_error *e) {
    cli_questions *all = ctx;
    if (!json_is_object(line)) return fa_fail(e, FA_EFORMAT, "expected an object");
    if (all->n == all->capacity) {
        int64_t capacity = all->capacity * 2 + 64;
        cli_question *more = realloc(all->at, (size_t)capacity * sizeof *more);
        if (!more) return fa_fail(e, FA_ENOMEM, "memory ran out");
        all->at = more;
        all->capacity = capacity;
    }
    cli_question *q = &all->at[all->n++];
    *q = (cli_question){.line = json_incref((json_t *)line), .number = all->n};
    fa_status s = check_texts(q, e);
    if (!s) s = check_prompt(q, e);
    if (!s) s = read_rule(q, e);
    return s ? s : read_choices(q, e);
}

fa_status cli_questions_load(cli_questions *q, const char *path, fa_error *e) {
    q->path = strcmp(path, "-") ? path : "standard input";
    if (!strcmp(path, "-")) return cli_each_line(CLI_STDIN, read_line, q, e);
    FILE *f = fopen(path, "r");
    if (!f) return fa_fail(e, FA_EIO, "%s: %m", path);
    fa_status s = cli_each_line(f, path, read_line, q, e);
    fclose(f);
    return s;
}

/* ---- encoding ---- */

static fa_status passed_on(fathom_status s, const fathom_error *found, fa_error *e) {
    return s ? fa_fail(e, (fa_status)s, "%s", found->text) : FA_OK;
}

static fa_status take_ids(cli_question *q, const json_t *list, fa_error *e) {
    size_t n = json_array_size(list);
    if (!n) return fa_fail(e, FA_EFORMAT, "ids: expected an array of ids that is not empty");
    q->ids = malloc(n * sizeof *q->ids);
    if (!q->ids) return fa_fail(e, FA_ENOMEM, "memory ran out");
    for (q->n = 0; q->n < n; q->n++) {
        const json_t *id = json_array_get(list, q->n);
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || value > INT32_MAX)
            return fa_fail(e, FA_EFORMAT, "ids: entry %zu is no id", q->n);
        q->ids[q->n] = (int32_t)value;
    }
    return FA_OK;
}

static fa_status encode_conversation(fathom_engine *engine, cli_question *q, fa_error *e) {
    fathom_error found = {0};
    json_t *messages = json_object_get(q->line, "messages");
    const json_t *question = json_object_get(q->line, "question");
    json_t *all = messages ? json_copy(messages) : json_array();
    fa_status s = FA_OK;
    if (question) s = cli_add_message(all, "user", json_string_value(question), json_string_length(question), e);
    if (!s) s = passed_on(cli_encode_messages(engine, NULL, all, &q->ids, &q->n, &found), &found, e);
    json_decref(all);
    return s;
}

/* "ids" may be a prompt in the chat template, as `fathom rollout` writes them; "text" never is. */
static fa_status encode(fathom_engine *engine, cli_question *q, fa_error *e) {
    const fa_chat_family *family = fa_engine_chat(engine);
    const json_t *ids = json_object_get(q->line, "ids"), *text = json_object_get(q->line, "text");
    free(q->ids); /* as fathom_free does */
    q->ids = NULL;
    q->n = 0;
    q->thinks = !text && family && fa_chat_starts_in_think(family);
    if (ids) return take_ids(q, ids, e);
    if (!text && (family || json_object_get(q->line, "messages"))) return encode_conversation(engine, q, e);
    if (!text) text = json_object_get(q->line, "question");
    fathom_error found = {0};
    return passed_on(
        fathom_encode(engine, json_string_value(text), json_string_length(text), true, &q->ids, &q->n, &found), &found,
        e);
}

fa_status cli_questions_encode(cli_questions *q, fathom_engine *engine, fa_error *e) {
    fa_status s = FA_OK;
    for (int64_t i = 0; i < q->n && !s; i++) {
        s = encode(engine, &q->at[i], e);
        if (s) fa_error_prefix(e, s, "%s: line %" PRId64, q->path, q->at[i].number);
    }
    return s;
}

void cli_questions_free(cli_questions *q) {
    for (int64_t i = 0; i < q->n; i++) {
        json_decref(q->at[i].line);
        free(q->at[i].ids);
    }
    free(q->at);
}
