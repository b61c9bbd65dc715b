/* Multiple choice: how likely the model finds each answer behind the prompt. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/eval.h"

/* The whole sequence of a choice, and how much of it is the prompt. */
typedef struct sequence {
    int32_t *ids;
    size_t n, prompt;
} sequence;

static fa_status passed_on(fathom_status s, const fathom_error *found, fa_error *e) {
    return s ? fa_fail(e, (fa_status)s, "%s", found->text) : FA_OK;
}

/* A text and its continuation are encoded together, as the model would have met them; blanks at the end of the text belong to the
 * continuation, where tokens have them. lm-evaluation-harness does so too. */
static fa_status join_texts(fathom_engine *engine, const char *text, const char *choice, sequence *q, fa_error *e) {
    size_t n = strlen(text), m = strlen(choice);
    fathom_error found = {0};
    int32_t *prompt = NULL;
    while (n && strchr(" \n\t", text[n - 1])) n--;
    char *both = malloc(strlen(text) + m + 1);
    if (!both) return fa_fail(e, FA_ENOMEM, "memory ran out");
    stpcpy(stpcpy(both, text), choice);
    fa_status s = passed_on(fathom_encode(engine, both, strlen(both), true, &q->ids, &q->n, &found), &found, e);
    if (!s) s = passed_on(fathom_encode(engine, text, n, true, &prompt, &q->prompt, &found), &found, e);
    free(both);
    fathom_free(prompt);
    return s;
}

/* Behind a prompt of ids or of a conversation the choice is encoded alone. */
static fa_status append(fathom_engine *engine, const cli_question *of, const char *choice, sequence *q, fa_error *e) {
    fathom_error found = {0};
    int32_t *more = NULL;
    size_t m;
    fa_status s = passed_on(fathom_encode(engine, choice, strlen(choice), false, &more, &m, &found), &found, e);
    if (s) return s;
    q->ids = malloc((of->n + m) * sizeof *q->ids);
    if (q->ids) {
        memcpy(q->ids, of->ids, of->n * sizeof *q->ids);
        memcpy(q->ids + of->n, more, m * sizeof *q->ids);
        q->n = of->n + m;
        q->prompt = of->n;
    }
    fathom_free(more);
    return q->ids ? FA_OK : fa_fail(e, FA_ENOMEM, "memory ran out");
}

/* The prompt's positions come from the cache but for the first choice. */
static fa_status score(fathom_engine *engine, fathom_session *session, const sequence *q, double *sum, fa_error *e) {
    fathom_error found = {0};
    fathom_token token;
    if (q->prompt < 1 || q->prompt >= q->n) return fa_fail(e, FA_EFORMAT, "prompt and choice need a token each");
    fathom_sampling sampling = {.score_from = (int32_t)q->prompt, .prompt_only = true};
    fa_status s = passed_on(fathom_session_prompt(session, q->ids, q->n, &sampling, &found), &found, e);
    *sum = 0;
    while (!s && fathom_session_finish(session) == FATHOM_RUNNING) {
        s = passed_on(fathom_engine_step(engine, NULL, &found), &found, e);
        while (!s && fathom_session_scored(session, &token)) *sum += (double)token.logprob;
    }
    if (s || fathom_session_finish(session) != FATHOM_FAILED) return s;
    return fa_fail(e, FA_ENUMERIC, "%s", fathom_session_error(session));
}

static const char *choice_at(const cli_question *q, size_t i) {
    return json_string_value(json_array_get(json_object_get(q->line, "choices"), i));
}

fa_status eval_choices(fathom_engine *engine, const cli_question *q, double *logprobs, fa_error *e) {
    const char *text = cli_question_text(q, "text");
    fathom_session *session = NULL;
    fathom_error found = {0};
    fa_status s = passed_on(fathom_session_open(engine, 0, &session, &found), &found, e);
    for (size_t i = 0; i < q->n_choices && !s; i++) {
        sequence whole = {0};
        s = text ? join_texts(engine, text, choice_at(q, i), &whole, e) : append(engine, q, choice_at(q, i), &whole, e);
        if (!s) s = score(engine, session, &whole, &logprobs[i], e);
        if (!s) logprobs[i] = (double)(float)logprobs[i]; /* as a file of answers keeps it */
        free(whole.ids);                                  /* as fathom_free does */
    }
    fathom_session_close(session);
    return s;
}

size_t eval_choose(const cli_question *q, const double *logprobs, bool by_length) {
    size_t best = 0;
    double most = -INFINITY;
    for (size_t i = 0; i < q->n_choices; i++) {
        double value = by_length ? logprobs[i] / (double)strlen(choice_at(q, i)) : logprobs[i];
        if (value > most) best = i, most = value;
    }
    return best;
}
