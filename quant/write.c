#include "quant/write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"
#include "host/base/json.h"
#include "host/format/fp8.h"
#include "host/format/safetensors.h"
#include "quant/codes.h"

enum { STRIP = 128, SHARD_NAME = 64 }; /* rows that are decoded and written together: one row of blocks */
static const int64_t DEFAULT_SHARD_BYTES = 5000000000;
static const int64_t COPY_BYTES = 1 << 24;

/* One tensor of a file: a planned one, or the scale of one. */
typedef struct part {
    char *name; /* owned when a scale */
    const fa_plan_tensor *t;
    bool scale;
} part;

typedef struct writer {
    fa_codes codes;
    const fa_plan *plan;
    const fa_quantise_options *options;
    const char *dir;
    int64_t done, total; /* bytes of tensors in the destination */
    int64_t *last;       /* [shards] number of the first tensor after each shard */
    int shards;
    /* of the shard in hand */
    fa_safetensors_writer *out;
    part *parts;
    int64_t n_parts;
} writer;

static fa_status out_of_memory(const char *what, fa_error *e) {
    return fa_fail(e, FA_ENOMEM, "%s: out of memory", what);
}

/* Writes into part `number` of the file in hand. */
static fa_status put(writer *w, int64_t number, int64_t offset, const void *data, int64_t bytes, fa_error *e) {
    fa_status s = fa_safetensors_put(w->out, number, offset, data, (size_t)bytes, e);
    w->done += bytes;
    if (s || !w->options->progress || w->options->progress(w->options->ctx, w->done, w->total)) return s;
    return fa_fail(e, FA_ECANCELLED, "%s: stopped", w->options->destination);
}

/* ---- one tensor ---- */

/* Sums over the elements of a tensor; the reference is what the source says. */
typedef struct errors {
    double squares, error_squares, largest;
    int64_t saturated;
} errors;

static void count_error(errors *sum, float wanted, float got) {
    double d = (double)got - wanted;
    sum->squares += (double)wanted * wanted;
    sum->error_squares += d * d;
    if (fabs(d) > sum->largest) sum->largest = fabs(d);
}

static void report(const writer *w, const fa_plan_tensor *t, const errors *sum) {
    if (!w->options->report) return;
    fa_quantise_report r = {
        .name = t->name,
        .from = fa_dtype_get(t->source->type)->name,
        .to = fa_dtype_get(t->type)->name,
        .rows = t->rows,
        .cols = t->cols,
        .squares = sum->squares,
        .relative_rms = sum->squares > 0 ? sqrt(sum->error_squares / sum->squares) : 0,
        .max_error = sum->largest,
        .saturated = sum->saturated,
    };
    w->options->report(w->options->ctx, &r);
}

static fa_status not_finite(const fa_plan_tensor *t, int64_t first, int64_t n, fa_error *e) {
    return fa_fail(e, FA_ENUMERIC, "%s: tensor %s: a NaN or an infinity in rows %lld..%lld", t->source->file,
                   t->source->name, (long long)first, (long long)(first + n - 1));
}

static int by_layout(const void *a, const void *b) {
    const part *x = a, *y = b;
    /* Wide elements first, so that all lie aligned; the order of the safetensors library itself. */
    int64_t wide = fa_dtype_get(y->scale ? FA_F32 : y->t->type)->block_bytes -
                   fa_dtype_get(x->scale ? FA_F32 : x->t->type)->block_bytes;
    return wide ? (wide > 0) - (wide < 0) : strcmp(x->name, y->name);
}

/* Number of a part in the shard's file. */
static int64_t number_of(const writer *w, const fa_plan_tensor *t, bool scale) {
    char name[FA_PLAN_NAME + 16];
    snprintf(name, sizeof name, "%s%s", t->name, scale ? "_scale_inv" : "");
    part wanted = {name, t, scale};
    const part *found = bsearch(&wanted, w->parts, (size_t)w->n_parts, sizeof wanted, by_layout);
    return found ? found - w->parts : -1;
}

