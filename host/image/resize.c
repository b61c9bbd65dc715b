/* Resampling as Pillow does it (src/libImaging/Resample.c), which the preprocessing of the released models calls. */
#include "host/image/resize.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WEIGHT_BITS = 22 };
static const double SUPPORT = 2; /* of the cubic, at scale 1 */

/* Keys' cubic convolution (R. Keys, 1981) with a = -1/2. */
static double cubic(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

/* Which source pixels one output pixel is made of along an axis. */
typedef struct span {
    int32_t first, n;
} span;

typedef struct axis {
    int32_t most;     /* weights of an output pixel */
    span *spans;      /* [to] */
    int32_t *weights; /* [to, most], in units of 2^-22 */
} axis;

static void axis_free(axis *a) {
    free(a->spans);
    free(a->weights);
}

static span make_span(int32_t from, double centre, double support) {
    int32_t first = (int32_t)(centre - support + 0.5), end = (int32_t)(centre + support + 0.5);
    first = first < 0 ? 0 : first;
    end = end > from ? from : end;
    return (span){first, end - first};
}

static fa_status axis_make(axis *a, int32_t from, int32_t to, fa_error *e) {
    double scale = (double)from / to, filter_scale = scale < 1 ? 1 : scale, support = SUPPORT * filter_scale;
    *a = (axis){.most = (int32_t)ceil(support) * 2 + 1};
    a->spans = calloc((size_t)to, sizeof *a->spans);
    a->weights = calloc((size_t)to * (size_t)a->most, sizeof *a->weights);
    double *w = calloc((size_t)a->most, sizeof *w), inverse = 1 / filter_scale;
    if (!a->spans || !a->weights || !w) {
        free(w);
        axis_free(a);
        return fa_fail(e, FA_ENOMEM, "out of memory for resizing");
    }
    for (int32_t i = 0; i < to; i++) {
        double centre = (i + 0.5) * scale, sum = 0;
        span s = a->spans[i] = make_span(from, centre, support);
        for (int32_t k = 0; k < s.n; k++) sum += w[k] = cubic((k + s.first - centre + 0.5) * inverse);
        for (int32_t k = 0; k < s.n; k++) {
            double fixed = (sum != 0 ? w[k] / sum : w[k]) * (1 << WEIGHT_BITS);
            a->weights[(int64_t)i * a->most + k] = (int32_t)(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
        }
    }
    free(w);
    return FA_OK;
}

/* One output pixel: `from` is its first source pixel, the next ones `stride` bytes apart. */
static void mix(uint8_t *to, const uint8_t *from, size_t stride, const int32_t *weights, int32_t n) {
    for (int c = 0; c < 3; c++) {
        int64_t sum = 1 << (WEIGHT_BITS - 1);
        for (int32_t k = 0; k < n; k++) sum += (int64_t)from[(size_t)k * stride + (size_t)c] * weights[k];
        sum >>= WEIGHT_BITS;
        to[c] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
}

static void across(fa_image *out, const fa_image *from, const axis *a) {
    for (int32_t y = 0; y < out->height; y++) {
        const uint8_t *row = from->rgb + (size_t)y * (size_t)from->width * 3;
        uint8_t *to = out->rgb + (size_t)y * (size_t)out->width * 3;
        for (int32_t x = 0; x < out->width; x++)
            mix(to + (size_t)x * 3, row + (size_t)a->spans[x].first * 3, 3, a->weights + (int64_t)x * a->most,
                a->spans[x].n);
    }
}

static void down(fa_image *out, const fa_image *from, const axis *a) {
    size_t row = (size_t)out->width * 3;
    for (int32_t y = 0; y < out->height; y++)
        for (int32_t x = 0; x < out->width; x++)
            mix(out->rgb + (size_t)y * row + (size_t)x * 3, from->rgb + (size_t)a->spans[y].first * row + (size_t)x * 3,
                row, a->weights + (int64_t)y * a->most, a->spans[y].n);
}

/* One axis; the other keeps its size. */
static fa_status resample(fa_image *out, const fa_image *from, int32_t width, int32_t height, fa_error *e) {
    bool is_across = width != from->width;
    axis a;
    fa_status s = is_across ? axis_make(&a, from->width, width, e) : axis_make(&a, from->height, height, e);
    if (s) return s;
    s = fa_image_alloc(out, width, height, e);
    if (!s) (is_across ? across : down)(out, from, &a);
    axis_free(&a);
    return s;
}

static fa_status copy(fa_image *out, const fa_image *from, fa_error *e) {
    fa_status s = fa_image_alloc(out, from->width, from->height, e);
    if (!s) memcpy(out->rgb, from->rgb, (size_t)from->width * (size_t)from->height * 3);
    return s;
}

fa_status fa_image_resize(fa_image *out, const fa_image *from, int32_t width, int32_t height, fa_error *e) {
    *out = (fa_image){0};
    if (width < 1 || height < 1) return fa_fail(e, FA_EINVAL, "resize: %d x %d is no size", width, height);
    if (width == from->width && height == from->height) return copy(out, from, e);
    if (width == from->width || height == from->height) return resample(out, from, width, height, e);
    fa_image wide;
    fa_status s = resample(&wide, from, width, from->height, e);
    if (s) return s;
    s = resample(out, &wide, width, height, e);
    fa_image_free(&wide);
    return s;
}
