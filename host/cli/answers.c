#include "host/cli/answers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "host/cli/common.h"

static json_t *ids_json(const int32_t *ids, size_t n) {
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_integer(ids[i]));
    return list;
}

json_t *cli_answer_json(const cli_question *q, const cli_written *a) {
    static const char *const ends[] = {
        [FATHOM_STOP] = "stop", [FATHOM_LENGTH] = "length", [FATHOM_CONTEXT] = "context"};
    json_t *logprobs = json_array(), *id = json_object_get(q->line, "id");
    for (size_t i = 0; i < a->n; i++) json_array_append_new(logprobs, json_real((double)a->logprobs[i]));
    json_t *line =
        json_pack("{sI sI sI ss so so so ss%}", "prompt", (json_int_t)a->prompt, "sample", (json_int_t)a->sample,
                  "seed", (json_int_t)a->seed, "finish", ends[a->finish], "prompt_ids", ids_json(q->ids, q->n), "ids",
                  ids_json(a->ids, a->n), "logprobs", logprobs, "text", a->text ? a->text : "", a->text_bytes);
    if (line && id) json_object_set(line, "id", id);
    return line;
}

/* Bytes up to and with the last newline. */
static fa_status whole_bytes(FILE *f, long *whole) {
    *whole = 0;
    for (int c; (c = getc(f)) != EOF;)
        if (c == '\n') *whole = ftell(f);
    return ferror(f) ? FA_EIO : FA_OK;
}

fa_status cli_answers_open(cli_answers *a, const char *path,
                           fa_status (*each)(void *ctx, const json_t *line, fa_error *e), void *ctx, fa_error *e) {
    long whole;
    *a = (cli_answers){.f = fopen(path, "a+e"), .path = path};
    if (!a->f) return fa_fail(e, FA_EIO, "%s: %m", path);
    if (flock(fileno(a->f), LOCK_EX | LOCK_NB)) return fa_fail(e, FA_EIO, "%s: another process writes to it", path);
    rewind(a->f);
    if (whole_bytes(a->f, &whole) || ftruncate(fileno(a->f), whole)) return fa_fail(e, FA_EIO, "%s: %m", path);
    rewind(a->f);
    return cli_each_line(a->f, path, each, ctx, e);
}

fa_status cli_answers_add(cli_answers *a, json_t *line, fa_error *e) {
    if (!line) return fa_fail(e, FA_ENOMEM, "memory for the answers ran out");
    bool bad = json_dumpf(line, a->f, JSON_COMPACT | JSON_REAL_PRECISION(9)) || putc('\n', a->f) == EOF || fflush(a->f);
    json_decref(line);
    return bad ? fa_fail(e, FA_EIO, "%s: %m", a->path) : FA_OK;
}

void cli_answers_close(cli_answers *a) {
    if (a->f) fclose(a->f);
    *a = (cli_answers){0};
}
