#include "host/vision/weights.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { NAME_TEXT = 200 };

static fa_status find(const fa_vision_loader *l, const fa_tensor **out, const char *name, fa_error *e) {
    *out = fa_tensors_find(l->tensors, name);
    return *out ? FA_OK : fa_fail(e, FA_EFORMAT, "tensor %s: missing", name);
}

static fa_status wrong_shape(const fa_tensor *t, int64_t rows, int64_t cols, fa_error *e) {
    char found[96];
    return fa_fail(e, FA_EFORMAT, "%s: tensor %s: expected %lld x %lld values, found %s", t->file, t->name,
                   (long long)rows, (long long)cols, fa_tensor_shape_text(t, found, sizeof found));
}

static fa_status values_of(const fa_vision_loader *l, const fa_tensor *t, int64_t n, const float **out, fa_error *e) {
    if (fa_tensor_elements(t) != n) return wrong_shape(t, 1, n, e);
    switch (t->type) {
    case FA_F32:
    case FA_F16:
    case FA_BF16:
    case FA_F8_E8M0: break;
    default:
        return fa_fail(e, FA_EUNSUPPORTED, "%s: tensor %s: values of type %s are not supported here", t->file, t->name,
                       fa_dtype_get(t->type)->name);
    }
    float *values = fa_arena_array(l->arena, (size_t)n, sizeof *values);
    if (!values) return fa_fail(e, FA_ENOMEM, "%s: tensor %s: out of memory", t->file, t->name);
    fa_decode(t->type, t->data, 0, n, values);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return fa_fail(e, FA_EFORMAT, "%s: tensor %s: value %lld is not finite", t->file, t->name, (long long)i);
    *out = values;
    return FA_OK;
}

fa_status fa_vision_load_values(const fa_vision_loader *l, const float **out, int64_t n, fa_error *e, const char *name,
                                ...) {
    char text[NAME_TEXT];
    const fa_tensor *t;
    va_list args;
    va_start(args, name);
    vsnprintf(text, sizeof text, name, args);
    va_end(args);
    fa_status s = find(l, &t, text, e);
    return s ? s : values_of(l, t, n, out, e);
}

/* Makes `w` a view of `t` and gives it to the backend, which looks for NaN codes. */
static fa_status load(const fa_vision_loader *l, fa_weight *w, const fa_tensor *t, int64_t rows, int64_t cols,
                      fa_error *e) {
    if (fa_tensor_elements(t) != rows * cols || t->n_dims < 1 || (rows > 1 && t->shape[0] != rows))
        return wrong_shape(t, rows, cols, e);
    *w = (fa_weight){.name = t->name,
                     .type = t->type,
                     .rows = rows,
                     .cols = cols,
                     .data = t->data,
                     .file = t->file,
                     .share = 1,
                     .use = FA_USE_MATMUL};
    fa_status s = FA_OK;
    if (t->type == FA_F8_E4M3 || t->type == FA_F8_E5M2) {
        int64_t blocks = (rows + FA_BLOCK - 1) / FA_BLOCK * ((cols + FA_BLOCK - 1) / FA_BLOCK);
        s = fa_vision_load_values(l, &w->scale, blocks, e, "%s_scale_inv", t->name);
    }
    if (!s && l->backend) s = l->backend->weight(l->backend, w, e);
    return s ? fa_error_prefix(e, s, "%s", t->file) : FA_OK;
}

static fa_status load_named(const fa_vision_loader *l, fa_weight *w, const char *name, const char *end, int64_t rows,
                            int64_t cols, fa_error *e) {
    char text[NAME_TEXT + 16];
    const fa_tensor *t;
    snprintf(text, sizeof text, "%s%s", name, end);
    fa_status s = find(l, &t, text, e);
    return s ? s : load(l, w, t, rows, cols, e);
}

fa_status fa_vision_load_linear(const fa_vision_loader *l, fa_linear *out, int64_t rows, int64_t cols, bool bias,
                                fa_error *e, const char *name, ...) {
    char text[NAME_TEXT];
    va_list args;
    va_start(args, name);
    vsnprintf(text, sizeof text, name, args);
    va_end(args);
    *out = (fa_linear){0};
    fa_status s = load_named(l, &out->w, text, ".weight", rows, cols, e);
    return !s && bias ? load_named(l, &out->bias, text, ".bias", 1, rows, e) : s;
}