/* The scale of a tensor that has one for all. `values` [STRIP, cols] is scratch. */
static fa_status tensor_scale(const writer *w, const fa_plan_tensor *t, float *values, float *scale, fa_error *e) {
    float amax = 0;
    fa_status s = FA_OK;
    for (int64_t first = 0; first < t->rows && !s; first += STRIP) {
        int64_t rows = t->rows - first < STRIP ? t->rows - first : STRIP;
        s = fa_plan_read(t, first, rows, values, e);
        for (int64_t i = 0; i < rows * t->cols && !s; i++) amax = fabsf(values[i]) > amax ? fabsf(values[i]) : amax;
    }
    *scale = fa_codes_scale(&w->codes, amax);
    return s;
}

/* One row of blocks; `values` [n, cols], `codes` likewise, `scales` [blocks of a row]. */
static fa_status quantise_strip(const writer *w, const fa_plan_tensor *t, int64_t first, int64_t n, float of_tensor,
                                float *values, uint8_t *codes, float *scales, errors *sum, fa_error *e) {
    fa_status s = fa_plan_read(t, first, n, values, e);
    if (s) return s;
    fa_codes_strip(&w->codes, values, n, t->cols, of_tensor, codes, scales);
    for (int64_t b = 0; b * STRIP < t->cols; b++)
        if (!isfinite(scales[b])) return not_finite(t, first, n, e);
    for (int64_t i = 0; i < n * t->cols; i++) {
        count_error(sum, values[i], fa_codes_value(&w->codes, codes[i]) * scales[i % t->cols / STRIP]);
        sum->saturated += fa_codes_saturated(&w->codes, codes[i]);
    }
    return FA_OK;
}

static fa_status write_quantised(writer *w, const fa_plan_tensor *t, errors *sum, fa_error *e) {
    int64_t across = (t->cols + STRIP - 1) / STRIP, down = (t->rows + STRIP - 1) / STRIP;
    int64_t number = number_of(w, t, false), scale_number = number_of(w, t, true);
    float *values = malloc((size_t)(STRIP * t->cols) * sizeof *values + 1), of_tensor = 0;
    float *scales = malloc((size_t)(across * down) * sizeof *scales + 1);
    uint8_t *codes = malloc((size_t)(STRIP * t->cols) + 1);
    fa_status s = FA_OK;
    if (!values || !scales || !codes) {
        s = out_of_memory(t->name, e);
        goto out;
    }
    if (w->codes.per_tensor) s = tensor_scale(w, t, values, &of_tensor, e);
    for (int64_t b = 0; b < down && !s; b++) {
        int64_t first = b * STRIP, n = t->rows - first < STRIP ? t->rows - first : STRIP;
        s = quantise_strip(w, t, first, n, of_tensor, values, codes, scales + b * across, sum, e);
        if (!s) s = put(w, number, first * t->cols, codes, n * t->cols, e);
    }
    if (!s) s = put(w, scale_number, 0, scales, across * down * (int64_t)sizeof *scales, e);
out:
    free(values), free(scales), free(codes);
    return s;
}

/* `n` values to the bytes of type F32, BF16 or F16, in place. */
static void encode(fa_dtype type, const float *values, int64_t n, uint16_t *out, errors *sum) {
    for (int64_t i = 0; i < n; i++) {
        out[i] = type == FA_BF16 ? fa_bf16_encode(values[i]) : fa_f16_encode(values[i]);
        count_error(sum, values[i], type == FA_BF16 ? fa_bf16_decode(out[i]) : fa_f16_decode(out[i]));
    }
}

