/* Perplexity of a text by windows that overlap: each token but the first is predicted exactly once, with at least window - stride
 * tokens before it where the text has them. The accounting is that of transformers' guide to perplexity of fixed-length models. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/eval.h"

/* What one mode says about the text. */
typedef struct scores {
    double *nll;   /* [n] -log p of token i, rounded to FP32 as the file keeps it; the first has none */
    int32_t *best; /* [n] the likeliest token in its place */
} scores;

/* One mode at work. */
typedef struct scoring {
    const eval_settings *settings;
    const char *mode;
    fathom_info info;
    int32_t *ids; /* the engine's */
    size_t n, bytes, window, stride;
    uint64_t hash; /* of the ids */
    scores *to;
    size_t first, done; /* of the next window; tokens that are accounted for */
    cli_answers file;
    cli_progress_bar bar;
} scoring;

static int read_text(scoring *v, fathom_engine *engine) {
    const char *path = v->settings->text;
    fa_error bad = {0};
    fathom_error e = {0};
    char *data = NULL;
    FILE *f = fopen(path, "rb");
    if (!f) return cli_fail("%s: %m", path);
    fa_status s = cli_read_all(f, path, &data, &v->bytes, &bad);
    fclose(f);
    if (s) return cli_fail("%s", bad.text);
    fathom_status st = fathom_encode(engine, data, v->bytes, true, &v->ids, &v->n, &e);
    free(data);
    if (st) return cli_fail("%s: %s", path, e.text);
    if (v->n < 2) return cli_fail("%s: %zu tokens; a perplexity needs at least two", path, v->n);
    v->hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < v->n; i++) v->hash = (v->hash ^ (uint32_t)v->ids[i]) * UINT64_C(1099511628211);
    return CLI_OK;
}

static int set_windows(scoring *v) {
    int32_t window = v->settings->window ? v->settings->window : v->info.context;
    if (window > v->info.context)
        return cli_fail("--window: %d tokens, but the context holds %d", window, v->info.context);
    int32_t stride = v->settings->stride ? v->settings->stride : window / 2;
    if (stride >= window) return cli_fail("--stride: %d, must be less than the window of %d", stride, window);
    v->window = (size_t)window;
    v->stride = (size_t)stride;
    return CLI_OK;
}

float eval_surprise(const float *logits, int32_t vocabulary, int32_t id, int32_t *best) {
    *best = 0;
    for (int32_t i = 1; i < vocabulary; i++) *best = logits[i] > logits[*best] ? i : *best;
    double most = (double)logits[*best], sum = exp((double)logits[0] - most);
    for (int32_t i = 1; i < vocabulary; i++) sum += exp((double)logits[i] - most);
    return (float)(log(sum) + most - (double)logits[id]);
}

/* ---- windows as lines ---- */

static json_t *window_json(const scoring *v, size_t from) {
    json_t *nll = json_array(), *best = json_array();
    char hash[20];
    snprintf(hash, sizeof hash, "%016" PRIx64, v->hash);
    for (size_t i = from; i < v->done; i++) {
        json_array_append_new(nll, json_real(v->to->nll[i]));
        json_array_append_new(best, json_integer(v->to->best[i]));
    }
    return json_pack("{ss ss sI sI sI so so}", "mode", v->mode, "text", hash, "window", (json_int_t)v->window, "stride",
                     (json_int_t)v->stride, "first", (json_int_t)v->first, "nll", nll, "best", best);
}

static fa_status take_known(void *ctx, const json_t *line, fa_error *e) {
    scoring *v = ctx;
    const char *mode = json_string_value(json_object_get(line, "mode"));
    const char *text = json_string_value(json_object_get(line, "text"));
    const json_t *nll = json_object_get(line, "nll"), *best = json_object_get(line, "best");
    if (!mode || !text) return fa_fail(e, FA_EFORMAT, "no window of a text");
    if (strcmp(mode, v->mode)) return FA_OK;
    size_t n = json_array_size(nll), end = v->first + v->window < v->n ? v->first + v->window : v->n;
    if (strtoull(text, NULL, 16) != v->hash ||
        (size_t)json_integer_value(json_object_get(line, "window")) != v->window ||
        (size_t)json_integer_value(json_object_get(line, "stride")) != v->stride)
        return fa_fail(e, FA_EFORMAT, "of another text, window or stride; choose another --answers file");
    if ((size_t)json_integer_value(json_object_get(line, "first")) != v->first || v->done >= v->n ||
        n != end - v->done || json_array_size(best) != n)
        return fa_fail(e, FA_EFORMAT, "not the window that comes next, which begins at token %zu", v->first);
    for (size_t i = 0; i < n; i++) {
        v->to->nll[v->done + i] = (double)(float)json_number_value(json_array_get(nll, i));
        v->to->best[v->done + i] = (int32_t)json_integer_value(json_array_get(best, i));
    }
    v->done += n;
    v->first += v->stride;
    return FA_OK;
}

/* ---- scoring ---- */

