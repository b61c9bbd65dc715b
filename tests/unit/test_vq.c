/* The small parts of drawing against plain formulas in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/scalar.h"
#include "host/vision/draw.h"
#include "host/vision/vq_parts.h"
#include "tests/lib/check.h"

typedef struct shape {
    int height, width, channels, groups;
} shape;

static void groupnorm(void *arg) {
    const shape *s = arg;
    int pixels = s->height * s->width, n = pixels * s->channels, each = s->channels / s->groups;
    float *x = malloc((size_t)n * sizeof *x), *y = malloc((size_t)n * sizeof *y), weight[64], bias[64];
    CHECK(x && y && s->channels <= 64);
    check_rng rng = {7};
    for (int i = 0; i < n; i++) y[i] = x[i] = 3 + 2 * check_normal(&rng);
    for (int i = 0; i < s->channels; i++) weight[i] = check_normal(&rng), bias[i] = check_normal(&rng);
    fa_groupnorm(y, s->height, s->width, s->channels, s->groups, weight, bias, 1e-6f);
    for (int g = 0; g < s->groups; g++) {
        double mean = 0, variance = 0;
        for (int p = 0; p < pixels; p++)
            for (int c = g * each; c < (g + 1) * each; c++) mean += x[p * s->channels + c];
        mean /= pixels * each;
        for (int p = 0; p < pixels; p++)
            for (int c = g * each; c < (g + 1) * each; c++) variance += pow(x[p * s->channels + c] - mean, 2);
        variance /= pixels * each;
        for (int p = 0; p < pixels; p++)
            for (int c = g * each; c < (g + 1) * each; c++) {
                double want = (x[p * s->channels + c] - mean) / sqrt(variance + 1e-6) * weight[c] + bias[c];
                double found = y[p * s->channels + c];
                CHECK(fabs(found - want) <= 1e-5 * (1 + fabs(want)), "pixel %d, channel %d: %g, want %g", p, c, found,
                      want);
            }
    }
    free(x);
    free(y);
}

/* The one that drawing uses against the definition, bit for bit. */
static void groupnorm_by_rows(void *arg) {
    const shape *s = arg;
    size_t n = (size_t)s->height * (size_t)s->width * (size_t)s->channels;
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y), weight[128], bias[128];
    CHECK(x && y && s->channels <= 128);
    check_rng rng = {9};
    for (size_t i = 0; i < n; i++) y[i] = x[i] = 1 + 3 * check_normal(&rng);
    for (int i = 0; i < s->channels; i++) weight[i] = check_normal(&rng), bias[i] = check_normal(&rng);
    fa_groupnorm(y, s->height, s->width, s->channels, VQ_GROUPS, weight, bias, 1e-6f);
    vq_groupnorm(x, s->height, s->width, &(vq_norm){s->channels, weight, bias}, 1e-6f);
    CHECK(!memcmp(x, y, n * sizeof *x), "other bits");
    free(x);
    free(y);
}

static void to_rgb(void *unused) {
    (void)unused;
    static const float from[] = {-1, -2, 1, 2, 0, -0.9999f, 0.9999f, -INFINITY, INFINITY, NAN, 0.00393f};
    static const uint8_t want[] = {0, 0, 255, 255, 127, 0, 254, 0, 255, 0, 128};
    uint8_t found[sizeof want];
    fa_vq_to_rgb(from, (int64_t)sizeof want, found);
    for (size_t i = 0; i < sizeof want; i++)
        CHECK(found[i] == want[i], "%g is %d, want %d", (double)from[i], found[i], want[i]);
}

static void guidance(void *unused) {
    (void)unused;
    static const float with[] = {1, 2, -3}, without[] = {0.5f, 2, 1};
    static const float want[] = {3, 2, -19};
    float found[3];
    fa_draw_guide(with, without, 5, 3, found);
    CHECK(!memcmp(found, want, sizeof want), "%g %g %g", (double)found[0], (double)found[1], (double)found[2]);
    fa_draw_guide(with, without, 0, 3, found);
    CHECK(!memcmp(found, without, sizeof without), "a weight of 0 is the sequence without the prompt");
}

int main(int argc, char **argv) {
    const check_case cases[] = {
        {"groupnorm of one channel a group", groupnorm, &(shape){5, 7, 32, 32}},
        {"groupnorm of two channels a group", groupnorm, &(shape){9, 4, 64, 32}},
        {"groupnorm of one group", groupnorm, &(shape){3, 3, 12, 1}},
        {"groupnorm row by row has the definition's bits: 1 channel", groupnorm_by_rows, &(shape){17, 5, 32, 32}},
        {"groupnorm row by row has the definition's bits: 3 channels", groupnorm_by_rows, &(shape){6, 33, 96, 32}},
        {"groupnorm row by row has the definition's bits: 4 channels", groupnorm_by_rows, &(shape){40, 9, 128, 32}},
        {"values become 8-bit pixels as Janus' own code cuts them", to_rgb, NULL},
        {"guidance moves away from the sequence without the prompt", guidance, NULL},
    };
    return check_main(argc, argv, cases, sizeof cases / sizeof *cases);
}