static fa_status write_converted(writer *w, const fa_plan_tensor *t, errors *sum, fa_error *e) {
    int64_t number = number_of(w, t, false), width = fa_dtype_get(t->type)->block_bytes;
    float *values = malloc((size_t)(STRIP * t->cols) * sizeof *values + 1);
    uint16_t *halves = malloc((size_t)(STRIP * t->cols) * sizeof *halves + 1);
    fa_status s = FA_OK;
    if (!values || !halves) {
        s = out_of_memory(t->name, e);
        goto out;
    }
    for (int64_t first = 0; first < t->rows && !s; first += STRIP) {
        int64_t rows = t->rows - first < STRIP ? t->rows - first : STRIP, n = rows * t->cols;
        s = fa_plan_read(t, first, rows, values, e);
        for (int64_t i = 0; i < n && !s; i++)
            if (!isfinite(values[i])) s = not_finite(t, first, rows, e);
        if (s) break;
        if (t->type != FA_F32) encode(t->type, values, n, halves, sum);
        const void *bytes = t->type == FA_F32 ? (const void *)values : halves;
        s = put(w, number, first * t->cols * width, bytes, n * width, e);
    }
out:
    free(values), free(halves);
    return s;
}

static fa_status write_copy(writer *w, const fa_plan_tensor *t, const char *data, fa_error *e) {
    int64_t number = number_of(w, t, false), bytes = fa_plan_bytes(t);
    fa_status s = FA_OK;
    for (int64_t at = 0; at < bytes && !s; at += COPY_BYTES) {
        int64_t n = bytes - at < COPY_BYTES ? bytes - at : COPY_BYTES;
        s = put(w, number, at, data + at, n, e);
    }
    return s;
}

static fa_status write_tensor(writer *w, const fa_plan_tensor *t, fa_error *e) {
    errors sum = {0};
    const void *data;
    fa_status s;
    if (fa_plan_is_fp8(t))
        s = write_quantised(w, t, &sum, e);
    else if (fa_plan_is_copy(t, &data))
        s = write_copy(w, t, data, e);
    else
        s = write_converted(w, t, &sum, e);
    if (!s) report(w, t, &sum);
    return s;
}

/* ---- one file ---- */

static fa_status add_part(writer *w, const fa_plan_tensor *t, bool scale, fa_error *e) {
    char *name;
    if (asprintf(&name, "%s%s", t->name, scale ? "_scale_inv" : "") < 0) return out_of_memory(t->name, e);
    w->parts[w->n_parts++] = (part){name, t, scale};
    return FA_OK;
}

static fa_tensor_spec spec_of(const part *p) {
    fa_tensor_spec spec = {.name = p->name, .type = p->t->type, .n_dims = p->t->n_dims};
    memcpy(spec.shape, p->t->shape, sizeof spec.shape);
    if (!p->scale) return spec;
    spec.type = FA_F32;
    for (int i = 0; i < 2; i++) spec.shape[i] = (spec.shape[i] + STRIP - 1) / STRIP;
    return spec;
}

/* Makes the list of parts of tensors first .. last-1 and starts the file. */
static fa_status start_shard(writer *w, const char *path, int64_t first, int64_t last, fa_error *e) {
    size_t most = (size_t)(2 * (last - first)) + 1;
    fa_status s = FA_OK;
    w->parts = calloc(most, sizeof *w->parts);
    if (!w->parts) return out_of_memory(path, e);
    for (int64_t i = first; i < last && !s; i++) {
        const fa_plan_tensor *t = &w->plan->list[i];
        s = add_part(w, t, false, e);
        if (!s && fa_plan_is_fp8(t)) s = add_part(w, t, true, e);
    }
    if (s) return s;
    qsort(w->parts, (size_t)w->n_parts, sizeof *w->parts, by_layout);
    fa_tensor_spec *specs = calloc(most, sizeof *specs);
    if (!specs) return out_of_memory(path, e);
    for (int64_t i = 0; i < w->n_parts; i++) specs[i] = spec_of(&w->parts[i]);
    s = fa_safetensors_create(&w->out, path, specs, w->n_parts, e);
    free(specs);
    return s;
}

