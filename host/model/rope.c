#include "host/model/rope.h"

#include <math.h>

int32_t fa_rope_dims(const fa_config *c) {
    return c->attention == FA_ATTENTION_MLA ? c->rope_dim : c->head_dim;
}

/* YaRN's growth of the temperature with the context (arXiv 2309.00071, section 3.4). */
static double yarn_mscale(double factor, double mscale) {
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

/* theta^(2i / dims): one turn of pair i takes 2 pi times as many positions. */
static float period(const fa_config *c, int32_t i) {
    float exponent = (float)(2 * i) / (float)fa_rope_dims(c);
    return (float)pow(c->rope.theta, exponent);
}

/* The dimension whose frequency turns `rotations` times over the original context. */
static double yarn_dimension(const fa_config *c, double rotations) {
    double dims = fa_rope_dims(c);
    return dims * log(c->rope.original_positions / (rotations * 2 * M_PI)) / (2 * log(c->rope.theta));
}

/* Between the dimensions of beta_fast and beta_slow rotations a ramp from the original to the stretched
 * frequency. */
static void scale_yarn(const fa_config *c, float *inv_freq) {
    int32_t dims = fa_rope_dims(c);
    double low = fmax(floor(yarn_dimension(c, c->rope.beta_fast)), 0);
    double high = fmin(ceil(yarn_dimension(c, c->rope.beta_slow)), dims - 1);
    if (low == high) high += 0.001;
    for (int32_t i = 0; i < dims / 2; i++) {
        float ramp = ((float)i - (float)low) / (float)(high - low);
        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        float keep = 1 - ramp;
        float stretched = 1.0f / ((float)c->rope.factor * period(c, i));
        inv_freq[i] = stretched * (1 - keep) + inv_freq[i] * keep;
    }
}

/* Llama 3.1: long waves are stretched by the factor, short ones kept, those between interpolated. */
static void scale_llama3(const fa_config *c, float *inv_freq) {
    double low = c->rope.low_freq_factor, high = c->rope.high_freq_factor, original = c->rope.original_positions;
    float factor = (float)c->rope.factor;
    for (int32_t i = 0; i < fa_rope_dims(c) / 2; i++) {
        double wave = 2 * M_PI / inv_freq[i];
        if (wave > original / low) {
            inv_freq[i] /= factor;
        } else if (wave >= original / high) {
            float smooth = (float)((original / wave - low) / (high - low));
            inv_freq[i] = (1 - smooth) * inv_freq[i] / factor + smooth * inv_freq[i];
        }
    }
}

/* The steps are rounded to FP32 where the reference implementations (torch) round, because a frequency that
 * is off by one unit in the last place turns by position * 6e-8 too far, which at long contexts is more than
 * everything else. */
void fa_rope_frequencies(const fa_config *c, const float *divisors, float *inv_freq) {
    for (int32_t i = 0; i < fa_rope_dims(c) / 2; i++) {
        inv_freq[i] = 1.0f / period(c, i);
        if (divisors) inv_freq[i] /= divisors[i];
        if (c->rope.scaling == FA_ROPE_LINEAR) inv_freq[i] /= (float)c->rope.factor;
    }
    if (c->rope.scaling == FA_ROPE_YARN) scale_yarn(c, inv_freq);
    if (c->rope.scaling == FA_ROPE_LLAMA3) scale_llama3(c, inv_freq);
}

double fa_rope_attention_factor(const fa_config *c) {
    if (c->rope.scaling != FA_ROPE_YARN) return 1;
    if (c->rope.attention_factor > 0) return c->rope.attention_factor;
    if (c->rope.mscale > 0 && c->rope.mscale_all_dim > 0)
        return yarn_mscale(c->rope.factor, c->rope.mscale) / yarn_mscale(c->rope.factor, c->rope.mscale_all_dim);
    return yarn_mscale(c->rope.factor, 1);
}

double fa_softmax_scale(const fa_config *c) {
    if (c->attention != FA_ATTENTION_MLA) return 1 / sqrt(c->head_dim);
    double scale = 1 / sqrt(c->nope_dim + c->rope_dim);
    if (c->rope.scaling != FA_ROPE_YARN || c->rope.mscale_all_dim <= 0) return scale;
    double mscale = yarn_mscale(c->rope.factor, c->rope.mscale_all_dim);
    return scale * mscale * mscale;
}

/* The angle is the FP32 product, as the references have it: what a model was trained with, not the exact
 * angle. From there cos and sin are exact to half a unit in the last place: double, and one rounding. */
void fa_rope_table(const float *inv_freq, int32_t half, double factor, int32_t first, int32_t n, float *table) {
    for (int64_t p = 0; p < n; p++) {
        float *row = table + p * 2 * half;
        for (int32_t i = 0; i < half; i++) {
            float angle = (float)(first + p) * inv_freq[i];
            row[i] = (float)(cos(angle) * factor);
            row[half + i] = (float)(sin(angle) * factor);
        }
    }
}
