#include "host/cli/quantize_study.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/base/file.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/cli/eval.h"
#include "host/engine/engine.h"
#include "quant/quantise.h"

enum { TOKENS = 4096, WINDOW = 1024, MOST_LAYERS = 256, ORIGIN = -1 };

static const struct format {
    const char *name;
    bool e5m2, per_tensor;
} formats[] = {
    {"E4M3, 128x128", false, false},
    {"E4M3, tensor", false, true},
    {"E5M2, 128x128", true, false},
    {"E5M2, tensor", true, true},
};
enum { FORMATS = sizeof formats / sizeof *formats };

/* What is measured, in the order in which it is; the first is what the others are compared with. */
static const struct row {
    const char *name;
    int weights; /* index of formats, or ORIGIN */
    const char *numerics, *cache;
} rows[] = {
    {"FP32", ORIGIN, "w8a16", "f32"},
    {"weights E4M3, 128x128", 0, "w8a16", "f32"},
    {"activations E4M3 too (w8a8)", 0, "w8a8", "f32"},
    {"w8a8 and cache FP8", 0, "w8a8", "fp8"},
    {"weights E4M3, per tensor", 1, "w8a16", "f32"},
    {"weights E5M2, 128x128", 2, "w8a16", "f32"},
    {"weights E5M2, per tensor", 3, "w8a16", "f32"},
    {"cache BF16", ORIGIN, "w8a16", "bf16"},
    {"cache FP8", ORIGIN, "w8a16", "fp8"},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* Tokens that are read at once, of which those from `first` on are predicted. */
typedef struct sequence {
    int32_t *ids; /* owned */
    size_t n, first;
} sequence;

typedef struct found {
    double *nll;   /* [predicted] */
    int32_t *best; /* [predicted] */
    double hidden[MOST_LAYERS];
} found;

typedef struct study {
    const quantize_study_settings *settings;
    char folder[64], *made; /* where models are made, and the one there is */
    int32_t layers;
    sequence *sequences; /* of the row in hand */
    int64_t n_sequences, capacity;
    size_t longest, watched, predicted; /* tokens: of a sequence; whose hidden states are compared; in all */
    found all[ROWS];
    double weights[FORMATS][MOST_LAYERS], squares[MOST_LAYERS]; /* of a layer: squared error, squares */
    double whole[FORMATS];                                      /* relative error of all weights */
    float *states;                                              /* of the first row, [layers, window, hidden] */
    /* of the row in hand */
    int row;
    int32_t hidden;
    bool watching;
    size_t seen[MOST_LAYERS]; /* rows of a layer */
    double error[MOST_LAYERS], square[MOST_LAYERS];
    cli_progress_bar bar;
} study;

/* ---- making a model ---- */

static void note_error(void *ctx, const fa_quantise_report *r) {
    study *v = ctx;
    int layer = -1, format = rows[v->row].weights;
    if (strncmp(r->to, "F8_", 3) || !strcmp(r->from, r->to)) return;
    const char *at = strstr(r->name, "layers.");
    if (!at || sscanf(at, "layers.%d.", &layer) != 1 || layer < 0 || layer >= v->layers) return;
    v->weights[format][layer] += r->relative_rms * r->relative_rms * r->squares;
    v->squares[layer] += r->squares;
}

static void sum_errors(study *v, int format) {
    double error = 0, squares = 0;
    for (int i = 0; i < v->layers; i++) {
        error += v->weights[format][i];
        squares += v->squares[i];
        v->weights[format][i] = sqrt(v->weights[format][i] / (v->squares[i] > 0 ? v->squares[i] : 1));
    }
    v->whole[format] = sqrt(error / (squares > 0 ? squares : 1));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void unmake(study *v) {
    if (v->made) nftw(v->made, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(v->made);
    v->made = NULL;
}

static int make(study *v, int format) {
    fa_error e = {0};
    unmake(v);
    v->made = fa_path_join(v->folder, "model");
    if (!v->made) return cli_fail("memory ran out");
    memset(v->squares, 0, sizeof v->squares);
    fa_quantise_options o = {.source = v->settings->model,
                             .destination = v->made,
                             .e5m2 = formats[format].e5m2,
                             .per_tensor = formats[format].per_tensor,
                             .report = note_error,
                             .ctx = v};
    if (fa_quantise(&o, &e)) return cli_fail("%s", e.text);
    sum_errors(v, format);
    return CLI_OK;
}

/* ---- what is read ---- */

static void drop_sequences(study *v) {
    for (int64_t i = 0; i < v->n_sequences; i++) free(v->sequences[i].ids);
    v->n_sequences = 0;
    v->predicted = v->longest = 0;
}

/* Takes the ids, malloc'd, or frees them. */
static fa_status add_sequence(study *v, int32_t *ids, size_t n, size_t first, fa_error *e) {
    if (v->n_sequences == v->capacity) {
        int64_t capacity = v->capacity * 2 + 64;
        sequence *more = realloc(v->sequences, (size_t)capacity * sizeof *more);
        if (!more) return free(ids), fa_fail(e, FA_ENOMEM, "memory ran out");
        v->sequences = more;
        v->capacity = capacity;
    }
    v->sequences[v->n_sequences++] = (sequence){ids, n, first};
    v->longest = n > v->longest ? n : v->longest;
    v->predicted += n - first;
    return FA_OK;
}

static size_t most_tokens(const study *v) {
    return v->settings->tokens ? (size_t)v->settings->tokens : TOKENS;
}

/* A line of `fathom rollout`: its answer is predicted. Lines behind the tokens that were asked for are left out. */
static fa_status take_answer(void *ctx, const json_t *line, fa_error *e) {
    study *v = ctx;
    const json_t *parts[] = {json_object_get(line, "prompt_ids"), json_object_get(line, "ids")};
    size_t n = 0, prompt = json_array_size(parts[0]), answer = json_array_size(parts[1]);
    if (!prompt || !answer)
        return fa_fail(e, FA_EFORMAT, "expected prompt_ids and ids, as `fathom rollout' writes them");
    if (v->predicted + answer > most_tokens(v)) return FA_OK;
    if (prompt + answer > WINDOW) return fa_fail(e, FA_ELIMIT, "%zu tokens: at most %d", prompt + answer, WINDOW);
    int32_t *ids = malloc((prompt + answer) * sizeof *ids);
    if (!ids) return fa_fail(e, FA_ENOMEM, "memory ran out");
    for (int p = 0; p < 2; p++)
        for (size_t i = 0; i < json_array_size(parts[p]); i++)
            ids[n++] = (int32_t)json_integer_value(json_array_get(parts[p], i));
    return add_sequence(v, ids, n, prompt, e);
}

/* A text as windows that overlap by half: each token but the first is predicted once. */
static fa_status take_windows(study *v, const int32_t *ids, size_t n, size_t window, fa_error *e) {
    fa_status s = FA_OK;
    for (size_t first = 0, done = 1; done < n && !s; first += window / 2) {
        size_t size = n - first < window ? n - first : window;
        int32_t *copy = malloc(size * sizeof *copy);
        if (!copy) return fa_fail(e, FA_ENOMEM, "memory ran out");
        memcpy(copy, ids + first, size * sizeof *copy);
        s = add_sequence(v, copy, size, done - first, e);
        done = first + size;
    }
    return s;
}

static fa_status read_text(study *v, fathom_engine *engine, FILE *f, size_t context, fa_error *e) {
    fathom_error found = {0};
    char *text = NULL;
    int32_t *ids = NULL;
    size_t bytes, n;
    fa_status s = cli_read_all(f, v->settings->text, &text, &bytes, e);
    if (s) return s;
    s = (fa_status)fathom_encode(engine, text, bytes, true, &ids, &n, &found);
    free(text);
    if (s) return fa_fail(e, s, "%s: %s", v->settings->text, found.text);
    n = n < most_tokens(v) ? n : most_tokens(v);
    s = take_windows(v, ids, n, context < WINDOW ? context : WINDOW, e);
    fathom_free(ids);
    return s;
}

static int read_file(study *v, fathom_engine *engine) {
    fathom_info info;
    fa_error e = {0};
    const char *path = v->settings->text, *dot = strrchr(path, '.');
    FILE *f = fopen(path, "rb");
    if (!f) return cli_fail("%s: %m", path);
    fathom_engine_info(engine, &info);
    drop_sequences(v);
    fa_status s = dot && !strcmp(dot, ".jsonl") ? cli_each_line(f, path, take_answer, v, &e)
                                                : read_text(v, engine, f, (size_t)info.context, &e);
    fclose(f);
    if (s) return cli_fail("%s", e.text);
    return v->predicted ? CLI_OK : cli_fail("%s: nothing to predict: it needs at least two tokens", path);
}

/* ---- reading it ---- */

/* Hidden states of the first tokens: kept from the first row, compared with them later. */
static void note_hidden(void *ctx, int layer, int n, int width, const float *values) {
    study *v = ctx;
    if (layer < 0 || layer >= v->layers) return;
    for (int r = 0; r < n && v->seen[layer] < v->watched; r++, v->seen[layer]++) {
        float *kept = v->states + ((size_t)layer * v->watched + v->seen[layer]) * (size_t)width;
        if (v->row == 0) memcpy(kept, values + (size_t)r * (size_t)width, (size_t)width * sizeof *kept);
        for (int i = 0; i < width; i++) {
            double d = (double)values[(size_t)r * (size_t)width + (size_t)i] - (double)kept[i];
            v->error[layer] += d * d;
            v->square[layer] += (double)kept[i] * (double)kept[i];
        }
    }
}

static int take_memory(study *v, const fathom_info *info) {
    if (v->row == 0) {
        size_t all = 0;
        for (int64_t i = 0; i < v->n_sequences; i++) all += v->sequences[i].n;
        v->watched = all < WINDOW ? all : WINDOW;
        v->layers = info->layers;
        if (v->layers > MOST_LAYERS) return cli_fail("%d layers: at most %d", v->layers, MOST_LAYERS);
        v->states = malloc((size_t)v->layers * v->watched * (size_t)info->hidden * sizeof *v->states);
    }
    found *to = &v->all[v->row];
    to->nll = calloc(v->predicted, sizeof *to->nll);
    to->best = calloc(v->predicted, sizeof *to->best);
    return v->states && to->nll && to->best ? CLI_OK : cli_fail("memory ran out");
}

static int read_sequences(study *v, fathom_engine *engine, size_t vocabulary) {
    fathom_error e = {0};
    found *to = &v->all[v->row];
    float *logits = malloc(v->longest * vocabulary * sizeof *logits);
    if (!logits) return cli_fail("memory for the logits ran out");
    size_t done = 0;
    for (int64_t i = 0; i < v->n_sequences; i++) {
        const sequence *q = &v->sequences[i];
        if (fathom_logits(engine, q->ids, q->n, true, logits, &e)) break;
        for (size_t k = q->first; k < q->n; k++, done++)
            to->nll[done] =
                (double)eval_surprise(logits + (k - 1) * vocabulary, (int32_t)vocabulary, q->ids[k], &to->best[done]);
        cli_progress(&v->bar, (int64_t)((size_t)v->row * v->predicted + done), (int64_t)(ROWS * v->predicted));
    }
    free(logits);
    return e.status ? cli_fail("%s", e.text) : CLI_OK;
}

static int read_all(study *v, fathom_engine *engine) {
    fathom_info info;
    fathom_engine_info(engine, &info);
    int code = read_file(v, engine);
    if (!code) code = take_memory(v, &info);
    return code ? code : read_sequences(v, engine, (size_t)info.vocabulary);
}

static int run(study *v, int row) {
    const struct row *r = &rows[row];
    fathom_engine *engine = NULL;
    fathom_error e = {0};
    fa_probe probe = {.ctx = v, .hidden = note_hidden};
    v->row = row;
    if (r->weights != ORIGIN && r->weights != (row ? rows[row - 1].weights : ORIGIN)) {
        int code = make(v, r->weights);
        if (code) return code;
    }
    memset(v->seen, 0, sizeof v->seen);
    memset(v->error, 0, sizeof v->error);
    memset(v->square, 0, sizeof v->square);
    fathom_options o = {.model = r->weights == ORIGIN ? v->settings->model : v->made,
                        .numerics = r->numerics,
                        .cache = r->cache,
                        .threads = v->settings->threads,
                        .context = WINDOW,
                        .logits_all = true};
    if (fathom_engine_open(&engine, &o, &e)) return cli_fail("%s", e.text);
    fa_engine_set_probe(engine, &probe);
    int code = read_all(v, engine);
    fathom_engine_close(engine);
    for (int i = 0; i < v->layers && !code; i++)
        v->all[row].hidden[i] = sqrt(v->error[i] / (v->square[i] > 0 ? v->square[i] : 1));
    return code;
}

/* ---- printing ---- */

typedef struct verdict {
    double perplexity, change, same, last;
    cli_interval interval;
} verdict;

static verdict judge(const study *v, int row, double *more) {
    const found *f = &v->all[row], *first = &v->all[0];
    size_t predicted = v->predicted, same = 0;
    for (size_t i = 0; i < predicted; i++) {
        more[i] = f->nll[i] - first->nll[i];
        same += f->best[i] == first->best[i];
    }
    cli_interval of = cli_bootstrap_blocks(more, (int64_t)predicted);
    return (verdict){.perplexity = exp(cli_mean(f->nll, (int64_t)predicted)),
                     .change = expm1(cli_mean(more, (int64_t)predicted)),
                     .same = (double)same / (double)predicted,
                     .last = f->hidden[v->layers - 1],
                     .interval = {expm1(of.low), expm1(of.high)}};
}

static json_t *numbers(const double *values, int n) {
    json_t *list = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(list, json_real(values[i]));
    return list;
}

static void print_json(const study *v, double *more) {
    for (int i = 0; i < ROWS; i++) {
        verdict d = judge(v, i, more);
        int weights = rows[i].weights;
        json_t *line =
            json_pack("{ss sI sf sf s[ff] sf so}", "row", rows[i].name, "tokens", (json_int_t)v->predicted,
                      "perplexity", d.perplexity, "change", d.change, "change95", d.interval.low, d.interval.high,
                      "same_choice", d.same, "hidden_error", numbers(v->all[i].hidden, v->layers));
        if (weights != ORIGIN) {
            json_object_set_new(line, "weights_error", json_real(v->whole[weights]));
            json_object_set_new(line, "layer_weights_error", numbers(v->weights[weights], v->layers));
        }
        json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        putchar('\n');
        json_decref(line);
    }
}

static void print_table(const study *v, double *more) {
    printf("%-28s %10s %9s  %18s %8s %9s %9s\n", "", "perplexity", "change", "95 % interval", "same", "weights",
           "hidden");
    for (int i = 0; i < ROWS; i++) {
        verdict d = judge(v, i, more);
        printf("%-28s %10.4f %+7.3f %%  %+7.3f .. %+6.3f %% %6.2f %%", rows[i].name, d.perplexity, 100 * d.change,
               100 * d.interval.low, 100 * d.interval.high, 100 * d.same);
        if (rows[i].weights == ORIGIN)
            printf(" %9s", "");
        else
            printf(" %7.3f %%", 100 * v->whole[rows[i].weights]);
        printf(" %7.3f %%\n", 100 * d.last);
    }
    printf("\nrelative error of a layer's weights, then of the hidden states behind it in the order above, %%\nlayer");
    for (int f = 0; f < FORMATS; f++) printf(" %13s", formats[f].name);
    printf("  |");
    for (int i = 1; i < ROWS; i++) printf(" %7d", i + 1);
    for (int layer = 0; layer < v->layers; layer++) {
        printf("\n%5d", layer);
        for (int f = 0; f < FORMATS; f++) printf(" %13.3f", 100 * v->weights[f][layer]);
        printf("  |");
        for (int i = 1; i < ROWS; i++) printf(" %7.3f", 100 * v->all[i].hidden[layer]);
    }
    putchar('\n');
}

int quantize_study(const quantize_study_settings *s) {
    study *v = calloc(1, sizeof *v);
    if (!v) return cli_fail("memory ran out");
    v->settings = s;
    v->bar.label = "reading";
    const char *root = getenv("TMPDIR");
    snprintf(v->folder, sizeof v->folder, "%.40s/fathom-XXXXXX", root && *root ? root : "/tmp");
    int code = mkdtemp(v->folder) ? CLI_OK : cli_fail("%s: %m", v->folder);
    for (int i = 0; i < ROWS && !code; i++) code = run(v, i);
    cli_progress_end(&v->bar);
    double *more = code ? NULL : malloc(v->predicted * sizeof *more);
    if (more) (s->json ? print_json : print_table)(v, more);
    free(more);
    unmake(v);
    rmdir(v->folder);
    for (int i = 0; i < ROWS; i++) free(v->all[i].nll), free(v->all[i].best);
    drop_sequences(v);
    free(v->sequences);
    free(v->states);
    free(v);
    return code;
}
