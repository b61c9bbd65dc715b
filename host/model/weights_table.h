/* The names and shapes of all weights, as data. Private to host/model. */
#ifndef FA_MODEL_WEIGHTS_TABLE_H
#define FA_MODEL_WEIGHTS_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "host/model/config.h"

/* Sizes that shapes are made of. */
typedef enum fa_size {
    FA_SIZE_ONE = 0, /* a vector */
    FA_SIZE_VOCAB,
    FA_SIZE_HIDDEN,
    FA_SIZE_2_HIDDEN,
    FA_SIZE_Q,     /* all query heads */
    FA_SIZE_KV,    /* all key (value) heads of GQA */
    FA_SIZE_HEADS, /* all heads' outputs */
    FA_SIZE_Q_RANK,
    FA_SIZE_KV_RANK,
    FA_SIZE_KV_A,
    FA_SIZE_KV_B,
    FA_SIZE_K_B,
    FA_SIZE_NOPE,
    FA_SIZE_INTERMEDIATE,
    FA_SIZE_SHARED,
    FA_SIZE_EXPERTS,
    FA_SIZE_EXPERT_INNER,
    FA_SIZE_COUNT
} fa_size;

int64_t fa_size_of(const fa_config *c, fa_size size);

/* What a layer has; a row of the table applies when the layer has all that the row needs. */
enum {
    FA_HAS_GQA = 1,
    FA_HAS_BIAS = 2,
    FA_HAS_MLA = 4,
    FA_HAS_Q_RANK = 8,
    FA_HAS_NO_Q_RANK = 16,
    FA_HAS_KV_B = 32,
    FA_HAS_SPLIT_KV_B = 64,
    FA_HAS_DENSE = 128,
    FA_HAS_MOE = 256,
    FA_HAS_SHARED = 512
};

typedef struct fa_weight_row {
    const char *name, *gguf; /* behind the prefix; gguf NULL: not in such files */
    size_t slot;             /* of the fa_weight in its struct */
    fa_size rows, cols;
    unsigned needs;
    bool optional;
} fa_weight_row;

extern const fa_weight_row fa_layer_rows[]; /* slots in fa_layer; prefix "model.layers.N." or "blk.N." */
extern const int fa_n_layer_rows;
extern const fa_weight_row fa_expert_rows[]; /* 3 slots in fa_expert; prefix "...mlp.experts.E.", or GGUF's stacks */
extern const fa_weight_row fa_model_rows[];  /* slots in fa_weights: embedding, norm, head */
extern const fa_weight_row fa_mtp_rows[];    /* slots in fa_mtp_weights; prefix of the MTP layer */
extern const int fa_n_mtp_rows;

#endif
