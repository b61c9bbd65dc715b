/* A model's weights: views into its files, found by name, checked, and prepared on the backend. Private to host/model. */
#ifndef FA_MODEL_WEIGHTS_H
#define FA_MODEL_WEIGHTS_H

#include "host/backend/backend.h"
#include "host/base/arena.h"
#include "host/format/tensor.h"
#include "host/model/config.h"
#include "host/model/model.h"

/* One decoder layer. A weight that the layer does not have has data == NULL. */
typedef struct fa_layer {
    fa_weight attention_norm, mlp_norm; /* [hidden] */

    fa_weight q;    /* GQA: [heads * head_dim, hidden]; MLA without q_lora: [heads * (nope + rope), hidden] */
    fa_weight k, v; /* GQA: [kv_heads * head_dim, hidden] */
    fa_weight q_bias, k_bias, v_bias; /* of q, k, v */
    fa_weight o, o_bias;              /* [hidden, heads * (head_dim or v)] */

    fa_weight q_a, q_a_norm, q_b; /* MLA: [q_rank, hidden], [q_rank], [heads * (nope + rope), q_rank] */
    fa_weight kv_a, kv_a_norm;    /* [kv_rank + rope, hidden], [kv_rank] */
    fa_weight kv_b;               /* [heads * (nope + v), kv_rank], or split: */
    fa_weight k_b, v_b;           /* [heads * kv_rank, nope], [heads * v, kv_rank] */

    fa_expert mlp;            /* dense MLP; in a MoE layer the shared experts, as one of their summed width */
    fa_weight router;         /* MoE: [experts, hidden] */
    const float *router_bias; /* [experts] or NULL */
    fa_expert *experts;       /* [experts] */
} fa_layer;

typedef struct fa_weights {
    fa_arena arena; /* layers, experts, and the few weights that had to be converted */
    fa_weight embedding, norm, head;
    fa_layer *layers; /* [layers], and the MTP layer's as one more */
    struct fa_mtp_weights {
        fa_weight token_norm, hidden_norm; /* [hidden] */
        fa_weight join;                    /* [hidden, 2 * hidden]: of normed token and normed hidden state */
        fa_weight norm, head, embedding;
    } mtp;
    int64_t bytes;              /* of all tensors that are in use */
    const float *rope_divisors; /* [dims / 2] of GGUF's rope_freqs, or NULL */
} fa_weights;

typedef struct fa_weights_options {
    fa_backend *backend;
    const char *path; /* of the model, for error texts */
    bool mtp;
    fa_model_part part;
    const char *experts_by; /* a trace, or NULL */
    void (*progress)(void *ctx, int64_t done, int64_t total);
    void *progress_ctx;
    const fa_model_guest *guest; /* or NULL */
} fa_weights_options;

/* What GGUF metadata leaves to the tensors: whether the head is the embedding, whether llama's q, k and v have a bias. */
void fa_config_settle(fa_config *c, const fa_tensors *ts);

/* Finds and checks all weights. FA_EFORMAT names file and tensor: missing, of another shape, without scales, NaN codes.
 * FA_EUNSUPPORTED: a type that the backend does not multiply. fa_weights_free in every case. */
fa_status fa_weights_load(fa_weights *w, const fa_config *c, const fa_tensors *ts, const fa_weights_options *options,
                          fa_error *e);
void fa_weights_free(fa_weights *w);

#endif
