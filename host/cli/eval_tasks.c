/* Questions answered and judged, mode by mode; what was done before is taken from the file of answers. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/eval.h"

/* One mode at work. */
typedef struct evaluation {
    const eval_settings *settings;
    const eval_mode *mode;
    cli_questions *questions;
    eval_marks *marks;
    bool *done; /* [questions, samples]; of choices the first sample stands for all */
    char *sampling;
    cli_answers answers;
    int64_t ended, all;
    cli_progress_bar bar;
} evaluation;

static bool *done_at(const evaluation *v, int64_t prompt, int64_t sample) {
    return &v->done[prompt * v->settings->samples + sample];
}

static bool has(void *ctx, int64_t prompt, int64_t sample) {
    const evaluation *v = ctx;
    return v->questions->at[prompt].n_choices || *done_at(v, prompt, sample);
}

static void give_prompt(void *ctx, int64_t prompt, const int32_t **ids, size_t *n) {
    const cli_question *q = &((evaluation *)ctx)->questions->at[prompt];
    *ids = q->ids;
    *n = q->n;
}

/* Everything that an answer depends on but its question, seed and mode. */
static char *sampling_text(const fathom_sampling *s) {
    char *text = NULL;
    if (asprintf(&text, "temp %g top-k %d top-p %g min-p %g repetition %g presence %g frequency %g max %d stops %d",
                 (double)s->temperature, s->top_k, (double)s->top_p, (double)s->min_p, (double)s->repetition_penalty,
                 (double)s->presence_penalty, (double)s->frequency_penalty, s->max_tokens, s->n_stop) < 0)
        return NULL;
    return text;
}

static void count(evaluation *v, int64_t prompt, bool right, bool format) {
    v->marks->right[prompt] += right;
    v->marks->formed[prompt] += format;
    cli_progress(&v->bar, ++v->ended, v->all);
}

/* ---- what is there already ---- */

/* FA_EFORMAT unless the line, where it says so, belongs to this question and to these settings. */
static fa_status check_origin(const evaluation *v, const cli_question *q, const json_t *line, int64_t answer,
                              fa_error *e) {
    const json_t *ids = json_object_get(line, "prompt_ids"), *seed = json_object_get(line, "seed");
    const char *sampling = json_string_value(json_object_get(line, "sampling"));
    if (sampling && strcmp(sampling, v->sampling))
        return fa_fail(e, FA_EFORMAT, "an answer with other settings (%s, here %s); choose another --answers file",
                       sampling, v->sampling);
    if (seed && (uint64_t)json_integer_value(seed) != v->settings->sampling.seed + (uint64_t)answer)
        return fa_fail(e, FA_EFORMAT, "an answer with another seed; choose another --answers file");
    bool same = !ids || json_array_size(ids) == q->n;
    for (size_t i = 0; ids && i < q->n && same; i++) same = json_integer_value(json_array_get(ids, i)) == q->ids[i];
    return same ? FA_OK : fa_fail(e, FA_EFORMAT, "an answer to another question; choose another --answers file");
}

/* A verdict that was written down is one that took a program's run. */
static fa_status judge(const evaluation *v, const cli_question *q, const char *text, const json_t *known,
                       fa_reward *found, fa_error *e) {
    *found = fa_judge(q->rule, q->target, q->thinks, text);
    if (q->rule != FA_RULE_CODE) return FA_OK;
    if (known) return found->accuracy = json_integer_value(known) != 0, FA_OK;
    if (!v->settings->run_code)
        return fa_fail(e, FA_EUNSUPPORTED, "programs that a model wrote are run with --run-code alone");
    return eval_code(q, text, &found->accuracy, e);
}

