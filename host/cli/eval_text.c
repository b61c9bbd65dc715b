/* Perplexity of a text by windows that overlap: each token but the first is predicted exactly once, with at least window - stride
 * tokens before it where the text has them. The accounting is that of transformers' guide to perplexity of fixed-length models. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/eval.h"

typedef struct text {
    int32_t *ids; /* the engine's */
    size_t n, bytes;
} text;

static int read_text(fathom_engine *engine, const char *path, text *t) {
    fa_error bad = {0};
    fathom_error e = {0};
    char *data = NULL;
    FILE *f = fopen(path, "rb");
    if (!f) return cli_fail("%s: %m", path);
    fa_status s = cli_read_all(f, path, &data, &t->bytes, &bad);
    fclose(f);
    if (s) return cli_fail("%s", bad.text);
    fathom_status st = fathom_encode(engine, data, t->bytes, true, &t->ids, &t->n, &e);
    free(data);
    if (st) return cli_fail("%s: %s", path, e.text);
    return t->n < 2 ? cli_fail("%s: %zu tokens; a perplexity needs at least two", path, t->n) : CLI_OK;
}

/* -log of the probability of token `id` after a row of logits. */
static double surprise(const float *logits, int32_t vocab, int32_t id) {
    float most = logits[0];
    for (int32_t i = 1; i < vocab; i++) most = logits[i] > most ? logits[i] : most;
    double sum = exp((double)(logits[0] - most));
    for (int32_t i = 1; i < vocab; i++) sum += exp((double)(logits[i] - most));
    return log(sum) + (double)most - (double)logits[id];
}

/* Sum over all tokens but the first, or an exit code below zero. */
static int sum_up(fathom_engine *engine, const text *t, size_t window, size_t stride, double *total) {
    fathom_info info;
    fathom_error e = {0};
    cli_progress_bar bar = {.label = "scoring"};
    fathom_engine_info(engine, &info);
    size_t most = window < t->n ? window : t->n, done = 1; /* tokens that are accounted for */
    float *logits = malloc(most * (size_t)info.vocabulary * sizeof *logits);
    if (!logits) return cli_fail("no memory for the logits of a window of %zu tokens: choose a smaller --window", most);
    fathom_status st = FATHOM_OK;
    for (size_t first = 0; done < t->n && !st; first += stride) {
        size_t n = t->n - first < window ? t->n - first : window;
        st = fathom_logits(engine, t->ids + first, n, true, logits, &e);
        for (; done < first + n && !st; done++)
            *total += surprise(logits + (done - 1 - first) * (size_t)info.vocabulary, info.vocabulary, t->ids[done]);
        cli_progress(&bar, (int64_t)done, (int64_t)t->n);
    }
    cli_progress_end(&bar);
    free(logits);
    return st ? cli_fail("%s", e.text) : CLI_OK;
}

int eval_text(fathom_engine *engine, const eval_text_settings *s) {
    fathom_info info;
    text t = {0};
    fathom_engine_info(engine, &info);
    int32_t window = s->window ? s->window : info.context;
    if (window > info.context) return cli_fail("--window: %d tokens, but the context holds %d", window, info.context);
    int32_t stride = s->stride ? s->stride : window / 2;
    if (stride >= window) return cli_fail("--stride: %d, must be less than the window of %d", stride, window);
    int code = read_text(engine, s->file, &t);
    double total = 0;
    if (!code) code = sum_up(engine, &t, (size_t)window, (size_t)stride, &total);
    double predicted = (double)t.n - 1, mean = total / predicted;
    if (!code && s->json)
        printf("{\"file_bytes\":%zu,\"tokens\":%zu,\"predicted\":%.0f,\"window\":%d,\"stride\":%d,\"mean_nll\":%.9g,"
               "\"perplexity\":%.9g,\"bits_per_byte\":%.9g}\n",
               t.bytes, t.n, predicted, window, stride, mean, exp(mean), total / M_LN2 / (double)t.bytes);
    else if (!code)
        printf("perplexity %.4f over %.0f of %zu tokens, %.4f bits a byte\n", exp(mean), predicted, t.n,
               total / M_LN2 / (double)t.bytes);
    fathom_free(t.ids);
    return code;
}