static void end_shard(writer *w) {
    for (int64_t i = 0; i < w->n_parts; i++) free(w->parts[i].name);
    free(w->parts);
    fa_safetensors_abandon(w->out);
    w->parts = NULL;
    w->n_parts = 0;
    w->out = NULL;
}

static void shard_name(const writer *w, int i, char name[SHARD_NAME]) {
    if (w->shards == 1)
        snprintf(name, SHARD_NAME, "model.safetensors");
    else
        snprintf(name, SHARD_NAME, "model-%05d-of-%06d.safetensors", i + 1, w->shards);
}

static fa_status write_shard(writer *w, int i, fa_error *e) {
    char name[SHARD_NAME];
    shard_name(w, i, name);
    char *path = fa_path_join(w->dir, name);
    if (!path) return out_of_memory(w->dir, e);
    int64_t first = i ? w->last[i - 1] : 0;
    fa_status s = start_shard(w, path, first, w->last[i], e);
    if (w->out) {
        for (int64_t k = first; k < w->last[i] && !s; k++) s = write_tensor(w, &w->plan->list[k], e);
        if (!s) s = fa_safetensors_commit(w->out, e), w->out = NULL;
    }
    end_shard(w);
    free(path);
    return s;
}

/* ---- all files ---- */

/* Tensors in the order of the source, as many to a shard as fit; a larger one has a shard of its own. */
static fa_status cut_into_shards(writer *w, fa_error *e) {
    int64_t limit = w->options->shard_bytes > 0 ? w->options->shard_bytes : DEFAULT_SHARD_BYTES, bytes = 0;
    w->last = calloc((size_t)w->plan->n + 1, sizeof *w->last);
    if (!w->last) return out_of_memory(w->dir, e);
    w->shards = 1;
    for (int64_t i = 0; i < w->plan->n; i++) {
        int64_t more = fa_plan_bytes(&w->plan->list[i]);
        if (bytes && more > limit - bytes) {
            w->last[w->shards++ - 1] = i;
            bytes = 0;
        }
        bytes += more;
        w->total += more;
    }
    w->last[w->shards - 1] = w->plan->n;
    return FA_OK;
}

static fa_status write_index(const writer *w, fa_error *e) {
    fa_json_watch();
    json_t *map = json_object();
    int failed = !map;
    for (int i = 0; i < w->shards; i++) {
        char shard[SHARD_NAME];
        shard_name(w, i, shard);
        for (int64_t k = i ? w->last[i - 1] : 0; k < w->last[i]; k++) {
            const fa_plan_tensor *t = &w->plan->list[k];
            char scale[FA_PLAN_NAME + 16];
            snprintf(scale, sizeof scale, "%s_scale_inv", t->name);
            failed |= json_object_set_new(map, t->name, json_string(shard));
            if (fa_plan_is_fp8(t)) failed |= json_object_set_new(map, scale, json_string(shard));
        }
    }
    json_t *root = json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)w->total, "weight_map", map);
    char *path = fa_path_join(w->dir, "model.safetensors.index.json");
    fa_new_file f = {0};
    fa_status s =
        failed || fa_json_starved() || !root || !path ? out_of_memory(w->dir, e) : fa_new_file_open(&f, path, e);
    if (!s && json_dumpf(root, f.stream, JSON_INDENT(2) | JSON_SORT_KEYS))
        s = fa_fail(e, FA_EIO, "%s: cannot write", path);
    if (!s) s = fa_new_file_commit(&f, e);
    fa_new_file_abandon(&f);
    json_decref(root);
    free(path);
    return s;
}

fa_status fa_write_weights(const fa_plan *plan, const char *dir, const fa_quantise_options *options, fa_error *e) {
    writer w = {.codes = {options->e5m2, options->per_tensor}, .plan = plan, .options = options, .dir = dir};
    fa_status s = cut_into_shards(&w, e);
    for (int i = 0; i < w.shards && !s; i++) s = write_shard(&w, i, e);
    if (!s && w.shards > 1) s = write_index(&w, e);
    free(w.last);
    return s;
}
