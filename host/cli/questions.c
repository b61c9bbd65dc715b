#include "host/cli/questions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/common.h"
#include "host/cli/messages.h"

typedef struct reader {
    cli_questions *questions;
    fathom_engine *engine;
    fathom_info info;
} reader;

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

static fa_status encode_conversation(const reader *r, cli_question *q, const json_t *messages, const json_t *question,
                                     fa_error *e) {
    fathom_error found = {0};
    json_t *all = messages ? json_copy((json_t *)messages) : json_array();
    fa_status s = FA_OK;
    if (question) s = cli_add_message(all, "user", json_string_value(question), json_string_length(question), e);
    if (!s) s = passed_on(cli_encode_messages(r->engine, NULL, all, &q->ids, &q->n, &found), &found, e);
    json_decref(all);
    return s;
}

static fa_status encode(const reader *r, cli_question *q, fa_error *e) {
    const json_t *ids = json_object_get(q->line, "ids"), *messages = json_object_get(q->line, "messages");
    const json_t *question = json_object_get(q->line, "question");
    if (question && !json_is_string(question)) return fa_fail(e, FA_EFORMAT, "question: expected a text");
    if (messages && !json_is_array(messages)) return fa_fail(e, FA_EFORMAT, "messages: expected an array");
    if (ids) return take_ids(q, ids, e);
    if (!messages && !question) return fa_fail(e, FA_EFORMAT, "expected one of ids, messages and question");
    if (messages || r->info.chat_family) return encode_conversation(r, q, messages, question, e);
    fathom_error found = {0};
    return passed_on(fathom_encode(r->engine, json_string_value(question), json_string_length(question), true, &q->ids,
                                   &q->n, &found),
                     &found, e);
}

static fa_status read_rule(cli_question *q, fa_error *e) {
    const json_t *target = json_object_get(q->line, "target"), *rule = json_object_get(q->line, "rule");
    if (target && !json_is_string(target)) return fa_fail(e, FA_EFORMAT, "target: expected a text");
    q->target = json_string_value(target);
    if (rule && (!json_is_string(rule) || !fa_rule_find(json_string_value(rule), &q->rule)))
        return fa_fail(e, FA_EFORMAT, "rule: expected \"boxed\" or \"answer\"");
    return FA_OK;
}

static fa_status read_line(void *ctx, const json_t *line, fa_error *e) {
    reader *r = ctx;
    cli_questions *all = r->questions;
    if (!json_is_object(line)) return fa_fail(e, FA_EFORMAT, "expected an object");
    if (all->n == all->capacity) {
        int64_t capacity = all->capacity * 2 + 64;
        cli_question *more = realloc(all->at, (size_t)capacity * sizeof *more);
        if (!more) return fa_fail(e, FA_ENOMEM, "memory ran out");
        all->at = more;
        all->capacity = capacity;
    }
    cli_question *q = &all->at[all->n++];
    *q = (cli_question){.line = json_incref((json_t *)line)};
    fa_status s = read_rule(q, e);
    return s ? s : encode(r, q, e);
}

fa_status cli_questions_read(cli_questions *q, fathom_engine *engine, const char *path, fa_error *e) {
    reader r = {.questions = q, .engine = engine};
    fathom_engine_info(engine, &r.info);
    if (!strcmp(path, "-")) return cli_each_line(CLI_STDIN, read_line, &r, e);
    FILE *f = fopen(path, "r");
    if (!f) return fa_fail(e, FA_EIO, "%s: %m", path);
    fa_status s = cli_each_line(f, path, read_line, &r, e);
    fclose(f);
    return s;
}

void cli_questions_free(cli_questions *q) {
    for (int64_t i = 0; i < q->n; i++) {
        json_decref(q->at[i].line);
        free(q->at[i].ids); /* as fathom_free does */
    }
    free(q->at);
}