static int score_window(scoring *v, fathom_engine *engine, float *logits) {
    fathom_error e = {0};
    fa_error bad = {0};
    size_t n = v->n - v->first < v->window ? v->n - v->first : v->window, from = v->done;
    if (fathom_logits(engine, v->ids + v->first, n, true, logits, &e)) return cli_fail("%s", e.text);
    for (; v->done < v->first + n; v->done++)
        v->to->nll[v->done] = (double)eval_surprise(logits + (v->done - 1 - v->first) * (size_t)v->info.vocabulary,
                                                    v->info.vocabulary, v->ids[v->done], &v->to->best[v->done]);
    if (v->file.f && cli_answers_add(&v->file, window_json(v, from), &bad)) return cli_fail("%s", bad.text);
    v->first += v->stride;
    cli_progress(&v->bar, (int64_t)v->done, (int64_t)v->n);
    return CLI_OK;
}

static int score(scoring *v, fathom_engine *engine) {
    fa_error bad = {0};
    size_t most = v->window < v->n ? v->window : v->n;
    v->to->nll = calloc(v->n, sizeof *v->to->nll);
    v->to->best = calloc(v->n, sizeof *v->to->best);
    float *logits = malloc(most * (size_t)v->info.vocabulary * sizeof *logits);
    if (!logits || !v->to->nll || !v->to->best) {
        free(logits);
        return cli_fail("no memory for the logits of a window of %zu tokens: choose a smaller --window", most);
    }
    v->done = 1;
    int code = CLI_OK;
    if (v->settings->answers && cli_answers_open(&v->file, v->settings->answers, take_known, v, &bad))
        code = cli_fail("%s", bad.text);
    while (v->done < v->n && !code) code = score_window(v, engine, logits);
    cli_progress_end(&v->bar);
    cli_answers_close(&v->file);
    free(logits);
    return code;
}

static int run_mode(scoring *v, const eval_mode *mode) {
    fathom_engine *engine = NULL;
    fathom_error e = {0};
    fathom_options o = mode->options;
    o.sessions = 1;
    o.logits_all = true;
    if (cli_engine_open(&engine, &o, &e)) return cli_fail("%s", e.text);
    fathom_engine_info(engine, &v->info);
    int code = set_windows(v);
    if (!code) code = read_text(v, engine);
    if (!code) code = score(v, engine);
    fathom_free(v->ids);
    fathom_engine_close(engine);
    return code;
}

/* ---- printing ---- */

static void print_alone(const scoring *v) {
    size_t predicted = v->n - 1;
    double mean = cli_mean(v->to->nll + 1, (int64_t)predicted),
           bits = mean * (double)predicted / M_LN2 / (double)v->bytes;
    cli_interval of = cli_bootstrap_blocks(v->to->nll + 1, (int64_t)predicted);
    if (v->settings->json)
        printf("{\"file_bytes\":%zu,\"tokens\":%zu,\"predicted\":%zu,\"window\":%zu,\"stride\":%zu,\"mean_nll\":%.9g,"
               "\"perplexity\":%.9g,\"interval95\":[%.9g,%.9g],\"bits_per_byte\":%.9g}\n",
               v->bytes, v->n, predicted, v->window, v->stride, mean, exp(mean), exp(of.low), exp(of.high), bits);
    else
        printf("perplexity %.4f (95 %%: %.4f - %.4f) over %zu of %zu tokens, %.4f bits a byte\n", exp(mean),
               exp(of.low), exp(of.high), predicted, v->n, bits);
}

static void print_mode(const scoring *v, const scores *first, bool head) {
    size_t predicted = v->n - 1, same = 0;
    double *more = malloc(predicted * sizeof *more), mean = cli_mean(v->to->nll + 1, (int64_t)predicted);
    if (!more) return;
    for (size_t i = 0; i < predicted; i++) {
        more[i] = v->to->nll[i + 1] - first->nll[i + 1];
        same += v->to->best[i + 1] == first->best[i + 1];
    }
    double change = expm1(cli_mean(more, (int64_t)predicted)), agree = (double)same / (double)predicted;
    cli_interval of = cli_bootstrap_blocks(more, (int64_t)predicted);
    free(more);
    if (v->settings->json) {
        printf("{\"mode\":\"%s\",\"tokens\":%zu,\"perplexity\":%.9g,\"change\":%.9g,\"change95\":[%.9g,%.9g],"
               "\"same_choice\":%.9g}\n",
               v->mode, v->n, exp(mean), change, expm1(of.low), expm1(of.high), agree);
        return;
    }
    if (head) printf("%-22s %12s %11s %20s %12s\n", "mode", "perplexity", "change", "95 % interval", "same choice");
    printf("%-22s %12.4f %+9.3f %%  %+7.3f .. %+7.3f %% %10.2f %%\n", v->mode, exp(mean), 100 * change,
           100 * expm1(of.low), 100 * expm1(of.high), 100 * agree);
}

int eval_text(const eval_settings *s) {
    scores all[EVAL_MODES] = {0};
    int code = CLI_OK;
    size_t n = 0;
    for (int i = 0; i < s->n_modes && !code; i++) {
        scoring v = {.settings = s, .mode = s->modes[i].name, .to = &all[i], .bar = {.label = s->modes[i].name}};
        code = run_mode(&v, &s->modes[i]);
        if (!code && i && v.n != n)
            code = cli_fail("the models cut the text into different tokens: %zu and %zu", n, v.n);
        n = v.n;
        if (code || !all[0].nll || !all[i].nll) break; /* a mode that was scored has its memory */
        if (s->n_modes == 1)
            print_alone(&v);
        else
            print_mode(&v, &all[0], i == 0);
    }
    for (int i = 0; i < s->n_modes; i++) free(all[i].nll), free(all[i].best);
    return code;
}