static fa_status take_choices(evaluation *v, const cli_question *q, int64_t prompt, const json_t *logprobs,
                              fa_error *e) {
    double values[64];
    size_t n = json_array_size(logprobs);
    if (n != q->n_choices || n > 64)
        return fa_fail(e, FA_EFORMAT, "choices: %zu, the question has %zu", n, q->n_choices);
    for (size_t i = 0; i < n; i++) values[i] = (double)(float)json_number_value(json_array_get(logprobs, i));
    *done_at(v, prompt, 0) = true;
    count(v, prompt, eval_choose(q, values, false) == q->correct, eval_choose(q, values, true) == q->correct);
    return FA_OK;
}

static fa_status take_known(void *ctx, const json_t *line, fa_error *e) {
    evaluation *v = ctx;
    const char *mode = json_string_value(json_object_get(line, "mode"));
    if (mode && strcmp(mode, v->mode->name)) return FA_OK;
    const json_t *prompt_value = json_object_get(line, "prompt"), *text = json_object_get(line, "text");
    const json_t *logprobs = json_object_get(line, "choice_logprobs");
    int64_t prompt = json_integer_value(prompt_value), sample = json_integer_value(json_object_get(line, "sample"));
    if (!json_is_integer(prompt_value) || prompt < 0 || prompt >= v->questions->n || sample < 0 ||
        sample >= v->settings->samples)
        return fa_fail(e, FA_EFORMAT, "no answer to one of the %" PRId64 " questions, or more than %" PRId64 " of it",
                       v->questions->n, v->settings->samples);
    const cli_question *q = &v->questions->at[prompt];
    if (*done_at(v, prompt, sample))
        return fa_fail(e, FA_EFORMAT, "answer %" PRId64 " to question %" PRId64 " is there twice", sample, prompt);
    fa_status s = check_origin(v, q, line, prompt * v->settings->samples + sample, e);
    if (s || q->n_choices) return s ? s : take_choices(v, q, prompt, logprobs, e);
    if (!json_is_string(text)) return fa_fail(e, FA_EFORMAT, "text: expected a text");
    fa_reward found;
    s = judge(v, q, json_string_value(text), json_object_get(line, "accuracy"), &found, e);
    if (s) return s;
    *done_at(v, prompt, sample) = true;
    count(v, prompt, found.accuracy, found.format);
    return FA_OK;
}

/* ---- what is not ---- */

static fa_status keep(evaluation *v, json_t *line, fa_error *e) {
    if (line && (json_object_set_new(line, "mode", json_string(v->mode->name)) ||
                 json_object_set_new(line, "sampling", json_string(v->sampling)))) {
        json_decref(line);
        line = NULL;
    }
    return cli_answers_add(&v->answers, line, e);
}

static fa_status take_answer(void *ctx, const cli_written *a, fa_error *e) {
    evaluation *v = ctx;
    const cli_question *q = &v->questions->at[a->prompt];
    fa_reward found;
    fa_status s = judge(v, q, a->text ? a->text : "", NULL, &found, e);
    if (!s && v->answers.f) {
        json_t *line = cli_answer_json(q, a);
        if (line) json_object_set_new(line, "accuracy", json_integer(found.accuracy));
        s = keep(v, line, e);
    }
    if (!s) count(v, a->prompt, found.accuracy, found.format);
    return s;
}

static fa_status score_choices(evaluation *v, fathom_engine *engine, int64_t prompt, fa_error *e) {
    const cli_question *q = &v->questions->at[prompt];
    double values[64];
    if (q->n_choices > 64) return fa_fail(e, FA_EUNSUPPORTED, "%zu choices: at most 64", q->n_choices);
    fa_status s = eval_choices(engine, q, values, e);
    if (s) return fa_error_prefix(e, s, "%s: line %" PRId64, v->questions->path, q->number);
    json_t *list = json_array();
    for (size_t i = 0; i < q->n_choices; i++) json_array_append_new(list, json_real(values[i]));
    if (v->answers.f) s = keep(v, json_pack("{sI sO}", "prompt", (json_int_t)prompt, "choice_logprobs", list), e);
    if (!s) s = take_choices(v, q, prompt, list, e);
    json_decref(list);
    return s;
}

