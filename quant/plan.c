#include "quant/plan.h"

#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

bool fa_plan_quantises(const char *name) {
    if (strstr(name, "vision") || strstr(name, "aligner") || ends_with(name, "eh_proj.weight")) return false;
    return ends_with(name, "_proj.weight") || ends_with(name, "kv_a_proj_with_mqa.weight");
}

static bool is_float(fa_dtype t) {
    return t == FA_F32 || t == FA_F16 || t == FA_BF16 || fa_dtype_get(t)->block_elements > 1;
}

/* Projections become FP8; blocks of GGUF, which safetensors does not have, become BF16; the rest stays as it is. */
static fa_status choose_type(fa_plan_tensor *t, fa_error *e) {
    const fa_tensor *s = t->source;
    if (s->type == FA_F8_E4M3 || s->type == FA_F8_E5M2 || ends_with(t->name, "weight_scale_inv"))
        return fa_fail(e, FA_EUNSUPPORTED, "%s: tensor %s: the model is FP8 already", s->file, s->name);
    bool quantise = fa_plan_quantises(t->name) && t->n_dims == 2;
    if (quantise && !is_float(s->type))
        return fa_fail(e, FA_EUNSUPPORTED, "%s: tensor %s: a weight of type %s cannot be quantised", s->file, s->name,
                       fa_dtype_get(s->type)->name);
    t->type = quantise ? FA_F8_E4M3 : fa_dtype_get(s->type)->block_elements > 1 ? FA_BF16 : s->type;
    return FA_OK;
}

fa_status fa_plan_add(fa_plan *p, fa_plan_tensor t, fa_error *e) {
    fa_status s = choose_type(&t, e);
    if (s) return s;
    if (strlen(t.name) > FA_PLAN_NAME)
        return fa_fail(e, FA_EUNSUPPORTED, "%s: tensor %s: the name is too long", t.source->file, t.name);
    if (p->n == p->capacity) {
        int64_t capacity = p->capacity ? 2 * p->capacity : 256;
        fa_plan_tensor *list = realloc(p->list, (size_t)capacity * sizeof *list);
        if (!list) return fa_fail(e, FA_ENOMEM, "%s: out of memory for the list of tensors", t.source->file);
        p->list = list;
        p->capacity = capacity;
    }
    if (!t.rows) {
        t.rows = 1;
        for (int i = 0; i + 1 < t.n_dims; i++) t.rows *= t.shape[i];
        t.cols = t.n_dims ? t.shape[t.n_dims - 1] : 1;
    }
    t.name = fa_arena_text(p->arena, t.name, strlen(t.name));
    if (!t.name) return fa_fail(e, FA_ENOMEM, "%s: out of memory for names", t.source->file);
    p->list[p->n++] = t;
    return FA_OK;
}

void fa_plan_free(fa_plan *p) {
    free(p->list);
    *p = (fa_plan){0};
}

fa_status fa_plan_safetensors(fa_plan *p, const fa_tensors *ts, fa_error *e) {
    fa_status s = FA_OK;
    for (int64_t i = 0; i < fa_tensors_count(ts) && !s; i++) {
        const fa_tensor *source = fa_tensors_at(ts, i);
        fa_plan_tensor t = {.name = source->name, .source = source, .n_dims = source->n_dims};
        memcpy(t.shape, source->shape, sizeof t.shape);
        s = fa_plan_add(p, t, e);
    }
    return s;
}

bool fa_plan_is_fp8(const fa_plan_tensor *t) {
    return t->type == FA_F8_E4M3 || t->type == FA_F8_E5M2;
}

int64_t fa_plan_bytes(const fa_plan_tensor *t) {
    int64_t scales = fa_plan_is_fp8(t) ? (t->rows + 127) / 128 * ((t->cols + 127) / 128) * 4 : 0;
    return fa_dtype_bytes(t->type, t->rows * t->cols) + scales;
}

/* ---- values ---- */

static void read_row(const fa_tensor *source, int64_t row, int64_t cols, float *dst) {
    fa_decode(source->type, source->data, row * cols, cols, dst);
}

/* Where row `r` of the destination lies in a source whose heads have interleaved rotary pairs. */
static int64_t rotary_row(const fa_plan_tensor *t, int64_t r) {
    int64_t dim = t->rows / t->heads, half = dim / 2, in_head = r % dim;
    return r - in_head + (in_head < half ? 2 * in_head : 2 * (in_head - half) + 1);
}

/* Rows of kv_b_proj: for each head its nope rows (columns of k_b's [rank, nope]), then its v rows. A head's k_b is decoded
 * whole, once for each run of rows. */
static fa_status read_kv_b(const fa_plan_tensor *t, int64_t first, int64_t n, float *dst, fa_error *e) {
    int64_t rank = t->source->shape[1], nope = t->source->shape[2], v = t->second->shape[1];
    float *k = malloc((size_t)(rank * nope) * sizeof *k);
    if (!k) return fa_fail(e, FA_ENOMEM, "%s: out of memory for a head of %s", t->source->file, t->source->name);
    int64_t decoded = -1;
    for (int64_t r = first; r < first + n; r++, dst += rank) {
        int64_t head = r / (nope + v), in_head = r % (nope + v);
        if (in_head >= nope) {
            read_row(t->second, head * v + in_head - nope, rank, dst);
            continue;
        }
        if (decoded != head) fa_decode(t->source->type, t->source->data, head * rank * nope, rank * nope, k);
        decoded = head;
        for (int64_t c = 0; c < rank; c++) dst[c] = k[c * nope + in_head];
    }
    free(k);
    return FA_OK;
}

fa_status fa_plan_read(const fa_plan_tensor *t, int64_t first, int64_t n, float *dst, fa_error *e) {
    switch (t->kind) {
    case FA_PLAN_ROWS:
        fa_decode(t->source->type, t->source->data, (t->first_row + first) * t->cols, n * t->cols, dst);
        return FA_OK;
    case FA_PLAN_ROTARY:
        for (int64_t r = 0; r < n; r++) read_row(t->source, rotary_row(t, first + r), t->cols, dst + r * t->cols);
        return FA_OK;
    case FA_PLAN_KV_B: return read_kv_b(t, first, n, dst, e);
    }
    return FA_OK;
}

bool fa_plan_is_copy(const fa_plan_tensor *t, const void **data) {
    if (t->kind != FA_PLAN_ROWS || t->type != t->source->type) return false;
    *data = (const char *)t->source->data + fa_dtype_bytes(t->type, t->first_row * t->cols);
    return true;
}
