/* Rotary position embedding: the frequencies of each scaling, the factors they bring, and tables of cos and
 * sin. */
#ifndef FA_MODEL_ROPE_H
#define FA_MODEL_ROPE_H

#include <stdint.h>

#include "host/model/config.h"

/* Elements of a head that are rotated: rope_dim with MLA, else head_dim. */
int32_t fa_rope_dims(const fa_config *c);

/* Inverse frequencies into inv_freq [dims / 2]. `divisors` [dims / 2] (GGUF's rope_freqs tensor, which stands
 * for llama3 scaling) or NULL. */
void fa_rope_frequencies(const fa_config *c, const float *divisors, float *inv_freq);

/* What cos and sin are multiplied with. */
double fa_rope_attention_factor(const fa_config *c);

/* What attention scores are multiplied with: 1 / sqrt(head size), and for MLA with YaRN
 * mscale(mscale_all_dim) squared. */
double fa_softmax_scale(const fa_config *c);

/* Rows of positions first .. first+n-1: cos [half] then sin [half], times `factor`. */
void fa_rope_table(const float *inv_freq, int32_t half, double factor, int32_t first, int32_t n, float *table);

#endif