static int answer_all(evaluation *v, fathom_engine *engine) {
    const eval_settings *s = v->settings;
    fathom_error e = {0};
    fa_error bad = {0};
    cli_many work = {.sessions = v->mode->options.sessions,
                     .prompts = v->questions->n,
                     .samples = s->samples,
                     .sampling = &s->sampling,
                     .prompt = give_prompt,
                     .has = has,
                     .done = take_answer,
                     .ctx = v};
    for (int64_t i = 0; i < v->questions->n; i++)
        if (v->questions->at[i].n_choices && !*done_at(v, i, 0) && score_choices(v, engine, i, &bad))
            return cli_fail("%s", bad.text);
    fathom_status st = cli_answer_many(engine, &work, &e);
    return st == FATHOM_ECANCELLED ? CLI_INTERRUPTED : st ? cli_fail("%s", e.text) : CLI_OK;
}

/* ---- a mode, all modes ---- */

static int run_mode(evaluation *v) {
    const eval_settings *s = v->settings;
    fathom_engine *engine = NULL;
    fathom_error e = {0};
    fa_error bad = {0};
    if (cli_engine_open(&engine, &v->mode->options, &e)) return cli_fail("%s", e.text);
    fa_status st = cli_questions_encode(v->questions, engine, &bad);
    if (!st && s->answers) st = cli_answers_open(&v->answers, s->answers, take_known, v, &bad);
    int code = st ? cli_fail("%s", bad.text) : answer_all(v, engine);
    cli_progress_end(&v->bar);
    cli_answers_close(&v->answers);
    fathom_engine_close(engine);
    return code;
}

static int run(const eval_settings *s, cli_questions *q, const eval_mode *mode, eval_marks *marks) {
    evaluation v = {.settings = s, .mode = mode, .questions = q, .marks = marks, .bar = {.label = mode->name}};
    for (int64_t i = 0; i < q->n; i++) v.all += q->at[i].n_choices ? 1 : s->samples;
    marks->right = calloc((size_t)q->n, sizeof *marks->right);
    marks->formed = calloc((size_t)q->n, sizeof *marks->formed);
    v.done = calloc((size_t)(q->n * s->samples) + 1, sizeof *v.done);
    v.sampling = sampling_text(&s->sampling);
    int code = marks->right && marks->formed && v.done && v.sampling ? run_mode(&v) : cli_fail("memory ran out");
    free(v.done);
    free(v.sampling);
    return code;
}

static int read_questions(const eval_settings *s, cli_questions *q) {
    fa_error bad = {0};
    if (cli_questions_load(q, s->questions, &bad)) return cli_fail("%s", bad.text);
    if (!q->n) return cli_fail("%s: no questions", q->path);
    for (int64_t i = 0; i < q->n; i++) {
        const cli_question *at = &q->at[i];
        if (!cli_question_has_result(at))
            return cli_fail("%s: line %" PRId64 ": no target to compare answers with", q->path, at->number);
        if (at->rule == FA_RULE_CODE && !s->run_code)
            return cli_fail("%s: line %" PRId64
                            ": the rule \"code\" runs what the model writes: ask for it with --run-code",
                            q->path, at->number);
    }
    return CLI_OK;
}

int eval_tasks(const eval_settings *settings) {
    eval_settings s = *settings;
    cli_questions q = {0};
    eval_marks marks[EVAL_MODES] = {0};
    int code = read_questions(&s, &q);
    for (int i = 0; i < s.n_modes && !code; i++) code = run(&s, &q, &s.modes[i], &marks[i]);
    if (!code) eval_print(&s, &q, marks);
    for (int i = 0; i < EVAL_MODES; i++) free(marks[i].right), free(marks[i].formed);
    cli_questions_free(&q);
    return code;
}
